"""Backgammon beside OpenSpiel with its dice: every play of every turn; and the rule of the dice by hand."""

import random
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest
from cartridge.engine import bits
from cartridge.games.backgammon import PASS, Backgammon, BackgammonState
from cartridge.games.backgammon_moves import rolled

GAME = Backgammon()
CHUNK = 2048  # rows of one compiled call
ROLLS = [(larger, smaller) for larger in range(1, 7) for smaller in range(1, larger + 1)]  # by our outcomes

legal_actions = jax.jit(jax.vmap(lambda state: bits.unpack(GAME.legal_words(state), PASS + 1)))
afterstate = jax.jit(jax.vmap(GAME.afterstate))
apply_chance = jax.jit(jax.vmap(GAME.apply_chance))
certain = jax.jit(jax.vmap(lambda after: GAME.chance_outcomes(after)[0] == 1))
player = jax.jit(jax.vmap(GAME.player))


def in_chunks(function: Any, state: BackgammonState, *rest: np.ndarray) -> Any:
    """`function` of any number of rows, by calls of one size."""
    num_rows, results = len(state.turn), []
    for begin in range(0, num_rows, CHUNK):
        part = rows((state, *rest), np.arange(begin, begin + CHUNK) % num_rows)  # the last call is filled up
        results.append(jax.tree.map(np.asarray, function(*part)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:num_rows], *results)


def rows(tree: Any, chosen: np.ndarray) -> Any:
    return jax.tree.map(lambda leaf: leaf[chosen], tree)


def joined(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *trees)


def our_plays(state: BackgammonState) -> tuple[np.ndarray, BackgammonState]:
    """(game [L], afterstate [L]): all ways to make up to two moves of the turn, as OpenSpiel counts a play."""
    games, plays = np.arange(len(state.turn)), []
    for last in (False, True):
        row, action = np.nonzero(in_chunks(legal_actions, state))
        games, after = games[row], in_chunks(afterstate, rows(state, row), action.astype(np.int32))
        step = in_chunks(apply_chance, after, np.zeros(len(row), np.int32))
        ended = last | step.terminated | ~in_chunks(certain, after)
        plays.append((games[ended], rows(after, ended)))
        games, state = games[~ended], rows(step.state, ~ended)
        if not games.size:
            break
    return joined(plays)


def boards(state: BackgammonState) -> np.ndarray:
    """i8[N, 26]: the checkers on each place, Black's counted below zero; place p is White's point p."""
    places = np.arange(26, dtype=np.uint32)
    words = [(np.asarray(word)[:, None] >> places) & 1 for word in (state.ones, state.twos, state.fours, state.eights)]
    number = sum(word.astype(np.int8) << power for power, word in enumerate(words))
    return np.where((np.asarray(state.black)[:, None] >> places) & 1 == 1, -number, number)


def their_boards(observations: list[list[float]]) -> np.ndarray:
    """The same, read from OpenSpiel's observation of player 0: one, two, three or that and more on each point."""
    seen = np.array(observations, np.float32)
    points = seen[:, :192].reshape(-1, 2, 24, 4)
    number = points @ np.array([1, 2, 3, 1], np.float32) + 3 * (points[..., 3] > 0)  # [N, 2, 24]
    board = np.zeros((len(seen), 26), np.int8)
    board[:, 24:0:-1] = number[:, 0] - number[:, 1]
    board[:, 25], board[:, 0] = seen[:, 192], -seen[:, 195]
    return board


def keys_of(games: np.ndarray, board: np.ndarray) -> np.ndarray:
    """One value for each pair of game and board."""
    table = np.concatenate([games.astype(">i4").view(np.int8).reshape(-1, 4), board], axis=1)
    return np.ascontiguousarray(table).view(f"V{table.shape[1]}").ravel()


def roll(oracle: Any, chance: random.Random) -> tuple[str, int]:
    """Throws OpenSpiel's dice: (who begins, if it says so, our outcome)."""
    outcome = chance.choice(oracle.chance_outcomes())[0]  # all are equally likely
    text = oracle.action_to_string(-1, outcome)  # such as "chance outcome 4 X starts, (roll: 14)"
    oracle.apply_action(outcome)
    first, second = map(int, text[-3:-1])
    return text, ROLLS.index((max(first, second), min(first, second)))


