"""The torch learner and the Flax actor are one network: same names, same logits, same optimiser step."""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from cartridge.actor.network import Network, Params, build, init_params, value_support
from cartridge.actor.openings import random_openings
from cartridge.actor.weights import load
from cartridge.engine.spec import GameSpec, NetworkSpec, SpecError
from cartridge.engine.transition import EngineState, legal_actions, observe
from cartridge.games.connect4 import Connect4, Connect4State
from cartridge.games.tictactoe import TicTacToe
from cartridge.learner import network as torch_network
from cartridge.learner.learner import Batch, Learner, learning_rate
from cartridge.learner.publish import export
from cartridge.learner.settings import LearnerConfig
from jax import Array

SPECS = [
    NetworkSpec(width=24, blocks=2),
    NetworkSpec(width=16, blocks=1, stem=3, stem_channels=6, value_bins=5),
    NetworkSpec(width=16, blocks=1, stem=4, stem_channels=6),
    NetworkSpec("conv", width=12, blocks=2),
]
KEY = jax.random.PRNGKey(0)


def perturbed(game: GameSpec, spec: NetworkSpec) -> torch_network.Network:
    """A torch network none of whose parameters is at its plain start of zeros or ones."""
    torch.manual_seed(0)
    network = torch_network.Network(game, spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return network


def as_flax(game: GameSpec, network: torch_network.Network) -> tuple[Network, Params]:
    """The twin with the same weights, by the way every actor takes: bytes and manifest."""
    data, manifest = export(
        network.state_dict(),
        version=1,
        learner_step=0,
        game=game,
        network=network.spec,
        seed=0,
        config_hash="",
        created_at="",
    )
    twin = build(game, network.spec)
    return twin, load(data, manifest, game, twin)


@cache
def positions(num_games: int) -> EngineState[Connect4State]:
    """Connect Four after 0, 1, 2 ... random moves."""
    return jax.jit(lambda: random_openings(Connect4(), KEY, jnp.arange(num_games), num_games))()


def real_observations(num_games: int) -> Array:
    """f32[num_games, 6, 7, 2] from random Connect Four games."""
    game = Connect4()
    states = positions(num_games)
    return jax.vmap(lambda state: observe(game, state))(states)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.kind}-{spec.stem}")
def test_same_logits(spec: NetworkSpec) -> None:
    game = Connect4.spec
    network = perturbed(game, spec)
    twin, params = as_flax(game, network)
    random = jax.random.normal(KEY, (24, *game.observation_shape))
    flax_apply: Callable[[Array], Any] = jax.jit(lambda planes: twin.apply({"params": params}, planes))
    for planes in (real_observations(24), random * 1e-2, random, random * 1e2):
        with torch.no_grad():
            policy, value = network(torch.from_numpy(np.array(planes)))
        flax_policy, flax_value = flax_apply(planes)
        assert np.ptp(flax_policy) > 0.5
        np.testing.assert_allclose(policy.numpy(), flax_policy, atol=1e-4, rtol=0)
        np.testing.assert_allclose(value.numpy(), flax_value, atol=1e-4, rtol=0)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.kind}-{spec.stem}")
def test_same_names_and_shapes(spec: NetworkSpec) -> None:
    game = Connect4.spec
    tree: Any = jax.eval_shape(lambda: init_params(build(game, spec), game, KEY))
    flax_shapes = {f"{layer}.{name}": leaf.shape for layer, group in tree.items() for name, leaf in group.items()}
    torch_shapes = {name: tuple(p.shape) for name, p in torch_network.Network(game, spec).state_dict().items()}
    assert torch_shapes == flax_shapes


def test_the_same_networks_are_refused() -> None:
    flat = dataclasses.replace(TicTacToe.spec, observation_shape=(18,))
    assert torch_network.Network(flat, NetworkSpec(width=8))(torch.zeros(1, 18))[0].shape == (1, 9)
    for game, spec in ((flat, NetworkSpec("conv")), (flat, NetworkSpec(stem=2)), (TicTacToe.spec, NetworkSpec(stem=4))):
        with pytest.raises(SpecError, match="tictactoe"):
            torch_network.Network(game, spec)


