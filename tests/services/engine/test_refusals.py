"""What the engine's service refuses: the right status, and a message that says what was expected."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from cartridge.client import CallError, Engine, LeaseLostError, Patience, slices
from cartridge.proto.engine.v1 import engine_pb2 as pb
from cartridge.proto.engine.v1 import engine_pb2_grpc

CONNECT4, KUHN = pb.EngineId(env_id="connect4"), pb.EngineId(env_id="kuhn_poker")
NUM = 5
FOUR = bytes(4 * NUM)


@pytest.fixture
def stub(engine: Engine) -> Any:
    return engine_pb2_grpc.EngineStub(engine.channel)


@pytest.fixture
def lease(stub: Any) -> Iterator[pb.Lease]:
    leased = stub.Acquire(pb.AcquireRequest(id=CONNECT4, num_games=NUM, outputs=["mask:bits7:v1"]))
    yield leased
    stub.Release(pb.ReleaseRequest(lease_id=leased.lease_id))


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert isinstance(caught.value, grpc.Call)
    return caught.value.code().name, caught.value.details() or ""


STATELESS = [
    ("GetCapabilities", pb.EngineId(), "INVALID_ARGUMENT", "id.env_id is empty, expected a game's id such as connect4"),
    ("GetCapabilities", pb.EngineId(env_id="conect4"), "NOT_FOUND", "no game 'conect4': did you mean connect4?"),
    ("GetCapabilities", pb.EngineId(env_id="hex:size=x"), "INVALID_ARGUMENT", "'hex:size=x'"),
    (
        "Reset",
        pb.ResetRequest(id=pb.EngineId(env_id="connect4", build_id="1.0.0+abc")),
        "FAILED_PRECONDITION",
        "id.build_id is '1.0.0+abc', but this server's connect4 is 1.0.0+",
    ),
    ("Reset", pb.ResetRequest(id=CONNECT4, hint=b"size=9"), "INVALID_ARGUMENT", "connect4 does not take the options"),
    ("Reset", pb.ResetRequest(id=CONNECT4, hint=b"\xff"), "INVALID_ARGUMENT", "hint is no text"),
    ("Reset", pb.ResetRequest(id=KUHN), "PERMISSION_DENIED", "Reset shows the state of kuhn_poker"),
    ("ResetBatch", pb.ResetBatchRequest(id=CONNECT4), "INVALID_ARGUMENT", "seeds of 0 games, expected 1 to 4096"),
    ("Step", pb.StepRequest(id=KUHN), "PERMISSION_DENIED", "ask with `trusted` if no player will see it"),
    (
        "Step",
        pb.StepRequest(id=CONNECT4, state=bytes(19), action=bytes(4)),
        "INVALID_ARGUMENT",
        "state and action are 19 and 4 bytes, expected 20 and 4",
    ),
    (
        "Step",
        pb.StepRequest(id=CONNECT4, state=b"\xff" * 20, action=bytes(4)),
        "INVALID_ARGUMENT",
        "state 0 of connect4 cannot be: ",
    ),
    (
        "StepBatch",
        pb.StepBatchRequest(id=CONNECT4, states=bytes(41), actions=bytes(8)),
        "INVALID_ARGUMENT",
        "states are 41 bytes, expected 20 for each game",
    ),
    (
        "StepBatch",
        pb.StepBatchRequest(id=CONNECT4, states=bytes(40), actions=bytes(4)),
        "INVALID_ARGUMENT",
        "actions are 4 bytes, expected one u32 for each of 2 games",
    ),
]


@pytest.mark.parametrize(("method", "message", "code", "details"), STATELESS)
def test_a_stateless_call_is_refused(stub: Any, method: str, message: Any, code: str, details: str) -> None:
    found = refused(lambda: getattr(stub, method)(message))
    assert found[0] == code
    assert details in found[1]


ACQUIRE: list[tuple[dict[str, Any], str, str]] = [
    ({"num_games": 0}, "INVALID_ARGUMENT", "num_games is 0, expected 1 to 4096 (set by --games)"),
    ({"num_games": 5000}, "INVALID_ARGUMENT", "num_games is 5000, expected 1 to 4096"),
    ({"outputs": ["obs:bits85:v1"]}, "INVALID_ARGUMENT", "no output 'obs:bits85:v1': there are obs:f32x84"),
    ({"outputs": ["player:u8:v1"] * 2}, "INVALID_ARGUMENT", "expected each once"),
    ({"auto_reset": 4}, "INVALID_ARGUMENT", "auto_reset is 4, expected 0 to 3"),
    ({"spec_fingerprint": "0" * 64}, "FAILED_PRECONDITION", "the rules or layouts differ"),
    ({"id": KUHN, "outputs": ["state:packed_u32:v1"]}, "PERMISSION_DENIED", "more than its players may know"),
    ({"id": pb.EngineId(env_id="cartpole"), "outputs": ["obs:bits4:v1"]}, "INVALID_ARGUMENT", "cartpole has no output"),
]


@pytest.mark.parametrize(("fields", "code", "details"), ACQUIRE)
def test_a_lease_is_refused(stub: Any, fields: dict[str, Any], code: str, details: str) -> None:
    asked = pb.AcquireRequest(**{"id": CONNECT4, "num_games": 8, **fields})
    found = refused(lambda: stub.Acquire(asked))
    assert found[0] == code
    assert details in found[1]


def test_more_games_than_are_free_are_refused_and_said(stub: Any) -> None:
    othello = pb.EngineId(env_id="othello")
    leased = stub.Acquire(pb.AcquireRequest(id=othello, num_games=4000))
    code, details = refused(lambda: stub.Acquire(pb.AcquireRequest(id=othello, num_games=97)))
    assert code == "RESOURCE_EXHAUSTED"
    assert "97 games of othello are not free: 96 of 4096 are, at most 96 of them in one lease" in details
    stub.Release(pb.ReleaseRequest(lease_id=leased.lease_id))
    again = stub.Acquire(pb.AcquireRequest(id=othello, num_games=4096))
    stub.Release(pb.ReleaseRequest(lease_id=again.lease_id))


def test_memory_and_messages_have_limits_that_are_named(start_engine: Callable[..., Any]) -> None:
    _, address = start_engine("--games", "65536", "--memory-mib", "16", "--max-message-mib", "8")
    with Engine(address) as engine:
        with pytest.raises(CallError, match=r"takes up to \d+\.\d MiB, more than the 8 MiB .* --max-message-mib"):
            engine.acquire("connect4", 20_000, outputs=("obs:f32",))
        engine.acquire("connect4", 10_000, outputs=("obs:f32",))
        with pytest.raises(CallError, match=r"takes 13\.\d MiB .* memory, and \d\.\d of 16\.0 MiB are left"):
            engine.acquire("connect4", 10_000, outputs=("obs:f32",))
        with pytest.raises(CallError, match=r"a batch of 65536 games of go19x19 takes 48\.0 MiB"):
            engine.acquire("go19x19", 1)


def test_a_step_is_refused(stub: Any, lease: pb.Lease) -> None:
    for fields, code, details in [
        ({"lease_id": 1}, "NOT_FOUND", "no lease 0x1: it has expired or was given back, or the server was started"),
        ({"sequence": 2}, "FAILED_PRECONDITION", "sequence is 2, expected 1 for the next step, or 0 for the last"),
        ({"actions": b"123"}, "INVALID_ARGUMENT", "actions are 3 bytes, expected 20: one u32 for each of 5 games"),
        ({"begin_again": b"12"}, "INVALID_ARGUMENT", "begin_again is 2 bytes, expected 1 for 5 games, or none"),
    ]:
        asked = pb.SliceRequest(**{"lease_id": lease.lease_id, "sequence": 1, "actions": FOUR, **fields})
        found = refused(lambda asked=asked: stub.StepSlice(asked))
        assert found[0] == code
        assert details in found[1]


def test_a_client_refuses_what_is_no_action(lease: pb.Lease) -> None:
    for actions, begin_again, message in [
        (np.zeros(NUM), None, r"actions are float64 of shape \(5,\), expected integers of \(5,\)"),
        ([0, 0], None, r"actions are int64 of shape \(2,\)"),
        ([0] * NUM, [0] * NUM, "begin_again is int64"),
    ]:
        with pytest.raises(ValueError, match=message):
            slices.request(lease, NUM, 1, actions, begin_again)


def test_a_repeated_step_is_made_once(stub: Any, lease: pb.Lease, engine: Engine) -> None:
    """By its number, whichever way it comes; the reply is the same to the byte."""
    raw = engine.channel.unary_unary("/engine.v1.Engine/StepSlice", pb.SliceRequest.SerializeToString)
    asked = pb.SliceRequest(lease_id=lease.lease_id, sequence=1, actions=FOUR)
    first = raw(asked)
    assert raw(asked) == first
    assert [reply.SerializeToString() for reply in stub.StepStream(iter([asked]))] == [
        pb.SliceReply.FromString(first).SerializeToString()
    ]
    second = pb.SliceReply.FromString(raw(pb.SliceRequest(lease_id=lease.lease_id, sequence=2, actions=FOUR)))
    assert second.sequence == 2
    assert refused(lambda: raw(asked))[0] == "FAILED_PRECONDITION"


def test_what_is_wrong_in_a_stream_is_said_there_and_leaves_it_open(stub: Any, lease: pb.Lease) -> None:
    good = pb.SliceRequest(lease_id=lease.lease_id, sequence=1, actions=FOUR)
    asked = [
        pb.SliceRequest(lease_id=99, sequence=1, actions=FOUR),
        pb.SliceRequest(lease_id=lease.lease_id, sequence=7, actions=FOUR),
        pb.SliceRequest(lease_id=lease.lease_id, sequence=1, actions=b"1"),
        good,
    ]
    replies = list(stub.StepStream(iter(asked)))
    assert [reply.error.code for reply in replies] == [5, 9, 3, 0]
    assert [reply.sequence for reply in replies] == [1, 7, 1, 1]
    assert "no lease 0x63" in replies[0].error.message
    assert replies[3].credits == 4
    assert len(replies[3].ends) == NUM


def test_more_steps_on_the_way_than_credits_are_refused(engine: Engine) -> None:
    with engine.acquire("tictactoe", 4096, outputs=("obs:f32", "state")) as lease:
        for _ in range(12):
            lease.send(np.zeros(4096, int))
        with pytest.raises(CallError, match="RESOURCE_EXHAUSTED: 4 steps of this lease are on the way"):
            _ = [lease.receive() for _ in range(12)]
        assert lease.step(np.zeros(4096, int)).sequence >= 5


@pytest.mark.parametrize("way", ["deadline", "cancelled"])
def test_a_step_that_nobody_waits_for_is_not_made(start_engine: Callable[..., Any], way: str) -> None:
    """Here a step waits for half a second for the other lease, which has just played and does not come."""
    _, address = start_engine("--games", "64", "--delay-us", "500000", "--share", "100")
    with Engine(address) as engine:
        stub: Any = engine_pb2_grpc.EngineStub(engine.channel)
        one, other = (stub.Acquire(pb.AcquireRequest(id=CONNECT4, num_games=NUM)) for _ in range(2))

        def step(lease: pb.Lease, sequence: int, actions: bytes, timeout: float) -> pb.SliceReply:
            asked = pb.SliceRequest(lease_id=lease.lease_id, sequence=sequence, actions=actions)
            return stub.StepSlice(asked, timeout=timeout)

        step(one, 1, FOUR, 10)
        if way == "deadline":
            assert refused(lambda: step(other, 1, FOUR, 0.05))[0] == "DEADLINE_EXCEEDED"
        else:
            asked = pb.SliceRequest(lease_id=other.lease_id, sequence=1, actions=FOUR)
            waiting = stub.StepSlice.future(asked)
            time.sleep(0.05)
            waiting.cancel()
        time.sleep(0.8)
        assert stub.Snapshot(pb.SnapshotRequest(lease_id=other.lease_id)).sequence == 0
        last_column = np.full(NUM, 6, "<u4").tobytes()
        step(other, 1, last_column, 10)
        states = np.frombuffer(stub.Snapshot(pb.SnapshotRequest(lease_id=other.lease_id)).states, "<u4")
        assert (states.reshape(NUM, 5)[:, 3] == 1 << 14).all()  # one disc, in the third column of the second word


def test_a_lease_ends_when_nothing_is_heard_of_it(engine: Engine) -> None:
    lease = engine.acquire("tictactoe", 4, ttl=0.6)
    kept = engine.acquire("tictactoe", 4, ttl=0.6)
    for _ in range(5):
        time.sleep(0.4)
        assert kept.renew() == pytest.approx(0.6)
    with pytest.raises(LeaseLostError, match="acquire another"):
        lease.step([0, 0, 0, 0])
    kept.step([0, 0, 0, 0])
    kept.release()
    with pytest.raises(LeaseLostError):
        kept.step([0, 0, 0, 0])


def test_a_client_that_disappears_in_a_stream_frees_its_lease(server: str, engine: Engine) -> None:
    """Its games are kept for a moment (`--grace 1` here), in case only the connection was lost."""
    games = "breakthrough"
    gone = Engine(server)
    lease = gone.acquire(games, 4096, ttl=600)
    lease.step(np.zeros(4096, int))
    gone.close()
    with pytest.raises(CallError, match="0 of 4096 are"):
        engine.acquire(games, 1)
    deadline = time.monotonic() + 20
    while True:
        try:
            engine.acquire(games, 4096).release()
            return
        except CallError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_lost_connection_is_taken_up_again(server: str) -> None:
    """The client's stream breaks; it goes on with the same lease, and no step is made twice."""
    with Engine(server, patience=Patience(20.0)) as engine, engine.acquire("connect4", 2, outputs=("state",)) as lease:
        assert lease.step([3, 3]).sequence == 1
        stream = lease._pipeline._stream
        assert stream is not None
        stream._call.cancel()
        with pytest.raises(CallError):  # cancelled by us, which no retry mends
            lease.step([3, 3])
        shown = lease.receive()
        assert shown.sequence == 2
        assert (shown.state[:, -1] == 2).all()  # two moves were made


