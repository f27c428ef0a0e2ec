"""What backgammon's dice allow, and what a move does to dice and checkers, by arithmetic on sets of points.

Points are numbered as the player to move counts them: bit p of a set is point p, 24 down to 1, and bit 25 the bar. A
move by a die is a shift. A move never takes another one's right away, unless both want the same checker: so whether a
second die can still be played after a first move depends on what could be played before, on the checker that has
moved, and on what the last checker to come home sets free. For the same reason the number of moves that doubles allow
does not depend on their order, and only two different dice need a look ahead.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

FACES = 6
POINTS = 24
BAR = 25
ON_POINTS = np.uint32((1 << BAR) - 2)
BLACK = np.uint32(1 << 9)  # in the word of a turn: it is Black's
_LEFT, _OTHER = 3, 6  # where the fields of that word begin, after the die: how often it is left, and the smaller die
_ON_BAR = np.uint32(1 << BAR)
_ABOVE_BAR = 31 - BAR  # bits
_WIDTHS = np.array([1, 2, 4, 8, 16], np.uint32)  # of what changes places, and the lower ones of each pair, in a mirror
_MASKS = np.array([0x55555555, 0x33333333, 0x0F0F0F0F, 0x00FF00FF, 0x0000FFFF], np.uint32)
_OUTSIDE = 7  # the first point from which a checker is not home

Counts = Sequence[Array]  # four u32[], the bits of the number of checkers on each place, the lowest first


@dataclasses.dataclass(frozen=True)
class View:
    """The board as the player to move sees it; each u32[] is a set of points, and the bar where they have it."""

    mine: Array  # with their checkers
    many: Array  # with two of theirs or more
    open: Array  # without two of the opponent's, the bar left out


def legal_sources(view: View, die: Array, other: Array) -> tuple[Array, Array]:
    """(u32[], u32[]): the points that `die` may be played from, and those for `other`.

    Args:
      view: the board.
      die: u32[], the larger die, or the only one; 0 for none.
      other: u32[], a smaller die, 0 for none.
    """
    by_die, by_other = _sources(view, die), _sources(view, other)
    first_die = _with_sequel(view, by_die, die, by_other, other)
    first_other = _with_sequel(view, by_other, other, by_die, die)
    both = (first_die | first_other) != 0
    alone = jnp.where(by_die != 0, np.uint32(0), by_other)  # only one can be played: the larger if it can
    return jnp.where(both, first_die, by_die), jnp.where(both, first_other, alone)


def mirrored(points: Array) -> Array:
    """The set as the other player counts its points: 25 - p for p."""
    points = points << _ABOVE_BAR
    for width, mask in zip(_WIDTHS, _MASKS, strict=True):
        points = _swapped(points, width, mask)
    return points


def mirrored_where(other: Array, words: Sequence[Array]) -> list[Array]:
    """Each word `mirrored` where `other` (bool[]) holds, by a loop.

    The loop is a seam for XLA: what the words are made of is computed once and not for every number read off them.
    """

    def swap(words: list[Array], step: tuple[Array, Array]) -> tuple[list[Array], None]:
        return [jnp.where(other, _swapped(word, *step), word) for word in words], None

    shifted = [jnp.where(other, word << _ABOVE_BAR, word) for word in words]
    return jax.lax.scan(swap, shifted, (jnp.asarray(_WIDTHS), jnp.asarray(_MASKS)))[0]


def _swapped(word: Array, width: Array, mask: Array) -> Array:
    """Neighbours of `width` bits change places."""
    return ((word >> width) & mask) | ((word & mask) << width)


def _sources(view: View, die: Array) -> Array:
    """u32[], the points from which a checker may move by `die` (u32[]) alone; none for a die of 0."""
    on_points = _movable(view.mine) & (view.open << die)
    exact = view.mine & (jnp.uint32(1) << die)
    highest = jnp.where(view.mine >> die == 0, _highest(view.mine), np.uint32(0))
    borne_off = _home(view.mine) & (exact | highest)
    return jnp.where(die == 0, np.uint32(0), on_points | borne_off)


def _with_sequel(view: View, by_first: Array, first: Array, by_second: Array, second: Array) -> Array:
    """u32[], those of the points `by_first` after whose move the second die can be played too.

    With two checkers on the bar and no way in by the second die it may be wrong; then there is nothing to choose from
    but the bar and the first.
    """
    single = jnp.where(by_second & (by_second - 1) == 0, by_second, 0) & ~view.many
    another = jnp.where(by_second != 0, by_first & ~single, 0)  # a checker that could move before still can
    onwards = view.open | (_home(view.mine) & 1)  # off the board too
    same = by_first & (onwards << (first + second))  # the checker that has moved moves on
    last = _highest(view.mine) & by_first & ~view.many  # once it is off the bar, or home, others may be free to move
    after = (view.mine ^ last) | ((last >> first) & ~jnp.uint32(1))
    off = (jnp.uint32(1) << second) | jnp.where(after >> second == 0, after, 0)
    freed = (_movable(after) & (view.open << second)) | (_home(after) & after & off)
    return jnp.where((first == 0) | (second == 0), 0, another | same | jnp.where(freed != 0, last, 0))


def _movable(mine: Array) -> Array:
    """The checkers on the bar if there are any, else all."""
    return jnp.where(mine & _ON_BAR != 0, _ON_BAR, mine)


def _home(mine: Array) -> Array:
    """All bits where every checker is home, else none."""
    return jnp.where(mine >> _OUTSIDE == 0, np.uint32(0xFFFFFFFF), np.uint32(0))


def _highest(mine: Array) -> Array:
    """The highest point alone."""
    below = mine
    for width in (1, 2, 4, 8, 16):
        below = below | (below >> width)
    return below ^ (below >> 1)


def pair(number: Array) -> tuple[Array, Array]:
    """The dice number `number` (u32[]) of 1-1, 2-1, 2-2, 3-1 and so on, the larger first."""
    larger = jnp.uint32(1)
    for size in range(1, FACES):
        larger = larger + (number >= size * (size + 1) // 2)
    return larger, number - larger * (larger - 1) // 2 + 1


def rolled(larger: Array, smaller: Array) -> Array:
    """The word of a turn that begins with these dice, White's."""
    doubles = larger == smaller
    return larger | jnp.where(doubles, np.uint32(4 << _LEFT), (1 << _LEFT) | (smaller << _OTHER))


