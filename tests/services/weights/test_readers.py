"""Many readers at once get the same bytes, which the server writes as messages once; and nobody shuts others out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from cartridge import client
from cartridge.client import CallError, Patience, Published, aio
from cartridge.client.weights import upload
from cartridge.engine.spec import WeightsManifest
from cartridge.proto.weights.v1 import weights_pb2 as pb
from cartridge.proto.weights.v1 import weights_pb2_grpc
from cartridge.services.serving import Service, Serving, handlers, serve
from cartridge.services.weights import service as served
from cartridge.services.weights.keeper import Keeper

Weigh = Callable[..., tuple[bytes, WeightsManifest]]
Run = dict[str, Any]
RunAsync = Callable[[Coroutine[Any, Any, Any]], Any]
READERS = 32


@contextlib.asynccontextmanager
async def serving(address: str, folder: Path, idle_seconds: float = 60.0) -> AsyncIterator[None]:
    """A server in this process."""
    service = served.WeightsService(Keeper(folder, keep=20), 64, idle_seconds)
    one = Service(served.CONTRACT.full_name, partial(handlers.add_to_server, served.CONTRACT, service), service.drain)
    lines, stop = asyncio.Queue(), asyncio.Event()
    ended = asyncio.create_task(serve(Serving(address, drain_seconds=60), [one], lines.put_nowait, stop))
    await lines.get()
    try:
        yield
    finally:
        stop.set()
        assert await ended == 0
        await service.close()


def test_readers_get_whole_weights_while_others_are_published(store: client.Weights, weigh: Weigh, run: Run) -> None:
    last = 4
    versions = {version: weigh(version, kib=6 * 1024) for version in range(1, last + 1)}
    store.publish(*versions[1], run)

    def read() -> list[int]:
        """Fetches whatever is newest until that is the last."""
        seen = []
        with client.Weights(store.address, patience=Patience(60.0)) as reader:
            while not seen or seen[-1] != last:
                there = reader.newest()
                assert there is not None
                assert reader.fetch(there) == versions[there.version][0]
                seen.append(there.version)
        return seen

    with ThreadPoolExecutor(READERS) as pool:
        reading = [pool.submit(read) for _ in range(READERS)]
        for version in range(2, last + 1):
            store.publish(*versions[version], run)
        seen = [one.result(60) for one in reading]
    assert all(one == sorted(one) for one in seen)


def test_the_messages_of_a_version_are_written_once(
    address: str, folder: Path, weigh: Weigh, run: Run, run_async: RunAsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = served._chunk

    def counted(data: bytes) -> bytes:
        written.append(len(data))
        return write(data)

    monkeypatch.setattr(served, "_chunk", counted)

    async def scenario() -> None:
        async with serving(address, folder), aio.Weights(address) as store:
            data, manifest = weigh(1, kib=2500)
            await store.publish(data, manifest, run)
            there = await store.newest()
            assert there is not None
            found = await asyncio.gather(*(store.fetch(there) for _ in range(READERS)))
            assert set(found) == {data}
            assert written == [1 << 20, 1 << 20, len(data) - (2 << 20)]
            # Another version has messages of its own, and then those that still want the old one are served.
            await store.publish(*weigh(2), run)
            assert await store.fetch(Published(weigh(2)[1], 0, {}, 2)) == weigh(2)[0]
            assert await store.fetch(there) == data
            assert await store.fetch(Published(weigh(2)[1], 0, {}, 2)) == weigh(2)[0]
            assert written[3:] == [len(weigh(2)[0]), *written[:3]]

    run_async(scenario())


def test_a_fetch_begins_where_it_is_told_to(
    address: str, folder: Path, weigh: Weigh, run: Run, run_async: RunAsync
) -> None:
    data, manifest = weigh(1, kib=2500)
    size, mib = len(data), 1 << 20

    async def scenario() -> None:
        async with serving(address, folder), aio.Weights(address) as store:
            await store.publish(data, manifest, run)
            stub = weights_pb2_grpc.WeightsStub(store.channel)
            for offset in (0, 1, mib - 1, mib, mib + 1, 2 * mib, size - 1, size):
                rest = stub.Fetch(pb.FetchRequest(version=1, offset=offset))
                assert b"".join([chunk.data async for chunk in rest]) == data[offset:]
            refused = stub.Fetch(pb.FetchRequest(version=1, offset=size + 1))
            assert await refused.code() is grpc.StatusCode.OUT_OF_RANGE
            assert await refused.details() == f"offset is {size + 1}, and version 1 has {size} bytes"
            for version in (0, -1, 2**63 - 1):
                refused = stub.Fetch(pb.FetchRequest(version=version))
                assert await refused.code() is grpc.StatusCode.NOT_FOUND
                assert await refused.details() == f"version {version} is not kept: there are 1; fetch the newest"

    run_async(scenario())


def test_an_upload_that_stands_still_makes_room_for_others(
    address: str, folder: Path, weigh: Weigh, run: Run, run_async: RunAsync
) -> None:
    """Its caller lives, so that nothing else would end it."""

    async def scenario() -> None:
        async with serving(address, folder, idle_seconds=0.5), aio.Weights(address) as store:
            for sent in (0, 1, 2):
                call = weights_pb2_grpc.WeightsStub(store.channel).Publish()
                with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):  # a slow machine may be late
                    for message in list(upload(*weigh(1), run))[:sent]:
                        await call.write(message)
                assert await call.code() is grpc.StatusCode.ABORTED
                assert await call.details() == "nothing was sent for 0.5 s: begin the upload again"
            await store.publish(*weigh(1), run)

    run_async(scenario())


def test_the_same_as_its_twin(address: str, folder: Path, weigh: Weigh, run: Run, run_async: RunAsync) -> None:
    async def scenario() -> None:
        async with serving(address, folder), aio.Weights(address) as store:
            assert (await store.newest(), await store.highest()) == (None, -1)
            await store.publish(*weigh(3), run)
            await store.publish(*weigh(3), run)
            there = await store.newest()
            assert there is not None
            assert (there.version, there.run, there.highest, await store.highest()) == (3, run, 3, 3)
            with pytest.raises(CallError, match="FAILED_PRECONDITION: version is 2, expected more than 3"):
                await store.publish(*weigh(2), run)
            assert await store.fetch(there) == weigh(3)[0]

    run_async(scenario())
