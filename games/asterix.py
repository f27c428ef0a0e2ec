"""Asterix in three words: the columns and the kinds of what moves in eight lanes, a nibble a lane, and the player.

All lanes move at once by arithmetic on nibbles. How fast things move and appear depends on time alone, so of the four
numbers that say it two are kept, the number of rises in difficulty and the steps to the next.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits, keys
from ..engine.game import Step, Symmetry
from ..engine.keys import Key
from ..engine.spec import GameSpec
from . import arcade
from .arcade import SIDE, Thing
from .labels import parse_label

STAY, LEFT, UP, RIGHT, DOWN = range(5)
LANES = 8  # rows 1-8
_LABELS = ("stay", "left", "up", "right", "down")
_START = 5  # the player's row and column
_ONES = np.uint32(0x11111111)  # the lowest bit of each nibble
_ROW, _COLUMN, _CHANNEL = arcade.places(4)
_IN_LANES = np.where((_ROW >= 1) & (_ROW <= LANES), np.uint32(0xF), np.uint32(0))
_NINES = np.uint32(0x99999999)
_FILLED, _RIGHTWARDS, _GOLD = 1, 2, 4  # bits of a kind
_GOLD_IN = 3  # one new thing in three is gold
_SPAWN, _MOVE = 10, 5  # steps between two, at first
_RISE = 101  # the clock of difficulty runs from 101 to 0
_RISES = 9  # after which things cannot be faster
_KINDS = 4  # of new things: enemy or gold, leftwards or rightwards

_X, _Y, _TO_SPAWN, _TO_MOVE, _RISEN, _TO_RISE = 0, 4, 8, 12, 16, 20  # where the fields begin


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AsterixState:
    """Nibble i is lane i's, which is row i + 1; both are zero for an empty lane."""

    columns: Array  # u32[]
    kinds: Array  # u32[], bit 0: filled, 1: it moves to the right, 2: gold, else an enemy
    player: Array  # u32[], nibbles: column, row, steps to the next spawn and move, rises so far; from 20 to the next


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Chosen:
    """A state with the action made in it, which takes effect after chance: what appears, appears first."""

    state: AsterixState
    action: Array  # i32[]


