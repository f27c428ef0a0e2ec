"""The front door's table: built-in games joined with those of other packages, found by id."""

import difflib
import functools
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from .engine.spec import ENV_ID, GameSpec
from .games import BUILT_IN

if TYPE_CHECKING:
    from .engine.game import Game
    from .engine.vector_env import Output, VectorEnv
    from .engine.wrappers.dm_env_wrapper import DmEnv
    from .engine.wrappers.gymnasium_env import GymnasiumEnv
    from .engine.wrappers.gymnasium_vector import GymnasiumVectorEnv
    from .engine.wrappers.openspiel_state import OpenSpielGame
    from .engine.wrappers.pettingzoo_aec import PettingZooEnv

ENTRY_POINT_GROUP = "cartridge.games"


class UnknownGameError(LookupError):
    """No game of that id is installed; the message names the nearest."""


class OptionError(ValueError):
    """An id whose options cannot be read, or are not the game's."""


class BrokenGameError(RuntimeError):
    """Another package offers this game, but it cannot be played; the message says whose it is and what is wrong."""


def list_games() -> list[str]:
    """Ids of every installed game, built-in ones first. Loads none of them."""
    others = (point.name for point in entry_points(group=ENTRY_POINT_GROUP) if ENV_ID.fullmatch(point.name))
    return list(dict.fromkeys([*BUILT_IN, *others]))


def unreachable_games() -> list[tuple[str, str]]:
    """(name, reason) of what other packages offer under a name that leads nowhere. Loads none of them."""
    found = []
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in BUILT_IN:
            found.append((point.name, f"{_described(point)} is hidden by the built-in game of that name: rename it"))
        elif not ENV_ID.fullmatch(point.name):
            wanted = "expected letters, digits and underscores"
            found.append((point.name, f"{_described(point)} has a name that is no id, {wanted}"))
    return found


def make_game(env_id: str) -> "Game[Any]":
    """The rules behind an id such as `connect4` or, with options, `hex:swap=1`.

    Raises:
      UnknownGameError: no such game.
      OptionError: an option the game does not have, or a value that it does not take.
      BrokenGameError: another package's game that breaks what is cheap to see of the contract.
    """
    name, options = parse_env_id(env_id)
    if name not in BUILT_IN:
        return _plug_in(env_id, name, options)
    module, _, attribute = BUILT_IN[name].partition(":")
    return _construct(getattr(import_module(f".games.{module}", __package__), attribute), env_id, name, options)


def make(
    env_id: str, num_envs: int = 1, seed: int = 0, *, output: "Output" = "jax", **settings: Any
) -> "VectorEnv[Any]":
    """A batch of games behind one `reset` and `step`; see `engine.vector_env.VectorEnv` for the settings."""
    from .engine.vector_env import VectorEnv  # loads JAX, which listing games must not

    return VectorEnv(make_game(env_id), num_envs, seed, output=output, **settings)


def to_gymnasium(env_id: str, **settings: Any) -> "GymnasiumEnv[Any]":
    """One agent's `gymnasium.Env`; see `engine.wrappers.gymnasium_env.GymnasiumEnv` for the settings."""
    from .engine.wrappers.gymnasium_env import GymnasiumEnv

    return GymnasiumEnv(_shared_game(env_id), **settings)


def to_gymnasium_vector(env_id: str, num_envs: int = 1, **settings: Any) -> "GymnasiumVectorEnv[Any]":
    """Many at once; see `engine.wrappers.gymnasium_vector.GymnasiumVectorEnv` for the settings."""
    from .engine.wrappers.gymnasium_vector import GymnasiumVectorEnv

    return GymnasiumVectorEnv(_shared_game(env_id), num_envs, **settings)


def to_pettingzoo(env_id: str, **settings: Any) -> "PettingZooEnv[Any]":
    """A PettingZoo AEC environment; see `engine.wrappers.pettingzoo_aec.PettingZooEnv` for the settings."""
    from .engine.wrappers.pettingzoo_aec import PettingZooEnv

    return PettingZooEnv(_shared_game(env_id), **settings)


