"""Seaquest in twenty words: a board of three words for each kind of thing that swims or flies, and two of counters.

Everything in a lane goes the same way, which takes one bit a lane; only the player's bullets have a board for each way.
The rules are written out in docs/rules/seaquest.md, and the events of a step are numbered here as there.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits
from ..engine.game import Step, Symmetry
from ..engine.keys import Key
from ..engine.spec import GameSpec
from . import arcade
from . import seaquest_boards as lanes
from .arcade import SIDE, Thing
from .labels import parse_label
from .seaquest_boards import FIRST_COLUMN, ROW, Board

WAIT, LEFT, UP, RIGHT, DOWN, FIRE = range(6)
LANES = 8
MOST_DIVERS, MOST_OXYGEN, HARDEST = 6, 160, 8
_BOARDS = 6  # the first fields of a state
_LABELS = ("wait", "left", "up", "right", "down", "fire")
_RELOAD = 5
_ENEMY_OUTCOMES, _DIVER_OUTCOMES = 1 + LANES * 4, 1 + LANES * 2
_CHANCES = 64  # probabilities are parts of this
_ENEMY_CHANCE, _DIVER_CHANCE = 3, 2

_PLANES = 10  # of the observation
_FRONT, _BACK, _BULLETS, _TRAILS, _ENEMY_BULLETS, _FISH, _SUBMARINES, _AIR, _ABOARD, _DIVERS = range(_PLANES)
_IN_LANES = (_FRONT, _BACK, _BULLETS, _TRAILS, _ENEMY_BULLETS, _FISH, _SUBMARINES, _DIVERS)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SeaquestState:
    """The sea, and the player's submarine."""

    fish: Board
    submarines: Board  # the enemy's
    enemy_bullets: Board
    divers: Board
    bullets_right: Board  # the player's
    bullets_left: Board
    player: Array  # u32[], see `_Player`
    sea: Array  # u32[]: bits 0-7, lanes 1-8 that swim to the right; 8-10, the clock


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Moved:
    """The game after all that moves has moved, before anybody arrives."""

    state: SeaquestState
    gain: Array  # f32[]
    over: Array  # bool[]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Arrivals:
    """All chance of one step."""

    enemy: Array  # bool[], one arrives
    enemy_lane: Array  # u32[], 0..7 for lanes 1 to 8
    enemy_is_submarine: Array  # bool[]
    enemy_from_right: Array  # bool[]
    diver: Array  # bool[], one arrives
    diver_lane: Array  # u32[]
    diver_from_right: Array  # bool[]


@dataclasses.dataclass(frozen=True)
class _Player:
    """The fields of `SeaquestState.player`, u32[] each unless said otherwise."""

    row: Array
    column: Array
    facing_right: Array  # bool[]
    oxygen: Array
    aboard: Array
    level: Array
    reload: Array
    swim: Array


