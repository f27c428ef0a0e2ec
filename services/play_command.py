"""`cartridge play`: a person in a terminal, alone or against an agent whose thoughts are shown; or a game to watch."""

import argparse
import dataclasses
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from rich.console import Console
from rich.table import Table

from ..actor.evaluators import Evaluator, network_evaluator, playout_evaluator
from ..actor.policies import playout_search, random_policy
from ..actor.search import SearchResult, require_searchable, search
from ..actor.settings import SearchConfig
from ..engine.game import Game
from ..engine.transition import EngineState, legal_actions, start, transition
from ..registry import UnknownGameError, make_game
from . import watch
from .evaluation import Agent, EvaluationError, evaluation_search

_PLAYOUT_SIMULATIONS = 500
_PAUSE = 0.6  # seconds a move, when watching
_BAR = 30  # characters of a policy bar


@dataclasses.dataclass(frozen=True)
class Thinker:
    """Someone to play against: `think` searches one state, [1], with a key uint32[2]."""

    name: str
    game: Game[Any]
    think: Callable[[EngineState[Any], Array], SearchResult]


@dataclasses.dataclass(frozen=True)
class Position:
    """A state and what each player has earned on the way."""

    state: EngineState[Any]
    earned: np.ndarray  # f32[P]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument(
        "run",
        metavar="RUN",
        help="the folder of a run, or a game id: a game for two is played against plain tree search, one for a single "
        "player alone; to watch, also a run's games/*.json",
    )
    parser.add_argument("--version", type=int, metavar="V", help="which weights of the run (default: the newest)")
    parser.add_argument("--simulations", type=int, metavar="N", help="of the agent's search (default: as in the run)")
    parser.add_argument("--seat", choices=("first", "second", "random"), default="first", help="where you sit")
    parser.add_argument("--seed", type=int, help="of chance, the random seat and plain tree search (default: drawn)")
    parser.add_argument(
        "--watch",
        action="store_true",
        help="watch instead: the agent of a run against itself, a recorded game, or any game played at random "
        "(with --simulations: by tree search)",
    )
    parser.add_argument("--pause", type=float, default=_PAUSE, metavar="S", help=f"seconds a move (default: {_PAUSE})")
    parser.add_argument("--save", type=Path, metavar="FILE.svg", help="with --watch: write the game as an animated SVG")


def run(args: argparse.Namespace) -> int:
    """Plays or shows one game; 0 however it ends."""
    if args.simulations is not None and not 1 <= args.simulations <= 100_000:
        raise EvaluationError(f"--simulations is {args.simulations}, expected 1 to 100000")
    if args.watch:
        return _watch(args)
    if args.save:
        raise EvaluationError("--save needs --watch")
    game, opponent = _players(args)
    seed = _seed(args)
    seat = random.Random(seed).randrange(2) if args.seat == "random" else ("first", "second").index(args.seat)
    console = Console(highlight=False)
    try:
        Sitting(game, opponent, seat, seed, console).play()
    except (EOFError, KeyboardInterrupt):
        console.print("\nleft the game")
    return 0


class Sitting:
    """One game of a person, who is player number `seat`, and of an opponent where the game is for two."""

    def __init__(self, game: Game[Any], opponent: Thinker | None, seat: int, seed: int, console: Console) -> None:
        self._game, self._opponent, self._console = game, opponent, console
        self._seat = 0 if opponent is None else seat
        self._key = jax.random.PRNGKey(seed)
        self._step = jax.jit(lambda state, action: transition(self._game, state, action))
        first = start(self._game, self._key)
        self._now = Position(first, np.zeros(self._game.spec.num_players, np.float32))
        self._past: list[Position] = []  # before each of the person's moves

    def play(self) -> None:
        """From the first move to the result; `EOFError` where input ends before."""
        if self._opponent:
            self._console.print(f"You are {'first' if self._seat == 0 else 'second'}, against {self._opponent.name}.")
        self._console.print(self._help())
        while not self._now.state.over:
            if self._opponent and int(self._game.player(self._now.state.game)) != self._seat:
                self._answer(self._opponent)
                continue
            self._show_board()
            if not self._turn():
                self._console.print("left the game")
                return
        self._show_board()
        self._console.print(self._verdict())

    def _turn(self) -> bool:
        """Reads until the position changes; False to leave."""
        while True:
            text = self._console.input("your move: ").strip()
            command = text.lower()
            if command in ("quit", "q", "exit"):
                return False
            if command == "undo":
                if self._past:
                    self._now = self._past.pop()
                    return True
                self._console.print("nothing to undo yet")
            elif command == "hint" and self._opponent:
                self._hint(self._opponent)
            elif command in ("help", "?", ""):
                self._console.print(self._help())
            elif self._move(text):
                return True

    def _move(self, text: str) -> bool:
        """Plays the move a person wrote; False, with the reason, if it cannot be played."""
        try:
            action = self._game.parse_action(text)
        except ValueError as error:
            self._console.print(f"{error} (or help)", markup=False)
            return False
        legal = self._legal()
        if action not in legal:
            labels = " ".join(map(self._game.action_label, legal))
            self._console.print(f"{text!r} cannot be played here; there is {labels}", markup=False)
            return False
        self._past.append(self._now)
        self._play(action)
        return True

    def _answer(self, opponent: Thinker) -> None:
        """The opponent's move, and what it thinks."""
        with self._console.status("thinking"):
            action, policy, value = self._think(opponent)
        self._console.print(self._bars(policy))
        self._console.print(f"{opponent.name} plays {self._game.action_label(action)}, {_outlook(value)}")
        self._play(action)

    def _hint(self, opponent: Thinker) -> None:
        with self._console.status("thinking"):
            action, policy, value = self._think(opponent)
        self._console.print(self._bars(policy))
        self._console.print(f"in your place I would play {self._game.action_label(action)}, {_outlook(value)}")

    def _think(self, thinker: Thinker) -> tuple[int, np.ndarray, float]:
        """(action, policy f32[A], value for the player to move) of the position on the board."""
        self._key, key = jax.random.split(self._key)
        found = thinker.think(jax.tree.map(lambda leaf: leaf[None], self._now.state), key)
        return int(found.action[0]), np.asarray(found.policy[0]), float(found.value[0])

    def _play(self, action: int) -> None:
        moved = self._step(self._now.state, jnp.int32(action))
        self._now = Position(moved.state, self._now.earned + np.asarray(moved.reward))

    def _legal(self) -> list[int]:
        return np.flatnonzero(legal_actions(self._game, self._now.state)).tolist()

    def _show_board(self) -> None:
        self._console.print("\n" + self._game.text(self._now.state.game), markup=False)
        if self._opponent is None:
            self._console.print(f"earned so far: {self._now.earned[0]:g}")

    def _bars(self, policy: np.ndarray) -> Table:
        table = Table.grid(padding=(0, 1))
        for action in self._legal():
            filled = round(float(policy[action]) * _BAR)
            bar = "█" * filled + "░" * (_BAR - filled)
            table.add_row(f"  {self._game.action_label(action)}", bar, f"{policy[action]:.0%}")
        return table

    def _help(self) -> str:
        legal = self._legal()
        asked = "undo, hint, help, quit" if self._opponent else "undo, help, quit"
        return f"a move, such as {self._game.action_label(legal[len(legal) // 2])}; or: {asked}"

    def _verdict(self) -> str:
        earned = float(self._now.earned[self._seat])
        if self._opponent is None:
            return f"The game is over after {int(self._now.state.step_count)} moves."
        if earned == 0:
            return "A draw."
        return "You win." if earned > 0 else "You lose."


