"""The laws can be broken: each finds the game that breaks it, and names what is wrong."""

import dataclasses
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import pytest
from cartridge.engine import bits
from cartridge.engine.conformance import LAWS, ConformanceError, check_game
from cartridge.engine.game import Step, Symmetry
from cartridge.games.tictactoe import TicTacToe
from jax.core import Tracer


def test_small_games_pass(small_games: ModuleType) -> None:
    check_game(small_games.Counting(), num_games=8, num_states=16)
    check_game(small_games.Counting(max_steps=4), num_games=8, num_states=16, laws=["absorption"])
    check_game(small_games.Guess(), num_games=8, num_states=16)
    check_game(small_games.DiceRace(), num_games=8, num_states=16)


class WrongBytes(TicTacToe):
    spec = dataclasses.replace(TicTacToe.spec, state_bytes=4)


class Bare(TicTacToe):
    def step(self, state: Any, action: Any, key: Any) -> Any:
        step = super().step(state, action, key)
        return step.state, step.reward, step.terminated


class FlatView(TicTacToe):
    def observe(self, state: Any, player: Any) -> Any:
        return super().observe(state, player).reshape(-1)


class Stumbling(TicTacToe):
    def observe(self, state: Any, player: Any) -> Any:
        return super().observe(state, player) + jnp.zeros(5)


class Speechless(TicTacToe):
    def action_label(self, action: int) -> str:
        return "abc"[action]


class WrongMask(TicTacToe):
    def legal_words(self, state: Any) -> Any:
        return bits.unpack(super().legal_words(state), 9)


class Overfull(TicTacToe):
    def legal_words(self, state: Any) -> Any:
        (legal,) = super().legal_words(state)
        return (legal | (1 << 9),)


class NoMoves(TicTacToe):
    def legal_words(self, state: Any) -> Any:
        (legal,) = super().legal_words(state)
        return (jnp.where(bits.popcount(state.marks) < 4, legal, jnp.uint32(0)),)


class Endless(TicTacToe):
    def step(self, state: Any, action: Any, key: Any) -> Any:
        return Step(state, jnp.zeros(2), jnp.zeros((), bool))


class SameMover(TicTacToe):
    def player(self, state: Any) -> Any:
        return super().player(state) * 0


class Generous(TicTacToe):
    def step(self, state: Any, action: Any, key: Any) -> Any:
        step = super().step(state, action, key)
        return dataclasses.replace(step, reward=step.reward + 0.5)


class Rich(TicTacToe):
    def step(self, state: Any, action: Any, key: Any) -> Any:
        step = super().step(state, action, key)
        return dataclasses.replace(step, reward=step.reward * 2)


class Skewed(TicTacToe):
    def symmetries(self) -> Any:
        return [Symmetry(super().symmetries()[0].state, tuple(range(9)))]


class Unfaithful(TicTacToe):
    def symmetries(self) -> Any:
        return [Symmetry(lambda state: state, (1, 0, 2, 3, 4, 5, 6, 7, 8))]


class Collapsed(TicTacToe):
    def symmetries(self) -> Any:
        return [Symmetry(lambda state: state, (0,) * 9)]


class OneEyed(TicTacToe):
    """Sees a mark it should not, where the mirror has none."""

    def observe(self, state: Any, player: Any) -> Any:
        return super().observe(state, player) * jnp.arange(9).reshape(3, 3, 1)


class Mislabelled(TicTacToe):
    def parse_action(self, text: str) -> int:
        return (super().parse_action(text) + 1) % 9


class Credulous(TicTacToe):
    def parse_action(self, text: str) -> int:
        return super().parse_action(text) if text in "a1a2a3b1b2b3c1c2c3" else 0


class Unclickable(TicTacToe):
    def draw(self, state: Any) -> str:
        return super().draw(state).replace('data-action="4"', "")


class UnclickableLate(TicTacToe):
    """Right on the empty board, where every game begins."""

    def draw(self, state: Any) -> str:
        return super().draw(state) if int(state.marks) == 0 else super().draw(state).replace("data-action", "id")


class Misnamed(TicTacToe):
    def invariants(self, state: Any) -> Any:
        return {"board: too many marks": bits.popcount(state.marks) < 10}


class Trusting(TicTacToe):
    def invariants(self, state: Any) -> Any:
        return {"marks: fine": jnp.ones(2, bool)}


class Forbidding(TicTacToe):
    def invariants(self, state: Any) -> Any:
        return {"marks: more than two": bits.popcount(state.marks) < 3}


class Brighter(TicTacToe):
    def observe(self, state: Any, player: Any) -> Any:
        return 2 * super().observe(state, player)


