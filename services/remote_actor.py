"""An actor in a process of its own: fetches weights, plays unrolls, appends them to replay, and so on without end.

It keeps nothing. Killed at any moment it loses the unroll that it is playing, which nobody was told of.
"""

from functools import partial
from typing import Any

import jax
import numpy as np

from ..actor import network as actor_network
from ..actor import selfplay, weights
from ..actor.evaluators import network_evaluator
from ..client import CallError, Replay, Weights
from ..engine import codec
from ..engine.spec import SpecError
from ..proto.replay.v1 import replay_pb2 as pb
from ..registry import make_game
from . import config
from .remote import WAIT_SECONDS, Waiting, is_wait
from .stopping import Stop


class RemoteActor:
    """Plays for one run.

    Args:
      seed: of its games; two actors with the same one play the same.

    Raises:
      SpecError: the game here has other rules than that of the run.
    """

    def __init__(self, replay: Replay, store: Weights, seed: int, stop: Stop, waiting: Waiting) -> None:
        self._weights, self._stop, self._waiting = store, stop, waiting
        info = replay.info()
        self.config = config.from_json(info.run["config"])
        self.game = make_game(self.config.game)
        here, there = self.game.spec.build_id, info.spec.build_id
        if self.game.spec.fingerprint() != info.spec.fingerprint():
            raise SpecError(f"{self.config.game} is {here} here and {there} in this run: install the same version")
        self._network = actor_network.build(self.game.spec, self.config.network)
        self._appender = replay.appender(timeout=WAIT_SECONDS)
        self._version, self._params = -1, None
        self._games = jax.jit(partial(selfplay.begin, self.game, config=self.config.selfplay))(jax.random.PRNGKey(seed))
        self._unroll = jax.jit(self._play)
        self.chunks = 0

    @property
    def number(self) -> int:
        """By which replay knows it."""
        return self._appender.actor

    def run(self) -> None:
        """Plays until it is told to stop.

        Raises:
          CallError: a server refuses what no waiting mends.
        """
        self._fetch()
        before: pb.Played | None = None  # what the rows of the next unroll were: they come one unroll later
        while not self._stop.asked:
            version = self._version
            self._games, rows, stats = self._unroll(self._params, self._games)
            if before is not None:
                newest = self._append(rows, before)
                if newest > self._version:
                    self._fetch()
            before = _played(version, jax.device_get(stats))

    def _play(self, params: Any, games: Any) -> Any:
        evaluate = network_evaluator(self.game, self._network, params)
        return selfplay.unroll(self.game, evaluate, games, self.config.selfplay, self.config.search)

    def _append(self, rows: selfplay.Samples[Any], played: pb.Played) -> int:
        """Stores a chunk, however long it takes; returns the newest version that the learner has published."""
        host = jax.device_get(rows)
        chunk = {"state": codec.pack_state(host.state), "policy": host.policy, "value": host.value}
        while True:
            try:
                reply = self._appender.append(chunk, played)
            except CallError as error:
                if not is_wait(error):
                    raise
                self._waiting.on("the learner", str(error))
                continue
            self._waiting.over("the learner")
            self.chunks += 1
            return reply.newest_version if reply.HasField("newest_version") else -1

    def _fetch(self) -> None:
        """Takes the newest weights; waits where there are none yet."""
        while True:
            newest = self._weights.newest()
            if newest is None:
                self._waiting.on("the first weights", "the learner has published none yet")
                self._stop.wait(WAIT_SECONDS / 4)
                continue
            try:
                data = self._weights.fetch(newest)
            except CallError as error:
                if error.code.name != "NOT_FOUND":  # it gave way to newer ones meanwhile
                    raise
                continue
            self._waiting.over("the first weights")
            self._params = weights.load(data, newest.manifest, self.game.spec, self._network)
            self._version = newest.version
            return


def _played(version: int, stats: selfplay.SelfPlayStats) -> pb.Played:
    return pb.Played(
        weights_version=version,
        episodes=int(stats.episodes),
        episode_moves=int(stats.episode_moves),
        first_wins=int(stats.first_wins),
        second_wins=int(stats.second_wins),
        policy_entropy=float(np.asarray(stats.policy_entropy)),
        distinct_openings=float(np.asarray(stats.distinct_openings)),
    )
