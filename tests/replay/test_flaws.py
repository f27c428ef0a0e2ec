"""Rows that cannot be are found, with the first of them and what is wrong."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.actor.selfplay import Samples
from cartridge.engine import batch
from cartridge.engine.transition import legal_actions
from cartridge.games.tictactoe import TicTacToe
from cartridge.replay.flaws import first_flaw

GAME = TicTacToe()
Change = Callable[[Any, int], Any]


def played(number: int = 6) -> Any:
    """Games after 2 moves, in the middle of which lies no flaw."""
    states, _ = batch.init(GAME, 0, number)
    for move in (4, 0):
        states, _ = batch.step(GAME, states, jnp.full(number, move, jnp.int32))
    legal = jax.vmap(lambda state: legal_actions(GAME, state))(states)
    rows = Samples(states, legal / legal.sum(1, keepdims=True), jnp.zeros(number))
    return jax.tree.map(lambda leaf: np.array(leaf), rows)


def with_policy(rows: Any, row: int, **numbers: float) -> Any:
    for action, number in numbers.items():
        rows.policy[row, int(action.removeprefix("a"))] = number
    return rows


def with_value(rows: Any, row: int, value: float) -> Any:
    rows.value[row] = value
    return rows


def with_word(rows: Any, row: int, word: int) -> Any:
    jax.tree.leaves(rows.state.game)[0][row] = word
    return rows


def with_meta(rows: Any, row: int, meta: int) -> Any:
    rows.state.meta[row] = meta
    return rows


def test_rows_as_played_are_without_flaw() -> None:
    assert first_flaw(GAME, played(), np.full(6, 2)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows, row: with_policy(rows, row, a1=float("nan")), "a number that is not finite"),
        (lambda rows, row: with_policy(rows, row, a1=-0.1, a2=1 / 7 + 0.1 + 1 / 7), "negative probability"),
        (lambda rows, row: with_policy(rows, row, a1=0.0), "its policy sums to 0.857143, expected 1"),
        (lambda rows, row: with_policy(rows, row, a4=1 / 7, a1=0.0), "illegal actions a share of 0.142857"),
        (lambda rows, row: with_value(rows, row, 1.5), "its value is 1.5, expected -1 to 1"),
        (lambda rows, row: with_value(rows, row, float("nan")), "its value is nan"),
        (lambda rows, row: with_word(rows, row, 0xFFFFFFFF), "cannot be"),
        (lambda rows, row: with_meta(rows, row, 2 | 1 << 31), "its game is over"),
    ],
)
def test_the_first_flaw_is_named(change: Change, message: str) -> None:
    rows = change(change(played(), 5), 3)
    flaw = first_flaw(GAME, rows, np.full(6, 2))
    assert flaw is not None
    assert flaw[0] == 3
    assert message in flaw[1]


def test_a_move_must_be_the_states_own() -> None:
    moves = np.array([2, 2, 3, 2, 2, 2])
    assert first_flaw(GAME, played(), moves) == (2, "its move is 3, its state counts 2")


def test_a_value_need_not_be_a_result() -> None:
    rows = dataclasses.replace(played(), value=jnp.linspace(-1, 1, 6))
    assert first_flaw(GAME, rows, np.full(6, 2)) is None
