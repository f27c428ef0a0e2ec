"""The arcade games beside gymnax 1.0.1: whole games with its draws, every field of its state after every step."""

import dataclasses
import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine.game import Step
from cartridge.games import asterix, breakout, freeway, space_invaders
from jax import Array

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a package we do not own
    import gymnax

NUM_DRAWS = 4096
COUNTED = ("moves", "reward", "lost", "cut", "far")
BREAKOUT, ASTERIX = breakout.Breakout(), asterix.Asterix()
FREEWAY, INVADERS = freeway.Freeway(), space_invaders.SpaceInvaders()


@dataclasses.dataclass(frozen=True)
class Peer:
    """A game of ours and how to set it beside gymnax's. All functions take one game; `theirs` is gymnax's state."""

    game: Any
    name: str  # in gymnax
    start: Callable[[Any], Any]  # our state for their start
    step: Callable[[Array, Any, Any, Array], Step[Any]]  # (their key, theirs, ours, action): ours with their draws
    told: Callable[[Any, Any], dict[str, Array]]  # (ours, theirs): their fields as our words have them
    skill: Callable[[Any, Array], Array]  # (theirs, a random word): the action of a player who gets far
    far: Callable[[Any], Array]  # (theirs): whether this is how far such a player gets
    plays_on: bool = False  # skilled games go on after they are lost, since no simple player gets far


def field(word: Array, place: int, width: int = 4) -> Array:
    return ((word >> place) & ((1 << width) - 1)).astype(jnp.int32)


def nibbles(word: Array) -> Array:
    """i32[8]."""
    return ((word >> jnp.arange(0, 32, 4, dtype=jnp.uint32)) & 15).astype(jnp.int32)


def packed(numbers: Array) -> Array:
    """u32[] of eight nibbles."""
    return jnp.sum(numbers.astype(jnp.uint32) << jnp.arange(0, 32, 4, dtype=jnp.uint32), dtype=jnp.uint32)


def breakout_told(ours: breakout.BreakoutState, theirs: Any) -> dict[str, Array]:
    del theirs
    names = {"ball_x": 0, "ball_y": 4, "last_x": 8, "last_y": 12, "pos": 16}
    bricks = (ours.bricks >> jnp.arange(30, dtype=jnp.uint32)) & 1
    return {name: field(ours.ball, place) for name, place in names.items()} | {
        "ball_dir": field(ours.ball, 20, 2),
        "strike": field(ours.ball, 22) == 1,
        "brick_map": jnp.zeros((10, 10)).at[1:4].set(bricks.astype(jnp.float32).reshape(3, 10)),
    }


def meet_the_ball(theirs: Any, random: Array) -> Array:
    """Goes where the ball will be in the row above the paddle, or below it while it goes up."""
    del random
    down, right = theirs.ball_dir >= 2, (theirs.ball_dir == 1) | (theirs.ball_dir == 2)
    way = jnp.where(right, theirs.ball_x, 19 - theirs.ball_x) + 8 - theirs.ball_y  # on a circle, there and back
    landing = jnp.where(way % 20 < 10, way % 20, 19 - way % 20)
    target = jnp.where(down, landing, theirs.ball_x)
    return jnp.where(target < theirs.pos, 1, jnp.where(target > theirs.pos, 2, 0))


def asterix_step(key: Array, theirs: Any, ours: asterix.AsterixState, action: Array) -> Step[Any]:
    thing, lane = sys.modules["gymnax.environments.minatar.asterix"].spawn_entity(key, theirs)
    return ASTERIX.apply_chance(ASTERIX.afterstate(ours, action), 4 * lane + 2 * thing[3] + thing[2])


