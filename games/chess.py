"""Chess: a position is nine words, a history of hashes knows what occurred before, and no legal move is ever tried.

Squares and actions are numbered as White sees them, whoever moves: an action then has one name, in the notation of
UCI, and the square it starts from is the same in the action, in the observation and on the board. `chess_moves` finds
the moves and their effect; here are the ends of the game, the observation, FEN and the drawing.

A game is drawn by stalemate, after fifty moves of either side without capture or pawn move, when a position occurs for
the third time (same player to move, same rights to castle and to capture en passant), and when no material is left to
mate with: no pawn, rook or queen, and besides the kings one knight, or bishops that all stand on one colour, or
nothing. All of these end the game at once, without a claim; a checkmate counts before the fifty moves.

Positions are compared by 32 bits of hash. Only a second coincidence among the last 100 plies ends a game, so that where
a position occurred once before it is taken for a third occurrence with a probability of at most 2.3e-8.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..engine import bits
from ..engine.game import Step, Symmetry
from ..engine.keys import Key
from ..engine.spec import GameSpec
from . import chess_moves as moves
from .chess_claims import claims_of
from .chess_moves import DISTANCES, KNIGHT_JUMPS, Position
from .chess_squares import DIRECTIONS, SIDE, SQUARES, Squares, mask

START = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"
FIFTY_MOVES = 100  # plies
PIECES = "pnbrqk"
_FILES = "abcdefgh"
_CELL = 48
_UNDERPROMOTIONS = "nbr"
_LIGHT_SQUARES = 0x55AA55AA55AA55AA
_HASHED = 0xFF80  # of the status word: player, rights, en passant
_STYLE = (
    "<style>.light{fill:#eef1f5}.dark{fill:#b4c0cf}.hit{fill:transparent;cursor:pointer}"
    ".p0{fill:#fff;stroke:#1c2026;stroke-width:1.8}.p1{fill:#1c2026;stroke:#fff;stroke-width:1.2}"
    "path{stroke-linejoin:round}@media(prefers-color-scheme:dark){.light{fill:#78869a}.dark{fill:#4a5668}}</style>"
)
_BASE = "M12 41V37H36V41Z"
_SHAPES = {
    "p": "M24 12A6 6 0 0 1 28 22.5L31 37H17L20 22.5A6 6 0 0 1 24 12Z" + _BASE,
    "n": "M14 37C14 28 22 27 22 23L14 27L11 22L19 11L20 7L25 11C33 13 36 24 34 37Z" + _BASE,
    "b": "M24 6A3 3 0 0 1 26 11C33 17 32 25 28 29L31 37H17L20 29C16 25 15 17 22 11A3 3 0 0 1 24 6Z" + _BASE,
    "r": "M14 9H18V13H22V9H26V13H30V9H34V18L30 21L31 37H17L18 21L14 18Z" + _BASE,
    "q": "M10 13L17 22L18 10L24 20L30 10L31 22L38 13L33 37H15Z" + _BASE,
    "k": "M22 5H26V9H30V13H26V17C34 14 40 20 36 27L32 37H16L12 27C8 20 14 14 22 17V13H18V9H22Z" + _BASE,
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ChessState:
    """The position, and the hash of each position since the last capture or pawn move, the clock being the cursor.

    Entry n of the history belongs to the position n plies after that move; entries beyond the clock are stale.
    """

    position: Position
    history: Array  # u32[100]


class Chess:
    """Chess; White is player 0. An action is a way to move and the square it starts from: see `chess_moves`."""

    spec = GameSpec(
        env_id="chess",
        version="1.0.0",
        num_players=2,
        num_actions=moves.NUM_PLANES * SQUARES,
        observation_shape=(SIDE, SIDE, 20),
        observation_limit=0,
        max_steps=0,
        state_bytes=440,
        preferred_batch=4096,
    )

    def init(self, key: Key) -> ChessState:
        del key  # the start is constant
        return _state_of(*_START_WORDS)

    def step(self, state: ChessState, action: Array, key: Key) -> Step[ChessState]:
        del key
        position = moves.moved(state.position, action.astype(jnp.uint32))
        view = moves.look(position)
        passant = moves.legal_passant(position, view)
        status = jnp.where(passant.any(), position.status, position.status & ~np.uint32(moves.PASSANT))
        position = dataclasses.replace(position, status=status)

        movable = moves.has_move(view, (view.other & view.goal) | passant)
        clock = _clock(position)
        earlier, history = _remember(state.history, clock, _hash(position))
        drawn = (earlier >= 2) | (clock >= FIFTY_MOVES) | _dead(position)
        mated = view.checked & ~movable
        gain = jnp.where(mated, jnp.where(self.player(state) == 0, 1.0, -1.0), 0.0)
        return Step(ChessState(position, history), jnp.stack([gain, 0.0 - gain]), ~movable | drawn)

    def observe(self, state: ChessState, player: Array) -> Array:
        """f32[8, 8, 20]: row 0 is the first rank, column 0 the a-file, so that square s is `[s // 8, s % 8]`.

        Planes 0-5 hold the player's pawns, knights, bishops, rooks, queens and king, 6-11 the opponent's; 12-15 are
        full where the player may still castle short, long, and the opponent short, long; 16 marks the square on which
        a pawn may capture en passant; 17 is the clock of the fifty-move rule, from 0 to 1; 18 is full where the
        position has occurred before; 19 is full where the player is Black.
        """
        position = state.position
        black = player.astype(jnp.uint32) & 1
        mine = ~(position.black ^ _everywhere(black))
        each = list(moves.pieces(position).values())
        rights = [(position.status >> (moves.RIGHTS_AT + ((2 * black) ^ right))) & 1 for right in range(4)]
        before, _ = _remember(state.history, _clock(position), _hash(position))
        sets = [squares & mine for squares in each] + [squares & ~mine for squares in each]
        sets += [_everywhere(right) for right in rights]
        sets += [moves.passant_target(position), _everywhere(jnp.uint32(0))]
        sets += [_everywhere((before > 0).astype(jnp.uint32)), _everywhere(black)]
        words = jnp.stack([jnp.stack([squares.low for squares in sets]), jnp.stack([squares.high for squares in sets])])
        shifts = np.arange(32, dtype=np.uint32)[None, :, None]
        planes = ((words[:, None, :] >> shifts) & 1).reshape(self.spec.observation_shape).astype(jnp.float32)
        clock = _clock(position).astype(jnp.float32) / FIFTY_MOVES
        return jnp.where(np.arange(20)[None, None] == 17, clock, planes)

    def legal_words(self, state: ChessState) -> bits.Words:
        words = [word for squares in moves.legal_planes(state.position) for word in (squares.low, squares.high)]
        return tuple(word if index in _WORDS_IN_USE else jnp.uint32(0) for index, word in enumerate(words))

    def player(self, state: ChessState) -> Array:
        return ((state.position.status >> moves.BLACK_TO_MOVE_AT) & 1).astype(jnp.int32)

    def invariants(self, state: ChessState) -> Mapping[str, Array]:
        position, clock, hashed = state.position, _clock(state.position), _hash(state.position)
        earlier, history = _remember(state.history, clock, hashed)
        return {
            **claims_of(position),
            "status: the clock of the fifty-move rule has run over": clock <= FIFTY_MOVES,
            "history: its last position is not the board's": (history == state.history).all(),
            "meta: the game goes on after a draw": (earlier < 2) & (clock < FIFTY_MOVES) & ~_dead(position),
        }

    def symmetries(self) -> Sequence[Symmetry[ChessState]]:
        """None: to turn the board would change whose move it is."""
        return []

    def action_label(self, action: int) -> str:
        """From and to as in UCI, with n, b or r for an underpromotion; a pawn becomes a queen where none is named."""
        plane, square = divmod(action, SQUARES)
        file, rank, promotion = _effect(plane, square)
        label = _square_name(square) + _square_name((square + file + SIDE * rank) % SQUARES) + promotion
        return label if _on_board(square, file, rank) else f"{_square_name(square)} off the board"

    def parse_action(self, text: str) -> int:
        """Reads UCI, such as e2e4 or e7e8q."""
        word = text.strip().lower()
        plain = word[:-1] if len(word) == 5 and word.endswith("q") and word[3] in "18" else word
        if plain not in _ACTION_OF_LABEL:
            raise ValueError(f"{text!r} is no move; write the squares it goes from and to, such as e2e4 or e7e8q")
        return _ACTION_OF_LABEL[plain]

    def draw(self, state: ChessState) -> str:
        """Squares carry data-from and data-to; the two names one after the other are what `parse_action` reads."""
        letters = _letters(state.position)
        size = SIDE * _CELL
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" height="{size}" '
            f'role="img">{_STYLE}'
        ]
        for square in range(SQUARES):
            file, rank = square % SIDE, square // SIDE
            x, y = file * _CELL, (SIDE - 1 - rank) * _CELL
            shade = "light" if _LIGHT_SQUARES >> square & 1 else "dark"
            parts.append(f'<rect class="{shade}" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}"/>')
            if letters[square]:
                side = "p0" if letters[square].isupper() else "p1"
                shape = _SHAPES[letters[square].lower()]
                parts.append(f'<path class="{side}" transform="translate({x} {y})" d="{shape}"/>')
            name = _square_name(square)
            parts.append(
                f'<rect class="hit" data-from="{name}" data-to="{name}" x="{x}" y="{y}" '
                f'width="{_CELL}" height="{_CELL}"><title>{name}</title></rect>'
            )
        return "".join(parts) + "</svg>"

    def text(self, state: ChessState) -> str:
        """White's pieces in capitals."""
        letters = _letters(state.position)
        lines = [
            f"{rank + 1} " + " ".join(letter or "." for letter in letters[SIDE * rank : SIDE * rank + SIDE])
            for rank in reversed(range(SIDE))
        ]
        return "\n".join([*lines, "  " + " ".join(_FILES)])


