"""The owner: adds in place whatever readers hold, makes the sides wait, and refuses priorities with the row."""

import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.replay.limiter import RateLimit, Totals
from cartridge.replay.owner import Mixture, PriorityError, Queue, RateLimitedError, Replay
from cartridge.replay.samplers import Draws, Prioritised, Sampler, Uniform
from jax import Array

KEY = jax.random.PRNGKey(0)
ROW = jnp.zeros((), jnp.int32)


def serial(first: int, count: int = 4) -> Array:
    return jnp.arange(first, first + count, dtype=jnp.int32)


def filled(sampler: Sampler[Any] | None = None, blocks: int = 2, **settings: Any) -> Replay[Array, Array]:
    """A replay of 16 rows with the rows 0, 1, 2, ... in blocks of four."""
    replay: Replay[Array, Array] = Replay(ROW, 16, 4, sampler or Uniform(), KEY, **settings)
    for block in range(blocks):
        replay.add(serial(4 * block))
    return replay


def place(replay: Replay[Any, Any]) -> int:
    return replay._state.ring.storage.unsafe_buffer_pointer()


def test_what_is_handed_out_never_makes_an_add_copy_the_ring() -> None:
    """Batches, draws, snapshots and their NumPy views are all held while the ring is written on."""
    replay = filled(Prioritised())
    before = place(replay)
    held: list[Any] = []
    for block in range(12):
        batch, draws = replay.sample(8)
        held += [batch, draws, np.asarray(batch), replay.snapshot(), replay.layout()]
        replay.update(draws, np.ones(8, np.float32))
        replay.add(serial(100 + 4 * block))
        assert place(replay) == before
    assert np.asarray(held[0]).max() < 8  # the first batch is what it was


def test_live_bytes_are_the_ring_and_a_batch() -> None:
    rows = jnp.zeros((1024, 64))
    replay: Replay[Array, Array] = Replay(jnp.zeros(64), 1 << 16, 1024, Uniform(), KEY)
    ring_bytes = (1 << 16) * 64 * 4
    for _ in range(70):
        replay.add(rows)
        replay.sample(256)
        alive = sum(array.nbytes for array in jax.live_arrays())
        assert alive < 1.5 * ring_bytes + rows.nbytes


def test_nothing_can_be_drawn_before_the_first_block() -> None:
    with pytest.raises(RateLimitedError, match="nothing has been written yet"):
        filled(blocks=0).sample(1)


def test_both_sides_wait_for_the_limit() -> None:
    replay = filled(blocks=1, limit=RateLimit(2.0, 4, -4.0, 8.0))
    with pytest.raises(RateLimitedError, match="no batch now: error 0 within -4 to 8: 4 rows written, 0 sampled"):
        replay.sample(8)
    replay.add(serial(4))
    with pytest.raises(RateLimitedError, match="no more rows now: error 8"):
        replay.add(serial(8))
    replay.sample(8)
    replay.add(serial(8))
    assert replay.totals == Totals(12, 8)


def test_a_waiting_reader_goes_on_when_rows_come() -> None:
    replay = filled(blocks=1, limit=RateLimit(1.0, 8, -4.0, 8.0))
    drawn: list[Array] = []
    reader = threading.Thread(target=lambda: drawn.append(replay.sample(4, timeout=60.0)[0]))
    reader.start()
    assert not drawn
    replay.add(serial(4))
    reader.join(60)
    assert drawn[0].shape == (4,)
    with pytest.raises(RateLimitedError):
        replay.sample(8, timeout=0.01)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_a_bad_priority_is_refused_with_its_row(bad: float) -> None:
    replay = filled(Prioritised())
    _, draws = replay.sample(4)
    before = replay.snapshot()[0].memory.sums.numbers
    given = np.array([1.0, 2.0, bad, 3.0], np.float32)
    slot = int(draws.slot[2])
    with pytest.raises(PriorityError, match=rf"got row 2: {np.float32(bad)} for slot {slot}$"):
        replay.update(draws, given)
    np.testing.assert_array_equal(replay.snapshot()[0].memory.sums.numbers, before)


@pytest.mark.parametrize(("slot", "generation"), [(-1, 1), (16, 1), (9, 1), (3, 0), (3, 2)])
def test_a_priority_for_a_row_that_never_was_is_refused(slot: int, generation: int) -> None:
    """Eight of sixteen slots are filled, once."""
    replay = filled(Prioritised())
    draws = Draws(jnp.array([2, slot]), jnp.array([1, generation], jnp.uint32), jnp.ones(2))
    with pytest.raises(PriorityError, match=rf"got row 1: 1.0 for slot {slot}$"):
        replay.update(draws, np.ones(2, np.float32))


