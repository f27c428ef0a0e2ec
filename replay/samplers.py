"""Which rows to learn from: uniformly, by priority or the newest, behind one interface.

A sampler is a value and so is what it remembers. Whoever owns the ring tells it of every block and asks it for draws.
"""

import dataclasses
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from ..engine import keys
from . import ring as rings
from .ring import Ring
from .sums import Sums, draw, set_run, set_slots, zeros

Memory = TypeVar("Memory")
_LARGEST = 1e20


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Draws:
    """n rows that were drawn. Slot and generation name a row for good; see `ring.generation`."""

    slot: Array  # i32[n]
    generation: Array  # u32[n]
    probability: Array  # f32[n], of this row in each single draw


class Sampler(Protocol[Memory]):
    """How rows are drawn. Every method is pure and may be jitted with the sampler as a static argument."""

    def start(self, ring: Ring[Any]) -> Memory:
        """What to remember of an empty ring."""
        ...

    def added(self, memory: Memory, ring: Ring[Any], group: Array | int) -> Memory:
        """Told of a block that is about to be written into a group of `ring`, before it is."""
        ...

    def draw(self, memory: Memory, ring: Ring[Any], key: Array, num_rows: int) -> Draws:
        """Draws rows from a ring that holds some; `key` is uint32[2]."""
        ...

    def update(self, memory: Memory, ring: Ring[Any], draws: Draws, priorities: Array) -> Memory:
        """Gives rows drawn earlier new priorities (f32[n], see `acceptable`); those overwritten are passed over."""
        ...

    def moved(self, memory: Memory, ring: Ring[Any], sources: Array, targets: Array) -> Memory:
        """Told that `ring` has taken the place of another one, whose rows in `sources` lie in its `targets` now."""
        ...


@dataclasses.dataclass(frozen=True)
class _Forgetful:
    """What samplers share that remember nothing; `span` as in `Prioritised`."""

    span: int = 1

    def start(self, ring: Ring[Any]) -> tuple[()]:
        _require_whole(self.span, ring)
        return ()

    def added(self, memory: tuple[()], ring: Ring[Any], group: Array | int) -> tuple[()]:
        del ring, group
        return memory

    def update(self, memory: tuple[()], ring: Ring[Any], draws: Draws, priorities: Array) -> tuple[()]:
        del ring, draws, priorities
        return memory

    def moved(self, memory: tuple[()], ring: Ring[Any], sources: Array, targets: Array) -> tuple[()]:
        del ring, sources, targets
        return memory


@dataclasses.dataclass(frozen=True)
class Uniform(_Forgetful):
    """Every row alike, with replacement."""

    def draw(self, memory: tuple[()], ring: Ring[Any], key: Array, num_rows: int) -> Draws:
        del memory
        late = (self.span - 1) * ring.columns
        upto = jnp.cumsum(jnp.maximum(ring.size - late, 0))  # [G]
        word, _ = keys.word_pairs(key, num_rows)
        number = keys.high_product(word, upto[-1].astype(jnp.uint32)).astype(jnp.int32)  # below upto[-1]
        group: Array | int = 0
        if ring.groups > 1:
            group = jnp.searchsorted(upto, number, side="right", method="compare_all").astype(jnp.int32)
        back = upto[group] - number + late  # 1 for the newest row of its group
        slot = rings.first_slot(ring, group) + (ring.head[group] - back) % ring.rows_per_group
        return Draws(slot, rings.generation(ring, slot), jnp.full((num_rows,), 1.0 / upto[-1]))


