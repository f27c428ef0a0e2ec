"""The local trainer: self-play, replay and learner joined on a fixed schedule.

Iteration k reads the ring, lets the games of unroll k be played with weights version k, and meanwhile fits the network
to what was read, which gives version k + 1. Then the unroll's samples enter the ring and the new weights go to the
actor. So the lag is exactly one version, the ring is read and written at fixed points, and a seed reproduces a run
whether or not the two halves overlap in time.
"""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import Array

from ..actor import network as actor_network
from ..actor import selfplay, weights
from ..actor.evaluators import network_evaluator
from ..engine import border
from ..engine.game import Game
from ..learner import publish
from ..learner.learner import Batch, Learner
from ..replay import limiter
from ..replay.batches import policy_batch
from ..replay.feed import torch_batches
from ..replay.limiter import Totals
from ..replay.owner import ReplayState
from ..replay.resize import resized
from ..replay.samplers import Draws, importance_weights
from . import checkpoint, replay_setup
from .checkpoint import Checkpoint, CheckpointError
from .config import TrainConfig
from .counters import Counters

Metrics = dict[str, float]


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
        self._compile()
        play_key, sample_key = jax.random.split(jax.random.PRNGKey(config.run.seed))
        self._games = self._begin(play_key)
        self._limit = replay_setup.limit(config)
        self.replay = replay_setup.replay(game, config, sample_key, partial(policy_batch, game))
        self._publish()

    @property
    def rows_per_unroll(self) -> int:
        """Samples that one iteration adds."""
        return self.config.selfplay.rows_per_unroll

    @property
    def version(self) -> int:
        """The newest weights version."""
        return self.manifest.version

    @property
    def progress(self) -> float:
        """How much of the run is done, in [0, 1], from saved counters alone."""
        return self.config.run.progress(self.counters.updates, self.counters.seconds)

    def iterations(self) -> Iterator[Metrics]:
        """Runs to the end of the run, yielding each iteration's metrics; state is consistent at every yield."""
        while self.progress < 1.0:
            yield self._iterate()

    def snapshot(self) -> Checkpoint:
        """Everything there is, copied to the host: the only moment for which a checkpoint stops the games."""
        tensors, learner_state = self.learner.state()
        replay_state, totals = self.replay.snapshot()
        state = {
            "counters": dataclasses.asdict(self.counters),
            "replay": dataclasses.asdict(totals),
            "capacity": self.replay.capacity,
            "learner": learner_state,
            "identity": self._identity(),
        }
        arrays = checkpoint.named((border.host_copy(self._games), replay_state))
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
        return Checkpoint(self.counters.iteration, arrays, tensors, state)

    def restore(self, saved: Checkpoint, *, truncate: bool = False) -> int:
        """Continues exactly where `saved` was made; returns how many rows were dropped, with `truncate`.

        Raises:
          CheckpointError: it is of another game, version, network or sampler, or holds more rows than `capacity` allows
            and `truncate` is not set.
        """
        if "replay" not in saved.state:
            raise CheckpointError(
                "the checkpoint is a remote learner's, without replay and games: go on with cartridge train --resume "
                "DIR --actors N"
            )
        _require_same(saved.state.get("identity", {}), self._identity())
        capacity = saved.state["capacity"]
        layout = replay_setup.layout(self.game, self.config, capacity)
        games, state = checkpoint.matched((self._games, layout), saved.arrays)
        self._games = jax.tree.map(partial(jnp.array, copy=True), games)
        state, dropped = (state, 0) if capacity == self.replay.capacity else self._resized(state, truncate)
        self.replay.restore(state, Totals(**saved.state["replay"]))
        self.learner.load_state(saved.tensors, saved.state["learner"])
        self.counters = Counters(**saved.state["counters"])
        self._publish()
        return dropped

    def _resized(self, state: ReplayState[Any], truncate: bool) -> tuple[ReplayState[Any], int]:
        """The saved replay in the room that it has now."""
        moved, dropped = resized(state, replay_setup.sampler(self.config), self.replay.capacity)
        if dropped and not truncate:
            raise CheckpointError(
                f"the checkpoint holds {int(state.ring.size.sum()):,} rows and replay.capacity is "
                f"{self.replay.capacity:,}: make it larger, or give --truncate to drop the oldest {dropped:,}"
            )
        return moved, dropped

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must share with the run that continues it."""
        config, spec = self.config, self.game.spec
        return {
            "game": spec.env_id,
            "options": dict(spec.options),
            "game build": spec.build_id,
            **{f"network.{name}": value for name, value in dataclasses.asdict(config.network).items()},
            "selfplay.num_games": config.selfplay.num_games,
            "selfplay.unroll_length": config.selfplay.unroll_length,
            "replay.sampler": config.replay.sampler,
        }

    def _iterate(self) -> Metrics:
        clock = _Clock()
        drawn = self._sample()
        clock.lap("sample")
        acting_version = self.version
        games, rows, stats = self._unroll(self.params, self._games)
        if not self.overlap:
            jax.block_until_ready(games)
            clock.lap("selfplay")
        learned, errors = self._learn(drawn)
        clock.lap("learn")
        jax.block_until_ready(games)
        clock.lap("wait" if self.overlap else "selfplay")
        self._games = games
        if self.counters.iteration > 0:  # the first unroll emits the empty window of `selfplay.begin`
            self.replay.add(rows)
        if self.config.replay.sampler == "prioritised":
            for one, error in zip(drawn, errors, strict=True):
                # An update that had to be skipped has no errors to tell.
                self.replay.update(one.draws, np.nan_to_num(error.cpu().numpy()))
        self.counters.iteration += 1
        self.counters.moves += self.rows_per_unroll
        self.counters.episodes += int(stats.episodes)
        self._publish()
        clock.lap("publish")
        self.counters.seconds += clock.total
        metrics = self._describe(stats, learned, clock)
        metrics["weights_lag"] = float(self.version - acting_version)
        return metrics

    def _sample(self) -> list["_Drawn"]:
        """The batches of one iteration: as many as the replay ratio allows.

        They are all drawn before the unroll is begun, since a device does one thing after the other.
        """
        batch_size = self.config.learner.batch_size
        count = limiter.num_batches(self._limit, self.replay.totals, batch_size)
        filled = self.replay.size if count else 0
        return [self._draw(filled) for _ in range(count)]

    def _draw(self, filled: int) -> "_Drawn":
        batch, draws = self.replay.sample(self.config.learner.batch_size)
        first = self.config.replay.importance_exponent
        lent = {
            "observation": batch.observation,
            "legal_actions": batch.legal_actions,
            "policy": batch.policy,
            "value": batch.value,
            "weight": self._weigh(draws, filled, first + (1.0 - first) * self.progress),
        }
        return _Drawn(lent, batch.age, draws)

    def _learn(self, drawn: list["_Drawn"]) -> tuple[Metrics, list[torch.Tensor]]:
        """Fits the network to each batch in turn; returns means over the iteration, and each row's value error."""
        if not drawn:
            return {}, []
        totals: dict[str, torch.Tensor] = {}
        errors: list[torch.Tensor] = []
        progress = self.progress
        rate = self.learner.learning_rate(progress)
        lent = (one.lent for one in drawn)
        for tensors in torch_batches(lent, depth=len(drawn), check=self.config.run.check_border == "on"):
            batch = Batch(**{name: tensor.to(self.learner.device) for name, tensor in tensors.items()})
            scalars, error = self.learner.update(batch, progress)
            errors.append(error)
            for name, value in scalars.items():
                totals[name] = totals[name] + value if name in totals else value
        self.counters.updates += len(drawn)
        self.counters.samples += len(drawn) * self.config.learner.batch_size
        means = {name: float(total) / len(drawn) for name, total in totals.items()}
        age = float(np.mean([np.asarray(one.age) for one in drawn]))
        return means | {"learning_rate": rate, "sample_age": age}, errors

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
            "replay_fill": self.replay.size / self.replay.capacity,
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
        self._weigh = jax.jit(importance_weights)


@dataclasses.dataclass(frozen=True)
class _Drawn:
    """One batch on its way."""

    lent: dict[str, Array]  # the fields of the learner's `Batch`
    age: Array  # i32[N]
    draws: Draws


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


def _require_same(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    known = {name: saved.get(name, "unknown") for name in wanted}
    differing = [f"{name} is {known[name]}, expected {value}" for name, value in wanted.items() if known[name] != value]
    if differing:
        raise CheckpointError(f"the checkpoint is of another run: {'; '.join(differing)}")


def _overlaps(config: TrainConfig) -> bool:
    if config.run.overlap == "auto":
        return jax.default_backend() != "cpu"  # on a CPU both halves want all cores
    return config.run.overlap == "on"
