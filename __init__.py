"""Cartridge trains agents to play games: fast JAX games, self-play with search, a PyTorch learner.

This is the front door. Everything loads on first use, so that `import cartridge` is instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine.vector_env import VectorEnv as VectorEnv
    from .registry import list_games as list_games
    from .registry import make as make
    from .registry import make_game as make_game

__version__ = "0.1.0"
__all__ = ["VectorEnv", "__version__", "list_games", "make", "make_game"]

_HOME = {"VectorEnv": ".engine.vector_env", "list_games": ".registry", "make": ".registry", "make_game": ".registry"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"cartridge has no {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOME[name], __name__), name)
