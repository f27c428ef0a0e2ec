"""The comparisons of `bench replay` in Markdown, made from committed rows alone."""

from collections.abc import Callable, Iterable, Sequence

from ..rows import OURS
from ..table import markdown, short
from . import rows
from .rows import ReplayRow

_MIB = 1 << 20
_KINDS = {"sample": "uniform", "prioritised sample": "prioritised", "sequences": "sequences"}  # a mode of each


def summary_table(results: Sequence[ReplayRow]) -> str:
    """A line for each device and mode: milliseconds of a call of ours by size, and the ratio to the fastest peer."""
    sizes = sorted({row.items for row in results})
    pairs = rows.compare(results)
    lines = []
    for device, mode in _places(results):
        cells = []
        for size in sizes:
            place = (device, mode, size)
            ours = [row.ms for row in results if row.implementation == OURS and _place(row) == place]
            against = min((pair for pair in pairs if _place(pair.ours) == place), key=lambda p: p.ratio, default=None)
            told = f", {against.ratio:.1f}x {against.peer.package}" if against else ""
            cells.append(f"{ours[0]:.3f} ms{told}" if ours else "")
        lines.append([mode, device, *cells])
    return markdown(["call", "device", *(f"{short(size)} items" for size in sizes)], lines)


def time_table(results: Sequence[ReplayRow]) -> str:
    """Milliseconds a call and their spread; for peers, how many times that our time is."""
    ours = {_place(row): row.ms for row in results if row.implementation == OURS}

    def cell(row: ReplayRow) -> str:
        told = f"{row.ms:.3f} ({row.spread:.0%})"
        mine = ours.get(_place(row))
        return told if row.implementation == OURS or not mine else f"{told} {row.ms / mine:.1f}x"

    return _pivot(results, cell)


def memory_table(results: Sequence[ReplayRow]) -> str:
    """Bytes an item and the peak of the whole process, by kind of buffer."""
    chosen = [row for row in results if row.mode in _KINDS and row.bytes_per_item and row.peak_bytes]
    return _pivot(chosen, lambda row: f"{row.bytes_per_item:.0f} ({(row.peak_bytes or 0) / _MIB:,.0f})", _KINDS.get)


def compile_table(results: Sequence[ReplayRow]) -> str:
    """Seconds of the first call."""
    return _pivot(results, lambda row: f"{row.compile_s:.2f}")


def versions_text(results: Iterable[ReplayRow]) -> str:
    """`flashbax 0.1.3, torchrl 0.14.1`, each implementation once."""
    found = {row.package: row.versions[row.package] for row in results if row.package in row.versions}
    return ", ".join(f"{package} {version}" for package, version in found.items())


def _pivot(
    results: Sequence[ReplayRow],
    cell: Callable[[ReplayRow], str],
    named: Callable[[str], str | None] = lambda mode: mode,
) -> str:
    """A line for each device, mode and size, a column for each implementation, ours first."""
    implementations = sorted({row.implementation for row in results}, key=lambda name: (name != OURS, name))
    cells = {(*_place(row), row.implementation): cell(row) for row in results}
    lines = []
    for device, mode in _places(results):
        for size in sorted({row.items for row in results if (row.device, row.mode) == (device, mode)}):
            values = [cells.get((device, mode, size, implementation), "") for implementation in implementations]
            lines.append([named(mode) or mode, device, f"{size:,}", *values])
    return markdown(["call", "device", "items", *implementations], lines)


def _places(results: Iterable[ReplayRow]) -> list[tuple[str, str]]:
    found = {(row.device, row.mode) for row in results}
    return sorted(found, key=lambda place: (place[0], rows.MODES.index(place[1])))


def _place(row: ReplayRow) -> tuple[str, str, int]:
    return row.device, row.mode, row.items
