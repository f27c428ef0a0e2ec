"""What a finished run ends with: how strong the agent got, in a table, a JSON file and a picture of its curve."""

from typing import Any

from rich.console import Console
from rich.table import Table

from . import curve, store
from .config import TrainConfig
from .counters import Counters
from .run_directory import RunDirectory


def write(
    record: dict[str, Any] | None, counters: Counters, settings: TrainConfig, directory: RunDirectory, console: Console
) -> None:
    """Prints how strong the agent got and writes report.json and curve.svg into the run's folder.

    Args:
      record: the evaluation of the last weights; None where the game has no solved positions.
    """
    console.print(
        f"{settings.game}: {counters.seconds / 60:.1f} minutes of training, {counters.moves:,} moves, "
        f"{counters.episodes:,} games, {counters.updates:,} updates"
    )
    if record is None:
        console.print(f"no solved positions ship for {settings.game}; measure it by matches: cartridge eval")
        return
    console.print(strength_table(record, settings.run.eval_simulations))
    root = directory.root
    try:
        store.write_json(root / "report.json", {**directory.describe(), "result": record})
        history = store.read_json_lines(directory.evaluations)
        store.write_bytes(root / "curve.svg", curve.strength_svg(history, settings.game).encode())
    except OSError as error:
        console.print(f"cannot write the report to {root}: {error}")
    hints = {"more": "cartridge eval", "play it": "cartridge play", "curves": "tensorboard --logdir"}
    for what, command in hints.items():
        console.print(f"{what + ':':<8} {command} {root}", highlight=False, soft_wrap=True)


def strength_table(record: dict[str, Any], num_simulations: int) -> Table:
    """Errors by set of positions, for the network alone and with search."""
    table = Table(title="moves that give away the game's value, measured against a perfect solver")
    for heading in ("positions", "network alone", f"search, {num_simulations} simulations"):
        table.add_column(heading, justify="left" if heading == "positions" else "right")
    for name in record["search"]:
        style = "bold" if name == "mean" else None
        raw, search = record["raw"][name]["error"], record["search"][name]["error"]
        table.add_row(name, f"{raw:.2f} %", f"{search:.2f} %", style=style)
    return table
