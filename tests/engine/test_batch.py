"""What happens at the end of an episode, in the three modes, and that nothing of the last observation is lost."""

import functools
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import batch, bits
from cartridge.engine.batch import Autoreset, TimeStep
from cartridge.engine.keys import root_keys
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe

NUM_ENVS = 16
TICTACTOE, CONNECT4 = TicTacToe(), Connect4()  # one of each, so that tests share what is compiled


@functools.partial(jax.jit, static_argnums=(0, 1))
def step(game: Any, autoreset: Autoreset, states: Any, actions: jax.Array) -> tuple[Any, TimeStep]:
    return batch.step(game, states, actions, autoreset)


@functools.partial(jax.jit, static_argnums=(0, 1))
def init(game: Any, num_envs: int) -> tuple[Any, TimeStep]:
    return batch.init(game, 0, num_envs)


@jax.jit
def random_actions(seen: TimeStep, seed: int | jax.Array) -> jax.Array:
    words = jax.random.bits(jax.random.PRNGKey(seed), (len(seen.player),), jnp.uint32)
    return jax.vmap(lambda legal, word: bits.random_member(bits.pack(legal), word))(seen.legal_actions, words)


def play_until_over(game: Any) -> tuple[Any, TimeStep]:
    """A batch in which every game is over."""
    states, seen = init(game, NUM_ENVS)
    seed = 0
    while not states.over.all():
        seed += 1
        states, seen = step(game, "disabled", states, random_actions(seen, seed))
    return states, seen


@pytest.mark.parametrize("game", [TICTACTOE, CONNECT4], ids=["tictactoe", "connect4"])
def test_same_step_shows_the_true_last_observation_and_a_new_game(game: Any) -> None:
    states, seen = init(game, NUM_ENVS)
    first = seen
    ends = 0
    for move in range(30):
        actions = random_actions(seen, move)
        unreset, without = step(game, "disabled", states, actions)  # the same move with nothing restarted
        states, seen = step(game, "same_step", states, actions)
        ended = np.asarray(seen.terminated | seen.truncated)
        ends += int(ended.sum())
        np.testing.assert_array_equal(seen.reward, without.reward)
        np.testing.assert_array_equal(unreset.over, ended)
        assert seen.final_observation is not None
        np.testing.assert_array_equal(seen.final_observation[ended], without.observation[ended])
        assert not np.asarray(seen.final_observation)[~ended].any()
        np.testing.assert_array_equal(seen.observation[~ended], without.observation[~ended])
        np.testing.assert_array_equal(seen.observation[ended], first.observation[ended])
        np.testing.assert_array_equal(states.step_count[ended], 0)
        assert not seen.player[ended].any()
    assert ends > NUM_ENVS


def test_next_step_keeps_the_end_for_one_call_and_ignores_the_next_action() -> None:
    game = TICTACTOE
    states, seen = init(game, NUM_ENVS)
    waited = 0
    for move in range(20):
        was_over = np.asarray(states.over)
        actions = jnp.where(states.over, -1, random_actions(seen, move))  # -1 would be illegal in a live game
        unreset, without = step(game, "disabled", states, actions)
        states, seen = step(game, "next_step", states, actions)
        assert seen.final_observation is None
        assert not np.asarray(seen.illegal).any()
        np.testing.assert_array_equal(states.over, unreset.over & ~was_over)
        np.testing.assert_array_equal(states.step_count[was_over], 0)
        np.testing.assert_array_equal(seen.reward[was_over], 0.0)
        assert not np.asarray(seen.terminated)[was_over].any()
        np.testing.assert_array_equal(seen.observation[~was_over], without.observation[~was_over])
        waited += int(was_over.sum())
    assert waited > NUM_ENVS


def test_an_over_state_absorbs_every_action_and_pays_nothing() -> None:
    game = TICTACTOE
    states, _ = play_until_over(game)
    for action in (-1, 0, 8, 9):
        after, seen = step(game, "disabled", states, jnp.full((NUM_ENVS,), action, jnp.int32))
        jax.tree.map(np.testing.assert_array_equal, after, states)
        np.testing.assert_array_equal(seen.reward, 0.0)
        assert not np.asarray(seen.terminated | seen.truncated | seen.illegal).any()
        assert np.asarray(seen.legal_actions).all()  # inside the engine, so that no softmax divides by zero


