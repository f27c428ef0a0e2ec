"""The clients for asyncio, with the names and the rules of those for threads."""

from .engine import Engine, Lease
from .replay import Appender, Replay, Sampler
from .weights import Weights

__all__ = ["Appender", "Engine", "Lease", "Replay", "Sampler", "Weights"]
