"""Tic-tac-toe in one word: nine bits of the mover's marks, nine of the opponent's."""

import dataclasses
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

SIDE = 3
CELLS = SIDE * SIDE
_LINES = (0b111, 0b111000, 0b111000000, 0b1001001, 0b10010010, 0b100100100, 0b100010001, 0b1010100)
_FULL = (1 << CELLS) - 1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TicTacToeState:
    """Cell i (row major, from the top left) is bit i for the mover and bit 9 + i for the opponent."""

    marks: Array  # u32[]


class TicTacToe:
    """Three in a row on three by three; player 0 moves first."""

    spec = GameSpec(
        env_id="tictactoe",
        version="1.0.0",
        num_players=2,
        num_actions=CELLS,
        observation_shape=(SIDE, SIDE, 2),
        max_steps=0,
        state_bytes=8,
    )

    def init(self, key: Key) -> TicTacToeState:
        del key  # the start is constant
        return TicTacToeState(jnp.uint32(0))

    def step(self, state: TicTacToeState, action: Array, key: Key) -> Step[TicTacToeState]:
        del key
        own = (state.marks & _FULL) | (jnp.uint32(1) << action.astype(jnp.uint32))
        other = state.marks >> CELLS
        won = _has_line(own)
        full = (own | other) == _FULL
        gain = jnp.where(won, jnp.where(self.player(state) == 0, 1.0, -1.0), 0.0)
        reward = jnp.stack([gain, 0.0 - gain])
        return Step(TicTacToeState(other | (own << CELLS)), reward, won | full)

    def observe(self, state: TicTacToeState, player: Array) -> Array:
        """f32[3, 3, 2]: the player's marks, then the opponent's."""
        own, other = _sides(state, self.player(state) == player)
        cells = range(CELLS)
        planes = bits.to_planes((own, other), [(side, cell) for cell in cells for side in (0, 1)])
        return planes.reshape(self.spec.observation_shape)

    def legal_words(self, state: TicTacToeState) -> bits.Words:
        return (~(state.marks | (state.marks >> CELLS)) & _FULL,)

    def player(self, state: TicTacToeState) -> Array:
        return bits.popcount(state.marks) & 1

    def invariants(self, state: TicTacToeState) -> Mapping[str, Array]:
        own, other = state.marks & _FULL, (state.marks >> CELLS) & _FULL
        ahead = bits.popcount(other) - bits.popcount(own)
        return {
            "marks: bits beyond the board": state.marks >> (2 * CELLS) == 0,
            "marks: two marks on one cell": (own & other) == 0,
            "marks: not as many of either side as taking turns makes": (ahead == 0) | (ahead == 1),
            "marks: a line of three of the player to move": ~_has_line(own),
            "meta: the game goes on after a line of three": ~_has_line(other),
        }

    def symmetries(self) -> Sequence[Symmetry[TicTacToeState]]:
        """The seven turns and mirrors of a square other than the identity."""
        return [_symmetry(cells) for cells in _SQUARE]

    def action_label(self, action: int) -> str:
        return "abc"[action % SIDE] + str(SIDE - action // SIDE)

    def parse_action(self, text: str) -> int:
        labels = [self.action_label(action) for action in range(CELLS)]
        return parse_label(labels, text, "cell", "a column a-c and a row 1-3, such as b2")

    def draw(self, state: TicTacToeState) -> str:
        return drawing.board_svg(self._cells(state), marks="xo", columns_clickable=False)

    def text(self, state: TicTacToeState) -> str:
        return drawing.board_text(self._cells(state), "XO", footer="  a b c", numbered=True)

    def _cells(self, state: TicTacToeState) -> list[list[int]]:
        """Rows from the top of -1 (empty), 0 or 1 (whose mark)."""
        return drawing.cells_of(self.observe(state, jnp.int32(0)))


def _has_line(marks: Array) -> Array:
    """bool[]: some line of three is complete."""
    won = jnp.zeros((), bool)
    for line in _LINES:
        won = won | ((marks & line) == line)
    return won


def _sides(state: TicTacToeState, mover: Array) -> tuple[Array, Array]:
    """(own, other) marks as seen by the mover, or by the opponent where `mover` is False."""
    own, other = state.marks & _FULL, state.marks >> CELLS
    return jnp.where(mover, own, other), jnp.where(mover, other, own)


def _square_maps() -> list[tuple[int, ...]]:
    """Cell permutations (cell -> its image) of the square's symmetries without the identity."""
    maps = []
    for mirrored in (False, True):
        for turns in range(4):
            image = []
            for cell in range(CELLS):
                row, column = divmod(cell, SIDE)
                if mirrored:
                    column = SIDE - 1 - column
                for _ in range(turns):
                    row, column = column, SIDE - 1 - row
                image.append(row * SIDE + column)
            maps.append(tuple(image))
    return maps[1:]


_SQUARE = _square_maps()


def _symmetry(image: tuple[int, ...]) -> Symmetry[TicTacToeState]:
    def apply(state: TicTacToeState) -> TicTacToeState:
        marks = jnp.zeros((), jnp.uint32)
        for cell, target in enumerate(image):
            for side in (0, CELLS):
                marks = marks | (((state.marks >> (cell + side)) & 1) << (target + side))
        return TicTacToeState(marks)

    return Symmetry(apply, image)
