"""From published bytes to Flax parameters: verified first, then laid out in the shape the network expects."""

from typing import Any

import jax
import jax.numpy as jnp
import safetensors.flax

from ..engine.spec import GameSpec, SpecError, WeightsManifest
from .network import Network, Params, init_params


def load(data: bytes, manifest: WeightsManifest, game: GameSpec, network: Network) -> Params:
    """Parameters for `network` out of safetensors bytes.

    Raises:
      SpecError: the bytes fail their sha256, belong to another game, or do not fit the network. Nothing is loaded.
    """
    manifest.check(data, game)
    if manifest.network != network.spec:
        raise SpecError(f"weights version {manifest.version} are for {manifest.network}, the actor has {network.spec}")
    params: dict[str, Any] = {}
    for name, array in safetensors.flax.load(data).items():
        layer, _, parameter = name.rpartition(".")
        params.setdefault(layer, {})[parameter] = jnp.asarray(array)
    _check_shapes(params, network, game)
    return params


def _check_shapes(params: Params, network: Network, game: GameSpec) -> None:
    expected = jax.eval_shape(lambda key: init_params(network, game, key), jax.random.PRNGKey(0))
    want = {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(expected)}
    have = {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    wrong = sorted(name for name in want.keys() | have.keys() if want.get(name) != have.get(name))
    if wrong:
        name = wrong[0]
        raise SpecError(f"weights do not fit the network: {name} is {have.get(name)}, expected {want.get(name)}")
