"""Leased games give what stateless ones give, by single calls and by streams, and each number is stepped once."""

from collections.abc import Callable, Iterator, Sequence

import grpc
import numpy as np

from ...proto.engine.v1 import engine_pb2 as pb
from .subject import TIMEOUT, WORD, BrokenError, Check, Subject, first_legal, name_of, same

NUM, STEPS, SEED = 5, 8, 7
MASK, STATE = 1, 3  # where they lie in a reply, see `Subject.lease_outputs`
_BRIEF = 0.001  # seconds
_TRIES = 20
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}

Send = Callable[[pb.SliceRequest], pb.SliceReply]


def request(lease: pb.Lease, sequence: int, actions: np.ndarray, begin_again: bytes = b"") -> pb.SliceRequest:
    """A step of a lease: actions u32[n]."""
    played = actions.astype(WORD).tobytes()
    return pb.SliceRequest(lease_id=lease.lease_id, sequence=sequence, actions=played, begin_again=begin_again)


def moves(subject: Subject, shown: pb.SliceReply, seed: int = 1) -> np.ndarray:
    """u32[n], a legal action of each game."""
    return first_legal(subject.legal(shown.tensors[MASK]), np.random.default_rng(seed))


def shapes(subject: Subject) -> None:
    with subject.lease(NUM) as lease:
        same("the encodings that were asked for", [one.encoding for one in lease.tensors], subject.lease_outputs)
        sizes = [len(tensor) for tensor in lease.first.tensors]
        same("tensors as long as the lease says", sizes, [one.num_bytes for one in lease.tensors])
        same("sequence 0 first", lease.first.sequence, 0)
        same("the fingerprint of the game", lease.capabilities.spec_fingerprint, subject.capabilities.spec_fingerprint)


def seeds(subject: Subject) -> None:
    """A game depends on the seed and its place in the lease, wherever that lies in the batch."""
    with subject.lease(NUM, SEED) as large, subject.lease(NUM - 2, SEED) as small, subject.lease(1, SEED) as alone:
        states, size = large.first.tensors[STATE], subject.capabilities.state_bytes
        same("the first games of two leases alike", small.first.tensors[STATE], states[: (NUM - 2) * size])
        same("the first game of two leases alike", alone.first.tensors[STATE], states[:size])
    same("game 0 as Reset begins it", subject.reset([SEED]).states, states[:size])


def unary(subject: Subject) -> None:
    with subject.lease(NUM, SEED) as lease:
        _as_stateless(subject, lease, lambda asked: subject.call("StepSlice", asked))


def stream(subject: Subject) -> None:
    with subject.lease(NUM, SEED) as lease:
        _as_stateless(subject, lease, lambda asked: converse(subject, [asked])[0])


def pipelined(subject: Subject) -> None:
    """Two requests on the way at once are answered in order, as two alone are."""
    with subject.lease(NUM, SEED) as one, subject.lease(NUM, SEED) as other:
        first = moves(subject, one.first)
        replies = converse(subject, [request(one, 1, first), request(one, 2, first)])
        alone = [subject.call("StepSlice", request(other, number, first)) for number in (1, 2)]
        same("sequences 1, 2", [reply.sequence for reply in replies], [1, 2])
        same("the same tensors", [list(one.tensors) for one in replies], [list(one.tensors) for one in alone])


def again(subject: Subject) -> None:
    with subject.lease(NUM, SEED) as lease:
        first = moves(subject, lease.first)
        reply = subject.call("StepSlice", request(lease, 1, first))
        same("the same reply again", subject.call("StepSlice", request(lease, 1, first)), reply)
        same("the same reply again in a stream", converse(subject, [request(lease, 1, first)])[0], reply)
        second = moves(subject, reply)
        then = subject.call("StepSlice", request(lease, 2, second))
        expected = subject.step(reply.tensors[STATE], second)
        same("one step after the reply that came twice", then.tensors[STATE], expected.states)


def wrong_sequence(subject: Subject) -> None:
    with subject.lease(NUM, SEED) as lease:
        first = moves(subject, lease.first)
        subject.refuses("StepSlice", request(lease, 6, first), "FAILED_PRECONDITION")
        refusal, reply = converse(subject, [request(lease, 6, first), request(lease, 1, first)])
        same("error FAILED_PRECONDITION in the reply", code(refusal), "FAILED_PRECONDITION")
        same("the stream open afterwards", code(reply), "OK")
        expected = subject.step(lease.first.tensors[STATE], first)
        same("no step by a wrong number", reply.tensors[STATE], expected.states)


def wrong_length(subject: Subject) -> None:
    with subject.lease(NUM, SEED) as lease:
        first = moves(subject, lease.first)
        subject.refuses("StepSlice", request(lease, 1, first[:-1]), "INVALID_ARGUMENT")
        subject.refuses("StepSlice", request(lease, 1, first, b"\1\1\1"), "INVALID_ARGUMENT")
        refusal, reply = converse(subject, [request(lease, 1, first[:-1]), request(lease, 1, first)])
        same("error INVALID_ARGUMENT in the reply", code(refusal), "INVALID_ARGUMENT")
        expected = subject.step(lease.first.tensors[STATE], first)
        same("no step by a wrong length", reply.tensors[STATE], expected.states)


