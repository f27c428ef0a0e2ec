"""Space Invaders in three words: a fleet of four by six aliens and where it is, and the cannon with what is in the air.

The fleet moves as a block, so an alien is a bit of it and not a cell of the screen. The cannon's reload lets two shots
be in the air at most, and the fleet's one bullet leaves the screen before the next is fired.
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

STAY, LEFT, RIGHT, FIRE = range(4)
RANKS, FILES = 4, 6  # of the fleet
_LABELS = ("stay", "left", "right", "fire")
_FLEET = (1 << (RANKS * FILES)) - 1
_RANK, _FILE = (1 << FILES) - 1, 0o1010101  # the first of each
_FLOOR = SIDE - 1
_MARGIN = FILES - 1  # how far the fleet's first file may be left of the screen, when it is empty
_CANNON_START, _FLEET_START = 5, 2 + _MARGIN
_RELOAD, _SHOOTS, _SLOWEST, _FASTEST = 5, 10, 12, 6  # in steps
_NOTHING = 0xFF  # in the air

_ROW, _COLUMN, _CHANNEL = arcade.places(6)
_CELL = 16 * _ROW + _COLUMN

_RIGHTWARDS, _TO_MOVE, _TO_SHOOT, _FASTER = 8, 12, 16, 20  # where the fields of `fleet` begin
_LOADING, _SHOT, _OLD_SHOT, _BULLET = 4, 8, 16, 24  # and those of `cannon`


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class InvadersState:
    """What is in the air is a byte: 16 * row + column, or 255."""

    aliens: Array  # u32[], bit 6 * rank + file, the highest rank first
    fleet: Array  # u32[], nibbles: its top row, left column + 5, way, steps to its move and to its shot, rise in speed
    cannon: Array  # u32[], nibbles: its column, steps to its next shot; bytes: two shots, the newer first, and a bullet


class SpaceInvaders:
    """One player. An alien hit gives 1; a bullet or an alien that reaches the cannon, or the ground, ends the game.

    The fleet moves the faster the fewer it is, and turns and comes down at the edges. The alien lowest in the file
    nearest to the cannon, the left one of two, fires every tenth step. A new fleet comes when one is shot down, with a
    longest wait between moves that is a step shorter, six times. There is no chance in it.
    """

    spec = GameSpec(
        env_id="space_invaders",
        version="1.0.0",
        num_players=1,
        num_actions=4,
        observation_shape=(SIDE, SIDE, 6),
        max_steps=1000,
        state_bytes=16,
        preferred_batch=16384,
    )

    def init(self, key: Key) -> InvadersState:
        del key  # the start is constant
        fleet = (_FLEET_START << 4) | (_SLOWEST << _TO_MOVE) | (_SHOOTS << _TO_SHOOT)
        air = (_NOTHING << _SHOT) | (_NOTHING << _OLD_SHOT) | (_NOTHING << _BULLET)
        return InvadersState(jnp.uint32(_FLEET), jnp.uint32(fleet), jnp.uint32(_CANNON_START | air))

    def step(self, state: InvadersState, action: Array, key: Key) -> Step[InvadersState]:
        del key
        cannon = _played(state.cannon, action)
        column, bullet = cannon & 0xF, cannon >> _BULLET
        ground = (_FLOOR << 4) | column
        ended = (bullet == ground) | (_alien_at(state.aliens, state.fleet, ground) != 0)
        fleet, landed = _advanced(state.aliens, state.fleet)
        ended = ended | landed | (_alien_at(state.aliens, fleet, ground) != 0)

        shoots = _field(state.fleet, _TO_SHOOT) == 0
        bullet = jnp.where(shoots, _nearest(state.aliens, fleet, column), bullet)
        shots = (cannon >> _SHOT) & 0xFF, (cannon >> _OLD_SHOT) & 0xFF
        hits = [_alien_at(state.aliens, fleet, shot) for shot in shots]
        aliens = state.aliens & ~(hits[0] | hits[1])
        shots = [jnp.where(hit != 0, np.uint32(_NOTHING), shot) for shot, hit in zip(shots, hits, strict=True)]
        gain = (hits[0] != 0).astype(jnp.float32) + (hits[1] != 0)

        cleared = aliens == 0
        fleet = _ticked(fleet, cleared)
        aliens = jnp.where(cleared, np.uint32(_FLEET), aliens)
        cannon = (cannon & 0xFF) | (shots[0] << _SHOT) | (shots[1] << _OLD_SHOT) | (bullet << _BULLET)
        return Step(InvadersState(aliens, fleet, cannon), jnp.stack([gain]), ended)

    def observe(self, state: InvadersState, player: Array) -> Array:
        """f32[10, 10, 6]: the cannon, the aliens, those again if they go left, or right, its shots, their bullet."""
        del player
        cell = jnp.asarray(_CELL)  # u32[600]
        alien = _alien_at(state.aliens, state.fleet, cell) != 0
        way = jnp.where(_field(state.fleet, _RIGHTWARDS) == 1, np.uint32(3), np.uint32(2))
        cannon = ((_FLOOR << 4) | (state.cannon & 0xF)) == cell
        bullet = (state.cannon >> _BULLET) == cell
        shots = (((state.cannon >> _SHOT) & 0xFF) == cell) | (((state.cannon >> _OLD_SHOT) & 0xFF) == cell)
        air = jnp.where(_CHANNEL == 4, shots, bullet)
        fleet = alien & ((_CHANNEL == 1) | (way == _CHANNEL))
        planes = jnp.where(_CHANNEL == 0, cannon, jnp.where(_CHANNEL < 4, fleet, air))
        return planes.astype(jnp.float32).reshape(self.spec.observation_shape)

    def legal_words(self, state: InvadersState) -> bits.Words:
        return (jnp.full_like(state.fleet, 0b1111),)

    def player(self, state: InvadersState) -> Array:
        return (state.fleet & 0).astype(jnp.int32)

    def invariants(self, state: InvadersState) -> Mapping[str, Array]:
        """What the cannon has fired is as far up as it has been loading since; so with the fleet's bullet."""
        to_move, to_shoot, faster = (_field(state.fleet, place) for place in (_TO_MOVE, _TO_SHOOT, _FASTER))
        column, loading = state.cannon & 0xF, _field(state.cannon, _LOADING)
        shot, old, bullet = ((state.cannon >> place) & 0xFF for place in (_SHOT, _OLD_SHOT, _BULLET))
        ground = (_FLOOR << 4) | column
        reached = (bullet == ground) | (_alien_at(state.aliens, state.fleet, ground) != 0)
        lowest = _lowest_row(state.aliens, state.fleet)
        on_screen = np.uint32(((1 << SIDE) - 1) << _MARGIN)
        return {
            "aliens: bits beyond the fleet": state.aliens & ~np.uint32(_FLEET) == 0,
            "aliens: none": state.aliens != 0,
            "fleet: unused bits": (state.fleet >> _FASTER < 16) & (_field(state.fleet, _RIGHTWARDS) <= 1),
            "fleet: an alien beyond the sides": (_files(state.aliens) << _field(state.fleet, 4)) & ~on_screen == 0,
            "fleet: an alien far below the ground": lowest <= _FLOOR + 1,
            "fleet: faster than it can be": faster <= _SLOWEST - _FASTEST,
            "fleet: it moves later than ever": to_move <= _SLOWEST - faster,
            "fleet: it shoots later than ever": to_shoot <= _SHOOTS,
            "cannon: beyond the sides": column < SIDE,
            "cannon: it loads for too long": loading < _RELOAD,
            "cannon: a shot where none can be": _is_nothing(shot)
            | (_is_in_air(shot) & (loading == jnp.maximum(shot >> 4, _RELOAD - 1) - (_RELOAD - 1))),
            "cannon: an old shot where none can be": _is_nothing(old) | (_is_in_air(old) & (old >> 4 < loading)),
            "cannon: a bullet where none can be": _is_nothing(bullet)
            | (_is_in_air(bullet) & (to_shoot < _SHOOTS) & ((bullet >> 4) + to_shoot >= _SHOOTS - 1)),
            "meta: the game goes on though an alien is below the ground": lowest <= _FLOOR,
            "meta: the game goes on though the cannon is hit": ~reached,
        }

    def symmetries(self) -> Sequence[Symmetry[InvadersState]]:
        """None: of two files as near, the left one fires."""
        return []

    def action_label(self, action: int) -> str:
        return _LABELS[action]

    def parse_action(self, text: str) -> int:
        return parse_label(_LABELS, text)

    def draw(self, state: InvadersState) -> str:
        return arcade.picture(self._cells(state), _LABELS)

    def text(self, state: InvadersState) -> str:
        return arcade.characters(self._cells(state))

    def _cells(self, state: InvadersState) -> arcade.Cells:
        return arcade.cells_of(self.observe(state, jnp.int32(0)), _THINGS)


