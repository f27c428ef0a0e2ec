"""Othello: every direction and edge against a plain board, lines counted by a second program, ends and passes."""

import functools
import warnings
from typing import Any

import cartridge
import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest
from cartridge.engine import bits
from cartridge.engine.keys import zero_key
from cartridge.games.othello import PASS, SIDE, Board, Othello, OthelloState, _state

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a package we do not own
    import pgx

GAME = Othello()
DIRECTIONS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
Cells = dict[tuple[int, int], int]  # (row, column) -> player


def played(labels: str) -> Any:
    """The step after the moves `labels`, such as "d3 c3"."""
    moves = [jnp.int32(GAME.parse_action(label)) for label in labels.split()]
    first = GAME.step(GAME.init(zero_key()), moves[0], zero_key())
    return functools.reduce(lambda step, move: GAME.step(step.state, move, zero_key()), moves[1:], first)


def turned_by(cells: Cells, player: int, cell: tuple[int, int]) -> list[tuple[int, int]]:
    """What a disc of `player` on the empty `cell` turns: the rule as a person would apply it."""
    turned = []
    for dy, dx in DIRECTIONS:
        run, (y, x) = [], (cell[0] + dy, cell[1] + dx)
        while cells.get((y, x)) == 1 - player:
            run.append((y, x))
            y, x = y + dy, x + dx
        turned += run if cells.get((y, x)) == player else []
    return turned


def moves_of(cells: Cells, player: int) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """What each legal move turns."""
    empty = [(y, x) for y in range(SIDE) for x in range(SIDE) if (y, x) not in cells]
    return {cell: turned for cell in empty if (turned := turned_by(cells, player, cell))}


def lines_of(cells: Cells, player: int, num_plies: int) -> int:
    """How many sequences of `num_plies` moves there are; none is a pass so early."""
    if not num_plies:
        return 1
    total = 0
    for cell, turned in moves_of(cells, player).items():
        total += lines_of(cells | dict.fromkeys([cell, *turned], player), 1 - player, num_plies - 1)
    return total


