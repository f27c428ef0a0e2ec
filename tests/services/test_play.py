"""`cartridge play`: whole games typed into it, commands, wrong input, leaving at any moment."""

import argparse
import io
import signal
import subprocess
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from cartridge.actor.search import SearchResult
from cartridge.engine.transition import EngineState, legal_actions
from cartridge.games.cartpole import CartPole
from cartridge.games.tictactoe import TicTacToe
from cartridge.services import play_command
from cartridge.services.evaluation import EvaluationError
from cartridge.services.play_command import Sitting, Thinker
from jax import Array
from rich.console import Console

GAME = TicTacToe()


def first_free(states: EngineState[Any], key: Array) -> SearchResult:
    """Takes the first free cell, and says so."""
    del key
    legal = jax.vmap(lambda state: legal_actions(GAME, state))(states)
    action = jnp.argmax(legal, axis=1).astype(jnp.int32)
    return SearchResult(action, jax.nn.one_hot(action, 9), jnp.full((1,), 0.5), jnp.zeros((1,)))


def sit(monkeypatch: pytest.MonkeyPatch, lines: list[str], seat: int = 0) -> str:
    """What the terminal shows when `lines` are typed against `first_free`."""
    typed = iter(lines)
    monkeypatch.setattr("builtins.input", lambda *prompt: next(typed))
    shown = io.StringIO()
    console = Console(file=shown, width=100, highlight=False)
    Sitting(GAME, Thinker("the other", GAME, first_free), seat, 0, console).play()
    assert next(typed, None) is None, "everything that was typed was read"
    return shown.getvalue()


def parse(*words: str | Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    play_command.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_a_game_won(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = sit(monkeypatch, ["c3", "b2", "a1"])  # the other takes a3 and b3
    assert "You are first, against the other." in shown
    assert "the other plays a3, value +0.50 (winning)" in shown
    assert "  a3 " + "█" * 30 + " 100%" in shown
    assert shown.endswith("3 O O X\n2 . X .\n1 X . .\n  a b c\nYou win.\n")


def test_a_game_lost_from_the_second_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = sit(monkeypatch, ["a1", "a2"], seat=1)  # the other takes a3, b3, c3
    assert "You are second" in shown
    assert shown.endswith("3 X X X\n2 O . .\n1 O . .\n  a b c\nYou lose.\n")


def test_undo_takes_back_both_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = sit(monkeypatch, ["undo", "b2", "undo", "c3", "b2", "a1"])
    assert "nothing to undo yet" in shown
    assert shown.endswith("You win.\n")


def test_hint_and_help_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = sit(monkeypatch, ["hint", "help", "", "quit"])
    assert "in your place I would play a3, value +0.50 (winning)" in shown
    assert shown.count("a move, such as") == 3
    assert shown.endswith("left the game\n")


def test_wrong_input_says_what_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = sit(monkeypatch, ["b2", "b2", "z9", "[bold]", "quit"])
    assert "'b2' cannot be played here; there is b3 c3 a2 c2 a1 b1 c1" in shown
    assert "'z9' is no cell; write a column a-c and a row 1-3, such as b2 (or help)" in shown
    assert "'[bold]' is no cell" in shown


def test_a_game_for_one_player_is_played_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cart that is always pushed left falls over within eleven moves, each of which earns 1."""
    typed = iter(["left", "undo", "hint", *["left"] * 11])
    monkeypatch.setattr("builtins.input", lambda *prompt: next(typed))
    shown = io.StringIO()
    Sitting(CartPole(), None, 1, 0, Console(file=shown, width=100, highlight=False)).play()
    text = shown.getvalue()
    assert "or: undo, help, quit" in text
    assert "against" not in text
    moves = int(text.rpartition("over after ")[2].split()[0])
    assert 7 < moves < 12
    assert f"earned so far: {moves}\n" in text


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["conect4"], "neither the folder of a run nor a game: no game 'conect4': did you mean connect4"),
        (["tictactoe", "--version", "3"], "--version needs the folder of a run"),
        (["tictactoe", "--simulations", "0"], "--simulations is 0, expected 1 to 100000"),
        (["2048", "--simulations", "9"], "--version and --simulations are an opponent's; 2048 is played alone"),
        (["2048", "--version", "3"], "--version and --simulations are an opponent's"),
    ],
)
def test_what_cannot_be_played_is_refused(words: list[str], problem: str) -> None:
    with pytest.raises(EvaluationError, match=problem):
        play_command.run(parse(*words))


def test_a_real_process_plays_a_run(command: list[str], environment: dict[str, str], small_run: Path) -> None:
    """Every cell is typed in turn, so the game ends whatever the agent does."""
    cells = "".join(f"{column}{row_}\n" for column in "abc" for row_ in (1, 2, 3))
    words = [*command, "play", str(small_run), "--simulations", "4", "--seat", "random", "--seed", "1"]
    done = subprocess.run(words, input=cells, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "against small (version 3, 4 simulations)" in done.stdout
    assert any(verdict in done.stdout for verdict in ("You win.", "You lose.", "A draw."))
    assert "Traceback" not in done.stderr


def test_a_real_process_is_left_by_the_end_of_input_and_by_ctrl_c(
    command: list[str], environment: dict[str, str]
) -> None:
    words = [*command, "play", "tictactoe", "--simulations", "8", "--seat", "first"]
    ended = subprocess.run(words, input="b2\n", env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "against tree search with 8 random playouts" in ended.stdout
    assert ended.stdout.endswith("left the game\n")

    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "  a b c" in line:  # the board is drawn, a move is awaited
                break
        process.send_signal(signal.SIGINT)
        try:
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert rest.endswith("left the game\n")
