"""A reply written by hand is what protobuf's own library writes and reads."""

import random
from typing import Any

import pytest
from cartridge.proto.engine.v1 import engine_pb2
from cartridge.proto.slice_reply import DamagedReplyError, SliceReplyView, read, write

FIELDS = [field.name for field in engine_pb2.SliceReply.DESCRIPTOR.fields]
WHOLE = SliceReplyView(
    lease_id=(1 << 64) - 2,
    sequence=1 << 40,
    credits=300,
    rewards=bytes(range(200)),
    ends=b"\x01\x00",
    tensors=[b"abc", memoryview(b"x" * 70_000)],
    final_rows=b"\x00\x00\x00\x00",
    finals=[b"d", b"e"],
)
REFUSED = SliceReplyView(lease_id=7, sequence=3, error=engine_pb2.Error(code=5, message="no such lease"))


def fields(reply: Any) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, memoryview):
            return bytes(value)
        return [bytes(one) for one in value] if hasattr(value, "__iter__") and not isinstance(value, bytes) else value

    return {name: plain(getattr(reply, name)) for name in FIELDS if name != "error"}


@pytest.mark.parametrize("reply", [WHOLE, REFUSED, SliceReplyView()])
def test_the_library_reads_what_is_written(reply: SliceReplyView) -> None:
    parsed = engine_pb2.SliceReply.FromString(write(reply))
    assert fields(parsed) == fields(reply)
    assert parsed.HasField("error") == (reply.error is not None)
    assert parsed.error == (reply.error or engine_pb2.Error())


@pytest.mark.parametrize("reply", [WHOLE, REFUSED, SliceReplyView()])
def test_what_the_library_writes_is_read(reply: SliceReplyView) -> None:
    message = engine_pb2.SliceReply(error=reply.error, **fields(reply))
    assert fields(read(message.SerializeToString())) == fields(reply)
    assert read(message.SerializeToString()).error == reply.error


def test_unknown_fields_are_skipped() -> None:
    """Fields 20 to 23 of every wire type, as a later version of the contract might send them."""
    later = b"\xa0\x01\x05" + b"\xa9\x01" + bytes(8) + b"\xb2\x01\x02hi" + b"\xbd\x01" + bytes(4)
    assert fields(read(later + write(WHOLE) + later)) == fields(WHOLE)


@pytest.mark.parametrize("data", [b"\x09\x01", b"\x2a\x05abc", b"\x2a" + b"\xff" * 10, b"\x0b", b"\x28\x01"])
def test_damage_is_told(data: bytes) -> None:
    with pytest.raises(DamagedReplyError):
        read(data)


def test_random_bytes_never_do_anything_else() -> None:
    source, good = random.Random(0), write(WHOLE)
    for _ in range(20_000):
        data = bytearray(good[:400] if source.random() < 0.5 else source.randbytes(source.randrange(40)))
        for _ in range(source.randrange(4) if data else 0):
            data[source.randrange(len(data))] = source.randrange(256)
        try:
            read(bytes(data))
        except DamagedReplyError:
            continue
