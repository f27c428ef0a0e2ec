"""Every test runs strictly: rank promotion raises, warnings are errors (see pyproject.toml)."""

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
