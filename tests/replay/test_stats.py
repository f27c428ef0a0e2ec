"""The numbers against the same ones computed at once, in plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import batch, codec
from cartridge.games.tictactoe import TicTacToe
from cartridge.replay import export
from cartridge.replay.export import Columns, Numbering
from cartridge.replay.stats import Stats

GAME = TicTacToe()
GAMES, MOVES = 5, 4


def table() -> Columns:
    """Five games in lock step, four moves each; the first three are alike."""
    states, _ = batch.init(GAME, 0, GAMES)
    words = []
    for move in range(MOVES):
        words.append(codec.pack_state(jax.tree.map(np.asarray, states)))
        actions = jnp.array([move, move, move, move + 1, 8 - move], jnp.int32)
        states, _ = batch.step(GAME, states, actions)
    rng = np.random.default_rng(0)
    policy = rng.dirichlet(np.ones(9), GAMES * MOVES).astype(np.float32)
    policy[0] = np.eye(9)[2]
    moves = np.repeat(np.arange(MOVES), GAMES)
    return Numbering(GAMES).take(0, moves) | {
        "move": moves,
        "state": np.concatenate(words),
        "policy": policy,
        "value": rng.uniform(-1, 1, GAMES * MOVES).astype(np.float32),
        "priority": rng.uniform(0, 3, GAMES * MOVES).astype(np.float32),
    }


@pytest.mark.parametrize("size", [1, 7, 20])
def test_it_is_what_numpy_says_of_the_whole(size: int) -> None:
    rows = table()
    stats = Stats(GAME)
    for start in range(0, GAMES * MOVES, size):
        stats.add(export.part(rows, start, start + size))
    found = stats.summary()
    assert (found["rows"], found["episodes"]) == (20, 5)
    assert found["episode_moves"] == {"mean": 4.0, "min": 4.0, "max": 4.0}
    assert found["player_to_move_share"] == [0.5, 0.5]
    value = rows["value"].astype(float)
    assert found["value"] == pytest.approx({"mean": value.mean(), "min": value.min(), "max": value.max()})
    entropies = [-sum(p * np.log(p) for p in row.tolist() if p) for row in rows["policy"]]
    assert found["policy_entropy_nats"]["mean"] == pytest.approx(np.mean(entropies))
    assert found["policy_entropy_nats"]["min"] == 0.0
    boards = rows["state"][:, :-1]  # without the clock
    assert found["distinct_positions_share"] == len({tuple(board) for board in boards.tolist()}) / 20
    priority = rows["priority"].astype(float)
    assert found["priority"]["effective_rows"] == pytest.approx(priority.sum() ** 2 / (priority**2).sum())
    assert found["priority"]["max"] == pytest.approx(priority.max())


def test_of_nothing_there_is_nothing_to_say() -> None:
    found = Stats(GAME).summary()
    assert found["rows"] == found["episodes"] == 0
    assert found["priority"] is None
    assert found["distinct_positions_share"] is None
