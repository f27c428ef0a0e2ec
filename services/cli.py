"""The command `cartridge`: finds the subcommand, loads only that, turns errors into words and exit codes.

Exit codes: 0 done, 1 the work failed, 2 the request was wrong, 130 stopped by the user.
"""

import argparse
import difflib
import itertools
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NoReturn, Protocol, cast

from . import launch, supervisor

_ROOM = __package__ or "cartridge.services"
_COMMANDS = {
    "games": ("games_command", "list the games"),
    "train": ("train_command", "train an agent by self-play, or resume a run"),
    "eval": ("evaluate_command", "measure an agent: solved positions, matches"),
    "play": ("play_command", "play in the terminal, against an agent or alone"),
    "bench": ("bench_command", "measure the engine's or the replay's speed, with peers beside it"),
    "serve": ("serve_command", "serve the engine, replay or weights to other processes"),
    "actor": ("actor_command", "play for a run whose replay and weights are served somewhere"),
    "learner": ("learner_command", "learn from what such actors play"),
    "replay": ("replay_command", "export the positions a run learns from, import them, describe them"),
    "compliance": ("compliance_command", "judge a server of games, ours or another's, by the contract"),
    "doctor": ("doctor_command", "check this machine: devices, versions, what is missing"),
}


class Command(Protocol):
    """What a module named in the table offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors name the nearest flag."""

    def error(self, message: str) -> NoReturn:
        """Says what was wrong and the nearest match, then exits 2."""
        if message.startswith("unrecognized arguments: "):
            wrong = message.removeprefix("unrecognized arguments: ").split()[0].partition("=")[0]
            message = f"no flag {wrong}" + _near(wrong, self._flags())
        print(f"{self.prog}: {message}\nsee {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)

    def _flags(self) -> list[str]:
        """Its own, and those of its sub-commands, which leave what they do not know to it."""
        below = [action.choices.values() for action in self._actions if isinstance(action.choices, Mapping)]
        flags = [flag for action in self._actions for flag in action.option_strings]
        return flags + [flag for one in itertools.chain(*below) if isinstance(one, Parser) for flag in one._flags()]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else 2
    if words[0] == "--version":
        from .. import __version__

        print(f"cartridge {__version__}")
        return 0
    if words[0] not in _COMMANDS:
        print(f"cartridge: no command {words[0]!r}{_near(words[0], list(_COMMANDS))}", file=sys.stderr)
        return 2
    return _run(words[0], words[1:])


def _run(name: str, words: Sequence[str]) -> int:
    launch.prepare()
    supervisor.follow()
    module, summary = _COMMANDS[name]
    command = cast(Command, import_module(f".{module}", _ROOM))
    parser = Parser(prog=f"cartridge {name}", description=summary, allow_abbrev=False)
    command.add_arguments(parser)
    args = parser.parse_args(words)
    try:
        return command.run(args)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (ValueError, LookupError, RuntimeError) as error:
        if not _is_ours(error):
            raise
        print(f"cartridge {name}: {error}", file=sys.stderr)
        return 2


def _is_ours(error: Exception) -> bool:
    """Whether the error is one of this package's own, whose message is written for the user."""
    return type(error).__module__.startswith(_ROOM.partition(".")[0] + ".")


def _overview() -> str:
    lines = ["usage: cartridge COMMAND [...]", "", "Train agents to play games.", ""]
    lines += [f"  {name:<10} {summary}" for name, (_, summary) in _COMMANDS.items()]
    return "\n".join([*lines, "", "cartridge COMMAND --help explains a command.  cartridge --version"])


def _near(word: str, known: Sequence[str]) -> str:
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
    return f": did you mean {matches[0]}?" if matches else f"; there are {', '.join(known)}"


if __name__ == "__main__":
    sys.exit(main())
