"""Sums of priorities in few levels: to draw in proportion, and to change some, costs a few blocks and no more.

Level 0 holds a number a slot, every level above it the sums of blocks of the one below. A change recomputes the blocks
it touches from the numbers themselves, so nothing drifts, however many changes there are. A draw goes down from the
top, one block a level.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
from jax import Array

from ..engine import keys
from ..engine.apart import compiled_apart

_FAN_OUT = 16  # numbers in a block: one cache line, and few enough to be summed one after the other
_JUST_BELOW_1 = 1 - 2**-23  # times a float32: one or two floats below it
_FINE_BELOW = 3  # levels from the top on, in which a target's own digits are enough


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Sums:
    """Numbers f32[N], none negative, under their sums; every level is padded with zeros to whole blocks."""

    levels: tuple[Array, ...]  # f32[N padded], f32[N / F padded], ..., f32[1]

    @property
    def total(self) -> Array:
        """f32[]."""
        return self.levels[-1][0]

    @property
    def numbers(self) -> Array:
        """f32[N padded]."""
        return self.levels[0]


def zeros(num_slots: int) -> Sums:
    """All N numbers 0."""
    levels = []
    size = num_slots
    while size > 1:
        size = -(-size // _FAN_OUT)
        levels.append(jnp.zeros((size * _FAN_OUT,)))
    return Sums((*levels, jnp.zeros((1,))))


def set_slots(sums: Sums, slots: Array, numbers: Array) -> Sums:
    """Sets the numbers (f32[n]) of some slots (i32[n]); of two for one slot the larger counts, on every device alike.

    A slot that is out of range is passed over.
    """
    # Two steps, neither of which depends on an order: several writes of one value, then a maximum.
    cleared = sums.levels[0].at[slots].set(0.0, mode="drop")
    levels = [cleared.at[slots].max(numbers, mode="drop")]
    for above in sums.levels[1:]:
        below, slots = levels[-1], slots // _FAN_OUT
        blocks = below.reshape(-1, _FAN_OUT)[slots]
        levels.append(above.at[slots].set(_running(blocks)[-1], mode="drop"))
    return Sums(tuple(levels))


def set_run(sums: Sums, start: Array, numbers: Array) -> Sums:
    """Sets the numbers (f32[n]) of a run of slots from `start` (i32[]) on, which lies in range."""
    levels = [jax.lax.dynamic_update_slice_in_dim(sums.levels[0], numbers, start, axis=0)]
    length = numbers.shape[0]
    for above in sums.levels[1:]:
        below = levels[-1].reshape(-1, _FAN_OUT)
        length = min((length - 1) // _FAN_OUT + 2, below.shape[0])  # blocks that a run can touch
        start = jnp.minimum(start // _FAN_OUT, below.shape[0] - length)
        blocks = jax.lax.dynamic_slice_in_dim(below, start, length, axis=0)
        levels.append(jax.lax.dynamic_update_slice_in_dim(above, jnp.sum(blocks, axis=1), start, axis=0))
    return Sums(tuple(levels))


def draw(sums: Sums, key: Array, num_draws: int) -> Array:
    """i32[n]: slots in proportion to their numbers, stratified: draw i lies in the i-th of n equal parts of the total.

    `key` is uint32[2]; n is below 2^24.
    """
    words = keys.word_pairs(key, num_draws)
    digits = 24 - (num_draws - 1).bit_length()  # after the binary point: with the part's number they fill a float32
    part = jnp.arange(num_draws, dtype=jnp.float32)
    targets = part + (words[0] >> (32 - digits)).astype(jnp.float32) * jnp.float32(2.0**-digits)
    fine = words[1].astype(jnp.float32) * jnp.float32(2.0 ** -(32 + digits))
    return find(sums, targets, fine, num_draws)


def find(sums: Sums, targets: Array, fine: Array, parts: int) -> Array:
    """i32[n]: the slots in whose shares lie targets + fine (f32[n] each), counted in the total's equal `parts`.

    Of a total over millions of slots a float32 tells hardly two places apart within the share of one, and some slots
    would be drawn twice as often as their equals. So the digits a target cannot hold come apart from it, as `fine`,
    and join it where what is left of it is small. Multiplying the sums by `parts` over the total, and not the target
    by its inverse, keeps the targets evenly spaced.

    No slot whose number is 0 is ever found, as long as the others are more than 1e-30 of the total.
    """
    scale = parts / sums.total
    slots = jnp.zeros(targets.shape, jnp.int32)
    for depth, level in enumerate(reversed(sums.levels[:-1])):
        if depth == _FINE_BELOW:
            targets = targets + fine
        slots, targets = compiled_apart(_go_down, sums.total >= 0, (slots, targets), level, scale)
    return slots


def _go_down(within: tuple[Array, Array], level: Array, scale: Array) -> tuple[Array, Array]:
    """(i32[n], f32[n]): from blocks of a level and targets within their sums to those of the level below."""
    slots, targets = within
    blocks = level.reshape(-1, _FAN_OUT).at[slots].get(mode="clip") * scale  # [n, F]
    upto = _running(blocks)
    # Rounding may leave a target at or beyond the block's sum; a little less is still in the last share.
    targets = jnp.minimum(targets, upto[-1] * _JUST_BELOW_1)
    before, slots = jnp.zeros_like(targets), slots * _FAN_OUT
    for bound in upto[:-1]:
        past = bound <= targets
        before, slots = jnp.where(past, bound, before), slots + past.astype(jnp.int32)
    return slots, targets - before


def _running(blocks: Array) -> list[Array]:
    """f32[n] each: the sums of the first, the first two, ... numbers of each block of [n, F].

    Written out: for a sum over an axis of what it gathered XLA on a CPU leaves its own kernels and calls a library,
    which costs a change of 1,024 slots a fifth of its time. Those of a run, which is not gathered, stay in.
    """
    return list(itertools.accumulate(blocks[:, child] for child in range(_FAN_OUT)))
