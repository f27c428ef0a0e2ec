"""Search finds what it must, with the right signs, and treats every row of the batch alone."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.actor.evaluators import Evaluator, playout_evaluator
from cartridge.actor.search import SearchResult, search
from cartridge.actor.settings import SearchConfig
from cartridge.engine import batch
from cartridge.engine.game import Game
from cartridge.engine.spec import SpecError
from cartridge.engine.transition import EngineState, legal_actions, start, transition
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe
from cartridge.registry import make_game
from jax import Array

GAMES: dict[str, Game[Any]] = {"tictactoe": TicTacToe(), "connect4": Connect4()}
KEY = jax.random.PRNGKey(0)
WIN_OR_BLOCK = {  # moves so far, the only good move, whether it wins at once
    "tictactoe": [([0, 3, 1, 4], 2, True), ([0, 4, 1, 3, 8], 5, True), ([0, 4, 1], 2, False), ([4, 0, 2], 6, False)],
    "connect4": [
        ([0, 6, 1, 6, 2, 5], 3, True),
        ([3, 2, 3, 2, 3, 2, 0], 2, True),
        ([0, 6, 1, 6, 2], 3, False),
        ([4, 5, 4, 5, 4], 4, False),
    ],
}


def constant(game: Game[Any], value: float = 0.0) -> Evaluator:
    """Knows nothing: every move alike, every state worth `value` to whoever is to move."""

    def evaluate(states: EngineState[Any], key: Array) -> tuple[Array, Array]:
        del key
        num_states = states.meta.shape[0]
        return jnp.zeros((num_states, game.spec.num_actions)), jnp.full((num_states,), value)

    return evaluate


def played(game: Game[Any], lines: Sequence[Sequence[int]]) -> EngineState[Any]:
    """[B] states, each after one line of moves from the start."""
    step = stepper(game.spec.env_id)
    states = []
    for line in lines:
        state = start(game, KEY)
        for action in line:
            state = step(state, action)
        states.append(state)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


@cache
def stepper(name: str) -> Callable[[EngineState[Any], int], EngineState[Any]]:
    return jax.jit(lambda state, action: transition(GAMES[name], state, action).state)


@cache
def compiled(name: str, config: SearchConfig) -> Callable[[EngineState[Any], Array], SearchResult]:
    game = GAMES[name]
    return jax.jit(lambda states, key: search(game, constant(game), states, key, config))


def _config(lookahead: int) -> SearchConfig:
    """Without bounds a reply must be found by simulations; with them the rules prove it."""
    simulations = 8 if lookahead else 400
    return SearchConfig(num_simulations=simulations, gumbel_scale=0.0, lookahead=lookahead, value_scale=1.0)


@pytest.mark.parametrize("lookahead", [0, 2])
@pytest.mark.parametrize("name", GAMES)
def test_wins_at_once_and_blocks(name: str, lookahead: int) -> None:
    config = _config(lookahead)
    lines, best, wins = zip(*WIN_OR_BLOCK[name], strict=True)
    found = compiled(name, config)(played(GAMES[name], lines), KEY)
    np.testing.assert_array_equal(found.action, best)
    won = np.array(wins)
    if lookahead:  # a proven win is worth 1 in every simulation, and every refuted move has lost all weight
        np.testing.assert_allclose(np.asarray(found.value)[won], 1.0, atol=1e-6)
        np.testing.assert_allclose(np.asarray(found.policy)[np.arange(len(best)), list(best)], 1.0, atol=1e-6)
    else:
        assert np.all(np.asarray(found.value)[won] > 0)


@pytest.mark.parametrize("name", GAMES)
def test_policy_is_a_distribution_over_legal_actions(name: str) -> None:
    game = GAMES[name]
    lines = [[], [0, 1, 2], [4, 0, 8, 2], [0, 0, 0, 0, 0, 0] if name == "connect4" else [4, 0, 2]]
    states = played(game, lines)
    found = compiled(name, _config(0))(states, KEY)
    legal = np.asarray(jax.jit(jax.vmap(lambda state: legal_actions(game, state)))(states))
    assert not np.all(legal)
    policy = np.asarray(found.policy)
    np.testing.assert_allclose(policy.sum(axis=1), 1.0, atol=1e-6)
    assert np.all(policy[~legal] == 0)
    assert np.all(legal[np.arange(len(lines)), np.asarray(found.action)])


def test_deterministic_without_noise_and_rows_independent() -> None:
    name, config = "tictactoe", _config(0)
    run = compiled(name, config)
    states = played(GAMES[name], [[0, 4, 1], [4, 0, 2], [0, 3, 1, 4], [0, 4, 1, 3, 8]])
    first, again = run(states, KEY), run(states, jax.random.PRNGKey(7))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert len(set(np.asarray(first.value).tolist())) == 4, "rows that differ must be judged apart"
    order = jnp.array([2, 0, 3, 1])
    permuted = run(jax.tree.map(lambda leaf: leaf[order], states), KEY)
    for mixed, straight in zip(jax.tree.leaves(permuted), jax.tree.leaves(first), strict=True):
        np.testing.assert_allclose(mixed, straight[order], atol=1e-6)


def test_noise_explores() -> None:
    config = SearchConfig(num_simulations=4, num_considered=4, lookahead=0)
    states = played(GAMES["tictactoe"], [[]] * 32)
    found = compiled("tictactoe", config)(states, KEY)
    assert len(set(np.asarray(found.action).tolist())) > 4


@pytest.mark.parametrize("lookahead", [0, 2])
def test_solves_a_game_in_which_turns_repeat(
    race: Game[Any], race_states: EngineState[Any], race_solution: Callable[[int], list[int | None]], lookahead: int
) -> None:
    config = SearchConfig(num_simulations=200, gumbel_scale=0.0, lookahead=lookahead, value_scale=0.1)
    found = jax.jit(lambda states: search(race, constant(race), states, KEY, config))(race_states)
    for row, word in enumerate(np.asarray(race_states.game.word).tolist()):
        values = race_solution(word & 255)
        best = max(value for value in values if value is not None)
        assert values[int(found.action[row])] == best, f"{word & 255} counters, player {word >> 8}"
        if best < 0 and word & 255 < 10:  # a won position's mean holds the losing moves tried beside the good one
            assert found.value[row] < 0, f"{word & 255} counters, player {word >> 8}"


def test_values_keep_their_sign_along_a_line(
    race: Game[Any], race_states: EngineState[Any], race_solution: Callable[[int], list[int | None]]
) -> None:
    """Where the evaluator is right everywhere and every simulation follows its moves, nothing but the truth adds up."""
    solved = [race_solution(counters) for counters in range(1, 11)]
    logits = jnp.array([[0.0] * 3] + [[50.0 * (value or -1) for value in values] for values in solved])  # [11, 3]
    worth = jnp.array([0.0] + [float(max(value or -1 for value in values)) for values in solved])  # [11]

    def exact(states: EngineState[Any], key: Array) -> tuple[Array, Array]:
        del key
        counters = states.game.word & 255
        return logits[counters], worth[counters]

    config = SearchConfig(num_simulations=24, num_considered=1, gumbel_scale=0.0, lookahead=0)
    found = jax.jit(lambda states: search(race, exact, states, KEY, config))(race_states)
    np.testing.assert_allclose(found.value, worth[race_states.game.word & 255], atol=1e-5)


def test_one_player_keeps_the_sign(climb: Game[Any]) -> None:
    config = SearchConfig(num_simulations=32, gumbel_scale=0.0, value_scale=0.1)
    states = jax.vmap(lambda key: start(climb, key))(jnp.zeros((2, 2), jnp.uint32))
    found = jax.jit(lambda states: search(climb, constant(climb), states, KEY, config))(states)
    np.testing.assert_array_equal(found.action, [1, 1])
    assert np.all(np.asarray(found.value) > 0.1)


def test_over_states_are_worth_nothing() -> None:
    """One free cell, which ends the game in a draw: whatever the evaluator says of the full board does not count."""
    game, simulations = TicTacToe(), 8
    states = played(game, [[0, 1, 2, 4, 3, 5, 7, 6]])
    config = SearchConfig(num_simulations=simulations, gumbel_scale=0.0, lookahead=0)
    found = jax.jit(lambda states: search(game, constant(game, 1.0), states, KEY, config))(states)
    np.testing.assert_array_equal(found.action, [8])
    np.testing.assert_allclose(found.raw_value, [1.0])
    np.testing.assert_allclose(found.value, [1.0 / (simulations + 1)], atol=1e-6)


def test_playouts_judge_for_the_mover() -> None:
    game = TicTacToe()
    lines = [[0, 3, 1, 4], [0, 4, 1], [0, 1, 4, 2, 5, 3], [0, 4, 1, 3, 8]]
    many = jax.tree.map(lambda leaf: jnp.repeat(leaf, 2000, axis=0), played(game, lines))
    logits, value = jax.jit(playout_evaluator(game))(many, KEY)
    assert logits.shape == (8000, 9)
    mean = np.asarray(value).reshape(4, 2000).mean(axis=1)
    np.testing.assert_allclose(mean, [random_play(line) for line in lines], atol=0.08)


def random_play(line: list[int]) -> float:
    """What the player to move expects of a game of tic-tac-toe when both play at random, by plain enumeration."""
    rows = ["012", "345", "678", "036", "147", "258", "048", "246"]
    opponent = set(line[-1::-2])
    if any(all(int(cell) in opponent for cell in row) for row in rows):
        return -1.0
    free = [cell for cell in range(9) if cell not in line]
    return sum(-random_play([*line, cell]) for cell in free) / len(free) if free else 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [({"stochastic": True}, "chance"), ({"hidden_information": True}, "hides"), ({"num_players": 3}, "players")],
)
def test_refuses_what_it_would_get_wrong(change: dict[str, Any], message: str) -> None:
    game = TicTacToe()
    states = played(game, [[]])
    game.spec = dataclasses.replace(game.spec, **change)
    with pytest.raises(SpecError, match=message):
        search(game, constant(game), states, KEY, SearchConfig(num_simulations=2))


def test_traces_once() -> None:
    game, traces = TicTacToe(), []

    @jax.jit
    def run(states: EngineState[Any], key: Array) -> SearchResult:
        traces.append(1)
        return search(game, constant(game), states, key, SearchConfig(num_simulations=2, lookahead=0))

    for seed, line in enumerate([[], [0], [0, 1]]):
        run(played(game, [line]), jax.random.PRNGKey(seed))
    assert len(traces) == 1


def test_a_tree_stores_packed_states() -> None:
    """What a search of Go writes for a node besides its statistics, read off the traced program."""
    game, num_games, num_simulations = make_game("go9x9"), 256, 32
    states, _ = batch.init(game, 0, num_games)
    config = SearchConfig(num_simulations=num_simulations)
    traced = jax.make_jaxpr(lambda states, key: search(game, constant(game), states, key, config))(states, KEY)
    nodes = num_games, num_simulations + 1
    stored = [
        sum(4 * math.prod(shape[2:]) for shape in carried if shape[:2] == nodes) for carried in carried_words(traced)
    ]
    assert max(stored) == game.spec.state_bytes
    assert max(stored) <= 256


def carried_words(jaxpr: Any) -> Iterator[list[tuple[int, ...]]]:
    """The shapes of the u32 arrays that each loop of a traced program hands on, inner loops included."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("scan", "while"):
            yield [out.aval.shape for out in equation.outvars if out.aval.dtype == np.uint32]
        for parameter in equation.params.values():
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns"):
                yield from carried_words(inner)
