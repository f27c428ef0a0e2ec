"""Go: whole games beside OpenSpiel and pgx, repetition, and positions every player knows."""

import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest
from cartridge import make_game
from cartridge.engine import batch, bits
from cartridge.engine.keys import zero_key
from cartridge.games.go import GoState

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a package we do not own
    import pgx

GAME: Any = make_game("go9x9")
STEP = jax.jit(lambda state, action: GAME.step(state, action, zero_key()))
LEGAL = jax.jit(lambda state: bits.unpack(GAME.legal_words(state), GAME.spec.num_actions))


@functools.cache
def compiled(env_id: str) -> tuple[Any, Any]:
    """(first batch of a number of games, step without reset), shared by the tests that play whole games."""
    game: Any = make_game(env_id)
    step = jax.jit(functools.partial(batch.step, game, autoreset="disabled"))
    return jax.jit(functools.partial(batch.init, game, 0), static_argnums=0), lambda *given: jax.tree.map(
        np.asarray, step(*given)
    )


RESULTS = {"black": [1.0, -1.0], "white": [-1.0, 1.0], "draw": [0.0, 0.0]}


def played(state: GoState, moves: str) -> Any:
    """The step after `moves`, such as "C3 pass", each of which must be legal."""
    step: Any = None
    for move in moves.split():
        action = GAME.parse_action(move)
        assert LEGAL(state)[action], move
        step = STEP(state, jnp.int32(action))
        state = step.state
    return step


def position(picture: str) -> GoState:
    """Stones X and O put down as pictured from the top, in turns; who has none left passes. Black is to move."""
    rows = [line.split() for line in picture.strip().splitlines()]
    sides = [
        [9 * y + x for y, row in enumerate(rows) for x, mark in enumerate(row) if mark == colour] for colour in "XO"
    ]
    state = GAME.init(zero_key())
    for number in range(max(map(len, sides))):
        for side in sides:
            state = STEP(state, jnp.int32(side[number] if number < len(side) else 81)).state
    assert GAME.text(state).splitlines()[: len(rows)] == [f"{9 - y:>2} " + " ".join(row) for y, row in enumerate(rows)]
    return state


def is_legal(state: GoState, move: str) -> bool:
    return bool(LEGAL(state)[GAME.parse_action(move)])


def rows_of(state: GoState) -> list[str]:
    return [line[3:] for line in GAME.text(state).splitlines()[:-1]]


EMPTY = ". . . . . . . . .\n"
SINGLE_KO = """
. . . . . . . . .
. . X O . . . . .
. X O . O . . . .
. . X O . . . . .
"""


def test_ko_bans_taking_back_at_once_and_not_later() -> None:
    taken = played(position(SINGLE_KO), "D7").state
    assert rows_of(taken)[2] == ". X . X O . . . ."
    assert not is_legal(taken, "C7")
    assert is_legal(played(taken, "J1 J2").state, "C7")
    back = played(taken, "J1 J2 C7").state
    assert rows_of(back)[2] == ". X O . O . . . ."
    assert not is_legal(back, "D7")


def test_a_pass_lifts_the_ban() -> None:
    assert is_legal(played(position(SINGLE_KO), "D7 pass pass").state, "C7")


def test_two_stones_may_be_taken_back_at_once() -> None:
    state = position(". O O X . . . . .\nX X O X . . . . .\nO O O X . . . . .\nX X X X . . . . .")
    taken = played(state, "pass A9").state
    assert rows_of(taken)[:3] == ["O O O X . . . . .", ". . O X . . . . .", "O O O X . . . . ."]
    assert is_legal(taken, "A8")


def test_snapback() -> None:
    """White takes the stone A8, and with it stands in a chain of five whose one liberty is A8."""
    state = position(". O X . . . . . .\nX O X . . . . . .\nO O X . . . . . .\nX X X . . . . . .")
    taken = played(state, "pass A9").state
    assert rows_of(taken)[:2] == ["O O X . . . . . .", ". O X . . . . . ."]
    back = played(taken, "A8").state
    assert rows_of(back)[:4] == [". . X . . . . . .", "X . X . . . . . .", ". . X . . . . . .", "X X X . . . . . ."]


def test_suicide_of_several_stones_is_illegal_unless_it_takes() -> None:
    state = position("X . O . . . . . .\nX O . . . . . . .\nO . . . . . . . .")
    assert not is_legal(state, "B9")  # three black stones without a liberty
    assert is_legal(played(state, "pass").state, "B9")  # White takes two
    taking = position("X . O X . . . . .\nX O X . . . . . .\nO X . . . . . . .")
    step = played(taking, "B9")  # C9 and B8 have no other liberty
    assert rows_of(step.state)[:3] == ["X X . X . . . . .", "X . X . . . . . .", "O X . . . . . . ."]


