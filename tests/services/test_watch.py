"""`cartridge play --watch`: games at random, by search and from a record, shown and saved."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from cartridge.games.tictactoe import TicTacToe
from cartridge.services.episodes import SelfGame
from cartridge.services.evaluation import Agent, evaluation_search


def groups(path: Path) -> int:
    return len(ElementTree.fromstring(path.read_text()).findall("{http://www.w3.org/2000/svg}g"))


def test_a_random_game_is_shown_and_saved_and_a_seed_repeats_it(cartridge, tmp_path) -> None:
    words = ("play", "leduc_poker", "--watch", "--seed", 5, "--save")
    first, second = cartridge(*words, tmp_path / "a.svg"), cartridge(*words, tmp_path / "b.svg")
    assert first.returncode == 0, first.stderr
    assert "leduc_poker: the start" in first.stdout
    moves = first.stdout.count("\nmove ")
    assert first.stdout.endswith(f"{moves} moves written to {tmp_path / 'a.svg'}\n")
    assert first.stdout.replace("a.svg", "b.svg") == second.stdout
    assert groups(tmp_path / "a.svg") == moves + 1
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_an_agent_is_watched_and_so_is_its_record(cartridge, small_run, tmp_path) -> None:
    live = cartridge("play", small_run, "--watch", "--simulations", 8, "--seed", 0)
    assert live.returncode == 0, live.stderr
    agent = Agent.load(small_run)
    episode = SelfGame(agent.game, agent.network, evaluation_search(agent.config.search, 8)).play(agent.params)
    record = tmp_path / "3.json"
    record.write_text(json.dumps(episode.to_json(TicTacToe(), 3)))
    again = cartridge("play", record, "--watch")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[1:] != []
    assert "weights version 3 against itself" in again.stdout
    moves = [line.partition(": ")[2] for line in live.stdout.splitlines() if line.startswith("move ")]
    assert moves == [line.partition(": ")[2] for line in again.stdout.splitlines() if line.startswith("move ")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kuhn_poker", "--watch", "--simulations", "8"], "hides information"),
        (["hex", "--watch", "--save", "game.gif"], "name a file that ends in .svg"),
        (["hex", "--watch", "--pause", "0"], "--pause is 0, expected more than 0"),
        (["hex", "--save", "game.svg"], "--save needs --watch"),
        (["hexx", "--watch"], "did you mean hex"),
    ],
)
def test_wrong_requests_are_explained(cartridge, words: list[str], message: str) -> None:
    asked = cartridge("play", *words)
    assert asked.returncode == 2
    assert message in asked.stderr


def test_a_file_that_is_no_record_is_refused(cartridge, tmp_path) -> None:
    strange = tmp_path / "strange.json"
    strange.write_text("[]")
    asked = cartridge("play", strange, "--watch")
    assert asked.returncode == 2
    assert "is no record of an episode" in asked.stderr
