"""Chess: published perft counts, random games beside python-chess and OpenSpiel, the ends of the game, FEN.

Perft counts are those of the Chess Programming Wiki ("Perft Results"); python-chess counts them again here.
"""

from typing import Any

import cartridge
import chess
import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest
from cartridge.engine import bits
from cartridge.engine.keys import zero_key
from cartridge.engine.transition import EngineState, legal_actions
from cartridge.games.chess import START, Chess, ChessState, from_fen, to_fen

GAME = Chess()
CHUNK = 4096  # positions expanded at once, padded, so that one compiled function serves every ply
KIWIPETE = "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1"
PERFT = {
    START: [20, 400, 8_902, 197_281],
    KIWIPETE: [48, 2_039, 97_862],
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1": [14, 191, 2_812, 43_238],
    "r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1": [6, 264, 9_467],
    "rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8": [44, 1_486, 62_379],
    "r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10": [46, 2_079, 89_890],
    "R6R/3Q4/1Q4Q1/4Q3/2Q4Q/Q4Q2/pp1Q4/kBNN1KB1 w - - 0 1": [218],  # the most moves known (Nenad Petrović, 1964)
}
LABELS = [GAME.action_label(action) for action in range(GAME.spec.num_actions)]
OPEN_SPIEL_JUMPS = ((-2, -1), (-2, 1), (-1, -2), (-1, 2), (2, -1), (2, 1), (1, -2), (1, 2))

legal_words = jax.jit(lambda states: jnp.stack(jax.vmap(GAME.legal_words)(states)))
play = jax.jit(jax.vmap(lambda state, action: GAME.step(state, action, zero_key())))


def padded(leaf: Any) -> np.ndarray:
    return np.concatenate([leaf, np.broadcast_to(leaf[:1], (CHUNK - len(leaf), *leaf.shape[1:]))])


def perft(fen: str, depth: int) -> list[int]:
    """The number of move sequences of 1 to `depth` plies; draws do not end a game here, as perft has it."""
    states: Any = jax.tree.map(lambda leaf: np.asarray(leaf)[None], from_fen(fen))
    counts = []
    for ply in range(depth):
        total, reached = 0, []
        for begin in range(0, len(states.history), CHUNK):
            chunk: Any = jax.tree.map(lambda leaf, begin=begin: leaf[begin : begin + CHUNK], states)
            words = np.asarray(legal_words(jax.tree.map(padded, chunk))).T[: len(chunk.history)]
            if ply == depth - 1:
                total += int(np.bitwise_count(words).sum())
                continue
            rows, actions = np.nonzero(np.unpackbits(np.ascontiguousarray(words).view(np.uint8), 1, bitorder="little"))
            total += len(rows)
            for first in range(0, len(rows), CHUNK):
                some = slice(first, first + CHUNK)
                parents = jax.tree.map(lambda leaf, chunk=rows[some]: padded(leaf[chunk]), chunk)
                moved, size = play(parents, padded(actions[some].astype(np.int32))), len(rows[some])
                reached.append(jax.tree.map(lambda leaf, size=size: np.asarray(leaf)[:size], moved.state))
        counts.append(total)
        states = jax.tree.map(lambda *leaves: np.concatenate(leaves), *reached) if reached else states
    return counts


def their_perft(board: chess.Board, depth: int) -> int:
    """python-chess's count."""
    if depth == 1:
        return board.legal_moves.count()
    total = 0
    for move in board.legal_moves:
        board.push(move)
        total += their_perft(board, depth - 1)
        board.pop()
    return total


@pytest.mark.parametrize("fen", PERFT)
def test_perft(fen: str) -> None:
    depth = len(PERFT[fen])
    assert perft(fen, depth) == PERFT[fen]
    assert their_perft(chess.Board(fen), depth) == PERFT[fen][-1]


@pytest.mark.long
@pytest.mark.parametrize(("fen", "depth", "count"), [(START, 5, 4_865_609), (KIWIPETE, 4, 4_085_603)])
def test_deeper_perft(fen: str, depth: int, count: int) -> None:
    assert perft(fen, depth)[-1] == count
    assert their_perft(chess.Board(fen), depth) == count


def uci(label: str, board: chess.Board) -> str:
    """UCI of a label, which leaves the queen of a promotion unsaid."""
    pawn = board.piece_type_at(chess.parse_square(label[:2])) == chess.PAWN
    return label + "q" if pawn and len(label) == 4 and label[3] in "18" else label


