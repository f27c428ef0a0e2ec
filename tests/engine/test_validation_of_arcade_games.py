"""States of the games with chance or without an opponent: what play reaches is let in, what cannot be is refused by
name, and what is let in plays on.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge import make_game
from cartridge.engine import batch, bits, codec
from cartridge.engine.transition import EngineState, legal_words, transition
from cartridge.engine.validation import first_flaw, held

State = EngineState[Any]

GAMES = {  # and a number of moves within which games end, however they are played at random
    "backgammon": 5000,
    "breakout": 1000,
    "asterix": 1000,
    "freeway": 2500,
    "space_invaders": 1000,
    "seaquest": 5000,
    "snake": 4000,
    "cartpole": 500,
}
ROWS, MOVES = 32, 128  # games, and moves of a call
SIZE = ROWS * MOVES  # of the batches that claims are asked of, so that they are compiled once
OVER = np.uint32(1 << 31)  # of the meta word


@functools.cache
def compiled(env_id: str) -> tuple[Any, Callable[[int], State], Callable[[State, Any], Any]]:
    """(game, start from a seed, random legal moves by words u32[MOVES, ROWS]), shared by all tests.

    Moves give (the last states, all states [MOVES, ROWS, ...], rewards f32[MOVES, ROWS, 1 or 2], whether there was a
    move to make bool[MOVES, ROWS]).
    """
    game: Any = make_game(env_id)

    def move(state: State, random: Any) -> Any:
        legal = legal_words(game, state)
        moved = transition(game, state, bits.random_member(legal, random))
        return moved.state, moved.reward, bits.count(legal) > 0

    def move_all(states: State, random: Any) -> Any:
        moved, *told = jax.vmap(move)(states, random)
        return moved, (moved, *told)

    start = jax.jit(lambda seed: batch.init(game, seed, ROWS)[0])
    return game, start, jax.jit(lambda states, random: jax.lax.scan(move_all, states, random))


def played_to_the_end(env_id: str, states: State, seed: int) -> np.ndarray:
    """u32[N, W], the states on the way and in the end, none of which may have a flaw."""
    game, _, moves = compiled(env_id)
    random, seen = np.random.default_rng(seed), []
    while not np.asarray(states.over).all():
        assert len(seen) * MOVES < GAMES[env_id], f"games go on after {len(seen) * MOVES} moves"
        words = jnp.asarray(random.integers(1 << 32, size=(MOVES, ROWS)), jnp.uint32)
        states, (reached, reward, could_move) = moves(states, words)
        assert np.asarray(could_move).all()
        assert np.isfinite(np.asarray(reward)).all()
        flat = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(SIZE), reached)
        assert first_flaw(game, flat) is None
        seen.append(codec.pack_state(flat))
    return np.concatenate(seen)


@functools.cache
def some_play(env_id: str) -> np.ndarray:
    """u32[N, W], states of games played at random, each once."""
    states = compiled(env_id)[1](0)
    words = codec.pack_state(states)
    assert flaw_of(env_id, np.resize(words, (SIZE, words.shape[1]))) is None
    return np.unique(played_to_the_end(env_id, states, seed=0), axis=0)


def unpacked(env_id: str, words: np.ndarray) -> State:
    """`codec.unpack_state` without its questions; every leaf of these games is one word."""
    _, structure = jax.tree.flatten(compiled(env_id)[1](0))
    return jax.tree.unflatten(structure, list(np.ascontiguousarray(words.T)))


def flaw_of(env_id: str, words: np.ndarray) -> str | None:
    return first_flaw(compiled(env_id)[0], unpacked(env_id, words))


def num_own_words(env_id: str) -> int:
    """Of a state, without its key; the last is the meta word."""
    spec = make_game(env_id).spec
    return spec.state_bytes // 4 - 2 * spec.stochastic


@pytest.mark.parametrize("env_id", GAMES)
def test_what_play_reaches_is_let_in(env_id: str) -> None:
    over = some_play(env_id)[:, num_own_words(env_id) - 1] >= OVER
    assert over.sum() >= ROWS
    assert (~over).sum() >= ROWS


@pytest.mark.parametrize("env_id", GAMES)
def test_what_is_let_in_plays_on(env_id: str) -> None:
    """Up to three bits of states in mid-game and in the end are flipped; many of those that pass are played on."""
    game, random = compiled(env_id)[0], np.random.default_rng(1)
    every, own = some_play(env_id), num_own_words(env_id)
    words = every[random.integers(len(every), size=SIZE)]
    for _ in range(3):
        bit = np.uint32(1) << random.integers(32, size=SIZE, dtype=np.uint32)
        words[np.arange(SIZE), random.integers(own, size=SIZE)] ^= bit * (random.random(SIZE) < 0.6)
    sound = functools.reduce(np.logical_and, held(game, unpacked(env_id, words)).values())
    live = words[sound & (words[:, own - 1] < OVER)]
    assert len(live) >= ROWS
    for begin in range(0, min(len(live) - ROWS, 8 * ROWS) + 1, ROWS):
        played_to_the_end(env_id, unpacked(env_id, live[begin : begin + ROWS]), seed=2)


def backgammon(white: Mapping[int, int], black: Mapping[int, int], turn: int = 0o112) -> dict[str, int]:
    """A board by the number of checkers on each place; a turn's octal digits: Black's, smaller die, times, die."""
    words = {"turn": turn, "black": sum(1 << place for place in black)}
    for power, name in enumerate(("ones", "twos", "fours", "eights")):
        words[name] = sum((number >> power & 1) << place for place, number in [*white.items(), *black.items()])
    return words


def submarine(row: int = 1, column: int = 5, right: int = 1, oxygen: int = 100, swim: int = 0, **more: int) -> int:
    """Seaquest's player."""
    rest = (more.get("aboard", 0) << 17) | (more.get("level", 0) << 20) | (more.get("reload", 0) << 24)
    return row | column << 4 | right << 8 | oxygen << 9 | rest | swim << 27


