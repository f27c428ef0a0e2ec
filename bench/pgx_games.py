"""pgx in three variants, each a `compiled.Games`.

`pgx` with its own `auto_reset` and `act_randomly`, as its documentation runs it; `pgx+our-sampler` with our random
words and the same draw of a legal action that our games get; and that with `+constant-reset`, a select of one fresh
state, where the start is constant but for the order of seats.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from .peers import CONSTANT_RESET, PGX, PGX_IDS, Shown
from .random_words import first_words, random_true, xorshift


def pgx_games(implementation: str, game: str, batch: int) -> "PgxGames | PgxWithOurSampler":
    """B games of pgx in one of the three variants, as `compiled.Games`."""
    if implementation == PGX:
        return PgxGames(game, batch)
    return PgxWithOurSampler(game, batch, constant_reset=implementation == CONSTANT_RESET)


def pgx_environment(game: str) -> Any:
    """pgx's own environment; it warns of nothing and downloads nothing for these games."""
    import pgx

    return pgx.make(PGX_IDS[game])


class PgxGames:
    """pgx as its documentation runs it."""

    packages = ("jax", "jaxlib", "pgx")

    def __init__(self, game: str, batch: int) -> None:
        from pgx.experimental import act_randomly, auto_reset

        self._environment, self._batch = pgx_environment(game), batch
        self._step = jax.vmap(auto_reset(self._environment.step, self._environment.init))
        self._act_randomly = act_randomly

    def start(self, seed: int) -> tuple[Any, Array]:
        key, first = jax.random.split(jax.random.PRNGKey(seed))
        return jax.vmap(self._environment.init)(jax.random.split(first, self._batch)), key

    def step(self, states: Any, random: Array) -> tuple[Any, Array, Shown]:
        random, policy_key, step_key = jax.random.split(random, 3)
        actions = self._act_randomly(policy_key, states.legal_action_mask)
        states = self._step(states, actions, jax.random.split(step_key, self._batch))
        return states, random, pgx_seen(states)


class PgxWithOurSampler:
    """pgx with the policy and the random words of our own loop."""

    packages = ("jax", "jaxlib", "pgx")

    def __init__(self, game: str, batch: int, constant_reset: bool) -> None:
        from pgx.experimental import auto_reset

        self._environment, self._batch, self._constant_reset = pgx_environment(game), batch, constant_reset
        self._auto_reset = auto_reset(self._environment.step, self._environment.init)

    def start(self, seed: int) -> tuple[Any, Array]:
        keys = jax.random.split(jax.random.PRNGKey(seed), self._batch)
        return jax.vmap(self._environment.init)(keys), first_words(seed, self._batch)

    def step(self, states: Any, random: Array) -> tuple[Any, Array, Shown]:
        random = xorshift(random)
        actions = jax.vmap(random_true)(states.legal_action_mask, random)
        if not self._constant_reset:
            keys = jnp.stack([random, ~random], axis=1)  # a key a game for the price of two words
            states = jax.vmap(self._auto_reset)(states, actions, keys)
            return states, random, pgx_seen(states)
        moved = jax.vmap(self._environment.step)(states, actions)
        fresh = self._environment.init(jax.random.PRNGKey(0))
        states = jax.vmap(_replaced, (0, None, 0))(moved.terminated | moved.truncated, fresh, moved)
        seen = dataclasses.replace(
            pgx_seen(states), reward=moved.rewards, terminated=moved.terminated, truncated=moved.truncated
        )
        return states, random, seen


def pgx_seen(states: Any) -> Shown:
    """What a pgx state shows after a step."""
    return Shown(states.rewards, states.terminated, states.truncated, states.observation, states.legal_action_mask)


def _replaced(ended: Array, fresh: Any, moved: Any) -> Any:
    """One game: `fresh` where it ended."""
    return jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, moved)