def test_a_snapshot_of_other_games_is_refused(engine: Engine) -> None:
    with (
        engine.acquire("connect4", 4) as lease,
        engine.acquire("connect4", 5) as longer,
        engine.acquire("othello", 4) as other,
        engine.acquire("kuhn_poker", 4) as hidden,
    ):
        snapshot = lease.snapshot()
        with pytest.raises(CallError, match="of 5 games of connect4 takes 100 bytes, got 80"):
            longer.restore(snapshot)
        with pytest.raises(CallError, match=r"FAILED_PRECONDITION: snapshot\.id\.build_id"):
            other.restore(snapshot)
        with pytest.raises(CallError, match="PERMISSION_DENIED: Snapshot shows the state"):
            hidden.snapshot()
        snapshot.states = b"\xff" * 80
        with pytest.raises(CallError, match="INVALID_ARGUMENT: state 0 of connect4 cannot be"):
            lease.restore(snapshot)
        lease.step([0, 0, 0, 0])


def test_bytes_that_are_no_message_are_refused(engine: Engine) -> None:
    for method in ("StepSlice", "Acquire", "Step"):
        call = engine.channel.unary_unary(f"/engine.v1.Engine/{method}")
        code, details = refused(lambda call=call: call(b"\xff\xff\xff"))
        assert code == "INVALID_ARGUMENT"
        assert "is no message that" in details
