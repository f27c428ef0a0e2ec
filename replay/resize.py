"""A ring's rows moved into a ring of another capacity, the newest first of all."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import ring as rings
from .owner import ReplayState
from .samplers import Sampler


def resized(state: ReplayState[Any], sampler: Sampler[Any], capacity: int) -> tuple[ReplayState[Any], int]:
    """The same rows and priorities in a ring of `capacity` rows, and how many of the oldest found no room there.

    Names of rows drawn before mean nothing afterwards.
    """
    old = state.ring
    row = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), old.storage)
    new = rings.empty(row, capacity, old.block, old.columns, old.groups)
    sizes = np.asarray(old.size)
    kept = np.minimum(sizes, new.rows_per_group)
    sources = [np.asarray(rings.newest(old, int(count), group))[::-1] for group, count in enumerate(kept)]
    targets = [group * new.rows_per_group + np.arange(count) for group, count in enumerate(kept)]
    source, target = np.concatenate(sources), np.concatenate(targets)
    full = kept == new.rows_per_group
    ring = rings.Ring(
        storage=jax.tree.map(lambda to, rows: to.at[target].set(rows[source]), new.storage, old.storage),
        head=jnp.array(np.where(full, 0, kept), jnp.int32),
        size=jnp.array(kept, jnp.int32),
        laps=jnp.array(full, jnp.uint32),
        block=new.block,
        columns=new.columns,
    )
    memory = sampler.moved(state.memory, ring, jnp.array(source), jnp.array(target))
    return ReplayState(ring, memory, state.key), int((sizes - kept).sum())
