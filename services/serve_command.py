"""`cartridge serve`: the services that others call over gRPC. Only the one that is asked for is loaded."""

import argparse
from importlib import import_module
from typing import Protocol, cast

_ROOM = __package__ or "cartridge.services"
_SERVICES = {
    "engine": ("serve_engine", "games for clients in any language"),
    "replay": ("serve_replay", "what actors played, for learners to sample"),
    "weights": ("serve_weights", "what the learner has learnt, for actors to play with"),
}


class ServeCommand(Protocol):
    """What a module named in the table offers."""

    DESCRIPTION: str
    EPILOG: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A sub-command for each service."""
    services = parser.add_subparsers(dest="service", required=True, metavar="SERVICE", parser_class=type(parser))
    for name, (_, summary) in _SERVICES.items():
        command = _command(name)
        one = services.add_parser(
            name,
            help=summary,
            description=command.DESCRIPTION,
            epilog=command.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_arguments(one)


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to stop; 0 if all calls were finished, 1 if some were cut short."""
    return _command(args.service).run(args)


def _command(name: str) -> ServeCommand:
    return cast(ServeCommand, import_module(f".{_SERVICES[name][0]}", _ROOM))
