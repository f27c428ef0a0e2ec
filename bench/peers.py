"""The simulators beside us, each in the ways its users run it and in the best way we know.

Which of them has which game, and whether it is installed. How they run is told by `pgx_games`, `gymnax_games`,
`open_spiel_calls` and `envpool_calls`. EnvPool pins what we do not, so it lives in its own environment (`make peers`)
and is called there.
"""

import dataclasses
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import jax
from jax import Array

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
GYMNAX_IDS: Mapping[str, str] = {
    "breakout": "Breakout-MinAtar",
    "asterix": "Asterix-MinAtar",
    "freeway": "Freeway-MinAtar",
    "space_invaders": "SpaceInvaders-MinAtar",
    "cartpole": "CartPole-v1",
}
OPEN_SPIEL_IDS: Mapping[str, str] = {
    "tictactoe": "tic_tac_toe",
    "connect4": "connect_four",
    "othello": "othello",
    "hex": "hex",
    "go9x9": "go(board_size=9)",
    "go19x19": "go(board_size=19)",
    "gomoku": "gomoku",
    "breakthrough": "breakthrough",
    "chess": "chess",
    "backgammon": "backgammon",
    "2048": "2048",
    "kuhn_poker": "kuhn_poker",
    "leduc_poker": "leduc_poker",
}
PGX, OUR_SAMPLER, CONSTANT_RESET = "pgx", "pgx+our-sampler", "pgx+our-sampler+constant-reset"
GYMNAX, GYMNAX_OUR_SAMPLER = "gymnax", "gymnax+our-sampler"
ENVPOOL, OPEN_SPIEL = "envpool", "open_spiel"
_CONSTANT_START = ("tictactoe", "connect4", "othello", "hex", "go9x9", "go19x19", "chess")
_ENVPOOL_PYTHON = Path(__file__).resolve().parent.parent / ".venv-envpool" / "bin" / "python"


class MissingPeerError(LookupError):
    """A peer that is not installed, or has no such game; the message says which and what to do."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Shown:
    """What a peer shows after a step, in the words of `compiled.Seen`."""

    reward: Array  # f32[B, P]
    terminated: Array  # bool[B]
    truncated: Array  # bool[B]
    observation: Array  # [B, ...]
    legal_actions: Array  # bool[B, A]


def pgx_variants(game: str, mode: str) -> list[str]:
    """The variants of pgx to measure beside `game`; `MissingPeerError` where there are none."""
    _require("pgx", PGX_IDS, game)
    if mode == "api":
        return [PGX]
    return [PGX, OUR_SAMPLER, *([CONSTANT_RESET] if game in _CONSTANT_START else [])]


def gymnax_variants(game: str, mode: str) -> list[str]:
    """The same for gymnax."""
    _require("gymnax", GYMNAX_IDS, game)
    return [GYMNAX] if mode == "api" else [GYMNAX, GYMNAX_OUR_SAMPLER]


def open_spiel_variants(game: str, mode: str) -> list[str]:
    """The same for OpenSpiel, which has no compiled loop."""
    _require("open_spiel", OPEN_SPIEL_IDS, game, module="pyspiel")
    return [OPEN_SPIEL] if mode == "api" else []


def envpool_python(game: str, python: str | None = None) -> str:
    """The interpreter that has EnvPool; `MissingPeerError` where there is none, or it has no such game."""
    if game not in ENVPOOL_IDS:
        raise MissingPeerError(f"envpool has no {game}")
    chosen = Path(python) if python else _ENVPOOL_PYTHON
    if not chosen.exists():
        raise MissingPeerError(f"envpool is not installed: {chosen.name} is not in its environment; run `make peers`")
    return str(chosen)


def _require(package: str, ids: Mapping[str, str], game: str, module: str | None = None) -> None:
    if game not in ids:
        raise MissingPeerError(f"{package} has no {game}")
    if find_spec(module or package) is None:
        raise MissingPeerError(f"{package} is not installed: run `make peers`, or pip install 'cartridge-rl[peers]'")
