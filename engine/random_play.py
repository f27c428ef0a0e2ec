"""What random play of a game meets: the states, moves and ends on which the laws of the contract are tried."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Generic

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from . import batch, bits
from .game import Game, State
from .transition import EngineState, Transition, legal_words, transition

ENDING = "ending"  # the law that `play` itself holds a game to


class ConformanceError(AssertionError):
    """A game breaks a law of the contract, if only by raising an error; `law` is its name."""

    def __init__(self, env_id: str, law: str, message: str) -> None:
        super().__init__(f"{env_id} breaks the law of {law}: {message}")
        self.law = law


@dataclasses.dataclass(frozen=True)
class Sample(Generic[State]):
    """What random play met: N live states with the move made in each, and the B states in which games ended."""

    game: Game[State]
    num_games: int  # B
    seed: int
    live: EngineState[State]  # [N, ...], in the order of the moves that led there
    actions: Array  # i32[N], legal
    moved: Transition[State]  # [N, ...], what the move made of the state
    final: EngineState[State]  # [B, ...]
    total_reward: np.ndarray  # f32[B, P], over the whole game
    num_moves: np.ndarray  # i32[B]
    truncated: np.ndarray  # bool[B]

    def spread(self, count: int) -> list[int]:
        """`count` rows of live states, from the first moves of games to the last; all where there are no more."""
        return sorted(set(np.linspace(0, len(self.actions) - 1, count).astype(int).tolist()))

    def require(self, holds: Any, law: str, message: str) -> None:
        """Raises `ConformanceError` unless `holds`."""
        if not holds:
            raise ConformanceError(self.game.spec.env_id, law, message)

    def require_rows(self, holds: Any, law: str, message: str) -> None:
        """Raises, naming the first state, unless `holds` (bool[N, ...]) is True throughout."""
        rows = np.flatnonzero(~np.asarray(holds).reshape(len(self.actions), -1).all(axis=1))
        if rows.size:
            row = int(rows[0])
            board = self.game.text(row_of(self.live.game, row))
            where = f"in {rows.size} of {len(self.actions)} states, first before action {int(self.actions[row])} in"
            raise ConformanceError(self.game.spec.env_id, law, f"{message}; {where}\n{board}")


def play(game: Game[State], num_games: int, seed: int, num_states: int, max_moves: int) -> Sample[State]:
    """Random games to their end, which must come, and `num_states` of the live states met, drawn at random."""
    states = jax.jit(lambda: batch.init(game, seed, num_games)[0])()
    key = jax.random.PRNGKey(seed)
    rows: list[tuple[EngineState[State], Array, Transition[State]]] = []
    live: list[np.ndarray] = []  # bool[B] for each move
    while not np.asarray(states.over).all():
        if len(rows) == (game.spec.max_steps or max_moves):
            going = np.flatnonzero(~np.asarray(states.over))
            board = game.text(row_of(states.game, int(going[0])))
            message = f"{going.size} of {num_games} random games go on after {len(rows)} moves, the first in\n{board}"
            raise ConformanceError(game.spec.env_id, ENDING, message)
        key, drawn = jax.random.split(key)
        actions, moved = _random_move(game, states, drawn)
        rows.append((states, actions, moved))
        live.append(~np.asarray(states.over))
        states = moved.state
    sample = _sample(game, seed, rows, np.stack(live), states, num_states)
    _require_timely_cuts(sample)
    return sample


def _require_timely_cuts(sample: Sample[Any]) -> None:
    """Moves are counted, and a cut comes at `max_steps`, not before or after."""
    limit = sample.game.spec.max_steps
    counted = np.asarray(sample.final.step_count)
    sample.require((counted == sample.num_moves).all(), ENDING, "the step count is not the number of moves")
    if limit:
        cut = sample.num_moves[sample.truncated]
        message = f"games were cut at {sorted(set(cut.tolist()))} moves, expected max_steps = {limit}"
        sample.require((cut == limit).all(), ENDING, message)


def _sample(
    game: Game[State],
    seed: int,
    rows: list[tuple[EngineState[State], Array, Transition[State]]],
    live: np.ndarray,
    final: EngineState[State],
    num_states: int,
) -> Sample[State]:
    """Draws among the live ones of T moves in B games."""
    met = np.flatnonzero(live)  # of T * B
    drawn = np.sort(np.random.default_rng(seed).choice(met, min(num_states, met.size), replace=False))
    whole = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)  # [T, B, ...]
    states, actions, moved = jax.tree.map(lambda leaf: jnp.asarray(leaf.reshape(-1, *leaf.shape[2:])[drawn]), whole)
    reward, truncated = whole[2].reward, whole[2].truncated
    return Sample(
        game, live.shape[1], seed, states, actions, moved, final, reward.sum(0), live.sum(0), truncated.any(axis=0)
    )


@functools.partial(jax.jit, static_argnums=0)
def _random_move(game: Game[State], states: EngineState[State], key: Array) -> tuple[Array, Transition[State]]:
    legal = jax.vmap(functools.partial(legal_words, game))(states)
    actions = jax.vmap(bits.random_member)(legal, jax.random.bits(key, states.meta.shape, jnp.uint32))
    return actions, jax.vmap(functools.partial(transition, game))(states, actions)


@functools.partial(jax.jit, static_argnums=0)
def transitions(game: Game[State], states: EngineState[State], actions: Array) -> Transition[State]:
    return jax.vmap(functools.partial(transition, game))(states, actions)


@functools.lru_cache(maxsize=64)
def vmapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled once for each function: two laws that ask for the same method share it."""
    return jax.jit(jax.vmap(function))


def row_of(tree: Any, row: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[row], tree)


def same(a: Any, b: Any) -> np.ndarray:
    """bool[N], or bool[] for single states: every array of the two pytrees is equal in that row."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    equal = [np.asarray(x) == np.asarray(y) for x, y in pairs]
    return np.all([flags.reshape(*flags.shape[:1], -1).all(axis=-1) for flags in equal], axis=0)
