"""Whether a game keeps the contract, to be asked of any game, built in or from another package.

`check_game` plays random games in lock step, keeps a sample of what was met, and holds each law of `laws` against it.
"""

import functools
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from . import bits, keys, validation
from .game import Game, State, Step
from .laws import LAWS
from .random_play import ENDING, ConformanceError, play
from .transition import start

__all__ = ["LAWS", "ConformanceError", "check_game"]

_THE_SPEC = "the spec"  # the law that is looked at first

Report = Callable[[str, bool], None]  # a law's name, and whether it holds: False as its trial begins
Found = TypeVar("Found")


def check_game(
    game: Game[State],
    num_games: int = 32,
    seed: int = 0,
    num_states: int | None = None,
    max_moves: int = 10_000,
    laws: Sequence[str] | None = None,
    report: Report = lambda law, holds: None,
) -> None:
    """Holds every law against `game`.

    Args:
      game: the rules under test.
      num_games: games of random play.
      seed: of that play.
      num_states: live states drawn from it, on which the laws are tried; None for two a game.
      max_moves: a game without `max_steps` must end within as many random moves.
      laws: names in `LAWS`, None for all. The spec and the end of the games are always looked at.
      report: called with (law, False) as the trial of a law begins, and with (law, True) once it holds.

    Raises:
      ConformanceError: the first broken law.
    """

    def hold(law: str, trial: Callable[[], Found]) -> Found:
        report(law, False)
        try:
            found = trial()
        except ConformanceError:
            raise
        except Exception as error:
            raise ConformanceError(game.spec.env_id, law, _raised(game, error)) from error
        report(law, True)
        return found

    hold(_THE_SPEC, lambda: _spec_fits_arrays(game))
    sample = hold(ENDING, lambda: play(game, num_games, seed, num_states or 2 * num_games, max_moves))
    for law in LAWS if laws is None else laws:
        hold(law, functools.partial(LAWS[law], sample))


def _raised(game: Game[Any], error: Exception) -> str:
    """What was raised, and where in the game's own module."""
    frames = traceback.walk_tb(error.__traceback__)
    own = [line for frame, line in frames if frame.f_globals.get("__name__") == type(game).__module__]
    place = f" in line {own[-1]} of {type(game).__module__}" if own else ""
    return f"{type(error).__name__}{place}: {error}"


def _spec_fits_arrays(game: Game[State]) -> None:
    """Shapes and types are as the spec says, and a state is nothing but uint32 words."""
    spec = game.spec

    def require(holds: bool, message: str) -> None:
        if not holds:
            raise ConformanceError(spec.env_id, _THE_SPEC, message)

    state = jax.eval_shape(lambda: start(game, jnp.zeros((2,), jnp.uint32)))
    action = jax.ShapeDtypeStruct((), jnp.int32)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        require(leaf.dtype == jnp.uint32, f"state{jax.tree_util.keystr(path)} is {leaf.dtype}, expected uint32")
    size = sum(leaf.size for leaf in jax.tree.leaves(state)) * 4
    require(size == spec.state_bytes, f"state_bytes is {spec.state_bytes}, but the words and the meta word take {size}")
    step = jax.eval_shape(game.step, state.game, action, keys.zero_key())
    require(isinstance(step, Step), f"step returns {step}, expected a Step")
    require(_described(step.state) == _described(state.game), "step returns a state of another layout than init")
    expected = {
        "reward of step": (step.reward, (spec.num_players,), "float32"),
        "terminated of step": (step.terminated, (), "bool"),
        "observe": (jax.eval_shape(game.observe, state.game, action), spec.observation_shape, spec.observation_dtype),
        "player": (jax.eval_shape(game.player, state.game), (), "int32"),
    }
    for name, (value, shape, dtype) in expected.items():
        right = isinstance(value, jax.ShapeDtypeStruct) and (value.shape, value.dtype.name) == (shape, dtype)
        require(right, f"{name} is {value}, expected {dtype} of shape {shape}")
    _claims_name_fields(game, state, require)
    words = jax.eval_shape(game.legal_words, state.game)
    num_words = len(bits.full(spec.num_actions))
    found = [(word.shape, word.dtype.name) for word in jax.tree.leaves(words)]
    right = isinstance(words, tuple) and found == [((), "uint32")] * num_words
    require(right, f"legal_words is {words}, expected a tuple of {num_words} uint32 scalars")


def _claims_name_fields(game: Game[State], state: Any, require: Callable[[bool, str], None]) -> None:
    """Each of the game's invariants is one flag, under the fields of the state that it is about."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(state.game)]
    fields = {str(step).strip(".") for path in paths for step in path} | {validation.META}
    for claim, holds in jax.eval_shape(game.invariants, state.game).items():
        named = claim.partition(":")[0].split(", ")
        message = f"invariants has {claim!r}, expected a name like 'FIELD: what is wrong'"
        require(":" in claim and fields.issuperset(named), f"{message}, of {', '.join(sorted(fields))}")
        right = isinstance(holds, jax.ShapeDtypeStruct) and (holds.shape, holds.dtype.name) == ((), "bool")
        require(right, f"invariants {claim!r} is {holds}, expected a bool of shape ()")


def _described(tree: Any) -> Any:
    """Structure, shapes and types of a pytree."""
    return jax.tree.structure(tree), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)]
