"""What a lease's messages mean: actions in, arrays out. No channel here, so both kinds of client share it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..engine import codec
from ..proto.engine.v1 import engine_pb2 as pb
from ..proto.slice_reply import Buffer, SliceReplyView
from .channel import full_names, refused

AUTO_RESET = {
    "same_step": pb.AUTO_RESET_SAME_STEP,
    "next_step": pb.AUTO_RESET_NEXT_STEP,
    "disabled": pb.AUTO_RESET_DISABLED,
}
_TERMINATED, _TRUNCATED, _ILLEGAL = 1, 2, 4


@dataclasses.dataclass(frozen=True)
class Shown:
    """What some games show, as they came; each array is made when it is asked for, and read-only where it is a view.

    Attributes:
      raw: encoding -> bytes, for who would rather read those.
    """

    raw: Mapping[str, Buffer]
    capabilities: pb.Capabilities

    @property
    def observation(self) -> np.ndarray:
        """[B, *observation_shape] of the player to move: f32, or u8 where the encoding is `u8` or `bits`."""
        return self._array("obs", tuple(self.capabilities.observation_shape))

    @property
    def legal_actions(self) -> np.ndarray:
        """bool[B, A]; none is legal in a game that is over."""
        return self._array("mask", (self.capabilities.discrete_n,)).view(bool)

    @property
    def player(self) -> np.ndarray:
        """u8[B], whose turn it is."""
        return self._array("player", ())

    @property
    def state(self) -> np.ndarray:
        """u32[B, W], the engine's whole states."""
        return self._array("state", (self.capabilities.state_bytes // 4,))

    def _array(self, kind: str, row: tuple[int, ...]) -> np.ndarray:
        for name, data in self.raw.items():
            if name.startswith(f"{kind}:"):
                return codec.decode_rows(name, data, row)
        raise AttributeError(f"the lease has no output {kind!r}: it has {', '.join(self.raw) or 'none'}")


@dataclasses.dataclass(frozen=True)
class Step(Shown):
    """The games of a lease after a step; B = n. Rewards and flags belong to the step just made.

    Attributes:
      final_rows: u32[k], games whose episode ended in this step and that began again at once.
      final: what those k episodes showed at their end.
    """

    sequence: int
    reward: np.ndarray  # f32[B, P]
    ends: np.ndarray  # u8[B]
    final_rows: np.ndarray
    final: Shown

    @property
    def terminated(self) -> np.ndarray:
        """bool[B], over by the rules or by an illegal action."""
        return self.ends & _TERMINATED != 0

    @property
    def truncated(self) -> np.ndarray:
        """bool[B], cut at `max_horizon`."""
        return self.ends & _TRUNCATED != 0

    @property
    def illegal(self) -> np.ndarray:
        """bool[B], the action was illegal and ended the game."""
        return self.ends & _ILLEGAL != 0


def acquire_request(
    capabilities: pb.Capabilities,
    env_id: str,
    num_games: int,
    outputs: Sequence[str],
    *,
    seed: int = 0,
    auto_reset: str = "same_step",
    ttl: float = 0.0,
    trusted: bool = False,
    spec_fingerprint: str = "",
) -> pb.AcquireRequest:
    """The message that asks for games; see `cartridge.client.Engine.acquire`."""
    if auto_reset not in AUTO_RESET:
        raise ValueError(f"auto_reset is {auto_reset!r}, expected one of {', '.join(AUTO_RESET)}")
    return pb.AcquireRequest(
        id=pb.EngineId(env_id=env_id),
        num_games=num_games,
        seed=seed,
        auto_reset=AUTO_RESET[auto_reset],
        outputs=full_names(capabilities.outputs, outputs, capabilities.id.env_id),
        ttl_ms=round(1000 * ttl),
        trusted=trusted,
        spec_fingerprint=spec_fingerprint,
    )


def request(lease: pb.Lease, num_games: int, sequence: int, actions: Any, begin_again: Any = None) -> pb.SliceRequest:
    """The message of a step.

    Args:
      actions: whole numbers [n]; where a game begins again they are not looked at.
      begin_again: bool[n], or None for none.

    Raises:
      ValueError: arrays of another shape or kind.
    """
    played = np.asarray(actions)
    if played.shape != (num_games,) or played.dtype.kind not in "iu":
        raise ValueError(f"actions are {played.dtype} of shape {played.shape}, expected integers of ({num_games},)")
    again = b""
    if begin_again is not None:
        chosen = np.asarray(begin_again)
        if chosen.shape != (num_games,) or chosen.dtype != bool:
            raise ValueError(f"begin_again is {chosen.dtype} of shape {chosen.shape}, expected bool of ({num_games},)")
        again = np.packbits(chosen, bitorder="little").tobytes()
    if played.dtype.itemsize > 4:  # what is beyond 32 bits must stay illegal and not wrap round to a legal action
        played = np.clip(played, 0 if played.dtype.kind == "u" else -1, (1 << 31) - 1)
    data = played.astype("<i4" if played.dtype.kind == "i" else "<u4", copy=False).tobytes()
    return pb.SliceRequest(lease_id=lease.lease_id, sequence=sequence, actions=data, begin_again=again)


def step_of(lease: pb.Lease, num_games: int, reply: SliceReplyView) -> Step:
    """What a reply says.

    Raises:
      CallError: it is a refusal; `LeaseLostError` where the lease is gone.
    """
    if reply.error is not None:
        raise refused(reply.error.code, reply.error.message, of_lease=True)
    names = [tensor.encoding for tensor in lease.tensors]
    players = lease.capabilities.num_players
    rewards = np.frombuffer(reply.rewards, "<f4").reshape(-1, players) if len(reply.rewards) else None
    return Step(
        raw=dict(zip(names, reply.tensors, strict=True)),
        capabilities=lease.capabilities,
        sequence=reply.sequence,
        reward=np.zeros((num_games, players), np.float32) if rewards is None else rewards,
        ends=np.frombuffer(reply.ends, np.uint8) if len(reply.ends) else np.zeros(num_games, np.uint8),
        final_rows=np.frombuffer(reply.final_rows, "<u4"),
        final=Shown(dict(zip(names, reply.finals, strict=bool(reply.finals))), lease.capabilities),
    )
