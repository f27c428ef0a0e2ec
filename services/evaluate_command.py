"""`cartridge eval`: how strong the agent of a run is, in tables and as JSON (docs/evaluation.md describes it)."""

import argparse
import dataclasses
import datetime
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
from rich import box
from rich.console import Console
from rich.table import Table

from ..actor.settings import SearchConfig
from ..bench.rows import host
from . import checkout, store
from .evaluation import Agent, EvaluationError, MatchCheck, PositionCheck, evaluation_search, make_opponent
from .evaluation import network_contender as contender_of
from .positions import Positions, builtin_positions, read_positions
from .versions import package_versions

SCHEMA = "cartridge.evaluation/1"
_KINDS = {
    "raw": "network alone",
    "search": "search, {} simulations",
    "search_without_lookahead": "the same without lookahead",
}
_EPILOG = """
opponents: random; greedy (the agent's own network without search); mcts:N (our search with N simulations and random
playouts); the folder of a run, or DIR@VERSION for its older weights.

  cartridge eval runs/mine --simulations 64 --opponent random --opponent mcts:200 --games 100 --json eval.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument("--version", type=int, metavar="V", help="which weights (default: the newest)")
    parser.add_argument("--simulations", type=int, metavar="N", help="of the agent's search (default: as in the run)")
    parser.add_argument(
        "--lookahead", type=int, metavar="N", help="plies solved in every leaf (default: as in the run)"
    )
    parser.add_argument("--no-symmetry", action="store_true", help="do not average the network over mirrored boards")
    parser.add_argument("--positions", type=Path, metavar="FILE", help="solved positions (default: those that ship)")
    parser.add_argument("--no-positions", action="store_true", help="matches only")
    parser.add_argument("--opponent", action="append", default=[], metavar="WHO", help="may be given several times")
    parser.add_argument("--games", type=int, default=100, metavar="N", help="against each opponent (default: 100)")
    parser.add_argument("--opening-plies", type=int, default=4, metavar="N", help="random moves before (default: 4)")
    parser.add_argument("--seed", type=int, default=0, help="of openings and opponents (default: 0)")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write the results to FILE, or print them")


def run(args: argparse.Namespace) -> int:
    """Measures, prints tables, writes JSON; 0 when all was measured."""
    console = Console(stderr=args.json == "-")
    result = evaluate_run(args, console)
    if args.json == "-":
        sys.stdout.write(json.dumps(result, indent=1) + "\n")
    elif args.json:
        try:
            store.write_json(Path(args.json), result)
        except OSError as error:
            raise EvaluationError(f"cannot write {args.json}: {error.strerror}") from error
        console.print(f"written to {args.json}", highlight=False, soft_wrap=True)
    return 0


def evaluate_run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """All measurements that `args` asks for, as the documented JSON object."""
    began = time.perf_counter()
    _check_ranges(args)
    agent = Agent.load(args.run, args.version)
    search = evaluation_search(
        agent.config.search, args.simulations or agent.config.run.eval_simulations, args.lookahead
    )
    positions = _positions(args, agent)
    opponents = [
        make_opponent(text, agent.game, agent.network, search, symmetrise=not args.no_symmetry)
        for text in args.opponent or ([] if positions else ["random"])
    ]  # a wrong name is refused before the first minute is spent
    result = _describe(agent, search, args)
    console.print(_headline(result), highlight=False, soft_wrap=True)
    if positions is not None:
        with console.status(f"{len(positions):,} solved positions"):
            result["positions"] = _measure_positions(agent, positions, search, not args.no_symmetry)
        console.print(_position_table(result["positions"], search.num_simulations))
    contender = contender_of(agent.game, agent.network, search, not args.no_symmetry)
    for opponent in opponents:
        with console.status(f"{args.games} games against {opponent.name}"):
            start = time.perf_counter()
            check = MatchCheck(
                agent.game, contender, opponent, args.games, opening_plies=args.opening_plies, seed=args.seed
            )
            report = check(agent.params)
            result["matches"].append(report | {"wall_seconds": time.perf_counter() - start})
    if opponents:
        console.print(_match_table(result["matches"]))
    result["wall_seconds"] = time.perf_counter() - began
    return result


def _check_ranges(args: argparse.Namespace) -> None:
    for name, value, low, high in (
        ("--simulations", args.simulations, 1, 10_000),
        ("--lookahead", args.lookahead, 0, 4),
        ("--games", args.games, 2, 100_000),
        ("--opening-plies", args.opening_plies, 0, 10_000),
        ("--seed", args.seed, 0, 2**31 - 1),
    ):
        if value is not None and not low <= value <= high:
            raise EvaluationError(f"{name} is {value}, expected {low} to {high}")
    if args.games % 2:
        raise EvaluationError(f"--games is {args.games}, expected an even number: openings are played from both seats")
    if args.positions and args.no_positions:
        raise EvaluationError("--positions and --no-positions contradict each other; give one of them")


def _positions(args: argparse.Namespace, agent: Agent) -> Positions[Any] | None:
    path = args.positions or builtin_positions(agent.game.spec.env_id)
    return None if args.no_positions or path is None else read_positions(path, agent.game)


def _describe(agent: Agent, search: SearchConfig, args: argparse.Namespace) -> dict[str, Any]:
    """Everything but the measurements."""
    spec, manifest = agent.game.spec, agent.manifest
    symmetries = 0 if args.no_symmetry else len(agent.game.symmetries())
    return {
        "schema": SCHEMA,
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "run": agent.root.resolve().name,
        "game": {"env_id": spec.env_id, "build_id": spec.build_id},
        "weights": {
            "version": manifest.version,
            "learner_step": manifest.learner_step,
            "sha256": manifest.sha256,
            "network": dataclasses.asdict(manifest.network),
        },
        "training": agent.training(),
        "search": {
            **dataclasses.asdict(search),
            "symmetrise": not args.no_symmetry,
            "networks_per_leaf": 1 + symmetries,
        },
        "seed": args.seed,
        "host": host(),
        "device": str(jax.devices()[0]),
        "git": checkout.commit(),
        "versions": package_versions(),
        "positions": None,
        "matches": [],
    }


def _measure_positions(
    agent: Agent, positions: Positions[Any], search: SearchConfig, symmetrise: bool
) -> dict[str, Any]:
    start = time.perf_counter()

    def measure(lookahead: int) -> dict[str, Any]:
        check = PositionCheck(
            agent.game,
            agent.network,
            positions,
            search.num_simulations,
            lookahead,
            symmetrise=symmetrise,
            search=search,
        )
        return check(agent.params)

    found = measure(search.lookahead)
    report = {
        "file": positions.path.name,
        "sha256": positions.sha256,
        "count": len(positions),
        "raw": found["raw"],
        "search": found["search"],
    }
    if search.lookahead:
        report["search_without_lookahead"] = measure(0)["search"]
    return report | {"wall_seconds": time.perf_counter() - start}


def _headline(result: dict[str, Any]) -> str:
    training, search = result["training"], result["search"]
    cost = "an unknown amount of training"
    if training["seconds"] is not None:
        cost = f"{training['seconds'] / 60:.1f} minutes of training, {training['moves']:,.0f} moves"
    return (
        f"{result['run']}: {result['game']['env_id']}, weights version {result['weights']['version']} after {cost}\n"
        f"search: {search['num_simulations']} simulations, lookahead of {search['lookahead']} plies, "
        f"{search['networks_per_leaf']} network evaluations a leaf"
    )


def _position_table(report: dict[str, Any], num_simulations: int) -> Table:
    table = Table(title="errors: moves that give away the game's value (in brackets: best moves)", box=box.SIMPLE)
    kinds = [kind for kind in _KINDS if kind in report]
    table.add_column("positions")
    table.add_column("number", justify="right")
    for kind in kinds:
        table.add_column(_KINDS[kind].format(num_simulations), justify="right")
    for name, rates in report["raw"].items():
        cells = [f"{report[kind][name]['error']:.2f} % ({report[kind][name]['best_move']:.1f} %)" for kind in kinds]
        table.add_row(name, f"{rates['positions']:,}", *cells, style="bold" if name == "mean" else None)
    return table


def _match_table(matches: list[dict[str, Any]]) -> Table:
    table = Table(title="matches: each opening from both seats, draws count half", box=box.SIMPLE)
    for heading in ("opponent", "games", "won", "drawn", "lost", "score", "95 % interval", "first", "second"):
        table.add_column(heading, justify="left" if heading == "opponent" else "right")
    for match in matches:
        low, high = match["interval95"]
        seats = [f"{match['by_seat'][seat]['score']:.1%}" for seat in ("first", "second")]
        counts = [str(match[name]) for name in ("games", "wins", "draws", "losses")]
        table.add_row(match["opponent"], *counts, f"{match['score']:.1%}", f"{low:.1%} to {high:.1%}", *seats)
    return table
