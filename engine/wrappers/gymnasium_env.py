"""A game as a `gymnasium.Env`: one agent at one seat, a policy at all others."""

from typing import Any, Generic, SupportsInt

import numpy as np

from ..game import Game, State
from . import seat as seats
from .extra import missing
from .seat import Opponent, Seat, SeatState, SeatStep

try:
    import gymnasium
    from gymnasium import spaces
    from gymnasium.error import ResetNeeded
except ModuleNotFoundError as error:
    raise missing("gymnasium") from error

_FLOATS = np.finfo(np.float32)
_METADATA: dict[str, Any] = {"render_modes": list(seats.RENDER_MODES), "render_fps": 1}


class GymnasiumEnv(gymnasium.Env[np.ndarray, np.int64], Generic[State]):
    """One game; A actions.

    Observations are f32[*observation_shape] as the agent's seat sees them. `info["legal_actions"]`, i8[A], is 1 for
    each legal action and all 0 after the end. The reward of a step is what the agent earned by its move and by the
    replies to it. An illegal action ends the game with reward -1.

    `reset(seed=s)` starts the first game of seed s, which also settles the opponent's choices; `reset()` goes on to the
    next. Rendering gives a picture ("svg") or plain text ("ansi").

    Args:
      game: the rules.
      opponent: "random", or a policy: a pure JAX function (states of B games, key) -> i32[B] actions.
      seat: the agent's, 0 for the player who begins most games.
      render_mode: None, "svg" or "ansi".

    Raises:
      ValueError: a setting that is not one of those.
    """

    metadata = _METADATA

    def __init__(
        self, game: Game[State], opponent: Opponent = "random", seat: int = 0, render_mode: str | None = None
    ) -> None:
        seats.require_render_mode(render_mode)
        self.game = game
        self.render_mode = render_mode
        self.observation_space = observation_space(game)
        self.action_space = spaces.Discrete(game.spec.num_actions)
        self._seat = Seat(game, opponent, seat)
        self._state: SeatState[State] | None = None
        self._over = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts the next game, or with a `seed` the first of that seed; there are no options."""
        del options
        super().reset(seed=seed)
        if seed is None and self._state is not None:
            self._state = seats.restart(self._seat, self._state, np.ones(1, bool))
        else:
            chosen = int(self.np_random.integers(1 << 63)) if seed is None else seed
            self._state = seats.begin(self._seat, seats.seed_words([chosen]))
        self._over = False
        return self._seen(seats.look(self._seat, self._state))

    def step(self, action: SupportsInt) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Plays `action` and the replies to it.

        Raises:
          ResetNeeded: the game is over, or has not been started.
        """
        if self._state is None or self._over:
            raise ResetNeeded("the game is over; call reset" if self._over else "call reset before the first step")
        actions = seats.as_actions(np.asarray(action)[None], 1)
        self._state, seen = seats.step(self._seat, "disabled", self._state, actions)
        outcome = seen.outcome
        terminated, truncated = bool(outcome.terminated[0]), bool(outcome.truncated[0])
        self._over = terminated or truncated
        observation, info = self._seen(seen)
        return observation, float(outcome.reward[0]), terminated, truncated, info

    def render(self) -> str | None:
        """The game as `render_mode` says.

        Raises:
          ResetNeeded: it has not been started.
        """
        if self._state is None:
            raise ResetNeeded("call reset before render")
        return None if self.render_mode is None else seats.picture(self.game, self._state.games, 0, self.render_mode)

    def _seen(self, seen: SeatStep) -> tuple[np.ndarray, dict[str, Any]]:
        """(observation, info), copies the caller may write to."""
        observation = np.array(seen.observation[0]).reshape(self.game.spec.observation_shape)
        return observation, {"legal_actions": np.array(seen.legal_actions[0])}


def observation_space(game: Game[State]) -> spaces.Box:
    """All of float32, since rules set no bounds to what they show."""
    return spaces.Box(float(_FLOATS.min), float(_FLOATS.max), game.spec.observation_shape, np.float32)
