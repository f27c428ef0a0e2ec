"""A ring of rows in device memory, over any pytree, written in place.

The ring holds packed states and targets; observations, masks and symmetric views are computed from them at sampling
time inside the same jitted call. The ring itself never leaves JAX: exporting it would break the in-place donation.
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
    """N rows, of which the newest `size` are filled. Totals are counted on the host: no counter here can overflow."""

    storage: Row  # pytree of [N, ...]
    head: Array  # i32[], the row that is written next
    size: Array  # i32[], rows filled

    @property
    def capacity(self) -> int:
        """N."""
        return jax.tree.leaves(self.storage)[0].shape[0]


def empty(row: Row, capacity: int) -> Ring[Row]:
    """A ring for rows shaped like `row`, a pytree of arrays or of shapes with dtypes, without a leading axis."""
    storage = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype), row)
    return Ring(storage, jnp.int32(0), jnp.int32(0))


def add(ring: Ring[Row], rows: Row) -> Ring[Row]:
    """Writes a block of K rows ([K, ...] leaves) over the oldest; in place where the caller donates `ring`.

    K must divide the capacity and be the same in every call for one ring, so that a block never wraps. Only the first
    can be checked here: a block of another size would be written where the end of the storage lets it fit.
    """
    block = jax.tree.leaves(rows)[0].shape[0]
    if ring.capacity % block:
        raise ValueError(f"blocks of {block} rows do not divide a ring of {ring.capacity}: make that a multiple")

    def write(storage: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(storage, new.astype(storage.dtype), ring.head, axis=0)

    return Ring(
        storage=jax.tree.map(write, ring.storage, rows),
        head=(ring.head + block) % ring.capacity,
        size=jnp.minimum(ring.size + block, ring.capacity),
    )


def sample_uniform(ring: Ring[Row], key: Array, num_rows: int) -> tuple[Row, Array]:
    """Draws rows with replacement: ([num_rows, ...] leaves, age i32[num_rows] in rows since each was written)."""
    age = jax.random.randint(key, (num_rows,), 0, jnp.maximum(ring.size, 1))
    index = (ring.head - 1 - age) % ring.capacity
    return jax.tree.map(lambda leaf: leaf[index], ring.storage), age
