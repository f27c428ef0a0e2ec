"""What is timed: the calls of a buffer as a user makes them from Python, each until its result is there."""

import contextlib
import gc
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from . import work
from .check import ITEMS, check
from .work import Buffer

_BLOCKS, _PRIORITIES = 16, 64  # made before, so that making them is not timed
_LEAST_CALLS = 5


class ReplayLoop:
    """A `worker.Loop` over a buffer that is full before anything is timed."""

    def __init__(self, make: Callable[[int], Buffer], kind: str, items: int, seed: int) -> None:
        """`make` gives a buffer of so many items; `items` are whole blocks."""
        small = make(ITEMS)
        check(small, kind)  # in which libraries load and threads start: none of the large buffer's memory
        self._calls = _Calls(small, seed)
        del small
        gc.collect()
        self._before = fresh_peak_bytes()
        self._calls.fill(make(items), items)
        self._after = memory_bytes("VmHWM")
        self._first_calls = self._calls.first_calls(kind)

    def describe(self) -> dict[str, Any]:
        """`compile_s` by operation: seconds of the first call. Peaks of the process's memory, or None."""
        buffer = self._calls.buffer
        on_cpu = buffer.device[0] == "cpu"
        return {
            "compile_s": self._first_calls,
            "peak_bytes": self._after if on_cpu else None,
            "fill_bytes": self._after - self._before if on_cpu and self._after and self._before else None,
            "device": buffer.device,
            "versions": {name: version(name) for name in buffer.packages},
        }

    def play(self, operation: str, seconds: float) -> dict[str, float]:
        """Calls one operation again and again for so many seconds; `ms` is the median of a call's time."""
        times: list[float] = []
        end = time.perf_counter() + seconds
        while len(times) < _LEAST_CALLS or time.perf_counter() < end:
            times.append(self._calls.timed(operation))
        return {"ms": 1e3 * statistics.median(times), "calls": len(times)}


class _Calls:
    """A buffer with the blocks and priorities to call it with, the same numbers for every implementation."""

    buffer: Buffer

    def __init__(self, alike: Buffer, seed: int) -> None:
        """`alike` is a buffer of the same kind, which knows the form of blocks and priorities."""
        rng = np.random.default_rng(seed)
        blocks = rng.random((_BLOCKS, work.STEPS, work.GAMES, work.ROW), np.float32)
        priorities = rng.exponential(size=(_PRIORITIES, work.BATCH)).astype(np.float32)
        self._blocks: Iterator[Any] = itertools.cycle([alike.block(block) for block in blocks])
        self._priorities: Iterator[Any] = itertools.cycle([alike.priorities(each) for each in priorities])
        self._first_add = 0.0

    def fill(self, buffer: Buffer, items: int) -> None:
        self.buffer = buffer
        self._first_add = self.timed("add")
        for _ in range(items // work.BATCH - 1):
            self.buffer.add(next(self._blocks))

    def first_calls(self, kind: str) -> dict[str, float]:
        """Seconds of the first call of each operation, in which JAX compiles; call after `fill`."""
        rest = [operation for operation in work.OPERATIONS[kind] if operation != "add"]
        return {"add": self._first_add, **{operation: self.timed(operation) for operation in rest}}

    def timed(self, operation: str) -> float:
        """Seconds of one call. What it is called with is at hand before: an update follows a draw of its own."""
        if operation == "sample":
            return _seconds(self.buffer.sample)
        if operation == "add":
            return _seconds(self.buffer.add, next(self._blocks))
        drawn = self.buffer.sample()
        return _seconds(self.buffer.update, drawn, next(self._priorities))


def _seconds(call: Callable[..., Any], *arguments: Any) -> float:
    begun = time.perf_counter()
    result = call(*arguments)
    seconds = time.perf_counter() - begun
    del result  # freeing it is not the call's
    return seconds


def fresh_peak_bytes() -> int | None:
    """The peak of this process's memory, counted from now on where the system allows it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return memory_bytes("VmHWM")


def memory_bytes(field: str) -> int | None:
    """What this process holds now (VmRSS), or its peak (VmHWM); None where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])
