"""Points of a Go board in packed words: planes, their neighbours, and plain arithmetic on them.

Row r of a plane is in word r % W, above the rows r - W, r - 2W and so on, with an empty column between rows. So the
neighbours above and below are whole words, and those to the left and right one bit away. A plane of a small board is W
scalars; one of a board with a row in each word is a single vector, since so many scalars are slow to compile.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits

Plane = tuple[Array, ...]  # W words u32[], or one vector u32[W]: a bit for each point

SIDES = ((0, 1), (1, 0), (1, 2), (2, 1))  # rows and columns to cut off for the neighbours above, left, right, below

_EVERY = np.uint32(0xFFFFFFFF)


class Grid:
    """Where the points of a board of N x N are, and where chains get their labels from."""

    def __init__(self, size: int) -> None:
        self.size = size  # N
        self._stride = size + 1  # bits from one row to the next in a word
        slots = bits.WORD_BITS // self._stride
        self.num_words = -(-size // slots)  # W
        self._vector = slots == 1
        self._pairs = (size + 1) // 2  # labels in a row
        self.label_bits = (size * self._pairs).bit_length()
        rows = [divmod(row, self.num_words) for row in range(size)]
        row_bits = (1 << size) - 1
        full = [0] * self.num_words
        for slot, at in rows:
            full[at] |= row_bits << (slot * self._stride)
        self.full = self._plane(full)
        self.empty = self._plane([0] * self.num_words)
        self._numbers = self._plane(list(range(self.num_words)))
        # Of each element of [slots, W, N], which are the rows in their order.
        self._shifts = (np.arange(slots)[:, None] * self._stride + np.arange(size)).astype(np.uint32)[:, None]

    def point(self, action: Array) -> tuple[Plane, Array]:
        """(the plane of the point N * row + column alone, its label u32[]); an empty plane for a pass, N * N.

        Labels go from 1. Two points side by side share one: stones of one colour on them are one chain.
        """
        number = action.astype(jnp.uint32)
        row = number // self.size
        column = number - row * self.size
        slot = row // self.num_words
        bit = jnp.uint32(1) << (slot * self._stride + column)
        at = row - slot * self.num_words
        plane = tuple(jnp.where(at == word, bit & full, 0) for word, full in zip(self._numbers, self.full, strict=True))
        return plane, row * self._pairs + (column >> 1) + 1

    def beside(self, plane: Plane) -> tuple[Plane, Plane, Plane, Plane]:
        """The points above, left of, right of and below those of `plane`; bits off the board are for the caller."""
        if self._vector:
            words, by = plane[0], self._stride
            above = (jnp.concatenate([words[1:], words[:1] >> by]),)
            below = (jnp.concatenate([words[-1:] << by, words[:-1]]),)
        else:
            above, below = (*plane[1:], plane[0] >> self._stride), (plane[-1] << self._stride, *plane[:-1])
        return above, tuple(word >> 1 for word in plane), tuple(word << 1 for word in plane), below

    def around(self, plane: Plane) -> Plane:
        """The neighbours of all points of `plane`; bits off the board are for the caller."""
        return functools.reduce(union, self.beside(plane))

    def first(self, plane: Plane) -> Plane:
        """One of the points of `plane`, if it has any: the lowest bit of the first word."""
        if self._vector:
            at = jax.lax.argmax(plane[0] != 0, 0, jnp.uint32)
            return (jnp.where(self._numbers[0] == at, plane[0] & (0 - plane[0]), 0),)
        chosen, before = [], jnp.zeros((), jnp.uint32)
        for word in plane:
            chosen.append(jnp.where(before == 0, word & (0 - word), 0))
            before = before | word
        return tuple(chosen)

    def cells(self, plane: Plane) -> Array:
        """u32[N, N] of 0 and 1."""
        words = plane[0] if self._vector else jnp.stack(plane)
        cells = (words[None, :, None] >> self._shifts) & 1  # [slots, W, N]
        return cells.reshape(-1, self.size)[: self.size]

    def plane_of(self, cells: Array) -> Plane:
        """The plane of the cells (bool[N, N]) that are True."""
        rows = self._shifts.shape[0] * self.num_words
        padded = jnp.pad(cells, ((0, rows - self.size), (0, 0))).reshape(-1, self.num_words, self.size)
        values = jnp.where(padded, jnp.uint32(1) << self._shifts, np.uint32(0))
        return self._plane(jnp.sum(values, axis=(0, 2), dtype=jnp.uint32))

    def action_words(self, plane: Plane) -> list[Array]:
        """The points as a set of actions (see `bits`), with room for a pass."""
        words = [jnp.zeros((), jnp.uint32)] * len(bits.full(self.size**2 + 1))
        for row in range(self.size):
            slot, at = divmod(row, self.num_words)
            source = plane[0][at] if self._vector else plane[at]
            line = (source >> (slot * self._stride)) & np.uint32((1 << self.size) - 1)
            word, start = divmod(row * self.size, bits.WORD_BITS)
            words[word] = words[word] | (line << start)
            if start + self.size > bits.WORD_BITS:
                words[word + 1] = words[word + 1] | (line >> (bits.WORD_BITS - start))
        return words

    def labels_of(self, first: Array, second: Array) -> tuple[Plane, ...]:
        """Planes of the labels of all stones, `first` and `second` (bool[N, N]) being those of either colour.

        A chain has the largest label of its points; they spread from stone to stone until nothing changes.
        """
        row, column = np.divmod(np.arange(self.size**2, dtype=np.uint32).reshape(self.size, self.size), self.size)
        points = (row * self._pairs + (column >> 1) + 1).astype(np.uint32)
        labels = _largest_in_chain(jnp.asarray(points), first + 2 * second.astype(jnp.uint32))
        return tuple(self.plane_of((labels >> k) & 1 != 0) for k in range(self.label_bits))

    def short_of_liberties(self, first: Array, second: Array) -> tuple[Plane, Plane]:
        """(stones of chains without a liberty, of chains with exactly one) of two colours, bool[N, N] each."""
        colour = first + 2 * second.astype(jnp.uint32)
        number = jnp.arange(1, self.size**2 + 1, dtype=jnp.uint32).reshape(self.size, self.size)
        last, first_from_the_end = (
            _largest_in_chain(_largest_beside(jnp.where(colour == 0, numbers, 0)), colour)
            for numbers in (number, self.size**2 + 1 - number)
        )
        # Numbered from either end, a point has numbers of this sum; two liberties, the last of each, have more.
        single = last + first_from_the_end == self.size**2 + 1
        return self.plane_of((colour != 0) & (last == 0)), self.plane_of(single)

    def _plane(self, words: Sequence[int] | Array) -> Plane:
        values = jnp.asarray(words, jnp.uint32)
        return (values,) if self._vector else tuple(values[index] for index in range(self.num_words))


def shifted(board: Array, y: int, x: int) -> Array:
    """[N, N], at each point what its neighbour in that direction (of `SIDES`) has, 0 beyond the edge."""
    size = board.shape[0]
    return jnp.pad(board, 1)[y : y + size, x : x + size]


def _largest_beside(values: Array) -> Array:
    """u32[N, N], the largest of the values on the four sides of each point."""
    return functools.reduce(jnp.maximum, (shifted(values, y, x) for y, x in SIDES))


def _largest_in_chain(values: Array, colour: Array) -> Array:
    """u32[N, N], on each stone the largest of `values` on its chain; 0 where `colour` (u32[N, N]) is 0.

    Values spread from stone to stone until nothing changes.
    """

    def spread(found: Array) -> Array:
        for y, x in SIDES:
            alike = shifted(colour, y, x) == colour
            found = jnp.maximum(found, jnp.where(alike, shifted(found, y, x), 0))
        return found

    start = jnp.where(colour != 0, values, 0)
    return jax.lax.while_loop(lambda found: (spread(found) != found).any(), spread, start)


def union(a: Plane, b: Plane) -> Plane:
    return tuple(x | y for x, y in zip(a, b, strict=True))


def common(a: Plane, b: Plane) -> Plane:
    return tuple(x & y for x, y in zip(a, b, strict=True))


def without(a: Plane, b: Plane) -> Plane:
    return tuple(x & ~y for x, y in zip(a, b, strict=True))


def difference(a: Plane, b: Plane) -> Plane:
    """Points in one of the two only."""
    return tuple(x ^ y for x, y in zip(a, b, strict=True))


def where(flag: Array, plane: Plane) -> Plane:
    """The plane where `flag` (bool[]) is True, else an empty one."""
    gate = spread(flag)
    return tuple(word & gate for word in plane)


def spread(flag: Array) -> Array:
    """All ones where `flag` is True, else all zeros, u32[]."""
    return jnp.where(flag, _EVERY, np.uint32(0))


def is_equal(a: Plane, b: Plane) -> Array:
    """bool[], whether the planes have the same points."""
    return ~is_any(difference(a, b))


def is_any(plane: Plane) -> Array:
    """bool[], whether there is a point."""
    return _joined(plane) != 0


def is_single(plane: Plane) -> Array:
    """bool[], whether there is exactly one point."""
    several = _joined(tuple(word & (word - 1) for word in plane))
    num_words = sum(jnp.sum(jnp.minimum(word, 1), dtype=jnp.uint32) for word in plane)
    return (several == 0) & (num_words == 1)


def count(plane: Plane) -> Array:
    """i32[], how many points there are."""
    counts = [jnp.sum(bits.popcount(word)) for word in plane]
    return functools.reduce(jnp.add, counts)


def _joined(plane: Plane) -> Array:
    """All words in one, u32[]."""
    word = functools.reduce(jnp.bitwise_or, plane)
    return jax.lax.reduce(word, np.uint32(0), jax.lax.bitwise_or, (0,)) if word.ndim else word
