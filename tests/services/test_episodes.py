"""A run's games/ can be replayed: by our rules from the record, and by another engine from the moves alone."""

import json
from typing import Any

import numpy as np
import pyspiel
import pytest
from cartridge.engine.spec import SpecError
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe
from cartridge.services.episodes import SelfGame, replay
from cartridge.services.evaluation import Agent, evaluation_search


@pytest.fixture(scope="module")
def record(small_run) -> dict[str, Any]:
    """A game of the newest weights, as it reads from a file."""
    agent = Agent.load(small_run)
    episode = SelfGame(agent.game, agent.network, evaluation_search(agent.config.search, 8)).play(agent.params)
    return json.loads(json.dumps(episode.to_json(agent.game, 3)))


def test_a_record_replays_to_the_same_end(record) -> None:
    states = replay(TicTacToe(), record)
    assert [bool(state.over) for state in states] == [False] * (len(states) - 1) + [True]
    assert len(record["values"]) == len(record["moves"]) == len(record["actions"]) == len(states) - 1
    assert np.abs(record["values"]).max() <= 1

    oracle = pyspiel.load_game("tic_tac_toe").new_initial_state()
    for action in record["actions"]:
        oracle.apply_action(action)
    assert oracle.is_terminal()
    assert oracle.returns() == record["rewards"]


def test_other_rules_and_impossible_moves_are_refused(record) -> None:
    with pytest.raises(SpecError, match=r"an episode of tictactoe .* expected 1\."):
        replay(Connect4(), {**record, "game_build": "tictactoe"})
    twice = [record["actions"][0], *record["actions"]]
    with pytest.raises(SpecError, match="move 2 of the episode"):
        replay(TicTacToe(), {**record, "actions": twice})
    with pytest.raises(SpecError, match=f"move {len(record['actions']) + 1} of the episode"):
        replay(TicTacToe(), {**record, "actions": [*record["actions"], 0]})
