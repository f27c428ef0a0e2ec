"""The results in README.md and docs/benchmarks.md, made from committed files alone: no figure is typed by hand.

    python -m cartridge.bench.readme

replaces what stands between the two marks in both and draws docs/images/.
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
from . import rows
from .plot import replay_svg, throughput_svg
from .replay import rows as replay_rows
from .replay import table as replay_tables
from .replay.rows import ReplayRow
from .rpc import rows as rpc_rows
from .rpc import table as rpc_tables
from .rpc.rows import RpcRow
from .table import drawing_shares, engine_table, goals_table, short, summary_table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
_BEGIN, _END = "<!-- results -->\n", "<!-- /results -->"
_KINDS = {"raw": "network alone", "search": "with search", "search_without_lookahead": "search without lookahead"}
_SHOWN_GAME = "4435254367"  # a Connect Four opening, columns from 1


def main() -> None:
    """Rewrites the pages and the pictures in place."""
    for name, results in pages().items():
        page = ROOT / name
        page.write_text(with_results(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    for name, picture in pictures().items():
        path = ROOT / "docs" / "images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(picture, encoding="utf-8")


def pages() -> dict[str, str]:
    """What belongs between the marks of each page."""
    return {"README.md": results_text(), "docs/benchmarks.md": benchmarks_text()}


def pictures() -> dict[str, str]:
    """SVG by file name: a board, the strength of the measured run over time, and plots of speed over size."""
    game = make_game("connect4")
    state = start(game, jnp.zeros(2, jnp.uint32))
    for column in _SHOWN_GAME:
        state = transition(game, state, jnp.int32(int(column) - 1)).state
    history = read_json_lines(RESULTS / "strength" / "connect4-curve.jsonl")
    results, replay = rows.read_results(RESULTS), replay_rows.read_results(RESULTS)
    return {
        "connect4.svg": game.draw(state.game),
        "connect4-curve.svg": strength_svg(history, "connect4"),
        **{f"engine-{game}.svg": throughput_svg(results, game, "random") for game in _games(results)},
        **{_replay_picture(mode): replay_svg(replay, mode) for mode in _replay_modes(replay)},
    }


def with_results(page: str, results: str) -> str:
    """The page with `results` between its marks; `ValueError` where a mark is missing."""
    head, begin, rest = page.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"the page lacks {_BEGIN.strip()} or {_END}, between which the results belong")
    return head + begin + results + end + tail


def results_text() -> str:
    """Everything that goes between the marks, from the files in `bench/results/`."""
    strength = [json.loads(path.read_text()) for path in sorted((RESULTS / "strength").glob("*.json"))]
    evaluations = [report for report in strength if report.get("schema", "").startswith("cartridge.evaluation/")]
    matches = [report for report in strength if "opponent" in report]
    by_game: dict[str, list[dict[str, Any]]] = {}
    for report in evaluations:
        by_game.setdefault(report["game"]["env_id"], []).append(report)
    parts = [
        "## Results\n",
        _speed(),
        *replay_summary(replay_rows.read_results(RESULTS)),
        *rpc_summary(rpc_rows.read_results(RESULTS)),
        *map(_strength, by_game.values()),
        *map(_match, matches),
    ]
    return "\n".join(parts) + "\n"


def benchmarks_text() -> str:
    """Every comparison of the engine, of replay and of serving with their peers, and the plots."""
    results = rows.read_results(RESULTS)
    plots = [
        f'<img src="images/engine-{game}.svg" width="480" alt="{game}: steps per second over the batch size">'
        for game in _games(results)
    ]
    replay = replay_section(replay_rows.read_results(RESULTS))
    rpc = rpc_section(rpc_rows.read_results(RESULTS))
    return "\n".join([engine_table(results), "", *_floor(results), *_drawing(results), *plots, *replay, *rpc, ""])


def replay_summary(results: Sequence[ReplayRow]) -> list[str]:
    """What the README says of replay; nothing without rows."""
    if not results:
        return []
    return [
        "Replay: milliseconds a call from Python on a full buffer of 84 float32 an item, 1,024 items (or 256 sequences "
        "of 8) a call, and how many times the fastest peer's speed that is, all in one run: "
        f"{replay_tables.versions_text(results)}. [Details](docs/benchmarks.md#replay).\n\n"
        f"{replay_tables.summary_table(results)}\n"
    ]


def replay_section(results: Sequence[ReplayRow]) -> list[str]:
    """The section on replay of the page of benchmarks; nothing without rows."""
    if not results:
        return []
    alone = sorted({row.items for row in results if not row.in_turns})
    apart = f"; at {', '.join(f'{size:,}' for size in alone)} items one after another, for want of memory"
    return [
        "\n## Replay\n",
        f"    cartridge bench replay --peers --json rows.json    # {replay_tables.versions_text(results)}\n",
        "Items are 84 float32. A call adds, draws or updates 1,024 of them, or draws 256 sequences of 8, from Python, "
        "and is over when its result is there; the buffer is full. A figure is the median over at least five stretches "
        f"of calls after a warm-up, all implementations in turns{apart if alone else ''}. Every one has shown before, "
        "on a small scale, that it draws what was written and follows the priorities it is given.\n",
        *_replay_floor(results),
        goals_table(replay_rows.goals(results), "where it is hardest"),
        "\nMilliseconds a call, (max - min) / median of the stretches, and how many times our time that is:\n",
        replay_tables.time_table(results),
        "\nBytes an item, from before the buffer was made until it was full, and the peak of the process in MiB:\n",
        replay_tables.memory_table(results),
        "\nSeconds of the first call, in which JAX compiles:\n",
        replay_tables.compile_table(results),
        "",
        *(
            f'<img src="images/{_replay_picture(mode)}" width="480" alt="{mode}: milliseconds over the items">'
            for mode in _replay_modes(results)
        ),
    ]


def rpc_summary(results: Sequence[RpcRow]) -> list[str]:
    """What the README says of serving; nothing without rows."""
    if not results:
        return []
    return [
        "Serving Connect Four over gRPC, client and server on the same machine, each at its fastest way of calling: "
        "`bits` and `f32` are leases whose replies hold observations and masks, from which the client chooses legal "
        "moves; `state` is one game a call whose state the client keeps. The echo answers with as many bytes and does "
        "nothing else. [Details](docs/benchmarks.md#serving).\n\n"
        f"{rpc_tables.summary_table(results)}\n"
    ]


def rpc_section(results: Sequence[RpcRow]) -> list[str]:
    """The section on serving of the page of benchmarks; nothing without rows."""
    if not results:
        return []
    versions = rows.versions_text(results[0].versions)
    return [
        "\n## Serving\n",
        f"    cartridge bench rpc --json rows.json    # {versions}\n",
        "One server process and its clients, each a process of its own, share the machine. For each line the same "
        "clients call our server, the same service with a device that answers at once (`null engine`) and an echo of "
        "as many bytes, in turns; figures are medians of at least five stretches of a second, spread is (max - min) / "
        "median. Clients play Connect Four by legal moves drawn from the masks they are sent; `policy` is the part of "
        "their time which that takes, and it is left out of the shares of the echo's rate.\n",
        goals_table(rpc_rows.goals(results), "where"),
        "\nGames:\n",
        rpc_tables.steps_table(results),
        "\nThe echo alone, the same number of bytes each way:\n",
        rpc_tables.echo_table(results),
    ]


def _replay_floor(results: Sequence[ReplayRow]) -> list[str]:
    """What stands beside the peers and is none."""
    floor = next((row for row in results if row.implementation == rows.FLOOR), None)
    if not floor:
        return []
    return [
        "`c-loop` is no peer but a floor: the same rows and sums on one thread in C (`bench/replay/c_buffer.c`, built "
        f"for the processor at hand by gcc {floor.versions['cc']}), with neither locks nor checks.\n"
    ]


def _speed() -> str:
    results = rows.read_results(RESULTS)
    return (
        "Steps per second of uniformly random legal play with auto-reset, and how many times the fastest peer's rate "
        "that is: all of a game and mode in one run, each at its best batch size. `random` uses neither observation "
        "nor mask, `observe` sums both of every step into the result, `api` calls `step` from Python with NumPy or "
        "torch. Variants, versions, compile times and plots: [docs/benchmarks.md](docs/benchmarks.md).\n\n"
        f"{summary_table(results)}\n"
    )


def _floor(results: Sequence[rows.Row]) -> list[str]:
    """What a loop in C reaches with Connect Four, and how far we are from it."""
    loops = [row for row in results if row.implementation == rows.FLOOR]
    if not loops:
        return []
    floor = max(loops, key=lambda row: row.rate)
    place = floor.game, floor.mode, floor.device
    ours = max(row.rate for row in results if rows.is_ours(row) and (row.game, row.mode, row.device) == place)
    return [
        "A loop in C with the same rules and draws (`bench/connect4_loop.c`, built for the processor at hand by gcc "
        f"{floor.versions['cc']}) makes {short(floor.rate)} steps of {floor.game} a second in the same run: "
        f"{floor.rate / ours:.1f} times ours.\n"
    ]


def _drawing(results: Sequence[rows.Row]) -> list[str]:
    """What share of a step the draws of chance take, in games that have any."""
    shares = drawing_shares(results)
    lines = []
    for device in dict.fromkeys(device for device, _ in shares):
        told = [f"{game} {share:.0%}" for (on, game), share in sorted(shares.items()) if on == device]
        lines.append(
            f"Share of a step that the draws of chance take on {device}, in the same run, median over batch sizes: "
            f"{', '.join(told)}.\n"
        )
    return lines


def _games(results: Sequence[rows.Row]) -> list[str]:
    """Games with rows in mode random, in order of name."""
    return sorted({row.game for row in results if row.bench == "engine" and row.mode == "random"})


def _replay_modes(results: Sequence[ReplayRow]) -> list[str]:
    return [mode for mode in replay_rows.MODES if any(row.mode == mode for row in results)]


def _replay_picture(mode: str) -> str:
    return f"replay-{mode.replace(' ', '-')}.svg"


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
