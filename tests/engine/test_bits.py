"""Arithmetic on words against the same in plain Python and NumPy, on both sides of the unrolled size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import bits

WORDS = np.array([0, 1, 0x80000000, 0xFFFFFFFF, 0xDEADBEEF], np.uint32)


def test_popcount() -> None:
    assert bits.popcount(jnp.asarray(WORDS)).tolist() == [int(word).bit_count() for word in WORDS]


def test_to_planes_reads_the_named_bits() -> None:
    positions = [(word, bit) for bit in (31, 0, 5) for word in (2, 0, 1)]
    words = [jnp.uint32(word) for word in (0xDEADBEEF, 0x80000001, 0x20)]
    planes = bits.to_planes(words, positions)
    assert planes.dtype == jnp.float32
    assert planes.tolist() == [(int(words[word]) >> bit) & 1 for word, bit in positions]


@pytest.mark.parametrize("size", [7, 32, 33, 200])
def test_masks(size: int) -> None:
    mask = np.random.default_rng(size).random(size) < 0.3
    mask[0], mask[-1] = False, True
    chosen = np.flatnonzero(mask)
    masked = jnp.asarray(mask)
    assert int(bits.count(masked)) == len(chosen)
    ranks = jnp.arange(len(chosen), dtype=jnp.int32)
    assert jax.vmap(lambda rank: bits.nth_set(masked, rank))(ranks).tolist() == chosen.tolist()
    actions = jnp.arange(-2, size + 2, dtype=jnp.int32)
    assert jax.vmap(lambda action: bits.is_set(masked, action))(actions).tolist() == [False, False, *mask, False, False]


@pytest.mark.parametrize("size", [9, 40])
def test_random_legal_is_uniform(size: int) -> None:
    mask = np.arange(size) % 3 == 1
    words = jax.random.bits(jax.random.PRNGKey(0), (30_000,), jnp.uint32)
    draws = np.asarray(jax.jit(jax.vmap(lambda word: bits.random_legal(jnp.asarray(mask), word)))(words))
    counts = np.bincount(draws, minlength=size)
    assert not counts[~mask].any()
    expected = 30_000 / mask.sum()
    assert (np.abs(counts[mask] - expected) < 5 * np.sqrt(expected)).all()
