"""A batch of games as a `gymnasium.vector.VectorEnv`: one compiled call a step, the opponents' replies included.

It equals a `SyncVectorEnv` of `GymnasiumEnv`s row by row: seeded by s, row i is the environment seeded by s + i.
"""

from collections.abc import Sequence
from typing import Any, Generic

import jax
import numpy as np

from ..batch import Autoreset
from ..game import Game, State
from . import seat as seats
from .extra import missing
from .gymnasium_env import observation_space
from .seat import Opponent, Seat, SeatState, SeatStep

try:
    from gymnasium import spaces
    from gymnasium.error import ResetNeeded
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ModuleNotFoundError as error:
    raise missing("gymnasium") from error

_MODES: dict[AutoresetMode, Autoreset] = {
    AutoresetMode.NEXT_STEP: "next_step",
    AutoresetMode.SAME_STEP: "same_step",
    AutoresetMode.DISABLED: "disabled",
}
_NAMED_ROWS = 5  # rows an error spells out

Infos = dict[str, Any]


class GymnasiumVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray], Generic[State]):
    """B = `num_envs` games; each has one agent at the same seat. See `GymnasiumEnv` for what a row shows.

    Args:
      game: the rules.
      num_envs: how many games.
      opponent: "random", or a policy: a pure JAX function (states of B games, key) -> i32[B] actions.
      seat: the agents'.
      autoreset_mode: Gymnasium's mode or its name. "NextStep": the call after the end ignores the action and starts
        anew. "SameStep": the game starts anew at once; `infos["final_obs"]` and `infos["final_info"]` hold the end.
        "Disabled": `reset(options={"reset_mask": bool[B]})` starts chosen games anew, and a step before that raises.
      render_mode: None, "svg" or "ansi".
      copy: hand out observations and masks of the caller's own; False for read-only ones, without a copy on a CPU.

    Raises:
      ValueError: a setting that is not one of those.
    """

    def __init__(
        self,
        game: Game[State],
        num_envs: int = 1,
        opponent: Opponent = "random",
        seat: int = 0,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        copy: bool = True,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}, expected at least 1")
        seats.require_render_mode(render_mode)
        mode = AutoresetMode(autoreset_mode)
        self.game = game
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.metadata = {"render_modes": list(seats.RENDER_MODES), "render_fps": 1, "autoreset_mode": mode}
        self.single_observation_space = observation_space(game)
        self.single_action_space = spaces.Discrete(game.spec.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._autoreset = _MODES[mode]
        self._copy = copy
        self._seat = Seat(game, opponent, seat)
        self._state: SeatState[State] | None = None
        self._over = np.zeros(num_envs, bool)  # rows that must be reset before they can be stepped; only in "disabled"

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Infos | None = None
    ) -> tuple[np.ndarray, Infos]:
        """Starts the next game in every row, or in those of `options["reset_mask"]` (bool[B]).

        Args:
          seed: s for the first game of seed s + i in row i, or a seed for each row, where None goes on to the next.
          options: None, or a dictionary that may hold `reset_mask`.

        Raises:
          ValueError: seeds or a mask of another length or type.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        chosen = self._reset_mask(options or {})
        asked = self._seeds(seed)
        seeded = np.array([one is not None for one in asked])
        if self._state is None:
            drawn = self.np_random.integers(1 << 63, size=self.num_envs)
            asked = [int(one) if given is None else given for one, given in zip(drawn, asked, strict=True)]
            self._state = seats.begin(self._seat, seats.seed_words(asked))
        elif not seeded.any():
            self._state = seats.restart(self._seat, self._state, chosen)
        else:
            fresh = seats.begin(self._seat, seats.seed_words([one or 0 for one in asked]))
            others = seats.restart(self._seat, self._state, chosen & ~seeded)
            self._state = seats.select(chosen & seeded, fresh, others)
        self._over &= ~chosen
        seen = seats.look(self._seat, self._state)
        masks = self._array(seen.legal_actions)
        infos = {"legal_actions": np.where(chosen[:, None], masks, np.int8(0)), "_legal_actions": chosen}
        return self._observations(seen.observation), infos

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Infos]:
        """Plays `actions` (integers [B]) and the replies to them.

        Returns observations f32[B, *observation_shape], rewards f64[B], terminations and truncations bool[B], infos.

        Raises:
          ResetNeeded: before the first reset, and in "Disabled" mode where a game is over.
          ValueError: actions of another shape, or that are no integers.
        """
        if self._state is None:
            raise ResetNeeded("call reset before the first step")
        if self._over.any():
            rows = np.flatnonzero(self._over)
            raise ResetNeeded(
                f"{rows.size} games are over, in rows {', '.join(map(str, rows[:_NAMED_ROWS]))}"
                f"{', ...' if rows.size > _NAMED_ROWS else ''}; start them anew by reset(options={{'reset_mask': ...}})"
            )
        played = seats.as_actions(actions, self.num_envs)
        self._state, shown = seats.step(self._seat, self._autoreset, self._state, played)
        seen = jax.device_get(shown)  # starts all copies before it waits for the first
        terminated, truncated = np.array(seen.outcome.terminated), np.array(seen.outcome.truncated)
        ended = terminated | truncated
        if self._autoreset == "disabled":
            self._over = ended.copy()
        infos = {"legal_actions": self._array(seen.legal_actions), "_legal_actions": np.ones(self.num_envs, bool)}
        if self._autoreset == "same_step" and ended.any():
            infos |= self._final(seen, ended)
        rewards = np.asarray(seen.outcome.reward).astype(np.float64)
        return self._observations(seen.observation), rewards, terminated, truncated, infos

    def render(self) -> tuple[str, ...] | None:
        """Every game as `render_mode` says; None where it is None.

        Raises:
          ResetNeeded: before the first reset.
        """
        if self._state is None:
            raise ResetNeeded("call reset before render")
        if self.render_mode is None:
            return None
        games = self._state.games
        return tuple(seats.picture(self.game, games, row, self.render_mode) for row in range(self.num_envs))

    def _final(self, seen: SeatStep, ended: np.ndarray) -> Infos:
        """What Gymnasium says of the games that ended in this step: an object for each such row, None elsewhere."""
        last = self._observations(seen.final_observation)
        observations = np.full(self.num_envs, None, object)
        for row in np.flatnonzero(ended).tolist():
            observations[row] = last[row]
        none_legal = np.zeros((self.num_envs, self.game.spec.num_actions), np.int8)
        return {
            "final_obs": observations,
            "_final_obs": ended,
            "final_info": {"legal_actions": none_legal, "_legal_actions": ended.copy()},
            "_final_info": ended.copy(),
        }

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int):
            return [seed + row for row in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"got {len(seed)} seeds, expected one for each of {self.num_envs} games")
        return list(seed)

    def _reset_mask(self, options: Infos) -> np.ndarray:
        """bool[B]."""
        if "reset_mask" not in options:
            return np.ones(self.num_envs, bool)
        mask = np.array(options["reset_mask"])
        if mask.shape != (self.num_envs,) or mask.dtype != bool:
            raise ValueError(f"reset_mask is {mask.dtype} of shape {mask.shape}, expected bool of ({self.num_envs},)")
        return mask

    def _observations(self, flat: Any) -> np.ndarray:
        return self._array(flat).reshape(self.num_envs, *self.game.spec.observation_shape)

    def _array(self, array: Any) -> np.ndarray:
        return np.array(array) if self._copy else np.asarray(array)
