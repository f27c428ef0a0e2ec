"""Hex: chains and wins against a search over the board, the swap, and boards that need the longest way round."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge import make_game
from cartridge.engine import bits
from cartridge.engine.keys import zero_key
from cartridge.games.hex import CELLS, SIDE, SWAP, Hex

GAME = Hex()
STEP = jax.jit(lambda state, action: GAME.step(state, action, zero_key()))


def played(game: Hex, labels: str) -> Any:
    """The step after the moves `labels`, such as "f6 a1"."""
    moves = [jnp.int32(game.parse_action(label)) for label in labels.split()]
    step = STEP if game is GAME else lambda state, action: game.step(state, action, zero_key())
    first = step(game.init(zero_key()), moves[0])
    return functools.reduce(lambda last, move: step(last.state, move), moves[1:], first)


def neighbours(cell: int) -> list[int]:
    """The six cells around one, as the rules draw them: each row lies half a cell to the right of the one above."""
    row, column = divmod(cell, SIDE)
    around = [(row, column - 1), (row, column + 1), (row - 1, column), (row + 1, column)]
    around += [(row - 1, column + 1), (row + 1, column - 1)]
    return [y * SIDE + x for y, x in around if 0 <= y < SIDE and 0 <= x < SIDE]


def chain_of(cell: int, stones: set[int]) -> frozenset[int]:
    """The stones connected to `cell`, by a plain search."""
    found, waiting = {cell}, [cell]
    while waiting:
        fresh = (set(neighbours(waiting.pop())) & stones) - found
        found |= fresh
        waiting += fresh
    return frozenset(found)


def connects(chain: frozenset[int], player: int) -> bool:
    places = {divmod(cell, SIDE)[player] for cell in chain}
    return {0, SIDE - 1} <= places


def chains_by_label(state: Any) -> set[tuple[int, frozenset[int]]]:
    """(player, chain) for every colour and label in the state."""
    boards = np.stack([np.asarray(bits.unpack(board, CELLS)) for board in state.labels])
    labels = np.sum(boards.astype(int) << np.arange(len(boards))[:, None], axis=0)
    colours = np.asarray(bits.unpack(state.colours, CELLS)).astype(int)
    found: dict[tuple[int, int], set[int]] = {}
    for cell in np.flatnonzero(labels).tolist():
        found.setdefault((int(colours[cell]), int(labels[cell])), set()).add(cell)
    return {(player, frozenset(chain)) for (player, _), chain in found.items()}


def test_labels_are_the_chains_and_a_win_is_a_chain_across_the_board() -> None:
    random = np.random.default_rng(0)
    winners = []
    for _ in range(12):
        state, stones, mover = GAME.init(zero_key()), (set[int](), set[int]()), 0
        for move in random.permutation(CELLS).tolist():
            step = STEP(state, jnp.int32(move))
            state = step.state
            stones[mover].add(move)
            assert bool(step.terminated) == connects(chain_of(move, stones[mover]), mover)
            if step.terminated:
                winners.append(mover)
                break
            mover = 1 - mover
        chains = {(player, chain_of(cell, stones[player])) for player in (0, 1) for cell in stones[player]}
        assert chains_by_label(state) == chains
    assert set(winners) == {0, 1}
    assert len(winners) == 12  # there are no draws


def test_the_order_of_the_moves_leaves_no_trace() -> None:
    random = np.random.default_rng(1)
    cells = random.permutation(CELLS)[:40]
    states = []
    for _ in range(3):
        order = np.stack([random.permutation(cells[::2]), random.permutation(cells[1::2])], axis=1).reshape(-1)
        state = GAME.init(zero_key())
        for move in order.tolist():
            state = STEP(state, jnp.int32(move)).state
        states.append([int(word) for word in jax.tree.leaves(state)])
    assert states[0] == states[1] == states[2]


def winding_path() -> list[int]:
    """Along every second row and down at alternate ends: the longest chain that does not touch itself."""
    path = []
    for row in range(0, SIDE, 2):
        columns = range(SIDE) if row % 4 == 0 else range(SIDE - 1, -1, -1)
        path += [row * SIDE + column for column in columns]
        if row + 1 < SIDE:
            path.append((row + 1) * SIDE + (SIDE - 1 if row % 4 == 0 else 0))
    return path


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_winding_chain_wins_with_its_last_stone_wherever_that_is(seed: int) -> None:
    """Player 0 moves alone here: 71 stones are more than their share of the board."""
    path = winding_path()
    random = np.random.default_rng(seed)
    order = random.permutation(path).tolist()
    state, reward = GAME.init(zero_key()), []
    for number, move in enumerate(order):
        step = STEP(state, jnp.int32(move))
        assert bool(step.terminated) == connects(chain_of(move, set(order[: number + 1])), 0)
        reward = step.reward.tolist()
        last = step.state.colours[-1] ^ np.uint32(1 << 31)  # the turn is handed back
        state = type(step.state)(step.state.labels, (*step.state.colours[:-1], last))
    assert reward == [1.0, -1.0]


def test_player_1_connects_columns() -> None:
    rows = (1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2)
    mine = " ".join(f"{column}{row} {column}6" for column, row in zip("abcdefghijk", rows, strict=True))
    step = played(GAME, mine)
    assert step.terminated
    assert step.reward.tolist() == [-1.0, 1.0]
    assert not played(GAME, mine.rsplit(" ", 2)[0]).terminated


@pytest.mark.parametrize("spare", ["f1", "a3"])
def test_cells_across_an_edge_of_the_board_do_not_touch(spare: str) -> None:
    """k5 and a6 follow each other in memory; k4 and a6 too would touch if rows were joined."""
    step = played(GAME, f"k5 {spare} a6 h8 k4 h9 a7")
    chains = {chain for player, chain in chains_by_label(step.state) if player == 0}
    assert sorted(map(len, chains)) == [2, 2]


def test_the_swap_takes_the_first_stone_mirrored() -> None:
    game = Hex(swap="1")
    assert game.spec.num_actions == 122
    opened = played(game, "c1").state
    legal = np.asarray(bits.unpack(game.legal_words(opened), 122))
    assert legal[SWAP]
    assert legal.sum() == 121
    swapped = played(game, "c1 swap").state
    assert game.text(swapped).splitlines()[3] == "   3 O . . . . . . . . . ."
    assert chains_by_label(swapped) == {(1, frozenset([game.parse_action("a3")]))}
    assert int(game.player(swapped)) == 0
    legal = np.asarray(bits.unpack(game.legal_words(swapped), 122))
    assert not legal[SWAP]
    assert legal[game.parse_action("c1")]
    assert not np.asarray(bits.unpack(game.legal_words(played(game, "c1 a3").state), 122))[SWAP]
    direct, round_about = played(GAME, "k11 a3").state, played(game, "c1 swap k11").state
    differences = [int(a ^ b) for a, b in zip(jax.tree.leaves(direct), jax.tree.leaves(round_about), strict=True)]
    assert differences == [0] * (len(differences) - 1) + [1 << 31]  # but for the turn the same


def test_options_are_part_of_the_rules() -> None:
    assert make_game("hex:swap=1").spec.options == (("swap", "1"),)
    assert make_game("hex:swap=0").spec == make_game("hex").spec
    assert make_game("hex").spec.fingerprint() != make_game("hex:swap=1").spec.fingerprint()
    with pytest.raises(ValueError, match="swap is 'yes', expected 0 or 1"):
        make_game("hex:swap=yes")


def test_text_and_picture() -> None:
    state = played(GAME, "f6 e5").state
    lines = GAME.text(state).splitlines()
    assert lines[0] == "   a b c d e f g h i j k"
    assert lines[5] == "     5 . . . . O . . . . . ."
    assert lines[6] == "      6 . . . . . X . . . . ."
    assert GAME.draw(state).count('class="p0"') == GAME.draw(state).count('class="p1"') == 1
    swap = Hex(swap="1")
    assert 'data-action="121"' in swap.draw(played(swap, "f6").state)
    assert 'data-action="121"' not in swap.draw(played(swap, "f6 e5").state)


def test_a_wrong_cell_is_explained() -> None:
    for text in ("l1", "a12", "swap", ""):
        with pytest.raises(ValueError, match=r"is no cell; write a column a-k and a row 1-11, such as f6$"):
            GAME.parse_action(text)
    assert GAME.parse_action(" K11 ") == 120
    assert Hex(swap="1").parse_action("swap") == SWAP
