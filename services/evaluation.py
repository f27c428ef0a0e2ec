"""How strong an agent is: its moves against exact scores of solved positions, and its games against opponents.

`PositionCheck` and `MatchCheck` are compiled once and take parameters, so that a trainer can ask them again and again
in mid-run; `Agent` is what a run's folder holds, for those who come later. In evaluation search draws no noise.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..actor import weights
from ..actor.evaluators import network_evaluator, playout_evaluator
from ..actor.match import Contender, Match, MatchResult, distinct_openings
from ..actor.network import Network, Params, build
from ..actor.policies import Policy, greedy_policy, playout_search, random_policy, search_policy
from ..actor.settings import SearchConfig
from ..engine.game import Game
from ..engine.spec import SpecError, WeightsManifest
from ..engine.transition import EngineState
from ..registry import make_game
from . import config, store
from .config import TrainConfig
from .positions import ILLEGAL, Positions
from .run_directory import RunDirectory, RunError

_MOST_STATES = 1024  # judged at once
_MOST_NODES = 1 << 18  # of all search trees alive at once
_Z95 = 1.959964  # normal quantile of a two-sided 95 % interval

Actor = Callable[[EngineState[Any], Array], tuple[Array, ...]]  # states [B], key -> one i32[B] per policy


class EvaluationError(ValueError):
    """A request that cannot be measured; the message says what to change."""


@dataclasses.dataclass(frozen=True)
class Agent:
    """What a run has learned: the game, the network and one version of its weights."""

    root: Path
    game: Game[Any]
    config: TrainConfig
    network: Network
    params: Params
    manifest: WeightsManifest
    description: Mapping[str, Any]  # run.json

    @classmethod
    def load(cls, root: Path, version: int | None = None) -> "Agent":
        """The newest whole weights of a run, or those of `version`.

        Raises:
          RunError: no run or no weights there.
          SpecError: weights that are damaged or belong to other rules.
        """
        run = RunDirectory.open(root)
        description = run.describe()
        try:
            settings = config.from_json(description["config"])
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{root / 'run.json'} does not describe a training run: {error!r}") from error
        game = make_game(settings.game)
        trained_with = description.get("game_build")
        if trained_with != game.spec.build_id:
            raise SpecError(
                f"{root} was trained with the rules {trained_with} of its game, {settings.game} is now "
                f"{game.spec.build_id}: its weights do not fit; install the version it was trained with"
            )
        if version is not None and version not in run.versions():
            kept = ", ".join(map(str, run.versions())) or "none"
            raise RunError(f"{root} has no weights version {version}; it keeps {kept}")
        data, manifest = run.load_weights(game.spec, version)
        network = build(game.spec, manifest.network)
        params = weights.load(data, manifest, game.spec, network)
        return cls(root, game, settings, network, params, manifest, description)

    def training(self) -> dict[str, Any]:
        """What these weights cost: training seconds, moves and updates, and the machine they were trained on."""
        records = store.read_json_lines(RunDirectory(self.root).metrics)
        upto = [record for record in records if record.get("iteration", 0) <= self.manifest.version]
        last = upto[-1] if upto else {}
        cost = {name: last.get(name) for name in ("seconds", "moves", "updates", "episodes")}
        known = {name: self.description.get(name) for name in ("host", "device", "seed", "git", "versions")}
        return cost | {"config_hash": self.manifest.config_hash} | known


def evaluation_search(base: SearchConfig, num_simulations: int, lookahead: int | None = None) -> SearchConfig:
    """`base` as evaluation uses it: without noise, with this many simulations (and plies of lookahead, if given)."""
    plies = base.lookahead if lookahead is None else lookahead
    return dataclasses.replace(base, num_simulations=num_simulations, lookahead=plies, gumbel_scale=0.0)


def network_contender(game: Game[Any], network: Network, search: SearchConfig | None, symmetrise: bool) -> Contender:
    """From parameters to a policy: by search, or by the network alone where `search` is None."""

    def from_params(params: Any) -> Policy:
        evaluate = network_evaluator(game, network, params, symmetrise=symmetrise)
        return search_policy(game, evaluate, search) if search else greedy_policy(game, evaluate)

    return from_params


class PositionCheck:
    """Strength on solved positions: `check(params)` gives errors by set, for the network alone and with search.

    `search` holds the settings that neither `num_simulations` nor `lookahead` says. `symmetrise` averages the network
    over the game's symmetries, in both.
    """

    def __init__(
        self,
        game: Game[Any],
        network: Network,
        positions: Positions[Any],
        num_simulations: int,
        lookahead: int,
        *,
        symmetrise: bool = True,
        search: SearchConfig | None = None,
    ) -> None:
        self.positions, self.symmetrise = positions, symmetrise
        self.search = evaluation_search(search or SearchConfig(), num_simulations, lookahead)
        raw = network_contender(game, network, None, symmetrise)
        searched = network_contender(game, network, self.search, symmetrise)

        def act(params: Params, states: EngineState[Any], key: Array) -> tuple[Array, Array]:
            return raw(params)(states, key), searched(params)(states, key)

        self._act = jax.jit(act)

    def __call__(self, params: Params) -> dict[str, Any]:
        """{"simulations", "lookahead", "symmetrise", "raw": {set: rates}, "search": {set: rates}}, sets and "mean"."""
        raw, searched = self.actions(params)
        return {
            "simulations": self.search.num_simulations,
            "lookahead": self.search.lookahead,
            "symmetrise": self.symmetrise,
            "raw": score_actions(self.positions, raw),
            "search": score_actions(self.positions, searched),
        }

    def actions(self, params: Params) -> list[np.ndarray]:
        """i32[N] each: what the network alone and the search play in every position."""
        size = batch_size(len(self.positions), self.search.num_simulations)
        return in_batches(lambda states, key: self._act(params, states, key), self.positions.states, size)


def score_actions(positions: Positions[Any], actions: np.ndarray) -> dict[str, dict[str, float]]:
    """Rates in percent by set of positions, and their mean over the sets, for `actions` (i32[N]).

    A move keeps the value if it wins where a win is possible, or draws where that is the best; `error` is the rest to
    100. The best move also wins as soon, or loses as late, as possible. An illegal action is neither.
    """
    best = positions.scores.max(axis=1)
    chosen = positions.scores[np.arange(len(positions)), actions]
    keeps = (np.sign(chosen) == np.sign(best)) & (chosen != ILLEGAL)
    report = {}
    for index, name in enumerate(positions.set_names):
        rows = positions.set_index == index
        report[name] = _rates(keeps[rows], (chosen == best)[rows])
    mean = {
        rate: float(np.mean([rates[rate] for rates in report.values()]))
        for rate in ("value_keeping", "best_move", "error")
    }
    return report | {"mean": {"positions": len(positions), **mean}}


def _rates(keeps: np.ndarray, is_best: np.ndarray) -> dict[str, float]:
    count = len(keeps)
    keeping, best = int(keeps.sum()), int(is_best.sum())
    return {
        "positions": count,
        "value_keeping": 100 * keeping / count,
        "best_move": 100 * best / count,
        "error": 100 * (count - keeping) / count,
    }


def batch_size(num_states: int, num_simulations: int) -> int:
    """How many states to search at once, so that the trees stay within memory."""
    return max(1, min(num_states, _MOST_STATES, _MOST_NODES // num_simulations))


def in_batches(act: Actor, states: EngineState[Any], size: int) -> list[np.ndarray]:
    """`act` over N states, `size` at a time (the last batch is filled up, so that one program serves all)."""
    num_states = states.meta.shape[0]
    parts = []
    for begin in range(0, num_states, size):
        rows = jnp.arange(begin, begin + size) % num_states
        part = jax.tree.map(lambda leaf, rows=rows: leaf[rows], states)
        parts.append([np.asarray(actions) for actions in act(part, jax.random.PRNGKey(begin))])
    return [np.concatenate(column)[:num_states] for column in zip(*parts, strict=True)]


@dataclasses.dataclass(frozen=True)
class Opponent:
    """Whom to play against. `params` None means the agent's own."""

    name: str
    contender: Contender
    params: Params | None = None


