"""The ring against a deque, its sampling against the uniform law, and its promise to write in place."""

import re
from collections import deque
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.replay.ring import Ring, add, empty, sample_uniform
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import Array
from scipy import stats

CAPACITY = 12
Row = dict[str, Array]
jitted_add = jax.jit(add, donate_argnums=0)
jitted_sample = jax.jit(sample_uniform, static_argnums=2)


def row() -> Row:
    return {"word": jnp.uint32(0), "policy": jnp.zeros((2,), jnp.float32)}


def block(first: int, size: int) -> Row:
    """`size` rows that carry their serial numbers, from `first` on."""
    serial = np.arange(first, first + size)
    return {
        "word": jnp.array(serial, jnp.uint32),
        "policy": jnp.array(np.stack([serial, -serial], axis=1), jnp.float32),
    }


def filled(num_blocks: int, size: int, capacity: int = CAPACITY) -> Ring[Row]:
    ring = empty(row(), capacity)
    for index in range(num_blocks):
        ring = jitted_add(ring, block(index * size, size))
    return ring


@settings(max_examples=40, deadline=None)
@given(size=st.sampled_from([1, 2, 3, 4, 6, 12]), num_blocks=st.integers(0, 30))
def test_holds_what_a_deque_holds(size: int, num_blocks: int) -> None:
    model: deque[int] = deque(maxlen=CAPACITY)
    ring = empty(row(), CAPACITY)
    for index in range(num_blocks):
        ring = jitted_add(ring, block(index * size, size))
        model.extend(range(index * size, (index + 1) * size))
    newest_first = (int(ring.head) - 1 - np.arange(int(ring.size))) % CAPACITY
    assert np.asarray(ring.storage["word"])[newest_first].tolist() == list(reversed(model))
    assert np.asarray(ring.storage["policy"])[newest_first, 1].tolist() == [-serial for serial in reversed(model)]
    assert int(ring.size) == len(model)
    assert ring.capacity == CAPACITY


@pytest.mark.parametrize("num_blocks", [1, 2, 3, 4, 7])
def test_samples_filled_rows_with_their_age(num_blocks: int) -> None:
    ring = filled(num_blocks, 4)
    rows, age = jitted_sample(ring, jax.random.PRNGKey(num_blocks), 300)
    held = min(4 * num_blocks, CAPACITY)
    assert set(np.asarray(age).tolist()) == set(range(held))
    np.testing.assert_array_equal(rows["word"], 4 * num_blocks - 1 - np.asarray(age))
    np.testing.assert_array_equal(rows["policy"][:, 0], rows["word"])


def test_sampling_is_uniform() -> None:
    num_samples = 20000
    for num_blocks in (5, 13):  # partly filled, and written over
        _, age = jitted_sample(filled(num_blocks, 5, capacity=50), jax.random.PRNGKey(1), num_samples)
        counts = np.bincount(np.asarray(age))
        assert stats.chisquare(counts).pvalue > 1e-3
        assert len(counts) == min(5 * num_blocks, 50)
    first, second = (jitted_sample(filled(2, 4), jax.random.PRNGKey(seed), 300)[1] for seed in (1, 2))
    assert np.any(np.asarray(first) != np.asarray(second))


def test_an_empty_ring_gives_zeros() -> None:
    rows, age = jitted_sample(empty(row(), CAPACITY), jax.random.PRNGKey(0), 4)
    assert not np.any(np.asarray(rows["word"]))
    assert not np.any(np.asarray(age))


def test_a_block_must_divide_the_capacity() -> None:
    with pytest.raises(ValueError, match="blocks of 5 rows do not divide a ring of 12"):
        add(empty(row(), CAPACITY), block(0, 5))


def test_a_donated_ring_is_written_in_place() -> None:
    """Every leaf of the ring is aliased to the output, and nothing of its size is copied."""
    capacity, size = 4096, 64
    ring = empty(row(), capacity)
    compiled: Any = jax.jit(add, donate_argnums=0).lower(ring, block(0, size)).compile()
    text = compiled.as_text()
    header = next(line for line in text.splitlines() if line.startswith("HloModule"))
    assert header.count("may-alias") + header.count("must-alias") == len(jax.tree.leaves(ring))
    assert not re.search(rf"(u32\[{capacity}\]|f32\[{capacity},2\])\S* copy\(", text)
    memory = compiled.memory_analysis()
    storage_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(ring.storage))
    assert memory.alias_size_in_bytes >= storage_bytes
    assert memory.temp_size_in_bytes < storage_bytes / 8
    place = ring.storage["word"].unsafe_buffer_pointer()
    after = jitted_add(ring, block(0, size))
    assert after.storage["word"].unsafe_buffer_pointer() == place
    assert ring.storage["word"].is_deleted()


def test_add_and_sample_trace_once() -> None:
    traces = []

    @jax.jit
    def turn(ring: Ring[Row], rows: Row, key: Array) -> tuple[Ring[Row], Array]:
        traces.append(None)
        ring = add(ring, rows)
        return ring, sample_uniform(ring, key, 3)[1]

    ring = empty(row(), CAPACITY)
    for index in range(3):
        ring, _ = turn(ring, block(index * 4, 4), jax.random.PRNGKey(index))
    assert len(traces) == 1
