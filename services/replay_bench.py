"""`cartridge bench replay`: milliseconds a call, the ratios to the peers and the goals, as they were measured."""

import argparse
import sys

from rich.console import Console
from rich.table import Table

from ..bench.replay import rows
from ..bench.replay.contest import ITEMS, run_replay
from ..bench.replay.rows import ReplayRow
from ..bench.rows import OURS, Goal
from . import bench_progress

_WIDTH = 120  # characters of the table in a file or pipe


def run(args: argparse.Namespace) -> int:
    """Measures by the flags `items`, `peers`, `repeats` and `json`; 1 if nothing could be measured."""
    notices = Console(stderr=True)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH)
    results = bench_progress.collect(
        lambda report: run_replay(args.items or ITEMS, with_peers=args.peers, repeats=args.repeats, report=report),
        args.json,
        notices,
    )
    console.print(_table(results))
    for line in (*map(_comparison, rows.compare(results)), *map(_goal, rows.goals(results))):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0 if results else 1


def _table(results: list[ReplayRow]) -> Table:
    table = Table(title="milliseconds a call, on a full buffer of 84 float32 an item")
    for heading in ("items", "call", "implementation", "ms", "spread", "first call s", "bytes/item", "peak MiB"):
        table.add_column(heading, justify="left" if heading in ("call", "implementation") else "right")
    order = sorted(results, key=lambda row: (row.items, rows.MODES.index(row.mode), row.implementation != OURS, row.ms))
    for row in order:
        size = "" if row.bytes_per_item is None else f"{row.bytes_per_item:.0f}"
        peak = "" if row.peak_bytes is None else f"{row.peak_bytes / 2**20:.0f}"
        cells = (f"{row.items:,}", row.mode, row.implementation, f"{row.ms:.3f}", f"{row.spread:.0%}")
        table.add_row(*cells, f"{row.compile_s:.2f}", size, peak)
    return table


def _comparison(pair: rows.Comparison) -> str:
    ours, peer = pair.ours, pair.peer
    return (
        f"{ours.mode}, {ours.items:,} items: {pair.ratio:.2f} times {peer.implementation} "
        f"({ours.ms:.3f} ms against {peer.ms:.3f} ms)"
    )


def _goal(goal: Goal) -> str:
    return f"goal {'met' if goal.met else 'missed'}: {goal.text}; {goal.measured:.2g} at worst, {goal.where}"