def asterix_told(ours: asterix.AsterixState, theirs: Any) -> dict[str, Array]:
    kinds, rises = nibbles(ours.kinds), field(ours.player, 16)
    things = jnp.stack([nibbles(ours.columns), jnp.arange(1, 9), (kinds >> 1) & 1, (kinds >> 2) & 1, kinds & 1], 1)
    empty_lanes = theirs.entities.at[:, 4].set(0)  # what is left of a thing that is gone means nothing
    names = {"player_x": 0, "player_y": 4, "spawn_timer": 8, "move_timer": 12}
    return {name: field(ours.player, place) for name, place in names.items()} | {
        "spawn_speed": 10 - rises,
        "move_speed": 5 - rises // 2,
        "ramp_index": rises,
        "ramp_timer": field(ours.player, 20, 7) - 1,
        "entities": jnp.where((kinds & 1)[:, None] == 1, things, empty_lanes),
    }


def freeway_speeds(key: Array) -> Array:
    """The speeds that gymnax draws from `key`, as our word."""
    speed_key, way_key = jax.random.split(key)
    speeds = jax.random.randint(speed_key, (8,), 1, 6)
    ways = jax.random.choice(way_key, jnp.array([-1, 1]), (8,))
    return packed(speeds + 8 * (ways > 0))


def freeway_start(theirs: Any) -> freeway.FreewayState:
    speeds = theirs.cars[:, 3]
    return FREEWAY.start(packed(jnp.abs(speeds) + 8 * (speeds > 0)))


def freeway_told(ours: freeway.FreewayState, theirs: Any) -> dict[str, Array]:
    del theirs
    speeds = nibbles(ours.speeds)
    signed = (speeds & 7) * jnp.where(speeds >> 3 == 1, 1, -1)
    cars = jnp.stack([nibbles(ours.columns), jnp.arange(1, 9), nibbles(ours.waits), signed], 1)
    return {"pos": field(ours.chicken, 0), "move_timer": field(ours.chicken, 4), "cars": cars}


def invaders_told(ours: space_invaders.InvadersState, theirs: Any) -> dict[str, Array]:
    planes = INVADERS.observe(ours, jnp.int32(0))
    rises = field(ours.fleet, 20)
    return {
        "pos": field(ours.cannon, 0),
        "shot_timer": field(ours.cannon, 4),
        "f_bullet_map": planes[:, :, 4],
        "e_bullet_map": planes[:, :, 5],
        "alien_map": planes[:, :, 1],
        "alien_dir": 2 * field(ours.fleet, 8) - 1,
        "alien_move_timer": field(ours.fleet, 12),
        "alien_shot_timer": field(ours.fleet, 16),
        "enemy_move_interval": 12 - rises,
        "ramp_index": rises,
    }


def dodge_and_fire(theirs: Any, random: Array) -> Array:
    """Keeps below the nearest aliens and fires, at times elsewhere too, and goes out of the way of a bullet."""
    columns = jnp.arange(10)
    distance = jnp.where(theirs.alien_map.any(axis=0), jnp.abs(columns - theirs.pos), 99)
    target = jnp.argmin(distance)
    wanted = jnp.where(target < theirs.pos, 1, jnp.where(target > theirs.pos, 2, 3))
    wanted = jnp.where((theirs.shot_timer == 0) & (random % 8 == 0), 3, wanted)
    moves = jnp.array([0, -1, 1, 0])
    reached = jnp.clip(theirs.pos + moves, 0, 9)  # by each of the actions
    hit = theirs.e_bullet_map[8, reached] > 0
    return jnp.where(hit[wanted], jnp.argmin(hit), wanted).astype(jnp.int32)


