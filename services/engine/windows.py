"""Where leases lie in a batch, and which stretches of it one step touches: arithmetic on ranges, without any games."""

import dataclasses
from collections.abc import Sequence

_SMALLEST = 16  # games; a step of fewer takes as long
_FILLING = 0.5  # the least share of a window's games that must be there to be stepped


@dataclasses.dataclass(frozen=True)
class Range:
    """`size` games from number `first` on."""

    first: int
    size: int

    @property
    def end(self) -> int:
        """The number after the last."""
        return self.first + self.size


@dataclasses.dataclass(frozen=True)
class Window:
    """A stretch of the batch whose size has been compiled, and which of the ranges lie in it."""

    span: Range
    members: tuple[int, ...]


class Room:
    """What is free of a batch of `capacity` games. Leases are ranges, so that each tensor of theirs is one piece."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._gaps = [Range(0, capacity)]  # in rising order, none touching another

    @property
    def free(self) -> int:
        """How many games are free, in all."""
        return sum(gap.size for gap in self._gaps)

    @property
    def largest(self) -> int:
        """How many are free in one piece."""
        return max((gap.size for gap in self._gaps), default=0)

    def take(self, size: int) -> Range | None:
        """The first stretch that is free; None where none is so large."""
        for index, gap in enumerate(self._gaps):
            if gap.size >= size:
                rest = Range(gap.first + size, gap.size - size)
                self._gaps[index : index + 1] = [rest] if rest.size else []
                return Range(gap.first, size)
        return None

    def give_back(self, taken: Range) -> None:
        """Frees what `take` gave."""
        gaps: list[Range] = []
        for gap in sorted([*self._gaps, taken], key=lambda gap: gap.first):
            if gaps and gaps[-1].end == gap.first:
                gaps[-1] = Range(gaps[-1].first, gaps[-1].size + gap.size)
            else:
                gaps.append(gap)
        self._gaps = gaps


def compiled_size(num_games: int, capacity: int) -> int:
    """The size of window in which `num_games` are stepped: a power of two, so that few are ever compiled."""
    return min(max(_SMALLEST, 1 << (num_games - 1).bit_length()), capacity)


def cover(ranges: Sequence[Range], sizes: Sequence[int], capacity: int) -> list[Window]:
    """Windows of the given `sizes` (rising) that hold all `ranges`, each in one: few, and none half empty or worse.

    A range alone may lie in a window as empty as may be.

    Raises:
      ValueError: a range that is larger than every size.
    """
    windows: list[Window] = []
    members: list[int] = []
    filled = 0
    for index in sorted(range(len(ranges)), key=lambda index: ranges[index].first):
        filled += ranges[index].size
        joined = _window([*members, index], ranges, sizes, capacity)
        if members and (joined is None or filled < _FILLING * joined.span.size):
            windows.append(_require(_window(members, ranges, sizes, capacity)))
            members, filled = [], ranges[index].size
        members.append(index)
    return [*windows, _require(_window(members, ranges, sizes, capacity))] if members else windows


def _window(members: Sequence[int], ranges: Sequence[Range], sizes: Sequence[int], capacity: int) -> Window | None:
    """The smallest window that holds the members, whose ranges rise; None where no size does."""
    first, end = ranges[members[0]].first, ranges[members[-1]].end
    size = next((size for size in sizes if size >= end - first), None)
    return None if size is None else Window(Range(min(first, capacity - size), size), tuple(members))


def _require(window: Window | None) -> Window:
    if window is None:
        raise ValueError("a range is larger than every size")
    return window
