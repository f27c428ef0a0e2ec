"""The checks of strength tell strong from weak, and say so when they are asked for what cannot be measured."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.actor.match import Contender, Match
from cartridge.actor.network import Params, apply, build, init_params
from cartridge.actor.policies import Policy, random_policy
from cartridge.actor.settings import SearchConfig
from cartridge.engine.spec import NetworkSpec, SpecError
from cartridge.engine.transition import EngineState, observe
from cartridge.games.tictactoe import TicTacToe
from cartridge.services.evaluation import (
    Agent,
    EvaluationError,
    MatchCheck,
    Opponent,
    PositionCheck,
    batch_size,
    in_batches,
    make_opponent,
    match_report,
    score_actions,
    wilson,
)
from cartridge.services.positions import ILLEGAL, Positions, builtin_positions, read_positions
from cartridge.services.run_directory import RunError
from jax import Array

GAME = TicTacToe()
NETWORK = build(GAME.spec, NetworkSpec(width=16, blocks=1))


@pytest.fixture(scope="module", autouse=True)
def quick_compilation() -> Iterator[None]:
    """Programs this small take far longer to compile than to run: XLA leaves out what only makes them faster."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def positions() -> Positions[Any]:
    path = builtin_positions("tictactoe")
    assert path is not None
    return read_positions(path, GAME)


@pytest.fixture(scope="module")
def params() -> Params:
    return init_params(NETWORK, GAME.spec, jax.random.PRNGKey(1))


@pytest.fixture(scope="module")
def perfect(positions: Positions[Any]) -> Contender:
    """Plays from the table of solved positions."""
    table = np.zeros(1 << 18, np.int32)
    table[np.asarray(positions.states.game.marks)] = positions.scores.argmax(axis=1)
    moves = jnp.asarray(table)

    def act(states: EngineState[Any], key: Array) -> Array:
        del key
        return moves[states.game.marks]

    return lambda _: act


def worst(positions: Positions[Any]) -> np.ndarray:
    """The legal action with the lowest score."""
    return np.where(positions.scores == ILLEGAL, 100, positions.scores).argmin(axis=1)


def two_sets(positions: Positions[Any]) -> Positions[Any]:
    """Three positions in sets of one and two: scores [9 actions]."""
    scores = np.full((3, 9), ILLEGAL, np.int32)
    scores[0, :3] = [2, 1, 0]
    scores[1, :3] = [-1, -2, -2]
    scores[2, :2] = [0, -3]
    states = jax.tree.map(lambda leaf: leaf[:3], positions.states)
    return Positions(positions.path, "", states, scores, ("few", "more"), np.array([0, 1, 1], np.int32))


def test_perfect_play_scores_all_and_the_worst_little(positions: Positions[Any]) -> None:
    assert score_actions(positions, positions.scores.argmax(axis=1))["mean"] == {
        "positions": 4520,
        "value_keeping": 100.0,
        "best_move": 100.0,
        "error": 0.0,
    }
    low = score_actions(positions, worst(positions))["all"]
    forced = np.mean(
        np.sign(np.where(positions.scores == ILLEGAL, 9, positions.scores).min(axis=1))
        == np.sign(positions.scores.max(axis=1))
    )
    assert low["value_keeping"] == pytest.approx(100 * forced)
    assert low["error"] > 50


def test_rates_by_set_and_their_mean(positions: Positions[Any]) -> None:
    report = score_actions(two_sets(positions), np.array([1, 1, 1]))
    assert report["few"] == {"positions": 1, "value_keeping": 100.0, "best_move": 0.0, "error": 0.0}
    assert report["more"] == {"positions": 2, "value_keeping": 50.0, "best_move": 0.0, "error": 50.0}
    assert report["mean"] == {"positions": 3, "value_keeping": 75.0, "best_move": 0.0, "error": 25.0}


def test_an_illegal_action_keeps_nothing(positions: Positions[Any]) -> None:
    report = score_actions(two_sets(positions), np.array([8, 8, 8]))
    assert report["mean"]["value_keeping"] == 0.0


