"""The batch of a server: few programs for any number of leases, and what ended episodes leave behind."""

import re
from typing import Any

import numpy as np
import pytest
from cartridge.engine import codec, slices
from cartridge.registry import make_game
from cartridge.services.engine.device_batch import DeviceBatch, Order
from cartridge.services.engine.windows import Range

OUTPUTS = ("mask:bits9:v1", "obs:bits18:v1")
GAME: Any = make_game("tictactoe")


def order(where: Range, actions: Any) -> Order:
    moves = np.full(where.size, slices.MOVE | slices.SAME_STEP, np.uint8)
    return Order(where, OUTPUTS, np.broadcast_to(np.asarray(actions, np.int32), (where.size,)), moves)


@pytest.mark.parametrize("ending", ["none", "few", "an eighth and one", "all"])
def test_ended_episodes_leave_their_last_view_behind(ending: str) -> None:
    """In a large window they are shown on their own, some at a time; an illegal action ends a game wherever wanted."""
    size = 2048
    batch = DeviceBatch(GAME, 4096)
    where = Range(17, size)
    batch.prepare(size, OUTPUTS)
    batch.begin(where, 0, OUTPUTS)
    first = batch.step([order(where, np.arange(size) % 9)])[0]
    boards = codec.decode(GAME.spec, OUTPUTS[1], bytes(first.tensors[1]), size)
    rows = {"none": [], "few": [3, 700], "an eighth and one": np.arange(257) * 7, "all": np.arange(size)}[ending]
    ended = batch.step([order(where, np.where(np.isin(np.arange(size), rows), 99, (np.arange(size) + 1) % 9))])[0]
    np.testing.assert_array_equal(np.frombuffer(ended.final_rows, "<u4"), rows)
    if len(rows):
        final = codec.decode(GAME.spec, OUTPUTS[1], bytes(ended.finals[1]), len(rows))
        np.testing.assert_array_equal(final, boards[rows])
        assert not any(ended.finals[0])  # no action is legal when a game is over
    else:
        assert not ended.finals


def test_leases_side_by_side_are_stepped_by_programs_that_are_there() -> None:
    """Sixteen leases in one window of a size that is compiled, and again in windows of their own where it is not."""
    batch = DeviceBatch(GAME, 512)
    places = [Range(16 * index, 16) for index in range(16)]
    batch.prepare(16, OUTPUTS)
    for where in places:
        batch.begin(where, 1, OUTPUTS)
    apart = batch.step([order(where, index % 9) for index, where in enumerate(places)])
    programs = set(batch._programs)
    batch.prepare(256, OUTPUTS)
    for where in places:
        batch.begin(where, 1, OUTPUTS)
    together = batch.step([order(where, index % 9) for index, where in enumerate(places)])
    for one, other in zip(apart, together, strict=True):
        assert [*map(bytes, one.tensors)] == [*map(bytes, other.tensors)]
    new = {key[0] for key in set(batch._programs) - programs}
    assert new == {"fresh", "put", "read", "show", "step"}
    before = set(batch._programs)
    batch.step([order(places[3], 5)])
    assert set(batch._programs) == before


@pytest.mark.parametrize("name", ["connect4", "kuhn_poker"])
def test_a_step_of_few_games_copies_no_large_batch(name: str) -> None:
    """In what XLA made of it: it used to copy the whole batch, twice, to change a few games."""
    game: Any = make_game(name)
    batch = DeviceBatch(game, 8192)
    program: Any = batch._step(64, (next(output for output in game.spec.outputs if output.startswith("mask")),))
    whole = [line for line in program.as_text().splitlines() if re.search(r" = \w+\[8192\b", line)]
    assert whole
    assert not [line for line in whole if " copy(" in line]
