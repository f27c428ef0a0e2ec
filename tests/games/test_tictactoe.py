"""Tic-tac-toe: the cells have the names of a chess board, and a finished game reads and draws as people write it."""

import functools
from typing import Any

import jax.numpy as jnp
import pytest
from cartridge.engine.keys import zero_key
from cartridge.games.tictactoe import TicTacToe

GAME = TicTacToe()


def played(labels: str) -> Any:
    """The step after the moves `labels`, such as "b2 a1"."""
    moves = [jnp.int32(GAME.parse_action(label)) for label in labels.split()]
    first = GAME.step(GAME.init(zero_key()), moves[0], zero_key())
    return functools.reduce(lambda step, move: GAME.step(step.state, move, zero_key()), moves[1:], first)


@pytest.mark.parametrize(
    "line",
    ["a3 b3 c3", "a2 b2 c2", "a1 b1 c1", "a1 a2 a3", "b1 b2 b3", "c1 c2 c3", "a3 b2 c1", "a1 b2 c3"],
)
def test_each_of_the_eight_lines_wins_for_either_player(line: str) -> None:
    cells = line.split()
    spare = [cell for cell in ("a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3", "c3") if cell not in cells]
    blocks = next([x, y, z] for x in spare for y in spare for z in spare if x < y < z and not same_line(x, y, z))
    first = " ".join(f"{own} {other}" for own, other in zip(cells, blocks, strict=True)).rsplit(" ", 1)[0]
    assert played(first).reward.tolist() == [1.0, -1.0]
    second = " ".join(f"{other} {own}" for own, other in zip(cells, blocks, strict=True))
    assert played(second).reward.tolist() == [-1.0, 1.0]
    assert played(second).terminated


def same_line(*cells: str) -> bool:
    """Whether three cells lie on a row, a column or a diagonal."""
    points = [("abc".index(cell[0]), int(cell[1]) - 1) for cell in cells]
    (x0, y0), (x1, y1), (x2, y2) = points
    return (x1 - x0) * (y2 - y0) == (x2 - x0) * (y1 - y0)


def test_a_full_board_without_a_line_is_a_draw() -> None:
    step = played("b2 a1 c1 a3 a2 c2 b1 b3 c3")
    assert step.terminated
    assert step.reward.tolist() == [0.0, 0.0]


def test_text_and_picture() -> None:
    state = played("b2 a1 c3").state
    assert GAME.text(state) == "3 . . X\n2 . X .\n1 O . .\n  a b c"
    picture = GAME.draw(state)
    assert picture.count('class="p0 x"') == 2
    assert picture.count('class="p1 x"') == 1


def test_a_wrong_cell_is_explained() -> None:
    with pytest.raises(ValueError, match="'d4' is no cell; write a column a-c and a row 1-3, such as b2"):
        GAME.parse_action("d4")
    assert GAME.parse_action(" B2 ") == 4
