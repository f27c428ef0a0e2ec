"""Hex on 11 x 11 cells, with every stone labelled by its chain, so that a win is seen without a search.

A board of 121 cells is four words, cell i (row major) at bit i % 32 of word i // 32. Six boards hold, one bit each, the
label of the chain a stone belongs to, 0 for an empty cell; a seventh holds the colours. A new stone touches at most
three chains. Their labels are read off its neighbours, all stones of an equal label are found by comparing bit by bit,
32 cells at a time, and get one label: a fixed number of operations however long the chains are. The board is covered by
48 triangles of touching cells. Stones of one colour in a triangle are connected, so the largest triangle number in a
chain names it, whatever the order of the moves was.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits
from ..engine.game import Step, Symmetry
from ..engine.keys import Key
from ..engine.spec import GameSpec
from . import drawing
from .labels import parse_label

SIDE = 11
CELLS = SIDE * SIDE
SWAP = CELLS  # the action
_WORDS = 4
_LABEL_BITS = 6
_TURN = np.uint32(1 << 31)  # in the last word of the colours, beyond the board
_BOTH_EDGES = 0b11
_FULL = bits.full(CELLS)
# Where the neighbours of a cell are in a window of the board that begins one row before it. Two in a row touch.
_ABOVE, _ABOVE_RIGHT, _LEFT, _RIGHT, _BELOW_LEFT, _BELOW = 0, 1, SIDE - 1, SIDE + 1, 2 * SIDE - 1, 2 * SIDE
_COLUMN_NAMES = "abcdefghijk"
_WIDE, _HIGH = 40.0, 34.0  # from one cell of the picture to the next
_STYLE = (
    "<style>.board{fill:#eef1f5}.hole{fill:#fff;stroke:#c5ccd6}.p0{fill:#d55e00;stroke:#d55e00}"
    ".p1{fill:#0072b2;stroke:#0072b2}.edge{fill:none;stroke-width:7;stroke-linejoin:round}"
    ".hit{fill:transparent;cursor:pointer}.button{stroke:#8d97a5}.word{fill:#3b4350;font:14px sans-serif;"
    "text-anchor:middle}@media(prefers-color-scheme:dark){.board{fill:#262b33}.hole{fill:#12151a;stroke:#444c58}"
    ".word{fill:#c3cad4}}</style>"
)
_PAIRS = [np.uint32(1 << a | 1 << b) for a, b in ((_BELOW_LEFT, _BELOW), (_RIGHT, _ABOVE_RIGHT), (_ABOVE, _LEFT))]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class HexState:
    """Seven boards of four words."""

    labels: tuple[bits.Words, ...]  # the chains' labels, lowest bit first
    colours: bits.Words  # player 1's stones, and whose turn it is in the topmost bit


class Hex:
    """Player 0 moves first and connects the first row with the last, player 1 the first column with the last.

    Action 11 * row + column places a stone. With the option `swap=1` player 1 may answer the first stone with action
    121, which makes it their own, mirrored at the long diagonal (as it would have been for the other pair of edges).
    """

    def __init__(self, swap: str = "0") -> None:
        if swap not in ("0", "1"):
            raise ValueError(f"swap is {swap!r}, expected 0 or 1")
        self._swap = swap == "1"
        self.spec = GameSpec(
            env_id="hex",
            version="1.0.0",
            num_players=2,
            num_actions=CELLS + self._swap,
            observation_shape=(SIDE, SIDE, 3 + self._swap),
            max_steps=0,
            state_bytes=4 * (_WORDS * (_LABEL_BITS + 1) + 1),
            options=(("swap", "1"),) if self._swap else (),
            preferred_batch=4096,
        )

    def init(self, key: Key) -> HexState:
        del key  # the start is constant
        empty = (jnp.uint32(0),) * _WORDS
        return HexState((empty,) * _LABEL_BITS, empty)

    def step(self, state: HexState, action: Array, key: Key) -> Step[HexState]:
        del key
        cell = action.astype(jnp.uint32)
        labels, turn = state.labels, _spread(state.colours[-1] >> 31)
        if self._swap:
            swapped = cell == SWAP
            cell = jnp.where(swapped, _mirrored_stone(_occupied(state)), cell)
            labels = tuple(tuple(jnp.where(swapped, 0, word) for word in board) for board in labels)
        placed, touched = _placed(HexState(labels, state.colours), cell, turn)
        colours = (*placed.colours[:-1], placed.colours[-1] ^ _TURN)

        won = touched == _BOTH_EDGES
        gain = jnp.where(won, jnp.where(turn == 0, 1.0, -1.0), 0.0)
        return Step(HexState(placed.labels, colours), jnp.stack([gain, 0.0 - gain]), won)

    def observe(self, state: HexState, player: Array) -> Array:
        """f32[11, 11, 3]: the player's stones, the opponent's, ones if the player is player 1.

        With the swap rule f32[11, 11, 4]: ones besides where the first stone may be swapped.
        """
        occupied, seat = _occupied(state), _spread(player.astype(jnp.uint32))
        own = tuple(occ & ~(colour ^ seat) for occ, colour in zip(occupied, state.colours, strict=True))
        other = tuple(occ & (colour ^ seat) for occ, colour in zip(occupied, state.colours, strict=True))
        planes = [own, other, (seat,) * _WORDS]
        if self._swap:
            planes.append((_spread(self._may_swap(state, occupied).astype(jnp.uint32)),) * _WORDS)
        return _interleaved(planes).reshape(self.spec.observation_shape)

    def legal_words(self, state: HexState) -> bits.Words:
        occupied = _occupied(state)
        empty = tuple(~word & cells for word, cells in zip(occupied, _FULL, strict=True))
        if not self._swap:
            return empty
        swap = jnp.where(self._may_swap(state, occupied), np.uint32(1 << SWAP % bits.WORD_BITS), np.uint32(0))
        return *empty[:-1], empty[-1] | swap

    def player(self, state: HexState) -> Array:
        return (state.colours[-1] >> 31).astype(jnp.int32)

    def invariants(self, state: HexState) -> Mapping[str, Array]:
        occupied, player = _occupied(state), self.player(state)
        stones = (*state.colours[:-1], state.colours[-1] & ~_TURN)
        again, connected = _laid_again(state, half_turn=False)
        pairs = zip(jax.tree.leaves(state.labels), jax.tree.leaves(again.labels), strict=True)
        second = bits.count(stones)
        ahead = bits.count(occupied) - 2 * second  # stones of player 0 beyond those of player 1
        # A swapped stone makes player 1 the one who is ahead, or level, from then on.
        swapped = (ahead == player - 1) & (second > 0) if self._swap else jnp.zeros((), bool)
        return {
            "labels: bits beyond the board": _none(word & ~full for word, full in zip(occupied, _FULL, strict=True)),
            "labels: not the names of the chains": _none(a ^ b for a, b in pairs),
            "colours: bits on empty cells or beyond the board": _none(
                word & ~cells for word, cells in zip(stones, occupied, strict=True)
            ),
            "colours: not as many stones of either side as taking turns makes": (ahead == player) | swapped,
            "colours: the player to move has connected": (connected >> player.astype(jnp.uint32)) & 1 == 0,
            "meta: the game goes on though a side has connected": connected == 0,
        }

    def symmetries(self) -> Sequence[Symmetry[HexState]]:
        """Half a turn. (The swap stays as it is: to mirror and to turn can be done in either order.)"""
        return [Symmetry(_half_turn, (*reversed(range(CELLS)), *([SWAP] if self._swap else [])))]

    def action_label(self, action: int) -> str:
        return "swap" if action == SWAP else _COLUMN_NAMES[action % SIDE] + str(action // SIDE + 1)

    def parse_action(self, text: str) -> int:
        labels = [self.action_label(action) for action in range(self.spec.num_actions)]
        also = ", or swap" if self._swap else ""
        return parse_label(labels, text, "cell", f"a column a-k and a row 1-11, such as f6{also}")

    def draw(self, state: HexState) -> str:
        swap = self._swap and bool(self._may_swap(state, _occupied(state)))
        return _board_svg(self._cells(state), swap)

    def text(self, state: HexState) -> str:
        lines = ["   " + " ".join(_COLUMN_NAMES)]
        for row, cells in enumerate(self._cells(state)):
            lines.append(" " * row + f"{row + 1:>2} " + " ".join(".XO"[owner + 1] for owner in cells))
        return "\n".join(lines)

    def _cells(self, state: HexState) -> list[list[int]]:
        """Rows from the top of -1 (empty), 0 or 1 (whose stone)."""
        return drawing.cells_of(self.observe(state, jnp.int32(0))[..., :2])

    def _may_swap(self, state: HexState, occupied: bits.Words) -> Array:
        """bool[], whether player 1 is to answer the first stone."""
        return (bits.count(occupied) == 1) & (self.player(state) == 1)


def _occupied(state: HexState) -> bits.Words:
    return _union(state.labels)


def _union(labels: tuple[bits.Words, ...]) -> bits.Words:
    """The cells whose label is not 0."""
    words = labels[0]
    for board in labels[1:]:
        words = tuple(a | b for a, b in zip(words, board, strict=True))
    return words


def _spread(bit: Array) -> Array:
    """All ones where the word is 1, all zeros where it is 0."""
    return jnp.zeros((), jnp.uint32) - bit


def _equal(number: Array, value: int) -> Array:
    return _spread(1 - jnp.minimum(number ^ np.uint32(value), 1))


def _placed(state: HexState, cell: Array, turn: Array) -> tuple[HexState, Array]:
    """(the state with a stone on `cell` of the player whose `turn` (all zeros or all ones) it is, edges it touches)."""
    occupied = _occupied(state)
    own = tuple(occ & ~(colour ^ turn) for occ, colour in zip(occupied, state.colours, strict=True))
    chain, label, touched = _joined(state.labels, own, cell, turn)
    labels = []
    for k, board in enumerate(state.labels):
        bit = _spread((label >> k) & 1)
        labels.append(tuple((word & ~new) | (bit & new) for word, new in zip(board, chain, strict=True)))
    colours = tuple((colour & ~new) | (turn & new) for colour, new in zip(state.colours, chain, strict=True))
    return HexState(tuple(labels), colours), touched


def _joined(
    labels: tuple[bits.Words, ...], own: bits.Words, cell: Array, turn: Array
) -> tuple[bits.Words, Array, Array]:
    """(the chain of the mover's new stone on `cell`, itself included; its label and the edges it touches, u32[])."""
    row = (cell * 745) >> 13  # cell // 11 of a cell on the board
    column = cell - SIDE * row
    position = _Position(cell)
    at_left = np.uint32(1 << _LEFT | 1 << _BELOW_LEFT)
    at_right = np.uint32(1 << _RIGHT | 1 << _ABOVE_RIGHT)
    beyond = (_equal(column, 0) & at_left) | (_equal(column, SIDE - 1) & at_right)
    near = position.window(own) & ~beyond
    windows = [position.window(board) for board in labels]

    def join(index: Array, joined: tuple[bits.Words, Array, Array]) -> tuple[bits.Words, Array, Array]:
        """The chain of the neighbours in pair `index` added."""
        chain, label, _ = joined
        pair = near & jnp.where(index == 0, _PAIRS[0], jnp.where(index == 1, _PAIRS[1], _PAIRS[2]))
        differs, found = [jnp.zeros((), jnp.uint32)] * _WORDS, jnp.zeros((), jnp.uint32)
        for k, (window, board) in enumerate(zip(windows, labels, strict=True)):
            wanted = _spread(jnp.minimum(window & pair, 1))
            found = found | (wanted & np.uint32(1 << k))
            differs = [differing | (word ^ wanted) for differing, word in zip(differs, board, strict=True)]
        chain = tuple(word | (mine & ~other) for word, mine, other in zip(chain, own, differs, strict=True))
        return chain, jnp.maximum(label, found), _touched(chain, turn)

    # A loop, though a short one, so that XLA on a CPU does not repeat all this for each word of the new state.
    return jax.lax.fori_loop(0, len(_PAIRS), join, (position.stone(), _triangle(row, column), jnp.uint32(0)))


class _Position:
    """A cell, and how to cut the window around it out of a board."""

    def __init__(self, cell: Array) -> None:
        self._cell = cell
        start = cell + (bits.WORD_BITS - SIDE)  # of the window, on a board with an empty word before it
        self._shift = start & 31
        self._word = start >> 5
        self._is_low = [_equal(self._word, index) for index in range(_WORDS + 1)]

    def window(self, board: bits.Words) -> Array:
        """The board from one row before the cell to one row after it, as one word."""
        low = _any_of([word & self._is_low[index + 1] for index, word in enumerate(board)])
        high = _any_of([word & self._is_low[index] for index, word in enumerate(board)])
        return (low >> self._shift) | ((high << 1) << (31 - self._shift))

    def stone(self) -> bits.Words:
        bit = jnp.uint32(1) << (self._cell & 31)
        return tuple(bit & _equal(self._cell >> 5, index) for index in range(_WORDS))


def _any_of(words: Sequence[Array]) -> Array:
    total = words[0]
    for word in words[1:]:
        total = total | word
    return total


def _triangle(row: Array, column: Array) -> Array:
    """1 to 48, the number of the triangle that covers a cell; triangles lie in pairs of rows, point up, point down."""
    return (row >> 1) * 8 + (((2 * column + (row & 1)) * 11) >> 5) + 1


def _touched(chain: bits.Words, turn: Array) -> Array:
    """u32[], which edges of the player whose `turn` (all zeros or all ones) it is the chain touches: bit 0, bit 1."""
    touched = jnp.zeros((), jnp.uint32)
    for end, edge in enumerate(_EDGES):
        masks = [np.uint32(a) ^ (turn & np.uint32(a ^ b)) for a, b in zip(*edge, strict=True)]
        found = _any_of([word & mask for word, mask in zip(chain, masks, strict=True)])
        touched = touched | (jnp.minimum(found, 1) << end)
    return touched


def _constant_words(cells: Sequence[int]) -> tuple[int, ...]:
    return tuple(sum(1 << cell % 32 for cell in cells if cell // 32 == index) for index in range(_WORDS))


# _EDGES[end][player]: the first and the last row, the first and the last column
_EDGES = [
    [_constant_words(range(SIDE)), _constant_words(range(0, CELLS, SIDE))],
    [_constant_words(range(CELLS - SIDE, CELLS)), _constant_words(range(SIDE - 1, CELLS, SIDE))],
]


def _mirrored_stone(occupied: bits.Words) -> Array:
    """u32[], where the only stone of the board goes when it is mirrored at the long diagonal."""
    cell = jnp.zeros((), jnp.uint32)
    for index, word in enumerate(occupied):
        place = np.uint32(32 * index + 31) - jax.lax.clz(word)
        cell = jnp.where(word != 0, place, cell)
    row = (cell * 745) >> 13
    return (cell - SIDE * row) * SIDE + row


def _interleaved(planes: Sequence[bits.Words]) -> Array:
    """f32[121 * planes], cell by cell its bit in each plane.

    One word of each plane at a time: every element then shifts as few words as there are planes.
    """
    parts = []
    for index, words in enumerate(zip(*planes, strict=True)):
        num_cells = min(bits.WORD_BITS, CELLS - bits.WORD_BITS * index)
        shift, plane_of = np.divmod(np.arange(num_cells * len(planes), dtype=np.uint32), np.uint32(len(planes)))
        chosen = words[0]
        for plane, word in enumerate(words[1:], start=1):
            chosen = jnp.where(plane_of == plane, word, chosen)
        parts.append((chosen >> shift) & 1)
    return jnp.concatenate(parts).astype(jnp.float32)


def _none(words: Iterable[Array]) -> Array:
    """bool[], no bit is set in any word."""
    return _any_of(list(words)) == 0


def _half_turn(state: HexState) -> HexState:
    turned, _ = _laid_again(state, half_turn=True)
    return HexState(turned.labels, (*turned.colours[:-1], turned.colours[-1] | (state.colours[-1] & _TURN)))


def _laid_again(state: HexState, half_turn: bool) -> tuple[HexState, Array]:
    """(the stones placed one after the other, so that their chains are named anew, on the board as it is or turned, and
    in player 0's turn; u32[], the players who have connected their edges, bit 0 and bit 1).
    """
    occupied = _occupied(state)

    def place(number: Array, laid: tuple[HexState, Array]) -> tuple[HexState, Array]:
        board, connected = laid
        cell = number.astype(jnp.uint32)
        colour = bits.is_set(state.colours, number).astype(jnp.uint32)
        placed, touched = _placed(board, CELLS - 1 - cell if half_turn else cell, _spread(colour))
        done = jnp.where(touched == _BOTH_EDGES, connected | (np.uint32(1) << colour), connected)
        is_stone = bits.is_set(occupied, number)
        return jax.tree.map(lambda new, old: jnp.where(is_stone, new, old), (placed, done), laid)

    empty = (jnp.uint32(0),) * _WORDS
    return jax.lax.fori_loop(0, CELLS, place, (HexState((empty,) * _LABEL_BITS, empty), jnp.uint32(0)))


def _board_svg(cells: Sequence[Sequence[int]], swap: bool) -> str:
    """Hexagons, each row half a cell to the right of the one above; the edges have their owner's colour."""
    width, height = round(_WIDE * (SIDE * 1.5 + 1.5)), round(_HIGH * (SIDE + 2))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img">{_STYLE}<rect class="board" width="{width}" height="{height}" rx="8"/>'
    ]
    parts += [_edge(player, end) for player in (0, 1) for end in (0, SIDE - 1)]
    for index in range(SIDE):
        (x, y), (left, middle) = _centre(-1, index), _centre(index, -1)
        parts.append(f'<text class="word" x="{x:.0f}" y="{y + 5:.0f}">{_COLUMN_NAMES[index]}</text>')
        parts.append(f'<text class="word" x="{left:.0f}" y="{middle + 5:.0f}">{index + 1}</text>')
    for row, line in enumerate(cells):
        for column, owner in enumerate(line):
            parts.append(_hexagon("hole", row, column) + _stone(owner, row, column))
    parts += [_hexagon("hit", row, column, row * SIDE + column) for row in range(SIDE) for column in range(SIDE)]
    if swap:
        x, y = 2.5 * _WIDE, height - 1.5 * _HIGH
        parts.append(f'<text class="word" x="{x:.0f}" y="{y + 5:.0f}">swap</text>')
        area = f'x="{x - _WIDE:.0f}" y="{y - _HIGH / 2:.0f}" width="{2 * _WIDE:.0f}" height="{_HIGH:.0f}"'
        parts.append(f'<rect class="hit button" data-action="{SWAP}" {area} rx="6"/>')
    return "".join(parts) + "</svg>"


def _centre(row: float, column: float) -> tuple[float, float]:
    return _WIDE * (1.5 + column + row / 2), _HIGH * (1.5 + row)


def _corners(row: int, column: int) -> list[tuple[float, float]]:
    """Clockwise from the topmost."""
    x, y = _centre(row, column)
    side = _HIGH / 1.5
    outline = ((0, -side), (_WIDE / 2, -side / 2), (_WIDE / 2, side / 2), (0, side))
    return [(x + dx, y + dy) for dx, dy in (*outline, (-_WIDE / 2, side / 2), (-_WIDE / 2, -side / 2))]


def _points(corners: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _hexagon(kind: str, row: int, column: int, action: int | None = None) -> str:
    clickable = "" if action is None else f' data-action="{action}"'
    return f'<polygon class="{kind}"{clickable} points="{_points(_corners(row, column))}"/>'


def _edge(player: int, end: int) -> str:
    """The line along a player's first or last row or column: which corners of its cells are outside."""
    outside = {(0, 0): (5, 0, 1), (0, SIDE - 1): (4, 3, 2), (1, 0): (5, 4, 3), (1, SIDE - 1): (0, 1, 2)}[player, end]
    cells = [(end, index) if player == 0 else (index, end) for index in range(SIDE)]
    corners = [_corners(*cell)[corner] for cell in cells for corner in outside]
    return f'<polyline class="p{player} edge" points="{_points(corners)}"/>'


def _stone(owner: int, row: int, column: int) -> str:
    """A disc, with a ring in it if it is player 1's."""
    if owner < 0:
        return ""
    x, y = _centre(row, column)
    ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="#fff" stroke-width="3"/>' if owner else ""
    return f'<circle class="p{owner}" cx="{x:.1f}" cy="{y:.1f}" r="13"/>{ring}'
