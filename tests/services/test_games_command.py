"""`cartridge games`: broken plug-ins are listed with the reason, and a check ends at the first law that is broken."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cartridge.games import BUILT_IN
from cartridge.services import bench_command, games_command

METADATA = "Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n"
ENTRY_POINTS = "[cartridge.games]\nstuck = stuck_game:Stuck\nabsent = absent_game:Absent\nconnect4 = stuck_game:Stuck\n"
STUCK = """
import dataclasses
from cartridge.games.tictactoe import TicTacToe

class Stuck(TicTacToe):
    spec = dataclasses.replace(TicTacToe.spec, env_id="stuck")

    def player(self, state):
        return super().player(state) * 0
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a game whose turn never changes, one that is not there, and one under a built-in game's name."""
    metadata = tmp_path / "outside-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(METADATA)
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "stuck_game.py").write_text(STUCK)
    monkeypatch.syspath_prepend(tmp_path)


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    games_command.add_arguments(parser)
    return games_command.run(parser.parse_args(words))


@pytest.mark.usefixtures("outside")
def test_broken_plug_ins_are_listed_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["env_id"] for row in rows] == [*BUILT_IN, "stuck", "absent", "connect4"]
    assert [row["env_id"] for row in rows if "broken" in row] == ["absent", "connect4"]
    assert run() == 0
    table, *reasons = capsys.readouterr().out.split("broken: ")
    assert "stuck" in table
    assert "absent" not in table
    assert "game 'absent' (absent_game:Absent of outside 1.0) cannot be imported: ModuleNotFoundError" in reasons[0]
    assert "game 'connect4' (stuck_game:Stuck of outside 1.0) is hidden by the built-in game" in reasons[1]


@pytest.mark.usefixtures("outside")
def test_a_benchmark_of_all_games_leaves_broken_ones_out(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    bench_command.add_arguments(parser)
    args = parser.parse_args(["engine"])
    args.repeats = 1  # which no flag can say: refused before anything is measured
    with pytest.raises(ValueError, match="at least 5"):
        bench_command.run(args)
    shown = capsys.readouterr().err
    assert "left out: game 'absent' (absent_game:Absent of outside 1.0) cannot be imported" in shown
    assert "stuck" not in shown


@pytest.mark.usefixtures("outside")
def test_a_check_ends_at_the_first_broken_law_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--check", "stuck", "--games", "4", "--seed", "7") == 1
    first, *laws = capsys.readouterr().out.splitlines()
    assert first.startswith("stuck 1.0.0+")
    assert first.endswith(": 4 random games, seed 7")
    assert [line.split()[0] for line in laws[:4]] == ["✓", "✓", "✓", "✗"]
    assert laws[3].split()[1] == "turns"
    assert laws[4].startswith("stuck breaks the law of turns: the spec says alternating, but")
    assert laws[-1].split() == ["a", "b", "c"]  # the last line of a board


def test_a_wrong_request_exits_with_2(cartridge: Callable) -> None:
    for words, message in (
        (("--check", "tictacto"), "no game 'tictacto': did you mean tictactoe"),
        (("--check", "hex:size=4"), "'hex:size=4': hex does not take the options ['size']"),
        (("--check", "hex", "--games", "0"), "argument --games: '0' given, expected a whole number from 1 to"),
        (("--check", "hex", "--seed", "-1"), "argument --seed: '-1' given, expected a whole number from 0 to"),
    ):
        done = cartridge("games", *words)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
