"""Draws random Connect Four positions and labels every column with its exact score.

The one idea: positions come from random play, and perfect play says how hard each one is: the
best score fixes the number of plies until the game ends, so drawing, solving and sorting into
sets is one stream that runs until every wanted set is full.

    python bench/solver/draw_positions.py --seed 1 --per-set 200 --out positions.tsv
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

COLUMNS, ROWS = 7, 6
CELLS = COLUMNS * ROWS
DISCS = CELLS // 2  # discs of each player
SOURCE = Path(__file__).with_name("connect4.c")
COMPILE = ("gcc", "-std=c11", "-O3", "-march=native")

Board = tuple[str, ...]  # a string a column, from the bottom up: "0" first player, "1" second


class Drawn(NamedTuple):
    """A labelled position: the set it belongs to, its moves and its scores as printed."""

    name: str
    moves: str
    scores: str


# Moves played when a set is drawn.  The cost of exact scores grows fast with every move less,
# so the sets of the beginning get their lower end from the command line.
STAGES = {"begin": (0, 14), "middle": (15, 28), "end": (29, CELLS - 1)}
SETS = (
    "end-easy",
    "middle-easy",
    "middle-medium",
    "begin-easy",
    "begin-medium",
    "begin-hard",
)


def drop(board: Board, column: int, player: str) -> Board:
    """The board with one more disc in a column."""
    return (*board[:column], board[column] + player, *board[column + 1 :])


def holds(board: Board, column: int, row: int, player: str) -> bool:
    """Whether the cell exists and holds the player's disc."""
    inside = 0 <= column < COLUMNS and 0 <= row < len(board[column])
    return inside and board[column][row] == player


def wins(board: Board, column: int, player: str) -> bool:
    """Whether the player's next disc in this column would complete a line of four."""
    row = len(board[column])
    for dx, dy in ((0, 1), (1, 0), (1, 1), (1, -1)):
        run = 1
        for way in (1, -1):
            step = way
            while holds(board, column + step * dx, row + step * dy, player):
                run, step = run + 1, step + way
        if run >= 4:
            return True
    return False


def open_columns(board: Board) -> list[int]:
    """The columns that take another disc."""
    return [column for column in range(COLUMNS) if len(board[column]) < ROWS]


def same_for_mirrors(board: Board) -> Board:
    """One name for a board and its mirror image."""
    return min(board, board[::-1])


def replay(moves: str) -> Board:
    """The board after a string of 1-based columns."""
    board: Board = ("",) * COLUMNS
    for played, move in enumerate(moves):
        board = drop(board, int(move) - 1, str(played % 2))
    return board


def random_game(rng: Random, length: int) -> tuple[str, Board] | None:
    """A random game of this length, or None when it ends earlier or the next move can win."""
    board: Board = ("",) * COLUMNS
    moves = ""
    for played in range(length):
        player = str(played % 2)
        quiet = [column for column in open_columns(board) if not wins(board, column, player)]
        if not quiet:
            return None
        column = rng.choice(quiet)
        board = drop(board, column, player)
        moves += str(column + 1)
    player = str(length % 2)
    if any(wins(board, column, player) for column in open_columns(board)):
        return None
    return moves, board


