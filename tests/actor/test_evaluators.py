"""An evaluator that averages over symmetries sees a turned board as the same board."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.actor.evaluators import network_evaluator
from cartridge.actor.network import build, init_params
from cartridge.actor.openings import random_openings
from cartridge.engine.game import Game
from cartridge.engine.spec import NetworkSpec
from cartridge.engine.transition import EngineState
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe

KEY = jax.random.PRNGKey(3)


@pytest.mark.parametrize("game", [TicTacToe(), Connect4()], ids=lambda game: game.spec.env_id)
def test_symmetrised_judgement_turns_with_the_board(game: Game[Any]) -> None:
    network = build(game.spec, NetworkSpec(width=16, blocks=1))
    params = jax.jit(lambda: init_params(network, game.spec, KEY))()
    plain = jax.jit(network_evaluator(game, network, params))
    symmetrised = jax.jit(network_evaluator(game, network, params, symmetrise=True))
    states = jax.jit(lambda: random_openings(game, KEY, jnp.full((16,), 3), 3))()
    logits, value = symmetrised(states, KEY)
    assert np.any(np.abs(logits - plain(states, KEY)[0]) > 1e-2)
    for symmetry in game.symmetries():
        mapped = EngineState(jax.jit(jax.vmap(symmetry.state))(states.game), states.meta)
        mapped_logits, mapped_value = symmetrised(mapped, KEY)
        np.testing.assert_allclose(mapped_value, value, atol=1e-5)
        # What was said of action a must now be said of the action it became.
        np.testing.assert_allclose(mapped_logits[:, list(symmetry.actions)], logits, atol=1e-5)
