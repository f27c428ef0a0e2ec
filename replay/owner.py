"""The one owner of a ring: it alone adds rows and draws them, so that the ring is written in place.

A donated ring that somebody else still holds would be copied whole, or be gone under a reader's hands. So everything
passes through here, under a lock, and what is handed out are freshly gathered batches.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import border
from . import limiter
from . import ring as rings
from .limiter import RateLimit, Totals
from .ring import Ring
from .samplers import Draws, Sampler, acceptable

Row = TypeVar("Row")
Batch = TypeVar("Batch")
Prepare = Callable[[Ring[Row], Draws, Array], Batch]
_NAMED_ROWS = 5  # refused rows an error spells out
_VIEW = 0x9E3779B9  # sets the words for `prepare` apart from those of the draw


class RateLimitedError(RuntimeError):
    """The limit does not let this side go on; the message says what it waits for."""


class PriorityError(ValueError):
    """Priorities that no row can have, or for rows that never were; none of them was taken."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ReplayState(Generic[Row]):
    """All that a replay's draws depend on, as arrays."""

    ring: Ring[Row]
    memory: Any  # the sampler's
    key: Array  # uint32[2]


def start(
    row: Row, capacity: int, block: int, sampler: Sampler[Any], key: Array, columns: int = 1, groups: int = 1
) -> ReplayState[Row]:
    """A replay that holds nothing yet; the arguments are those of `Replay`."""
    ring = rings.empty(row, capacity, block, columns, groups)
    return ReplayState(ring, sampler.start(ring), jnp.array(key, copy=True))


def gathered(ring: Ring[Row], draws: Draws, key: Array) -> Row:
    """The drawn rows themselves; a `prepare` for `Replay`."""
    del key
    return rings.rows_at(ring, draws.slot)


