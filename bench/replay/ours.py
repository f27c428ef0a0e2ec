"""Our replay through its public owner, as the trainer calls it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...replay.owner import Replay
from ...replay.ring import Ring, rows_at
from ...replay.samplers import Draws, Prioritised, Uniform, importance_weights
from ...replay.sequences import sequences
from . import work
from .loop import ReplayLoop


class OurBuffer:
    """A `work.Buffer`. With priorities a draw holds importance weights too, which most others cannot leave out."""

    packages = ("jax", "jaxlib")

    def __init__(self, kind: str, items: int) -> None:
        row, key = jax.ShapeDtypeStruct((work.ROW,), jnp.float32), jax.random.PRNGKey(0)
        if kind == work.UNIFORM:
            self._replay: Replay[Any, Any] = Replay(row, items, work.BATCH, Uniform(), key)
        elif kind == work.PRIORITISED:
            self._replay = Replay(row, items, work.BATCH, Prioritised(work.EXPONENT), key, prepare=_weighted)
        else:
            sampler = Uniform(span=work.STEPS)
            self._replay = Replay(row, items, work.BATCH, sampler, key, prepare=_sequences, columns=work.GAMES)
        self._num_drawn = work.NUM_SEQUENCES if kind == work.SEQUENCES else work.BATCH
        device = jax.devices()[0]
        self.device = device.platform, device.device_kind

    def block(self, rows: np.ndarray) -> Array:
        return jnp.array(rows.reshape(work.BATCH, work.ROW))

    def priorities(self, values: np.ndarray) -> Array:
        return jnp.array(values)

    def add(self, block: Array) -> None:
        self._replay.add(block)
        self._wait()

    def sample(self) -> tuple[Any, Draws]:
        return jax.block_until_ready(self._replay.sample(self._num_drawn))

    def update(self, drawn: tuple[Any, Draws], priorities: Array) -> None:
        self._replay.update(drawn[1], priorities)
        self._wait()

    def rows(self, drawn: tuple[Any, Draws]) -> np.ndarray:
        return np.asarray(jax.tree.leaves(drawn[0])[0])

    def _wait(self) -> None:
        """Adding and updating hand nothing out that a user could wait for, so this looks inside."""
        jax.block_until_ready(self._replay._state)


def build(implementation: str, kind: str, items: int, seed: int = 0) -> ReplayLoop:
    """The loop, as `bench.worker` asks for it."""
    del implementation
    return ReplayLoop(lambda size: OurBuffer(kind, size), kind, items, seed)


def _weighted(ring: Ring[Array], draws: Draws, key: Array) -> tuple[Array, Array]:
    del key
    return rows_at(ring, draws.slot), importance_weights(draws, jnp.sum(ring.size), work.BETA)


def _sequences(ring: Ring[Array], draws: Draws, key: Array) -> Array:
    del key
    return sequences(ring, draws.slot, work.STEPS)
