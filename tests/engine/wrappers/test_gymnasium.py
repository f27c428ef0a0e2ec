"""One agent's environment passes Gymnasium's checks and follows OpenSpiel's rules; the batch equals a SyncVectorEnv."""

from types import ModuleType
from typing import Any

import cartridge
import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
import pytest
from cartridge.engine.game import Game
from cartridge.engine.transition import EngineState, legal_actions
from cartridge.engine.wrappers.gymnasium_env import GymnasiumEnv
from cartridge.engine.wrappers.gymnasium_vector import GymnasiumVectorEnv
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

TICTACTOE: Game[Any] = cartridge.make_game("tictactoe")
NUM_ENVS = 3
SEATS = [("tictactoe", 1), ("cartpole", 0)]
LONG_SEATS = [
    ("counting", 1),
    ("2048", 0),
    ("kuhn_poker", 0),
    ("kuhn_poker", 1),
    ("connect4", 0),
    ("leduc_poker", 0),
    ("leduc_poker", 1),
]


@pytest.fixture(scope="module")
def games(small_games: ModuleType) -> dict[str, Game[Any]]:
    """One object a game, so that each is compiled once; `counting` has uneven turns and is cut after six moves."""
    names = {name for name, _ in SEATS + LONG_SEATS} - {"counting", "tictactoe"}
    return {name: cartridge.make_game(name) for name in names} | {
        "tictactoe": TICTACTOE,
        "counting": small_games.Counting(max_steps=6),
    }


def lowest_legal(states: EngineState[Any], key: jax.Array) -> jax.Array:
    """An opponent that is easy to follow by hand."""
    del key
    legal = jax.vmap(lambda state: legal_actions(TICTACTOE, state))(states)
    return jnp.argmax(legal, axis=1).astype(jnp.int32)


@pytest.mark.parametrize(("name", "seat"), [("tictactoe", 1), ("cartpole", 0), ("kuhn_poker", 0)])
def test_gymnasium_finds_no_fault(games: dict[str, Game[Any]], name: str, seat: int) -> None:
    env = GymnasiumEnv(games[name], seat=seat)
    env.spec = EnvSpec("game-v0", entry_point=lambda **settings: GymnasiumEnv(games[name], seat=seat, **settings))
    check_env(env)  # with a spec it tries both modes of rendering


@pytest.mark.parametrize("seat", [0, 1])
def test_the_agent_gets_what_its_move_and_the_reply_bring(seat: int) -> None:
    env = GymnasiumEnv(TICTACTOE, lowest_legal, seat)
    random = np.random.default_rng(seat)
    results = set()
    for _ in range(40):
        observation, info = env.reset()
        reward = 0.0
        theirs: Any = pyspiel.load_game("tic_tac_toe").new_initial_state()
        over = False
        while not over:
            if theirs.current_player() != seat:
                theirs.apply_action(theirs.legal_actions()[0])
            assert np.flatnonzero(info["legal_actions"]).tolist() == theirs.legal_actions()
            assert observation[..., 0].sum() + seat == observation[..., 1].sum()  # the agent's marks come first
            action = random.choice(theirs.legal_actions())
            theirs.apply_action(int(action))
            if not theirs.is_terminal():
                theirs.apply_action(theirs.legal_actions()[0])
            observation, reward, over, truncated, info = env.step(action)
            assert reward == (theirs.returns()[seat] if theirs.is_terminal() else 0)
            assert over == theirs.is_terminal()
            assert not truncated
        results.add(reward)
        assert not info["legal_actions"].any()
    assert results >= {1.0, -1.0}


def test_an_illegal_action_loses_and_a_finished_game_takes_no_more() -> None:
    env = GymnasiumEnv(TICTACTOE)
    with pytest.raises(ResetNeeded, match="call reset before the first step"):
        env.step(0)
    env.reset(seed=0)
    assert env.step(2**32)[1:4] == (-1.0, True, False)  # and is not action 0
    with pytest.raises(ResetNeeded, match="the game is over; call reset"):
        env.step(0)


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize(
    ("name", "seat"), [*SEATS, *(pytest.param(*seat, marks=pytest.mark.long) for seat in LONG_SEATS)]
)
def test_the_batch_equals_a_sync_vector_env(
    games: dict[str, Game[Any]], name: str, seat: int, mode: AutoresetMode
) -> None:
    """The same actions, legal ones and a few illegal, and the same resets, whole or in part, give the same arrays."""
    the_same_games(games[name], seat, mode, num_steps=60)


@pytest.mark.parametrize(
    ("name", "seat", "mode"), [("kuhn_poker", 0, AutoresetMode.SAME_STEP), ("counting", 1, AutoresetMode.NEXT_STEP)]
)
def test_so_does_one_with_cards_or_uneven_turns(
    games: dict[str, Game[Any]], name: str, seat: int, mode: AutoresetMode
) -> None:
    the_same_games(games[name], seat, mode, num_steps=60)


