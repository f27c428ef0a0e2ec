"""What the remote learner computes for itself, held to the parts of the house that it cannot load."""

import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.client import Sampled
from cartridge.proto.replay.v1 import replay_pb2 as pb
from cartridge.replay import samplers
from cartridge.services.remote_learner import _since, importance_weights


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
def test_importance_weights_are_those_of_the_local_trainer(beta: float) -> None:
    probability = np.random.default_rng(0).dirichlet(np.ones(64)).astype(np.float32)
    drawn = Sampled({}, np.zeros(64, np.uint64), probability, filled=1000, epoch=0)
    draws = samplers.Draws(jnp.zeros(64, jnp.int32), jnp.zeros(64, jnp.uint32), jnp.asarray(probability))
    expected = np.asarray(samplers.importance_weights(draws, 1000, beta))
    weights = importance_weights(drawn, beta)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_games_are_told_of_the_iteration_alone() -> None:
    before = pb.Played(episodes=10, episode_moves=70, first_wins=5, second_wins=2)
    now = pb.Played(episodes=14, episode_moves=106, first_wins=6, second_wins=4)
    assert _since(before, now) == {"episode_length": 9.0, "first_win_rate": 0.25, "second_win_rate": 0.5}
    assert _since(now, now) == {"episode_length": 0.0, "first_win_rate": 0.0, "second_win_rate": 0.0}
    anew = pb.Played(episodes=2, episode_moves=14, first_wins=1)  # of a server that lost its memory
    assert _since(now, anew) == {"episode_length": 7.0, "first_win_rate": 0.5, "second_win_rate": 0.0}