def _players(args: argparse.Namespace) -> tuple[Game[Any], Thinker | None]:
    """The game to play, and whom against."""
    if not _is_folder_of_run(Path(args.run)):
        game = _game(args.run)
        if game.spec.num_players == 1:
            if args.version is not None or args.simulations is not None:
                raise EvaluationError(f"--version and --simulations are an opponent's; {args.run} is played alone")
            return game, None
    thinker = _thinker(args)
    require_searchable(thinker.game.spec)
    return thinker.game, thinker


def _watch(args: argparse.Namespace) -> int:
    if not 0 < args.pause <= 60:
        raise EvaluationError(f"--pause is {args.pause:g}, expected more than 0 and at most 60 seconds")
    if args.save and args.save.suffix != ".svg":
        raise EvaluationError(f"--save {args.save}: the game is written as SVG, so name a file that ends in .svg")
    console = Console(highlight=False)
    game, frames = _to_watch(args)
    seen = []
    try:
        seen = watch.show(game, frames, console, args.pause)
    except KeyboardInterrupt:
        console.print("left the game")
        return 0
    if args.save:
        watch.save(game, seen, args.save, args.pause)
        console.print(f"{len(seen) - 1} moves written to {args.save}", markup=False, soft_wrap=True)
    return 0


def _to_watch(args: argparse.Namespace) -> tuple[Game[Any], Iterable[watch.Frame]]:
    path = Path(args.run)
    if path.suffix == ".json" and path.is_file():
        return watch.recorded(path)
    if args.simulations is None and not _is_folder_of_run(path):
        game = _game(args.run)
        act = jax.jit(random_policy(game))
        return game, watch.played(game, lambda states, key: (act(states, key), None), _seed(args))
    thinker = _thinker(args)
    require_searchable(thinker.game.spec)

    def choose(states: EngineState[Any], key: Array) -> tuple[Array, Array]:
        found = thinker.think(states, key)
        return found.action, found.value

    return thinker.game, watch.played(thinker.game, choose, _seed(args))


def _seed(args: argparse.Namespace) -> int:
    return random.randrange(2**31) if args.seed is None else args.seed


def _is_folder_of_run(path: Path) -> bool:
    """A run, or at least a folder that is more likely meant than a game of that name."""
    return (path / "run.json").is_file() or (path.is_dir() and path.name != str(path))


def _game(name: str) -> Game[Any]:
    try:
        return make_game(name)
    except UnknownGameError as error:
        raise EvaluationError(f"{name!r} is neither the folder of a run nor a game: {error}") from error


def _thinker(args: argparse.Namespace) -> Thinker:
    """The agent of a run, or plain tree search where a game is named."""
    path = Path(args.run)
    if _is_folder_of_run(path):
        agent = Agent.load(path, args.version)
        config = evaluation_search(agent.config.search, args.simulations or agent.config.run.eval_simulations)
        evaluate = network_evaluator(agent.game, agent.network, agent.params, symmetrise=True)
        name = f"{path.resolve().name} (version {agent.manifest.version}, {config.num_simulations} simulations)"
        return _searching(name, agent.game, evaluate, config)
    game = _game(args.run)
    if args.version is not None:
        raise EvaluationError("--version needs the folder of a run; plain tree search has no weights")
    config = playout_search(args.simulations or _PLAYOUT_SIMULATIONS)
    name = f"tree search with {config.num_simulations} random playouts"
    return _searching(name, game, playout_evaluator(game), config)


def _searching(name: str, game: Game[Any], evaluate: Evaluator, config: SearchConfig) -> Thinker:
    return Thinker(name, game, jax.jit(lambda states, key: search(game, evaluate, states, key, config)))


def _outlook(value: float) -> str:
    """A value in [-1, 1] for whoever moves, in words."""
    view = "even" if abs(value) < 0.15 else ("winning" if value > 0 else "losing")
    return f"value {value:+.2f} ({view})"
