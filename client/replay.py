"""The client of the replay service for programs with threads; `aio` has its twin.

A chunk goes by its number and a batch is drawn anew, so all of it is safe to send again where a connection breaks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..proto.replay.v1 import replay_pb2 as pb
from ..proto.replay.v1 import replay_pb2_grpc
from . import batches
from .batches import Numbers, ReplayInfo, Sampled
from .channel import Credentials, Patience
from .connection import Connection, Pipeline

_APPEND = "/replay.v1.Replay/Append"
_SAMPLE = "/replay.v1.Replay/SampleStream"


class Replay(Connection):
    """The replay of one run."""

    def __init__(self, address: str, credentials: Credentials | None = None, patience: Patience | None = None) -> None:
        super().__init__(address, credentials, patience)
        self._stub: Any = replay_pb2_grpc.ReplayStub(self.channel)
        self._info: ReplayInfo | None = None

    def info(self) -> ReplayInfo:
        """What the server keeps; asked for once."""
        if self._info is None:
            self._info = ReplayInfo.read(self.call(self._stub.Describe, pb.DescribeRequest()))
        return self._info

    def appender(self, level: str = "default", timeout: float = 0.0) -> "Appender":
        """A new actor, as far as the server can tell.

        Args:
          level: how safe a chunk is once it counts as stored: "memory", or "disk" where the server has a log; the
            safest that it has by default.
          timeout: seconds for which a chunk waits where the learners are behind; 0 for as long as it takes.
        """
        return Appender(self, level, timeout)

    def sampler(self, num_rows: int, outputs: Sequence[str], *, ahead: int = 2, timeout: float = 0.0) -> "Sampler":
        """Batches one after the other, `ahead` of which are on the way while one is in use; see `sample`."""
        return Sampler(self, num_rows, outputs, ahead, timeout)

    def sample(self, num_rows: int, outputs: Sequence[str], *, timeout: float = 0.0) -> Sampled:
        """Draws one batch.

        Args:
          outputs: what it has; `obs` for the smallest layout, `obs:f32` or the full name for a certain one.
          timeout: seconds to wait where the actors are behind; 0 for as long as it takes.

        Raises:
          CallError: the server refuses; DEADLINE_EXCEEDED says by how much the actors are behind.
          ValueError: an output that there is not.
        """
        names = self.info().outputs(outputs)
        asked = batches.sample_request(names, num_rows, timeout, None)
        return batches.sampled(self.info(), names, self.call(self._stub.Sample, asked))

    def update_priorities(self, batch: Sampled, priorities: Any) -> bool:
        """Gives the rows of a batch new priorities (numbers [N]).

        Returns:
          False where they are no longer what they were: the server was started anew since, or cleared.
        """
        return not self.call(self._stub.UpdatePriorities, batches.priorities(batch, priorities)).forgotten

    def stats(self) -> pb.StatsReply:
        """What has happened so far."""
        return self.call(self._stub.Stats, pb.StatsRequest())

    def clear(self) -> int:
        """Forgets all rows; returns how many."""
        return self.call(self._stub.Clear, pb.ClearRequest()).rows


class Appender:
    """What one actor plays, chunk after chunk; for one thread."""

    def __init__(self, replay: Replay, level: str, timeout: float) -> None:
        self._replay, self._level, self._timeout = replay, level, timeout
        self._numbers = Numbers()
        self._pipeline = Pipeline(
            replay, _APPEND, pb.AppendRequest.SerializeToString, pb.AppendReply.FromString
        )

    @property
    def actor(self) -> int:
        """The actor's number."""
        return self._numbers.actor

    def append(self, arrays: Mapping[str, np.ndarray], played: pb.Played | None = None) -> pb.AppendReply:
        """Stores a chunk, `state` (u32[n, W]), `policy` (f32[n, A]) and `value` (f32[n]); returns once it is stored.

        Raises:
          CallError: it is not stored. After DEADLINE_EXCEEDED (the learners are behind) or RESOURCE_EXHAUSTED (the disk
            is full) it may be given again.
          ValueError: an array that is missing.
        """
        self._pipeline.send(self._numbers.chunk(self._replay.info(), arrays, played, self._level, self._timeout))
        return batches.stored(self._pipeline.receive())

    def close(self) -> None:
        """Ends the stream."""
        self._pipeline.drop()


class Sampler:
    """Batches without end; for one thread."""

    def __init__(self, replay: Replay, num_rows: int, outputs: Sequence[str], ahead: int, timeout: float) -> None:
        self._info = replay.info()
        self._names, self._num_rows, self._timeout = self._info.outputs(outputs), num_rows, timeout
        self._ahead = max(1, ahead)
        self._pipeline = Pipeline(replay, _SAMPLE, pb.SampleRequest.SerializeToString, pb.Batch.FromString)

    def sample(self, weights_version: int | None = None) -> Sampled:
        """The next batch; the server tells actors of `weights_version`, the newest that was published.

        Raises:
          CallError: the server refuses; DEADLINE_EXCEEDED says by how much the actors are behind. Ask again then.
        """
        while len(self._pipeline.waiting) < self._ahead:
            self._pipeline.send(batches.sample_request(self._names, self._num_rows, self._timeout, weights_version))
        return batches.sampled(self._info, self._names, self._pipeline.receive())

    def close(self) -> None:
        """Ends the stream."""
        self._pipeline.drop()
