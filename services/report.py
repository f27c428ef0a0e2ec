"""What a finished run ends with: how strong the agent got, in a table, a JSON file and a picture of its curve."""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from . import curve, store

if TYPE_CHECKING:
    from .training import Run


def write(run: "Run", console: Console) -> None:
    """Evaluates the final weights, prints the table and writes report.json and curve.svg into the run's folder."""
    record = run.evaluate()
    counters = run.trainer.counters
    console.print(
        f"{run.config.game}: {counters.seconds / 60:.1f} minutes of training, {counters.moves:,} moves, "
        f"{counters.episodes:,} games, {counters.updates:,} updates"
    )
    if record is None:
        console.print(f"no solved positions ship for {run.config.game}; measure it by matches: cartridge eval")
        return
    console.print(strength_table(record, run.config.run.eval_simulations))
    root = run.directory.root
    try:
        store.write_json(root / "report.json", {**run.directory.describe(), "result": record})
        history = store.read_json_lines(run.directory.evaluations)
        store.write_bytes(root / "curve.svg", curve.strength_svg(history, run.config.game).encode())
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
