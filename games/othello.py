"""Othello in four words: the mover's discs and all discs, rows 1, 3, 5, 7 in one word and rows 2, 4, 6, 8 in the other.

With neighbouring rows in different words a board moves by one row, or by two, without carrying bits from word to word.
The four cells in the middle are never empty, so one of them says nothing in the board of all discs: its bit there holds
whose turn it is.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import Array

from ..engine import bits
from ..engine.game import Step, Symmetry
from ..engine.keys import Key
from ..engine.spec import GameSpec
from . import drawing
from .labels import parse_label

SIDE = 8
CELLS = SIDE * SIDE
PASS = CELLS
_DIRECTIONS = tuple((rows, columns) for rows in (-1, 0, 1) for columns in (-1, 0, 1) if rows or columns)
_INNER_COLUMNS = 0x7E7E7E7E  # b-g: no run that goes on to a next cell has a cell in column a or h, but upright ones
_D4, _E4, _D5, _E5 = 1 << 11, 1 << 12, 1 << 19, 1 << 20  # row 4 is in the second word, row 5 in the first
_TURN = _D4  # in the board of all discs

Board = tuple[Array, Array]  # u32[] each: rows 1, 3, 5, 7, a byte each from a1 at bit 0, and rows 2, 4, 6, 8


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OthelloState:
    """Discs of the player to move and of both; the bit of d4 in `all_even` is set where player 0 is to move."""

    own_odd: Array  # u32[], rows 1, 3, 5, 7
    own_even: Array  # u32[], rows 2, 4, 6, 8
    all_odd: Array  # u32[]
    all_even: Array  # u32[]


class Othello:
    """Player 0 has the dark discs and begins. Action 8 * row + column places a disc, 64 passes.

    Who has no move must pass and nobody else may. The game ends as soon as neither side has a move; more discs win.
    """

    spec = GameSpec(
        env_id="othello",
        version="1.0.0",
        num_players=2,
        num_actions=CELLS + 1,
        observation_shape=(SIDE, SIDE, 2),
        max_steps=0,
        state_bytes=20,
        preferred_batch=16384,
    )

    def init(self, key: Key) -> OthelloState:
        del key  # the start is constant
        dark, light = (_D5, _E4), (_E5, _D4)
        return OthelloState(*map(jnp.uint32, (*dark, dark[0] | light[0], dark[1] | light[1] | _TURN)))

    def step(self, state: OthelloState, action: Array, key: Key) -> Step[OthelloState]:
        del key
        own, other = _sides(state)
        placed = _cell(action)
        turned = _turned(own, other, placed)
        own = own[0] | placed[0] | turned[0], own[1] | placed[1] | turned[1]
        other = other[0] & ~turned[0], other[1] & ~turned[1]

        over = ~_someone_can_move(other, own)
        player = self.player(state)
        lead = bits.count(own) - bits.count(other)
        lead = jnp.where(player == 0, lead, -lead)
        gain = jnp.where(over, jnp.sign(lead).astype(jnp.float32), 0.0)
        return Step(_state(other, own, 1 - player), jnp.stack([gain, 0.0 - gain]), over)

    def observe(self, state: OthelloState, player: Array) -> Array:
        """f32[8, 8, 2], row 1 first: the player's discs, then the opponent's."""
        own, other = _sides(state)
        mover = self.player(state) == player
        words = (
            *(jnp.where(mover, mine, theirs) for mine, theirs in zip(own, other, strict=True)),
            *(jnp.where(mover, theirs, mine) for mine, theirs in zip(own, other, strict=True)),
        )
        return bits.to_planes(words, _PLANE_BITS).reshape(self.spec.observation_shape)

    def legal_words(self, state: OthelloState) -> bits.Words:
        odd, even = _moves(*_sides(state))
        return *_in_order(odd, even), ((odd | even) == 0).astype(jnp.uint32)

    def player(self, state: OthelloState) -> Array:
        return ((state.all_even & _TURN) == 0).astype(jnp.int32)

    def invariants(self, state: OthelloState) -> Mapping[str, Array]:
        return {
            "own_odd: a disc that all_odd lacks": state.own_odd & ~state.all_odd == 0,
            "own_even: a disc that all_even lacks": state.own_even & ~(state.all_even | _TURN) == 0,
            "all_odd: d5 or e5 is empty": state.all_odd & (_D5 | _E5) == _D5 | _E5,
            "all_even: e4 is empty": state.all_even & _E4 == _E4,
            "meta: the game goes on though neither side has a move": _someone_can_move(*_sides(state)),
        }

    def symmetries(self) -> Sequence[Symmetry[OthelloState]]:
        """The seven turns and mirrors of the board; some swap the colours of the start, none changes the rules."""
        return [_symmetry(*kind) for kind in itertools.product((False, True), repeat=3) if any(kind)]

    def action_label(self, action: int) -> str:
        return "pass" if action == PASS else "abcdefgh"[action % SIDE] + str(action // SIDE + 1)

    def parse_action(self, text: str) -> int:
        labels = [self.action_label(action) for action in range(CELLS + 1)]
        return parse_label(labels, text, "move", "a column a-h and a row 1-8, such as d3, or pass")

    def draw(self, state: OthelloState) -> str:
        return drawing.board_svg(self._cells(state), marks="stones", columns_clickable=False, pass_action=PASS)

    def text(self, state: OthelloState) -> str:
        rows = [" ".join(".XO"[owner + 1] for owner in row) for row in self._cells(state)]
        return "\n".join(["  a b c d e f g h", *(f"{number + 1} {row}" for number, row in enumerate(rows))])

    def _cells(self, state: OthelloState) -> list[list[int]]:
        """Rows from the top of -1 (empty), 0 or 1 (whose disc)."""
        return drawing.cells_of(self.observe(state, jnp.int32(0)))


_PLANE_BITS = [
    (2 * side + row % 2, row // 2 * SIDE + column) for row in range(SIDE) for column in range(SIDE) for side in (0, 1)
]


def _sides(state: OthelloState) -> tuple[Board, Board]:
    """The boards of the mover and of the opponent."""
    own = state.own_odd, state.own_even
    return own, (state.all_odd & ~own[0], (state.all_even | _TURN) & ~own[1])


def _state(own: Board, other: Board, player: Array) -> OthelloState:
    """The state in which `player` (i32[]) is to move."""
    turn = jnp.where(player == 0, jnp.uint32(_TURN), jnp.uint32(0))
    return OthelloState(*own, own[0] | other[0], ((own[1] | other[1]) & ~jnp.uint32(_TURN)) | turn)


def _cell(action: Array) -> Board:
    """The board with one disc, or with none for a pass."""
    cell = action.astype(jnp.uint32)
    row, column = cell >> 3, cell & (SIDE - 1)
    bit = jnp.where(cell < CELLS, jnp.uint32(1), 0) << (((row >> 1) & 3) * SIDE + column)
    return jnp.where(row & 1 == 0, bit, 0), jnp.where(row & 1 == 0, 0, bit)


def _in_order(odd: Array, even: Array) -> Board:
    """A board's cells as they are numbered, 0..31 and 32..63: bytes 0 1 2 3 and 4 5 6 7 of 0 2 4 6 and 1 3 5 7."""
    exchanged = ((odd >> 16) ^ even) & 0xFFFF
    return _swap(odd ^ (exchanged << 16), 8, 0x0000FF00), _swap(even ^ exchanged, 8, 0x0000FF00)


