"""TorchRL's buffers over a tensor in memory, nothing fetched ahead.

`torchrl` stores a plain tensor, `torchrl+tensordict` a tensordict of one entry, as its documentation mostly shows.
`torchrl+one-thread` spares itself the wait for torch's other threads, for which the calls are short.
Importing relatively what lies beside it and nothing else of Cartridge lets TorchRL's own interpreter run this file.
"""

import importlib
from typing import Any

import numpy as np
import torch

from . import work
from .loop import ReplayLoop

TENSORDICT, ONE_THREAD = "torchrl+tensordict", "torchrl+one-thread"
tensordict: Any = importlib.import_module("tensordict")  # not in the environment that checks types
data: Any = importlib.import_module("torchrl.data")


class TorchrlBuffer:
    """A `work.Buffer`."""

    packages = ("torchrl", "tensordict", "torch")

    def __init__(self, implementation: str, kind: str, items: int) -> None:
        self._kind, self._wrapped = kind, implementation == TENSORDICT
        self._on_gpu = torch.cuda.is_available()
        self._torch_device = torch.device("cuda" if self._on_gpu else "cpu")
        self.device = ("gpu", torch.cuda.get_device_name()) if self._on_gpu else ("cpu", "")
        make = data.TensorDictReplayBuffer if self._wrapped else data.ReplayBuffer
        storage = data.LazyTensorStorage(items, device=self._torch_device, ndim=2 if kind == work.SEQUENCES else 1)
        batch = work.NUM_SEQUENCES * work.STEPS if kind == work.SEQUENCES else work.BATCH
        self._buffer = make(storage=storage, sampler=_sampler(kind, items), batch_size=batch)

    def block(self, rows: np.ndarray) -> Any:
        tensor = torch.tensor(rows, device=self._torch_device)
        if self._kind == work.SEQUENCES:
            ended = torch.zeros((work.GAMES, work.STEPS, 1), dtype=torch.bool, device=self._torch_device)
            return tensordict.TensorDict(
                {"row": tensor.swapaxes(0, 1).contiguous(), "done": ended}, (work.GAMES, work.STEPS)
            )
        tensor = tensor.reshape(work.BATCH, work.ROW)
        return tensordict.TensorDict({"row": tensor}, (work.BATCH,)) if self._wrapped else tensor

    def priorities(self, values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values, device=self._torch_device)

    def add(self, block: Any) -> None:
        self._buffer.extend(block)
        self._wait()

    def sample(self) -> Any:
        # The index is in a tensordict, and beside a tensor in what is told of the draw.
        told = self._kind == work.PRIORITISED and not self._wrapped
        drawn = self._buffer.sample(return_info=True) if told else self._buffer.sample()
        self._wait()
        return drawn

    def update(self, drawn: Any, priorities: torch.Tensor) -> None:
        index = drawn["index"] if self._wrapped else drawn[1]["index"]
        self._buffer.update_priority(index, priorities)
        self._wait()

    def rows(self, drawn: Any) -> np.ndarray:
        if isinstance(drawn, tensordict.TensorDictBase):
            drawn = drawn["row"]
        elif isinstance(drawn, tuple):
            drawn = drawn[0]
        shape = (work.NUM_SEQUENCES, work.STEPS, work.ROW) if self._kind == work.SEQUENCES else (work.BATCH, work.ROW)
        return drawn.reshape(shape).cpu().numpy()

    def _wait(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()


def build(implementation: str, kind: str, items: int, seed: int = 0) -> ReplayLoop:
    """The loop, as `bench.worker` asks for it."""
    torch.manual_seed(seed)
    if implementation == ONE_THREAD:
        torch.set_num_threads(1)
    return ReplayLoop(lambda size: TorchrlBuffer(implementation, kind, size), kind, items, seed)


def _sampler(kind: str, items: int) -> Any:
    if kind == work.UNIFORM:
        return data.RandomSampler()
    if kind == work.PRIORITISED:
        return data.PrioritizedSampler(items, alpha=work.EXPONENT, beta=work.BETA)
    # Cached ends are for buffers that do not change, which is what is timed here; without, every draw looks for them.
    return data.SliceSampler(slice_len=work.STEPS, end_key="done", cache_values=True, truncated_key=None, init_key=None)
