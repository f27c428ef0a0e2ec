"""Backgammon in six words: the bits of the number of checkers on each place, whose they are, and the dice.

Bit p of the board's words is point p as White counts, 24 down to 1; bit 25 is White's bar and bit 0 Black's, whose own
numbers are 25 - p. One checker moves at a time, and who has moved it moves on while dice are left. So the counts change
by one with a borrow and a carry for all places at once, and `backgammon_moves` finds what may move by shifts.
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
from .backgammon_moves import (
    BAR,
    BLACK,
    FACES,
    ON_POINTS,
    POINTS,
    Counts,
    View,
    are_left,
    count_at,
    dice,
    legal_sources,
    mirrored,
    mirrored_where,
    moved,
    occupied,
    pair,
    played,
    rolled,
    several,
    total,
)

CHECKERS = 15
PASS = FACES * BAR
_BARS = np.uint32(1 << BAR), np.uint32(1)  # White's and Black's, as the next
_HOMES = np.uint32(0x7E), np.uint32(0x7E << (POINTS - FACES))
_ROLLS = FACES * (FACES + 1) // 2
_OPENINGS = FACES * (FACES - 1)  # two different dice, and who begins
_FIRST = ((24, 2), (13, 5), (8, 3), (6, 5))  # (point, checkers), alike for both

# What an observation holds: for each point, for either side, at least 1, 2, 3 and those beyond (kinds 0 to 3); and then
# fields (shift, bits, scale) of one word: the bars, the checkers borne off, whose turn it is, and the dice.
_OTHER_FIELDS = (
    *((0, 4, 1 / 2), (4, 4, 1 / 2), (8, 4, 1 / CHECKERS), (12, 4, 1 / CHECKERS)),
    *((flag, 1, 1) for flag in range(16, 26)),
)
_POINT_FEATURES = 8 * POINTS
_FEATURES = _POINT_FEATURES + len(_OTHER_FIELDS)
_INDEX = np.arange(_FEATURES, dtype=np.uint32)
_OF_POINT = _INDEX < _POINT_FEATURES
_POINT = np.where(_OF_POINT, _INDEX // 8 + 1, 0).astype(np.uint32)
_KIND, _OF_PLAYER = _INDEX % 4, (_INDEX % 8 < 4).astype(np.uint32)
_SHIFT, _MASK, _SCALE = (np.zeros(_FEATURES, kind) for kind in (np.uint32, np.uint32, np.float32))
_SHIFT[_POINT_FEATURES:], _MASK[_POINT_FEATURES:], _SCALE[_POINT_FEATURES:] = zip(
    *((shift, (1 << size) - 1, scale) for shift, size, scale in _OTHER_FIELDS), strict=True
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BackgammonState:
    """The number of checkers on a place is ones + 2 * twos + 4 * fours + 8 * eights; the two sides never share one."""

    ones: Array  # u32[], bit p for place p, as in the next four
    twos: Array  # u32[]
    fours: Array  # u32[]
    eights: Array  # u32[]
    black: Array  # u32[], the places with Black's checkers
    turn: Array  # u32[], bits 0-2: a die, 0 for none; 3-5: how often it is left; 6-8: a smaller die; 9: Black's turn


class Backgammon:
    """Player 0 is White, player 1 Black; who has borne off all checkers first wins 1, whatever the other has left.

    Action 25 * (die - 1) + point - 1 moves a checker from the mover's `point`, 25 for the bar, by `die`; `PASS` gives
    up the dice that are left and is legal only where none can be played. Both dice are played where that is possible,
    the larger where only one can be, doubles four times. The opening roll, two different dice, says who begins.
    """

    spec = GameSpec(
        env_id="backgammon",
        version="1.0.0",
        num_players=2,
        num_actions=PASS + 1,
        observation_shape=(_FEATURES,),
        observation_limit=0,
        max_steps=0,
        state_bytes=36,
        num_chance_outcomes=_ROLLS,
        preferred_batch=16384,
        stochastic=True,
        alternating=False,  # a turn is up to four moves
    )

    def init(self, key: Key) -> BackgammonState:
        return self.start(keys.below(key[0], _OPENINGS).astype(jnp.int32))

    def start_outcomes(self) -> Array:
        return jnp.full((_OPENINGS,), 1 / _OPENINGS)

    def start(self, outcome: Array) -> BackgammonState:
        """White begins in the first fifteen, Black in the others, with 2-1, 3-1, 3-2, 4-1 and so on to 6-5."""
        number = outcome.astype(jnp.uint32)
        black = number >= _OPENINGS // 2
        larger, smaller = pair(jnp.where(black, number - _OPENINGS // 2, number))
        turn = rolled(larger + 1, smaller) | jnp.where(black, BLACK, np.uint32(0))
        return BackgammonState(*map(jnp.uint32, _FIRST_BOARD), turn=turn)

    def step(self, state: BackgammonState, action: Array, key: Key) -> Step[BackgammonState]:
        first, second = keys.below(key[0], FACES) + 1, keys.below(key[1], FACES) + 1
        return _resolved(self.afterstate(state, action), jnp.maximum(first, second), jnp.minimum(first, second))

    def afterstate(self, state: BackgammonState, action: Array) -> BackgammonState:
        """The checker has moved; the turn is still the mover's, and has no dice if new ones are due."""
        number, black = action.astype(jnp.uint32), _is_black(state)
        die, point = number // BAR + 1, number % BAR + 1
        passes = number == PASS
        left = jnp.where(passes, 0, jnp.uint32(1) << _place(point, black))
        entered = jnp.where(passes | (point <= die), 0, jnp.uint32(1) << _place(point - die, black))

        counts, theirs = _counts(state), jnp.where(black, ~state.black, state.black)
        hit = entered & occupied(counts) & ~several(counts) & theirs
        bar = jnp.where(black, np.uint32(1 << BAR), np.uint32(1))  # the opponent's
        counts = moved(counts, left, jnp.where(hit == 0, entered, bar))  # whoever hits takes the other's place
        blacks = (state.black & ~entered) | jnp.where(black, entered, jnp.where(hit == 0, 0, bar))
        return BackgammonState(*counts, black=blacks & occupied(counts), turn=played(state.turn, die))

    def chance_outcomes(self, after: BackgammonState) -> Array:
        """Rolls 1-1, 2-1, 2-2, 3-1 and so on to 6-6; where no dice are due, all lies on outcome 0."""
        roll = jnp.arange(_ROLLS, dtype=jnp.uint32)
        larger, smaller = pair(roll)
        chance = jnp.where(larger == smaller, 1 / FACES**2, 2 / FACES**2)
        return jnp.where(_dice_are_due(after), chance, (roll == 0).astype(jnp.float32))

    def apply_chance(self, after: BackgammonState, outcome: Array) -> Step[BackgammonState]:
        return _resolved(after, *pair(outcome.astype(jnp.uint32)))

    def observe(self, state: BackgammonState, player: Array) -> Array:
        """f32[206]; points, and bars, as `player` counts them.

        For each point from 1 to 24: whether the player has at least one checker there, two, three, and half the number
        beyond three; the same for the opponent (8 in all). Then half the number on the player's bar and on the
        opponent's, the share borne off by each, whether it is the player's turn, and the dice left to whoever moves:
        for each face whether one is left, and whether at least two, three and four are. The points are encoded as in
        Tesauro, "Practical issues in temporal difference learning", 1992.
        """
        black = player == 1
        *counts, blacks = mirrored_where(black, [*_counts(state), state.black])
        own = jnp.where(black, blacks, ~blacks)
        number = jnp.where((own >> _POINT) & 1 == _OF_PLAYER, count_at(counts, _POINT), 0)  # [206]
        beyond = (jnp.maximum(number, 3) - 3).astype(jnp.float32) / 2
        points = jnp.where(_KIND == 3, beyond, (number > _KIND).astype(jnp.float32))
        others = (_other_features(state, player) >> _SHIFT) & _MASK
        return jnp.where(_OF_POINT, points, others.astype(jnp.float32) * _SCALE)

    def legal_words(self, state: BackgammonState) -> bits.Words:
        die, _, other = dice(state.turn)
        by_die, by_other = legal_sources(_view(state), die, other)
        sets = []
        for face in range(1, FACES + 1):
            chosen = jnp.where(die == face, by_die, 0) | jnp.where(other == face, by_other, 0)
            sets.append((chosen >> 1, BAR * (face - 1)))
        none = ((by_die | by_other) == 0).astype(jnp.uint32)
        return _concatenated([*sets, (none, PASS)])

    def player(self, state: BackgammonState) -> Array:
        return _is_black(state).astype(jnp.int32)

    def invariants(self, state: BackgammonState) -> Mapping[str, Array]:
        counts, numbers = _counts(state), "ones, twos, fours, eights"
        here, sides = occupied(counts), (occupied(counts) & ~state.black, occupied(counts) & state.black)
        mine, theirs = (jnp.where(_is_black(state), a, b) for a, b in (sides[::-1], sides))
        few = [total([word & side for word in counts]) <= CHECKERS for side in sides]
        waits = [side & bar != 0 for side, bar in zip(sides, _BARS, strict=True)]
        closed = [side & several(counts) & home == home for side, home in zip(sides, _HOMES, strict=True)]
        return {
            f"{numbers}: bits beyond the bars": here >> (BAR + 1) == 0,
            f"{numbers}: more than fifteen checkers of one side": few[0] & few[1],
            f"{numbers}: both sides wait for ever before closed boards": ~(waits[0] & waits[1] & closed[0] & closed[1]),
            "black: bits on empty places": state.black & ~here == 0,
            "black: a checker on the other side's bar": (sides[0] & _BARS[1]) | (sides[1] & _BARS[0]) == 0,
            "turn: unused bits": state.turn >> 10 == 0,
            "turn: dice that no roll leaves": are_left(state.turn),
            "turn: no dice though the player who moves has checkers": (dice(state.turn)[0] != 0) | (mine == 0),
            "turn: the player who does not move has no checkers": theirs != 0,
            "meta: the game goes on though it is won": mine != 0,
        }

    def symmetries(self) -> Sequence[Symmetry[BackgammonState]]:
        """None that keeps the players: the board is the same for both, but runs in one direction for each."""
        return []

    def action_label(self, action: int) -> str:
        """The points it leaves and enters as the mover counts; the die too where it bears off by more than it needs."""
        if action == PASS:
            return "pass"
        die, point = action // BAR + 1, action % BAR + 1
        target = f"{point - die}" if point > die else "off" if point == die else f"off with {die}"
        return f"{'bar' if point == BAR else point}/{target}"

    def parse_action(self, text: str) -> int:
        action = _ACTIONS.get(" ".join(text.lower().split()))
        if action is None:
            raise ValueError(f"{text!r} is no move; write 13/8, bar/20, 4/off, 4/off with 6 or pass")
        return action

    def draw(self, state: BackgammonState) -> str:
        """The board as White sees it, with the mover's numbers; a chip for each die beside the points it may move."""
        legal = np.flatnonzero(bits.unpack(self.legal_words(state), self.spec.num_actions)).tolist()
        return _picture(_checkers(state), _dice_left(state), bool(self.player(state)), legal)

    def text(self, state: BackgammonState) -> str:
        """The board as White (X) sees it, with the mover's numbers."""
        checkers, black = _checkers(state), bool(self.player(state))
        lines = []
        for places in _ROWS:
            names = [str(BAR - place if black else place) for place in places]
            piles = [_counted(checkers[place]) for place in places]
            lines += [" ".join(f"{entry:>3}" for entry in entries) for entries in (names, piles)]
        upper, lower = lines[:2], lines[:1:-1]
        off = _borne_off(checkers)
        rest = f"bar: {checkers[BAR]}X {-checkers[0]}O   off: {off[0]}X {off[1]}O"
        shown = " ".join(map(str, _dice_left(state))) or "none"
        return "\n".join([*upper, *lower, rest, f"{'XO'[black]} to move, dice: {shown}"])


