"""How a lease begins, is kept, saved, put back and ends."""

from typing import Any

import numpy as np

from ...proto.engine.v1 import engine_pb2 as pb
from .steps import NUM, SEED, STATE, converse, moves, request
from .steps import code as code_of
from .subject import Check, SkippedError, Subject, same


def refusals(subject: Subject) -> None:
    common: dict[str, Any] = {"id": subject.id, "trusted": subject.trusted}
    wrong: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
        ({"num_games": NUM, "spec_fingerprint": "0" * 64}, ("FAILED_PRECONDITION",)),
        ({"num_games": 0}, ("INVALID_ARGUMENT",)),
        ({"num_games": NUM, "outputs": ["obs:nothing:v1"]}, ("INVALID_ARGUMENT",)),
        ({"num_games": NUM, "outputs": ["player:u8:v1"] * 2}, ("INVALID_ARGUMENT",)),
        ({"num_games": subject.capabilities.max_lease + 1}, ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")),
    )
    for fields, codes in wrong:
        subject.refuses("Acquire", pb.AcquireRequest(**common, **fields), *codes)


def fingerprint(subject: Subject) -> None:
    """The right one is taken."""
    mark = subject.capabilities.spec_fingerprint
    lease = subject.call("Acquire", pb.AcquireRequest(id=subject.id, num_games=1, spec_fingerprint=mark))
    subject.call("Release", pb.ReleaseRequest(lease_id=lease.lease_id))


def hidden(subject: Subject) -> None:
    if not subject.capabilities.hidden_information:
        raise SkippedError(f"{subject.game} hides nothing")
    asked = pb.AcquireRequest(id=subject.id, num_games=1, outputs=["state:packed_u32:v1"])
    subject.refuses("Acquire", asked, "PERMISSION_DENIED")


def renew(subject: Subject) -> None:
    with subject.lease(NUM) as lease:
        kept = subject.call("Renew", pb.RenewRequest(lease_id=lease.lease_id)).ttl_ms
        same("the time of the lease", kept, lease.ttl_ms)


def release(subject: Subject) -> None:
    with subject.lease(NUM) as lease:
        asked = request(lease, 1, moves(subject, lease.first))
        snapshot = subject.call("Snapshot", pb.SnapshotRequest(lease_id=lease.lease_id))
        subject.call("Release", pb.ReleaseRequest(lease_id=lease.lease_id))
        subject.refuses("StepSlice", asked, "NOT_FOUND")
        same("error NOT_FOUND in a stream", code_of(converse(subject, [asked])[0]), "NOT_FOUND")
        for kind in (pb.RenewRequest, pb.ReleaseRequest, pb.SnapshotRequest):
            method = kind.DESCRIPTOR.name.removesuffix("Request")
            subject.refuses(method, kind(lease_id=lease.lease_id), "NOT_FOUND")
        subject.refuses("Restore", pb.RestoreRequest(lease_id=lease.lease_id, snapshot=snapshot), "NOT_FOUND")


def snapshot(subject: Subject) -> None:
    with subject.lease(NUM, SEED) as lease:
        first = subject.call("StepSlice", request(lease, 1, moves(subject, lease.first)))
        saved = subject.call("Snapshot", pb.SnapshotRequest(lease_id=lease.lease_id))
        same("the states of the last reply", saved.states, first.tensors[STATE])
        same("the sequence of the last reply", saved.sequence, 1)
        action = moves(subject, first)
        second = subject.call("StepSlice", request(lease, 2, action))
        back = subject.call("Restore", pb.RestoreRequest(lease_id=lease.lease_id, snapshot=saved))
        same("what the snapshot showed", list(back.tensors), list(first.tensors))
        third = subject.call("StepSlice", request(lease, back.sequence + 1, action))
        same("the same step from it", list(third.tensors), list(second.tensors))
        same("the same rewards from it", third.rewards, second.rewards)


def wrong_snapshot(subject: Subject) -> None:
    with subject.lease(NUM, SEED) as lease:
        saved = subject.call("Snapshot", pb.SnapshotRequest(lease_id=lease.lease_id))
        short = pb.SliceSnapshot(id=saved.id, states=saved.states[:-1])
        asked = pb.RestoreRequest(lease_id=lease.lease_id, snapshot=short)
        subject.refuses("Restore", asked, "INVALID_ARGUMENT")
        other = pb.SliceSnapshot(id=pb.EngineId(env_id=saved.id.env_id, build_id="0.0.0+another"), states=saved.states)
        asked = pb.RestoreRequest(lease_id=lease.lease_id, snapshot=other)
        subject.refuses("Restore", asked, "FAILED_PRECONDITION")
        action = moves(subject, lease.first)
        stepped = subject.call("StepSlice", request(lease, 1, np.asarray(action)))
        expected = subject.step(lease.first.tensors[STATE], action)
        same("games untouched by what was refused", stepped.tensors[STATE], expected.states)


CHECKS = (
    Check("refused leases", "the status of what is wrong", refusals),
    Check("fingerprint of a lease", "the right one is taken", fingerprint),
    Check("hidden states of a lease", "PERMISSION_DENIED without `trusted`", hidden),
    Check("Renew", "the time of the lease", renew),
    Check("Release", "NOT_FOUND for all that comes after", release),
    Check("Snapshot and Restore", "games go on from where they were", snapshot),
    Check("wrong snapshot", "refused, and the games untouched", wrong_snapshot),
)
