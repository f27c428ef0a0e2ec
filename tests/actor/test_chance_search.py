"""Search where dice are thrown: exact values of a small race, nothing seen of what the dice will show, 2048 played."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge import make_game
from cartridge.actor.evaluators import playout_evaluator
from cartridge.actor.policies import playout_search, random_policy, search_policy
from cartridge.actor.search import search
from cartridge.actor.settings import SearchConfig
from cartridge.engine.spec import SpecError
from cartridge.engine.transition import EngineState, start, transition

KEY = jax.random.PRNGKey(5)
TARGET = 20


@functools.cache
def worth(mine: int, theirs: int) -> float:
    """What best play expects in the race of `DiceRace` for whoever is to move, by plain recursion."""
    return max(value_of(mine, theirs, action) for action in (0, 1))


def value_of(mine: int, theirs: int, action: int) -> float:
    """Action 0 throws a die of six; action 1 one of five and one point more."""
    rolls = range(1, 7) if action == 0 else range(2, 7)
    results = [1.0 if mine + roll >= TARGET else -worth(theirs, mine + roll) for roll in rolls]
    return sum(results) / len(results)


def race_states(game: Any, points: list[tuple[int, int]]) -> EngineState[Any]:
    """Player 0 to move, with these points of their own and of the other's."""
    state = jax.vmap(lambda key: start(game, key))(jnp.zeros((len(points), 2), jnp.uint32))
    words = jnp.array([mine | theirs << 8 for mine, theirs in points], jnp.uint32)
    return dataclasses.replace(state, game=dataclasses.replace(state.game, word=words))


def by_empty_cells(game: Any, states: EngineState[Any], key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """An evaluator of 2048 without preference among moves: the more cells are empty, the better."""
    del key
    empty = jax.vmap(lambda state: game.observe(state, 0)[..., 0].sum())(states.game)
    return jnp.zeros((states.meta.shape[0], 4)), empty * 4.0


@pytest.fixture
def race(small_games) -> Any:
    return small_games.DiceRace()


def test_value_and_move_are_those_of_best_play(race: Any) -> None:
    """In the last state, two points short, a one on the die of six loses the race; the other die shows no one."""
    points = [(13, 15), (14, 14), (15, 3), (8, 18), (18, 18)]
    assert value_of(18, 18, 1) == 1.0
    assert value_of(18, 18, 0) < 0.7
    config = SearchConfig(num_simulations=800, gumbel_scale=0.0)
    think = jax.jit(lambda states: search(race, playout_evaluator(race), states, KEY, config))
    found = think(race_states(race, points))
    np.testing.assert_allclose(found.value, [worth(*score) for score in points], atol=0.15)
    np.testing.assert_allclose(np.sum(found.policy, axis=1), 1.0, rtol=1e-5)
    assert int(found.action[-1]) == 1


@pytest.mark.parametrize("env_id", ["race", "2048"])
def test_roots_that_differ_in_the_key_alone_are_searched_alike(race: Any, env_id: str) -> None:
    game: Any = race if env_id == "race" else make_game(env_id)
    evaluate = playout_evaluator(game) if env_id == "race" else functools.partial(by_empty_cells, game)
    same = jax.vmap(lambda key: start(game, key))(jnp.zeros((2, 2), jnp.uint32))
    words = jax.random.bits(KEY, (2, 2), jnp.uint32)
    other = dataclasses.replace(same, key=(words[0], words[1]))
    think = jax.jit(lambda states: search(game, evaluate, states, KEY, playout_search(16)))
    jax.tree.map(np.testing.assert_array_equal, think(same), think(other))


def test_outcomes_come_as_chosen(race: Any) -> None:
    state = jax.tree.map(lambda leaf: leaf[0], race_states(race, [(3, 0)]))
    after = [transition(race, state, jnp.int32(0), jnp.int32(outcome)).state for outcome in range(6)]
    assert [int(moved.game.word) & 255 for moved in after] == [4, 5, 6, 7, 8, 9]
    tictactoe: Any = make_game("tictactoe")
    with pytest.raises(TypeError, match="lists no outcomes"):
        transition(tictactoe, start(tictactoe, jnp.zeros((2,), jnp.uint32)), jnp.int32(0), jnp.int32(0))


def test_chance_that_is_not_listed_is_refused(race: Any) -> None:
    states = race_states(race, [(0, 0)])
    race.spec = dataclasses.replace(race.spec, num_chance_outcomes=0)
    with pytest.raises(SpecError, match="does not list"):
        search(race, playout_evaluator(race), states, KEY, SearchConfig(num_simulations=2))


@pytest.mark.long
def test_search_plays_2048_better_than_chance() -> None:
    game: Any = make_game("2048")
    num_games, num_moves = 8, 60

    def score(policy: Any) -> float:
        @jax.jit
        def play(states: EngineState[Any]) -> jax.Array:
            def move(carry: Any, number: jax.Array) -> Any:
                states, total = carry
                actions = policy(states, jax.random.fold_in(KEY, number))
                moved = jax.vmap(lambda state, action: transition(game, state, action))(states, actions)
                return (moved.state, total + moved.reward[:, 0]), None

            return jax.lax.scan(move, (states, jnp.zeros(num_games)), jnp.arange(num_moves))[0][1]

        begin = jax.vmap(lambda key: start(game, key))(jax.random.split(KEY, num_games).astype(jnp.uint32))
        return float(play(begin).mean())

    shallow = SearchConfig(num_simulations=12, gumbel_scale=0.0)
    searched = score(search_policy(game, functools.partial(by_empty_cells, game), shallow))
    assert searched > 1.1 * score(random_policy(game))

