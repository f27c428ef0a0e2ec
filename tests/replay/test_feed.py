"""The feed lends batches to torch in order, draws ahead as far as told, and finds who writes into them."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import pytest
import torch
from cartridge.engine.border import BorderError
from cartridge.replay.feed import torch_batches
from cartridge.replay.owner import Replay
from cartridge.replay.samplers import Uniform
from jax import Array


def numbered(drawn: list[int], count: int = 6) -> Iterator[dict[str, Array]]:
    for number in range(count):
        drawn.append(number)
        yield {"rows": jnp.full((3,), number, jnp.float32), "mask": jnp.ones(3, bool)}


@pytest.mark.parametrize("depth", [1, 2, 4, 100])
def test_batches_come_in_order_and_are_drawn_ahead(depth: int) -> None:
    drawn: list[int] = []
    for number, batch in enumerate(torch_batches(numbered(drawn), depth)):
        assert batch["rows"].tolist() == [number] * 3
        assert batch["mask"].dtype == torch.bool
        assert len(drawn) == min(6, number + 1 + depth)
    assert len(drawn) == 6


def test_nothing_is_copied_on_the_way() -> None:
    one = {"rows": jax.block_until_ready(jnp.arange(1000.0))}
    (batch,) = torch_batches([one])
    assert batch["rows"].data_ptr() == one["rows"].unsafe_buffer_pointer()


def test_a_write_is_found_when_asked_for() -> None:
    feed = torch_batches(numbered([]), check=True)
    next(feed)["rows"].add_(1)
    with pytest.raises(BorderError, match=r"torch wrote into \['rows'\]"):
        next(feed)


def test_a_replay_feeds_torch_while_it_is_written_on() -> None:
    replay: Replay[Array, Array] = Replay(jnp.zeros((2,)), 64, 8, Uniform(), jax.random.PRNGKey(0))
    replay.add(jnp.ones((8, 2)))
    rows = (batch for batch, _ in replay.batches(16))
    feed = torch_batches(rows, depth=3)
    for turn in range(20):
        batch = next(feed)
        replay.add(jnp.full((8, 2), float(turn)))
        assert batch.shape == (16, 2)
        assert float(batch.max()) <= max(1, turn)
    feed.close()
