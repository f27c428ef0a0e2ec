"""What a person sees while a run goes on: a live panel on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

_LINE_EVERY_SECONDS = 15.0
_PHASES = ("selfplay", "sample", "learn", "wait", "publish")


class RunView:
    """Shows the newest metrics and evaluation. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._last_line = 0.0
        self._strength = "not yet measured"

    def __enter__(self) -> "RunView":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *reason: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, metrics: Mapping[str, float]) -> None:
        """Takes one iteration's metrics."""
        if self._live:
            self._live.update(self._panel(metrics), refresh=True)
        elif time.monotonic() - self._last_line > _LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(_line(metrics), highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Prints a line that stays."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def strength(self, record: Mapping[str, Any]) -> None:
        """Takes one evaluation on solved positions."""
        raw, search = record["raw"]["mean"]["error"], record["search"]["mean"]["error"]
        self._strength = f"{search:.2f} % errors with search, {raw:.2f} % without"
        self.say(f"  solver check after {record['seconds'] / 60:.1f} min: {self._strength}")

    def _panel(self, metrics: Mapping[str, float]) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_row("progress", ProgressBar(total=1.0, completed=metrics["progress"], width=40), _eta(metrics))
        table.add_row("speed", f"{metrics['moves_per_s']:,.0f} moves/s", f"{metrics['moves']:,.0f} moves")
        table.add_row("time", _phases(metrics), f"{metrics['updates']:,.0f} updates")
        if "loss_policy" in metrics:
            losses = f"policy {metrics['loss_policy']:.3f}  value {metrics['loss_value']:.3f}"
            table.add_row("loss", losses, f"rate {metrics['learning_rate']:.1e}")
        table.add_row("games", _games(metrics), f"{metrics['episodes']:,.0f} episodes")
        table.add_row("strength", self._strength, f"weights version {metrics['version']:.0f}")
        return table


def _line(metrics: Mapping[str, float]) -> str:
    losses = ""
    if "loss_policy" in metrics:
        losses = f"  loss {metrics['loss_policy']:.3f} + {metrics['loss_value']:.3f}"
    return (
        f"{metrics['progress']:6.1%}  iteration {metrics['iteration']:.0f}  {metrics['moves']:,.0f} moves"
        f"  {metrics['moves_per_s']:,.0f}/s  {metrics['updates']:,.0f} updates{losses}  ({_phases(metrics)})"
        f"  {_eta(metrics)}"
    )


def _phases(metrics: Mapping[str, float]) -> str:
    spent = {phase: metrics.get(f"seconds_{phase}", 0.0) for phase in _PHASES}
    total = sum(spent.values()) or 1.0
    return "  ".join(f"{phase} {seconds / total:.0%}" for phase, seconds in spent.items() if seconds / total > 0.005)


def _games(metrics: Mapping[str, float]) -> str:
    first, second = metrics["first_win_rate"], metrics["second_win_rate"]
    return f"first {first:.0%}  second {second:.0%}  drawn {max(0.0, 1 - first - second):.0%}"


def _eta(metrics: Mapping[str, float]) -> str:
    progress = metrics["progress"]
    if progress <= 0:
        return "ETA unknown"
    left = metrics["seconds"] * (1 - progress) / progress
    return f"ETA {left // 60:.0f}:{left % 60:02.0f}"
