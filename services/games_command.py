"""`cartridge games`: what there is to play, and with `--check` whether a game keeps the laws of the contract."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ..registry import BrokenGameError, list_games, make_game, unreachable_games
from . import store
from .flags import whole_number
from .positions import builtin_positions

_WIDTH = 120  # characters of the table in a file or pipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write the list to FILE, or print it")
    form.add_argument("--check", metavar="ID", help="hold every law of the game contract against this game")
    games, seeds = whole_number(1, 1 << 16), whole_number(0, (1 << 32) - 1)
    parser.add_argument("--games", type=games, default=32, metavar="N", help="random games of it (default: 32)")
    parser.add_argument("--seed", type=seeds, default=0, metavar="S", help="of the random games (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Prints the table of installed games, or writes it as JSON; or checks one game."""
    if args.check is not None:
        return check(args.check, args.games, args.seed)
    rows, broken = _installed()
    if args.json == "-":
        sys.stdout.write(json.dumps([*rows, *broken], indent=1) + "\n")
        return 0
    if args.json:
        store.write_json(Path(args.json), [*rows, *broken])
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(_table(rows))
    for row in broken:
        console.print(f"broken: {row['broken']}", style="red", highlight=False, markup=False, soft_wrap=True)
    return 0


def check(env_id: str, num_games: int, seed: int) -> int:
    """Tries law after law, with a line for each as it is done; 1 at the first that the game breaks."""
    from ..engine.conformance import ConformanceError, check_game

    game, console = make_game(env_id), Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{env_id} {game.spec.build_id}: {num_games} random games, seed {seed}")
    with console.status("") as status:  # on a terminal, the law on trial: large games take a while
        begun = time.monotonic()

        def show(law: str, holds: bool) -> None:
            nonlocal begun
            status.update(law)
            if holds:
                console.print(f"  ✓ {law:<16}{time.monotonic() - begun:6.1f} s")
            else:
                begun = time.monotonic()

        try:
            check_game(game, num_games, seed, report=show)
        except ConformanceError as error:
            console.print(f"  ✗ {error.law}\n{error}", style="red")
            return 1
    console.print(f"{env_id} keeps every law")
    return 0


def _installed() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(games that can be played, described; those that cannot, each with the reason)."""
    rows, broken = [], []
    for env_id in list_games():
        try:
            rows.append(describe(env_id))
        except BrokenGameError as error:
            broken.append({"env_id": env_id, "broken": str(error)})
    return rows, broken + [{"env_id": name, "broken": reason} for name, reason in unreachable_games()]


def describe(env_id: str) -> dict[str, Any]:
    """One game's spec in plain values."""
    spec = make_game(env_id).spec
    return {
        "env_id": spec.env_id,
        "version": spec.version,
        "build_id": spec.build_id,
        "players": spec.num_players,
        "actions": spec.num_actions,
        "observation": list(spec.observation_shape),
        "state_bytes": spec.state_bytes,
        "options": dict(spec.options),
        "stochastic": spec.stochastic,
        "hidden_information": spec.hidden_information,
        "solved_positions": builtin_positions(env_id) is not None,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    """`bytes` is the packed size of one game's state; `solved` says that positions with exact scores ship."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    headings = ("game", "players", "actions", "observation", "bytes", "options", "solved", "build id")
    for heading in headings:
        number = heading in ("players", "actions", "bytes")
        table.add_column(heading, justify="right" if number else "left", no_wrap=heading in ("game", "build id"))
    for row in rows:
        table.add_row(
            row["env_id"],
            str(row["players"]),
            str(row["actions"]),
            " x ".join(map(str, row["observation"])),
            str(row["state_bytes"]),
            ", ".join(f"{key}={value}" for key, value in row["options"].items()),
            "yes" if row["solved_positions"] else "",
            row["build_id"],
        )
    return table
