"""Breakthrough in five words: a bitboard of two words for each side, and whose turn it is.

The rows lie as White sees them, whoever moves, so that a move has one name and lies in the observation where it lies on
the board. A step is a shift by 7, 8 or 9 bits. The legal actions are a board of squares to leave for each of the three
directions of either side, two words each, and need no further packing.
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

SIDE = 8
SQUARES = SIDE * SIDE
DIRECTIONS = ((1, -1), (1, 0), (1, 1), (-1, -1), (-1, 0), (-1, 1))  # (rows, columns), White's and then Black's
_WORD = 32
_STAYS_WITHIN = {-1: 0xFEFEFEFE, 0: 0xFFFFFFFF, 1: 0x7F7F7F7F}  # the columns from which such a step does
_HOME = 0xFFFF  # two rows of a word
_NEAR, _FAR, _EVERY = np.uint32(0xFF), np.uint32(0xFF << 24), np.uint32(0xFFFFFFFF)  # rows 1, 8, and all of a word
_NAMES = [column + str(row + 1) for row in range(SIDE) for column in "abcdefgh"]

Board = tuple[Array, Array]  # u32[] each: rows 1-4, a1 at bit 0 and b1 at bit 1, and rows 5-8


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BreakthroughState:
    """The pieces of both sides."""

    white_low: Array  # u32[], rows 1-4
    white_high: Array  # u32[], rows 5-8
    black_low: Array  # u32[]
    black_high: Array  # u32[]
    black_turn: Array  # u32[], all bits set where Black is to move, else none


class Breakthrough:
    """Player 0, White, begins from rows 1 and 2; who reaches the far row or takes all pieces wins.

    Action 64 * d + square moves the piece on `square` (8 * row + column) in `DIRECTIONS[d]`: ahead to an empty square,
    or diagonally to a square without a piece of one's own.
    """

    spec = GameSpec(
        env_id="breakthrough",
        version="1.0.0",
        num_players=2,
        num_actions=len(DIRECTIONS) * SQUARES,
        observation_shape=(SIDE, SIDE, 3),
        max_steps=0,
        state_bytes=24,
        preferred_batch=16384,
    )

    def init(self, key: Key) -> BreakthroughState:
        del key  # the start is constant
        none = jnp.uint32(0)
        return BreakthroughState(jnp.uint32(_HOME), none, none, jnp.uint32(_HOME << 16), none)

    def step(self, state: BreakthroughState, action: Array, key: Key) -> Step[BreakthroughState]:
        del key
        direction, square = action >> 6, action & (SQUARES - 1)
        target = square + direction + jnp.where(direction < 3, SIDE - 1, -SIDE - 4)  # 7, 8, 9 and -9, -8, -7
        left, entered = _square(square), _square(target)
        black = state.black_turn != 0
        white_low, white_high = _moved((state.white_low, state.white_high), left, entered, ~black)
        black_low, black_high = _moved((state.black_low, state.black_high), left, entered, black)

        far = (target < SIDE) | (target >= SQUARES - SIDE)
        won = far | (jnp.where(black, white_low | white_high, black_low | black_high) == 0)
        gain = jnp.where(won, jnp.where(black, -1.0, 1.0), 0.0)
        after = BreakthroughState(white_low, white_high, black_low, black_high, ~state.black_turn)
        return Step(after, jnp.stack([gain, 0.0 - gain]), won)

    def observe(self, state: BreakthroughState, player: Array) -> Array:
        """f32[8, 8, 3], row 1 first: the player's pieces, the opponent's, and ones where the player is Black."""
        black = player == 1
        words = (
            jnp.where(black, state.black_low, state.white_low),
            jnp.where(black, state.black_high, state.white_high),
            jnp.where(black, state.white_low, state.black_low),
            jnp.where(black, state.white_high, state.black_high),
            black.astype(jnp.uint32),
        )
        return bits.to_planes(words, _PLANE_BITS).reshape(self.spec.observation_shape)

    def legal_words(self, state: BreakthroughState) -> bits.Words:
        white = state.white_low & ~state.black_turn, state.white_high & ~state.black_turn
        black = state.black_low & state.black_turn, state.black_high & state.black_turn
        not_white = ~state.white_low, ~state.white_high
        not_black = ~state.black_low, ~state.black_high
        empty = not_white[0] & not_black[0], not_white[1] & not_black[1]
        words = []
        for rows, columns in DIRECTIONS:
            pieces, free = (white, not_white) if rows > 0 else (black, not_black)
            low, high = _back(free if columns else empty, rows, columns)
            stays = jnp.uint32(_STAYS_WITHIN[columns])
            words += [pieces[0] & low & stays, pieces[1] & high & stays]
        return tuple(words)

    def player(self, state: BreakthroughState) -> Array:
        return (state.black_turn & 1).astype(jnp.int32)

    def invariants(self, state: BreakthroughState) -> Mapping[str, Array]:
        white, black, turn = (state.white_low, state.white_high), (state.black_low, state.black_high), state.black_turn
        arrived = white[1] & _FAR, black[0] & _NEAR  # White's on the last row, Black's on the first
        gone = white[0] | white[1] == 0, black[0] | black[1] == 0
        was_white = turn != 0  # who moved last
        return {
            "black_turn: neither all bits nor none": (turn == 0) | (turn == _EVERY),
            "white_low, black_low: two pieces on one square": white[0] & black[0] == 0,
            "white_high, black_high: two pieces on one square": white[1] & black[1] == 0,
            "white_low, white_high: more than sixteen pieces": bits.count(white) <= 2 * SIDE,
            "black_low, black_high: more than sixteen pieces": bits.count(black) <= 2 * SIDE,
            "white_high: more on the last row than one piece that has just come": (arrived[0] == 0)
            | (was_white & (bits.popcount(arrived[0]) == 1)),
            "black_low: more on the first row than one piece that has just come": (arrived[1] == 0)
            | (~was_white & (bits.popcount(arrived[1]) == 1)),
            "black_turn: the player who has moved has no piece": ~jnp.where(was_white, *gone),
            "meta: the game goes on though a side has won": (arrived[0] | arrived[1] == 0) & ~gone[0] & ~gone[1],
        }

    def symmetries(self) -> Sequence[Symmetry[BreakthroughState]]:
        """The mirror of left and right."""
        image = []
        for rows, columns in DIRECTIONS:
            mirrored = DIRECTIONS.index((rows, -columns))
            image += [SQUARES * mirrored + (square ^ (SIDE - 1)) for square in range(SQUARES)]
        return [Symmetry(_mirror, tuple(image))]

    def action_label(self, action: int) -> str:
        """The squares it leaves and enters."""
        (rows, columns), square = DIRECTIONS[action // SQUARES], action % SQUARES
        row, column = square // SIDE + rows, square % SIDE + columns
        inside = 0 <= row < SIDE and 0 <= column < SIDE
        return _NAMES[square] + (_NAMES[row * SIDE + column] if inside else " off the board")

    def parse_action(self, text: str) -> int:
        """Reads the squares one after the other; a sign between them, as in d4xe5 or d4-d5, may be there or not."""
        word = text.strip().lower().translate({ord("x"): None, ord("-"): None})
        action = _ACTIONS.get(word)
        if action is None:
            raise ValueError(f"{text!r} is no move; write the squares it leaves and enters, such as d2d3")
        return action

    def draw(self, state: BreakthroughState) -> str:
        names = [_NAMES[SIDE * row : SIDE * row + SIDE] for row in reversed(range(SIDE))]
        return drawing.board_svg(self._cells(state), marks="stones", columns_clickable=False, names=names)

    def text(self, state: BreakthroughState) -> str:
        return drawing.board_text(self._cells(state), "XO", footer="  a b c d e f g h", numbered=True)

    def _cells(self, state: BreakthroughState) -> list[list[int]]:
        """Rows from the top of -1 (empty), 0 or 1 (whose piece)."""
        return drawing.cells_of(self.observe(state, jnp.int32(0))[::-1, :, :2])


_ACTIONS = {Breakthrough().action_label(action): action for action in range(len(DIRECTIONS) * SQUARES)}
_PLANE_BITS = [
    place
    for square in range(SQUARES)
    for place in ((square // _WORD, square % _WORD), (2 + square // _WORD, square % _WORD), (4, 0))
]


def _square(square: Array) -> Board:
    """The board with this square (i32[], 0..63) set."""
    place = square.astype(jnp.uint32)
    bit = jnp.uint32(1) << (place & (_WORD - 1))
    return jnp.where(place < _WORD, bit, 0), jnp.where(place < _WORD, 0, bit)


def _moved(pieces: Board, left: Board, entered: Board, moves: Array) -> Board:
    """A side's pieces after the move: one has gone from `left` to `entered` if it `moves`, or is taken there if not."""
    low = (pieces[0] & ~(left[0] | entered[0])) | jnp.where(moves, entered[0], 0)
    high = (pieces[1] & ~(left[1] | entered[1])) | jnp.where(moves, entered[1], 0)
    return low, high


def _back(board: Board, rows: int, columns: int) -> Board:
    """The squares from which a step leads to the board's; what crosses columns a and h is for the caller to mask."""
    low, high = board
    by = SIDE * rows + columns
    if by > 0:
        return (low >> by) | (high << (_WORD - by)), high >> by
    return low << -by, (high << -by) | (low >> (_WORD + by))


def _mirror(state: BreakthroughState) -> BreakthroughState:
    return BreakthroughState(
        _mirror_rows(state.white_low),
        _mirror_rows(state.white_high),
        _mirror_rows(state.black_low),
        _mirror_rows(state.black_high),
        state.black_turn,
    )


def _mirror_rows(word: Array) -> Array:
    """Each row from right to left."""
    for width, mask in ((4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        word = ((word >> width) & mask) | ((word & mask) << width)
    return word
