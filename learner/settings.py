"""What can be told to the learner: plain values, which a process reads that learns nothing itself."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class LearnerConfig:
    """How the network is fitted.

    The rate warms up over `warmup_updates`, then falls from `learning_rate` to `final_learning_rate` along a cosine of
    progress. `average_decay` is the decay per update of the running average of the weights, which is what gets
    published; 0 publishes the raw weights. `precision` "auto" takes bfloat16 where matrix products are faster in it.
    """

    batch_size: int = 1024
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-4
    warmup_updates: int = 200
    weight_decay: float = 1e-4
    max_gradient_norm: float = 1.0
    value_weight: float = 1.0
    average_decay: float = 0.998
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