class Asterix:
    """One player. Gold gives 1, an enemy ends the game; things cross the screen, one a lane, ever faster.

    A new thing appears in a lane drawn from those that are free. One of the eight, drawn at random, is not looked at,
    and if no other is free a full one is emptied instead: so gymnax has it.
    """

    spec = GameSpec(
        env_id="asterix",
        version="1.0.0",
        num_players=1,
        num_actions=5,
        observation_shape=(SIDE, SIDE, 4),
        max_steps=1000,
        state_bytes=24,
        num_chance_outcomes=LANES * _KINDS,
        preferred_batch=16384,
        stochastic=True,
    )

    def init(self, key: Key) -> AsterixState:
        del key
        return self.start(jnp.int32(0))

    def start_outcomes(self) -> Array:
        return jnp.ones((1,))

    def start(self, outcome: Array) -> AsterixState:
        nothing = outcome.astype(jnp.uint32) & 0
        timers = (_SPAWN << _TO_SPAWN) | (_MOVE << _TO_MOVE) | (_RISE << _TO_RISE)
        return AsterixState(nothing, nothing, nothing | np.uint32(_START | (_START << _Y) | timers))

    def step(self, state: AsterixState, action: Array, key: Key) -> Step[AsterixState]:
        skipped = jnp.uint32(1) << (4 * (key[0] & (LANES - 1)))
        free = ~state.kinds & _ONES & ~skipped
        pool = jnp.where(free != 0, free, _ONES ^ skipped)
        rank = keys.below(key[0], bits.popcount(pool).astype(jnp.uint32))
        lane = bits.nth_set((pool,), rank).astype(jnp.uint32) >> 2
        gold, right = keys.below(key[1], _GOLD_IN) == 0, key[1] & 1
        outcome = _KINDS * lane + 2 * gold + right
        return self.apply_chance(self.afterstate(state, action), outcome.astype(jnp.int32))

    def afterstate(self, state: AsterixState, action: Array) -> Chosen:
        return Chosen(state, action)

    def chance_outcomes(self, after: Chosen) -> Array:
        """Outcome 4 * lane + kind puts a thing into a free lane, or empties a full one; kinds as in `apply_chance`."""
        number = jnp.arange(LANES * _KINDS, dtype=jnp.uint32)
        free = ~(after.state.kinds >> (4 * (number >> 2))) & 1  # u32[32]
        num_free = bits.popcount(~after.state.kinds & _ONES)
        found = jnp.where(num_free == 1, 1 - 1 / LANES, 1.0) / jnp.maximum(num_free, 1).astype(jnp.float32)
        emptied = jnp.where(num_free == 1, 1 / LANES / (LANES - 1), jnp.where(num_free == 0, 1 / LANES, 0.0))
        share = jnp.where((number >> 1) & 1 == 1, 1 / _GOLD_IN, 1 - 1 / _GOLD_IN) / 2
        due = _field(after.state.player, _TO_SPAWN) == 0
        return jnp.where(due, jnp.where(free == 1, found, emptied) * share, (number == 0).astype(jnp.float32))

    def apply_chance(self, after: Chosen, outcome: Array) -> Step[AsterixState]:
        """Kind 0 is an enemy to the left, 1 to the right, 2 and 3 are gold; no matter where nothing is due."""
        state = after.state
        number, player = outcome.astype(jnp.uint32), _walked(state.player, after.action)
        columns, kinds = _spawned(state, number)
        lane = 4 * (_field(player, _Y) - 1)
        column = _field(player, _X)

        met = _met(columns, kinds, lane, column)
        kinds = kinds & ~jnp.where(met & _GOLD != 0, jnp.uint32(0xF) << lane, 0)
        moved_columns, moved_kinds = _moved(columns, kinds)
        moves = _field(player, _TO_MOVE) == 0
        columns, kinds = jnp.where(moves, moved_columns, columns), jnp.where(moves, moved_kinds, kinds)
        met_again = jnp.where(moves, _met(columns, kinds, lane, column), 0)
        kinds = kinds & ~jnp.where(met_again & _GOLD != 0, jnp.uint32(0xF) << lane, 0)
        columns = columns & ((kinds & _ONES) * 15)

        ended = _is_enemy(met) | _is_enemy(met_again)
        gain = jnp.where((met | met_again) & _GOLD != 0, 1.0, 0.0)
        return Step(AsterixState(columns, kinds, _ticked(player)), jnp.stack([gain]), ended)

    def observe(self, state: AsterixState, player: Array) -> Array:
        """f32[10, 10, 4]: the player, the enemies, where things have come from, the gold."""
        del player
        shift = (_ROW - 1) % LANES * 4
        at, kind = (state.columns >> shift) & 0xF, (state.kinds >> shift) & _IN_LANES  # u32[400]
        behind = jnp.where(kind & _RIGHTWARDS != 0, at - 1, at + 1)
        seen = jnp.where(_CHANNEL == 3, kind & _GOLD != 0, (_CHANNEL == 2) | (kind & _GOLD == 0)) & (kind != 0)
        things = seen & (jnp.where(_CHANNEL == 2, behind, at) == _COLUMN)
        here = (_field(state.player, _Y) == _ROW) & (_field(state.player, _X) == _COLUMN)
        planes = jnp.where(_CHANNEL == 0, here, things)
        return planes.astype(jnp.float32).reshape(self.spec.observation_shape)

    def legal_words(self, state: AsterixState) -> bits.Words:
        return (jnp.full_like(state.player, 0b11111),)

    def player(self, state: AsterixState) -> Array:
        return (state.player & 0).astype(jnp.int32)

    def invariants(self, state: AsterixState) -> Mapping[str, Array]:
        x, y, to_spawn, to_move, risen = (_field(state.player, at) for at in (_X, _Y, _TO_SPAWN, _TO_MOVE, _RISEN))
        to_rise = state.player >> _TO_RISE
        columns, kinds = _nibbles(state.columns), _nibbles(state.kinds)
        met = _met(state.columns, state.kinds, 4 * (y - 1), x)
        return {
            "columns: a thing beyond the screen": (columns < SIDE).all(),
            "columns: a column for an empty lane": ((columns == 0) | (kinds != 0)).all(),
            "kinds: none that there is": ((kinds == 0) | ((kinds & _FILLED != 0) & (kinds < 2 * _GOLD))).all(),
            "kinds: gold where the player is": met & _GOLD == 0,
            "player: beyond the lanes": (x < SIDE) & (y >= 1) & (y <= LANES),
            "player: more rises in difficulty than there are": risen <= _RISES,
            "player: the next thing appears later than ever": to_spawn <= _SPAWN - risen,
            "player: things move later than ever": to_move <= _MOVE - (risen >> 1),
            "player: the next rise is too far off": to_rise <= _RISE,
            "player: a rise after the last one": (risen < _RISES) | (to_rise == _RISE),
            "meta: the game goes on though an enemy has met the player": ~_is_enemy(met),
        }

    def symmetries(self) -> Sequence[Symmetry[AsterixState]]:
        """The mirrors of left and right and of top and bottom, and both together."""
        return [
            Symmetry(_mirror, (STAY, RIGHT, UP, LEFT, DOWN)),
            Symmetry(_upside_down, (STAY, LEFT, DOWN, RIGHT, UP)),
            Symmetry(lambda state: _mirror(_upside_down(state)), (STAY, RIGHT, DOWN, LEFT, UP)),
        ]

    def action_label(self, action: int) -> str:
        return _LABELS[action]

    def parse_action(self, text: str) -> int:
        return parse_label(_LABELS, text)

    def draw(self, state: AsterixState) -> str:
        return arcade.picture(self._cells(state), _LABELS)

    def text(self, state: AsterixState) -> str:
        return arcade.characters(self._cells(state))

    def _cells(self, state: AsterixState) -> arcade.Cells:
        return arcade.cells_of(self.observe(state, jnp.int32(0)), _THINGS)


