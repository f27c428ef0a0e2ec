"""Whatever bytes come, the engine's server answers with a status, lives on, and gives back what it leased."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest
from cartridge.client import Engine, Patience
from cartridge.proto.engine.v1 import engine_pb2 as pb
from cartridge.proto.engine.v1 import engine_pb2_grpc
from google.protobuf.message import DecodeError

GAMES = 64  # of a batch: few sizes to compile
GROWTH_MIB = 96  # most that the server may grow after the first fifth, by the programs of sizes that it meets late
KEPT = 4  # leases that are stepped
TICTACTOE = pb.EngineId(env_id="tictactoe")


class Leases:
    """What the fuzzer has been leased: some are stepped, all are given back."""

    def __init__(self, stub: Any, examples: dict[str, list[bytes]]) -> None:
        self._stub, self._examples = stub, examples
        begun = stub.Reset(pb.ResetRequest(id=TICTACTOE))
        self._id, self._state = stub.GetCapabilities(TICTACTOE).id, begun.state
        self._size: dict[int, int] = {}  # lease -> games

    def learn(self, method: str, reply: bytes) -> None:
        """Keeps the examples of steps near to what the leases expect next."""
        try:
            if method == "Acquire":
                self._leased(pb.Lease.FromString(reply))
            elif method in ("StepSlice", "StepStream"):
                said = pb.SliceReply.FromString(reply)
                if said.lease_id in self._size and not said.HasField("error"):
                    self._show(said.lease_id, said.sequence + 1)
        except DecodeError as error:
            raise AssertionError(f"a reply of {method} is no message") from error

    def give_back(self, lease_id: int) -> None:
        """The fuzzer may have done so itself, or the lease may have run out."""
        self._size.pop(lease_id, None)
        call = self._stub.Release.future(pb.ReleaseRequest(lease_id=lease_id))
        call.exception()
        assert call.code() in (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND)

    def give_all_back(self) -> None:
        for lease_id in tuple(self._size):
            self.give_back(lease_id)

    def _leased(self, lease: pb.Lease) -> None:
        for lease_id in tuple(self._size)[: 1 - KEPT] if len(self._size) >= KEPT else ():
            self.give_back(lease_id)
        self._size[lease.lease_id] = len(lease.first.tensors[0]) if lease.first.tensors else 1
        self._show(lease.lease_id, 1)

    def _show(self, lease_id: int, sequence: int) -> None:
        step = pb.SliceRequest(lease_id=lease_id, sequence=sequence, actions=bytes(4 * self._size[lease_id]))
        again = pb.SliceRequest(lease_id=lease_id, sequence=sequence, actions=step.actions, begin_again=b"\1")
        steps = [step.SerializeToString(), again.SerializeToString()]
        self._examples["StepSlice"] = self._examples["StepStream"] = steps
        one = pb.RenewRequest(lease_id=lease_id).SerializeToString()  # the same bytes mean the same to all three
        self._examples["Renew"] = self._examples["Snapshot"] = self._examples["Release"] = [one]
        snapshot = pb.SliceSnapshot(id=self._id, states=self._state * self._size[lease_id])
        self._examples["Restore"] = [pb.RestoreRequest(lease_id=lease_id, snapshot=snapshot).SerializeToString()]


def valid(stub: Any) -> dict[str, list[bytes]]:
    """Messages that the server takes."""
    begun = stub.ResetBatch(pb.ResetBatchRequest(id=TICTACTOE, seeds=[1, 2]))
    state = begun.states[: len(begun.states) // 2]
    kuhn = pb.EngineId(env_id="kuhn_poker")
    outputs = list(stub.GetCapabilities(TICTACTOE).outputs)
    player = [name for name in outputs if name.startswith("player:")]
    examples = {
        "ListGames": [pb.ListGamesRequest()],
        "GetCapabilities": [TICTACTOE, kuhn],
        "Reset": [pb.ResetRequest(id=TICTACTOE, seed=7), pb.ResetRequest(id=kuhn, seed=7, trusted=True)],
        "Step": [pb.StepRequest(id=TICTACTOE, state=state, action=bytes(4))],
        "ResetBatch": [pb.ResetBatchRequest(id=TICTACTOE, seeds=[1, 2, 3])],
        "StepBatch": [pb.StepBatchRequest(id=TICTACTOE, states=begun.states, actions=bytes(8))],
        "Acquire": [
            pb.AcquireRequest(id=TICTACTOE, num_games=3, outputs=player),
            pb.AcquireRequest(id=TICTACTOE, num_games=5, outputs=player, auto_reset=pb.AUTO_RESET_DISABLED),
        ],
    }
    return {name: [one.SerializeToString() for one in messages] for name, messages in examples.items()}


@pytest.fixture
def fuzzed(fuzz: ModuleType, environment: dict[str, str], tmp_path: Path) -> Callable[[int], None]:
    """Fuzzes a server of its own with so many messages, and looks at it afterwards."""

    def run(messages: int) -> None:
        line = [sys.executable, "-W", "ignore", "-m", "cartridge.services.cli", "serve", "engine"]
        line += ["--address", "127.0.0.1:0", "--games", str(GAMES), "--grace", "1"]
        with fuzz.serving(line, environment, tmp_path / "log") as (pid, address):
            with Engine(address, patience=Patience(60.0)) as engine:
                stub: Any = engine_pb2_grpc.EngineStub(engine.channel)
                examples = valid(stub)
                leases = Leases(stub, examples)
                fuzzer = fuzz.Fuzzer(pb.DESCRIPTOR.services_by_name["Engine"], fuzz.Maker(1, examples), leases.learn)
                grown = fuzz.fuzz(fuzzer, address, pid, messages)
                leases.give_all_back()
                whole = engine.acquire("tictactoe", GAMES)
                whole.step([0] * GAMES)
                whole.release()
            assert not fuzzer.report.faults, "\n".join(fuzzer.report.faults[:20])
            assert grown < GROWTH_MIB

    return run


def test_three_thousand_messages_do_no_harm(fuzzed: Any) -> None:
    fuzzed(3_000)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_messages_do_no_harm(fuzzed: Any) -> None:
    fuzzed(100_000)
