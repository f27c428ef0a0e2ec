"""Published bytes are a copy, described by a manifest that finds every flaw."""

import dataclasses
import hashlib

import pytest
import safetensors.torch
import torch
from cartridge.engine.spec import NetworkSpec, SpecError, WeightsManifest
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe
from cartridge.learner.network import Network
from cartridge.learner.publish import export

GAME, SPEC = TicTacToe.spec, NetworkSpec(width=8, blocks=1)


def publish(network: Network) -> tuple[bytes, WeightsManifest]:
    return export(
        network.state_dict(),
        version=4,
        learner_step=120,
        game=GAME,
        network=SPEC,
        seed=7,
        config_hash="c0ffee",
        created_at="2024-01-01T00:00:00Z",
    )


def test_bytes_do_not_follow_the_network() -> None:
    network = Network(GAME, SPEC)
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    data, manifest = publish(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert hashlib.sha256(data).hexdigest() == manifest.sha256
    loaded = safetensors.torch.load(data)
    assert loaded.keys() == kept.keys()
    assert all(torch.equal(loaded[name], kept[name]) for name in kept)


def test_manifest_describes_the_tensors() -> None:
    data, manifest = publish(Network(GAME, SPEC))
    loaded = safetensors.torch.load(data)
    assert {name: tuple(about["shape"]) for name, about in manifest.tensors.items()} == {
        name: tuple(tensor.shape) for name, tensor in loaded.items()
    }
    assert {about["dtype"] for about in manifest.tensors.values()} == {"float32"}
    assert manifest.spec_fingerprint == GAME.fingerprint()
    assert WeightsManifest.from_json(manifest.to_json()) == manifest
    manifest.check(data, GAME)


def test_flaws_are_named() -> None:
    data, manifest = publish(Network(GAME, SPEC))
    with pytest.raises(SpecError, match="version 4 are damaged"):
        manifest.check(data[:-4], GAME)
    with pytest.raises(SpecError, match=r"version 4 are for tictactoe .* this is connect4"):
        manifest.check(data, Connect4.spec)
    with pytest.raises(SpecError, match="damaged"):
        dataclasses.replace(manifest, sha256="0" * 64).check(data, GAME)
    with pytest.raises(SpecError, match="no weights manifest"):
        WeightsManifest.from_json(manifest.to_json().replace('"seed"', '"sad"'))
    with pytest.raises(SpecError, match="no weights manifest"):
        WeightsManifest.from_json("not json")
