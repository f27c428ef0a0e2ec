"""`cartridge serve replay`: keeps the replay of one run, and knows the run's settings, which all others ask it for."""

import argparse
import asyncio
import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import logs, serving, setting_flags
from .serving import Service, handlers

DESCRIPTION = (
    "Keeps the positions that actors play, and gives them to learners in batches (proto/replay/v1/replay.proto; "
    "docs/remote-training.md). The run's settings are given here; learner and actors ask for them."
)
EPILOG = """
  cartridge serve replay tictactoe --run-dir runs/t1 --minutes 10
  cartridge serve replay --run-dir runs/t1                          goes on after a stop or a crash
"""
_PORT = 50052
_LOG_FOLDER = "replay"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("game", nargs="?", help="a game id, for a new run; see `cartridge games`")
    parser.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="the run's folder, or a new one")
    memory = "keep no append log: a crash loses what was played"
    parser.add_argument("--no-log", action="store_true", help=memory)
    serving.add_arguments(parser, _PORT)
    setting_flags.add(parser)


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to stop; 0 if all calls were finished, 1 if some were cut short."""
    settings = serving.from_args(args, os.environ)
    logs.begin()
    described = _run_of(args)
    say = functools.partial(print, flush=True)
    return 1 if asyncio.run(_serve(args, settings, described, say)) else 0


async def _serve(
    args: argparse.Namespace, settings: serving.Serving, run: Mapping[str, Any], say: Callable[[str], None]
) -> int:
    from ..registry import make_game  # these load JAX
    from . import config
    from .replay.append_log import AppendLog
    from .replay.rows import Rows
    from .replay.service import CONTRACT, ReplayService

    run_config = config.from_json(run["config"])
    rows = Rows(make_game(run_config.game), run_config)
    log = None
    if not args.no_log:
        fingerprint = rows.game.spec.fingerprint()
        log = AppendLog(args.run_dir / _LOG_FOLDER, fingerprint, rows.chunk_rows, rows.replay.capacity)
        cut = log.open(lambda chunk: rows.fill(rows.read(chunk, looked_at=True)))
        if log.ledger.chunks:
            print(f"{rows.size():,} rows are back from the append log in {args.run_dir}", file=sys.stderr)
        if cut:
            print(f"cut off: {cut}, which no actor was told is stored", file=sys.stderr)
    service = ReplayService(rows, run, log, settings.max_message_mib)
    try:
        add = functools.partial(handlers.add_to_server, CONTRACT, service)
        return await serving.serve(settings, [Service(CONTRACT.full_name, add, service.drain)], say)
    finally:
        await service.close()


def _run_of(args: argparse.Namespace) -> dict[str, Any]:
    """The run in the folder, made if there is none."""
    from . import config, new_run
    from .run_directory import RunDirectory

    there = (args.run_dir / "run.json").exists()
    if not there and not args.game:
        raise config.ConfigError(f"{args.run_dir} holds no run yet: name its game, such as connect4")
    if not there:
        args.run_dir.mkdir(parents=True, exist_ok=True)
        return new_run.create(args.run_dir, setting_flags.settings(args.game, args)).describe()
    described = RunDirectory.open(args.run_dir).describe()
    if args.game or setting_flags.given(args) or args.config:
        held = config.from_json(described["config"])
        asked = setting_flags.settings(args.game or held.game, args)
        _require_same(args.run_dir, held, asked)
    return described


def _require_same(root: Path, held: Any, asked: Any) -> None:
    """A server that is started again is started with the same words, or with none."""
    from . import config

    before, now = (_flat(dataclasses.asdict(settings)) for settings in (held, asked))
    for name, value in before.items():
        if now[name] != value:
            raise config.ConfigError(
                f"{root} holds a run whose {name} is {value}, not {now[name]}: give no settings to go on with it, or "
                "another --run-dir"
            )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    nested = {name: value for name, value in settings.items() if isinstance(value, dict)}
    inner = {f"{section}.{key}": value for section, known in nested.items() for key, value in known.items()}
    return {name: value for name, value in settings.items() if name not in nested} | inner
