"""Rows and priorities survive a move into a smaller or larger ring; the oldest go first."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.replay.owner import Replay
from cartridge.replay.resize import resized
from cartridge.replay.samplers import Prioritised
from jax import Array

SAMPLER = Prioritised(1.0, span=2)


def replay(capacity: int) -> Replay[Array, Array]:
    """Two games in lock step, two steps a block, in two groups."""
    return Replay(jnp.int32(0), capacity, 4, SAMPLER, jax.random.PRNGKey(0), columns=2, groups=2)


def numbered(held: Replay[Array, Array]) -> dict[int, float]:
    """Row -> its stored priority, of all rows held."""
    state, _ = held.snapshot()
    ring = state.ring
    found = {}
    for group in range(2):
        for back in range(int(ring.size[group])):
            slot = group * ring.rows_per_group + (ring.head[group] - 1 - back) % ring.rows_per_group
            found[int(ring.storage[slot])] = float(state.memory.sums.numbers[slot])
    return found


@pytest.mark.parametrize("written", [3, 5, 9])
@pytest.mark.parametrize("capacity", [8, 16, 24, 48])
def test_the_newest_stay_with_their_priorities(written: int, capacity: int) -> None:
    old = replay(24)
    for block in range(written):
        old.add(jnp.arange(4 * block, 4 * block + 4, dtype=jnp.int32) + 1, group=block % 2)
        batch, draws = old.sample(8)
        old.update(draws, np.asarray(batch, np.float32))
    before = numbered(old)
    new = replay(capacity)
    state, dropped = resized(old.snapshot()[0], SAMPLER, capacity)
    new.restore(state, old.totals)
    after = numbered(new)
    per_group = [[row for row in sorted(before) if (row - 1) // 4 % 2 == group] for group in range(2)]
    kept = [row for rows in per_group for row in rows[-capacity // 2 :]]
    assert after == {row: before[row] for row in kept}
    assert dropped == len(before) - len(kept)
    for block in range(written, written + 12):  # it is a ring like any other, sequences and all
        new.add(jnp.arange(4 * block, 4 * block + 4, dtype=jnp.int32) + 1, group=block % 2)
        assert (np.asarray(new.sample(8)[0]) > 0).all()
    assert len(numbered(new)) == capacity