_THINGS = {
    0: Thing("player", "@", arcade.BLUE),
    1: Thing("enemy", "X", arcade.VERMILION),
    3: Thing("gold", "$", arcade.ORANGE),
    2: Thing("trail", "-", arcade.GREY),
}


def _field(player: Array, place: int) -> Array:
    """The nibble that begins at bit `place`, u32[]."""
    return (player >> place) & 0xF


def _nibbles(word: Array) -> Array:
    """u32[8], the lowest first."""
    return (word >> (4 * np.arange(LANES, dtype=np.uint32))) & 0xF


def _walked(player: Array, action: Array) -> Array:
    """The player's word after the move; rows 0 and 9 are out of bounds."""
    x, y = _field(player, _X), _field(player, _Y)
    sideways = ((action == RIGHT) & (x < SIDE - 1)).astype(jnp.uint32) - ((action == LEFT) & (x > 0))
    down = ((action == DOWN) & (y < LANES)).astype(jnp.uint32) - ((action == UP) & (y > 1))
    return player + sideways + (down << _Y)


def _spawned(state: AsterixState, number: Array) -> tuple[Array, Array]:
    """(columns, kinds) after outcome `number` (u32[]), if it is time."""
    shift = 4 * (number >> 2)
    right, full = number & 1, (state.kinds >> shift) & _FILLED
    due = _field(state.player, _TO_SPAWN) == 0
    lane = jnp.where(due, jnp.uint32(0xF) << shift, 0)
    appears = due & (full == 0)
    column = jnp.where(appears, ((SIDE - 1) * (1 - right)) << shift, 0)
    kind = jnp.where(appears, (_FILLED | ((number & 3) << 1)) << shift, 0)
    return (state.columns & ~lane) | column, (state.kinds & ~lane) | kind


def _moved(columns: Array, kinds: Array) -> tuple[Array, Array]:
    """(columns, kinds) after all things have moved by one; those that leave the screen are gone."""
    filled = kinds & _ONES
    right = filled & (kinds >> 1)
    left = filled ^ right
    gone = (right & _is_zero(columns ^ _NINES)) | (left & _is_zero(columns))
    kinds = kinds & ~(gone * 15)
    return columns + (right & ~gone) - (left & ~gone), kinds


def _met(columns: Array, kinds: Array, lane: Array, column: Array) -> Array:
    """The kind of what is at `column` (u32[]) of the lane that begins at bit `lane`, 0 for nothing."""
    there = ((columns >> lane) & 0xF) == column
    return jnp.where(there, (kinds >> lane) & 0xF, 0)


def _is_enemy(kind: Array) -> Array:
    return kind & (_FILLED | _GOLD) == _FILLED


def _ticked(player: Array) -> Array:
    """The clocks a step later: with each rise things appear a step earlier, with every second one they move faster."""
    to_spawn, to_move, risen = (_field(player, place) for place in (_TO_SPAWN, _TO_MOVE, _RISEN))
    to_rise = player >> _TO_RISE
    to_spawn = jnp.where(to_spawn == 0, _SPAWN - risen, to_spawn) - 1
    to_move = jnp.where(to_move == 0, _MOVE - (risen >> 1), to_move) - 1
    hardest = risen == _RISES
    risen = risen + ((to_rise == 0) & ~hardest)
    to_rise = jnp.where(hardest | (to_rise == 0), np.uint32(_RISE), to_rise - 1)
    timers = (to_spawn << _TO_SPAWN) | (to_move << _TO_MOVE) | (risen << _RISEN) | (to_rise << _TO_RISE)
    return (player & 0xFF) | timers


def _is_zero(nibbles: Array) -> Array:
    """The lowest bit of each nibble that is zero."""
    folded = nibbles | (nibbles >> 1)
    return ~(folded | (folded >> 2)) & _ONES


def _mirror(state: AsterixState) -> AsterixState:
    """Left and right change places."""
    filled = state.kinds & _ONES
    columns = _NINES - state.columns  # no nibble borrows, none is above nine
    player = (state.player & ~jnp.uint32(0xF)) | (SIDE - 1 - _field(state.player, _X))
    return AsterixState(columns & (filled * 15), state.kinds ^ (filled * _RIGHTWARDS), player)


def _upside_down(state: AsterixState) -> AsterixState:
    """Top and bottom change places."""
    row = SIDE - 1 - _field(state.player, _Y)
    player = (state.player & ~jnp.uint32(0xF << _Y)) | (row << _Y)
    return AsterixState(_reversed(state.columns), _reversed(state.kinds), player)


def _reversed(nibbles: Array) -> Array:
    """The last nibble first."""
    for width, mask in ((4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF)):
        nibbles = ((nibbles >> width) & np.uint32(mask)) | ((nibbles & np.uint32(mask)) << width)
    return nibbles