class Seaquest:
    """One player. Enemies struck earn 1 each; six divers brought to the surface, what is left of the air."""

    spec = GameSpec(
        env_id="seaquest",
        version="1.0.0",
        num_players=1,
        num_actions=6,
        observation_shape=(SIDE, SIDE, _PLANES),
        max_steps=5000,
        state_bytes=92,
        num_chance_outcomes=_ENEMY_OUTCOMES * _DIVER_OUTCOMES,
        preferred_batch=16384,
        stochastic=True,
    )

    def init(self, key: Key) -> SeaquestState:
        del key  # the start is constant
        return self.start(jnp.int32(0))

    def start_outcomes(self) -> Array:
        return jnp.ones((1,))

    def start(self, outcome: Array) -> SeaquestState:
        del outcome
        none = lanes.empty()
        zero = jnp.uint32(0)
        player = _Player(zero, jnp.uint32(5), jnp.bool_(True), jnp.uint32(MOST_OXYGEN), zero, zero, zero, jnp.uint32(4))
        return SeaquestState(none, none, none, none, none, none, _packed(player), jnp.uint32((1 << LANES) - 1))

    def step(self, state: SeaquestState, action: Array, key: Key) -> Step[SeaquestState]:
        after = self.afterstate(state, action)
        return _arrived(after, _drawn(key[0], _unpacked(after.state.player).level))

    def afterstate(self, state: SeaquestState, action: Array) -> Moved:
        """Events 1 to 9."""
        before = _unpacked(state.player)
        player, right, left = _acted(before, action, state)
        player, bonus, drowned = _breathed(before, player)
        hull = lanes.union(*_cells(player))
        crashed = lanes.touch(hull, lanes.union(state.fish, state.submarines, state.enemy_bullets))

        bullets_right, bullets_left = lanes.map_words(lanes.to_right, right), lanes.map_words(lanes.to_left, left)
        enemies, bullets, first = _hits((state.fish, state.submarines), (bullets_right, bullets_left))
        rightward = lanes.lanes_of(state.sea)
        swim = player.swim == 0
        player = dataclasses.replace(player, swim=jnp.where(swim, 4 - (player.level >> 1), player.swim - 1))
        fish, submarines = (lanes.where(swim, lanes.swum(board, rightward), board) for board in enemies)
        (fish, submarines), (bullets_right, bullets_left), second = _hits((fish, submarines), bullets)

        clock = state.sea >> LANES
        shots = lanes.common(submarines, lanes.lanes_of(jnp.uint32(1) << clock))
        enemy_bullets = lanes.swum(lanes.union(state.enemy_bullets, shots), rightward)
        crashed = crashed | lanes.touch(hull, lanes.union(fish, submarines, enemy_bullets))
        divers = lanes.where(clock & 3 == 3, lanes.swum(state.divers, rightward), state.divers)
        player, divers = _picked_up(player, divers)

        player = dataclasses.replace(player, reload=player.reload - (player.reload != 0).astype(jnp.uint32))
        sea = (state.sea & ((1 << LANES) - 1)) | (((clock + 1) & 7) << LANES)
        boards = (fish, submarines, enemy_bullets, divers, bullets_right, bullets_left)
        gain = (bonus + first + second).astype(jnp.float32)
        return Moved(SeaquestState(*boards, _packed(player), sea), gain, drowned | crashed)

    def chance_outcomes(self, after: Moved) -> Array:
        """Outcome 17 * e + d: see `_listed`."""
        level = _unpacked(after.state.player).level.astype(jnp.float32)
        enemy, diver = (_ENEMY_CHANCE + level) / _CHANCES, _DIVER_CHANCE / _CHANCES
        kinds = np.array([0.75, 0.75, 0.25, 0.25] * LANES, np.float32) / (2 * LANES)  # two sides for fish, then others
        enemies = jnp.concatenate([jnp.stack([1 - enemy]), enemy * kinds])
        divers = np.array([1 - diver] + [diver / (2 * LANES)] * (2 * LANES), np.float32)
        chances = (enemies[:, None] * divers[None, :]).reshape(-1)
        return jnp.where(after.over, (jnp.arange(chances.shape[0]) == 0).astype(jnp.float32), chances)

    def apply_chance(self, after: Moved, outcome: Array) -> Step[SeaquestState]:
        return _arrived(after, _listed(outcome))

    def observe(self, state: SeaquestState, player: Array) -> Array:
        """f32[10, 10, 10]: front, back, bullets, trails, enemy bullets, fish, enemy submarines, two gauges, divers."""
        del player
        me = _unpacked(state.player)
        rightward = lanes.lanes_of(state.sea)
        swimmers = lanes.union(state.fish, state.submarines, state.divers)
        trails = lanes.swum(swimmers, lanes.map_words(jnp.invert, rightward))
        own = lanes.union(state.bullets_right, state.bullets_left)
        boards = (*_cells(me), own, trails, state.enemy_bullets, state.fish, state.submarines, state.divers)

        on_top = jnp.where(me.row == 0, jnp.uint32(1) << me.column, 0)
        behind = jnp.where(me.facing_right, on_top >> 1, on_top << 1)
        air = (jnp.uint32(1) << _lit(me.oxygen)) - 1
        aboard = (ROW << (SIDE - me.aboard)) & ROW
        parts = [_spread({_FRONT: on_top, _BACK: behind}, rows=1)]
        for word, rows in enumerate((3, 3, 2)):
            shown = zip(_IN_LANES, [board[word] for board in boards], strict=True)
            parts.append(_spread(dict(shown), rows))
        parts.append(_spread({_AIR: air, _ABOARD: aboard}, rows=1))
        return jnp.concatenate(parts).reshape(self.spec.observation_shape)

    def legal_words(self, state: SeaquestState) -> bits.Words:
        return (jnp.full_like(state.sea, (1 << len(_LABELS)) - 1),)

    def player(self, state: SeaquestState) -> Array:
        return (state.sea & 0).astype(jnp.int32)

    def invariants(self, state: SeaquestState) -> Mapping[str, Array]:
        me, hull = _unpacked(state.player), lanes.union(*_cells(_unpacked(state.player)))
        boards = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)[:_BOARDS]}
        struck = lanes.touch(hull, lanes.union(state.fish, state.submarines, state.enemy_bullets))
        return {f"{name}: bits beyond the lanes": lanes.within(board) for name, board in boards.items()} | {
            "fish, submarines: two enemies on one cell": ~lanes.touch(state.fish, state.submarines),
            "player: unused bits": state.player >> 30 == 0,
            "player: a row below the lanes": me.row <= LANES,
            "player: a column beyond the board": jnp.where(
                me.facing_right, (me.column >= 1) & (me.column < SIDE), me.column < SIDE - 1
            ),
            "player: more air than there is": me.oxygen <= MOST_OXYGEN,
            "player: all the air below the surface, or less on it": (me.oxygen == MOST_OXYGEN) == (me.row == 0),
            "player: too many divers aboard": me.aboard <= MOST_DIVERS,
            "player: harder than it can be": me.level <= HARDEST,
            "player: it reloads for too long": me.reload < _RELOAD,
            "player: the enemies swim later than ever": me.swim <= 4 - (me.level >> 1),
            "sea: unused bits": state.sea >> (LANES + 3) == 0,
            "meta: the game goes on without air": me.oxygen > 0,
            "meta: the game goes on though the submarine is struck": ~struck,
        }

    def symmetries(self) -> Sequence[Symmetry[SeaquestState]]:
        """The mirror of left and right."""
        return [Symmetry(_mirror, (WAIT, RIGHT, UP, LEFT, DOWN, FIRE))]

    def action_label(self, action: int) -> str:
        return _LABELS[action]

    def parse_action(self, text: str) -> int:
        return parse_label(_LABELS, text)

    def draw(self, state: SeaquestState) -> str:
        return arcade.picture(self._things(state), _LABELS, self._caption(state))

    def text(self, state: SeaquestState) -> str:
        return arcade.characters(self._things(state), self._caption(state))

    def _things(self, state: SeaquestState) -> arcade.Cells:
        return arcade.cells_of(self.observe(state, jnp.int32(0)), _THINGS)

    def _caption(self, state: SeaquestState) -> str:
        me = _unpacked(state.player)
        return f"air {int(me.oxygen)}, divers aboard {int(me.aboard)}, level {int(me.level)}"