def places(head: int = 54, tail: int = 52, food: int = 0, direction: int = 1) -> int:
    """Snake's, as at its start."""
    return head | tail << 7 | food << 14 | direction << 21


def joined(right: set[int], down: set[int]) -> dict[str, int]:
    """Snake's joints, by the cells where they begin."""
    boards = {"right": sum(1 << cell for cell in right), "down": sum(1 << cell for cell in down)}
    words = [(name, index) for name in boards for index in range(4)]
    return {f"{name}[{index}]": boards[name] >> 32 * index & 0xFFFFFFFF for name, index in words}


def word(number: float) -> int:
    return int(np.float32(number).view(np.uint32))


HOME, THEIR_HOME = dict.fromkeys(range(1, 7), 2), dict.fromkeys(range(19, 25), 2)
FEW = ({6: 5}, {19: 5})
STRAIGHT = {52, 53}
TO_RIGHT, AT_ENDS = {cell for cell in range(100) if cell % 10 < 9}, {9, 10, 29, 30, 49, 50, 69, 70, 89}
FULL = {**joined(TO_RIGHT, AT_ENDS), "places": places(head=90, tail=0, food=127, direction=3)}

# A game's start, as far as it is not zero: in what follows only what is different is said.
STARTS: dict[str, dict[str, int]] = {
    "backgammon": backgammon(*FEW),
    "breakout": {"bricks": (1 << 30) - 1, "ball": 0x243030},  # direction, paddle; row and column before and now
    "asterix": {"player": 0x06505A55},  # to rise, risen, to move, to spawn, row, column
    "freeway": {"waits": 0x11111111, "speeds": 0x11111111, "chicken": 0x39},
    # faster, to shoot, to move, way, left, top; bullet, old shot, shot, loading, column
    "space_invaders": {"aliens": 0xFFFFFF, "fleet": 0x0AC070, "cannon": 0xFFFFFF05},
    "seaquest": {"player": submarine(), "sea": 0xFF},
    "snake": {**joined(STRAIGHT, set()), "places": places()},
    "cartpole": {},
}

