"""One seat of many games: its moves come from outside, those of all other players from a policy.

Between two moves of the seat the others play until it is its turn again, so that its games look like those of a single
agent. Each row draws from streams of its own, made from a seed of its own: it goes in a batch as it goes alone.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Generic, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .. import batch, bits, keys
from ..batch import Autoreset
from ..game import Game, State
from ..keys import Key
from ..transition import EngineState, Transition, legal_actions, legal_words, start, transition

RENDER_MODES = ("svg", "ansi")

_STREAMS = 2  # of a seed: index 0 is the chance of the game, index 1 the choices of the other players
_INT32 = np.iinfo(np.int32)


class Policy(Protocol):
    """Chooses a legal action in each of B states; the policies of `actor.policies` are of this kind."""

    def __call__(self, states: EngineState[Any], key: Array) -> Array:
        """i32[B]; `key` is uint32[2]."""
        ...


Opponent = Policy | Literal["random"]


@dataclasses.dataclass(frozen=True)
class Seat(Generic[State]):
    """Who sits where: all that a compiled step must know.

    Args:
      game: the rules.
      opponent: how all other players choose; "random" takes every legal action alike. The policy is asked about one
        row at a time (under `vmap`), so what it says of one does not depend on the others.
      number: the seat whose moves come from outside, 0..P-1.

    Raises:
      ValueError: a seat the game does not have, or an opponent that is no policy.
    """

    game: Game[State]
    opponent: Opponent = "random"
    number: int = 0

    def __post_init__(self) -> None:
        spec = self.game.spec
        if not 0 <= self.number < spec.num_players:
            raise ValueError(f"seat is {self.number}, expected 0 to {spec.num_players - 1} in {spec.env_id}")
        if self.opponent != "random" and not callable(self.opponent):
            raise ValueError(f"opponent is {self.opponent!r}, expected 'random' or a function (states, key) -> actions")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Outcome:
    """What moves have brought the seat."""

    reward: Array  # f32[B]
    terminated: Array  # bool[B]
    truncated: Array  # bool[B]

    @property
    def ended(self) -> Array:
        """bool[B]."""
        return self.terminated | self.truncated


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SeatState(Generic[State]):
    """B games between two moves of the seat."""

    games: EngineState[State]  # [B]
    key: Key  # (u32[B], u32[B]), the stream of the other players
    drawn: Array  # u32[B], moves drawn from it
    untold: Outcome  # of moves before the seat's first, which its next step reports


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SeatStep:
    """What the seat sees."""

    observation: Array  # f32[B, N], flat: see `VectorEnv`
    legal_actions: Array  # i8[B, A], none after the end
    outcome: Outcome  # of the step just made
    final_observation: Array | None = None  # f32[B, N], in same_step mode, zero where nothing ended


def begin(seat: Seat[State], seeds: np.ndarray) -> SeatState[State]:
    """Fresh games; row i follows from its seed (u32[B, 2], see `seed_words`) alone."""
    return _begun(seat, *_streams(seeds))


@functools.partial(jax.jit, static_argnums=0)
def restart(seat: Seat[State], state: SeatState[State], chosen: Array) -> SeatState[State]:
    """The same with the next episode where `chosen` (bool[B])."""
    return _restarted(seat, state, chosen)


@jax.jit
def select(chosen: Array, new: SeatState[State], old: SeatState[State]) -> SeatState[State]:
    """`new` where `chosen` (bool[B])."""
    return batch.select(chosen, new, old)


@functools.partial(jax.jit, static_argnums=0)
def look(seat: Seat[State], state: SeatState[State]) -> SeatStep:
    """What the seat sees with nothing played."""
    return _seen(seat, state, _nothing(state.drawn.shape[0]))


@functools.partial(jax.jit, static_argnums=(0, 1))
def step(
    seat: Seat[State], autoreset: Autoreset, state: SeatState[State], actions: Array
) -> tuple[SeatState[State], SeatStep]:
    """Plays the seat's `actions` (i32[B]), and then the others, up to its next move; `batch.step` has the modes."""
    told = state.games.over & ~state.untold.ended  # the seat knows that this game is over
    nothing = _nothing(actions.shape[0])
    moved = jax.vmap(functools.partial(transition, seat.game))(state.games, actions)
    state = dataclasses.replace(state, games=moved.state, untold=_plus(state.untold, _outcome(seat, moved)))
    if autoreset == "next_step":
        state = dataclasses.replace(state, games=batch.restart_where(seat.game, told, state.games))
        state = _others_move(seat, state, _most_replies(seat))
        outcome, untold = batch.select(told, (nothing, state.untold), (state.untold, nothing))
        state = dataclasses.replace(state, untold=untold)
        return state, _seen(seat, state, outcome)
    state = _others_move(seat, state, _most_replies(seat))
    outcome, state = state.untold, dataclasses.replace(state, untold=nothing)
    if autoreset == "disabled":
        return state, _seen(seat, state, outcome)
    last = _observe(seat, state)
    state = _restarted(seat, state, outcome.ended)
    final = jnp.where(outcome.ended[:, None], last, jnp.zeros_like(last))
    return state, dataclasses.replace(_seen(seat, state, outcome), final_observation=final)