def open_spiel_actions() -> list[np.ndarray]:
    """For White and for Black, i32[4674]: our action for each of OpenSpiel's, -1 where there is none.

    OpenSpiel numbers by square first and as the mover sees the board, and has actions of their own for castling.
    """
    number = {label: action for action, label in reversed(list(enumerate(LABELS)))}
    tables = []
    for black in (False, True):
        table = np.full(4674, -1, np.int32)
        for square in range(64):
            file, rank = divmod(square, 8)
            for plane in range(73):
                promotion = ""
                if plane < 9:
                    step, promotion = ((0, 1, -1)[plane % 3], 1), "rbn"[plane // 3]
                elif plane < 65:
                    way, diff = divmod(plane - 9, 14)
                    diff = diff - 7 if diff < 7 else diff - 6
                    step = ((0, diff), (diff, 0), (diff, diff), (diff, -diff))[way]
                else:
                    step = OPEN_SPIEL_JUMPS[plane - 65]
                ranks = [7 - each if black else each for each in (rank, rank + step[1])]
                if 0 <= file + step[0] < 8 and 0 <= rank + step[1] < 8:
                    label = f"{'abcdefgh'[file]}{ranks[0] + 1}{'abcdefgh'[file + step[0]]}{ranks[1] + 1}{promotion}"
                    table[square * 73 + plane] = number.get(label, -1)
        table[4672], table[4673] = (number["e8c8"], number["e8g8"]) if black else (number["e1c1"], number["e1g1"])
        tables.append(table)
    return tables


@pytest.mark.parametrize("num_envs", [24, pytest.param(10_000, marks=pytest.mark.long)])
def test_random_games_beside_python_chess_and_open_spiel(num_envs: int) -> None:
    """Player 0 is White here and Black in OpenSpiel."""
    env = cartridge.make("chess", num_envs, output="numpy", autoreset="disabled")
    theirs: list[Any] = [pyspiel.load_game("chess").new_initial_state() for _ in range(num_envs)]
    boards = [chess.Board() for _ in range(num_envs)]
    tables, random = open_spiel_actions(), np.random.default_rng(0)
    seen, over, results, ply = env.reset(), np.zeros(num_envs, bool), set(), 0
    while not over.all():
        live, actions = np.flatnonzero(~over), np.zeros(num_envs, np.int32)
        for row in live:
            board, legal = boards[row], np.flatnonzero(seen.legal_actions[row])
            table = tables[ply % 2]
            numbers = {int(table[action]): action for action in theirs[row].legal_actions()}
            assert sorted(numbers) == legal.tolist()
            assert {uci(LABELS[action], board) for action in legal} == {move.uci() for move in board.legal_moves}
            assert seen.player[row] == ply % 2 == 1 - theirs[row].current_player()
            actions[row] = random.choice(legal)
            theirs[row].apply_action(numbers[int(actions[row])])
            board.push_uci(uci(LABELS[actions[row]], board))
        seen, ply = env.step(actions), ply + 1
        states: Any = jax.tree.map(np.asarray, env.state.game)
        for row in live:
            board = boards[row]
            if num_envs < 100 or ply % 16 == 0:
                assert to_fen(jax.tree.map(lambda leaf, row=row: leaf[row], states)) == board.fen()
            outcome = board.outcome(claim_draw=False)
            drawn = board.halfmove_clock >= 100 or board.is_repetition(3)
            assert bool(seen.terminated[row]) == theirs[row].is_terminal() == (outcome is not None or drawn)
            assert seen.reward[row].tolist() == theirs[row].rewards()[::-1]
            if seen.terminated[row]:
                results.add(outcome.termination.name if outcome else "DRAWN")
        assert not (seen.truncated | seen.illegal).any()
        over |= seen.terminated
    assert {"CHECKMATE", "DRAWN", "INSUFFICIENT_MATERIAL"} <= results


def played(fen: str, text: str) -> Any:
    """The step after moves in UCI, all of them legal."""
    state, step = from_fen(fen), None
    for word in text.split():
        action = GAME.parse_action(word)
        assert bits.unpack(tuple(legal_words(jax.tree.map(lambda leaf: leaf[None], state))[:, 0]), 4672)[action], word
        step = jax.tree.map(
            lambda leaf: leaf[0], play(jax.tree.map(lambda leaf: leaf[None], state), jnp.array([action], jnp.int32))
        )
        state = step.state
    return step


@pytest.mark.parametrize(
    ("fen", "text", "reward", "over"),
    [
        (START, "f2f3 e7e5 g2g4 d8h4", [-1.0, 1.0], True),  # the shortest mate
        (START, "e2e4 e7e5 d1h5 b8c6 f1c4 g8f6 h5f7", [1.0, -1.0], True),
        ("7k/8/5KQ1/8/8/8/8/8 w - - 0 1", "g6f7", [0.0, 0.0], True),  # stalemate
        (START, "g1f3 g8f6 f3g1 f6g8 g1f3 g8f6 f3g1", [0.0, 0.0], False),
        (START, "g1f3 g8f6 f3g1 f6g8 g1f3 g8f6 f3g1 f6g8", [0.0, 0.0], True),  # the start for the third time
        ("7k/8/8/8/8/8/R7/K7 w - - 98 80", "a2a3", [0.0, 0.0], False),
        ("7k/8/8/8/8/8/R7/K7 w - - 99 80", "a2a3", [0.0, 0.0], True),  # fifty moves
        ("7k/8/6K1/8/8/8/R7/8 w - - 99 80", "a2a8", [1.0, -1.0], True),  # mate comes before them
        ("7k/8/8/8/8/8/1q6/K7 w - - 0 1", "a1b2", [0.0, 0.0], True),  # king against king
        ("7k/8/8/8/8/2N5/1q6/K7 w - - 0 1", "a1b2", [0.0, 0.0], True),
        ("6nk/8/8/8/8/2N5/1q6/K7 w - - 0 1", "a1b2", [0.0, 0.0], False),  # a knight each can mate
        ("4b2k/8/8/8/8/B7/1q6/K7 w - - 0 1", "a1b2", [0.0, 0.0], False),  # bishops on both colours
        ("5b1k/8/8/8/8/B7/1q6/K7 w - - 0 1", "a1b2", [0.0, 0.0], True),  # all bishops on dark squares
        ("7k/P7/8/8/8/8/8/K7 w - - 0 1", "a7a8q", [0.0, 0.0], False),
        ("7k/P7/8/8/8/8/8/K7 w - - 0 1", "a7a8n", [0.0, 0.0], True),  # a knight alone is not enough
    ],
)
def test_ends(fen: str, text: str, reward: list[float], over: bool) -> None:
    step = played(fen, text)
    assert step.reward.tolist() == reward
    assert bool(step.terminated) == over


def test_a_position_with_other_rights_is_another() -> None:
    """The rook's trip costs White a right, so the first occurrence does not count."""
    tour = "h1g1 h8g8 g1h1 g8h8 "
    fen = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1"
    assert not played(fen, tour * 2).terminated
    assert played(fen, tour * 3).terminated


def test_a_capture_en_passant_that_is_illegal_makes_no_difference() -> None:
    """So the position after the double step is the one that comes again (FIDE 9.2.3)."""
    free = "8/8/8/k7/2p4R/8/3P4/3K4 w - - 0 1"
    pinned = "8/8/8/8/k1p4R/8/3P4/3K4 w - - 0 1"  # the capture would uncover the rook on the fourth rank
    assert " d3 0 " in to_fen(played(free, "d2d4").state)
    assert " - 0 " in to_fen(played(pinned, "d2d4").state)
    assert not played(free, "d2d4 " + "a5a6 d1e1 a6a5 e1d1 " * 2).terminated
    assert not played(pinned, "d2d4 " + "a4a5 d1e1 a5a4 e1d1 ").terminated
    assert played(pinned, "d2d4 " + "a4a5 d1e1 a5a4 e1d1 " * 2).terminated


@pytest.mark.parametrize("fen", [*PERFT, "rnbqkbnr/ppp1p1pp/8/3pPp2/8/8/PPPP1PPP/RNBQKBNR w KQkq f6 0 3"])
def test_fen_reads_back(fen: str) -> None:
    assert to_fen(from_fen(fen)) == fen == chess.Board(fen).fen()


def test_fen_at_the_start() -> None:
    assert to_fen(GAME.init(zero_key())) == START
    assert to_fen(from_fen(START.rsplit(" ", 2)[0])) == START
    assert isinstance(from_fen(START), ChessState)


@pytest.mark.parametrize(
    ("fen", "message"),
    [
        ("8/8/8/8 w", "has 2 fields, expected 6"),
        ("8/8/8/8/8/8/8 w - - 0 1", "has 7 ranks, expected 8"),
        ("kK6/8/8/8/9/8/8/8 w - - 0 1", "is no rank of 8 squares"),
        ("kK6/8/8/8/x7/8/8/8 w - - 0 1", "is no rank of 8 squares"),
        ("k7/8/8/8/8/8/8/8 w - - 0 1", "has not one king of each colour"),
        ("k1K4P/8/8/8/8/8/8/8 w - - 0 1", "has a pawn on the first rank or the last"),
        ("k1K5/8/8/8/8/8/8/8 x - - 0 1", "'x' is nobody's turn; write w or b"),
        ("k1K5/8/8/8/8/8/8/8 w K - 0 1", "'K' in 'K' is no right to castle"),
        ("k1K5/8/8/8/8/8/8/8 w - e6 0 1", "'e6' is no square that a pawn has just passed over"),
        ("k1K5/8/8/8/8/8/8/8 w - - 100 1", "the clock of the fifty-move rule is '100', expected 0 to 99"),
        ("k1K5/8/8/8/8/8/8/8 w - - 0 0", "the number of the move is '0', expected 1 to 65535"),
        ("kR6/8/1K6/8/8/8/8/8 w - - 0 1", "the player who is not to move is in check"),
        ("kK6/8/8/8/8/8/8/8 w - - 0 1", "the kings stand side by side"),
        ("k1K5/pppppppp/8/8/8/8/8/q6q b - - 0 1", "more Black pieces than promotions make"),
    ],
)
def test_a_wrong_fen_is_explained(fen: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_fen(fen)


def test_labels() -> None:
    assert GAME.action_label(GAME.parse_action(" E2E4 ")) == "e2e4"
    assert GAME.parse_action("e7e8q") == GAME.parse_action("e7e8") != GAME.parse_action("e7e8n")
    for text in ("e2", "e2e9", "a1b4", "e2e4q", "e6e7n", "e7e8k", ""):
        with pytest.raises(ValueError, match="is no move; write the squares it goes from and to"):
            GAME.parse_action(text)


def test_observation_shows_the_board_to_either_player() -> None:
    state = played(START, "e2e4 a7a6 e4e5 d7d5").state
    for player in (0, 1):
        planes = np.asarray(GAME.observe(state, jnp.int32(player)))
        board = chess.Board(to_fen(state))
        for kind in range(6):
            for color in (0, 1):
                squares = board.pieces(kind + 1, chess.WHITE if color == player else chess.BLACK)
                expected = np.zeros(64)
                expected[list(squares)] = 1
                np.testing.assert_array_equal(planes[:, :, kind + 6 * color].reshape(64), expected)
        assert (planes[:, :, 12:16] == 1).all()
        assert np.argwhere(planes[:, :, 16]).tolist() == [[5, 3]]  # d6
        assert (planes[:, :, 19] == player).all()
    state = played("4k2r/8/8/8/8/8/8/R3K3 w Qk - 10 9", "a1b1 h8g8 b1a1 g8h8 a1b1").state
    planes = np.asarray(GAME.observe(state, jnp.int32(1)))
    assert np.allclose(planes[0, 0, 12:], [0, 0, 0, 0, 0, 0.15, 0, 1])
    planes = np.asarray(GAME.observe(played(START, "g1f3 g8f6 f3g1 f6g8").state, jnp.int32(0)))
    assert planes[0, 0, 12:].tolist() == [1, 1, 1, 1, 0, np.float32(0.04), 1, 0]


def test_text_and_picture() -> None:
    state = played(START, "e2e4").state
    assert GAME.text(state).splitlines()[3:7] == [
        "5 . . . . . . . .",
        "4 . . . . P . . .",
        "3 . . . . . . . .",
        "2 P P P P . P P P",
    ]
    picture = GAME.draw(state)
    assert picture.count('class="p0"') == picture.count('class="p1"') == 16
    assert 'data-from="e4" data-to="e4"' in picture


def test_an_over_state_offers_everything() -> None:
    over = EngineState(GAME.init(zero_key()), jnp.uint32(1 << 31))
    assert bool(legal_actions(GAME, over).all())
