"""Arithmetic on words against the same in plain Python and NumPy, with sets of one word and of several."""

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


@pytest.mark.parametrize("size", [1, 7, 32, 33, 64, 200])
def test_sets(size: int) -> None:
    random = np.random.default_rng(size)
    for density in (0.05, 0.5, 1.0):
        mask = random.random(size) < density
        mask[-1] = True
        chosen = np.flatnonzero(mask)
        words = bits.pack(jnp.asarray(mask))
        assert [int(word) for word in words] == [
            int.from_bytes(np.packbits(mask[start : start + 32], bitorder="little").tobytes(), "little")
            for start in range(0, size, 32)
        ]
        assert bits.unpack(words, size).tolist() == mask.tolist()
        assert int(bits.count(words)) == len(chosen)
        ranks = jnp.arange(len(chosen), dtype=jnp.uint32)
        assert jax.vmap(lambda rank, words=words: bits.nth_set(words, rank))(ranks).tolist() == chosen.tolist()
        numbers = [*range(-2, size + 70), -(2**31), 2**31 - 1]
        found = jax.vmap(lambda number, words=words: bits.is_set(words, number))(jnp.asarray(numbers, jnp.int32))
        assert found.tolist() == [number in chosen for number in numbers]


@pytest.mark.parametrize("size", [1, 9, 32, 40, 64])
def test_full_sets(size: int) -> None:
    words = tuple(jnp.asarray(word) for word in bits.full(size))
    assert bits.unpack(words, size).all()
    assert int(bits.count(words)) == size


@pytest.mark.parametrize("size", [9, 40])
def test_random_member_is_uniform(size: int) -> None:
    mask = np.arange(size) % 3 == 1
    random = jax.random.bits(jax.random.PRNGKey(0), (30_000,), jnp.uint32)
    draws = np.asarray(jax.jit(jax.vmap(lambda word: bits.random_member(bits.pack(jnp.asarray(mask)), word)))(random))
    counts = np.bincount(draws, minlength=size)
    assert not counts[~mask].any()
    expected = 30_000 / mask.sum()
    assert (np.abs(counts[mask] - expected) < 5 * np.sqrt(expected)).all()
