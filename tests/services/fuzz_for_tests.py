"""Messages that no client of ours would send, to every method of a service, and what became of them.

A message is a random one of the contract's fields, a valid one with bytes flipped, cut, spliced or lengthened, or
noise. Bytes go out as they are, and all choices come from a seed.
"""

import contextlib
import dataclasses
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor

PATIENCE = 60.0  # seconds for a call to end by itself
BRIEF = 0.5  # and for one of a method that may wait for others
_AT_ONCE = 8  # calls on the way
_MOST_MESSAGES = 4  # of a stream
_FAULTS = ("UNKNOWN", "INTERNAL", "UNAVAILABLE", "UNIMPLEMENTED", "DATA_LOSS")  # that no message may cause
_NUMBERS = (0, 1, 2, 3, 7, 63, 127, 128, 255, 1 << 16, (1 << 31) - 1, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1)
_SIGNED = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_ENUM)
_WIDE = (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64)

Learn = Callable[[str, bytes], None]


@dataclasses.dataclass
class Report:
    """What became of the messages."""

    messages: int = 0
    ends: Counter[str] = dataclasses.field(default_factory=Counter)  # "Reset INVALID_ARGUMENT" -> calls
    faults: list[str] = dataclasses.field(default_factory=list)  # calls that ended as none may


class Maker:
    """Makes messages.

    Args:
      examples: valid messages by method, which may change as the fuzzer learns.
    """

    def __init__(self, seed: int, examples: Mapping[str, Sequence[bytes]]) -> None:
        self._chance, self._examples = np.random.default_rng(seed), examples

    def number(self, below: int) -> int:
        """From 0 on."""
        return int(self._chance.integers(below))

    def message(self, method: MethodDescriptor) -> bytes:
        """One for this method: now and then a valid one, so that state is reached behind which others matter."""
        kind, valid = self.number(10), self._examples.get(method.name, ())
        if kind == 0:
            return self._noise(self.number(200))
        if kind < 4 or not valid:
            return self._random(method.input_type, 3).SerializePartialToString()
        data = valid[self.number(len(valid))]
        return data if kind == 4 else self.mutated(data)

    def mutated(self, data: bytes) -> bytes:
        """A valid message that was damaged in one to three places."""
        for _ in range(1 + self.number(3)):
            data = (self._flip, self._cut, self._splice, self._repeat, self._lengthen)[self.number(5)](data)
        return data

    def _flip(self, data: bytes) -> bytes:
        changed = bytearray(data or b"\0")
        changed[self.number(len(changed))] ^= 1 << self.number(8)
        return bytes(changed)

    def _cut(self, data: bytes) -> bytes:
        return data[: self.number(len(data) + 1)]

    def _splice(self, data: bytes) -> bytes:
        others = [one for examples in self._examples.values() for one in examples] or [data]
        other = others[self.number(len(others))]
        return data[: self.number(len(data) + 1)] + other[self.number(len(other) + 1) :]

    def _repeat(self, data: bytes) -> bytes:
        return (data * (1 + self.number(64)))[: 1 << 16]

    def _lengthen(self, data: bytes) -> bytes:
        """The length of a field that is far longer than the message."""
        place = self.number(len(data) + 1)
        field = bytes([self.number(16) << 3 | 2])
        return data[:place] + field + b"\xff" * (3 + self.number(7)) + b"\x07" + data[place:]

    def _noise(self, size: int) -> bytes:
        return self._chance.bytes(size)

    def _random(self, kind: Descriptor, depth: int) -> Any:
        message = message_factory.GetMessageClass(kind)()
        for field in kind.fields:
            if self.number(3) == 0 or (field.message_type is not None and depth == 0):
                continue
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                continue
            values = [self._value(field, depth) for _ in range(self.number(5) if field.is_repeated else 1)]
            if field.is_repeated:
                getattr(message, field.name).extend(values)
            elif field.message_type is not None:
                getattr(message, field.name).CopyFrom(values[0])
            else:
                setattr(message, field.name, values[0])
        return message

    def _value(self, field: FieldDescriptor, depth: int) -> Any:
        if field.message_type is not None:
            return self._random(field.message_type, depth - 1)
        if field.type == FieldDescriptor.TYPE_STRING:
            return ("", "tictactoe", "connect4", "kuhn_poker", "hex:size=x", "\0", "é" * 50, "a" * 5000)[self.number(8)]
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._noise((0, 1, 4, 12, 64, 4096)[self.number(6)])
        if field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
            return (0.0, -1.0, float("nan"), float("inf"), 1e30)[self.number(5)]
        if field.type == FieldDescriptor.TYPE_BOOL:
            return bool(self.number(2))
        value = _NUMBERS[self.number(len(_NUMBERS))]
        bits = 64 if field.type in _WIDE else 32
        value &= (1 << bits) - 1
        return value - (1 << bits) if field.type in _SIGNED and value >> (bits - 1) else value