_THINGS = {
    _FRONT: Thing("front", "@", arcade.BLUE),
    _BACK: Thing("back", "o", arcade.SKY),
    _SUBMARINES: Thing("enemy submarine", "S", arcade.VERMILION),
    _FISH: Thing("fish", "f", arcade.ORANGE),
    _ENEMY_BULLETS: Thing("enemy bullet", "!", arcade.VERMILION),
    _BULLETS: Thing("bullet", "-", arcade.BLUE),
    _DIVERS: Thing("diver", "d", arcade.GREEN),
    _TRAILS: Thing("trail", ",", arcade.GREY),
    _ABOARD: Thing("diver aboard", "d", arcade.GREEN),
    _AIR: Thing("air", "=", arcade.SKY),
}


def _acted(player: _Player, action: Array, state: SeaquestState) -> tuple[_Player, Board, Board]:
    """Event 1: (the player, the player's bullets to the right and to the left)."""
    row, column = player.row, player.column
    left, right = action == LEFT, action == RIGHT
    column = column - (left & (column > 0)) + (right & (column < SIDE - 1))
    row = row - ((action == UP) & (row > 0)) + ((action == DOWN) & (row < LANES))
    facing_right = (player.facing_right | right) & ~left
    fires = (action == FIRE) & (player.reload == 0) & (player.row > 0)
    reload = jnp.where(fires, np.uint32(_RELOAD), player.reload)
    acted = dataclasses.replace(player, row=row, column=column, facing_right=facing_right, reload=reload)
    front, _ = _cells(acted)  # one that fires has not moved
    right = lanes.where(fires & facing_right, front, lanes.empty())
    left = lanes.where(fires & ~facing_right, front, lanes.empty())
    return acted, lanes.union(state.bullets_right, right), lanes.union(state.bullets_left, left)


