"""The asyncio client is the other's twin: it shows the same, refuses the same, and plays many leases in one loop."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cartridge import client
from cartridge.client import CallError, LeaseLostError, Patience, aio

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def actions(shown: Any) -> np.ndarray:
    return np.asarray(shown.legal_actions).argmax(axis=1)


def test_it_shows_what_its_twin_shows(server: str, run_async: Run) -> None:
    async def play() -> list[bytes]:
        async with aio.Engine(server) as engine:
            assert len(await engine.games()) == 20
            begun = await engine.reset("connect4", [1, 2])
            after = await engine.step("connect4", begun.states, [3, 4])
            record = [begun.states, after.states]
            async with await engine.acquire("connect4", 5, seed=3, outputs=("obs", "mask", "state")) as lease:
                shown = lease.first
                for _ in range(30):
                    shown = await lease.step(actions(shown))
                    record += map(bytes, shown.raw.values())
                snapshot = await lease.snapshot()
                await lease.step([0] * 5)
                record += map(bytes, (await lease.restore(snapshot)).raw.values())
                assert await lease.renew() == 60
            with pytest.raises(LeaseLostError):
                await lease.step([0] * 5)
            return record

    with client.Engine(server) as engine:
        begun = engine.reset("connect4", [1, 2])
        record = [begun.states, engine.step("connect4", begun.states, [3, 4]).states]
        with engine.acquire("connect4", 5, seed=3, outputs=("obs", "mask", "state")) as lease:
            shown = lease.first
            for _ in range(30):
                shown = lease.step(actions(shown))
                record += map(bytes, shown.raw.values())
            record += map(bytes, shown.raw.values())
    assert run_async(play()) == record


def test_many_leases_in_one_loop(server: str, run_async: Run) -> None:
    async def play(engine: aio.Engine, seed: int) -> bytes:
        async with await engine.acquire("tictactoe", 3 + seed % 2, seed=seed) as lease:
            shown = lease.first
            for _ in range(40):
                shown = await lease.step(actions(shown))
            return shown.observation.tobytes()

    async def all_at_once() -> None:
        async with aio.Engine(server) as engine:
            found = await asyncio.gather(*(play(engine, seed) for seed in range(50)))
            assert len(set(found)) == 2  # tic-tac-toe without chance, in two sizes

    run_async(all_at_once())


def test_a_refused_step_leaves_the_lease_usable(server: str, run_async: Run) -> None:
    async def play() -> None:
        async with aio.Engine(server) as engine, await engine.acquire("tictactoe", 4096, outputs=("obs:f32",)) as lease:
            for _ in range(12):
                await lease.send(np.zeros(4096, int))
            with pytest.raises(CallError, match="RESOURCE_EXHAUSTED"):
                _ = [await lease.receive() for _ in range(12)]
            shown = await lease.step(np.zeros(4096, int))
            assert shown.sequence >= 5

    run_async(play())


async def capabilities(kind: str, address: str, seconds: float) -> str:
    if kind == "aio":
        async with aio.Engine(address, patience=Patience(seconds)) as engine:
            return (await engine.capabilities("chess")).id.env_id
    with client.Engine(address, patience=Patience(seconds)) as engine:
        return (await asyncio.to_thread(engine.capabilities, "chess")).id.env_id


@pytest.mark.parametrize("kind", ["aio", "threads"])
def test_a_server_that_is_not_there_is_waited_for(
    start_engine: Callable[..., Any], short_folder: Path, run_async: Run, kind: str
) -> None:
    """For as long as the client's patience lasts, and no longer."""

    async def call() -> None:
        address = f"unix:{short_folder}/a %20b"  # a path that gRPC would decode
        with pytest.raises(CallError, match="UNAVAILABLE"):
            await capabilities(kind, address, 0.2)
        found = asyncio.create_task(capabilities(kind, address, 60))
        await asyncio.to_thread(start_engine, address=address)
        assert await found == "chess"

    run_async(call())
