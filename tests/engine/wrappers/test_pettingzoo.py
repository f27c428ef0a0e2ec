"""PettingZoo's own tests pass, and a game goes as OpenSpiel's does."""

from typing import Any

import cartridge
import numpy as np
import pyspiel
import pytest
from cartridge.engine.wrappers.pettingzoo_aec import PettingZooEnv
from pettingzoo.test import api_test, seed_test

GAMES: dict[str, Any] = {name: cartridge.make_game(name) for name in ("tictactoe", "kuhn_poker", "2048")}


# PettingZoo warns of every dictionary with an action mask outside its own list of games, and of an empty board.
@pytest.mark.filterwarnings("ignore:Observation is not a NumPy array:UserWarning")
@pytest.mark.filterwarnings("ignore:Observation space for each agent probably should be:UserWarning")
@pytest.mark.filterwarnings("ignore:Observation numpy array is all zeros:UserWarning")
@pytest.mark.parametrize("name", GAMES)
def test_pettingzoo_finds_no_fault(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    api_test(PettingZooEnv(GAMES[name], "svg"), num_cycles=50)
    seed_test(lambda: PettingZooEnv(GAMES[name]), num_cycles=20)
    assert "Passed API test" in capsys.readouterr().out


def test_random_games_go_as_in_openspiel() -> None:
    env = PettingZooEnv(GAMES["tictactoe"])
    random = np.random.default_rng(0)
    for _ in range(20):
        env.reset()
        theirs: Any = pyspiel.load_game("tic_tac_toe").new_initial_state()
        seen, total = [], dict.fromkeys(env.agents, 0.0)
        for agent in env.agent_iter():
            observation, reward, terminated, truncated, _ = env.last()
            total[agent] += reward
            if terminated or truncated:
                seen.append(agent)
                assert observation is not None
                assert not observation["action_mask"].any()
                env.step(None)
                continue
            assert agent == f"player_{theirs.current_player()}"
            assert observation is not None
            assert np.flatnonzero(observation["action_mask"]).tolist() == theirs.legal_actions()
            other = next(name for name in env.agents if name != agent)
            assert not env.observe(other)["action_mask"].any()
            action = int(random.choice(theirs.legal_actions()))
            theirs.apply_action(action)
            env.step(action)
        assert sorted(seen) == ["player_0", "player_1"]
        assert list(total.values()) == theirs.returns()


def test_an_illegal_action_loses() -> None:
    env = PettingZooEnv(GAMES["tictactoe"], "ansi")
    with pytest.raises(RuntimeError, match="no agent is left: call reset"):
        env.step(0)
    env.reset(seed=0)
    assert env.render() == GAMES["tictactoe"].text(GAMES["tictactoe"].init((0, 0)))
    env.step(4)
    env.step(4)
    assert env.rewards == {"player_0": 1.0, "player_1": -1.0}
    assert all(env.terminations.values())
    assert not any(env.truncations.values())
    env.close()


def test_cards_depend_on_the_seed_and_stay_hidden() -> None:
    env = PettingZooEnv(GAMES["kuhn_poker"])
    deals = set()
    for seed in range(40):
        env.reset(seed=seed)
        cards = [tuple(env.observe(agent)["observation"][2:5]) for agent in env.agents]
        assert all(sum(card) == 1 for card in cards)
        deals.add(tuple(cards))
    assert len(deals) == 6
