"""Seaquest beside a plain implementation that others wrote from docs/rules/seaquest.md alone.

Chance is drawn here, not as often as in the game but so that much happens: in some games divers crowd the sea, in
others enemies, in others hardly anything lives. So too for the player, who is at times out for divers.
"""

import collections
import pathlib
import runpy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import keys
from cartridge.games.seaquest import DOWN, FIRE, HARDEST, LANES, MOST_DIVERS, UP, Seaquest, SeaquestState

GAME = Seaquest()
REFERENCE = runpy.run_path(str(pathlib.Path(__file__).parent / "references" / "seaquest_reference.py"))[
    "SeaquestReference"
]
FIELDS = {  # of the player's word: name, lowest bit, width
    "row": (0, 4), "column": (4, 4), "facing_right": (8, 1), "oxygen": (9, 8), "aboard": (17, 3), "level": (20, 4),
    "reload": (24, 3), "swim": (27, 3),
}  # fmt: skip
BOARDS = ("fish", "submarines", "enemy_bullets", "divers", "bullets_right", "bullets_left")
MOST_STEPS = 1000  # compared in one game


@jax.jit
@jax.vmap
def moved(state: SeaquestState, action: Any, outcome: Any) -> tuple[Any, Any, Any]:
    """(probability that an enemy arrives, the step, what is seen after it)."""
    after = GAME.afterstate(state, action)
    chances = GAME.chance_outcomes(after)
    step = GAME.apply_chance(after, outcome)
    return 1 - jnp.sum(chances[:17]), step, GAME.observe(step.state, jnp.int32(0))


