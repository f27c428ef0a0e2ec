"""Gumbel AlphaZero search over the rules of a game, through mctx.

Danihelka et al. 2022, "Policy improvement by planning with Gumbel". The tree carries packed engine states. A child's
value counts with +1 where the same player moves again, -1 where the turn passes and 0 where the game is over. Bounds
proven by `lookahead` clip the network's value at every leaf and take refuted moves out of its preferences.

Where chance has its say, the tree has nodes for it: see `chance_search`.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import mctx
from jax import Array

from ..engine.game import ChanceGame, Game, State
from ..engine.spec import GameSpec, SpecError
from ..engine.transition import EngineState, legal_actions
from .advance import advance
from .chance_search import chance_search
from .evaluators import Evaluator
from .lookahead import look_ahead, supports, worth_trying
from .settings import SearchConfig

_REFUTED = -1e9


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What the search makes of B states."""

    action: Array  # i32[B]
    policy: Array  # f32[B, A], the improved policy, a training target
    value: Array  # f32[B], the mean value of the root for the player to move
    raw_value: Array  # f32[B], the evaluator's value of the root


def search(
    game: Game[State], evaluate: Evaluator, states: EngineState[State], key: Array, config: SearchConfig
) -> SearchResult:
    """Searches from each of B live states; `key` is uint32[2].

    Raises:
      SpecError: the game hides information, does not list its chance, or has more than two players.
    """
    require_searchable(game.spec)
    if isinstance(game, ChanceGame) and game.spec.stochastic:
        return SearchResult(
            *chance_search(game, evaluate, states, key, config.num_simulations, explore=config.gumbel_scale > 0)
        )
    plies = config.lookahead if supports(game.spec) else 0
    root_key, tree_key = jax.random.split(key)
    logits, value, refuted = _judge(game, evaluate, states, root_key, plies)
    output = mctx.gumbel_muzero_policy(
        params=(),
        rng_key=tree_key,
        root=mctx.RootFnOutput(prior_logits=logits, value=value, embedding=states),
        recurrent_fn=partial(_expand, game, evaluate, plies),
        num_simulations=config.num_simulations,
        invalid_actions=refuted,
        max_num_considered_actions=config.num_considered,
        gumbel_scale=config.gumbel_scale,
        qtransform=partial(
            mctx.qtransform_completed_by_mix_value, value_scale=config.value_scale, rescale_values=False
        ),
    )
    return SearchResult(
        action=output.action.astype(jnp.int32),
        policy=output.action_weights,
        value=output.search_tree.node_values[:, 0],
        raw_value=value,
    )


def require_searchable(spec: GameSpec) -> None:
    """Raises `SpecError` where this search would have to look at what nobody may know, or knows no way to play."""
    if spec.hidden_information:
        raise SpecError(f"{spec.env_id} hides information from its players, which this search would look through")
    if spec.stochastic and not spec.num_chance_outcomes:
        raise SpecError(f"{spec.env_id} has chance that it does not list, so this search would have to foresee it")
    if spec.num_players > 2:
        raise SpecError(f"{spec.env_id} has {spec.num_players} players; this search knows one or two")


def _expand(
    game: Game[State],
    evaluate: Evaluator,
    plies: int,
    params: tuple[()],
    key: Array,
    actions: Array,
    states: EngineState[State],
) -> tuple[mctx.RecurrentFnOutput, EngineState[State]]:
    """mctx's `recurrent_fn`: plays `actions` (i32[B]) and judges where they lead."""
    del params
    moved, reward, discount = advance(game, states, actions)
    logits, value, _ = _judge(game, evaluate, moved.state, key, plies)
    value = jnp.where(moved.state.over, 0.0, value)
    output = mctx.RecurrentFnOutput(reward=reward, discount=discount, prior_logits=logits, value=value)
    return output, moved.state


def _judge(
    game: Game[State], evaluate: Evaluator, states: EngineState[State], key: Array, plies: int
) -> tuple[Array, Array, Array]:
    """(logits f32[B, A], value f32[B], refuted bool[B, A]) with what the rules prove put over the evaluator's word."""
    logits, value = evaluate(states, key)
    keep = jax.vmap(lambda state: legal_actions(game, state))(states)
    if plies:
        bounds = look_ahead(game, states, plies)
        value = jnp.clip(value, bounds.floor, bounds.ceiling)
        keep = worth_trying(bounds, keep.T).T | states.over[:, None]
    return jnp.where(keep, logits, _REFUTED), value, ~keep
