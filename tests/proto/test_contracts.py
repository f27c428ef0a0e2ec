"""The wire contracts: stubs are fresh, nothing is ever renumbered, and first clients find what they were made for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parents[2]
PROTOS = sorted((ROOT / "proto").rglob("*.proto"))
FIELDS = Path(__file__).with_name("fields.json")  # package.Message.field -> [number, type, repeated]

# Engine.v1 as its first clients were generated from it: message -> field -> (number, type, repeated).
ORIGINAL = {
    "EngineId": {"env_id": (1, "string"), "build_id": (2, "string")},
    "Encoding": {
        "state": (1, "string"),
        "action": (2, "string"),
        "obs": (3, "string"),
        "schema_version": (4, "uint32"),
    },
    "MultiDiscrete": {"nvec": (1, "uint32", True)},
    "BoxSpec": {"low": (1, "float", True), "high": (2, "float", True), "shape": (3, "uint32", True)},
    "Capabilities": {
        "id": (1, "engine.v1.EngineId"),
        "enc": (2, "engine.v1.Encoding"),
        "max_horizon": (3, "uint32"),
        "discrete_n": (10, "uint32"),
        "multi": (11, "engine.v1.MultiDiscrete"),
        "continuous": (12, "engine.v1.BoxSpec"),
        "preferred_batch": (20, "uint32"),
    },
    "ResetRequest": {"id": (1, "engine.v1.EngineId"), "seed": (2, "uint64"), "hint": (3, "bytes")},
    "ResetResponse": {"state": (1, "bytes"), "obs": (2, "bytes")},
    "StepRequest": {"id": (1, "engine.v1.EngineId"), "state": (2, "bytes"), "action": (3, "bytes")},
    "StepResponse": {
        "state": (1, "bytes"),
        "obs": (2, "bytes"),
        "reward": (3, "float"),
        "done": (4, "bool"),
        "info": (5, "uint64"),
    },
}


def compiled(folder: Path, *outputs: str) -> None:
    files = [str(path.relative_to(ROOT)) for path in PROTOS]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Icartridge/proto=proto", *outputs, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def described(tmp_path_factory) -> descriptor_pb2.FileDescriptorSet:
    file = tmp_path_factory.mktemp("described") / "all.binpb"
    compiled(file.parent, f"--descriptor_set_out={file}", "--include_source_info")
    return descriptor_pb2.FileDescriptorSet.FromString(file.read_bytes())


def fields_of(described: descriptor_pb2.FileDescriptorSet) -> dict[str, list]:
    """What a compatible client relies on, of every field and method."""
    found: dict[str, list] = {}
    for file in described.file:
        for message in file.message_type:
            for field in message.field:
                repeated = field.label == field.LABEL_REPEATED
                found[f"{file.package}.{message.name}.{field.name}"] = [field.number, type_name(field), repeated]
        for enum in file.enum_type:
            for value in enum.value:
                found[f"{file.package}.{enum.name}.{value.name}"] = [value.number, "enum", False]
        for service in file.service:
            for method in service.method:
                streams = [method.client_streaming, method.server_streaming]
                found[f"{file.package}.{service.name}/{method.name}"] = [
                    method.input_type.removeprefix("."),
                    method.output_type.removeprefix("."),
                    streams,
                ]
    return found


def type_name(field: descriptor_pb2.FieldDescriptorProto) -> str:
    if field.type_name:
        return field.type_name.removeprefix(".")
    return descriptor_pb2.FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def reserved_numbers(described: descriptor_pb2.FileDescriptorSet, message: str) -> set[int]:
    for file in described.file:
        for one in file.message_type:
            if f"{file.package}.{one.name}" == message:
                return {number for span in one.reserved_range for number in range(span.start, span.end)}
    return set()


def broken_promises(described: descriptor_pb2.FileDescriptorSet, promised: dict[str, list]) -> list[str]:
    """What was promised and is otherwise now, or is gone and not reserved."""
    now = fields_of(described)
    broken = []
    for name, promise in promised.items():
        gone_rightly = name not in now and promise[0] in reserved_numbers(described, name.rpartition(".")[0])
        if now.get(name) != promise and not gone_rightly:
            broken.append(f"{name} was {promise}, is {now.get(name)}")
    return broken


def test_the_stubs_are_those_of_the_contracts(tmp_path) -> None:
    compiled(tmp_path, *(f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")))
    fresh = {path.relative_to(tmp_path / "cartridge") for path in tmp_path.rglob("*_pb2*")}
    assert len(fresh) == 3 * len(PROTOS)
    stale = [str(path) for path in fresh if (tmp_path / "cartridge" / path).read_text() != (ROOT / path).read_text()]
    assert not stale, f"run `make stubs`: {stale}"


def test_the_first_clients_messages_stay_what_they_were(described) -> None:
    ours = fields_of(described)
    for message, fields in ORIGINAL.items():
        for name, (number, kind, *repeated) in fields.items():
            assert ours[f"engine.v1.{message}.{name}"] == [number, kind, bool(repeated)]
    for method, (given, returned) in {
        "GetCapabilities": ("EngineId", "Capabilities"),
        "Reset": ("ResetRequest", "ResetResponse"),
        "Step": ("StepRequest", "StepResponse"),
    }.items():
        assert ours[f"engine.v1.Engine/{method}"] == [f"engine.v1.{given}", f"engine.v1.{returned}", [False, False]]


def test_no_number_changes_and_what_goes_is_reserved(described) -> None:
    promised = json.loads(FIELDS.read_text())
    assert broken_promises(described, promised) == []
    new = {name: value for name, value in fields_of(described).items() if name not in promised}
    assert not new, f"promise what is new in {FIELDS.name}: {json.dumps(new)}"


def test_a_renumbered_and_a_dropped_field_are_noticed(described) -> None:
    promised = json.loads(FIELDS.read_text())
    changed = descriptor_pb2.FileDescriptorSet()
    changed.CopyFrom(described)
    message = next(one for one in changed.file[0].message_type if one.name == "StepRequest")
    message.field[1].number = 9
    del message.field[2]
    broken = broken_promises(changed, promised)
    assert {line.partition(" was ")[0] for line in broken} == {
        "engine.v1.StepRequest.state",
        "engine.v1.StepRequest.action",
    }
    message.reserved_range.add(start=3, end=4)
    assert len(broken_promises(changed, promised)) == 1


def test_every_message_method_and_enum_is_commented(described) -> None:
    bare = []
    for file in described.file:
        commented = {tuple(place.path) for place in file.source_code_info.location if place.leading_comments}
        named = [((4, i), message.name) for i, message in enumerate(file.message_type)]
        named += [((5, i), enum.name) for i, enum in enumerate(file.enum_type)]
        for i, service in enumerate(file.service):
            named.append(((6, i), service.name))
            named += [((6, i, 2, j), method.name) for j, method in enumerate(service.method)]
        bare += [name for path, name in named if path not in commented]
    assert not bare
