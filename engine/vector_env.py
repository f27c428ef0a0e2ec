"""A batch of games as an object: a thin shell over the pure functions of `engine.batch`, for JAX, NumPy or PyTorch.

One compiled call a step. Arrays handed out are never donated, so a state kept by the caller stays good.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from . import batch, bits, border
from .batch import AUTORESET_MODES, Autoreset, TimeStep
from .game import Game, State
from .keys import seed_words
from .placement import Device, Placement, placement, platform
from .spec import GameSpec
from .transition import EngineState

if TYPE_CHECKING:
    import torch

Output = Literal["jax", "numpy", "torch"]
OUTPUTS: tuple[Output, ...] = get_args(Output)

_NAMED_ROWS = 5  # illegal rows an error spells out
_INT32 = np.iinfo(np.int32)


class IllegalActionError(ValueError):
    """Actions the rules do not allow, met with `check_actions=True`; no game has moved."""


class VectorEnv(Generic[State]):
    """`num_envs` games in lock step; B = `num_envs`, A actions, P players.

    Args:
      game: the rules.
      num_envs: how many games.
      seed: game i depends on the seed and i alone.
      autoreset: what follows an episode's end, Gymnasium's modes. "same_step": the game starts anew in the same call,
        and `final_observation` holds the true last observation. "next_step": the next call ignores the action and
        starts anew. "disabled": it stays over until `reset(mask=...)`; steps change nothing and pay nothing.
      output: what time steps hold. "jax": arrays, not waited for. "numpy": read-only arrays, views of JAX's memory on a
        CPU. "torch": tensors on the same device in JAX's memory; `clone()` before an in-place operation.
      device: None for JAX's default, a platform ("cpu", "gpu"), one device of it ("gpu:1"), a `jax.Device`, or "all":
        the games are spread evenly over all local devices. A tensor lies on one device, so "torch" excludes "all".
      check_actions: raise `IllegalActionError` before a step with illegal actions, instead of ending those games. It
        waits for the device in every step: a tool for finding bugs.

    Raises:
      ValueError: a setting that is not one of those.
    """

    def __init__(
        self,
        game: Game[State],
        num_envs: int = 1,
        seed: int = 0,
        autoreset: Autoreset = "same_step",
        output: Output = "jax",
        device: str | Device | None = None,
        check_actions: bool = False,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}, expected at least 1")
        _require("autoreset", autoreset, AUTORESET_MODES)
        _require("output", output, OUTPUTS)
        if output == "torch" and device == "all":
            raise ValueError("output is 'torch', whose tensors lie on one device, but device='all' spreads the games")
        if output == "torch":
            border.share_device_memory()
        self._game = game
        self._num_envs = num_envs
        self._autoreset: Autoreset = autoreset
        self._placement = placement(device, num_envs)
        self._check_actions = check_actions
        self._output = output
        self._flat = output != "jax"
        self._convert: Callable[[TimeStep], TimeStep] = _converter(output, self._placement, self.spec.observation_shape)
        self._state = self._start(seed)
        self._fresh = True  # nothing has been played since the games were started from a seed

    @property
    def spec(self) -> GameSpec:
        """The game's contract."""
        return self._game.spec

    @property
    def num_envs(self) -> int:
        """B."""
        return self._num_envs

    @property
    def state(self) -> EngineState[State]:
        """The batch as it stands, a pytree of JAX arrays [B, ...]: keep it, and return to it by `set_state`."""
        return self._state

    def set_state(self, state: EngineState[State]) -> TimeStep:
        """Goes on from `state`, of this or another environment of the same game and size (JAX or NumPy arrays).

        Raises:
          ValueError: a state of another shape.
        """
        if _shapes(state) != _shapes(self._state):
            raise ValueError(
                f"state does not fit {self._num_envs} games of {self.spec.env_id}: got {_shapes(state)[0]}, "
                f"expected {_shapes(self._state)[0]}"
            )
        # NumPy memory stays the caller's to write, so it is copied.
        arrays = jax.tree.map(lambda leaf: leaf if isinstance(leaf, jax.Array) else jnp.array(leaf, copy=True), state)
        self._state = arrays if self._placement is None else jax.device_put(arrays, self._placement)
        self._fresh = False
        return self._seen()

    def reset(self, seed: int | None = None, mask: "Array | np.ndarray | torch.Tensor | None" = None) -> TimeStep:
        """Starts games anew: all, or those where `mask` (bool[B]) is True. Rewards and flags are zero.

        With a `seed` the games are those a new environment of that seed would have; without one the first call shows
        the environment's own, and later calls start further episodes.
        """
        chosen = np.ones(self._num_envs, bool) if mask is None else self._mask(mask)
        if seed is not None:
            fresh = self._start(seed)
            self._state = fresh if mask is None else _select(chosen, fresh, self._state)
        elif not (self._fresh and mask is None):
            self._state = _restart(self._game, chosen, self._state)
        self._fresh = self._fresh and seed is None
        return self._seen()

    def step(self, actions: "Array | np.ndarray | torch.Tensor | Sequence[int]") -> TimeStep:
        """Plays one action (i32[B], any integer type) in every game.

        Raises:
          ValueError: actions of another shape, or that are no integers.
          IllegalActionError: only with `check_actions`.
        """
        played = self._actions(actions)
        if self._check_actions:
            self._refuse_illegal(played)
        self._state, seen = _step(self._game, self._autoreset, self._flat, self._state, played)
        self._fresh = False
        return self._convert(seen)

    def render(self, index: int = 0) -> str:
        """Game `index` as an SVG picture; clickable elements carry `data-action`."""
        return self._game.draw(jax.tree.map(lambda leaf: leaf[index], self._state.game))

    def _start(self, seed: int) -> EngineState[State]:
        states = _init(self._game, self._num_envs, seed_words(seed))
        return states if self._placement is None else jax.device_put(states, self._placement)

    def _seen(self) -> TimeStep:
        return self._convert(_look(self._game, self._autoreset, self._flat, self._state))

    def _mask(self, mask: Any) -> np.ndarray:
        """bool[B] on the host."""
        chosen = np.asarray(mask.cpu() if border.is_torch(mask) else mask)
        if chosen.shape != (self._num_envs,) or chosen.dtype != bool:
            raise ValueError(f"mask is {chosen.dtype} of shape {chosen.shape}, expected bool of ({self._num_envs},)")
        return chosen

    def _actions(self, actions: Any) -> "Array | np.ndarray":
        """Integers [B], fit to be handed to the compiled step."""
        if border.is_torch(actions):
            if actions.is_cuda and next(iter(self._state.meta.devices())).platform == "gpu":
                actions = border.to_jax(actions.clamp(_INT32.min, _INT32.max).int())
            else:
                actions = actions.detach().cpu().numpy()
        elif self._output == "torch":
            border.wait_for_torch()  # as `to_jax` does: what the caller dropped may still be read by torch's kernels
        if not isinstance(actions, jax.Array):
            actions = np.asarray(actions)
        if actions.shape != (self._num_envs,) or actions.dtype.kind not in "iu":
            raise ValueError(
                f"actions are {actions.dtype} of shape {actions.shape}, expected integers of shape ({self._num_envs},)"
            )
        if isinstance(actions, jax.Array):
            return actions if self._placement is None else jax.device_put(actions, self._placement)
        if actions.dtype.itemsize > 4:  # a number beyond 32 bits must stay illegal and not wrap round to a legal one
            actions = np.clip(actions, _INT32.min if actions.dtype.kind == "i" else 0, _INT32.max)
        # Always a copy: the step may still run when the caller fills the same memory with the next actions.
        copied = np.array(actions, np.int32)
        return copied if self._placement is None else jax.device_put(copied, self._placement)

    def _refuse_illegal(self, actions: "Array | np.ndarray") -> None:
        rows = np.flatnonzero(_illegal_rows(self._game, self._state, actions))
        if not rows.size:
            return
        legal = np.asarray(_look(self._game, self._autoreset, self._flat, self._state).legal_actions)
        named = [
            f"row {row}: action {int(actions[row])}, legal {', '.join(map(str, np.flatnonzero(legal[row])))}"
            for row in rows[:_NAMED_ROWS]
        ]
        more = [f"and {rows.size - _NAMED_ROWS} more rows"] if rows.size > _NAMED_ROWS else []
        raise IllegalActionError(
            f"illegal actions in {rows.size} of {self._num_envs} games of {self.spec.env_id}: "
            f"{'; '.join([*named, *more])}. Choose among the True entries of legal_actions"
        )


