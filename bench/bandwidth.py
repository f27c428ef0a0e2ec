"""How many bytes a second the device's memory moves: what `memory_share` of a benchmark row is a share of."""

import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp

from .worker import running

_WORDS = 1 << 26  # 256 MiB, far more than a cache holds
_REPEATS = 7


def copy_bytes_per_second() -> float:
    """Bytes read and written a second by a copy of a large array, the median of seven, in a process of its own."""
    with running("bandwidth") as worker:
        worker.ask(do="build", name="copy")
        tallies = [worker.ask(do="play", name="copy", num_steps=1) for _ in range(_REPEATS)]
    return statistics.median(tally["moves"] / tally["seconds"] for tally in tallies)


class CopyLoop:
    """A `worker.Loop` whose moves are bytes."""

    def __init__(self) -> None:
        self._words = jnp.arange(_WORDS, dtype=jnp.uint32)
        self._copy = jax.jit(lambda words: words ^ 1)
        self.play(1)  # compiles

    def describe(self) -> dict[str, Any]:
        return {}

    def play(self, num_steps: int) -> dict[str, float]:
        begun = time.perf_counter()
        for _ in range(num_steps):
            self._copy(self._words).block_until_ready()
        return {"seconds": time.perf_counter() - begun, "moves": 2 * self._words.nbytes * num_steps}


def build() -> CopyLoop:
    """The copy, as `bench.worker` asks for it."""
    return CopyLoop()
