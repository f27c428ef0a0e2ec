"""`cartridge eval` as a user meets it: tables, the documented JSON, and words for what was asked wrongly."""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest
from cartridge.services import evaluate_command
from cartridge.services.evaluation import EvaluationError
from rich.console import Console

RATES = {"positions", "value_keeping", "best_move", "error"}


def parse(*words: str | Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    evaluate_command.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def documented() -> set[str]:
    """The keys that docs/evaluation.md lists in its first code block."""
    text = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    block = text.partition("```json")[2].partition("```")[0]
    return set(json.loads(block))


@pytest.fixture
def few(tmp_path: Path) -> Path:
    path = tmp_path / "few.tsv"
    win, block = "late\t1524\t.,.,3,.,.,0,-3,-3,-3", "late\t152\t.,.,0,-3,.,-3,-3,-3,-3"
    path.write_text(f"open\t\t0,0,0,0,0,0,0,0,0\n{win}\n{block}\n")
    return path


def test_a_real_process_writes_the_documented_json(cartridge: Any, small_run: Path, few: Path, tmp_path: Path) -> None:
    out = tmp_path / "eval.json"
    words = ("--simulations", 4, "--positions", few, "--opponent", "random", "--games", 8, "--json", out)
    done = cartridge("eval", small_run, *words)
    assert done.returncode == 0, done.stderr
    assert "errors" in done.stdout
    assert "interval" in done.stdout
    result = json.loads(out.read_text())
    assert set(result) == documented()
    assert result["schema"] == "cartridge.evaluation/1"
    assert result["weights"]["version"] == 3
    assert result["training"]["seconds"] == 6.0
    assert (result["search"]["num_simulations"], result["search"]["gumbel_scale"]) == (4, 0.0)
    assert (result["search"]["symmetrise"], result["search"]["networks_per_leaf"]) == (True, 8)
    assert set(result["positions"]["search"]) == {"open", "late", "mean"}
    assert set(result["positions"]["raw"]["late"]) == RATES
    (match,) = result["matches"]
    assert (match["opponent"], match["games"], match["openings"]) == ("random", 8, 4)
    assert "/" not in result["run"], "no folders of the user's"


def test_lookahead_is_told_apart(small_run: Path, few: Path) -> None:
    args = parse(small_run, "--simulations", "2", "--lookahead", "2", "--no-symmetry", "--positions", few)
    result = evaluate_command.evaluate_run(args, Console(file=io.StringIO()))
    assert result["search"]["lookahead"] == 2
    assert result["search"]["networks_per_leaf"] == 1
    assert "search_without_lookahead" in result["positions"]
    assert result["positions"]["search"]["late"]["best_move"] == 100.0  # two plies show the win and the threat
    assert result["matches"] == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--games", "7"], "--games is 7, expected an even number"),
        (["--games", "0"], "--games is 0, expected 2 to 100000"),
        (["--simulations", "0"], "--simulations is 0, expected 1 to 10000"),
        (["--lookahead", "9"], "--lookahead is 9, expected 0 to 4"),
        (["--no-positions", "--positions", "x.tsv"], "contradict each other"),
        (["--opponent", "mtcs:3", "--no-positions"], "opponent 'mtcs:3' is unknown"),
    ],
)
def test_what_cannot_be_measured_is_refused(small_run: Path, words: list[str], problem: str) -> None:
    with pytest.raises(EvaluationError, match=problem):
        evaluate_command.run(parse(small_run, *words))


def test_a_folder_without_a_run_exits_2(cartridge: Any, tmp_path: Path) -> None:
    done = cartridge("eval", tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == f"cartridge eval: {tmp_path} holds no run (there is no run.json in it)"
