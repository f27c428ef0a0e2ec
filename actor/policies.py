"""Ways to choose a move in a batch of states: at random, by the network alone, or by search.

Every factory returns a pure function, so a policy can be used inside a caller's own `jit`; a policy of a network that
changes is built anew inside the jitted function from the parameters it is given.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from ..engine import bits
from ..engine.game import Game, State
from ..engine.transition import EngineState, legal_actions, legal_words
from .evaluators import Evaluator
from .search import search
from .settings import SearchConfig

_PLAYOUT_VALUE_SCALE = 0.03  # one playout says little: with 0.4, 400 simulations lose nine games of ten to this


class Policy(Protocol):
    """Chooses a legal action in each of B states; what it says in an over state does not matter."""

    def __call__(self, states: EngineState[Any], key: Array) -> Array:
        """i32[B]; `key` is uint32[2]."""
        ...


def random_policy(game: Game[State]) -> Policy:
    """Every legal action alike."""

    def act(states: EngineState[State], key: Array) -> Array:
        words = jax.random.bits(key, states.meta.shape)
        return jax.vmap(lambda state, word: bits.random_member(legal_words(game, state), word))(states, words)

    return act


def greedy_policy(game: Game[State], evaluate: Evaluator) -> Policy:
    """The action the evaluator likes best; the first of equals."""

    def act(states: EngineState[State], key: Array) -> Array:
        return jnp.argmax(_legal_logits(game, evaluate, states, key), axis=1).astype(jnp.int32)

    return act


def sampled_policy(game: Game[State], evaluate: Evaluator, temperature: float = 1.0) -> Policy:
    """An action drawn from the evaluator's preferences; a low temperature (above 0) comes close to `greedy_policy`."""
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, expected more than 0; for none at all use greedy_policy")

    def act(states: EngineState[State], key: Array) -> Array:
        evaluate_key, draw_key = jax.random.split(key)
        logits = _legal_logits(game, evaluate, states, evaluate_key)
        return jax.random.categorical(draw_key, logits / temperature).astype(jnp.int32)

    return act


def search_policy(game: Game[State], evaluate: Evaluator, config: SearchConfig) -> Policy:
    """The action search settles on; in evaluation `config.gumbel_scale` is 0."""

    def act(states: EngineState[State], key: Array) -> Array:
        return search(game, evaluate, states, key, config).action

    return act


def playout_search(num_simulations: int) -> SearchConfig:
    """Plain tree search: settings for `search_policy` with a `playout_evaluator`, whose single values are noisy."""
    return SearchConfig(num_simulations, gumbel_scale=0.0, lookahead=0, value_scale=_PLAYOUT_VALUE_SCALE)


def _legal_logits(game: Game[State], evaluate: Evaluator, states: EngineState[State], key: Array) -> Array:
    """f32[B, A], -inf where illegal."""
    logits, _ = evaluate(states, key)
    return jnp.where(jax.vmap(lambda state: legal_actions(game, state))(states), logits, -jnp.inf)
