"""Self-play as one jitted unroll: T moves of B games, from packed states to training samples, nothing thrown away.

An unroll may end in the middle of games. Its samples wait until the next unroll has played on: value targets are
computed over the window of both, so the outcome of a game reaches back across the seam; only what is still
unfinished after a whole further unroll leans on the search's own value.
"""

import dataclasses
from typing import Generic

import jax
import jax.numpy as jnp
from jax import Array

from ..engine.batch import select
from ..engine.game import Game, State
from ..engine.transition import EngineState, start
from .advance import advance
from .evaluators import Evaluator
from .openings import draw_plies, random_openings
from .search import search
from .settings import SearchConfig, SelfPlayConfig

_OPENING_MOVES = 4  # positions this early tell whether self-play still varies its openings


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Moves(Generic[State]):
    """T moves of B games as they were played."""

    state: EngineState[State]  # [T, B]
    policy: Array  # f32[T, B, A]
    value: Array  # f32[T, B], the search's value for the mover
    reward: Array  # f32[T, B], the mover's
    discount: Array  # f32[T, B], 0 at the end of a game, else +1 or -1 by who moves next
    finished: Array  # bool[T, B], the game ended with this move
    outcome: Array  # f32[T, B], the first player's reward where a game ended


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Samples(Generic[State]):
    """What replay stores: N rows."""

    state: EngineState[State]  # [N]
    policy: Array  # f32[N, A]
    value: Array  # f32[N], the return for the player to move


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SelfPlayState(Generic[State]):
    """What one unroll hands to the next."""

    games: EngineState[State]  # [B]
    waiting: Moves[State]  # [T, B], the last unroll's moves, whose targets are not computed yet
    key: Array  # uint32[2]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SelfPlayStats:
    """Sums over one unroll."""

    episodes: Array  # i32[]
    episode_moves: Array  # i32[], moves in those episodes, openings included
    first_wins: Array  # i32[]
    second_wins: Array  # i32[]
    policy_entropy: Array  # f32[], mean over moves, nats
    distinct_openings: Array  # f32[], share of distinct positions among those of at most four moves


def sample_row(game: Game[State]) -> Samples[State]:
    """One row of zeros in the shape replay stores."""
    state = start(game, jnp.zeros((2,), jnp.uint32))
    return Samples(state, policy=jnp.zeros(game.spec.num_actions), value=jnp.zeros(()))


def begin(game: Game[State], key: Array, config: SelfPlayConfig) -> SelfPlayState[State]:
    """The first games and an empty window, whose moves `unroll` must not emit (see its `warm`)."""
    game_key, next_key = jax.random.split(key)
    games = _new_games(game, game_key, config)
    shape = (config.unroll_length, config.num_games)
    zeros = jnp.zeros(shape)
    waiting = Moves(
        state=jax.tree.map(lambda leaf: jnp.zeros((config.unroll_length, *leaf.shape), leaf.dtype), games),
        policy=jnp.zeros((*shape, game.spec.num_actions)),
        value=zeros,
        reward=zeros,
        discount=zeros,
        finished=zeros > 0,
        outcome=zeros,
    )
    return SelfPlayState(games, waiting, next_key)


def unroll(
    game: Game[State],
    evaluate: Evaluator,
    carry: SelfPlayState[State],
    config: SelfPlayConfig,
    search_config: SearchConfig,
) -> tuple[SelfPlayState[State], Samples[State], SelfPlayStats]:
    """Plays T moves of B games; returns the samples of the *previous* unroll, [T * B] rows.

    The samples of the very first call are the empty window of `begin`: the caller drops them.
    """
    key, move_key = jax.random.split(carry.key)
    keys = jax.random.split(move_key, config.unroll_length)

    def move(games: EngineState[State], step_key: Array) -> tuple[EngineState[State], Moves[State]]:
        return _move(game, evaluate, games, step_key, config, search_config)

    games, moves = jax.lax.scan(move, carry.games, keys)
    samples = _emit(carry.waiting, moves, config.trace_decay)
    return SelfPlayState(games, moves, key), samples, _stats(moves)


