"""Games whose state the client keeps: padded to a few compiled sizes, played, and forgotten."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import grpc
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...engine import codec, slices
from ...engine.game import Game
from ...engine.keys import root_keys, zero_key
from ...engine.transition import EngineState, start
from ...proto.engine.v1 import engine_pb2 as pb
from ..serving import RefusalError
from .catalogue import MAX_BATCH, observation_encoding

_SIZES = (1, 4, 16, 64, 256, 1024, MAX_BATCH)  # in which calls are compiled
_INFO_ACTIONS = 16  # the most whose mask `info` carries
_PLAYER_SHIFT = 16  # and where it says whose turn it is
_STATE = "state:packed_u32:v1"


def reset(game: Game[Any], seeds: Sequence[int]) -> pb.ResetBatchResponse:
    """Begins a game for each seed: the first of the games that a batch of that seed has."""
    _check_number(len(seeds), "seeds")
    words = np.array([[seed >> 32, seed & 0xFFFFFFFF] for seed in seeds], np.uint32)
    states, shown = jax.device_get(_reset(game, _padded(words)))
    return pb.ResetBatchResponse(
        states=_packed(game, states, len(seeds)),
        observations=_bytes(game, observation_encoding(game.spec), shown, len(seeds)),
        masks=_bytes(game, _mask(game), shown, len(seeds)),
    )


def step(game: Game[Any], states: bytes, actions: bytes) -> pb.StepBatchResponse:
    """Plays one action in each of B games: states u8[B, state_bytes], actions u32[B]."""
    played = _play(game, states, actions)
    return pb.StepBatchResponse(
        states=played.states,
        observations=_bytes(game, observation_encoding(game.spec), played.shown),
        masks=_bytes(game, _mask(game), played.shown),
        rewards=np.stack(played.rewards, axis=1).astype("<f4").tobytes(),
        ends=played.ends.tobytes(),
    )


def step_one(game: Game[Any], state: bytes, action: bytes) -> pb.StepResponse:
    """The same for one game, as the first clients know it: the mover's reward, and `info`."""
    if len(state) != game.spec.state_bytes or len(action) != 4:
        raise _refusal(
            f"state and action are {len(state)} and {len(action)} bytes, expected {game.spec.state_bytes} and 4 for "
            f"{game.spec.env_id}"
        )
    played = _play(game, state, action)
    mask = _bytes(game, _mask(game), played.shown) if game.spec.num_actions <= _INFO_ACTIONS else b""
    return pb.StepResponse(
        state=played.states,
        obs=_bytes(game, observation_encoding(game.spec), played.shown),
        reward=float(played.rewards[played.mover[0]][0]),
        done=bool(played.over[0]),
        info=int.from_bytes(mask, "little") | int(played.player[0]) << _PLAYER_SHIFT,
    )


@dataclasses.dataclass(frozen=True)
class _Played:
    """B games after their actions, on the host."""

    states: bytes
    over: np.ndarray  # bool[B]
    mover: np.ndarray  # i32[B], who played the action
    player: np.ndarray  # i32[B], whose turn it is now
    rewards: tuple[np.ndarray, ...]  # f32[B] for each player
    ends: np.ndarray  # u8[B]
    shown: slices.Shown


def _play(game: Game[Any], states: bytes, actions: bytes) -> _Played:
    num_games, left = divmod(len(states), game.spec.state_bytes)
    if left:
        raise _refusal(f"states are {len(states)} bytes, expected {game.spec.state_bytes} for each game")
    if len(actions) != 4 * num_games:
        raise _refusal(f"actions are {len(actions)} bytes, expected one u32 for each of {num_games} games")
    _check_number(num_games, "states")
    try:
        before = codec.unpack_state(game, codec.decode(game.spec, _STATE, states, num_games))
    except codec.CodecError as error:
        raise _refusal(str(error)) from error
    after, found, shown = jax.device_get(_step(game, *map(_padded, (before, np.frombuffer(actions, "<i4")))))
    first = slice(0, num_games)
    return _Played(
        states=_packed(game, after, num_games),
        **jax.tree.map(lambda leaf: leaf[first], found | {"shown": shown}),
    )


@functools.partial(jax.jit, static_argnums=0)
def _reset(game: Game[Any], seeds: Array) -> tuple[EngineState[Any], slices.Shown]:
    def begin(seed: Array) -> EngineState[Any]:
        if not game.spec.stochastic:
            return start(game, zero_key())
        first, second = root_keys(seed, 1)
        return start(game, (first[0], second[0]))

    states = jax.vmap(begin)(seeds)
    return states, slices.show(game, states, _outputs(game))


@functools.partial(jax.jit, static_argnums=0)
def _step(
    game: Game[Any], states: EngineState[Any], actions: Array
) -> tuple[EngineState[Any], dict[str, Any], slices.Shown]:
    orders = jnp.full(actions.shape, slices.MOVE | slices.DISABLED, jnp.uint8)
    moved = slices.step(game, states, actions, orders)
    turn = jax.vmap(lambda state: game.player(state.game))
    found = {
        "over": moved.states.over,
        "mover": turn(states),
        "player": turn(moved.states),
        "rewards": moved.rewards,
        "ends": moved.ends,
    }
    return moved.states, found, slices.show(game, moved.states, _outputs(game))


def _outputs(game: Game[Any]) -> tuple[str, str]:
    return observation_encoding(game.spec), _mask(game)


def _mask(game: Game[Any]) -> str:
    return f"mask:bits{game.spec.num_actions}:v1"


def _padded(tree: Any) -> Any:
    """The arrays [B, ...] repeated up to the next compiled size."""

    def pad(array: np.ndarray) -> np.ndarray:
        size = next(size for size in _SIZES if size >= len(array))
        return np.resize(array, (size, *array.shape[1:]))

    return jax.tree.map(pad, tree)


def _packed(game: Game[Any], states: EngineState[Any], num_games: int) -> bytes:
    words = codec.pack_state(jax.tree.map(lambda leaf: leaf[:num_games], states))
    return codec.encode(game.spec, _STATE, words)


def _bytes(game: Game[Any], name: str, shown: slices.Shown, num_games: int | None = None) -> bytes:
    return slices.to_bytes(game, name, shown[name], slice(0, num_games)).tobytes()


def _check_number(num_games: int, what: str) -> None:
    if not 1 <= num_games <= MAX_BATCH:
        raise _refusal(f"{what} of {num_games} games, expected 1 to {MAX_BATCH} (Capabilities.max_batch)")


def _refusal(message: str) -> RefusalError:
    return RefusalError(grpc.StatusCode.INVALID_ARGUMENT, message)
