"""`cartridge bench`: measures the engine, replay or the services, and shows rows and ratios."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..bench import rows
from ..bench.engine import MIN_REPEATS, MODES, run_engine
from ..bench.table import short
from ..registry import BrokenGameError, list_games, make_game
from . import bench_progress, replay_bench, rpc_bench
from .flags import whole_number

_WIDTH = 120  # characters of the table in a file or pipe
_OWN_FLAGS = {"engine": ("game", "mode", "batch", "peers"), "replay": ("items", "peers"), "rpc": ("only",)}


class BenchmarkFlagError(ValueError):
    """A flag of another benchmark."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("bench", choices=[*_OWN_FLAGS], help="what to measure")
    parser.add_argument("--game", action="append", metavar="G", help="engine: an id; may be repeated (default: all)")
    parser.add_argument("--mode", action="append", choices=MODES, help="engine: may be repeated (default: all)")
    parser.add_argument("--peers", action="store_true", help="measure the peers beside us (see `make peers`)")
    batch = "engine: games in lock step; may be repeated"
    parser.add_argument("--batch", action="append", type=int, metavar="N", help=batch)
    items = "replay: items in the buffer; may be repeated (default: 100 k, 1 M, 10 M)"
    parser.add_argument("--items", action="append", type=whole_number(1, 1 << 30), metavar="N", help=items)
    only = "rpc: measure only settings whose names have this in them; may be repeated"
    parser.add_argument("--only", action="append", metavar="TEXT", help=only)
    repeats = f"stretches of each, at least {MIN_REPEATS} (default: 7)"
    parser.add_argument("--repeats", type=whole_number(MIN_REPEATS, 1000), default=7, metavar="N", help=repeats)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE")


def run(args: argparse.Namespace) -> int:
    """Measures; 1 if nothing could be measured."""
    own = {name for names in _OWN_FLAGS.values() for name in names}
    foreign = sorted(name for name in own - set(_OWN_FLAGS[args.bench]) if getattr(args, name))
    if foreign:
        raise BenchmarkFlagError(f"--{foreign[0]} is no flag of `bench {args.bench}`; see cartridge bench --help")
    return {"engine": _run_engine, "replay": replay_bench.run, "rpc": rpc_bench.run}[args.bench](args)


def _run_engine(args: argparse.Namespace) -> int:
    notices = Console(stderr=True)
    games = args.game or _playable(notices)
    for game in args.game or ():
        make_game(game)  # an unknown one is refused before the first long wait
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH)
    results = bench_progress.collect(
        lambda report: run_engine(
            games,
            args.mode or MODES,
            with_peers=args.peers,
            batches=args.batch,
            repeats=args.repeats,
            report=report,
        ),
        args.json,
        notices,
    )
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