_ACTIONS = {Backgammon().action_label(action): action for action in range(PASS + 1)}


def _first_board() -> list[np.uint32]:
    """The five words of the board as a game begins."""
    words = [0] * 5
    for point, number in _FIRST:
        for place in (point, BAR - point):
            for power in range(4):
                words[power] |= (number >> power & 1) << place
        words[4] |= 1 << (BAR - point)
    return [np.uint32(word) for word in words]


_FIRST_BOARD = _first_board()


def _is_black(state: BackgammonState) -> Array:
    """bool[], whether the turn is Black's."""
    return state.turn & BLACK != 0


def _has_won(after: BackgammonState) -> Array:
    """bool[], whether the mover has no checker left."""
    return occupied(_counts(after)) & jnp.where(_is_black(after), after.black, ~after.black) == 0


def _dice_are_due(after: BackgammonState) -> Array:
    """bool[], whether the turn is over and the game goes on."""
    return (dice(after.turn)[0] == 0) & ~_has_won(after)


def _resolved(after: BackgammonState, larger: Array, smaller: Array) -> Step[BackgammonState]:
    """The step that ends in `after`, with these dice (u32[] each) for the opponent if they are due."""
    won, black = _has_won(after), _is_black(after)
    fresh = rolled(larger, smaller) | jnp.where(black, np.uint32(0), BLACK)
    turn = jnp.where(_dice_are_due(after), fresh, after.turn)
    gain = jnp.where(won, jnp.where(black, -1.0, 1.0), 0.0)
    return Step(dataclasses.replace(after, turn=turn), jnp.stack([gain, 0.0 - gain]), won)


