"""The loops that are timed really play: the games have the length of random games, and all implementations agree on it.

No assertion is about time.
"""

from collections.abc import Iterator
from typing import Any, cast

import jax
import numpy as np
import pytest
from cartridge.bench import c_library, c_loop, compiled, peers, rows
from cartridge.bench.calls import OURS_TORCH
from cartridge.bench.calls import build as build_calls
from cartridge.bench.engine import run_engine
from cartridge.bench.progress import Progress
from cartridge.bench.worker import Worker, WorkerError, running

# Mean moves of a uniformly random game: tic-tac-toe by enumeration, Connect Four of 30,000 games that OpenSpiel played.
MEAN_MOVES = {"tictactoe": 7.626, "connect4": 21.39}


def mean_moves(loop: compiled.CompiledLoop, calls: int = 1) -> float:
    """Moves an episode of a batch that starts fresh, long enough for the unfinished games not to matter."""
    tallies = [loop.play(400) for _ in range(calls)]
    return sum(tally["moves"] for tally in tallies) / sum(tally["episodes"] for tally in tallies)


@pytest.mark.parametrize("game", list(MEAN_MOVES))
def test_random_play_has_the_length_of_random_games(game: str) -> None:
    loop = compiled.build(rows.OURS, game, "random", 64)
    assert mean_moves(loop) == pytest.approx(MEAN_MOVES[game], rel=0.05)


@pytest.mark.parametrize("variant", [peers.PGX, peers.OUR_SAMPLER, peers.CONSTANT_RESET])
def test_pgx_plays_games_of_the_same_length(variant: str) -> None:
    pytest.importorskip("pgx")
    assert mean_moves(compiled.build(variant, "tictactoe", "random", 64)) == pytest.approx(
        MEAN_MOVES["tictactoe"], rel=0.05
    )


def test_observe_consumes_what_is_shown() -> None:
    hidden = compiled.build(rows.OURS, "tictactoe", "random", 64).play(100)
    shown = compiled.build(rows.OURS, "tictactoe", "observe", 64).play(100)
    assert hidden["episodes"] == shown["episodes"]
    assert "shown" not in hidden
    games = compiled.CartridgeGames("tictactoe", 64)
    states, random = games.start(0)
    step, total = jax.jit(games.step), 0
    for _ in range(100):
        states, random, seen = step(states, random)
        total += int(np.asarray(seen.observation).view(np.int32).sum()) + int(np.asarray(seen.legal_actions).sum())
    assert (shown["shown"] - total) % 2**32 == 0


@pytest.mark.parametrize("implementation", [rows.OURS, OURS_TORCH])
def test_api_calls_play_random_games(implementation: str) -> None:
    tally = build_calls(implementation, "tictactoe", "api", 64).play(200)
    assert tally["moves"] == 64 * 200
    assert tally["moves"] / tally["episodes"] == pytest.approx(MEAN_MOVES["tictactoe"], rel=0.05)


def test_a_description_has_what_a_row_needs() -> None:
    described = compiled.build(rows.OURS, "connect4", "random", 8).describe()
    assert described["bytes_per_game"] == 20
    assert described["device"] == rows.device_name("cpu", "")
    assert set(described["versions"]) == {"cartridge", "jax", "jaxlib"}


@pytest.fixture(scope="module")
def sharing() -> Iterator[Worker]:
    with running("compiled", flags=compiled.SHARED_WORK) as worker:
        yield worker


def test_a_process_with_shared_work_plays_the_very_same_games(sharing: Worker) -> None:
    settings = {"implementation": rows.OURS, "game": "connect4", "mode": "observe", "batch": 64}
    sharing.ask(do="build", name="c4", **settings)
    theirs = sharing.ask(do="play", name="c4", num_steps=300)
    ours = compiled.build(**settings).play(300)
    assert {**theirs, "seconds": 0.0} == {**ours, "seconds": 0.0}


def test_a_failure_in_the_process_is_an_error_here_and_the_process_lives_on(sharing: Worker) -> None:
    settings = {"implementation": rows.OURS, "game": "conect4", "mode": "random", "batch": 8}
    with pytest.raises(WorkerError, match="did you mean connect4"):
        sharing.ask(do="build", name="wrong", **settings)
    with pytest.raises(WorkerError, match="KeyError"):
        sharing.ask(do="play", name="wrong", num_steps=1)


