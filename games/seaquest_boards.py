"""Boards of lanes: sets of the 80 cells in which Seaquest's creatures live, in three words.

Lane l (1 to 8) and column c are bit 10 * ((l - 1) % 3) + c of word (l - 1) // 3: three lanes of ten cells fill a word,
so that a shift by one moves all that swims in them.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array

from .arcade import SIDE

ROW = (1 << SIDE) - 1
FIRST_COLUMN = 1 | (1 << SIDE) | (1 << 2 * SIDE)  # of a word
_ALL = ROW * FIRST_COLUMN
_CELLS = np.uint32(_ALL), np.uint32(_ALL), np.uint32(_ALL >> SIDE)
_NOT_FIRST, _NOT_LAST = np.uint32(_ALL & ~FIRST_COLUMN), np.uint32(_ALL & ~(FIRST_COLUMN << (SIDE - 1)))

Board = tuple[Array, Array, Array]  # u32[] each


def empty() -> Board:
    return (jnp.uint32(0),) * 3


def map_words(function: Callable[..., Array], *boards: Board) -> Board:
    """`function` of the first words, of the second and of the third."""
    first, second, third = (function(*words) for words in zip(*boards, strict=True))
    return first, second, third


def common(a: Board, b: Board) -> Board:
    return map_words(jnp.bitwise_and, a, b)


def without(board: Board, gone: Board) -> Board:
    return map_words(lambda word, other: word & ~other, board, gone)


def union(*boards: Board) -> Board:
    def join(word: Array, *others: Array) -> Array:
        for other in others:
            word = word | other
        return word

    return map_words(join, *boards)


def touch(a: Board, b: Board) -> Array:
    """bool[], whether a cell is on both boards."""
    return (a[0] & b[0]) | (a[1] & b[1]) | (a[2] & b[2]) != 0


def within(board: Board) -> Array:
    """bool[], whether no bit beyond the 80 cells is set."""
    beyond = [word & ~cells for word, cells in zip(board, _CELLS, strict=True)]
    return beyond[0] | beyond[1] | beyond[2] == 0


def lanes_of(flags: Array) -> Board:
    """All cells of the lanes 1 to 8 whose bits (0 to 7) are set."""
    first, second, third = (
        (((flags >> low) & 1) | (((flags >> low) & 2) << 9) | (((flags >> low) & 4) << 18)) * ROW for low in (0, 3, 6)
    )
    return first, second, third & ((1 << 2 * SIDE) - 1)


def to_right(word: Array) -> Array:
    """One cell on in every lane of a word; what leaves the board is gone."""
    return (word << 1) & _NOT_FIRST


def to_left(word: Array) -> Array:
    return (word >> 1) & _NOT_LAST


def swum(board: Board, rightward: Board) -> Board:
    """Everything one cell on, to the right in the lanes of `rightward` and to the left in the others."""
    return map_words(lambda word, right: to_right(word & right) | to_left(word & ~right), board, rightward)


def where(chosen: Array, new: Board, old: Board) -> Board:
    return map_words(lambda a, b: jnp.where(chosen, a, b), new, old)


def reverse_rows(word: Array) -> Array:
    """Each row of ten from right to left: the halves change places, then the cells around the middle of each half."""
    low = 0b11111 * FIRST_COLUMN
    word = ((word >> 5) & low) | ((word & low) << 5)
    outer, inner, middle = (mask * (FIRST_COLUMN | (FIRST_COLUMN << 5)) for mask in (0b1, 0b10, 0b100))
    outer_swapped = ((word >> 4) & outer) | ((word & outer) << 4)
    return outer_swapped | ((word >> 2) & inner) | ((word & inner) << 2) | (word & middle)
