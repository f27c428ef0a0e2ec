"""Five hundred clients who come at once: each is served or told clearly what to do."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from cartridge.proto.channel import client_options
from cartridge.proto.engine.v1 import engine_pb2 as pb
from cartridge.proto.engine.v1 import engine_pb2_grpc

Run = Callable[[Coroutine[Any, Any, Any]], Any]

CLIENTS, ROOM, STEPS = 500, 400, 5
ASKED = pb.AcquireRequest(id=pb.EngineId(env_id="tictactoe"), num_games=1, outputs=["mask:bits9:v1"], ttl_ms=600_000)
# gRPC shares connections between channels of a process, unless it is told not to.
OPTIONS = [*client_options(), ("grpc.use_local_subchannel_pool", 1)]


class Crowd:
    """Clients with a connection each, who leave only once all have been told whether there is room for them."""

    def __init__(self, address: str) -> None:
        self._address, self._told = address, asyncio.Barrier(CLIENTS)

    async def client(self) -> str:
        """Plays the nine squares in turn; returns what was refused, or nothing."""
        async with grpc.aio.insecure_channel(self._address, options=OPTIONS) as channel:
            stub: Any = engine_pb2_grpc.EngineStub(channel)
            try:
                lease = await stub.Acquire(ASKED, timeout=90)
            except grpc.aio.AioRpcError as refusal:
                await self._told.wait()
                return f"{refusal.code().name}: {refusal.details()}"
            await self._told.wait()
            await _play(stub, lease)
            await stub.Release(pb.ReleaseRequest(lease_id=lease.lease_id), timeout=90)
            return ""


async def _play(stub: Any, lease: pb.Lease) -> None:
    stream = stub.StepStream(timeout=90)
    for step in range(STEPS):
        actions = np.uint32(step).tobytes()
        await stream.write(pb.SliceRequest(lease_id=lease.lease_id, sequence=step + 1, actions=actions))
        reply = await stream.read()
        assert (reply.lease_id, reply.sequence) == (lease.lease_id, step + 1)
        left = np.arange(9) > step
        assert reply.tensors[0] == np.packbits(left, bitorder="little").tobytes(), "somebody else's board"
    await stream.done_writing()
    assert not await stream.read()  # its end


@pytest.mark.long
def test_each_of_five_hundred_is_served_or_told_what_to_do(
    start_engine: Callable[..., Any], short_folder: Path, run_async: Run
) -> None:
    """On two servers: a port and a socket file. Who was refused finds room once the others have gone."""

    async def come() -> list[str]:
        crowd = Crowd(address)
        return await asyncio.gather(*(crowd.client() for _ in range(CLIENTS)))

    for place in ("127.0.0.1:0", f"unix:{short_folder}/engine"):
        _, address = start_engine("--games", str(ROOM), address=place)
        for _ in range(2):
            found = run_async(come())
            assert found.count("") == ROOM
            assert {text for text in found if text} == {
                "RESOURCE_EXHAUSTED: 1 games of tictactoe are not free: 0 of 400 are, at most 0 of them in one lease; "
                "try again later, or start the server with more --games"
            }
