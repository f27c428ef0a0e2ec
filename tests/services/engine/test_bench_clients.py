"""The clients of `bench rpc` between two stretches, however long that takes."""

import time

import pytest
from cartridge.bench.rpc.contest import _beside
from cartridge.bench.worker import running

OUTPUTS = ("obs:bits84:v1", "mask:bits7:v1")


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_leases_outlive_the_pause_between_two_stretches(server: str, kind: str) -> None:
    """A stream that ends in peace leaves them as they are; one cut off would lose them after a second here."""
    with running("rpc.clients") as worker:
        lease = {"target": "lease", "game": "connect4", "games": 16, "outputs": OUTPUTS, "in_flight": 2}
        worker.ask(do="build", name="client", kind=kind, mode="stream", address=server, **lease)
        assert worker.ask(do="play", name="client", seconds=0.02)["calls"] >= 2
        time.sleep(2.5)
        assert worker.ask(do="play", name="client", seconds=0.02)["calls"] >= 2


def test_a_client_that_ends_gives_its_games_back(server: str) -> None:
    """Of 4,096 there are not enough for two of these."""
    for _ in range(2):
        with running("rpc.clients") as worker:
            lease = {"target": "lease", "game": "kuhn_poker", "games": 2500, "outputs": ("mask:bits2:v1",)}
            ways = {"kind": "threads", "mode": "stream", "in_flight": 1, "address": server}
            worker.ask(do="build", name="client", **ways, **lease)
            assert worker.ask(do="play", name="client", seconds=0.02)["calls"] >= 1


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_large_messages_on_the_way_do_not_wait_for_one_another(kind: str) -> None:
    """More than a connection holds, both ways: a client that reads nothing while it sends may wait forever."""
    size = 4 << 20
    with _beside(("bench.rpc.servers", "echo")) as echo, running("rpc.clients") as worker:
        what = {"target": "echo", "request_bytes": size, "response_bytes": size, "in_flight": 4}
        worker.ask(do="build", name="client", kind=kind, mode="stream", address=echo.address, **what)
        assert worker.ask(do="play", name="client", seconds=1.0)["calls"] >= 4
