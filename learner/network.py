"""The policy-value network in torch: what `actor/network.py` is in Flax, line by line.

Parameters carry Flax's names and layouts ([in, out] kernels, HWIO convolutions), so publishing renames nothing.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..engine.spec import GameSpec, NetworkSpec, SpecError

_NORM_EPS = 1e-6
_INPUT_BIAS_STD = 0.5


class Dense(nn.Module):
    """y = x · kernel + bias, kernel [in, out]."""

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(_lecun_normal((in_size, out_size), in_size))
        self.bias = nn.Parameter(torch.zeros(out_size))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.kernel.t(), self.bias)


class Conv3(nn.Module):
    """3 x 3 convolution over [B, R, C, in] with zero padding, kernel HWIO."""

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(_lecun_normal((3, 3, in_size, out_size), 9 * in_size))
        self.bias = nn.Parameter(torch.zeros(out_size))

    def forward(self, x: Tensor) -> Tensor:
        # A permuted [B, R, C, in] is torch's channels_last: no copy on the way in or out.
        y = functional.conv2d(x.permute(0, 3, 1, 2), self.kernel.permute(3, 2, 0, 1), self.bias, padding=1)
        return y.permute(0, 2, 3, 1)


class Norm(nn.Module):
    """LayerNorm over the last axis, computed in float32."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.scale, self.bias, _NORM_EPS)


class Network(nn.Module):
    """Planes in, policy logits and value logits out."""

    def __init__(self, game: GameSpec, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        shape, width = game.observation_shape, spec.width
        if (spec.kind == "conv" or spec.stem) and (len(shape) != 3 or min(shape[:2]) < spec.stem):
            raise SpecError(
                f"network {spec.kind!r} with stem {spec.stem} does not fit {game.env_id}'s observation {shape}"
            )
        if spec.kind == "conv":
            rows, columns, planes = shape
            layer, in_size, hidden_size = Conv3, planes, 32 * rows * columns
            self.squeeze = Dense(width, 32)
        else:
            layer, in_size, hidden_size = Dense, game.observation_size, width
            if spec.stem:
                rows, columns, planes = shape
                self.stem = Dense(spec.stem**2 * planes, spec.stem_channels)
                in_size = (rows - spec.stem + 1) * (columns - spec.stem + 1) * spec.stem_channels
        self.input = layer(in_size, width)
        # An empty board is all zeros: without a bias its features have no variance, and the first LayerNorm would
        # multiply their gradient by 1 / sqrt(eps).
        nn.init.normal_(self.input.bias, std=_INPUT_BIAS_STD)
        for block in range(spec.blocks):
            self.add_module(f"block{block}_norm", Norm(width))
            self.add_module(f"block{block}_in", layer(width, width))
            self.add_module(f"block{block}_out", layer(width, width))
        self.norm = Norm(width)
        self.policy = Dense(hidden_size, game.num_actions)
        self.value = Dense(hidden_size, spec.value_bins)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """f32[B, R, C, planes] -> policy logits f32[B, A], value logits f32[B, bins]."""
        hidden = self._conv_trunk(observation) if self.spec.kind == "conv" else self._mlp_trunk(observation)
        return self.policy(hidden), self.value(hidden)

    def _mlp_trunk(self, observation: Tensor) -> Tensor:
        """f32[B, width]: an optional position-sharing first layer, then residual dense blocks."""
        if self.spec.stem:
            observation = functional.relu(self.stem(windows(observation, self.spec.stem)))
        hidden = self.input(observation.reshape(observation.shape[0], -1))
        for block in range(self.spec.blocks):
            inner = functional.relu(self.get_submodule(f"block{block}_norm")(hidden))
            inner = functional.relu(self.get_submodule(f"block{block}_in")(inner))
            hidden = hidden + self.get_submodule(f"block{block}_out")(inner)
        return functional.relu(self.norm(hidden))

    def _conv_trunk(self, observation: Tensor) -> Tensor:
        """f32[B, 32 * R * C]: residual 3 x 3 convolutions over the board."""
        hidden = self.input(observation)
        for block in range(self.spec.blocks):
            inner = functional.relu(self.get_submodule(f"block{block}_norm")(hidden))
            inner = functional.relu(self.get_submodule(f"block{block}_in")(inner))
            hidden = hidden + self.get_submodule(f"block{block}_out")(inner)
        hidden = functional.relu(self.norm(hidden))
        hidden = functional.relu(self.squeeze(hidden))
        return hidden.reshape(hidden.shape[0], -1)


def value_support(num_bins: int) -> Tensor:
    """f32[bins], the values the value head chooses between."""
    return torch.linspace(-1.0, 1.0, num_bins)


def windows(planes: Tensor, side: int) -> Tensor:
    """Every side x side window as one row: f32[B, R, C, P] -> f32[B, R - side + 1, C - side + 1, side * side * P]."""
    rows, columns = planes.shape[1] - side + 1, planes.shape[2] - side + 1
    shifted = [planes[:, r : r + rows, c : c + columns] for r in range(side) for c in range(side)]
    return torch.cat(shifted, dim=-1)


def _lecun_normal(shape: tuple[int, ...], fan_in: int) -> Tensor:
    return nn.init.trunc_normal_(torch.empty(shape), std=fan_in**-0.5 / 0.87962566, a=-2, b=2)