def begin(oracles: Sequence[Any], chance: random.Random) -> BackgammonState:
    """Opening rolls: our starts leave out doubles and count White's first."""
    opening = [number for number, (larger, smaller) in enumerate(ROLLS) if larger != smaller]
    thrown = [roll(oracle, chance) for oracle in oracles]
    starts = [opening.index(number) + 15 * ("O starts" in text) for text, number in thrown]
    return jax.tree.map(np.asarray, jax.vmap(GAME.start)(jnp.array(starts)))


def play_beside_open_spiel(num_games: int, seed: int) -> int:
    """Plays random games with OpenSpiel's dice; returns the number of plays compared."""
    chance, compared = random.Random(seed), 0
    game = pyspiel.load_game("backgammon(max_player_turns=100000)")
    oracles: list[Any] = [game.new_initial_state() for _ in range(num_games)]
    state = begin(oracles, chance)
    while oracles:
        assert in_chunks(player, state).tolist() == [oracle.current_player() for oracle in oracles]
        legal = [oracle.legal_actions() for oracle in oracles]
        seen = [distinct_plays(oracle, actions) for oracle, actions in zip(oracles, legal, strict=True)]
        their_games = np.repeat(np.arange(len(oracles)), [len(plays) for plays in seen])
        theirs = keys_of(their_games, their_boards([play for plays in seen for play in plays]))
        our_games, after = our_plays(state)
        ours, first = np.unique(keys_of(our_games, boards(after)), return_index=True)
        assert np.array_equal(ours, np.unique(theirs))
        compared += len(ours)

        for oracle, actions in zip(oracles, legal, strict=True):
            oracle.apply_action(chance.choice(actions))
        chosen = their_boards([oracle.observation_tensor(0) for oracle in oracles])
        after = rows(after, first[np.searchsorted(ours, keys_of(np.arange(len(oracles)), chosen))])
        settled = in_chunks(certain, after)
        outcomes = [settle(oracle, bool(fixed), chance) for oracle, fixed in zip(oracles, settled, strict=True)]
        step = in_chunks(apply_chance, after, np.array(outcomes, np.int32))
        assert step.terminated.tolist() == [oracle.is_terminal() for oracle in oracles]
        assert step.reward.tolist() == [oracle.returns() for oracle in oracles]
        state = rows(step.state, ~step.terminated)
        oracles = [oracle for oracle in oracles if not oracle.is_terminal()]
    return compared


def distinct_plays(oracle: Any, actions: Sequence[int]) -> list[list[float]]:
    """OpenSpiel's observation after each of the actions, once where several come to the same."""
    children = {str(child): child for child in (oracle.child(action) for action in actions)}
    return [child.observation_tensor(0) for child in children.values()]


def settle(oracle: Any, fixed: bool, chance: random.Random) -> int:
    """Our outcome after a play: that of OpenSpiel's dice if they are thrown, else 0.

    OpenSpiel plays doubles as two plays. Where nothing can be played in the second, we have passed.
    """
    if oracle.is_terminal() or (fixed and not oracle.is_chance_node()):
        return 0
    assert not fixed
    if not oracle.is_chance_node():
        (only,) = oracle.legal_actions()
        assert oracle.action_to_string(oracle.current_player(), only).endswith("Pass")
        oracle.apply_action(only)
    return roll(oracle, chance)[1]


def test_games_go_as_open_spiels_with_its_dice() -> None:
    assert play_beside_open_spiel(24, seed=0) > 24_000


@pytest.mark.long
def test_ten_thousand_games_go_as_open_spiels_with_its_dice() -> None:
    assert sum(play_beside_open_spiel(1000, seed) for seed in range(1, 11)) > 10_000_000


def test_the_opening_and_the_rolls_are_as_likely_as_open_spiels() -> None:
    oracle: Any = pyspiel.load_game("backgammon").new_initial_state()
    assert GAME.start_outcomes().tolist() == pytest.approx([share for _, share in oracle.chance_outcomes()])
    openings = {oracle.action_to_string(-1, outcome)[-20:] for outcome, _ in oracle.chance_outcomes()}
    assert len(openings) == 30
    oracle.apply_action(0)
    oracle.apply_action(oracle.legal_actions()[0])
    theirs = dict.fromkeys(ROLLS, 0.0)
    for outcome, share in oracle.chance_outcomes():
        first, second = map(int, oracle.action_to_string(-1, outcome)[-3:-1])
        theirs[max(first, second), min(first, second)] += share
    over = position({13: 5}, {13: 5}, (6, 5), turn=0)
    assert GAME.chance_outcomes(over).tolist() == pytest.approx(list(theirs.values()))


