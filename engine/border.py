"""The border between JAX and PyTorch: the one file where an array of one becomes a tensor of the other.

Four traps corrupt data silently, and each has its guard here:
  1. A tensor lent to JAX shares its memory, so an in-place optimiser changes the actor's weights: `to_jax` copies.
  2. `jax.dlpack.from_dlpack(tensor, copy=True)` does not copy: `to_jax` copies by `jnp.array(..., copy=True)`.
  3. torch can write into an imported JAX array: such tensors are read-only by rule, and `unwritten` checks it.
  4. JAX frees a buffer while a torch stream still reads it: `Held` keeps the batch until the stream has passed.
"""

import contextlib
import functools
import os
import sys
import warnings
import zlib
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax._src import xla_bridge  # has no public twin: asking by a public name would start JAX

if TYPE_CHECKING:
    import torch

CROSSING = ("bool", "uint8", "int32", "float16", "bfloat16", "float32")
_CROSSING_DTYPES = frozenset(jnp.dtype(name) for name in CROSSING)
_JAX_SHARE = "0.5"  # of the accelerator's memory, so that torch's allocator has the rest


class BorderError(TypeError):
    """A value that cannot cross, or one that was changed on the wrong side."""


def to_torch(tree: Any) -> Any:
    """The same pytree with torch tensors for JAX arrays: the same memory on the same device, nothing copied.

    The tensors are read-only by rule: torch does not enforce it, `unwritten` checks it. On an accelerator the arrays
    must outlive torch's use of them: see `Held`. A TPU has no DLPack, so the host gets a copy, and a warning says so.

    Raises:
      BorderError: a leaf that is no JAX array on one device, or of a dtype other than bool, u8, i32, f16, bf16, f32.
    """
    leaves, structure = jax.tree.flatten(tree)
    if not all(isinstance(leaf, jax.Array) and leaf.dtype in _CROSSING_DTYPES for leaf in leaves):
        raise _refusal(tree, "a JAX array")
    jax.block_until_ready(leaves)  # without it torch may read before JAX has written
    return jax.tree.unflatten(structure, [_lend_to_torch(leaf) for leaf in leaves])


def to_jax(tree: Any) -> Any:
    """The same pytree with JAX arrays for torch tensors: copies, on the same device, which nothing in torch can change.

    Being JAX's own, the arrays may be donated.

    Raises:
      BorderError: a leaf that is no torch tensor, or of a dtype other than bool, u8, i32, f16, bf16, f32.
    """
    leaves, structure = jax.tree.flatten(tree)
    if not all(is_torch(leaf) and _dtype_name(leaf) in CROSSING for leaf in leaves):
        raise _refusal(tree, "a torch tensor")
    if any(leaf.is_cuda for leaf in leaves):
        wait_for_torch()
    # `from_dlpack` shares memory whatever its `copy` says, so the copy is a step of its own. torch may write into the
    # tensor as soon as this function returns, hence the wait.
    lent = [jax.dlpack.from_dlpack(leaf.detach().contiguous()) for leaf in leaves]
    copies = jax.block_until_ready([jnp.array(leaf, copy=True) for leaf in lent])
    return jax.tree.unflatten(structure, copies)


def host_copy(tree: Any) -> Any:
    """The same pytree with NumPy arrays that share nothing with JAX, which may therefore donate its own at once."""

    def copy(leaf: jax.Array) -> np.ndarray:
        # On a CPU `np.asarray` aliases the array: as long as it is held, a donation would copy the whole array.
        host = np.asarray(leaf)
        return host.copy() if _platform(leaf) == "cpu" else host

    return jax.tree.map(copy, tree)


def is_torch(value: object) -> "TypeGuard[torch.Tensor]":
    """Whether `value` is a torch tensor, found out without loading torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def wait_for_torch() -> None:
    """Blocks until torch's current CUDA stream has done all it was given; torch itself tells JAX nothing of it."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.current_stream().synchronize()


