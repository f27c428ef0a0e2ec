"""`cartridge games`: what there is to play."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ..registry import list_games, make_game
from . import store
from .positions import builtin_positions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write the list to FILE, or print it")


def run(args: argparse.Namespace) -> int:
    """Prints the table of installed games, or writes it as JSON."""
    rows = [describe(env_id) for env_id in list_games()]
    if args.json == "-":
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    if args.json:
        store.write_json(Path(args.json), rows)
    Console().print(_table(rows))
    return 0


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
