"""OpenSpiel's solvers and search run on our tree: Kuhn's value, mates found, the same games as its own."""

import copy
import pickle
from typing import Any

import cartridge
import numpy as np
import pyspiel
import pytest
from cartridge.engine.wrappers.openspiel_state import OpenSpielGame
from open_spiel.python import policy
from open_spiel.python.algorithms import cfr, expected_game_score, exploitability, mcts

GAMES = {name: OpenSpielGame(cartridge.make_game(name)) for name in ("tictactoe", "kuhn_poker", "connect4", "2048")}


def test_cfr_finds_kuhns_value() -> None:
    """-1/18 for the first player: Kuhn, "A simplified two-person poker", 1950."""
    game = GAMES["kuhn_poker"]
    solver = cfr.CFRPlusSolver(game)
    for _ in range(100):
        solver.evaluate_and_update_policy()
    found = solver.average_policy()
    values = expected_game_score.policy_value(game.new_initial_state(), [found, found])
    np.testing.assert_allclose(values, [-1 / 18, 1 / 18], atol=1e-3)
    assert exploitability.exploitability(game, found) < 5e-3


def test_kuhn_poker_is_the_game_openspiel_knows() -> None:
    """Twelve information sets; how far the uniform policy is from an equilibrium, by both best-response codes."""
    ours, theirs = GAMES["kuhn_poker"], pyspiel.load_game("kuhn_poker")
    uniform = policy.TabularPolicy(ours)
    assert len(uniform.state_lookup) == len(policy.TabularPolicy(theirs).state_lookup) == 12
    expected = exploitability.nash_conv(theirs, policy.TabularPolicy(theirs))
    assert exploitability.nash_conv(ours, uniform) == pytest.approx(expected)
    assert 2 * exploitability.exploitability(ours, uniform) == pytest.approx(expected)


def test_a_player_knows_what_it_has_seen_and_no_more() -> None:
    state: Any = GAMES["kuhn_poker"].new_initial_state()
    assert state.is_chance_node()
    assert not any(state.information_state_tensor(0))
    twin = state.clone()
    state.apply_action(0)  # jack and queen
    twin.apply_action(1)  # jack and king
    for one in (state, twin):
        one.apply_action(1)
    assert state.information_state_string(0) == twin.information_state_string(0)
    assert state.information_state_tensor(0) == twin.information_state_tensor(0)
    assert state.observation_string(0) == twin.observation_string(0)
    assert state.information_state_string(1) != twin.information_state_string(1)
    assert state.information_state_tensor(1) != twin.information_state_tensor(1)


@pytest.mark.parametrize(("ours", "theirs"), [("tictactoe", "tic_tac_toe"), ("connect4", "connect_four")])
def test_random_games_go_as_in_openspiel(ours: str, theirs: str) -> None:
    random = np.random.default_rng(0)
    for _ in range(10):
        mine: Any = GAMES[ours].new_initial_state()
        other: Any = pyspiel.load_game(theirs).new_initial_state()
        while not other.is_terminal():
            assert mine.current_player() == other.current_player()
            assert mine.legal_actions() == other.legal_actions()
            action = int(random.choice(other.legal_actions()))
            before = mine.clone()
            mine.apply_action(action)
            other.apply_action(action)
            assert before.history() == mine.history()[:-1]
        assert mine.is_terminal()
        assert mine.legal_actions() == []
        assert mine.returns() == mine.rewards() == other.returns()
        assert mine.information_state_string(0) == other.history_str()


@pytest.mark.parametrize(
    ("name", "moves", "best"),
    [("tictactoe", (0, 3, 1, 4), 2), ("tictactoe", (0, 4, 1), 2), ("connect4", (3, 0, 3, 0, 3, 1), 3)],
)
def test_mcts_finds_the_move(name: str, moves: tuple[int, ...], best: int) -> None:
    """To win at once, to stop a row, to win at once."""
    game, random = GAMES[name], np.random.RandomState(0)
    state = game.new_initial_state()
    for move in moves:
        state.apply_action(move)
    bot = mcts.MCTSBot(game, 2.0, 60, mcts.RandomRolloutEvaluator(1, random), random_state=random)
    assert bot.step(state) == best


@pytest.mark.parametrize("name", ["tictactoe", "kuhn_poker", "2048"])
def test_openspiel_finds_no_fault(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Its own test of games: a random game, in which copies, chance, actions, rewards and tensors must agree."""
    pyspiel.random_sim_test(GAMES[name], 1, False, False)
    capfd.readouterr()


def test_tiles_of_2048_are_dealt_by_chance() -> None:
    state: Any = GAMES["2048"].new_initial_state()
    starts = state.chance_outcomes()
    assert len(starts) == 16 * 15 * 4
    assert sum(chance for _, chance in starts) == pytest.approx(1, abs=1e-12)
    state.apply_action(0)  # two twos, on cells 0 and 1
    state.apply_action(3)  # left: they merge
    assert state.is_chance_node()
    assert state.rewards() == [0.0]
    chances = [chance for _, chance in state.chance_outcomes()]
    np.testing.assert_allclose(sorted(chances), [0.1 / 15] * 15 + [0.9 / 15] * 15, rtol=1e-5)
    state.apply_action(state.chance_outcomes()[0][0])
    assert state.rewards() == state.returns() == [4.0]
    assert "and chance is to move" not in str(state)


def test_what_openspiel_is_told_of_a_game() -> None:
    kinds = pyspiel.GameType
    kuhn, connect4, tiles = (GAMES[name].get_type() for name in ("kuhn_poker", "connect4", "2048"))
    assert kuhn.information == kinds.Information.IMPERFECT_INFORMATION
    assert kuhn.chance_mode == tiles.chance_mode == kinds.ChanceMode.EXPLICIT_STOCHASTIC
    assert connect4.chance_mode == kinds.ChanceMode.DETERMINISTIC
    assert connect4.utility == kuhn.utility == kinds.Utility.ZERO_SUM
    assert tiles.reward_model == kinds.RewardModel.REWARDS
    assert GAMES["connect4"].max_utility() == 1.0
    assert OpenSpielGame(GAMES["kuhn_poker"].game, max_utility=2.0).min_utility() == -2.0
    assert copy.deepcopy(GAMES["connect4"]) is GAMES["connect4"]
    assert pickle.loads(pickle.dumps(GAMES["connect4"])).num_distinct_actions() == 7


def test_chance_that_is_not_listed_is_refused() -> None:
    with pytest.raises(ValueError, match="cartpole draws by chance it does not list; OpenSpiel needs a ChanceGame"):
        OpenSpielGame(cartridge.make_game("cartpole"))
    observer = pyspiel.IIGObservationType(perfect_recall=False, private_info=pyspiel.PrivateInfoType.ALL_PLAYERS)
    with pytest.raises(ValueError, match="an observation is what one player may know"):
        GAMES["connect4"].make_py_observer(observer)
