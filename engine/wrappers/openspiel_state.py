"""A game as OpenSpiel knows them: `pyspiel.Game` and `pyspiel.State`, for its search and its solvers.

A node of OpenSpiel's tree is a position, or the chance that follows an action in it. Nodes never change, so a copy of a
state, which OpenSpiel makes at every step, is a reference.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from ..game import ChanceGame, Game
from ..spec import GameSpec
from .extra import missing
from .positions import Position, Rules

try:
    import pyspiel
except ModuleNotFoundError as error:
    raise missing("open_spiel") from error

_NO_LIMIT = (1 << 31) - 1  # moves, where the rules set none


class OpenSpielGame(pyspiel.Game):
    """The rules as a `pyspiel.Game`; P players, A actions.

    Between two and more players OpenSpiel is told that a game pays at its end (its MCTS asks for that), and between two
    that the sum is zero; a single player's rewards come move by move. The tensor of a state is what `observe` shows.
    With hidden information, its string is all that the player has seen and done; else, the moves.

    Args:
      game: the rules; a game with chance must list it (`ChanceGame`).
      max_utility: the most a player can win or lose. OpenSpiel's solvers stop early at it, so it must not be too small.
        By default 1 in games of two without chance, and no bound in others.

    Raises:
      ValueError: chance that cannot be listed.
    """

    def __init__(self, game: Game[Any], max_utility: float | None = None) -> None:
        spec = game.spec
        if spec.stochastic and not isinstance(game, ChanceGame):
            raise ValueError(f"{spec.env_id} draws by chance it does not list; OpenSpiel needs a ChanceGame")
        if max_utility is None:
            max_utility = 1.0 if spec.num_players == 2 and not spec.stochastic else math.inf
        self.game = game
        self.rules = Rules(game)
        self._max_utility = max_utility
        num_outcomes = max(len(self.rules.starts), spec.num_chance_outcomes) if spec.stochastic else 0
        super().__init__(_game_type(spec), _game_info(spec, num_outcomes, max_utility), {})
        constant = len(self.rules.starts) == 1
        self._root = Node(self.rules.start(self.rules.starts[0][0]) if constant else None, (0.0,) * spec.num_players)

    def new_initial_state(self) -> "OpenSpielState":
        """A state before the first move, where chance is dealt first if the start is not constant."""
        return OpenSpielState(self, self._root)

    def make_py_observer(self, iig_obs_type: Any = None, params: Any = None) -> "Observer":
        """For OpenSpiel's own use.

        Raises:
          ValueError: parameters, or other than what one player may know, public and private.
        """
        kind = iig_obs_type or pyspiel.IIGObservationType(perfect_recall=False)
        if params or not kind.public_info or kind.private_info != pyspiel.PrivateInfoType.SINGLE_PLAYER:
            raise ValueError("an observation is what one player may know, public and private, and has no parameters")
        return Observer(self, kind.perfect_recall)

    def __deepcopy__(self, memo: Any) -> "OpenSpielGame":
        return self  # it never changes

    def __reduce__(self) -> Any:
        return OpenSpielGame, (self.game, self._max_utility)


@dataclasses.dataclass(frozen=True)
class Node:
    """A place in OpenSpiel's tree."""

    position: Position | None  # None before the start is dealt
    returns: tuple[float, ...]
    action: int | None = None  # made in `position`, and chance has not had its say
    path: tuple[Position, ...] = ()  # positions on the way here, kept where they make up what a player knows

    @property
    def chance(self) -> bool:
        """Whether chance moves here."""
        return self.position is None or self.action is not None

    def __deepcopy__(self, memo: Any) -> "Node":
        return self  # it never changes