def test_a_capture_frees_a_chain_far_from_the_new_stone() -> None:
    """Black's A2-C2 has the one liberty C3 until Black D1 takes A1-C1."""
    state = position(6 * EMPTY + "O O . . . . . . .\nX X X O . . . . .\nO O O . . . . . .")
    taken = played(state, "D1").state
    in_atari = [np.asarray(GAME.observe(board, jnp.int32(0)))[7, :3, 2].tolist() for board in (state, taken)]
    assert in_atari == [[1.0] * 3, [0.0] * 3]
    assert rows_of(played(taken, "C3").state)[7] == "X X X O . . . . ."


SEKI = """
X O . X . O X . .
X O X X X O X . .
X O O O O O X . .
X X X X X X X . .
"""
DAME = 9 * ". . . X . O . . .\n"


def area(text_rows: list[str]) -> int:
    """Black's points beyond White's, after Tromp and Taylor, point by point."""
    board = {(y, x): mark for y, row in enumerate(text_rows) for x, mark in enumerate(row.split())}
    near = {(y, x): [at for at in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)) if at in board] for y, x in board}
    lead = 0
    for point, mark in board.items():
        region, reached, todo = {point}, set(mark) - {"."}, [point] if mark == "." else []
        while todo:
            for at in near[todo.pop()]:
                if board[at] != ".":
                    reached.add(board[at])
                elif at not in region:
                    region.add(at)
                    todo.append(at)
        lead += (reached == {"X"}) - (reached == {"O"})
    return lead


@pytest.mark.parametrize(("picture", "counted"), [(SEKI, 70 - 9), (DAME, 0), (SINGLE_KO, None)])
def test_empty_points_that_reach_both_colours_belong_to_nobody(picture: str, counted: int | None) -> None:
    state = position(picture)
    lead = area(rows_of(state))
    assert counted in (None, lead)
    for komi, result in ((lead - 0.5, "black"), (lead, "draw"), (lead + 0.5, "white")):
        game: Any = make_game(f"go9x9:komi={komi:g}")
        over = game.step(STEP(state, jnp.int32(81)).state, jnp.int32(81), zero_key())
        assert over.terminated
        assert over.reward.tolist() == RESULTS[result]


def our_action(size: int, action: int) -> int:
    """OpenSpiel counts rows from the bottom, we and pgx from the top; the way back is the same."""
    row, column = divmod(action, size)
    return action if action == size * size else (size - 1 - row) * size + column


def play_beside_open_spiel(size: int, num_games: int, seed: int) -> tuple[int, int]:
    """Random games; returns how many moves were compared and how many games OpenSpiel ended by its superko rule.

    Two rules differ. There a move that repeats an earlier position is legal and ends the game as a draw: here the game
    goes on, and the comparison ends. There a game of 2 * size * size moves is scored, here it is cut.
    """
    begin, step = compiled(f"go{size}x{size}")
    states, seen = begin(num_games)
    rules = pyspiel.load_game(f"go(board_size={size},komi=7.5)")
    theirs: list[Any] = [rules.new_initial_state() for _ in range(num_games)]
    boards: list[set[bytes]] = [set() for _ in range(num_games)]
    random = np.random.default_rng(seed)
    live, moves, repeated = set(range(num_games)), 0, 0
    while live:
        actions = np.full(num_games, size * size, np.int32)
        for row in live:
            legal = sorted(our_action(size, action) for action in theirs[row].legal_actions())
            assert np.flatnonzero(seen.legal_actions[row]).tolist() == legal
            assert seen.player[row] == theirs[row].current_player()
            boards[row].add(stones(seen, row))
            actions[row] = random.choice(legal)
            theirs[row].apply_action(our_action(size, int(actions[row])))
        (states, seen), moves = step(states, actions), moves + len(live)
        for row in sorted(live):
            ended = bool(seen.terminated[row] | seen.truncated[row])
            if theirs[row].is_terminal() and not ended:
                assert stones(seen, row) in boards[row]
                assert theirs[row].returns() == [0.0, 0.0]
                repeated += 1
            assert ended <= theirs[row].is_terminal()
            assert seen.reward[row].tolist() == (theirs[row].returns() if seen.terminated[row] else [0.0, 0.0])
            if theirs[row].is_terminal():
                live.remove(row)
    return moves, repeated


def stones(seen: Any, row: int) -> bytes:
    """The board, whoever looks at it."""
    own, other = np.moveaxis(seen.observation[row, ..., :2], -1, 0)
    return (own - other if seen.player[row] == 0 else other - own).tobytes()