@functools.partial(jax.jit, static_argnums=(0, 1))
def _init(game: Game[State], num_envs: int, seed: Array) -> EngineState[State]:
    return batch.init(game, seed, num_envs)[0]


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _step(
    game: Game[State], autoreset: Autoreset, flat: bool, states: EngineState[State], actions: Array
) -> tuple[EngineState[State], TimeStep]:
    after, seen = batch.step(game, states, actions.astype(jnp.int32), autoreset)
    return after, _shown(autoreset, flat, after, seen)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _look(game: Game[State], autoreset: Autoreset, flat: bool, states: EngineState[State]) -> TimeStep:
    """What the batch shows with nothing played."""
    seen = batch.first_time_step(game, states)
    if autoreset == "same_step":
        seen = dataclasses.replace(seen, final_observation=jnp.zeros_like(seen.observation))
    return _shown(autoreset, flat, states, seen)


@functools.partial(jax.jit, static_argnums=0)
def _restart(game: Game[State], chosen: Array, states: EngineState[State]) -> EngineState[State]:
    return batch.restart_where(game, chosen, states)


@jax.jit
def _select(chosen: Array, new: EngineState[State], old: EngineState[State]) -> EngineState[State]:
    return batch.select(chosen, new, old)


@functools.partial(jax.jit, static_argnums=0)
def _illegal_rows(game: Game[State], states: EngineState[State], actions: Array) -> Array:
    """bool[B]: the game is live and its action illegal."""
    legal = jax.vmap(lambda state, action: bits.is_set(game.legal_words(state), action))(states.game, actions)
    return ~legal & ~states.over


