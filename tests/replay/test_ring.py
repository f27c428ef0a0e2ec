"""The ring against a deque for each group, the names of its rows, and its promise to write in place."""

import re
from collections import deque
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.replay import ring as rings
from cartridge.replay.ring import Ring, add, drop_oldest, empty, newest, oldest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import Array

CAPACITY = 12
Row = dict[str, Array]
jitted_add = jax.jit(add, donate_argnums=0)


def row() -> Row:
    return {"word": jnp.uint32(0), "policy": jnp.zeros((2,), jnp.float32)}


def block(first: int, size: int) -> Row:
    """`size` rows that carry their serial numbers, from `first` on."""
    serial = np.arange(first, first + size)
    return {
        "word": jnp.array(serial, jnp.uint32),
        "policy": jnp.array(np.stack([serial, -serial], axis=1), jnp.float32),
    }


@settings(max_examples=60, deadline=None)
@given(
    groups=st.integers(1, 3),
    columns=st.integers(1, 3),
    steps=st.sampled_from([1, 2, 4]),
    turns=st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=40),
)
def test_holds_what_a_deque_a_group_holds(
    groups: int, columns: int, steps: int, turns: list[tuple[int, bool]]
) -> None:
    """Blocks come to the groups in any order, and now and then the oldest block is taken away."""
    size, region = steps * columns, 4 * columns
    models = [deque[int](maxlen=region) for _ in range(groups)]
    written: dict[int, int] = {}  # slot -> how many rows it has held
    ring = empty(row(), groups * region, size, columns, groups)
    serial = 0
    for turn, drop in turns:
        group = turn % groups
        if drop and len(models[group]) >= size:
            slots = np.asarray(oldest(ring, size, group))
            assert np.asarray(ring.storage["word"])[slots].tolist() == [models[group].popleft() for _ in range(size)]
            ring = drop_oldest(ring, size, group)
            continue
        start = int(rings.first_slot(ring, group) + ring.head[group])
        ring = jitted_add(ring, block(serial, size), group)
        models[group].extend(range(serial, serial + size))
        written |= {slot: written.get(slot, 0) + 1 for slot in range(start, start + size)}
        serial += size
    for group, model in enumerate(models):
        slots = newest(ring, len(model), group)
        rows = rings.rows_at(ring, slots)
        assert np.asarray(rows["word"]).tolist() == list(reversed(model))
        assert np.asarray(rows["policy"])[:, 1].tolist() == [-number for number in reversed(model)]
        assert np.asarray(rings.age(ring, slots)).tolist() == list(range(len(model)))
        assert int(ring.size[group]) == len(model)
    every = jnp.arange(ring.capacity, dtype=jnp.int32)
    assert np.asarray(rings.generation(ring, every)).tolist() == [written.get(slot, 0) for slot in range(len(every))]


@pytest.mark.parametrize(
    ("capacity", "size", "columns", "groups"),
    [(0, 1, 1, 1), (12, 5, 1, 1), (12, 2, 1, 4), (12, 2, 0, 1), (12, 3, 2, 1), (1 << 31, 1, 1, 1)],
)
def test_a_ring_that_cannot_be_is_refused(capacity: int, size: int, columns: int, groups: int) -> None:
    with pytest.raises(ValueError, match=f"a ring of {capacity} rows"):
        empty(row(), capacity, size, columns, groups)


def test_a_block_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="takes blocks of 4 rows, got 2"):
        add(empty(row(), CAPACITY, 4), block(0, 2))


def test_a_donated_ring_is_written_in_place() -> None:
    """Every leaf of the ring is aliased to the output, and nothing of its size is copied."""
    capacity, size = 4096, 64
    ring = empty(row(), capacity, size)
    compiled: Any = jitted_add.lower(ring, block(0, size), 0).compile()
    text = compiled.as_text()
    header = next(line for line in text.splitlines() if line.startswith("HloModule"))
    assert header.count("may-alias") + header.count("must-alias") == len(jax.tree.leaves(ring))
    assert not re.search(rf"(u32\[{capacity}\]|f32\[{capacity},2\])\S* copy\(", text)
    memory = compiled.memory_analysis()
    storage_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(ring.storage))
    assert memory.alias_size_in_bytes >= storage_bytes
    assert memory.temp_size_in_bytes < storage_bytes / 8
    place = ring.storage["word"].unsafe_buffer_pointer()
    after = jitted_add(ring, block(0, size), 0)
    assert after.storage["word"].unsafe_buffer_pointer() == place
    assert ring.storage["word"].is_deleted()


def test_a_ring_traces_once_for_all_groups() -> None:
    traces = []

    @jax.jit
    def turn(ring: Ring[Row], rows: Row, group: Array) -> Ring[Row]:
        traces.append(None)
        return add(ring, rows, group)

    ring = empty(row(), CAPACITY, 4, 2, 3)
    for index in range(6):
        ring = turn(ring, block(index * 4, 4), jnp.int32(index % 3))
    assert len(traces) == 1
