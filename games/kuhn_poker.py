"""Kuhn poker in one word: two cards, the number of moves made and which of them were bets.

Three cards, one each; both put in one chip. A player passes or bets one more; a bet is answered by a fold (pass) or a
call (bet). Kuhn, "A simplified two-person poker", 1950, who also found its value: -1/18 for the first player.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits, keys
from ..engine.game import Step, Symmetry
from ..engine.keys import Key
from ..engine.spec import GameSpec
from . import cards
from .labels import parse_label

PASS, BET = range(2)
_LABELS = ("pass", "bet")
_RANKS = "JQK"
_MOVES = 3  # at most
_DEALS = 6  # ordered pairs of different cards
_PASS_PASS, _BET_PASS, _BET_BET, _PASS_BET_PASS = 0b100, 0b101, 0b111, 0b1010  # the moves, first lowest, below a one
_PASS_BET_BET = 0b1110
_UNFINISHED = (0b1, 0b10, 0b11, 0b110)  # nothing, a pass, a bet, a bet after a pass
_FINISHED = (_PASS_PASS, _BET_PASS, _BET_BET, _PASS_BET_PASS, _PASS_BET_BET)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KuhnState:
    """Bits 0-1 and 2-3: the players' cards; 4-7: the moves, the first lowest, 1 for a bet, and a one that ends them."""

    word: Array  # u32[]


class KuhnPoker:
    """Two players, three cards. Player 0 moves first."""

    spec = GameSpec(
        env_id="kuhn_poker",
        version="1.0.0",
        num_players=2,
        num_actions=2,
        observation_shape=(11,),
        max_steps=0,
        state_bytes=16,
        num_chance_outcomes=1,
        preferred_batch=65536,
        stochastic=True,
        hidden_information=True,
    )

    def init(self, key: Key) -> KuhnState:
        return self.start(keys.below(key[0], _DEALS).astype(jnp.int32))

    def start_outcomes(self) -> Array:
        return jnp.full((_DEALS,), 1 / _DEALS)

    def start(self, outcome: Array) -> KuhnState:
        """Deal 2 * a + b gives player 0 card a and player 1 the card number b of the two others."""
        first = outcome.astype(jnp.uint32) >> 1
        second = _other_card(first, outcome.astype(jnp.uint32) & 1)
        return KuhnState(first | (second << 2) | (1 << 4))

    def step(self, state: KuhnState, action: Array, key: Key) -> Step[KuhnState]:
        del key  # chance has dealt before
        return self.apply_chance(self.afterstate(state, action), jnp.int32(0))

    def afterstate(self, state: KuhnState, action: Array) -> KuhnState:
        moves = state.word >> 4
        mark = jnp.uint32(1) << _num_moves(moves)
        moved = (moves ^ mark) | jnp.where(action == BET, mark, 0) | (mark << 1)
        return KuhnState((state.word & 0xF) | (moved << 4))

    def chance_outcomes(self, after: KuhnState) -> Array:
        del after  # nothing is dealt in mid-game
        return jnp.ones((1,))

    def apply_chance(self, after: KuhnState, outcome: Array) -> Step[KuhnState]:
        del outcome
        moves = after.word >> 4
        first_is_higher = (after.word & 3) > ((after.word >> 2) & 3)
        called = (moves == _BET_BET) | (moves == _PASS_BET_BET)
        folded_by_first, folded_by_second = moves == _PASS_BET_PASS, moves == _BET_PASS
        ended = (moves == _PASS_PASS) | called | folded_by_first | folded_by_second
        first_wins = folded_by_second | (first_is_higher & ~folded_by_first)
        stake = jnp.where(called, 2.0, 1.0)
        gain = jnp.where(ended, jnp.where(first_wins, stake, -stake), 0.0)
        return Step(after, jnp.stack([gain, 0.0 - gain]), ended)

    def observe(self, state: KuhnState, player: Array) -> Array:
        """f32[11]: who looks (2), their card (3), and for each of three moves whether it was a pass or a bet (6)."""
        card = jnp.where(player == 0, state.word, state.word >> 2) & 3
        moves = state.word >> 4
        made = _num_moves(moves)
        slots = [
            ((moves >> index) & 1 == kind) & (made > index) for index in range(_MOVES) for kind in (PASS, BET)
        ]
        return jnp.stack([player == 0, player == 1, *(card == rank for rank in range(3)), *slots]).astype(jnp.float32)

    def legal_words(self, state: KuhnState) -> bits.Words:
        return (jnp.full_like(state.word, 0b11),)

    def player(self, state: KuhnState) -> Array:
        return (_num_moves(state.word >> 4) & 1).astype(jnp.int32)

    def invariants(self, state: KuhnState) -> Mapping[str, Array]:
        first, second, moves = state.word & 3, (state.word >> 2) & 3, state.word >> 4
        goes_on = _is_one_of(moves, _UNFINISHED)
        return {
            "word: a card that is none of the three": (first < len(_RANKS)) & (second < len(_RANKS)),
            "word: both players hold the same card": first != second,
            "word: moves that the rules do not allow": goes_on | _is_one_of(moves, _FINISHED),
            "meta: the game goes on after its last move": goes_on,
        }

    def redeal(self, state: KuhnState, player: Array, key: Key) -> KuhnState:
        """Another card for the opponent, of the two that `player` does not hold."""
        own = jnp.where(player == 0, state.word, state.word >> 2) & 3
        theirs = _other_card(own, key[0] & 1)
        dealt = jnp.where(player == 0, own | (theirs << 2), theirs | (own << 2))
        return KuhnState((state.word & ~jnp.uint32(0xF)) | dealt)

    def symmetries(self) -> Sequence[Symmetry[KuhnState]]:
        return []

    def action_label(self, action: int) -> str:
        return _LABELS[action]

    def parse_action(self, text: str) -> int:
        return parse_label(_LABELS, text, "move")

    def draw(self, state: KuhnState) -> str:
        held = [(f"player {player}", self._card(state, player), f"p{player}") for player in (0, 1)]
        return cards.table_svg(held, self._moves(state) or "no moves yet", list(enumerate(_LABELS)))

    def text(self, state: KuhnState) -> str:
        return f"player 0: {self._card(state, 0)}   player 1: {self._card(state, 1)}\nmoves: {self._moves(state)}"

    def _card(self, state: KuhnState, player: int) -> str:
        return _RANKS[(int(state.word) >> (2 * player)) & 3]

    def _moves(self, state: KuhnState) -> str:
        moves = int(state.word) >> 4
        return ", ".join(_LABELS[(moves >> index) & 1] for index in range(moves.bit_length() - 1))


def _num_moves(moves: Array) -> Array:
    """u32[], the place of the one that ends the moves."""
    count = jnp.zeros((), jnp.uint32)
    for place in range(1, _MOVES + 1):
        count = count + ((moves >> place) != 0)
    return count


def _is_one_of(moves: Array, kinds: Sequence[int]) -> Array:
    """bool[]."""
    return (moves == np.array(kinds, np.uint32)).any()


def _other_card(card: Array, number: Array) -> Array:
    """Card `number` (0 or 1) of the two that are not `card`, u32[]."""
    return number + (number >= card).astype(jnp.uint32)