def dice(turn: Array) -> tuple[Array, Array, Array]:
    """(a die, how often it is left, a smaller one), u32[] each; 0 for none."""
    return turn & 7, (turn >> _LEFT) & 7, (turn >> _OTHER) & 7


def are_left(turn: Array) -> Array:
    """bool[], whether a roll, and moves by some of it, can leave these dice."""
    die, left, other = dice(turn)
    alone = (other == 0) & (left >= 1) & (left <= 4)
    both = (other != 0) & (left == 1) & (other < die)
    return jnp.where(die == 0, (left == 0) & (other == 0), (die <= FACES) & (alone | both))


def played(turn: Array, die: Array) -> Array:
    """The turn after a move by `die`; one that is not left, as for a pass, gives up all."""
    first, left, other = dice(turn)
    smaller = jnp.where(other == 0, np.uint32(0), other | (1 << _LEFT))
    by_first = jnp.where(left > 1, turn - (1 << _LEFT), smaller)
    by_other = jnp.where(die == other, first | (1 << _LEFT), np.uint32(0))
    return (jnp.where(die == first, by_first, by_other) & ~BLACK) | (turn & BLACK)


def occupied(counts: Counts) -> Array:
    """u32[], the places with a checker."""
    return counts[0] | counts[1] | counts[2] | counts[3]


def several(counts: Counts) -> Array:
    """u32[], the places with two checkers or more."""
    return counts[1] | counts[2] | counts[3]


def moved(counts: Counts, less: Array, more: Array) -> Counts:
    """One checker fewer on the places in `less` (u32[]), one more on those in `more`, which are others."""
    after = []
    for word in counts:
        after.append(word ^ (less | more))
        less, more = less & ~word, more & word  # what has to borrow, and what is carried
    return after


def count_at(counts: Counts, place: int | np.ndarray) -> Array:
    """u32[...], the number of checkers on each place."""
    return sum((((word >> place) & 1) << power for power, word in enumerate(counts)), jnp.uint32(0))


def total(counts: Counts) -> Array:
    """u32[], the number of checkers on all places."""
    return sum((jax.lax.population_count(word) << power for power, word in enumerate(counts)), jnp.uint32(0))
