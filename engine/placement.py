"""Where a batch lies: on one device, or spread over all local devices, each of which plays its share of the games.

Games know nothing of one another, so a step of a spread batch needs no word between devices, and its results are those
of one device bit for bit: the compiler follows where the states lie.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Device = Any  # a `jax.Device`, which JAX 0.10 does not show to type checkers
Placement = Any  # a `Device` or a `NamedSharding`: what `jax.device_put` takes

_AXIS = "games"


def over_all_devices() -> NamedSharding:
    """The placement that gives every local device an equal share of the first axis of each array."""
    return NamedSharding(Mesh(np.array(jax.local_devices()), (_AXIS,)), PartitionSpec(_AXIS))


def placement(name: str | Device | None, num_envs: int) -> Placement | None:
    """The placement behind None (JAX's default), `all`, `gpu`, `gpu:1` or a device.

    Raises:
      ValueError: no such device, or `num_envs` games that cannot be spread evenly over all.
    """
    if name is None or isinstance(name, jax.Device):
        return name
    if name != "all":
        return _named(name)
    num_devices = jax.local_device_count()
    left = num_envs % num_devices
    if left:
        near = [str(count) for count in (num_envs - left, num_envs - left + num_devices) if count]
        raise ValueError(
            f"num_envs is {num_envs}, which {num_devices} devices cannot share evenly; take {' or '.join(near)}"
        )
    return over_all_devices()


def platform(of: Placement | None) -> str:
    """`cpu`, `gpu` or `tpu`."""
    if of is None:
        return jax.default_backend()
    device = next(iter(of.device_set)) if isinstance(of, NamedSharding) else of
    return device.platform


def _named(name: str) -> Device:
    kind, _, index = name.partition(":")
    try:
        return jax.devices(kind)[int(index or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        here = ", ".join(f"{device.platform}:{device.id}" for device in jax.devices())
        raise ValueError(
            f"no device {name!r} (here: {here}); give None for JAX's default, 'all' for all local devices, a platform "
            "such as 'cpu' or 'gpu', one device such as 'gpu:1', or a jax.Device"
        ) from error
