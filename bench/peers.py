"""The simulators beside us, each in the ways its users run it and in the best way we know.

pgx runs in three variants: `pgx` with its own `auto_reset` and `act_randomly`; `pgx+our-sampler` with our random words
and the same draw of a legal action that our games get; and that with `+constant-reset`, a select of one fresh state,
where the start is constant but for the order of seats. EnvPool pins what we do not, so it lives in its own environment
(`make peers`) and is called there.
"""

import dataclasses
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import Array

from .random_words import first_words, random_true, xorshift

if TYPE_CHECKING:
    from pgx.core import EnvId

PGX_IDS: "Mapping[str, EnvId]" = {
    "tictactoe": "tic_tac_toe",
    "connect4": "connect_four",
    "othello": "othello",
    "hex": "hex",
    "go9x9": "go_9x9",
    "go19x19": "go_19x19",
    "chess": "chess",
    "backgammon": "backgammon",
    "2048": "2048",
    "kuhn_poker": "kuhn_poker",
    "leduc_poker": "leduc_holdem",
}
ENVPOOL_IDS: Mapping[str, str] = {
    "tictactoe": "TicTacToe-v1",
    "connect4": "ConnectFour-v1",
    "othello": "Othello-v1",
    "hex": "Hex-v1",
    "go9x9": "Go9x9-v1",
    "go19x19": "Go19x19-v1",
    "chess": "Chess-v1",
    "backgammon": "Backgammon-v1",
    "2048": "Play2048-v1",
    "kuhn_poker": "KuhnPoker-v1",
    "leduc_poker": "LeducHoldem-v1",
}
PGX, OUR_SAMPLER, CONSTANT_RESET = "pgx", "pgx+our-sampler", "pgx+our-sampler+constant-reset"
ENVPOOL = "envpool"
_CONSTANT_START = ("tictactoe", "connect4", "othello", "hex", "go9x9", "go19x19", "chess")
_ENVPOOL_PYTHON = Path(__file__).resolve().parent.parent / ".venv-envpool" / "bin" / "python"


class MissingPeerError(LookupError):
    """A peer that is not installed, or has no such game; the message says which and what to do."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PgxSeen:
    """A pgx state in the words of `compiled.Seen`."""

    reward: Array  # f32[B, P]
    terminated: Array  # bool[B]
    truncated: Array  # bool[B]
    observation: Array  # [B, ...]
    legal_actions: Array  # bool[B, A]


def pgx_variants(game: str, mode: str) -> list[str]:
    """The implementations to measure beside `game`; `MissingPeerError` where there are none."""
    if game not in PGX_IDS:
        raise MissingPeerError(f"pgx has no {game}")
    if find_spec("pgx") is None:
        raise MissingPeerError("pgx is not installed: run `make peers`, or pip install 'cartridge-rl[peers]'")
    if mode == "api":
        return [PGX]
    return [PGX, OUR_SAMPLER, *([CONSTANT_RESET] if game in _CONSTANT_START else [])]


def envpool_python(game: str, python: str | None = None) -> str:
    """The interpreter that has EnvPool; `MissingPeerError` where there is none, or it has no such game."""
    if game not in ENVPOOL_IDS:
        raise MissingPeerError(f"envpool has no {game}")
    chosen = Path(python) if python else _ENVPOOL_PYTHON
    if not chosen.exists():
        raise MissingPeerError(f"envpool is not installed: {chosen.name} is not in its environment; run `make peers`")
    return str(chosen)


def pgx_games(implementation: str, game: str, batch: int) -> "PgxGames | PgxWithOurSampler":
    """B games of pgx in one of the three variants, as `compiled.Games`."""
    if implementation == PGX:
        return PgxGames(game, batch)
    return PgxWithOurSampler(game, batch, constant_reset=implementation == CONSTANT_RESET)


def pgx_environment(game: str) -> Any:
    """pgx's own environment; it warns of nothing and downloads nothing for these games."""
    import pgx

    return pgx.make(PGX_IDS[game])


class PgxGames:
    """pgx as its documentation runs it."""

    packages = ("jax", "jaxlib", "pgx")

    def __init__(self, game: str, batch: int) -> None:
        from pgx.experimental import act_randomly, auto_reset

        self._environment, self._batch = pgx_environment(game), batch
        self._step = jax.vmap(auto_reset(self._environment.step, self._environment.init))
        self._act_randomly = act_randomly

    def start(self, seed: int) -> tuple[Any, Array]:
        key, first = jax.random.split(jax.random.PRNGKey(seed))
        return jax.vmap(self._environment.init)(jax.random.split(first, self._batch)), key

    def step(self, states: Any, random: Array) -> tuple[Any, Array, PgxSeen]:
        random, policy_key, step_key = jax.random.split(random, 3)
        actions = self._act_randomly(policy_key, states.legal_action_mask)
        states = self._step(states, actions, jax.random.split(step_key, self._batch))
        return states, random, pgx_seen(states)


class PgxWithOurSampler:
    """pgx with the policy and the random words of our own loop."""

    packages = ("jax", "jaxlib", "pgx")

    def __init__(self, game: str, batch: int, constant_reset: bool) -> None:
        from pgx.experimental import auto_reset

        self._environment, self._batch, self._constant_reset = pgx_environment(game), batch, constant_reset
        self._auto_reset = auto_reset(self._environment.step, self._environment.init)

    def start(self, seed: int) -> tuple[Any, Array]:
        keys = jax.random.split(jax.random.PRNGKey(seed), self._batch)
        return jax.vmap(self._environment.init)(keys), first_words(seed, self._batch)

    def step(self, states: Any, random: Array) -> tuple[Any, Array, PgxSeen]:
        random = xorshift(random)
        actions = jax.vmap(random_true)(states.legal_action_mask, random)
        if not self._constant_reset:
            keys = jnp.stack([random, ~random], axis=1)  # a key a game for the price of two words
            states = jax.vmap(self._auto_reset)(states, actions, keys)
            return states, random, pgx_seen(states)
        moved = jax.vmap(self._environment.step)(states, actions)
        fresh = self._environment.init(jax.random.PRNGKey(0))
        states = jax.vmap(_replaced, (0, None, 0))(moved.terminated | moved.truncated, fresh, moved)
        seen = dataclasses.replace(
            pgx_seen(states), reward=moved.rewards, terminated=moved.terminated, truncated=moved.truncated
        )
        return states, random, seen


def pgx_seen(states: Any) -> PgxSeen:
    """What a pgx state shows after a step."""
    return PgxSeen(states.rewards, states.terminated, states.truncated, states.observation, states.legal_action_mask)


def _replaced(ended: Array, fresh: Any, moved: Any) -> Any:
    """One game: `fresh` where it ended."""
    return jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, moved)