def _shown(autoreset: Autoreset, flat: bool, states: EngineState[State], seen: TimeStep) -> TimeStep:
    """What the caller gets to see, with observations as [B, N] if `flat`.

    Over games offer no action; inside the engine they offer all. In same_step mode none stays over.
    """
    if autoreset != "same_step":
        seen = dataclasses.replace(seen, legal_actions=seen.legal_actions & ~states.over[:, None])
    return _shaped(seen, (-1,)) if flat else seen


def _shaped(seen: TimeStep, shape: tuple[int, ...]) -> TimeStep:
    """The same with observations of [B, *shape].

    XLA writes planes through loops over their last axis, two numbers long, say: flat ones take a fifth of the time on a
    CPU, and NumPy and torch give them their shape for nothing.
    """
    observation = seen.observation.reshape(seen.observation.shape[0], *shape)
    final = seen.final_observation
    final = None if final is None else final.reshape(final.shape[0], *shape)
    return dataclasses.replace(seen, observation=observation, final_observation=final)


def _converter(output: Output, where: Placement | None, shape: tuple[int, ...]) -> Callable[[TimeStep], TimeStep]:
    """The function which makes a time step of JAX arrays one of what `output` names."""
    if output == "torch":
        return lambda seen: _shaped(border.to_torch(seen), shape)
    if output == "jax":
        return lambda seen: seen
    if platform(where) == "cpu":
        return lambda seen: _shaped(jax.tree.map(np.asarray, seen), shape)  # views
    return lambda seen: _shaped(jax.device_get(seen), shape)  # starts all copies before it waits for the first


def _require(setting: str, value: str, accepted: Sequence[str]) -> None:
    if value not in accepted:
        raise ValueError(f"{setting} is {value!r}, expected one of {', '.join(accepted)}")


def _shapes(state: Any) -> tuple[str, Any]:
    """(the arrays in words, the structure): equal where two states fit the same compiled step."""
    words = [
        f"{jax.tree_util.keystr(path)} {leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    ]
    return ", ".join(words), jax.tree.structure(state)