PEERS = {
    "breakout": Peer(
        BREAKOUT,
        "Breakout-MinAtar",
        lambda theirs: BREAKOUT.start(theirs.ball_x // 9),
        lambda key, theirs, ours, action: BREAKOUT.step(ours, action, (key[0], key[1])),
        breakout_told,
        meet_the_ball,
        lambda theirs: (theirs.brick_map.sum() == 30) & (theirs.time > 60),  # a new wall
    ),
    "asterix": Peer(
        ASTERIX,
        "Asterix-MinAtar",
        lambda theirs: ASTERIX.start(jnp.int32(0)),
        asterix_step,
        asterix_told,
        lambda theirs, random: (random % 5).astype(jnp.int32),
        lambda theirs: (theirs.ramp_index == 9) & (theirs.ramp_timer == 100),
        plays_on=True,
    ),
    "freeway": Peer(
        FREEWAY,
        "Freeway-MinAtar",
        freeway_start,
        lambda key, theirs, ours, action: FREEWAY.crossed(ours, action, freeway_speeds(key)),
        freeway_told,
        lambda theirs, random: jnp.int32(1),
        lambda theirs: theirs.time == 2500,
    ),
    "space_invaders": Peer(
        INVADERS,
        "SpaceInvaders-MinAtar",
        lambda theirs: INVADERS.init((jnp.uint32(0), jnp.uint32(0))),
        lambda key, theirs, ours, action: INVADERS.step(ours, action, (key[0], key[1])),
        invaders_told,
        dodge_and_fire,
        lambda theirs: theirs.ramp_index > 0,  # a new fleet
    ),
}


@functools.partial(jax.jit, static_argnums=(0, 1))
def play(env_id: str, num_games: int, skill: Array, max_steps: Array) -> dict[str, Array]:
    """B games to their end, or for `max_steps` (i32[]), ours and theirs side by side.

    A share `skill` (f32[]) of the actions is that of the skilled player, the others are drawn at random. Returns how
    many steps live games made, all rewards, how many games were lost and cut and how many steps were far, and in how
    many steps anything differed, by its name.
    """
    peer = PEERS[env_id]
    env, params = gymnax.make(peer.name)

    def one_step(key: Array, theirs: Any, ours: Any) -> tuple[Any, Any, dict[str, Any]]:
        action_key, skill_key, key = jax.random.split(key, 3)
        random = jax.random.bits(action_key)
        action = (random % peer.game.spec.num_actions).astype(jnp.int32)
        action = jnp.where(jax.random.uniform(skill_key) < skill, peer.skill(theirs, random >> 8), action)
        planes, theirs_after, reward, done, _ = env.step_env(key, theirs, action, params)
        step = peer.step(key, theirs, ours, action)
        told = peer.told(step.state, theirs_after)
        differs = {
            "observation": (planes != peer.game.observe(step.state, jnp.int32(0))).any(),
            "reward": reward != step.reward[0],
            "terminated": done != step.terminated,
        } | {name: (vars(theirs_after)[name] != value).any() for name, value in told.items()}
        done = done & ~((skill > 0) & peer.plays_on)
        cut = env.is_truncated(theirs_after, params) & ~done
        counts = dict(zip(COUNTED, (1, reward, done, cut, peer.far(theirs_after)), strict=True))
        return theirs_after, step.state, {f"differing {name}": flag for name, flag in differs.items()} | counts

    def body(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        number, live, theirs, ours, totals = carry
        step_keys = jax.random.split(jax.random.fold_in(jax.random.key(0), number), num_games)
        theirs, ours, counts = jax.vmap(one_step)(jax.vmap(jax.random.key_data)(step_keys), theirs, ours)
        counts = {name: jnp.where(live, count, 0) for name, count in counts.items()}
        totals = totals | {name: totals[name] + count.sum().astype(jnp.int32) for name, count in counts.items()}
        return number + 1, live & (counts["lost"] + counts["cut"] == 0), theirs, ours, totals

    keys = jax.random.split(jax.random.PRNGKey(0), num_games)
    _, theirs = jax.vmap(lambda key: env.reset_env(key, params))(keys)
    ours = jax.vmap(peer.start)(theirs)
    theirs = jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), theirs)  # no weak types
    named = ["observation", "reward", "terminated", *vars(theirs)]
    totals = {name: jnp.int32(0) for name in [*map("differing {}".format, named), *COUNTED]}
    start = jnp.int32(0), jnp.ones((num_games,), bool), theirs, ours, totals
    return jax.lax.while_loop(lambda carry: carry[1].any() & (carry[0] < max_steps), body, start)[-1]


