"""What the rules alone prove about the next few moves: exact bounds on the value of every action.

A search leaf's value comes from a network that has to learn even that a move wins at once. Walking the game a few plies
ahead costs a bit-packed game little beside one network evaluation, and gives the search facts where the
network has opinions. Only for deterministic two-player zero-sum games whose rewards come at the end.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array

from ..engine.game import Game, State
from ..engine.spec import GameSpec
from ..engine.transition import EngineState, transition
from .advance import players


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Bounds:
    """Proven bounds on each action's value for the player to move; illegal actions have both at -1."""

    lower: Array  # f32[A, B]
    upper: Array  # f32[A, B]

    @property
    def floor(self) -> Array:
        """f32[B], what the player to move is sure of."""
        return jnp.max(self.lower, axis=0)

    @property
    def ceiling(self) -> Array:
        """f32[B], more than this cannot be had."""
        return jnp.max(self.upper, axis=0)


def supports(spec: GameSpec) -> bool:
    """Whether the bounds hold for a game of this kind."""
    return spec.num_players == 2 and not spec.stochastic and not spec.hidden_information


def look_ahead(game: Game[State], states: EngineState[State], plies: int) -> Bounds:
    """Bounds for each of B live states from the full tree of `plies` >= 1 moves below it.

    The batch stays the last axis, so that each ply is plain vector code over games; a loop over the actions of all
    plies but the last keeps XLA from computing a child state anew for each of its own children.
    """

    def after(action: Array) -> tuple[Array, Array]:
        return _after(game, states, action, plies)

    actions = jnp.arange(game.spec.num_actions)
    lower, upper = jax.lax.map(after, actions) if plies > 1 else jax.vmap(after)(actions)  # [A, B] each
    return Bounds(lower, upper)  # an illegal action ends the game with -1, so it bounds itself


def _after(game: Game[State], states: EngineState[State], action: Array, plies: int) -> tuple[Array, Array]:
    """(lower f32[B], upper f32[B]) on the value of playing `action` (i32[]) in every state."""
    mover = players(game, states)
    moved = jax.vmap(lambda state: transition(game, state, action))(states)
    reward = jnp.where(mover == 0, moved.reward[:, 0], moved.reward[:, 1])
    lower, upper = -jnp.ones_like(reward), jnp.ones_like(reward)
    if plies > 1:
        reply = look_ahead(game, moved.state, plies - 1)
        again = players(game, moved.state) == mover
        lower = jnp.where(again, reply.floor, -reply.ceiling)
        upper = jnp.where(again, reply.ceiling, -reply.floor)
    over = moved.state.over
    return jnp.where(over, reward, lower), jnp.where(over, reward, upper)


def worth_trying(bounds: Bounds, legal: Array) -> Array:
    """bool[A, B]: legal actions that no other action is proven to match or beat; never empty where one is legal."""
    floor = bounds.floor[None]
    open_ended = legal & (bounds.upper > floor)
    reaches_floor = legal & (bounds.lower == floor)
    keep_floor = (floor > -1) | ~jnp.any(open_ended, axis=0, keepdims=True)
    return open_ended | (reaches_floor & keep_floor)
