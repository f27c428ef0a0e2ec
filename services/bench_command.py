"""`cartridge bench`: measures the engine or replay, shows the rows as they come and the ratios at the end."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from ..bench import rows
from ..bench.engine import MIN_REPEATS, MODES, run_engine
from ..bench.engine import Progress as Stage
from ..bench.table import short
from ..registry import BrokenGameError, list_games, make_game
from . import replay_bench, store
from .flags import whole_number

_WIDTH = 120  # characters of the table in a file or pipe
_OF_ENGINE, _OF_REPLAY = ("game", "mode", "batch"), ("items",)  # flags that only one of the benchmarks has


class BenchmarkFlagError(ValueError):
    """A flag of another benchmark."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("bench", choices=["engine", "replay"], help="what to measure")
    parser.add_argument("--game", action="append", metavar="G", help="engine: an id; may be repeated (default: all)")
    parser.add_argument("--mode", action="append", choices=MODES, help="engine: may be repeated (default: all)")
    parser.add_argument("--peers", action="store_true", help="measure the peers beside us (see `make peers`)")
    batch = "engine: games in lock step; may be repeated"
    parser.add_argument("--batch", action="append", type=int, metavar="N", help=batch)
    items = "replay: items in the buffer; may be repeated (default: 100 k, 1 M, 10 M)"
    parser.add_argument("--items", action="append", type=whole_number(1, 1 << 30), metavar="N", help=items)
    repeats = f"stretches of each, at least {MIN_REPEATS} (default: 7)"
    parser.add_argument("--repeats", type=whole_number(MIN_REPEATS, 1000), default=7, metavar="N", help=repeats)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE")


def run(args: argparse.Namespace) -> int:
    """Measures; 1 if nothing could be measured."""
    foreign = [name for name in (_OF_REPLAY if args.bench == "engine" else _OF_ENGINE) if getattr(args, name)]
    if foreign:
        raise BenchmarkFlagError(f"--{foreign[0]} is no flag of `bench {args.bench}`; see cartridge bench --help")
    return replay_bench.run(args) if args.bench == "replay" else _run_engine(args)


def _run_engine(args: argparse.Namespace) -> int:
    notices = Console(stderr=True)
    games = args.game or _playable(notices)
    for game in args.game or ():
        make_game(game)  # an unknown one is refused before the first long wait
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH)
    results: list[rows.Row] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, console=notices, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(stage: Stage) -> None:
            bar.update(task, completed=stage.done, description=f"{stage.game} {stage.mode}: {stage.text}")
            if stage.skipped:
                notices.print(f"skipped in {stage.game} {stage.mode}: {stage.text}", highlight=False)

        measured = run_engine(
            games,
            args.mode or MODES,
            with_peers=args.peers,
            batches=args.batch,
            repeats=args.repeats,
            report=show,
        )
        for row in measured:
            results.append(row)
            if args.json:  # after every row, so that an interrupted run keeps what it measured
                store.write_bytes(args.json, rows.rows_to_json(results).encode())
    console.print(_table(results))
    for comparison in rows.compare(results):
        ours, peer = comparison.ours, comparison.peer
        console.print(
            f"{ours.game} {ours.mode}: {comparison.ratio:.1f} times {peer.implementation} "
            f"({short(ours.rate)}/s against {short(peer.rate)}/s)",
            highlight=False,
        )
    return 0 if results else 1


def _playable(notices: Console) -> list[str]:
    """Every installed game but those of other packages that are broken."""
    games = []
    for env_id in list_games():
        try:
            make_game(env_id)
            games.append(env_id)
        except BrokenGameError as error:
            notices.print(f"left out: {error}", highlight=False, markup=False, soft_wrap=True)
    return games


def _table(results: list[rows.Row]) -> Table:
    """Every implementation at its best batch size."""
    table = Table(title="steps per second, the best batch size of each")
    for heading in ("game", "mode", "implementation", "batch", "steps/s", "spread", "compile s", "bytes/game"):
        table.add_column(heading, justify="left" if heading in ("game", "mode", "implementation") else "right")
    for row in rows.best(results).values():
        size = "" if row.bytes_per_game is None else str(row.bytes_per_game)
        cells = (row.game, row.mode, row.implementation, f"{row.batch:,}", short(row.rate))
        table.add_row(*cells, f"{row.spread:.0%}", f"{row.compile_s:.1f}", size)
    return table
