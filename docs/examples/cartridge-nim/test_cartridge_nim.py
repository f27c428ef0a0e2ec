"""Who wins every position of Nim is known: Bouton, "Nim, a game with a complete mathematical theory", 1901."""

import functools
import operator

import cartridge
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import bits, keys
from cartridge.engine.conformance import check_game
from cartridge_nim import Nim, NimState

WORDS = [word for word in range(1, 0x8000) if not word & 0x8888]  # all positions but the empty one


def won_by_search(game: Nim) -> list[bool]:
    """Whether the mover can win each of `WORDS`, by trying every move; a move leads to a smaller word."""
    states = NimState(jnp.array(WORDS, jnp.uint32))
    legal = jax.vmap(lambda state: bits.unpack(game.legal_words(state), 28))(states)  # bool[N, 28]
    every = jax.vmap(lambda state: jax.vmap(lambda action: game.step(state, action, keys.zero_key()))(jnp.arange(28)))
    steps = jax.jit(every)(states)
    moves = zip(np.asarray(legal), np.asarray(steps.state.word) & 0xFFFF, np.asarray(steps.reward[..., 0]), strict=True)
    won: dict[int, bool] = {}  # not of the empty position: the move that leads there has paid
    for word, (allowed, after, gain) in zip(WORDS, moves, strict=True):
        won[word] = any(gain[a] > 0 or (gain[a] == 0 and not won[after[a]]) for a in np.flatnonzero(allowed))
    return [won[word] for word in WORDS]


def won_by_theorem(word: int, last_wins: bool) -> bool:
    """The binary digits' sums tell; who may not take the last is wrong-footed by piles of one alone."""
    sizes = [(word >> shift) & 7 for shift in (0, 4, 8, 12)]
    unbalanced = functools.reduce(operator.xor, sizes) != 0
    return unbalanced if last_wins or max(sizes) > 1 else not unbalanced


@pytest.mark.parametrize("misere", ["0", "1"])
def test_every_position_is_won_by_whom_the_theorem_says(misere: str) -> None:
    expected = [won_by_theorem(word, last_wins=misere == "0") for word in WORDS]
    assert won_by_search(Nim(misere)) == expected


def test_the_game_is_registered_with_its_option() -> None:
    assert cartridge.make_game("nim").spec.options == ()
    assert cartridge.make_game("nim:misere=1").spec.options == (("misere", "1"),)
    with pytest.raises(ValueError, match="misere is 'yes', expected 0 or 1"):
        cartridge.make_game("nim:misere=yes")


def test_the_laws_hold() -> None:
    check_game(Nim(), num_games=8)
