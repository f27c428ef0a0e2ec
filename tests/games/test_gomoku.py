"""Gomoku: all 572 lines win, longer ones too, none goes around an edge, and a full board is a draw."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine.keys import zero_key
from cartridge.games.gomoku import CELLS, SIDE, Gomoku, _has_five

GAME = Gomoku()
STEP = jax.jit(lambda state, action: GAME.step(state, action, zero_key()))
WAYS = ((1, 0), (0, 1), (1, 1), (1, -1))


def played(moves: list[int]) -> Any:
    """The step after `moves`."""
    first = STEP(GAME.init(zero_key()), jnp.int32(moves[0]))
    return functools.reduce(lambda step, move: STEP(step.state, jnp.int32(move)), moves[1:], first)


def alternating(firsts: str, seconds: str) -> list[int]:
    """The moves of both players, such as "a1 b1", in turn."""
    each = itertools.zip_longest(firsts.split(), seconds.split())
    return [GAME.parse_action(label) for pair in each for label in pair if label]


def lines() -> list[list[tuple[int, int]]]:
    """All rows of five (row, column), by the rule."""
    points = itertools.product(range(SIDE), range(SIDE))
    rows = [[(y + k * dy, x + k * dx) for k in range(5)] for y, x in points for dy, dx in WAYS]
    return [row for row in rows if all(0 <= y < SIDE and 0 <= x < SIDE for y, x in row)]


def test_all_572_lines_win_and_random_boards_agree_with_the_rule() -> None:
    wins = lines()
    assert len(wins) == 572  # as published
    boards = np.zeros((572 + 600, SIDE, SIDE), bool)
    for number, line in enumerate(wins):
        for row, column in line:
            boards[number, row, column] = True
    boards[572:] = np.random.default_rng(0).random((600, SIDE, SIDE)) < np.linspace(0.2, 0.6, 600).reshape(600, 1, 1)
    index = np.array(wins)  # [572, 5, 2]
    expected = np.any(np.all(boards[:, index[..., 0], index[..., 1]], axis=2), axis=1)
    rows = np.sum(boards.astype(np.uint32) << np.arange(SIDE, dtype=np.uint32), axis=2, dtype=np.uint32)
    found = jax.jit(jax.vmap(_has_five))(rows)
    assert found.tolist() == expected.tolist()
    assert 100 < expected[572:].sum() < 500


@pytest.mark.parametrize(
    ("firsts", "seconds", "reward", "over"),
    [
        ("a1 b1 c1 d1", "a2 b2 c2 d2", [0.0, 0.0], False),
        ("a1 b1 c1 d1 e1", "a2 b2 c2 d2", [1.0, -1.0], True),
        ("a1 b1 c1 d1 o15", "a2 b3 c4 d5 e6", [-1.0, 1.0], True),
        ("a1 b1 c1 e1 f1 d1", "a9 b9 c9 e9 f9", [1.0, -1.0], True),  # six in a row win as well
        ("n9 o9 a8 b8 c8", "a1 c1 e1 g1", [0.0, 0.0], False),  # around the edge
        ("m15 n15 o15 a1 b1", "a5 c5 e5 g5", [0.0, 0.0], False),
        ("o9 n8 m7 l6 k5", "a1 c1 e1 g1", [1.0, -1.0], True),  # a diagonal from the edge
    ],
)
def test_known_endings(firsts: str, seconds: str, reward: list[float], over: bool) -> None:
    step = played(alternating(firsts, seconds))
    assert step.reward.tolist() == reward
    assert bool(step.terminated) == over


def test_a_full_board_is_a_draw_unless_the_last_stone_wins() -> None:
    row, column = np.divmod(np.arange(CELLS), SIDE)
    first = (column + 2 * row) % 4 < 2  # pairs in every direction
    own, other = np.flatnonzero(first).tolist(), np.flatnonzero(~first).tolist()
    moves = [move for pair in itertools.zip_longest(own, other) for move in pair if move is not None]
    assert len(moves) == CELLS
    before = played(moves[:-1])
    assert not before.terminated
    step = STEP(before.state, jnp.int32(moves[-1]))
    assert step.terminated
    assert step.reward.tolist() == [0.0, 0.0]


def test_text_and_picture() -> None:
    state = played(alternating("h8 a15", "i8")).state
    lines = GAME.text(state).splitlines()
    assert lines[0] == "15 X . . . . . . . . . . . . . ."
    assert lines[7] == " 8 . . . . . . . X O . . . . . ."
    assert lines[-1] == "   a b c d e f g h i j k l m n o"
    assert GAME.draw(state).count('class="p0"') == 2
    assert GAME.draw(state).count('class="p1"') == 1


def test_a_wrong_point_is_explained() -> None:
    for text in ("p1", "a16", "a0", ""):
        with pytest.raises(ValueError, match="is no point; write a column a-o and a row 1-15, such as h8"):
            GAME.parse_action(text)
    assert GAME.parse_action(" H8 ") == 112