def _moves(own: Board, other: Board) -> Board:
    """Empty cells from which a run of the opponent's discs leads to one of the mover's."""
    odd, even = jnp.zeros((), jnp.uint32), jnp.zeros((), jnp.uint32)
    for direction in _DIRECTIONS:
        ends = _shift(_fill(own, _inner(other, direction), direction), direction)
        odd, even = odd | ends[0], even | ends[1]
    return odd & ~(own[0] | other[0]), even & ~(own[1] | other[1])


def _turned(own: Board, other: Board, placed: Board) -> Board:
    """Discs between the one placed and the mover's: in a run from the one and, the other way, in a run from the others.

    The fills from the mover's discs are those of `_moves`, so a step that asks for legal moves too has them for free.
    """
    odd, even = jnp.zeros((), jnp.uint32), jnp.zeros((), jnp.uint32)
    for rows, columns in _DIRECTIONS:
        through = _inner(other, (rows, columns))
        ahead, back = _fill(placed, through, (rows, columns)), _fill(own, through, (-rows, -columns))
        odd, even = odd | (ahead[0] & back[0]), even | (ahead[1] & back[1])
    return odd, even


def _someone_can_move(own: Board, other: Board) -> Array:
    """bool[]: a run of discs of both colours, in some direction, ends at an empty cell. One search for both sides."""
    discs = own[0] | other[0], own[1] | other[1]
    odd, even = jnp.zeros((), jnp.uint32), jnp.zeros((), jnp.uint32)
    for direction in _DIRECTIONS:
        through = _inner(discs, direction)
        own_before, before = _shift(own, direction), _shift(discs, direction)
        changed = [
            here & last & (mine ^ mine_last)
            for here, last, mine, mine_last in zip(through, before, own, own_before, strict=True)
        ]
        ends = _shift(_extend((changed[0], changed[1]), through, direction), direction)
        odd, even = odd | ends[0], even | ends[1]
    return ((odd & ~discs[0]) | (even & ~discs[1])) != 0


