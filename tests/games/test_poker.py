"""Kuhn and Leduc poker beside OpenSpiel in every deal and line of play, and their published numbers."""

import itertools
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest
from cartridge import make_game
from cartridge.engine import bits

GAMES = {"kuhn_poker": "kuhn_poker", "leduc_poker": "leduc_poker"}  # actions and cards are numbered alike


class Engine:
    """The game's pure functions, compiled once, on single states."""

    def __init__(self, env_id: str) -> None:
        self.game: Any = make_game(env_id)
        self.afterstate, self.chances = jax.jit(self.game.afterstate), jax.jit(self.game.chance_outcomes)
        self.resolve, self.player = jax.jit(self.game.apply_chance), jax.jit(self.game.player)
        self.start, self.legal = jax.jit(self.game.start), jax.jit(self.game.legal_words)
        self.observe = jax.jit(self.game.observe)

    def legal_actions(self, state: Any) -> list[int]:
        return np.flatnonzero(bits.unpack(self.legal(state), self.game.spec.num_actions)).tolist()


@pytest.fixture(scope="module", params=GAMES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return Engine(request.param)


def deals(num_cards: int) -> list[tuple[int, int]]:
    """Start number i gives these cards, as the games document."""
    return list(itertools.permutations(range(num_cards), 2))


def children(engine: Engine, state: Any, oracle: Any, action: int) -> list[tuple[Any, Any, Any]]:
    """(step, oracle, probability) for each outcome that may follow `action`."""
    after, their = engine.afterstate(state, jnp.int32(action)), oracle.clone()
    their.apply_action(action)
    chances = np.asarray(engine.chances(after))
    if not their.is_chance_node():
        assert chances.tolist() == [1.0] + [0.0] * (len(chances) - 1)
        return [(engine.resolve(after, jnp.int32(0)), their, 1.0)]
    assert {card: pytest.approx(chances[card]) for card in np.flatnonzero(chances)} == dict(their.chance_outcomes())
    found = []
    for card, chance in their.chance_outcomes():
        dealt = their.clone()
        dealt.apply_action(card)
        found.append((engine.resolve(after, jnp.int32(card)), dealt, chance))
    return found


def walk(engine: Engine, state: Any, oracle: Any, information: dict[str, set[bytes]]) -> int:
    """Compares everything below `state`; returns the number of finished games."""
    mover = int(engine.player(state))
    assert mover == oracle.current_player()
    assert engine.legal_actions(state) == oracle.legal_actions()
    for player in (0, 1):
        seen = np.asarray(engine.observe(state, jnp.int32(player))).tobytes()
        role = "mover" if player == mover else "other"
        information.setdefault(f"{role} {player}: {oracle.information_state_string(player)}", set()).add(seen)
    games = 0
    for action in oracle.legal_actions():
        for step, their, _ in children(engine, state, oracle, action):
            assert bool(step.terminated) == their.is_terminal()
            assert step.reward.tolist() == (their.returns() if their.is_terminal() else [0.0, 0.0])
            games += 1 if their.is_terminal() else walk(engine, step.state, their, information)
    return games


def oracle_after(env_id: str, deal: tuple[int, int]) -> Any:
    state = pyspiel.load_game(GAMES[env_id]).new_initial_state()
    for card in deal:
        state.apply_action(card)
    return state


def test_every_line_of_play_agrees_and_players_see_their_information_set(engine: Engine) -> None:
    env_id = engine.game.spec.env_id
    num_cards = 3 if env_id == "kuhn_poker" else 6
    assert np.allclose(engine.game.start_outcomes(), 1 / len(deals(num_cards)))
    information: dict[str, set[bytes]] = {}
    games = 0
    for number, deal in enumerate(deals(num_cards)):
        games += walk(engine, engine.start(jnp.int32(number)), oracle_after(env_id, deal), information)
    # A round of Leduc has five ways to go on and four folds: below each deal 4 + 5 * 4 open cards * 9 games.
    assert games == {"kuhn_poker": 6 * 5, "leduc_poker": 30 * 184}[env_id]
    to_move = [name for name in information if name.startswith("mover")]
    assert len(to_move) == {"kuhn_poker": 12, "leduc_poker": 936}[env_id]  # as published
    assert all(len(seen) == 1 for seen in information.values())  # the same knowledge looks the same
    looks = [next(iter(seen)) for seen in information.values()]
    assert len(set(looks)) == len(looks)  # and other knowledge looks otherwise


def test_kuhn_is_worth_a_loss_of_an_eighteenth() -> None:
    """The value of Kuhn's own equilibrium (his parameter at 1/3) over our tree, in exact fractions."""
    engine = Engine("kuhn_poker")
    third = Fraction(1, 3)
    # The chance to bet, by player, card (J, Q, K) and what has been played.
    bet = {
        (0, ""): (third * third, Fraction(0), third),
        (1, "pass"): (third, Fraction(0), Fraction(1)),
        (1, "bet"): (Fraction(0), third, Fraction(1)),
        (0, "pass bet"): (Fraction(0), third * third + third, Fraction(1)),
    }

    def value(state: Any, deal: tuple[int, int], played: tuple[str, ...]) -> Fraction:
        mover = int(engine.player(state))
        chance = bet[mover, " ".join(played)][deal[mover]]
        total = Fraction(0)
        for action, share in ((0, 1 - chance), (1, chance)):
            step = engine.resolve(engine.afterstate(state, jnp.int32(action)), jnp.int32(0))
            label = engine.game.action_label(action)
            below = Fraction(int(step.reward[0])) if step.terminated else value(step.state, deal, (*played, label))
            total += share * below
        return total

    values = [value(engine.start(jnp.int32(number)), deal, ()) for number, deal in enumerate(deals(3))]
    assert sum(values) / 6 == Fraction(-1, 18)


def test_pictures_show_cards_and_moves() -> None:
    engine = Engine("leduc_poker")
    step = engine.resolve(engine.afterstate(engine.start(jnp.int32(2)), jnp.int32(2)), jnp.int32(0))  # J and Q, a raise
    assert engine.game.text(step.state).splitlines() == ["player 0: J♠   open: ?   player 1: Q♥", "moves: raise"]
    assert "K" not in engine.game.draw(step.state)


@pytest.mark.parametrize(("env_id", "label"), [("kuhn_poker", "pass or bet"), ("leduc_poker", "fold, call or raise")])
def test_nonsense_is_refused(env_id: str, label: str) -> None:
    with pytest.raises(ValueError, match=f"write {label}"):
        make_game(env_id).parse_action("all in")