def from_fen(text: str) -> ChessState:
    """The position written in Forsyth-Edwards notation; the two counters at its end may be left out.

    What happened before it is unknown, so that no position before it counts as a repetition.

    Raises:
      ValueError: says what is wrong; also with a position that play cannot reach, as far as the board shows it, such
        as one in which the player who is not to move stands in check.
    """
    fields = text.split()
    if len(fields) not in (4, 6):
        raise ValueError(f"{text!r} has {len(fields)} fields, expected 6, such as {START!r}")
    board, turn, rights, passant = fields[:4]
    clock, number = fields[4:] or ("0", "1")
    letters = _parse_board(board)
    if turn not in ("w", "b"):
        raise ValueError(f"{turn!r} is nobody's turn; write w or b")
    if not clock.isdecimal() or int(clock) >= FIFTY_MOVES:
        raise ValueError(f"the clock of the fifty-move rule is {clock!r}, expected 0 to {FIFTY_MOVES - 1}")
    if not number.isdecimal() or not 1 <= int(number) < 1 << 16:
        raise ValueError(f"the number of the move is {number!r}, expected 1 to 65535")
    status = int(clock) | (turn == "b") << moves.BLACK_TO_MOVE_AT | int(number) << moves.MOVE_NUMBER_AT
    status |= _parse_rights(rights, letters) | _parse_passant(passant, letters, turn)
    state = _state_of(_sets_of(letters), status)
    if not _can_take_in_passing(state.position):
        state = _state_of(_sets_of(letters), status & ~moves.PASSANT)
    for claim, holds in _claims(state.position).items():
        if not holds:
            raise ValueError(f"{text!r} cannot be: {claim.partition(': ')[2]}")
    return state


