"""One random word a game and a step, for every implementation alike, so cheap that it is not what is measured."""

import jax
import jax.numpy as jnp
from jax import Array


def first_words(seed: int, batch: int) -> Array:
    """u32[B], none of them zero: where `xorshift` starts."""
    return jax.random.bits(jax.random.PRNGKey(seed), (batch,), jnp.uint32) | 1


def xorshift(words: Array) -> Array:
    """The next random words, u32[B]; Marsaglia, "Xorshift RNGs", 2003, the triple (13, 17, 5)."""
    words = words ^ (words << 13)
    words = words ^ (words >> 17)
    return words ^ (words << 5)
