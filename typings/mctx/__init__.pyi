"""The part of mctx this project uses, typed: its own records are chex dataclasses, which no type checker can read."""

from collections.abc import Callable
from typing import Any

from jax import Array

class RootFnOutput:
    def __init__(self, *, prior_logits: Array, value: Array, embedding: Any) -> None: ...

class RecurrentFnOutput:
    def __init__(self, *, reward: Array, discount: Array, prior_logits: Array, value: Array) -> None: ...

class DecisionRecurrentFnOutput:
    def __init__(self, *, chance_logits: Array, afterstate_value: Array) -> None: ...

class ChanceRecurrentFnOutput:
    action_logits: Array
    value: Array
    reward: Array
    discount: Array
    def __init__(self, *, action_logits: Array, value: Array, reward: Array, discount: Array) -> None: ...

class Tree:
    node_visits: Array  # i32[B, N]
    node_values: Array  # f32[B, N]
    children_visits: Array  # i32[B, N, A]

class PolicyOutput:
    action: Array  # i32[B]
    action_weights: Array  # f32[B, A]
    search_tree: Tree

def gumbel_muzero_policy(
    params: Any,
    rng_key: Array,
    root: RootFnOutput,
    recurrent_fn: Callable[[Any, Array, Array, Any], tuple[RecurrentFnOutput, Any]],
    num_simulations: int,
    invalid_actions: Array | None = ...,
    max_depth: int | None = ...,
    *,
    qtransform: Callable[..., Array] = ...,
    max_num_considered_actions: int = ...,
    gumbel_scale: float = ...,
) -> PolicyOutput: ...
def stochastic_muzero_policy(
    params: Any,
    rng_key: Array,
    root: RootFnOutput,
    decision_recurrent_fn: Callable[[Any, Array, Array, Any], tuple[DecisionRecurrentFnOutput, Any]],
    chance_recurrent_fn: Callable[[Any, Array, Array, Any], tuple[ChanceRecurrentFnOutput, Any]],
    num_simulations: int,
    invalid_actions: Array | None = ...,
    max_depth: int | None = ...,
    *,
    dirichlet_fraction: float = ...,
    dirichlet_alpha: float = ...,
    temperature: float = ...,
) -> PolicyOutput: ...
def qtransform_completed_by_mix_value(
    tree: Tree,
    node_index: Array,
    *,
    value_scale: float = ...,
    maxvisit_init: float = ...,
    rescale_values: bool = ...,
    use_mixed_value: bool = ...,
    epsilon: float = ...,
) -> Array: ...
