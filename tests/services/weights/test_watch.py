"""Watchers hear of each version, or of the newest where they are slow; they outlive a server and let it go in peace."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
from cartridge import client
from cartridge.client import CallError, Patience, Published, aio
from cartridge.engine.spec import WeightsManifest

Serve = Callable[..., subprocess.Popen[str]]
Weigh = Callable[..., tuple[bytes, WeightsManifest]]
Run = dict[str, Any]
RunAsync = Callable[[Coroutine[Any, Any, Any]], Any]
Next = Callable[[], Awaitable[Published]]
LONG = Patience(60.0, longest=0.2)

pytestmark = pytest.mark.parametrize("kind", ["threads", "aio"])


@contextlib.asynccontextmanager
async def watching(kind: str, address: str, after: int = -1, patience: Patience = LONG) -> AsyncIterator[Next]:
    """What waits for the next news, by either client."""
    if kind == "aio":
        async with aio.Weights(address, patience=patience) as there, contextlib.aclosing(there.watch(after)) as news:
            yield lambda: anext(news)
        return
    with client.Weights(address, patience=patience) as there, contextlib.closing(there.watch(after)) as news:
        yield lambda: asyncio.to_thread(next, news)


def test_each_version_is_heard_of(
    store: client.Weights, weigh: Weigh, run: Run, run_async: RunAsync, kind: str
) -> None:
    async def scenario() -> None:
        async with watching(kind, store.address) as heard, watching(kind, store.address, after=2) as late:
            for version in (1, 2, 5):
                waiting = asyncio.ensure_future(heard())
                await asyncio.to_thread(store.publish, *weigh(version), run)
                there = await waiting
                assert (there.manifest, there.num_bytes) == (weigh(version)[1], len(weigh(version)[0]))
                assert (there.highest, there.run) == (version, {})
            assert (await late()).version == 5
        async with watching(kind, store.address, after=2) as heard:
            assert (await heard()).version == 5  # which was there before

    run_async(scenario())


def test_who_is_slow_hears_of_the_newest(
    store: client.Weights, weigh: Weigh, run: Run, run_async: RunAsync, kind: str
) -> None:
    large, last = "x" * (1 << 20), 60  # more than fits into what gRPC and the socket hold for a reader

    async def scenario() -> None:
        async with watching(kind, store.address) as heard:
            await asyncio.to_thread(store.publish, *weigh(0), run)
            versions = [(await heard()).version]
            for version in range(1, last + 1):
                await asyncio.to_thread(store.publish, *weigh(version, config_hash=large), run)
            while versions[-1] < last:
                versions.append((await heard()).version)
            assert versions == sorted(set(versions))
            assert len(versions) < last

    run_async(scenario())


def test_watchers_outlive_the_server(
    serve: Serve, address: str, weigh: Weigh, run: Run, run_async: RunAsync, kind: str
) -> None:
    async def scenario() -> None:
        process = serve()
        with client.Weights(address, patience=LONG) as store:
            async with watching(kind, address) as heard:
                store.publish(*weigh(1), run)
                assert (await heard()).version == 1
                for version, end in ((2, "kill"), (3, "terminate")):
                    waiting = asyncio.ensure_future(heard())
                    await asyncio.sleep(0.2)  # more often than not it waits already
                    getattr(process, end)()
                    assert await asyncio.to_thread(process.wait, 60) == (-9 if end == "kill" else 0)
                    process = serve()
                    if end == "kill":  # time enough to come back
                        done, _ = await asyncio.wait({waiting}, timeout=2.5)
                        assert not done
                    await asyncio.to_thread(store.publish, *weigh(version), run)
                    assert (await waiting).version == version  # and not what it had heard of before

    run_async(scenario())


def test_a_server_that_stops_says_so_to_its_watchers(
    serve: Serve, address: str, weigh: Weigh, run: Run, run_async: RunAsync, kind: str
) -> None:
    async def scenario() -> None:
        process = serve("--drain-seconds", "600")
        with client.Weights(address, patience=LONG) as store:
            store.publish(*weigh(1), run)
        async with watching(kind, address, patience=Patience(0.0)) as heard:
            await heard()
            waiting = asyncio.ensure_future(heard())
            process.terminate()
            with pytest.raises(CallError, match="UNAVAILABLE: this server is about to stop"):
                await waiting
        said, _ = await asyncio.to_thread(process.communicate, timeout=60)
        assert (process.returncode, said.splitlines()[-1]) == (0, "stopped")

    run_async(scenario())
