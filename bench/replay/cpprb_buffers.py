"""cpprb, whose sums of priorities are a tree in C++. It draws no sequences."""

import importlib
from typing import Any

import numpy as np

from . import work
from .loop import ReplayLoop

cpprb: Any = importlib.import_module("cpprb")  # not in the environment that checks types


class CpprbBuffer:
    """A `work.Buffer`."""

    packages = ("cpprb", "numpy")
    device = "cpu", ""

    def __init__(self, kind: str, items: int) -> None:
        rows = {"row": {"shape": work.ROW, "dtype": np.float32}}
        if kind == work.PRIORITISED:
            self._buffer: Any = cpprb.PrioritizedReplayBuffer(items, rows, alpha=work.EXPONENT)
            self._settings = {"beta": work.BETA}
        else:
            self._buffer, self._settings = cpprb.ReplayBuffer(items, rows), {}

    def block(self, rows: np.ndarray) -> np.ndarray:
        return rows.reshape(work.BATCH, work.ROW)

    def priorities(self, values: np.ndarray) -> np.ndarray:
        return values

    def add(self, block: np.ndarray) -> None:
        self._buffer.add(row=block)

    def sample(self) -> dict[str, np.ndarray]:
        return self._buffer.sample(work.BATCH, **self._settings)

    def update(self, drawn: dict[str, np.ndarray], priorities: np.ndarray) -> None:
        self._buffer.update_priorities(drawn["indexes"], priorities)

    def rows(self, drawn: dict[str, np.ndarray]) -> np.ndarray:
        return drawn["row"]


def build(implementation: str, kind: str, items: int, seed: int = 0) -> ReplayLoop:
    """The loop, as `bench.worker` asks for it."""
    del implementation
    np.random.seed(seed)  # what it draws from
    return ReplayLoop(lambda size: CpprbBuffer(kind, size), kind, items, seed)