class Scrawl(TicTacToe):
    def draw(self, state: Any) -> str:
        return "<svg><rect></svg>"


class Eager(TicTacToe):
    """Answers otherwise when it can see values, as code that branches in Python does."""

    def legal_words(self, state: Any) -> Any:
        (legal,) = super().legal_words(state)
        return (legal if isinstance(state.marks, Tracer) else legal & 1,)


class Neighbourly(TicTacToe):
    calls = 0

    def observe(self, state: Any, player: Any) -> Any:
        Neighbourly.calls += 1  # every trace bakes in another number
        return super().observe(state, player) + Neighbourly.calls


CASES = [
    (WrongBytes, "the spec", "state_bytes is 4, but the words and the meta word take 8"),
    (Bare, "the spec", "step returns .*, expected a Step"),
    (FlatView, "the spec", r"observe is .*shape=\(18,\).*, expected float32 of shape \(3, 3, 2\)"),
    (Stumbling, "the spec", r"(Type|Value)Error in line \d+ of .*test_conformance: .*shape"),
    (Speechless, "labels", r"IndexError in line \d+ of .*test_conformance: string index out of range"),
    (WrongMask, "the spec", r"legal_words is .*shape=\(9,\).*, expected a tuple of 1 uint32 scalars"),
    (Overfull, "legal actions", "a bit is set beyond the last action"),
    (Endless, "ending", "8 of 8 random games go on after 40 moves"),
    (NoMoves, "legal actions", "a live state has no legal action"),
    (SameMover, "turns", "the turn does not go to the next player"),
    (Generous, "rewards", "do not sum to zero"),
    (Rich, "rewards", "a game paid 2.0 in all"),
    (Skewed, "symmetry", "legal actions do not follow the state"),
    (Unfaithful, "symmetry", "legal actions do not follow|do not commute"),
    (Collapsed, "symmetry", "are no permutation"),
    (OneEyed, "symmetry", "no rearrangement"),
    (Mislabelled, "labels", "action 0 is written 'a3', which reads as 1"),
    (Credulous, "labels", "expected a ValueError"),
    (Unclickable, "pictures", "no element carries data-action"),
    (UnclickableLate, "pictures", r"no element carries data-action for the legal \[.*\] in\n"),
    (Scrawl, "pictures", "not well-formed"),
    (Misnamed, "the spec", "invariants has 'board: too many marks', expected a name like 'FIELD: what is wrong'"),
    (Trusting, "the spec", "invariants 'marks: fine' is .*, expected a bool of shape"),
    (Forbidding, "encodings", r"a state of its own cannot be \(marks: more than two\); in \d+ of 16 states"),
    (Brighter, "encodings", "spec.observation_limit is 1, but obs:bits18:v1 holds numbers up to 1, got 0.0 to 2.0"),
    (Eager, "compilation", "differs with and without jit"),
    (Neighbourly, "batching", "differs in a batch and alone"),
]


@pytest.mark.parametrize(("game_class", "law", "message"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_broken_law_is_named(game_class: type[TicTacToe], law: str, message: str) -> None:
    laws = [law] if law in LAWS else []
    with pytest.raises(ConformanceError, match=message) as caught:
        check_game(game_class(), num_games=8, num_states=16, max_moves=40, laws=laws)
    assert caught.value.law == law
    assert str(caught.value).startswith(f"tictactoe breaks the law of {law}: ")


def test_each_law_is_reported_as_it_begins_and_as_it_holds(small_games: ModuleType) -> None:
    told: list[tuple[str, bool]] = []
    check_game(small_games.Counting(), num_games=8, laws=["turns", "labels"], report=lambda *news: told.append(news))
    laws = ["the spec", "ending", "turns", "labels"]
    assert told == [(law, holds) for law in laws for holds in (False, True)]

    told.clear()
    with pytest.raises(ConformanceError):
        check_game(SameMover(), num_games=8, laws=["turns", "labels"], report=lambda *news: told.append(news))
    assert told[-2:] == [("ending", True), ("turns", False)]


def test_a_leak_of_hidden_information_is_found(small_games: ModuleType) -> None:
    class Leaky(small_games.Guess):
        def observe(self, state: Any, player: Any) -> Any:
            return super().observe(state, player * 0)

    with pytest.raises(ConformanceError, match="player 1's observation shows what is hidden"):
        check_game(Leaky(), num_games=8, laws=["secrecy"])

    class Forgetful(small_games.Counting):
        def __init__(self) -> None:
            super().__init__()
            self.spec = dataclasses.replace(self.spec, hidden_information=True)

    with pytest.raises(ConformanceError, match="must offer redeal"):
        check_game(Forgetful(), num_games=8, laws=["secrecy"])
