"""Random games step by step beside OpenSpiel: whose turn, which moves, what reward, when it ends."""

from typing import Any

import cartridge
import numpy as np
import pyspiel
import pytest

OPEN_SPIEL_NAMES = {"connect4": "connect_four", "tictactoe": "tic_tac_toe"}  # actions are numbered alike
NUM_ENVS = 32


@pytest.mark.parametrize("env_id", OPEN_SPIEL_NAMES)
def test_every_move_of_random_games_agrees(env_id: str) -> None:
    env = cartridge.make(env_id, NUM_ENVS, output="numpy", autoreset="disabled")
    theirs: list[Any] = [pyspiel.load_game(OPEN_SPIEL_NAMES[env_id]).new_initial_state() for _ in range(NUM_ENVS)]
    random = np.random.default_rng(0)
    seen = env.reset()
    over = np.zeros(NUM_ENVS, bool)
    results = set()
    while not over.all():
        live = np.flatnonzero(~over)
        actions = np.zeros(NUM_ENVS, np.int32)
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
