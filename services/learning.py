"""A remote learner's run from start to end: its folder, its checkpoints and its logs."""

import time
from pathlib import Path

import torch

from ..client import Replay, Weights
from . import checkpoint
from .console import RunView
from .remote import Waiting
from .remote_learner import RemoteLearner
from .run_directory import RunDirectory
from .saver import Saver
from .stopping import Stop
from .tracking import Tracker

_SAVING_SHARE = 20  # one part in so many of the time may go into checkpoints


class Learning:
    """A remote learner that is saved after every iteration, or as often as that costs little.

    Without replay a checkpoint is as small as the network; so a learner that is killed loses seconds.

    Raises:
      RunError: the folder is another run's, or another process is training it.
    """

    def __init__(
        self, root: Path, replay: Replay, weights: Weights, view: RunView, stop: Stop, waiting: Waiting
    ) -> None:
        self._directory, self._view, self._stop = _folder(root, replay), view, stop
        device = "cuda" if torch.cuda.is_available() else "cpu"
        saved = checkpoint.load_newest(self._directory.checkpoints)
        self.learner = RemoteLearner(replay, weights, device, saved, stop, waiting)
        self._tracker = Tracker(self._directory, resumed_at=max(0, self.learner.counters.iteration))
        self._saver = Saver(view.say)
        self._not_before = 0.0
        told = "begins" if saved is None else f"goes on after {self.learner.counters.updates:,} updates"
        view.say(f"learner of {self.learner.config.game} on {device} {told}")

    def run(self) -> bool:
        """Learns, and saves in the end; whether the run came to its end.

        Raises:
          StoppedError: it was told to stop.
          CallError: a server refuses what no waiting mends.
        """
        try:
            for metrics in self.learner.iterations():
                self._tracker.metrics(metrics | self._saving())
                self._view.show(metrics)
                self._save_if_due()
                if self._stop.asked:
                    break
        finally:
            self._save()
            self._saver.close()
            self._tracker.close()
        return self.learner.progress >= 1.0

    def _saving(self) -> dict[str, float]:
        return {"checkpoint_stalled": float(self._saver.stalled), "seconds_saving": self._saver.seconds}

    def _save_if_due(self) -> None:
        if self._saver.ready and time.monotonic() >= self._not_before:
            self._save()

    def _save(self) -> None:
        snapshot, kept = self.learner.snapshot(), self.learner.config.run.checkpoints_kept
        if snapshot.step < 0:
            return  # nothing was learnt, nor could it be published

        def write() -> None:
            checkpoint.save(self._directory.checkpoints, snapshot)
            checkpoint.keep_newest(self._directory.checkpoints, kept)

        self._saver.begin(write)
        self._not_before = time.monotonic() + _SAVING_SHARE * self._saver.seconds


def _folder(root: Path, replay: Replay) -> RunDirectory:
    """The learner's folder, made if there is none; that of the replay service will do."""
    run = replay.info().run
    directory = RunDirectory(root)
    if (root / "run.json").exists():
        directory.require_run(run)
    else:
        RunDirectory.create(root, dict(run))
    directory.lock()
    return directory
