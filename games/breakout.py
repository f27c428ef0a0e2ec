"""Breakout in two words: thirty bricks, and the ball, its trail and the paddle in packed fields.

The ball goes along diagonals. Which of the four is a number whose bit 1 says down; turning back sideways, upside down
or altogether changes it by an exclusive or with 1, 3 or 2.
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
from . import arcade
from .arcade import SIDE, Thing
from .labels import parse_label

STAY, LEFT, RIGHT = range(3)
_LABELS = ("stay", "left", "right")
_BRICK_ROWS = 3  # below an empty row
_BRICKS = (1 << (_BRICK_ROWS * SIDE)) - 1
_FIRST_COLUMN = 1 | (1 << SIDE) | (1 << 2 * SIDE)  # of the bricks
_FLOOR = SIDE - 1  # the row of the paddle
_PADDLE_START, _BALL_START = 4, 3
_DOWN_RIGHT, _DOWN_LEFT = 2, 3  # up left is 0, up right 1
_SIDEWAYS, _BACK, _UPSIDE = 1, 2, 3  # what turns a direction

_ROW, _COLUMN, _CHANNEL = arcade.places(4)
_CELL = SIDE * _ROW + _COLUMN

_X, _Y, _LAST_X, _LAST_Y, _PADDLE, _DIRECTION, _INSIDE = 0, 4, 8, 12, 16, 20, 22  # where the fields begin


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BreakoutState:
    """Rows and columns count from the upper left corner."""

    bricks: Array  # u32[], bit 10 * (row - 1) + column for rows 1-3
    ball: (
        Array  # u32[], nibbles: its column and row, those before, the paddle's column; its direction; 1 inside a brick
    )


class Breakout:
    """One player. A broken brick gives 1; the game is over when the paddle misses the ball.

    The ball comes from the left or from the right. A brick throws it back to the row it came from; while it passes
    through bricks it breaks none. When all are broken, new ones come as the ball next reaches the floor.
    """

    spec = GameSpec(
        env_id="breakout",
        version="1.0.0",
        num_players=1,
        num_actions=3,
        observation_shape=(SIDE, SIDE, 4),
        max_steps=1000,
        state_bytes=20,
        num_chance_outcomes=1,
        preferred_batch=16384,
        stochastic=True,
    )

    def init(self, key: Key) -> BreakoutState:
        return self.start((key[0] >> 31).astype(jnp.int32))

    def start_outcomes(self) -> Array:
        return jnp.full((2,), 0.5)

    def start(self, outcome: Array) -> BreakoutState:
        """The ball starts at the left wall (0) or at the right one (1)."""
        right = outcome.astype(jnp.uint32)
        x, y = (SIDE - 1) * right, jnp.uint32(_BALL_START)
        ball = _packed(x, y, x, y, jnp.uint32(_PADDLE_START), _DOWN_RIGHT + right, jnp.uint32(0))
        return BreakoutState(jnp.uint32(_BRICKS), ball)

    def step(self, state: BreakoutState, action: Array, key: Key) -> Step[BreakoutState]:
        del key  # chance has its say at the start alone
        return self.apply_chance(self.afterstate(state, action), jnp.int32(0))

    def afterstate(self, state: BreakoutState, action: Array) -> Step[BreakoutState]:
        """The whole step, since nothing is left to chance."""
        paddle, old_x, old_y = (_field(state.ball, place) for place in (_PADDLE, _X, _Y))
        paddle = paddle - ((action == LEFT) & (paddle > 0)) + ((action == RIGHT) & (paddle < SIDE - 1))
        direction, x, y = _flown((state.ball >> _DIRECTION) & 3, old_x, old_y)

        number = y * SIDE + x - SIDE  # of a brick, if in range: above the bricks it is less than none and wraps
        inside = (number < _BRICK_ROWS * SIDE) & ((state.bricks >> (number & 31)) & 1 != 0)
        broken = inside & ((state.ball >> _INSIDE) == 0)
        bricks = state.bricks & ~jnp.where(broken, jnp.uint32(1) << (number & 31), 0)

        lands = y == _FLOOR
        bricks = jnp.where(lands & (bricks == 0), np.uint32(_BRICKS), bricks)
        straight, ahead = old_x == paddle, x == paddle  # the paddle is below the ball, or where the ball goes
        turn = jnp.where(straight, np.uint32(_UPSIDE), jnp.where(ahead, np.uint32(_BACK), np.uint32(0)))
        turn = jnp.where(lands, turn, jnp.where(broken, np.uint32(_UPSIDE), np.uint32(0)))
        y = jnp.where(turn != 0, old_y, y)
        ball = _packed(x, y, old_x, old_y, paddle, direction ^ turn, inside.astype(jnp.uint32))
        gain = jnp.where(broken, 1.0, 0.0)
        return Step(BreakoutState(bricks, ball), jnp.stack([gain]), lands & (turn == 0))

    def chance_outcomes(self, after: Step[BreakoutState]) -> Array:
        del after
        return jnp.ones((1,))

    def apply_chance(self, after: Step[BreakoutState], outcome: Array) -> Step[BreakoutState]:
        del outcome
        return after

    def observe(self, state: BreakoutState, player: Array) -> Array:
        """f32[10, 10, 4]: the paddle, the ball, where the ball was, the bricks."""
        del player
        paddle = _FLOOR * SIDE + _field(state.ball, _PADDLE)
        ball = _field(state.ball, _Y) * SIDE + _field(state.ball, _X)
        trail = _field(state.ball, _LAST_Y) * SIDE + _field(state.ball, _LAST_X)
        shown = jnp.where(_CHANNEL == 0, paddle, jnp.where(_CHANNEL == 1, ball, trail)) == _CELL  # bool[400]
        number = _CELL - SIDE
        bricks = ((state.bricks >> (number & 31)) & (number < _BRICK_ROWS * SIDE)) == 1
        planes = jnp.where(_CHANNEL == 3, bricks, shown)
        return planes.astype(jnp.float32).reshape(self.spec.observation_shape)

    def legal_words(self, state: BreakoutState) -> bits.Words:
        return (jnp.full_like(state.ball, 0b111),)

    def player(self, state: BreakoutState) -> Array:
        return (state.ball & 0).astype(jnp.int32)

    def invariants(self, state: BreakoutState) -> Mapping[str, Array]:
        x, y, last_x, last_y, paddle = (_field(state.ball, place) for place in (_X, _Y, _LAST_X, _LAST_Y, _PADDLE))
        inside = state.ball >> _INSIDE
        rests = (x == last_x) & (x != 0) & (x != SIDE - 1)
        return {
            "bricks: bits beyond the three rows": state.bricks & ~np.uint32(_BRICKS) == 0,
            "ball: unused bits": inside <= 1,
            "ball: it is, or was, beyond the screen": (x < SIDE) & (y < SIDE) & (last_x < SIDE) & (last_y < _FLOOR),
            "ball: the paddle is beyond the screen": paddle < SIDE,
            "ball: it has gone more than a cell": (x - last_x + 1 <= 2) & (y - last_y + 1 <= 2),
            "ball: it has gone straight up or down away from the walls": ~rests,
            "ball: inside a brick where none is near": (inside == 0) | (y <= _BRICK_ROWS + 1),
            "meta: the game goes on though the paddle has missed the ball": y != _FLOOR,
        }

    def symmetries(self) -> Sequence[Symmetry[BreakoutState]]:
        """The mirror of left and right."""
        return [Symmetry(_mirror, (STAY, RIGHT, LEFT))]

    def action_label(self, action: int) -> str:
        return _LABELS[action]

    def parse_action(self, text: str) -> int:
        return parse_label(_LABELS, text)

    def draw(self, state: BreakoutState) -> str:
        return arcade.picture(self._cells(state), _LABELS)

    def text(self, state: BreakoutState) -> str:
        return arcade.characters(self._cells(state))

    def _cells(self, state: BreakoutState) -> arcade.Cells:
        return arcade.cells_of(self.observe(state, jnp.int32(0)), _THINGS)


_THINGS = {
    0: Thing("paddle", "=", arcade.BLUE),
    1: Thing("ball", "o", arcade.VERMILION),
    3: Thing("brick", "#", arcade.ORANGE),
    2: Thing("trail", ",", arcade.GREY),
}


def _field(ball: Array, place: int) -> Array:
    """The nibble that begins at bit `place`, u32[]."""
    return (ball >> place) & 0xF


def _packed(x: Array, y: Array, last_x: Array, last_y: Array, paddle: Array, direction: Array, inside: Array) -> Array:
    """`BreakoutState.ball` of its fields, u32[] each."""
    flight = x | (y << _Y) | (last_x << _LAST_X) | (last_y << _LAST_Y)
    return flight | (paddle << _PADDLE) | (direction << _DIRECTION) | (inside << _INSIDE)


def _flown(direction: Array, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """(direction, column, row) a step later, u32[] each; a wall holds the ball for that step and turns it."""
    down, right = direction >> 1, (direction ^ (direction >> 1)) & 1
    at_side = x == (SIDE - 1) * right
    at_top = (y == 0) & (down == 0)
    turn = jnp.where(at_side, np.uint32(_SIDEWAYS), np.uint32(0)) ^ jnp.where(at_top, np.uint32(_UPSIDE), np.uint32(0))
    return direction ^ turn, jnp.where(at_side, x, x + 2 * right - 1), jnp.where(at_top, y, y + 2 * down - 1)


def _mirror(state: BreakoutState) -> BreakoutState:
    bricks = jnp.zeros_like(state.bricks)
    for column in range(SIDE):
        other = (state.bricks >> (SIDE - 1 - column)) & np.uint32(_FIRST_COLUMN)
        bricks = bricks | (other << column)
    x, last_x, paddle = (SIDE - 1 - _field(state.ball, place) for place in (_X, _LAST_X, _PADDLE))
    y, last_y = _field(state.ball, _Y), _field(state.ball, _LAST_Y)
    direction = ((state.ball >> _DIRECTION) & 3) ^ _SIDEWAYS
    return BreakoutState(bricks, _packed(x, y, last_x, last_y, paddle, direction, state.ball >> _INSIDE))
