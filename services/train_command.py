"""`cartridge train`: from words on a command line to a trained agent and a report."""

import argparse
import datetime
import sys
import warnings
from pathlib import Path

import jax
from rich.console import Console

from . import config, launch, new_run, report, setting_flags, training
from .console import RunView
from .distributed import DistributedRun, require_possible
from .mirror import Mirror, is_url
from .run_directory import RunDirectory

_CHANGEABLE = {"run.minutes", "run.updates", "run.actors", "replay.capacity"}  # when a run is resumed
_EPILOG = """
Every setting can also stand in a TOML file (one table per section) or in a variable CARTRIDGE_<SECTION>_<KEY>.
Strongest last: defaults, the preset of the game and device, the file, variables, flags.

  cartridge train connect4 --minutes 20
  cartridge train tictactoe --updates 500 --seed 1 --run-dir runs/t1
  cartridge train --resume runs/t1 --updates 1000
  cartridge train connect4 --actors 4           replay, weights, learner and actors as processes of their own
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command; one for every setting, from its section and name."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("game", nargs="?", help="a game id, see `cartridge games`")
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="where the run is kept (default: runs/GAME-TIME)")
    resume = "continue the run in DIR, or at the URL of its mirror, from its last checkpoint"
    parser.add_argument("--resume", metavar="DIR", help=resume)
    truncate = "with --resume: drop the oldest positions where --replay.capacity is now too small for all"
    parser.add_argument("--truncate", action="store_true", help=truncate)
    setting_flags.add(parser)


def run(args: argparse.Namespace) -> int:
    """Trains, new or resumed; 0 at the end of the run, 130 where it was stopped."""
    console = Console(stderr=True)
    warnings.showwarning = lambda message, *_rest, **_more: console.print(f"warning: {message}", style="yellow")
    if args.resume:
        _require_own_settings(args)
    if _wants_actors(args):
        launch.share_accelerator()  # before JAX starts, which says what device there is
    directory = _resumed(args) if args.resume else _created(args)
    with RunView(console) as view:
        view.say(f"run {directory.root} on {jax.devices()[0].device_kind}; compiling")
        session = _session(directory, view, args.truncate)
        finished = session.train()
    if not session.saved:
        console.print(f"the last state could not be saved; the one before it is in {directory.root}", style="red")
    if not finished:
        saved = "stopped and saved" if session.saved else "stopped"
        console.print(f"{saved}; continue with: cartridge train --resume {directory.root}")
        return 130
    report.write(session.evaluate(), session.counters, session.config, directory, Console(file=sys.stdout))
    return 0


def _wants_actors(args: argparse.Namespace) -> bool:
    """Whether the run is or will be spread over processes."""
    sources = list(setting_flags.overrides(args))
    if args.resume and not is_url(args.resume):
        sources.insert(0, RunDirectory.open(Path(args.resume)).describe()["config"])
    asked = [source["run"]["actors"] for source in sources if "actors" in source.get("run", {})]
    return bool(asked) and str(asked[-1]) != "0"


def _session(directory: RunDirectory, view: RunView, truncate: bool) -> training.Run | DistributedRun:
    if config.from_json(directory.describe()["config"]).run.actors:
        return DistributedRun(directory, view)
    return training.Run(directory, view, truncate=truncate)


def _created(args: argparse.Namespace) -> RunDirectory:
    if not args.game:
        raise config.ConfigError("which game? name one, such as connect4, or continue a run with --resume DIR")
    settings = setting_flags.settings(args.game, args)
    require_possible(settings)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    root = args.run_dir or Path("runs") / f"{args.game.replace(':', '-')}-{stamp}"
    return new_run.create(root, settings, training.torch_device())


def _require_own_settings(args: argparse.Namespace) -> None:
    changed = {f"{section}.{key}" for section, settings in setting_flags.given(args).items() for key in settings}
    if args.game or args.config or changed - _CHANGEABLE or (args.run_dir and not is_url(args.resume)):
        raise config.ConfigError(
            "--resume takes the run's own settings; only --minutes, --updates, --actors and --replay.capacity may go "
            "with it"
        )


def _resumed(args: argparse.Namespace) -> RunDirectory:
    if is_url(args.resume):
        root = args.run_dir or Path("runs") / args.resume.rstrip("/").rpartition("/")[2]
        directory = Mirror(args.resume).fetch(root)
    else:
        directory = RunDirectory.open(Path(args.resume))
    flags = setting_flags.given(args)
    if flags:
        new_run.change(directory, flags)
    return directory
