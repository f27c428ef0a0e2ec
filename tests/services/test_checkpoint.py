"""Checkpoints are committed whole; a damaged newest one is skipped."""

import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import torch
from cartridge.services import checkpoint
from cartridge.services.checkpoint import Checkpoint, CheckpointError

TREE: dict[str, Any] = {
    "ring": np.arange(6, dtype=np.uint32).reshape(2, 3),
    "flag": np.array([True, False, True]),
    "none": np.zeros((0, 4), np.float32),
    "scalar": np.float32(2.5).reshape(()),
    "turned": np.arange(6.0, dtype=np.float32).reshape(2, 3).T,
}
TENSORS = {"weight": torch.arange(4.0), "count": torch.tensor(3.0), "rng": torch.arange(9, dtype=torch.uint8)}


def made(step: int, **state: Any) -> Checkpoint:
    return Checkpoint(step, checkpoint.named(TREE), TENSORS, state)


def newest(folder: Path) -> Checkpoint:
    loaded = checkpoint.load_newest(folder)
    assert loaded is not None
    return loaded


def test_round_trip_is_exact(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, made(3, moves=7))
    loaded = newest(tmp_path)
    restored = checkpoint.matched(jax.eval_shape(lambda: TREE), loaded.arrays)
    for name, array in TREE.items():
        np.testing.assert_array_equal(restored[name], array)
        assert (restored[name].dtype, restored[name].shape) == (array.dtype, array.shape)
    for name, tensor in TENSORS.items():
        assert torch.equal(loaded.tensors[name], tensor)
    assert (loaded.step, loaded.state) == (3, {"moves": 7})


def test_the_files_are_what_the_library_writes(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, made(1))
    ours = safetensors.numpy.load_file(tmp_path / "1" / "jax.safetensors")
    theirs = safetensors.numpy.load(safetensors.numpy.save({n: np.ascontiguousarray(a) for n, a in TREE.items()}))
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[f"['{name}']"].ravel(), array.ravel())


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert checkpoint.load_newest(tmp_path / "missing") is None


@pytest.mark.parametrize("damage", [*checkpoint.FILES, checkpoint.MANIFEST])
@pytest.mark.parametrize("gone", [False, True])
def test_a_damaged_newest_is_skipped(tmp_path: Path, damage: str, gone: bool) -> None:
    checkpoint.save(tmp_path, made(1))
    checkpoint.save(tmp_path, made(2))
    file = tmp_path / "2" / damage
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    if gone:
        file.unlink()
    with pytest.warns(UserWarning, match="skipped damaged checkpoint"):
        assert newest(tmp_path).step == 1
    checkpoint.save(tmp_path, made(2, again=True))  # the run comes by once more
    assert newest(tmp_path).state == {"again": True}
    checkpoint.keep_newest(tmp_path, 5)
    assert sorted(os.listdir(tmp_path)) == ["1", "2"]


def test_a_whole_one_is_never_written_over(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, made(1, first=True))
    checkpoint.save(tmp_path, made(1, first=False))
    assert newest(tmp_path).state == {"first": True}


def test_an_unfinished_one_is_never_seen_and_cleared_away(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, made(1))
    (tmp_path / ".2.123.tmp").mkdir()
    (tmp_path / ".2.123.tmp" / "jax.safetensors").write_bytes(b"half")
    assert newest(tmp_path).step == 1
    checkpoint.keep_newest(tmp_path, 1)
    assert os.listdir(tmp_path) == ["1"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, made(1))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, made(2))
    assert os.listdir(tmp_path) == ["1"]


def test_other_shapes_are_refused_and_all_named(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, made(1))
    other = {"ring": jnp.zeros((2, 4), jnp.uint32), "flag": jnp.zeros(3), "extra": jnp.zeros(())}
    with pytest.raises(CheckpointError) as caught:
        checkpoint.matched(other, newest(tmp_path).arrays)
    message = str(caught.value)
    assert "['ring'] is uint32[2, 3], expected uint32[2, 4]" in message
    assert "['flag'] is bool[3], expected float32[3]" in message
    assert "['extra'] is missing, expected float32[]" in message


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in range(1, 5):
        checkpoint.save(tmp_path, made(step))
    checkpoint.keep_newest(tmp_path, 2)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["3", "4"]