def plies_left(played: int, best: int) -> int:
    """Plies until the game ends when both play perfectly and the best column scores `best`."""
    if best == 0:
        return CELLS - played
    last_disc = DISCS + 1 - abs(best)  # the winner wins with this disc of its own
    if best > 0:
        return 2 * (last_disc - played // 2) - 1
    return 2 * (last_disc - (played + 1) // 2)


def set_of(played: int, scores: str) -> str | None:
    """The set a position belongs to, by the moves played and the plies left.

    None when the opponent wins next whatever is played: all moves are alike, so it tests nothing.
    """
    best = max(int(score) for score in scores.split(",") if score != ".")
    left = plies_left(played, best)
    if best < 0 and left <= 2:
        return None
    stage = next(name for name, (_, last) in STAGES.items() if played <= last)
    return stage + ("-easy" if left <= 14 else "-medium" if left <= 28 else "-hard")


def compiled_solver() -> Path:
    """The solver's program, compiled once for each version of its source."""
    version = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"connect4-solver-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    program = folder / version
    if not program.exists():
        fresh = folder / f"{version}.{os.getpid()}"  # renamed when whole, for other processes
        subprocess.run([*COMPILE, "-o", str(fresh), str(SOURCE)], check=True)
        fresh.replace(program)
    return program


class Solver:
    """The running solver: asked one position at a time, it keeps its table between them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(compiled_solver())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def scores(self, moves: str) -> str:
        """The comma-separated scores of the seven columns."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(moves + "\n")
        stdin.flush()
        answer = stdout.readline().rstrip("\n").partition("\t")
        if answer[0] != moves or not answer[2]:
            raise RuntimeError(f"the solver did not answer for {moves!r}")
        return answer[2]

    def close(self) -> None:
        """Ends the program."""
        self._process.communicate()


def lengths(name: str, begin_from: int, hard_from: int) -> range:
    """The numbers of moves to play when drawing for a set."""
    first, last = STAGES[name.partition("-")[0]]
    if name == "begin-hard":
        return range(hard_from, CELLS - 28)  # more than 28 plies must be left
    return range(begin_from if name.startswith("begin") else first, last + 1)


def draw(rng: Random, wanted: dict[str, range], per_set: int, taken: set[Board]) -> Iterator[Drawn]:
    """Yields positions until each wanted set has its number; `taken` grows with every draw."""
    counts = dict.fromkeys(wanted, 0)
    solver = Solver()
    while any(count < per_set for count in counts.values()):
        target = min(counts, key=lambda name: counts[name])
        game = random_game(rng, rng.choice(wanted[target]))
        if game is None or same_for_mirrors(game[1]) in taken:
            continue
        moves, board = game
        taken.add(same_for_mirrors(board))
        scores = solver.scores(moves)
        name = set_of(len(moves), scores)
        if name is not None and counts.get(name, per_set) < per_set:
            counts[name] += 1
            yield Drawn(name, moves, scores)
    solver.close()


def boards_in(path: Path) -> set[Board]:
    """The positions of a TSV, each under the name it shares with its mirror image."""
    rows = (line for line in path.read_text().splitlines() if line and line[0] != "#")
    return {same_for_mirrors(replay(row.split("\t")[1])) for row in rows}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="the TSV to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--per-set", type=int, default=100, metavar="N")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--exclude", type=Path, help="a TSV whose positions are not drawn")
    parser.add_argument("--begin-from", type=int, default=8, help="least moves, begin sets")
    parser.add_argument("--hard-from", type=int, default=8, help="least moves, begin-hard")
    return parser.parse_args()


def main() -> None:
    """Draws the sets and writes them, each set together, in the order of drawing."""
    args = arguments()
    taken = boards_in(args.exclude) if args.exclude else set()
    wanted = {name: lengths(name, args.begin_from, args.hard_from) for name in args.sets}
    rows: dict[str, list[Drawn]] = {name: [] for name in wanted}
    for row in draw(Random(args.seed), wanted, args.per_set, taken):
        rows[row.name].append(row)
        total = sum(map(len, rows.values()))
        if total % 50 == 0:
            print(f"{total} of {len(rows) * args.per_set} drawn", file=sys.stderr)
    with args.out.open("w") as out:
        out.write(
            "# Random Connect Four positions with the exact value of every move.\n"
            f"# Source: bench/solver/draw_positions.py, seed {args.seed}, begin sets from "
            f"{args.begin_from} moves (begin-hard {args.hard_from}).\n"
            "# Columns (tab-separated): set, moves played so far (1-based columns), score of "
            "playing column 1..7 ('.' = full).\n"
            "# Score: 0 draw; +k: the player to move wins with k of its own discs still "
            "unplayed at the end; -k: loses likewise.\n"
        )
        for name in wanted:
            out.writelines("\t".join(row) + "\n" for row in rows[name])


if __name__ == "__main__":
    main()
