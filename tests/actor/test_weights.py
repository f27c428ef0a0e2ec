"""Weights are loaded whole, for this game and this network, or not at all."""

import dataclasses
import hashlib
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.flax
from cartridge.actor.network import Network, Params, apply, build, init_params
from cartridge.actor.weights import load
from cartridge.engine.spec import NetworkSpec, SpecError, WeightsManifest
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe
from jax import Array

GAME, SPEC = TicTacToe.spec, NetworkSpec(width=8, blocks=1)
NETWORK: Network = build(GAME, SPEC)


@cache
def params() -> Params:
    return jax.jit(lambda: init_params(NETWORK, GAME, jax.random.PRNGKey(0)))()


def flat() -> dict[str, Array]:
    return {f"{layer}.{name}": leaf for layer, group in params().items() for name, leaf in group.items()}


def published(tensors: dict[str, Array]) -> tuple[bytes, WeightsManifest]:
    """Bytes and a manifest that vouches for them, whatever they are."""
    data = safetensors.flax.save(tensors)
    described = {name: {"shape": list(leaf.shape), "dtype": str(leaf.dtype)} for name, leaf in tensors.items()}
    sha256 = hashlib.sha256(data).hexdigest()
    return data, WeightsManifest(3, 10, GAME.env_id, GAME.fingerprint(), SPEC, described, sha256, "now", "0", 0)


def test_what_is_saved_is_loaded() -> None:
    data, manifest = published(flat())
    loaded = load(data, manifest, GAME, NETWORK)
    jax.tree.map(np.testing.assert_array_equal, dict(loaded), dict(params()))
    observation = jax.random.uniform(jax.random.PRNGKey(1), (2, *GAME.observation_shape))
    np.testing.assert_array_equal(apply(NETWORK, loaded, observation)[0], apply(NETWORK, params(), observation)[0])


def test_arrays_are_independent() -> None:
    """No two loads share memory: one may be donated while the other plays."""
    data, manifest = published(flat())
    first, second = load(data, manifest, GAME, NETWORK), load(data, manifest, GAME, NETWORK)
    places = [leaf.unsafe_buffer_pointer() for tree in (first, second) for leaf in jax.tree.leaves(tree)]
    assert len(set(places)) == len(places)
    jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf * 0, tree), donate_argnums=0)(first)
    jax.tree.map(np.testing.assert_array_equal, dict(second), dict(params()))


def test_damaged_bytes_are_refused() -> None:
    data, manifest = published(flat())
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(SpecError, match="version 3 are damaged"):
        load(damaged, manifest, GAME, NETWORK)


def test_another_game_is_refused() -> None:
    data, manifest = published(flat())
    with pytest.raises(SpecError, match=r"for tictactoe .* this is connect4"):
        load(data, manifest, Connect4.spec, NETWORK)
    other_rules = dataclasses.replace(GAME, version="2.0.0")
    with pytest.raises(SpecError, match="with rules"):
        load(data, manifest, other_rules, NETWORK)


def test_another_network_is_refused() -> None:
    data, manifest = published(flat())
    with pytest.raises(SpecError, match=r"width=8.*the actor has.*width=9"):
        load(data, manifest, GAME, build(GAME, NetworkSpec(width=9, blocks=1)))


def test_missing_additional_and_misshaped_tensors_are_refused() -> None:
    missing = {name: leaf for name, leaf in flat().items() if name != "policy.bias"}
    with pytest.raises(SpecError, match=r"policy.*bias.* is None, expected \(9,\)"):
        load(*published(missing), GAME, NETWORK)
    with pytest.raises(SpecError, match=r"extra.*kernel.* is \(2,\), expected None"):
        load(*published(flat() | {"extra.kernel": jnp.zeros((2,))}), GAME, NETWORK)
    with pytest.raises(SpecError, match=r"norm.*scale.* is \(7,\), expected \(8,\)"):
        load(*published(flat() | {"norm.scale": jnp.zeros((7,))}), GAME, NETWORK)


def test_manifest_survives_its_text() -> None:
    _, manifest = published(flat())
    assert WeightsManifest.from_json(manifest.to_json()) == manifest
    with pytest.raises(SpecError, match="no weights manifest"):
        WeightsManifest.from_json('{"version": 1}')
