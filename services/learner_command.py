"""`cartridge learner`: learns from what actors play, with replay and weights served somewhere; it loads no JAX."""

import argparse
import sys
import warnings
from pathlib import Path

from rich.console import Console

from ..client import Replay, Weights
from . import remote, stopping
from .console import RunView

_EPILOG = """
Settings come from the run: the learner needs to know only where its services are, and a folder for its checkpoints and
logs. That of the replay service will do where both are on one machine.

  cartridge learner --run-dir runs/t1
  cartridge learner --run-dir runs/t1 --replay trainer:50052 --weights trainer:50053 --token-file token
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    where = "where checkpoints and logs are kept; started again with it, the learner goes on"
    parser.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help=where)
    remote.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Learns; 0 at the end of the run, 130 where it was stopped."""
    console = Console(stderr=True)
    warnings.showwarning = lambda message, *_rest, **_more: console.print(f"warning: {message}", style="yellow")
    secret = remote.credentials(args)
    with stopping.on_signals() as stop, RunView(console) as view:
        waiting = remote.Waiting(stop, view.say)
        with (
            Replay(args.replay, secret, waiting.patience("replay")) as replay,
            Weights(args.weights, secret, waiting.patience("weights")) as weights,
        ):
            try:
                replay.info()  # what takes long to load is loaded once there is something to learn
                from .learning import Learning

                finished = Learning(args.run_dir, replay, weights, view, stop, waiting).run()
            except remote.StoppedError:
                finished = False
    if not finished:
        print(f"stopped; go on with: cartridge learner --run-dir {args.run_dir}", file=sys.stderr)
    return 0 if finished else 130
