"""What a search asks about a leaf: move preferences and a value, from a network or from random play."""

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from ..engine import bits
from ..engine.batch import reward_of
from ..engine.game import Game, State
from ..engine.transition import EngineState, legal_words, observe, transition
from .network import Network, Params, apply

_LONGEST_PLAYOUT = 1024


class Evaluator(Protocol):
    """Judges a batch of live states for the player to move."""

    def __call__(self, states: EngineState[Any], key: Array) -> tuple[Array, Array]:
        """(policy logits f32[B, A], value f32[B]); `key` is uint32[2]."""
        ...


def network_evaluator(game: Game[State], network: Network, params: Params, *, symmetrise: bool = False) -> Evaluator:
    """Judges by the network; `symmetrise` averages over the game's symmetries (once per symmetry more work)."""
    symmetries = game.symmetries() if symmetrise else ()
    views = 1 + len(symmetries)

    def evaluate(states: EngineState[State], key: Array) -> tuple[Array, Array]:
        del key
        boards = [states.game, *(jax.vmap(symmetry.state)(states.game) for symmetry in symmetries)]
        seen = [_observations(game, dataclasses.replace(states, game=board)) for board in boards]
        # All views go through the network as one batch: one program to compile, one large product to run.
        logits, value = apply(network, params, jnp.concatenate(seen))
        logits, value = logits.reshape(views, -1, game.spec.num_actions), value.reshape(views, -1)
        back = [logits[0], *(logits[1 + i][:, jnp.array(s.actions)] for i, s in enumerate(symmetries))]
        return sum(back[1:], start=back[0]) / views, jnp.sum(value, axis=0) / views

    return evaluate


def playout_evaluator(game: Game[State]) -> Evaluator:
    """Judges by one random game to the end, with no preference among moves: classic Monte Carlo tree search."""

    def evaluate(states: EngineState[State], key: Array) -> tuple[Array, Array]:
        num_states = states.meta.shape[0]
        mover = jax.vmap(lambda state: game.player(state.game))(states)

        def unfinished(carry: tuple[EngineState[State], Array, Array]) -> Array:
            current, _, ply = carry
            return jnp.any(~current.over) & (ply < _LONGEST_PLAYOUT)

        def play(carry: tuple[EngineState[State], Array, Array]) -> tuple[EngineState[State], Array, Array]:
            current, total, ply = carry
            words = jax.random.bits(jax.random.fold_in(key, ply), (num_states,))
            actions = jax.vmap(lambda state, word: bits.random_member(legal_words(game, state), word))(current, words)
            moved = jax.vmap(lambda state, action: transition(game, state, action))(current, actions)
            return moved.state, total + moved.reward, ply + 1

        nothing = jnp.zeros((num_states, game.spec.num_players))
        _, total, _ = jax.lax.while_loop(unfinished, play, (states, nothing, jnp.int32(0)))
        return jnp.zeros((num_states, game.spec.num_actions)), reward_of(mover, total)

    return evaluate


def _observations(game: Game[State], states: EngineState[State]) -> Array:
    return jax.vmap(lambda state: observe(game, state))(states)
