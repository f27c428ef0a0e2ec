"""A service that gives back what it is sent, for the tests of serving; as a program, a whole server of it."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
from cartridge.services import serving

NAME = "test.v1.Echo"


class Echo:
    """Handlers of the four kinds."""

    def __init__(self) -> None:
        self.ended: list[str] = []  # handlers whose last line ran
        self.told_to_end = asyncio.Event()

    async def unary(self, request: bytes, context: Any) -> Any:
        """Gives the request back; a few words have a meaning."""
        word, _, argument = request[:64].partition(b" ")
        if word == b"wait":
            await asyncio.sleep(float(argument))
        elif word == b"refuse":
            raise serving.RefusalError(grpc.StatusCode.FAILED_PRECONDITION, "not before noon")
        elif word == b"break":
            raise RuntimeError("the secret is 42")
        elif word == b"abort":
            await context.abort(grpc.StatusCode.NOT_FOUND, "said by the handler")
        elif word == b"wrong":
            return 42
        elif word == b"large":
            return b"x" * int(argument)
        return request

    async def collect(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b",".join([await self.unary(request, context) async for request in requests])

    async def repeat(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """The request, twice, with all its meanings; `forever` says nothing more until the service is told to end."""
        try:
            yield request
            if request == b"forever":
                await self.told_to_end.wait()
            while request == b"flood":
                yield bytes(2**20)
            yield await self.unary(request, context)
        finally:
            try:  # a caller who leaves shows as a write that fails, and may cancel what is done about it a moment later
                await asyncio.sleep(0.02)  # as one that gives something back
            finally:
                self.ended.append("repeat")

    async def converse(self, requests: AsyncIterator[bytes], context: Any) -> None:
        """Written with `read` and `write` rather than as a generator."""
        while request := await context.read():  # no request here is empty, and the end of them is false too
            await context.write(await self.unary(request, context))

    async def drain(self) -> None:
        self.told_to_end.set()

    def add(self, server: Any) -> None:
        """Registers the handlers as generated code does."""
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary, _decode, _encode),
            "Collect": grpc.stream_unary_rpc_method_handler(self.collect, _decode, _encode),
            "Repeat": grpc.unary_stream_rpc_method_handler(self.repeat, _decode, _encode),
            "Converse": grpc.stream_stream_rpc_method_handler(self.converse, _decode, _encode),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))
        server.add_registered_method_handlers(NAME, handlers)


async def main(words: list[str]) -> int:
    """Serves as the flags say; returns how many calls were cut."""
    parser = argparse.ArgumentParser()
    serving.add_arguments(parser, default_port=0)
    settings = serving.from_args(parser.parse_args(words), os.environ)
    service = serving.Service(NAME, Echo().add)
    return await serving.serve(settings, [service], lambda text: print(text, flush=True))


def _decode(data: bytes) -> bytes:
    if data == b"no message":
        raise ValueError("cannot be parsed")
    return data


def _encode(message: bytes) -> bytes:
    return memoryview(message).tobytes()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