class Replay(Generic[Row, Batch]):
    """A ring with its sampler, its limit and its totals. Any thread may call any method.

    Args:
      row: a pytree of arrays or of shapes with dtypes, one row.
      capacity, block, columns, groups: see `ring.empty`.
      sampler: which rows are drawn.
      key: uint32[2], what the draws begin from.
      prepare: (ring, draws, key) -> what `sample` hands out, compiled together with the draw; the rows by default.
      limit: when each side must wait; None for never.
    """

    def __init__(
        self,
        row: Row,
        capacity: int,
        block: int,
        sampler: Sampler[Any],
        key: Array,
        *,
        prepare: Prepare[Row, Batch] = gathered,
        columns: int = 1,
        groups: int = 1,
        limit: RateLimit | None = None,
    ) -> None:
        self._state, self._sampler = start(row, capacity, block, sampler, key, columns, groups), sampler
        self._totals, self._limit, self._changed = Totals(), limit, threading.Condition()
        self._add = jax.jit(partial(_add, sampler), donate_argnums=0)
        self._draw = jax.jit(partial(_draw, sampler, prepare), static_argnums=3)
        self._update = jax.jit(partial(_update, sampler), donate_argnums=0)

    @property
    def totals(self) -> Totals:
        """Rows written and drawn since the beginning."""
        return self._totals

    @property
    def capacity(self) -> int:
        """How many rows the ring holds at most."""
        return self._state.ring.capacity

    @property
    def size(self) -> int:
        """How many it holds now."""
        with self._changed:
            return int(np.asarray(self._state.ring.size).sum())

    def add(self, rows: Row, group: int = 0, timeout: float = 0.0) -> None:
        """Writes a block over the oldest rows of a group; see `ring.add`.

        Raises:
          RateLimitedError: the readers are behind, and still so after `timeout` seconds.
        """
        with self._changed:
            block = self._state.ring.block
            if not self._changed.wait_for(lambda: self._allows(limiter.may_insert, block), timeout):
                raise RateLimitedError(f"no more rows now: {self._reason()}")
            self._state = self._add(self._state, rows, group)
            self._totals = dataclasses.replace(self._totals, inserted=self._totals.inserted + block)
            self._changed.notify_all()

    def fill(self, rows: Row, group: int = 0) -> None:
        """Writes a block of rows that come from elsewhere, and at once: they were not played for these readers.

        By what the readers thereby lag beyond the limit's bounds, nobody waits: it is written off, as in `restore`.
        """
        with self._changed:
            self._state = self._add(self._state, rows, group)
            totals = dataclasses.replace(self._totals, inserted=self._totals.inserted + self._state.ring.block)
            self._totals = limiter.resumed(self._limit, totals) if self._limit else totals
            self._changed.notify_all()

    def may_sample(self, num_rows: int) -> bool:
        """Whether `sample` would go on at once."""
        with self._changed:
            return self._totals.inserted > 0 and self._allows(limiter.may_sample, num_rows)

    def sample(self, num_rows: int, timeout: float = 0.0) -> tuple[Batch, Draws]:
        """Draws rows; the draws are their names, for `update`.

        Raises:
          RateLimitedError: the writers are behind, or have not begun, and still so after `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.may_sample(num_rows), timeout):
                raise RateLimitedError(f"no batch now: {self._reason()}")
            state = self._state
            key, batch, draws = self._draw(state.ring, state.memory, state.key, num_rows)
            self._state = dataclasses.replace(state, key=key)
            self._totals = dataclasses.replace(self._totals, sampled=self._totals.sampled + num_rows)
            self._changed.notify_all()
        return batch, draws

    def batches(self, num_rows: int, timeout: float = 0.0) -> Iterator[tuple[Batch, Draws]]:
        """Batches without end, for `feed.torch_batches`; each as in `sample`."""
        while True:
            yield self.sample(num_rows, timeout)

    def update(self, draws: Draws, priorities: Array | np.ndarray) -> None:
        """Gives rows drawn earlier new priorities (f32[n]). Those that were written over since are passed over.

        Raises:
          PriorityError: one is negative, NaN or too large, or for a row that never was; nothing has changed.
        """
        with self._changed:
            memory, refused = self._update(self._state.memory, self._state.ring, draws, priorities)
            self._state = dataclasses.replace(self._state, memory=memory)
            wrong = np.asarray(refused)
            if wrong.any():
                raise PriorityError(_refusal(draws, priorities, np.flatnonzero(wrong)))

    def clear(self) -> None:
        """Forgets all rows, and with them the totals. Draws from before name rows that are no more: drop them."""
        with self._changed:
            ring, key = self._state.ring, self._state.key
            one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), ring.storage)
            self._state = start(one, ring.capacity, ring.block, self._sampler, key, ring.columns, ring.groups)
            self._totals = Totals()
            self._changed.notify_all()

    def snapshot(self) -> tuple[ReplayState[Any], Totals]:
        """A copy of all there is on the host, as NumPy arrays; nothing is added or drawn meanwhile."""
        with self._changed:
            return border.host_copy(self._state), self._totals

    def layout(self) -> ReplayState[Any]:
        """The shapes and dtypes of a snapshot."""
        with self._changed:
            return jax.eval_shape(lambda: self._state)

    def restore(self, state: ReplayState[Row], totals: Totals) -> None:
        """Goes on from a snapshot of a replay with the same shapes. The limit stays the one given here."""
        with self._changed:
            self._state = jax.tree.map(partial(jnp.array, copy=True), state)
            self._totals = limiter.resumed(self._limit, totals) if self._limit else totals
            self._changed.notify_all()

    def _allows(self, rule: Callable[[RateLimit, Totals, int], bool], num_rows: int) -> bool:
        return self._limit is None or rule(self._limit, self._totals, num_rows)

    def _reason(self) -> str:
        if self._limit is None:
            return "nothing has been written yet"
        return limiter.why_not(self._limit, self._totals)


class Mixture(Generic[Batch]):
    """Batches of which each of several replays gives a fixed share: demonstrations beside self-play, say.

    The parts hand out batches of one structure. One reader at a time.

    Args:
      parts: name -> replay and its share; shares are relative to their sum.
    """

    def __init__(self, parts: Mapping[str, tuple[Replay[Any, Batch], float]]) -> None:
        if not parts or not all(share > 0 for _, share in parts.values()):
            raise ValueError(f"the shares of a mixture must be above 0, got {({n: s for n, (_, s) in parts.items()})}")
        self._replays = {name: replay for name, (replay, _) in parts.items()}
        self._shares = np.array([share for _, share in parts.values()])
        self._join = jax.jit(lambda batches: jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *batches))

    def counts(self, num_rows: int) -> dict[str, int]:
        """How many of `num_rows` rows each part gives; the largest remainders get what is left over."""
        exact = num_rows * self._shares / self._shares.sum()
        counts = np.floor(exact).astype(int)
        counts[np.argsort(counts - exact, kind="stable")[: num_rows - counts.sum()]] += 1
        return dict(zip(self._replays, counts.tolist(), strict=True))

    def sample(self, num_rows: int) -> tuple[Batch, dict[str, Draws]]:
        """Draws rows, part after part, and their names by part.

        Raises:
          RateLimitedError: one part has none to give now; nothing was drawn from any.
        """
        counts = {name: count for name, count in self.counts(num_rows).items() if count}
        for name, count in counts.items():
            if not self._replays[name].may_sample(count):
                raise RateLimitedError(f"{name} has no {count} rows to give now")
        drawn = {name: self._replays[name].sample(count) for name, count in counts.items()}
        return self._join([batch for batch, _ in drawn.values()]), {name: draws for name, (_, draws) in drawn.items()}

    def update(self, draws: Mapping[str, Draws], priorities: Array | np.ndarray) -> None:
        """Gives rows drawn together new priorities; see `Replay.update`."""
        start = 0
        for name, part in draws.items():
            size = part.slot.shape[0]
            self._replays[name].update(part, priorities[start : start + size])
            start += size


class Queue(Generic[Row]):
    """First in, first out: every row is taken once, in order, for what must be of the present policy.

    Args:
      row, capacity, block: see `ring.empty`.
    """

    def __init__(self, row: Row, capacity: int, block: int) -> None:
        self._ring = rings.empty(row, capacity, block)
        self._size, self._changed = 0, threading.Condition()
        self._add = jax.jit(rings.add, donate_argnums=0)
        self._take = jax.jit(_take, static_argnums=1, donate_argnums=0)

    def put(self, rows: Row, timeout: float = 0.0) -> None:
        """Adds a block.

        Raises:
          RateLimitedError: the queue is full, and still so after `timeout` seconds.
        """
        with self._changed:
            room = self._ring.capacity - self._ring.block
            if not self._changed.wait_for(lambda: self._size <= room, timeout):
                raise RateLimitedError(f"the queue is full: {self._size} of {self._ring.capacity} rows wait")
            self._ring = self._add(self._ring, rows)
            self._size += self._ring.block
            self._changed.notify_all()

    def take(self, num_rows: int, timeout: float = 0.0) -> Row:
        """Removes the oldest rows and returns them in order, leaves of [num_rows, ...].

        Raises:
          RateLimitedError: there are fewer, and still so after `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._size >= num_rows, timeout):
                raise RateLimitedError(f"{self._size} rows are waiting, {num_rows} were asked for")
            self._ring, rows = self._take(self._ring, num_rows)
            self._size -= num_rows
            self._changed.notify_all()
        return rows


def _add(sampler: Sampler[Any], state: ReplayState[Row], rows: Row, group: Array) -> ReplayState[Row]:
    memory = sampler.added(state.memory, state.ring, group)
    return dataclasses.replace(state, ring=rings.add(state.ring, rows, group), memory=memory)


def _draw(
    sampler: Sampler[Any], prepare: Prepare[Row, Batch], ring: Ring[Row], memory: Any, key: Array, num_rows: int
) -> tuple[Array, Batch, Draws]:
    draws = sampler.draw(memory, ring, key, num_rows)
    return _next_key(key), prepare(ring, draws, key ^ jnp.uint32(_VIEW)), draws


def _next_key(key: Array) -> Array:
    """The key's 64 bits and 1: threefry's streams under neighbouring keys have nothing to do with one another."""
    low = key[1] + 1
    return jnp.stack([key[0] + (low == 0), low])


def _update(sampler: Sampler[Any], memory: Any, ring: Ring[Any], draws: Draws, priorities: Array) -> tuple[Any, Array]:
    """The memory with the priorities, and bool[n], what cannot be taken; if that is any, all stays as it was."""
    refused = _refused(ring, draws, priorities)
    priorities = jnp.where(jnp.any(refused), jnp.nan, priorities)  # which no sampler takes
    return sampler.update(memory, ring, draws, priorities), refused


def _take(ring: Ring[Row], num_rows: int) -> tuple[Ring[Row], Row]:
    rows = rings.rows_at(ring, rings.oldest(ring, num_rows))
    return rings.drop_oldest(ring, num_rows), rows


def _refused(ring: Ring[Any], draws: Draws, priorities: Array) -> Array:
    """bool[n]: what `Replay.update` cannot take."""
    slot = jnp.clip(draws.slot, 0, ring.capacity - 1)
    now = rings.generation(ring, slot)
    known = (draws.slot == slot) & (draws.generation > 0) & (draws.generation <= now)
    return ~(known & acceptable(priorities))


def _refusal(draws: Draws, priorities: Array | np.ndarray, wrong: np.ndarray) -> str:
    given, slots = np.asarray(priorities), np.asarray(draws.slot)
    named = ", ".join(f"row {row}: {given[row]} for slot {slots[row]}" for row in wrong[:_NAMED_ROWS])
    more = f" and {wrong.size - _NAMED_ROWS} more" if wrong.size > _NAMED_ROWS else ""
    return f"a priority must be at least 0, at most 1e20, and for a row that was drawn; got {named}{more}"
