"""The four traps of the border between JAX and PyTorch, each with the guard that keeps it shut."""

import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from cartridge.engine import border
from cartridge.engine.batch import TimeStep

HAS_GPU = torch.cuda.is_available() and jax.default_backend() == "gpu"


def in_a_fresh_process(code: str, **environment: str) -> str:
    """What `code` prints."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("XLA_PYTHON_CLIENT")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=inherited | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("dtype", border.CROSSING)
def test_every_allowed_type_crosses_both_ways(dtype: str) -> None:
    array = jnp.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    tensor = border.to_torch(array)
    assert str(tensor.dtype) == f"torch.{dtype}"
    np.testing.assert_array_equal(border.to_jax(tensor), array)
    assert border.to_jax(tensor).dtype == array.dtype


def test_pytrees_keep_their_shape_and_lend_without_a_copy() -> None:
    flag = jnp.zeros((2,), bool)
    seen = TimeStep(jnp.ones((2, 3)), flag[:, None], jnp.zeros((2,), jnp.int32), jnp.ones((2, 1)), flag, flag, flag)
    lent = border.to_torch({"seen": seen, "pair": (jnp.ones(64), None)})
    assert isinstance(lent["seen"], TimeStep)
    assert lent["seen"].final_observation is lent["pair"][1] is None
    assert lent["seen"].observation.data_ptr() == seen.observation.unsafe_buffer_pointer()
    back = border.to_jax(lent)
    np.testing.assert_array_equal(back["seen"].observation, seen.observation)


def test_trap_1_an_in_place_optimiser_does_not_change_what_was_handed_to_jax() -> None:
    weights = torch.nn.Parameter(torch.ones(1024))
    published = border.to_jax({"weights": weights})
    weights.sum().backward()
    torch.optim.SGD([weights], lr=1.0).step()
    assert float(weights.detach().max()) == 0.0
    np.testing.assert_array_equal(published["weights"], 1.0)


def test_trap_2_no_array_shares_the_tensors_memory() -> None:
    """64-byte aligned memory is what JAX would alias; a copy asked of `from_dlpack` may well be none."""
    tensor = torch.arange(4096, dtype=torch.float32)
    assert tensor.data_ptr() % 64 == 0
    array = border.to_jax(tensor)
    assert array.unsafe_buffer_pointer() != tensor.data_ptr()
    doubled = jax.jit(lambda x: x * 2, donate_argnums=0)(array)  # JAX's own memory, so it may be donated
    np.testing.assert_array_equal(doubled, 2 * tensor.numpy())
    transposed = border.to_jax(torch.arange(6, dtype=torch.float32).reshape(2, 3).T[::2])
    np.testing.assert_array_equal(transposed, [[0, 3], [2, 5]])


def test_trap_3_a_write_into_a_lent_batch_is_found() -> None:
    batch = {"observation": jnp.ones((4, 8)), "reward": jnp.zeros(4)}
    with border.unwritten(batch):
        (border.to_torch(batch)["observation"] * 2).sum()
    with pytest.raises(border.BorderError, match=r"torch wrote into \['observation'\].*clone"), border.unwritten(batch):
        border.to_torch(batch)["observation"].mul_(2)
    with border.unwritten(batch, check=False):
        border.to_torch(batch)["reward"].add_(1)


def test_trap_4_on_a_cpu_nothing_needs_holding() -> None:
    held = border.Held()
    held.hold({"observation": jax.device_put(jnp.ones(8), jax.devices("cpu")[0])})
    assert len(held) == 0
    held.drain()


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU that both JAX and torch see: on a CPU torch runs synchronously")
def test_trap_4_a_batch_is_held_until_torch_has_read_it() -> None:
    batch = jnp.ones((4096, 4096))
    tensor = border.to_torch(batch)
    held = border.Held()
    torch.cuda._sleep(500_000_000)  # some tenths of a second of work, queued before the read
    total = tensor.sum()
    held.hold(batch)
    del batch, tensor
    assert len(held) == 1
    for _ in range(8):
        jnp.zeros((4096, 4096)).block_until_ready()  # would take over the freed buffer
    held.drain()
    assert float(total) == 4096.0 * 4096.0
    assert len(held) == 0


def test_what_cannot_cross_is_named() -> None:
    tree = {"words": jnp.zeros(2, jnp.uint32), "fine": jnp.zeros(2), "host": np.zeros(2, np.float32)}
    with pytest.raises(border.BorderError, match=r"\['host'\] \(float32 ndarray\), \['words'\] \(uint32 ArrayImpl\)"):
        border.to_torch(tree)
    with pytest.raises(border.BorderError, match=r"the value \(int64 Tensor\); expected a torch tensor of dtype bool"):
        border.to_jax(torch.zeros(2, dtype=torch.int64))
    with pytest.raises(border.BorderError, match=r"\[0\] \(float32 ArrayImpl\)"):
        border.to_jax([jnp.zeros(2)])


def test_a_torch_user_leaves_torch_its_share_of_the_memory() -> None:
    show = "print(os.environ.get('XLA_PYTHON_CLIENT_MEM_FRACTION'))"
    make = "import os, cartridge; cartridge.make('tictactoe', output='torch')\n"
    assert in_a_fresh_process(make + show) == "0.5"
    share = "import os, jax; from cartridge.engine import border; border.share_device_memory()\n"
    assert in_a_fresh_process(share + show, XLA_PYTHON_CLIENT_MEM_FRACTION="0.2") == "0.2"
    late = share.replace("border.share", "jax.devices(); border.share")  # and no GPU to warn of
    if jax.default_backend() == "cpu":
        assert in_a_fresh_process(late + show) == "None"


def test_the_host_copy_for_a_device_without_dlpack_is_said_once() -> None:
    notice: Any = border._say_host_copy
    notice.cache_clear()
    with pytest.warns(UserWarning, match="a tpu cannot lend memory to torch"):
        notice("tpu")
    notice("tpu")  # a second warning would be an error here