def the_same_games(game: Game[Any], seat: int, mode: AutoresetMode, num_steps: int) -> None:
    random = np.random.default_rng(0)
    ours = GymnasiumVectorEnv(game, NUM_ENVS, seat=seat, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: GymnasiumEnv(game, seat=seat)] * NUM_ENVS, autoreset_mode=mode)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata["autoreset_mode"] == mode
    seen, infos = alike(ours.reset(seed=7), theirs.reset(seed=7))
    num_ended = 0
    for number in range(num_steps):
        legal = [np.flatnonzero(row) if row.any() else [0] for row in infos["legal_actions"]]
        actions = np.array([random.choice(row) for row in legal])
        if number % 10 == 9:
            actions = random.integers(game.spec.num_actions + 1, size=NUM_ENVS)
        seen, _, terminated, truncated, infos = alike(ours.step(actions), theirs.step(actions))
        ended = terminated | truncated
        num_ended += ended.sum()
        if mode is AutoresetMode.DISABLED and ended.any():
            with pytest.raises(ResetNeeded, match=r"games are over, in rows .*reset_mask"):
                ours.step(actions)
            chosen = ended | (random.random(NUM_ENVS) < 0.2)
            alike(*(env.reset(options={"reset_mask": chosen}) for env in (ours, theirs)))
        if number % 20 == 19:
            seed = [3, None, 5]
            seen, infos = alike(ours.reset(seed=seed), theirs.reset(seed=seed))
    assert num_ended >= 4
    assert seen.flags.writeable


def test_a_policy_may_draw_and_its_rows_stay_apart() -> None:
    """Drawn from the key it is given, one row's reply says nothing of another's."""

    def reply(states: EngineState[Any], key: jax.Array) -> jax.Array:
        legal = jax.vmap(lambda state: legal_actions(TICTACTOE, state))(states)
        return jax.random.categorical(key, jnp.where(legal, 0.0, -jnp.inf))

    num_envs = 400
    env = GymnasiumVectorEnv(TICTACTOE, num_envs, reply, copy=False)
    env.reset(seed=0)
    seen, *_ = env.step(np.full(num_envs, 4))
    replies = seen[..., 1].reshape(num_envs, 9).argmax(axis=1)
    counts = np.bincount(replies, minlength=9)
    assert counts[4] == 0
    assert ((np.delete(counts, 4) - num_envs / 8) ** 2 / (num_envs / 8)).sum() < 24.3  # chi-squared, 7 degrees, 1/1000
    env.reset(seed=[*range(num_envs)][::-1])
    np.testing.assert_array_equal(env.step(np.full(num_envs, 4))[0], seen[::-1])


def test_what_happens_before_the_first_move_is_told_with_it() -> None:
    """An opponent that opens with an illegal action loses; the agent learns it in its first step."""

    def forfeit(states: EngineState[Any], key: jax.Array) -> jax.Array:
        del key
        return jnp.full_like(states.meta, 99).astype(jnp.int32)

    env = GymnasiumEnv(TICTACTOE, forfeit, seat=1)
    _, info = env.reset(seed=0)
    assert not info["legal_actions"].any()
    assert env.step(0)[1:4] == (1.0, True, False)
    ours = GymnasiumVectorEnv(TICTACTOE, NUM_ENVS, forfeit, 1)
    theirs = SyncVectorEnv([lambda: GymnasiumEnv(TICTACTOE, forfeit, 1)] * NUM_ENVS)
    alike(ours.reset(seed=0), theirs.reset(seed=0))
    for _ in range(4):
        alike(ours.step(np.zeros(NUM_ENVS, int)), theirs.step(np.zeros(NUM_ENVS, int)))


def test_wrong_settings_are_named() -> None:
    game = TICTACTOE
    empty = game.text(game.init((jnp.uint32(0), jnp.uint32(0))))
    with pytest.raises(ValueError, match="seat is 2, expected 0 to 1 in tictactoe"):
        GymnasiumEnv(game, seat=2)
    with pytest.raises(ValueError, match="render_mode is 'human', expected None or one of svg, ansi"):
        GymnasiumEnv(game, render_mode="human")
    with pytest.raises(ValueError, match="num_envs is 0"):
        GymnasiumVectorEnv(game, 0)
    env = GymnasiumVectorEnv(game, NUM_ENVS, render_mode="ansi")
    with pytest.raises(ValueError, match="got 1 seeds, expected one for each of 3 games"):
        env.reset(seed=[1])
    with pytest.raises(ValueError, match=r"seed is -1, expected 0 to 2\*\*64 - 1"):
        env.reset(seed=[1, -1, 2])
    with pytest.raises(ValueError, match=r"reset_mask is int64 of shape \(3,\)"):
        env.reset(options={"reset_mask": np.zeros(3, int)})
    env.reset(seed=0)
    assert env.render() == (empty,) * NUM_ENVS
    with pytest.raises(ValueError, match=r"actions are float64 of shape \(3,\), expected integers"):
        env.step(np.zeros(NUM_ENVS))


def alike(ours: Any, theirs: Any) -> Any:
    """Ours, if every array and every key is theirs, exactly."""
    for mine, other in zip(ours, theirs, strict=True):
        if isinstance(mine, dict):
            assert mine.keys() == other.keys()
            alike([mine[key] for key in mine], [other[key] for key in mine])
        else:
            assert data_equivalence(mine, other, exact=True), (mine, other)
    return ours