def returns(moves: Moves[State], trace_decay: float) -> Array:
    """λ-returns f32[T, B] for the mover, Gₜ = rₜ + γₜ((1-λ) vₜ₊₁ + λ Gₜ₊₁); the last value stands for what follows."""

    def back(following: tuple[Array, Array], move: Moves[State]) -> tuple[tuple[Array, Array], Array]:
        next_value, next_return = following
        future = (1 - trace_decay) * next_value + trace_decay * next_return
        # The window's last move has no successor: its own search value stands for the return (see `_emit`).
        target = move.reward + move.discount * future
        return (move.value, target), target

    last = jax.tree.map(lambda leaf: leaf[-1], moves)
    ended = last.discount == 0
    final = jnp.where(ended, last.reward, last.value)
    body = jax.tree.map(lambda leaf: leaf[:-1], moves)
    _, targets = jax.lax.scan(back, (last.value, final), body, reverse=True)
    return jnp.concatenate([targets, final[None]])


def _move(
    game: Game[State],
    evaluate: Evaluator,
    games: EngineState[State],
    key: Array,
    config: SelfPlayConfig,
    search_config: SearchConfig,
) -> tuple[EngineState[State], Moves[State]]:
    """One move in every game; finished games are replaced by new ones."""
    search_key, game_key = jax.random.split(key)
    found = search(game, evaluate, games, search_key, search_config)
    moved, reward, discount = advance(game, games, found.action)
    over = moved.state.over
    record = Moves(
        state=games,
        policy=found.policy,
        value=found.value,
        reward=reward,
        discount=discount,
        finished=over,
        outcome=moved.reward[:, 0],
    )
    # A literal's weak type in a reward or discount would make the next call of a jitted unroll trace again.
    record = jax.tree.map(lambda leaf: leaf.astype(leaf.dtype), record)
    return select(over, _new_games(game, game_key, config), moved.state), record


def _new_games(game: Game[State], key: Array, config: SelfPlayConfig) -> EngineState[State]:
    plies_key, opening_key = jax.random.split(key)
    plies = draw_plies(plies_key, config.num_games, config.opening_fraction, config.opening_plies)
    return random_openings(game, opening_key, plies, config.opening_plies)


def _emit(waiting: Moves[State], moves: Moves[State], trace_decay: float) -> Samples[State]:
    """The older half of the window as rows, [T * B]."""
    window = jax.tree.map(lambda old, new: jnp.concatenate([old, new]), waiting, moves)
    targets = returns(window, trace_decay)[: waiting.value.shape[0]]
    rows = Samples(waiting.state, waiting.policy, targets)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), rows)


def _distinct(states: EngineState[State], chosen: Array) -> Array:
    """f32[]: the share of distinct states among the `chosen` (bool[N]) of N; 1 where none is chosen.

    States are told apart by a 32-bit hash of their words, so the share may read a little low.
    """
    mixed = states.meta * jnp.uint32(0x9E3779B1)
    for leaf in jax.tree.leaves(states.game):
        words = leaf.astype(jnp.uint32).reshape(leaf.shape[0], -1)
        for column in range(words.shape[1]):
            mixed = (mixed ^ words[:, column]) * jnp.uint32(0x85EBCA6B)
            mixed = mixed ^ (mixed >> 15)
    ordered = jnp.sort(jnp.where(chosen, mixed >> 1, jnp.uint32(0xFFFFFFFF)))  # the others gather at the end
    real = ordered != jnp.uint32(0xFFFFFFFF)
    fresh = real & jnp.concatenate([jnp.ones(1, bool), ordered[1:] != ordered[:-1]])
    return jnp.where(jnp.any(real), jnp.sum(fresh) / jnp.maximum(jnp.sum(real), 1), 1.0)


def _stats(moves: Moves[State]) -> SelfPlayStats:
    rows = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), moves.state)
    entropy = -jnp.sum(moves.policy * jnp.log(jnp.maximum(moves.policy, 1e-9)), axis=-1)
    return SelfPlayStats(
        episodes=jnp.sum(moves.finished, dtype=jnp.int32),
        episode_moves=jnp.sum(jnp.where(moves.finished, moves.state.step_count + 1, 0), dtype=jnp.int32),
        first_wins=jnp.sum(moves.finished & (moves.outcome > 0), dtype=jnp.int32),
        second_wins=jnp.sum(moves.finished & (moves.outcome < 0), dtype=jnp.int32),
        policy_entropy=jnp.mean(entropy),
        distinct_openings=_distinct(rows, rows.step_count <= _OPENING_MOVES),
    )
