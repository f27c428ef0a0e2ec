"""Every move played becomes one sample, and its target is what the game came to, across the seams of unrolls."""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.actor.selfplay import (
    Moves,
    Samples,
    SelfPlayState,
    SelfPlayStats,
    begin,
    returns,
    unroll,
)
from cartridge.actor.settings import SearchConfig, SelfPlayConfig
from cartridge.engine.game import Game
from cartridge.engine.transition import EngineState, Transition, transition
from cartridge.games.tictactoe import TicTacToe
from jax import Array

KEY = jax.random.PRNGKey(5)
CONFIG = SelfPlayConfig(num_games=6, unroll_length=5, opening_fraction=0.5, opening_plies=3, trace_decay=1.0)
NUM_UNROLLS = 6


@dataclasses.dataclass(frozen=True)
class Played:
    """Some consecutive unrolls: what was played and what was emitted, time first."""

    first: EngineState[Any]  # [B], where the games began
    moves: Moves[Any]  # [NUM_UNROLLS * T, B]
    samples: Samples[Any]  # [(NUM_UNROLLS - 1) * T, B], the last unroll's are still waiting
    stats: SelfPlayStats  # [NUM_UNROLLS]
    carry: SelfPlayState[Any]
    traces: int


Step = Callable[[SelfPlayState[Any]], tuple[SelfPlayState[Any], Samples[Any], SelfPlayStats]]


@cache
def jitted(game: Game[Any]) -> tuple[Step, list[None]]:
    """(one compiled unroll under a careless evaluator, a list that grows with every trace of it)."""
    traces: list[None] = []

    def evaluate(states: EngineState[Any], key: Array) -> tuple[Array, Array]:
        num_states = states.meta.shape[0]
        return jax.random.normal(key, (num_states, game.spec.num_actions)), jnp.full((num_states,), 0.1)

    def step(carry: SelfPlayState[Any]) -> tuple[SelfPlayState[Any], Samples[Any], SelfPlayStats]:
        traces.append(None)
        return unroll(game, evaluate, carry, CONFIG, SearchConfig(num_simulations=3, lookahead=0))

    return jax.jit(step), traces


def play(game: Game[Any], key: Array) -> Played:
    step, traces = jitted(game)
    carry = jax.jit(lambda: begin(game, key, CONFIG))()
    first = carry.games
    moves, samples, stats = [], [], []
    for index in range(NUM_UNROLLS):
        carry, emitted, counted = step(carry)
        moves.append(carry.waiting)
        stats.append(counted)
        if index:  # the first call emits the empty window of `begin`
            samples.append(emitted)
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *moves)
    rows = jax.tree.map(lambda *leaves: np.concatenate(leaves), *samples)
    shaped = jax.tree.map(lambda leaf: leaf.reshape(-1, CONFIG.num_games, *leaf.shape[1:]), rows)
    return Played(first, joined, shaped, jax.tree.map(lambda *leaves: np.stack(leaves), *stats), carry, len(traces))


@pytest.fixture(scope="module", params=["tictactoe", "race"])
def game(request: pytest.FixtureRequest, race: Game[Any]) -> Game[Any]:
    return race if request.param == "race" else TicTacToe()


@pytest.fixture(scope="module")
def played(game: Game[Any]) -> Played:
    return play(game, KEY)


def test_every_move_is_emitted_once_in_order(played: Played) -> None:
    for emitted, made in zip(jax.tree.leaves(played.samples.state), jax.tree.leaves(played.moves.state), strict=True):
        np.testing.assert_array_equal(emitted, made[: len(emitted)])
    np.testing.assert_array_equal(played.samples.policy, played.moves.policy[: len(played.samples.policy)])


def test_moves_follow_one_another(game: Game[Any], played: Played) -> None:
    """Each state is the last one's child, or a short opening where a game ended; the first is `begin`'s."""
    words = [np.asarray(leaf) for leaf in jax.tree.leaves(played.moves.state)]  # each [T, B]
    np.testing.assert_array_equal(np.stack([leaf[0] for leaf in words]), np.stack(jax.tree.leaves(played.first)))
    actions = jnp.arange(game.spec.num_actions)

    def children_of(state: EngineState[Any]) -> Transition[Any]:
        return jax.vmap(lambda action: transition(game, state, action))(actions)

    children = jax.jit(jax.vmap(jax.vmap(children_of)))(played.moves.state)  # [T, B, A]
    following = [np.asarray(leaf) for leaf in jax.tree.leaves(children.state)]  # each [T, B, A]
    is_child = np.all([new[1:, :, None] == old[:-1] for new, old in zip(words, following, strict=True)], axis=0)
    finished = np.asarray(played.moves.finished)[:-1]
    assert finished.any()
    assert np.all(np.any(is_child, axis=2) | finished)
    assert not np.any(played.moves.state.over)
    counts = np.asarray(played.moves.state.step_count)
    assert np.all(counts[1:][finished] <= CONFIG.opening_plies)
    # The reward of a finishing move is one that some child of its state really gives.
    mover = np.asarray(jax.vmap(jax.vmap(lambda state: game.player(state.game)))(played.moves.state))
    rewards = np.take_along_axis(np.asarray(children.reward), mover[:, :, None, None], axis=3)[..., 0]
    ends = np.asarray(children.state.over) & ~np.asarray(children.illegal)
    found = np.any(ends & (rewards == played.moves.reward[:, :, None]), axis=2)
    assert np.all(found | ~played.moves.finished)