def make_opponent(
    text: str, game: Game[Any], network: Network, search: SearchConfig, *, symmetrise: bool = True
) -> Opponent:
    """The opponent `text` names: `random`, `greedy`, `mcts:N` or a run's folder, with `@VERSION` for old weights.

    `greedy` is the agent's own network without search. A run plays with its own lookahead and as many simulations as
    `search`.
    """
    kind, _, number = text.partition(":")
    if text == "random":
        return Opponent(text, lambda _: random_policy(game))
    if text == "greedy":
        return Opponent(text, network_contender(game, network, None, symmetrise))
    if kind == "mcts":
        if not (number.isdigit() and 1 <= int(number) <= 100_000):
            raise EvaluationError(f"opponent {text!r}: expected mcts:N with N simulations, such as mcts:200")
        return Opponent(text, lambda _: search_policy(game, playout_evaluator(game), playout_search(int(number))))
    path, _, version = text.partition("@")
    if not (Path(path) / "run.json").is_file() or (version and not version.isdigit()):
        raise EvaluationError(
            f"opponent {text!r} is unknown: expected random, greedy, mcts:N or the folder of a run (DIR or DIR@VERSION)"
        )
    other = Agent.load(Path(path), int(version) if version else None)
    if other.game.spec != game.spec:
        raise EvaluationError(f"opponent {text!r} plays {other.game.spec.env_id}, this agent {game.spec.env_id}")
    settings = evaluation_search(other.config.search, search.num_simulations)
    return Opponent(text, network_contender(game, other.network, settings, symmetrise), other.params)


