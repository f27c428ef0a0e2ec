"""The rows of `bench replay`, what they say beside one another, and the goals they are held to."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..rows import FLOOR, OURS, Goal, rows_from_json

MODES = ("add", "sample", "prioritised add", "prioritised sample", "prioritised update", "sequences")
_PRIORITISED = MODES[2:5]
_GROWTH_FROM, _GROWTH_TO = 1e6, 1e7  # items, of which a row has somewhat more: whole blocks


@dataclasses.dataclass(frozen=True)
class ReplayRow:
    """One call of one implementation on a full buffer.

    `implementation` is `cartridge`, the peer's package with the variant after a plus sign, or `c-loop`, the floor.
    `batch` items are added, drawn or updated in one call of `mode`; in mode `sequences` it counts sequences, of 8 items
    each. `ms` is the median of `repeats` stretches after a warm-up, of each of which the median call counts, and
    `spread` is their (max - min) / median. `compile_s` are the seconds of the first call. `peak_bytes` is the most
    memory that the implementation's process held until its buffer was full, `bytes_per_item` how much of that came
    while it was made and filled; both are None where items do not lie in the host's memory. With `in_turns`, all
    implementations of this size were measured in turns, else one after another, because their buffers did not fit in
    memory together.
    """

    bench: str
    implementation: str
    device: str
    items: int
    batch: int
    mode: str
    ms: float
    compile_s: float
    peak_bytes: int | None
    bytes_per_item: float | None
    in_turns: bool
    repeats: int
    spread: float
    versions: Mapping[str, str]
    host: Mapping[str, str]

    @property
    def package(self) -> str:
        """The implementation without its variant."""
        return self.implementation.partition("+")[0]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Our row beside that of a peer's fastest variant, with the same items, mode and device."""

    ours: ReplayRow
    peer: ReplayRow

    @property
    def ratio(self) -> float:
        """How many times as fast we are."""
        return self.peer.ms / self.ours.ms


def read_results(folder: Path) -> list[ReplayRow]:
    """Every row of the files `replay-*.json` in `folder`, files in order of name."""
    return [row for path in sorted(folder.glob("replay-*.json")) for row in rows_from_json(path.read_text(), ReplayRow)]


def compare(rows: Iterable[ReplayRow]) -> list[Comparison]:
    """Ours against each peer that has a row there, in order of device, mode and items."""
    fastest: dict[tuple[str, str, int, str], ReplayRow] = {}
    for row in rows:
        key = (row.device, row.mode, row.items, row.package)
        if key not in fastest or row.ms < fastest[key].ms:
            fastest[key] = row
    pairs = [
        Comparison(ours, peer)
        for (device, mode, items, package), peer in fastest.items()
        if package not in (OURS, FLOOR) and (ours := fastest.get((device, mode, items, OURS)))
    ]
    return sorted(pairs, key=lambda pair: (pair.ours.device, MODES.index(pair.ours.mode), pair.ours.items))


def goals(rows: Sequence[ReplayRow]) -> list[Goal]:
    """Every goal on which the rows say something, judged by the place where we do worst."""
    pairs = compare(rows)
    judged = [
        _ratio_goal("uniform sample at least 2 times flashbax", 2, pairs, ("sample",), "flashbax"),
        *(_ratio_goal(f"{mode} at least 10 times flashbax", 10, pairs, (mode,), "flashbax") for mode in _PRIORITISED),
        _ratio_goal("nothing slower than cpprb", 1, pairs, MODES, "cpprb"),
        _growth_goal(rows),
    ]
    return [goal for goal in judged if goal]


def _ratio_goal(
    text: str, least: float, pairs: Iterable[Comparison], modes: Sequence[str], package: str
) -> Goal | None:
    chosen = [pair for pair in pairs if pair.ours.mode in modes and pair.peer.package == package]
    if not chosen:
        return None
    worst = min(chosen, key=lambda pair: pair.ratio)
    where = f"{worst.ours.mode} of {worst.ours.items:,} items against {worst.peer.implementation}"
    return Goal(text, worst.ratio, where, worst.ratio >= least)


def _growth_goal(rows: Iterable[ReplayRow]) -> Goal | None:
    """How much longer a call of ours takes with ten times the items."""
    small: dict[tuple[str, str], float] = {}
    large: dict[tuple[str, str], float] = {}
    for row in rows:
        for items, times in ((_GROWTH_FROM, small), (_GROWTH_TO, large)):
            if row.implementation == OURS and items <= row.items < 1.01 * items:
                times[row.device, row.mode] = row.ms
    growth = {place: large[place] / small[place] for place in large if place in small}
    if not growth:
        return None
    worst = max(growth, key=lambda place: growth[place])
    return Goal("less than 3 times the time from 1 M to 10 M items", growth[worst], worst[1], growth[worst] < 3)
