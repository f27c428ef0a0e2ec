"""`cartridge train`: from words on a command line to a trained agent and a report."""

import argparse
import datetime
import os
import sys
import warnings
from pathlib import Path

import jax
from rich.console import Console

from ..actor.search import require_searchable
from ..engine.spec import GameSpec, SpecError
from ..registry import make_game
from . import config, report, training
from .console import RunView
from .mirror import Mirror, is_url
from .presets import preset
from .run_directory import RunDirectory

_CHANGEABLE = {"run.minutes", "run.updates", "replay.capacity"}  # when a run is resumed
_EPILOG = """
Every setting can also stand in a TOML file (one table per section) or in a variable CARTRIDGE_<SECTION>_<KEY>.
Strongest last: defaults, the preset of the game and device, the file, variables, flags.

  cartridge train connect4 --minutes 20
  cartridge train tictactoe --updates 500 --seed 1 --run-dir runs/t1
  cartridge train --resume runs/t1 --updates 1000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command; one for every setting, from its section and name."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("game", nargs="?", help="a game id, see `cartridge games`")
    parser.add_argument("--algo", default="alphazero", help="the algorithm (default: alphazero)")
    parser.add_argument("--minutes", help="stop after this much training time")
    parser.add_argument("--updates", help="stop after this many learner updates instead: reproducible from the seed")
    parser.add_argument("--seed", help="seed of everything random (default: 0)")
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="where the run is kept (default: runs/GAME-TIME)")
    resume = "continue the run in DIR, or at the URL of its mirror, from its last checkpoint"
    parser.add_argument("--resume", metavar="DIR", help=resume)
    truncate = "with --resume: drop the oldest positions where --replay.capacity is now too small for all"
    parser.add_argument("--truncate", action="store_true", help=truncate)
    parser.add_argument("--config", type=Path, metavar="FILE", help="a TOML file of settings")
    for section, settings in config.sections().items():
        group = parser.add_argument_group(section)
        for key in settings:
            flag = f"--{section}.{key.replace('_', '-')}"
            group.add_argument(flag, dest=f"{section}.{key}", metavar="VALUE", help=argparse.SUPPRESS)
        group.description = "  ".join(f"--{section}.{key.replace('_', '-')}" for key in settings)


def run(args: argparse.Namespace) -> int:
    """Trains, new or resumed; 0 at the end of the run, 130 where it was stopped."""
    console = Console(stderr=True)
    warnings.showwarning = lambda message, *_rest, **_more: console.print(f"warning: {message}", style="yellow")
    directory = _resumed(args) if args.resume else _created(args)
    with RunView(console) as view:
        view.say(f"run {directory.root} on {jax.devices()[0].device_kind}; compiling")
        session = training.Run(directory, view, truncate=args.truncate)
        finished = session.train()
    if not session.saved:
        console.print(f"the last state could not be saved; the one before it is in {directory.root}", style="red")
    if not finished:
        saved = "stopped and saved" if session.saved else "stopped"
        console.print(f"{saved}; continue with: cartridge train --resume {directory.root}")
        return 130
    report.write(session, Console(file=sys.stdout))
    return 0


def _created(args: argparse.Namespace) -> RunDirectory:
    if not args.game:
        raise config.ConfigError("which game? name one, such as connect4, or continue a run with --resume DIR")
    spec = make_game(args.game).spec  # an unknown game is refused before anything else is looked at
    _require_fit(spec)
    settings = config.build(
        args.game,
        args.algo,
        preset(args.game, accelerator=jax.default_backend() != "cpu"),
        config.from_toml(args.config) if args.config else {},
        config.from_environment(os.environ),
        _flags(args),
    )
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    root = args.run_dir or Path("runs") / f"{args.game.replace(':', '-')}-{stamp}"
    return training.create(root, settings)


def _require_fit(spec: GameSpec) -> None:
    """AlphaZero searches, and learns values in [-1, 1], the results of games between players."""
    try:
        require_searchable(spec)
        if spec.num_players == 1:
            raise SpecError(f"{spec.env_id} is played alone, for points, and not for a result between -1 and 1")
    except SpecError as error:
        raise config.ConfigError(f"alphazero does not fit: {error}; there is no other algorithm yet") from error


def _resumed(args: argparse.Namespace) -> RunDirectory:
    flags = _flags(args)
    changed = {f"{section}.{key}" for section, settings in flags.items() for key in settings} - _CHANGEABLE
    remote = is_url(args.resume)
    if args.game or args.config or changed or (args.run_dir and not remote):
        raise config.ConfigError(
            "--resume takes the run's own settings; only --minutes, --updates and --replay.capacity may go with it"
        )
    if remote:
        root = args.run_dir or Path("runs") / args.resume.rstrip("/").rpartition("/")[2]
        directory = Mirror(args.resume).fetch(root)
    else:
        directory = RunDirectory.open(Path(args.resume))
    if flags:
        training.change(directory, flags)
    return directory


def _flags(args: argparse.Namespace) -> dict[str, dict[str, str]]:
    """The settings given as flags; `--minutes` and the like are short for `--run.minutes`."""
    found: dict[str, dict[str, str]] = {}
    for name, value in vars(args).items():
        section, dot, key = name.partition(".")
        if dot and value is not None:
            found.setdefault(section, {})[key] = value
    for key in ("minutes", "updates", "seed"):
        if getattr(args, key) is not None:
            found.setdefault("run", {})[key] = getattr(args, key)
    return found
