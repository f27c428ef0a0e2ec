"""The table of rows against plain loops over what was written, and its way back into a ring."""

import dataclasses
from collections import deque
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import codec
from cartridge.engine.transition import EngineState, start
from cartridge.games.tictactoe import TicTacToe
from cartridge.replay import export
from cartridge.replay.export import Columns, Episodes, Numbering
from cartridge.replay.limiter import RateLimit
from cartridge.replay.owner import Replay
from cartridge.replay.samplers import Prioritised, Sampler, Uniform
from hypothesis import given, settings
from hypothesis import strategies as st

GAME = TicTacToe()
KEY = jax.random.PRNGKey(0)
COLUMNS, STEPS, GROUPS = 3, 2, 2
BLOCK = COLUMNS * STEPS


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Row:
    """As self-play's, and with a leaf of two axes besides."""

    state: EngineState[Any]
    policy: Any
    value: Any
    planes: Any


def shaped(make: Any) -> Row:
    """A row whose leaves are what `make` says of (shape, dtype)."""
    state = jax.eval_shape(lambda: start(GAME, jnp.zeros(2, jnp.uint32)))
    return Row(
        jax.tree.map(lambda leaf: make(leaf.shape, leaf.dtype), state),
        policy=make((9,), jnp.float32),
        value=make((), jnp.float32),
        planes=make((2, 2), jnp.uint8),
    )


ROW = shaped(jax.ShapeDtypeStruct)


def block(rng: np.random.Generator, moves: np.ndarray) -> Row:
    """Rows of nothing but noise, with these move counts."""
    made = shaped(lambda shape, dtype: rng.integers(0, 200, (BLOCK, *shape)).astype(dtype))
    return dataclasses.replace(made, state=dataclasses.replace(made.state, meta=moves.astype(np.uint32)))


def filled(sampler: Sampler[Any], seed: int = 0, blocks: int = 9) -> tuple[Replay[Any, Any], list[deque[Any]]]:
    """A replay that came round, and for each group the rows it must hold, each as (move, leaves)."""
    rng = np.random.default_rng(seed)
    replay: Replay[Any, Any] = Replay(ROW, 4 * BLOCK * GROUPS, BLOCK, sampler, KEY, columns=COLUMNS, groups=GROUPS)
    model = [deque[Any](maxlen=4 * BLOCK) for _ in range(GROUPS)]
    games = np.zeros((GROUPS, COLUMNS), int)
    for _ in range(blocks):
        group = int(rng.integers(GROUPS))
        moves = []
        for _ in range(STEPS):
            games[group] = np.where(rng.random(COLUMNS) < 0.3, rng.integers(0, 4, COLUMNS), games[group] + 1)
            moves += games[group].tolist()
        rows = block(rng, np.array(moves))
        replay.add(rows, group)
        model[group] += [(moves[i], [leaf[i] for leaf in jax.tree.leaves(rows)]) for i in range(BLOCK)]
    return replay, model


def joined(pieces: Any) -> Columns:
    found = list(pieces)
    return {name: np.concatenate([piece[name] for piece in found]) for name in found[0]}


def numbered(model: list[deque[Any]]) -> list[tuple[int, int, int, int, int]]:
    """(step, group, column, episode, move) of each row, one after the other."""
    found, last = [], -1
    for group, rows in enumerate(model):
        playing: dict[int, tuple[int, int]] = {}  # column -> (episode, move)
        for index, (move, _) in enumerate(rows):
            step, column = divmod(index, COLUMNS)
            if column in playing and playing[column][1] + 1 == move:
                episode = playing[column][0]
            else:
                episode = last = last + 1
            playing[column] = episode, move
            found.append((step, group, column, episode, move))
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), max_rows=st.integers(1, 60))
def test_rows_come_in_order_with_their_places(seed: int, max_rows: int) -> None:
    replay, model = filled(Uniform(), seed)
    table = joined(export.pieces(replay.snapshot()[0], max_rows))
    names = ("step", "group", "column", "episode", "move")
    assert list(zip(*(table[name].tolist() for name in names), strict=True)) == numbered(model)
    leaves = [row for rows in model for _, row in rows]
    words = [np.concatenate([np.atleast_1d(leaf) for leaf in row[:-3]]) for row in leaves]
    np.testing.assert_array_equal(table["state"], np.stack(words))
    for name, index in (("policy", -3), ("value", -2)):
        np.testing.assert_array_equal(table[name], np.stack([row[index] for row in leaves]))
    np.testing.assert_array_equal(table["planes"], np.stack([row[-1].ravel() for row in leaves]))
    assert "priority" not in table


