"""Clients that go without a word: their games become free, and those of nobody else."""

import asyncio
import queue
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from cartridge.client import CallError, Engine, Lease, aio
from cartridge.proto.engine.v1 import engine_pb2 as pb
from cartridge.proto.engine.v1 import engine_pb2_grpc

Run = Callable[[Coroutine[Any, Any, Any]], Any]

# Steps the only games of a server over a stream, says so after the first step, and goes on until it is killed.
PLAYER = textwrap.dedent(
    """
    import sys
    from cartridge.client import Engine

    lease = Engine(sys.argv[1]).acquire("tictactoe", 64, ttl=600)
    shown = lease.first
    for step in range(sys.maxsize):
        shown = lease.step(shown.legal_actions.argmax(axis=1))
        if step == 0:
            print("playing", flush=True)
    """
)


def acquired(engine: Engine, num_games: int, **wishes: Any) -> Lease:
    """Games of tic-tac-toe, once so many are free."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return engine.acquire("tictactoe", num_games, **wishes)
        except CallError as refusal:
            if refusal.code is not grpc.StatusCode.RESOURCE_EXHAUSTED or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class Stream:
    """Calls of StepStream by hand, over a connection of its own, which may be cut."""

    def __init__(self, address: str) -> None:
        # gRPC shares connections between channels of a process, unless it is told not to.
        self._channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._requests: queue.SimpleQueue[pb.SliceRequest] = queue.SimpleQueue()
        self._replies: Any = engine_pb2_grpc.EngineStub(self._channel).StepStream(iter(self._requests.get, None))

    def step(self, lease: Lease, sequence: int) -> pb.SliceReply:
        actions = bytes(4 * lease.num_games)
        self._requests.put(pb.SliceRequest(lease_id=lease.lease.lease_id, sequence=sequence, actions=actions))
        reply = next(self._replies)
        assert not reply.HasField("error"), reply.error
        return reply

    def cut(self) -> None:
        self._channel.close()
        self._requests.put(pb.SliceRequest())  # for gRPC's thread, which reads on until it hears of the end


@pytest.fixture
def streams() -> Iterator[Callable[[str], Stream]]:
    opened: list[Stream] = []

    def connect(address: str) -> Stream:
        opened.append(Stream(address))
        return opened[-1]

    yield connect
    for stream in opened:
        stream.cut()


def test_a_stream_that_dies_late_leaves_what_another_has_taken_up(
    start_engine: Callable[..., Any], streams: Callable[[str], Stream]
) -> None:
    """A client has gone on in a new stream before the server sees the end of the old one."""
    _, address = start_engine("--games", "64", "--grace", "1")
    with Engine(address) as engine:
        kept = engine.acquire("tictactoe", 4, ttl=600)
        left = engine.acquire("tictactoe", 60, ttl=600)
        old, new = streams(address), streams(address)
        old.step(kept, 1)
        old.step(left, 1)
        new.step(kept, 2)
        old.cut()
        acquired(engine, 60, ttl=600)  # the games that only the old stream played are free again
        assert new.step(kept, 3).sequence == 3
        new.cut()
        acquired(engine, 4)


def test_a_stream_that_dies_late_leaves_what_is_played_without_one(
    start_engine: Callable[..., Any], streams: Callable[[str], Stream]
) -> None:
    _, address = start_engine("--games", "64", "--grace", "1")
    with Engine(address) as engine:
        stub: Any = engine_pb2_grpc.EngineStub(engine.channel)
        kept = engine.acquire("tictactoe", 4, ttl=600)
        left = engine.acquire("tictactoe", 60, ttl=600)
        old = streams(address)
        old.step(kept, 1)
        old.step(left, 1)
        asked = [pb.SliceRequest(lease_id=kept.lease.lease_id, sequence=n, actions=bytes(16)) for n in (2, 3)]
        stub.StepSlice(asked[0])
        old.cut()
        acquired(engine, 60)
        assert stub.StepSlice(asked[1]).sequence == 3


def test_a_client_that_is_killed_in_a_stream_frees_its_games(
    start_engine: Callable[..., Any], environment: dict[str, str]
) -> None:
    """Nobody says good-bye for it: the system closes its socket."""
    _, address = start_engine("--games", "64", "--grace", "1")
    line = [sys.executable, "-W", "ignore", "-c", PLAYER, address]
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as player:
        try:
            assert player.stdout is not None
            assert player.stdout.readline() == "playing\n"
            with Engine(address) as engine:
                with pytest.raises(CallError, match="0 of 64 are"):
                    engine.acquire("tictactoe", 1)
                player.kill()
                acquired(engine, 64).step(np.zeros(64, int))
        finally:
            player.kill()


def test_a_thousand_leases_that_nobody_plays_are_ended(start_engine: Callable[..., Any], run_async: Run) -> None:
    """Half of them idle, and half of them cut off in the midst of a stream; the one that is played goes on.

    What they took of the server's memory, nearly all of it, is free again too.
    """
    _, address = start_engine("--games", "1024", "--grace", "1", "--memory-mib", "4")

    async def leave_a_thousand() -> None:
        async with aio.Engine(address) as engine:
            first = await engine.acquire("tictactoe", 1, outputs=("obs",))  # compiles for all
            await first.release()
            cut = [await engine.acquire("tictactoe", 1, outputs=("obs",), ttl=600) for _ in range(500)]
            await asyncio.gather(*(lease.step([0]) for lease in cut))
            for _ in range(500):
                await engine.acquire("tictactoe", 1, outputs=("obs",), ttl=2)

    with Engine(address) as engine:
        played = engine.acquire("tictactoe", 1, outputs=("obs",), ttl=600)
        played.step([0])
        run_async(leave_a_thousand())
        with pytest.raises(CallError, match="RESOURCE_EXHAUSTED: 1023 games of tictactoe are not free"):
            engine.acquire("tictactoe", 1023, outputs=("obs:f32",))
        acquired(engine, 1023, outputs=("obs:f32",)).step(np.zeros(1023, int))
        for sequence in (2, 3, 4):
            assert played.step([sequence]).sequence == sequence
