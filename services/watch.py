"""Games to look at: an episode's positions one after the other, in a terminal or as one animated picture."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..engine.animation import animate
from ..engine.game import Game
from ..engine.keys import root_keys
from ..engine.spec import SpecError
from ..engine.transition import EngineState, start, transition
from ..registry import make_game
from . import episodes, store

Frame = tuple[EngineState[Any], str]  # a position and a line on what led to it
Choose = Callable[[EngineState[Any], Array], tuple[Array, Array | None]]  # [1] state, key -> (action, value of mover)


def played(game: Game[Any], choose: Choose, seed: int) -> Iterator[Frame]:
    """A game from its start as `choose` plays it for all players."""
    words = root_keys(seed, 1)
    state = start(game, (words[0][0], words[1][0]))
    step = jax.jit(lambda state, action: transition(game, state, action))
    earned = np.zeros(game.spec.num_players)
    yield state, f"{game.spec.env_id}: the start"
    for number in range(episodes.LONGEST):
        batch = jax.tree.map(lambda leaf: leaf[None], state)
        action, value = choose(batch, jax.random.fold_in(jax.random.PRNGKey(seed), number))
        player = int(game.player(state.game))
        moved = step(state, action[0])
        state, earned = moved.state, earned + np.asarray(moved.reward)
        outlook = "" if value is None else f", value {float(value[0]):+.2f}"
        yield state, _caption(game, number, player, int(action[0]), outlook, earned)
        if state.over:
            return


def recorded(path: Path) -> tuple[Game[Any], Sequence[Frame]]:
    """The game and the frames of a record in a run's games/.

    Raises:
      SpecError: the file is no record of an episode, or one of other rules.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        game = make_game(record["game"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SpecError(f"{path} is no record of an episode: {error}") from error
    states = episodes.replay(game, record)
    frames = [(states[0], f"{game.spec.env_id}: weights version {record['weights_version']} against itself")]
    for number, (action, value) in enumerate(zip(record["actions"], record["values"], strict=True)):
        player = int(game.player(states[number].game))
        earned = np.array(record["rewards"]) if number == len(states) - 2 else np.zeros(game.spec.num_players)
        frames.append((states[number + 1], _caption(game, number, player, action, f", value {value:+.2f}", earned)))
    return game, frames


def show(game: Game[Any], frames: Iterable[Frame], console: Console, pause: float) -> list[Frame]:
    """Shows each frame for `pause` seconds, in place on a terminal; returns them all."""
    seen: list[Frame] = []
    with Live(console=console, auto_refresh=False, transient=True, screen=False) as live:
        for frame in frames:
            seen.append(frame)
            text = Text(f"{game.text(frame[0].game)}\n{frame[1]}")
            if console.is_terminal:
                live.update(text, refresh=True)
                time.sleep(pause)
            else:
                console.print(text, "\n", sep="")
    if console.is_terminal and seen:
        console.print(Text(f"{game.text(seen[-1][0].game)}\n{seen[-1][1]}"))
    return seen


def save(game: Game[Any], frames: Sequence[Frame], path: Path, pause: float) -> None:
    """Writes the frames as one animated SVG, whole or not at all."""
    store.write_bytes(path, animate([game.draw(state.game) for state, _ in frames], pause).encode())


def _caption(game: Game[Any], number: int, player: int, action: int, outlook: str, earned: np.ndarray) -> str:
    who = f"player {player} " if game.spec.num_players > 1 else ""
    score = f"; earned {', '.join(f'{points:g}' for points in earned.tolist())}" if earned.any() else ""
    return f"move {number + 1}: {who}{game.action_label(action)}{outlook}{score}"
