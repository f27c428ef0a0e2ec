"""Solves tic-tac-toe by OpenSpiel's rules and writes every decision state with the exact score of each move.

    python bench/solver/tictactoe.py > games/data/tictactoe_positions.tsv

The one idea: a walk over all games, depth first, that meets 4,520 distinct boards on which someone is to move; the
first line of moves that reaches a board stands for it.
"""

import sys
from collections.abc import Iterator
from functools import cache

import pyspiel

_CELLS = 9
_MOST_MARKS = 5  # of one side
_HEADER = """\
# Every tic-tac-toe position in which a move is to be made (4,520), with the exact value of every move.
# Source: exhaustive minimax over OpenSpiel's rules; regenerate with bench/solver/tictactoe.py.
# Columns (tab-separated): set, moves played so far, score of playing cell 1..9 ('.' = taken).
# Cells are numbered 1-9, row by row from the top left.
# Score: 0 draw; +k: the player to move wins with its mark number 6-k, so the sooner the larger; -k: loses likewise.
"""
_GAME = pyspiel.load_game("tic_tac_toe")


def main() -> None:
    """Writes the file to standard output."""
    sys.stdout.write(_HEADER)
    for moves in decision_lines():
        scores = [str(score(moves, cell)) if cell in _free(moves) else "." for cell in range(_CELLS)]
        sys.stdout.write(f"all\t{''.join(str(cell + 1) for cell in moves)}\t{','.join(scores)}\n")


def decision_lines() -> Iterator[tuple[int, ...]]:
    """One line of moves for each distinct board that is not over, shorter lines first."""
    seen, layer = {""}, [()]
    while layer:
        yield from layer
        longer = []
        for moves in layer:
            for cell in _free(moves):
                state = _state((*moves, cell))
                if not state.is_terminal() and str(state) not in seen:
                    seen.add(str(state))
                    longer.append((*moves, cell))
        layer = longer


def score(moves: tuple[int, ...], cell: int) -> int:
    """The score of playing `cell`, for the player to move."""
    after = (*moves, cell)
    state = _state(after)
    if not state.is_terminal():
        return -_best(_board(after))
    return 0 if state.returns()[0] == 0 else _MOST_MARKS + 1 - (len(after) + 1) // 2


@cache
def _best(board: tuple[tuple[int, ...], tuple[int, ...]]) -> int:
    """The best score of the player to move on a board, given as both sides' cells in order."""
    first, second = board
    pairs = [cells for pair in zip(first, second, strict=False) for cells in pair]
    moves = (*pairs, first[-1]) if len(first) > len(second) else tuple(pairs)
    return max(score(moves, cell) for cell in _free(moves))


def _board(moves: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(sorted(moves[0::2])), tuple(sorted(moves[1::2]))


def _free(moves: tuple[int, ...]) -> list[int]:
    return [cell for cell in range(_CELLS) if cell not in moves]


def _state(moves: tuple[int, ...]) -> pyspiel.State:
    state = _GAME.new_initial_state()
    for cell in moves:
        state.apply_action(cell)
    return state


if __name__ == "__main__":
    main()
