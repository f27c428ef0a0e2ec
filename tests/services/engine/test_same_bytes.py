"""The same seed and actions give the same bytes: by the engine here, and through a server, also one that came anew."""

import hashlib
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from cartridge import engine
from cartridge.client import Engine
from cartridge.engine import codec
from cartridge.engine.spec import GameSpec
from cartridge.registry import make_game

NUM, STEPS, SEED = 6, 40, 2**63 + 5
GAME = "2048"  # chance in its start and in every step

# What a client shows of a lease, and of games whose states it keeps: a process of its own, without JAX.
CLIENT = textwrap.dedent(
    """
    import hashlib, sys
    import numpy as np
    from cartridge.client import Engine

    address, env_id, num, steps, seed = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    told = hashlib.sha256()
    with Engine(address) as server:
        capabilities = server.capabilities(env_id)
        outputs = ("state", "obs:f32", "mask")
        with server.acquire(env_id, num, seed=seed, auto_reset="next_step", outputs=outputs, trusted=True) as lease:
            shown = lease.first
            for step in range(steps):
                for data in (*shown.raw.values(), shown.reward.tobytes(), shown.ends.tobytes()):
                    told.update(data)
                shown = lease.step(np.arange(num) * 7 % 5 * (step + 1) % capabilities.discrete_n)
    print(told.hexdigest())
    """
)


def here(env_id: str) -> str:
    """The same by the engine's functions alone."""
    game: Any = make_game(env_id)
    spec = game.spec
    state, observation, mask = (_output(spec, kind) for kind in ("state:", "obs:f32", "mask:"))
    step = jax.jit(lambda states, actions: engine.step(game, states, actions, autoreset="next_step"))
    states, seen = jax.jit(lambda: engine.init(game, SEED, NUM))()
    told, reward = hashlib.sha256(), np.zeros((NUM, spec.num_players), np.float32)
    ends = np.zeros(NUM, np.uint8)
    for number in range(STEPS):
        told.update(codec.encode(spec, state, codec.pack_state(states)))
        told.update(codec.encode(spec, observation, seen.observation))
        told.update(codec.encode(spec, mask, seen.legal_actions & ~states.over[:, None]))  # none in a game that is over
        told.update(reward.tobytes())
        told.update(ends.tobytes())
        states, seen = step(states, np.arange(NUM) * 7 % 5 * (number + 1) % spec.num_actions)
        reward = np.asarray(seen.reward)
        flags = np.stack([seen.terminated, seen.truncated, seen.illegal]).astype(np.uint8)
        ends = flags[0] + 2 * flags[1] + 4 * flags[2]
    return told.hexdigest()


def _output(spec: GameSpec, kind: str) -> str:
    return next(name for name in spec.outputs if name.startswith(kind))


def elsewhere(address: str, env_id: str, environment: dict[str, str]) -> str:
    """What a client in another process is shown."""
    words = [sys.executable, "-W", "ignore", "-c", CLIENT, address, env_id, *map(str, (NUM, STEPS, SEED))]
    found = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=240)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@pytest.mark.long
def test_a_server_shows_the_bytes_of_the_engine_before_and_after_it_came_anew(
    start_engine: Callable[..., Any], short_folder: Path, environment: dict[str, str]
) -> None:
    """In a game with chance, whose every byte is compared: states, observations, masks, rewards and ends."""
    place = f"unix:{short_folder}/engine"
    expected = here(GAME)
    for _ in range(2):
        process, address = start_engine("--games", "64", address=place)
        with Engine(address) as other, other.acquire(GAME, 11, seed=1):  # games of somebody else lie before ours
            assert elsewhere(address, GAME, environment) == expected
        process.terminate()
        assert process.wait(60) == 0
