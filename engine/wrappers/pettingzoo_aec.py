"""A game as a PettingZoo environment of agents that move one after the other (AEC)."""

import functools
from typing import Any, Generic, SupportsInt

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .. import batch
from ..game import Game, State
from ..transition import EngineState, legal_actions, transition
from . import seat as seats
from .extra import missing

try:
    from gymnasium import spaces
    from pettingzoo import AECEnv

    from .gymnasium_env import observation_space
except ModuleNotFoundError as error:
    raise missing("pettingzoo") from error


class PettingZooEnv(AECEnv[str, dict[str, np.ndarray], Any], Generic[State]):
    """One game; P players named player_0, player_1 and so on, A actions.

    An observation is a dictionary of `observation`, f32[*observation_shape] as that player sees it, and `action_mask`,
    i8[A]: 1 for each legal action, all 0 for a player not to move and after the end. An illegal action ends the game:
    its player gets -1, which the others share.

    `reset(seed=s)` starts the first game of seed s, `reset()` the next. Rendering gives a picture ("svg") or plain text
    ("ansi").

    Args:
      game: the rules.
      render_mode: None, "svg" or "ansi".

    Raises:
      ValueError: a mode that is not one of those.
    """

    def __init__(self, game: Game[State], render_mode: str | None = None) -> None:
        super().__init__()
        seats.require_render_mode(render_mode)
        spec = game.spec
        self.game = game
        self.render_mode = render_mode
        self.metadata = {
            "name": f"{spec.env_id}_v{spec.version.partition('.')[0]}",
            "render_modes": list(seats.RENDER_MODES),
            "is_parallelizable": False,
            "render_fps": 1,
        }
        self.possible_agents = [f"player_{player}" for player in range(spec.num_players)]
        self.agents = []
        self.observation_spaces = {agent: _observation_space(game) for agent in self.possible_agents}
        self.action_spaces = {agent: spaces.Discrete(spec.num_actions) for agent in self.possible_agents}
        self._state: EngineState[State] | None = None  # a batch of one

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """The same object at every call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """The same object at every call."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Starts the next game, or with a `seed` the first of that seed; there are no options."""
        del options
        if seed is None and self._state is not None:
            self._state = _restart(self.game, self._state)
        else:
            drawn = int(np.random.default_rng().integers(1 << 63)) if seed is None else seed
            self._state = _begin(self.game, seats.seed_words([drawn])[0])
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}
        self._skip_agent_selection = None
        self._turn()

    def step(self, action: SupportsInt | None) -> None:
        """Plays for `agent_selection`; after the end, None takes the agents off one after the other.

        Raises:
          RuntimeError: no agent is left, or the game has not been started.
        """
        if self._state is None or not self.agents:
            raise RuntimeError("no agent is left: call reset")
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        actions = seats.as_actions(np.asarray(action)[None], 1)
        self._state, *brought = _step(self.game, self._state, actions)
        reward, terminated, truncated = jax.device_get(brought)
        self.rewards = dict(zip(self.agents, map(float, reward), strict=True))
        self.terminations = dict.fromkeys(self.agents, bool(terminated))
        self.truncations = dict.fromkeys(self.agents, bool(truncated))
        self._accumulate_rewards()
        self._turn()

    def observe(self, agent: str) -> dict[str, np.ndarray]:
        """What `agent` may know now, in arrays of the caller's own."""
        mask = self._mask if agent == self.agent_selection else np.zeros_like(self._mask)
        planes = self._planes[self.possible_agents.index(agent)]
        return {"observation": planes.reshape(self.game.spec.observation_shape).copy(), "action_mask": mask.copy()}

    def render(self) -> str | None:
        """The game as `render_mode` says.

        Raises:
          RuntimeError: it has not been started.
        """
        if self._state is None:
            raise RuntimeError("call reset before render")
        return None if self.render_mode is None else seats.picture(self.game, self._state, 0, self.render_mode)

    def close(self) -> None:
        """Nothing is held open."""

    def _turn(self) -> None:
        """Looks at the state: whose turn, what all see, what is legal."""
        player, self._planes, self._mask = jax.device_get(_look(self.game, self._state))
        self.agent_selection = self.possible_agents[int(player)]


def _observation_space(game: Game[State]) -> spaces.Dict:
    mask = spaces.Box(0, 1, (game.spec.num_actions,), np.int8)
    return spaces.Dict({"observation": observation_space(game), "action_mask": mask})


@functools.partial(jax.jit, static_argnums=0)
def _begin(game: Game[State], seed: Array) -> EngineState[State]:
    return batch.init(game, seed, 1)[0]


@functools.partial(jax.jit, static_argnums=0)
def _restart(game: Game[State], states: EngineState[State]) -> EngineState[State]:
    return batch.restart_where(game, jnp.ones((1,), bool), states)


@functools.partial(jax.jit, static_argnums=0)
def _step(
    game: Game[State], states: EngineState[State], actions: Array
) -> tuple[EngineState[State], Array, Array, Array]:
    """(state, reward f32[P], terminated bool[], truncated bool[])."""
    moved = jax.vmap(functools.partial(transition, game))(states, actions)
    return moved.state, moved.reward[0], moved.terminated[0], moved.truncated[0]


@functools.partial(jax.jit, static_argnums=0)
def _look(game: Game[State], states: EngineState[State]) -> tuple[Array, Array, Array]:
    """(the player to move i32[], what each player sees f32[P, N], legal actions i8[A], none after the end)."""
    one = jax.tree.map(lambda leaf: leaf[0], states)
    players = jnp.arange(game.spec.num_players)
    planes = jax.vmap(lambda player: game.observe(one.game, player).reshape(-1))(players)
    legal = legal_actions(game, one) & ~one.over
    return game.player(one.game), planes, legal.astype(jnp.int8)
