"""`cartridge bench rpc`: steps a second over gRPC, beside an echo of the same bytes, and the goals as they were met."""

import argparse
import sys

from rich.console import Console
from rich.table import Table

from ..bench.rpc import rows
from ..bench.rpc.contest import run_rpc, settings
from ..bench.rpc.rows import RpcRow
from ..bench.table import short
from . import bench_progress

_WIDTH = 160  # characters of the table in a file or pipe


class NoSettingError(ValueError):
    """`--only` leaves nothing to measure."""


def run(args: argparse.Namespace) -> int:
    """Measures by the flags `only`, `repeats` and `json`; 1 if nothing could be measured."""
    chosen = [one for one in settings() if not args.only or any(text in one.name for text in args.only)]
    if not chosen:
        raise NoSettingError(f"no setting has {' or '.join(args.only)} in its name, such as {settings()[0].name!r}")
    results = bench_progress.collect(
        lambda report: run_rpc(chosen, repeats=args.repeats, report=report), args.json, Console(stderr=True)
    )
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH)
    console.print(_table(results))
    for row, share in rows.shares(results):
        told = f"{row.setting.name}: {share:.2f} of the echo's rate, policy apart"
        console.print(told, highlight=False, markup=False, soft_wrap=True)
    for goal in rows.goals(results):
        told = f"goal {'met' if goal.met else 'missed'}: {goal.text}; {goal.measured:.3g}, {goal.where}"
        console.print(told, highlight=False, markup=False, soft_wrap=True)
    return 0 if results else 1


def _table(results: list[RpcRow]) -> Table:
    table = Table(title="calls to one server process, client and server on the same machine")
    headings = ("setting", "implementation", "calls/s", "spread", "steps/s", "MB/s", "p50 ms", "p99 ms")
    for heading in (*headings, "policy", "client cores", "server cores"):
        table.add_column(heading, justify="left" if heading in ("setting", "implementation") else "right")
    for row in results:
        cells = (row.setting.name, row.implementation, short(row.rpc_per_s), f"{row.spread:.0%}")
        steps = short(row.steps_per_s) if row.games else ""
        times = (f"{row.mb_per_s:,.0f}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", f"{row.policy_share:.0%}")
        table.add_row(*cells, steps, *times, f"{row.client_cpu:.2f}", f"{row.server_cpu:.2f}")
    return table
