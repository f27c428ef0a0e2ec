"""`cartridge serve weights`: keeps the weights of one run, for actors to fetch; it loads neither JAX nor torch."""

import argparse
import asyncio
import functools
import os
from collections.abc import Callable
from pathlib import Path

from . import logs, serving
from .flags import whole_number
from .serving import Service, handlers

DESCRIPTION = (
    "Keeps the versions of weights that a learner publishes, and gives them to actors (proto/weights/v1/weights.proto; "
    "docs/remote-training.md). The folder is that of a run: `cartridge eval` and `cartridge play` take it."
)
EPILOG = """
  cartridge serve weights runs/t1
"""
_PORT = 50053


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="the run's folder, or a new one")
    keep = "versions that stay (default: %(default)s)"
    parser.add_argument("--keep", type=whole_number(1, 1_000_000), default=20, metavar="N", help=keep)
    size = "the largest version (default: %(default)s)"
    parser.add_argument("--max-weights-mib", type=whole_number(1, 1 << 20), default=1024, metavar="M", help=size)
    serving.add_arguments(parser, _PORT)


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to stop; 0 if all calls were finished, 1 if some were cut short."""
    settings = serving.from_args(args, os.environ)
    logs.begin()
    cut = asyncio.run(_serve(args, settings, functools.partial(print, flush=True)))
    return 1 if cut else 0


async def _serve(args: argparse.Namespace, settings: serving.Serving, say: Callable[[str], None]) -> int:
    from .weights.keeper import Keeper
    from .weights.service import CONTRACT, WeightsService

    service = WeightsService(Keeper(args.run_dir, args.keep), args.max_weights_mib)
    try:
        add = functools.partial(handlers.add_to_server, CONTRACT, service)
        return await serving.serve(settings, [Service(CONTRACT.full_name, add, service.drain)], say)
    finally:
        await service.close()
