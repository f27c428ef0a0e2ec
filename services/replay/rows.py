"""From the bytes of a chunk to rows of the ring, and from drawn rows to the bytes of a batch; nothing waits here."""

import functools
import secrets
from collections.abc import Sequence
from typing import Any

import grpc
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...engine import codec, slices
from ...engine.game import Game
from ...engine.spec import GameSpec
from ...proto.replay.v1 import replay_pb2 as pb
from ...replay import export, limiter
from ...replay.batches import ViewedRows, viewed_rows
from ...replay.flaws import BATCH, first_flaw
from ...replay.owner import PriorityError, RateLimitedError, Replay
from ...replay.samplers import Draws
from .. import replay_setup
from ..config import TrainConfig
from ..serving import RefusalError

STATE = "state:packed_u32:v1"
_VALUE, _AGE = "value:f32:v1", "age:discrete_i32:v1"
_SLOT_BITS = 32


class Rows:
    """The ring of one run, spoken to in bytes. One thread at a time.

    Args:
      game, config: the run's.

    Attributes:
      epoch: within which names of rows mean something; another one begins when all are forgotten.
    """

    def __init__(self, game: Game[Any], config: TrainConfig) -> None:
        self.game, self._row = game, replay_setup.row(game)
        self.epoch = secrets.randbits(64)
        key = jax.random.PRNGKey(config.run.seed)
        self.replay: Replay[Any, ViewedRows] = replay_setup.replay(
            game, config, key, functools.partial(viewed_rows, game)
        )
        self._limit = replay_setup.limit(config)
        self.chunk_rows = config.selfplay.rows_per_unroll
        self.appended = appended(game.spec)
        self.outputs = outputs(game.spec)
        self._show = jax.jit(functools.partial(slices.show, game), static_argnums=1)

    def read(self, request: pb.AppendRequest, *, looked_at: bool = False) -> Any:
        """A chunk as a block of the ring; its rows are looked at one by one, unless they were before.

        Raises:
          RefusalError: it is no chunk of this run; the message says what was expected.
        """
        if len(request.tensors) != len(self.appended):
            names = ", ".join(column.encoding for column in self.appended)
            raise _wrong(f"a chunk has {len(request.tensors)} tensors, expected {len(self.appended)}: {names}")
        arrays = {}
        for column, data in zip(self.appended, request.tensors, strict=True):
            expected = self.chunk_rows * column.row_bytes
            if len(data) != expected:
                raise _wrong(
                    f"{column.encoding} is {len(data)} bytes, expected {expected}: {self.chunk_rows} rows of "
                    f"{column.row_bytes}"
                )
            arrays[column.encoding.partition(":")[0]] = codec.decode_rows(column.encoding, data, tuple(column.shape))
        states = codec.split_words(self.game, arrays["state"])
        block = export.rows(self._row, states, arrays)
        if not looked_at:
            self._require_flawless(block)
        return block

    def add(self, block: Any) -> None:
        """Puts a block into the ring."""
        self.replay.add(block)

    def fill(self, block: Any) -> None:
        """Puts a block of the log into the ring, for which nobody waits."""
        self.replay.fill(block)

    def size(self) -> int:
        """Rows in the ring."""
        return self.replay.size

    def clear(self) -> None:
        """Forgets all rows."""
        self.replay.clear()
        self.epoch = secrets.randbits(64)

    def may_add(self, num_rows: int) -> bool:
        """Whether so many rows may come in now. Any thread may ask this and the two below, which hold nobody up."""
        return limiter.may_insert(self._limit, self.replay.totals, num_rows)

    def may_sample(self, num_rows: int) -> bool:
        """Whether so many rows may be drawn now."""
        return self.replay.totals.inserted > 0 and limiter.may_sample(self._limit, self.replay.totals, num_rows)

    def why_not(self) -> str:
        """How the two sides stand to one another, in words."""
        return limiter.why_not(self._limit, self.replay.totals)

    def sample(self, num_rows: int, wanted: Sequence[str]) -> pb.Batch:
        """Draws a batch; what the limit says was asked before."""
        try:
            viewed, draws = self.replay.sample(num_rows)
        except RateLimitedError as error:  # only where all rows were forgotten since
            raise RefusalError(grpc.StatusCode.ABORTED, f"{error}; ask again") from error
        tensors = [self._bytes(viewed, name) for name in wanted]
        return pb.Batch(
            tensors=tensors,
            rows=_names(draws).tobytes(),
            probabilities=np.asarray(draws.probability, "<f4").tobytes(),
            filled=self.replay.size,
            epoch=self.epoch,
        )

    def update(self, epoch: int, rows: bytes, priorities: bytes) -> bool:
        """Gives rows new priorities; False where they are of another epoch.

        Raises:
          RefusalError: what is given cannot be; nothing has changed.
        """
        if epoch != self.epoch:
            return False
        names, numbers = np.frombuffer(rows, "<u8"), np.frombuffer(priorities, "<f4")
        size = 1 << (len(names) - 1).bit_length()  # few sizes are compiled; a row given twice is as good as once
        filled = np.minimum(np.arange(size), len(names) - 1)
        names, numbers = names[filled], numbers[filled]
        draws = Draws(
            slot=jnp.asarray(names.astype(np.uint32).view(np.int32)),  # the low half
            generation=jnp.asarray((names >> np.uint64(_SLOT_BITS)).astype(np.uint32)),
            probability=jnp.zeros(size),
        )
        try:
            self.replay.update(draws, numbers)
        except PriorityError as error:
            raise _wrong(str(error)) from error
        return True

    def _bytes(self, viewed: ViewedRows, name: str) -> bytes:
        kind = name.partition(":")[0]
        if kind in ("policy", "value", "age"):
            array: Array = getattr(viewed, kind)
            return np.asarray(array).astype("<i4" if kind == "age" else "<f4", copy=False).tobytes()
        shown = jax.tree.map(np.asarray, self._show(viewed.state, (name,)))
        return bytes(slices.to_bytes(self.game, name, shown[name], slice(None)))

    def _require_flawless(self, block: Any) -> None:
        for start in range(0, self.chunk_rows, BATCH):
            end = min(start + BATCH, self.chunk_rows)
            piece = jax.tree.map(lambda leaf, start=start, end=end: leaf[start:end], block)
            flaw = first_flaw(self.game, piece, np.asarray(piece.state.step_count))
            if flaw is not None:
                raise _wrong(f"row {start + flaw[0]} of the chunk cannot be: {flaw[1]}")


