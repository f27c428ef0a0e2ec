"""A `SliceReply` as bytes without copies: its tensors are megabytes, and protobuf would copy them twice on each side.

The bytes are those of the contract (engine/v1/engine.proto); only the way to and from them is our own. A reader skips
fields that it does not know, as any reader of protobuf does.
"""

import dataclasses
import struct
from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError

from .engine.v1 import engine_pb2

Buffer = bytes | memoryview

_VARINT, _FIXED64, _BYTES = 0, 1, 2  # wire types
_FIXED = {_FIXED64: 8, 5: 4}  # those of a fixed number of bytes
_LONGEST_VARINT = 10  # bytes
_NUMBERS = {field.name: field.number for field in engine_pb2.SliceReply.DESCRIPTOR.fields}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_INTEGERS = ("lease_id", "sequence", "credits")


class DamagedReplyError(ValueError):
    """Bytes that are no `SliceReply`."""


@dataclasses.dataclass(frozen=True)
class SliceReplyView:
    """The fields of a `SliceReply`; bytes are views of the message they came in."""

    lease_id: int = 0
    sequence: int = 0
    credits: int = 0
    error: engine_pb2.Error | None = None
    rewards: Buffer = b""
    ends: Buffer = b""
    tensors: Sequence[Buffer] = ()
    final_rows: Buffer = b""
    finals: Sequence[Buffer] = ()


def write(reply: SliceReplyView) -> bytes:
    """The message, every tensor copied once into it."""
    parts: list[Buffer] = [
        _tag("lease_id", _FIXED64) + struct.pack("<Q", reply.lease_id),
        _tag("sequence", _FIXED64) + struct.pack("<Q", reply.sequence),
        _tag("credits", _VARINT) + _varint(reply.credits),
    ]
    if reply.error is not None:
        _append(parts, "error", reply.error.SerializeToString())
    for name in ("rewards", "ends"):
        _append(parts, name, getattr(reply, name))
    for tensor in reply.tensors:
        _append(parts, "tensors", tensor)
    if len(reply.final_rows):
        _append(parts, "final_rows", reply.final_rows)
        for tensor in reply.finals:
            _append(parts, "finals", tensor)
    return b"".join(parts)


def read(data: bytes) -> SliceReplyView:
    """The fields behind a message, nothing copied.

    Raises:
      DamagedReplyError: bytes that are no such message.
    """
    numbers: dict[str, int] = {}
    buffers: dict[str, memoryview] = {}
    lists: dict[str, list[memoryview]] = {"tensors": [], "finals": []}
    for number, value in _fields(memoryview(data)):
        name = _NAMES.get(number, "")
        if name and isinstance(value, int) != (name in _INTEGERS):
            raise DamagedReplyError(f"{name} of a SliceReply is of another type than the contract says")
        if isinstance(value, int):
            numbers[name] = value
        elif name in lists:
            lists[name].append(value)
        else:
            buffers[name] = value
    return SliceReplyView(
        lease_id=numbers.get("lease_id", 0),
        sequence=numbers.get("sequence", 0),
        credits=numbers.get("credits", 0),
        error=_error(buffers["error"]) if "error" in buffers else None,
        rewards=buffers.get("rewards", b""),
        ends=buffers.get("ends", b""),
        tensors=lists["tensors"],
        final_rows=buffers.get("final_rows", b""),
        finals=lists["finals"],
    )


def _error(data: memoryview) -> engine_pb2.Error:
    try:
        return engine_pb2.Error.FromString(bytes(data))
    except DecodeError as error:
        raise DamagedReplyError(f"error of a SliceReply is damaged: {error}") from error


def _append(parts: list[Buffer], name: str, value: Buffer) -> None:
    parts.append(_tag(name, _BYTES) + _varint(len(value)))
    parts.append(value)


def _tag(name: str, wire_type: int) -> bytes:
    return _varint(_NUMBERS[name] << 3 | wire_type)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field of a message."""
    place, end = 0, len(data)
    while place < end:
        tag, place = _read_varint(data, place)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, place = _read_varint(data, place)
            yield number, value
            continue
        if wire_type == _BYTES:
            size, place = _read_varint(data, place)
        elif wire_type in _FIXED:
            size = _FIXED[wire_type]
        else:
            raise DamagedReplyError(f"byte {place} of a SliceReply begins a field of wire type {wire_type}")
        if place + size > end:
            raise DamagedReplyError(f"a SliceReply of {end} bytes is cut off in field {number}")
        piece = data[place : place + size]
        yield number, piece if wire_type == _BYTES else int.from_bytes(piece, "little")
        place += size


def _read_varint(data: memoryview, place: int) -> tuple[int, int]:
    """(value, where the next byte is)."""
    value = 0
    for index, byte in enumerate(data[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, place + index + 1
    raise DamagedReplyError(f"byte {place} of a SliceReply begins a number that does not end")
