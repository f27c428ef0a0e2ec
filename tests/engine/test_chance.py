"""A game with chance in a batch: every episode its own, every transition a pure function of the state's bytes."""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import batch, codec
from cartridge.engine.transition import EngineState, transition
from cartridge.engine.vector_env import VectorEnv

NUM_ENVS = 64


@pytest.fixture(scope="module")
def game(small_games: ModuleType) -> Any:
    return small_games.DiceRace()


def episodes(game: Any, autoreset: Any, num_steps: int) -> list[list[tuple[Any, ...]]]:
    """For each game what it shows, one entry a state, split into episodes; every action is `plain`."""
    env = VectorEnv(game, NUM_ENVS, seed=5, autoreset=autoreset, output="numpy")
    seen = env.reset()
    found: list[list[Any]] = [[[tuple(row)]] for row in seen.observation]
    ended = np.zeros(NUM_ENVS, bool)
    for _ in range(num_steps):
        seen = env.step(np.zeros(NUM_ENVS, np.int32))
        last = seen.observation if seen.final_observation is None else seen.final_observation
        over = seen.terminated
        for row in range(NUM_ENVS):
            shown = last if autoreset == "same_step" and over[row] else seen.observation
            if autoreset == "next_step" and ended[row]:
                found[row].append([tuple(shown[row])])
            else:
                found[row][-1].append(tuple(shown[row]))
            if autoreset == "same_step" and over[row]:
                found[row].append([tuple(seen.observation[row])])
        ended = over
    return found


def test_episodes_differ_and_are_the_same_in_both_modes_of_restart(game: Any) -> None:
    at_once, later = episodes(game, "same_step", 60), episodes(game, "next_step", 60)
    for ours, theirs in zip(at_once, later, strict=True):
        whole = min(len(ours), len(theirs)) - 1
        assert whole >= 3
        assert ours[:whole] == theirs[:whole]
    distinct = {tuple(episode) for row in at_once for episode in row[:3]}
    assert len(distinct) > 0.95 * 3 * NUM_ENVS
    assert len({episode[0] for row in at_once for episode in row}) == 4  # every start


def test_the_next_step_follows_from_the_bytes_of_the_state(game: Any) -> None:
    env = VectorEnv(game, NUM_ENVS, seed=1, output="numpy")
    env.reset()
    actions = np.arange(NUM_ENVS, dtype=np.int32) % 2
    for _ in range(7):
        env.step(actions)
    data = codec.encode(game.spec, "state:packed_u32:v1", codec.pack_state(env.state))
    assert len(data) == NUM_ENVS * game.spec.state_bytes
    expected = [env.step(actions) for _ in range(40)]
    other = VectorEnv(game, NUM_ENVS, seed=2, output="numpy")
    words = codec.decode(game.spec, "state:packed_u32:v1", data, NUM_ENVS)
    other.set_state(codec.unpack_state(game, words))
    for step in expected:
        jax.tree.map(np.testing.assert_array_equal, other.step(actions), step)


def test_a_game_restarted_in_mid_play_plays_another_episode(game: Any) -> None:
    env = VectorEnv(game, NUM_ENVS, seed=3, output="numpy")
    first = [env.reset(), *(env.step([0] * NUM_ENVS) for _ in range(4))]
    chosen = np.arange(NUM_ENVS) % 2 == 0
    again = [env.reset(mask=chosen), *(env.step([0] * NUM_ENVS) for _ in range(4))]
    repeated = np.all([a.observation == b.observation for a, b in zip(first, again, strict=True)], axis=(0, 2))
    assert repeated.mean() < 0.1
    twin = VectorEnv(game, NUM_ENVS, seed=9, output="numpy")
    twin.reset()
    twin.step([0] * NUM_ENVS)
    np.testing.assert_array_equal(twin.reset(seed=3).observation, first[0].observation)


def test_dice_fall_as_often_as_they_should(game: Any) -> None:
    states, _ = batch.init(game, 0, 30_000)
    moved = jax.jit(jax.vmap(lambda state: transition(game, state, jnp.int32(1)).state))(states)
    rolled = np.asarray(moved.game.word & 255) - 1  # player 0's points, less the sure one
    counts = np.bincount(rolled, minlength=7)
    assert counts[[0, 6]].tolist() == [0, 0]
    assert ((counts[1:6] - 6000) ** 2 / 6000).sum() < 30  # chi-squared of four degrees of freedom


def test_games_without_chance_carry_no_key(small_games: ModuleType) -> None:
    state: EngineState[Any] = batch.init(small_games.Counting(), 0, 2)[0]
    assert state.key is None
    assert len(jax.tree.leaves(state)) == 3
