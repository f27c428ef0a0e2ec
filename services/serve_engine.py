"""`cartridge serve engine`: games for clients in any language."""

import argparse
import asyncio
import functools
import os
from collections.abc import Callable

from . import launch, logs, serving
from .flags import whole_number
from .serving import Service, handlers

DESCRIPTION = "Plays games for clients in any language (proto/engine/v1/engine.proto; docs/serving.md)."
EPILOG = """
  cartridge serve engine
  cartridge serve engine --address unix:/tmp/engine.sock
  cartridge serve engine --address 0.0.0.0:50051 --tls-certificate cert.pem --tls-key key.pem --token-file token
"""
_PORT = 50051


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    serving.add_arguments(parser, _PORT)
    add = parser.add_argument_group("what it gives").add_argument
    games = whole_number(1, 1 << 24)
    add("--games", type=games, default=65536, metavar="N", help="games of a kind, for all clients (default: 65536)")
    memory = "for games and replies; who asks for more is refused (default: 1024)"
    add("--memory-mib", type=whole_number(1, 1 << 20), default=1024, metavar="M", help=memory)
    ttl = "seconds for which a lease is kept that nobody steps (default: 60)"
    add("--ttl", type=whole_number(1, 3600), default=60, metavar="S", help=ttl)
    grace = "seconds for which a lease is kept whose stream broke off (default: 5)"
    add("--grace", type=whole_number(0, 3600), default=5, metavar="S", help=grace)
    threads = "threads that step games on a CPU (default: one less than there are cores)"
    add("--threads", type=whole_number(1, 1024), default=max(1, _cores() - 1), metavar="T", help=threads)
    delay = "microseconds for which the first client that is ready waits for others (default: 300)"
    add("--delay-us", type=whole_number(0, 1_000_000), default=300, metavar="T", help=delay)
    share = "percent of the games in play that need no others to be stepped (default: 50)"
    add("--share", type=whole_number(1, 100), default=50, metavar="P", help=share)


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to stop; 0 if all calls were finished, 1 if some were cut short."""
    settings = serving.from_args(args, os.environ)
    logs.begin()
    launch.use_threads(args.threads)
    cut = asyncio.run(_engine(args, settings, functools.partial(print, flush=True)))
    return 1 if cut else 0


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def _engine(args: argparse.Namespace, settings: serving.Serving, say: Callable[[str], None]) -> int:
    from .engine.service import CONTRACT, EngineService, EngineSettings  # loads JAX
    from .engine.ticker import WindowSettings

    service = EngineService(
        EngineSettings(
            games_per_batch=args.games,
            memory_mib=args.memory_mib,
            max_message_mib=args.max_message_mib,
            ttl=args.ttl,
            grace=args.grace,
            window=WindowSettings(share=args.share / 100, delay=args.delay_us / 1e6),
        )
    )
    try:
        add = functools.partial(handlers.add_to_server, CONTRACT, service)
        return await serving.serve(settings, [Service(CONTRACT.full_name, add, service.drain)], say)
    finally:
        await service.close()