def words_of(cells: Cells, player: int) -> Board:
    """The board of a player's discs."""
    odd, even = (
        sum(1 << (y // 2 * SIDE + x) for (y, x), owner in cells.items() if owner == player and y % 2 == word)
        for word in (0, 1)
    )
    return jnp.uint32(odd), jnp.uint32(even)


def state_of(cells: Cells, player: int) -> OthelloState:
    """The state in which `player` is to move."""
    return _state(words_of(cells, player), words_of(cells, 1 - player), jnp.int32(player))


def cells_of(board: str) -> Cells:
    """From eight rows of X, O and dots."""
    rows = board.split()
    return {(y, x): "XO".index(rows[y][x]) for y in range(SIDE) for x in range(SIDE) if rows[y][x] != "."}


def test_any_board_has_the_moves_and_the_turned_discs_of_the_rule() -> None:
    """Boards of random discs, which hold runs of every length in every direction up to every edge."""
    random = np.random.default_rng(0)
    boards, movers, actions, expected, legal = [], [], [], [], []
    outside = [(y, x) for y in range(SIDE) for x in range(SIDE) if not (y in (3, 4) and x in (3, 4))]  # may be empty
    for num_empty in 10 * (1, 1, 1, 2, 3, 5, 8, 13, 21, 34, 50):
        empty = {outside[index] for index in random.choice(len(outside), num_empty, replace=False)}
        cells = {(y, x): int(random.integers(2)) for y in range(SIDE) for x in range(SIDE) if (y, x) not in empty}
        player = int(random.integers(2))
        moves = moves_of(cells, player)
        if not moves:
            continue
        y, x = list(moves)[int(random.integers(len(moves)))]
        after = cells | dict.fromkeys([(y, x), *moves[y, x]], player)
        boards.append(state_of(cells, player))
        movers.append(player)
        legal.append([SIDE * y + x for y, x in sorted(moves)])
        actions.append(SIDE * y + x)
        lead = sum(1 if owner == 0 else -1 for owner in after.values())
        ended = not moves_of(after, 0) and not moves_of(after, 1)
        expected.append((state_of(after, 1 - player), np.sign(lead) if ended else 0, ended))
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *boards)
    words = jax.jit(jax.vmap(GAME.legal_words))(states)
    steps = jax.jit(jax.vmap(lambda state, action: GAME.step(state, action, zero_key())))(states, jnp.array(actions))
    assert jax.vmap(GAME.player)(states).tolist() == movers
    for row, (state, gain, ended) in enumerate(expected):
        one = tuple(word[row] for word in words)
        assert np.flatnonzero(bits.unpack(one, GAME.spec.num_actions)).tolist() == legal[row]
        assert jax.tree.map(lambda leaf, row=row: int(leaf[row]), steps.state) == jax.tree.map(int, state)
        assert (steps.reward[row].tolist(), bool(steps.terminated[row])) == ([gain, -gain], ended)
    assert len(expected) > 80
    assert 5 < sum(ended for _, _, ended in expected) < 40


@pytest.mark.parametrize("num_plies", [4, pytest.param(7, marks=pytest.mark.long)])
def test_the_second_program_counts_as_published(num_plies: int) -> None:
    """So that it may judge; ours is counted in `test_counts`."""
    start = cells_of("........ ........ ........ ...OX... ...XO... ........ ........ ........")
    assert lines_of(start, 0, num_plies) == [1, 4, 12, 56, 244, 1_396, 8_200, 55_092][num_plies]
    assert jax.tree.map(int, state_of(start, 0)) == jax.tree.map(int, GAME.init(zero_key()))


def test_the_shortest_game_leaves_no_disc_to_the_second_player() -> None:
    step = played("e6 f4 e3 f6 g5 d6 e7 f5 c5")
    assert step.terminated
    assert step.reward.tolist() == [1.0, -1.0]


def test_who_cannot_move_must_pass_and_nobody_else_may() -> None:
    state = state_of(cells_of("XO...... ........ ........ ...XX... ...XX... ........ ........ ........"), 1)
    assert np.flatnonzero(bits.unpack(GAME.legal_words(state), PASS + 1)).tolist() == [PASS]
    step = GAME.step(state, jnp.int32(PASS), zero_key())
    assert not step.terminated
    assert int(GAME.player(step.state)) == 0
    assert np.flatnonzero(bits.unpack(GAME.legal_words(step.state), PASS + 1)).tolist() == [2]
    last = GAME.step(step.state, jnp.int32(2), zero_key())
    assert last.terminated
    assert last.reward.tolist() == [1.0, -1.0]


def test_pgx_ends_the_same_games_two_passes_later() -> None:
    """pgx goes on where neither side can move, until both have passed; all else is as here, in every observation."""
    num_envs = 512
    env = cartridge.make("othello", num_envs, output="numpy", autoreset="disabled")
    theirs = pgx.make("othello")
    with jax.numpy_rank_promotion("allow"):
        go = jax.jit(jax.vmap(theirs.step))
        their = jax.jit(jax.vmap(theirs.init))(jax.random.split(jax.random.PRNGKey(0), num_envs))
    first = np.asarray(their.current_player)  # pgx draws which of its players begins: ours is player 0
    seen, random, over = env.reset(), np.random.default_rng(0), np.zeros(num_envs, bool)
    ours_total, theirs_total = np.zeros((num_envs, 2)), np.zeros((num_envs, 2))
    goes_on = np.zeros(num_envs, bool)  # pgx after our end
    while not (over.all() and np.asarray(their.terminated).all()):
        live = ~over
        np.testing.assert_array_equal(seen.observation[live], np.asarray(their.observation)[live].astype(np.float32))
        np.testing.assert_array_equal(seen.legal_actions[live], np.asarray(their.legal_action_mask)[live])
        actions = np.full(num_envs, PASS, np.int32)
        for row in np.flatnonzero(live):
            actions[row] = random.choice(np.flatnonzero(seen.legal_actions[row]))
        seen = env.step(actions)
        with jax.numpy_rank_promotion("allow"):
            their = go(their, jnp.asarray(actions))
        over |= seen.terminated
        goes_on |= over & ~np.asarray(their.terminated)
        assert not (~over & np.asarray(their.terminated)).any()
        ours_total += seen.reward
        theirs_total += np.take_along_axis(np.asarray(their.rewards), np.stack([first, 1 - first], axis=1), axis=1)
    np.testing.assert_array_equal(ours_total, theirs_total)
    assert goes_on.any()


def test_moves_are_written_as_open_spiel_writes_them() -> None:
    state = pyspiel.load_game("othello").new_initial_state()
    theirs = [state.action_to_string(action) for action in state.legal_actions()]
    assert [GAME.action_label(action) for action in state.legal_actions()] == theirs
    assert GAME.action_label(PASS) == "pass"
    for action in range(PASS + 1):
        assert GAME.parse_action(f" {GAME.action_label(action).upper()} ") == action


def test_text_and_picture() -> None:
    state = played("d3").state
    assert GAME.text(state).splitlines()[:6] == [
        "  a b c d e f g h",
        "1 . . . . . . . .",
        "2 . . . . . . . .",
        "3 . . . X . . . .",
        "4 . . . X X . . .",
        "5 . . . X O . . .",
    ]
    picture = GAME.draw(state)
    assert picture.count('class="p0"') == 4
    assert picture.count('class="p1"') == 1
    assert 'data-action="64"' in picture


def test_a_wrong_move_is_explained() -> None:
    for text in ("i1", "a9", "", "d"):
        with pytest.raises(ValueError, match="is no move; write a column a-h and a row 1-8, such as d3, or pass"):
            GAME.parse_action(text)
