"""A batch spread over several devices plays as on one, bit for bit: four virtual CPU devices in their own process."""

import os
import subprocess
import sys

import cartridge
import pytest

PROGRAM = """
import cartridge, jax, numpy as np
from cartridge.engine import bits
from cartridge.engine.transition import legal_words

def equal(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)

assert jax.local_device_count() == 4
for env_id, autoreset in (("connect4", "same_step"), ("2048", "next_step")):
    alone, spread = (cartridge.make(env_id, 32, seed=7, autoreset=autoreset, device=d) for d in (None, "all"))
    equal(alone.reset(), spread.reset())
    draw = jax.jit(jax.vmap(lambda s, w, game=cartridge.make_game(env_id): bits.random_member(legal_words(game, s), w)))
    for number in range(60):
        actions = np.asarray(draw(alone.state, jax.random.bits(jax.random.PRNGKey(number), (32,))))
        equal(alone.step(actions), spread.step(actions))
        equal(alone.state, spread.state)
    equal(alone.reset(mask=np.arange(32) % 3 == 0), spread.reset(mask=np.arange(32) % 3 == 0))
    spread.set_state(jax.tree.map(np.asarray, alone.state))
    seen = spread.step(actions)
    for leaf in jax.tree.leaves((spread.state, seen.observation, seen.legal_actions, seen.reward)):
        assert [len(shard.data) for shard in leaf.addressable_shards] == [8] * 4, leaf.sharding
    print(env_id, "plays alike")

shown = cartridge.make("connect4", 8, output="numpy", device="all").reset()
assert isinstance(shown.observation, np.ndarray) and shown.observation.shape == (8, 6, 7, 2)
for num_envs, near in ((30, "28 or 32"), (3, "4")):
    try:
        cartridge.make("connect4", num_envs, device="all")
    except ValueError as error:
        assert str(error) == f"num_envs is {num_envs}, which 4 devices cannot share evenly; take {near}", error
    else:
        raise AssertionError("an uneven batch was taken")
"""


def test_a_spread_batch_plays_as_on_one_device() -> None:
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == [f"{game} plays alike" for game in ("connect4", "2048")]


def test_a_tensor_lies_on_one_device() -> None:
    with pytest.raises(ValueError, match="output is 'torch', whose tensors lie on one device"):
        cartridge.make("connect4", 8, output="torch", device="all")