def _place(point: Array, black: Array) -> Array:
    """The place of the mover's `point` (u32[]), and the other way round."""
    return jnp.where(black, BAR - point, point)


def _counts(state: BackgammonState) -> Counts:
    return state.ones, state.twos, state.fours, state.eights


def _view(state: BackgammonState) -> View:
    """The board as the mover sees it."""
    counts, black = _counts(state), _is_black(state)
    mine, many = occupied(counts) & jnp.where(black, state.black, ~state.black), several(counts)
    seen = [jnp.where(black, mirrored(places), places) for places in (mine, mine & many, many & ~mine)]
    return View(seen[0], seen[1], ~seen[2] & ON_POINTS)


def _other_features(state: BackgammonState, player: Array) -> Array:
    """u32[]: what an observation shows besides the points, packed as `_OTHER_FIELDS` says."""
    counts, black = _counts(state), player == 1
    bars = count_at(counts, BAR), count_at(counts, 0)
    off = [CHECKERS - total([word & side for word in counts]) for side in (~state.black, state.black)]
    white, blacks = bars[0] | (off[0] << 8), bars[1] | (off[1] << 8)
    numbers = jnp.where(black, blacks | (white << 4), white | (blacks << 4))
    die, left, other = dice(state.turn)
    faces = ((jnp.uint32(1) << die) | (jnp.uint32(1) << other)) >> 1
    at_least = ((jnp.uint32(1) << left) - 1) >> 1  # 2, 3 and 4
    in_turn = (_is_black(state) == black).astype(jnp.uint32)
    return numbers | (in_turn << 16) | (faces << 17) | (at_least << 23)


