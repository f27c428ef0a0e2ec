"""A ring of rows in device memory, over any pytree, written in place.

Rows come in blocks: K consecutive steps of M games, step after step. The ring is cut into G groups, each with a head of
its own, so that actors of different speeds write side by side; a trainer that plays all its games in lock step has one
group. The ring holds packed states and targets; observations, masks and symmetric views are computed from them at
sampling time inside the same jitted call. It never leaves JAX: exporting it would break the in-place donation.
"""

import dataclasses
from typing import Generic, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

Row = TypeVar("Row")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Ring(Generic[Row]):
    """N rows in G groups of N / G. A row's number, its slot, is i32 in 0..N - 1.

    Totals are counted on the host. The one count kept here, `laps`, may wrap round: it tells the row in a slot from
    those that were there before, which it does unless 2^32 of them are gone.
    """

    storage: Row  # pytree of [N, ...]
    head: Array  # i32[G], where in its group the next block is written
    size: Array  # i32[G], rows of the group that are filled
    laps: Array  # u32[G], how often the head has come round
    block: int = dataclasses.field(metadata={"static": True})  # K * M, rows that are written at once
    columns: int = dataclasses.field(metadata={"static": True})  # M: the next step of a game is M slots on

    @property
    def capacity(self) -> int:
        """N."""
        return jax.tree.leaves(self.storage)[0].shape[0]

    @property
    def groups(self) -> int:
        """G."""
        return self.head.shape[0]

    @property
    def rows_per_group(self) -> int:
        """N / G."""
        return self.capacity // self.groups


def empty(row: Row, capacity: int, block: int, columns: int = 1, groups: int = 1) -> Ring[Row]:
    """A ring for rows shaped like `row`, a pytree of arrays or of shapes with dtypes, without a leading axis.

    Raises:
      ValueError: `capacity` is not whole blocks for each group, or a block not whole steps of `columns` games.
    """
    if min(capacity, block, columns, groups) < 1 or capacity % (block * groups) or block % columns:
        raise ValueError(
            f"a ring of {capacity} rows cannot hold whole blocks of {block} rows, steps of {columns} games, in "
            f"{groups} groups: make the capacity a multiple of block and groups, and the block one of the games"
        )
    if capacity >= 1 << 31:
        raise ValueError(f"a ring of {capacity} rows is too large: slots are 32-bit numbers")
    storage = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype), row)
    # An array each: what is donated must not share its memory.
    head, size = jnp.zeros((groups,), jnp.int32), jnp.zeros((groups,), jnp.int32)
    return Ring(storage, head, size, jnp.zeros((groups,), jnp.uint32), block, columns)


def add(ring: Ring[Row], rows: Row, group: Array | int = 0) -> Ring[Row]:
    """Writes a block ([K * M, ...] leaves) over the oldest rows of a group; in place where the caller donates `ring`.

    Raises:
      ValueError: the block is not of the ring's block size, at which no block ever wraps.
    """
    given = jax.tree.leaves(rows)[0].shape[0]
    if given != ring.block:
        raise ValueError(f"this ring takes blocks of {ring.block} rows, got {given}")
    head, start = ring.head[group], first_slot(ring, group) + ring.head[group]

    def write(storage: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(storage, new.astype(storage.dtype), start, axis=0)

    after = head + ring.block
    comes_round = after == ring.rows_per_group
    return dataclasses.replace(
        ring,
        storage=jax.tree.map(write, ring.storage, rows),
        head=ring.head.at[group].set(jnp.where(comes_round, 0, after)),
        size=ring.size.at[group].set(jnp.minimum(ring.size[group] + ring.block, ring.rows_per_group)),
        laps=ring.laps.at[group].add(comes_round.astype(jnp.uint32)),
    )


def drop_oldest(ring: Ring[Row], num_rows: int, group: Array | int = 0) -> Ring[Row]:
    """Forgets the oldest rows of a group, which has at least so many: with `oldest`, a first-in-first-out queue."""
    return dataclasses.replace(ring, size=ring.size.at[group].add(-num_rows))


def oldest(ring: Ring[Row], num_rows: int, group: Array | int = 0) -> Array:
    """i32[num_rows]: the slots of the rows of a group that were written first, in order."""
    offset = ring.head[group] - ring.size[group] + jnp.arange(num_rows, dtype=jnp.int32)
    return first_slot(ring, group) + offset % ring.rows_per_group


def newest(ring: Ring[Row], num_rows: int, group: Array | int = 0) -> Array:
    """i32[num_rows]: the slots of the rows of a group that were written last, the last one first."""
    offset = ring.head[group] - 1 - jnp.arange(num_rows, dtype=jnp.int32)
    return first_slot(ring, group) + offset % ring.rows_per_group


def rows_at(ring: Ring[Row], slots: Array) -> Row:
    """The rows in `slots` (i32[...]), leaves of [*slots.shape, ...]."""
    # Slots are in range; asking what to do if they were not triples the time on a CPU.
    return jax.tree.map(lambda leaf: leaf.at[slots].get(mode="clip"), ring.storage)


def age(ring: Ring[Row], slots: Array) -> Array:
    """i32[...]: how many rows of its group were written after the one in each slot."""
    group, offset = place(ring, slots)
    return (ring.head[group] - 1 - offset) % ring.rows_per_group


def generation(ring: Ring[Row], slots: Array) -> Array:
    """u32[...]: the how-manieth row each slot holds, 0 where it holds none. It tells a row from its successor."""
    group, offset = place(ring, slots)
    return ring.laps[group] + (offset < ring.head[group]).astype(jnp.uint32)


def place(ring: Ring[Row], slots: Array) -> tuple[Array | int, Array]:
    """(group, offset within it) of each slot; the common ring of one group needs no arithmetic for it."""
    if ring.groups == 1:
        return 0, slots
    return slots // ring.rows_per_group, slots % ring.rows_per_group


def first_slot(ring: Ring[Row], group: Array | int) -> Array:
    """i32[]: where a group begins."""
    return jnp.int32(group) * ring.rows_per_group
