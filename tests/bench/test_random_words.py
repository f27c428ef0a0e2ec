"""The draw for peers is the engine's own, on both sides of the size up to which it is written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.bench.random_words import first_words, random_true, xorshift
from cartridge.engine import bits


@pytest.mark.parametrize("size", [9, 40])
def test_peers_draw_as_the_engine_does(size: int) -> None:
    masks = np.random.default_rng(size).random((500, size)) < 0.4
    masks[:, size // 2] = True
    words = xorshift(first_words(0, 500))
    ours = jax.vmap(lambda mask, word: bits.random_member(bits.pack(mask), word))(jnp.asarray(masks), words)
    assert jax.vmap(random_true)(jnp.asarray(masks), words).tolist() == ours.tolist()
    assert masks[np.arange(500), ours].all()
