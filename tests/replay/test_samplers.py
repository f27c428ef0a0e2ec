"""Draws against their law, and priorities that are never lost nor given to another row."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.replay import ring as rings
from cartridge.replay.ring import Ring, add, empty
from cartridge.replay.samplers import Draws, MostRecent, Priorities, Prioritised, Uniform, importance_weights
from jax import Array
from scipy import stats

KEY = jax.random.PRNGKey(0)
Held = tuple[Ring[Array], Any]


def held(sampler: Any, capacity: int, block: int, columns: int = 1, groups: int = 1) -> Held:
    """A ring whose rows carry serial numbers from 1 on, and what the sampler remembers of it."""
    ring = empty(jnp.int32(0), capacity, block, columns, groups)
    return ring, sampler.start(ring)


def grown(sampler: Any, now: Held, first: int, group: int = 0) -> Held:
    ring, memory = now
    memory = sampler.added(memory, ring, group)
    return add(ring, jnp.arange(first, first + ring.block, dtype=jnp.int32), group), memory


def drawn(sampler: Any, now: Held, num_rows: int, seed: int = 0) -> Draws:
    draw = jax.jit(sampler.draw, static_argnums=3)
    return draw(now[1], now[0], jax.random.PRNGKey(seed), num_rows)


def prioritised(priorities: np.ndarray, exponent: float) -> Held:
    """A full ring with these priorities."""
    sampler = Prioritised(exponent)
    ring, memory = grown(sampler, held(sampler, len(priorities), len(priorities)), 1)
    slots = jnp.arange(len(priorities), dtype=jnp.int32)
    draws = Draws(slots, rings.generation(ring, slots), jnp.zeros(len(priorities)))
    return ring, sampler.update(memory, ring, draws, jnp.array(priorities, jnp.float32))


@pytest.mark.parametrize("written", [[0, 0, 1], [0, 1, 1, 1, 1, 2], [2]])
def test_uniform_draws_every_row_alike(written: list[int]) -> None:
    """Groups that are filled unequally, or not at all, and one that was written over."""
    sampler, now = Uniform(), held(Uniform(), 24, 4, 2, 3)
    for turn, group in enumerate(written):
        now = grown(sampler, now, 1 + 4 * turn, group)
    draws = drawn(sampler, now, 6000)
    counts = np.bincount(np.asarray(draws.slot), minlength=24)
    filled = np.asarray(rings.rows_at(now[0], jnp.arange(24))) > 0
    assert not counts[~filled].any()
    assert stats.chisquare(counts[filled]).pvalue > 1e-3
    np.testing.assert_allclose(draws.probability, 1 / filled.sum(), rtol=1e-6)


@pytest.mark.parametrize("sampler", [Uniform(3), Prioritised(span=3), MostRecent(3)])
def test_a_sequence_is_drawn_only_once_it_is_whole(sampler: Any) -> None:
    """Two games in lock step, four steps a block: of 16 or fewer rows of a group the last two steps begin none."""
    now = held(sampler, 32, 8, 2, 2)
    for turn in range(7):
        now = grown(sampler, now, 1 + 8 * turn, group=turn % 2)
        ring = now[0]
        count = int(np.asarray(jnp.maximum(ring.size - 4, 0)).sum())
        draws = drawn(sampler, now, count if isinstance(sampler, MostRecent) else 600, seed=turn)
        if isinstance(sampler, MostRecent) and turn == 0:
            continue  # it shares equally among groups, one of which is empty yet
        age = np.asarray(rings.age(ring, draws.slot))
        assert age.min() == 4
        assert age.max() < int(ring.size.max())
        assert len(set(np.asarray(draws.slot).tolist())) == count


def test_the_most_recent_are_the_newest() -> None:
    sampler, now = MostRecent(), held(MostRecent(), 12, 3, 1, 2)
    for turn in range(6):
        now = grown(sampler, now, 10 * turn, group=turn % 2)
    rows = rings.rows_at(now[0], drawn(sampler, now, 8).slot)
    assert np.asarray(rows).tolist() == [42, 52, 41, 51, 40, 50, 22, 32]


def test_priorities_are_followed() -> None:
    """Chi-square of the drawn slots against the law; many small draws, since a stratified one is too even for it."""
    rng = np.random.default_rng(0)
    priorities = rng.random(40) ** 3 + 1e-3
    now = prioritised(priorities, 0.6)
    sampler = Prioritised(0.6)
    draw = jax.jit(jax.vmap(lambda key: sampler.draw(now[1], now[0], key, 1)))
    draws = draw(jax.random.split(KEY, 500_000))
    expected = priorities**0.6 / np.sum(priorities**0.6)
    counts = np.bincount(np.asarray(draws.slot)[:, 0], minlength=40)
    assert stats.chisquare(counts, 500_000 * expected).pvalue > 1e-3
    np.testing.assert_allclose(draws.probability[:, 0], expected[np.asarray(draws.slot)[:, 0]], rtol=1e-5)


def test_draws_are_stratified() -> None:
    """A row whose share of the total is k of n draws comes k times, give or take the two strata at its ends."""
    priorities = np.array([1.0, 5.0, 10.0, 4.0])
    counts = np.bincount(np.asarray(drawn(Prioritised(1.0), prioritised(priorities, 1.0), 2000).slot), minlength=4)
    assert np.abs(counts - 100 * priorities).max() <= 2


def test_new_rows_get_the_largest_priority_so_far() -> None:
    sampler = Prioritised(1.0)
    now = grown(sampler, held(sampler, 8, 4), 1)
    draws = Draws(jnp.array([2], jnp.int32), rings.generation(now[0], jnp.array([2])), jnp.ones(1))
    now = now[0], sampler.update(now[1], now[0], draws, jnp.array([7.0]))
    now = grown(sampler, now, 5)
    assert np.asarray(now[1].sums.numbers)[:8].tolist() == [1, 1, 7, 1, 7, 7, 7, 7]


def test_a_priority_never_reaches_the_row_that_came_after() -> None:
    sampler = Prioritised(1.0)
    now = grown(sampler, held(sampler, 8, 4), 1)
    early = drawn(sampler, now, 4)
    for turn in range(3):  # written over once, slots 0..3
        now = grown(sampler, now, 5 + 4 * turn)
    now = now[0], sampler.update(now[1], now[0], early, jnp.full((4,), 50.0))
    assert np.asarray(now[1].sums.numbers)[:8].tolist() == [1] * 8
    assert float(now[1].largest) == 1.0
    late = drawn(sampler, now, 4)
    after = sampler.update(now[1], now[0], late, jnp.full((4,), 50.0))
    assert np.asarray(after.sums.numbers)[np.asarray(late.slot)].tolist() == [50] * 4


def test_a_priority_of_zero_stays_within_reach() -> None:
    sampler = Prioritised(1.0)
    now = grown(sampler, held(sampler, 4, 4), 1)
    after = sampler.update(now[1], now[0], drawn(sampler, now, 4), jnp.zeros(4))
    np.testing.assert_array_equal(after.sums.numbers[:4], np.full(4, 1e-6, np.float32))


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, 1e30])
def test_bad_priorities_change_nothing(bad: float) -> None:
    sampler = Prioritised(0.6)
    now = grown(sampler, held(sampler, 4, 4), 1)
    draws = drawn(sampler, now, 4)
    after: Priorities = sampler.update(now[1], now[0], draws, jnp.full((4,), bad))
    assert float(after.largest) == 1.0
    np.testing.assert_array_equal(after.sums.numbers, now[1].sums.numbers)


def test_importance_weights_undo_the_priorities() -> None:
    """With beta 1 the weighted mean over draws is the plain mean over rows."""
    rng = np.random.default_rng(4)
    priorities, values = rng.random(64) + 0.05, rng.normal(size=64)
    draws = drawn(Prioritised(1.0), prioritised(priorities, 1.0), 50_000)
    weights = np.asarray(importance_weights(draws, 64, 1.0))
    assert weights.max() == 1.0
    picked = values[np.asarray(draws.slot)]
    assert np.sum(weights * picked) / np.sum(weights) == pytest.approx(values.mean(), abs=0.01)


@pytest.mark.parametrize("sampler", [Uniform(4), Prioritised(span=4), MostRecent(4)])
def test_short_blocks_are_refused_for_long_sequences(sampler: Any) -> None:
    with pytest.raises(ValueError, match="sequences of 4 steps need blocks of as many, got 3"):
        held(sampler, 12, 6, 2)
