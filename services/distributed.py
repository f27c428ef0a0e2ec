"""A run in many processes on this machine: replay, weights and a learner, and actors that can be killed at any time.

They are the processes that anybody can start on many machines; here they meet at sockets in a private folder. What is
left for this process is to keep them alive, to show what the learner records, and to measure strength.
"""

import os
import shutil
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..actor import network as actor_network
from ..actor import weights
from ..registry import make_game
from . import config, stopping
from .console import RunView
from .counters import Counters
from .run_directory import RunDirectory
from .strength import StrengthLog
from .supervisor import Role, Supervisor
from .tail import JsonTail
from .tracking import Tracker

_LOOK_SECONDS = 0.25


class DistributedRun:
    """A run whose settings ask for actors of their own.

    Raises:
      RunError: another process is training this run.
    """

    def __init__(self, directory: RunDirectory, view: RunView) -> None:
        directory.lock()
        directory.lock("supervisor")
        directory.release()  # the learner's now
        self.directory, self.view = directory, view
        self.config = config.from_json(directory.describe()["config"])
        self.game = make_game(self.config.game)
        self._network = actor_network.build(self.game.spec, self.config.network)
        self._tracker = Tracker(directory, resumed_at=max(directory.versions(), default=0))
        self._strength = StrengthLog(self.game, self._network, self.config, directory, self._tracker, view)
        self._records = JsonTail(directory.metrics)
        self._newest: dict[str, Any] = {}
        self._evaluated_at = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="strength")
        self._measuring: Future[Any] | None = None

    @property
    def counters(self) -> Counters:
        """How far the run is."""
        return Counters(**{name: self._newest.get(name, 0) for name in Counters.__dataclass_fields__})

    @property
    def saved(self) -> bool:
        """Whether the learner's newest state is on the disk, as far as it has told."""
        return not self._newest.get("checkpoint_stalled")

    def train(self) -> bool:
        """Trains to the end, True; or until a signal asks to stop, False.

        Raises:
          SupervisorError: one of the processes fails again and again.
        """
        self._read()
        self._evaluated_at = self.counters.seconds
        if self.config.run.progress(self.counters.updates, self.counters.seconds) >= 1.0:
            return True
        logs, sockets = self.directory.root / "logs", Path(tempfile.mkdtemp(prefix="cartridge-"))
        actors = f"actors ({self.config.run.actors})"
        self.view.say(f"processes: {actors}, learner, replay, weights; what they say is in {logs}")
        try:
            roles = self._roles(sockets)
            with stopping.on_signals() as stop, Supervisor(roles, logs, os.environ, self.view.say) as supervisor:
                finished = self._watch(supervisor, stop)
            self._read()
        finally:
            self._thread.shutdown()
            shutil.rmtree(sockets, ignore_errors=True)
        return finished

    def evaluate(self) -> dict[str, Any] | None:
        """Measures the newest weights, see `StrengthLog.evaluate`."""
        data, manifest = self.directory.load_weights(self.game.spec)
        params = weights.load(data, manifest, self.game.spec, self._network)
        names = ("seconds", "moves", "updates")
        counts = {name: getattr(self.counters, name) for name in names} | {"iteration": manifest.version}
        return self._strength.evaluate(params, manifest.version, counts)

    def _watch(self, supervisor: Supervisor, stop: stopping.Stop) -> bool:
        while not stop.asked:
            if supervisor.look():
                return True
            self._read()
            self._evaluate_if_due()
            stop.wait(_LOOK_SECONDS)
        self.view.say("stopping")
        return False

    def _read(self) -> None:
        for record in self._records.new():
            self._newest = record
        if self._newest:
            self.view.show(self._newest)

    def _evaluate_if_due(self) -> None:
        """Lets a thread measure, for processes may die meanwhile."""
        if self._measuring is not None:
            if not self._measuring.done():
                return
            self._measuring.result()
            self._measuring = None
        if self.counters.seconds - self._evaluated_at >= 60 * self.config.run.evaluate_minutes:
            self._evaluated_at = self.counters.seconds
            self._measuring = self._thread.submit(self.evaluate)

    def _roles(self, sockets: Path) -> list[Role]:
        root = str(self.directory.root)
        replay, store = f"unix:{sockets / 'replay'}", f"unix:{sockets / 'weights'}"
        reached = ("--replay", replay, "--weights", store)
        return [
            Role("weights", ("serve", "weights", root, "--address", store), serves=True),
            Role("replay", ("serve", "replay", "--run-dir", root, "--address", replay), serves=True),
            Role("learner", ("learner", "--run-dir", root, *reached), ends=True),
            *(Role(f"actor-{number}", ("actor", *reached)) for number in range(1, self.config.run.actors + 1)),
        ]


def require_possible(settings: config.TrainConfig) -> None:
    """`ConfigError` where settings do not go together with actors of their own, if there are to be any."""
    if settings.run.actors and settings.run.mirror:
        raise config.ConfigError(
            "run.mirror does not go with run.actors: replay's log stays on this machine; copy the run's folder instead"
        )
