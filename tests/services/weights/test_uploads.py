"""An upload that is not what its head says is refused with a word on why, and the version before is served on."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import grpc
import pytest
from cartridge import client
from cartridge.client.weights import upload
from cartridge.engine.spec import WeightsManifest
from cartridge.proto.weights.v1 import weights_pb2 as pb
from cartridge.proto.weights.v1 import weights_pb2_grpc

Weigh = Callable[..., tuple[bytes, WeightsManifest]]
Run = dict[str, Any]


@pytest.fixture
def begun(store: client.Weights, weigh: Weigh, run: Run) -> client.Weights:
    """A client of a server that has version 1."""
    store.publish(*weigh(1), run)
    return store


def refused(store: client.Weights, messages: Iterable[pb.PublishRequest]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        weights_pb2_grpc.WeightsStub(store.channel).Publish(iter(messages))
    assert isinstance(caught.value, grpc.Call)
    return caught.value.code().name, caught.value.details() or ""


def head(num_bytes: int, manifest: str, run: str) -> pb.PublishRequest:
    return pb.PublishRequest(head=pb.Head(num_bytes=num_bytes, manifest=manifest, run=run))


def chunk(data: bytes) -> pb.PublishRequest:
    return pb.PublishRequest(chunk=data)


END = pb.PublishRequest(end=pb.End())


def test_what_is_no_whole_upload_is_refused(begun: client.Weights, weigh: Weigh, run: Run) -> None:
    data, manifest = weigh(2)
    first, body, end = list(upload(data, manifest, run))
    size = len(data)
    wrong = {
        "an upload begins with a head": ([], [body, end], [end], [pb.PublishRequest()]),
        "the upload has no end: nothing is kept": ([first], [first, body]),
        f"the upload has {size - 1} bytes, and the head says {size}": ([first, chunk(data[1:]), end],),
        f"the upload has 0 bytes, and the head says {size}": ([first, end],),
        f"expected chunks of {size} bytes in all, and then an end": (
            [first, body, chunk(b"!"), end],
            [first, first, body, end],
            [first, body, first, end],
            [first, pb.PublishRequest(), body, end],
        ),
        "weights version 2 are damaged: sha256 is": ([first, chunk(data[:-1] + b"!"), end],),
    }
    for expected, uploads in wrong.items():
        for messages in uploads:
            code, said = refused(begun, messages)
            assert code == "INVALID_ARGUMENT"
            assert expected in said
    there = begun.newest()
    assert there is not None
    assert (there.version, begun.fetch(there)) == (1, weigh(1)[0])
    begun.publish(data, manifest, run)


WRONG_FIELDS = {
    "version": [True, -1, 2**63, "2", 1.5, None],
    "learner_step": ["1"],
    "sha256": [7, None],
    "spec_fingerprint": [7],
    "env_id": [None],
    "created_at": [0],
    "config_hash": [[]],
    "seed": ["0"],
    "tensors": [[]],
    "network": ["mlp", {"width": "wide"}, {"wide": 1}, None],
}


def test_a_head_that_does_not_fit_is_refused(begun: client.Weights, weigh: Weigh, run: Run) -> None:
    manifest = weigh(2)[1].to_json()
    fields = json.loads(manifest)
    texts = ["", "{", "[]", "3", "{}", "[" * 100_000, json.dumps(fields | {"more": 1})]
    texts += [json.dumps(fields | {name: value}) for name, values in WRONG_FIELDS.items() for value in values]
    for text in texts:
        code, said = refused(begun, [head(0, text, json.dumps(run)), END])
        assert code == "INVALID_ARGUMENT", text[:300]
        assert said.startswith("the head does not fit: "), said
    for text in ("", "null", "[]", "{"):
        code, said = refused(begun, [head(0, manifest, text), END])
        assert (code, said.partition(":")[0]) == ("INVALID_ARGUMENT", "the head does not fit")


def test_a_field_of_the_manifest_is_named(begun: client.Weights, weigh: Weigh, run: Run) -> None:
    fields = json.loads(weigh(2)[1].to_json()) | {"version": "2"}
    _, said = refused(begun, [head(0, json.dumps(fields), json.dumps(run)), END])
    assert "version is '2', expected a whole number from 0 to 9223372036854775807" in said


def test_the_highest_version_of_all_can_be_told(begun: client.Weights, weigh: Weigh, run: Run) -> None:
    begun.publish(*weigh(2**63 - 1, seed=0), run)
    there = begun.newest()
    assert there is not None
    assert there.version == there.highest == 2**63 - 1


def test_weights_larger_than_the_server_takes_are_refused(
    serve: Callable[..., Any], address: str, weigh: Weigh, run: Run
) -> None:
    """Before they are sent."""
    serve("--max-weights-mib", "1", "--max-message-mib", "2")
    with client.Weights(address) as store:
        data, manifest = weigh(1, kib=1024)  # a header besides
        with pytest.raises(client.CallError, match=r"RESOURCE_EXHAUSTED: .* 1\.0 MiB, more than the 1 MiB .*--max-"):
            store.publish(data, manifest, run)
        store.publish(*weigh(1, kib=1023), run)
        first = head(2 << 20, weigh(2)[1].to_json(), json.dumps(run))
        code, said = refused(store, [first, END])
        assert (code, "2.0 MiB" in said) == ("RESOURCE_EXHAUSTED", True)
        code, said = refused(store, [head(10, weigh(2)[1].to_json(), json.dumps(run)), chunk(bytes(3 << 20)), END])
        assert (code, "--max-message-mib" in said) == ("RESOURCE_EXHAUSTED", True)
        there = store.newest()
        assert there is not None
        assert there.version == 1
