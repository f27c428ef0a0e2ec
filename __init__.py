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
    from .registry import to_dm_env as to_dm_env
    from .registry import to_gymnasium as to_gymnasium
    from .registry import to_gymnasium_vector as to_gymnasium_vector
    from .registry import to_openspiel as to_openspiel
    from .registry import to_pettingzoo as to_pettingzoo

__version__ = "0.1.0"
__all__ = [
    "VectorEnv",
    "__version__",
    "list_games",
    "make",
    "make_game",
    "to_dm_env",
    "to_gymnasium",
    "to_gymnasium_vector",
    "to_openspiel",
    "to_pettingzoo",
]

_HOME = dict.fromkeys(__all__[2:], ".registry") | {"VectorEnv": ".engine.vector_env"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"cartridge has no {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOME[name], __name__), name)
