"""The services beside the engine's own by which probes and tools find their way: health and reflection."""

from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ...proto.engine.v1 import engine_pb2 as pb
from .subject import TIMEOUT, Check, Subject, same

ENGINE = pb.DESCRIPTOR.services_by_name["Engine"].full_name


def health(subject: Subject) -> None:
    stub: Any = health_pb2_grpc.HealthStub(subject.channel)
    for name in ("", ENGINE):
        asked = health_pb2.HealthCheckRequest(service=name)
        said = stub.Check(asked, metadata=subject.metadata, timeout=TIMEOUT).status
        same(f"SERVING of {name or 'the server'}", said, health_pb2.HealthCheckResponse.SERVING)


def reflection(subject: Subject) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(subject.channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    replies = stub.ServerReflectionInfo(iter([asked]), metadata=subject.metadata, timeout=TIMEOUT)
    names = [service.name for reply in replies for service in reply.list_services_response.service]
    same(f"{ENGINE} among the services", ENGINE in names, True, names)


CHECKS = (
    Check("health", "the standard health service says SERVING", health),
    Check("reflection", "the reflection service names the engine", reflection),
)
