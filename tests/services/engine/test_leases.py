"""A lease is a batch elsewhere: the same seed and actions give what `VectorEnv` gives here, whoever else plays."""

import subprocess
import threading
from collections.abc import Callable
from typing import Any

import cartridge
import numpy as np
import pytest
from cartridge.client import Engine, Lease, Step

NUM, STEPS = 24, 60
ALL = ("obs:f32", "mask", "player")
GAMES = [("tictactoe", "same_step"), ("connect4", "next_step"), ("asterix", "same_step"), ("cartpole", "disabled")]


def actions_for(random: np.random.Generator, legal: np.ndarray, seldom: float = 0.02) -> np.ndarray:
    """Random legal actions (0 where there is none), and now and then an illegal one."""
    scores = random.random(legal.shape) + legal
    actions = np.where(random.random(len(legal)) < seldom, legal.shape[1] + 3, scores.argmax(axis=1))
    return actions.astype(np.int64)


def equal(step: Step, seen: Any) -> None:
    """Whether a remote step shows what a local time step does."""
    np.testing.assert_array_equal(step.observation, seen.observation)
    np.testing.assert_array_equal(step.legal_actions, seen.legal_actions)
    np.testing.assert_array_equal(step.player, seen.player)
    np.testing.assert_array_equal(step.reward, seen.reward)
    for name in ("terminated", "truncated", "illegal"):
        np.testing.assert_array_equal(getattr(step, name), getattr(seen, name))
    if seen.final_observation is not None:
        ended = np.flatnonzero(seen.terminated | seen.truncated)
        np.testing.assert_array_equal(step.final_rows, ended)
        if ended.size:
            np.testing.assert_array_equal(step.final.observation, seen.final_observation[ended])


def play(lease: Lease, env_id: str, mode: Any, seed: int, steps: int = STEPS) -> bytes:
    """Plays a lease and its like here side by side; returns all that the lease showed."""
    env = cartridge.make(env_id, lease.num_games, seed, autoreset=mode, output="numpy")
    random = np.random.default_rng(seed)
    shown, seen = lease.first, env.reset()
    equal(shown, seen)
    record = [*map(bytes, shown.raw.values())]
    for _ in range(steps):
        actions = actions_for(random, np.asarray(seen.legal_actions))
        shown, seen = lease.step(actions), env.step(actions)
        equal(shown, seen)
        record += map(bytes, shown.raw.values())
    return b"".join(record)


@pytest.mark.parametrize(("env_id", "mode"), GAMES)
def test_a_lease_is_a_batch_elsewhere(engine: Engine, env_id: str, mode: str) -> None:
    with engine.acquire(env_id, NUM, seed=5, auto_reset=mode, outputs=ALL) as lease:
        play(lease, env_id, mode, seed=5)


def test_every_layout_says_the_same(engine: Engine) -> None:
    outputs = ("obs:u8", "obs:bits", "state:packed_u32:v1", "mask")
    with (
        engine.acquire("connect4", NUM, outputs=outputs) as lease,
        engine.acquire("connect4", NUM, outputs=ALL) as other,
    ):
        shown, floats = lease.first, other.first
        for _ in range(20):
            actions = actions_for(np.random.default_rng(0), floats.legal_actions)
            shown, floats = lease.step(actions), other.step(actions)
            size = {name.split(":")[1]: len(data) for name, data in shown.raw.items() if name.startswith("obs")}
            assert size == {"u8x84": 84 * NUM, "bits84": 11 * NUM}
            np.testing.assert_array_equal(shown.observation, floats.observation)
            np.testing.assert_array_equal(shown.legal_actions, floats.legal_actions)
            assert shown.state.shape == (NUM, 5)


def test_where_a_lease_lies_changes_nothing(engine: Engine, start_engine: Callable[..., Any]) -> None:
    """Neither does another process, nor a server that has been started anew."""
    with engine.acquire("kuhn_poker", 7), engine.acquire("kuhn_poker", NUM, seed=9, outputs=ALL) as lease:
        first = play(lease, "kuhn_poker", "same_step", seed=9)
    for _ in range(2):
        process, address = start_engine("--games", "64")
        with Engine(address) as other, other.acquire("kuhn_poker", NUM, seed=9, outputs=ALL) as lease:
            assert play(lease, "kuhn_poker", "same_step", seed=9) == first
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    assert process.wait(30) == 0, process.communicate()


