"""Arithmetic on packed words: every helper is branch-free and becomes plain vector instructions under `vmap`."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

_UNROLLED = 32  # up to here a loop over actions is written out, so that XLA sees one fusion and no [B, A] array


def popcount(word: Array) -> Array:
    """Number of set bits of each word, as i32."""
    return jax.lax.population_count(word).astype(jnp.int32)


def to_planes(words: Sequence[Array], positions: Sequence[Sequence[int]]) -> Array:
    """Bits as numbers: f32[len(positions)] where element i is bit `positions[i][1]` of word `positions[i][0]`.

    Every word is shifted for every element and a constant mask keeps the right one: eight times as fast on a CPU as
    stacking one word an element, which XLA does element by element.
    """
    word_of, shift_of = np.array(positions, np.uint32).T
    planes = jnp.zeros((len(positions),), jnp.uint32)
    for index, word in enumerate(words):
        planes = planes | ((word >> shift_of) & (word_of == index).astype(np.uint32))
    return planes.astype(jnp.float32)


def to_mask(words: Sequence[Array]) -> Array:
    """bool[A] from A words, each True where the word is not zero."""
    return jnp.stack([word != 0 for word in words])


def is_set(mask: Array, action: Array) -> Array:
    """`mask[action]` without a gather: bool[] from bool[A] and i32[]; False where `action` is out of range."""
    size = mask.shape[0]
    if size > _UNROLLED:
        return jnp.any(mask & (jnp.arange(size) == action))
    found = jnp.zeros((), bool)
    for index in range(size):
        found = found | (mask[index] & (action == index))
    return found


def nth_set(mask: Array, rank: Array) -> Array:
    """The index of the set entry number `rank` (from 0) of bool[A], as i32[]; 0 where there is none."""
    size = mask.shape[0]
    if size > _UNROLLED:
        before = jnp.cumsum(mask.astype(jnp.int32)) - 1
        return jnp.argmax(mask & (before == rank)).astype(jnp.int32)
    chosen = jnp.zeros((), jnp.int32)
    seen = jnp.zeros((), jnp.int32)
    for index in range(size):
        chosen = jnp.where(mask[index] & (seen == rank), index, chosen)
        seen = seen + mask[index].astype(jnp.int32)
    return chosen


def count(mask: Array) -> Array:
    """Number of True entries of bool[A], as i32[]."""
    if mask.shape[0] > _UNROLLED:
        return jnp.sum(mask, dtype=jnp.int32)
    total = jnp.zeros((), jnp.int32)
    for index in range(mask.shape[0]):
        total = total + mask[index].astype(jnp.int32)
    return total


def random_legal(mask: Array, bits: Array) -> Array:
    """A uniformly drawn True entry of bool[A] from one random word `bits` (u32[]), as i32[].

    The draw multiplies the upper 16 bits by the count, so no entry is off its share by more than A / 65536.
    """
    rank = ((bits >> 16) * count(mask).astype(jnp.uint32)) >> 16
    return nth_set(mask, rank.astype(jnp.int32))
