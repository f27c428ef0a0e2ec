"""Solved positions: the shipped files are right and whole, and a file that is not says where."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe
from cartridge.services.positions import ILLEGAL, PositionsError, builtin_positions, read_positions

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


@cache
def solve(board: str, player: str) -> tuple[int | None, ...]:
    """Plain minimax over 'X', 'O' and '.': the score of each cell for `player`, None where it is taken."""
    return tuple(_score(board, player, cell) if board[cell] == "." else None for cell in range(9))


def _score(board: str, player: str, cell: int) -> int:
    after = board[:cell] + player + board[cell + 1 :]
    if any(all(after[i] == player for i in line) for line in LINES):
        return 6 - after.count(player)
    if "." not in after:
        return 0
    return -max(score for score in solve(after, "O" if player == "X" else "X") if score is not None)


def board_of(moves: str) -> str:
    return "".join(
        ("XO"[moves.index(cell) % 2] if cell in moves else ".") for cell in (str(number) for number in range(1, 10))
    )


def rows_of(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]


def shipped(env_id: str) -> Path:
    path = builtin_positions(env_id)
    assert path is not None
    return path


def test_tictactoe_is_every_decision_with_its_minimax_scores() -> None:
    rows = rows_of(shipped("tictactoe"))
    boards = [board_of(moves) for _, moves, _ in rows]
    assert len(set(boards)) == len(rows) == 4520
    for board, (_, moves, scores) in zip(boards, rows, strict=True):
        solved = solve(board, "XO"[len(moves) % 2])
        assert scores == ",".join("." if score is None else str(score) for score in solved), moves


def test_reads_tictactoe() -> None:
    positions = read_positions(shipped("tictactoe"), TicTacToe())
    assert len(positions) == 4520
    assert positions.set_names == ("all",)
    assert np.array_equal(
        np.asarray(positions.states.step_count), [len(moves) for _, moves, _ in rows_of(positions.path)]
    )
    marks = np.asarray(positions.states.game.marks)
    assert len(set(marks.tolist())) == 4520
    for row, (_, moves, _) in enumerate(rows_of(positions.path)):
        own, other = ("XO", "OX")[len(moves) % 2]
        board = board_of(moves)
        assert marks[row] == sum(1 << i for i in range(9) if board[i] == own) + sum(
            1 << (9 + i) for i in range(9) if board[i] == other
        )


def test_reads_connect4() -> None:
    positions = read_positions(shipped("connect4"), Connect4())
    names = ("end-easy", "middle-easy", "middle-medium", "begin-easy", "begin-medium", "begin-hard")
    assert positions.set_names == names
    assert np.bincount(positions.set_index).tolist() == [500] * 6
    rows = rows_of(positions.path)
    assert np.array_equal(np.asarray(positions.states.step_count), [len(moves) for _, moves, _ in rows])
    heights = np.array([[moves.count(str(column)) for column in range(1, 8)] for _, moves, _ in rows])
    assert np.array_equal(positions.scores == ILLEGAL, heights == 6)
    assert positions.scores[0].tolist() == [ILLEGAL] * 5 + [-1, -2]
    assert not np.any(positions.states.over)


@pytest.mark.parametrize("env_id", ["chess", "connect4:rows=5"])
def test_other_games_have_none(env_id: str) -> None:
    assert builtin_positions(env_id) is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("easy 44 0,0,0,0,0,0,0", "expected set name, moves and scores separated by tabs"),
        ("\t44\t0,0,0,0,0,0,0", "expected set name, moves and scores separated by tabs"),
        ("easy\t4x\t0,0,0,0,0,0,0", "'x' is no move; expected a number from 1 to 7"),
        ("easy\t48\t0,0,0,0,0,0,0", "'8' is no move; expected a number from 1 to 7"),
        ("easy\t40\t0,0,0,0,0,0,0", "'0' is no move"),
        ("easy\t44\t0,0,0,0,0,0", "6 scores, expected 7, one for each action"),
        ("easy\t44\t0,0,0,0,0,0,win", "are not whole numbers or '.'"),
        ("easy\t44\t.,.,.,.,.,.,.", "no action has a score"),
        ("easy\t4444444\t0,0,0,.,0,0,0", r"move number 7 \(4\) is illegal"),
        ("easy\t44444444\t0,0,0,.,0,0,0", r"move number 7 \(4\) is illegal"),
        ("easy\t12121212\t0,0,0,0,0,0,0", r"move number 8 \(2\) comes after the end of the game"),
        ("easy\t1212121\t0,0,0,0,0,0,0", "the game is over in this position already"),
        ("easy\t444444\t0,0,0,0,0,0,0", "action 4 is illegal but has a score"),
        ("easy\t44\t0,0,0,0,0,0,.", "action 7 is legal but has no score"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = write(tmp_path, ["# a comment", "easy\t44\t0,0,0,0,0,0,0", "", line])
    with pytest.raises(PositionsError, match=rf"positions.tsv, line 4: .*{problem}"):
        read_positions(path, Connect4())


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PositionsError, match=r"cannot read .*none.tsv: No such file"):
        read_positions(tmp_path / "none.tsv", Connect4())
    with pytest.raises(PositionsError, match="holds no position"):
        read_positions(write(tmp_path, ["# nothing"]), Connect4())
    binary = tmp_path / "binary.tsv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PositionsError, match="is no text file"):
        read_positions(binary, Connect4())


def test_the_start_is_a_position(tmp_path: Path) -> None:
    positions = read_positions(write(tmp_path, ["all\t\t-2,-1,0,1,0,-1,-2"]), Connect4())
    assert np.asarray(positions.states.step_count).tolist() == [0]


def write(folder: Path, lines: Sequence[str]) -> Path:
    path = folder / "positions.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path
