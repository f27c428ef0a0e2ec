"""What the replay service's messages mean: arrays in, arrays out. No channel here, so both kinds of client share it."""

import dataclasses
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..engine import codec
from ..engine.spec import GameSpec
from ..proto.replay.v1 import replay_pb2 as pb
from .channel import full_names, refused

LEVELS = {
    "default": pb.ACK_LEVEL_UNSPECIFIED,
    "memory": pb.ACK_LEVEL_MEMORY,
    "disk": pb.ACK_LEVEL_DISK,
}
_KINDS = {"obs": "observation", "mask": "legal_actions"}  # where an array's name is not the encoding's


@dataclasses.dataclass(frozen=True)
class ReplayInfo:
    """What a server keeps.

    Attributes:
      spec: the game's.
      run: what the run's run.json says, settings among it.
      description: all else, as it came.
    """

    spec: GameSpec
    run: Mapping[str, Any]
    description: pb.Description

    @classmethod
    def read(cls, description: pb.Description) -> "ReplayInfo":
        """From the message."""
        return cls(GameSpec.from_json(description.spec), json.loads(description.run), description)

    def outputs(self, wanted: Sequence[str]) -> list[str]:
        """Full names of outputs, see `channel.full_names`."""
        there = [column.encoding for column in self.description.outputs]
        return full_names(there, wanted, f"the replay of {self.spec.env_id}")


@dataclasses.dataclass(frozen=True)
class Sampled:
    """N rows that were drawn.

    Attributes:
      arrays: by name, [N, ...], whichever were asked for: `observation` (f32, or u8 where the encoding is `u8` or
        `bits`), `legal_actions` (bool), `policy` (f32), `value` (f32), `age` (i32, rows written since), `player` (u8),
        `state` (u32). Views of what came where the layout allows, and read-only then.
      rows: u64[N], their names, for `update_priorities`.
      probability: f32[N], of drawing each.
      filled: rows that could be drawn.
      epoch: within which the names of rows mean something: until the server is started anew, or clears its rows.
    """

    arrays: Mapping[str, np.ndarray]
    rows: np.ndarray
    probability: np.ndarray
    filled: int
    epoch: int


@dataclasses.dataclass
class Numbers:
    """The numbers by which chunks are known: an actor's own, drawn at random, and those of its chunks."""

    actor: int = dataclasses.field(default_factory=lambda: secrets.randbits(64))
    sequence: int = 0

    def chunk(
        self, info: ReplayInfo, arrays: Mapping[str, np.ndarray], played: pb.Played | None, level: str, timeout: float
    ) -> pb.AppendRequest:
        """The message of the next chunk: `state` (u32[n, W]), `policy` (f32[n, A]) and `value` (f32[n]).

        Raises:
          ValueError: an array that is missing, or no such level.
        """
        if level not in LEVELS:
            raise ValueError(f"level is {level!r}, expected one of {', '.join(LEVELS)}")
        tensors = []
        for column in info.description.appended:
            name = column.encoding.partition(":")[0]
            if name not in arrays:
                raise ValueError(f"a chunk needs {name!r} ({column.encoding}), got {', '.join(arrays) or 'nothing'}")
            kind = "<u4" if name == "state" else "<f4"
            tensors.append(np.ascontiguousarray(arrays[name]).astype(kind, copy=False).tobytes())
        self.sequence += 1
        return pb.AppendRequest(
            actor=self.actor,
            sequence=self.sequence,
            level=LEVELS[level],
            timeout_ms=round(1000 * timeout),
            spec_fingerprint=info.description.spec_fingerprint,
            tensors=tensors,
            played=played,
        )


def stored(reply: pb.AppendReply) -> pb.AppendReply:
    """The reply itself; `CallError` where the chunk was not stored."""
    if reply.HasField("error"):
        raise refused(reply.error.code, reply.error.message)
    return reply


def sample_request(
    outputs: Sequence[str], num_rows: int, timeout: float, weights_version: int | None
) -> pb.SampleRequest:
    """The message that asks for a batch."""
    asked = pb.SampleRequest(num_rows=num_rows, outputs=outputs, timeout_ms=round(1000 * timeout))
    if weights_version is not None:
        asked.weights_version = weights_version
    return asked


def sampled(info: ReplayInfo, outputs: Sequence[str], batch: pb.Batch) -> Sampled:
    """What a batch says; `CallError` where it is a refusal."""
    if batch.HasField("error"):
        raise refused(batch.error.code, batch.error.message)
    shapes = {column.encoding: tuple(column.shape) for column in info.description.outputs}
    arrays = {}
    for name, data in zip(outputs, batch.tensors, strict=True):
        kind = name.partition(":")[0]
        array = codec.decode_rows(name, data, shapes[name])
        arrays[_KINDS.get(kind, kind)] = array.view(bool) if kind == "mask" else array
    return Sampled(
        arrays=arrays,
        rows=np.frombuffer(batch.rows, "<u8"),
        probability=np.frombuffer(batch.probabilities, "<f4"),
        filled=batch.filled,
        epoch=batch.epoch,
    )


def priorities(batch: Sampled, values: Any) -> pb.UpdatePrioritiesRequest:
    """The message that gives the rows of a batch new priorities (numbers [N])."""
    numbers = np.asarray(values, "<f4")
    if numbers.shape != batch.rows.shape:
        raise ValueError(f"priorities are of shape {numbers.shape}, expected {batch.rows.shape}")
    return pb.UpdatePrioritiesRequest(rows=batch.rows.tobytes(), priorities=numbers.tobytes(), epoch=batch.epoch)
