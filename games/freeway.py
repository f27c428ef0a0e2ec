"""Freeway in four words: the columns, the timers and the speeds of eight cars, a nibble a car, and the chicken.

All cars drive at once by arithmetic on nibbles. Each has a row of its own, so only one of them can hit the chicken.
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

STAY, UP, DOWN = range(3)
CARS = 8  # in rows 1-8
SPEEDS = 5  # the slowest waits for five steps between two, the fastest for one
_LABELS = ("stay", "up", "down")
_CHICKENS = 4  # column
_BOTTOM = SIDE - 1
_REST = 3  # steps from one move of the chicken to the next
_ONES = np.uint32(0x11111111)  # the lowest bit of each nibble
_ROW, _COLUMN, _CHANNEL = arcade.places(7)
_ROADS = (_ROW >= 1) & (_ROW <= CARS)
_NINES = np.uint32(0x99999999)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FreewayState:
    """Nibble i is car i's, which drives in row i + 1."""

    columns: Array  # u32[]
    waits: Array  # u32[], steps until each car moves
    speeds: Array  # u32[], 1-5 steps between two moves; the top bit is set for cars to the right
    chicken: Array  # u32[], bits 0-3: its row, 9 at the bottom; 4-5: steps until it may move


class Freeway:
    """One player. A chicken that reaches the top gives 1, begins anew at the bottom, and all cars change their speed.

    A car that comes upon it, or into which it walks, sends it back to the bottom. It may move every third step. The
    game has no end by its rules. Chance has a hundred million outcomes, so `crossed` takes the new speeds instead.
    """

    spec = GameSpec(
        env_id="freeway",
        version="1.0.0",
        num_players=1,
        num_actions=3,
        observation_shape=(SIDE, SIDE, 7),
        max_steps=2500,
        state_bytes=28,
        preferred_batch=16384,
        stochastic=True,
    )

    def init(self, key: Key) -> FreewayState:
        return self.start(random_speeds(key))

    def start(self, speeds: Array) -> FreewayState:
        """All cars at the left edge, with `speeds` as in `FreewayState`."""
        return FreewayState(jnp.zeros((), jnp.uint32), _magnitudes(speeds), speeds, jnp.uint32(_BOTTOM | (_REST << 4)))

    def step(self, state: FreewayState, action: Array, key: Key) -> Step[FreewayState]:
        return self.crossed(state, action, random_speeds(key))

    def crossed(self, state: FreewayState, action: Array, speeds: Array) -> Step[FreewayState]:
        """The step in which, should the chicken reach the top, the cars get `speeds` (u32[], as in the state)."""
        row, rest, top = _walked(state.chicken, action)
        speeds = jnp.where(top, speeds, state.speeds)
        waits = jnp.where(top, _magnitudes(speeds), state.waits)
        moving = _is_zero(waits)
        columns = _driven(state.columns, moving, (speeds >> 3) & _ONES)

        lane = ((row - 1) & (CARS - 1)) * 4
        before, after = (state.columns >> lane) & 0xF, (columns >> lane) & 0xF
        hit = ((before == _CHICKENS) | (after == _CHICKENS)) & (row != _BOTTOM)
        row = jnp.where(hit, np.uint32(_BOTTOM), row)
        waits = waits - (_ONES ^ moving) + (_magnitudes(speeds) & (moving * 15))
        gain = jnp.where(top, 1.0, 0.0)
        after_all = FreewayState(columns, waits, speeds, row | (rest << 4))
        return Step(after_all, jnp.stack([gain]), jnp.zeros((), bool))

    def observe(self, state: FreewayState, player: Array) -> Array:
        """f32[10, 10, 7]: the chicken, the cars, and where a car has come from by its speed, the fastest first."""
        del player
        shift = (_ROW - 1) % CARS * 4
        car, speed = (state.columns >> shift) & 0xF, (state.speeds >> shift) & 0xF  # u32[700]
        behind = jnp.where(speed >> 3 == 1, jnp.where(car == 0, SIDE, car) - 1, jnp.where(car == SIDE - 1, 0, car + 1))
        shown = jnp.where(_CHANNEL == 1, car, behind) == _COLUMN
        shown = shown & ((_CHANNEL == 1) | ((speed & 7) + 1 == _CHANNEL)) & _ROADS
        chicken = ((state.chicken & 0xF) == _ROW) & (_COLUMN == _CHICKENS)
        planes = jnp.where(_CHANNEL == 0, chicken, shown)
        return planes.astype(jnp.float32).reshape(self.spec.observation_shape)

    def legal_words(self, state: FreewayState) -> bits.Words:
        return (jnp.full_like(state.chicken, 0b111),)

    def player(self, state: FreewayState) -> Array:
        return (state.chicken & 0).astype(jnp.int32)

    def invariants(self, state: FreewayState) -> Mapping[str, Array]:
        columns, waits, speeds = (_nibbles(word) for word in (state.columns, state.waits, _magnitudes(state.speeds)))
        row, rest = state.chicken & 0xF, state.chicken >> 4
        on_chicken = (np.arange(1, CARS + 1, dtype=np.uint32) == row) & (columns == _CHICKENS)
        return {
            "columns: a car beyond the screen": (columns < SIDE).all(),
            "columns: a car on the chicken": ~on_chicken.any(),
            "waits: a car waits for more steps than by its speed": (waits <= speeds).all(),
            "speeds: none that there is": ((speeds >= 1) & (speeds <= SPEEDS)).all(),
            "chicken: beyond the screen": row <= _BOTTOM,
            "chicken: it rests for too long": rest <= _REST,
            "chicken: at the top without a move that has just led there": (row != 0) | (rest == _REST - 1),
        }

    def symmetries(self) -> Sequence[Symmetry[FreewayState]]:
        """None: the chicken's column is not in the middle."""
        return []

    def action_label(self, action: int) -> str:
        return _LABELS[action]

    def parse_action(self, text: str) -> int:
        return parse_label(_LABELS, text)

    def draw(self, state: FreewayState) -> str:
        return arcade.picture(self._cells(state), _LABELS)

    def text(self, state: FreewayState) -> str:
        return arcade.characters(self._cells(state))

    def _cells(self, state: FreewayState) -> arcade.Cells:
        return arcade.cells_of(self.observe(state, jnp.int32(0)), _THINGS)


