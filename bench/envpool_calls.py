"""EnvPool called from Python, step by step: run as a script by the interpreter that has it, which has no Cartridge.

EnvPool starts a finished game anew in the call after its end and ignores that call's action; such calls are no moves.
"""

import importlib
import time
from importlib.metadata import version
from typing import Any

import numpy as np


class EnvPoolLoop:
    """A `worker.Loop` over one EnvPool of B games."""

    def __init__(self, game: str, batch: int, seed: int) -> None:
        envpool = importlib.import_module("envpool")  # not in the environment that checks types
        self._env: Any = envpool.make(game, env_type="gymnasium", num_envs=batch, seed=seed)
        self._rng = np.random.default_rng(seed)
        _, self._info = self._env.reset()
        self._over = np.zeros(batch, bool)

    def describe(self) -> dict[str, Any]:
        versions = {"envpool": version("envpool"), "numpy": version("numpy")}
        return {"compile_s": 0.0, "bytes_per_game": None, "device": "cpu", "versions": versions}

    def play(self, num_steps: int) -> dict[str, float]:
        seconds, moves, episodes, checksum = 0.0, 0, 0, 0.0
        for _ in range(num_steps):
            actions = draw_legal(np.asarray(self._info["legal_action_mask"]), self._rng)
            begun = time.perf_counter()
            _, reward, terminated, truncated, self._info = self._env.step(actions)
            seconds += time.perf_counter() - begun
            moves += int((~self._over).sum())
            self._over = np.asarray(terminated | truncated)
            episodes += int(self._over.sum())
            checksum += float(np.abs(reward).sum())
        return {"seconds": seconds, "moves": moves, "episodes": episodes, "checksum": checksum}


def build(implementation: str, game: str, mode: str, batch: int, seed: int = 0) -> EnvPoolLoop:
    """The loop of `game`, EnvPool's own id, as `bench.worker` asks for it."""
    del implementation, mode  # there is one of each
    return EnvPoolLoop(game, batch, seed)


def draw_legal(legal_actions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """i32[B]: a uniformly drawn True entry of each row of bool[B, A]; any action where a row has none."""
    return np.argmax(rng.random(legal_actions.shape, np.float32) * legal_actions, axis=1).astype(np.int32)
