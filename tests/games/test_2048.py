"""2048: every row against plain Python, whole games beside OpenSpiel with its tiles, and symmetries of the slide."""

import random
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest
from cartridge.engine import bits
from cartridge.games.twenty48 import DOWN, LEFT, RIGHT, UP, Board, Twenty48

GAME = Twenty48()
# The lanes of a board along a direction, the cell at the wall first: [..., 4, 4], and back.
VIEWS = {
    LEFT: lambda board: board,
    RIGHT: lambda board: board[..., ::-1],
    UP: lambda board: board.swapaxes(-1, -2),
    DOWN: lambda board: board.swapaxes(-1, -2)[..., ::-1],
}
BACK = VIEWS | {DOWN: lambda lanes: lanes[..., ::-1].swapaxes(-1, -2)}


def slide_row(row: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """(powers after a slide to the left, sum of the tiles made): the rule as a person would play it."""
    tiles, made, gain = [power for power in row if power], [], 0
    while tiles:
        power = tiles.pop(0)
        if tiles and tiles[0] == power and power < 15:  # two tiles of 32,768 do not merge here
            tiles.pop(0)
            power += 1
            gain += 2**power
        made.append(power)
    return tuple(made + [0] * (4 - len(made))), gain


def board_of(rows: Any) -> Board:
    """From [..., 4, 4] powers."""
    powers = np.asarray(rows, np.uint32).reshape(-1, 16)
    shifts = 4 * (np.arange(16, dtype=np.uint32) % 8)
    words = powers << shifts
    return Board(jnp.asarray(words[:, :8].sum(1, dtype=np.uint32)), jnp.asarray(words[:, 8:].sum(1, dtype=np.uint32)))


def powers_of(board: Board) -> np.ndarray:
    words = np.stack([board.low, board.high], axis=1)
    return ((words[:, :, None] >> (4 * np.arange(8, dtype=np.uint32))) & 0xF).reshape(-1, 4, 4)


def test_every_row_slides_as_the_rule_says_in_every_direction() -> None:
    rows = np.stack(np.meshgrid(*[np.arange(16)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)  # [65536, 4]
    expected = [slide_row(tuple(row)) for row in rows.tolist()]
    slid, gains = np.array([row for row, _ in expected]), np.array([gain for _, gain in expected], np.float32)
    changed = (slid != rows).any(axis=1)
    order = np.random.default_rng(0).permutation(len(rows))
    index = np.stack([np.arange(len(rows)), order, order[::-1], (order + 7) % len(rows)], axis=1)  # [65536, 4]
    boards, wanted = rows[index], slid[index]  # four rows a board, so that lanes are tested against one another
    afterstate = jax.jit(jax.vmap(GAME.afterstate, (0, None)))
    legal = jax.jit(jax.vmap(lambda board: GAME.legal_words(board)[0]))
    for action, view in BACK.items():
        board = board_of(view(boards))
        after = afterstate(board, jnp.int32(action))
        np.testing.assert_array_equal(powers_of(after.board), view(wanted), err_msg=GAME.action_label(action))
        np.testing.assert_array_equal(after.gain, gains[index].sum(axis=1))
        np.testing.assert_array_equal((np.asarray(legal(board)) >> action) & 1, changed[index].any(axis=1))


def play_beside_open_spiel(num_games: int, seed: int) -> int:
    """Plays random games with OpenSpiel's tiles; returns the number of moves compared."""
    start, afterstate = jax.jit(GAME.start), jax.jit(GAME.afterstate)
    chances, resolve = jax.jit(GAME.chance_outcomes), jax.jit(GAME.apply_chance)
    legal = jax.jit(lambda board: bits.unpack(GAME.legal_words(board), 4))
    chance, moves = random.Random(seed), 0

    def draw(oracle: Any) -> int:
        outcomes, shares = zip(*oracle.chance_outcomes(), strict=True)
        outcome = chance.choices(outcomes, shares)[0]
        oracle.apply_action(outcome)
        return outcome

    for _ in range(num_games):
        oracle: Any = pyspiel.load_game("2048").new_initial_state()
        (first, four), (second, more) = divmod(draw(oracle), 2), divmod(draw(oracle), 2)
        board = start(jnp.int32(4 * (15 * first + second - (second > first)) + four + 2 * more))
        fresh = np.zeros((4, 4), bool)
        while True:
            rows = powers_of(jax.tree.map(lambda word: word[None], board))[0]
            assert rows.tolist() == tiles(oracle)
            ours = np.flatnonzero(legal(board)).tolist()
            assert [action for action in ours if open_spiel_allows(rows, fresh, action)] == oracle.legal_actions()
            action = chance.choice(oracle.legal_actions())
            before = oracle.returns()[0]
            oracle.apply_action(action)
            after = afterstate(board, jnp.int32(action))
            theirs = dict(oracle.chance_outcomes())
            listed = np.asarray(chances(after))
            assert {outcome: pytest.approx(float(listed[outcome]), abs=1e-6) for outcome in theirs} == theirs
            assert np.flatnonzero(listed).tolist() == sorted(theirs)
            step = resolve(after, jnp.int32(draw(oracle)))
            board, moves, fresh = step.state, moves + 1, made_by_merging(rows, action)
            rows = powers_of(jax.tree.map(lambda word: word[None], board))[0]
            assert float(step.reward[0]) == oracle.returns()[0] - before
            ours = np.flatnonzero(legal(board)).tolist()
            assert bool(step.terminated) == (not ours)
            assert oracle.is_terminal() == (not any(open_spiel_allows(rows, fresh, action) for action in ours))
            if oracle.is_terminal():
                break
    return moves


def open_spiel_allows(rows: np.ndarray, fresh: np.ndarray, action: int) -> bool:
    """The one difference: OpenSpiel sees no merge onto a tile that the last slide made by merging (`fresh`).

    Its list of moves looks at marks of the last move that it clears only when the next one is made. So it forbids a
    direction in which nothing but such merges would happen, and ends a game in which no other move is left.
    """
    lanes, marks = VIEWS[action](rows), VIEWS[action](fresh)
    for lane, mark in zip(lanes.tolist(), marks.tolist(), strict=True):
        for cell in (1, 2, 3):
            equal = lane[cell - 1] == lane[cell] and not mark[cell - 1]
            if lane[cell] and (lane[cell - 1] == 0 or equal):
                return True
    return False


def made_by_merging(rows: np.ndarray, action: int) -> np.ndarray:
    """bool[4, 4], the tiles that a slide of `rows` makes, in plain Python."""
    marks = []
    for lane in VIEWS[action](rows).tolist():
        powers = [power for power in lane if power]
        mark = []
        while powers:
            power = powers.pop(0)
            mark.append(bool(powers) and powers[0] == power)
            if mark[-1]:
                powers.pop(0)
        marks.append(mark + [False] * (4 - len(mark)))
    return BACK[action](np.array(marks))


def tiles(oracle: Any) -> list[list[int]]:
    """Powers by row, read from OpenSpiel's text."""
    rows = [list(map(int, line.split())) for line in str(oracle).strip().splitlines()]
    return [[tile.bit_length() - 1 if tile else 0 for tile in row] for row in rows]


def test_games_go_as_open_spiels_with_its_tiles() -> None:
    assert play_beside_open_spiel(12, seed=0) > 600


@pytest.mark.long
def test_ten_thousand_games_go_as_open_spiels_with_its_tiles() -> None:
    assert play_beside_open_spiel(10_000, seed=1) > 500_000


def test_slides_have_the_symmetries_of_the_square() -> None:
    rows = np.random.default_rng(1).integers(0, 5, (500, 4, 4))
    board = board_of(rows)
    afterstate = jax.jit(jax.vmap(GAME.afterstate, (0, None)))
    for symmetry in GAME.symmetries():
        turn = jax.jit(jax.vmap(symmetry.state))
        for action in range(4):
            here = afterstate(board, jnp.int32(action))
            there = afterstate(turn(board), jnp.int32(symmetry.actions[action]))
            np.testing.assert_array_equal(powers_of(turn(here.board)), powers_of(there.board))
            np.testing.assert_array_equal(here.gain, there.gain)


def test_text_and_picture() -> None:
    board = jax.tree.map(lambda word: word[0], board_of([[0, 1, 2, 11], [0] * 4, [0] * 4, [15, 0, 0, 0]]))
    lines = GAME.text(board).splitlines()
    assert lines[0].split() == [".", "2", "4", "2048"]
    assert lines[3].split() == ["32768", ".", ".", "."]
    assert GAME.draw(board).count("data-action") == 4
