"""The floor under `random` Connect Four: a loop in C with the same rules, draw and sums, built on this machine.

It is no peer, since it can do nothing else; it says how far the compiled engine is from what the processor can do.
"""

import ctypes
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import c_library, rows
from .random_words import first_words

GAME = "connect4"
_SOURCE = Path(__file__).with_name("connect4_loop.c")
_BYTES_PER_GAME = 24  # two boards and the random word


class CLoop:
    """A `worker.Loop` over the C function; all cores share the games."""

    def __init__(self, batch: int, seed: int) -> None:
        begun = time.perf_counter()
        self._library = c_library.load(_SOURCE)
        self._compile_s = time.perf_counter() - begun
        self._batch = batch
        self._own, self._all = np.zeros(batch, np.uint64), np.zeros(batch, np.uint64)
        self._random = np.asarray(first_words(seed, batch)).astype(np.uint64)

    def describe(self) -> dict[str, Any]:
        return {
            "compile_s": self._compile_s,
            "bytes_per_game": _BYTES_PER_GAME,
            "device": rows.device_name("cpu", ""),
            "versions": {"cc": c_library.compiler_version()},
        }

    def play(self, num_steps: int) -> dict[str, float]:
        totals = np.zeros(2, np.int64)
        threads = os.cpu_count() or 1
        begun = time.perf_counter()
        own, discs, random, sums = map(c_library.address, (self._own, self._all, self._random, totals))
        sizes = ctypes.c_long(self._batch), ctypes.c_long(num_steps)
        failed = self._library.connect4_play(own, discs, random, *sizes, threads, sums)
        seconds = time.perf_counter() - begun
        if failed:
            raise OSError("the C loop could not start its threads")
        moves = num_steps * self._batch
        return {"seconds": seconds, "moves": moves, "episodes": int(totals[0]), "checksum": float(totals[1])}


def build(implementation: str, game: str, mode: str, batch: int, seed: int = 0) -> CLoop:
    """The loop, as `bench.worker` asks for it; there is one game and one mode."""
    if (implementation, game, mode) != (rows.FLOOR, GAME, "random"):
        raise ValueError(f"there is no {implementation} for {game} in mode {mode}")
    return CLoop(batch, seed)
