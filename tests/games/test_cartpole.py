"""Cart and pole beside Gymnasium's CartPole-v1, which computes in float64.

Gymnasium is handed our float32 numbers before each step, so that errors do not add up. The numbers of a live game stay
below 8, where neighbouring float32 numbers are up to 4.8e-7 apart, and what a step adds to them is small and rounded
more finely. So `TOLERANCE` is two such gaps, and where Gymnasium's own result lies as near to a limit as that, either
side may be right.
"""

from typing import Any

import cartridge
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import keys
from cartridge.games.cartpole import CartPole
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

GAME = CartPole()
TOLERANCE = 1e-6


def balance(observation: Any) -> np.ndarray:
    """i32[B] from f32[B, 4]: pushes to the side on which the pole falls, under which games last."""
    return (observation @ np.array([0.02, 0.1, 1.0, 0.3], np.float32) > 0).astype(np.int32)


@pytest.mark.parametrize("num_envs", [128, pytest.param(10_000, marks=pytest.mark.long)])
def test_every_step_is_gymnasiums(num_envs: int) -> None:
    env = cartridge.make("cartpole", num_envs, output="numpy", autoreset="disabled")
    theirs: Any = CartPoleVectorEnv(num_envs)
    theirs.reset(seed=0)
    random = np.random.default_rng(0)
    skilled = np.arange(num_envs) % 16 == 0  # the others play at random
    seen, over = env.reset(), np.zeros(num_envs, bool)
    steps = on_the_edge = cut = 0
    while not over.all():
        theirs.state = seen.observation.T.astype(np.float64)
        theirs.prev_done = np.zeros(num_envs, bool)  # else it would start anew by itself
        actions = np.where(skilled, balance(seen.observation), random.integers(0, 2, num_envs, np.int32))
        seen = env.step(actions)
        _, reward, terminated, truncated, _ = theirs.step(actions.astype(np.int64))
        expected, live = theirs.state.T, ~over
        np.testing.assert_allclose(seen.observation[live], expected[live], rtol=0, atol=TOLERANCE)
        from_limit = np.abs(np.abs(expected[:, [0, 2]]) - [theirs.x_threshold, theirs.theta_threshold_radians])
        edge = np.asarray(from_limit < TOLERANCE).any(axis=1)
        assert (seen.terminated == terminated)[live & ~edge].all()
        assert (seen.truncated == truncated & ~terminated)[live & ~edge].all()
        assert (seen.reward[live, 0] == reward[live]).all()
        assert not seen.illegal.any()
        steps += int(live.sum())
        on_the_edge += int((live & edge).sum())
        cut += int(seen.truncated.sum())
        over |= np.asarray(seen.terminated | seen.truncated)
    print(f"{steps} steps, {on_the_edge} within {TOLERANCE} of a limit; {cut} games cut at {GAME.spec.max_steps}")
    assert steps > 25 * num_envs
    assert on_the_edge < 1e-4 * steps
    assert cut > 0


def test_whole_games_stay_beside_gymnasiums() -> None:
    """An unstable pole multiplies an error by fifty each second, and random games mostly last half of one."""
    num_envs = 256
    env = cartridge.make("cartpole", num_envs, seed=1, output="numpy", autoreset="disabled")
    theirs: Any = CartPoleVectorEnv(num_envs)
    theirs.reset(seed=0)
    seen, over, worst = env.reset(), np.zeros(num_envs, bool), 0.0
    theirs.state = seen.observation.T.astype(np.float64)
    random = np.random.default_rng(1)
    while not over.all():
        actions = random.integers(0, 2, num_envs, np.int32)
        seen = env.step(actions)
        theirs.prev_done = np.zeros(num_envs, bool)
        observation, _, terminated, _, _ = theirs.step(actions.astype(np.int64))
        worst = max(worst, np.abs(seen.observation - observation)[~over].max())
        assert (seen.terminated == terminated)[~over].all()
        over |= terminated
    assert 0 < worst < 5e-5


def test_starts_fill_the_interval_evenly() -> None:
    roots = keys.root_keys(3, 20_000)
    starts = np.asarray(jax.jit(jax.vmap(lambda key: GAME.observe(GAME.init(key), jnp.int32(0))))(roots))  # [B, 4]
    assert (np.abs(starts) < 0.05).all()
    for column in starts.T:
        counts = np.histogram(column, 20, (-0.05, 0.05))[0]
        assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi squared, 19 degrees of freedom: 1 in 10,000 exceeds 50
    assert np.abs(np.corrcoef(starts.T) - np.eye(4)).max() < 0.04


def test_labels_and_picture() -> None:
    state = jax.tree.map(jnp.asarray, GAME.init((jnp.uint32(7 << 16), jnp.uint32(3))))
    assert [GAME.parse_action(GAME.action_label(action)) for action in range(2)] == [0, 1]
    assert "-0.050 m" in GAME.text(state)
    assert GAME.draw(state).count("data-action") == 2
