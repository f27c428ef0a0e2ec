"""Settings known to work well for a game on a kind of device. They lie under every source but the defaults."""

from collections.abc import Mapping
from typing import Any

from .config import Overrides

_TICTACTOE: Overrides = {
    "network": {"width": 128, "blocks": 2},
    "search": {"num_simulations": 16, "lookahead": 2},
    "selfplay": {
        "num_games": 256,
        "unroll_length": 10,
        "opening_fraction": 0.8,
        "opening_plies": 7,
        "trace_decay": 1.0,
    },
    "replay": {"capacity": 100_000, "min_rows": 5_000, "samples_per_move": 8.0},
    "learner": {"batch_size": 512, "learning_rate": 2e-3},
    "run": {"minutes": 1.5, "evaluate_minutes": 0.5, "eval_simulations": 32},
}

_CONNECT4_CPU: Overrides = {
    "network": {"width": 256, "blocks": 3, "stem": 4},
    "search": {"num_simulations": 16, "lookahead": 2},
    "selfplay": {"num_games": 512, "unroll_length": 32, "opening_fraction": 0.8, "opening_plies": 30},
    "replay": {"capacity": 600_000, "min_rows": 10_000},
}

_CONNECT4_ACCELERATOR: Overrides = {
    "network": {"kind": "conv", "width": 64, "blocks": 5},
    "search": {"num_simulations": 32, "lookahead": 2},
    "selfplay": {"num_games": 2048, "unroll_length": 32, "opening_fraction": 0.8, "opening_plies": 30},
    "replay": {"capacity": 2_000_000, "min_rows": 100_000},
    "learner": {"batch_size": 4096},
}

_PRESETS: Mapping[tuple[str, bool], Overrides] = {
    ("tictactoe", False): _TICTACTOE,
    ("tictactoe", True): _TICTACTOE,
    ("connect4", False): _CONNECT4_CPU,
    ("connect4", True): _CONNECT4_ACCELERATOR,
}


def preset(env_id: str, *, accelerator: bool) -> Mapping[str, Mapping[str, Any]]:
    """The preset of a game (options in the id do not change it), empty where there is none."""
    return _PRESETS.get((env_id.partition(":")[0], accelerator), {})