IMPOSSIBLE: dict[str, list[tuple[str, dict[str, int]]]] = {
    "backgammon": [
        ("ones, twos, fours, eights: bits beyond", backgammon({6: 5, 26: 1}, {19: 5})),
        ("ones, twos, fours, eights: more than fifteen", backgammon({6: 8, 5: 8}, {19: 5})),
        ("ones, twos, fours, eights: more than fifteen", backgammon({6: 8}, {19: 15, 0: 1})),
        ("ones, twos, fours, eights: both sides wait", backgammon({25: 1, **HOME}, {0: 3, **THEIR_HOME})),
        ("black: bits on empty", {"black": 1 << 19 | 1 << 12}),
        ("black: a checker on the other", backgammon({6: 5, 0: 1}, {19: 5})),
        ("black: a checker on the other", backgammon({6: 5}, {19: 5, 25: 1})),
        ("turn: unused", backgammon(*FEW, turn=1 << 10 | 0o112)),
        *(("turn: dice that", backgammon(*FEW, turn=turn)) for turn in (0o17, 0o122, 0o211, 0o111, 0o52, 0o10, 0o2)),
        ("turn: no dice", backgammon(*FEW, turn=0)),
        ("turn: the player who does not", backgammon({6: 5}, {})),
        ("turn: the player who does not", backgammon({}, {19: 5}, turn=0o1112)),
        ("meta: the game goes on", backgammon({}, {19: 5})),
    ],
    "breakout": [
        ("bricks: bits", {"bricks": 1 << 30}),
        ("ball: unused", {"ball": 0xA43030}),
        *(("ball: it is, or was, beyond", {"ball": ball}) for ball in (0x24303A, 0x2490A0, 0x243A39, 0x249080)),
        ("ball: the paddle", {"ball": 0x2A3030}),
        ("ball: it has gone more", {"ball": 0x243032}),
        ("ball: it has gone more", {"ball": 0x245030}),
        ("ball: it has gone straight", {"ball": 0x243545}),
        ("ball: inside", {"ball": 0x646060}),
        ("meta: the game goes on", {"ball": 0x248090}),
    ],
    "asterix": [
        ("columns: a thing", {"columns": 0xA, "kinds": 1}),
        ("columns: a column", {"columns": 0x30}),
        ("kinds: none", {"kinds": 2}),
        ("kinds: none", {"kinds": 9}),
        ("kinds: gold", {"columns": 0x50000, "kinds": 0x50000}),
        *(("player: beyond", {"player": player}) for player in (0x06505A5A, 0x06505A05, 0x06505A95)),
        ("player: more rises", {"player": 0x065A0055}),
        ("player: the next thing", {"player": 0x06505B55}),
        ("player: the next thing", {"player": 0x06534855}),
        ("player: things move", {"player": 0x06506A55}),
        ("player: the next rise", {"player": 0x06605A55}),
        ("player: a rise after", {"player": 0x06491155}),
        ("meta: the game goes on", {"columns": 0x50000, "kinds": 0x10000}),
    ],
    "freeway": [
        ("columns: a car beyond", {"columns": 0xA}),
        ("columns: a car on", {"columns": 0x400, "chicken": 0x03}),
        ("waits: a car", {"waits": 0x11111112}),
        ("speeds: none", {"speeds": 0x11111110, "waits": 0x11111110}),
        ("speeds: none", {"speeds": 0x11111116}),
        ("chicken: beyond", {"chicken": 0x3A}),
        ("chicken: it rests", {"chicken": 0x49}),
        ("chicken: at the top", {"chicken": 0x00}),
    ],
    "space_invaders": [
        ("aliens: bits", {"aliens": 1 << 24 | 1}),
        ("aliens: none", {"aliens": 0}),
        ("fleet: unused", {"fleet": 0x0AC270}),
        ("fleet: unused", {"fleet": 0x10AC070}),
        ("fleet: an alien beyond", {"fleet": 0x0AC040}),
        ("fleet: an alien beyond", {"fleet": 0x0AC0A0}),
        ("fleet: an alien far", {"fleet": 0x0AC078}),
        ("fleet: faster", {"fleet": 0x7A5070}),
        ("fleet: it moves", {"fleet": 0x0AD070}),
        ("fleet: it moves", {"fleet": 0x2AB070}),
        ("fleet: it shoots", {"fleet": 0x0BC070}),
        ("cannon: beyond", {"cannon": 0xFFFFFF0A}),
        ("cannon: it loads", {"cannon": 0xFFFFFF55}),
        ("cannon: a shot", {"cannon": 0xFFFF8505}),
        ("cannon: a shot", {"cannon": 0xFFFF8A45}),
        ("cannon: an old", {"cannon": 0xFF35FF05}),
        ("cannon: a bullet", {"cannon": 0x05FFFF05}),
        ("cannon: a bullet", {"cannon": 0x45FFFF05, "fleet": 0x00C070}),
        ("meta: the game goes on though an alien", {"fleet": 0x0AC077}),
        ("meta: the game goes on though the cannon", {"cannon": 0x95FFFF05, "fleet": 0x00C070}),
    ],
    "seaquest": [
        *(
            (f"{name}: bits beyond", {f"{name}[{index}]": 1 << bit})
            for name in ("fish", "submarines", "enemy_bullets", "divers", "bullets_right", "bullets_left")
            for index, bit in enumerate((30, 31, 20))
        ),
        ("fish, submarines: two", {"fish[1]": 1, "submarines[1]": 1}),
        ("player: unused", {"player": 1 << 30 | submarine()}),
        ("player: a row", {"player": submarine(row=9)}),
        ("player: a column", {"player": submarine(column=0)}),
        ("player: a column", {"player": submarine(column=10)}),
        ("player: a column", {"player": submarine(column=9, right=0)}),
        ("player: more air", {"player": submarine(oxygen=161)}),
        ("player: all the air", {"player": submarine(oxygen=160)}),
        ("player: all the air", {"player": submarine(row=0)}),
        ("player: too many", {"player": submarine(aboard=7)}),
        ("player: harder", {"player": submarine(level=9)}),
        ("player: it reloads", {"player": submarine(reload=5)}),
        ("player: the enemies", {"player": submarine(swim=5)}),
        ("player: the enemies", {"player": submarine(swim=4, level=2)}),
        ("sea: unused", {"sea": 1 << 11}),
        ("meta: the game goes on without", {"player": submarine(oxygen=0)}),
        ("meta: the game goes on though", {"fish[0]": 1 << 5}),
        ("meta: the game goes on though", {"enemy_bullets[0]": 1 << 4}),
    ],
    "snake": [
        ("right: bits", joined({*STRAIGHT, 9}, set())),
        ("right: bits", joined({*STRAIGHT, 100}, set())),
        ("down: bits", joined(STRAIGHT, {90})),
        ("right, down: a cell joined", joined(STRAIGHT, {53})),
        ("right, down: a cell joined", joined(STRAIGHT, {53, 43})),
        ("right, down: a ring", joined({*STRAIGHT, 0, 10}, {0, 1})),
        ("right, down: fewer", {**joined({52}, set()), "places": places(53)}),
        ("places: unused", {"places": places() | 1 << 23}),
        ("places: head and tail", {"places": places(head=53)}),
        ("places: head and tail", {"places": places(tail=110)}),
        ("places: the head", {"places": places(direction=0)}),
        ("places: the head", {"places": places(direction=3)}),
        ("places: food", {"places": places(food=53)}),
        ("places: food", {"places": places(food=100)}),
        ("places: no food", {"places": places(food=127)}),
        ("meta: the game goes on", FULL),
    ],
    "cartpole": [
        *(("position: not", {"position": word(number)}) for number in (9.0, -np.inf, np.nan)),
        *(("velocity: not", {"velocity": word(number)}) for number in (250.5, -np.inf, np.nan)),
        *(("angle: not", {"angle": word(number)}) for number in (-2.0, np.inf, np.nan)),
        *(("spin: not", {"spin": word(number)}) for number in (-25.5, np.inf, np.nan)),
        ("meta: the game goes on though the cart", {"position": word(2.5)}),
        ("meta: the game goes on though the pole", {"angle": word(-0.25)}),
    ],
}