def appended(spec: GameSpec) -> list[pb.Column]:
    """What a chunk is made of."""
    return [_column(spec, STATE), *_targets(spec)]


def outputs(spec: GameSpec) -> list[pb.Column]:
    """What a batch can be made of."""
    seen = [_column(spec, name) for name in spec.outputs]
    return [*seen, *_targets(spec), pb.Column(encoding=_AGE, row_bytes=4)]


def _column(spec: GameSpec, name: str) -> pb.Column:
    return pb.Column(encoding=name, shape=codec.row_shape(spec, name), row_bytes=codec.row_bytes(spec, name))


def _targets(spec: GameSpec) -> list[pb.Column]:
    policy = pb.Column(
        encoding=f"policy:f32x{spec.num_actions}:v1", shape=(spec.num_actions,), row_bytes=4 * spec.num_actions
    )
    return [policy, pb.Column(encoding=_VALUE, row_bytes=4)]


def _names(draws: Draws) -> np.ndarray:
    """u64[n]: the generation and, in the low half, the slot."""
    slots, generations = np.asarray(draws.slot).view(np.uint32), np.asarray(draws.generation)
    return (generations.astype(np.uint64) << np.uint64(_SLOT_BITS) | slots).astype("<u8", copy=False)


def _wrong(message: str) -> RefusalError:
    return RefusalError(grpc.StatusCode.INVALID_ARGUMENT, message)