def to_fen(state: ChessState) -> str:
    """Forsyth-Edwards notation; a square for en passant is written only where such a capture is legal."""
    letters, status = _letters(state.position), int(state.position.status)
    ranks = []
    for rank in reversed(range(SIDE)):
        row = "".join(letter or "1" for letter in letters[SIDE * rank : SIDE * rank + SIDE])
        for run in range(SIDE, 1, -1):
            row = row.replace("1" * run, str(run))
        ranks.append(row)
    black = status >> moves.BLACK_TO_MOVE_AT & 1
    rights = "".join(letter for i, letter in enumerate("KQkq") if status >> (moves.RIGHTS_AT + i) & 1)
    file = status >> moves.PASSANT_FILE_AT & 7
    passant = f"{_FILES[file]}{'3' if black else '6'}" if status >> moves.PASSANT_AT & 1 else "-"
    counters = f"{status & moves.CLOCK} {status >> moves.MOVE_NUMBER_AT}"
    return f"{'/'.join(ranks)} {'wb'[black]} {rights or '-'} {passant} {counters}"


@jax.jit
def _can_take_in_passing(position: Position) -> Array:
    """bool[], whether a capture en passant is legal."""
    return moves.legal_passant(position, moves.look(position)).any()


_claims = jax.jit(claims_of)


