"""flashbax as its documentation asks for: compiled, the state donated to whatever writes it.

`flashbax` is its item buffer, which draws single items as we do; `flashbax+flat` the flat buffer of its quickstart,
which draws pairs of consecutive ones, and so twice as many rows.
"""

import importlib
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from . import work
from .loop import ReplayLoop

FLAT = "flashbax+flat"
flashbax: Any = importlib.import_module("flashbax")  # not in the environment that checks types


class FlashbaxBuffer:
    """A `work.Buffer`."""

    packages = ("flashbax", "jax", "jaxlib")

    def __init__(self, implementation: str, kind: str, items: int) -> None:
        self._kind = kind
        device = jax.devices()[0]
        self.device = device.platform, device.device_kind
        buffer = _buffer(implementation == FLAT, kind, items, device.platform)
        self._state = jax.jit(buffer.init)(jnp.zeros((work.ROW,), jnp.float32))
        self._key = jax.random.PRNGKey(0)
        self._add = jax.jit(buffer.add, donate_argnums=0)
        self._sample = jax.jit(partial(_sample, buffer))
        if kind == work.PRIORITISED:
            self._update = jax.jit(buffer.set_priorities, donate_argnums=0)

    def block(self, rows: np.ndarray) -> Array:
        if self._kind == work.SEQUENCES:
            return jnp.array(rows.swapaxes(0, 1))  # [GAMES, STEPS, ROW]
        return jnp.array(rows.reshape(work.BATCH, work.ROW))

    def priorities(self, values: np.ndarray) -> Array:
        return jnp.array(values)

    def add(self, block: Array) -> None:
        self._state = jax.block_until_ready(self._add(self._state, block))

    def sample(self) -> Any:
        self._key, drawn = jax.block_until_ready(self._sample(self._state, self._key))
        return drawn

    def update(self, drawn: Any, priorities: Array) -> None:
        self._state = jax.block_until_ready(self._update(self._state, drawn.indices, priorities))

    def rows(self, drawn: Any) -> np.ndarray:
        return np.asarray(jax.tree.leaves(drawn.experience)[0])  # of a pair, the first


def build(implementation: str, kind: str, items: int, seed: int = 0) -> ReplayLoop:
    """The loop, as `bench.worker` asks for it."""
    return ReplayLoop(lambda size: FlashbaxBuffer(implementation, kind, size), kind, items, seed)


def _buffer(flat: bool, kind: str, items: int, platform: str) -> Any:
    if kind == work.SEQUENCES:
        return flashbax.make_trajectory_buffer(
            add_batch_size=work.GAMES,
            sample_batch_size=work.NUM_SEQUENCES,
            sample_sequence_length=work.STEPS,
            period=1,
            min_length_time_axis=work.STEPS,
            max_length_time_axis=items // work.GAMES,
        )
    sizes = {"max_length": items, "min_length": work.BATCH, "sample_batch_size": work.BATCH}
    added = {"add_batch_size": work.BATCH} if flat else {"add_batches": True}
    if kind == work.UNIFORM:
        make = flashbax.make_flat_buffer if flat else flashbax.make_item_buffer
        return make(**sizes, **added)
    make = flashbax.make_prioritised_flat_buffer if flat else flashbax.make_prioritised_item_buffer
    return make(**sizes, **added, priority_exponent=work.EXPONENT, device=platform)


def _sample(buffer: Any, state: Any, key: Array) -> tuple[Array, Any]:
    key, draw_key = jax.random.split(key)
    return key, buffer.sample(state, draw_key)
