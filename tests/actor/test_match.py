"""Matches: the right player moves, rewards go to the right side, both seats are played, games can be replayed."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.actor.match import WAITED, Match, MatchResult, distinct_openings
from cartridge.actor.policies import Policy, greedy_policy, random_policy
from cartridge.engine.game import Game
from cartridge.engine.spec import SpecError
from cartridge.engine.transition import EngineState, start, transition
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe
from jax import Array

KEY = jax.random.PRNGKey(3)


def always(action: int) -> Policy:
    return lambda states, key: jnp.full(states.meta.shape, action)


def likes(game: Game[Any], preferences: Array) -> Policy:
    """A deterministic player with fixed preferences, f32[A]."""

    def evaluate(states: EngineState[Any], key: Array) -> tuple[Array, Array]:
        del key
        shape = states.meta.shape
        return jnp.broadcast_to(preferences, (*shape, preferences.shape[0])), jnp.zeros(shape)

    return greedy_policy(game, evaluate)


def row(openings: EngineState[Any], index: int) -> EngineState[Any]:
    return jax.tree.map(lambda leaf: leaf[index], openings)


def check_replay(game: Game[Any], result: MatchResult[Any], opening: int, seat: int) -> None:
    """Played again from its opening, a game's line ends it with the reward that was reported."""
    step = jax.jit(lambda state, action: transition(game, state, action))
    state, reward = row(result.openings, opening), 0.0
    for action in result.line(seat, opening):
        assert not state.over
        moved = step(state, jnp.int32(action))
        state, reward = moved.state, reward + float(moved.reward[seat])
    assert state.over
    assert reward == result.reward[seat, opening]


@pytest.mark.parametrize("game", [TicTacToe(), Connect4()], ids=["tictactoe", "connect4"])
def test_games_replay_from_their_openings(game: Game[Any]) -> None:
    openings = distinct_openings(game, KEY, 4, 3)
    result = Match(game, lambda _: random_policy(game), lambda _: random_policy(game)).play(openings, KEY)
    assert result.reward.shape == (2, 4)
    assert not result.unfinished.any()
    for opening in range(4):
        for seat in (0, 1):
            check_replay(game, result, opening, seat)
    while_both_live = ~np.any(result.moves == WAITED, axis=(1, 2))
    assert while_both_live[0], "while turns alternate no game waits"


def test_random_players_are_equal_and_the_first_seat_is_better() -> None:
    game = TicTacToe()
    first = start(game, KEY)
    openings = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2000,)), first)
    result = Match(game, lambda _: random_policy(game), lambda _: random_policy(game)).play(openings, KEY)
    assert abs(result.reward.mean()) < 0.05
    # Of random games X wins 58.5 %, O 28.8 % (published enumeration).
    np.testing.assert_allclose(
        [np.mean(result.reward[0] > 0), np.mean(result.reward[0] < 0)], [0.585, 0.288], atol=0.04
    )
    np.testing.assert_allclose(
        [np.mean(result.reward[1] < 0), np.mean(result.reward[1] > 0)], [0.585, 0.288], atol=0.04
    )


def test_a_player_against_itself_mirrors_its_results() -> None:
    game = Connect4()
    player = likes(game, jnp.array([0.0, 3.0, 1.0, 5.0, 4.0, 2.0, 6.0]))
    result = Match(game, lambda _: player, lambda _: player).play(distinct_openings(game, KEY, 32, 4), KEY)
    np.testing.assert_array_equal(result.reward[0], -result.reward[1])
    np.testing.assert_array_equal(result.moves[:, 0], result.moves[:, 1])
    assert len(set(result.reward[0].tolist())) > 1


def test_parameters_reach_their_own_side() -> None:
    """Columns 7 or 1 by parameter: each side stacks its own four discs, and the player who begins wins."""
    game = Connect4()
    match = Match(game, lambda preferences: likes(game, preferences), lambda preferences: likes(game, preferences))
    begin = jax.tree.map(lambda leaf: leaf[None], start(game, KEY))
    left, right = jnp.arange(7.0)[::-1], jnp.arange(7.0)
    result = match.play(begin, KEY, left, right)
    assert result.line(0, 0) == [0, 6, 0, 6, 0, 6, 0]
    assert result.line(1, 0) == [6, 0, 6, 0, 6, 0, 6]
    np.testing.assert_array_equal(result.reward, [[1.0], [-1.0]])


def test_an_illegal_move_loses() -> None:
    game = TicTacToe()
    begin = jax.tree.map(lambda leaf: leaf[None], start(game, KEY))
    result = Match(game, lambda _: always(0), lambda _: likes(game, jnp.arange(9.0))).play(begin, KEY)
    np.testing.assert_array_equal(result.reward, [[-1.0], [-1.0]])
    assert result.line(0, 0) == [0, 8, 0]


def test_turns_that_repeat(
    race: Game[Any], race_states: EngineState[Any], race_solution: Callable[[int], list[int | None]]
) -> None:
    """The same games as when each is played alone; and whoever is to move in a won position and plays well wins."""
    table = jnp.array([0] + [_best(race_solution(counters)) for counters in range(1, 11)])

    def perfect(states: EngineState[Any], key: Array) -> Array:
        del key
        return table[states.game.word & 255]

    result = Match(race, lambda _: perfect, lambda _: likes(race, jnp.arange(3.0))).play(race_states, KEY)
    step = jax.jit(lambda state, action: transition(race, state, action))
    for opening in range(20):
        for seat in (0, 1):
            state, line = row(race_states, opening), []
            counters, mover = int(state.game.word & 255), int(race.player(state.game))
            while not state.over:
                well = int(race.player(state.game)) == seat
                left = int(state.game.word & 255)
                line.append(int(table[left]) if well else min(left, 3) - 1)
                state = step(state, jnp.int32(line[-1])).state
            assert result.line(seat, opening) == line
            check_replay(race, result, opening, seat)
            if mover == seat and 1 in race_solution(counters):
                assert result.reward[seat, opening] == 1
    made = result.moves != WAITED
    assert np.any(~made[:-1] & made[1:]), "in some pair both moves are one player's, and a game waits"


def _best(values: list[int | None]) -> int:
    return values.index(max(value for value in values if value is not None))


def test_openings_are_distinct_and_live() -> None:
    openings = distinct_openings(TicTacToe(), KEY, 300, 3)
    words = list(zip(np.asarray(openings.game.marks).tolist(), np.asarray(openings.meta).tolist(), strict=True))
    assert len(set(words)) == 300  # there are only 252 boards after three moves, so some are longer
    assert not np.any(openings.over)
    assert set(np.asarray(openings.step_count).tolist()) == {3, 4}
    again = distinct_openings(TicTacToe(), KEY, 300, 3)
    jax.tree.map(np.testing.assert_array_equal, openings, again)


def test_too_many_openings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tictactoe has no 5000 distinct openings of 1 random moves \(found \d+\)"):
        distinct_openings(TicTacToe(), KEY, 5000, 1)


def test_a_match_needs_two(climb: Game[Any]) -> None:
    with pytest.raises(SpecError, match="needs two players, climb has 1"):
        Match(climb, lambda _: always(0), lambda _: always(0))
