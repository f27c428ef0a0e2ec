"""How a server of ours goes: what is under way is finished, what is new is refused, and nothing outlives its time."""

import asyncio
import contextlib
import logging
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from types import ModuleType
from typing import Any

import grpc
import pytest
from cartridge.proto import channel
from cartridge.services.serving import Service, Serving, serve
from grpc_health.v1 import health_pb2, health_pb2_grpc

ECHO = "/test.v1.Echo"
LONG = 600.0  # seconds; longer than any test may take
Run = Callable[[Coroutine[Any, Any, None]], None]
Start = Callable[..., tuple[subprocess.Popen[str], str]]
Health = health_pb2.HealthCheckResponse


@contextlib.asynccontextmanager
async def running(
    services: Sequence[Service], drain_seconds: float
) -> AsyncIterator[tuple[grpc.aio.Channel, asyncio.Event, asyncio.Task[int]]]:
    """A server in this process: a channel to it, the event that stops it, and the task that ends with it."""
    lines, stop = asyncio.Queue(), asyncio.Event()
    settings = Serving("127.0.0.1:0", drain_seconds=drain_seconds)
    ended = asyncio.create_task(serve(settings, services, lines.put_nowait, stop))
    address = (await lines.get()).rpartition(" on ")[2]
    async with grpc.aio.insecure_channel(address, channel.client_options()) as to:
        yield to, stop, ended


