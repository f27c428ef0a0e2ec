"""A trained run against OpenSpiel's own MCTS, an opponent that shares no code with us.

    python -m cartridge.bench.openspiel_match RUN --games 100 --json bench/results/FILE.json

Games start from distinct random legal openings, each played from both seats. Every move of ours is checked against
OpenSpiel's rules. For games whose actions OpenSpiel numbers as we do: connect4 and tictactoe.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyspiel

from ..actor.evaluators import network_evaluator
from ..actor.policies import search_policy
from ..engine.transition import EngineState, start, transition
from ..services import store
from ..services.evaluation import Agent, evaluation_search, wilson
from .rows import host

_NAMES = {"connect4": "connect_four", "tictactoe": "tic_tac_toe"}
_UCT_C = 2.0
_MEMORY_MB = 512


def main() -> None:
    """Reads the command line, plays, prints and writes the result."""
    parser = argparse.ArgumentParser(description="play a run against OpenSpiel's MCTS")
    parser.add_argument("run", type=Path)
    parser.add_argument("--games", type=int, default=100)
    parser.add_argument("--simulations", type=int, default=64, help="ours")
    parser.add_argument("--opponent-simulations", type=int, default=1000)
    parser.add_argument("--opening-plies", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result = play(args)
    print(json.dumps(result, indent=1))
    if args.json:
        store.write_json(args.json, result)


def play(args: argparse.Namespace) -> dict[str, Any]:
    """Plays all games in lock step and counts."""
    agent = Agent.load(args.run)
    search = evaluation_search(agent.config.search, args.simulations)
    evaluate = network_evaluator(agent.game, agent.network, agent.params, symmetrise=True)
    policy = jax.jit(search_policy(agent.game, evaluate, search))
    step = jax.jit(jax.vmap(lambda state, action: transition(agent.game, state, action).state))

    theirs = [opening.clone() for opening in _openings(agent, args) for _ in range(2)]
    ours = _replay(agent, [state.history() for state in theirs], step)
    seats = np.arange(len(theirs)) % 2  # our player in each game
    bots = [_bot(state, args, seed) for seed, state in enumerate(theirs)]
    key = jax.random.PRNGKey(args.seed)
    while not all(state.is_terminal() for state in theirs):
        key, move_key = jax.random.split(key)
        choices = np.asarray(policy(ours, move_key))
        actions = np.zeros(len(theirs), np.int32)  # an over game absorbs whatever is played
        for index, state in enumerate(theirs):
            if not state.is_terminal():
                mine = state.current_player() == seats[index]
                actions[index] = choices[index] if mine else bots[index].step(state)
                state.apply_action(int(actions[index]))
        ours = step(ours, jnp.asarray(actions))
    rewards = np.array([state.returns()[seat] for state, seat in zip(theirs, seats, strict=True)])
    return _report(agent, args, search, rewards, seats)


def _openings(agent: Agent, args: argparse.Namespace) -> list[Any]:
    """Distinct live positions after random legal moves, half as many as games."""
    game = pyspiel.load_game(_NAMES[agent.game.spec.env_id])
    random = np.random.default_rng(args.seed)
    found: dict[str, Any] = {}
    while len(found) < args.games // 2:
        state = game.new_initial_state()
        for _ in range(args.opening_plies):
            state.apply_action(int(random.choice(state.legal_actions())))
        if not state.is_terminal():
            found.setdefault(str(state), state)
    return list(found.values())


def _replay(agent: Agent, histories: list[list[int]], step: Any) -> EngineState[Any]:
    """The same positions in our engine, [G]."""
    states = jax.vmap(lambda _: start(agent.game, jnp.zeros(2, jnp.uint32)))(jnp.arange(len(histories)))
    for actions in np.array(histories).T:
        states = step(states, jnp.asarray(actions, jnp.int32))
    return states


def _bot(state: Any, args: argparse.Namespace, seed: int) -> Any:
    """OpenSpiel's MCTS with random rollouts and its solver."""
    rollouts = pyspiel.RandomRolloutEvaluator(1, seed)
    return pyspiel.MCTSBot(
        state.get_game(), rollouts, _UCT_C, args.opponent_simulations, _MEMORY_MB, True, seed, False
    )


def _report(
    agent: Agent, args: argparse.Namespace, search: Any, rewards: np.ndarray, seats: np.ndarray
) -> dict[str, Any]:
    wins, losses = int(np.sum(rewards > 0)), int(np.sum(rewards < 0))
    score = (wins + (len(rewards) - wins - losses) / 2) / len(rewards)
    return {
        "game": agent.game.spec.env_id,
        "opponent": f"openspiel MCTS, {args.opponent_simulations} simulations, solver on, uct_c {_UCT_C}",
        "simulations": args.simulations,
        "lookahead": search.lookahead,
        "symmetrise": True,
        "games": len(rewards),
        "wins": wins,
        "draws": len(rewards) - wins - losses,
        "losses": losses,
        "score": score,
        "interval95": list(wilson(score, len(rewards))),
        "wins_by_seat": [int(np.sum(rewards[seats == seat] > 0)) for seat in (0, 1)],
        "opening_plies": args.opening_plies,
        "seed": args.seed,
        "weights": {"version": agent.manifest.version, "sha256": agent.manifest.sha256},
        "training": agent.training(),
        "host": host(),
    }


if __name__ == "__main__":
    main()
