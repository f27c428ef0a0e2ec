"""The engine's client for asyncio: the twin of `engine.py`, with the same names and the same rules."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...proto import slice_reply
from ...proto.engine.v1 import engine_pb2 as pb
from ...proto.engine.v1 import engine_pb2_grpc
from .. import slices
from ..channel import CallError, Credentials, Patience
from ..slices import Step
from .connection import Connection, Pipeline

_STREAM = "/engine.v1.Engine/StepStream"
_RESTORE = "/engine.v1.Engine/Restore"


class Engine(Connection):
    """A server's games."""

    def __init__(self, address: str, credentials: Credentials | None = None, patience: Patience | None = None) -> None:
        super().__init__(address, credentials, patience)
        self._stub: Any = engine_pb2_grpc.EngineStub(self.channel)

    async def games(self) -> list[pb.Capabilities]:
        """All games of the server."""
        return list((await self.call(self._stub.ListGames, pb.ListGamesRequest())).games)

    async def capabilities(self, env_id: str) -> pb.Capabilities:
        """What a game looks like from outside."""
        return await self.call(self._stub.GetCapabilities, pb.EngineId(env_id=env_id))

    async def reset(self, env_id: str, seeds: Sequence[int], *, trusted: bool = False) -> pb.ResetBatchResponse:
        """Begins games whose states the caller keeps."""
        asked = pb.ResetBatchRequest(id=pb.EngineId(env_id=env_id), seeds=seeds, trusted=trusted)
        return await self.call(self._stub.ResetBatch, asked)

    async def step(self, env_id: str, states: bytes, actions: Any, *, trusted: bool = False) -> pb.StepBatchResponse:
        """Plays one action (whole numbers [B]) in each of the games behind `states`."""
        played = np.asarray(actions).astype("<u4").tobytes()
        asked = pb.StepBatchRequest(id=pb.EngineId(env_id=env_id), states=states, actions=played, trusted=trusted)
        return await self.call(self._stub.StepBatch, asked)

    async def acquire(
        self, env_id: str, num_games: int, *, outputs: Sequence[str] = ("obs", "mask"), **settings: Any
    ) -> "Lease":
        """Leases games of the server's batch; see `cartridge.client.Engine.acquire` for the settings."""
        capabilities = await self.capabilities(env_id)
        asked = slices.acquire_request(capabilities, env_id, num_games, outputs, **settings)
        return Lease(self, await self.call(self._stub.Acquire, asked), num_games)



class Lease:
    """`num_games` games of a server's batch. Use as an asynchronous context manager, or `release` it; for one task."""

    def __init__(self, engine: Engine, lease: pb.Lease, num_games: int) -> None:
        self._engine, self.lease, self.num_games = engine, lease, num_games
        self._stub: Any = engine_pb2_grpc.EngineStub(engine.channel)
        self._pipeline = Pipeline(engine, _STREAM, pb.SliceRequest.SerializeToString, slice_reply.read)
        self._sequence = lease.first.sequence
        self.first = slices.step_of(lease, num_games, slice_reply.read(lease.first.SerializeToString()))

    async def __aenter__(self) -> "Lease":
        return self

    async def __aexit__(self, *reason: object) -> None:
        try:
            await self.release()
        except CallError:
            return  # it ends by itself

    async def step(self, actions: Any, begin_again: Any = None) -> Step:
        """Plays an action (whole numbers [n]) in each game; those where `begin_again` (bool[n]) start anew instead.

        Raises:
          CallError: the server refuses, or cannot be reached; `LeaseLostError` where the lease is gone.
          ValueError: arrays of another shape or kind.
        """
        await self.send(actions, begin_again)
        return await self.receive()

    async def send(self, actions: Any, begin_again: Any = None) -> None:
        """The first half of `step`: several may be sent before the first is received, up to the server's credits."""
        message = slices.request(self.lease, self.num_games, self._sequence + 1, actions, begin_again)
        self._sequence += 1
        await self._pipeline.send(message)

    async def receive(self) -> Step:
        """The second half: the reply to the oldest step that was sent and not received."""
        reply = await self._pipeline.receive()
        if reply.error is not None:  # nothing that was sent after it is made either
            self._sequence = reply.sequence - 1
            await self._pipeline.drop()
        return slices.step_of(self.lease, self.num_games, reply)

    async def renew(self) -> float:
        """Keeps a lease that is not stepped; returns for how many seconds."""
        renewed = await self._engine.call(self._stub.Renew, pb.RenewRequest(lease_id=self.lease.lease_id))
        return renewed.ttl_ms / 1000

    async def release(self) -> None:
        """Gives the games back."""
        await self._pipeline.drop()
        await self._engine.call(self._stub.Release, pb.ReleaseRequest(lease_id=self.lease.lease_id))

    async def snapshot(self) -> pb.SliceSnapshot:
        """The games' states, to go on from later, in this lease or another of as many games."""
        return await self._engine.call(self._stub.Snapshot, pb.SnapshotRequest(lease_id=self.lease.lease_id))

    async def restore(self, snapshot: pb.SliceSnapshot) -> Step:
        """Goes back to a snapshot."""
        call: Any = self._engine.channel.unary_unary(_RESTORE, pb.RestoreRequest.SerializeToString, slice_reply.read)
        asked = pb.RestoreRequest(lease_id=self.lease.lease_id, snapshot=snapshot)
        return slices.step_of(self.lease, self.num_games, await self._engine.call(call, asked))
