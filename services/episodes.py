"""Replayable episodes: how the agent plays against itself at each evaluation, written down as its moves.

A record holds the moves alone; every position follows from them by the rules of the named build.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..actor.evaluators import network_evaluator
from ..actor.network import Network, Params
from ..actor.search import search
from ..actor.settings import SearchConfig
from ..engine.game import Game
from ..engine.spec import SpecError
from ..engine.transition import EngineState, start, transition

SCHEMA = "cartridge.episode/1"
LONGEST = 10_000  # moves; a game that is still going then is written as far as it got


@dataclasses.dataclass(frozen=True)
class Episode:
    """One game from its start."""

    actions: tuple[int, ...]
    values: tuple[float, ...]  # what the mover expected before each move, in [-1, 1]
    rewards: tuple[float, ...]  # of each player, summed over the game

    def to_json(self, game: Game[Any], weights_version: int) -> dict[str, Any]:
        """The record, with the moves as people write them beside the actions."""
        return {
            "schema": SCHEMA,
            "game": game.spec.env_id,
            "game_build": game.spec.build_id,
            "weights_version": weights_version,
            "actions": list(self.actions),
            "moves": [game.action_label(action) for action in self.actions],
            "values": [round(value, 4) for value in self.values],
            "rewards": list(self.rewards),
        }


class SelfGame:
    """Plays the agent against itself by noiseless search, one game, compiled once for any parameters."""

    def __init__(self, game: Game[Any], network: Network, config: SearchConfig) -> None:
        self._game = game

        def move(params: Params, state: EngineState[Any], key: jax.Array) -> Any:
            batch = jax.tree.map(lambda leaf: leaf[None], state)
            found = search(game, network_evaluator(game, network, params, symmetrise=True), batch, key, config)
            moved = transition(game, state, found.action[0])
            return moved.state, (found.action[0], found.value[0], moved.reward)

        self._move = jax.jit(move)

    def play(self, params: Params) -> Episode:
        """The game these parameters play."""
        key = jnp.zeros((2,), jnp.uint32)
        state, record = start(self._game, key), []
        while not state.over and len(record) < LONGEST:
            state, told = self._move(params, state, key)
            record.append(jax.device_get(told))
        actions, values, rewards = zip(*record, strict=True)
        return Episode(tuple(map(int, actions)), tuple(map(float, values)), tuple(np.sum(rewards, axis=0).tolist()))


def replay(game: Game[Any], record: dict[str, Any]) -> Sequence[EngineState[Any]]:
    """Every state of a recorded episode, the first and the last included.

    Raises:
      SpecError: the record is of other rules, or its moves cannot be played by these.
    """
    if record.get("schema") != SCHEMA or record.get("game_build") != game.spec.build_id:
        raise SpecError(
            f"this is an episode of {record.get('game_build')} ({record.get('schema')}), expected "
            f"{game.spec.build_id} ({SCHEMA})"
        )
    step = jax.jit(lambda state, action: transition(game, state, action))
    states = [start(game, jnp.zeros((2,), jnp.uint32))]
    for number, action in enumerate(record["actions"], 1):
        moved = step(states[-1], jnp.int32(action))
        if states[-1].over or moved.illegal:
            raise SpecError(f"move {number} of the episode, action {action}, cannot be played")
        states.append(moved.state)
    return states
