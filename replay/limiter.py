"""How often each row is sampled: the rule by which writers and readers wait for one another.

Plain values, which the trainer and the replay service ask alike. The rule is Reverb's: with `inserted` rows beyond the
first `min_rows`, each should be sampled `samples_per_insert` times, give or take the bounds. Cassirer et al., "Reverb:
a framework for experience replay", 2021.
"""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class RateLimit:
    """The settings.

    The error is (inserted - min_rows) * samples_per_insert - sampled: by how many samples the readers lag. Writers wait
    where a block would take it above `max_error`, readers where a batch would take it below `min_error`, or where fewer
    than `min_rows` are there.

    Raises:
      ValueError: bounds between which no insert or no sample could ever pass.
    """

    samples_per_insert: float
    min_rows: int
    min_error: float = -math.inf
    max_error: float = math.inf

    def __post_init__(self) -> None:
        if not (self.samples_per_insert > 0 and math.isfinite(self.samples_per_insert)):
            raise ValueError(f"samples_per_insert is {self.samples_per_insert}, expected more than 0")
        if self.min_rows < 1:
            raise ValueError(f"min_rows is {self.min_rows}, expected at least 1")
        if self.max_error - self.min_error < 2 * max(1.0, self.samples_per_insert):
            raise ValueError(
                f"the bounds {self.min_error:g} to {self.max_error:g} leave no room for both sides to take turns: let "
                f"them lie at least {2 * max(1.0, self.samples_per_insert):g} apart"
            )
        if not self.min_error <= 0 <= self.max_error:
            raise ValueError(f"the bounds {self.min_error:g} to {self.max_error:g} leave out 0, where all begins")

    @classmethod
    def within(cls, samples_per_insert: float, min_rows: int, tolerance: float) -> "RateLimit":
        """Bounds of `tolerance` samples on either side."""
        return cls(samples_per_insert, min_rows, -tolerance, tolerance)


@dataclasses.dataclass(frozen=True)
class Totals:
    """What has happened. Python integers do not overflow. A snapshot keeps these and not the limit."""

    inserted: int = 0
    sampled: int = 0
    written_off: int = 0  # samples that count as drawn though they were not; see `resumed`


def error(limit: RateLimit, totals: Totals) -> float:
    """By how many samples the readers lag; negative where they are ahead."""
    return (totals.inserted - limit.min_rows) * limit.samples_per_insert - totals.sampled - totals.written_off


def may_insert(limit: RateLimit, totals: Totals, num_rows: int) -> bool:
    """Whether a block may be written now."""
    after = dataclasses.replace(totals, inserted=totals.inserted + num_rows)
    return after.inserted <= limit.min_rows or error(limit, after) <= limit.max_error


def may_sample(limit: RateLimit, totals: Totals, num_rows: int) -> bool:
    """Whether a batch may be drawn now."""
    after = dataclasses.replace(totals, sampled=totals.sampled + num_rows)
    return totals.inserted >= limit.min_rows and error(limit, after) >= limit.min_error


def num_batches(limit: RateLimit, totals: Totals, batch_size: int) -> int:
    """How many batches may be drawn now, one after the other; `min_error` must be finite."""
    if totals.inserted < limit.min_rows:
        return 0
    return max(0, math.floor((error(limit, totals) - limit.min_error) / batch_size))


def resumed(limit: RateLimit, totals: Totals) -> Totals:
    """`totals` of an earlier session, which may have had another limit, under this one.

    Under another ratio all that was inserted before would leave one side far behind, and the other waiting. What lies
    beyond the bounds is written off instead: this limit holds from now on.
    """
    if totals.inserted < limit.min_rows:
        return totals
    now = error(limit, totals)
    beyond = math.floor(now - min(max(now, limit.min_error), limit.max_error))
    return dataclasses.replace(totals, written_off=totals.written_off + beyond)


def why_not(limit: RateLimit, totals: Totals) -> str:
    """The state in words, for whoever waits or gives up."""
    if totals.inserted < limit.min_rows:
        return f"{totals.inserted} of the first {limit.min_rows} rows are written"
    return (
        f"error {error(limit, totals):g} within {limit.min_error:g} to {limit.max_error:g}: {totals.inserted} rows "
        f"written, {totals.sampled} sampled, {limit.samples_per_insert:g} samples an insert asked for"
    )
