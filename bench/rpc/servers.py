"""The servers beside ours in `bench rpc`, each a process: an echo, and our service without a device's work.

Usage: python -m cartridge.bench.rpc.servers KIND, of `SERVERS`. The first line printed is JSON: the platform it runs
on, the device's model, and the address.
"""

import asyncio
import functools
import json
import sys
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio
import jax

from ...proto.channel import NO_LIMIT, server_options
from ...services.engine.device_batch import DeviceBatch, Order, Outcome
from ...services.engine.service import CONTRACT, EngineService, EngineSettings
from ...services.serving import Service, Serving, handlers, serve

MOST_GAMES, MEMORY_MIB, MESSAGE_MIB = 1 << 18, 4096, 512  # of both our servers
ECHO_SERVICE = "bench.Echo"
SIZE_BYTES = 4  # of a request to the echo, in which it says how large the answer is to be


class NullBatch(DeviceBatch[Any]):
    """A batch that does not step: it answers with what its leases showed as they began."""

    def __init__(self, game: Any, capacity: int) -> None:
        super().__init__(game, capacity)
        self._answers: dict[tuple[int, tuple[str, ...]], Outcome] = {}

    def step(self, wanted: Sequence[Order]) -> list[Outcome]:
        """The answers that were made once."""
        return [self._answer(one) for one in wanted]

    def _answer(self, order: Order) -> Outcome:
        key = (order.where.size, order.outputs)
        if key not in self._answers:
            tensors = self.begin(order.where, 0, order.outputs).tensors
            rewards, ends = bytes(4 * order.where.size * self.game.spec.num_players), bytes(order.where.size)
            self._answers[key] = Outcome(rewards=rewards, ends=ends, tensors=tensors)
        return self._answers[key]


async def echo() -> None:
    """Answers each request with as many bytes as it asks for."""
    answers: dict[bytes, bytes] = {}

    def answer(request: bytes) -> bytes:
        size = request[:SIZE_BYTES]
        if size not in answers:
            answers[size] = bytes(int.from_bytes(size, "little"))
        return answers[size]

    async def unary(request: bytes, context: Any) -> bytes:
        del context
        return answer(request)

    async def stream(requests: Any, context: Any) -> None:
        async for request in requests:
            await context.write(answer(request))

    server = grpc.aio.server(options=server_options(NO_LIMIT))
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.stream_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(ECHO_SERVICE, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _tell("cpu", "", f"127.0.0.1:{port}")
    await server.wait_for_termination()


async def null_engine() -> None:
    """Our service with a device that answers at once."""
    settings = EngineSettings(games_per_batch=MOST_GAMES, memory_mib=MEMORY_MIB, max_message_mib=MESSAGE_MIB)
    service = EngineService(settings, NullBatch)
    add = functools.partial(handlers.add_to_server, CONTRACT, service)
    try:
        await serve(Serving("127.0.0.1:0"), [Service(CONTRACT.full_name, add, service.drain)], _say_address)
    finally:
        await service.close()


def _say_address(line: str) -> None:
    name, _, address = line.rpartition(" on ")
    if name:
        device = jax.devices()[0]
        _tell(device.platform, device.device_kind, address)


def _tell(platform: str, model: str, address: str) -> None:
    print(json.dumps([platform, model, address]), flush=True)


SERVERS = {"echo": echo, "null": null_engine}

if __name__ == "__main__":
    asyncio.run(SERVERS[sys.argv[1]]())
