"""The settings of a run as flags, for every command that begins one."""

import argparse
import os
from pathlib import Path

from ..engine.spec import GameSpec, SpecError
from . import config
from .config import Overrides, TrainConfig
from .presets import preset


def add(parser: argparse.ArgumentParser) -> None:
    """A flag for every setting, from its section and name, and short ones for the most used."""
    parser.add_argument("--algo", default="alphazero", help="the algorithm (default: alphazero)")
    parser.add_argument("--minutes", help="stop after this much training time")
    parser.add_argument("--updates", help="stop after this many learner updates instead: reproducible from the seed")
    parser.add_argument("--seed", help="seed of everything random (default: 0)")
    actors = "play in this many processes of their own, beside a learner and services (default: 0, all in one)"
    parser.add_argument("--actors", help=actors)
    parser.add_argument("--config", type=Path, metavar="FILE", help="a TOML file of settings")
    for section, known in config.sections().items():
        group = parser.add_argument_group(section)
        for key in known:
            flag = f"--{section}.{key.replace('_', '-')}"
            group.add_argument(flag, dest=f"{section}.{key}", metavar="VALUE", help=argparse.SUPPRESS)
        group.description = "  ".join(f"--{section}.{key.replace('_', '-')}" for key in known)


def settings(game: str, args: argparse.Namespace) -> TrainConfig:
    """The configuration of a new run of `game`, from all sources.

    Raises:
      ConfigError: a setting that does not fit, or an algorithm that does not fit the game.
    """
    import jax  # only where a run begins: `cartridge serve engine` reads its flags without it

    from ..registry import make_game

    spec = make_game(game).spec  # an unknown game is refused before anything else is looked at
    _require_fit(spec)
    return config.build(
        game,
        args.algo,
        preset(game, accelerator=jax.default_backend() != "cpu"),
        *overrides(args),
    )


def overrides(args: argparse.Namespace) -> tuple[Overrides, ...]:
    """What the user says, the strongest last: a file, variables, flags."""
    from_file = config.from_toml(args.config) if args.config else {}
    return from_file, config.from_environment(os.environ), given(args)


def given(args: argparse.Namespace) -> dict[str, dict[str, str]]:
    """The settings given as flags; `--minutes` and the like are short for `--run.minutes`."""
    found: dict[str, dict[str, str]] = {}
    for name, value in vars(args).items():
        section, dot, key = name.partition(".")
        if dot and value is not None:
            found.setdefault(section, {})[key] = value
    for key in ("minutes", "updates", "seed", "actors"):
        if getattr(args, key) is not None:
            found.setdefault("run", {})[key] = getattr(args, key)
    return found


def _require_fit(spec: GameSpec) -> None:
    """AlphaZero searches, and learns values in [-1, 1], the results of games between players."""
    from ..actor.search import require_searchable

    try:
        require_searchable(spec)
        if spec.num_players == 1:
            raise SpecError(f"{spec.env_id} is played alone, for points, and not for a result between -1 and 1")
    except SpecError as error:
        raise config.ConfigError(f"alphazero does not fit: {error}; there is no other algorithm yet") from error
