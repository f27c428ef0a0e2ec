"""The torch learner: a network, AdamW and one `update` per batch. It knows batches and steps, not games or clocks.

The learning rate is a function of progress in [0, 1], which the caller derives from updates or time and saves with the
rest: a resumed run continues the same decay.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..engine.spec import GameSpec, NetworkSpec
from .losses import alphazero_loss
from .network import Network
from .settings import LearnerConfig


@dataclasses.dataclass(frozen=True)
class Batch:
    """One batch on the learner's device; read-only, for its memory may belong to JAX."""

    observation: Tensor  # f32[N, *observation_shape]
    legal_actions: Tensor  # bool[N, A]
    policy: Tensor  # f32[N, A]
    value: Tensor  # f32[N]
    weight: Tensor  # f32[N], how much each row counts


class NotFiniteError(ArithmeticError):
    """Too many updates in a row were skipped because their gradient was not finite."""


class Learner:
    """Fits the network to batches. Weights, average and optimiser live on one device."""

    _MAX_SKIPPED = 20

    def __init__(self, game: GameSpec, network: NetworkSpec, config: LearnerConfig, seed: int, device: str) -> None:
        torch.manual_seed(seed)
        self.config = config
        self.device = torch.device(device)
        self.network = Network(game, network).to(self.device)
        self.average = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=self.device.type == "cuda",
        )
        self.updates = 0
        self._skipped = 0
        self._autocast = _wants_bfloat16(config.precision, self.device)

    def update(self, batch: Batch, progress: float) -> tuple[dict[str, Tensor], Tensor]:
        """One step; a step with a non-finite gradient is skipped.

        Returns scalars f32[], and |return - value| of each row, f32[N], which Schrittwieser et al. 2020 ("Mastering
        Atari, Go, chess and shogi by planning with a learned model", appendix G) take for priorities. All stay on the
        device.

        Raises:
          NotFiniteError: twenty steps in a row had to be skipped.
        """
        rate = learning_rate(self.config, self.updates, progress)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with self._precision():
            policy_logits, value_logits = self.network(batch.observation)
        losses = alphazero_loss(
            policy_logits,
            value_logits,
            batch.legal_actions,
            batch.policy,
            batch.value,
            batch.weight,
            self.config.value_weight,
        )
        self.optimiser.zero_grad(set_to_none=True)
        losses.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.max_gradient_norm)
        self._apply(norm)
        self.updates += 1
        scalars = {
            "loss_policy": losses.policy,
            "loss_value": losses.value,
            "entropy_network": losses.entropy,
            "value_error": losses.value_error.mean(),
            "gradient_norm": norm.detach(),
        }
        return scalars, losses.value_error

    def learning_rate(self, progress: float) -> float:
        """The rate the next update would use."""
        return learning_rate(self.config, self.updates, progress)

    def published(self) -> Mapping[str, Tensor]:
        """The weights actors should use: the running average, or the raw ones where `average_decay` is 0."""
        return self.average if self.config.average_decay else self.network.state_dict()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, counters): all that a later `load_state` needs to go on exactly."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"optimiser.{name}.{key}"] = value
        tensors["torch_rng"] = torch.get_rng_state()
        return tensors, {"updates": self.updates, "skipped": self._skipped}

    def load_state(self, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        """Takes over what `state` gave; the network's shape must be the same."""
        self.network.load_state_dict(_under("network.", tensors))
        self.average = {name: tensor.to(self.device).clone() for name, tensor in _under("average.", tensors).items()}
        self.optimiser.state.clear()  # a state saved before the first update has no moments
        for name, parameter in self.network.named_parameters():
            found = _under(f"optimiser.{name}.", tensors)
            if found:
                self.optimiser.state[parameter] = {key: self._moment(key, value) for key, value in found.items()}
        torch.set_rng_state(tensors["torch_rng"])
        self.updates, self._skipped = int(counters["updates"]), int(counters["skipped"])

    def _moment(self, key: str, value: Tensor) -> Tensor:
        """AdamW keeps its step count on the host unless fused."""
        on_host = key == "step" and self.device.type == "cpu"
        return value.clone() if on_host else value.to(self.device).clone()

    def _apply(self, norm: Tensor) -> None:
        if not bool(torch.isfinite(norm)):
            self._skipped += 1
            if self._skipped >= self._MAX_SKIPPED:
                raise NotFiniteError(
                    f"{self._skipped} updates in a row had a gradient that is not finite; "
                    "lower learner.learning_rate or look at the last batches"
                )
            return
        self._skipped = 0
        self.optimiser.step()
        if self.config.average_decay:
            # Early on, a long average would hold mostly the random start.
            decay = min(self.config.average_decay, (self.updates + 1) / (self.updates + 10))
            with torch.no_grad():
                for name, tensor in self.network.state_dict().items():
                    self.average[name].lerp_(tensor, 1 - decay)

    @contextlib.contextmanager
    def _precision(self) -> Iterator[None]:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._autocast):
            yield


def learning_rate(config: LearnerConfig, updates: int, progress: float) -> float:
    """The rate after `updates` updates at `progress` in [0, 1]."""
    warm = min(1.0, (updates + 1) / max(config.warmup_updates, 1))
    share = 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
    return warm * (config.final_learning_rate + share * (config.learning_rate - config.final_learning_rate))


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _wants_bfloat16(precision: str, device: torch.device) -> bool:
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # Without AVX-512 BF16 or AMX, bfloat16 on a CPU is emulated and slower than float32.
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and _cpu_has_bfloat16()


def _cpu_has_bfloat16() -> bool:
    return torch.cpu._is_avx512_bf16_supported()
