"""One run from start to report: drives the trainer, keeps its folder, stops when asked and says how to go on."""

import time
from typing import Any

import torch

from ..engine.game import Game
from ..registry import make_game
from . import checkpoint, config, stopping
from .console import RunView
from .counters import Counters
from .mirror import Mirror
from .run_directory import RunDirectory
from .saver import Saver
from .strength import StrengthLog
from .tracking import Tracker
from .trainer import Trainer


class Run:
    """A trainer with its folder, its logs and its clock."""

    def __init__(self, directory: RunDirectory, view: RunView, *, truncate: bool = False) -> None:
        """Opens the folder of a run, new or to be resumed: the newest whole checkpoint, if any, is continued.

        `truncate` lets a checkpoint that holds more rows than there is room for lose its oldest.

        Raises:
          RunError: another process is training this run.
          CheckpointError: the checkpoint does not fit the run, see `Trainer.restore`; or there are some and none is
            whole.
        """
        directory.lock()
        described = directory.describe()
        self.directory, self.view = directory, view
        self.config = config.from_json(described["config"])
        self._mirror = Mirror(self.config.run.mirror) if self.config.run.mirror else None
        self.game: Game[Any] = make_game(self.config.game)
        self.trainer = Trainer(self.game, self.config, described["created_at"])
        saved = checkpoint.load_newest(directory.checkpoints)
        if saved is None and checkpoint.steps(directory.checkpoints):
            raise checkpoint.CheckpointError(
                f"no checkpoint in {directory.checkpoints} is whole; to begin again would undo the logs and weights of "
                "the run, which are as they were: train in a new folder, or remove the checkpoints"
            )
        if saved is not None:
            dropped = self.trainer.restore(saved, truncate=truncate)
            if dropped:
                capacity = self.trainer.replay.capacity
                view.say(f"the oldest {dropped:,} rows were dropped: replay.capacity is {capacity:,}")
        directory.forget_versions_after(self.trainer.version)
        self.tracker = Tracker(directory, resumed_at=saved.step if saved else 0)
        self._strength = StrengthLog(self.game, self.trainer.network, self.config, directory, self.tracker, view)
        self._saved_at = self._evaluated_at = self.trainer.counters.seconds
        self._saver = Saver(view.say)
        self._pause = 0.0  # seconds for which the last snapshot stopped the games

    def train(self) -> bool:
        """Trains to the end, True; or until a signal asks to stop, False. Either way it saves; see `saved`."""
        with stopping.on_signals() as stop:
            for metrics in self.trainer.iterations():
                self.tracker.metrics(metrics | self._saving())
                self.view.show(metrics)
                if stop.asked:
                    break
                self._save_if_due()
                self._evaluate_if_due()
            self.save()
            self._saver.close()
        return self.trainer.progress >= 1.0

    @property
    def counters(self) -> Counters:
        """How far the run is."""
        return self.trainer.counters

    @property
    def saved(self) -> bool:
        """Whether the newest state is on the disk."""
        return self._saver.finish()

    def save(self) -> None:
        """Copies the state, which stops the games for a moment, and lets it be written while training goes on."""
        begun = time.perf_counter()
        snapshot = self.trainer.snapshot()
        self._pause = time.perf_counter() - begun
        self._saved_at = self.trainer.counters.seconds
        weights, manifest, kept = self.trainer.weights, self.trainer.manifest, self.config.run.checkpoints_kept

        def write() -> None:
            self.directory.publish(weights, manifest)
            checkpoint.save(self.directory.checkpoints, snapshot)
            checkpoint.keep_newest(self.directory.checkpoints, kept)
            if self._mirror:
                self._mirror.upload(self.directory, snapshot.step, manifest.version, kept)

        self._saver.begin(write)

    def _saving(self) -> dict[str, float]:
        """What the records tell of it."""
        return {
            "checkpoint_stalled": float(self._saver.stalled),
            "seconds_snapshot": self._pause,
            "seconds_saving": self._saver.seconds,
        }

    def evaluate(self) -> dict[str, Any] | None:
        """Measures the newest weights, see `StrengthLog.evaluate`."""
        counters = self.trainer.counters
        self._evaluated_at = counters.seconds
        counts = {name: getattr(counters, name) for name in ("iteration", "seconds", "moves", "updates")}
        return self._strength.evaluate(self.trainer.params, self.trainer.version, counts)

    def _save_if_due(self) -> None:
        due = self.trainer.counters.seconds - self._saved_at >= 60 * self.config.run.checkpoint_minutes
        if (due or self._saver.stalled) and self._saver.ready:
            self.save()

    def _evaluate_if_due(self) -> None:
        if self.trainer.counters.seconds - self._evaluated_at >= 60 * self.config.run.evaluate_minutes:
            self.evaluate()


def torch_device() -> str:
    """Where torch computes."""
    return "cuda" if torch.cuda.is_available() else "cpu"
