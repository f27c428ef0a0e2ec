"""The local trainer: self-play, replay and learner joined on a fixed schedule.

Iteration k reads the ring, lets the games of unroll k be played with weights version k, and meanwhile fits the network
to what was read, which gives version k + 1. Then the unroll's samples enter the ring and the new weights go to the
actor. So the lag is exactly one version, the ring is read and written at fixed points, and a seed reproduces a run
whether or not the two halves overlap in time.
"""

import dataclasses
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import torch

from ..actor import network as actor_network
from ..actor import selfplay, weights
from ..actor.evaluators import network_evaluator
from ..engine import border
from ..engine.game import Game
from ..learner import publish
from ..learner.learner import Batch, Learner
from ..replay import batches, ring
from . import checkpoint
from .config import TrainConfig

Metrics = dict[str, float]


@dataclasses.dataclass
class Counters:
    """What has happened so far; saved with every checkpoint."""

    iteration: int = 0
    moves: int = 0
    episodes: int = 0
    samples: int = 0
    updates: int = 0
    seconds: float = 0.0  # of training, over all sessions of the run


class Trainer:
    """One run in memory. `iterations` drives it; everything about files, logs and signals is the caller's."""

    def __init__(self, game: Game[Any], config: TrainConfig, created_at: str) -> None:
        self.game, self.config = game, config
        self.counters = Counters()
        self._created_at = created_at
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.learner = Learner(game.spec, config.network, config.learner, config.run.seed, device)
        self.network = actor_network.build(game.spec, config.network)
        self.overlap = _overlaps(config)
        self._held = border.Held()
        self._compile()
        play_key, self._sample_key = jax.random.split(jax.random.PRNGKey(config.run.seed))
        self._games = self._begin(play_key)
        self._ring = _empty_ring(game, config)
        self._publish()

    @property
    def rows_per_unroll(self) -> int:
        """Samples that one iteration adds."""
        return self.config.selfplay.num_games * self.config.selfplay.unroll_length

    @property
    def updates_per_iteration(self) -> int:
        """Learner updates for each unroll, from the replay ratio."""
        samples = self.config.replay.samples_per_move * self.rows_per_unroll
        return max(1, round(samples / self.config.learner.batch_size))

    @property
    def version(self) -> int:
        """The newest weights version."""
        return self.manifest.version

    @property
    def progress(self) -> float:
        """How much of the run is done, in [0, 1], from saved counters alone."""
        run = self.config.run
        by_updates = self.counters.updates / run.updates if run.updates else 0.0
        by_time = self.counters.seconds / (60 * run.minutes) if run.minutes and not run.updates else 0.0
        return min(1.0, max(by_updates, by_time))

    def iterations(self) -> Iterator[Metrics]:
        """Runs to the end of the run, yielding each iteration's metrics; state is consistent at every yield."""
        while self.progress < 1.0:
            yield self._iterate()

    def save(self, folder: Any) -> None:
        """Writes a checkpoint of everything below `folder`."""
        tensors, learner_state = self.learner.state()
        state = {"counters": dataclasses.asdict(self.counters), "learner": learner_state}
        checkpoint.save(folder, self.counters.iteration, self._jax_state(), tensors, state)

    def restore(self, saved: checkpoint.Checkpoint) -> None:
        """Continues exactly where `saved` was written."""
        self._games, self._ring, self._sample_key = checkpoint.restore(self._jax_state(), saved.arrays)
        self.learner.load_state(saved.tensors, saved.state["learner"])
        self.counters = Counters(**saved.state["counters"])
        self._publish()

    def _jax_state(self) -> Any:
        return self._games, self._ring, self._sample_key

    def _iterate(self) -> Metrics:
        clock = _Clock()
        learning = int(self._ring.size) >= self.config.replay.min_rows
        sampled = self._sample() if learning else None
        clock.lap("sample")
        acting_version = self.version
        games, rows, stats = self._unroll(self.params, self._games)
        if not self.overlap:
            jax.block_until_ready(games)
            clock.lap("selfplay")
        learned: Metrics = {}
        if sampled is not None:
            with border.unwritten(sampled[1], check=self.config.run.check_border == "on"):
                learned = self._learn(sampled)
        clock.lap("learn")
        jax.block_until_ready(games)
        clock.lap("wait" if self.overlap else "selfplay")
        self._games = games
        if self.counters.iteration > 0:  # the first unroll emits the empty window of `selfplay.begin`
            self._ring = self._add(self._ring, rows)
        self.counters.iteration += 1
        self.counters.moves += self.rows_per_unroll
        self.counters.episodes += int(stats.episodes)
        self._publish()
        clock.lap("publish")
        self.counters.seconds += clock.total
        metrics = self._describe(stats, learned, clock)
        metrics["weights_lag"] = float(self.version - acting_version)
        return metrics

    def _sample(self) -> tuple[Batch, Any]:
        """All batches of one iteration, [U, N, ...], on the learner's device, and the JAX arrays they lie in."""
        self._sample_key, key = jax.random.split(self._sample_key)
        drawn = self._draw(self._ring, key)
        lent = border.to_torch((drawn.observation, drawn.legal_actions, drawn.policy, drawn.value))
        return Batch(*(tensor.to(self.learner.device) for tensor in lent)), drawn

    def _learn(self, sampled: tuple[Batch, Any]) -> Metrics:
        """Fits the network to each sampled batch in turn; returns means over the iteration."""
        batch, drawn = sampled
        totals: dict[str, torch.Tensor] = {}
        progress = self.progress
        num_updates = batch.value.shape[0]
        rate = self.learner.learning_rate(progress)
        for index in range(num_updates):
            one = Batch(batch.observation[index], batch.legal_actions[index], batch.policy[index], batch.value[index])
            for name, value in self.learner.update(one, progress).items():
                totals[name] = totals[name] + value if name in totals else value
        self.counters.updates += num_updates
        self.counters.samples += batch.value.numel()
        self._held.hold(drawn)
        means = {name: float(total) / num_updates for name, total in totals.items()}
        return means | {"learning_rate": rate, "sample_age": float(jnp.mean(drawn.age))}

    def _publish(self) -> None:
        """Makes the learner's weights the actor's: through bytes, manifest and verification like any other reader."""
        self.weights, self.manifest = publish.export(
            self.learner.published(),
            version=self.counters.iteration,
            learner_step=self.counters.updates,
            game=self.game.spec,
            network=self.config.network,
            seed=self.config.run.seed,
            config_hash=self.config.hash(),
            created_at=self._created_at,
        )
        self.params = weights.load(self.weights, self.manifest, self.game.spec, self.network)

    def _describe(self, stats: selfplay.SelfPlayStats, learned: Metrics, clock: "_Clock") -> Metrics:
        counters, episodes = self.counters, max(int(stats.episodes), 1)
        return {
            "iteration": counters.iteration,
            "seconds": counters.seconds,
            "progress": self.progress,
            "moves": counters.moves,
            "updates": counters.updates,
            "episodes": counters.episodes,
            "version": self.version,
            "moves_per_s": self.rows_per_unroll / clock.total,
            "replay_ratio": counters.samples / max(counters.moves, 1),
            "replay_fill": float(self._ring.size) / self._ring.capacity,
            "episode_length": float(stats.episode_moves) / episodes,
            "first_win_rate": float(stats.first_wins) / episodes,
            "second_win_rate": float(stats.second_wins) / episodes,
            "entropy_search": float(stats.policy_entropy),
            "distinct_openings": float(stats.distinct_openings),
            **{f"seconds_{phase}": seconds for phase, seconds in clock.laps.items()},
            **learned,
        }

    def _compile(self) -> None:
        """The jitted functions, closed over the game and the configuration."""
        game, config, network = self.game, self.config, self.network

        def unroll(params: actor_network.Params, carry: Any) -> Any:
            evaluate = network_evaluator(game, network, params)
            return selfplay.unroll(game, evaluate, carry, config.selfplay, config.search)

        self._unroll = jax.jit(unroll)
        self._begin = jax.jit(partial(selfplay.begin, game, config=config.selfplay))
        self._add = jax.jit(ring.add, donate_argnums=0)
        self._draw = jax.jit(
            lambda rows, key: batches.sample_batches(
                game, rows, key, self.updates_per_iteration, config.learner.batch_size
            )
        )


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        """Counts the time since the last lap as `phase`."""
        now = time.perf_counter()
        self.laps[phase] = self.laps.get(phase, 0.0) + now - self._last
        self._last = now

    @property
    def total(self) -> float:
        """Seconds until the last lap."""
        return self._last - self._start


def _empty_ring(game: Game[Any], config: TrainConfig) -> ring.Ring[Any]:
    """A ring of whole unrolls, at least as large as asked."""
    rows = config.selfplay.num_games * config.selfplay.unroll_length
    capacity = -(-config.replay.capacity // rows) * rows
    row = jax.eval_shape(lambda: selfplay.sample_row(game))
    return ring.empty(row, capacity)


def _overlaps(config: TrainConfig) -> bool:
    if config.run.overlap == "auto":
        return jax.default_backend() != "cpu"  # on a CPU both halves want all cores
    return config.run.overlap == "on"
