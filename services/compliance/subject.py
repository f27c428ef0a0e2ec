"""A server on trial: how its checks call it, and how they say what they expected and what came."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import grpc
import numpy as np

from ...proto.engine.v1 import engine_pb2 as pb
from ...proto.engine.v1 import engine_pb2_grpc

TIMEOUT = 120.0  # seconds for a call; a first one may compile
WORD = np.dtype("<u4")


class BrokenError(Exception):
    """The server does not do what it should.

    Attributes:
      expected, came: in words.
    """

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}, got {came}")
        self.expected, self.came = expected, came


class SkippedError(Exception):
    """The check says nothing about this game."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of one check."""

    name: str
    status: Literal["ok", "FAILED", "skipped"]
    expected: str
    came: str


@dataclasses.dataclass(frozen=True)
class Check:
    """One promise of the contract."""

    name: str
    expected: str
    call: Callable[["Subject"], None]


@dataclasses.dataclass(frozen=True)
class Subject:
    """A server, and the game by which it is judged.

    Attributes:
      metadata: goes with each call.
    """

    channel: grpc.Channel
    game: str
    metadata: tuple[tuple[str, str], ...] = ()

    @functools.cached_property
    def stub(self) -> Any:
        """The engine's stub."""
        return engine_pb2_grpc.EngineStub(self.channel)

    @functools.cached_property
    def id(self) -> pb.EngineId:
        """The game's."""
        return pb.EngineId(env_id=self.game)

    @functools.cached_property
    def capabilities(self) -> pb.Capabilities:
        """The game's, asked for once."""
        return self.call("GetCapabilities", self.id)

    @property
    def trusted(self) -> bool:
        """What a request must say so that the game's states may be seen."""
        return self.capabilities.hidden_information

    @property
    def lease_outputs(self) -> list[str]:
        """What the checks' leases show: observation, mask, player, state."""
        mask = f"mask:bits{self.capabilities.discrete_n}:v1"
        return [self.capabilities.enc.obs, mask, "player:u8:v1", "state:packed_u32:v1"]

    def call(self, method: str, request: Any, timeout: float = TIMEOUT) -> Any:
        """One unary call; raises `grpc.RpcError`."""
        return getattr(self.stub, method)(request, metadata=self.metadata, timeout=timeout)

    def refuses(self, method: str, request: Any, *codes: str) -> None:
        """Raises `BrokenError` unless the call ends in one of these statuses."""
        try:
            self.call(method, request)
        except grpc.RpcError as error:
            same(f"{method}: {' or '.join(codes)}", name_of(error) in codes, True, name_of(error))
        else:
            raise BrokenError(f"{method}: {' or '.join(codes)}", "OK")

    def reset(self, seeds: Sequence[int]) -> pb.ResetBatchResponse:
        """Games that have begun."""
        return self.call("ResetBatch", pb.ResetBatchRequest(id=self.id, seeds=seeds, trusted=self.trusted))

    def step(self, states: bytes, actions: np.ndarray) -> pb.StepBatchResponse:
        """Those after an action each, u32[B]."""
        played = actions.astype(WORD).tobytes()
        asked = pb.StepBatchRequest(id=self.id, states=states, actions=played, trusted=self.trusted)
        return self.call("StepBatch", asked)

    def legal(self, masks: bytes) -> np.ndarray:
        """bool[B, A] behind masks."""
        actions = self.capabilities.discrete_n
        rows = np.frombuffer(masks, np.uint8).reshape(-1, -(-actions // 8))
        return np.unpackbits(rows, axis=1, count=actions, bitorder="little").astype(bool)

    @contextlib.contextmanager
    def lease(self, num_games: int, seed: int = 7, mode: Any = pb.AUTO_RESET_DISABLED) -> Iterator[pb.Lease]:
        """Games of the server, given back in the end if they still are leased."""
        asked = pb.AcquireRequest(
            id=self.id,
            num_games=num_games,
            seed=seed,
            auto_reset=mode,
            outputs=self.lease_outputs,
            trusted=self.trusted,
            ttl_ms=60_000,
        )
        leased = self.call("Acquire", asked)
        try:
            yield leased
        finally:
            with contextlib.suppress(grpc.RpcError):
                self.call("Release", pb.ReleaseRequest(lease_id=leased.lease_id))


def first_legal(legal: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """u32[B], a random legal action of each game; 0 where there is none."""
    return np.where(legal, chance.random(legal.shape), -1.0).argmax(axis=1).astype(WORD)


def same(what: str, came: Any, expected: Any, shown: Any = None) -> None:
    """Raises `BrokenError` unless both are equal; `shown` stands for what came where that is long."""
    if came != expected:
        raise BrokenError(what, _short(came if shown is None else shown))


def name_of(error: grpc.RpcError) -> str:
    """The status of a call that failed."""
    return error.code().name if isinstance(error, grpc.Call) else type(error).__name__


def examine(subject: Subject, checks: Sequence[Check]) -> Iterator[Result]:
    """Makes the checks one after the other; one that fails stops none of the others."""
    for check in checks:
        try:
            check.call(subject)
        except BrokenError as broken:
            yield Result(check.name, "FAILED", broken.expected, broken.came)
        except SkippedError as skipped:
            yield Result(check.name, "skipped", check.expected, str(skipped))
        except grpc.RpcError as error:
            details = error.details() if isinstance(error, grpc.Call) else ""
            yield Result(check.name, "FAILED", check.expected, f"{name_of(error)}: {details}")
        except (ValueError, IndexError) as error:  # bytes of another length than the checks can read
            yield Result(check.name, "FAILED", check.expected, f"what cannot be read: {error}")
        else:
            yield Result(check.name, "ok", check.expected, "")


def _short(value: Any) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 120 else f"{text[:120]}..."
