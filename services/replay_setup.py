"""The replay that a run's settings ask for, wherever it is kept: in the trainer's process or in a service."""

from typing import Any, TypeVar

import jax
from jax import Array

from ..actor import selfplay
from ..engine.game import Game
from ..replay import owner
from ..replay.limiter import RateLimit
from ..replay.owner import Prepare, Replay, ReplayState
from ..replay.samplers import Prioritised, Sampler, Uniform
from .config import TrainConfig

Batch = TypeVar("Batch")


def replay(game: Game[Any], config: TrainConfig, key: Array, prepare: Prepare[Any, Batch]) -> Replay[Any, Batch]:
    """A ring of unrolls; `prepare` makes what is handed out, see `owner.Replay`."""
    return Replay(
        row(game),
        capacity(config),
        config.selfplay.rows_per_unroll,
        sampler(config),
        key,
        prepare=prepare,
        columns=config.selfplay.num_games,
        limit=limit(config),
    )


def limit(config: TrainConfig) -> RateLimit:
    """Each move is drawn `samples_per_move` times on average.

    The writers are let ahead of the readers by two unrolls' worth, so that those who draw what is due never wait.
    """
    due = config.replay.samples_per_move * config.selfplay.rows_per_unroll + config.learner.batch_size
    return RateLimit(config.replay.samples_per_move, config.replay.min_rows, min_error=0.0, max_error=2 * due)


def capacity(config: TrainConfig) -> int:
    """Whole unrolls, at least as many rows as asked."""
    block = config.selfplay.rows_per_unroll
    return -(-config.replay.capacity // block) * block


def sampler(config: TrainConfig) -> Sampler[Any]:
    """How rows are drawn."""
    prioritised = config.replay.sampler == "prioritised"
    return Prioritised(config.replay.priority_exponent) if prioritised else Uniform()


def layout(game: Game[Any], config: TrainConfig, num_rows: int) -> ReplayState[Any]:
    """The shapes and dtypes of a snapshot of such a replay with room for `num_rows`, and nothing behind them."""
    block, columns, one, how = config.selfplay.rows_per_unroll, config.selfplay.num_games, row(game), sampler(config)
    return jax.eval_shape(lambda: owner.start(one, num_rows, block, how, jax.random.PRNGKey(0), columns=columns))


def row(game: Game[Any]) -> Any:
    """The shapes and dtypes of one row."""
    return jax.eval_shape(lambda: selfplay.sample_row(game))
