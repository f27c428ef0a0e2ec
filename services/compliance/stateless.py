"""Games whose state the client keeps: the same bytes give the same bytes, one by one or many at once."""

from typing import Any

import numpy as np

from ...proto.engine.v1 import engine_pb2 as pb
from .subject import WORD, Check, SkippedError, Subject, first_legal, same

SEEDS = (0, 1, 2**63 + 5)
STEPS = 6
_INFO_ACTIONS = 16
_NONE = np.uint32(0xFFFFFFFF)  # no action of any game


def reset(subject: Subject) -> None:
    begun = subject.reset(SEEDS)
    same("the same bytes for the same seeds", subject.reset(SEEDS), begun)
    for row, seed in enumerate(SEEDS):
        one = subject.call("Reset", pb.ResetRequest(id=subject.id, seed=seed, trusted=subject.trusted))
        same(f"Reset of seed {seed} as in ResetBatch", one.state, _row(begun.states, row))
        same(f"what Reset of seed {seed} shows as in ResetBatch", one.obs, _row(begun.observations, row))


def masks(subject: Subject) -> None:
    """Padding is 0, a game that has begun has a move, and `info` says the same."""
    begun = subject.reset(SEEDS)
    legal = subject.legal(begun.masks)
    same("a legal action in each game that has begun", bool(legal.any(axis=1).all()), True)
    padded = np.packbits(legal, axis=1, bitorder="little").tobytes()
    same("masks whose last bits are 0", begun.masks, padded)


def step(subject: Subject) -> None:
    chance = np.random.default_rng(1)
    begun = subject.reset(SEEDS)
    states, mask = begun.states, begun.masks
    for number in range(STEPS):
        actions = first_legal(subject.legal(mask), chance)
        moved = subject.step(states, actions)
        same(f"the same bytes for the same step {number}", subject.step(states, actions), moved)
        for row in range(len(SEEDS)):
            _same_alone(subject, moved, row, _one(subject, _row(states, row), actions[row]))
        states, mask = moved.states, moved.masks


def legality(subject: Subject) -> None:
    """Exactly the actions of the mask are legal."""
    begun = subject.reset([SEEDS[0]])
    legal = subject.legal(begun.masks)[0]
    chosen = np.unique(np.concatenate([np.flatnonzero(legal)[:32], np.flatnonzero(~legal)[:32]]))[:64]
    chosen = chosen[: subject.capabilities.max_batch]
    moved = subject.step(begun.states * len(chosen), chosen)
    found = np.frombuffer(moved.ends, np.uint8) & 4 == 0
    same("the mask's actions legal, no others", found.tolist(), legal[chosen].tolist())


def illegal(subject: Subject) -> None:
    begun = subject.reset(SEEDS)
    moved = subject.step(begun.states, np.full(len(SEEDS), _NONE))
    same("ends 5 (terminated, illegal)", set(moved.ends), {5})
    for row in range(len(SEEDS)):
        alone = _one(subject, _row(begun.states, row), _NONE)
        same("done", alone.done, True)
        same("reward -1 of the mover", alone.reward, -1.0)


def over(subject: Subject) -> None:
    begun = subject.reset(SEEDS)
    ended = subject.step(begun.states, np.full(len(SEEDS), _NONE))
    after = subject.step(ended.states, np.zeros(len(SEEDS)))
    same("the states of games that are over to stay", after.states, ended.states)
    same("no rewards in games that are over", set(np.frombuffer(after.rewards, "<f4").tolist()), {0.0})
    same("no legal action in games that are over", bool(subject.legal(ended.masks).any()), False)


def lengths(subject: Subject) -> None:
    state = subject.reset([1]).states
    common: dict[str, Any] = {"id": subject.id, "trusted": subject.trusted}
    for one, action in ((state[:-1], bytes(4)), (state + b"\0", bytes(4)), (state, bytes(3)), (b"", b"")):
        subject.refuses("Step", pb.StepRequest(state=one, action=action, **common), "INVALID_ARGUMENT")
    for many, actions in ((2 * state, bytes(4)), (state[:-1], bytes(4)), (b"", b"")):
        subject.refuses("StepBatch", pb.StepBatchRequest(states=many, actions=actions, **common), "INVALID_ARGUMENT")


def limits(subject: Subject) -> None:
    most = subject.capabilities.max_batch
    refusals = ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")
    for seeds in ([], range(most + 1)):
        asked = pb.ResetBatchRequest(id=subject.id, seeds=seeds, trusted=subject.trusted)
        subject.refuses("ResetBatch", asked, *refusals)


def hidden(subject: Subject) -> None:
    if not subject.capabilities.hidden_information:
        raise SkippedError(f"{subject.game} hides nothing")
    state = subject.reset([1]).states
    subject.refuses("Reset", pb.ResetRequest(id=subject.id), "PERMISSION_DENIED")
    subject.refuses("Step", pb.StepRequest(id=subject.id, state=state, action=bytes(4)), "PERMISSION_DENIED")


def _one(subject: Subject, state: bytes, action: np.uint32) -> pb.StepResponse:
    played = np.array([action], WORD).tobytes()
    return subject.call("Step", pb.StepRequest(id=subject.id, state=state, action=played, trusted=subject.trusted))


def _same_alone(subject: Subject, moved: pb.StepBatchResponse, row: int, alone: pb.StepResponse) -> None:
    """A row of a batch and the game stepped by itself."""
    same("Step's state as in StepBatch", alone.state, _row(moved.states, row))
    same("Step's observation as in StepBatch", alone.obs, _row(moved.observations, row))
    rewards = np.frombuffer(moved.rewards, "<f4").reshape(len(SEEDS), -1)[row]
    same("Step's reward among StepBatch's", alone.reward in rewards.tolist(), True, alone.reward)
    if moved.ends[row]:
        same("done where StepBatch's game ended", alone.done, True)
    if subject.capabilities.discrete_n <= _INFO_ACTIONS:
        mask = int.from_bytes(_row(moved.masks, row), "little")
        same("info's mask as in StepBatch", alone.info & 0xFFFF, mask)


def _row(data: bytes, row: int) -> bytes:
    size = len(data) // len(SEEDS)
    return data[row * size : (row + 1) * size]


CHECKS = (
    Check("reset", "ResetBatch gives what Reset gives, each time", reset),
    Check("masks", "a legal action in each new game, unused bits 0", masks),
    Check("step", "StepBatch gives what Step gives, each time", step),
    Check("legality", "the mask's actions are legal and no others", legality),
    Check("illegal action", "it ends the game with -1 for the mover", illegal),
    Check("games that are over", "they stay as they are", over),
    Check("wrong lengths", "INVALID_ARGUMENT", lengths),
    Check("batch limits", "INVALID_ARGUMENT or RESOURCE_EXHAUSTED", limits),
    Check("hidden states", "PERMISSION_DENIED without `trusted`", hidden),
)
