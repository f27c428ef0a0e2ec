"""Sequences follow a game round the ring, and n-step returns agree with a plain loop."""

import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.replay.ring import add, empty
from cartridge.replay.sequences import follows, n_step, sequence_slots, sequences, within_episode


def test_steps_of_a_game_follow_one_another_round_the_ring() -> None:
    """Rows are (game, step); three games in lock step in each of two groups, one of them written over."""
    ring = empty(jnp.zeros((2,), jnp.int32), 2 * 3 * 8, 12, 3, 2)
    for turn, group in enumerate([0, 1, 0, 0, 1, 0, 0]):
        step = 4 * [0, 0, 1, 2, 1, 3, 4][turn]
        block = [(3 * group + game, step + t) for t in range(4) for game in range(3)]
        ring = add(ring, jnp.array(block, jnp.int32), group)
    slots = jnp.arange(48, dtype=jnp.int32)
    whole = np.asarray(follows(ring, slots, 3))
    rows = np.asarray(sequences(ring, slots, 3))[whole]
    assert whole.sum() == 2 * 3 * 6
    assert (rows[:, :, 0] == rows[:, :1, 0]).all()
    assert (np.diff(rows[:, :, 1], axis=1) == 1).all()
    assert sequence_slots(ring, jnp.array([47]), 2).tolist() == [[47, 26]]


def test_an_episode_ends_with_its_last_step() -> None:
    discounts = jnp.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0], [-1.0, 1.0, -1.0, 0.0]])
    assert within_episode(discounts).tolist() == [[True, True, False, False], [True, *[False] * 3], [True] * 4]


@pytest.mark.parametrize("length", [1, 2, 5])
def test_n_step_returns_agree_with_a_loop(length: int) -> None:
    rng = np.random.default_rng(length)
    rewards = rng.normal(size=(50, length))
    discounts = rng.choice([0.0, 0.9, -1.0], (50, length))
    returns, after = n_step(jnp.array(rewards, jnp.float32), jnp.array(discounts, jnp.float32))
    for row in range(50):
        total, weight = 0.0, 1.0
        for step in range(length):
            total += weight * rewards[row, step]
            weight *= discounts[row, step]
        assert returns[row] == pytest.approx(total, abs=1e-5)
        assert after[row] == pytest.approx(weight, abs=1e-6)
