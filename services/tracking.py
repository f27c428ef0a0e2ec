"""Where a run's records go: JSON lines, games and TensorBoard. A full disk costs records, never the run."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from . import store
from .run_directory import RunDirectory

_GROUPS = ("loss", "seconds", "entropy", "replay", "sample", "episode", "weights", "learning", "gradient")


class Tracker:
    """Writes the records of one run, having dropped those beyond iteration `resumed_at` (0 for a new run)."""

    def __init__(self, directory: RunDirectory, resumed_at: int) -> None:
        self._directory = directory
        self._warned = False
        store.cut_json_lines(directory.metrics, "iteration", resumed_at)
        store.cut_json_lines(directory.evaluations, "iteration", resumed_at)
        self._board = SummaryWriter(str(directory.tensorboard), purge_step=resumed_at + 1)

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Records one iteration."""
        self._guard(lambda: store.append_json_line(self._directory.metrics, dict(metrics)))
        self._guard(lambda: self._to_board(metrics))

    def evaluation(self, record: Mapping[str, Any]) -> None:
        """Records one evaluation, with its numbers nested by set as TensorBoard scalars `strength/...`."""
        self._guard(lambda: store.append_json_line(self._directory.evaluations, dict(record)))
        step = int(record["iteration"])
        for name in ("raw", "search"):
            for group, rates in record.get(name, {}).items():
                self._guard(lambda n=name, g=group, r=rates: self._scalar(f"strength/{n}_error/{g}", r["error"], step))

    def episode(self, record: Mapping[str, Any]) -> None:
        """Writes a record of `episodes` to games/."""
        path = self._directory.games / f"{record['weights_version']}.json"
        self._guard(lambda: store.write_json(path, dict(record)))

    def close(self) -> None:
        """Flushes TensorBoard."""
        self._guard(self._board.close)

    def _to_board(self, metrics: Mapping[str, float]) -> None:
        step = int(metrics["iteration"])
        for name, value in metrics.items():
            group, _, rest = name.partition("_")
            self._scalar(f"{group}/{rest}" if group in _GROUPS and rest else f"run/{name}", value, step)

    def _scalar(self, tag: str, value: float, step: int) -> None:
        self._board.add_scalar(tag, value, step)

    def _guard(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            if not self._warned:
                warnings.warn(f"cannot record metrics in {self._directory.root}: {error}; going on", stacklevel=3)
            self._warned = True
