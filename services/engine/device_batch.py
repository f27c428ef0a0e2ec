"""The games of all leases of one kind as one batch on the device. One thread calls it, step after step.

A step touches a window of the batch whose size is a power of two, and games in it that have nothing to do stay as they
are: a handful of compiled programs serves any number of clients.
"""

import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...engine import batch, codec, slices
from ...engine.apart import compiled_apart
from ...engine.game import Game, State
from ...engine.keys import seed_words
from ...engine.transition import EngineState
from ...proto.slice_reply import Buffer
from .windows import Range, compiled_size, cover

_SMALL = 1024  # games; windows up to this show in the same program what ended episodes left behind
_FEW = 8  # an eighth of a larger window is the smaller size in which they are shown on their own

Program = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Order:
    """What one lease wants of a step."""

    where: Range
    outputs: tuple[str, ...]
    actions: np.ndarray  # i32[n]
    orders: np.ndarray  # u8[n], see `engine.slices`


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of it, as bytes that a reply carries."""

    rewards: Buffer = b""
    ends: Buffer = b""
    tensors: Sequence[Buffer] = ()
    final_rows: Buffer = b""
    finals: Sequence[Buffer] = ()


class DeviceBatch(Generic[State]):
    """`capacity` games of one kind."""

    def __init__(self, game: Game[State], capacity: int) -> None:
        self.game, self.capacity = game, capacity
        self._programs: dict[tuple[Any, ...], Program] = {}
        self._compiling = threading.Lock()
        self._states: EngineState[State] = jax.jit(lambda: batch.init(game, 0, capacity)[0])()
        self._shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), self._states)

    def prepare(self, num_games: int, outputs: tuple[str, ...]) -> None:
        """Compiles all that leases of that size and those outputs need, which takes long. Any thread may call it."""
        size = compiled_size(num_games, self.capacity)
        with self._compiling:
            for make in (self._fresh, self._put, self._read):
                make(size)
            self._show(size, outputs)
            if size > _SMALL:
                self._left_behind(size, outputs)
            self._step(size, outputs)

    def begin(self, where: Range, seed: int, outputs: tuple[str, ...]) -> Outcome:
        """Starts the games of a lease: game i of it depends on the seed and i alone."""
        size = compiled_size(where.size, self.capacity)
        return self._replace(where, self._fresh(size)(seed_words(seed)), outputs)

    def restore(self, where: Range, states: EngineState[State], outputs: tuple[str, ...]) -> Outcome:
        """Puts `states` ([n, ...] on the host) in the place of a lease's."""
        size = compiled_size(where.size, self.capacity)
        padded = jax.tree.map(lambda leaf: np.resize(leaf, (size, *leaf.shape[1:])), states)
        return self._replace(where, padded, outputs)

    def states(self, where: Range) -> bytes:
        """The states of a lease, [n, state_bytes]."""
        window, shift = self._window(where)
        read = jax.device_get(self._read(window.size)(self._states, window.first))
        rows = jax.tree.map(lambda leaf: leaf[shift : shift + where.size], read)
        return codec.encode(self.game.spec, "state:packed_u32:v1", codec.pack_state(rows))

    def step(self, wanted: Sequence[Order]) -> list[Outcome]:
        """Steps some leases, each once; the rest of the batch stays as it is."""
        outcomes: dict[int, Outcome] = {}
        for outputs in dict.fromkeys(order.outputs for order in wanted):
            chosen = [index for index, order in enumerate(wanted) if order.outputs == outputs]
            ranges = [wanted[index].where for index in chosen]
            for window in cover(ranges, self._sizes(outputs), self.capacity):
                members = [chosen[index] for index in window.members]
                found = self._step_window(window.span, outputs, [wanted[index] for index in members])
                outcomes.update(zip(members, found, strict=True))
        return [outcomes[index] for index in range(len(wanted))]

    def _step_window(self, span: Range, outputs: tuple[str, ...], wanted: Sequence[Order]) -> list[Outcome]:
        places = [slice(one.where.first - span.first, one.where.end - span.first) for one in wanted]
        if wanted[0].where == span:
            actions, orders = wanted[0].actions, wanted[0].orders
        else:
            actions, orders = np.zeros(span.size, np.int32), np.zeros(span.size, np.uint8)
            for place, one in zip(places, wanted, strict=True):
                actions[place], orders[place] = one.actions, one.orders
        self._states, last, found = self._step(span.size, outputs)(self._states, span.first, actions, orders)
        rewards, ends, shown, last_shown = jax.device_get(found)
        final_rows = np.flatnonzero((ends & _ENDED != 0) & (orders & (slices.NEXT_STEP | slices.DISABLED) == 0))
        finals = self._finals(last, last_shown, final_rows, outputs)
        return [
            Outcome(
                rewards=_bytes(np.stack([reward[place] for reward in rewards], axis=1)),
                ends=_bytes(ends[place]),
                tensors=[slices.to_bytes(self.game, name, shown[name], place) for name in outputs],
                **self._finals_of(place, outputs, final_rows, finals),
            )
            for place in places
        ]

    def _finals(
        self, last: EngineState[State], shown: slices.Shown, rows: np.ndarray, outputs: tuple[str, ...]
    ) -> slices.Shown:
        """What the episodes left behind that ended in `rows` of a window.

        Args:
          shown: the same of all games of a small window; empty for a large one, in which few end at a time.
        """
        if not rows.size or not outputs:
            return {}
        if shown:
            return jax.tree.map(lambda leaf: leaf[rows], shown)
        window, few = last.meta.shape[0], last.meta.shape[0] // _FEW
        show = self._left_behind(window, outputs)
        parts = [
            jax.device_get(show(last, np.resize(rows[begin : begin + few], few).astype(np.int32)))
            for begin in range(0, rows.size, few)
        ]
        return parts[0] if len(parts) == 1 else jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def _finals_of(
        self, place: slice, outputs: tuple[str, ...], rows: np.ndarray, finals: slices.Shown
    ) -> dict[str, Any]:
        """The part of one lease of them."""
        low, high = np.searchsorted(rows, [place.start, place.stop])
        if low == high:
            return {}
        tensors = [slices.to_bytes(self.game, name, finals[name], slice(low, high)) for name in outputs]
        return {"final_rows": _bytes((rows[low:high] - place.start).astype("<u4")), "finals": tensors}

    def _replace(self, where: Range, states: EngineState[State], outputs: tuple[str, ...]) -> Outcome:
        """Puts the first n of `states` into their place and shows them."""
        window, shift = self._window(where)
        self._states = self._put(window.size)(self._states, states, window.first, shift, where.size)
        shown = jax.device_get(self._show(window.size, outputs)(states)) if outputs else {}
        first = slice(0, where.size)
        return Outcome(tensors=[slices.to_bytes(self.game, name, shown[name], first) for name in outputs])

    def _window(self, where: Range) -> tuple[Range, int]:
        """The window around a lease, and how far into it the lease begins."""
        size = compiled_size(where.size, self.capacity)
        first = min(where.first, self.capacity - size)
        return Range(first, size), where.first - first

    def _sizes(self, outputs: tuple[str, ...]) -> list[int]:
        """Sizes of windows that are compiled for these outputs."""
        return sorted(key[1] for key in tuple(self._programs) if key[0] == "step" and key[2] == outputs)

    # The programs. Those that write take the batch away from its old arrays, which therefore change in place.

    def _step(self, size: int, outputs: tuple[str, ...]) -> Program:
        def play(states: EngineState[State], first: Array, actions: Array, orders: Array) -> slices.Moved[State]:
            return slices.step(self.game, _cut(states, first, size), actions, orders)

        def run(states: EngineState[State], first: Array, actions: Array, orders: Array) -> Any:
            moved = compiled_apart(play, first >= 0, states, first, actions, orders)
            shown = slices.show(self.game, moved.states, outputs)
            last_shown = slices.show(self.game, moved.last, outputs) if size <= _SMALL else {}
            found = moved.rewards, moved.ends, shown, last_shown
            return _paste(states, moved.states, first), moved.last, found

        columns = (_like((size,), jnp.int32), _like((size,), jnp.uint8))
        return self._program(("step", size, outputs), run, (self._shapes, 0, *columns), donated=True)

    def _show(self, size: int, outputs: tuple[str, ...]) -> Program:
        show = functools.partial(slices.show, self.game, outputs=outputs)
        return self._program(("show", size, outputs), show, (self._rows(size),))

    def _left_behind(self, window: int, outputs: tuple[str, ...]) -> Program:
        def show(last: EngineState[State], rows: Array) -> slices.Shown:
            return slices.show(self.game, jax.tree.map(lambda leaf: leaf[rows], last), outputs)

        shapes = (self._rows(window), _like((window // _FEW,), jnp.int32))
        return self._program(("left behind", window, outputs), show, shapes)

    def _fresh(self, size: int) -> Program:
        def fresh(seed: Array) -> EngineState[State]:
            return batch.init(self.game, seed, size)[0]

        return self._program(("fresh", size), fresh, (_like((2,), jnp.uint32),))

    def _put(self, size: int) -> Program:
        def put(states: EngineState[State], new: EngineState[State], first: Array, shift: Array, num: Array) -> Any:
            index = jnp.arange(size) - shift
            moved = jax.tree.map(lambda leaf: jnp.roll(leaf, shift, axis=0), new)
            return _paste(states, batch.select((index >= 0) & (index < num), moved, _cut(states, first, size)), first)

        return self._program(("put", size), put, (self._shapes, self._rows(size), 0, 0, 0), donated=True)

    def _read(self, size: int) -> Program:
        def read(states: EngineState[State], first: Array) -> EngineState[State]:
            return _cut(states, first, size)

        return self._program(("read", size), read, (self._shapes, 0))

    def _program(
        self, key: tuple[Any, ...], function: Program, shapes: tuple[Any, ...], donated: bool = False
    ) -> Program:
        found = self._programs.get(key)
        if found is None:
            jitted = jax.jit(function, donate_argnums=0) if donated else jax.jit(function)
            found = self._programs[key] = jitted.lower(*shapes).compile()
        return found

    def _rows(self, size: int) -> Any:
        return jax.tree.map(lambda leaf: _like((size, *leaf.shape[1:]), leaf.dtype), self._shapes)


_ENDED = slices.TERMINATED | slices.TRUNCATED


def _cut(states: Any, first: Array, size: int) -> Any:
    return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, size), states)


def _paste(states: Any, part: Any, first: Array) -> Any:
    return jax.tree.map(lambda leaf, new: jax.lax.dynamic_update_slice_in_dim(leaf, new, first, 0), states, part)


def _like(shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def _bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
