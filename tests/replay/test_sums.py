"""Sums against float64 NumPy: draws land where the cumulated numbers say, and nothing drifts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.replay.sums import Sums, draw, find, set_run, set_slots, zeros
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

jitted_set, jitted_run = jax.jit(set_slots), jax.jit(set_run)
jitted_draw, jitted_find = jax.jit(draw, static_argnums=2), jax.jit(find, static_argnums=3)
SIZES = (1, 2, 15, 16, 17, 256, 257, 1000, 20_000)
FAN_OUT = 16


def with_numbers(numbers: np.ndarray) -> Sums:
    return jitted_run(zeros(len(numbers)), jnp.int32(0), jnp.array(numbers, jnp.float32))


@pytest.mark.parametrize("size", SIZES)
def test_every_level_sums_the_one_below(size: int) -> None:
    rng = np.random.default_rng(size)
    numbers = rng.random(size).astype(np.float32)
    sums = with_numbers(numbers)
    slots = rng.integers(0, size, 50)
    changed = rng.random(50).astype(np.float32)
    sums = jitted_set(sums, jnp.array(slots, jnp.int32), jnp.array(changed))
    for slot, number in sorted(zip(slots, changed, strict=True), key=lambda pair: pair[1]):
        numbers[slot] = number  # of two for one slot the larger counts
    np.testing.assert_array_equal(np.asarray(sums.numbers)[:size], numbers)
    assert not np.asarray(sums.numbers)[size:].any()
    below = numbers.astype(np.float64)
    for level in sums.levels[1:]:
        below = np.pad(below, (0, -len(below) % FAN_OUT)).reshape(-1, FAN_OUT).sum(axis=1)
        np.testing.assert_allclose(np.asarray(level)[: len(below)], below, rtol=1e-6)
    np.testing.assert_allclose(sums.total, numbers.sum(dtype=np.float64), rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(SIZES), st.data())
def test_a_run_is_written_wherever_it_lies(size: int, data: st.DataObject) -> None:
    length = data.draw(st.sampled_from([n for n in (1, 2, 15, 16, 100, 640) if n <= size]))
    start = data.draw(st.integers(0, size - length))
    numbers = np.arange(1, size + 1, dtype=np.float32) % 7
    sums = jitted_run(with_numbers(numbers), jnp.int32(start), jnp.full((length,), 3.0))
    numbers[start : start + length] = 3
    fresh = with_numbers(numbers)
    for level, expected in zip(sums.levels, fresh.levels, strict=True):
        np.testing.assert_array_equal(level, expected)


@pytest.mark.parametrize("size", SIZES)
def test_finds_the_slot_in_whose_share_a_target_lies(size: int) -> None:
    """Numbers are small integers whose sum is a power of two: every step is exact, and so is each target's place."""
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 4, size).astype(np.float32)
    numbers[size // 2] += 2 ** int(numbers.sum() + 1).bit_length() - numbers.sum()
    upto = np.cumsum(numbers.astype(np.float64))
    targets = np.sort((rng.random(2000) * 256).astype(np.float32))
    targets[[0, -1]] = 0, np.nextafter(np.float32(256), np.float32(0))
    found = jitted_find(with_numbers(numbers), jnp.array(targets), jnp.zeros(2000), 256)
    expected = np.searchsorted(upto, targets.astype(np.float64) / 256 * upto[-1], side="right")
    np.testing.assert_array_equal(found, expected)
    assert numbers[np.asarray(found)].all()


def test_no_empty_slot_is_found_whatever_the_rounding() -> None:
    rng = np.random.default_rng(2)
    numbers = np.where(rng.random(50_000) < 0.01, 10.0 ** rng.uniform(-10, 10, 50_000), 0.0).astype(np.float32)
    sums = with_numbers(numbers)
    for parts in (1, 777, 5000):
        assert numbers[np.asarray(jitted_draw(sums, jax.random.PRNGKey(parts), parts))].all()
        ends = jnp.array([0.0, np.nextafter(np.float32(parts), np.float32(0))])
        assert numbers[np.asarray(jitted_find(sums, ends, jnp.array([0.0, 1e-3]), parts))].all()


@pytest.mark.parametrize("num_draws", [1, 3, 1000, 1024])
def test_one_draw_falls_in_each_part(num_draws: int) -> None:
    sums = with_numbers(np.ones(2**14, np.float32))
    slots = np.asarray(jitted_draw(sums, jax.random.PRNGKey(0), num_draws))
    low = np.arange(num_draws) * 2**14 / num_draws
    assert (slots >= np.floor(low)).all()
    assert (slots <= np.ceil(low + 2**14 / num_draws)).all()


def test_millions_of_equals_are_drawn_alike() -> None:
    """The last eighth of twelve million slots, where a float32 target alone tells one or two places a slot apart."""
    size, part = 12_000_000, 1000
    sums = with_numbers(np.ones(size, np.float32))
    keys = jax.random.split(jax.random.PRNGKey(1), 4000)
    draws = jax.jit(lambda keys: jax.lax.map(lambda key: draw(sums, key, part)[-part // 8 :], keys))(keys)
    places = np.asarray(draws).ravel() % 64  # slot by slot there are too few draws for a test
    assert stats.chisquare(np.bincount(places, minlength=64)).pvalue > 1e-3
    distinct = len(np.unique(draws))
    chances = size // 8
    expected = chances * (1 - np.exp(-draws.size / chances))
    assert distinct == pytest.approx(expected, rel=0.005)


def test_nothing_drifts_in_a_million_updates() -> None:
    size, batch = 10_000, 1000
    rng = np.random.default_rng(3)
    numbers = rng.random(size)
    sums = with_numbers(numbers.astype(np.float32))
    for _ in range(1_000_000 // batch):
        slots, changed = rng.choice(size, batch, replace=False), rng.random(batch) ** 8
        numbers[slots] = changed
        sums = jitted_set(sums, jnp.array(slots, jnp.int32), jnp.array(changed, jnp.float32))
    np.testing.assert_allclose(sums.total, numbers.sum(), rtol=1e-5)
    for level, block in ((1, FAN_OUT), (2, FAN_OUT**2)):
        exact = np.pad(numbers, (0, -size % block)).reshape(-1, block).sum(axis=1)
        np.testing.assert_allclose(np.asarray(sums.levels[level])[: len(exact)], exact, rtol=1e-5)


def test_slots_out_of_range_are_passed_over() -> None:
    sums = with_numbers(np.ones(300, np.float32))
    after = jitted_set(sums, jnp.array([5, jnp.iinfo(jnp.int32).max], jnp.int32), jnp.array([2.0, 9.0]))
    assert float(after.total) == 301.0