def _breathed(before: _Player, player: _Player) -> tuple[_Player, Array, Array]:
    """Event 2: (the player, the reward for six divers u32[], whether the game is over bool[])."""
    surfaces = (before.row == 1) & (player.row == 0)
    full = player.aboard == MOST_DIVERS
    bonus = jnp.where(surfaces & full, _lit(player.oxygen), 0)
    left = jnp.where(full | (player.aboard == 0), 0, player.aboard - 1)
    used = player.oxygen - (player.row > 0)
    after = dataclasses.replace(
        player,
        aboard=jnp.where(surfaces, left, player.aboard),
        level=player.level + (surfaces & (player.level < HARDEST)),
        oxygen=jnp.where(surfaces, np.uint32(MOST_OXYGEN), used),
    )
    return after, bonus, (surfaces & (player.aboard == 0)) | (used == 0)


def _hits(enemies: tuple[Board, Board], bullets: tuple[Board, Board]) -> tuple[Any, Any, Array]:
    """Events 4 and 5: both without what is struck and what has struck it, and the number of enemies struck, u32[]."""
    struck = lanes.common(lanes.union(*enemies), lanes.union(*bullets))
    left = [lanes.without(board, struck) for board in (*enemies, *bullets)]
    return left[:2], left[2:], bits.count(struck).astype(jnp.uint32)


def _picked_up(player: _Player, divers: Board) -> tuple[_Player, Board]:
    """Event 8, once the divers have swum: the front's cell before the back's."""
    aboard = player.aboard
    for cell in _cells(player):
        taken = lanes.touch(divers, cell) & (aboard < MOST_DIVERS)
        divers = lanes.where(taken, lanes.without(divers, cell), divers)
        aboard = aboard + taken
    return dataclasses.replace(player, aboard=aboard), divers


def _arrived(after: Moved, arrivals: Arrivals) -> Step[SeaquestState]:
    """Event 10: a pure function of what is drawn."""
    state, going = after.state, ~after.over
    enemies = lanes.union(state.fish, state.submarines)
    crowd = lanes.union(enemies, state.enemy_bullets, state.divers)
    taken = lanes.union(enemies, *_cells(_unpacked(state.player)))
    newcomer, sea = _entered(
        state.sea, crowd, taken, arrivals.enemy & going, arrivals.enemy_lane, arrivals.enemy_from_right
    )
    fish = lanes.where(arrivals.enemy_is_submarine, state.fish, lanes.union(state.fish, newcomer))
    submarines = lanes.where(arrivals.enemy_is_submarine, lanes.union(state.submarines, newcomer), state.submarines)
    crowd = lanes.union(crowd, newcomer)
    newcomer, sea = _entered(
        sea, crowd, state.divers, arrivals.diver & going, arrivals.diver_lane, arrivals.diver_from_right
    )
    divers = lanes.union(state.divers, newcomer)
    state = dataclasses.replace(state, fish=fish, submarines=submarines, divers=divers, sea=sea)
    return Step(state, jnp.stack([after.gain]), after.over)


def _entered(
    sea: Array, crowd: Board, taken: Board, arrives: Array, lane: Array, from_right: Array
) -> tuple[Board, Array]:
    """(the entry cell where it is free and one `arrives`, the sea with the lane's direction).

    `crowd` is everything whose presence keeps the direction, `taken` whatever the newcomer may not meet.
    """
    bit = jnp.uint32(1) << lane
    cells = lanes.lanes_of(bit)
    turned = jnp.where(from_right, sea & ~bit, sea | bit)
    sea = jnp.where(arrives & ~lanes.touch(crowd, cells), turned, sea)
    column = jnp.where(sea & bit != 0, np.uint32(FIRST_COLUMN), np.uint32(FIRST_COLUMN << (SIDE - 1)))
    entry = lanes.map_words(lambda word: word & column, cells)
    return lanes.where(arrives & ~lanes.touch(taken, entry), entry, lanes.empty()), sea


