"""Random games in lock step beside pgx: observation, moves, reward and end of a whole batch."""

import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge import make_game
from cartridge.engine import batch, bits

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a package we do not own
    import pgx

PGX_NAMES: dict[str, Any] = {  # actions and planes are ordered alike
    "connect4": "connect_four",
    "hex:swap=1": "hex",
    "tictactoe": "tic_tac_toe",
}
NUM_ENVS = 64


@pytest.mark.parametrize("env_id", PGX_NAMES)
def test_every_move_of_random_games_agrees(env_id: str) -> None:
    game: Any = make_game(env_id)
    theirs = pgx.make(PGX_NAMES[env_id])
    with jax.numpy_rank_promotion("allow"):
        begin, go = jax.jit(jax.vmap(theirs.init)), jax.jit(jax.vmap(theirs.step))
        their = begin(jax.random.split(jax.random.PRNGKey(0), NUM_ENVS))
    first = their.current_player  # pgx draws which of its players begins: ours is player 0
    states, seen = jax.jit(lambda: batch.init(game, 0, NUM_ENVS))()
    step = jax.jit(functools.partial(batch.step, game, autoreset="disabled"))
    draw = jax.jit(jax.vmap(lambda legal, word: bits.random_member(bits.pack(legal), word)))
    key = jax.random.PRNGKey(1)
    while not states.over.all():
        live = ~np.asarray(states.over)
        np.testing.assert_array_equal(seen.observation[live], np.asarray(their.observation)[live].astype(np.float32))
        np.testing.assert_array_equal(seen.legal_actions[live], their.legal_action_mask[live])
        np.testing.assert_array_equal(seen.player[live], (their.current_player ^ first)[live])
        key, drawn = jax.random.split(key)
        actions = draw(seen.legal_actions, jax.random.bits(drawn, (NUM_ENVS,), jnp.uint32))
        states, seen = step(states, actions)
        with jax.numpy_rank_promotion("allow"):
            their = go(their, actions)
        in_our_order = np.take_along_axis(np.asarray(their.rewards), np.stack([first, 1 - first], axis=1), axis=1)
        np.testing.assert_array_equal(seen.reward, in_our_order)
        np.testing.assert_array_equal(states.over, their.terminated)
