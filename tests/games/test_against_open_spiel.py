"""Random games step by step beside OpenSpiel: whose turn, which moves, what reward, when it ends."""

from typing import Any

import cartridge
import numpy as np
import pyspiel
import pytest

OPEN_SPIEL_NAMES = {
    "breakthrough": "breakthrough",
    "connect4": "connect_four",
    "gomoku": "gomoku",
    "hex": "hex",
    "othello": "othello",
    "tictactoe": "tic_tac_toe",
}


class Numbers:
    """Our numbers of OpenSpiel's actions: the same, but in breakthrough, where its first player comes from above."""

    def __init__(self, env_id: str) -> None:
        self._game = cartridge.make_game(env_id) if env_id == "breakthrough" else None
        self._known: dict[int, int] = {}

    def ours(self, theirs: Any, action: int) -> int:
        if self._game is None:
            return action
        if action not in self._known:
            label = theirs.action_to_string(theirs.current_player(), action).rstrip("*")  # of a capture
            turned = "".join(str(9 - int(letter)) if letter.isdigit() else letter for letter in label)
            self._known[action] = self._game.parse_action(turned)
        return self._known[action]


@pytest.mark.parametrize("num_envs", [32, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("env_id", OPEN_SPIEL_NAMES)
def test_every_move_of_random_games_agrees(env_id: str, num_envs: int) -> None:
    env = cartridge.make(env_id, num_envs, output="numpy", autoreset="disabled")
    theirs: list[Any] = [pyspiel.load_game(OPEN_SPIEL_NAMES[env_id]).new_initial_state() for _ in range(num_envs)]
    random, numbers = np.random.default_rng(0), Numbers(env_id)
    seen = env.reset()
    over = np.zeros(num_envs, bool)
    results = set()
    while not over.all():
        live = np.flatnonzero(~over)
        actions = np.zeros(num_envs, np.int32)
        for row in live:
            legal = theirs[row].legal_actions()
            allowed = [numbers.ours(theirs[row], action) for action in legal]
            assert np.flatnonzero(seen.legal_actions[row]).tolist() == sorted(allowed)
            assert seen.player[row] == theirs[row].current_player()
            chosen = random.integers(len(legal))
            actions[row] = allowed[chosen]
            theirs[row].apply_action(legal[chosen])
        seen = env.step(actions)
        for row in live:
            assert bool(seen.terminated[row]) == theirs[row].is_terminal()
            assert seen.reward[row].tolist() == theirs[row].rewards()
            results.add(tuple(theirs[row].returns()) if theirs[row].is_terminal() else None)
        assert not (seen.truncated | seen.illegal).any()
        over |= seen.terminated
    assert {(1.0, -1.0), (-1.0, 1.0), None} <= results  # both sides have won
