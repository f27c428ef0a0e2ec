"""Openings are live, short enough, of the right share, and many."""

import jax
import jax.numpy as jnp
import numpy as np
from cartridge.actor.openings import draw_plies, random_openings
from cartridge.games.tictactoe import TicTacToe

KEY = jax.random.PRNGKey(1)


def test_openings_are_live_and_of_their_length() -> None:
    plies = jnp.arange(256) % 9
    states = jax.jit(lambda: random_openings(TicTacToe(), KEY, plies, 8))()
    assert not np.any(states.over)
    assert np.all(np.asarray(states.step_count) <= np.asarray(plies))
    short = np.asarray(plies) < 5  # nobody wins before the fifth move
    np.testing.assert_array_equal(np.asarray(states.step_count)[short], np.asarray(plies)[short])
    boards = np.asarray(states.game.marks)
    np.testing.assert_array_equal(np.vectorize(lambda word: int(word).bit_count())(boards), states.step_count)
    assert len(set(boards[np.asarray(plies) >= 4].tolist())) > 100


def test_openings_follow_their_key() -> None:
    plies = jnp.full((64,), 4)
    draw = jax.jit(lambda key: random_openings(TicTacToe(), key, plies, 8).game.marks)
    np.testing.assert_array_equal(draw(KEY), draw(KEY))
    assert np.mean(np.asarray(draw(KEY)) == np.asarray(draw(jax.random.PRNGKey(2)))) < 0.2


def test_first_moves_are_uniform() -> None:
    states = jax.jit(lambda: random_openings(TicTacToe(), KEY, jnp.ones((9000,), jnp.int32), 1))()
    cells = np.log2(np.asarray(states.game.marks >> 9)).astype(int)
    assert np.all(np.abs(np.bincount(cells, minlength=9) - 1000) < 150)


def test_share_and_lengths() -> None:
    plies = np.asarray(draw_plies(KEY, 20000, fraction=0.6, max_plies=3))
    assert plies.min() == 0
    assert plies.max() == 3
    # A chosen game has 0 to 3 plies alike, so 0.6 * 3/4 of all have at least one.
    np.testing.assert_allclose(np.bincount(plies) / 20000, [0.4 + 0.15, 0.15, 0.15, 0.15], atol=0.02)
    assert not np.any(draw_plies(KEY, 100, fraction=0.0, max_plies=3))
