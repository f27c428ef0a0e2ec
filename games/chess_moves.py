"""Chess moves by whole sets of squares: rays, pins and checks are found for all pieces at once, so no move is tried.

A set of squares is two words. To slide is to smear a set along a direction through empty squares. An action is
`plane * 64 + from square`, so the legal moves of one plane (one way to move) are the set of squares they start from,
and the 73 planes of AlphaZero's encoding are the 146 words of `legal_words` as they stand. A plane is found backwards:
the squares from which one step reaches a square where a piece may land, then those one step further through empty
squares, and so on; what is left is to AND with the pieces that move that way and are not pinned across it.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .chess_squares import (
    DIRECTIONS,
    NE,
    NW,
    RANK_1,
    SE,
    SIDE,
    SQUARES,
    SW,
    E,
    Line,
    N,
    S,
    Squares,
    W,
    diagonal_steps,
    jumps,
    lines,
    mask,
    neighbours,
    one_square,
    opposite,
    shifted,
    stacked,
    step,
    union,
)

KNIGHT_JUMPS = ((1, 2), (2, 1), (2, -1), (1, -2), (-1, -2), (-2, -1), (-2, 1), (-1, 2))
# Planes: direction * 7 + distance - 1; the knight's jumps; underpromotions: piece (knight, bishop, rook) * 3 + step of
# the file + 1. A pawn that reaches the last rank in one of the first planes becomes a queen.
DISTANCES = 7
KNIGHT_PLANES = len(DIRECTIONS) * DISTANCES
UNDERPROMOTION_PLANES = KNIGHT_PLANES + len(KNIGHT_JUMPS)
NUM_PLANES = UNDERPROMOTION_PLANES + 9
CASTLE_SHORT, CASTLE_LONG = E * DISTANCES + 1, W * DISTANCES + 1  # planes in which a king moves by two

LAST_RANKS = RANK_1 | (RANK_1 << 56)
CASTLING_SQUARES = (0x90, 0x11, 0x90 << 56, 0x11 << 56)  # K, Q, k, q: where the king and the rook must not have moved
# The steps of file and rank of all directions, plus 1, in 2 bits each; of the knight's jumps, plus 2, in 3 bits each.
_STEPS = tuple(sum((way[axis] + 1) << (2 * i) for i, way in enumerate(DIRECTIONS)) for axis in (0, 1))
_JUMPS = tuple(sum((way[axis] + 2) << (3 * i) for i, way in enumerate(KNIGHT_JUMPS)) for axis in (0, 1))

# The status word: bits 0-6 plies since the last capture or pawn move, 7 whether Black is to move, 8-11 rights to castle
# (K, Q, k, q), 12-14 the file and 15 the presence of a pawn that may be taken en passant, 16-31 the move number.
CLOCK = 0x7F
BLACK_TO_MOVE_AT, RIGHTS_AT, PASSANT_FILE_AT, PASSANT_AT, MOVE_NUMBER_AT = 7, 8, 12, 15, 16
PASSANT = 0xF << PASSANT_FILE_AT
LAST_NUMBER = 0xFFFF  # of a move: those after it keep it, though no game from the start lasts so long


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Position:
    """Who stands where in four sets: a square is in `black` or not, and the other three spell the piece.

    Rook: straight. Bishop: diagonal. Queen: both. Pawn: leaper alone; knight: with straight; king: with diagonal.
    """

    black: Squares
    straight: Squares
    diagonal: Squares
    leaper: Squares
    status: Array  # u32[]


@dataclasses.dataclass(frozen=True)
class View:
    """What the mover must know to move; the mover's pieces are `own`."""

    own: Squares
    other: Squares
    empty: Squares
    king: Squares
    knights: Squares
    sliders: tuple[Squares, Squares]  # own rooks and queens, own bishops and queens
    white_pawns: Squares  # own pawns, empty where Black is to move
    black_pawns: Squares
    free: tuple[Squares, ...]  # of each line, N-S, NE-SW, E-W, NW-SE: squares not pinned across it
    unpinned: Squares
    danger: Squares  # what the other side attacks, seen through the king
    goal: Squares  # all squares; in check, those on which a piece captures or blocks; none in double check
    checked: Array  # bool[]


