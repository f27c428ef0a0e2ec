"""The README's results and pictures, made from committed files alone: no figure in it is typed by hand.

    python -m cartridge.bench.readme

replaces what stands between the two marks in README.md and draws docs/images/.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from ..engine.transition import start, transition
from ..registry import make_game
from ..services.curve import strength_svg
from ..services.store import read_json_lines
from .rows import read_results
from .table import engine_table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
_BEGIN, _END = "<!-- results -->\n", "<!-- /results -->"
_KINDS = {"raw": "network alone", "search": "with search", "search_without_lookahead": "search without lookahead"}


_SHOWN_GAME = "4435254367"  # a Connect Four opening, columns from 1


def main() -> None:
    """Rewrites README.md and the pictures in place."""
    readme = ROOT / "README.md"
    readme.write_text(with_results(readme.read_text(encoding="utf-8"), results_text()), encoding="utf-8")
    for name, picture in pictures().items():
        path = ROOT / "docs" / "images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(picture, encoding="utf-8")


def pictures() -> dict[str, str]:
    """SVG by file name: a board, and the strength of the measured run over time."""
    game = make_game("connect4")
    state = start(game, jnp.zeros(2, jnp.uint32))
    for column in _SHOWN_GAME:
        state = transition(game, state, jnp.int32(int(column) - 1)).state
    history = read_json_lines(RESULTS / "strength" / "connect4-curve.jsonl")
    return {"connect4.svg": game.draw(state.game), "connect4-curve.svg": strength_svg(history, "connect4")}


def with_results(readme: str, results: str) -> str:
    """The README with `results` between its marks; `ValueError` where a mark is missing."""
    head, begin, rest = readme.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"README.md lacks {_BEGIN.strip()} or {_END}, between which the results belong")
    return head + begin + results + end + tail


def results_text() -> str:
    """Everything that goes between the marks, from the files in `bench/results/`."""
    strength = [json.loads(path.read_text()) for path in sorted((RESULTS / "strength").glob("*.json"))]
    evaluations = [report for report in strength if report.get("schema", "").startswith("cartridge.evaluation/")]
    matches = [report for report in strength if "opponent" in report]
    by_game: dict[str, list[dict[str, Any]]] = {}
    for report in evaluations:
        by_game.setdefault(report["game"]["env_id"], []).append(report)
    parts = ["## Results\n", _speed(), *map(_strength, by_game.values()), *map(_match, matches)]
    return "\n".join(parts) + "\n"


def _speed() -> str:
    rows = read_results(RESULTS)
    if not rows:
        return "Speed: not yet measured.\n"
    return (
        "Steps per second, uniformly random legal play with auto-reset, each implementation at its best batch size "
        "and compiler flags, all in one run. `random` uses neither observation nor mask, `observe` sums both of every "
        "step into the result, `api` calls `step` from Python with NumPy or torch.\n\n"
        f"{engine_table(rows)}\n"
    )


def _strength(reports: Sequence[dict[str, Any]]) -> str:
    """Evaluations of one game, each of another seed, as a paragraph and a table that shows the worst seed."""
    training, search, positions = (reports[0][part] for part in ("training", "search", "positions"))
    seeds = ", ".join(str(report["training"]["seed"]) for report in reports)
    moves = max(report["training"]["moves"] for report in reports)
    kinds = [kind for kind in _KINDS if kind in positions]
    several = len(reports) > 1
    which = f"the worst of seeds {seeds} is shown" if several else f"seed {seeds}"
    lines = [
        f"**{reports[0]['game']['env_id']}** after {training['seconds'] / 60:.1f} minutes of training on "
        f"{training['host']['cpu']}, {training['host']['cores']} cores ({'at most ' if several else ''}{moves:,} "
        f"moves; {which}): share of {positions['count']:,} solved positions in which the move gives away value. "
        f"Search has {search['num_simulations']} simulations, {search['lookahead']} plies of lookahead in each and "
        f"{search['networks_per_leaf']} network evaluations per leaf (views of the board are averaged).\n",
        f"| positions | {' | '.join(_KINDS[kind] for kind in kinds)} |",
        f"|---|{'---:|' * len(kinds)}",
    ]
    for name in positions["raw"]:
        shown = f"**{name}**" if name == "mean" else name
        worst = [max(report["positions"][kind][name]["error"] for report in reports) for kind in kinds]
        lines.append(f"| {shown} | {' | '.join(f'{error:.2f} %' for error in worst)} |")
    return "\n".join(lines) + "\n"


def _match(report: dict[str, Any]) -> str:
    low, high = report["interval95"]
    return (
        f"Against {report['opponent']}, {report['game']} with {report['simulations']} simulations: {report['wins']} "
        f"wins, {report['draws']} draws, {report['losses']} losses in {report['games']} games from both seats of "
        f"distinct random openings; score {report['score']:.1%} (95 % interval {low:.1%} to {high:.1%}).\n"
    )


if __name__ == "__main__":
    main()