class OpenSpielState(pyspiel.State):
    """A `pyspiel.State`; make one by `OpenSpielGame.new_initial_state`."""

    def __init__(self, game: OpenSpielGame, node: Node) -> None:
        super().__init__(game)
        self.node = node

    @property
    def rules(self) -> "Rules":
        """Of the state's game."""
        return self.get_game().rules

    def current_player(self) -> int:
        """Whose turn it is, or one of OpenSpiel's numbers for chance and for the end."""
        if self.node.position is None or self.node.chance:
            return int(pyspiel.PlayerId.CHANCE)
        return int(pyspiel.PlayerId.TERMINAL) if self.node.position.over else self.node.position.player

    def is_terminal(self) -> bool:
        """Whether the game is over."""
        return self.node.position is not None and self.node.position.over

    def returns(self) -> list[float]:
        """What each player has got so far."""
        return list(self.node.returns)

    def rewards(self) -> list[float]:
        """What each player got by the last move; nothing until chance has had its say."""
        position = self.node.position
        return [0.0] * self.num_players() if position is None or self.node.chance else list(position.rewards)

    def chance_outcomes(self) -> list[tuple[int, float]]:
        """The possible outcomes with their probabilities."""
        position, action = self.node.position, self.node.action
        if position is None:
            return list(self.rules.starts)
        return [] if action is None else list(self.rules.outcomes(position.words, action))

    def _legal_actions(self, player: int) -> list[int]:
        del player  # OpenSpiel asks for the one to move
        return [] if self.node.position is None else list(self.node.position.legal)

    def _apply_action(self, action: int) -> None:
        node, rules = self.node, self.rules
        if node.position is None:
            return self._enter(rules.start(action))
        if node.action is not None:
            return self._enter(rules.play(node.position.words, node.action, action))
        outcomes = rules.outcomes(node.position.words, action)
        if len(outcomes) == 1:
            return self._enter(rules.play(node.position.words, action, outcomes[0][0]))
        self.node = dataclasses.replace(node, action=action)
        return None

    def _enter(self, position: Position) -> None:
        node = self.node
        returns = tuple(before + now for before, now in zip(node.returns, position.rewards, strict=True))
        path = (*node.path, position) if self.rules.game.spec.hidden_information else ()
        self.node = Node(position, returns, path=path)

    def _action_to_string(self, player: int, action: int) -> str:
        return f"chance {action}" if player == pyspiel.PlayerId.CHANCE else self.rules.game.action_label(action)

    def __str__(self) -> str:
        position, action = self.node.position, self.node.action
        if position is None:
            return "before the start"
        board = self.rules.text(position.words)
        return board if action is None else f"{board}\n{self.rules.game.action_label(action)}, and chance is to move"

    def __deepcopy__(self, memo: Any) -> "OpenSpielState":
        return self.clone()


class Observer:
    """What a player knows in a state, as OpenSpiel asks: `set_from` fills `tensor`, of which `dict` holds a view."""

    def __init__(self, game: OpenSpielGame, perfect_recall: bool) -> None:
        shape = game.game.spec.observation_shape
        self._hidden = game.game.spec.hidden_information
        self._perfect_recall = perfect_recall
        self.tensor = np.zeros(math.prod(shape), np.float32)
        self.dict = {"observation": self.tensor.reshape(shape)}

    def set_from(self, state: OpenSpielState, player: int) -> None:
        """The player's observation; zeros before the start is dealt, and that of the last position before chance."""
        position = state.node.position
        self.tensor[:] = 0.0 if position is None else state.rules.observations(position.words)[player]

    def string_from(self, state: OpenSpielState, player: int) -> str:
        """With hidden information all that `player` has seen and done, or sees now; else the moves, or the board."""
        if not self._hidden:
            return state.history_str() if self._perfect_recall else str(state)
        path = state.node.path if self._perfect_recall else state.node.path[-1:]
        own = [done.action for done in state.full_history() if done.player == player]
        seen = (state.rules.observations(position.words)[player] for position in path)
        shown = "/".join(",".join(f"{number:g}" for number in planes) for planes in seen)
        return f"player {player} did {own} saw {shown}" if self._perfect_recall else f"player {player} sees {shown}"


def _game_type(spec: GameSpec) -> Any:
    kinds = pyspiel.GameType
    chance, information = kinds.ChanceMode, kinds.Information
    alone = spec.num_players == 1
    return kinds(
        short_name=f"cartridge_{spec.env_id}",
        long_name=f"{spec.env_id} of Cartridge",
        dynamics=kinds.Dynamics.SEQUENTIAL,
        chance_mode=chance.EXPLICIT_STOCHASTIC if spec.stochastic else chance.DETERMINISTIC,
        information=information.IMPERFECT_INFORMATION if spec.hidden_information else information.PERFECT_INFORMATION,
        utility=kinds.Utility.ZERO_SUM if spec.num_players == 2 else kinds.Utility.GENERAL_SUM,
        reward_model=kinds.RewardModel.REWARDS if alone else kinds.RewardModel.TERMINAL,
        max_num_players=spec.num_players,
        min_num_players=spec.num_players,
        provides_information_state_string=True,
        provides_information_state_tensor=True,
        provides_observation_string=True,
        provides_observation_tensor=True,
    )


def _game_info(spec: GameSpec, num_outcomes: int, max_utility: float) -> Any:
    return pyspiel.GameInfo(
        num_distinct_actions=spec.num_actions,
        max_chance_outcomes=num_outcomes,
        num_players=spec.num_players,
        min_utility=-max_utility,
        max_utility=max_utility,
        utility_sum=0.0 if spec.num_players == 2 else None,
        max_game_length=spec.max_steps or _NO_LIMIT,
    )
