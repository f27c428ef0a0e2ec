"""Bounds against plain brute force on OpenSpiel's rules, and what may be left out of a search by them."""

import itertools
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest
from cartridge.actor.lookahead import Bounds, look_ahead, supports, worth_trying
from cartridge.engine.game import Game
from cartridge.engine.transition import EngineState, start, transition
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe

Pair = tuple[float, float]
GAMES: dict[str, tuple[Game[Any], Any]] = {
    "tictactoe": (TicTacToe(), pyspiel.load_game("tic_tac_toe")),
    "connect4": (Connect4(), pyspiel.load_game("connect_four")),
}


def brute_force(oracle: Any, plies: int) -> dict[int, Pair]:
    """Bounds of each legal action from the full tree of `plies` moves, for the player to move."""
    bounds = {}
    for action in oracle.legal_actions():
        child = oracle.child(action)
        if child.is_terminal():
            bounds[action] = (child.returns()[oracle.current_player()],) * 2
        elif plies == 1:
            bounds[action] = (-1.0, 1.0)
        else:
            replies = brute_force(child, plies - 1).values()
            bounds[action] = (-max(upper for _, upper in replies), -max(lower for lower, _ in replies))
    return bounds


@cache
def stepper(name: str) -> Callable[[EngineState[Any], int], EngineState[Any]]:
    return jax.jit(lambda state, action: transition(GAMES[name][0], state, action).state)


@cache
def random_positions(name: str, lengths: tuple[int, ...]) -> tuple[EngineState[Any], list[Any]]:
    """One live position per length after that many random moves: our states [B] and OpenSpiel's."""
    game, oracle_game = GAMES[name]
    step = stepper(name)
    chance = random.Random(0)
    states, oracles = [], []
    for length in lengths:
        while True:
            state, oracle = start(game, jnp.zeros((2,), jnp.uint32)), oracle_game.new_initial_state()
            for _ in range(length):
                if oracle.is_terminal():
                    break
                action = chance.choice(oracle.legal_actions())
                oracle.apply_action(action)
                state = step(state, action)
            if not oracle.is_terminal():
                break
        states.append(state)
        oracles.append(oracle)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states), oracles


@pytest.mark.parametrize("plies", [1, 2, 3])
@pytest.mark.parametrize("name", GAMES)
def test_bounds_equal_brute_force(name: str, plies: int) -> None:
    game, _ = GAMES[name]
    lengths = (0, 3, 4, 5, 5, 6, 6, 7, 7, 8) if name == "tictactoe" else (4, 9, 14, 18, 22, 24, 26, 28, 30, 34, 37, 40)
    states, oracles = random_positions(name, lengths)
    bounds = jax.jit(lambda states: look_ahead(game, states, plies))(states)
    assert bounds.lower.shape == bounds.upper.shape == (game.spec.num_actions, len(lengths))
    for row, oracle in enumerate(oracles):
        proven = brute_force(oracle, plies)
        want = [proven.get(action, (-1.0, -1.0)) for action in range(game.spec.num_actions)]
        got = np.stack([bounds.lower[:, row], bounds.upper[:, row]], axis=1)
        np.testing.assert_array_equal(got, want, err_msg=str(oracle))
        assert float(bounds.floor[row]) == max(lower for lower, _ in proven.values())
        assert float(bounds.ceiling[row]) == max(upper for _, upper in proven.values())
    assert np.any(np.asarray(bounds.lower) > -1), "no position proves anything, so the test shows nothing"


def test_full_depth_is_minimax() -> None:
    """With at most four cells left, four plies see the end of every game."""
    game, _ = GAMES["tictactoe"]
    states, oracles = random_positions("tictactoe", (5,) * 24 + (6,) * 8)
    bounds = jax.jit(lambda states: look_ahead(game, states, 4))(states)
    np.testing.assert_array_equal(bounds.lower, bounds.upper)
    values = [minimax(oracle) for oracle in oracles]
    np.testing.assert_array_equal(bounds.floor, values)
    assert set(values) == {-1.0, 0.0, 1.0}


def minimax(oracle: Any) -> float:
    """The exact value for the player to move."""
    player = oracle.current_player()
    children = [oracle.child(action) for action in oracle.legal_actions()]
    return max(child.returns()[player] if child.is_terminal() else -minimax(child) for child in children)


def test_repeated_turns_keep_the_sign(
    race: Game[Any], race_states: EngineState[Any], race_solution: Callable[[int], list[int | None]]
) -> None:
    """Five plies solve every race of up to five counters exactly, and no race wrongly."""
    bounds = jax.jit(lambda states: look_ahead(race, states, 5))(race_states)
    for row, word in enumerate(np.asarray(race_states.game.word).tolist()):
        for action, value in enumerate(race_solution(word & 255)):
            lower, upper = float(bounds.lower[action, row]), float(bounds.upper[action, row])
            exact = -1.0 if value is None else value
            assert lower <= exact <= upper
            assert lower == upper or word & 255 > 5


def test_worth_trying_keeps_a_best_action() -> None:
    """Every combination of bounds over three actions, and every set of values the bounds allow."""
    proven = [(low, high) for low in (-1, 0, 1) for high in (-1, 0, 1) if low <= high]
    cases = [case for case in itertools.product([None, *proven], repeat=3) if any(case)]
    pairs = np.array([[pair or (-1, -1) for pair in case] for case in cases], np.float32)  # [cases, 3, 2]
    legal = np.array([[pair is not None for pair in case] for case in cases])
    bounds = Bounds(lower=jnp.array(pairs[..., 0].T), upper=jnp.array(pairs[..., 1].T))
    keep = np.asarray(worth_trying(bounds, jnp.array(legal.T))).T
    assert not np.any(keep & ~legal)
    for case, kept in zip(cases, keep.tolist(), strict=True):
        assert any(kept), case
        floor = max(low for pair in case if pair for low in pair[:1])
        assert all(pair is None or not stays or pair[1] >= floor for pair, stays in zip(case, kept, strict=True)), case
        ranges = [range(pair[0], pair[1] + 1) if pair else (-2,) for pair in case]
        for values in itertools.product(*ranges):
            assert max(values) == max(value for value, stays in zip(values, kept, strict=True) if stays), case


def test_supports_only_what_it_proves(race: Game[Any], climb: Game[Any]) -> None:
    assert supports(race.spec)
    assert not supports(climb.spec)
