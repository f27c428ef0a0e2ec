"""The games a server plays, by id, and how it describes them."""

import functools
from typing import Any

import grpc

from ...engine.game import Game
from ...engine.spec import GameSpec
from ...proto.engine.v1 import engine_pb2 as pb
from ...registry import BrokenGameError, OptionError, UnknownGameError, list_games, make_game
from ..serving import RefusalError

SCHEMA_VERSION = 1
MAX_BATCH = 4096  # games in one stateless call


def find(engine_id: pb.EngineId, hint: bytes = b"") -> Game[Any]:
    """The game that an id and options name.

    Raises:
      RefusalError: there is none, or it has other rules than the build that was asked for.
    """
    if not engine_id.env_id:
        message = "id.env_id is empty, expected a game's id such as connect4"
        raise RefusalError(grpc.StatusCode.INVALID_ARGUMENT, message)
    try:
        game = _made(_with_options(engine_id.env_id, hint))
    except UnknownGameError as error:
        raise RefusalError(grpc.StatusCode.NOT_FOUND, str(error)) from error
    except OptionError as error:
        raise RefusalError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
    except BrokenGameError as error:
        raise RefusalError(grpc.StatusCode.FAILED_PRECONDITION, str(error)) from error
    if engine_id.build_id not in ("", game.spec.build_id):
        raise RefusalError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"id.build_id is {engine_id.build_id!r}, but this server's {game.spec.env_id} is {game.spec.build_id}",
        )
    return game


def installed(max_lease: int) -> list[pb.Capabilities]:
    """Every game that can be made, with its default options."""
    found = []
    for env_id in list_games():
        try:
            found.append(capabilities(_made(env_id), env_id, max_lease))
        except BrokenGameError:
            continue  # `cartridge games` on the server says what is wrong with it
    return found


def capabilities(game: Game[Any], env_id: str, max_lease: int) -> pb.Capabilities:
    """What a game looks like from outside; `env_id` is how it was asked for, options and all."""
    spec = game.spec
    return pb.Capabilities(
        id=pb.EngineId(env_id=env_id, build_id=spec.build_id),
        enc=pb.Encoding(
            state="state:packed_u32:v1",
            action="action:discrete:v1",
            obs=observation_encoding(spec),
            schema_version=SCHEMA_VERSION,
        ),
        max_horizon=spec.max_steps,
        discrete_n=spec.num_actions,
        preferred_batch=min(spec.preferred_batch, max_lease),
        num_players=spec.num_players,
        observation_shape=spec.observation_shape,
        state_bytes=spec.state_bytes,
        stochastic=spec.stochastic,
        hidden_information=spec.hidden_information,
        outputs=spec.outputs,
        max_batch=MAX_BATCH,
        max_lease=max_lease,
        spec_fingerprint=spec.fingerprint(),
    )


def observation_encoding(spec: GameSpec) -> str:
    """That of the stateless calls."""
    return f"obs:f32x{spec.observation_size}:v1"


def require_trust(spec: GameSpec, trusted: bool, what: str) -> None:
    """Refuses `what` shows the whole state of a game with hidden information to a client that nobody trusts with it."""
    if spec.hidden_information and not trusted:
        raise RefusalError(
            grpc.StatusCode.PERMISSION_DENIED,
            f"{what} shows the state of {spec.env_id}, which says more than its players may know: ask with `trusted` "
            "if no player will see it",
        )


def _with_options(env_id: str, hint: bytes) -> str:
    """`hex:swap=1` from `hex` and b"swap=1"."""
    if not hint:
        return env_id
    try:
        options = hint.decode()
    except UnicodeDecodeError as error:
        message = 'hint is no text, expected options such as b"swap=1"'
        raise RefusalError(grpc.StatusCode.INVALID_ARGUMENT, message) from error
    return f"{env_id},{options}" if ":" in env_id else f"{env_id}:{options}"


@functools.lru_cache(maxsize=64)
def _made(env_id: str) -> Game[Any]:
    """One object for each id: what is compiled belongs to it."""
    return make_game(env_id)
