"""`cartridge actor`: plays games for a run whose replay and weights are served somewhere."""

import argparse
import secrets
import sys
from functools import partial

from ..client import Replay, Weights
from . import remote, stopping
from .flags import whole_number

_EPILOG = """
Settings come from the run: an actor needs to know only where its services are. Start as many as there are machines for,
and stop them as you like.

  cartridge actor
  cartridge actor --replay trainer:50052 --weights trainer:50053 --token-file token --tls-authority authority.pem
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    remote.add_arguments(parser)
    seed = "seed of its games (default: a random one, so that no two actors play the same)"
    parser.add_argument("--seed", type=whole_number(0, 2**31 - 1), metavar="N", help=seed)


def run(args: argparse.Namespace) -> int:
    """Plays until it is told to stop; 0 then."""
    say = partial(print, file=sys.stderr, flush=True)
    seed = secrets.randbits(31) if args.seed is None else args.seed
    secret = remote.credentials(args)
    with stopping.on_signals() as stop:
        waiting = remote.Waiting(stop, say)
        with (
            Replay(args.replay, secret, waiting.patience("replay")) as replay,
            Weights(args.weights, secret, waiting.patience("weights")) as weights,
        ):
            try:
                _play(replay, weights, seed, stop, waiting)
            except remote.StoppedError:
                say("stopped")
    return 0


def _play(replay: Replay, weights: Weights, seed: int, stop: stopping.Stop, waiting: remote.Waiting) -> None:
    replay.info()  # what takes long to load is loaded once there is something to play for
    from .remote_actor import RemoteActor

    say = partial(print, file=sys.stderr, flush=True)
    actor = RemoteActor(replay, weights, seed, stop, waiting)
    rows = actor.config.selfplay.rows_per_unroll
    say(f"actor {actor.number:016x} plays {actor.config.game}, {rows:,} moves at a time")
    actor.run()
    say(f"stopped after {actor.chunks:,} chunks, {actor.chunks * rows:,} moves")
