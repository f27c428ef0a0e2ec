"""Go with every stone labelled by its chain, so that captures and legal moves are found without a search.

Six planes (on 9 x 9; eight on 19 x 19) hold, one bit each, the label of the chain a stone belongs to. All stones of a
label are found by comparing plane by plane, whole words of points at a time, however long the chain is. The largest
label of its points names a chain, whatever the order of play.

`atari` marks the stones of chains with a single liberty. It follows from the rest and is kept because it makes both
halves cheap: a legal move touches an empty point, a chain of its own with more liberties, or an opponent's chain in
atari; and a move changes it for the chains beside the new stone only, and for those that a capture frees.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits
from ..engine.game import Step, Symmetry
from ..engine.keys import Key
from ..engine.spec import GameSpec
from . import go_grid as grids
from .go_grid import Grid, Plane
from .go_picture import COLUMN_NAMES, board_svg

_KO_BITS = 9  # of the info word: the point that ko bans
_PASSED, _WHITE, _COUNT = 9, 10, 11  # where in it the rest begins
_KOMI = "7.5"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GoState:
    """A position. Planes are W words u32[] on 9 x 9, one u32[W] on 19 x 19; an empty point has label 0."""

    own: Plane  # stones of the player to move
    atari: Plane  # stones of both colours whose chain has exactly one liberty
    labels: tuple[Plane, ...]  # the chains', lowest bit first
    info: Array  # u32[]: the point ko bans (N * N for none), 1 << 9 after a pass, 1 << 10 if White is to move
    history: Array | None = None  # u32[2, max_steps] with superko: hashes of positions so far, 0 for the empty board


class Go:
    """Black is player 0. Action N * row + column, from the top left, places a stone; action N * N passes.

    Tromp-Taylor rules but for two: a move may not leave its own stones without a liberty, and ko bans only the point
    from which one stone has just been taken by one that could be taken back. Two passes in a row end the game. Points
    are stones and empty regions that reach one colour alone; White gets `komi` more, and an equal score is a draw. At
    2 * N * N moves the engine cuts the game.

    With `superko=1` a move may not recreate any earlier position of the board (positional superko; passing may).
    Positions are compared by 64-bit hashes: should two ever collide, a move is wrongly banned, none wrongly allowed.
    Hashes cannot be turned, so `symmetries` is empty then.
    """

    def __init__(self, size: int, komi: str, superko: str) -> None:
        if superko not in ("0", "1"):
            raise ValueError(f"superko is {superko!r}, expected 0 or 1")
        self._komi, self._superko = _komi(komi), superko == "1"
        self._grid = grid = Grid(size)
        self._pass = size * size
        random = np.random.PCG64(size).random_raw(4 * size * size) >> np.uint64(32)
        self._random = random.astype(np.uint32).reshape(2, 2, size * size)  # [black or white, word of the hash, point]
        options = [] if self._komi == float(_KOMI) else [("komi", f"{self._komi:g}")]
        max_steps = 2 * size * size
        num_words = grid.num_words * (2 + grid.label_bits) + 2 + 2 * max_steps * self._superko
        self.spec = GameSpec(
            env_id=f"go{size}x{size}",
            version="1.0.0",
            num_players=2,
            num_actions=size * size + 1,
            observation_shape=(size, size, 6),
            max_steps=max_steps,
            state_bytes=4 * num_words,
            options=(*options, *([("superko", "1")] if self._superko else [])),
            preferred_batch=4096,
        )

    def init(self, key: Key) -> GoState:
        del key  # the start is constant
        empty = self._grid.empty
        history = jnp.zeros((2, self.spec.max_steps), jnp.uint32) if self._superko else None
        return GoState(empty, empty, (empty,) * self._grid.label_bits, jnp.uint32(self._pass), history)

    def step(self, state: GoState, action: Array, key: Key) -> Step[GoState]:
        del key
        grid, own, occupied = self._grid, state.own, _occupied(state)
        other = grids.without(occupied, own)
        passes = action == self._pass
        over = passes & _flag(state, _PASSED)
        touched = self._touched(state, occupied, action)
        joined, captured = touched.joined, touched.captured
        empty = grids.union(grids.without(grid.full, grids.union(occupied, joined)), captured)

        gone = grids.union(joined, captured)
        exposed = grids.is_single(grids.common(grid.around(joined), empty))
        atari = self._still_in_atari(state, grids.without(state.atari, gone), captured)
        atari = grids.union(grids.union(atari, touched.pressed), grids.where(exposed, joined))
        labels = tuple(
            grids.union(grids.without(plane, gone), grids.where((touched.label >> k) & 1 != 0, joined))
            for k, plane in enumerate(state.labels)
        )
        is_ko = exposed & grids.is_single(joined) & grids.is_single(captured)
        banned = jnp.where(is_ko, touched.taken, np.uint32(self._pass))
        after = GoState(grids.without(other, captured), atari, labels, self._next_info(state, banned, passes))
        after = dataclasses.replace(after, history=self._history(state, after))

        white = _flag(state, _WHITE)
        lead = self._lead(own, other, over).astype(jnp.float32)
        gain = jnp.where(over, jnp.sign(jnp.where(white, -lead, lead) - self._komi), 0.0)
        return Step(after, jnp.stack([gain, 0.0 - gain]), over)

    def legal_words(self, state: GoState) -> bits.Words:
        grid = self._grid
        empty = grids.without(grid.full, _occupied(state))
        support = grids.union(empty, grids.difference(state.own, state.atari))  # own chains with room, others without
        ko, _ = grid.point(state.info & ((1 << _KO_BITS) - 1))
        words = grid.action_words(grids.without(grids.common(empty, grid.around(support)), ko))
        if self._superko:
            words = [word & ~banned for word, banned in zip(words, bits.pack(self._repeats(state)), strict=True)]
        word, bit = divmod(self._pass, bits.WORD_BITS)
        words[word] = words[word] | np.uint32(1 << bit)
        return tuple(words)

    def player(self, state: GoState) -> Array:
        return _flag(state, _WHITE).astype(jnp.int32)

    def invariants(self, state: GoState) -> Mapping[str, Array]:
        grid, occupied = self._grid, _occupied(state)
        own, other = (grid.cells(plane) != 0 for plane in (state.own, grids.without(occupied, state.own)))
        named = map(grids.is_equal, state.labels, grid.labels_of(own, other))
        stifled, atari = grid.short_of_liberties(own, other)
        return {
            "own: stones without a label": ~grids.is_any(grids.without(state.own, occupied)),
            "labels: bits beyond the board": ~grids.is_any(grids.without(occupied, grid.full)),
            "labels: not the names of the chains": functools.reduce(jnp.logical_and, named),
            "labels: a chain without a liberty": ~grids.is_any(stifled),
            "atari: not the chains with exactly one liberty": grids.is_equal(state.atari, atari),
            **self._claims_of_info(state, occupied),
        }

    def observe(self, state: GoState, player: Array) -> Array:
        """f32[N, N, 6]: stones of the player, of the opponent, those in atari, points that ko or superko bans, ones if
        the player is White, ones after a pass.
        """
        grid = self._grid
        own, other = state.own, grids.without(_occupied(state), state.own)
        mine = grids.spread(self.player(state) == player)
        swap = tuple((x ^ y) & ~mine for x, y in zip(own, other, strict=True))
        ko = grid.cells(grid.point(state.info & ((1 << _KO_BITS) - 1))[0])
        if self._superko:
            ko = ko | self._repeats(state)[:-1].reshape(ko.shape).astype(jnp.uint32)
        shown = grids.difference(own, swap), grids.difference(other, swap), state.atari
        planes = [grid.cells(plane) for plane in shown]
        whole = [jnp.broadcast_to(flag.astype(jnp.uint32), ko.shape) for flag in (player, _flag(state, _PASSED))]
        return jnp.stack([*planes, ko, *whole], axis=-1).astype(jnp.float32)

    def symmetries(self) -> Sequence[Symmetry[GoState]]:
        """The seven turns and mirrors of the board; none with superko."""
        if self._superko:
            return []
        return [self._symmetry(*divmod(kind, 4)) for kind in range(1, 8)]

    def action_label(self, action: int) -> str:
        size = self._grid.size
        return "pass" if action == self._pass else COLUMN_NAMES[action % size] + str(size - action // size)

    def parse_action(self, text: str) -> int:
        size = self._grid.size
        labels = [self.action_label(action).upper() for action in range(self._pass + 1)]
        if text.strip().upper() not in labels:
            last = COLUMN_NAMES[size - 1]
            wanted = f"write a column A-{last} (no I) and a row 1-{size}, such as C4, or pass"
            raise ValueError(f"{text!r} is no move; {wanted}")
        return labels.index(text.strip().upper())

    def draw(self, state: GoState) -> str:
        return board_svg(self._owners(state))

    def text(self, state: GoState) -> str:
        size = self._grid.size
        footer = "   " + " ".join(COLUMN_NAMES[:size])
        rows = [" ".join(".XO"[owner + 1] for owner in row) for row in self._owners(state)]
        return "\n".join([*(f"{size - number:>2} {row}" for number, row in enumerate(rows)), footer])

    def _owners(self, state: GoState) -> list[list[int]]:
        """Rows from the top of -1 (empty), 0 (Black) or 1 (White)."""
        black, white = (np.asarray(self._grid.cells(plane)) > 0 for plane in self._colours(state))
        return np.where(black, 0, np.where(white, 1, -1)).tolist()

    def _colours(self, state: GoState) -> tuple[Plane, Plane]:
        """Black's and White's stones."""
        own, other, white = state.own, grids.without(_occupied(state), state.own), _flag(state, _WHITE)
        swap = grids.where(white, grids.union(own, other))
        return grids.difference(own, swap), grids.difference(other, swap)

    def _touched(self, state: GoState, occupied: Plane, action: Array) -> "_Touched":
        """Goes through the chains on the four sides of the new stone. A loop keeps the program small."""
        grid = self._grid
        placed, label = grid.point(action)
        sides = grid.beside(placed)
        steps = [jnp.int32(by) for by in (-grid.size, -1, 1, grid.size)]
        empty = grids.without(grid.full, grids.union(occupied, placed))  # captures add none beside their own colour

        def touch(side: Array, touched: _Touched) -> _Touched:
            point = tuple(_chosen(side, words) for words in zip(*sides, strict=True))
            chain, number = _chain_of(point, state.labels)
            is_own = grids.spread(grids.is_any(grids.common(point, state.own)))
            mine = grids.common(chain, tuple(word & is_own for word in state.own))
            foes = grids.common(
                chain, tuple(occ & ~(own | is_own) for occ, own in zip(occupied, state.own, strict=True))
            )
            taken, pressed = grids.common(foes, state.atari), grids.without(foes, state.atari)
            few = grids.is_single(grids.common(grid.around(pressed), empty))
            target = (action + _chosen(side, steps)).astype(jnp.uint32)
            return _Touched(
                grids.union(touched.joined, mine),
                grids.union(touched.captured, taken),
                grids.union(touched.pressed, grids.where(few, pressed)),
                jnp.maximum(touched.label, number & is_own),
                jnp.where(grids.is_any(taken), target, touched.taken),
            )

        return jax.lax.fori_loop(0, 4, touch, _Touched(placed, grid.empty, grid.empty, label, jnp.uint32(0)))

    def _still_in_atari(self, state: GoState, atari: Plane, captured: Plane) -> Plane:
        """`atari` without the mover's chains that touch a captured stone: they have got a second liberty.

        One chain at a time, until no game of the batch has any left.
        """
        zone = grids.common(self._grid.around(captured), state.own)

        def free(atari: Plane) -> Plane:
            chain, _ = _chain_of(self._grid.first(grids.common(zone, atari)), state.labels)
            return grids.without(atari, grids.common(chain, state.own))

        return jax.lax.while_loop(lambda atari: grids.is_any(grids.common(zone, atari)), free, atari)

    def _next_info(self, state: GoState, banned: Array, passes: Array) -> Array:
        passed = passes.astype(jnp.uint32) << _PASSED
        turn = (state.info & (1 << _WHITE)) ^ (1 << _WHITE)
        moves = ((state.info >> _COUNT) + 1) << _COUNT if self._superko else jnp.uint32(0)
        return banned.astype(jnp.uint32) | passed | turn | moves

    def _lead(self, own: Plane, other: Plane, over: Array) -> Array:
        """i32[], points of the mover beyond the opponent's where the game is `over`; elsewhere nothing is spread.

        Both colours spread over the empty points until no game of the batch changes; what both reach cancels out.
        """
        grid = self._grid
        empty = grids.where(over, grids.without(grid.full, grids.union(own, other)))

        def grow(carry: tuple[Plane, Plane, Array]) -> tuple[Plane, Plane, Array]:
            first, second, _ = carry
            wider = grids.common(grid.around(first), empty), grids.common(grid.around(second), empty)
            new = grids.union(grids.without(wider[0], first), grids.without(wider[1], second))
            return grids.union(first, wider[0]), grids.union(second, wider[1]), grids.is_any(new)

        start = grids.common(grid.around(own), empty), grids.common(grid.around(other), empty)
        first, second, _ = jax.lax.while_loop(lambda carry: carry[2], grow, (*start, over))
        return grids.count(grids.union(own, first)) - grids.count(grids.union(other, second))

    def _claims_of_info(self, state: GoState, occupied: Plane) -> dict[str, Array]:
        grid, other, info = self._grid, grids.without(occupied, state.own), state.info
        number, moves = info & ((1 << _KO_BITS) - 1), info >> _COUNT
        ko, _ = grid.point(number)
        around = grids.common(grid.around(ko), grid.full)
        is_ko = ~grids.is_any(grids.union(grids.common(ko, occupied), grids.without(around, other)))
        is_ko = is_ko & grids.is_any(grids.common(around, state.atari)) & ~_flag(state, _PASSED)
        claims = {
            "info: the point of ko is beyond the board": number <= self._pass,
            "info: ko where no stone has just been taken": (number == self._pass) | is_ko,
        }
        if state.history is None:
            return claims | {"info: unused bits are set": moves == 0}
        index = jnp.arange(self.spec.max_steps, dtype=jnp.uint32)
        last = jnp.sum(jnp.where(index + 1 == moves, state.history, 0), axis=1, dtype=jnp.uint32)
        return claims | {
            "info: more moves than the engine allows": moves <= self.spec.max_steps,
            "info: fewer moves than stones or passes": moves
            >= (grids.count(occupied) + _flag(state, _PASSED)).astype(jnp.uint32),
            "info: not the player's turn after so many moves": (moves & 1 == 1) == _flag(state, _WHITE),
            "history: its last position is not the board's": (last == self._hash(state)).all(),
            "history: bits beyond the last position": jnp.where(index < moves, 0, state.history).max() == 0,
        }

    def _symmetry(self, mirrored: int, turns: int) -> Symmetry[GoState]:
        grid = self._grid
        numbers = np.arange(self._pass).reshape(grid.size, grid.size)
        moved = np.rot90(numbers.T if mirrored else numbers, turns).reshape(-1)  # which point comes here
        image = (*np.argsort(moved).tolist(), self._pass)

        def turned(plane: Plane) -> Array:
            cells = grid.cells(plane) != 0
            return jnp.rot90(cells.T if mirrored else cells, turns)

        def apply(state: GoState) -> GoState:
            own, occupied = turned(state.own), turned(_occupied(state))
            ko = jnp.asarray(image, jnp.uint32)[state.info & ((1 << _KO_BITS) - 1)]
            info = (state.info >> _KO_BITS << _KO_BITS) | ko
            labels = grid.labels_of(own, occupied & ~own)
            return GoState(grid.plane_of(own), grid.plane_of(turned(state.atari)), labels, info)

        return Symmetry(apply, image)

    def _hash(self, state: GoState) -> Array:
        """u32[2], two independent sums of a random number for each stone."""
        black, white = (self._grid.cells(plane).reshape(1, -1) for plane in self._colours(state))
        return jnp.sum(black * self._random[0] + white * self._random[1], axis=1, dtype=jnp.uint32)

    def _history(self, before: GoState, after: GoState) -> Array | None:
        """The positions so far and the one `after` the move."""
        if before.history is None:
            return None
        now = (before.info >> _COUNT) == jnp.arange(self.spec.max_steps, dtype=jnp.uint32)
        return jnp.where(now, self._hash(after)[:, None], before.history)

    def _repeats(self, state: GoState) -> Array:
        """bool[A], moves after which the board would be as it has been before."""
        grid, white = self._grid, _flag(state, _WHITE)
        own_random = jnp.where(white, self._random[1], self._random[0])  # u32[2, N * N]
        other_random = jnp.where(white, self._random[0], self._random[1])
        takeable = grids.without(state.atari, state.own)
        bit_planes = [grid.cells(grids.common(plane, takeable)) << k for k, plane in enumerate(state.labels)]
        label = functools.reduce(jnp.bitwise_or, bit_planes)  # u32[N, N], 0 where there is nothing to take
        # A stone's hash is added to its chain's: u32[2, number of labels].
        stones = jnp.where(label.reshape(1, -1) != 0, other_random, 0)
        chain_hash = jnp.stack(
            [jax.ops.segment_sum(hashes, label.reshape(-1), 1 << grid.label_bits) for hashes in stones]
        )
        then = self._hash(state)[:, None] + own_random
        seen: list[Array] = []
        for y, x in grids.SIDES:
            found = grids.shifted(label, y, x).reshape(-1)
            for before in seen:
                found = jnp.where(found == before, 0, found)  # a chain on two sides is taken once
            seen.append(found)
            then = then - chain_hash[:, found]
        assert state.history is not None
        known = (then[:, :, None] == state.history[:, None, :]).all(axis=0).any(axis=1)
        return jnp.append(known, False)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Touched:
    """What a new stone does to the chains beside it."""

    joined: Plane  # its own chain, with what it connects
    captured: Plane
    pressed: Plane  # the opponent's other chains that it leaves with one liberty
    label: Array  # u32[], of its own chain
    taken: Array  # u32[], a point beside it from which a stone is captured


class Go9x9(Go):
    """Go on 9 x 9 points."""

    def __init__(self, komi: str = _KOMI, superko: str = "0") -> None:
        super().__init__(9, komi, superko)


class Go19x19(Go):
    """Go on 19 x 19 points."""

    def __init__(self, komi: str = _KOMI, superko: str = "0") -> None:
        super().__init__(19, komi, superko)


def _komi(text: str) -> float:
    try:
        komi = float(text)
    except ValueError:
        komi = math.nan
    if not (2 * komi).is_integer() or abs(komi) > 361:
        raise ValueError(f"komi is {text!r}, expected a multiple of 0.5 from -361 to 361, such as 7.5")
    return komi


def _flag(state: GoState, bit: int) -> Array:
    """bool[]."""
    return (state.info >> bit) & 1 != 0


def _occupied(state: GoState) -> Plane:
    return functools.reduce(grids.union, state.labels)


def _chosen(index: Array, words: Sequence[Array]) -> Array:
    """Word number `index` (i32[]) of four."""
    first, second, third, fourth = words
    return jnp.where(index < 2, jnp.where(index == 0, first, second), jnp.where(index == 2, third, fourth))


def _chain_of(point: Plane, labels: tuple[Plane, ...]) -> tuple[Plane, Array]:
    """(the points of the same label as `point`, of whatever colour, and that label u32[])."""
    differs = tuple(jnp.zeros_like(word) for word in point)
    label = jnp.zeros((), jnp.uint32)
    for k, plane in enumerate(labels):
        wanted = grids.spread(grids.is_any(grids.common(point, plane)))
        label = label | (wanted & np.uint32(1 << k))
        differs = tuple(differing | (word ^ wanted) for differing, word in zip(differs, plane, strict=True))
    return tuple(~word for word in differs), label
