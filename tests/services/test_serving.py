"""A server of ours over real sockets: who may call it, what it answers, what it refuses and how it says so."""

import asyncio
import contextlib
import logging
import socket
import stat
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import grpc
import pytest
from cartridge.proto import channel
from cartridge.services.serving import Service, Serving, ServingError, serve
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

MIB = 2**20
ECHO = "/test.v1.Echo"
Run = Callable[[Coroutine[Any, Any, None]], None]
METHODS = ("Unary", "Collect", "Repeat", "Converse")


@dataclass(frozen=True)
class Running:
    """A server in this process."""

    address: str
    echo: Any
    lines: list[str]
    stop: asyncio.Event
    ended: asyncio.Task[int]


@contextlib.asynccontextmanager
async def running(echo: ModuleType, address: str = "127.0.0.1:0", **settings: Any) -> AsyncIterator[Running]:
    """Serves until the block ends."""
    handlers, lines, stop, said = echo.Echo(), [], asyncio.Event(), asyncio.Event()

    def say(line: str) -> None:
        lines.append(line)
        said.set()

    services = [Service(echo.NAME, handlers.add, handlers.drain)]
    ended = asyncio.create_task(serve(Serving(address, **settings), services, say, stop))
    waiting = asyncio.create_task(said.wait())
    await asyncio.wait({ended, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if ended.done():
        ended.result()
    yield Running(lines[0].rpartition(" on ")[2], handlers, lines, stop, ended)
    stop.set()
    await asyncio.wait_for(ended, 30)


def dial(address: str, *more: tuple[str, int]) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, [*channel.client_options(), *more])


async def ask(to: grpc.aio.Channel, method: str, request: bytes, metadata: Any = None) -> list[bytes]:
    """Calls a method of the echo with one request, whatever its kind; all responses."""
    path = f"{ECHO}/{method}"
    if method == "Unary":
        return [await to.unary_unary(path)(request, metadata=metadata)]
    if method == "Collect":
        return [await to.stream_unary(path)(iter([request]), metadata=metadata)]
    if method == "Repeat":
        return [response async for response in to.unary_stream(path)(request, metadata=metadata)]
    return [response async for response in to.stream_stream(path)(iter([request]), metadata=metadata)]


async def refusal(call: Awaitable[Any]) -> tuple[grpc.StatusCode, str]:
    """With what a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def check(to: grpc.aio.Channel, service: str = "") -> str:
    health: Any = health_pb2_grpc.HealthStub(to)
    response = await health.Check(health_pb2.HealthCheckRequest(service=service))
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


async def listed(to: grpc.aio.Channel, metadata: Any = None) -> list[str]:
    request = reflection_pb2.ServerReflectionRequest(list_services="*")
    tool: Any = reflection_pb2_grpc.ServerReflectionStub(cast(Any, to))
    call = tool.ServerReflectionInfo(iter([request]), metadata=metadata)
    return [one.name async for response in call for one in response.list_services_response.service]


def test_all_four_kinds_of_call_work_and_the_address_is_said(echo: ModuleType, run_async: Run) -> None:
    async def scenario() -> None:
        async with running(echo) as server, dial(server.address) as to:
            for method in METHODS:
                assert await ask(to, method, b"hello") == [b"hello"] * (2 if method == "Repeat" else 1)
            assert (await refusal(to.unary_unary(f"{ECHO}/Nothing")(b"")))[0] == grpc.StatusCode.UNIMPLEMENTED
        assert server.lines[0] == f"test.v1.Echo on {server.address}"
        assert not server.address.endswith(":0")
        assert server.lines[1:] == ["stopping; calls in progress: 0, which have 10 s to finish", "stopped"]
        assert server.ended.result() == 0

    run_async(scenario())


@pytest.mark.parametrize("address", ["localhost:0", "[::1]:0"])
def test_other_names_of_this_machine(address: str, echo: ModuleType, run_async: Run) -> None:
    if address.startswith("[") and not _has_ipv6():
        pytest.skip("this machine has no IPv6")

    async def scenario() -> None:
        async with running(echo, address) as server, dial(server.address) as to:
            assert server.address.startswith(address[:-1])
            assert await ask(to, "Unary", b"hello") == [b"hello"]

    run_async(scenario())


@pytest.mark.parametrize("name", ["s.sock", "a b%20?#.sock"])
def test_a_socket_file_is_its_owners_alone_and_goes_with_the_server(
    name: str, echo: ModuleType, short_folder: Path, run_async: Run
) -> None:
    async def scenario() -> None:
        path = short_folder / name
        async with running(echo, f"unix:{path}") as server:
            assert server.address == f"unix:{path}"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(str(path))
            if name == "s.sock":
                async with dial(server.address) as to:
                    assert await ask(to, "Unary", b"hello") == [b"hello"]
        assert not path.exists()

    run_async(scenario())


def test_tls(echo: ModuleType, certificates: Path, run_async: Run) -> None:
    pair: dict[str, Any] = {"tls_certificate": certificates / "server.pem", "tls_key": certificates / "server.key"}

    async def scenario() -> None:
        async with running(echo, **pair) as server:
            async with secured(server.address, certificates) as to:
                assert await ask(to, "Unary", b"hello") == [b"hello"]
            async with dial(server.address) as to:
                assert (await refusal(ask(to, "Unary", b"hello")))[0] == grpc.StatusCode.UNAVAILABLE

    run_async(scenario())


def test_mutual_tls(echo: ModuleType, certificates: Path, run_async: Run) -> None:
    files = {"tls_certificate": "server.pem", "tls_key": "server.key", "tls_client_ca": "authority.pem"}
    settings: dict[str, Any] = {name: certificates / file for name, file in files.items()}

    async def scenario() -> None:
        async with running(echo, **settings) as server:
            async with secured(server.address, certificates, "client") as to:
                assert await ask(to, "Unary", b"hello") == [b"hello"]
            for nobody in (None, "stranger"):
                async with secured(server.address, certificates, nobody) as to:
                    assert (await refusal(ask(to, "Unary", b"hello")))[0] == grpc.StatusCode.UNAVAILABLE

    run_async(scenario())


def secured(address: str, certificates: Path, client: str | None = None) -> grpc.aio.Channel:
    authority = (certificates / "authority.pem").read_bytes()
    own = [(certificates / f"{client}{end}").read_bytes() if client else None for end in (".key", ".pem")]
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(authority, *own), channel.client_options())


@pytest.mark.parametrize("method", METHODS)
def test_a_token_is_asked_of_every_kind_of_call(method: str, echo: ModuleType, run_async: Run) -> None:
    async def scenario() -> None:
        async with running(echo, token="open-sesame") as server, dial(server.address) as to:
            for good in ("Bearer open-sesame", "bearer open-sesame"):
                assert (await ask(to, method, b"hello", (("authorization", good),)))[0] == b"hello"
            for sent in (None, (("authorization", "Basic open-sesame"),), (("token", "open-sesame"),)):
                code, details = await refusal(ask(to, method, b"x" * MIB, sent))
                assert code == grpc.StatusCode.UNAUTHENTICATED
                assert "send the metadata `authorization: Bearer TOKEN`" in details
            for wrong in ("open", "open-sesame-", "", "open-sesame open-sesame"):
                code, details = await refusal(ask(to, method, b"hello", (("authorization", f"Bearer {wrong}"),)))
                assert code == grpc.StatusCode.UNAUTHENTICATED
                assert details.startswith("the token is not that of this server")
                assert "sesame" not in details
            assert server.echo.ended == ["repeat"] * (2 if method == "Repeat" else 0)  # refused calls reach no handler
        assert "sesame" not in "".join(server.lines)

    run_async(scenario())


def test_probes_need_no_token_and_tools_do(echo: ModuleType, run_async: Run) -> None:
    async def scenario() -> None:
        async with running(echo, token="open-sesame") as server, dial(server.address) as to:
            assert await check(to) == "SERVING"
            tool: Any = reflection_pb2_grpc.ServerReflectionStub(cast(Any, to))
            # Who writes to a stream that is being refused is told INTERNAL, now and then; this one only reads.
            assert (await refusal(tool.ServerReflectionInfo().read()))[0] == grpc.StatusCode.UNAUTHENTICATED
            assert "test.v1.Echo" in await listed(to, (("authorization", "Bearer open-sesame"),))
            nothing = to.unary_unary(f"{ECHO}/Nothing")(b"")
            assert (await refusal(nothing))[0] == grpc.StatusCode.UNAUTHENTICATED

    run_async(scenario())


def test_health_knows_the_services_by_name(echo: ModuleType, run_async: Run) -> None:
    async def scenario() -> None:
        async with running(echo) as server, dial(server.address) as to:
            assert await check(to, "test.v1.Echo") == "SERVING"
            assert await check(to) == "SERVING"
            message = "no service 'test.v1.Other'; there are test.v1.Echo"
            assert await refusal(check(to, "test.v1.Other")) == (grpc.StatusCode.NOT_FOUND, message)
            health: Any = health_pb2_grpc.HealthStub(to)
            watch = health.Watch(health_pb2.HealthCheckRequest(service="test.v1.Other"))
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            watch.cancel()

    run_async(scenario())


def test_reflection_lists_the_services_unless_it_is_off(echo: ModuleType, run_async: Run) -> None:
    async def scenario() -> None:
        async with running(echo) as server, dial(server.address) as to:
            assert set(await listed(to)) == {
                "test.v1.Echo",
                "grpc.health.v1.Health",
                "grpc.reflection.v1alpha.ServerReflection",
            }
        async with running(echo, reflection=False) as server, dial(server.address) as to:
            assert (await refusal(listed(to)))[0] == grpc.StatusCode.UNIMPLEMENTED

    run_async(scenario())


@pytest.mark.parametrize("method", METHODS)
def test_a_request_that_is_too_large_is_told_the_setting(method: str, echo: ModuleType, run_async: Run) -> None:
    async def scenario() -> None:
        async with running(echo, max_message_mib=2) as server, dial(server.address) as to:
            assert (await ask(to, method, b"x" * 2 * MIB))[0] == b"x" * 2 * MIB
            code, details = await refusal(ask(to, method, b"x" * (2 * MIB + MIB // 2)))
            assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert details.startswith("the request has 2.5 MiB, more than the 2 MiB that this server takes")
            assert "--max-message-mib" in details
            assert (await refusal(ask(to, method, b"x" * 5 * MIB)))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert (await ask(to, method, b"hello"))[0] == b"hello"

    run_async(scenario())


def test_a_small_request_cannot_unfold_into_a_large_one(echo: ModuleType, run_async: Run) -> None:
    async def scenario() -> None:
        async with running(echo, max_message_mib=1) as server:
            to = grpc.aio.insecure_channel(server.address, compression=grpc.Compression.Gzip)
            assert await ask(to, "Unary", b"hello") == [b"hello"]
            for size in (MIB + 1, 64 * MIB):
                assert (await refusal(ask(to, "Unary", bytes(size))))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
            await to.close()

    run_async(scenario())


def test_answers_may_be_larger_than_requests(echo: ModuleType, run_async: Run) -> None:
    async def scenario() -> None:
        async with running(echo, max_message_mib=1) as server, dial(server.address) as to:
            assert await ask(to, "Unary", b"large %d" % (9 * MIB)) == [b"x" * 9 * MIB]

    run_async(scenario())


@pytest.mark.parametrize("method", METHODS)
def test_what_handlers_raise_becomes_a_status(
    method: str, echo: ModuleType, caplog: pytest.LogCaptureFixture, run_async: Run
) -> None:
    async def scenario() -> None:
        async with running(echo) as server, dial(server.address) as to:
            refused = await refusal(ask(to, method, b"refuse"))
            assert refused == (grpc.StatusCode.FAILED_PRECONDITION, "not before noon")
            code, details = await refusal(ask(to, method, b"no message"))
            assert code == grpc.StatusCode.INVALID_ARGUMENT
            assert f"no message that {ECHO}/{method} takes" in details
            assert await refusal(ask(to, method, b"abort")) == (grpc.StatusCode.NOT_FOUND, "said by the handler")
            assert not caplog.records
            for broken in (b"break", b"wrong"):
                message = "internal error, see the server's log"
                assert await refusal(ask(to, method, broken)) == (grpc.StatusCode.INTERNAL, message)

    with caplog.at_level(logging.WARNING):
        run_async(scenario())
    assert [record.getMessage() for record in caplog.records] == [f"{ECHO}/{method} failed"] * 2
    assert "the secret is 42" in caplog.text


@pytest.mark.parametrize("word", [b"forever", b"flood"])
def test_a_caller_who_leaves_ends_its_call_without_a_word(
    word: bytes, echo: ModuleType, caplog: pytest.LogCaptureFixture, run_async: Run
) -> None:
    """Whether the handler waits for something or for the caller to read, it has cleaned up before the call counts as
    over."""

    async def scenario() -> None:
        async with running(echo) as server, dial(server.address) as to:
            call = to.unary_stream(f"{ECHO}/Repeat")(word)
            assert await call.read() == word
            call.cancel()
            server.stop.set()
            assert await server.ended == 0
            assert server.echo.ended == ["repeat"]

    with caplog.at_level(logging.WARNING):
        run_async(scenario())
    assert not caplog.records


def test_handlers_that_would_block_the_loop_are_refused(
    echo: ModuleType, caplog: pytest.LogCaptureFixture, run_async: Run
) -> None:
    async def scenario() -> None:
        handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
        handlers = grpc.method_handlers_generic_handler("test.v1.Slow", {"Unary": handler})
        stop, lines = asyncio.Event(), asyncio.Queue()
        service = Service("test.v1.Slow", lambda server: server.add_generic_rpc_handlers((handlers,)))
        ended = asyncio.create_task(serve(Serving("127.0.0.1:0"), [service], lines.put_nowait, stop))
        async with dial((await lines.get()).rpartition(" on ")[2]) as to:
            await refusal(to.unary_unary("/test.v1.Slow/Unary")(b""))
        stop.set()
        await ended

    run_async(scenario())
    assert "expected `async def`" in caplog.text


def test_an_address_in_use_is_said(echo: ModuleType, short_folder: Path, run_async: Run) -> None:
    async def scenario() -> None:
        for address in ("127.0.0.1:0", f"unix:{short_folder}/s.sock"):
            async with running(echo, address) as server, dial(server.address) as to:
                with pytest.raises(ServingError, match=f"cannot listen on {server.address}: .*; stop th.* server"):
                    async with running(echo, server.address):
                        pass
                if address == "127.0.0.1:0":
                    with pytest.raises(RuntimeError):  # a server of gRPC's own make, which would share a port
                        grpc.aio.server().add_insecure_port(server.address)
                assert await ask(to, "Unary", b"hello") == [b"hello"]  # the first is unharmed

    run_async(scenario())


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("unix:{}/file", "it is there and is no socket; remove it or choose another"),
        ("unix:{}/nothing/s.sock", "there is no folder .*/nothing; make it first"),
        ("192.0.2.1:0", "choose an address of this machine with --address"),
        ("nowhere.invalid:0", "expected HOST:PORT"),
    ],
)
def test_where_nobody_can_listen(
    address: str, message: str, echo: ModuleType, short_folder: Path, run_async: Run
) -> None:
    (short_folder / "file").write_text("precious")

    async def scenario() -> None:
        with pytest.raises(ServingError, match=f"cannot listen on .*{message}"):
            async with running(echo, address.format(short_folder), token="abc"):
                pass

    run_async(scenario())
    assert (short_folder / "file").read_text() == "precious"


def test_the_socket_file_of_a_dead_server_is_no_hindrance(
    echo: ModuleType, short_folder: Path, echo_process: Callable[..., tuple[subprocess.Popen[str], str]], run_async: Run
) -> None:
    path = short_folder / "s.sock"
    dead, _ = echo_process("--address", f"unix:{path}")
    dead.kill()
    dead.wait()
    assert path.exists()

    async def scenario() -> None:
        async with running(echo, f"unix:{path}") as server, dial(server.address) as to:
            assert await ask(to, "Unary", b"hello") == [b"hello"]

    run_async(scenario())


def test_pings_of_our_clients_are_welcome(echo: ModuleType, monkeypatch: pytest.MonkeyPatch, run_async: Run) -> None:
    """With both ends' clocks a hundred times as fast, over a call on which nothing is sent, and over none."""
    monkeypatch.setattr(channel, "KEEPALIVE_MS", 200)

    async def scenario() -> None:
        async with running(echo) as server, dial(server.address) as to:
            quiet = to.unary_stream(f"{ECHO}/Repeat")(b"forever")
            assert await quiet.read() == b"forever"
            await asyncio.sleep(1.6)  # eight pings; a server that minds them says so at the third
            server.echo.told_to_end.set()
            assert await quiet.read() == b"forever"
            await asyncio.sleep(1.6)
            assert to.get_state() == grpc.ChannelConnectivity.READY
            assert await ask(to, "Unary", b"hello") == [b"hello"]

    run_async(scenario())


def test_the_two_ends_agree_on_pings() -> None:
    client, server = dict(channel.client_options()), dict(channel.server_options(1))
    assert 20_000 <= client["grpc.keepalive_time_ms"] <= 30_000
    assert client["grpc.keepalive_time_ms"] > server["grpc.http2.min_ping_interval_without_data_ms"]
    assert client["grpc.http2.max_pings_without_data"] == 0
    assert client["grpc.keepalive_permit_without_calls"] == server["grpc.keepalive_permit_without_calls"] == 1


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
