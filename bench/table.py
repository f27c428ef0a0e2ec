"""The README's comparison, made from committed rows, so that no figure in it was typed by hand."""

from collections.abc import Iterable, Sequence

from . import rows

_HEAD = ("game", "mode", "device", "Cartridge, steps/s", "fastest peer, steps/s", "peer", "ratio", "bytes per game")


def engine_table(results: Iterable[rows.Row]) -> str:
    """A Markdown table: a line for each game, mode and device, every implementation at its own best batch size."""
    results = [row for row in results if row.bench == "engine"]
    compared = {_place(comparison.ours): comparison for comparison in rows.compare(results)}
    ours: dict[tuple[str, str, str], rows.Row] = {}
    for row in rows.best(filter(rows.is_ours, results)).values():
        if _place(row) not in ours or row.rate > ours[_place(row)].rate:
            ours[_place(row)] = row
    return "\n".join(
        [_line(_HEAD), _line(["---"] * len(_HEAD)), *(_row(ours[place], compared.get(place)) for place in ours)]
    )


def short(rate: float) -> str:
    """A rate as people read it: `1.2 G`, `118 M`, `5.7 k`; three digits at most."""
    for factor, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if rate >= factor:
            value = rate / factor
            return f"{value:.{0 if value >= 100 else 1}f}{letter}"
    return f"{rate:.0f}"


def _row(row: rows.Row, comparison: rows.Comparison | None) -> str:
    cells = [row.game, row.mode, row.device, f"{short(row.rate)} ({row.batch:,} games)"]
    if comparison is None:
        return _line([*cells, "", "", "", str(row.bytes_per_game)])
    peer = comparison.peer
    package = peer.implementation.partition("+")[0]
    named = f"{peer.implementation} {peer.versions.get(package, '')}".strip()
    theirs = "?" if peer.bytes_per_game is None else str(peer.bytes_per_game)
    return _line(
        [
            *cells,
            f"{short(peer.rate)} ({peer.batch:,} games)",
            named,
            f"{comparison.ratio:.1f}x",
            f"{row.bytes_per_game} against {theirs}",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _place(row: rows.Row) -> tuple[str, str, str]:
    return row.game, row.mode, row.device
