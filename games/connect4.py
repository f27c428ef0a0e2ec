"""Connect Four in four words: a bitboard of 49 bits for each side, cut after column d.

Each column is seven bits, six cells from the bottom and a sentinel that stays empty, so that a shift by 1, 6, 7 or 8
moves along one of the four directions of a line and never wraps. The low word holds columns a-d, the high word e-g.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits
from ..engine.game import Step, Symmetry
from ..engine.keys import Key
from ..engine.spec import GameSpec
from . import drawing

ROWS, COLUMNS = 6, 7
_STRIDE = ROWS + 1  # bits from one column to the next
_LOW_COLUMNS = 4
_LOW_BITS = _STRIDE * _LOW_COLUMNS
_DIRECTIONS = (1, _STRIDE - 1, _STRIDE, _STRIDE + 1)
_COLUMN = (1 << _STRIDE) - 1
# The lowest cells of the columns in the low and in the high word
_COLUMNS_OF = [sum(1 << _STRIDE * place for place in range(width)) for width in (_LOW_COLUMNS, COLUMNS - _LOW_COLUMNS)]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Connect4State:
    """Discs of the player to move and of the opponent."""

    own_low: Array  # u32[], columns a-d
    own_high: Array  # u32[], columns e-g
    other_low: Array  # u32[]
    other_high: Array  # u32[]


class Connect4:
    """Four in a row on six rows of seven columns; player 0 moves first. Action c drops a disc into column c."""

    spec = GameSpec(
        env_id="connect4",
        version="1.0.0",
        num_players=2,
        num_actions=COLUMNS,
        observation_shape=(ROWS, COLUMNS, 2),
        max_steps=0,
        state_bytes=20,
        preferred_batch=16384,
    )

    def init(self, key: Key) -> Connect4State:
        del key  # the start is constant
        empty = jnp.uint32(0)
        return Connect4State(empty, empty, empty, empty)

    def step(self, state: Connect4State, action: Array, key: Key) -> Step[Connect4State]:
        del key
        column = action.astype(jnp.uint32)
        in_low = column < _LOW_COLUMNS
        bottom = jnp.uint32(1) << (_STRIDE * jnp.where(in_low, column, column - _LOW_COLUMNS))
        all_low, all_high = state.own_low | state.other_low, state.own_high | state.other_high
        # Adding the column's lowest bit carries through its discs to the first empty cell.
        low = state.own_low | ((all_low + jnp.where(in_low, bottom, 0)) & ~all_low)
        high = state.own_high | ((all_high + jnp.where(in_low, 0, bottom)) & ~all_high)

        won = _has_four(low, high)
        full = bits.popcount(all_low) + bits.popcount(all_high) == ROWS * COLUMNS - 1
        gain = jnp.where(won, jnp.where(self.player(state) == 0, 1.0, -1.0), 0.0)
        reward = jnp.stack([gain, 0.0 - gain])
        return Step(Connect4State(state.other_low, state.other_high, low, high), reward, won | full)

    def observe(self, state: Connect4State, player: Array) -> Array:
        """f32[6, 7, 2], top row first: the player's discs, then the opponent's."""
        mover = self.player(state) == player
        words = (
            jnp.where(mover, state.own_low, state.other_low),
            jnp.where(mover, state.own_high, state.other_high),
            jnp.where(mover, state.other_low, state.own_low),
            jnp.where(mover, state.other_high, state.own_high),
        )
        return bits.to_planes(words, _PLANE_BITS).reshape(self.spec.observation_shape)

    def legal_words(self, state: Connect4State) -> bits.Words:
        low, high = _open_columns(state.own_low | state.other_low), _open_columns(state.own_high | state.other_high)
        return ((low | (high << _LOW_COLUMNS)) & ((1 << COLUMNS) - 1),)

    def player(self, state: Connect4State) -> Array:
        low, high = state.own_low | state.other_low, state.own_high | state.other_high
        return (bits.popcount(low) + bits.popcount(high)) & 1

    def invariants(self, state: Connect4State) -> Mapping[str, Array]:
        own, other = (state.own_low, state.own_high), (state.other_low, state.other_high)
        ahead = bits.count(other) - bits.count(own)
        claims = {}
        for name, mine, theirs, columns in zip(("low", "high"), own, other, _COLUMNS_OF, strict=True):
            discs, cells = mine | theirs, np.uint32(columns * ((1 << ROWS) - 1))
            claims |= {
                f"own_{name}: bits beyond the board": mine & ~cells == 0,
                f"other_{name}: bits beyond the board": theirs & ~cells == 0,
                f"own_{name}, other_{name}: two discs in one cell": mine & theirs == 0,
                f"own_{name}, other_{name}: a disc hangs in the air": (discs + np.uint32(columns)) & discs == 0,
            }
        return claims | {
            "own_low, own_high, other_low, other_high: not as many discs of either side as taking turns makes": (
                (ahead == 0) | (ahead == 1)
            ),
            "own_low, own_high: four in a row of the player to move": ~_has_four(*own),
            "meta: the game goes on after four in a row": ~_has_four(*other),
        }

    def symmetries(self) -> Sequence[Symmetry[Connect4State]]:
        """The mirror of left and right."""
        return [Symmetry(_mirror, tuple(reversed(range(COLUMNS))))]

    def action_label(self, action: int) -> str:
        return str(action + 1)

    def parse_action(self, text: str) -> int:
        if text.strip() not in [self.action_label(action) for action in range(COLUMNS)]:
            raise ValueError(f"{text!r} is no column; write a number from 1 to {COLUMNS}")
        return int(text) - 1

    def draw(self, state: Connect4State) -> str:
        return drawing.board_svg(self._cells(state), marks="discs", columns_clickable=True)

    def text(self, state: Connect4State) -> str:
        return drawing.board_text(self._cells(state), "XO", footer="1 2 3 4 5 6 7", numbered=False)

    def _cells(self, state: Connect4State) -> list[list[int]]:
        """Rows from the top of -1 (empty), 0 or 1 (whose disc)."""
        return drawing.cells_of(self.observe(state, jnp.int32(0)))


def _place(column: int, height: int) -> tuple[int, int]:
    """(word, bit) of a cell; word 0 is low, 1 is high."""
    word, place = divmod(column, _LOW_COLUMNS)
    return word, _STRIDE * place + height


_PLANE_BITS = [
    (2 * side + word, bit)
    for row in range(ROWS)
    for column in range(COLUMNS)
    for side in (0, 1)
    for word, bit in [_place(column, ROWS - 1 - row)]
]


def _open_columns(discs: Array) -> Array:
    """Bit c is set where column c of a word has room, for c in 0..3."""
    tops = ~(discs >> (ROWS - 1)) & sum(1 << (_STRIDE * c) for c in range(_LOW_COLUMNS))
    for c in range(1, _LOW_COLUMNS):
        tops = tops | (tops >> ((_STRIDE - 1) * c))
    return tops & ((1 << _LOW_COLUMNS) - 1)


def _has_four(low: Array, high: Array) -> Array:
    """bool[]: some line of four is complete."""
    won = jnp.zeros((), jnp.uint32)
    for shift in _DIRECTIONS:
        pair_low, pair_high = low & _down(low, high, shift), high & (high >> shift)
        won = won | (pair_low & _down(pair_low, pair_high, 2 * shift)) | (pair_high & (pair_high >> (2 * shift)))
    return won != 0


def _down(low: Array, high: Array, shift: int) -> Array:
    """The low word of the 49-bit board shifted down; bits above 28 are garbage, which an AND with a board clears."""
    return (low >> shift) | (high << (_LOW_BITS - shift))


def _mirror(state: Connect4State) -> Connect4State:
    own_low, own_high = _mirror_board(state.own_low, state.own_high)
    other_low, other_high = _mirror_board(state.other_low, state.other_high)
    return Connect4State(own_low, own_high, other_low, other_high)


def _mirror_board(low: Array, high: Array) -> tuple[Array, Array]:
    """Swaps column c with column 6 - c: four columns of the low word, three of the high."""
    columns = [(low >> (_STRIDE * c)) & _COLUMN for c in range(_LOW_COLUMNS)]
    columns += [(high >> (_STRIDE * c)) & _COLUMN for c in range(COLUMNS - _LOW_COLUMNS)]
    words = [jnp.zeros((), jnp.uint32), jnp.zeros((), jnp.uint32)]
    for column, board in enumerate(reversed(columns)):
        word, bit = _place(column, 0)
        words[word] = words[word] | (board << bit)
    return words[0], words[1]
