"""Games are found by id, with options, and from other packages by their entry point."""

import pathlib
import sys

import cartridge
import pytest
from cartridge.games.tictactoe import TicTacToe
from cartridge.registry import UnknownGameError, parse_env_id


def test_built_in_games_are_listed_and_made() -> None:
    assert {"connect4", "tictactoe"} <= set(cartridge.list_games())
    assert isinstance(cartridge.make_game("tictactoe"), TicTacToe)


def test_a_wrong_name_brings_the_nearest() -> None:
    with pytest.raises(UnknownGameError, match="no game 'conect4': did you mean connect4"):
        cartridge.make_game("conect4")
    with pytest.raises(UnknownGameError, match=r"there are .*connect4, .*tictactoe"):
        cartridge.make_game("qqq")


def test_options_are_read_and_wrong_ones_named() -> None:
    assert parse_env_id("hex:swap=1,size=7") == ("hex", {"swap": "1", "size": "7"})
    assert parse_env_id("hex") == ("hex", {})
    for text in ("hex:swap", "hex:=1", "hex:a b=1"):
        with pytest.raises(ValueError, match=r"is no option; write it as key=value"):
            parse_env_id(text)
    with pytest.raises(ValueError, match=r"'tictactoe:swap=1': tictactoe does not take the options \['swap'\]"):
        cartridge.make_game("tictactoe:swap=1")


def test_a_package_outside_adds_a_game(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = tmp_path / "outside-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[cartridge.games]\nours = outside_game:Ours\ntictactoe = nothing:No\n")
    (tmp_path / "outside_game.py").write_text(
        "from cartridge.games.tictactoe import TicTacToe\n\nclass Ours(TicTacToe):\n"
        "    def __init__(self, size='3'):\n        self.size = size\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert cartridge.list_games().count("ours") == cartridge.list_games().count("tictactoe") == 1
    assert "outside_game" not in sys.modules  # listing loads no game
    assert vars(cartridge.make_game("ours:size=4")) == {"size": "4"}
    assert isinstance(cartridge.make_game("tictactoe"), TicTacToe)  # a built-in id cannot be taken over
    assert cartridge.make("ours", 2, output="numpy").step([0, 1]).reward.shape == (2, 2)
