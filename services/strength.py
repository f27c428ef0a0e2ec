"""How strong a run gets on its way: now and then its newest weights on solved positions, and a game that they play."""

from typing import Any

from ..actor.network import Network, Params
from ..engine.game import Game
from .config import TrainConfig
from .console import RunView
from .episodes import SelfGame
from .evaluation import PositionCheck, evaluation_search
from .positions import Positions, builtin_positions, read_positions
from .run_directory import RunDirectory
from .tracking import Tracker


class StrengthLog:
    """Measures and records."""

    def __init__(
        self,
        game: Game[Any],
        network: Network,
        settings: TrainConfig,
        directory: RunDirectory,
        tracker: Tracker,
        view: RunView,
    ) -> None:
        self._game, self._directory, self._tracker, self._view = game, directory, tracker, view
        self._check = _solver_check(game, network, settings)
        self._self_game = SelfGame(game, network, evaluation_search(settings.search, settings.run.eval_simulations))
        self._newest: dict[str, Any] | None = None

    def evaluate(self, params: Params, version: int, counts: dict[str, Any]) -> dict[str, Any] | None:
        """Measures a version on solved positions and records it, once, and a game it plays.

        Args:
          counts: how far the run is: iteration, seconds, moves and updates.

        Returns:
          The record; None where the game has no solved positions.
        """
        if not (self._directory.games / f"{version}.json").exists():
            self._tracker.episode(self._self_game.play(params).to_json(self._game, version))
        if self._check is None:
            return None
        if self._newest is not None and self._newest["version"] == version:
            return self._newest
        record = self._newest = {"version": version, **counts, **self._check(params)}
        self._tracker.evaluation(record)
        self._view.strength(record)
        return record


def _solver_check(game: Game[Any], network: Network, settings: TrainConfig) -> PositionCheck | None:
    path = builtin_positions(game.spec.env_id)
    if path is None:
        return None
    positions: Positions = read_positions(path, game)
    return PositionCheck(
        game,
        network,
        positions,
        num_simulations=settings.run.eval_simulations,
        lookahead=settings.search.lookahead,
        search=settings.search,
    )
