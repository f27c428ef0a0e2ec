"""One random word a game and a step, for every implementation alike, so cheap that it is not what is measured."""

import jax
import jax.numpy as jnp
from jax import Array

from ..engine import bits
from ..engine.keys import below

_WRITTEN_OUT = 32  # actions; measured: up to here a loop over them beats packing them first


def first_words(seed: int, batch: int) -> Array:
    """u32[B], none of them zero: where `xorshift` starts."""
    return jax.random.bits(jax.random.PRNGKey(seed), (batch,), jnp.uint32) | 1


def xorshift(words: Array) -> Array:
    """The next random words, u32[B]; Marsaglia, "Xorshift RNGs", 2003, the triple (13, 17, 5)."""
    words = words ^ (words << 13)
    words = words ^ (words >> 17)
    return words ^ (words << 5)


def random_true(mask: Array, random: Array) -> Array:
    """`bits.random_member`, the same draw, for peers who hand out bool[A]; i32[] from one random word."""
    size = mask.shape[0]
    if size > _WRITTEN_OUT:
        return bits.random_member(bits.pack(mask), random)
    count = sum((mask[action].astype(jnp.uint32) for action in range(1, size)), mask[0].astype(jnp.uint32))
    rank = below(random, count)
    chosen, seen = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.uint32)
    for action in range(size):
        chosen = jnp.where(mask[action] & (seen == rank), action, chosen)
        seen = seen + mask[action].astype(jnp.uint32)
    return chosen