def position(
    white: dict[int, int], black: dict[int, int], dice: tuple[int, int], turn: int | None = None
) -> BackgammonState:
    """White to move, checkers by the points of whose they are; `turn` is its word, instead of the dice."""
    board = np.zeros((1, 26), np.int8)
    board[0, list(white)] = list(white.values())
    board[0, [25 - point for point in black]] = [-number for number in black.values()]
    word = rolled(*map(jnp.uint32, dice)) if turn is None else jnp.uint32(turn)
    return rows(state_of(board, np.asarray(word)[None]), np.array(0))


def state_of(board: np.ndarray, turn: np.ndarray) -> BackgammonState:
    """The other way round than `boards`; `turn` u32[N]."""
    places = np.arange(26, dtype=np.uint32)
    number = np.abs(board).astype(np.uint32)
    flags = [*((number >> power) & 1 for power in range(4)), (board < 0).astype(np.uint32)]
    words = [(flag << places).sum(axis=1, dtype=np.uint32) for flag in flags]
    return BackgammonState(*map(jnp.asarray, words), turn=jnp.asarray(turn))


def moves(state: BackgammonState) -> set[str]:
    legal = bits.unpack(GAME.legal_words(state), PASS + 1)
    return {GAME.action_label(action) for action in np.flatnonzero(legal).tolist()}


@pytest.mark.parametrize(
    ("white", "black", "dice", "expected"),
    [
        ({13: 1}, {23: 2}, (6, 5), {"13/7"}),  # either can be played, not both: the larger
        ({13: 1}, {18: 2, 23: 2}, (6, 5), {"13/8"}),  # the larger cannot
        ({12: 1}, {17: 2}, (4, 3), {"12/9"}),  # the smaller first, or both are not played
        ({10: 1, 4: 1}, {22: 2}, (5, 2), {"10/5", "4/2"}),  # after 10/8 there would be no five
        ({10: 2, 4: 1}, {22: 2}, (5, 2), {"10/5", "10/8", "4/2"}),
        ({25: 1, 6: 3}, {3: 2}, (3, 1), {"bar/24"}),  # a man on the bar enters first
        ({25: 2, 6: 3}, {3: 2}, (3, 1), {"bar/24"}),
        ({25: 1, 6: 3}, {3: 2, 1: 2}, (3, 1), {"pass"}),
        ({4: 1, 2: 2}, {}, (6, 5), {"4/off with 6", "4/off with 5"}),
        ({6: 1, 2: 1}, {}, (5, 4), {"6/1", "6/2"}),  # the highest is not below the die
        ({7: 1, 2: 1}, {}, (6, 1), {"7/1", "7/6", "2/1"}),  # who comes home last sets the others free
        ({7: 1, 4: 1}, {}, (4, 3), {"7/3", "7/4", "4/1"}),
        ({6: 2, 3: 1}, {20: 2, 21: 2}, (2, 1), {"3/1", "3/2"}),  # one checker plays both and is off
    ],
)
def test_the_dice_rule(white: dict[int, int], black: dict[int, int], dice: tuple[int, int], expected: set[str]) -> None:
    assert moves(position(white, {24: 1} | black, dice)) == expected


def one_die(board: list[int], die: int) -> list[int]:
    """The points from which White may play this die alone."""
    outside = any(number > 0 for number in board[7:])
    points = [25] if board[25] else [point for point in range(1, 25) if board[point] > 0]
    inside = [point for point in points if point > die and board[point - die] > -2]
    if outside:
        return inside
    return inside + [point for point in points if point == die or (point < die and point == points[-1])]


def after_one_die(board: list[int], die: int, point: int) -> list[int]:
    after = board.copy()
    after[point] -= 1
    if point > die:
        after[point - die] = max(after[point - die], 0) + 1
    return after


