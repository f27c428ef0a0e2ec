"""Whatever bytes come, the weights' server answers with a status, lives on, and takes a version afterwards."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cartridge import client
from cartridge.client import Patience, weights
from cartridge.proto.weights.v1 import weights_pb2 as pb

GROWTH_MIB = 64  # most that the server may grow after the first fifth
WAITING = frozenset({"Watch"})  # which never ends


def valid(upload: Any) -> dict[str, list[bytes]]:
    """Messages that the server takes."""
    examples = {
        "Publish": list(upload),
        "GetNewest": [pb.GetNewestRequest(with_run=True)],
        "Watch": [pb.WatchRequest(after=-1)],
        "Fetch": [pb.FetchRequest(version=1), pb.FetchRequest(version=1, offset=100)],
    }
    return {name: [one.SerializeToString() for one in messages] for name, messages in examples.items()}


@pytest.fixture
def fuzzed(
    fuzz: ModuleType,
    environment: dict[str, str],
    weigh: Callable[..., Any],
    run: dict[str, Any],
    short_folder: Path,
) -> Callable[[int], None]:
    """Fuzzes a server of its own with so many messages, and looks at it afterwards."""

    def do(messages: int) -> None:
        line = [sys.executable, "-W", "ignore", "-m", "cartridge.services.cli", "serve", "weights"]
        line += [str(short_folder / "run"), "--address", f"unix:{short_folder}/w"]
        with fuzz.serving(line, environment, short_folder / "log") as (pid, address):
            with client.Weights(address, patience=Patience(60.0)) as store:
                data, manifest = weigh(1)
                store.publish(data, manifest, run)
                data, manifest = weigh(2)
                maker = fuzz.Maker(3, valid(weights.upload(data, manifest, run)))
                fuzzer = fuzz.Fuzzer(pb.DESCRIPTOR.services_by_name["Weights"], maker, waiting=WAITING)
                grown = fuzz.fuzz(fuzzer, address, pid, messages)
                data, manifest = weigh(store.highest() + 1)
                store.publish(data, manifest, run)
                newest = store.newest()
                assert newest is not None
                assert store.fetch(newest) == data
            assert not fuzzer.report.faults, "\n".join(fuzzer.report.faults[:20])
            assert grown < GROWTH_MIB

    return do


@pytest.mark.long
def test_three_thousand_messages_do_no_harm(fuzzed: Any) -> None:
    fuzzed(3_000)
