"""gymnax as its users run it, each variant a `compiled.Games`.

`gymnax` draws actions and keys with `jax.random`; `gymnax+our-sampler` takes our random words for both. Its `step`
starts finished games anew.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ..engine.keys import below
from .peers import GYMNAX, GYMNAX_IDS, Shown
from .random_words import first_words, xorshift


class GymnaxGames:
    """B games; every action is legal in all of them."""

    packages: Sequence[str] = ("jax", "jaxlib", "gymnax")

    def __init__(self, implementation: str, game: str, batch: int) -> None:
        self._environment, self._parameters = gymnax_environment(game)
        self._own, self._batch = implementation == GYMNAX, batch
        self.num_actions = int(self._environment.action_space(self._parameters).n)

    def start(self, seed: int) -> tuple[Any, Array]:
        key, first = jax.random.split(jax.random.PRNGKey(seed))
        _, states = self.reset(jax.random.split(first, self._batch))
        return states, key if self._own else first_words(seed, self._batch)

    def step(self, states: Any, random: Array) -> tuple[Any, Array, Shown]:
        if self._own:
            random, policy_key, step_key = jax.random.split(random, 3)
            actions = jax.random.randint(policy_key, (self._batch,), 0, self.num_actions)
            keys = jax.random.split(step_key, self._batch)
        else:
            random = xorshift(random)
            actions = below(random, self.num_actions).astype(jnp.int32)
            keys = jnp.stack([random, ~random], axis=1)  # a key a game for the price of two words
        states, shown = self.play(states, actions, keys)
        return states, random, shown

    def reset(self, keys: Array) -> tuple[Array, Any]:
        """(observations, states) of fresh games."""
        return jax.vmap(self._environment.reset, (0, None))(keys, self._parameters)

    def play(self, states: Any, actions: Array, keys: Array) -> tuple[Any, Shown]:
        """One step in every game."""
        step = jax.vmap(self._environment.step, (0, 0, 0, None))
        seen, states, reward, terminated, truncated, _ = step(keys, states, actions, self._parameters)
        legal = jnp.ones((self._batch, self.num_actions), bool)
        return states, Shown(reward[:, None].astype(jnp.float32), terminated, truncated, seen, legal)


def gymnax_environment(game: str) -> tuple[Any, Any]:
    """(environment, its default parameters)."""
    import gymnax

    return gymnax.make(GYMNAX_IDS[game])