def _drawn(word: Array, level: Array) -> Arrivals:
    """The arrivals of a random word; every probability is exact."""
    return Arrivals(
        enemy=(word & (_CHANCES - 1)) < _ENEMY_CHANCE + level,
        enemy_lane=(word >> 6) & 7,
        enemy_is_submarine=(word >> 9) & 3 == 0,
        enemy_from_right=(word >> 11) & 1 == 1,
        diver=(word >> 12) & (_CHANCES - 1) < _DIVER_CHANCE,
        diver_lane=(word >> 18) & 7,
        diver_from_right=(word >> 21) & 1 == 1,
    )


def _listed(outcome: Array) -> Arrivals:
    """Outcome 17 * e + d: 0 for nobody; e - 1 is in bits lane, submarine, from the right, and d - 1 lane, right."""
    number = outcome.astype(jnp.uint32)
    enemy = number // _DIVER_OUTCOMES
    diver = number - _DIVER_OUTCOMES * enemy
    which, who = enemy - 1, diver - 1
    return Arrivals(
        enemy=enemy != 0,
        enemy_lane=(which >> 2) & 7,
        enemy_is_submarine=which & 2 != 0,
        enemy_from_right=which & 1 != 0,
        diver=diver != 0,
        diver_lane=(who >> 1) & 7,
        diver_from_right=who & 1 != 0,
    )


def _unpacked(word: Array) -> _Player:
    return _Player(
        row=word & 0xF,
        column=(word >> 4) & 0xF,
        facing_right=(word >> 8) & 1 == 1,
        oxygen=(word >> 9) & 0xFF,
        aboard=(word >> 17) & 7,
        level=(word >> 20) & 0xF,
        reload=(word >> 24) & 7,
        swim=(word >> 27) & 7,
    )


def _packed(player: _Player) -> Array:
    place = player.row | (player.column << 4) | (player.facing_right.astype(jnp.uint32) << 8)
    counts = (player.oxygen << 9) | (player.aboard << 17) | (player.level << 20)
    return place | counts | (player.reload << 24) | (player.swim << 27)


def _lit(oxygen: Array) -> Array:
    """Cells of the gauge, u32[]."""
    return (oxygen + 15) >> 4


def _cells(player: _Player) -> tuple[Board, Board]:
    """The front's cell and the back's; at the surface both boards are empty."""
    row = lanes.lanes_of((jnp.uint32(1) << player.row) >> 1)
    front = jnp.uint32(FIRST_COLUMN) << player.column
    back = jnp.where(player.facing_right, front >> 1, front << 1)
    return lanes.map_words(lambda word: word & front, row), lanes.map_words(lambda word: word & back, row)


def _spread(words: Mapping[int, Array], rows: int) -> Array:
    """f32[rows * 10 * 10]: for cell after cell all ten planes, from the words of those that may show something here."""
    index = {plane: number for number, plane in enumerate(words)}
    nothing = (0, 31)  # a bit that no word has
    cells = range(SIDE * rows)
    return bits.to_planes(
        tuple(words.values()),
        [(index[plane], cell) if plane in words else nothing for cell in cells for plane in range(_PLANES)],
    )


def _mirror(state: SeaquestState) -> SeaquestState:
    player = _unpacked(state.player)
    mirrored = dataclasses.replace(player, column=SIDE - 1 - player.column, facing_right=~player.facing_right)
    boards = (state.fish, state.submarines, state.enemy_bullets, state.divers, state.bullets_left, state.bullets_right)
    fish, submarines, enemy_bullets, divers, to_right, to_left = (
        lanes.map_words(lanes.reverse_rows, board) for board in boards
    )
    sea = state.sea ^ ((1 << LANES) - 1)
    return SeaquestState(fish, submarines, enemy_bullets, divers, to_right, to_left, _packed(mirrored), sea)
