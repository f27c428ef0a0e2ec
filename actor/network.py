"""The policy-value network in Flax: what `learner/network.py` is in torch, line by line.

Twins: the same names, the same order, LayerNorm with explicit eps and no fast variance, kernels as [in, out] and HWIO.
`tests/learner/test_twins.py` holds the two to 1e-4 on logits.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from ..engine.spec import GameSpec, NetworkSpec, SpecError

Params = Mapping[str, Any]  # nested dict of arrays, as `weights.load` returns it

_NORM_EPS = 1e-6


class Network(nn.Module):
    """Planes in, policy logits and value logits out."""

    spec: NetworkSpec
    num_actions: int

    @nn.compact
    def __call__(self, observation: Array) -> tuple[Array, Array]:
        """f32[B, R, C, planes] -> policy logits f32[B, A], value logits f32[B, bins]."""
        hidden = self._conv_trunk(observation) if self.spec.kind == "conv" else self._mlp_trunk(observation)
        return nn.Dense(self.num_actions, name="policy")(hidden), nn.Dense(self.spec.value_bins, name="value")(hidden)

    def _mlp_trunk(self, observation: Array) -> Array:
        """f32[B, width]: an optional position-sharing first layer, then residual dense blocks."""
        width = self.spec.width
        if self.spec.stem:
            observation = nn.relu(nn.Dense(self.spec.stem_channels, name="stem")(windows(observation, self.spec.stem)))
        hidden = nn.Dense(width, name="input")(observation.reshape(observation.shape[0], -1))
        for block in range(self.spec.blocks):
            inner = nn.relu(_norm(f"block{block}_norm")(hidden))
            inner = nn.relu(nn.Dense(width, name=f"block{block}_in")(inner))
            hidden = hidden + nn.Dense(width, name=f"block{block}_out")(inner)
        return nn.relu(_norm("norm")(hidden))

    def _conv_trunk(self, observation: Array) -> Array:
        """f32[B, 32 * R * C]: residual 3 x 3 convolutions over the board."""
        width = self.spec.width
        hidden = _conv3(width, "input")(observation)
        for block in range(self.spec.blocks):
            inner = nn.relu(_norm(f"block{block}_norm")(hidden))
            inner = nn.relu(_conv3(width, f"block{block}_in")(inner))
            hidden = hidden + _conv3(width, f"block{block}_out")(inner)
        hidden = nn.relu(_norm("norm")(hidden))
        hidden = nn.relu(nn.Dense(32, name="squeeze")(hidden))
        return hidden.reshape(hidden.shape[0], -1)


def build(game: GameSpec, spec: NetworkSpec) -> Network:
    """The network for a game.

    Raises:
      SpecError: the observation has no planes, or is smaller than the window of the first layer.
    """
    shape = game.observation_shape
    if (spec.kind == "conv" or spec.stem) and (len(shape) != 3 or min(shape[:2]) < spec.stem):
        raise SpecError(f"network {spec.kind!r} with stem {spec.stem} does not fit {game.env_id}'s observation {shape}")
    return Network(spec, game.num_actions)


def init_params(network: Network, game: GameSpec, key: Array) -> Params:
    """Freshly drawn parameters; `key` is uint32[2]."""
    return network.init(key, jnp.zeros((1, *game.observation_shape)))["params"]


def apply(network: Network, params: Params, observation: Array) -> tuple[Array, Array]:
    """f32[B, ...] -> policy logits f32[B, A] and value f32[B] in [-1, 1], for the player the planes belong to."""
    outputs: Any = network.apply({"params": params}, observation)
    logits, value_logits = outputs
    return logits, jax.nn.softmax(value_logits) @ value_support(network.spec.value_bins)


def value_support(num_bins: int) -> Array:
    """f32[bins], the values the value head chooses between."""
    return jnp.linspace(-1.0, 1.0, num_bins)


def windows(planes: Array, side: int) -> Array:
    """Every side x side window as one row: f32[B, R, C, P] -> f32[B, R - side + 1, C - side + 1, side * side * P]."""
    rows, columns = planes.shape[1] - side + 1, planes.shape[2] - side + 1
    shifted = [planes[:, r : r + rows, c : c + columns] for r in range(side) for c in range(side)]
    return jnp.concatenate(shifted, axis=-1)


def _norm(name: str) -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=_NORM_EPS, use_fast_variance=False, name=name)


def _conv3(width: int, name: str) -> nn.Conv:
    return nn.Conv(width, (3, 3), padding="SAME", name=name)
