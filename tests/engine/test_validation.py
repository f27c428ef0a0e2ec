"""States from outside: what play reaches is let in, what cannot be is refused by name, and what is let in plays on."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge import make_game
from cartridge.engine import batch, bits, codec
from cartridge.engine.transition import EngineState, legal_words, transition
from cartridge.engine.validation import first_flaw, held
from cartridge.games.chess import START as OPENING
from cartridge.games.chess import from_fen

State = EngineState[Any]

GAMES = {  # and a number of moves within which games end, however they are played at random
    "tictactoe": 9,
    "connect4": 42,
    "othello": 130,
    "hex": 121,
    "hex:swap=1": 122,
    "gomoku": 225,
    "go9x9:superko=1": 162,
    "go19x19": 722,
    "breakthrough": 300,
    "chess": 3000,
    "2048": 3000,
    "kuhn_poker": 3,
    "leduc_poker": 8,
}
EVERY_16TH = ("go19x19",)  # of its states is looked at: it has many, and many points
LIGHT = {"xla_backend_optimization_level": 0}  # compiles in half the time; in go it takes ten times as long to play
ROWS = 32
ROUNDS = 8  # of corrupted bytes
NOTHING, START, END = "all words zero", "the start", "a game that is over"  # what is changed to make a state impossible
OVER, ILLEGAL = 1 << 31, 1 << 30  # of the meta word

ONE_MORE = ("hex:swap=1", "go19x19")  # only what is different from the same game above
# What must be said, the state to begin with (in chess a FEN), and the bits flipped in it, by the name of the word.
Case = tuple[str, str, dict[str, int]]
IMPOSSIBLE: dict[str, list[Case]] = {
    "tictactoe": [
        ("marks: bits beyond", START, {"marks": 1 << 18}),
        ("marks: two marks", START, {"marks": 1 << 9 | 1}),
        ("marks: not as many", START, {"marks": 1}),
        ("marks: not as many", START, {"marks": 0b11 << 9}),
        ("marks: a line of three", START, {"marks": 0b111 | 0b111000 << 9}),
        ("meta: the game goes on after", START, {"marks": 0b11000 | 0b111 << 9}),
        ("meta: a live state without", START, {"marks": 0b001110100 | 0b110001011 << 9}),
        ("meta: a game ended by an illegal", START, {"meta": ILLEGAL | 1}),
        ("meta: more moves", START, {"meta": 1 << 29}),
    ],
    "connect4": [
        ("own_low: bits beyond", START, {"own_low": 1 << 28}),
        ("own_high: bits beyond", START, {"own_high": 1 << 6}),
        ("other_low: bits beyond", START, {"other_low": 1 << 6}),
        ("other_high: bits beyond", START, {"other_high": 1 << 31}),
        ("own_low, other_low: two discs", START, {"own_low": 1, "other_low": 1}),
        ("own_high, other_high: two discs", START, {"own_high": 1, "other_high": 1}),
        ("own_low, other_low: a disc hangs", START, {"other_low": 0b10}),
        ("own_high, other_high: a disc hangs", START, {"other_high": 0b101}),
        ("own_low, own_high, other_low, other_high: not as many", START, {"own_low": 1}),
        ("own_low, own_high, other_low, other_high: not as many", START, {"other_low": 0b11}),
        ("own_low, own_high: four in a row", START, {"own_low": 0b1111, "other_low": 0b1111 << 7}),
        ("meta: the game goes on after", START, {"own_low": 0b111, "other_low": 0b1111 << 7}),
    ],
    "othello": [
        ("own_odd: a disc", START, {"own_odd": 1}),
        ("own_even: a disc", START, {"own_even": 1}),
        ("all_odd: d5 or e5 is empty", START, {"all_odd": 1 << 19}),
        ("all_even: e4 is empty", START, {"all_even": 1 << 12}),
        ("meta: the game goes on though", END, {"meta": OVER}),
    ],
    "hex": [
        ("labels: bits beyond", START, {"labels[0][3]": 1 << 25, "colours[3]": 1 << 31}),
        ("labels: not the names", START, {"labels[1][0]": 1, "colours[3]": 1 << 31}),
        ("colours: bits on empty", START, {"colours[3]": 1 << 25}),
        ("colours: not as many", START, {"labels[0][0]": 1}),
        ("colours: not as many", START, {"labels[0][0]": 1, "colours[0]": 1}),
        ("colours: the player to move has", END, {"colours[3]": 1 << 31}),
        ("meta: the game goes on though", END, {"meta": OVER}),
    ],
    "hex:swap=1": [
        ("colours: not as many", START, {"colours[3]": 1 << 31}),
        ("colours: not as many", START, {"labels[0][0]": 1}),
        ("colours: not as many", START, {"labels[0][0]": 1, "colours[0]": 1, "colours[3]": 1 << 31}),
    ],
    "gomoku": [
        ("rows: bits beyond", START, {"rows[1]": 1 << 15}),
        ("rows: nobody's turn", START, {"rows[0]": 1 << 15}),
        ("rows: nobody's turn", START, {"rows[0]": 1 << 31}),
        ("rows: two stones", START, {"rows[3]": 1 << 20 | 1 << 4}),
        ("rows: not as many", START, {"rows[3]": 1}),
        ("rows: five in a row", START, {"rows[3]": 0b11111, "rows[9]": 0b11111 << 16}),
        ("meta: the game goes on", START, {"rows[0]": 1 << 15 | 1 << 31, "rows[3]": 0b1111, "rows[9]": 0b11111 << 16}),
    ],
    "go9x9:superko=1": [  # rows 0, 3 and 6 are in the words [0]
        ("own: stones without a label", START, {"own[0]": 1}),
        ("labels: bits beyond", START, {"labels[0][0]": 1 << 9}),
        ("labels: not the names", START, {"labels[1][0]": 1}),
        ("labels: a chain without", START, {"own[0]": 1, "labels[0][0]": 0b11, "labels[1][1]": 1, "labels[2][1]": 1}),
        ("atari: not the chains", START, {"own[0]": 1, "labels[0][0]": 0b11}),
        ("atari: not the chains", START, {"atari[1]": 2}),
        ("info: the point of ko", START, {"info": 81 ^ 82}),
        ("info: ko where", START, {"info": 81 ^ 40}),
        ("meta: more moves than max_steps = 162", START, {"meta": 162}),
        ("info: more moves", START, {"info": 164 << 11}),
        ("info: fewer moves", START, {"labels[0][0]": 1}),
        ("info: fewer moves", START, {"info": 1 << 9}),
        ("info: not the player's turn", START, {"info": 1 << 10}),
        ("history: its last position", START, {"labels[0][0]": 1, "info": 1 << 11 | 1 << 10}),
        ("history: bits beyond", START, {"history[5]": 1}),
    ],
    "go19x19": [("info: unused bits", START, {"info": 1 << 11})],
    "breakthrough": [
        ("black_turn: neither", START, {"black_turn": 1}),
        ("white_low, black_low: two", START, {"black_low": 1 << 8}),
        ("white_high, black_high: two", START, {"white_high": 1 << 16}),
        ("white_low, white_high: more than", START, {"white_low": 1 << 16}),
        ("black_low, black_high: more than", START, {"black_low": 1 << 31}),
        ("white_high: more on the last row", START, {"white_high": 1 << 24, "black_high": 1 << 24}),
        ("black_low: more on the first row", START, {"black_low": 3, "white_low": 3}),
        ("black_turn: the player who has moved", START, {"black_high": 0xFFFF << 16}),
        ("meta: the game goes on though", START, {"white_low": 1, "black_low": 1, "black_high": 1 << 31}),
        ("meta: a live state without", START, {"white_low": 0xFFFF}),
    ],
    "chess": [
        ("black: bits on empty", OPENING, {"position.black.low": 1 << 16}),
        ("straight, diagonal, leaper: a piece", OPENING, {"position.straight.low": 1 << 4}),
        ("leaper: not one king", OPENING, {"position.diagonal.low": 1 << 4, "position.leaper.low": 1 << 4}),
        (
            "leaper: the kings",
            "8/8/8/7p/7P/8/8/K1k5 w - - 0 1",  # and the black king from c1 to b1
            {"position.diagonal.low": 0b110, "position.leaper.low": 0b110, "position.black.low": 0b110},
        ),
        ("leaper: a pawn", OPENING, {"position.straight.low": 1, "position.leaper.low": 1}),
        (
            "black: more White pieces",
            "4k3/8/8/8/8/1Q6/PPPPPPPP/4K3 w - - 0 1",  # and a queen on a3
            {"position.straight.low": 1 << 16, "position.diagonal.low": 1 << 16},
        ),
        (
            "black: more Black pieces",
            "4k3/pppppppp/1q6/8/8/8/8/4K3 w - - 0 1",  # and a queen on a6
            {"position.straight.high": 1 << 8, "position.diagonal.high": 1 << 8, "position.black.high": 1 << 8},
        ),
        ("status: the player who is not to move", "4k3/8/8/8/8/8/8/4RK2 b - - 0 1", {"position.status": 1 << 7}),
        ("status: a right to castle", "4k3/8/8/8/8/8/8/4K2R w - - 0 1", {"position.status": 1 << 9}),
        ("status: en passant", OPENING, {"position.status": 1 << 15}),
        ("status: en passant", "4k3/8/8/3pP3/8/8/8/4K3 w - - 0 1", {"position.status": 1 << 15 | 4 << 12}),
        ("status: the number", OPENING, {"position.status": 1 << 16}),
        ("status: the clock", OPENING, {"position.status": 0x7F}),
        ("history: its last", OPENING, {"history[0]": 1}),
        ("meta: the game goes on after a draw", "4k3/8/8/8/8/8/8/4K3 w - - 0 1", {}),
        ("meta: a live state without", "7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", {}),
    ],
    "2048": [
        ("low, high: fewer than two", NOTHING, {"low": 1}),
        ("low, high: no two or four", NOTHING, {"low": 0x3579, "high": 0xBC}),
        ("meta: a live state without", END, {"meta": OVER}),
    ],
    "kuhn_poker": [
        ("word: a card", NOTHING, {"word": 0b1_01_11}),
        ("word: both players", NOTHING, {"word": 0b1_01_01}),
        ("word: moves", NOTHING, {"word": 0b1111_01_00}),
        ("word: moves", NOTHING, {"word": 0b0_01_00}),
        ("word: moves", NOTHING, {"word": 1 << 20 | 0b1_01_00}),
        ("meta: the game goes on", NOTHING, {"word": 0b100_01_00}),
    ],
    "leduc_poker": [  # the open card, then the cards of players 1 and 0; the two rounds begin at bits 9 and 17
        ("word: unused bits", NOTHING, {"word": 0o701 | 1 << 16}),
        ("word: unused bits", NOTHING, {"word": 0o701 | 1 << 31}),
        ("word: a player's card", NOTHING, {"word": 0o760}),
        ("word: both players", NOTHING, {"word": 0o733}),
        ("word: the open card", NOTHING, {"word": 0o301}),
        ("word: the open card", NOTHING, {"word": 0o101 | 2 << 9 | 1 << 24}),
        ("word: the open card", NOTHING, {"word": 0o701 | 2 << 9 | 1 << 24}),
        ("word: moves", NOTHING, {"word": 0o701 | 2 << 9}),
        ("word: moves", NOTHING, {"word": 0o301 | 1 << 9 | 1 << 24}),
        ("word: moves", NOTHING, {"word": 0o701 | 1 << 17}),
        ("word: moves", NOTHING, {"word": 0o701 | 1 << 9 | 1 << 25}),
        ("meta: the game goes on", NOTHING, {"word": 0o701 | 2 << 9 | 1 << 12 | 1 << 25}),
        ("meta: the game goes on", NOTHING, {"word": 0o301 | 2 << 9 | 2 << 17 | 1 << 24}),
    ],
}


@functools.cache
def compiled(env_id: str) -> tuple[Any, Callable[[int], State], Callable[[State, Any], Any]]:
    """(game, start from a seed, random legal moves), shared by all tests.

    A move gives (states, rewards f32[ROWS, P], whether there was a move to make bool[ROWS]).
    """
    game: Any = make_game(env_id)

    def move(state: State, random: Any) -> Any:
        legal = legal_words(game, state)
        moved = transition(game, state, bits.random_member(legal, random))
        return moved.state, moved.reward, bits.count(legal) > 0

    options = None if env_id.startswith(("go9x9", "go19x19")) else LIGHT
    return (
        game,
        jax.jit(lambda seed: batch.init(game, seed, ROWS)[0]),
        jax.jit(jax.vmap(move), compiler_options=options),
    )


def played_to_the_end(env_id: str, states: State, seed: int, look: bool = True) -> tuple[State, State]:
    """(the states in the end, one of each game drawn from all before).

    There is always a move. Unless nobody is to `look`, none of the states met has a flaw.
    """
    game, _, move = compiled(env_id)
    random = np.random.default_rng(seed)
    drawn, number = states, 0
    while not np.asarray(states.over).all():
        assert number < GAMES[env_id], f"games go on after {number} moves"
        number += 1
        states, reward, could_move = move(states, jnp.asarray(random.integers(1 << 32, size=ROWS), jnp.uint32))
        assert np.asarray(could_move).all()
        assert np.isfinite(np.asarray(reward)).all()
        if look and (env_id not in EVERY_16TH or number % 16 == 0):
            assert first_flaw(game, states) is None
        drawn = batch.select(~states.over & (random.random(ROWS) < 1 / number), states, drawn)
    assert not look or first_flaw(game, states) is None
    return states, drawn


@functools.cache
def some_play(env_id: str) -> tuple[State, State]:
    game, start, _ = compiled(env_id)
    states = start(0)
    assert first_flaw(game, states) is None
    return played_to_the_end(env_id, states, seed=0)


@pytest.mark.parametrize("env_id", GAMES)
def test_what_play_reaches_is_let_in(env_id: str) -> None:
    over, drawn = some_play(env_id)
    assert np.asarray(over.over).all()
    assert not np.asarray(drawn.over).any()


@pytest.mark.parametrize("env_id", GAMES)
def test_what_is_let_in_plays_on(env_id: str) -> None:
    """Up to four bits of states in mid-game and in the end are flipped; those that pass are played to the end.

    No flaw is met there either, but with superko: the game counts moves as the engine does, and cannot compare.
    """
    game, random = compiled(env_id)[0], np.random.default_rng(1)
    words = np.concatenate([codec.pack_state(states) for states in some_play(env_id)])
    num_words, let_in = words.shape[1], []
    for _ in range(ROUNDS):
        flipped = words[random.permutation(len(words))[:ROWS]]
        for row in flipped:
            for bit in random.integers(32 * num_words, size=random.integers(1, 5)):
                row[bit // 32] ^= np.uint32(1 << bit % 32)
        sound = functools.reduce(np.logical_and, held(game, unpacked(env_id, flipped)).values())
        let_in.append(flipped[sound])
    passed = np.concatenate(let_in)
    if len(passed):
        states = unpacked(env_id, np.resize(passed, (ROWS, num_words)))
        played_to_the_end(env_id, states, seed=2, look="superko" not in env_id)


def unpacked(env_id: str, words: np.ndarray) -> State:
    """`codec.unpack_state` without its questions."""
    leaves, structure = jax.tree.flatten(compiled(env_id)[1](0))
    ends = np.cumsum([leaf[0].size for leaf in leaves])
    parts = np.split(words, ends[:-1], axis=1)
    shaped = [part.reshape(len(words), *leaf.shape[1:]) for part, leaf in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(structure, shaped)


@pytest.mark.parametrize("env_id", IMPOSSIBLE)
def test_what_cannot_be_is_refused(env_id: str) -> None:
    """By the name of the field. Of each game every claim is seen to refuse something."""
    game, start, _ = compiled(env_id)
    names = names_of_words(start(0))
    refused = set()
    for said, begin, flips in IMPOSSIBLE[env_id]:
        words = words_to_begin_with(env_id, begin)
        for name, bit_set in flips.items():
            words[names.index(name)] ^= np.uint32(bit_set)
        states = unpacked(env_id, np.tile(words, (ROWS, 1)))
        flaw = first_flaw(game, states)
        assert flaw is not None, said
        assert said in flaw
        refused |= {name for name in held(game, states) if name in flaw and said in name}
    claims = jax.eval_shape(game.invariants, jax.tree.map(lambda leaf: leaf[0], start(0).game))
    assert refused >= set(claims) or env_id in ONE_MORE


def names_of_words(states: State) -> list[str]:
    """Of `codec.pack_state`: fields of the game and of the engine, with an index where a field has several words."""
    names = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(states):
        name = jax.tree_util.keystr(path).removeprefix(".game").removeprefix(".")
        names += [name] if leaf.ndim == 1 else [f"{name}[{index}]" for index in range(leaf[0].size)]
    return names


def words_to_begin_with(env_id: str, begin: str) -> np.ndarray:
    """u32[W]."""
    if begin == NOTHING:
        return np.zeros((compiled(env_id)[0].spec.state_bytes // 4,), np.uint32)
    if begin == START:
        return codec.pack_state(compiled(env_id)[1](0))[0]
    if begin == END:
        return codec.pack_state(some_play(env_id)[0])[0]
    state = EngineState(from_fen(begin), jnp.uint32(0))
    return codec.pack_state(jax.tree.map(lambda leaf: leaf[None], state))[0]


@pytest.mark.parametrize(
    ("env_id", "all_words", "num_live", "num_all"),
    [("tictactoe", 1 << 18, 4520, 5478), ("kuhn_poker", 1 << 12, 6 * 4, 6 * 9)],
)
def test_small_games_let_in_what_play_reaches_and_no_more(
    env_id: str, all_words: int, num_live: int, num_all: int
) -> None:
    """Of tic-tac-toe 5,478 positions are known to be reachable, 4,520 to be undecided; in Kuhn poker six deals may be
    followed by nine sequences of moves, of which five end the game.
    """
    game: Any = make_game(env_id)
    found = []
    for meta in (1, OVER | 1):
        words = np.zeros((all_words, game.spec.state_bytes // 4), np.uint32)
        words[:, 0], words[:, 1] = np.arange(all_words), meta
        found.append(np.sum(functools.reduce(np.logical_and, held(game, unpacked(env_id, words)).values())))
    assert found == [num_live, num_all]


def test_a_chess_game_of_the_last_number_plays_on() -> None:
    game, _, move = compiled("chess")
    words = words_to_begin_with("chess", "4k3/8/8/8/8/8/P7/4K3 b - - 0 65535")
    states = jax.tree.map(jnp.asarray, unpacked("chess", np.tile(words, (ROWS, 1))))
    assert first_flaw(game, states) is None
    assert first_flaw(game, move(states, jnp.arange(ROWS, dtype=jnp.uint32) << 27)[0]) is None


def test_the_first_of_several_is_named() -> None:
    game, start, _ = compiled("tictactoe")
    states = jax.tree.map(np.array, start(0))
    states.game.marks[[3, 5]] = 0b11, 1 << 20
    assert first_flaw(game, states) == (
        "state 3 of tictactoe cannot be: marks: not as many of either side as taking turns makes"
    )
    assert first_flaw(game, jax.tree.map(lambda leaf: leaf[:3], states)) is None
    assert first_flaw(game, jax.tree.map(lambda leaf: leaf[:0], states)) is None