def illegal_row(subject: Subject) -> None:
    with subject.lease(NUM, SEED) as lease:
        first = moves(subject, lease.first)
        first[2] = 0xFFFFFFFF
        ends = subject.call("StepSlice", request(lease, 1, first)).ends
        same("ends 5 in row 2 alone", [end & 4 for end in ends], [0, 0, 4, 0, 0], list(ends))
        same("ends 5 in row 2", ends[2], 5)


def same_step(subject: Subject) -> None:
    """The next episode begins in the reply that ends the last, which is shown beside it."""
    with subject.lease(NUM, SEED, pb.AUTO_RESET_SAME_STEP) as lease:
        first = moves(subject, lease.first)
        first[2] = 0xFFFFFFFF
        reply = subject.call("StepSlice", request(lease, 1, first))
        expected = subject.step(lease.first.tensors[STATE], first)
        size = subject.capabilities.state_bytes
        rows = np.flatnonzero(np.frombuffer(reply.ends, np.uint8))
        same("final_rows: the rows that ended", reply.final_rows, rows.astype(WORD).tobytes())
        same("row 2 ended", 2 in rows, True)
        left = b"".join(expected.states[row * size : (row + 1) * size] for row in rows)
        same("finals: what they left", reply.finals[STATE], left)
        same("a new episode with a legal action", bool(subject.legal(reply.tensors[MASK])[2].any()), True)


def begin_again(subject: Subject) -> None:
    with subject.lease(NUM, SEED) as lease:
        first = moves(subject, lease.first)
        first[1] = 0xFFFFFFFF  # not looked at, since that game begins again
        reply = subject.call("StepSlice", request(lease, 1, first, b"\2"))
        same("no end and no illegal action in row 1", reply.ends[1], 0)
        size = subject.capabilities.state_bytes
        stepped = subject.step(lease.first.tensors[STATE], first).states
        same("the other games stepped", reply.tensors[STATE][2 * size :], stepped[2 * size :])


def deadline(subject: Subject) -> None:
    """A step that its deadline cuts off is made once at most, so that sending it again makes it once."""
    with subject.lease(NUM, SEED) as lease:
        shown = lease.first
        for number in range(1, _TRIES + 1):
            action = moves(subject, shown, number)
            asked = request(lease, number, action)
            try:
                subject.call("StepSlice", asked, timeout=_BRIEF)
            except grpc.RpcError as error:
                same("DEADLINE_EXCEEDED", name_of(error), "DEADLINE_EXCEEDED")
            expected = subject.step(shown.tensors[STATE], action)
            shown = subject.call("StepSlice", asked)
            same(f"step {number} made once", shown.tensors[STATE], expected.states)


def converse(subject: Subject, requests: Sequence[pb.SliceRequest]) -> list[pb.SliceReply]:
    """The replies of a stream."""

    def sent() -> Iterator[pb.SliceRequest]:
        yield from requests

    replies = list(subject.stub.StepStream(sent(), metadata=subject.metadata, timeout=TIMEOUT))
    if len(replies) != len(requests):
        raise BrokenError(f"{len(requests)} replies of a stream", str(len(replies)))
    return replies


def code(reply: pb.SliceReply) -> str:
    """The status of one request of a stream."""
    return _CODES.get(reply.error.code, str(reply.error.code))


def _as_stateless(subject: Subject, lease: pb.Lease, send: Send) -> None:
    chance = np.random.default_rng(3)
    shown, states = lease.first, lease.first.tensors[STATE]
    for number in range(1, STEPS + 1):
        action = first_legal(subject.legal(shown.tensors[MASK]), chance)
        shown, expected = send(request(lease, number, action)), subject.step(states, action)
        same(f"sequence {number}", shown.sequence, number)
        for what, came, there in (
            ("observations", shown.tensors[0], expected.observations),
            ("masks", shown.tensors[MASK], expected.masks),
            ("states", shown.tensors[STATE], expected.states),
            ("rewards", shown.rewards, expected.rewards),
            ("ends", shown.ends, expected.ends),
        ):
            same(f"{what} of step {number} as StepBatch gives them", came, there)
        states = expected.states


CHECKS = (
    Check("lease", "what was asked for, in order", shapes),
    Check("seeds", "a game depends on the seed and its place in the lease", seeds),
    Check("StepSlice", "what StepBatch gives", unary),
    Check("StepStream", "what StepBatch gives", stream),
    Check("steps ahead", "answered in order, as if alone", pipelined),
    Check("sent again", "the same reply, and one step", again),
    Check("wrong sequence", "FAILED_PRECONDITION, and no step", wrong_sequence),
    Check("wrong lengths of a lease", "INVALID_ARGUMENT, and no step", wrong_length),
    Check("illegal row", "bit 2 in its row alone", illegal_row),
    Check("same step", "the next episode beside what the last one left", same_step),
    Check("begin again", "the games that are named begin again", begin_again),
    Check("deadline", "a step that was cut off is made once at most", deadline),
)
