"""Search in games with chance: a tree with a node for every move and one for every throw of the dice, through mctx.

Antonoglou et al. 2022, "Planning in stochastic environments with a learned model" (Stochastic MuZero), with the rules
in the model's place: they list the outcomes and how likely each is, and the tree visits outcomes in that proportion.

The state's own key, which knows what the dice will show, is thrown away before anything else: whatever an evaluator
plays out is played with fresh words drawn from the search's key.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import mctx
from jax import Array

from ..engine.game import ChanceGame, State
from ..engine.transition import EngineState, legal_actions
from .advance import advance
from .evaluators import Evaluator

_IMPOSSIBLE = -1e9  # the logit of what cannot be
_NOISE_SHARE, _NOISE_SHAPE = 0.25, 0.3  # of the root's preferences, as in the paper

After = tuple[EngineState[State], Array]  # a state and the action whose outcome is open, [B] each


def chance_search(
    game: ChanceGame[State],
    evaluate: Evaluator,
    states: EngineState[State],
    key: Array,
    num_simulations: int,
    explore: bool,
) -> tuple[Array, Array, Array, Array]:
    """Searches from each of B live states; half of the `num_simulations` go to chance.

    With `explore` the root's preferences are mixed with noise and the action is drawn by visits; else the action
    visited most often is played.

    Returns:
      action i32[B], share of visits f32[B, A], value of the root and the evaluator's own value of it f32[B].
    """
    blind_key, root_key, tree_key = jax.random.split(key, 3)
    states = _blinded(states, blind_key)
    logits, value = _judge(game, evaluate, states, root_key)
    legal = jax.vmap(lambda state: legal_actions(game, state))(states)
    output = mctx.stochastic_muzero_policy(
        params=(),
        rng_key=tree_key,
        root=mctx.RootFnOutput(prior_logits=logits, value=value, embedding=states),
        decision_recurrent_fn=partial(_decide, game, evaluate),
        chance_recurrent_fn=partial(_resolve, game, evaluate),
        num_simulations=num_simulations,
        invalid_actions=~legal,
        dirichlet_fraction=_NOISE_SHARE if explore else 0.0,
        dirichlet_alpha=_NOISE_SHAPE,
    )
    visits = jnp.where(legal, output.action_weights, 0.0)
    most = jnp.argmax(jnp.where(legal, visits, -1.0), axis=1)
    action = output.action if explore else most
    return action.astype(jnp.int32), visits, output.search_tree.node_values[:, 0], value


def _decide(
    game: ChanceGame[State], evaluate: Evaluator, params: Any, key: Array, actions: Array, states: EngineState[State]
) -> tuple[mctx.DecisionRecurrentFnOutput, After[State]]:
    """What may come of `actions` (i32[B]), and their value, estimated from one outcome drawn by its probability."""
    draw_key, key = jax.random.split(key)
    chances = jax.vmap(lambda state, action: game.chance_outcomes(game.afterstate(state, action)))(states.game, actions)
    logits = jnp.where(chances > 0, jnp.log(jnp.maximum(chances, 1e-30)), _IMPOSSIBLE)
    drawn = jax.random.categorical(draw_key, logits).astype(jnp.int32)
    resolved, _ = _resolve(game, evaluate, params, key, drawn, (states, actions))
    value = resolved.reward + resolved.discount * resolved.value
    return mctx.DecisionRecurrentFnOutput(chance_logits=logits, afterstate_value=value), (states, actions)


def _resolve(
    game: ChanceGame[State], evaluate: Evaluator, params: Any, key: Array, outcomes: Array, after: After[State]
) -> tuple[mctx.ChanceRecurrentFnOutput, EngineState[State]]:
    """Where `outcomes` (i32[B]) of the open actions lead."""
    del params
    states, actions = after
    moved, reward, discount = advance(game, states, actions, outcomes)
    logits, value = _judge(game, evaluate, moved.state, key)
    value = jnp.where(moved.state.over, 0.0, value)
    output = mctx.ChanceRecurrentFnOutput(action_logits=logits, value=value, reward=reward, discount=discount)
    return output, moved.state


def _judge(game: ChanceGame[State], evaluate: Evaluator, states: EngineState[State], key: Array) -> tuple[Array, Array]:
    """(logits f32[B, A] of legal actions, value f32[B])."""
    word_key, key = jax.random.split(key)
    logits, value = evaluate(_blinded(states, word_key), key)
    legal = jax.vmap(lambda state: legal_actions(game, state))(states)
    return jnp.where(legal, logits, _IMPOSSIBLE), value


def _blinded(states: EngineState[State], key: Array) -> EngineState[State]:
    """The same states with keys that say nothing of what would have come."""
    words = jax.random.bits(key, (2, states.meta.shape[0]), jnp.uint32)
    return dataclasses.replace(states, key=(words[0], words[1]))
