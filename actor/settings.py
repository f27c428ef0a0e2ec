"""What can be told to search and self-play: plain values, which a process reads that plays nothing itself."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """How hard to think.

    `num_simulations` leaves are expanded per move. `gumbel_scale` is the exploration noise at the root, 0 in
    evaluation. `lookahead` plies are solved exactly at the root and at every leaf, where the game allows it.
    `value_scale` weighs values (in [-1, 1]) against the network's preferences. In games with chance only
    `num_simulations` counts, and whether there is noise.
    """

    num_simulations: int = 32
    num_considered: int = 16
    gumbel_scale: float = 1.0
    lookahead: int = 2
    value_scale: float = 0.4


@dataclasses.dataclass(frozen=True)
class SelfPlayConfig:
    """How games are played for training.

    A share of `opening_fraction` of the games starts after up to `opening_plies` random moves. `trace_decay` is the λ
    of the value targets: 1 for the outcome alone, 0 for the next search value alone.
    """

    num_games: int = 512
    unroll_length: int = 32
    opening_fraction: float = 0.6
    opening_plies: int = 30
    trace_decay: float = 0.9

    @property
    def rows_per_unroll(self) -> int:
        """T * B, the samples that one unroll gives."""
        return self.num_games * self.unroll_length
