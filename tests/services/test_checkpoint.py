"""Checkpoints are committed whole; a damaged newest one is skipped."""

import jax.numpy as jnp
import pytest
import torch
from cartridge.services import checkpoint
from cartridge.services.checkpoint import CheckpointError

TREE = {"ring": jnp.arange(6, dtype=jnp.uint32), "flag": jnp.array([True, False])}
TENSORS = {"weight": torch.arange(4.0)}


def test_round_trip_is_exact(tmp_path) -> None:
    checkpoint.save(tmp_path, 3, TREE, TENSORS, {"moves": 7})
    loaded = checkpoint.load_newest(tmp_path)
    assert loaded is not None
    restored = checkpoint.restore(TREE, loaded.arrays)
    assert (restored["ring"] == TREE["ring"]).all()
    assert restored["ring"].dtype == jnp.uint32
    assert torch.equal(loaded.tensors["weight"], TENSORS["weight"])
    assert (loaded.step, loaded.state["moves"]) == (3, 7)


def test_none_where_there_is_none(tmp_path) -> None:
    assert checkpoint.load_newest(tmp_path / "missing") is None


@pytest.mark.parametrize("damage", ["jax.safetensors", "torch.safetensors", "state.json", "MANIFEST.json"])
def test_a_damaged_newest_is_skipped(tmp_path, damage: str) -> None:
    checkpoint.save(tmp_path, 1, TREE, TENSORS, {})
    checkpoint.save(tmp_path, 2, TREE, TENSORS, {})
    file = tmp_path / "2" / damage
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    with pytest.warns(UserWarning, match="skipped damaged checkpoint"):
        loaded = checkpoint.load_newest(tmp_path)
    assert loaded is not None
    assert loaded.step == 1


def test_an_unfinished_one_is_never_seen(tmp_path) -> None:
    checkpoint.save(tmp_path, 1, TREE, TENSORS, {})
    (tmp_path / ".2.123.tmp").mkdir()
    (tmp_path / ".2.123.tmp" / "jax.safetensors").write_bytes(b"half")
    loaded = checkpoint.load_newest(tmp_path)
    assert loaded is not None
    assert loaded.step == 1


def test_another_shape_is_refused(tmp_path) -> None:
    checkpoint.save(tmp_path, 1, TREE, TENSORS, {})
    loaded = checkpoint.load_newest(tmp_path)
    assert loaded is not None
    with pytest.raises(CheckpointError, match="ring"):
        checkpoint.restore({**TREE, "ring": jnp.zeros(7, jnp.uint32)}, loaded.arrays)


def test_only_the_newest_are_kept(tmp_path) -> None:
    for step in range(1, 5):
        checkpoint.save(tmp_path, step, TREE, TENSORS, {})
    checkpoint.keep_newest(tmp_path, 2)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["3", "4"]
