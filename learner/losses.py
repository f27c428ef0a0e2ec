"""The AlphaZero loss: cross-entropy of the policy with the search's policy, and of the value with the return.

Silver et al. 2018, "A general reinforcement learning algorithm that masters chess, shogi and Go", with a categorical
value (Farebrother et al. 2024, "Stop regressing") in place of the squared error.
"""

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from .network import value_support

_ILLEGAL = -1e9


@dataclasses.dataclass(frozen=True)
class Losses:
    """Means over a batch, of which `total` is weighted and carries the gradient; and what each row was off by."""

    total: Tensor  # f32[]
    policy: Tensor  # f32[]
    value: Tensor  # f32[]
    entropy: Tensor  # f32[], of the network's policy over legal actions
    value_error: Tensor  # f32[N], |return - value|


def alphazero_loss(
    policy_logits: Tensor,
    value_logits: Tensor,
    legal_actions: Tensor,
    policy: Tensor,
    value: Tensor,
    row_weight: Tensor,
    value_weight: float,
) -> Losses:
    """Logits f32[N, A] and f32[N, bins] against the search policy f32[N, A] and the return f32[N] in [-1, 1].

    `row_weight` (f32[N]) says how much each row counts, 1 where all are drawn alike.
    """
    log_policy = functional.log_softmax(policy_logits.float().masked_fill(~legal_actions, _ILLEGAL), dim=1)
    log_value = functional.log_softmax(value_logits.float(), dim=1)
    policy_loss = -(policy * log_policy).sum(1)  # [N]
    value_loss = -(two_hot(value, value_logits.shape[1]) * log_value).sum(1)  # [N]
    probabilities = log_policy.exp()
    predicted = log_value.exp() @ value_support(value_logits.shape[1]).to(log_value.device)
    return Losses(
        total=(row_weight * policy_loss).mean() + value_weight * (row_weight * value_loss).mean(),
        policy=policy_loss.mean().detach(),
        value=value_loss.mean().detach(),
        entropy=-(probabilities * log_policy.clamp_min(-1e6)).sum(1).mean().detach(),
        value_error=(predicted - value).abs().detach(),
    )


def two_hot(value: Tensor, num_bins: int) -> Tensor:
    """f32[N, bins]: weight on the two neighbouring bins whose mean is `value` (f32[N], clipped to [-1, 1])."""
    place = (value.clamp(-1.0, 1.0) + 1.0) * (num_bins - 1) / 2.0  # [N], in units of bins
    bins = torch.arange(num_bins, device=value.device)
    return (1.0 - (place[:, None] - bins).abs()).clamp_min(0.0)