_THINGS = {
    0: Thing("cannon", "A", arcade.BLUE),
    5: Thing("bullet", "!", arcade.VERMILION),
    4: Thing("shot", "^", arcade.SKY),
    1: Thing("alien", "W", arcade.GREEN),
}


def _field(word: Array, place: int) -> Array:
    """The nibble that begins at bit `place`, u32[]."""
    return (word >> place) & 0xF


def _is_nothing(byte: Array) -> Array:
    return byte == _NOTHING


def _is_in_air(byte: Array) -> Array:
    """bool[], whether it is a cell of the screen."""
    return (byte >> 4 <= _FLOOR) & (byte & 0xF < SIDE)


def _lowest_row(aliens: Array, fleet: Array) -> Array:
    """The row of the lowest alien, u32[]; 10 or more for one below the ground."""
    below = sum((aliens >> (FILES * rank) != 0).astype(jnp.uint32) for rank in range(1, RANKS))
    return (fleet & 0xF) + below


def _played(cannon: Array, action: Array) -> Array:
    """The cannon's word after the action, with all in the air a row further."""
    column, loading = cannon & 0xF, _field(cannon, _LOADING)
    fires = (action == FIRE) & (loading == 0)
    shot, old = _risen((cannon >> _SHOT) & 0xFF), _risen((cannon >> _OLD_SHOT) & 0xFF)
    shot, old = jnp.where(fires, ((_FLOOR - 1) << 4) | column, shot), jnp.where(fires, shot, old)
    bullet = cannon >> _BULLET
    bullet = jnp.where(bullet < (_FLOOR << 4), bullet + 16, _NOTHING)
    loading = jnp.where(fires, np.uint32(_RELOAD), loading)
    column = column - ((action == LEFT) & (column > 0)) + ((action == RIGHT) & (column < SIDE - 1))
    loading = loading - (loading > 0)
    return column | (loading << _LOADING) | (shot << _SHOT) | (old << _OLD_SHOT) | (bullet << _BULLET)


