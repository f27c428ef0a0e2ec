"""What every game shares: the contract, batched stepping, encodings, keys, and the laws a game must pass.

Names load on first use, so that `engine.spec` never brings in JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .batch import TimeStep as TimeStep
    from .batch import init as init
    from .batch import step as step
    from .game import Game as Game
    from .game import Step as Step
    from .game import Symmetry as Symmetry
    from .spec import GameSpec as GameSpec
    from .spec import NetworkSpec as NetworkSpec
    from .transition import EngineState as EngineState
    from .transition import Transition as Transition
    from .vector_env import VectorEnv as VectorEnv

_HOME = {
    "init": "batch",
    "step": "batch",
    "TimeStep": "batch",
    "Game": "game",
    "Step": "game",
    "Symmetry": "game",
    "GameSpec": "spec",
    "NetworkSpec": "spec",
    "EngineState": "transition",
    "Transition": "transition",
    "VectorEnv": "vector_env",
}

__all__ = [
    "EngineState",
    "Game",
    "GameSpec",
    "NetworkSpec",
    "Step",
    "Symmetry",
    "TimeStep",
    "Transition",
    "VectorEnv",
    "init",
    "step",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"cartridge.engine has no {name!r}; it offers {', '.join(sorted(_HOME))}")
    return getattr(import_module("." + _HOME[name], __name__), name)