def _concatenated(sets: Sequence[tuple[Array, int]]) -> bits.Words:
    """One set of the actions from parts, each with the number of its first action; none is longer than a word."""
    words = [jnp.uint32(0)] * -(-(PASS + 1) // bits.WORD_BITS)
    for part, begin in sets:
        index, shift = divmod(begin, bits.WORD_BITS)
        words[index] = words[index] | (part << shift)
        if shift + BAR > bits.WORD_BITS and index + 1 < len(words):
            words[index + 1] = words[index + 1] | (part >> (bits.WORD_BITS - shift))
    return tuple(words)


_ROWS = (range(POINTS // 2 + 1, BAR), range(POINTS // 2, 0, -1))  # places from left to right


def _checkers(state: BackgammonState) -> list[int]:
    """How many checkers are on each of the 26 places, Black's counted below zero."""
    words = [int(word) for word in _counts(state)]
    numbers = [sum((word >> place & 1) << power for power, word in enumerate(words)) for place in range(BAR + 1)]
    return [-number if int(state.black) >> place & 1 else number for place, number in enumerate(numbers)]


def _counted(checkers: int) -> str:
    """A pile in characters."""
    return f"{abs(checkers)}{'XO'[checkers < 0]}" if checkers else "."


def _borne_off(checkers: Sequence[int]) -> tuple[int, int]:
    """White's and Black's."""
    return CHECKERS - sum(max(number, 0) for number in checkers), CHECKERS + sum(min(number, 0) for number in checkers)


def _dice_left(state: BackgammonState) -> list[int]:
    """Those that are left, the larger first."""
    die, left, other = map(int, dice(state.turn))
    return [die] * left + [other] * (other > 0)


_COLUMN, _TIP, _MIDDLE, _MARGIN, _STRIP, _RADIUS, _PILE = 40, 150, 52, 22, 48, 15, 5
_WIDTH, _HEIGHT = 14 * _COLUMN, 2 * (_TIP + _MARGIN) + _MIDDLE
_STYLE = (
    "<style>.board{fill:#eef1f5}.even{fill:#d3d9e2}.odd{fill:#fff;stroke:#c5ccd6}.bar{fill:#c5ccd6}.p0{fill:#d55e00}"
    ".p1{fill:#0072b2}.p0,.p1{stroke:#fff}.ring{fill:none;stroke:#fff;stroke-width:2}.die{fill:#fff;stroke:#8a94a3}"
    ".hit{fill:#009e73;cursor:pointer}text{font:13px system-ui,sans-serif;text-anchor:middle;fill:#333}"
    ".on{font-weight:bold;fill:#fff;pointer-events:none}"
    "@media(prefers-color-scheme:dark){.board{fill:#262b33}.even{fill:#3b4350}.odd{fill:#12151a;stroke:#444c58}"
    ".bar{fill:#444c58}.die{fill:#12151a}text{fill:#ddd}.on{fill:#fff}}</style>"
)


def _picture(checkers: Sequence[int], faces: Sequence[int], black: bool, legal: Sequence[int]) -> str:
    """An SVG of points, checkers, bars, what is borne off, the dice, and a chip to click for each `legal` action."""
    whole = _HEIGHT + _STRIP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {whole}" width="{_WIDTH}" height="{whole}" '
        f'role="img">{_STYLE}<rect class="board" width="{_WIDTH}" height="{whole}" rx="8"/>'
        f'<rect class="bar" x="{6 * _COLUMN}" width="{_COLUMN}" height="{_HEIGHT}"/>'
        f'<rect class="even" x="{13 * _COLUMN}" width="{_COLUMN}" height="{_HEIGHT}"/>'
    ]
    for place in range(1, BAR):
        x, edge, inwards = _pile_at(place)
        shape = f"M{x - _COLUMN // 2} {edge}h{_COLUMN}L{x} {edge + inwards * _TIP}Z"
        name = BAR - place if black else place
        parts.append(f'<path class="{("even", "odd")[place % 2]}" d="{shape}"/>')
        parts.append(_word(x, edge - inwards * _MARGIN // 2, str(name)))
    for place, number in enumerate(checkers):
        parts.append(_pile(*_pile_at(place), abs(number), int(number < 0)))
    for side, number in enumerate(_borne_off(checkers)):
        edge, inwards = (_HEIGHT - _MARGIN, -1) if side == 0 else (_MARGIN, 1)
        parts.append(_pile(_WIDTH - _COLUMN // 2, edge, inwards, number, side))
    parts += [_chip(action, black, faces) for action in legal]
    parts.append(f'<circle class="p{int(black)}" cx="24" cy="{_HEIGHT + _STRIP // 2}" r="{_RADIUS - 3}"/>')
    for index, die in enumerate(faces):
        x, y = 48 + 36 * index, _HEIGHT + _STRIP // 2 - 14
        square = f'<rect class="die" x="{x}" y="{y}" width="28" height="28" rx="5"/>'
        parts.append(square + _word(x + 14, y + 14, str(die)))
    return "".join(parts) + "</svg>"


def _pile_at(place: int) -> tuple[int, int, int]:
    """(middle, edge, 1 for downwards or -1) of the pile on a place; White enters from the upper half of the bar."""
    upper = place > POINTS // 2
    edge, inwards = (_MARGIN, 1) if upper else (_HEIGHT - _MARGIN, -1)
    if place in (0, BAR):
        return 6 * _COLUMN + _COLUMN // 2, edge, inwards
    column = place - POINTS // 2 - 1 if upper else POINTS // 2 - place
    return (column + (column >= 6)) * _COLUMN + _COLUMN // 2, edge, inwards


def _pile(x: int, edge: int, inwards: int, number: int, side: int) -> str:
    """Up to five checkers; on the last stands how many there are if they are more."""
    parts = []
    for index in range(min(number, _PILE)):
        y = edge + inwards * (_RADIUS + 2 * index * _RADIUS)
        parts.append(f'<circle class="p{side}" cx="{x}" cy="{y}" r="{_RADIUS}"/>')
        if side == 1 and not (index == _PILE - 1 and number > _PILE):
            parts.append(f'<circle class="ring" cx="{x}" cy="{y}" r="{_RADIUS // 2}"/>')
    if number > _PILE:
        parts.append(_word(x, edge + inwards * (2 * _PILE - 1) * _RADIUS, str(number), "on"))
    return "".join(parts)


def _chip(action: int, black: bool, faces: Sequence[int]) -> str:
    """Where an action is clicked: at the tip of its point, the larger die on the left, or in the strip for a pass."""
    if action == PASS:
        x, y, name = _WIDTH - 60, _HEIGHT + _STRIP // 2, "pass"
        button = f'<rect class="hit" data-action="{action}" x="{x - 40}" y="{y - 14}" width="80" height="28" rx="5"/>'
        return button + _word(x, y, name, "on")
    die, point = action // BAR + 1, action % BAR + 1
    x, edge, inwards = _pile_at(BAR - point if black else point)
    x, y = x + (-9 if die == faces[0] else 9) * (len(set(faces)) > 1), edge + inwards * (_TIP + 12)
    chip = f'<circle class="hit" data-action="{action}" cx="{x}" cy="{y}" r="9"/>'
    return chip + _word(x, y, str(die), "on")


def _word(x: int, y: int, word: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x}" y="{y + 5}">{word}</text>'
