"""`cartridge compliance`: whether the server at an address, in whatever language, keeps a contract of ours."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import grpc
from rich.console import Console

from ..client import Credentials
from ..proto.engine.v1 import engine_pb2 as pb
from . import remote, store
from .compliance import Result, Subject, checks, examine
from .flags import whole_number

SCHEMA = "cartridge.compliance/1"
_COLOURS = {"ok": "green", "FAILED": "red", "skipped": "cyan"}


class NobodyAnswersError(RuntimeError):
    """No server, or none that lets us in."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("contract", choices=("engine",), help="engine.v1, see proto/engine/v1/engine.proto")
    parser.add_argument("address", metavar="ADDRESS", help="HOST:PORT or unix:PATH")
    parser.add_argument("--game", metavar="ID", help="by which it is judged (default: its smallest without secrets)")
    form = "write the findings to FILE, or print them"
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help=form)
    wait = "how long to wait for the server (default: %(default)s)"
    parser.add_argument("--wait", type=whole_number(1, 3600), default=10, metavar="S", help=wait)
    remote.add_credentials(parser.add_argument_group("how it lets callers in").add_argument)


def run(args: argparse.Namespace) -> int:
    """Makes all checks; 0 if all hold, 1 if not."""
    credentials: Credentials = remote.credentials(args)
    with credentials.open(args.address) as channel:
        subject = _subject(channel, credentials, args)
        console = Console(file=sys.stderr if args.json == "-" else sys.stdout, highlight=False, markup=False)
        console.print(f"engine.v1 at {args.address}, by {subject.game}")
        results = list(_told(console, examine(subject, checks())))
    kept = all(result.status != "FAILED" for result in results)
    found = {"schema": SCHEMA, "contract": "engine.v1", "game": subject.game, "kept": kept}
    found["checks"] = [dataclasses.asdict(result) for result in results]
    if args.json == "-":
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    elif args.json:
        store.write_json(Path(args.json), found)
    return 0 if kept else 1


def _subject(channel: grpc.Channel, credentials: Credentials, args: argparse.Namespace) -> Subject:
    try:
        grpc.channel_ready_future(channel).result(timeout=args.wait)
    except grpc.FutureTimeoutError as error:
        raise NobodyAnswersError(f"nobody answers at {args.address} within {args.wait} s") from error
    subject = Subject(channel, args.game or "", credentials.metadata)
    if args.game:
        return subject
    try:
        games = subject.call("ListGames", pb.ListGamesRequest()).games
    except grpc.RpcError as error:
        said = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else str(error)
        raise NobodyAnswersError(f"the server at {args.address} does not list its games: {said}") from error
    if not games:
        raise NobodyAnswersError(f"the server at {args.address} has no games")
    smallest = min(games, key=lambda one: (one.hidden_information, one.state_bytes, one.id.env_id))
    return dataclasses.replace(subject, game=smallest.id.env_id)


def _told(console: Console, results: Iterable[Result]) -> Iterable[Result]:
    """The same, each printed as it comes."""
    for result in results:
        came = f"; got {result.came}" if result.came and result.status == "FAILED" else ""
        why = f" ({result.came})" if result.status == "skipped" else ""
        line = f"  {result.status:<8}{result.name:<26}{result.expected}{came}{why}"
        console.print(line, style=_COLOURS[result.status], soft_wrap=True)
        yield result