_THINGS = {0: Thing("chicken", "@", arcade.ORANGE), 1: Thing("car", "H", arcade.BLUE)} | {
    1 + speed: Thing(f"car that waits {speed}", str(speed), arcade.GREY) for speed in range(1, SPEEDS + 1)
}


def random_speeds(key: Key) -> Array:
    """Speeds and ways of eight cars, u32[], each of the ten kinds as likely as another.

    A word gives a number below 10,000 as the upper half of a product of 64 bits, and its four digits are the kinds;
    none is off its share by more than 10,000 / 2^32.
    """
    digits = _four_digits(key[0]) | (_four_digits(key[1]) << 16)
    rightwards = ((digits + 3 * _ONES) >> 3) & _ONES  # digits from five on
    return digits + _ONES + 3 * rightwards  # 0-4 to 1-5, and 5-9 to 1-5 with the top bit


def _four_digits(word: Array) -> Array:
    """Four decimal digits, a nibble each, that rise with `word`; u32[]. Division is by multiplication, exact here."""
    number = ((word >> 16) * 10_000 + (((word & 0xFFFF) * 10_000) >> 16)) >> 16
    hundreds = (number * 5243) >> 19
    pairs = hundreds | ((number - 100 * hundreds) << 16)
    tens = ((pairs * 103) >> 10) & 0x000F000F
    nibbles = tens | ((pairs - 10 * tens) << 4)  # in the lower byte of each half
    return (nibbles | (nibbles >> 8)) & 0xFFFF


def _walked(chicken: Array, action: Array) -> tuple[Array, Array, Array]:
    """(its row, steps until it may move, whether it was at the top and is back), u32[], u32[] and bool[]."""
    row, rest = chicken & 0xF, chicken >> 4
    moves = (rest == 0) & (action != STAY)
    rest = jnp.where(moves, np.uint32(_REST), rest)
    row = row - (moves & (action == UP)) + (moves & (action == DOWN) & (row < _BOTTOM))
    top = row == 0
    return jnp.where(top, np.uint32(_BOTTOM), row), rest - (rest > 0), top


def _driven(columns: Array, moving: Array, rightwards: Array) -> Array:
    """The columns after the cars of `moving` (the lowest bit of each nibble) have moved, round the edges."""
    right, left = moving & rightwards, moving & ~rightwards
    from_right, from_left = right & _is_zero(columns ^ _NINES), left & _is_zero(columns)
    return columns + (right ^ from_right) - 9 * from_right - (left ^ from_left) + 9 * from_left


def _is_zero(nibbles: Array) -> Array:
    """The lowest bit of each nibble that is zero."""
    folded = nibbles | (nibbles >> 1)
    return ~(folded | (folded >> 2)) & _ONES


def _nibbles(word: Array) -> Array:
    """u32[8], the lowest first."""
    return (word >> (4 * np.arange(CARS, dtype=np.uint32))) & 0xF


def _magnitudes(speeds: Array) -> Array:
    return speeds & np.uint32(0x77777777)