def to_dm_env(env_id: str, **settings: Any) -> "DmEnv[Any]":
    """One agent's `dm_env.Environment`; see `engine.wrappers.dm_env_wrapper.DmEnv` for the settings."""
    from .engine.wrappers.dm_env_wrapper import DmEnv

    return DmEnv(_shared_game(env_id), **settings)


def to_openspiel(env_id: str, **settings: Any) -> "OpenSpielGame":
    """A `pyspiel.Game`; see `engine.wrappers.openspiel_state.OpenSpielGame` for the settings."""
    from .engine.wrappers.openspiel_state import OpenSpielGame

    return OpenSpielGame(_shared_game(env_id), **settings)


def parse_env_id(env_id: str) -> tuple[str, Mapping[str, str]]:
    """(`hex`, {"swap": "1"}) from `hex:swap=1`; several options are separated by commas."""
    name, _, tail = env_id.partition(":")
    options = {}
    for item in filter(None, tail.split(",")):
        key, sign, value = item.partition("=")
        if not (key.isidentifier() and sign):
            raise OptionError(f"{item!r} in {env_id!r} is no option; write it as key=value, such as hex:swap=1")
        options[key] = value
    return name, options


@functools.lru_cache(maxsize=32)
def _shared_game(env_id: str) -> "Game[Any]":
    """One object for all environments of an id: a game has no state, and what JAX compiles belongs to the object."""
    return make_game(env_id)


def _construct(factory: Callable[..., Any], env_id: str, name: str, options: Mapping[str, str]) -> Any:
    """What `factory` makes of the options; their errors become `OptionError`."""
    if not options:
        return factory()
    try:
        return factory(**options)
    except TypeError as error:
        raise OptionError(f"{env_id!r}: {name} does not take the options {sorted(options)} ({error})") from error
    except ValueError as error:
        raise OptionError(f"{env_id!r}: {error}") from error


def _plug_in(env_id: str, name: str, options: Mapping[str, str]) -> Any:
    """Another package's game. Whatever its code raises becomes a `BrokenGameError`."""
    point = _entry_point(name)
    try:
        factory = point.load()
    except Exception as error:
        raise BrokenGameError(f"{_described(point)} cannot be imported: {_told(error)}") from error
    if not callable(factory):
        raise BrokenGameError(f"{_described(point)} is {factory!r}, expected a class, or a function that makes a game")
    try:
        game = _construct(factory, env_id, name, options)
        fault = _fault(game, name)
    except OptionError:
        raise
    except Exception as error:
        raise BrokenGameError(f"{_described(point)} cannot be made: {_told(error)}") from error
    if fault:
        raise BrokenGameError(f"{_described(point)} is malformed: {fault}")
    return game


def _fault(game: Any, name: str) -> str | None:
    """What is wrong with a game at first sight; `engine.conformance` looks closer."""
    from .engine.game import Game  # loads JAX, as the game's own package has

    spec = getattr(game, "spec", None)
    if not isinstance(spec, GameSpec):
        return f"its spec is {spec!r}, expected a cartridge.engine.spec.GameSpec"
    if spec.env_id != name:
        return f"spec.env_id is {spec.env_id!r}, expected {name!r}, the name of the entry point"
    methods = [method for method in vars(Game) if not method.startswith("_") and method != "spec"]
    missing = [method for method in methods if not callable(getattr(game, method, None))]
    return f"it has no {', '.join(missing)}; see cartridge.engine.game.Game" if missing else None


def _entry_point(name: str) -> EntryPoint:
    """The one place where a package offers the game."""
    points = [point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name == name]
    if len(points) > 1:
        offers = " and ".join(sorted(map(_described, points)))
        raise BrokenGameError(f"{offers} have one id: uninstall all but one")
    if points:
        return points[0]
    near = difflib.get_close_matches(name, list_games(), n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(list_games())}"
    raise UnknownGameError(f"no game {name!r}: {hint}; a game of another package must be installed first")


def _described(point: EntryPoint) -> str:
    """Such as: game 'nim' (cartridge_nim:Nim of cartridge-nim 1.0.0)."""
    package = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
    return f"game {point.name!r} ({point.value}{package})"


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
