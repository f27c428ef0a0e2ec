"""The floor under the calls of replay: the same rows and sums in C, built on this machine and called from NumPy.

It is no peer, since it can do nothing else; it says how far ours is from what one thread of the processor can do.
"""

import ctypes
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from .. import c_library
from . import work
from .loop import ReplayLoop

_SOURCE = Path(__file__).with_name("c_buffer.c")
_FAN_OUT = 16  # as in the source
_POINTER, _LONG, _FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_float
_ARGUMENTS = {
    "draw_uniform": (_POINTER, _LONG, _LONG, _LONG, _POINTER, _LONG),
    "gather": (_POINTER, _POINTER, _POINTER, _LONG, _LONG, _LONG, _LONG, _LONG),
    "draw_prioritised": (_POINTER, _POINTER, _LONG, _FLOAT, _POINTER, _POINTER, _LONG),
    "update": (_POINTER, _POINTER, _POINTER, _FLOAT, _POINTER, _LONG),
    "set_run": (_POINTER, _LONG, _LONG, _FLOAT),
}


class _Sums(ctypes.Structure):
    _fields_ = [("numbers", _POINTER), ("begins", _POINTER), ("levels", _LONG)]


@dataclasses.dataclass(frozen=True)
class _Drawn:
    rows: np.ndarray  # f32[draws, ROW] or f32[draws, STEPS, ROW]
    slots: np.ndarray  # i32[draws]
    weights: np.ndarray | None  # f32[draws], of importance


class CBuffer:
    """A `work.Buffer`; the items are whole blocks."""

    device = "cpu", ""
    packages = ("numpy",)

    def __init__(self, library: ctypes.CDLL, kind: str, items: int) -> None:
        self._library, self._kind, self._capacity, self._written = library, kind, items, 0
        self._items = np.zeros((items, work.ROW), np.float32)
        self._random, self._largest = np.zeros(1, np.uint64), np.ones(1, np.float32)
        sizes = [items]
        while sizes[-1] > 1:
            sizes.append(-(-sizes[-1] // _FAN_OUT))
        padded = [-(-size // _FAN_OUT) * _FAN_OUT for size in sizes]
        self._numbers = np.zeros(sum(padded) if kind == work.PRIORITISED else 1, np.float32)
        self._begins = np.cumsum([0, *padded[:-1]])
        self._sums = ctypes.byref(_Sums(self._numbers.ctypes.data, self._begins.ctypes.data, len(sizes)))

    def block(self, rows: np.ndarray) -> np.ndarray:
        return rows.reshape(work.BATCH, work.ROW)

    def priorities(self, values: np.ndarray) -> np.ndarray:
        return values

    def add(self, block: np.ndarray) -> None:
        head = self._written % self._capacity
        self._items[head : head + work.BATCH] = block
        self._written += work.BATCH
        if self._kind == work.PRIORITISED:
            self._library.set_run(self._sums, head, work.BATCH, self._largest[0] ** work.EXPONENT)

    def sample(self) -> _Drawn:
        if self._kind == work.PRIORITISED:
            slots, weights = np.empty(work.BATCH, np.int32), np.empty(work.BATCH, np.float32)
            random, where, into = map(c_library.address, (self._random, slots, weights))
            self._library.draw_prioritised(self._sums, random, self._size, work.BETA, where, into, work.BATCH)
            return _Drawn(self._gathered(slots, ()), slots, weights)
        each = (work.STEPS,) if self._kind == work.SEQUENCES else ()
        slots = np.empty(work.NUM_SEQUENCES if each else work.BATCH, np.int32)
        late = (work.STEPS - 1) * work.GAMES if each else 0  # the newest, which are not followed by enough
        oldest = self._written % self._capacity if self._size == self._capacity else 0
        random, where = map(c_library.address, (self._random, slots))
        self._library.draw_uniform(random, oldest, self._size - late, self._capacity, where, len(slots))
        return _Drawn(self._gathered(slots, each), slots, None)

    def update(self, drawn: _Drawn, priorities: np.ndarray) -> None:
        arrays = map(c_library.address, (drawn.slots, priorities))
        self._library.update(self._sums, *arrays, work.EXPONENT, c_library.address(self._largest), len(priorities))

    def rows(self, drawn: _Drawn) -> np.ndarray:
        return drawn.rows

    @property
    def _size(self) -> int:
        return min(self._written, self._capacity)

    def _gathered(self, slots: np.ndarray, each: tuple[int, ...]) -> np.ndarray:
        batch = np.empty((len(slots), *each, work.ROW), np.float32)
        arrays = map(c_library.address, (self._items, slots, batch))
        steps = each[0] if each else 1
        self._library.gather(*arrays, len(slots), steps, work.GAMES, self._capacity, work.ROW)
        return batch


class _Loop(ReplayLoop):
    def describe(self) -> dict[str, Any]:
        described = super().describe()
        return {**described, "versions": {**described["versions"], "cc": c_library.compiler_version()}}


def build(implementation: str, kind: str, items: int, seed: int = 0) -> ReplayLoop:
    """The loop, as `bench.worker` asks for it."""
    del implementation
    library = c_library.load(_SOURCE)
    for name, arguments in _ARGUMENTS.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, None
    return _Loop(lambda size: CBuffer(library, kind, size), kind, items, seed)
