"""`cartridge replay`: the positions a run learns from, as Parquet files and back, and what they are in numbers."""

import argparse
import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..engine.game import Game
from ..replay import export
from ..replay.export import Columns
from ..replay.flaws import BATCH
from ..replay.stats import Stats
from . import replay_folder, replay_import, replay_setup, setting_flags, store
from .flags import whole_number
from .replay_folder import MANIFEST, SHARD_ROWS, ReplayDataError, ReplayFolder
from .saved_replay import SavedReplay

_LARGEST = (1 << 31) - 1
_EPILOG = """
The files are described in docs/replay-data.md.

  cartridge replay stats runs/mine
  cartridge replay export runs/mine --out data/mine
  cartridge replay import data/mine --run-dir runs/next --minutes 20
  cartridge train --resume runs/next
"""
Report = Callable[[int], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", required=True, metavar="export|import|stats")

    saving = actions.add_parser("export", help="write the rows of a checkpoint as Parquet files", allow_abbrev=False)
    saving.add_argument("run", type=Path, metavar="RUN", help="the folder of a run")
    saving.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new or empty folder")
    steps, rows = whole_number(0, _LARGEST), whole_number(1, _LARGEST)
    saving.add_argument("--step", type=steps, metavar="N", help="which checkpoint (default: the newest whole one)")
    shard = f"rows in each file (default: {SHARD_ROWS:,})"
    saving.add_argument("--shard-rows", type=rows, default=SHARD_ROWS, metavar="N", help=shard)

    taking = actions.add_parser("import", help="make a new run that begins with exported rows", allow_abbrev=False)
    taking.add_argument("folder", type=Path, metavar="FOLDER", help="what `cartridge replay export` wrote")
    taking.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="where the new run is kept")
    truncate = "keep the newest rows where --replay.capacity is too small for all"
    taking.add_argument("--truncate", action="store_true", help=truncate)
    setting_flags.add(taking)

    telling = actions.add_parser("stats", help="describe the rows of a run or of exported files", allow_abbrev=False)
    telling.add_argument("source", type=Path, metavar="RUN|FOLDER", help="a run, or what `replay export` wrote")
    telling.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write to FILE, or print, as JSON")


def run(args: argparse.Namespace) -> int:
    """Does one of the three; 0 when it is done."""
    console = Console(stderr=True)
    warnings.showwarning = lambda message, *_rest, **_more: console.print(f"warning: {message}", style="yellow")
    actions = {"export": _export, "import": _import, "stats": _stats}
    return actions[args.action](args, console)


def _export(args: argparse.Namespace, console: Console) -> int:
    saved = SavedReplay.load(args.run, args.step)
    with _progress(console, f"writing {args.out}", saved.num_rows) as report:
        manifest = replay_folder.write(saved, args.out, args.shard_rows, report)
    files = "1 file" if len(manifest.shards) == 1 else f"{len(manifest.shards)} files"
    text = f"{manifest.num_rows:,} rows of {manifest.num_episodes:,} episodes, step {saved.step} of {args.run}"
    _say(console, f"{text}: written to {args.out} in {files}")
    return 0


def _import(args: argparse.Namespace, console: Console) -> int:
    folder = ReplayFolder.open(args.folder)
    replay_folder.parquet()  # if it is missing, that is said before a game is compiled
    settings = setting_flags.settings(folder.manifest.game, args)
    _say(console, f"reading {args.folder} on {jax.devices()[0].device_kind}; compiling")
    with _progress(console, "checking and adding rows", folder.manifest.num_rows) as report:
        imported = replay_import.make_run(folder, settings, args.run_dir, truncate=args.truncate, progress=report)
    _say(console, f"{imported.rows:,} rows imported into {args.run_dir}")
    if imported.dropped:
        _say(console, f"the oldest {imported.dropped:,} rows were dropped: --replay.capacity has no room for them")
    block = settings.selfplay.rows_per_unroll
    if imported.left_out:
        _say(console, f"the last {imported.left_out:,} rows were left out: replay takes blocks of {block:,}")
    if settings.selfplay.num_games != folder.manifest.columns:
        _say(
            console,
            f"the rows are of {folder.manifest.columns:,} games in lock step, this run plays "
            f"{settings.selfplay.num_games:,}: which rows are one game's can no longer be told from where they lie",
        )
    _say(console, f"continue with: cartridge train --resume {args.run_dir}")
    return 0


