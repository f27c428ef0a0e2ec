"""Replay as a table: the rows of a snapshot in the order in which they were played, and rows back for a ring.

A piece of the table is a mapping from each column's name to its values, in NumPy, one entry per row. Nothing is
compiled, and no more than a piece is held beside the snapshot.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from ..engine import codec
from ..engine.transition import EngineState
from .owner import ReplayState
from .samplers import Priorities

Columns = dict[str, np.ndarray]  # of one length
PLACES = ("step", "group", "column", "episode")  # where a row stands: all that `Numbering` tells
_OWN = (*PLACES, "move", "state", "priority")  # names that no leaf of a row can have


def pieces(state: ReplayState[Any], max_rows: int) -> Iterator[Columns]:
    """All rows of a snapshot (NumPy leaves), group after group, the oldest first, at most `max_rows` at a time.

    Columns: those of `Numbering`, move i32[n] (the engine's count), state u32[n, W] as `codec.pack_state` has it, every
    other leaf of the row by its name, flattened to [n] or [n, size], and, where the sampler has priorities, priority
    f32[n] (to the power of its exponent).
    """
    ring, numbering = state.ring, Numbering(state.ring.columns)
    for group, size in enumerate(np.asarray(ring.size).tolist()):
        oldest = int(ring.head[group]) - size
        for start in range(0, size, max_rows):
            offset = oldest + np.arange(start, min(start + max_rows, size))
            yield _columns(state, numbering, group, group * ring.rows_per_group + offset % ring.rows_per_group)


def shapes(row: Any, state_bytes: int) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """(dtype, shape of one entry) of every column; `row` is a pytree of arrays or of shapes with dtypes, one row."""
    found: dict[str, tuple[np.dtype, tuple[int, ...]]]
    found = {name: (np.dtype(np.int32), ()) for name in (*PLACES, "move")}
    found["step"] = found["episode"] = (np.dtype(np.int64), ())
    found["state"] = (np.dtype(np.uint32), (state_bytes // 4,))
    for name, leaf in _others(row):
        found[name] = (np.dtype(leaf.dtype), () if leaf.shape == () else (int(np.prod(leaf.shape)),))
    return found | {"priority": (np.dtype(np.float32), ())}


def rows(row: Any, states: EngineState[Any], columns: Mapping[str, np.ndarray]) -> Any:
    """A block for `Replay.fill`: rows shaped like `row` (see `shapes`), these states ([n]) and the other columns."""
    number = len(states.meta)
    rest = jax.tree_util.tree_map_with_path(
        lambda path, leaf: columns[_name(path)].reshape(number, *leaf.shape), dataclasses.replace(row, state=None)
    )
    return dataclasses.replace(rest, state=states)


def blocks(source: Iterable[Columns], size: int) -> Iterator[Columns]:
    """The same rows in pieces of exactly `size`. What is left over at the end is not given."""
    waiting: list[Columns] = []
    count = 0
    for piece in source:
        waiting.append(piece)
        count += len(piece["move"])
        if count < size:
            continue
        joined = {name: np.concatenate([one[name] for one in waiting]) for name in piece}
        for start in range(0, count - size + 1, size):
            yield part(joined, start, start + size)
        waiting, count = [part(joined, count - count % size, count)], count % size


def part(columns: Columns, start: int, end: int) -> Columns:
    """Some rows of a piece."""
    return {name: values[start:end] for name, values in columns.items()}


class Numbering:
    """Tells where rows stand that come in order: group after group, in each step after step of M games in lock step.

    An episode begins in a (group, column) where the move count does not go up by one. So two games that follow one
    another count as one if, by a random opening, the second begins one move after the first's last position.
    """

    def __init__(self, num_columns: int) -> None:
        self.num_episodes = 0
        self._num_columns, self._group, self._num_rows = num_columns, -1, 0
        self._moves = self._episodes = np.zeros(0, np.int64)  # of the last M rows

    def take(self, group: int, moves: np.ndarray) -> Columns:
        """step i64, group i32, column i32 and episode i64, [n] each, of the next rows, from their move counts i[n]."""
        if group != self._group:
            self._group, self._num_rows = group, 0
            self._moves = np.full(self._num_columns, -2)  # no count follows it
            self._episodes = np.full(self._num_columns, -1)
        number = len(moves)
        known = np.concatenate([self._moves, moves])
        begins = moves != known[:number] + 1  # the entry M before is the same game's last one
        fresh = np.where(begins, self.num_episodes - 1 + np.cumsum(begins), -1)
        self._moves = known[number:]
        self.num_episodes += int(np.count_nonzero(begins))
        episodes = self._carried(fresh)
        index = self._num_rows + np.arange(number)
        self._num_rows += number
        return {
            "step": index // self._num_columns,
            "group": np.full(number, group, np.int32),
            "column": (index % self._num_columns).astype(np.int32),
            "episode": episodes,
        }

    def _carried(self, fresh: np.ndarray) -> np.ndarray:
        """i64[n]: the number of each row's episode, from i64[n] with -1 wherever none begins."""
        number, size = len(fresh), self._num_columns
        steps = np.full((-(-number // size) + 1, size), -1)
        chain = steps.reshape(-1)
        chain[:size], chain[size : size + number] = self._episodes, fresh
        # Numbers only grow, so that the largest so far is the newest.
        carried = np.maximum.accumulate(steps, axis=0).reshape(-1)
        self._episodes = carried[number : number + size].copy()
        return carried[size : size + number]


class Episodes:
    """The table of episodes, gathered from the pieces of the table of rows."""

    def __init__(self) -> None:
        self._beginnings: list[Columns] = []
        self._num_moves = np.zeros(0, np.int64)

    def add(self, columns: Columns) -> None:
        """Takes the next piece."""
        numbers, first, counts = np.unique(columns["episode"], return_index=True, return_counts=True)
        known = len(self._num_moves)
        if numbers.size and numbers[-1] >= known:
            self._num_moves = np.concatenate([self._num_moves, np.zeros(numbers[-1] + 1 - known, np.int64)])
        self._num_moves[numbers] += counts
        new = first[numbers >= known]
        self._beginnings.append({name: columns[name][new] for name in PLACES})

    @property
    def num_moves(self) -> np.ndarray:
        """i64[E], rows of each episode; the ends of a ring may have cut it short."""
        return self._num_moves

    def columns(self) -> Columns:
        """episode i64, group i32, column i32, first_step i64 and num_moves i64, [E] each."""
        joined = {name: np.concatenate([piece[name] for piece in self._beginnings]) for name in PLACES}
        first_step = joined.pop("step")
        return {
            "episode": joined["episode"],
            "group": joined["group"],
            "column": joined["column"],
            "first_step": first_step,
            "num_moves": self._num_moves,
        }


def _columns(state: ReplayState[Any], numbering: Numbering, group: int, slots: np.ndarray) -> Columns:
    row = jax.tree.map(lambda leaf: leaf[slots], state.ring.storage)
    moves = np.asarray(row.state.step_count)
    columns = numbering.take(group, moves) | {"move": moves, "state": codec.pack_state(row.state)}
    for name, leaf in _others(row):
        columns[name] = leaf.reshape(len(slots), -1) if leaf.ndim > 1 else leaf
    if isinstance(state.memory, Priorities):
        columns["priority"] = np.asarray(state.memory.sums.numbers)[slots]
    return columns


def _others(row: Any) -> list[tuple[str, Any]]:
    """(name, leaf) of all that a row holds beside its state."""
    named = [(_name(path), leaf) for path, leaf in _leaves(dataclasses.replace(row, state=None))]
    taken = [name for name, _ in named if name in _OWN]
    if taken:
        raise ValueError(f"a row has leaves named {', '.join(taken)}, as columns of the table's own are: rename them")
    return named


def _leaves(tree: Any) -> list[tuple[Any, Any]]:
    return jax.tree_util.tree_leaves_with_path(tree)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="_")
