"""The joint checkpoint: JAX arrays, torch tensors and counters under one step, whole or not there.

A checkpoint is a folder with `jax.safetensors`, `torch.safetensors`, `state.json` and, written last, `MANIFEST.json`
with the sha256 of the three. The folder is built under a temporary name and renamed. No pickle.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
import safetensors.torch
from torch import Tensor

from . import store

_FILES = ("jax.safetensors", "torch.safetensors", "state.json")
Tree = TypeVar("Tree")


class CheckpointError(RuntimeError):
    """A checkpoint that is damaged or does not fit."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What one folder holds."""

    step: int
    arrays: Mapping[str, np.ndarray]  # by the path of the leaf
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


def save(folder: Path, step: int, tree: Any, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Writes checkpoint `step` below `folder`; on a failure (a full disk, say) what was there stays and it raises."""
    building = folder / f".{step}.{os.getpid()}.tmp"
    try:
        building.mkdir(parents=True, exist_ok=True)
        contents = (
            safetensors.numpy.save(_to_arrays(tree)),
            safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}),
            json.dumps(dict(state)).encode(),
        )
        hashes = {}
        for name, data in zip(_FILES, contents, strict=True):
            store.write_bytes(building / name, data)
            hashes[name] = hashlib.sha256(data).hexdigest()
        store.write_json(building / "MANIFEST.json", {"step": step, "sha256": hashes})
        final = folder / str(step)
        shutil.rmtree(final, ignore_errors=True)
        building.rename(final)
        store.sync_folder(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def keep_newest(folder: Path, count: int) -> None:
    """Removes all checkpoints but the newest `count`."""
    for step in _steps(folder)[:-count]:
        shutil.rmtree(folder / str(step), ignore_errors=True)


def load_newest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; damaged ones are skipped with a warning. None if there is none."""
    for step in reversed(_steps(folder)):
        try:
            return _load(folder / str(step))
        except (OSError, ValueError, KeyError, CheckpointError) as error:
            warnings.warn(f"skipped damaged checkpoint {folder / str(step)}: {error}", stacklevel=2)
    return None


def restore(tree: Tree, arrays: Mapping[str, np.ndarray]) -> Tree:
    """`tree` with its leaves replaced by the saved ones, which must have the same shapes and dtypes."""

    def leaf(path: Any, like: Any) -> jax.Array:
        name = jax.tree_util.keystr(path)
        saved = arrays.get(name)
        if saved is None or saved.shape != like.shape or saved.dtype != like.dtype:
            found = None if saved is None else (saved.shape, saved.dtype)
            raise CheckpointError(f"{name} is {found}, expected {(like.shape, like.dtype)}; the configuration changed")
        return jnp.array(saved, copy=True)

    return jax.tree_util.tree_map_with_path(leaf, tree)


def _to_arrays(tree: Any) -> dict[str, np.ndarray]:
    # A copy, because on a CPU np.asarray aliases the buffer, and the next donation would copy the whole ring.
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.array(leaf, copy=True) for path, leaf in leaves}


def _load(folder: Path) -> Checkpoint:
    manifest = json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))
    contents = {name: (folder / name).read_bytes() for name in _FILES}
    for name, data in contents.items():
        if hashlib.sha256(data).hexdigest() != manifest["sha256"][name]:
            raise CheckpointError(f"{name} fails its sha256")
    return Checkpoint(
        step=manifest["step"],
        arrays=safetensors.numpy.load(contents["jax.safetensors"]),
        tensors=safetensors.torch.load(contents["torch.safetensors"]),
        state=json.loads(contents["state.json"]),
    )


def _steps(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())
