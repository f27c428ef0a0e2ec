"""Gomoku on 15 x 15 points in fifteen words, one a row: the mover's stones in the low half, the opponent's in the high.

A line through the rows is an AND of slices, each row shifted by one more, so the whole board is searched for a five
without a loop. A move ends by swapping the halves. The sixteenth bit of the first row, which no stone needs, is swapped
along with the stones and tells whose turn it is.
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
from .labels import parse_label

SIDE = 15
CELLS = SIDE * SIDE
_LENGTH = 5
_HALF = 16
_ROW = np.uint32((1 << SIDE) - 1)
_COLUMN_NAMES = "abcdefghijklmno"
_STARS = ((3, 3), (3, 11), (7, 7), (11, 3), (11, 11))
_STEP, _RADIUS = 32, 14  # of the picture
_STYLE = (
    "<style>.board{fill:#eef1f5}.line{stroke:#8d97a5}.star{fill:#8d97a5}.p0{fill:#d55e00}.p1{fill:#0072b2}"
    ".hit{fill:transparent;cursor:pointer}.word{fill:#3b4350;font:12px sans-serif;text-anchor:middle}"
    "@media(prefers-color-scheme:dark){.board{fill:#262b33}.line{stroke:#5b6573}.star{fill:#5b6573}"
    ".word{fill:#c3cad4}}</style>"
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GomokuState:
    """Row r from the top; column c is bit c for the mover and bit 16 + c for the opponent.

    Bit 15 of the first row is set in player 0's turn, bit 31 in player 1's.
    """

    rows: Array  # u32[15]


class Gomoku:
    """Five or more in a row win (freestyle); a full board is a draw. Player 0 moves first.

    Action 15 * row + column, from the top left, places a stone.
    """

    spec = GameSpec(
        env_id="gomoku",
        version="1.0.0",
        num_players=2,
        num_actions=CELLS,
        observation_shape=(SIDE, SIDE, 2),
        max_steps=0,
        state_bytes=4 * (SIDE + 1),
        preferred_batch=4096,
    )

    def init(self, key: Key) -> GomokuState:
        del key  # the start is constant
        return GomokuState(jnp.zeros((SIDE,), jnp.uint32).at[0].set(np.uint32(1 << SIDE)))

    def step(self, state: GomokuState, action: Array, key: Key) -> Step[GomokuState]:
        del key
        point = action.astype(jnp.uint32)
        row = (point * 4370) >> 16  # point // 15 of a point on the board
        stone = jnp.uint32(1) << (point - SIDE * row)
        rows = state.rows | jnp.where(np.arange(SIDE, dtype=np.uint32) == row, stone, np.uint32(0))
        won = _has_five(rows & _ROW)
        full = (_stones(rows) == _ROW).all()
        gain = jnp.where(won, jnp.where(self.player(state) == 0, 1.0, -1.0), 0.0)
        reward = jnp.stack([gain, 0.0 - gain])
        return Step(GomokuState((rows >> _HALF) | (rows << _HALF)), reward, won | full)

    def observe(self, state: GomokuState, player: Array) -> Array:
        """f32[15, 15, 2]: the player's stones, then the opponent's."""
        mine = jnp.where(self.player(state) == player, state.rows, (state.rows >> _HALF) | (state.rows << _HALF))
        places = np.arange(SIDE, dtype=np.uint32)[:, None] + np.array([0, _HALF], np.uint32)  # [15, 2]
        return ((mine[:, None, None] >> places[None]) & 1).astype(jnp.float32)

    def legal_words(self, state: GomokuState) -> bits.Words:
        empty = ~_stones(state.rows) & _ROW
        words = [jnp.zeros((), jnp.uint32)] * len(bits.full(CELLS))
        for row in range(SIDE):
            word, place = divmod(SIDE * row, bits.WORD_BITS)
            words[word] = words[word] | (empty[row] << place)
            if place + SIDE > bits.WORD_BITS:
                words[word + 1] = words[word + 1] | (empty[row] >> (bits.WORD_BITS - place))
        return tuple(words)

    def player(self, state: GomokuState) -> Array:
        return (state.rows[0] >> 31).astype(jnp.int32)

    def invariants(self, state: GomokuState) -> Mapping[str, Array]:
        own, other = state.rows & _ROW, (state.rows >> _HALF) & _ROW
        turns = state.rows & np.uint32(1 << SIDE | 1 << 31)
        ahead = jnp.sum(bits.popcount(other)) - jnp.sum(bits.popcount(own))
        return {
            "rows: bits beyond the board": (turns[1:] == 0).all(),
            "rows: nobody's turn, or both players'": bits.popcount(turns[0]) == 1,
            "rows: two stones on one point": (own & other == 0).all(),
            "rows: not as many stones of either side as taking turns makes": ahead == self.player(state),
            "rows: five in a row of the player to move": ~_has_five(own),
            "meta: the game goes on after five in a row": ~_has_five(other),
        }

    def symmetries(self) -> Sequence[Symmetry[GomokuState]]:
        """The seven turns and mirrors of a square other than the identity."""
        points = np.arange(CELLS).reshape(SIDE, SIDE)
        views = [np.rot90(board, turns) for board in (points, points.T) for turns in range(4)]
        return [_symmetry(view.reshape(-1)) for view in views[1:]]

    def action_label(self, action: int) -> str:
        return _COLUMN_NAMES[action % SIDE] + str(SIDE - action // SIDE)

    def parse_action(self, text: str) -> int:
        labels = [self.action_label(action) for action in range(CELLS)]
        return parse_label(labels, text, "point", "a column a-o and a row 1-15, such as h8")

    def draw(self, state: GomokuState) -> str:
        return _board_svg(self._cells(state))

    def text(self, state: GomokuState) -> str:
        rows = [" ".join(".XO"[owner + 1] for owner in line) for line in self._cells(state)]
        lines = [f"{SIDE - row:>2} {line}" for row, line in enumerate(rows)]
        return "\n".join([*lines, "   " + " ".join(_COLUMN_NAMES)])

    def _cells(self, state: GomokuState) -> list[list[int]]:
        """Rows from the top of -1 (empty), 0 or 1 (whose stone)."""
        return drawing.cells_of(self.observe(state, jnp.int32(0)))


def _stones(rows: Array) -> Array:
    """u32[15], the points of either colour."""
    return (rows | (rows >> _HALF)) & _ROW


def _has_five(own: Array) -> Array:
    """bool[]: five or more in a line among the stones of u32[15]."""
    starts = SIDE - _LENGTH + 1  # rows in which a line downwards can begin
    along, down, left, right = own, own[:starts], own[:starts], own[:starts]
    for k in range(1, _LENGTH):
        below = own[k : k + starts]
        along = along & (own >> k)
        down, left, right = down & below, left & (below << k), right & (below >> k)
    return (along != 0).any() | ((down | left | right) != 0).any()


def _symmetry(source: np.ndarray) -> Symmetry[GomokuState]:
    """The view in which point i shows what was at `source[i]` (i64[225])."""

    def apply(state: GomokuState) -> GomokuState:
        columns = np.arange(SIDE, dtype=np.uint32)
        turn = state.rows & np.uint32(1 << SIDE | 1 << 31)
        rows = turn
        for half in (0, _HALF):
            stones = (state.rows[:, None] >> (columns + half)[None]) & 1  # u32[15, 15]
            seen = stones.reshape(CELLS)[source].reshape(SIDE, SIDE)
            rows = rows | jnp.sum(seen << (columns + half)[None], axis=1, dtype=jnp.uint32)
        return GomokuState(rows)

    return Symmetry(apply, tuple(np.argsort(source).tolist()))


def _board_svg(cells: Sequence[Sequence[int]]) -> str:
    """Stones on the crossings of lines; player 1's have a ring."""
    side = _STEP * (SIDE + 1)
    near, far = _STEP, _STEP * SIDE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" width="{side}" height="{side}" '
        f'role="img">{_STYLE}<rect class="board" width="{side}" height="{side}" rx="8"/>'
    ]
    for index in range(SIDE):
        at = _at(index)
        parts.append(f'<path class="line" d="M{near} {at}H{far}M{at} {near}V{far}"/>')
        parts.append(f'<text class="word" x="{at}" y="{side - 5}">{_COLUMN_NAMES[index]}</text>')
        parts.append(f'<text class="word" x="10" y="{at + 4}">{SIDE - index}</text>')
    parts += [f'<circle class="star" cx="{_at(column)}" cy="{_at(row)}" r="4"/>' for row, column in _STARS]
    for row, line in enumerate(cells):
        for column, owner in enumerate(line):
            place = f'cx="{_at(column)}" cy="{_at(row)}"'
            if owner >= 0:
                parts.append(f'<circle class="p{owner}" {place} r="{_RADIUS}"/>')
            if owner == 1:
                parts.append(f'<circle {place} r="{_RADIUS // 2}" fill="none" stroke="#fff" stroke-width="2"/>')
            corner = f'x="{_at(column) - _STEP // 2}" y="{_at(row) - _STEP // 2}"'
            target = f'data-action="{row * SIDE + column}" {corner} width="{_STEP}" height="{_STEP}"'
            parts.append(f'<rect class="hit" {target}/>')
    return "".join(parts) + "</svg>"


def _at(index: int) -> int:
    return _STEP * (index + 1)
