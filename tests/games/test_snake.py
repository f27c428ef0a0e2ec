"""Snake beside a plain implementation written by others from docs/rules/snake.md alone, and a game that is won."""

import pathlib
import random
import runpy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import bits
from cartridge.games.snake import CELLS, DOWN, LEFT, RIGHT, UP, Snake, SnakeState

GAME = Snake()
REFERENCE = runpy.run_path(str(pathlib.Path(__file__).parent / "references" / "snake_reference.py"))["SnakeReference"]
STEPS = {UP: (-1, 0), RIGHT: (0, 1), DOWN: (1, 0), LEFT: (0, -1)}


@jax.jit
@jax.vmap
def shown(state: SnakeState) -> tuple[Any, Any]:
    """(observation, legal actions)."""
    return GAME.observe(state, jnp.int32(0)), bits.unpack(GAME.legal_words(state), 4)


@jax.jit
@jax.vmap
def moved(state: SnakeState, action: Any, outcome: Any) -> tuple[Any, Any]:
    """(chances before chance has its say, the step)."""
    after = GAME.afterstate(state, action)
    return GAME.chance_outcomes(after), GAME.apply_chance(after, outcome)


def state_of(words: SnakeState) -> dict[str, Any]:
    """One state as the reference writes it: the joints followed from the head to the tail."""
    right, down = (
        sum(int(word) << 32 * index for index, word in enumerate(board)) for board in (words.right, words.down)
    )
    head, tail, food = (int(words.places) >> shift & 127 for shift in (0, 7, 14))
    path, before = [head], -1
    while path[-1] != tail:
        cell = path[-1]
        left, up = cell - 1, cell - 10
        ends = [(right, cell, cell + 1), (down, cell, cell + 10), (right, left, left), (down, up, up)]
        joined = [other for joints, at, other in ends if at >= 0 and joints >> at & 1 and other != before]
        before, path = cell, [*path, *joined]
        assert len(joined) == 1
    assert right.bit_count() + down.bit_count() == len(path) - 1  # no joint but those of the path
    return {"snake": [divmod(cell, 10) for cell in path], "food": None if food == 127 else divmod(food, 10)}


def careful(state: dict[str, Any], legal: list[int], chance: random.Random) -> int:
    """An action that does not kill at once where there is one, mostly one that leads to the food."""
    (row, column), taken = state["snake"][0], set(state["snake"][:-1])

    def price(action: int) -> float:
        there = row + STEPS[action][0], column + STEPS[action][1]
        deadly = there in taken or not (0 <= there[0] < 10 and 0 <= there[1] < 10)
        far = sum(abs(a - b) for a, b in zip(there, state["food"], strict=True))
        return 100 * deadly + far + 3 * chance.random()

    return min(legal, key=price)


def play_beside_reference(num_games: int, seed: int) -> tuple[int, int]:
    """(steps compared, length of the longest snake); every other game is played with care, the others at random."""
    chance = random.Random(seed)
    theirs: list[Any] = [REFERENCE() for _ in range(num_games)]
    free = np.flatnonzero(GAME.start_outcomes())
    starts = np.array([chance.choice(free) for _ in theirs])
    states = jax.vmap(GAME.start)(jnp.asarray(starts, jnp.int32))
    for oracle, food in zip(theirs, starts.tolist(), strict=True):
        oracle.reset(food)
    live, compared, longest = list(range(num_games)), 0, 0
    while live:
        observation, legal = map(np.asarray, shown(states))
        np.testing.assert_array_equal(observation[live], np.stack([theirs[row].observation() for row in live]))
        actions, outcomes = np.zeros(num_games, np.int32), np.zeros(num_games, np.int32)
        places: dict[int, list[int]] = {}
        for row in live:
            allowed = theirs[row].legal_actions()
            assert np.flatnonzero(legal[row]).tolist() == allowed
            actions[row] = careful(theirs[row].state(), allowed, chance) if row % 2 else chance.choice(allowed)
            places[row] = theirs[row].chance_cells(int(actions[row]))
            outcomes[row] = chance.choice(places[row] or [0])
        chances, step = jax.tree.map(np.asarray, moved(states, actions, outcomes))
        states, after = step.state, []
        for row in live:
            expected = theirs[row].step(int(actions[row]), int(outcomes[row]))
            assert (float(step.reward[row, 0]), bool(step.terminated[row])) == expected
            assert np.flatnonzero(chances[row]).tolist() == (places[row] or [0])
            np.testing.assert_allclose(chances[row][chances[row] > 0], 1 / max(len(places[row]), 1), rtol=1e-6)
            state = theirs[row].state()
            assert state_of(jax.tree.map(lambda word, row=row: word[row], states)) == state
            longest, compared = max(longest, len(state["snake"])), compared + 1
            if not expected[1]:
                after.append(row)
        live = after
    return compared, longest