def black_mask(position: Position) -> Array:
    """u32[], all ones where Black is to move."""
    return mask((position.status >> BLACK_TO_MOVE_AT) & 1)


def pieces(position: Position) -> dict[str, Squares]:
    """The squares of each piece of either colour, by its letter."""
    straight, diagonal, leaper = position.straight, position.diagonal, position.leaper
    return {
        "p": leaper & ~(straight | diagonal),
        "n": leaper & straight,
        "b": diagonal & ~(straight | leaper),
        "r": straight & ~(diagonal | leaper),
        "q": straight & diagonal,
        "k": leaper & diagonal,
    }


def look(position: Position) -> View:
    """Checks, pins and attacked squares."""
    turn = black_mask(position)
    occupied = position.straight | position.diagonal | position.leaper
    own = occupied & Squares(~(position.black.low ^ turn), ~(position.black.high ^ turn))
    other, empty = occupied ^ own, ~occupied
    leaper = position.leaper
    rooks, bishops = position.straight & ~leaper, position.diagonal & ~leaper  # and the queens among both
    knights, kings, pawns = leaper & position.straight, leaper & position.diagonal, pieces(position)["p"]
    king = kings & own

    through = empty | king
    nothing = own ^ own
    checkers = (jumps(king) & knights & other) | (diagonal_steps(king, ~turn, turn) & pawns & other)
    danger = jumps(other & knights) | neighbours(other & kings) | diagonal_steps(other & pawns, turn, ~turn)

    def along(seen: tuple[Squares, Squares, Squares], line: Line) -> tuple[tuple[Squares, Squares, Squares], Squares]:
        checkers, blocks, danger = seen
        enemies = other & line.of(rooks, bishops)
        attacks = [line.slide(enemies, through, forward) for forward in (True, False)]
        pinned = nothing
        for forward in (True, False):
            # A ray from the king and an enemy's ray towards it meet in one pinned piece, or all along a check.
            ray = line.slide(king, empty, forward)
            between = ray & attacks[forward]
            checkers, blocks = checkers | (ray & enemies), blocks | (between & empty)
            pinned = pinned | (between & own)
        return (checkers, blocks, danger | attacks[0] | attacks[1]), pinned

    (checkers, blocks, danger), pins = jax.lax.scan(along, (checkers, nothing, danger), lines())
    unpinned = ~union(pins.each())
    goal = checkers | blocks
    checked, twice = checkers.any(), checkers.count() > 1
    anywhere = mask(~checked)
    return View(
        own=own,
        other=other,
        empty=empty,
        king=king,
        knights=own & knights,
        sliders=(own & rooks, own & bishops),
        white_pawns=(own & pawns).where(~turn),
        black_pawns=(own & pawns).where(turn),
        free=tuple(unpinned | line for line in pins.each()),
        unpinned=unpinned,
        danger=danger,
        goal=goal.where(~mask(twice)) | Squares(anywhere, anywhere),
        checked=checked,
    )


def legal_planes(position: Position) -> list[Squares]:
    """For each of the 73 planes the squares from which a legal move starts."""
    view = look(position)
    landing, king_landing = ~view.own & view.goal, ~view.own & ~view.danger
    planes = []
    for direction in range(8):
        reach, sliders = landing, view.sliders[direction % 2] & view.free[direction % 4]
        for distance in range(DISTANCES):
            reach = step(reach & view.empty if distance else reach, opposite(direction))
            planes.append(sliders & reach)
        planes[direction * DISTANCES] |= view.king & step(king_landing, opposite(direction))
    for direction, squares in _pawn_captures(view, (view.other & view.goal) | passant_target(position)):
        planes[direction * DISTANCES] |= squares
    for direction, pawns, home in ((N, view.white_pawns, RANK_1 << 8), (S, view.black_pawns, RANK_1 << 48)):
        pushed = step(view.empty & view.goal, opposite(direction))
        pawns = pawns & view.free[N]
        planes[direction * DISTANCES] |= pawns & pushed
        planes[direction * DISTANCES + 1] |= pawns.within(home) & step(pushed & view.empty, opposite(direction))
    short, long = _castling(position, view)
    planes[CASTLE_SHORT] |= short
    planes[CASTLE_LONG] |= long
    knights = view.knights & view.unpinned
    planes += [knights & shifted(landing, -file, -rank) for file, rank in KNIGHT_JUMPS]
    # One of the two colours moves: from the seventh rank it is White, from the second Black.
    steps = [((NW, view.white_pawns), (SW, view.black_pawns)), ((N, view.white_pawns), (S, view.black_pawns))]
    steps.append(((NE, view.white_pawns), (SE, view.black_pawns)))
    promotions = []
    for (up, white), (down, black) in steps:
        rising = (planes[up * DISTANCES] & white).within(RANK_1 << 48)
        promotions.append(rising | (planes[down * DISTANCES] & black).within(RANK_1 << 8))
    return planes + promotions * 3


