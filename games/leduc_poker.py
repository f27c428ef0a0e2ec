"""Leduc poker in one word: three cards and the moves of two rounds of betting.

Six cards, two suits of three ranks; both put in one chip and get a card. After a round of betting a card is laid open,
and a second round follows. Raises are of two chips in the first round and four in the second, at most two a round. A
pair with the open card wins, else the higher rank. Southey et al., "Bayes' bluff: opponent modelling in poker", 2005.
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

FOLD, CALL, RAISE = range(3)
_LABELS = ("fold", "call", "raise")
_CARDS = 6
_RANKS, _SUITS = "JQK", "♠♥"
_NONE = 7  # in place of a card
_SLOTS = 4  # moves in one round, at most
_ANTE, _BETS = 1.0, (2.0, 4.0)
_MOST_RAISES = 2
_FIRST_CARD, _SECOND_CARD, _PUBLIC_CARD = 0, 3, 6  # three bits each
_ROUNDS = (9, 17)  # where the three bits of the number of moves and then the four of which were raises lie
_SECOND_ROUND, _FOLDED = 24, 25  # one bit each
_UNUSED = np.uint32((1 << 32) - (1 << (_FOLDED + 1)) | 1 << (_ROUNDS[0] + 3 + _SLOTS))
# A round's moves as they lie in the word, number and raises: it goes on; a raise has been answered; it is over.
_OPEN_ROUNDS = tuple(made | raises << 3 for made, raises in ((0, 0), (1, 0), (1, 1), (2, 0b10), (2, 0b11), (3, 0b110)))
_ANSWERED_ROUNDS = tuple(made | raises << 3 for made, raises in ((2, 1), (3, 0b10), (3, 0b11), (4, 0b110)))
_CLOSED_ROUNDS = (2, *_ANSWERED_ROUNDS)  # nobody raised, or a raise was called


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LeducState:
    """The fields named above, in one word."""

    word: Array  # u32[]


class LeducPoker:
    """Two players. Player 0 moves first in both rounds."""

    spec = GameSpec(
        env_id="leduc_poker",
        version="1.0.0",
        num_players=2,
        num_actions=3,
        observation_shape=(2 + 2 * _CARDS + 4 * _SLOTS,),
        max_steps=0,
        state_bytes=16,
        num_chance_outcomes=_CARDS,
        preferred_batch=65536,
        stochastic=True,
        hidden_information=True,
        alternating=False,  # the second to move in round one may be the last there, and the first begins round two
    )

    def init(self, key: Key) -> LeducState:
        return self.start(keys.below(key[0], _CARDS * (_CARDS - 1)).astype(jnp.int32))

    def start_outcomes(self) -> Array:
        deals = _CARDS * (_CARDS - 1)
        return jnp.full((deals,), 1 / deals)

    def start(self, outcome: Array) -> LeducState:
        """Deal 5 * a + b gives player 0 card a and player 1 the card number b of the five others."""
        first, number = outcome.astype(jnp.uint32) // (_CARDS - 1), outcome.astype(jnp.uint32) % (_CARDS - 1)
        second = number + (number >= first).astype(jnp.uint32)
        return LeducState(first | (second << _SECOND_CARD) | (_NONE << _PUBLIC_CARD))

    def step(self, state: LeducState, action: Array, key: Key) -> Step[LeducState]:
        after = self.afterstate(state, action)
        return self.apply_chance(after, _nth_hidden_card(after.word, keys.below(key[0], _CARDS - 2)).astype(jnp.int32))

    def afterstate(self, state: LeducState, action: Array) -> LeducState:
        """The move is made; the open card is not laid yet."""
        word, second = state.word, _field(state.word, _SECOND_ROUND, 1)
        shift = jnp.where(second == 1, jnp.uint32(_ROUNDS[1]), jnp.uint32(_ROUNDS[0]))
        made = (word >> shift) & 7
        raised = jnp.where(action == RAISE, jnp.uint32(1) << (shift + 3 + made), jnp.uint32(0))
        folded = jnp.where(action == FOLD, jnp.uint32(1 << _FOLDED), jnp.uint32(0))
        return LeducState((word + (jnp.uint32(1) << shift)) | raised | folded)

    def chance_outcomes(self, after: LeducState) -> Array:
        """The open card; where none is due, all lies on outcome 0."""
        card = jnp.arange(_CARDS, dtype=jnp.uint32)
        hidden = (card != _field(after.word, _FIRST_CARD, 3)) & (card != _field(after.word, _SECOND_CARD, 3))
        return jnp.where(_card_is_due(after.word), jnp.where(hidden, 1 / (_CARDS - 2), 0.0), (card == 0).astype(float))

    def apply_chance(self, after: LeducState, outcome: Array) -> Step[LeducState]:
        word = after.word
        second = _field(word, _SECOND_ROUND, 1) == 1
        folded = _field(word, _FOLDED, 1) == 1
        ended = folded | (second & _round_is_over(word, _ROUNDS[1]))
        gain = jnp.where(ended, _gain(word, folded), 0.0)
        laid = word & ~jnp.uint32(_NONE << _PUBLIC_CARD)
        laid = laid | (outcome.astype(jnp.uint32) << _PUBLIC_CARD) | jnp.uint32(1 << _SECOND_ROUND)
        return Step(LeducState(jnp.where(_card_is_due(word), laid, word)), jnp.stack([gain, 0.0 - gain]), ended)

    def observe(self, state: LeducState, player: Array) -> Array:
        """f32[30]: who looks (2), their card (6), the open card (6), and call or raise for four moves a round (16).

        A fold, after which nobody has to choose any more, reads as a call.
        """
        own = jnp.where(player == 0, _field(state.word, _FIRST_CARD, 3), _field(state.word, _SECOND_CARD, 3))
        public = _field(state.word, _PUBLIC_CARD, 3)
        seen = [player == 0, player == 1, *(card == held for held in (own, public) for card in range(_CARDS))]
        for shift in _ROUNDS:
            made, raises = _field(state.word, shift, 3), _field(state.word, shift + 3, _SLOTS)
            for slot in range(_SLOTS):
                seen += [(made > slot) & ((raises >> slot) & 1 == kind) for kind in (0, 1)]
        return jnp.stack(seen).astype(jnp.float32)

    def legal_words(self, state: LeducState) -> bits.Words:
        made, raises = _current_round(state.word)
        fold = jnp.where(_is_raised(made, raises), jnp.uint32(1 << FOLD), jnp.uint32(0))
        more = jnp.where(bits.popcount(raises) < _MOST_RAISES, jnp.uint32(1 << RAISE), jnp.uint32(0))
        return (fold | more | (1 << CALL),)

    def player(self, state: LeducState) -> Array:
        return (_current_round(state.word)[0] & 1).astype(jnp.int32)

    def invariants(self, state: LeducState) -> Mapping[str, Array]:
        word = state.word
        first, second, public = (_field(word, place, 3) for place in (_FIRST_CARD, _SECOND_CARD, _PUBLIC_CARD))
        in_second, folded = _field(word, _SECOND_ROUND, 1) == 1, _field(word, _FOLDED, 1) == 1
        earlier, later = (_field(word, shift, 3 + _SLOTS) for shift in _ROUNDS)
        current = jnp.where(in_second, later, earlier)
        goes_on = _is_one_of(current, _OPEN_ROUNDS) & ~folded
        called = in_second & _is_one_of(current, _CLOSED_ROUNDS)
        ended = jnp.where(folded, _is_one_of(current, _ANSWERED_ROUNDS), called)
        closed_before = jnp.where(in_second, _is_one_of(earlier, _CLOSED_ROUNDS), later == 0)
        unseen = (public < _CARDS) & (public != first) & (public != second)
        return {
            "word: unused bits are set": word & _UNUSED == 0,
            "word: a player's card is none of the six": (first < _CARDS) & (second < _CARDS),
            "word: both players hold the same card": first != second,
            "word: the open card is held, none of the six, or not due": jnp.where(in_second, unseen, public == _NONE),
            "word: moves that the rules do not allow": (goes_on | ended) & closed_before,
            "meta: the game goes on after its last move": goes_on,
        }

    def redeal(self, state: LeducState, player: Array, key: Key) -> LeducState:
        """Another card for the opponent, of those that `player` neither holds nor sees."""
        own_at = jnp.where(player == 0, jnp.uint32(_FIRST_CARD), jnp.uint32(_SECOND_CARD))
        their_at = _SECOND_CARD - own_at
        own, public = (state.word >> own_at) & 7, _field(state.word, _PUBLIC_CARD, 3)
        low, high = jnp.minimum(own, public), jnp.maximum(own, public)
        card = keys.below(key[0], jnp.where(public == _NONE, jnp.uint32(_CARDS - 1), jnp.uint32(_CARDS - 2)))
        card = card + (card >= low)
        card = card + (card >= high)
        return LeducState((state.word & ~(jnp.uint32(7) << their_at)) | (card << their_at))

    def symmetries(self) -> Sequence[Symmetry[LeducState]]:
        return []

    def action_label(self, action: int) -> str:
        return _LABELS[action]

    def parse_action(self, text: str) -> int:
        return parse_label(_LABELS, text, "move")

    def draw(self, state: LeducState) -> str:
        places = (("player 0", _FIRST_CARD, "p0"), ("open", _PUBLIC_CARD, ""), ("player 1", _SECOND_CARD, "p1"))
        shown = [(whose, _face(state, place), kind) for whose, place, kind in places]
        return cards.table_svg(shown, self._moves(state) or "no moves yet", list(enumerate(_LABELS)))

    def text(self, state: LeducState) -> str:
        first, public, second = (_face(state, place) for place in (_FIRST_CARD, _PUBLIC_CARD, _SECOND_CARD))
        return f"player 0: {first}   open: {public}   player 1: {second}\nmoves: {self._moves(state)}"

    def _moves(self, state: LeducState) -> str:
        word, rounds = int(state.word), []
        for shift in _ROUNDS:
            made, raises = (word >> shift) & 7, word >> (shift + 3)
            rounds.append(", ".join(_LABELS[CALL + ((raises >> slot) & 1)] for slot in range(made)))
        return " | ".join(filter(None, rounds)) + (" (the last is a fold)" if word >> _FOLDED & 1 else "")


def _field(word: Array, shift: int, width: int) -> Array:
    return (word >> shift) & ((1 << width) - 1)


def _is_one_of(moves: Array, kinds: Sequence[int]) -> Array:
    """bool[]."""
    return (moves == np.array(kinds, np.uint32)).any()


def _current_round(word: Array) -> tuple[Array, Array]:
    """(number of moves made, which were raises), u32[] each."""
    second = _field(word, _SECOND_ROUND, 1) == 1
    made = jnp.where(second, _field(word, _ROUNDS[1], 3), _field(word, _ROUNDS[0], 3))
    raises = jnp.where(second, _field(word, _ROUNDS[1] + 3, _SLOTS), _field(word, _ROUNDS[0] + 3, _SLOTS))
    return made, raises


def _is_raised(made: Array, raises: Array) -> Array:
    """bool[], the last move of the round was a raise, to be answered."""
    return (raises << 1) >> made & 1 == 1


def _round_is_over(word: Array, shift: int) -> Array:
    """bool[], somebody called a raise, or both passed."""
    made, raises = _field(word, shift, 3), _field(word, shift + 3, _SLOTS)
    return (made >= 2) & ~_is_raised(made, raises)


def _card_is_due(word: Array) -> Array:
    first_round = _field(word, _SECOND_ROUND, 1) == 0
    return first_round & _round_is_over(word, _ROUNDS[0]) & (_field(word, _FOLDED, 1) == 0)


def _gain(word: Array, folded: Array) -> Array:
    """f32[], what player 0 wins, as the game ends here."""
    raises = [bits.popcount(_field(word, shift + 3, _SLOTS)).astype(jnp.float32) for shift in _ROUNDS]
    stake = _ANTE + _BETS[0] * raises[0] + _BETS[1] * raises[1]
    second_round = _field(word, _SECOND_ROUND, 1) == 1
    unanswered = jnp.where(second_round, _BETS[1], _BETS[0])
    made, _ = _current_round(word)
    last_was_first = made & 1 == 1  # the fold is counted among the moves
    by_fold = jnp.where(last_was_first, -1.0, 1.0) * (stake - unanswered)
    return jnp.where(folded, by_fold, _showdown(word) * stake)


def _showdown(word: Array) -> Array:
    """f32[]: 1 where player 0 holds the better hand, -1 where player 1 does, 0 where they are alike."""
    first, second, public = (_field(word, place, 3) >> 1 for place in (_FIRST_CARD, _SECOND_CARD, _PUBLIC_CARD))
    strength = [rank + jnp.where(rank == public, jnp.uint32(8), jnp.uint32(0)) for rank in (first, second)]
    return (strength[0] > strength[1]).astype(jnp.float32) - (strength[0] < strength[1]).astype(jnp.float32)


def _nth_hidden_card(word: Array, number: Array) -> Array:
    """Card `number` (u32[], from 0) of the four that nobody holds."""
    first, second = _field(word, _FIRST_CARD, 3), _field(word, _SECOND_CARD, 3)
    card = number + (number >= jnp.minimum(first, second))
    return card + (card >= jnp.maximum(first, second))


def _face(state: LeducState, place: int) -> str:
    card = (int(state.word) >> place) & 7
    return "?" if card == _NONE else _RANKS[card >> 1] + _SUITS[card & 1]