def test_position_check_asks_the_network_and_the_search(positions: Positions[Any], params: Params) -> None:
    traces = []

    class Counted(TicTacToe):
        def observe(self, state: Any, player: Array) -> Array:
            traces.append(1)
            return super().observe(state, player)

    check = PositionCheck(Counted(), NETWORK, positions, 8, 0, symmetrise=False)
    report = check(params)
    assert {name: report[name] for name in ("simulations", "lookahead", "symmetrise")} == {
        "simulations": 8,
        "lookahead": 0,
        "symmetrise": False,
    }
    traced = len(traces)

    planes = jax.vmap(lambda state: observe(GAME, state))(positions.states)
    logits, _ = apply(NETWORK, params, planes)
    alone = np.where(positions.scores == ILLEGAL, -np.inf, np.asarray(logits)).argmax(axis=1)
    assert report["raw"] == score_actions(positions, alone)
    assert report["search"]["mean"]["error"] < report["raw"]["mean"]["error"]
    assert report["search"]["all"]["positions"] == 4520

    other = check(init_params(NETWORK, GAME.spec, jax.random.PRNGKey(2)))
    assert other["raw"] != report["raw"]
    assert check(params) == report, "the same question has the same answer"
    assert len(traces) == traced, "new parameters must not compile again"


def test_batches_cover_every_state_once(positions: Positions[Any]) -> None:
    sizes = []

    def act(states: EngineState[Any], key: Array) -> tuple[Array, ...]:
        del key
        sizes.append(states.meta.shape[0])
        return states.game.marks, states.meta

    marks, meta = in_batches(act, positions.states, 1000)
    assert sizes == [1000] * 5
    np.testing.assert_array_equal(marks, positions.states.game.marks)
    np.testing.assert_array_equal(meta, positions.states.meta)


def test_batches_shrink_with_the_trees() -> None:
    assert batch_size(4520, 64) == 1024
    assert batch_size(100, 64) == 100
    assert batch_size(4520, 10_000) == 26


def test_perfect_against_perfect_ends_as_solved(positions: Positions[Any], perfect: Contender) -> None:
    solved = dict(
        zip(
            np.asarray(positions.states.game.marks).tolist(),
            np.sign(positions.scores.max(axis=1)).tolist(),
            strict=True,
        )
    )
    check = MatchCheck(GAME, perfect, Opponent("itself", perfect), 400, opening_plies=4)
    result = check.play(None)
    for opening, marks in enumerate(np.asarray(result.openings.game.marks).tolist()):
        for_first_player = solved[marks] * (1 if int(result.openings.step_count[opening]) % 2 == 0 else -1)
        assert result.reward[:, opening].tolist() == [for_first_player, -for_first_player]
    report = match_report(result)
    assert report["score"] == 0.5
    assert report["by_seat"]["first"]["wins"] == report["by_seat"]["second"]["losses"] > 0


def test_matches_tell_strong_from_weak(perfect: Contender) -> None:
    opponent = make_opponent("random", GAME, NETWORK, SearchConfig())
    strong = MatchCheck(GAME, perfect, opponent, 200, opening_plies=1)(None)
    assert strong["losses"] <= 10  # some openings of one or two moves are lost already
    assert strong["score"] > 0.85
    assert strong["interval95"][0] > 0.7
    equal = MatchCheck(GAME, lambda _: random_policy(GAME), opponent, 400, seed=1)(None)
    assert equal["interval95"][0] < 0.5 < equal["interval95"][1]
    assert (equal["games"], equal["openings"]) == (400, 200)
    assert equal["wins"] + equal["draws"] + equal["losses"] == 400
    assert equal["by_seat"]["first"]["games"] == equal["by_seat"]["second"]["games"] == 200
    assert equal["unfinished"] == 0
    weak = MatchCheck(GAME, lambda _: random_policy(GAME), Opponent("perfect", perfect), 200, opening_plies=1)(None)
    assert weak["score"] < 0.15


def test_matches_depend_on_the_seed_alone() -> None:
    def check(seed: int) -> MatchCheck:
        opponent = make_opponent("random", GAME, NETWORK, SearchConfig())
        return MatchCheck(GAME, lambda _: random_policy(GAME), opponent, 40, seed=seed)

    first, other = check(5), check(6)
    assert first(None) == first(None)
    assert first(None) != other(None)


