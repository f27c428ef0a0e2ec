"""One step for unlike games does to each what a batch of its own would: `batch.step` is the reference."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import batch, codec, slices
from cartridge.engine.batch import AUTORESET_MODES
from cartridge.registry import make_game

NUM_EACH, STEPS = 8, 40
GAMES = ("tictactoe", "connect4", "kuhn_poker", "cartpole", "asterix")


@functools.cache
def compiled(env_id: str) -> Any:
    game = make_game(env_id)
    return game, {
        "init": jax.jit(lambda: batch.init(game, 7, NUM_EACH)[0]),
        "slice": jax.jit(lambda states, actions, orders: slices.step(game, states, actions, orders)),
        "restart": jax.jit(lambda chosen, states: batch.restart_where(game, chosen, states)),
        **{
            mode: jax.jit(functools.partial(lambda mode, s, a: batch.step(game, s, a, mode), mode))
            for mode in AUTORESET_MODES
        },
    }


def joined(*states: Any) -> Any:
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *states)


def same(one: Any, other: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("env_id", GAMES)
def test_every_mode_does_in_one_call_what_it_does_alone(env_id: str) -> None:
    """Random actions, illegal ones too; now and then a game is not ready, or begins again."""
    game, do = compiled(env_id)
    random = np.random.default_rng(1)
    alone = {mode: do["init"]() for mode in AUTORESET_MODES}
    together = joined(*alone.values())
    mode_orders = np.repeat([slices.AUTORESET_ORDERS[mode] for mode in AUTORESET_MODES], NUM_EACH)
    met = set()
    for _ in range(STEPS):
        actions = random.integers(0, game.spec.num_actions, 3 * NUM_EACH).astype(np.int32)
        wants = random.choice([slices.MOVE] * 8 + [slices.BEGIN_AGAIN, np.uint8(0)], 3 * NUM_EACH)
        moved = do["slice"](together, actions, wants | mode_orders)
        expected, seen = {}, {}
        for index, mode in enumerate(AUTORESET_MODES):
            rows = slice(index * NUM_EACH, (index + 1) * NUM_EACH)
            played, seen[mode] = do[mode](alone[mode], actions[rows])
            again = do["restart"](wants[rows] == slices.BEGIN_AGAIN, alone[mode])
            expected[mode] = batch.select(wants[rows] == slices.MOVE, played, again)
        same(moved.states, joined(*expected.values()))
        ready = wants == slices.MOVE
        for bit, name in ((1, "terminated"), (2, "truncated"), (4, "illegal")):
            flags = np.concatenate([getattr(seen[mode], name) for mode in AUTORESET_MODES]) & ready
            np.testing.assert_array_equal((np.asarray(moved.ends) & bit) != 0, flags)
            met |= {name} if flags.any() else set()
        rewards = np.concatenate([seen[mode].reward for mode in AUTORESET_MODES])
        np.testing.assert_array_equal(np.stack(moved.rewards, axis=1), np.where(ready[:, None], rewards, 0))
        final = np.asarray(jax.vmap(functools.partial(_observe, game))(moved.last))[:NUM_EACH]
        ended = (seen["same_step"].terminated | seen["same_step"].truncated) & ready[:NUM_EACH]
        np.testing.assert_array_equal(final[ended], np.asarray(seen["same_step"].final_observation)[ended])
        alone, together = expected, moved.states
    assert {"terminated"} <= met


def _observe(game: Any, state: Any) -> Any:
    return game.observe(state.game, game.player(state.game))


@pytest.mark.parametrize(
    "env_id", ["tictactoe", pytest.param("chess", marks=pytest.mark.long), "go9x9", "kuhn_poker", "cartpole"]
)
def test_what_is_shown_is_what_the_codec_writes(env_id: str) -> None:
    """The device's way to the bytes and the host's are written apart."""
    game = make_game(env_id)
    spec = game.spec

    @jax.jit
    def play() -> Any:
        states, seen = batch.init(game, 3, NUM_EACH)
        for move in range(4):
            states, seen = batch.step(game, states, (jnp.arange(NUM_EACH) + move) % spec.num_actions, "disabled")
        return states, seen, slices.show(game, states, spec.outputs)

    states, seen, shown = jax.tree.map(np.asarray, play())
    legal = seen.legal_actions & ~states.over[:, None]
    for name in spec.outputs:
        kind = name.partition(":")[0]
        whole = {"obs": seen.observation, "mask": legal, "player": seen.player}.get(kind)
        array = codec.pack_state(states) if whole is None else whole
        for rows in (slice(0, NUM_EACH), slice(2, 5), np.array([1, 6])):
            assert slices.to_bytes(game, name, shown[name], rows) == codec.encode(spec, name, array[rows])


def test_the_step_is_one_program_for_all_modes() -> None:
    game = make_game("tictactoe")
    traced = 0

    @jax.jit
    def step(states: Any, actions: Any, orders: Any) -> Any:
        nonlocal traced
        traced += 1
        return slices.step(game, states, actions, orders)

    states = compiled("tictactoe")[1]["init"]()
    for mode in slices.AUTORESET_ORDERS.values():
        for want in (slices.MOVE, slices.BEGIN_AGAIN):
            step(states, jnp.zeros(NUM_EACH, jnp.int32), jnp.full(NUM_EACH, mode | want, jnp.uint8))
    assert traced == 1