def moved(position: Position, action: Array) -> Position:
    """Plays a legal `action` (u32[]); a pawn's double step always leaves its mark for en passant."""
    plane, square = action >> 6, action & (SQUARES - 1)
    turn = black_mask(position)
    before = one_square(square)
    after = one_square((square + _displacement(plane, turn)) & (SQUARES - 1))
    straight, diagonal, leaper = ((before & s).any() for s in (position.straight, position.diagonal, position.leaper))
    pawn, king = leaper & ~straight & ~diagonal, leaper & diagonal
    occupied = position.straight | position.diagonal | position.leaper
    captured = (occupied & after).any()

    taken = behind(passant_target(position) & after).where(mask(pawn))
    short, long = mask(king & (plane == CASTLE_SHORT)), mask(king & (plane == CASTLE_LONG))
    rook_before = shifted(before, 3, 0).where(short) | shifted(before, -4, 0).where(long)
    rook_after = shifted(before, 1, 0).where(short) | shifted(before, -1, 0).where(long)
    kept = ~(before | after | taken | rook_before)

    # A promoted pawn becomes a knight, a bishop, a rook or, number 3, a queen.
    promoted = pawn & after.within(LAST_RANKS).any()
    piece = jnp.where(plane < UNDERPROMOTION_PLANES, 3, ((plane - UNDERPROMOTION_PLANES) * 11) >> 5)
    straight = jnp.where(promoted, piece != 1, straight)
    diagonal = jnp.where(promoted, (piece & 1) == 1, diagonal)
    leaper = jnp.where(promoted, piece == 0, leaper)
    return Position(
        black=(position.black & kept) | (after | rook_after).where(turn),
        straight=(position.straight & kept) | after.where(mask(straight)) | rook_after,
        diagonal=(position.diagonal & kept) | after.where(mask(diagonal)),
        leaper=(position.leaper & kept) | after.where(mask(leaper)),
        status=_next_status(position.status, plane, square, before | after, pawn, captured),
    )


def has_move(view: View, capture: Squares) -> Array:
    """bool[], whether any move is legal; `capture` holds what pawns may capture, en passant included."""
    landing = ~view.own & view.goal

    def along(found: Squares, inputs: tuple[Line, Squares]) -> tuple[Squares, None]:
        line, free = inputs
        sliders = line.of(*view.sliders) & free
        reached = line.slide(sliders, view.empty, True) | line.slide(sliders, view.empty, False)
        return found | (reached & landing), None

    stepped = (neighbours(view.king) & ~view.own & ~view.danger) | (jumps(view.knights & view.unpinned) & landing)
    slid, _ = jax.lax.scan(along, stepped, (lines(), stacked(view.free)))
    found = [slid]
    found += [squares for _, squares in _pawn_captures(view, capture)]
    for direction, pawns, third in ((N, view.white_pawns, RANK_1 << 16), (S, view.black_pawns, RANK_1 << 40)):
        once = step(pawns & view.free[N], direction) & view.empty
        twice = step(once.within(third), direction) & view.empty
        found.append((once | twice) & view.goal)
    return union(found).any()  # castling is no case of its own: the king could as well take one step


def passant_target(position: Position) -> Squares:
    """The square passed over by a pawn that may be taken en passant: at most one, on the sixth rank or the third."""
    turn, status = black_mask(position), position.status
    file = ((status >> PASSANT_AT) & 1) << ((status >> PASSANT_FILE_AT) & 7)
    return Squares((file << 16) & turn, (file << 8) & ~turn)