def _clock(position: Position) -> Array:
    """u32[], plies since the last capture or pawn move."""
    return position.status & moves.CLOCK


def _remember(history: Array, clock: Array, hashed: Array) -> tuple[Array, Array]:
    """(how often the position occurred before, u32[]; the history with it)."""
    entries = np.arange(FIFTY_MOVES, dtype=np.uint32)
    earlier = jnp.sum((history == hashed) & (entries < clock), dtype=jnp.uint32)
    return earlier, jnp.where(entries == clock, hashed, history)


def _hash(position: Position) -> Array:
    """u32[] of all that makes positions the same: MurmurHash3 (Austin Appleby) of nine words."""
    sets = (position.black, position.straight, position.diagonal, position.leaper)
    words = [word for squares in sets for word in (squares.low, squares.high)] + [position.status & _HASHED]
    mixed = jnp.uint32(0)
    for word in words:
        mixed = mixed ^ (_rotated(word * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593))
        mixed = _rotated(mixed, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    mixed = (mixed ^ (mixed >> 16)) * np.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> 13)) * np.uint32(0xC2B2AE35)
    return mixed ^ (mixed >> 16)


def _rotated(word: Array, places: int) -> Array:
    return (word << places) | (word >> (32 - places))


def _dead(position: Position) -> Array:
    """bool[]: nobody has material to mate with."""
    straight, diagonal, leaper = position.straight, position.diagonal, position.leaper
    knights, bishops = leaper & straight, diagonal & ~leaper
    mighty = (straight & ~leaper) | (leaper & ~(straight | diagonal))  # rooks, queens and pawns
    light, dark = bishops.within(_LIGHT_SQUARES).any(), bishops.within(~_LIGHT_SQUARES & ((1 << SQUARES) - 1)).any()
    one_knight = (knights.count() <= 1) & ~(light | dark)
    one_shade = ~knights.any() & ~(light & dark)
    return ~mighty.any() & (one_knight | one_shade)


def _everywhere(flag: Array) -> Squares:
    """All squares where `flag` (u32[]) is one, none where it is zero."""
    return Squares(mask(flag), mask(flag))


def _state_of(sets: Sequence[int], status: int) -> ChessState:
    """A state without a past from black, straight, diagonal and leaper as 64 bits each."""
    words = [Squares(jnp.uint32(squares & 0xFFFFFFFF), jnp.uint32(squares >> 32)) for squares in sets]
    position = Position(*words, status=jnp.uint32(status))
    unknown = jnp.zeros((FIFTY_MOVES,), jnp.uint32)
    _, history = _remember(unknown, _clock(position), _hash(position))
    return ChessState(position, history)


def _sets_of(letters: Sequence[str]) -> tuple[int, int, int, int]:
    """(black, straight, diagonal, leaper) as 64 bits from a letter, or nothing, for each square."""

    def gathered(chosen: str) -> int:
        return sum(1 << square for square, letter in enumerate(letters) if letter and letter in chosen)

    return gathered(PIECES), gathered("RNQrnq"), gathered("BQKbqk"), gathered("PNKpnk")


def _letters(position: Position) -> list[str]:
    """For each square the letter of its piece, White's in capitals, or nothing."""
    letters = [""] * SQUARES
    black = int(position.black.low) | int(position.black.high) << 32
    for letter, squares in moves.pieces(position).items():
        found = int(squares.low) | int(squares.high) << 32
        for square in range(SQUARES):
            if found >> square & 1:
                letters[square] = letter if black >> square & 1 else letter.upper()
    return letters