def test_a_long_list_of_bad_rows_is_cut() -> None:
    replay = filled(Prioritised())
    _, draws = replay.sample(8)
    with pytest.raises(PriorityError, match=r"row 4: -1.0 for slot \d+ and 3 more$"):
        replay.update(draws, -np.ones(8, np.float32))


@pytest.mark.parametrize("sampler", [Uniform(), Prioritised()])
def test_a_restored_replay_goes_on_as_the_first_did(sampler: Sampler[Any]) -> None:
    first, second = filled(sampler), filled(sampler, blocks=0)
    first.update(first.sample(6)[1], np.arange(6, dtype=np.float32))
    state, totals = first.snapshot()
    second.restore(state, totals)
    for block in range(5):
        batches = []
        for replay in (first, second):
            batch, draws = replay.sample(6)
            replay.update(draws, np.asarray(batch, np.float32))
            replay.add(serial(50 + 4 * block))
            batches.append(np.asarray(batch))
        np.testing.assert_array_equal(*batches)
    assert first.totals == second.totals
    assert second.size == 16


def test_a_mixture_keeps_its_shares_and_priorities() -> None:
    own, shown = filled(Prioritised()), filled(Prioritised())
    shown.add(serial(1000))
    mixture = Mixture({"own": (own, 3.0), "shown": (shown, 1.0)})
    assert mixture.counts(8) == {"own": 6, "shown": 2}
    assert mixture.counts(7) == {"own": 5, "shown": 2}
    batch, draws = mixture.sample(8)
    assert batch.shape == (8,)
    mixture.update(draws, np.arange(1, 9, dtype=np.float32))
    for replay, part, given in ((own, "own", np.arange(1, 7)), (shown, "shown", np.array([7, 8]))):
        numbers = replay.snapshot()[0].memory.sums.numbers
        slots = np.asarray(draws[part].slot)
        for slot in slots:
            assert numbers[slot] == pytest.approx(given[slots == slot].max() ** 0.6)


def test_a_mixture_draws_from_all_or_none() -> None:
    own, empty = filled(), filled(blocks=0)
    with pytest.raises(RateLimitedError, match="empty has no 4 rows to give now"):
        Mixture({"own": (own, 1.0), "empty": (empty, 1.0)}).sample(8)
    assert own.totals.sampled == 0
    with pytest.raises(ValueError, match="shares of a mixture must be above 0"):
        Mixture({"own": (own, 0.0)})


def test_a_queue_gives_every_row_once_in_order() -> None:
    queue: Queue[Array] = Queue(ROW, 12, 4)
    taken: list[int] = []
    written = 0
    for asked in [3, 1, 4, 2, 5, 1, 8, 7, 1] * 10:
        while written - len(taken) <= 8:
            queue.put(serial(written))
            written += 4
        taken += np.asarray(queue.take(asked)).tolist()
    assert taken == list(range(320))


def test_a_queue_makes_both_sides_wait() -> None:
    queue: Queue[Array] = Queue(ROW, 8, 4)
    with pytest.raises(RateLimitedError, match="0 rows are waiting, 2 were asked for"):
        queue.take(2)
    queue.put(serial(0))
    queue.put(serial(4))
    with pytest.raises(RateLimitedError, match="the queue is full: 8 of 8 rows wait"):
        queue.put(serial(8))
    taker = threading.Thread(target=lambda: queue.take(4))
    taker.start()
    queue.put(serial(8), timeout=60.0)
    taker.join(60)
    assert np.asarray(queue.take(8)).tolist() == list(range(4, 12))


def test_a_queue_is_written_in_place() -> None:
    queue: Queue[Array] = Queue(ROW, 8, 4)
    before = queue._ring.storage.unsafe_buffer_pointer()
    for block in range(5):
        queue.put(serial(4 * block))
        assert np.asarray(queue.take(4)).tolist() == list(range(4 * block, 4 * block + 4))
        assert queue._ring.storage.unsafe_buffer_pointer() == before


def test_a_cleared_replay_hands_out_nothing_old() -> None:
    replay = filled(Prioritised())
    replay.clear()
    assert (replay.size, replay.totals) == (0, Totals())
    with pytest.raises(RateLimitedError):
        replay.sample(1)
    replay.add(serial(100))
    batch, draws = replay.sample(8)
    assert set(np.asarray(batch).tolist()) <= {100, 101, 102, 103}
    assert np.asarray(draws.probability) == pytest.approx(0.25)
