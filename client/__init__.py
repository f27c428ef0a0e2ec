"""Clients of Cartridge's services for Python programs: they need grpcio, protobuf and NumPy, neither JAX nor torch.

    from cartridge.client import Engine

    with Engine("127.0.0.1:50051") as engine, engine.acquire("connect4", 1024) as games:
        shown = games.first
        while True:
            shown = games.step(choose(shown.legal_actions))

`cartridge.client.aio` is the same for asyncio.
"""

from .batches import ReplayInfo, Sampled
from .channel import CallError, Credentials, LeaseLostError, Patience
from .engine import Engine, Lease
from .replay import Appender, Replay, Sampler
from .slices import Shown, Step
from .weights import Published, Weights

__all__ = [
    "Appender",
    "CallError",
    "Credentials",
    "Engine",
    "Lease",
    "LeaseLostError",
    "Patience",
    "Published",
    "Replay",
    "ReplayInfo",
    "Sampled",
    "Sampler",
    "Shown",
    "Step",
    "Weights",
]