@dataclasses.dataclass(frozen=True)
class MostRecent(_Forgetful):
    """The newest rows, each once, the groups in turn, for what must be of the present policy."""

    def draw(self, memory: tuple[()], ring: Ring[Any], key: Array, num_rows: int) -> Draws:
        """There must be as many rows as are asked for, shared equally among the groups."""
        del memory, key
        number = jnp.arange(num_rows, dtype=jnp.int32)
        group, back = number % ring.groups, number // ring.groups + (self.span - 1) * ring.columns
        slot = group * ring.rows_per_group + (ring.head[group] - 1 - back) % ring.rows_per_group
        return Draws(slot, rings.generation(ring, slot), jnp.ones((num_rows,)))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Priorities:
    """What `Prioritised` remembers."""

    sums: Sums  # of priority ** exponent by slot; 0 where no draw may begin
    largest: Array  # f32[], of all priorities given so far: what new rows get


@dataclasses.dataclass(frozen=True)
class Prioritised:
    """In proportion to priority ** exponent, stratified: draw i lies in the i-th of n equal parts of the total.

    Schaul et al., "Prioritized Experience Replay", 2016. `span` is how many consecutive steps of a game are read from
    each drawn row on: a row is drawn only once as many have been written, so that no sequence crosses the write head.
    A priority below `least` counts as `least`, so that every row stays within reach.
    """

    exponent: float = 0.6
    span: int = 1
    least: float = 1e-6

    def start(self, ring: Ring[Any]) -> Priorities:
        _require_whole(self.span, ring)
        return Priorities(zeros(ring.capacity), jnp.array(1.0))

    def added(self, memory: Priorities, ring: Ring[Any], group: Array | int) -> Priorities:
        late = (self.span - 1) * ring.columns  # newest rows of a group, which are not followed by enough others
        first, head = rings.first_slot(ring, group), ring.head[group]
        fresh = memory.largest**self.exponent
        run = jnp.where(jnp.arange(ring.block) < ring.block - late, fresh, 0.0)
        sums = set_run(memory.sums, first + head, run)
        if late:  # those of the block before are followed now
            waiting = jnp.broadcast_to(jnp.where(ring.size[group] > 0, fresh, 0.0), (late,))
            sums = set_run(sums, first + (head - late) % ring.rows_per_group, waiting)
        return dataclasses.replace(memory, sums=sums)

    def draw(self, memory: Priorities, ring: Ring[Any], key: Array, num_rows: int) -> Draws:
        slot = draw(memory.sums, key, num_rows)
        number = memory.sums.numbers.at[slot].get(mode="clip")
        return Draws(slot, rings.generation(ring, slot), number / memory.sums.total)

    def update(self, memory: Priorities, ring: Ring[Any], draws: Draws, priorities: Array) -> Priorities:
        good = acceptable(priorities) & (rings.generation(ring, draws.slot) == draws.generation)
        good = good & (memory.sums.numbers.at[draws.slot].get(mode="clip") > 0)
        priorities = jnp.maximum(priorities, self.least)
        slots = jnp.where(good, draws.slot, jnp.iinfo(jnp.int32).max)
        largest = jnp.maximum(memory.largest, jnp.max(jnp.where(good, priorities, 0.0)))
        return Priorities(set_slots(memory.sums, slots, priorities**self.exponent), largest)

    def moved(self, memory: Priorities, ring: Ring[Any], sources: Array, targets: Array) -> Priorities:
        sums = set_slots(zeros(ring.capacity), targets, memory.sums.numbers[sources])
        return dataclasses.replace(memory, sums=sums)


def acceptable(priorities: Array) -> Array:
    """bool[n]: finite, not negative, and small enough that millions of them can be summed."""
    return (priorities >= 0) & (priorities <= _LARGEST)


def _require_whole(span: int, ring: Ring[Any]) -> None:
    """A single block has a whole sequence in it, so that there is something to draw once anything is written."""
    steps = ring.block // ring.columns
    if not 1 <= span <= steps:
        raise ValueError(f"sequences of {span} steps need blocks of as many, got {steps}: add more steps at once")


def importance_weights(draws: Draws, num_filled: Array | int, beta: Array | float) -> Array:
    """f32[n]: (N p) ** -beta over the largest of them; with beta 1 they undo what priorities do to the mean."""
    weights = (num_filled * draws.probability) ** -jnp.float32(beta)
    return weights / jnp.max(weights)