def _parse_board(board: str) -> list[str]:
    """A letter, or nothing, for each square."""
    rows = board.split("/")
    if len(rows) != SIDE:
        raise ValueError(f"{board!r} has {len(rows)} ranks, expected {SIDE}")
    letters: list[str] = []
    for row in reversed(rows):
        for digit in "12345678":
            row = row.replace(digit, " " * int(digit))
        if len(row) != SIDE or not set(row.lower()) <= set(PIECES + " "):
            raise ValueError(f"{row!r} in {board!r} is no rank of {SIDE} squares: letters of {PIECES}, or numbers")
        letters += [letter.strip() for letter in row]
    if letters.count("K") != 1 or letters.count("k") != 1:
        raise ValueError(f"{board!r} has not one king of each colour")
    if {"p", "P"} & set(letters[:SIDE] + letters[-SIDE:]):
        raise ValueError(f"{board!r} has a pawn on the first rank or the last")
    return letters


def _parse_rights(rights: str, letters: Sequence[str]) -> int:
    """The rights to castle in their place of the status word."""
    places = {"K": "e1K h1R", "Q": "e1K a1R", "k": "e8k h8r", "q": "e8k a8r"}
    word = 0
    for right in rights.replace("-", "", 1):
        if right not in places or any(letters[_square(place)] != place[2] for place in places[right].split()):
            raise ValueError(f"{right!r} in {rights!r} is no right to castle that king and rook stand ready for")
        word |= 1 << (moves.RIGHTS_AT + "KQkq".index(right))
    return word


def _parse_passant(text: str, letters: Sequence[str], turn: str) -> int:
    """The file of the pawn that made a double step, in its place of the status word."""
    if text == "-":
        return 0
    rank, pawn = ("6", "p") if turn == "w" else ("3", "P")
    if len(text) == 2 and text[0] in _FILES and text[1] == rank:
        square, ahead = _square(text), SIDE if turn == "w" else -SIDE
        if letters[square - ahead] == pawn and not letters[square] and not letters[square + ahead]:
            return 1 << moves.PASSANT_AT | (square % SIDE) << moves.PASSANT_FILE_AT
    raise ValueError(f"{text!r} is no square that a pawn has just passed over")


def _square(name: str) -> int:
    return _FILES.index(name[0]) + SIDE * (int(name[1]) - 1)


def _square_name(square: int) -> str:
    return _FILES[square % SIDE] + str(square // SIDE + 1)


def _effect(plane: int, square: int) -> tuple[int, int, str]:
    """(step of the file, step of the rank, letter of an underpromotion) of an action."""
    if plane < moves.KNIGHT_PLANES:
        direction, distance = divmod(plane, DISTANCES)
        file, rank = DIRECTIONS[direction]
        return file * (distance + 1), rank * (distance + 1), ""
    if plane < moves.UNDERPROMOTION_PLANES:
        return *KNIGHT_JUMPS[plane - moves.KNIGHT_PLANES], ""
    piece, file = divmod(plane - moves.UNDERPROMOTION_PLANES, 3)
    return file - 1, 1 if square // SIDE == SIDE - 2 else -1, _UNDERPROMOTIONS[piece]


def _on_board(square: int, file: int, rank: int) -> bool:
    return 0 <= square % SIDE + file < SIDE and 0 <= square // SIDE + rank < SIDE


def _is_move(plane: int, square: int) -> bool:
    """Whether an action stays on the board, and starts an underpromotion from the second rank or the seventh."""
    file, rank, promotion = _effect(plane, square)
    return _on_board(square, file, rank) and (not promotion or square // SIDE in (1, SIDE - 2))


_ACTIONS = [
    plane * SQUARES + square
    for plane in range(moves.NUM_PLANES)
    for square in range(SQUARES)
    if _is_move(plane, square)
]
_ACTION_OF_LABEL = {Chess().action_label(action): action for action in _ACTIONS}
# For each word of 32 actions whether it holds any move at all: where not, it is a constant.
_WORDS_IN_USE = {action // bits.WORD_BITS for action in _ACTIONS}
_START_WORDS = _sets_of(_parse_board(START.split()[0])), 0xF << moves.RIGHTS_AT | 1 << moves.MOVE_NUMBER_AT
