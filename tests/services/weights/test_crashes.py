"""A server that is killed, or whose disk is full, serves whole versions alone, and clients go on where they were."""

import asyncio
import resource
import subprocess
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cartridge import client
from cartridge.client import CallError, Patience, aio
from cartridge.engine.spec import WeightsManifest

Serve = Callable[..., subprocess.Popen[str]]
Weigh = Callable[..., tuple[bytes, WeightsManifest]]
Run = dict[str, Any]
RunAsync = Callable[[Coroutine[Any, Any, Any]], Any]
MIB = 1 << 20
LONG = Patience(60.0, longest=0.2)


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def holds(store: client.Weights, *versions: tuple[bytes, WeightsManifest]) -> int:
    """The newest version, which is one of these, whole."""
    there = store.newest()
    assert there is not None
    expected = {manifest.version: (data, manifest) for data, manifest in versions}
    assert (store.fetch(there), there.manifest) == expected[there.version]
    return there.version


async def fetched(kind: str, address: str) -> bytes:
    """The newest version, by either client."""
    if kind == "aio":
        async with aio.Weights(address, patience=LONG) as store:
            there = await store.newest()
            assert there is not None
            return await store.fetch(there)
    with client.Weights(address, patience=LONG) as store:
        there = store.newest()
        assert there is not None
        return await asyncio.to_thread(store.fetch, there)


@pytest.mark.parametrize("kind", ["threads", "aio"])
def test_a_fetch_goes_on_where_it_was_once_the_server_is_back(
    serve: Serve, address: str, link: Any, weigh: Weigh, run: Run, run_async: RunAsync, kind: str
) -> None:
    process = serve()
    data, manifest = weigh(1, kib=64 * 1024)
    with client.Weights(address, patience=LONG) as store:
        store.publish(data, manifest, run)
    link.down.hold_after(20 * MIB)

    def kill() -> None:
        link.down.wait_until_held()
        killed(process)
        serve()
        link.down.go_on()

    async def scenario() -> bytes:
        found, _ = await asyncio.gather(fetched(kind, link.address), asyncio.to_thread(kill))
        return found

    assert run_async(scenario()) == data
    assert len(data) < link.down.carried < len(data) + 10 * MIB  # what was in the air may have been sent twice


@pytest.mark.parametrize("carried", [2_000, 3 * MIB, 8 * MIB - 100_000])
def test_half_an_upload_is_nothing_when_the_server_is_killed(
    serve: Serve, address: str, link: Any, weigh: Weigh, run: Run, carried: int
) -> None:
    process = serve()
    first, second = weigh(1), weigh(2, kib=8 * 1024)
    with (
        client.Weights(address, patience=LONG) as store,
        client.Weights(link.address, patience=LONG) as learner,
        ThreadPoolExecutor() as pool,
    ):
        store.publish(*first, run)
        link.up.hold_after(carried)
        publishing = pool.submit(learner.publish, *second, run)
        link.up.wait_until_held()
        killed(process)
        serve()
        assert holds(store, first) == 1
        link.up.go_on()
        publishing.result(60)
        assert holds(store, second) == 2


@pytest.mark.parametrize("moment", [".*.tmp", "weights.safetensors", ".MANIFEST*", "MANIFEST.json"])
def test_half_a_version_is_not_served_when_the_server_is_killed_as_it_writes(
    serve: Serve, address: str, weigh: Weigh, run: Run, folder: Path, moment: str
) -> None:
    process = serve()
    first, second = weigh(1), weigh(2, kib=16 * 1024)
    with (
        client.Weights(address, patience=LONG) as store,
        client.Weights(address, patience=LONG) as learner,
        ThreadPoolExecutor() as pool,
    ):
        store.publish(*first, run)
        publishing = pool.submit(learner.publish, *second, run)
        deadline = time.monotonic() + 60
        while not (list((folder / "weights" / "2").glob(moment)) or publishing.done()):
            assert time.monotonic() < deadline
        killed(process)
        serve()
        holds(store, first, second)
        publishing.result(60)
        assert holds(store, second) == 2
    there = sorted(path.name for path in (folder / "weights" / "2").iterdir())
    assert there == ["MANIFEST.json", "weights.safetensors"]


def test_a_full_disk_leaves_the_version_before(
    serve: Serve, address: str, weigh: Weigh, run: Run, folder: Path, log: Callable[[], str]
) -> None:
    """A limit on the size of files stands for the disk: Python ignores the signal, and the write fails."""
    process = serve()
    first = weigh(1)
    no_weights = weigh(2, kib=512)
    no_manifest = weigh(3, config_hash="x" * MIB)
    with client.Weights(address, patience=LONG) as store:
        store.publish(*first, run)
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (256 * 1024, hard))
        for version in (no_weights, no_manifest, no_weights):
            number = version[1].version
            expected = rf"RESOURCE_EXHAUSTED: version {number} cannot be written \(File too large\): the one before is"
            with pytest.raises(CallError, match=expected):
                store.publish(*version, run)
            assert holds(store, first) == 1
            assert [path.name for path in (folder / "weights").glob("[0-9]*")] == ["1"]
        assert store.highest() == 1
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        store.publish(*no_weights, run)
        assert holds(store, no_weights) == 2
    assert "cannot keep version 2: [Errno 27] File too large" in log()


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_server_that_is_told_to_stop_finishes_what_is_under_way(
    serve: Serve, address: str, link: Any, weigh: Weigh, run: Run, way: str
) -> None:
    process = serve("--drain-seconds", "600")
    first, second = weigh(1, kib=16 * 1024), weigh(2, kib=16 * 1024)
    with (
        client.Weights(address, patience=LONG) as store,
        client.Weights(link.address, patience=Patience(0.0)) as other,
        ThreadPoolExecutor() as pool,
    ):
        store.publish(*first, run)
        there = other.newest()
        assert there is not None
        getattr(link, way).hold_after(4 * MIB)
        moving = pool.submit(other.publish, *second, run) if way == "up" else pool.submit(other.fetch, there)
        getattr(link, way).wait_until_held()
        process.terminate()
        with pytest.raises(CallError, match="UNAVAILABLE: this server is about to stop"):
            until_refused(address)
        assert process.poll() is None
        link.up.go_on()
        link.down.go_on()
        assert moving.result(60) == (None if way == "up" else first[0])
        assert process.wait(60) == 0
        serve()
        assert holds(store, first, second) == (2 if way == "up" else 1)


def until_refused(address: str) -> None:
    with client.Weights(address, patience=Patience(0.0)) as store:
        while True:
            store.newest()
