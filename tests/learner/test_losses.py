"""The loss and the categorical value target against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from cartridge.learner.losses import alphazero_loss, two_hot

T = torch.tensor


@pytest.mark.parametrize(
    ("value", "num_bins", "want"),
    [
        (-1.0, 3, [1, 0, 0]),
        (0.0, 3, [0, 1, 0]),
        (1.0, 3, [0, 0, 1]),
        (0.25, 3, [0, 0.75, 0.25]),
        (-0.6, 3, [0.6, 0.4, 0]),
        (0.25, 5, [0, 0, 0.5, 0.5, 0]),
        (0.5, 2, [0.25, 0.75]),
        (1.5, 3, [0, 0, 1]),  # clipped
    ],
)
def test_two_hot_by_hand(value: float, num_bins: int, want: list[float]) -> None:
    np.testing.assert_allclose(two_hot(T([value]), num_bins)[0], want, atol=1e-6)


@pytest.mark.parametrize("num_bins", [2, 3, 11, 255])
def test_two_hot_keeps_the_mean(num_bins: int) -> None:
    values = torch.linspace(-1, 1, 401)
    weights = two_hot(values, num_bins)
    assert weights.shape == (401, num_bins)
    assert bool((weights >= 0).all())
    assert int((weights > 0).sum(1).max()) <= 2
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-4)
    np.testing.assert_allclose(weights @ torch.linspace(-1, 1, num_bins), values, atol=1e-4)
    bins = torch.linspace(-1, 1, num_bins)
    np.testing.assert_allclose(two_hot(bins, num_bins), np.eye(num_bins), atol=1e-4)


def test_loss_by_hand() -> None:
    """Row 0: the network says 1/4, 3/4 of two legal actions; row 1 has one legal action, so nothing to learn."""
    policy_logits = T([[0.0, math.log(3), 7.0], [5.0, -2.0, 1.0]])
    legal = T([[True, True, False], [False, True, False]])
    policy = T([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    value_logits = T([[0.2, 0.3, 0.5], [0.25, 0.5, 0.25]]).log()
    value = T([0.5, -1.0])
    losses = alphazero_loss(policy_logits, value_logits, legal, policy, value, T([1.0, 1.0]), value_weight=2.0)
    policy_loss = 0.5 * (0.5 * math.log(4) + 0.5 * math.log(4 / 3))
    value_loss = 0.5 * (-0.5 * math.log(0.3) - 0.5 * math.log(0.5) - math.log(0.25))
    assert float(losses.policy) == pytest.approx(policy_loss, abs=1e-6)
    assert float(losses.value) == pytest.approx(value_loss, abs=1e-6)
    assert float(losses.total) == pytest.approx(policy_loss + 2 * value_loss, abs=1e-6)
    assert float(losses.entropy) == pytest.approx(0.5 * (0.25 * math.log(4) + 0.75 * math.log(4 / 3)), abs=1e-6)
    assert losses.value_error.tolist() == pytest.approx([0.2, 1.0], abs=1e-6)  # predicted 0.3 and 0
    weighted = alphazero_loss(policy_logits, value_logits, legal, policy, value, T([0.0, 0.5]), value_weight=2.0)
    assert float(weighted.total) == pytest.approx(-0.5 * 0.5 * 2 * math.log(0.25), abs=1e-6)


def test_illegal_actions_carry_no_gradient() -> None:
    logits = torch.randn(4, 5, requires_grad=True)
    legal = T([[True, False, True, True, False]] * 4)
    policy = legal / legal.sum(1, keepdim=True)
    losses = alphazero_loss(logits, torch.zeros(4, 3), legal, policy, torch.zeros(4), torch.ones(4), 1.0)
    losses.total.backward()
    assert logits.grad is not None
    assert bool((logits.grad[~legal] == 0).all())
    assert bool((logits.grad[legal] != 0).all())
    assert not losses.policy.requires_grad


def test_loss_is_least_where_network_and_target_agree() -> None:
    policy, legal = T([[0.2, 0.8]]), T([[True, True]])
    value_target = T([0.5])

    def total(share: float, mean: float) -> float:
        value_logits = two_hot(T([mean]), 3).clamp_min(1e-9).log()
        losses = alphazero_loss(T([[share, 1 - share]]).log(), value_logits, legal, policy, value_target, T([1.0]), 1.0)
        return float(losses.total)

    best = total(0.2, 0.5)
    assert all(best < total(share, mean) for share, mean in ((0.3, 0.5), (0.1, 0.5), (0.2, 0.4), (0.2, 0.6)))
