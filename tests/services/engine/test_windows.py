"""Ranges and the windows around them: nothing is given twice or lost, and every window is of a compiled size."""

import pytest
from cartridge.services.engine.windows import Range, Room, compiled_size, cover
from hypothesis import given
from hypothesis import strategies as st

CAPACITY = 200


@given(st.lists(st.tuples(st.integers(1, 80), st.integers(0, 10)), max_size=60))
def test_room_is_given_once_and_comes_back_whole(steps: list[tuple[int, int]]) -> None:
    """Takes `size` games, then gives back lease number `index` of those there are, if there are so many."""
    room, held = Room(CAPACITY), []
    for size, index in steps:
        taken = room.take(size)
        assert (taken is None) == (size > room.largest if taken is None else False)
        if taken is not None:
            assert taken.size == size
            assert all(taken.end <= other.first or other.end <= taken.first for other in held)
            assert 0 <= taken.first <= taken.end <= CAPACITY
            held.append(taken)
        if index < len(held):
            room.give_back(held.pop(index))
        assert room.free == CAPACITY - sum(one.size for one in held)
        assert room.largest <= room.free
    for one in held:
        room.give_back(one)
    assert room.largest == CAPACITY


def test_sizes_are_powers_of_two_up_to_the_batch() -> None:
    found = [compiled_size(num, 100) for num in (1, 16, 17, 32, 33, 64, 65, 100)]
    assert found == [16, 16, 32, 32, 64, 64, 100, 100]


RANGES = st.lists(st.integers(1, 40), max_size=12).map(
    lambda sizes: [Range(sum(sizes[:index]), size) for index, size in enumerate(sizes)]
)


@given(RANGES, st.sets(st.integers(0, 11)), st.sets(st.sampled_from([64, 128, 256])), st.randoms())
def test_each_range_lies_in_one_window_of_a_compiled_size(ranges, chosen, more, random) -> None:
    wanted = [one for index, one in enumerate(ranges) if index in chosen]
    random.shuffle(wanted)
    capacity = 480
    windows = cover(wanted, sorted({40} | more), capacity)
    assert sorted(index for window in windows for index in window.members) == list(range(len(wanted)))
    for window in windows:
        assert window.span.size in {40} | more
        assert 0 <= window.span.first <= window.span.end <= capacity
        inside = [wanted[index] for index in window.members]
        assert all(window.span.first <= one.first and one.end <= window.span.end for one in inside)
        assert len(inside) == 1 or 2 * sum(one.size for one in inside) >= window.span.size


def test_neighbours_share_a_window_and_the_far_apart_do_not() -> None:
    ranges = [Range(0, 16), Range(16, 16), Range(160, 16)]
    assert [window.members for window in cover(ranges, [16, 32, 64], CAPACITY)] == [(0, 1), (2,)]
    assert len(cover(ranges, [16], CAPACITY)) == 3
    assert cover([Range(195, 5)], [16], CAPACITY)[0].span == Range(184, 16)
    with pytest.raises(ValueError, match="larger than every size"):
        cover([Range(0, 20)], [16], CAPACITY)
