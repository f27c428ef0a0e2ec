"""One move in many games, and what it is worth to whoever made it: shared by the searches and by self-play."""

import jax
import jax.numpy as jnp
from jax import Array

from ..engine.batch import reward_of
from ..engine.game import Game, State
from ..engine.transition import EngineState, Transition, transition


def advance(
    game: Game[State], states: EngineState[State], actions: Array, outcomes: Array | None = None
) -> tuple[Transition[State], Array, Array]:
    """Plays `actions` (i32[B]), with `outcomes` (i32[B]) of chance where they are given.

    Returns:
      the transitions; the movers' rewards, f32[B]; and f32[B] by which a mover counts the value of what follows: 1
      where they move again, -1 where the turn passes, 0 where the game is over.
    """
    mover = players(game, states)
    if outcomes is None:
        moved = jax.vmap(lambda state, action: transition(game, state, action))(states, actions)
    else:
        moved = jax.vmap(lambda *row: transition(game, *row))(states, actions, outcomes)
    discount = jnp.where(players(game, moved.state) == mover, jnp.float32(1), jnp.float32(-1))
    return moved, reward_of(mover, moved.reward), jnp.where(moved.state.over, jnp.float32(0), discount)


def players(game: Game[State], states: EngineState[State]) -> Array:
    """i32[B], whose turn it is."""
    return jax.vmap(lambda state: game.player(state.game))(states)
