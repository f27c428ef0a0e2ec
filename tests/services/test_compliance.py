"""`cartridge compliance`: our own server keeps the contract, and one that breaks a promise of it is told which."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from cartridge.proto.engine.v1 import engine_pb2 as pb

ENGINE = "/engine.v1.Engine/"


class Faithful(grpc.GenericRpcHandler):
    """Forwards all calls to a server as they are; on the wire a unary call is a stream too. Others break one thing."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method

        def relay(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            forward: Any = self._channel.stream_stream(method)
            sent = (self.ask(method, one) for one in requests)
            call = forward(sent, timeout=context.time_remaining())
            with contextlib.suppress(grpc.RpcError):  # what it ended with is passed on
                for reply in call:
                    yield self.answer(method, reply)
            if call.code() is not grpc.StatusCode.OK:
                context.abort(self.status(method, call.code()), call.details())

        return grpc.stream_stream_rpc_method_handler(relay)

    def ask(self, method: str, request: bytes) -> bytes:
        return request

    def answer(self, method: str, reply: bytes) -> bytes:
        return reply

    def status(self, method: str, code: grpc.StatusCode) -> grpc.StatusCode:
        return code

    def close(self) -> None:
        self._channel.close()


class DropsMaskBit(Faithful):
    def answer(self, method: str, reply: bytes) -> bytes:
        if method != ENGINE + "ResetBatch":
            return reply
        said = pb.ResetBatchResponse.FromString(reply)
        said.masks = bytes([said.masks[0] & 0xFE]) + said.masks[1:]
        return said.SerializeToString()


class StepsTwice(Faithful):
    """A request that comes again is stepped again."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._seen: set[bytes] = set()

    def ask(self, method: str, request: bytes) -> bytes:
        if method != ENGINE + "StepSlice" or request not in self._seen:
            self._seen.add(request)
            return request
        asked = pb.SliceRequest.FromString(request)
        asked.sequence += 1
        return asked.SerializeToString()


class ChangesStatus(Faithful):
    def status(self, method: str, code: grpc.StatusCode) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN if code is grpc.StatusCode.NOT_FOUND else code


class TakesAnyFingerprint(Faithful):
    def ask(self, method: str, request: bytes) -> bytes:
        if method != ENGINE + "Acquire":
            return request
        asked = pb.AcquireRequest.FromString(request)
        asked.ClearField("spec_fingerprint")
        return asked.SerializeToString()


class ForgivesIllegalActions(Faithful):
    def answer(self, method: str, reply: bytes) -> bytes:
        if method != ENGINE + "Step":
            return reply
        said = pb.StepResponse.FromString(reply)
        said.reward = max(said.reward, 0.0)
        return said.SerializeToString()


class SeedsByNumber(Faithful):
    """A lease's games depend on how many they are."""

    def ask(self, method: str, request: bytes) -> bytes:
        if method != ENGINE + "Acquire":
            return request
        asked = pb.AcquireRequest.FromString(request)
        asked.seed += 1000 * asked.num_games
        return asked.SerializeToString()


class DamagesSnapshots(Faithful):
    def answer(self, method: str, reply: bytes) -> bytes:
        if method != ENGINE + "Snapshot":
            return reply
        said = pb.SliceSnapshot.FromString(reply)
        said.sequence += 1
        return said.SerializeToString()


class HidesItsServices(Faithful):
    def service(self, handler_call_details: Any) -> Any:
        return None if "reflection" in handler_call_details.method else super().service(handler_call_details)


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def server(command: list[str], environment: dict[str, str]) -> Iterator[str]:
    """A real server's address."""
    line = [*command, "serve", "engine", "--address", "127.0.0.1:0", "--games", "256"]
    nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
    process = subprocess.Popen(line, env=environment, stdout=pipe, stderr=nothing, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip().rpartition(" on ")[2]
    process.kill()
    process.communicate()


@pytest.fixture
def proxy(server: str) -> Iterator[Callable[[type[Faithful]], str]]:
    """Puts a proxy before it and returns its address."""
    running: list[tuple[grpc.Server, Faithful]] = []

    def start(kind: type[Faithful]) -> str:
        relay, front = kind(server), grpc.server(ThreadPoolExecutor(8))
        front.add_generic_rpc_handlers((relay,))
        port = front.add_insecure_port("127.0.0.1:0")
        front.start()
        running.append((front, relay))
        return f"127.0.0.1:{port}"

    yield start
    for front, relay in running:
        front.stop(None).wait(10)
        relay.close()


def failed(found: str) -> set[str]:
    return {one["name"] for one in json.loads(found)["checks"] if one["status"] == "FAILED"}


@pytest.mark.parametrize("game", ["tictactoe", "kuhn_poker", pytest.param("cartpole", marks=pytest.mark.long)])
def test_our_own_server_keeps_the_contract(cartridge: Run, server: str, game: str) -> None:
    ended = cartridge("compliance", "engine", server, "--game", game, "--json")
    assert ended.returncode == 0, ended.stderr
    checks = json.loads(ended.stdout)["checks"]
    assert len(checks) > 30
    skipped = {one["name"] for one in checks if one["status"] == "skipped"}
    assert skipped == (set() if game == "kuhn_poker" else {"hidden states", "hidden states of a lease"})


BROKEN = [
    (DropsMaskBit, "tictactoe", {"legality"}),
    (StepsTwice, "tictactoe", {"sent again", "deadline"}),
    (ChangesStatus, "tictactoe", {"unknown game", "Release"}),
    (TakesAnyFingerprint, "tictactoe", {"refused leases"}),
    (ForgivesIllegalActions, "tictactoe", {"illegal action"}),
    (SeedsByNumber, "kuhn_poker", {"seeds"}),
    (DamagesSnapshots, "tictactoe", {"Snapshot and Restore"}),
    (HidesItsServices, "tictactoe", {"reflection"}),
]


@pytest.mark.parametrize(("kind", "game", "expected"), BROKEN)
def test_a_broken_promise_is_told(
    cartridge: Run, proxy: Callable[[type[Faithful]], str], kind: type[Faithful], game: str, expected: set[str]
) -> None:
    ended = cartridge("compliance", "engine", proxy(kind), "--game", game, "--json")
    assert failed(ended.stdout) == expected, ended.stderr
    assert ended.returncode == 1


def test_the_findings_are_lines_and_a_file(cartridge: Run, server: str, tmp_path: Path) -> None:
    ended = cartridge("compliance", "engine", server, "--json", tmp_path / "found.json")
    assert ended.returncode == 0
    lines = ended.stdout.splitlines()
    assert lines[0] == f"engine.v1 at {server}, by tictactoe"
    assert sum(line.startswith("  ok ") for line in lines) > 30
    assert json.loads((tmp_path / "found.json").read_text())["kept"]


def test_a_silent_address_is_told(cartridge: Run, tmp_path: Path) -> None:
    ended = cartridge("compliance", "engine", f"unix:{tmp_path}/nobody", "--wait", "1")
    assert ended.returncode == 2
    assert f"nobody answers at unix:{tmp_path}/nobody within 1 s" in ended.stderr
