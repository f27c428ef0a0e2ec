"""Random games step by step beside OpenSpiel: whose turn, which moves, what reward, when it ends."""

from typing import Any

import cartridge
import numpy as np
import pyspiel
import pytest

OPEN_SPIEL_NAMES = {  # actions are numbered alike
    "connect4": "connect_four",
    "gomoku": "gomoku",
    "hex": "hex",
    "othello": "othello",
    "tictactoe": "tic_tac_toe",
}


@pytest.mark.parametrize("num_envs", [32, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("env_id", OPEN_SPIEL_NAMES)
def test_every_move_of_random_games_agrees(env_id: str, num_envs: int) -> None:
    env = cartridge.make(env_id, num_envs, output="numpy", autoreset="disabled")
    theirs: list[Any] = [pyspiel.load_game(OPEN_SPIEL_NAMES[env_id]).new_initial_state() for _ in range(num_envs)]
    random = np.random.default_rng(0)
    seen = env.reset()
    over = np.zeros(num_envs, bool)
    results = set()
    while not over.all():
        live = np.flatnonzero(~over)
        actions = np.zeros(num_envs, np.int32)
        for row in live:
            assert np.flatnonzero(seen.legal_actions[row]).tolist() == theirs[row].legal_actions()
            assert seen.player[row] == theirs[row].current_player()
            actions[row] = random.choice(theirs[row].legal_actions())
            theirs[row].apply_action(int(actions[row]))
        seen = env.step(actions)
        for row in live:
            assert bool(seen.terminated[row]) == theirs[row].is_terminal()
            assert seen.reward[row].tolist() == theirs[row].rewards()
            results.add(tuple(theirs[row].returns()) if theirs[row].is_terminal() else None)
        assert not (seen.truncated | seen.illegal).any()
        over |= seen.terminated
    assert {(1.0, -1.0), (-1.0, 1.0), None} <= results  # both sides have won