def test_games_go_as_the_reference_says() -> None:
    compared, longest = play_beside_reference(24, seed=0)
    assert compared > 1000
    assert longest > 20


@pytest.mark.long
def test_ten_thousand_games_go_as_the_reference_says() -> None:
    compared, longest = play_beside_reference(10_000, seed=1)
    print(f"{compared} steps, longest snake {longest}")
    assert compared > 500_000


def test_a_game_can_be_won() -> None:
    """Along a way through all cells and back the snake never meets itself, and in the end fills the board."""
    way = [(9 - turn, column) for turn in range(10) for column in (range(9, 0, -1) if turn % 2 else range(1, 10))]
    way += [(row, 0) for row in range(10)]  # rows to and fro on the way up, and a column that leads down
    following = dict(zip(way, [*way[1:], way[0]], strict=True))
    chance, oracle = random.Random(2), REFERENCE()
    oracle.reset(0)
    state = GAME.start(jnp.int32(0))
    play = jax.jit(lambda state, action, outcome: GAME.apply_chance(GAME.afterstate(state, action), outcome))
    total = 0.0
    while True:
        head = oracle.state()["snake"][0]
        action = next(a for a, (row, column) in STEPS.items() if (head[0] + row, head[1] + column) == following[head])
        assert action in oracle.legal_actions()
        outcome = chance.choice(oracle.chance_cells(action) or [0])
        expected = oracle.step(action, outcome)
        step = play(state, jnp.int32(action), jnp.int32(outcome))
        state, total = step.state, total + float(step.reward[0])
        assert (float(step.reward[0]), bool(step.terminated)) == expected
        if expected[1]:
            break
    assert total == CELLS - 3
    assert state_of(jax.tree.map(np.asarray, state)) == oracle.state()
    assert oracle.state()["food"] is None
    np.testing.assert_array_equal(GAME.observe(state, jnp.int32(0)), oracle.observation())


def test_moves_have_the_symmetries_of_the_square() -> None:
    chance, oracle = random.Random(3), REFERENCE()
    oracle.reset(99)
    state, over = jax.tree.map(lambda word: word[None], GAME.start(jnp.int32(99))), False
    turns = jax.jit(lambda batch: [jax.vmap(symmetry.state)(batch) for symmetry in GAME.symmetries()])
    while not over:
        action = careful(oracle.state(), oracle.legal_actions(), chance)
        outcome = chance.choice(oracle.chance_cells(action) or [0])
        over = oracle.step(action, outcome)[1]
        step = moved(state, jnp.array([action]), jnp.array([outcome]))[1]
        for symmetry, before, expected in zip(GAME.symmetries(), turns(state), turns(step.state), strict=True):
            food = (expected.places >> 14) & 127  # where the outcome lies as seen from there
            there = moved(before, jnp.array([symmetry.actions[action]]), food)[1]
            for word, wanted in zip(jax.tree.leaves(there.state), jax.tree.leaves(expected), strict=True):
                np.testing.assert_array_equal(word, wanted)
            assert (there.terminated, there.reward) == (step.terminated, step.reward)
        state = step.state
    assert len(oracle.state()["snake"]) > 10


def test_text_and_picture() -> None:
    state = GAME.start(jnp.int32(7))
    lines = GAME.text(state).splitlines()
    assert lines[0] == ". . . . . . . * . ."
    assert lines[5] == ". . + # @ . . . . ."
    assert lines[-1] == "length 3"
    assert GAME.draw(state).count("data-action") == 4