def seed_words(seeds: Sequence[int]) -> np.ndarray:
    """u32[B, 2], the words of one seed a row.

    Raises:
      ValueError: a seed that is not in 0..2^64 - 1.
    """
    wrong = [seed for seed in (min(seeds), max(seeds)) if not 0 <= seed < 1 << 64]
    if wrong:
        raise ValueError(f"seed is {wrong[0]}, expected 0 to 2**64 - 1")
    wide = np.array(seeds, np.uint64)
    return np.stack([wide >> np.uint64(32), wide & np.uint64(0xFFFFFFFF)], axis=1).astype(np.uint32)


def as_actions(actions: Any, num_envs: int) -> np.ndarray:
    """i32[B]; a number beyond 32 bits stays illegal and does not wrap round to a legal one.

    Raises:
      ValueError: actions of another shape, or that are no integers.
    """
    array = np.asarray(actions)
    if array.shape != (num_envs,) or array.dtype.kind not in "iu":
        raise ValueError(f"actions are {array.dtype} of shape {array.shape}, expected integers of shape ({num_envs},)")
    return np.clip(array, _INT32.min if array.dtype.kind == "i" else 0, _INT32.max).astype(np.int32)


def picture(game: Game[State], games: EngineState[State], row: int, mode: str) -> str:
    """Game `row` of a batch as "svg" or as "ansi", plain text."""
    state = jax.tree.map(lambda leaf: leaf[row], games.game)
    return game.draw(state) if mode == "svg" else game.text(state)


def require_render_mode(mode: str | None) -> None:
    """Raises `ValueError` unless `picture` knows it."""
    if mode is not None and mode not in RENDER_MODES:
        raise ValueError(f"render_mode is {mode!r}, expected None or one of {', '.join(RENDER_MODES)}")


@jax.jit
def _streams(seeds: Array) -> tuple[Key, Key]:
    """The keys u32[B] of chance and of the other players; compiled apart, once for all games."""
    first, second = jax.vmap(lambda seed: keys.root_keys(seed, _STREAMS))(seeds)  # u32[B, 2] each
    return (first[:, 0], second[:, 0]), (first[:, 1], second[:, 1])


@functools.partial(jax.jit, static_argnums=0)
def _begun(seat: Seat[State], chance: Key, choices: Key) -> SeatState[State]:
    games = jax.vmap(functools.partial(start, seat.game))(chance)
    drawn = jnp.zeros_like(choices[0])
    return _open(seat, SeatState(games, choices, drawn, _nothing(drawn.shape[0])))