def behind(target: Squares) -> Squares:
    """Where the pawn stands that a capture en passant on `target` takes; a high target is one of White's."""
    return Squares(target.low << 8, target.high >> 8)


def legal_passant(position: Position, view: View) -> Squares:
    """`passant_target` if some pawn may capture there, else nothing.

    Such a capture empties two squares of a rank at once, so that it may uncover a check which no pin foretells.
    """
    target = passant_target(position)
    taken = behind(target)
    resolves = ((target | taken) & view.goal).any()
    pawns = view.white_pawns | view.black_pawns
    takers = pawns & (step(taken, E) | step(taken, W))
    thinned = view.empty | taken | takers
    rooks = view.other & position.straight & ~position.leaper
    rank = jax.tree.map(lambda table: table[E], lines())
    rays = [rank.slide(view.king, thinned, forward) for forward in (True, False)]
    crossed = [(ray & taken).any() & (ray & rooks).any() for ray in rays]
    uncovered = (crossed[0] | crossed[1]) & (takers.count() == 1)  # of two, one stays and shields the king
    takes = union([squares for _, squares in _pawn_captures(view, target)]).any()
    legal = resolves & ~uncovered & takes
    return target.where(mask(legal))


def _next_status(status: Array, plane: Array, square: Array, touched: Squares, pawn: Array, captured: Array) -> Array:
    """u32[], the status word after a move between the `touched` squares."""
    clock = jnp.where(pawn | captured, 0, (status & CLOCK) + 1)
    lost = jnp.uint32(0)
    for right, squares in enumerate(CASTLING_SQUARES):
        lost = lost | (touched.within(squares).any().astype(jnp.uint32) << right)
    rights = status & ~(lost << RIGHTS_AT) & (0xF << RIGHTS_AT)
    double = pawn & ((plane == N * DISTANCES + 1) | (plane == S * DISTANCES + 1))
    passant = jnp.where(double, (1 << PASSANT_AT) | ((square & 7) << PASSANT_FILE_AT), 0)
    turn = (status >> BLACK_TO_MOVE_AT) & 1
    number = jnp.minimum((status >> MOVE_NUMBER_AT) + turn, LAST_NUMBER)
    return clock | ((turn ^ 1) << BLACK_TO_MOVE_AT) | rights | passant | (number << MOVE_NUMBER_AT)


def _displacement(plane: Array, turn: Array) -> Array:
    """u32[], what a move of the plane adds to the number of the square, modulo 64."""
    direction = (plane * 37) >> 8  # plane // 7 for all planes
    files, ranks = ((np.uint32(steps) >> (2 * direction)) & 3 for steps in _STEPS)
    slid = (plane - DISTANCES * direction + 1) * (files + SIDE * ranks - (1 + SIDE))
    jump = 3 * (plane - KNIGHT_PLANES)
    files, ranks = ((np.uint32(steps) >> jump) & 7 for steps in _JUMPS)
    jumped = files + SIDE * ranks - 2 * (1 + SIDE)
    number = plane - UNDERPROMOTION_PLANES
    promoted = number - 3 * ((number * 11) >> 5) - 1 + SIDE - (turn & (2 * SIDE))
    return jnp.where(plane < KNIGHT_PLANES, slid, jnp.where(plane < UNDERPROMOTION_PLANES, jumped, promoted))


def _pawn_captures(view: View, capture: Squares) -> list[tuple[int, Squares]]:
    """(direction, squares from which a pawn captures) for the four directions of both colours."""
    sides = ((NE, view.white_pawns), (NW, view.white_pawns), (SE, view.black_pawns), (SW, view.black_pawns))
    return [(way, pawns & view.free[way % 4] & step(capture, opposite(way))) for way, pawns in sides]


def _castling(position: Position, view: View) -> tuple[Squares, Squares]:
    """The king's square where it may castle short, and long: all it crosses is empty and not attacked."""
    turn = black_mask(position)
    rights = position.status >> (RIGHTS_AT + (turn & 2))
    king = view.king.where(mask(~view.checked))
    safe = view.empty & ~view.danger
    short = king & step(safe, W) & shifted(safe, -2, 0)
    long = king & step(safe, E) & shifted(safe, 2, 0) & shifted(view.empty, 3, 0)
    return short.where(mask(rights & 1)), long.where(mask((rights >> 1) & 1))