def test_a_process_that_dies_leaves_its_last_words() -> None:
    with running("no_such_module") as worker:
        for _ in range(2):  # the second meets a broken pipe
            with pytest.raises(WorkerError, match="No module named"):
                worker.ask(do="play", name="any", num_steps=1)


def test_a_run_yields_rows_and_reports() -> None:
    heard: list[Progress] = []
    results = list(
        run_engine(["tictactoe"], ["random"], batches=[8, 16], repeats=5, seconds=0.002, report=heard.append)
    )
    assert [row.batch for row in results] == [8, 16]
    assert all(row.implementation == rows.OURS and row.repeats == 5 and row.rate > 0 for row in results)
    assert rows.rows_from_json(rows.rows_to_json(results)) == results
    assert [progress.done for progress in heard] == sorted(progress.done for progress in heard)
    assert "repeat 5 of 5" in heard[-1].text
    for row in results:
        assert row.memory_share is not None
        bandwidth = 2 * 8 * row.rate / row.memory_share
        assert 1e9 < bandwidth < 1e13  # bytes a second: from a small board to the next but one accelerator


@pytest.mark.long
def test_a_game_of_chance_is_measured_without_its_draws_too() -> None:
    results = list(run_engine(["snake"], ["random"], with_peers=True, batches=[8], repeats=5, seconds=0.002))
    assert [row.implementation for row in results] == [rows.OURS, rows.WITHOUT_DRAWS]


def test_without_draws_the_same_rules_are_played() -> None:
    """Whatever is dealt, a random game of Kuhn poker has 2 moves, and 3 after a pass and a bet: one in four."""
    settings = {"implementation": rows.WITHOUT_DRAWS, "game": "kuhn_poker", "mode": "random", "batch": 64}
    with running("compiled") as worker:
        worker.ask(do="build", name="kuhn", **settings)
        tally = worker.ask(do="play", name="kuhn", num_steps=500)
    assert tally["moves"] / tally["episodes"] == pytest.approx(2.25, rel=0.05)


def test_a_run_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        next(run_engine(["tictactoe"], repeats=3))
    with pytest.raises(ValueError, match="no_such_mode"):
        next(run_engine(["tictactoe"], [cast("Any", "no_such_mode")]))
    with pytest.raises(peers.MissingPeerError, match="make peers"):
        peers.envpool_python("tictactoe", python="/nowhere/python")
    with pytest.raises(peers.MissingPeerError, match="pgx has no snake"):
        peers.pgx_variants("snake", "random")


def test_the_c_loop_plays_the_very_same_games() -> None:
    """The same rules, draw and sums, written twice: every episode ends alike."""
    if not c_library.compiler():
        pytest.skip("no C compiler here")
    ours = compiled.build(rows.OURS, "connect4", "random", 200)
    theirs = c_loop.build(rows.FLOOR, "connect4", "random", 200)
    for num_steps in (100, 250):
        assert {**ours.play(num_steps), "seconds": 0.0} == {**theirs.play(num_steps), "seconds": 0.0}


@pytest.mark.parametrize("variant", [peers.GYMNAX, peers.GYMNAX_OUR_SAMPLER])
def test_gymnax_plays(variant: str) -> None:
    """A cart that is pushed at random falls after some 22 steps (mean of a thousand episodes of Gymnasium's)."""
    pytest.importorskip("gymnax")
    assert mean_moves(compiled.build(variant, "cartpole", "random", 64)) == pytest.approx(22.3, rel=0.05)


def test_open_spiel_plays_random_games() -> None:
    open_spiel_calls = pytest.importorskip("cartridge.bench.open_spiel_calls")
    tally = open_spiel_calls.build(peers.OPEN_SPIEL, "tictactoe", "api", 16).play(120)
    # Its environments spend a call on starting anew where `reset_if_done` is not asked for; here no call is lost.
    assert tally["moves"] / tally["episodes"] == pytest.approx(MEAN_MOVES["tictactoe"], rel=0.1)
