"""A new run whose replay holds exported rows from the start, and goes on from there by `cartridge train --resume`.

Every row is looked at before it is believed, and nothing is written before all of them were.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..engine import codec
from ..replay import export
from ..replay.export import Columns
from ..replay.flaws import BATCH, first_flaw
from . import checkpoint, new_run, replay_setup, store, training
from .config import TrainConfig
from .replay_folder import ReplayDataError, ReplayFolder
from .run_directory import RunDirectory, RunError
from .trainer import Trainer


@dataclasses.dataclass(frozen=True)
class Imported:
    """What became of the rows of a folder."""

    rows: int  # in the new replay
    dropped: int  # the oldest, for which there was no room
    left_out: int  # the last, too few for a whole block
    manifest_sha256: str


def make_run(
    folder: ReplayFolder, settings: TrainConfig, root: Path, *, truncate: bool, progress: Callable[[int], None]
) -> Imported:
    """Makes the run and its checkpoint of step 0; `progress` is told how many rows were read so far.

    With `truncate` the newest rows are kept where not all have room. In a replay that draws by priority, imported rows
    begin with the priority that all new rows get.

    Raises:
      ReplayDataError: the data is damaged, a row cannot be, or the rows are too many or too few.
      RunError: there is a run already, or the folder cannot be written to.
    """
    RunDirectory.require_free(root)
    description = new_run.description(settings, training.torch_device())
    trainer = Trainer(folder.game, settings, description["created_at"])
    first = _first_rows(folder.manifest.rows_by_group, trainer.replay.capacity, truncate)
    dropped = sum(first)
    row, count = replay_setup.row(folder.game), 0
    for block in export.blocks(_wanted(folder, first, progress), trainer.rows_per_unroll):
        states = codec.split_words(folder.game, block["state"])
        trainer.replay.fill(export.rows(row, states, block))
        count += trainer.rows_per_unroll
    if not count:
        raise ReplayDataError(
            f"{folder.manifest.num_rows - dropped:,} rows are fewer than one block of {trainer.rows_per_unroll:,}: "
            "lower --selfplay.num-games or --selfplay.unroll-length"
        )
    left_out = folder.manifest.num_rows - dropped - count
    imported = Imported(count, dropped, left_out, folder.manifest_sha256)
    try:
        with store.building(root) as building:
            directory = RunDirectory.create(building, description | {"import": dataclasses.asdict(imported)})
            directory.publish(trainer.weights, trainer.manifest)
            checkpoint.save(directory.checkpoints, trainer.snapshot())
    except OSError as error:
        raise RunError(f"cannot write to {root}: {error.strerror or error}; choose another --run-dir") from error
    return imported


def _first_rows(rows_by_group: Sequence[int], capacity: int, truncate: bool) -> list[int]:
    """For each group the number of the first row to keep: as many of the newest from each as there is room for."""
    total = sum(rows_by_group)
    if total <= capacity:
        return [0] * len(rows_by_group)
    if not truncate:
        raise ReplayDataError(
            f"there are {total:,} rows and replay.capacity is {capacity:,}: make it larger with --replay.capacity, or "
            "give --truncate to keep the newest"
        )
    low, high = 0, capacity  # the largest number of rows a group may keep lies between
    while low < high:
        middle = (low + high + 1) // 2
        fits = sum(min(size, middle) for size in rows_by_group) <= capacity
        low, high = (middle, high) if fits else (low, middle - 1)
    return [size - min(size, low) for size in rows_by_group]


def _wanted(folder: ReplayFolder, first: Sequence[int], progress: Callable[[int], None]) -> Iterator[Columns]:
    """The rows from the `first` of each group on, all of them looked at."""
    read, columns = 0, folder.manifest.columns
    for shard, start, piece in folder.pieces(BATCH):
        _require_flawless(folder, shard, start, piece)
        index = piece["step"] * columns + piece["column"]
        keep = index >= np.asarray(first)[piece["group"]]
        yield {name: values[keep] for name, values in piece.items()}
        read += len(keep)
        progress(read)


def _require_flawless(folder: ReplayFolder, shard: str, start: int, piece: Columns) -> None:
    states = codec.split_words(folder.game, piece["state"])
    flaw = first_flaw(folder.game, export.rows(replay_setup.row(folder.game), states, piece), piece["move"])
    if flaw is not None:
        row, what = flaw
        raise ReplayDataError(f"{shard} row {start + row}: {what}")
