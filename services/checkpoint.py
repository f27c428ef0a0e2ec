"""The joint checkpoint: JAX arrays, torch tensors and counters under one step, whole or not there.

A checkpoint is a folder with `jax.safetensors`, `torch.safetensors`, `state.json` and, written last, `MANIFEST.json`
with the sha256 of the three. The folder is built under a temporary name and renamed. No pickle.

Both sides are safetensors. Orbax would compress the JAX side, but holds a second copy of the ring while it writes, and
takes ten times as long; here the host copy that a snapshot is goes to the disk as it is, and nothing more is held.
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

import numpy as np
import safetensors.numpy
import safetensors.torch
from torch import Tensor

from . import store

MANIFEST = "MANIFEST.json"
FILES = ("jax.safetensors", "torch.safetensors", "state.json")
_DTYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "float16": "F16",
    "float32": "F32",
}  # as safetensors names them
_PIECE = 1 << 22  # bytes written and hashed at a time
Tree = TypeVar("Tree")


class CheckpointError(RuntimeError):
    """A checkpoint that is damaged or does not fit."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What one folder holds, all on the host."""

    step: int
    arrays: Mapping[str, np.ndarray]  # by the path of the leaf
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]

    @property
    def num_bytes(self) -> int:
        """Size of arrays and tensors."""
        return sum(leaf.nbytes for leaf in (*self.arrays.values(), *self.tensors.values()))


def named(tree: Any) -> dict[str, np.ndarray]:
    """The leaves of a pytree of NumPy arrays by their paths."""
    import jax  # only here and below: a learner saves its part in a process without JAX

    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint below `folder`; on a failure (a full disk, say) what was there stays and it raises OSError.

    One of the same step that is whole stays as it is: a step has one state.
    """
    final = folder / str(checkpoint.step)
    if final.exists():
        try:
            load(final, mapped=True)
            return
        except (OSError, ValueError, KeyError, CheckpointError):
            _remove(final)
    with store.building(final) as building:
        tensors = {name: tensor.detach().cpu().numpy() for name, tensor in checkpoint.tensors.items()}
        hashes = {
            FILES[0]: _write_arrays(building / FILES[0], checkpoint.arrays),
            FILES[1]: _write_arrays(building / FILES[1], tensors),
            FILES[2]: _write(building / FILES[2], [json.dumps(dict(checkpoint.state)).encode()]),
        }
        store.write_json(building / MANIFEST, {"step": checkpoint.step, "sha256": hashes})


def keep_newest(folder: Path, count: int) -> None:
    """Removes all checkpoints but the newest `count`, and what a killed process left half written."""
    for step in steps(folder)[:-count]:
        _remove(folder / str(step))
    for left in folder.glob(".*.tmp"):
        shutil.rmtree(left, ignore_errors=True)


def load_newest(folder: Path, *, mapped: bool = False) -> Checkpoint | None:
    """The newest checkpoint that is whole; damaged ones are skipped with a warning. None if there is none."""
    for step in reversed(steps(folder)):
        try:
            return load(folder / str(step), mapped=mapped)
        except (OSError, ValueError, KeyError, CheckpointError) as error:
            warnings.warn(f"skipped damaged checkpoint {folder / str(step)}: {error}", stacklevel=2)
    return None


def load(folder: Path, *, mapped: bool = False) -> Checkpoint:
    """The checkpoint in `folder`, verified; if `mapped`, its arrays are read-only and stay on the disk until read."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for name in FILES:
        if store.sha256(folder / name) != manifest["sha256"][name]:
            raise CheckpointError(f"{name} fails its sha256")
    return Checkpoint(
        step=manifest["step"],
        arrays=_map_arrays(folder / FILES[0]) if mapped else safetensors.numpy.load_file(folder / FILES[0]),
        tensors=safetensors.torch.load_file(folder / FILES[1]),
        state=json.loads((folder / FILES[2]).read_text(encoding="utf-8")),
    )


def matched(tree: Tree, arrays: Mapping[str, np.ndarray]) -> Tree:
    """`tree` with its leaves replaced by the saved ones, which must have the same shapes and dtypes.

    Raises:
      CheckpointError: some do not; all of them are named.
    """
    import jax

    wrong = []
    for path, like in jax.tree_util.tree_leaves_with_path(tree):
        saved = arrays.get(jax.tree_util.keystr(path))
        if saved is None or saved.shape != like.shape or saved.dtype != like.dtype:
            found = "missing" if saved is None else f"{saved.dtype}{list(saved.shape)}"
            wrong.append(f"{jax.tree_util.keystr(path)} is {found}, expected {like.dtype}{list(like.shape)}")
    if wrong:
        raise CheckpointError(f"the checkpoint is of another configuration: {'; '.join(wrong)}")
    return jax.tree_util.tree_map_with_path(lambda path, _: arrays[jax.tree_util.keystr(path)], tree)


def steps(folder: Path) -> list[int]:
    """The steps of which there is a checkpoint, whole or not, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())


def _remove(folder: Path) -> None:
    """A folder that is half removed must not look like a checkpoint."""
    aside = folder.with_name(f".{folder.name}.removed.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Writes a safetensors file piece by piece, where the library would hold a copy of all; returns its sha256.

    The format: the header's length as a little-endian u64, the header, the arrays one after the other.
    """
    header: dict[str, Any] = {}
    end = 0
    ordered = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in ordered.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": _DTYPES[array.dtype.name], "shape": array.shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of eight
    return _write(path, [len(text).to_bytes(8, "little"), text, *map(_bytes, ordered.values())])


def _map_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that `_write_arrays` wrote, as views of it."""
    mapped = np.asarray(np.memmap(path, np.uint8, mode="r"))
    start = 8 + int.from_bytes(mapped[:8].tobytes(), "little")
    kinds = {name: np.dtype(dtype) for dtype, name in _DTYPES.items()}
    arrays = {}
    for name, entry in json.loads(mapped[8:start].tobytes()).items():
        first, end = entry["data_offsets"]
        arrays[name] = mapped[start + first : start + end].view(kinds[entry["dtype"]]).reshape(entry["shape"])
    return arrays


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _write(path: Path, parts: list[bytes | memoryview]) -> str:
    """Writes and syncs a file; returns its sha256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for part in parts:
            for start in range(0, len(part), _PIECE):
                piece = part[start : start + _PIECE]
                digest.update(piece)
                file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