def _stats(args: argparse.Namespace, console: Console) -> int:
    game, facts, pieces = _opened(args.source)
    stats = Stats(game)
    with _progress(console, f"reading {args.source}", facts["rows"]) as report:
        done = 0
        for piece in pieces:
            stats.add(piece)
            done += len(piece["move"])
            report(done)
    result = facts | stats.summary()
    if args.json == "-":
        sys.stdout.write(json.dumps(result, indent=1) + "\n")
        return 0
    if args.json:
        try:
            store.write_json(Path(args.json), result)
        except OSError as error:
            raise ReplayDataError(f"cannot write {args.json}: {error.strerror}") from error
    Console(file=sys.stdout).print(_table(result))
    return 0


def _opened(source: Path) -> tuple[Game[Any], dict[str, Any], Iterator[Columns]]:
    """(game, what is known without reading the rows, the rows) of a run or a folder of exported rows."""
    if (source / "run.json").is_file():
        saved = SavedReplay.load(source)
        ring, totals = saved.state.ring, saved.totals
        facts = _facts(saved.game, saved.num_rows, ring.capacity, totals.inserted, totals.sampled)
        facts |= {"source": str(source), "step": saved.step}
        return saved.game, facts, export.pieces(saved.state, BATCH)
    if not (source / MANIFEST).is_file():
        raise ReplayDataError(f"{source} holds neither a run (run.json) nor exported replay data ({MANIFEST})")
    folder = ReplayFolder.open(source)
    manifest = folder.manifest
    inserted, sampled = manifest.totals["inserted"], manifest.totals["sampled"]
    facts = _facts(folder.game, manifest.num_rows, manifest.capacity, inserted, sampled)
    facts |= {"source": str(source), "step": manifest.source.get("step"), "file_bytes": folder.num_bytes}
    return folder.game, facts, (piece for _, _, piece in folder.pieces(BATCH))


def _facts(game: Game[Any], rows: int, capacity: int, inserted: int, sampled: int) -> dict[str, Any]:
    leaves = jax.tree.leaves(replay_setup.row(game))
    row_bytes = sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves)
    return {
        "game": game.spec.env_id,
        "build_id": game.spec.build_id,
        "rows": rows,
        "capacity": capacity,
        "fill": rows / capacity if capacity else 0.0,
        "inserted": inserted,
        "sampled": sampled,
        "samples_per_insert": sampled / inserted if inserted else 0.0,
        "bytes": rows * row_bytes,
        "bytes_per_row": row_bytes,
    }


def _table(result: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), title=f"replay of {result['source']}")
    table.add_row("game", f"{result['game']} {result['build_id']}, step {result['step']}")
    table.add_row("rows", f"{result['rows']:,} of {result['capacity']:,} ({result['fill']:.1%})")
    used = f"{result['inserted']:,} inserted, {result['sampled']:,} sampled"
    table.add_row("since the beginning", f"{used}: {result['samples_per_insert']:.2f} samples per insert")
    table.add_row("memory", f"{decimal(result['bytes'])}, {result['bytes_per_row']} bytes per row")
    if "file_bytes" in result:
        table.add_row("files", f"{decimal(result['file_bytes'])}")
    if not result["rows"]:
        return table
    table.add_row("episodes", f"{result['episodes']:,} of {_spread(result['episode_moves'], '.0f')} moves")
    shares = "  ".join(f"{name} {share:.1%}" for name, share in _named_shares(result["player_to_move_share"]))
    table.add_row("player to move", shares)
    table.add_row("value", _spread(result["value"], ".3f"))
    table.add_row("policy entropy", f"{_spread(result['policy_entropy_nats'], '.3f')} nats")
    table.add_row("distinct positions", f"{result['distinct_positions_share']:.1%}")
    priority = result["priority"]
    if priority:
        effective = priority["effective_rows"]
        table.add_row("priority", f"{_spread(priority, '.3g')}; as spread as {effective:,.0f} equal rows")
    return table


def _named_shares(shares: list[float]) -> list[tuple[str, float]]:
    names = ("first", "second") if len(shares) == 2 else tuple(f"player {number}" for number in range(len(shares)))
    return list(zip(names, shares, strict=True))


def _spread(described: dict[str, float], form: str) -> str:
    return f"{described['mean']:.3g} ({described['min']:{form}} to {described['max']:{form}})"


@contextlib.contextmanager
def _progress(console: Console, text: str, total: int) -> Iterator[Report]:
    """A bar on a terminal, nothing elsewhere; what it yields is told how many rows are done."""
    shown = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} rows"), TimeRemainingColumn()
    with Progress(*shown, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(text, total=total)
        yield lambda done: bar.update(task, completed=done)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