def _restarted(seat: Seat[State], state: SeatState[State], chosen: Array) -> SeatState[State]:
    games = batch.restart_where(seat.game, chosen, state.games)
    untold = batch.select(chosen, _nothing(chosen.shape[0]), state.untold)
    return _open(seat, dataclasses.replace(state, games=games, untold=untold))


def _open(seat: Seat[State], state: SeatState[State]) -> SeatState[State]:
    """Lets the others move in fresh games; in those that wait for the seat nothing happens."""
    most = _most_replies(seat)
    if most and not seat.game.spec.stochastic:  # a constant start: who begins is known
        with jax.ensure_compile_time_eval():
            first = int(seat.game.player(seat.game.init(keys.zero_key())))
        most = (seat.number - first) % seat.game.spec.num_players
    return _others_move(seat, state, most)


def _most_replies(seat: Seat[State]) -> int | None:
    """How many moves the others make at most between two of the seat; None where the rules set no number."""
    spec = seat.game.spec
    return spec.num_players - 1 if spec.alternating or spec.num_players == 1 else None


def _others_move(seat: Seat[State], state: SeatState[State], most: int | None) -> SeatState[State]:
    """All games until it is the seat's turn or they are over."""
    if most is None:
        return jax.lax.while_loop(lambda now: _waiting(seat, now).any(), functools.partial(_one_move, seat), state)
    for _ in range(most):
        # A seam: without it XLA computes the move before anew for each word of the reply.
        state = _one_move(seat, jax.lax.optimization_barrier(state))
    return state


def _one_move(seat: Seat[State], state: SeatState[State]) -> SeatState[State]:
    """One move in all games that wait for another player."""
    waiting = _waiting(seat, state)
    actions = _choose(seat, state.games, keys.draw(state.key, state.drawn))
    moved = jax.vmap(functools.partial(transition, seat.game))(state.games, actions)
    brought = batch.select(waiting, _outcome(seat, moved), _nothing(actions.shape[0]))
    return SeatState(
        games=batch.select(waiting, moved.state, state.games),
        key=state.key,
        drawn=state.drawn + waiting.astype(jnp.uint32),
        untold=_plus(state.untold, brought),
    )


def _waiting(seat: Seat[State], state: SeatState[State]) -> Array:
    """bool[B], another player is to move."""
    mover = jax.vmap(lambda one: seat.game.player(one.game))(state.games)
    return (mover != seat.number) & ~state.games.over


def _choose(seat: Seat[State], games: EngineState[State], words: Key) -> Array:
    """i32[B], the others' actions, drawn by two fresh words a row."""
    policy = seat.opponent
    if policy == "random":
        return jax.vmap(lambda one, word: bits.random_member(legal_words(seat.game, one), word))(games, words[0])

    def ask(one: EngineState[State], key: Array) -> Array:
        return policy(jax.tree.map(lambda leaf: leaf[None], one), key)[0]

    return jax.vmap(ask)(games, jnp.stack(words, axis=1)).astype(jnp.int32)


def _outcome(seat: Seat[State], moved: Transition[State]) -> Outcome:
    return Outcome(moved.reward[:, seat.number], moved.terminated, moved.truncated)


def _nothing(num_envs: int) -> Outcome:
    no = jnp.zeros((num_envs,), bool)
    return Outcome(jnp.zeros((num_envs,)), no, no)


def _plus(first: Outcome, second: Outcome) -> Outcome:
    return Outcome(
        first.reward + second.reward, first.terminated | second.terminated, first.truncated | second.truncated
    )


def _observe(seat: Seat[State], state: SeatState[State]) -> Array:
    """f32[B, N]."""
    seen = jax.vmap(lambda one: seat.game.observe(one, jnp.int32(seat.number)))(state.games.game)
    return seen.reshape(seen.shape[0], -1)


def _seen(seat: Seat[State], state: SeatState[State], outcome: Outcome) -> SeatStep:
    legal = jax.vmap(functools.partial(legal_actions, seat.game))(state.games) & ~state.games.over[:, None]
    return SeatStep(_observe(seat, state), legal.astype(jnp.int8), outcome)
