"""Policies choose legal actions only, with the preferences they promise."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.actor.evaluators import playout_evaluator
from cartridge.actor.policies import greedy_policy, playout_search, random_policy, sampled_policy, search_policy
from cartridge.engine.transition import EngineState, start, transition
from cartridge.games.tictactoe import TicTacToe
from jax import Array

GAME = TicTacToe()
KEY = jax.random.PRNGKey(0)
LIKES = jnp.array([9.0, 0.5, 8.0, 2.0, 7.0, 1.0, 0.0, -1.0, 1.5])  # cells 0, 2 and 4 are taken below
FREE = [1, 3, 5, 6, 7, 8]


def fixed(states: EngineState[Any], key: Array) -> tuple[Array, Array]:
    """The same preferences in every state."""
    del key
    num_states = states.meta.shape[0]
    return jnp.broadcast_to(LIKES, (num_states, 9)), jnp.zeros((num_states,))


def copies(number: int) -> EngineState[Any]:
    """[number] times the board after cells 0, 4 and 2."""
    state = start(GAME, KEY)
    for action in (0, 4, 2):
        state = transition(GAME, state, jnp.int32(action)).state
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (number,)), state)


def frequencies(actions: Array) -> np.ndarray:
    return np.bincount(np.asarray(actions), minlength=9) / actions.shape[0]


def test_random_takes_every_legal_action_alike() -> None:
    found = frequencies(jax.jit(random_policy(GAME))(copies(6000), KEY))
    np.testing.assert_allclose(found[FREE], 1 / 6, atol=0.02)
    assert found[FREE].sum() == 1.0


def test_greedy_takes_the_best_legal_action() -> None:
    actions = jax.jit(greedy_policy(GAME, fixed))(copies(3), KEY)
    assert actions.dtype == jnp.int32
    np.testing.assert_array_equal(actions, [3, 3, 3])  # 0, 2 and 4 are liked better, but taken


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_sampled_follows_the_preferences(temperature: float) -> None:
    found = frequencies(jax.jit(sampled_policy(GAME, fixed, temperature))(copies(8000), KEY))
    np.testing.assert_allclose(found[np.array(FREE)], jax.nn.softmax(LIKES[jnp.array(FREE)] / temperature), atol=0.02)
    assert found[FREE].sum() == 1.0


def test_sampled_becomes_greedy_when_cold() -> None:
    np.testing.assert_array_equal(sampled_policy(GAME, fixed, 1e-3)(copies(50), KEY), 3)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_sampled_refuses_no_temperature(temperature: float) -> None:
    with pytest.raises(ValueError, match="expected more than 0"):
        sampled_policy(GAME, fixed, temperature)


def test_search_blocks_a_threat_that_playouts_show() -> None:
    actions = jax.jit(search_policy(GAME, playout_evaluator(GAME), playout_search(64)))(copies(2), KEY)
    np.testing.assert_array_equal(actions, [1, 1])  # cells 0 and 2 threaten the top line