def flax_loss(twin: Network, batch: dict[str, Array], value_weight: float, params: Params) -> Array:
    """The AlphaZero loss once more, written for JAX."""
    outputs: Any = twin.apply({"params": params}, batch["observation"])
    logits, value_logits = outputs
    log_policy = jax.nn.log_softmax(logits, where=batch["legal_actions"])
    policy_loss = -jnp.sum(batch["policy"] * log_policy, axis=1, where=batch["legal_actions"])
    bins = value_support(twin.spec.value_bins)
    step = bins[1] - bins[0]
    nearness = jnp.maximum(0, 1 - jnp.abs(batch["value"][:, None] - bins[None]) / step)
    value_loss = -jnp.sum(nearness * jax.nn.log_softmax(value_logits), axis=1)
    return jnp.mean(batch["weight"] * (policy_loss + value_weight * value_loss))


def one_batch(num_rows: int) -> dict[str, Array]:
    game = Connect4()
    states = positions(num_rows)
    legal = jax.vmap(lambda state: legal_actions(game, state))(states)
    weight = jnp.where(legal, jax.random.uniform(KEY, legal.shape), 0)
    return {
        "observation": jax.vmap(lambda state: observe(game, state))(states),
        "legal_actions": legal,
        "policy": weight / jnp.sum(weight, axis=1, keepdims=True),
        "value": jax.random.uniform(jax.random.PRNGKey(1), (num_rows,), minval=-1, maxval=1),
        "weight": jax.random.uniform(jax.random.PRNGKey(2), (num_rows,)),
    }


@pytest.mark.parametrize(
    ("spec", "max_norm"),
    [(SPECS[1], 1e3), (SPECS[1], 0.1), (SPECS[3], 0.1)],
    ids=["mlp", "mlp-clipped", "conv-clipped"],
)
def test_same_optimiser_steps(spec: NetworkSpec, max_norm: float) -> None:
    game = Connect4.spec
    config = LearnerConfig(
        learning_rate=1e-2,
        final_learning_rate=1e-3,
        warmup_updates=4,
        weight_decay=0.1,
        max_gradient_norm=max_norm,
        value_weight=0.7,
        precision="float32",
    )
    learner = Learner(game, spec, config, seed=0, device="cpu")
    learner.network.load_state_dict(perturbed(game, spec).state_dict())
    twin, params = as_flax(game, learner.network)
    batch = one_batch(32)
    torch_batch = Batch(**{name: torch.from_numpy(np.array(array)) for name, array in batch.items()})

    rates = jnp.array([learning_rate(config, update, 0.3) for update in range(3)])
    optimiser = optax.chain(
        optax.clip_by_global_norm(max_norm),
        optax.adamw(lambda count: rates[count], b1=0.9, b2=0.999, eps=1e-8, weight_decay=config.weight_decay),
    )

    @jax.jit
    def flax_update(params: Params, state: optax.OptState) -> tuple[Params, optax.OptState, Array]:
        gradient = jax.grad(lambda p: flax_loss(twin, batch, config.value_weight, p))(params)
        updates, state = optimiser.update(gradient, state, params)
        new: Any = optax.apply_updates(params, updates)
        return new, state, optax.tree.norm(gradient)

    state = optimiser.init(params)
    unweighted = batch | {"weight": jnp.ones(32)}
    for _ in range(3):
        scalars, _ = learner.update(torch_batch, progress=0.3)
        loss = flax_loss(twin, unweighted, config.value_weight, params)
        params, state, norm = flax_update(params, state)
        torch_loss = scalars["loss_policy"] + config.value_weight * scalars["loss_value"]
        np.testing.assert_allclose(torch_loss, loss, rtol=1e-5)
        np.testing.assert_allclose(scalars["gradient_norm"], norm, rtol=1e-4)
        assert (float(norm) > max_norm) == (max_norm < 1)
    for name, tensor in learner.network.state_dict().items():
        layer, _, parameter = name.rpartition(".")
        # Adam divides by the gradient's own size, so where that is rounding dust the step is too: 1 % of one rate.
        np.testing.assert_allclose(tensor.numpy(), params[layer][parameter], atol=1e-4, rtol=0, err_msg=name)