def test_columns_have_the_shapes_that_are_told() -> None:
    table = joined(export.pieces(filled(Prioritised())[0].snapshot()[0], 7))
    told = export.shapes(ROW, GAME.spec.state_bytes)
    assert {name: (values.dtype, values.shape[1:]) for name, values in table.items()} == told


def test_priorities_go_with_their_rows() -> None:
    replay, model = filled(Prioritised(exponent=0.5))
    newest = [rows[-1][1][-2] for rows in model]  # values, which are all unlike
    _, draws = replay.sample(64)
    replay.update(draws, np.asarray(draws.slot, np.float32))
    state = replay.snapshot()[0]
    table = joined(export.pieces(state, 10))
    by_slot = {slot: state.memory.sums.numbers[slot] for slot in range(state.ring.capacity)}
    values = np.asarray(state.ring.storage.value)
    for row in range(len(table["value"])):
        same = [slot for slot in by_slot if values[slot] == table["value"][row]]
        assert any(by_slot[slot] == table["priority"][row] for slot in same)
    assert len(set(table["priority"].tolist())) > 10
    assert table["value"][table["group"] == 1][-1] == newest[1]


def test_episodes_are_the_runs_of_one_number() -> None:
    replay, model = filled(Uniform(), seed=5)
    episodes = Episodes()
    for piece in export.pieces(replay.snapshot()[0], 5):
        episodes.add(piece)
    table = episodes.columns()
    rows = numbered(model)
    for number in range(len(table["episode"])):
        mine = [row for row in rows if row[3] == number]
        step, group, column, _, _ = mine[0]
        entry = tuple(int(table[name][number]) for name in ("episode", "group", "column", "first_step", "num_moves"))
        assert entry == (number, group, column, step, len(mine))
    assert len(table["episode"]) == len({row[3] for row in rows})


def test_a_long_game_is_one_episode_however_it_is_cut() -> None:
    numbering = Numbering(2)
    cuts = np.split(np.repeat(np.arange(10), 2), [1, 2, 9, 9, 16])
    episodes = [numbering.take(0, cut)["episode"] for cut in cuts]
    assert np.concatenate(episodes).tolist() == [0, 1] * 10
    assert numbering.take(1, np.array([10]))["episode"].tolist() == [2]  # another group's games are others


def test_blocks_lose_nothing_but_the_end() -> None:
    sizes = [3, 1, 0, 9, 2, 4]
    serial = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    found = list(export.blocks(({"move": part} for part in serial), 4))
    assert [one["move"].tolist() for one in found] == [list(range(start, start + 4)) for start in (0, 4, 8, 12)]


def test_rows_go_back_into_a_ring_as_they_came() -> None:
    replay, _ = filled(Uniform(), blocks=3)
    table = joined(export.pieces(replay.snapshot()[0], 100))
    again: Replay[Any, Any] = Replay(ROW, 8 * BLOCK, BLOCK, Uniform(), KEY, columns=COLUMNS)
    for one in export.blocks([table], BLOCK):
        again.fill(export.rows(ROW, codec.split_words(GAME, one["state"]), one))
    back = joined(export.pieces(again.snapshot()[0], 100))
    for name in ("move", "state", "policy", "value", "planes"):
        np.testing.assert_array_equal(back[name], table[name])
        assert back[name].dtype == table[name].dtype


def test_a_leaf_must_not_be_named_as_a_column() -> None:
    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Clash:
        state: Any
        episode: Any

    with pytest.raises(ValueError, match="leaves named episode"):
        export.shapes(Clash(ROW.state, ROW.value), GAME.spec.state_bytes)


def test_rows_from_elsewhere_wait_for_nobody_and_keep_nobody_waiting() -> None:
    limit = RateLimit.within(samples_per_insert=2.0, min_rows=4, tolerance=8.0)
    replay: Replay[Any, Any] = Replay(jnp.zeros(()), 40, 4, Uniform(), KEY, limit=limit)
    for _ in range(10):
        replay.fill(jnp.zeros(4))
    assert replay.totals.inserted == replay.size == 40
    replay.sample(8)
    replay.add(jnp.zeros(4))