def test_greedy_plays_with_the_agents_own_parameters(params: Params) -> None:
    opponent = make_opponent("greedy", GAME, NETWORK, SearchConfig())
    result = MatchCheck(GAME, opponent.contender, opponent, 20).play(params)
    np.testing.assert_array_equal(result.reward[0], -result.reward[1])


def test_wilson_intervals_as_published() -> None:
    np.testing.assert_allclose(wilson(0.5, 100), (0.4038, 0.5962), atol=1e-4)  # Newcombe 1998 and others
    np.testing.assert_allclose(wilson(81 / 263, 263), (0.2553, 0.3662), atol=1e-4)  # Newcombe 1998, table I
    np.testing.assert_allclose(wilson(0.0, 20), (0.0, 0.1611), atol=1e-4)
    np.testing.assert_allclose(wilson(1.0, 10), (0.7225, 1.0), atol=1e-4)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mcts", "expected mcts:N with N simulations"),
        ("mcts:", "expected mcts:N with N simulations"),
        ("mcts:0", "expected mcts:N with N simulations"),
        ("mcts:many", "expected mcts:N with N simulations"),
        ("rndom", "'rndom' is unknown: expected random, greedy, mcts:N or the folder of a run"),
        ("/nowhere/at/all", "is unknown"),
    ],
)
def test_an_unknown_opponent_is_refused(text: str, problem: str) -> None:
    with pytest.raises(EvaluationError, match=problem):
        make_opponent(text, GAME, NETWORK, SearchConfig())


def test_odd_numbers_of_games_and_too_many_openings_are_refused() -> None:
    opponent = make_opponent("random", GAME, NETWORK, SearchConfig())
    with pytest.raises(EvaluationError, match="games is 7, expected an even number"):
        MatchCheck(GAME, opponent.contender, opponent, 7)
    with pytest.raises(EvaluationError, match="distinct openings"):
        MatchCheck(GAME, opponent.contender, opponent, 10_000, opening_plies=0)


def test_an_agent_is_its_newest_weights_or_those_asked_for(small_run: Path) -> None:
    newest, first = Agent.load(small_run), Agent.load(small_run, 0)
    assert (newest.manifest.version, first.manifest.version) == (3, 0)
    differ = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), newest.params, first.params)
    assert any(jax.tree.leaves(differ))
    training = newest.training()
    assert (training["seconds"], training["moves"], training["updates"]) == (6.0, 300, 30)
    assert training["host"]["cpu"]
    assert first.training()["seconds"] is None
    opponent = make_opponent(f"{small_run}@0", newest.game, newest.network, newest.config.search)
    assert opponent.params is not None


def test_an_agent_that_cannot_be_loaded_is_refused(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no run"):
        Agent.load(tmp_path)
    with pytest.raises(RunError, match="no weights version 7; it keeps 0, 3"):
        Agent.load(small_run, 7)

    damaged = Path(shutil.copytree(small_run, tmp_path / "damaged"))
    file = damaged / "weights" / "3" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(SpecError, match="weights version 3 are damaged"):
        Agent.load(damaged, 3)
    with pytest.warns(UserWarning, match="skipped damaged weights version 3"):
        assert Agent.load(damaged).manifest.version == 0

    other = Path(shutil.copytree(small_run, tmp_path / "other"))
    edit(other / "run.json", lambda described: described["config"].update(game="connect4"))
    with pytest.raises(SpecError, match=r"connect4 is now .*: its weights do not fit"):
        Agent.load(other)

    empty = Path(shutil.copytree(small_run, tmp_path / "empty"))
    edit(empty / "run.json", lambda described: described.pop("config"))
    with pytest.raises(RunError, match="does not describe a training run"):
        Agent.load(empty)


def edit(path: Path, change: Any) -> None:
    described = json.loads(path.read_text())
    change(described)
    path.write_text(json.dumps(described))


def test_a_policy_that_breaks_the_rules_loses_every_game() -> None:
    def cheat(states: EngineState[Any], key: Array) -> Array:
        del key
        return jnp.full(states.meta.shape, 9)

    policy: Policy = cheat
    opponent = make_opponent("random", GAME, NETWORK, SearchConfig())
    report = MatchCheck(GAME, lambda _: policy, opponent, 20)(None)
    assert report["score"] == 0.0
    assert Match(GAME, lambda _: policy, opponent.contender)