@pytest.mark.parametrize(
    ("size", "num_games"),
    [(9, 32), (19, 3), *(pytest.param(size, 10_000, marks=pytest.mark.long) for size in (9, 19))],
)
def test_random_games_go_as_open_spiels(size: int, num_games: int) -> None:
    moves, repeated = play_beside_open_spiel(size, num_games, seed=0)
    assert moves > num_games * size * size
    assert repeated < num_games / 10


SEND_TWO = "pass B9 A8 C8 B8 D9 pass A9 C9"  # White sends B9 and A9, Black takes both; White may not take C9 with B9


def test_superko_bans_what_open_spiel_ends_the_game_for() -> None:
    """Sending two stones to get one back, then random moves in the corner. OpenSpiel is asked about every move."""
    num_games, banned = 8, 0
    begin, step = compiled("go9x9:superko=1")
    states, seen = begin(num_games)
    rules = pyspiel.load_game("go(board_size=9,komi=7.5)")
    theirs: list[Any] = [rules.new_initial_state() for _ in range(num_games)]
    random, opening = np.random.default_rng(1), SEND_TWO.split()
    for number in range(50):
        actions = np.full(num_games, 81, np.int32)
        for row, their in enumerate(theirs):
            if their.is_terminal():
                continue
            allowed = []
            for action in their.legal_actions():
                child = their.clone()
                child.apply_action(action)
                if action != 81 and child.is_terminal() and child.returns() == [0.0, 0.0]:
                    banned += 1
                else:
                    allowed.append(our_action(9, action))
            assert np.flatnonzero(seen.legal_actions[row]).tolist() == sorted(allowed)
            near = [action for action in (0, 1, 2) if action in allowed]
            actions[row] = random.choice(near or allowed)
            if number < len(opening):
                actions[row] = GAME.parse_action(opening[number])
            their.apply_action(our_action(9, int(actions[row])))
        states, seen = step(states, actions)
        assert states.over.tolist() == [their.is_terminal() for their in theirs]
    assert banned >= num_games


def test_random_games_go_as_pgxs() -> None:
    """pgx too knows repetition only as an end of the game (whoever repeats loses), and scores a game that we cut."""
    num_games = 32
    theirs = pgx.make("go_9x9")
    with jax.numpy_rank_promotion("allow"):
        their = jax.jit(jax.vmap(theirs.init))(jax.random.split(jax.random.PRNGKey(0), num_games))
        go = jax.jit(jax.vmap(theirs.step))
    first = np.asarray(their.current_player)  # pgx draws which of its players is Black
    begin, step = compiled("go9x9")
    states, seen = begin(num_games)
    random, live = np.random.default_rng(2), np.ones(num_games, bool)
    while live.any():
        planes = np.asarray(their.observation)[..., [0, 1, 16]].astype(np.float32)  # own, other, whether White
        np.testing.assert_array_equal(np.asarray(seen.observation)[live][..., [0, 1, 4]], planes[live])
        legal = np.asarray(their.legal_action_mask)
        np.testing.assert_array_equal(np.asarray(seen.legal_actions)[live], legal[live])
        actions = np.array([random.choice(np.flatnonzero(row)) for row in legal], np.int32)
        states, seen = step(states, actions)
        with jax.numpy_rank_promotion("allow"):
            their = go(their, actions)
        ended = np.asarray(seen.terminated | seen.truncated)
        assert (ended <= np.asarray(their.terminated))[live].all()
        finished = live & np.asarray(seen.terminated)
        black = np.asarray(their.rewards)[np.arange(num_games), first]
        np.testing.assert_array_equal(np.asarray(seen.reward)[finished, 0], black[finished])
        live &= ~np.asarray(their.terminated)


def test_text_picture_and_names() -> None:
    state = played(GAME.init(zero_key()), "E5 J1 A9").state
    assert GAME.text(state).splitlines()[0] == " 9 X . . . . . . . ."
    assert GAME.text(state).splitlines()[-2:] == [" 1 . . . . . . . . O", "   A B C D E F G H J"]
    picture = GAME.draw(state)
    assert picture.count('class="p0"') == 2
    assert picture.count('class="p1"') == 1
    large: Any = make_game("go19x19")
    assert [large.action_label(action) for action in (0, 18, 342, 360, 361)] == ["A19", "T19", "A1", "T1", "pass"]
    with pytest.raises(ValueError, match="'I5' is no move; write a column A-J"):
        GAME.parse_action("I5")


def test_options_are_checked_and_named_in_the_spec() -> None:
    assert make_game("go9x9:komi=7.5").spec == make_game("go9x9").spec
    assert make_game("go9x9:superko=1,komi=5").spec.options == (("komi", "5"), ("superko", "1"))
    for options in ("komi=7.3", "komi=much", "superko=2"):
        with pytest.raises(ValueError, match="expected"):
            make_game(f"go9x9:{options}")
