"""A run's folder: created once, weights whole or not there, the pointer always true."""

import json

import pytest
import torch
from cartridge import make_game
from cartridge.engine.spec import NetworkSpec, SpecError
from cartridge.learner import publish
from cartridge.services.run_directory import RunDirectory, RunError

GAME = make_game("tictactoe").spec


def weights(version: int, game=GAME):
    tensors = {"policy.kernel": torch.full((2, 2), float(version))}
    return publish.export(
        tensors,
        version=version,
        learner_step=version,
        game=game,
        network=NetworkSpec(),
        seed=0,
        config_hash="",
        created_at="now",
    )


@pytest.fixture
def directory(tmp_path) -> RunDirectory:
    run = RunDirectory.create(tmp_path / "run", {"config": {}})
    for version in (1, 2, 3):
        run.publish(*weights(version))
    return run


def test_a_second_run_is_refused(directory) -> None:
    with pytest.raises(RunError, match="--resume"):
        RunDirectory.create(directory.root, {})


def test_a_folder_with_other_things_is_refused(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        RunDirectory.create(tmp_path, {})


def test_the_newest_whole_version_is_read(directory) -> None:
    assert directory.load_weights(GAME)[1].version == 3
    (directory.weights / "3" / "weights.safetensors").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="damaged"):
        assert directory.load_weights(GAME)[1].version == 2
    with pytest.raises(SpecError, match="sha256"):
        directory.load_weights(GAME, version=3)


def test_a_version_without_manifest_is_not_there(directory) -> None:
    (directory.weights / "3" / "MANIFEST.json").unlink()
    assert directory.versions() == [1, 2]


def test_weights_of_another_game_are_refused(directory) -> None:
    other = make_game("connect4").spec
    with pytest.raises(SpecError, match="rules"):
        directory.load_weights(other, version=1)


def test_forgetting_moves_the_pointer_first(directory) -> None:
    directory.forget_versions_after(1)
    assert directory.versions() == [1]
    assert json.loads((directory.weights / "latest.json").read_text())["version"] == 1
    directory.forget_versions_after(0)
    assert not (directory.weights / "latest.json").exists()
    with pytest.raises(RunError, match="no usable weights"):
        directory.load_weights(GAME)
