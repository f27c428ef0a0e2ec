"""Serving from the first call to the last: listens, says where, and on a signal lets the calls in progress finish.

A drain has two parts. At first the server still listens, so that health checks hear NOT_SERVING; other calls are
refused with UNAVAILABLE. Once all calls are finished, or time is up, those left are cut with UNAVAILABLE and the server
closes. A second signal cuts them at once, and a third ends the process as signals do.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ...proto import channel
from . import address, tls
from .door import Door
from .errors import ServingError
from .health import NAME, Health
from .settings import Serving

log = logging.getLogger(__name__)

_LAST_WORDS_SECONDS = 1.0  # for the answers of calls that were cut to reach their callers


@dataclass(frozen=True)
class Service:
    """One service of a server.

    The end of a request stream proves nothing: in grpc.aio a caller that died, left or sent far too large a message
    looks like one that has finished, and the handler is cancelled a moment later. A handler that keeps what it was
    sent asks for a last message that says so.

    Attributes:
      name: its full name, such as `engine.v1.Engine`; also the name of its health.
      add: registers its handlers, such as `partial(add_EngineServicer_to_server, servicer)`; they are all `async def`.
      drain: awaited as the server begins to stop. A service with streams that do not end of themselves ends them here,
        so that their callers hear a proper end.
    """

    name: str
    add: Callable[[grpc.aio.Server], None]
    drain: Callable[[], Awaitable[None]] | None = None


async def serve(
    serving: Serving, services: Sequence[Service], say: Callable[[str], None], stop: asyncio.Event | None = None
) -> int:
    """Serves until SIGTERM or SIGINT, or until `stop` is set where one is given, in which case signals are left alone.

    The first line said is `NAME, ... on ADDRESS`, with the port that the system chose.

    Returns:
      How many calls were cut short; 0 if the server went in peace.

    Raises:
      ServingError: it cannot listen there.
    """
    door = Door(serving.token, serving.max_message_mib)
    health = Health([service.name for service in services])
    place = serving.place
    address.check_free(place)
    server = grpc.aio.server(interceptors=[door], options=channel.server_options(door.largest_frame))
    _add_all(server, services, health, serving.reflection)
    bound = _listen(server, serving, place)
    signals = _signals() if stop is None else contextlib.nullcontext((stop, asyncio.Event()))
    with signals as (stopping, hurry):
        await server.start()
        ended = asyncio.create_task(server.wait_for_termination())
        try:
            say(f"{', '.join(service.name for service in services)} on {bound}")
            for caution in serving.cautions():
                say(f"caution: {caution}")
            await _either(stopping, ended)
            say(f"stopping; calls in progress: {door.num_calls}, which have {serving.drain_seconds:g} s to finish")
            cut = await _drain(server, door, health, services, serving.drain_seconds, hurry)
        finally:
            await server.stop(None)
            await ended  # raises if gRPC's own loop broke, rather than to live on and answer nobody
    say(f"stopped; calls cut short: {cut}" if cut else "stopped")
    return cut


def _add_all(server: grpc.aio.Server, services: Sequence[Service], health: Health, with_reflection: bool) -> None:
    for service in services:
        service.add(server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if with_reflection:
        names = [*(service.name for service in services), NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, server)


def _listen(server: grpc.aio.Server, serving: Serving, place: address.Address) -> address.Address:
    before = os.umask(0o177) if place.path else None  # the socket file is its owner's alone from its first moment
    try:
        if serving.tls_certificate is not None and serving.tls_key is not None:
            secret = tls.credentials(serving.tls_certificate, serving.tls_key, serving.tls_client_ca)
            port = server.add_secure_port(place.for_grpc, secret)
        else:
            port = server.add_insecure_port(place.for_grpc)
    except RuntimeError as error:
        raise ServingError(f"cannot listen on {place}: {error}") from error
    finally:
        if before is not None:
            os.umask(before)
    return place if place.path else address.Address(host=place.host, port=port)


@contextlib.contextmanager
def _signals() -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Events for the first and the second signal; the third finds no one listening."""
    loop, numbers = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
    first, second = asyncio.Event(), asyncio.Event()

    def leave() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    def arrived() -> None:
        if first.is_set():
            second.set()
            leave()
        first.set()

    for number in numbers:
        loop.add_signal_handler(number, arrived)
    try:
        yield first, second
    finally:
        leave()


async def _drain(
    server: grpc.aio.Server,
    door: Door,
    health: Health,
    services: Sequence[Service],
    seconds: float,
    hurry: asyncio.Event,
) -> int:
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    health.leave()
    finished = asyncio.create_task(_finish(door, services))
    try:
        await _either(hurry, finished, seconds)
    finally:
        in_peace = finished.done()
        finished.cancel()
    cut = door.close()
    # What remains of the time is for responses on their way to slow callers.
    await server.stop(max(deadline - clock(), _LAST_WORDS_SECONDS) if in_peace else _LAST_WORDS_SECONDS)
    return cut


async def _either(event: asyncio.Event, task: asyncio.Task[Any], timeout: float | None = None) -> None:
    """Waits until the event is set, the task is done or the time is up. The task is left as it is."""
    told = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({told, task}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()


async def _finish(door: Door, services: Sequence[Service]) -> None:
    """Waits for the calls in progress and for whatever the services do as they leave."""
    leaving = [_logged(service.drain(), service.name) for service in services if service.drain]
    await asyncio.gather(door.drain(), *leaving)


async def _logged(leaving: Awaitable[Any], name: str) -> None:
    try:
        await leaving
    except Exception:
        log.exception("%s failed to drain", name)