def _fill(start: Board, through: Board, direction: tuple[int, int]) -> Board:
    """Cells of `through` that an unbroken run of such cells joins to a cell of `start` behind them."""
    odd, even = _shift(start, direction)
    return _extend((odd & through[0], even & through[1]), through, direction)


def _extend(cells: Board, through: Board, direction: tuple[int, int]) -> Board:
    """`cells` and up to five more cells of `through` ahead of each: one more, two more, two more."""
    odd, even = _shift(cells, direction)
    odd, even = cells[0] | (odd & through[0]), cells[1] | (even & through[1])
    pairs = _shift(through, direction)
    pairs = pairs[0] & through[0], pairs[1] & through[1]
    by = SIDE * direction[0] + 2 * direction[1]  # two rows on is the next byte of the same word
    for _ in range(2):
        odd, even = odd | (_shifted(odd, by) & pairs[0]), even | (_shifted(even, by) & pairs[1])
    return odd, even


def _inner(board: Board, direction: tuple[int, int]) -> Board:
    """The discs beyond which a line in this direction goes on without leaving its side of the board."""
    return board if direction[1] == 0 else (board[0] & _INNER_COLUMNS, board[1] & _INNER_COLUMNS)


def _shift(board: Board, direction: tuple[int, int]) -> Board:
    """The board moved on by one cell; what crosses from column h to a or back is for the caller to mask."""
    rows, columns = direction
    odd, even = board
    if rows == 0:
        return _shifted(odd, columns), _shifted(even, columns)
    if rows > 0:
        return _shifted(even, SIDE + columns), _shifted(odd, columns)
    return _shifted(even, columns), _shifted(odd, columns - SIDE)


def _shifted(word: Array, by: int) -> Array:
    """The word shifted up, or down where `by` is negative."""
    return word << by if by > 0 else word >> -by if by else word


def _symmetry(transposed: bool, flipped: bool, mirrored: bool) -> Symmetry[OthelloState]:
    def turned(board: Board) -> Board:
        odd, even = _transpose(*board) if transposed else board
        odd, even = (_flip(even), _flip(odd)) if flipped else (odd, even)
        return (_mirror(odd), _mirror(even)) if mirrored else (odd, even)

    def apply(state: OthelloState) -> OthelloState:
        own, other = _sides(state)
        return _state(turned(own), turned(other), ((state.all_even & _TURN) == 0).astype(jnp.int32))

    def image(cell: int) -> int:
        row, column = divmod(cell, SIDE)[:: -1 if transposed else 1]
        return (SIDE - 1 - row if flipped else row) * SIDE + (SIDE - 1 - column if mirrored else column)

    return Symmetry(apply, (*(image(cell) for cell in range(CELLS)), PASS))


def _flip(word: Array) -> Array:
    """Four rows in reverse order."""
    word = ((word >> 8) & 0x00FF00FF) | ((word & 0x00FF00FF) << 8)
    return (word >> 16) | (word << 16)


def _mirror(word: Array) -> Array:
    """Each row from right to left."""
    for width, mask in ((4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        word = ((word >> width) & mask) | ((word & mask) << width)
    return word


def _transpose(odd: Array, even: Array) -> Board:
    """Rows become columns: the binary digits of a cell's column change places with those of its row, one by one."""
    exchanged = ((odd >> 1) ^ even) & 0x55555555
    odd, even = odd ^ (exchanged << 1), even ^ exchanged
    odd, even = _swap(odd, 6, 0x00CC00CC), _swap(even, 6, 0x00CC00CC)
    return _swap(odd, 12, 0x0000F0F0), _swap(even, 12, 0x0000F0F0)


def _swap(word: Array, distance: int, mask: int) -> Array:
    """Swaps the bits of `mask` with those `distance` above them."""
    different = (word ^ (word >> distance)) & mask
    return word ^ different ^ (different << distance)
