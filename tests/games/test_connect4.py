"""Connect Four: lines in all four directions, none around an edge or across the cut between the words, full boards."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import bits
from cartridge.engine.keys import zero_key
from cartridge.games.connect4 import COLUMNS, ROWS, Connect4, Connect4State, _has_four, _place

GAME = Connect4()


def words_of(cells: Any) -> tuple[int, int]:
    """(low, high) of a set of (column, height)."""
    words = [0, 0]
    for column, height in cells:
        word, bit = _place(column, height)
        words[word] |= 1 << bit
    return words[0], words[1]


def played(columns: str) -> Any:
    """The step after discs in `columns`, written from 1 as people do."""
    moves = [jnp.int32(GAME.parse_action(column)) for column in columns]
    first = GAME.step(GAME.init(zero_key()), moves[0], zero_key())
    return functools.reduce(lambda step, move: GAME.step(step.state, move, zero_key()), moves[1:], first)


def four_in_a_row(cells: set[tuple[int, int]]) -> bool:
    """The rule as a person would check it."""
    steps = ((1, 0), (0, 1), (1, 1), (1, -1))
    return any(all((x + k * dx, y + k * dy) in cells for k in range(4)) for x, y in cells for dx, dy in steps)


def test_all_69_lines_win_and_random_boards_agree_with_the_rule() -> None:
    grid = list(itertools.product(range(COLUMNS), range(ROWS)))
    lines = [
        {(x + k * dx, y + k * dy) for k in range(4)}
        for x, y in grid
        for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1))
        if x + 3 * dx < COLUMNS and 0 <= y + 3 * dy < ROWS
    ]
    assert len(lines) == 69
    random = np.random.default_rng(0)
    boards = [{cell for cell in grid if random.random() < 0.45} for _ in range(500)]
    low, high = np.array([words_of(cells) for cells in lines + boards], np.uint32).T
    found = jax.jit(jax.vmap(_has_four))(low, high)
    assert found.tolist() == [True] * 69 + [four_in_a_row(cells) for cells in boards]
    assert 100 < sum(found[69:].tolist()) < 400


@pytest.mark.parametrize(
    ("columns", "reward", "over"),
    [
        ("121212", [0.0, 0.0], False),
        ("1212121", [1.0, -1.0], True),  # upright
        ("12324272", [-1.0, 1.0], True),  # upright, by the second player
        ("3344556", [1.0, -1.0], True),  # across the cut between columns d and e
        ("547125662261271266215743771576315353334444", [0.0, 0.0], True),  # a full board, a draw for OpenSpiel too
    ],
)
def test_known_games(columns: str, reward: list[float], over: bool) -> None:
    step = played(columns)
    assert step.reward.tolist() == reward
    assert bool(step.terminated) == over


def test_a_full_column_is_closed() -> None:
    state = played("111111").state
    assert bits.unpack(GAME.legal_words(state), 7).tolist() == [False, True, True, True, True, True, True]


def test_text_and_picture() -> None:
    state = played("4453").state
    assert GAME.text(state).splitlines()[-3:] == [". . . O . . .", ". . O X X . .", "1 2 3 4 5 6 7"]
    assert GAME.draw(state).count('class="p0"') == 2
    assert isinstance(state, Connect4State)


def test_a_wrong_column_is_explained() -> None:
    for text in ("0", "8", "a", "", "٣"):
        with pytest.raises(ValueError, match="is no column; write a number from 1 to 7"):
            GAME.parse_action(text)
