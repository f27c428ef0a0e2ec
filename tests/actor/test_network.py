"""Shapes of every kind of network, and the windows of the position-sharing layer."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.actor.network import apply, build, init_params, value_support, windows
from cartridge.engine.spec import NetworkSpec, SpecError
from cartridge.games.connect4 import Connect4
from cartridge.games.tictactoe import TicTacToe

KEY = jax.random.PRNGKey(0)
SPECS = [
    NetworkSpec(width=8, blocks=1),
    NetworkSpec(width=8, blocks=0, value_bins=5),
    NetworkSpec(width=8, blocks=1, stem=3, stem_channels=4),
    NetworkSpec(width=8, blocks=2, stem=4, stem_channels=4),
    NetworkSpec("conv", width=8, blocks=1),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_shapes(spec: NetworkSpec) -> None:
    game = Connect4.spec
    network = build(game, spec)
    params = jax.jit(lambda: init_params(network, game, KEY))()
    observation = jax.random.uniform(KEY, (5, *game.observation_shape))
    outputs: Any = jax.eval_shape(lambda: network.apply({"params": params}, observation))
    assert [output.shape for output in outputs] == [(5, 7), (5, spec.value_bins)]
    logits, value = jax.jit(partial(apply, network))(params, observation)
    assert logits.shape == (5, 7)
    assert value.shape == (5,)
    assert np.all(np.abs(value) <= 1)
    assert len(set(np.asarray(value).tolist())) == 5, "rows that differ must be judged apart"


def test_parameters_by_kind() -> None:
    def shapes(spec: NetworkSpec) -> dict[str, tuple[int, ...]]:
        params = jax.eval_shape(lambda: init_params(build(Connect4.spec, spec), Connect4.spec, KEY))
        leaves = jax.tree_util.tree_leaves_with_path(params)
        return {jax.tree_util.keystr(path, simple=True, separator="."): leaf.shape for path, leaf in leaves}

    assert shapes(SPECS[0])["input.kernel"] == (84, 8)
    assert "stem.kernel" not in shapes(SPECS[0])
    assert shapes(SPECS[2])["stem.kernel"] == (18, 4)
    assert shapes(SPECS[2])["input.kernel"] == (4 * 5 * 4, 8)
    assert shapes(SPECS[3])["stem.kernel"] == (32, 4)
    assert shapes(SPECS[3])["input.kernel"] == (3 * 4 * 4, 8)
    assert shapes(SPECS[4])["input.kernel"] == (3, 3, 2, 8)
    assert shapes(SPECS[4])["policy.kernel"] == (32 * 42, 7)
    assert shapes(SPECS[1])["value.bias"] == (5,)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_windows_by_hand(side: int) -> None:
    planes = np.asarray(jax.random.uniform(KEY, (2, 3, 4, 2)))
    got = np.asarray(windows(jnp.array(planes), side))
    rows, columns = 4 - side, 5 - side
    assert got.shape == (2, rows, columns, side * side * 2)
    for row in range(rows):
        for column in range(columns):
            block = planes[:, row : row + side, column : column + side].reshape(2, -1)
            np.testing.assert_array_equal(got[:, row, column], block)


def test_planes_and_windows_must_fit_the_game() -> None:
    flat = dataclasses.replace(TicTacToe.spec, observation_shape=(18,))
    assert build(flat, NetworkSpec()).num_actions == 9
    for game, spec in ((flat, NetworkSpec("conv")), (flat, NetworkSpec(stem=2)), (TicTacToe.spec, NetworkSpec(stem=4))):
        with pytest.raises(SpecError, match="tictactoe"):
            build(game, spec)


def test_value_is_the_mean_over_the_bins() -> None:
    np.testing.assert_allclose(value_support(5), [-1, -0.5, 0, 0.5, 1])
    network = build(TicTacToe.spec, NetworkSpec(width=8, blocks=0))
    params = jax.jit(lambda: jax.tree.map(jnp.zeros_like, init_params(network, TicTacToe.spec, KEY)))()
    params = {**params, "value": {**params["value"], "bias": jnp.log(jnp.array([0.2, 0.1, 0.7]))}}
    _, value = apply(network, params, jnp.zeros((1, 3, 3, 2)))
    np.testing.assert_allclose(value, [0.5], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "lstm"}, "expected 'mlp' or 'conv'"),
        ({"width": 0}, "network.width is 0, expected 1 to 8192"),
        ({"value_bins": 1}, "network.value_bins is 1, expected 2 to 255"),
        ({"depth": 3}, "does not fit"),
    ],
)
def test_a_wrong_spec_says_so(change: dict[str, int | str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        NetworkSpec.from_json(change)