@pytest.mark.parametrize(("num_games", "max_steps"), [(16, 300), pytest.param(10_000, 10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("env_id", PEERS)
def test_every_step_is_as_in_gymnax(env_id: str, num_games: int, max_steps: int) -> None:
    spec = PEERS[env_id].game.spec
    assert spec.max_steps == gymnax.make(PEERS[env_id].name)[1].max_steps_in_episode
    lowered = play.lower(env_id, num_games, jnp.float32(0), jnp.int32(0))
    compiled = lowered.compile({"xla_backend_optimization_level": "0" if num_games < 100 else "3"})
    for skill in (0.0, 0.98):
        counts = compiled(jnp.float32(skill), jnp.int32(max_steps))
        result = {name: int(total) for name, total in counts.items() if not name.startswith("differing") or total}
        print(env_id, f"skill {skill}", result)
        assert not [name for name in result if name.startswith("differing")], result
        assert result["moves"] > 0
        if max_steps > spec.max_steps:
            assert result["lost"] + result["cut"] == num_games
            assert result["far"] > 0 or skill == 0


def test_gymnax_has_things_appear_in_asterix_as_often() -> None:
    """With no, one, two and eight lanes free."""
    filled = jnp.array([[1] * 8, [1, 1, 1, 0, 1, 1, 1, 1], [1, 0, 1, 1, 1, 1, 0, 1], [0] * 8])
    _, theirs = gymnax.make("Asterix-MinAtar")[0].reset(jax.random.PRNGKey(0))
    spawn_entity = sys.modules["gymnax.environments.minatar.asterix"].spawn_entity
    keys = jax.random.split(jax.random.PRNGKey(1), NUM_DRAWS)

    @jax.jit
    @jax.vmap
    def both(filled: Array) -> tuple[Array, Array]:
        things = theirs.entities.at[:, 4].set(filled)
        drawn, lanes = jax.vmap(lambda key: spawn_entity(key, theirs.replace(entities=things)))(keys)
        ours = ASTERIX.start(jnp.int32(0))
        due = dataclasses.replace(ours, kinds=packed(filled), player=ours.player & ~jnp.uint32(15 << 8))
        chances = ASTERIX.chance_outcomes(ASTERIX.afterstate(due, jnp.int32(0)))
        return 4 * lanes + 2 * drawn[:, 3] + drawn[:, 2], chances

    for outcomes, chances in zip(*map(np.asarray, both(filled)), strict=True):
        seen = np.bincount(outcomes, minlength=32)
        expected = NUM_DRAWS * chances.astype(np.float64)
        assert np.isclose(expected.sum(), NUM_DRAWS)
        assert (seen[chances == 0] == 0).all()
        assert (np.abs(seen - expected) <= 5 * np.sqrt(expected * (1 - chances)) + 1).all()


def test_all_speeds_of_a_car_are_as_likely() -> None:
    """Ten kinds of car, four cars from a word: 10,000 words at even distances hold every combination once."""
    words = jnp.asarray((np.arange(10_000) * 2**32 + 9_999) // 10_000, jnp.uint32)
    for word, other in ((words, words), (words + jnp.uint32(2**32 // 10_000 - 1), words)):
        speeds = np.asarray(jax.vmap(freeway.random_speeds)((word, other)))
        assert len(np.unique(speeds & 0xFFFF)) == len(np.unique(speeds >> 16)) == 10_000
        kinds = (speeds[:, None] >> np.arange(0, 32, 4, dtype=np.uint32)) & 15
        assert {*kinds.flat} == {1, 2, 3, 4, 5, 9, 10, 11, 12, 13}
