"""Sets of squares in two words, and how they move: by steps, jumps and slides of all members at once."""

import dataclasses
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits

SIDE = 8
SQUARES = SIDE * SIDE
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (-1, 1), (0, -1), (-1, -1), (-1, 0), (1, -1))  # file, rank: N NE E NW S SW W SE
N, NE, E, NW, S, SW, W, SE = range(8)  # the opposite of a direction is four further
RANK_1 = 0xFF

_LOW = (1 << 32) - 1
_FILE_A = 0x0101010101010101


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Squares:
    """A set of squares; a1 is bit 0 of `low`, b1 bit 1, a2 bit 8, a5 bit 0 of `high`."""

    low: Array  # u32[]
    high: Array  # u32[]

    def __and__(self, other: "Squares") -> "Squares":
        return Squares(self.low & other.low, self.high & other.high)

    def __or__(self, other: "Squares") -> "Squares":
        return Squares(self.low | other.low, self.high | other.high)

    def __xor__(self, other: "Squares") -> "Squares":
        return Squares(self.low ^ other.low, self.high ^ other.high)

    def __invert__(self) -> "Squares":
        return Squares(~self.low, ~self.high)

    def within(self, constant: int) -> "Squares":
        """The members in a constant set of 64 bits."""
        return Squares(self.low & np.uint32(constant & _LOW), self.high & np.uint32(constant >> 32))

    def where(self, mask: Array) -> "Squares":
        """All members where `mask` (u32[]) is all ones, none where it is zero."""
        return Squares(self.low & mask, self.high & mask)

    def any(self) -> Array:
        """bool[], whether there is a member."""
        return (self.low | self.high) != 0

    def count(self) -> Array:
        """i32[], the number of members."""
        return bits.popcount(self.low) + bits.popcount(self.high)

    def each(self) -> "list[Squares]":
        """The sets of a stack of sets."""
        return [Squares(self.low[index], self.high[index]) for index in range(self.low.shape[0])]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Line:
    """Two opposite directions, forward being that of rising squares; the masks hold for either word of a set.

    To walk along the four lines in a loop keeps the compiled program, and the time to compile it, small.
    """

    places: Array  # u32[], squares of one step
    forward: Array  # u32[], mask of the files from which a step forward stays on the board
    backward: Array  # u32[], the same for a step backward; also the files that a step forward arrives on
    straight: Array  # u32[], all ones for the lines of a rook, zero for those of a bishop

    def of(self, straight: Squares, diagonal: Squares) -> Squares:
        """The set that goes with the line."""
        return straight.where(self.straight) | diagonal.where(~self.straight)

    def step(self, squares: Squares, forward: bool) -> Squares:
        """Every member moved by one; what leaves the board is gone."""
        return self._shift(squares.where(self.forward if forward else self.backward), 1, forward)

    def slide(self, squares: Squares, through: Squares, forward: bool) -> Squares:
        """All squares that the members reach through the set `through`, the first one beyond it included.

        Kogge-Stone: three doublings instead of seven steps.
        """
        free = through.where(self.backward if forward else self.forward)
        squares = squares | (free & self._shift(squares, 1, forward))
        free = free & self._shift(free, 1, forward)
        squares = squares | (free & self._shift(squares, 2, forward))
        free = free & self._shift(free, 2, forward)
        squares = squares | (free & self._shift(self._shift(squares, 2, forward), 2, forward))
        return self.step(squares, forward)

    def _shift(self, squares: Squares, steps: int, forward: bool) -> Squares:
        places = (self.places * steps) & 31  # at most 18; the mask tells the compiler that no shift is too long
        rest = (32 - places) & 31
        low, high = squares.low, squares.high
        if forward:
            return Squares(low << places, (high << places) | (low >> rest))
        return Squares((low >> places) | (high << rest), high >> places)


def lines() -> Line:
    """A stack of the four lines, to loop over: N-S, NE-SW, E-W, NW-SE."""
    a_file = _FILE_A & _LOW
    h_file = a_file << (SIDE - 1)
    return Line(
        places=jnp.array([8, 9, 1, 7], jnp.uint32),
        forward=~jnp.array([0, h_file, h_file, a_file], jnp.uint32),
        backward=~jnp.array([0, a_file, a_file, h_file], jnp.uint32),
        straight=jnp.array([_LOW, 0, _LOW, 0], jnp.uint32),
    )


def one_square(number: Array) -> Squares:
    """The set of one square, numbered (u32[]) from 0 for a1 to 63 for h8."""
    bit = jnp.uint32(1) << (number & 31)
    return Squares(jnp.where(number < 32, bit, 0), jnp.where(number < 32, 0, bit))


def step(squares: Squares, direction: int) -> Squares:
    """Every member moved by one; what leaves the board is gone."""
    return shifted(squares, *DIRECTIONS[direction])


def shifted(squares: Squares, files: int, ranks: int) -> Squares:
    """Every member moved by so many files and ranks; what leaves the board is gone."""
    places = files + SIDE * ranks
    kept = squares.within(_files(files)) if files else squares
    low, high = kept.low, kept.high
    if ranks == 0:  # a rank lies in one word
        return Squares(low << places, high << places) if places > 0 else Squares(low >> -places, high >> -places)
    if places > 0:
        return Squares(low << places, (high << places) | (low >> (32 - places)))
    return Squares((low >> -places) | (high << (32 + places)), high >> -places)


def jumps(knights: Squares) -> Squares:
    """Where knights reach."""
    near, far = shifted(knights, 1, 0) | shifted(knights, -1, 0), shifted(knights, 2, 0) | shifted(knights, -2, 0)
    return shifted(near, 0, 2) | shifted(near, 0, -2) | shifted(far, 0, 1) | shifted(far, 0, -1)


def neighbours(kings: Squares) -> Squares:
    """Where kings reach, and where they are."""
    row = kings | step(kings, E) | step(kings, W)
    return row | step(row, N) | step(row, S)


def diagonal_steps(squares: Squares, up: Array, down: Array) -> Squares:
    """One step up on both diagonals where `up` (u32[] mask), one down where `down`."""
    beside = step(squares, E) | step(squares, W)
    return step(beside.where(up), N) | step(beside.where(down), S)


def union(sets: Iterable[Squares]) -> Squares:
    first, *rest = sets
    for squares in rest:
        first = first | squares
    return first


def stacked(sets: Sequence[Squares]) -> Squares:
    return Squares(jnp.stack([squares.low for squares in sets]), jnp.stack([squares.high for squares in sets]))


def opposite(direction: int) -> int:
    return (direction + 4) % 8


def mask(flag: Array) -> Array:
    """u32[], all ones where `flag` (bool[], or u32[] of 0 or 1) is set, else zero."""
    return jnp.uint32(0) - flag.astype(jnp.uint32)


def _files(step_files: int) -> int:
    """The squares that stay on the board when moved by so many files."""
    return sum(_FILE_A << file for file in range(SIDE) if 0 <= file + step_files < SIDE)