def test_same_step_restarts_a_state_handed_in_over() -> None:
    states, _ = play_until_over(TICTACTOE)
    after, seen = step(TICTACTOE, "same_step", states, jnp.zeros((NUM_ENVS,), jnp.int32))
    np.testing.assert_array_equal(after.meta, 0)
    assert not np.asarray(seen.terminated).any()


@pytest.mark.parametrize("action", [0, -1, 9, 2**31 - 1, -(2**31)])
def test_an_illegal_action_ends_the_game_against_the_mover(action: int) -> None:
    game = TICTACTOE
    states, _ = init(game, 2)
    states, _ = step(game, "disabled", states, jnp.zeros((2,), jnp.int32))  # player 0 takes cell 0; player 1 moves
    after, seen = step(game, "disabled", states, jnp.array([action, 4], jnp.int32))
    assert seen.illegal.tolist() == seen.terminated.tolist() == after.over_by_illegal.tolist() == [True, False]
    assert not np.asarray(seen.truncated).any()
    np.testing.assert_array_equal(seen.reward, [[1.0, -1.0], [0.0, 0.0]])
    np.testing.assert_array_equal(after.game.marks[0], states.game.marks[0])
    _, seen = step(game, "same_step", states, jnp.array([action, 4], jnp.int32))
    assert seen.illegal.tolist() == [True, False]
    np.testing.assert_array_equal(seen.reward, [[1.0, -1.0], [0.0, 0.0]])
    assert seen.player.tolist() == [0, 0]


def test_max_steps_truncates_and_is_apart_from_termination(small_games: ModuleType) -> None:
    game = small_games.Counting(max_steps=4)
    states, seen = init(game, 3)
    movers = []
    # Row 0 counts slowly and is cut; row 1 wins on move 4, which is no cut; row 2 makes an illegal move 4.
    for actions in ([0, 2, 2], [0, 2, 2], [0, 2, 2], [0, 0, 1]):
        assert not np.asarray(seen.terminated | seen.truncated).any()
        movers.append(seen.player.tolist())
        states, seen = step(game, "disabled", states, jnp.array(actions, jnp.int32))
    assert movers == [[0] * 3, [0] * 3, [1] * 3, [0] * 3]
    assert seen.truncated.tolist() == [True, False, False]
    assert seen.terminated.tolist() == [False, True, True]
    assert seen.illegal.tolist() == [False, False, True]
    np.testing.assert_array_equal(seen.reward, [[0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]])
    assert states.step_count.tolist() == [4, 4, 4]


def test_jit_and_no_jit_agree_and_rows_differ() -> None:
    game = CONNECT4
    states, seen = init(game, NUM_ENVS)
    for move in range(6):
        states, seen = step(game, "same_step", states, random_actions(seen, move))
    actions = random_actions(seen, 99)
    compiled = step(game, "same_step", states, actions)
    with jax.disable_jit():
        eager = batch.step(game, states, actions)
    jax.tree.map(np.testing.assert_array_equal, compiled, eager)
    observation = np.asarray(compiled[1].observation).reshape(NUM_ENVS, -1)
    assert len(np.unique(observation, axis=0)) > NUM_ENVS // 2


def test_the_key_of_a_game_depends_on_seed_and_index_alone() -> None:
    few, many, other = (np.stack(root_keys(seed, count), axis=1) for seed, count in ((7, 3), (7, 50), (8, 3)))
    np.testing.assert_array_equal(few, many[:3])
    assert len(np.unique(np.asarray(many), axis=0)) == 50
    assert not np.asarray(few == other).all(axis=1).any()


def test_an_unknown_mode_is_named() -> None:
    states, _ = init(TICTACTOE, 1)
    mode: Any = "same step"
    with pytest.raises(ValueError, match="'same step', expected one of same_step, next_step, disabled"):
        batch.step(TICTACTOE, states, jnp.zeros((1,), jnp.int32), mode)