def health_of(to: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(to)


async def begun(call: Any) -> Any:
    """The call, once its handler has said something."""
    assert await call.read()  # the end of a stream is false
    return call


async def until_refused(to: grpc.aio.Channel) -> str:
    """Calls until the server takes no more; what it said."""
    while await (call := to.unary_unary(f"{ECHO}/Unary")(b"hello")).code() == grpc.StatusCode.OK:
        pass
    assert await call.code() == grpc.StatusCode.UNAVAILABLE
    return await call.details()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_calls_finish_and_refuses_new_ones(
    number: signal.Signals, echo_process: Start, run_async: Run
) -> None:
    process, address = echo_process("--drain-seconds", "600")

    async def scenario() -> None:
        async with grpc.aio.insecure_channel(address, channel.client_options()) as to:
            health = health_of(to).Watch(health_pb2.HealthCheckRequest())
            assert (await health.read()).status == Health.SERVING
            call = to.stream_stream(f"{ECHO}/Converse")()
            await call.write(b"one")
            assert await call.read() == b"one"
            process.send_signal(number)
            assert (await health.read()).status == Health.NOT_SERVING
            assert "about to stop and takes no more calls" in await until_refused(to)
            check = await health_of(to).Check(health_pb2.HealthCheckRequest(service="test.v1.Echo"))
            assert check.status == Health.NOT_SERVING
            await call.write(b"two")
            assert await call.read() == b"two"
            await call.done_writing()
            assert await call.code() == grpc.StatusCode.OK
            assert await health.code() == grpc.StatusCode.UNAVAILABLE

    run_async(scenario())
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert said.splitlines() == ["stopping; calls in progress: 1, which have 600 s to finish", "stopped"]
    assert errors == ""


def test_a_second_signal_cuts_what_is_left(echo_process: Start, run_async: Run) -> None:
    process, address = echo_process("--drain-seconds", "600")

    async def scenario() -> None:
        async with grpc.aio.insecure_channel(address, channel.client_options()) as to:
            call = await begun(to.unary_stream(f"{ECHO}/Repeat")(b"forever"))
            process.terminate()
            await until_refused(to)
            assert process.poll() is None
            process.terminate()
            assert await call.code() == grpc.StatusCode.UNAVAILABLE
            assert "stopped before the call was finished" in await call.details()

    run_async(scenario())
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors  # the number of calls that were cut
    assert said.splitlines()[-1] == "stopped; calls cut short: 1"
    assert errors == ""


def test_calls_are_cut_when_their_time_is_up(echo: ModuleType, run_async: Run) -> None:
    handlers = echo.Echo()

    async def scenario() -> None:
        async with running([Service(echo.NAME, handlers.add)], 0.1) as (to, stop, ended):
            stream = await begun(to.unary_stream(f"{ECHO}/Repeat")(b"forever"))
            unary = to.unary_unary(f"{ECHO}/Unary")(b"wait 600")
            await to.unary_unary(f"{ECHO}/Unary")(b"after it")
            stop.set()
            for call in (stream, unary):
                assert await call.code() == grpc.StatusCode.UNAVAILABLE
            assert await ended == 2
            assert handlers.ended == ["repeat"]

    run_async(scenario())


def test_streams_without_an_end_are_told_to_end(echo: ModuleType, run_async: Run) -> None:
    handlers = echo.Echo()

    async def scenario() -> None:
        async with running([Service(echo.NAME, handlers.add, handlers.drain)], LONG) as (to, stop, ended):
            call = await begun(to.unary_stream(f"{ECHO}/Repeat")(b"forever"))
            stop.set()
            assert await call.read() == b"forever"
            assert await call.code() == grpc.StatusCode.OK
            assert await ended == 0

    run_async(scenario())


def test_a_service_that_drains_badly_hinders_nobody(
    echo: ModuleType, caplog: pytest.LogCaptureFixture, run_async: Run
) -> None:
    async def breaks() -> None:
        raise RuntimeError("no room on the disk")

    async def hangs() -> None:
        await asyncio.sleep(LONG)

    async def scenario() -> None:
        breaking, hanging = (Service(echo.NAME, echo.Echo().add, drain) for drain in (breaks, hangs))
        async with running([breaking], LONG) as (_, stop, ended):
            stop.set()
            assert await ended == 0
        async with running([hanging], 0.1) as (_, stop, ended):
            stop.set()
            assert await ended == 0

    run_async(scenario())
    [record] = caplog.records
    assert record.getMessage() == "test.v1.Echo failed to drain"
    assert "no room on the disk" in caplog.text


def test_watchers_and_tools_keep_no_server_up(echo: ModuleType, run_async: Run) -> None:
    async def scenario() -> None:
        async with running([Service(echo.NAME, echo.Echo().add)], LONG) as (to, stop, ended):
            health = health_of(to).Watch(health_pb2.HealthCheckRequest())
            assert (await health.read()).status == Health.SERVING
            tool: Any = to.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")()
            await tool.write(b"\x3a\x01*")  # list_services
            assert b"test.v1.Echo" in await tool.read()
            stop.set()
            assert await ended == 0
            assert (await health.read()).status == Health.NOT_SERVING
            assert await health.code() == grpc.StatusCode.UNAVAILABLE

    run_async(scenario())


def test_nothing_is_left_behind(echo: ModuleType, caplog: pytest.LogCaptureFixture, run_async: Run) -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        async with running([Service(echo.NAME, echo.Echo().add)], 0.0) as (to, stop, ended):
            call = await begun(to.unary_stream(f"{ECHO}/Repeat")(b"forever"))
            stop.set()
            assert await ended == 1
            await call.code()
        while asyncio.all_tasks() - before:  # gRPC's own end a few turns of the loop later
            await asyncio.sleep(0.01)

    with caplog.at_level(logging.WARNING):
        run_async(scenario())
    assert not caplog.records


def test_a_server_that_is_cancelled_stops(echo: ModuleType, run_async: Run) -> None:
    async def scenario() -> None:
        async with running([Service(echo.NAME, echo.Echo().add)], LONG) as (to, _, ended):
            call = await begun(to.unary_stream(f"{ECHO}/Repeat")(b"forever"))
            ended.cancel()
            with pytest.raises(asyncio.CancelledError):
                await ended
            assert await call.code() != grpc.StatusCode.OK

    run_async(scenario())


def test_a_real_server_keeps_strangers_out_and_its_token_to_itself(
    echo_process: Start, monkeypatch: pytest.MonkeyPatch, run_async: Run
) -> None:
    monkeypatch.setenv("CARTRIDGE_TOKEN", "open-sesame")
    process, address = echo_process()

    async def scenario() -> None:
        async with grpc.aio.insecure_channel(address, channel.client_options()) as to:
            call = to.unary_unary(f"{ECHO}/Unary")
            assert await call(b"hello", metadata=(("authorization", "Bearer open-sesame"),)) == b"hello"
            for metadata in (None, (("authorization", "Bearer open-says-me"),)):
                assert await call(b"hello", metadata=metadata).code() == grpc.StatusCode.UNAUTHENTICATED

    run_async(scenario())
    process.terminate()
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "sesame" not in said + errors
    assert errors == ""