def _risen(shot: Array) -> Array:
    """A row further up; nothing above the screen."""
    return jnp.where(shot - 16 < (_FLOOR << 4), shot - 16, _NOTHING)


def _alien_at(aliens: Array, fleet: Array, cell: Array) -> Array:
    """The alien at cell 16 * row + column as a bit of the fleet, 0 if there is none.

    Rows are counted round the screen: aliens that pass the ground, in the last step of a game, come out at the top.
    """
    row, column = cell >> 4, cell & 0xF
    top = fleet & 0xF
    rank = row - top + jnp.where(row < top, np.uint32(SIDE), np.uint32(0))
    file = column + _MARGIN - _field(fleet, 4)
    bit = jnp.where((rank < RANKS) & (file < FILES), jnp.uint32(1) << ((FILES * rank + file) & 31), 0)
    return aliens & bit


def _advanced(aliens: Array, fleet: Array) -> tuple[Array, Array]:
    """(the fleet's word after its move if one is due, whether an alien went below the floor)."""
    top, left, rightwards = fleet & 0xF, _field(fleet, 4), _field(fleet, _RIGHTWARDS)
    moves = _field(fleet, _TO_MOVE) == 0
    edge = jnp.where(rightwards == 1, np.uint32(SIDE - 1 + _MARGIN), np.uint32(_MARGIN))
    turns = moves & ((_files(aliens) << left) >> edge & 1 != 0)
    lowest = _FLOOR - top  # the rank at the floor
    landed = turns & (lowest < RANKS) & ((aliens >> (FILES * (lowest & 3))) & _RANK != 0)
    goes = moves & ~turns
    left = left + (goes & (rightwards == 1)) - (goes & (rightwards == 0))
    longest = _SLOWEST - _field(fleet, _FASTER)
    wait = jnp.where(moves, jnp.minimum(bits.popcount(aliens).astype(jnp.uint32), longest), _field(fleet, _TO_MOVE))
    way = (rightwards ^ turns) << _RIGHTWARDS
    others = fleet & ~jnp.uint32((1 << _TO_SHOOT) - 1)
    return others | (top + turns) | (left << 4) | way | (wait << _TO_MOVE), landed


