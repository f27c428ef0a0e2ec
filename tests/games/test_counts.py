"""How many positions and games there are: published counts, against a breadth-first walk of the rules.

Tic-tac-toe: 5,478 reachable positions, 958 of them final, and 255,168 games (Henry Bottomley, 2001; also MathWorld).
Connect Four: positions after n moves, OEIS A212693 (John Tromp).
Othello: lines of n moves, a pass being one (Aart Bik, "Perft for Reversi", 2009).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine.keys import zero_key
from cartridge.engine.transition import EngineState, legal_actions, start, transition
from cartridge.games.connect4 import Connect4
from cartridge.games.othello import Othello
from cartridge.games.tictactoe import TicTacToe

CHUNK = 2048  # states expanded at once, padded, so that one compiled function serves every ply


def plies(game: Any, num_plies: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each ply: (over bool[N], number of games that lead there i64[N]) of its N distinct positions."""
    num_actions = game.spec.num_actions
    first = start(game, jnp.zeros((2,), jnp.uint32))
    structure = jax.tree.structure(first)

    @jax.jit
    def children(words: Any) -> tuple[list[Any], Any]:
        """(words [W][CHUNK, A], legal bool[CHUNK, A]) from words [W][CHUNK]."""

        def one(state: Any) -> tuple[Any, Any]:
            states = jax.vmap(lambda action: transition(game, state, action).state)(jnp.arange(num_actions))
            return states, legal_actions(game, state)

        states, legal = jax.vmap(one)(jax.tree.unflatten(structure, words))
        return jax.tree.leaves(states), legal

    positions = np.array(jax.tree.leaves(first), np.uint32)[None]  # u32[N, W]
    games = np.ones(1, np.int64)
    found = []
    for _ in range(num_plies + 1):
        over = (positions[:, -1] >> 31).astype(bool)
        found.append((over, games))
        live, paths = positions[~over], games[~over]
        if not len(live):
            break
        reached, lines = [], []
        for begin in range(0, len(live), CHUNK):
            chunk = live[begin : begin + CHUNK]
            padded = np.pad(chunk, ((0, CHUNK - len(chunk)), (0, 0)))
            words, legal = children(list(padded.T))
            mask = np.asarray(legal)[: len(chunk)]
            reached.append(np.stack([np.asarray(word)[: len(chunk)][mask] for word in words], axis=1))
            lines.append(np.broadcast_to(paths[begin : begin + CHUNK, None], mask.shape)[mask])
        positions, owner = np.unique(np.concatenate(reached), axis=0, return_inverse=True)
        games = np.bincount(owner.reshape(-1), weights=np.concatenate(lines)).astype(np.int64)
    return found


def test_tictactoe_has_as_many_positions_and_games_as_published() -> None:
    found = plies(TicTacToe(), 9)
    assert sum(len(over) for over, _ in found) == 5_478
    assert sum(int(over.sum()) for over, _ in found) == 958
    assert sum(int((~over).sum()) for over, _ in found) == 4_520
    assert sum(int(games[over].sum()) for over, games in found) == 255_168
    # Games by their length, as published: the first win takes five moves.
    assert [int(games[over].sum()) for over, games in found] == [0, 0, 0, 0, 0, 1440, 5328, 47952, 72576, 127872]


def test_connect4_has_as_many_positions_as_published() -> None:
    found = plies(Connect4(), 7)
    assert [len(over) for over, _ in found] == [1, 7, 49, 238, 1120, 4263, 16422, 54859]
    assert not any(over.any() for over, _ in found[:7])  # the first four in a row takes seven moves
    assert found[7][0].any()


@pytest.mark.parametrize("num_plies", [6, pytest.param(9, marks=pytest.mark.long)])
def test_othello_has_as_many_lines_as_published(num_plies: int) -> None:
    found = plies(Othello(), num_plies)
    published = [1, 4, 12, 56, 244, 1_396, 8_200, 55_092, 390_216, 3_005_288]  # the first passes are at ply 9
    assert [int(games.sum()) for _, games in found] == published[: num_plies + 1]


def test_the_meta_word_is_the_last_leaf() -> None:
    """What `plies` takes for granted."""
    state = EngineState(game=TicTacToe().init(zero_key()), meta=jnp.uint32(7))
    assert int(jax.tree.leaves(state)[-1]) == 7