def state_of(words: dict[str, Any], row: int) -> dict[str, Any]:
    """One of B states as the reference writes it; `words` are the fields of the batch as arrays."""
    player, sea = int(words["player"][row]), int(words["sea"][row])
    state: dict[str, Any] = {name: player >> low & (1 << width) - 1 for name, (low, width) in FIELDS.items()}
    state["facing_right"] = bool(state["facing_right"])
    state["clock"], state["swims_right"] = sea >> LANES, [bool(sea >> lane & 1) for lane in range(LANES)]
    for name in BOARDS:
        cells = []
        for word in range(3):
            left = int(words[name][word][row])
            while left:
                place = left.bit_length() - 1
                left ^= 1 << place
                cells.append((1 + 3 * word + place // 10, place % 10))
        state[name] = sorted(cells)
    return state


def drawn(random: np.random.Generator, crowd: np.ndarray) -> tuple[Any, Any]:
    """(enemy, diver) as the reference takes them; `crowd` (2 numbers) are the probabilities of their arrival."""
    enemy = (int(random.integers(1, 9)), random.random() < 0.3, random.random() < 0.5)
    diver = (int(random.integers(1, 9)), random.random() < 0.5)
    arrive = random.random(2) < crowd
    return (enemy if arrive[0] else None), (diver if arrive[1] else None)


def outcome_of(enemy: Any, diver: Any) -> int:
    """Its number by the rules."""
    e = 1 + 4 * (enemy[0] - 1) + 2 * enemy[1] + enemy[2] if enemy else 0
    d = 1 + 2 * (diver[0] - 1) + diver[1] if diver else 0
    return int(17 * e + d)


def chosen(random: np.random.Generator, state: dict[str, Any], skill: float) -> int:
    """An action: at random, or with probability `skill` one that makes use of the air, the divers or the bullets."""
    if random.random() >= skill:
        return int(random.integers(0, 6))
    if state["aboard"] == MOST_DIVERS or (state["aboard"] and state["oxygen"] < 30):
        return UP
    if state["row"] <= 1:
        return DOWN
    safe = [action for action in range(6) if action != UP or state["row"] > 1]
    return FIRE if random.random() < 0.4 else int(random.choice(safe))


def play_beside_reference(num_games: int, seed: int) -> collections.Counter[str]:
    """What was compared and what happened, in numbers."""
    random = np.random.default_rng(seed)
    theirs: list[Any] = [REFERENCE() for _ in range(num_games)]
    for oracle in theirs:
        oracle.reset()
    crowds = np.stack([random.choice([0.02, 0.1, 0.5], num_games), random.choice([0.05, 0.3, 0.9], num_games)], axis=1)
    skills = random.choice([0.0, 0.7, 0.95], num_games)
    states = jax.vmap(GAME.start)(jnp.zeros(num_games, jnp.int32))
    seen: collections.Counter[str] = collections.Counter()
    live = list(range(num_games))
    while live and seen["rounds"] < MOST_STEPS:
        actions, outcomes = np.zeros(num_games, np.int32), np.zeros(num_games, np.int32)
        expected: dict[int, tuple[dict[str, Any], float, bool, float]] = {}
        for row in live:
            before = theirs[row].state()
            actions[row] = chosen(random, before, skills[row])
            enemy, diver = drawn(random, crowds[row])
            reward, over = theirs[row].step(int(actions[row]), enemy, diver)
            outcomes[row] = 0 if over else outcome_of(enemy, diver)
            after = theirs[row].state()
            expected[row] = after, reward, over, theirs[row].enemy_probability()
            count_events(seen, before, after, reward, over)
        chance, step, observation = jax.tree.map(np.asarray, moved(states, actions, outcomes))
        states = step.state
        words = {name: getattr(states, name) for name in (*BOARDS, "player", "sea")}
        for row, (after, reward, over, probability) in expected.items():
            assert state_of(words, row) == after
            assert (float(step.reward[row, 0]), bool(step.terminated[row])) == (reward, over)
            assert chance[row] == pytest.approx(probability, abs=1e-6)
        np.testing.assert_array_equal(observation[live], np.stack([theirs[row].observation() for row in live]))
        live = [row for row in live if not expected[row][2]]
        seen["rounds"] += 1
    return seen


def count_events(
    seen: collections.Counter[str], before: dict[str, Any], after: dict[str, Any], reward: float, over: bool
) -> None:
    surfaced = before["row"] == 1 and after["row"] == 0
    seen["steps"] += 1
    seen["struck"] += int(reward) if not surfaced else 0
    seen["diver"] += after["aboard"] > before["aboard"]
    seen["surfaced"] += surfaced and not over
    seen["surfaced with six"] += surfaced and before["aboard"] == MOST_DIVERS
    seen["hardest"] += after["level"] == HARDEST
    seen["no air"] += over and after["oxygen"] == 0
    seen["nobody aboard"] += over and surfaced
    seen["crashed"] += over and after["oxygen"] > 0 and not surfaced


def test_games_go_as_the_reference_says() -> None:
    seen = play_beside_reference(40, seed=0)
    assert seen["steps"] > 1500
    assert min(seen[what] for what in ("struck", "diver", "surfaced", "nobody aboard", "crashed")) > 0


@pytest.mark.long
def test_ten_thousand_games_go_as_the_reference_says() -> None:
    seen = play_beside_reference(10_000, seed=1)
    print(dict(seen))
    assert seen["steps"] > 500_000
    assert min(seen.values()) > 100


def test_the_mirrored_game_goes_alike() -> None:
    """Chance is mirrored with it: who came from the right comes from the left."""
    random, symmetry = np.random.default_rng(2), GAME.symmetries()[0]
    mirror = jax.jit(jax.vmap(symmetry.state))
    num_games = 64
    states = jax.vmap(GAME.start)(jnp.zeros(num_games, jnp.int32))
    over = np.zeros(num_games, bool)
    for _ in range(150):
        actions = random.integers(0, 6, num_games)
        arrivals = [drawn(random, np.array([0.3, 0.3])) for _ in range(num_games)]
        outcomes = np.array([outcome_of(enemy, diver) for enemy, diver in arrivals])
        there = [
            outcome_of(enemy and (*enemy[:2], not enemy[2]), diver and (diver[0], not diver[1]))
            for enemy, diver in arrivals
        ]
        image = np.asarray(symmetry.actions)[actions]
        mirrored = moved(mirror(states), image, np.array(there))[1]
        step = moved(states, actions, outcomes)[1]
        for ours, theirs in zip(jax.tree.leaves(mirror(step.state)), jax.tree.leaves(mirrored.state), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(step.reward, mirrored.reward)
        np.testing.assert_array_equal(step.terminated, mirrored.terminated)
        states = step.state
        over |= np.asarray(step.terminated)
    assert over.all()


def test_arrivals_are_as_likely_as_the_rules_say() -> None:
    """Of the drawn steps from the start: an enemy in 3 of 64, a diver in 2 of 64."""
    num_draws = 1 << 16
    state = GAME.start(jnp.int32(0))
    step = jax.jit(jax.vmap(lambda key: GAME.step(state, jnp.int32(0), key)))(keys.root_keys(5, num_draws))
    for names, share in ((("fish",), 3 / 64 * 3 / 4), (("submarines",), 3 / 64 / 4), (("divers",), 2 / 64)):
        words = np.stack([word for name in names for word in getattr(step.state, name)])
        arrived = (words != 0).any(axis=0).mean()
        assert abs(arrived - share) < 5 * np.sqrt(share / num_draws)


def test_text_and_picture() -> None:
    state = GAME.start(jnp.int32(0))
    lines = GAME.text(state).splitlines()
    assert lines[0] == ". . . . o @ . . . ."
    assert lines[9] == "= = = = = = = = = ="
    assert lines[-1] == "air 160, divers aboard 0, level 0"
    assert GAME.draw(state).count("data-action") == 6