def test_full_returns_are_outcomes_across_the_seam(game: Game[Any], played: Played) -> None:
    """With λ = 1 a game's target is its outcome as the mover sees it, if it ended by the next unroll's end."""
    length = CONFIG.unroll_length
    mover = np.asarray(jax.vmap(jax.vmap(lambda state: game.player(state.game)))(played.moves.state))
    checked = crossed = 0
    for column in range(CONFIG.num_games):
        end = None
        for row in reversed(range(len(mover))):
            if played.moves.finished[row, column]:
                end = row
            if end is None or row >= len(played.samples.value) or end // length > row // length + 1:
                continue
            outcome = played.moves.outcome[end, column]
            want = outcome if mover[row, column] == 0 else -outcome
            assert played.samples.value[row, column] == want
            checked += 1
            crossed += end // length > row // length
    assert checked > 40
    assert crossed > 10


def test_stats_count_what_was_played(played: Played) -> None:
    moves, stats = played.moves, played.stats
    assert stats.episodes.sum() == moves.finished.sum()
    assert stats.first_wins.sum() == np.sum(moves.finished & (moves.outcome == 1))
    assert stats.second_wins.sum() == np.sum(moves.finished & (moves.outcome == -1))
    lengths = np.asarray(moves.state.step_count) + 1  # openings included
    assert stats.episode_moves.sum() == lengths[moves.finished].sum()
    safe = np.where(moves.policy > 0, moves.policy, 1.0)
    entropy = -np.sum(safe * np.log(safe), axis=-1).reshape(NUM_UNROLLS, -1).mean(axis=1)
    np.testing.assert_allclose(stats.policy_entropy, entropy, atol=1e-5)
    assert np.all((stats.distinct_openings > 0) & (stats.distinct_openings <= 1))


def test_states_stay_packed(game: Game[Any], played: Played) -> None:
    leaves = jax.tree.leaves(played.samples.state)
    assert all(leaf.dtype == np.uint32 for leaf in leaves)
    rows = played.samples.value.size
    assert sum(leaf.nbytes for leaf in leaves) == rows * game.spec.state_bytes


def test_same_key_same_games_and_one_trace(game: Game[Any], played: Played) -> None:
    again = play(game, KEY)
    jax.tree.map(np.testing.assert_array_equal, again.samples, played.samples)
    jax.tree.map(np.testing.assert_array_equal, again.carry, played.carry)
    assert again.traces == played.traces == 1


def _moves(value: list[float], reward: list[float], discount: list[float]) -> Moves[None]:
    """One game's moves as [T, 1] columns."""
    column = {name: jnp.array(of)[:, None] for name, of in (("v", value), ("r", reward), ("d", discount))}
    nothing = jnp.zeros_like(column["v"])
    nowhere = EngineState(None, nothing)  # returns do not look at the board
    return Moves(nowhere, nothing[..., None], column["v"], column["r"], column["d"], nothing > 0, nothing)


# A moves, B moves twice, A moves and wins.
REPEATED = _moves([0.1, 0.2, -0.4, 0.6], [0, 0, 0, 1], [-1, 1, -1, 0])
# Turns alternate and the window ends in the middle of the game.
UNFINISHED = _moves([0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0], [-1, -1, -1, -1])
# A wins with the second move here, a draw ends the third, a new game begins.
ENDS_INSIDE = _moves([0.5, 0.25, 0.7, -0.4], [0, 1, 0, 0], [-1, 0, 0, -1])
# One player collects 0.5 on the way.
COLLECTED = _moves([0.8, 0.4, 0.2], [0, 0.5, 0.25], [1, 1, 0])


@pytest.mark.parametrize(
    ("moves", "trace_decay", "want"),
    [
        (REPEATED, 1.0, [1, -1, -1, 1]),
        (REPEATED, 0.5, [0.2, -0.6, -0.8, 1]),
        (REPEATED, 0.0, [-0.2, -0.4, -0.6, 1]),
        (UNFINISHED, 1.0, [-0.4, 0.4, -0.4, 0.4]),
        (UNFINISHED, 0.5, [-0.125, 0.05, -0.4, 0.4]),
        (UNFINISHED, 0.0, [-0.2, -0.3, -0.4, 0.4]),
        (ENDS_INSIDE, 1.0, [-1, 1, 0, -0.4]),
        (ENDS_INSIDE, 0.5, [-0.625, 1, 0, -0.4]),
        (ENDS_INSIDE, 0.0, [-0.25, 1, 0, -0.4]),
        (COLLECTED, 1.0, [0.75, 0.75, 0.25]),
        (COLLECTED, 0.5, [0.5 * 0.4 + 0.5 * 0.725, 0.725, 0.25]),
        (COLLECTED, 0.0, [0.4, 0.7, 0.25]),
    ],
)
def test_returns_by_hand(moves: Moves[None], trace_decay: float, want: list[float]) -> None:
    np.testing.assert_allclose(returns(moves, trace_decay)[:, 0], want, atol=1e-6)