class Held:
    """Keeps lent JAX batches alive until torch has passed their last use.

    On CUDA, dropping the tensors of `to_torch` frees the JAX buffers at once, though kernels that read them may still
    be queued. Call `hold` when the last use of a batch has been queued; on a CPU torch is done by then and nothing is
    kept.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, torch.cuda.Event]] = deque()

    def __len__(self) -> int:
        """Number of batches torch may still be reading."""
        self._release()
        return len(self._waiting)

    def hold(self, batch: Any) -> None:
        """Keeps `batch`, a pytree of JAX arrays, until all that the current torch stream has been given is done."""
        self._release()
        if not any(_platform(leaf) == "gpu" for leaf in jax.tree.leaves(batch)):
            return
        import torch

        event = torch.cuda.Event()
        event.record()
        self._waiting.append((batch, event))

    def drain(self) -> None:
        """Waits for torch and lets every batch go."""
        while self._waiting:
            self._waiting.popleft()[1].synchronize()

    def _release(self) -> None:
        while self._waiting and self._waiting[0][1].query():
            self._waiting.popleft()


@contextlib.contextmanager
def unwritten(batch: Any, check: bool = True) -> Iterator[None]:
    """Raises `BorderError` if anything wrote into the JAX arrays of `batch` inside the `with` block.

    For debugging: it copies every array to the host twice. With `check` False it does nothing.
    """
    before = _checksums(batch) if check else {}
    yield
    after = _checksums(batch) if check else {}
    written = [path for path, checksum in before.items() if after[path] != checksum]
    if written:
        raise BorderError(
            f"torch wrote into {', '.join(written)}, memory of a JAX array that others read; lent tensors are "
            "read-only: clone() one before an in-place operation"
        )


def share_device_memory() -> None:
    """Leaves torch its part of the accelerator's memory, of which JAX would take three quarters when it starts.

    For a user's own process, which has no launcher to set the environment: this is why the engine, in this one place,
    touches it. A share the user has set stands. JAX reads it as it starts; later it is too late, which is said.
    """
    chosen = ("XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_PYTHON_CLIENT_ALLOCATOR")
    if any(name in os.environ for name in chosen):
        return
    if not xla_bridge.backends_are_initialized():
        os.environ[chosen[0]] = _JAX_SHARE
    elif jax.default_backend() == "gpu":
        warnings.warn(
            "JAX has started and holds most of the accelerator's memory; to leave torch its share, set "
            f"{chosen[0]}={_JAX_SHARE} or make the environment before any other use of JAX",
            stacklevel=3,
        )


def _lend_to_torch(array: jax.Array) -> "torch.Tensor":
    import torch

    devices = array.devices()
    if len(devices) > 1:
        raise BorderError(
            f"an array of shape {array.shape} lies on {len(devices)} devices; lend "
            "array.addressable_shards[i].data, one shard at a time"
        )
    platform = next(iter(devices)).platform
    if platform not in ("cpu", "gpu"):
        _say_host_copy(platform)
        array = jax.device_put(array, jax.local_devices(backend="cpu")[0])
        jax.block_until_ready(array)
    return torch.from_dlpack(array)


@functools.cache
def _say_host_copy(platform: str) -> None:
    warnings.warn(f"a {platform} cannot lend memory to torch: every batch is copied to the host", stacklevel=4)


def _platform(array: Any) -> str:
    """`cpu`, `gpu` or `tpu`, where a JAX array lies."""
    return next(iter(array.devices())).platform


def _dtype_name(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


def _refusal(tree: Any, expected: str) -> BorderError:
    """The error that names every leaf which cannot cross."""
    wrong = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        what = f"{_dtype_name(leaf)} {type(leaf).__name__}" if hasattr(leaf, "dtype") else type(leaf).__name__
        is_expected = isinstance(leaf, jax.Array) if expected == "a JAX array" else is_torch(leaf)
        if not (is_expected and _dtype_name(leaf) in CROSSING):
            wrong.append(f"{jax.tree_util.keystr(path) or 'the value'} ({what})")
    return BorderError(
        f"cannot cross between JAX and torch: {', '.join(wrong)}; expected {expected} of dtype {', '.join(CROSSING)}; "
        "cast it first"
    )


def _checksums(batch: Any) -> dict[str, int]:
    """A checksum of each array's memory as it is now."""
    sums = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(batch):
        # A fresh copy first: JAX keeps the host copy of an array it has read once and would show the old values.
        data = np.asarray(jnp.array(leaf, copy=True))
        sums[jax.tree_util.keystr(path) or "the array"] = zlib.crc32(data.tobytes())
    return sums
