"""Random openings: games that start from positions self-play alone would hardly visit."""

import jax
import jax.numpy as jnp
from jax import Array

from ..engine import bits
from ..engine.batch import select
from ..engine.game import Game, State
from ..engine.transition import EngineState, legal_words, start, transition


def random_openings(game: Game[State], key: Array, plies: Array, max_plies: int) -> EngineState[State]:
    """B live states after up to `plies` (i32[B], at most `max_plies`) uniformly random legal moves each.

    A move that would end the game is not played: that ply is lost, and the next draws again.
    """
    num_games = plies.shape[0]
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(num_games))
    states = jax.vmap(lambda episode_key: start(game, episode_key))(keys)

    def play(ply: Array, current: EngineState[State]) -> EngineState[State]:
        words = jax.random.bits(jax.random.fold_in(key, num_games + ply), (num_games,))
        actions = jax.vmap(lambda state, word: bits.random_member(legal_words(game, state), word))(current, words)
        moved = jax.vmap(lambda state, action: transition(game, state, action).state)(current, actions)
        return select((ply < plies) & ~moved.over, moved, current)

    return jax.lax.fori_loop(0, max_plies, play, states)


def draw_plies(key: Array, num_games: int, fraction: float, max_plies: int) -> Array:
    """i32[num_games]: 0 for a share of 1 - `fraction` of the games, else uniform over 0..max_plies."""
    share_key, length_key = jax.random.split(key)
    chosen = jax.random.uniform(share_key, (num_games,)) < fraction
    return jnp.where(chosen, jax.random.randint(length_key, (num_games,), 0, max_plies + 1), 0)