def _files(aliens: Array) -> Array:
    """A bit for each file that has an alien."""
    pairs = aliens | (aliens >> (2 * FILES))
    return (pairs | (pairs >> FILES)) & _RANK


def _nearest(aliens: Array, fleet: Array, column: Array) -> Array:
    """The cell of the lowest alien in the file nearest to `column` (u32[]), the left one of two."""
    left = _field(fleet, 4)
    files = (_files(aliens) << left) >> _MARGIN  # by columns of the screen
    rights = files >> column >> 1
    lefts = files & ((jnp.uint32(2) << column) - 1)
    smeared = lefts | (lefts >> 1)
    smeared = smeared | (smeared >> 2)
    smeared = smeared | (smeared >> 4)
    smeared = smeared | (smeared >> 8)
    to_left = column + 1 - bits.popcount(smeared).astype(jnp.uint32)
    to_right = bits.popcount(~rights & (rights - 1)).astype(jnp.uint32) + 1
    is_left = (lefts != 0) & ((rights == 0) | (to_left <= to_right))
    target = jnp.where(is_left, column - to_left, column + to_right)

    top = fleet & 0xF
    above = jnp.minimum(SIDE - top, RANKS) * FILES  # the ranks that have not passed the ground
    ranks = (aliens >> ((target + _MARGIN - left) & 31)) & _FILE & ((jnp.uint32(1) << above) - 1)
    rank = sum(((ranks >> (FILES * rank)) != 0).astype(jnp.uint32) for rank in range(1, RANKS))
    return (jnp.where(ranks == 0, 0, top + rank) << 4) | target


def _ticked(fleet: Array, cleared: Array) -> Array:
    """The fleet's word a step later, for a new fleet if this one is `cleared` (bool[])."""
    wait, to_shoot = _field(fleet, _TO_MOVE) - 1, _field(fleet, _TO_SHOOT)
    to_shoot = jnp.where(to_shoot == 0, np.uint32(_SHOOTS), to_shoot) - 1
    faster = fleet >> _FASTER
    faster = faster + (cleared & (faster < _SLOWEST - _FASTEST))
    place = jnp.where(cleared, np.uint32(_FLEET_START << 4), fleet & 0xFF)
    way = fleet & (1 << _RIGHTWARDS)
    return place | way | (wait << _TO_MOVE) | (to_shoot << _TO_SHOOT) | (faster << _FASTER)
