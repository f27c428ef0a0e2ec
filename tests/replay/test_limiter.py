"""The rule of samples per insert: worked examples, and no way for both sides to wait at once."""

import dataclasses
import math

import pytest
from cartridge.replay.limiter import (
    RateLimit,
    Totals,
    error,
    may_insert,
    may_sample,
    num_batches,
    resumed,
    why_not,
)
from hypothesis import given
from hypothesis import strategies as st


def test_readers_wait_for_the_first_rows() -> None:
    limit = RateLimit.within(2.0, 100, 50)
    assert may_insert(limit, Totals(), 100)
    assert not may_sample(limit, Totals(99), 1)
    assert may_sample(limit, Totals(100), 50)
    assert not may_sample(limit, Totals(100), 51)
    assert why_not(limit, Totals(99)) == "99 of the first 100 rows are written"


def test_writers_wait_for_the_readers() -> None:
    limit = RateLimit.within(2.0, 100, 50)
    assert error(limit, Totals(125, 0)) == 50
    assert may_insert(limit, Totals(100), 25)
    assert not may_insert(limit, Totals(100), 26)
    assert may_insert(limit, Totals(100, 10), 30)
    assert "error -10 within -50 to 50: 100 rows written, 10 sampled" in why_not(limit, Totals(100, 10))


def test_without_bounds_only_the_first_rows_count() -> None:
    limit = RateLimit(1.0, 10)
    assert may_insert(limit, Totals(10**12), 10**6)
    assert may_sample(limit, Totals(10, 10**12), 10**6)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"samples_per_insert": 0.0}, "samples_per_insert is 0"),
        ({"samples_per_insert": math.nan}, "samples_per_insert is nan"),
        ({"min_rows": 0}, "min_rows is 0"),
        ({"min_error": -1.0, "max_error": 2.0}, "at least 8 apart"),
        ({"min_error": 1.0}, "leave out 0"),
    ],
)
def test_limits_that_cannot_work_are_refused(settings: dict[str, float], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        dataclasses.replace(RateLimit(4.0, 10), **settings)


@given(
    per_insert=st.floats(0.1, 20),
    min_rows=st.integers(1, 50),
    tolerance=st.floats(0, 10),
    turns=st.lists(st.booleans(), max_size=200),
)
def test_one_side_can_always_go_on(per_insert: float, min_rows: int, tolerance: float, turns: list[bool]) -> None:
    limit = RateLimit.within(per_insert, min_rows, max(1.0, per_insert) + tolerance)
    totals = Totals()
    for insert in turns:
        can_insert, can_sample = may_insert(limit, totals, 1), may_sample(limit, totals, 1)
        assert can_insert or can_sample
        if insert and can_insert:
            totals = dataclasses.replace(totals, inserted=totals.inserted + 1)
        elif can_sample:
            totals = dataclasses.replace(totals, sampled=totals.sampled + 1)
        if totals.inserted > min_rows:
            assert error(limit, totals) <= limit.max_error
        assert totals.sampled == 0 or error(limit, totals) >= limit.min_error - per_insert * min_rows


def test_a_trainer_draws_what_is_due() -> None:
    limit = RateLimit(4.0, 100, min_error=0.0, max_error=1000.0)
    assert num_batches(limit, Totals(99), 64) == 0
    assert num_batches(limit, Totals(100), 64) == 0
    assert num_batches(limit, Totals(150), 64) == 3  # 200 samples are due
    assert num_batches(limit, Totals(150, 192), 64) == 0
    assert num_batches(limit, Totals(150, 500), 64) == 0


def test_a_restored_limiter_obeys_the_settings_of_today() -> None:
    """A run of 4 samples an insert goes on with 8, or with 1: neither side has to catch up with the past."""
    before = Totals(inserted=1_000_000, sampled=3_999_600)
    for ratio in (8.0, 1.0):
        limit = RateLimit(ratio, 100, -500.0, 500.0)
        totals = resumed(limit, before)
        assert limit.min_error - 1 < error(limit, totals) <= limit.max_error
        assert (totals.inserted, totals.sampled) == (before.inserted, before.sampled)
    within = RateLimit(4.0, 100, -500.0, 500.0)
    assert resumed(within, before) == before
    assert resumed(RateLimit(4.0, 2_000_000, -500.0, 500.0), before) == before  # still in its first rows
