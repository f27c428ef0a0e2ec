"""A benchmark as it is watched: a bar, what was left out, and each row on the disk as soon as it is measured."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich import progress
from rich.console import Console

from ..bench.progress import Progress, Report
from ..bench.rows import rows_to_json
from . import store

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

AnyRow = TypeVar("AnyRow", bound="DataclassInstance")


def collect(measure: Callable[[Report], Iterable[AnyRow]], file: Path | None, notices: Console) -> list[AnyRow]:
    """All rows that `measure` yields, given where to report to; `file` holds them as far as it came."""
    results: list[AnyRow] = []
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.percentage:.0f} %"),
    )
    with progress.Progress(*columns, console=notices, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(stage: Progress) -> None:
            bar.update(task, completed=stage.done, description=stage.text)
            if stage.skipped:
                notices.print(f"left out of {stage.text}", highlight=False, markup=False, soft_wrap=True)

        for row in measure(show):
            results.append(row)
            if file:
                store.write_bytes(file, rows_to_json(results).encode())
    return results
