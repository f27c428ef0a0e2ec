"""What a server says of its games: complete, the same each time, and layouts that can be read."""

import math
import re

from ...engine import codec
from ...proto.engine.v1 import engine_pb2 as pb
from .subject import BrokenError, Check, Subject, same

_SHA256 = re.compile("[0-9a-f]{64}")


def complete(subject: Subject) -> None:
    said = subject.capabilities
    same("id.env_id as it was asked for", said.id.env_id, subject.game)
    for name in ("discrete_n", "num_players", "state_bytes", "max_batch", "max_lease", "preferred_batch"):
        same(f"{name} of 1 or more", getattr(said, name) >= 1, True, getattr(said, name))
    same("enc.schema_version 1", said.enc.schema_version, 1)
    same("a build_id", bool(said.id.build_id), True)


def fingerprint(subject: Subject) -> None:
    found = subject.capabilities.spec_fingerprint
    same("spec_fingerprint: 64 hexadecimal digits", bool(_SHA256.fullmatch(found)), True, found)
    again = subject.call("GetCapabilities", subject.id)
    same("the same capabilities each time", again, subject.capabilities)


def encodings(subject: Subject) -> None:
    said = subject.capabilities
    size = math.prod(said.observation_shape)
    same("enc.state state:packed_u32:v1", said.enc.state, "state:packed_u32:v1")
    same(f"enc.obs obs:f32x{size}:v1", said.enc.obs, f"obs:f32x{size}:v1")
    same("state_bytes of whole words", said.state_bytes % 4, 0)
    for name in subject.lease_outputs:
        same(f"{name} among the outputs", name in said.outputs, True, list(said.outputs))
    rows = {"obs": tuple(said.observation_shape), "mask": (said.discrete_n,), "state": (said.state_bytes // 4,)}
    for name in said.outputs:
        try:
            row = rows.get(name.partition(":")[0], ())
            codec.decode_rows(name, bytes(_row_bytes(name, math.prod(row))), row)
        except (IndexError, codec.CodecError) as error:
            raise BrokenError("outputs whose names are layouts", str(error)) from error


def _row_bytes(name: str, size: int) -> int:
    """Of one game in a layout."""
    layout = name.split(":")[1]
    return -(-size // 8) if layout.startswith("bits") else size if layout.startswith("u8") else 4 * size


def listed(subject: Subject) -> None:
    games = {one.id.env_id: one for one in subject.call("ListGames", pb.ListGamesRequest()).games}
    plain = subject.game.partition(":")[0]
    same(f"{plain} in the list", plain in games, True, sorted(games))
    if plain == subject.game:
        same("the same capabilities in the list", games[plain], subject.capabilities)


def unknown(subject: Subject) -> None:
    nobody = pb.EngineId(env_id="no_such_game_anywhere")
    subject.refuses("GetCapabilities", nobody, "NOT_FOUND")
    subject.refuses("Reset", pb.ResetRequest(id=nobody), "NOT_FOUND")


def other_build(subject: Subject) -> None:
    other = pb.EngineId(env_id=subject.game, build_id="0.0.0+another")
    subject.refuses("Reset", pb.ResetRequest(id=other, trusted=subject.trusted), "FAILED_PRECONDITION")


CHECKS = (
    Check("capabilities", "all that a client needs is said", complete),
    Check("fingerprint", "a sha256, the same each time", fingerprint),
    Check("encodings", "layouts that agree with the shapes", encodings),
    Check("list", "ListGames says what GetCapabilities says", listed),
    Check("unknown game", "NOT_FOUND", unknown),
    Check("other build", "FAILED_PRECONDITION", other_build),
)