def test_clients_of_all_kinds_share_a_server(server: str) -> None:
    """Threads with leases of other sizes, modes and outputs of the same game, all at once."""
    faults: list[BaseException] = []

    def client(number: int) -> None:
        mode = ("same_step", "next_step", "disabled")[number % 3]
        outputs = ALL if number % 2 else ("player", "obs:f32", "mask")
        try:
            with Engine(server) as engine:
                size = 1 + 37 * number
                with engine.acquire("tictactoe", size, seed=number, auto_reset=mode, outputs=outputs) as lease:
                    play(lease, "tictactoe", mode, seed=number, steps=120)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not faults, faults


def test_steps_on_the_way_are_answered_in_their_order(engine: Engine) -> None:
    """Actions of `disabled` games need no look at the board: here each column fills up."""
    with engine.acquire("connect4", 2, auto_reset="disabled", outputs=("state",)) as lease:
        apart = engine.acquire("connect4", 2, auto_reset="disabled", outputs=("state",))
        for column in (0, 1, 2, 3):
            lease.send([column, 6 - column])
        together = [lease.receive() for _ in range(4)]
        assert [step.sequence for step in together] == [1, 2, 3, 4]
        for column, step in zip((0, 1, 2, 3), together, strict=True):
            np.testing.assert_array_equal(step.state, apart.step([column, 6 - column]).state)
        apart.release()


def test_games_begin_again_when_told(engine: Engine) -> None:
    env = cartridge.make("kuhn_poker", NUM, 3, output="numpy")
    chosen = np.arange(NUM) % 3 == 0
    with engine.acquire("kuhn_poker", NUM, seed=3, outputs=ALL) as lease:
        env.reset()
        shown = lease.step(np.full(NUM, 99), chosen)
        begun = env.reset(mask=chosen)
        np.testing.assert_array_equal(shown.observation[chosen], begun.observation[chosen])
        assert not shown.ends[chosen].any()
        assert (shown.ends[~chosen] == 5).all()  # those that moved made an illegal move


def test_an_illegal_action_ends_its_own_game_alone(engine: Engine) -> None:
    with engine.acquire("tictactoe", 3, outputs=ALL) as lease:
        shown = lease.step([0, 9, 2**40])
        assert shown.illegal.tolist() == [False, True, True]
        assert shown.reward.tolist() == [[0, 0], [-1, 1], [-1, 1]]
        assert shown.final_rows.tolist() == [1, 2]
        assert shown.final.legal_actions.tolist() == [[False] * 9] * 2


def test_a_snapshot_goes_on_as_the_games_did(engine: Engine) -> None:
    outputs = (*ALL, "state")
    with (
        engine.acquire("kuhn_poker", NUM, seed=1, outputs=outputs, trusted=True) as lease,
        engine.acquire("kuhn_poker", NUM, seed=8, outputs=outputs, trusted=True) as other,
    ):
        moves = [np.arange(NUM) % 2, np.ones(NUM, int), np.zeros(NUM, int)]
        for move in moves:
            lease.step(move)
        snapshot = lease.snapshot()
        went_on = [lease.step(move) for move in moves]
        for again in (lease, other):
            back = again.restore(snapshot)
            np.testing.assert_array_equal(back.state, np.frombuffer(snapshot.states, "<u4").reshape(NUM, -1))
            for move, before in zip(moves, went_on, strict=True):
                shown = again.step(move)
                assert [*map(bytes, shown.raw.values())] == [*map(bytes, before.raw.values())]
                np.testing.assert_array_equal(shown.reward, before.reward)


def test_the_largest_lease_fills_the_batch(engine: Engine) -> None:
    """One window of all games, whose states are an output and the batch at once."""
    with engine.acquire("tictactoe", 4096, seed=2, outputs=(*ALL, "state")) as lease:
        play(lease, "tictactoe", "same_step", seed=2, steps=12)
