"""The engine's client for programs with threads; `aio.py` is its twin for asyncio.

A lease is stepped over a stream. Where the connection breaks, the client opens another and sends again what was not
answered: every step has a number, so that none is made twice.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..proto import slice_reply
from ..proto.engine.v1 import engine_pb2 as pb
from ..proto.engine.v1 import engine_pb2_grpc
from . import slices
from .channel import CallError, Credentials, Patience
from .connection import Connection, Pipeline
from .slices import Step

_STREAM = "/engine.v1.Engine/StepStream"
_RESTORE = "/engine.v1.Engine/Restore"


class Engine(Connection):
    """A server's games."""

    def __init__(self, address: str, credentials: Credentials | None = None, patience: Patience | None = None) -> None:
        super().__init__(address, credentials, patience)
        self._stub: Any = engine_pb2_grpc.EngineStub(self.channel)

    def games(self) -> list[pb.Capabilities]:
        """All games of the server."""
        return list(self.call(self._stub.ListGames, pb.ListGamesRequest()).games)

    def capabilities(self, env_id: str) -> pb.Capabilities:
        """What a game looks like from outside."""
        return self.call(self._stub.GetCapabilities, pb.EngineId(env_id=env_id))

    def reset(self, env_id: str, seeds: Sequence[int], *, trusted: bool = False) -> pb.ResetBatchResponse:
        """Begins games whose states the caller keeps."""
        asked = pb.ResetBatchRequest(id=pb.EngineId(env_id=env_id), seeds=seeds, trusted=trusted)
        return self.call(self._stub.ResetBatch, asked)

    def step(self, env_id: str, states: bytes, actions: Any, *, trusted: bool = False) -> pb.StepBatchResponse:
        """Plays one action (whole numbers [B]) in each of the games behind `states`."""
        played = np.asarray(actions).astype("<u4").tobytes()
        asked = pb.StepBatchRequest(id=pb.EngineId(env_id=env_id), states=states, actions=played, trusted=trusted)
        return self.call(self._stub.StepBatch, asked)

    def acquire(
        self,
        env_id: str,
        num_games: int,
        *,
        seed: int = 0,
        auto_reset: str = "same_step",
        outputs: Sequence[str] = ("obs", "mask"),
        ttl: float = 0.0,
        trusted: bool = False,
        spec_fingerprint: str = "",
    ) -> "Lease":
        """Leases games of the server's batch.

        Args:
          seed: game i depends on it and i alone.
          auto_reset: what follows an episode's end: "same_step", "next_step" or "disabled".
          outputs: what steps show; `obs` for the smallest layout, `obs:f32` or the full name for a certain one.
          ttl: seconds for which the lease is kept that is not stepped; 0 for the server's default.
          trusted: the program may see what players may not.

        Raises:
          CallError: the server refuses.
          ValueError: an output the game does not have, or no such mode.
        """
        asked = slices.acquire_request(
            self.capabilities(env_id),
            env_id,
            num_games,
            outputs,
            seed=seed,
            auto_reset=auto_reset,
            ttl=ttl,
            trusted=trusted,
            spec_fingerprint=spec_fingerprint,
        )
        return Lease(self, self.call(self._stub.Acquire, asked), num_games)



class Lease:
    """`num_games` games of a server's batch. Use as a context manager, or `release` it; for one thread."""

    def __init__(self, engine: Engine, lease: pb.Lease, num_games: int) -> None:
        self._engine, self.lease, self.num_games = engine, lease, num_games
        self._stub: Any = engine_pb2_grpc.EngineStub(engine.channel)
        self._pipeline = Pipeline(engine, _STREAM, pb.SliceRequest.SerializeToString, slice_reply.read)
        self._sequence = lease.first.sequence
        self.first = slices.step_of(lease, num_games, slice_reply.read(lease.first.SerializeToString()))

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *reason: object) -> None:
        try:
            self.release()
        except CallError:
            return  # it ends by itself

    def step(self, actions: Any, begin_again: Any = None) -> Step:
        """Plays an action (whole numbers [n]) in each game; those where `begin_again` (bool[n]) start anew instead.

        Raises:
          CallError: the server refuses, or cannot be reached; `LeaseLostError` where the lease is gone.
          ValueError: arrays of another shape or kind.
        """
        self.send(actions, begin_again)
        return self.receive()

    def send(self, actions: Any, begin_again: Any = None) -> None:
        """The first half of `step`: several may be sent before the first is received, up to the server's credits."""
        message = slices.request(self.lease, self.num_games, self._sequence + 1, actions, begin_again)
        self._sequence += 1
        self._pipeline.send(message)

    def receive(self) -> Step:
        """The second half: the reply to the oldest step that was sent and not received."""
        reply = self._pipeline.receive()
        if reply.error is not None:  # nothing that was sent after it is made either
            self._sequence = reply.sequence - 1
            self._pipeline.drop()
        return slices.step_of(self.lease, self.num_games, reply)

    def renew(self) -> float:
        """Keeps a lease that is not stepped; returns for how many seconds."""
        return self._engine.call(self._stub.Renew, pb.RenewRequest(lease_id=self.lease.lease_id)).ttl_ms / 1000

    def release(self) -> None:
        """Gives the games back."""
        self._pipeline.drop()
        self._engine.call(self._stub.Release, pb.ReleaseRequest(lease_id=self.lease.lease_id))

    def snapshot(self) -> pb.SliceSnapshot:
        """The games' states, to go on from later, in this lease or another of as many games."""
        return self._engine.call(self._stub.Snapshot, pb.SnapshotRequest(lease_id=self.lease.lease_id))

    def restore(self, snapshot: pb.SliceSnapshot) -> Step:
        """Goes back to a snapshot."""
        call = self._engine.channel.unary_unary(_RESTORE, pb.RestoreRequest.SerializeToString, slice_reply.read)
        asked = pb.RestoreRequest(lease_id=self.lease.lease_id, snapshot=snapshot)
        return slices.step_of(self.lease, self.num_games, self._engine.call(call, asked))
