"""The standard health service: all of a server is SERVING from its first moment, and NOT_SERVING once it is to stop.

The servicer that comes with grpcio-health-checking holds a lock while it writes to a watcher, so that one who does not
read could keep the server from stopping.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

NAME = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_Response = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):
    """The health of the services named; the name "" stands for the whole server."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {"", *names}
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Says NOT_SERVING from now on."""
        self._leaving.set()

    async def check(self, request: Any, context: Any) -> Any:
        """How a service is now; NOT_FOUND if there is none of that name."""
        if request.service not in self._names:
            known = ", ".join(sorted(self._names - {""}))
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service!r}; there are {known}")
        return self._now(request)

    async def watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """The same as it changes, for as long as the server lives."""
        yield self._now(request)
        if not self._leaving.is_set():
            await self._leaving.wait()
            yield self._now(request)
        await asyncio.Event().wait()  # the caller or the door ends it

    Check, Watch = check, watch  # their names in the contract

    def _now(self, request: Any) -> Any:
        if request.service not in self._names:
            return _Response(status=_Response.SERVICE_UNKNOWN)
        return _Response(status=_Response.NOT_SERVING if self._leaving.is_set() else _Response.SERVING)