class MatchCheck:
    """Strength in games: `check(params)` plays `num_games` from distinct random openings, each from both seats."""

    def __init__(
        self,
        game: Game[Any],
        contender: Contender,
        opponent: Opponent,
        num_games: int = 100,
        *,
        opening_plies: int = 4,
        seed: int = 0,
    ) -> None:
        if num_games < 2 or num_games % 2:
            raise EvaluationError(f"games is {num_games}, expected an even number: openings are played from both seats")
        self._opponent, self._plies, self._seed = opponent, opening_plies, seed
        opening_key, self._key = jax.random.split(jax.random.PRNGKey(seed))
        self._match = Match(game, contender, opponent.contender)
        try:
            self.openings = distinct_openings(game, opening_key, num_games // 2, opening_plies)
        except ValueError as error:
            raise EvaluationError(str(error)) from error

    def __call__(self, params: Params | None) -> dict[str, Any]:
        """See `match_report`; with the opponent's name and how the openings were drawn."""
        setting = {"opponent": self._opponent.name, "opening_plies": self._plies, "seed": self._seed}
        return setting | match_report(self.play(params))

    def play(self, params: Params | None) -> MatchResult[Any]:
        """The games themselves."""
        theirs = params if self._opponent.params is None else self._opponent.params
        return self._match.play(self.openings, self._key, params, theirs)


def match_report(result: MatchResult[Any]) -> dict[str, Any]:
    """Wins, draws, losses and score (draws half) of the first contender, in all and by seat, with a 95 % interval."""
    tallies = [_tally(row) for row in result.reward]
    total = {name: sum(tally[name] for tally in tallies) for name in tallies[0]}
    return {
        "openings": result.reward.shape[1],
        **_with_score(total),
        "by_seat": {seat: _with_score(tally) for seat, tally in zip(("first", "second"), tallies, strict=True)},
        "unfinished": int(result.unfinished.sum()),
        "plies": int(np.sum(result.moves >= 0)),
    }


def wilson(score: float, num_games: int) -> tuple[float, float]:
    """95 % confidence interval of a score in [0, 1] over `num_games` (Wilson 1927); a draw counts as half a win."""
    spread = _Z95 * _Z95 / num_games
    middle = (score + spread / 2) / (1 + spread)
    reach = _Z95 * np.sqrt(score * (1 - score) / num_games + spread / (4 * num_games)) / (1 + spread)
    return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))


def _tally(reward: np.ndarray) -> dict[str, int]:
    wins, losses = int(np.sum(reward > 0)), int(np.sum(reward < 0))
    return {"games": len(reward), "wins": wins, "draws": len(reward) - wins - losses, "losses": losses}


def _with_score(tally: dict[str, int]) -> dict[str, Any]:
    score = (tally["wins"] + tally["draws"] / 2) / tally["games"]
    return {**tally, "score": score, "interval95": list(wilson(score, tally["games"]))}
