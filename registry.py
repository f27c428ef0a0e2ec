"""The front door's table: built-in games joined with those of other packages, found by id."""

import difflib
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from .games import BUILT_IN

if TYPE_CHECKING:
    from .engine.game import Game
    from .engine.vector_env import Output, VectorEnv

ENTRY_POINT_GROUP = "cartridge.games"


class UnknownGameError(LookupError):
    """No game of that id is installed; the message names the nearest."""


def list_games() -> list[str]:
    """Ids of every installed game, built-in ones first. Loads none of them."""
    return [*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP) if point.name not in BUILT_IN)]


def make_game(env_id: str) -> "Game[Any]":
    """The rules behind an id such as `connect4` or, with options, `hex:swap=1`.

    Raises:
      UnknownGameError: no such game.
      ValueError: an option the game does not have.
    """
    name, options = parse_env_id(env_id)
    game_class = _load(name)
    try:
        return game_class(**options)
    except TypeError as error:
        raise ValueError(f"{env_id!r}: {name} does not take the options {sorted(options)}") from error


def make(
    env_id: str, num_envs: int = 1, seed: int = 0, *, output: "Output" = "jax", **settings: Any
) -> "VectorEnv[Any]":
    """A batch of games behind one `reset` and `step`; see `engine.vector_env.VectorEnv` for the settings."""
    from .engine.vector_env import VectorEnv  # loads JAX, which listing games must not

    return VectorEnv(make_game(env_id), num_envs, seed, output=output, **settings)


def parse_env_id(env_id: str) -> tuple[str, Mapping[str, str]]:
    """(`hex`, {"swap": "1"}) from `hex:swap=1`; several options are separated by commas."""
    name, _, tail = env_id.partition(":")
    options = {}
    for item in filter(None, tail.split(",")):
        key, sign, value = item.partition("=")
        if not (key.isidentifier() and sign):
            raise ValueError(f"{item!r} in {env_id!r} is no option; write it as key=value, such as hex:swap=1")
        options[key] = value
    return name, options


def _load(name: str) -> Any:
    """The class behind a bare id."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return getattr(import_module(f".games.{module}", __package__), attribute)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            return point.load()
    near = difflib.get_close_matches(name, list_games(), n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(list_games())}"
    raise UnknownGameError(f"no game {name!r}: {hint}")
