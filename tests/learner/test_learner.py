"""Updates that can be trusted: skipped where not finite, on schedule, and continued to the bit."""

import copy
import dataclasses
import itertools
import math

import pytest
import torch
from cartridge.engine.spec import NetworkSpec
from cartridge.games.tictactoe import TicTacToe
from cartridge.learner.learner import Batch, Learner, NotFiniteError, learning_rate
from cartridge.learner.settings import LearnerConfig
from torch import Tensor

GAME, SPEC = TicTacToe.spec, NetworkSpec(width=8, blocks=1)
CONFIG = LearnerConfig(warmup_updates=2, precision="float32")


def learner(config: LearnerConfig = CONFIG, seed: int = 0) -> Learner:
    return Learner(GAME, SPEC, config, seed, "cpu")


def batch(seed: int, rows: int = 16) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    policy = torch.rand(rows, 9, generator=generator)
    return Batch(
        observation=(torch.rand(rows, 3, 3, 2, generator=generator) < 0.4).float(),
        legal_actions=torch.ones(rows, 9, dtype=torch.bool),
        policy=policy / policy.sum(1, keepdim=True),
        value=torch.rand(rows, generator=generator) * 2 - 1,
        weight=torch.ones(rows),
    )


def broken() -> Batch:
    good = batch(0)
    return dataclasses.replace(good, value=good.value * math.nan)


def snapshot(of: Learner) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in of.state()[0].items()}


def assert_same(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


def test_learns_one_batch_by_heart() -> None:
    fitted = learner(LearnerConfig(learning_rate=1e-2, warmup_updates=2, precision="float32"))
    first, _ = fitted.update(batch(1), 0.0)
    for _ in range(150):
        fitted.update(batch(1), 0.0)
    last, errors = fitted.update(batch(1), 0.0)
    assert float(last["value_error"]) < 0.3 * float(first["value_error"])
    assert float(last["loss_policy"]) < float(first["loss_policy"])
    assert all(value.shape == () and not value.requires_grad for value in last.values())
    assert errors.shape == (16,)
    assert float(errors.mean()) == pytest.approx(float(last["value_error"]))


def test_a_step_that_is_not_finite_changes_nothing() -> None:
    fitted = learner()
    fitted.update(batch(0), 0.0)
    before = snapshot(fitted)
    scalars, _ = fitted.update(broken(), 0.0)
    assert not math.isfinite(float(scalars["gradient_norm"]))
    assert_same(snapshot(fitted), before)
    fitted.update(batch(1), 0.0)
    assert not torch.equal(fitted.network.state_dict()["policy.kernel"], before["network.policy.kernel"])


def test_twenty_skipped_steps_in_a_row_are_an_error() -> None:
    fitted = learner()
    for _ in range(19):
        fitted.update(broken(), 0.0)
    fitted.update(batch(0), 0.0)  # one good step forgives the nineteen
    for _ in range(19):
        fitted.update(broken(), 0.0)
    with pytest.raises(NotFiniteError, match="20 updates in a row"):
        fitted.update(broken(), 0.0)


def test_rate_follows_progress() -> None:
    config = LearnerConfig(learning_rate=1.0, final_learning_rate=0.1, warmup_updates=10)
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(config, 4, 0.0) == pytest.approx(0.5)
    assert [learning_rate(config, 10, at) for at in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.55, 0.1])
    assert learning_rate(config, 10, 7.0) == pytest.approx(0.1)
    assert learning_rate(config, 10, -1.0) == pytest.approx(1.0)
    falling = [learning_rate(config, 10 + step, step / 100) for step in range(101)]
    assert all(later < earlier for earlier, later in itertools.pairwise(falling))
    assert learning_rate(LearnerConfig(learning_rate=1.0, warmup_updates=0), 0, 0.0) == pytest.approx(1.0)


def test_the_optimiser_uses_the_scheduled_rate() -> None:
    fitted = learner(LearnerConfig(learning_rate=1.0, final_learning_rate=0.0, warmup_updates=0, precision="float32"))
    before = snapshot(fitted)
    assert fitted.learning_rate(1.0) == 0.0
    fitted.update(batch(0), 1.0)
    assert torch.equal(fitted.network.state_dict()["policy.kernel"], before["network.policy.kernel"])
    fitted.update(batch(0), 0.5)
    assert [group["lr"] for group in fitted.optimiser.param_groups] == pytest.approx([0.5])
    assert fitted.updates == 2


@pytest.mark.parametrize("target", ["fresh", "used"])
def test_state_continues_to_the_bit(target: str) -> None:
    first = learner()
    for seed in range(4):
        first.update(batch(seed), seed / 10)
    tensors, counters = first.state()
    saved = copy.deepcopy(tensors)
    second = learner(seed=9)
    if target == "used":
        second.update(batch(77), 0.0)
    second.load_state(saved, counters)
    assert_same(snapshot(second), snapshot(first))
    for seed in range(4, 7):
        first.update(batch(seed), seed / 10)
        second.update(batch(seed), seed / 10)
    assert_same(snapshot(second), snapshot(first))
    assert second.updates == first.updates == 7


def test_loading_a_fresh_state_forgets_old_moments() -> None:
    start = learner()
    tensors, counters = start.state()
    saved = copy.deepcopy(tensors)
    used = learner(seed=9)
    used.update(batch(5), 0.0)
    used.load_state(saved, counters)
    start.update(batch(1), 0.0)
    used.update(batch(1), 0.0)
    assert_same(snapshot(used), snapshot(start))


def test_loading_does_not_share_memory() -> None:
    first, second = learner(), learner(seed=9)
    first.update(batch(0), 0.0)
    tensors, counters = first.state()
    second.load_state(tensors, counters)
    before = snapshot(first)
    second.update(batch(1), 0.0)
    assert_same(snapshot(first), before)


def test_average_follows_by_its_decay() -> None:
    fitted = learner(LearnerConfig(average_decay=0.25, warmup_updates=0, precision="float32"))
    want = {name: tensor.clone() for name, tensor in fitted.average.items()}
    for update in range(5):
        fitted.update(batch(update), 0.0)
        decay = min(0.25, (update + 1) / (update + 10))  # 0.1, 0.18, then 0.25
        for name, tensor in fitted.network.state_dict().items():
            want[name] = decay * want[name] + (1 - decay) * tensor
    for name, tensor in fitted.published().items():
        torch.testing.assert_close(tensor, want[name], atol=1e-6, rtol=0)
    assert not torch.equal(fitted.published()["policy.kernel"], fitted.network.state_dict()["policy.kernel"])


def test_without_average_the_raw_weights_are_published() -> None:
    fitted = learner(LearnerConfig(average_decay=0.0, precision="float32"))
    fitted.update(batch(0), 0.0)
    for name, tensor in fitted.network.state_dict().items():
        assert torch.equal(fitted.published()[name], tensor)


def test_same_seed_same_network() -> None:
    assert_same(snapshot(learner(seed=3)), snapshot(learner(seed=3)))
    assert not torch.equal(
        snapshot(learner(seed=3))["network.policy.kernel"], snapshot(learner())["network.policy.kernel"]
    )
