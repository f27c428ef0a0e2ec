"""OpenSpiel called from Python through its own `SyncVectorEnv`, step by step, as its training loops call it."""

import time
from importlib.metadata import version
from typing import Any

import numpy as np
from open_spiel.python import rl_environment
from open_spiel.python.rl_agent import StepOutput
from open_spiel.python.vector_env import SyncVectorEnv

from . import rows
from .peers import OPEN_SPIEL_IDS

_MOST_GAMES = 4096  # it plays one game after the other, so that more of them only take longer


class OpenSpielLoop:
    """A `worker.Loop` over B environments; chance plays by itself inside a step."""

    def __init__(self, game: str, batch: int, seed: int) -> None:
        if batch > _MOST_GAMES:
            raise ValueError(f"{batch} games are too many to play one after the other; at most {_MOST_GAMES}")
        name = OPEN_SPIEL_IDS[game]
        environments = [
            rl_environment.Environment(name, chance_event_sampler=rl_environment.ChanceEventSampler(seed + index))
            for index in range(batch)
        ]
        self._env, self._rng = SyncVectorEnv(environments), np.random.default_rng(seed)
        self._seen = self._env.reset()

    def describe(self) -> dict[str, Any]:
        versions = {"open_spiel": version("open_spiel"), "numpy": version("numpy")}
        return {"compile_s": 0.0, "bytes_per_game": None, "device": rows.device_name("cpu", ""), "versions": versions}

    def play(self, num_steps: int) -> dict[str, float]:
        seconds, episodes, checksum = 0.0, 0, 0.0
        for _ in range(num_steps):
            actions = [StepOutput(action=self._rng.choice(_legal(step)), probs=[]) for step in self._seen]
            begun = time.perf_counter()
            self._seen, reward, done, _ = self._env.step(actions, reset_if_done=True)
            seconds += time.perf_counter() - begun
            episodes += sum(done)
            checksum += float(np.abs(np.array(reward)).sum())
        moves = num_steps * len(self._env)
        return {"seconds": seconds, "moves": moves, "episodes": episodes, "checksum": checksum}


def build(implementation: str, game: str, mode: str, batch: int, seed: int = 0) -> OpenSpielLoop:
    """The loop of `game`, as `bench.worker` asks for it."""
    del implementation, mode  # there is one of each
    return OpenSpielLoop(game, batch, seed)


def _legal(step: Any) -> list[int]:
    return step.observations["legal_actions"][step.observations["current_player"]]