@dataclasses.dataclass
class Fuzzer:
    """Sends messages to one service.

    Attributes:
      learn: told of each reply, by method.
      waiting: methods whose calls may last, and are given up after `BRIEF`.
    """

    contract: ServiceDescriptor
    maker: Maker
    learn: Learn = lambda method, reply: None
    waiting: frozenset[str] = frozenset()
    report: Report = dataclasses.field(default_factory=Report)

    def run(self, address: str, messages: int) -> None:
        """Sends so many, several calls at once; what came of them is in `report`."""
        target = self.report.messages + messages
        with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(_AT_ONCE) as pool:
            while self.report.messages < target:
                asked = [self._choose() for _ in range(_AT_ONCE)]
                ended = [pool.submit(self._call, channel, method, sent) for method, sent in asked]
                for (method, sent), one in zip(asked, ended, strict=True):
                    replies, code, details = one.result()
                    for reply in replies:
                        self.learn(method.name, reply)
                    self._note(method.name, code, details, sent)

    def _choose(self) -> tuple[MethodDescriptor, list[bytes]]:
        method = self.contract.methods[self.maker.number(len(self.contract.methods))]
        many = 1 + self.maker.number(_MOST_MESSAGES) if method.client_streaming else 1
        self.report.messages += many
        return method, [self.maker.message(method) for _ in range(many)]

    def _call(
        self, channel: grpc.Channel, method: MethodDescriptor, sent: Sequence[bytes]
    ) -> tuple[list[bytes], grpc.StatusCode, str]:
        """(replies, status, its message) of one call."""
        path = f"/{self.contract.full_name}/{method.name}"
        kinds = ((channel.unary_unary, channel.unary_stream), (channel.stream_unary, channel.stream_stream))
        begin: Any = kinds[method.client_streaming][method.server_streaming](path)
        asked: Any = iter(sent) if method.client_streaming else sent[0]
        limit = BRIEF if method.name in self.waiting else PATIENCE
        replies: list[bytes] = []
        if method.server_streaming:
            call = begin(asked, timeout=limit)
            with contextlib.suppress(grpc.RpcError):  # the status is looked at below
                replies.extend(call)
        else:
            call = begin.future(asked, timeout=limit)
            if call.exception() is None:
                replies.append(call.result())
        return replies, call.code(), call.details() or ""

    def _note(self, method: str, code: grpc.StatusCode, details: str, sent: Sequence[bytes]) -> None:
        self.report.ends[f"{method} {code.name}"] += 1
        late = code is grpc.StatusCode.DEADLINE_EXCEEDED and method not in self.waiting
        if late or code.name in _FAULTS:
            shown = " | ".join(one[:200].hex() for one in sent)
            self.report.faults.append(f"{method} {code.name} {details[:200]!r} after {shown}")


def rss_mib(pid: int) -> float:
    """Resident memory of a process (Linux)."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


@contextlib.contextmanager
def serving(line: Sequence[Any], environment: Mapping[str, str], log: Path) -> Iterator[tuple[int, str]]:
    """Runs a server whose log goes to a file, since a full pipe would hold it up: (process id, address).

    Raises:
      AssertionError: it did not live to the end, or its log speaks of a failure.
    """
    with log.open("w") as errors:
        pipe = subprocess.PIPE
        process = subprocess.Popen([*map(str, line)], env=dict(environment), stdout=pipe, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip().rpartition(" on ")[2]
        assert address, log.read_text()
        yield process.pid, address
        assert process.poll() is None, log.read_text()[-5000:]
        assert "Traceback" not in log.read_text(), log.read_text()[:10000]
    finally:
        process.kill()
        process.communicate()


def fuzz(fuzzer: Fuzzer, address: str, pid: int, messages: int) -> float:
    """Sends the messages and prints what came of them; returns how many MiB the server grew after the first fifth."""
    fuzzer.run(address, messages // 5)
    before = rss_mib(pid)
    fuzzer.run(address, messages - messages // 5)
    grown, report = rss_mib(pid) - before, fuzzer.report
    print(f"{report.messages:,} messages; the server grew by {grown:.1f} MiB to {rss_mib(pid):.1f} MiB")
    for end, times in sorted(report.ends.items()):
        print(f"  {end:<40}{times:>8,}")
    return grown