def by_trying_all(board: list[int], larger: int, smaller: int) -> set[tuple[int, int]]:
    """The (die, point) that may be played first: both dice if that is possible, else the larger if it is."""
    played = {
        (die, point): 1 + bool(one_die(after_one_die(board, die, point), other))
        for die, other in ((larger, smaller), (smaller, larger))
        for point in one_die(board, die)
    }
    best = {first for first, number in played.items() if number == max(played.values())}
    if played and max(played.values()) == 1 and any(die == larger for die, _ in best):
        return {first for first in best if first[0] == larger}
    return best


def test_the_dice_rule_holds_in_strange_positions() -> None:
    generator, num = np.random.default_rng(2), 4 * CHUNK
    highest = generator.choice([6, 7, 8, 12, 24], (num, 1))
    own = generator.integers(0, 3, (num, 26)) * (generator.random((num, 26)) < generator.choice([0.1, 0.3], (num, 1)))
    own = own * (np.arange(26) <= highest) + (np.arange(26) == 25) * generator.choice([0, 0, 0, 1, 2], (num, 1))
    walls = generator.integers(0, 3, (num, 26)) * (generator.random((num, 26)) < 0.4)
    board = np.where(own > 0, own, -walls).astype(np.int8)
    board[:, 0], board[:, 25] = 0, np.maximum(board[:, 25], 0)
    board = board[(board > 0).any(axis=1)]
    pairs = generator.permuted(np.tile(np.arange(1, 7), (len(board), 1)), axis=1)[:, :2]
    larger, smaller = pairs.max(axis=1).astype(np.uint32), pairs.min(axis=1).astype(np.uint32)
    legal = in_chunks(legal_actions, state_of(board, np.asarray(jax.vmap(rolled)(larger, smaller))))
    for row in range(len(board)):
        expected = by_trying_all(board[row].tolist(), int(larger[row]), int(smaller[row]))
        ours = np.flatnonzero(legal[row]).tolist()
        assert ours == (sorted(25 * (die - 1) + point - 1 for die, point in expected) or [PASS]), board[row]


def test_doubles_are_four_moves_and_a_pass_gives_up_the_rest() -> None:
    state, made = position({13: 1, 1: 14}, {16: 2, 24: 1}, (2, 2)), []
    while not made or made[-1] != "pass":
        assert int(GAME.player(state)) == 0
        (move,) = moves(state)
        after = GAME.afterstate(state, jnp.int32(GAME.parse_action(move)))
        assert float(GAME.chance_outcomes(after)[0]) == (1 if move != "pass" else pytest.approx(1 / 36))
        state, made = GAME.apply_chance(after, jnp.int32(0)).state, [*made, move]
    assert made == ["13/11", "pass"]
    assert int(GAME.player(state)) == 1


def test_observations_hold_what_each_player_counts() -> None:
    state = position({25: 3, 8: 4, 6: 2, 2: 1}, {24: 6, 13: 3, 25: 1}, (5, 5))
    white, black = (np.asarray(GAME.observe(state, jnp.int32(who))) for who in (0, 1))
    point = {who: seen[:192].reshape(24, 8) for who, seen in enumerate((white, black))}
    assert point[0][8 - 1].tolist() == [1, 1, 1, 0.5, 0, 0, 0, 0]
    assert point[1][17 - 1].tolist() == [0, 0, 0, 0, 1, 1, 1, 0.5]  # White's 8
    assert point[0][12 - 1].tolist() == [0, 0, 0, 0, 1, 1, 1, 0]  # Black's 13
    assert np.count_nonzero(point[0]) == np.count_nonzero(point[1])
    rest = [1.5, 0.5, 5 / 15, 5 / 15, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1]
    assert white[192:].tolist() == pytest.approx(rest)
    assert black[192:].tolist() == pytest.approx([0.5, 1.5, 5 / 15, 5 / 15, 0, *rest[5:]])


def test_labels_text_and_picture() -> None:
    assert {GAME.parse_action(GAME.action_label(action)) for action in range(PASS + 1)} == set(range(PASS + 1))
    state = position({25: 1, 6: 9}, {1: 2, 13: 7}, (6, 1))
    assert GAME.draw(state).count("data-action") == len(moves(state))
    assert GAME.text(state).splitlines()[-2:] == ["bar: 1X 0O   off: 5X 6O", "X to move, dice: 6 1"]
