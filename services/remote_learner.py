"""A learner in a process of its own: batches from the replay service in, versions of weights out; it loads no JAX.

One iteration is as many updates as a chunk of moves makes due, and ends with a version that actors can fetch. A version
has its iteration's number. Since versions never fall, a learner that was killed goes on above what it had published,
from the state that it had saved: a few updates are lost, and no number means two things.
"""

import dataclasses
import time
from collections.abc import Iterator, Mapping

import grpc
import numpy as np
import torch
from torch import Tensor

from ..client import CallError, Replay, Sampled, Weights
from ..learner import publish
from ..learner.learner import Batch, Learner
from ..proto.replay.v1 import replay_pb2 as pb
from . import config
from .checkpoint import Checkpoint
from .counters import Counters
from .remote import WAIT_SECONDS, StoppedError, Waiting
from .stopping import Stop

Metrics = dict[str, float]

_OUTPUTS = ("obs", "mask", "policy", "value", "age")
_ASK_AGAIN = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED)  # no moves yet; all rows were forgotten


class RemoteLearner:
    """Learns from what others play.

    Args:
      device: of torch.
      saved: where to go on; None to begin.
    """

    def __init__(
        self, replay: Replay, store: Weights, device: str, saved: Checkpoint | None, stop: Stop, waiting: Waiting
    ) -> None:
        self._replay, self._weights, self._stop, self._waiting = replay, store, stop, waiting
        self._info = replay.info()
        self.config = config.from_json(self._info.run["config"])
        self.learner = Learner(
            self._info.spec, self.config.network, self.config.learner, self.config.run.seed, device
        )
        self.counters = Counters()
        if saved is not None:
            self.learner.load_state(saved.tensors, saved.state["learner"])
            self.counters = Counters(**saved.state["counters"])
        self.counters.iteration = max(store.highest(), -1 if saved is None else saved.step)
        self._before = replay.stats()
        self._sampler = replay.sampler(self.config.learner.batch_size, _OUTPUTS, timeout=WAIT_SECONDS)
        due = self.config.replay.samples_per_move * self.config.selfplay.rows_per_unroll
        self._updates = max(1, round(due / self.config.learner.batch_size))  # of an iteration

    @property
    def progress(self) -> float:
        """How much of the run is done, in [0, 1]."""
        return self.config.run.progress(self.counters.updates, self.counters.seconds)

    def iterations(self) -> Iterator[Metrics]:
        """Publishes what there is, and learns to the end of the run; yields the metrics of each iteration.

        Raises:
          StoppedError: it was told to stop. What was learnt until then is in `snapshot`.
          CallError: a server refuses what no waiting mends.
        """
        if self.progress < 1.0:
            self._publish()
        while self.progress < 1.0:
            yield self._iterate()

    def snapshot(self) -> Checkpoint:
        """All that there is; replay is kept where it is served."""
        tensors, learner_state = self.learner.state()
        state = {"counters": dataclasses.asdict(self.counters), "learner": learner_state}
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
        return Checkpoint(self.counters.iteration, {}, tensors, state)

    def _iterate(self) -> Metrics:
        totals: dict[str, float] = {}
        spent = {"sample": 0.0, "learn": 0.0, "publish": 0.0}
        for _ in range(self._updates):
            begun = time.perf_counter()
            drawn = self._draw()
            waited = min(time.perf_counter() - begun, WAIT_SECONDS)  # a run's time is not spent by missing actors
            begun = time.perf_counter()
            for name, value in self._learn(drawn).items():
                totals[name] = totals.get(name, 0.0) + value
            learnt = time.perf_counter() - begun
            spent["sample"] += waited
            spent["learn"] += learnt
            self.counters.seconds += waited + learnt
        rate = self.learner.learning_rate(self.progress)
        begun = time.perf_counter()
        self._publish()
        spent["publish"] = min(time.perf_counter() - begun, WAIT_SECONDS)
        self.counters.seconds += spent["publish"]
        means = {name: total / self._updates for name, total in totals.items()} | {"learning_rate": rate}
        return self._describe(spent) | means

    def _draw(self) -> Sampled:
        """A batch, however long it takes."""
        while True:
            if self._stop.asked:
                raise StoppedError
            try:
                drawn = self._sampler.sample(self.counters.iteration)
            except CallError as error:
                if error.code not in _ASK_AGAIN:
                    raise
                self._waiting.on("moves", str(error))
                continue
            self._waiting.over("moves")
            return drawn

    def _learn(self, drawn: Sampled) -> Metrics:
        progress = self.progress
        first = self.config.replay.importance_exponent
        tensors = {name: self._lent(drawn.arrays[name]) for name in ("observation", "legal_actions", "policy", "value")}
        weight = self._lent(importance_weights(drawn, first + (1.0 - first) * progress))
        tensors["observation"] = tensors["observation"].float()  # it came in bits or bytes
        scalars, errors = self.learner.update(Batch(**tensors, weight=weight), progress)
        if self._info.description.prioritised:
            # An update that had to be skipped has no errors to tell.
            self._replay.update_priorities(drawn, np.nan_to_num(errors.cpu().numpy()))
        self.counters.updates += 1
        self.counters.samples += len(drawn.rows)
        age = float(np.mean(drawn.arrays["age"]))
        return {name: float(value) for name, value in scalars.items()} | {"sample_age": age}

    def _lent(self, array: np.ndarray) -> Tensor:
        """A copy, since what came from the wire is read-only."""
        return torch.from_numpy(np.array(array)).to(self.learner.device)

    def _publish(self) -> None:
        """The next version; where the server's disk is full, only its number is lost."""
        self.counters.iteration += 1
        data, manifest = publish.export(
            self.learner.published(),
            version=self.counters.iteration,
            learner_step=self.counters.updates,
            game=self._info.spec,
            network=self.config.network,
            seed=self.config.run.seed,
            config_hash=self.config.hash(),
            created_at=self._info.run["created_at"],
        )
        try:
            self._weights.publish(data, manifest, self._info.run)
        except CallError as error:
            if error.code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            self._waiting.on("room for weights", str(error))
            return
        self._waiting.over("room for weights")

    def _describe(self, spent: Mapping[str, float]) -> Metrics:
        counters, stats = self.counters, self._replay.stats()
        before, self._before = self._before, stats
        counters.moves, counters.episodes = stats.inserted, stats.played.episodes
        took = sum(spent.values())
        return {
            "iteration": counters.iteration,
            "seconds": counters.seconds,
            "progress": self.progress,
            "moves": counters.moves,
            "updates": counters.updates,
            "samples": counters.samples,
            "episodes": counters.episodes,
            "version": counters.iteration,
            "moves_per_s": max(0, stats.inserted - before.inserted) / took,
            "replay_ratio": counters.samples / max(counters.moves, 1),
            "replay_fill": stats.rows / self._info.description.capacity,
            "weights_lag": counters.iteration - stats.played.weights_version,
            "entropy_search": stats.played.policy_entropy,
            "distinct_openings": stats.played.distinct_openings,
            **_since(before.played, stats.played),
            **{f"seconds_{phase}": seconds for phase, seconds in spent.items()},
        }


def importance_weights(drawn: Sampled, beta: float) -> np.ndarray:
    """f32[N]: (filled * p) ** -beta over the largest; the twin of that in `replay/samplers.py`."""
    weights = (drawn.filled * drawn.probability) ** np.float32(-beta)
    return (weights / weights.max()).astype(np.float32)


def _since(before: pb.Played, now: pb.Played) -> Metrics:
    """What the games were like that ended in between; a server that lost its memory counts anew."""
    if now.episodes < before.episodes:
        before = pb.Played()
    episodes = max(now.episodes - before.episodes, 1)
    return {
        "episode_length": (now.episode_moves - before.episode_moves) / episodes,
        "first_win_rate": (now.first_wins - before.first_wins) / episodes,
        "second_win_rate": (now.second_wins - before.second_wins) / episodes,
    }
