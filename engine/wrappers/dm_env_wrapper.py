"""A game as a `dm_env.Environment`: one agent at one seat, a policy at all others."""

from typing import Any, Generic, SupportsInt

import numpy as np

from ..game import Game, State
from . import seat as seats
from .extra import missing
from .seat import Opponent, Seat, SeatState, SeatStep

try:
    import dm_env
    from dm_env import specs
except ModuleNotFoundError as error:
    raise missing("dm-env") from error


class DmEnv(dm_env.Environment, Generic[State]):
    """One game; A actions. Seeded by s, its games are those of a `GymnasiumEnv` reset by seed s.

    An observation is a dictionary of `observation`, f32[*observation_shape] as the agent's seat sees it, and
    `legal_actions`, i8[A], 1 for each legal action and all 0 after the end. The discount is 0 where a game has ended by
    its rules and 1 where it was cut. An illegal action ends the game with reward -1.

    Args:
      game: the rules.
      opponent: "random", or a policy: a pure JAX function (states of B games, key) -> i32[B] actions.
      seat: the agent's, 0 for the player who begins most games.
      seed: of all games, and of the opponent's choices.
    """

    def __init__(self, game: Game[State], opponent: Opponent = "random", seat: int = 0, seed: int = 0) -> None:
        self.game = game
        self._seat = Seat(game, opponent, seat)
        self._seeds = seats.seed_words([seed])
        self._state: SeatState[State] | None = None
        self._over = False

    def reset(self) -> dm_env.TimeStep:
        """Starts the next game."""
        if self._state is None:
            self._state = seats.begin(self._seat, self._seeds)
        else:
            self._state = seats.restart(self._seat, self._state, np.ones(1, bool))
        self._over = False
        return dm_env.restart(self._seen(seats.look(self._seat, self._state)))

    def step(self, action: SupportsInt) -> dm_env.TimeStep:
        """Plays `action` and the replies to it; at the beginning and after the end it ignores it and starts a game."""
        if self._state is None or self._over:
            return self.reset()
        actions = seats.as_actions(np.asarray(action)[None], 1)
        self._state, seen = seats.step(self._seat, "disabled", self._state, actions)
        reward, observation = float(seen.outcome.reward[0]), self._seen(seen)
        self._over = bool(seen.outcome.ended[0])
        if seen.outcome.terminated[0]:
            return dm_env.termination(reward, observation)
        return dm_env.truncation(reward, observation) if self._over else dm_env.transition(reward, observation)

    def observation_spec(self) -> Any:
        """A dictionary of specs."""
        spec = self.game.spec
        return {
            "observation": specs.Array(spec.observation_shape, np.float32, "observation"),
            "legal_actions": specs.BoundedArray((spec.num_actions,), np.int8, 0, 1, "legal_actions"),
        }

    def action_spec(self) -> Any:
        """Numbers from 0 to A - 1."""
        return specs.DiscreteArray(self.game.spec.num_actions, np.int32, "action")

    def _seen(self, seen: SeatStep) -> dict[str, Any]:
        """Copies the caller may write to."""
        observation = np.array(seen.observation[0]).reshape(self.game.spec.observation_shape)
        return {"observation": observation, "legal_actions": np.array(seen.legal_actions[0])}