@pytest.mark.parametrize("env_id", IMPOSSIBLE)
def test_what_cannot_be_is_refused(env_id: str) -> None:
    """By the name of the field; and no claim of a game is left that nothing was refused for."""
    game, start, _ = compiled(env_id)
    refused = set()
    for said, different in [("", {}), *IMPOSSIBLE[env_id]]:
        flaw = flaw_of(env_id, from_words(env_id, STARTS[env_id] | different))
        assert (flaw is None) == (said == ""), (said, flaw)
        assert said in (flaw or "")
        refused.add(said)
    claims = jax.eval_shape(game.invariants, jax.tree.map(lambda leaf: leaf[0], start(0).game))
    assert all(any(said and claim.startswith(said) for said in refused) for claim in claims)


def from_words(env_id: str, values: Mapping[str, int]) -> np.ndarray:
    """u32[SIZE, W], one state again and again, by the names of its words; zero for those that are left out."""
    leaves = jax.tree_util.tree_leaves_with_path(compiled(env_id)[1](0))
    names = [jax.tree_util.keystr(path).removeprefix(".game").removeprefix(".") for path, _ in leaves]
    assert values.keys() <= set(names)
    return np.tile(np.array([values.get(name, 0) for name in names], np.uint32), (SIZE, 1))


def test_what_is_over_may_be_what_a_live_game_cannot() -> None:
    """The snake fills the board when it has won."""
    assert flaw_of("snake", from_words("snake", FULL)) == (
        "state 0 of snake cannot be: meta: the game goes on though nothing is left to eat"
    )
    assert flaw_of("snake", from_words("snake", {**FULL, "meta": int(OVER) | 97})) is None
