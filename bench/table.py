"""Comparisons in Markdown, made from committed rows, so that no figure in them was typed by hand."""

import statistics
from collections.abc import Iterable, Sequence

from . import rows

_HEAD = (
    "game",
    "mode",
    "device",
    "Cartridge, steps/s",
    "fastest peer, steps/s",
    "peer",
    "ratio",
    "bytes per game",
    "compile, s",
    "memory share",
)
_MODES = ("random", "observe", "api")


def summary_table(results: Iterable[rows.Row]) -> str:
    """A line for each game and device: our best rate in each mode, and how many times the fastest peer's that is."""
    ours, compared = _ours_and_compared(results)
    places = list(dict.fromkeys((game, device) for game, _, device in ours))
    lines = []
    for game, device in places:
        cells = [_rate(ours.get((game, mode, device)), compared.get((game, mode, device))) for mode in _MODES]
        size = next(row.bytes_per_game for place, row in ours.items() if (place[0], place[2]) == (game, device))
        lines.append([game, device, str(size), *cells])
    return markdown(("game", "device", "bytes per game", *_MODES), lines)


def engine_table(results: Iterable[rows.Row]) -> str:
    """A line for each game, mode and device, every implementation at its own best batch size."""
    ours, compared = _ours_and_compared(results)
    return markdown(_HEAD, [_row(ours[place], compared.get(place)) for place in ours])


def drawing_shares(results: Iterable[rows.Row]) -> dict[tuple[str, str], float]:
    """(device, game) -> what share of a step its draws of chance take, the median over batch sizes."""
    rates = {(row.implementation, row.device, row.game, row.batch): row.rate for row in results if row.mode == "random"}
    shares: dict[tuple[str, str], list[float]] = {}
    for (implementation, device, game, batch), rate in rates.items():
        drawn = rates.get((rows.OURS, device, game, batch))  # without draws a larger batch may still be fast enough
        if implementation == rows.WITHOUT_DRAWS and drawn is not None:
            shares.setdefault((device, game), []).append(max(0.0, 1 - drawn / rate))
    return {place: statistics.median(each) for place, each in shares.items()}


def goals_table(goals: Iterable[rows.Goal], where: str) -> str:
    """What was aimed at, what decides and `where` that was measured."""
    lines = []
    for goal in goals:
        measured = short(goal.measured) if goal.measured >= 1000 else f"{goal.measured:.2g}"
        lines.append([goal.text, measured, goal.where, "yes" if goal.met else "no"])
    return markdown(["goal", "measured", where, "met"], lines)


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table, cell by cell."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *lines])


def short(rate: float) -> str:
    """A rate as people read it: `1.2 G`, `118 M`, `5.7 k`; three digits at most."""
    for factor, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if rate >= factor:
            value = rate / factor
            return f"{value:.{0 if value >= 100 else 1}f}{letter}"
    return f"{rate:.0f}"


def _ours_and_compared(
    results: Iterable[rows.Row],
) -> tuple[dict[tuple[str, str, str], rows.Row], dict[tuple[str, str, str], rows.Comparison]]:
    """Our best row, and the comparison where there is one, by (game, mode, device)."""
    results = [row for row in results if row.bench == "engine"]
    compared = {_place(comparison.ours): comparison for comparison in rows.compare(results)}
    ours: dict[tuple[str, str, str], rows.Row] = {}
    for row in rows.best(filter(rows.is_ours, results)).values():
        if _place(row) not in ours or row.rate > ours[_place(row)].rate:
            ours[_place(row)] = row
    return ours, compared


def _rate(row: rows.Row | None, comparison: rows.Comparison | None) -> str:
    if row is None:
        return ""
    if comparison is None:
        return short(row.rate)
    package = comparison.peer.implementation.partition("+")[0]
    return f"{short(row.rate)}, {comparison.ratio:.1f}x {package}"


def _row(row: rows.Row, comparison: rows.Comparison | None) -> list[str]:
    cells = [row.game, row.mode, row.device, f"{short(row.rate)} ({row.batch:,} games)"]
    share = "" if row.memory_share is None else f"{row.memory_share:.0%}"
    ends = f"{row.compile_s:.1f}", share
    if comparison is None:
        return [*cells, "", "", "", str(row.bytes_per_game), *ends]
    peer = comparison.peer
    package = peer.implementation.partition("+")[0]
    named = f"{peer.implementation} {peer.versions.get(package, '')}".strip()
    theirs = "?" if peer.bytes_per_game is None else str(peer.bytes_per_game)
    return [
        *cells,
        f"{short(peer.rate)} ({peer.batch:,} games)",
        named,
        f"{comparison.ratio:.1f}x",
        f"{row.bytes_per_game} against {theirs}",
        *ends,
    ]


def _place(row: rows.Row) -> tuple[str, str, str]:
    return row.game, row.mode, row.device
