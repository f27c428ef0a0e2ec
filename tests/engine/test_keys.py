"""Random words against published vectors, against another implementation, and against the frequencies they promise."""

import random
import struct
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cartridge.engine import batch, keys
from cartridge.engine.transition import EngineState
from cartridge.registry import make_game
from jax import Array

# RFC 8439: section 2.3.2, and appendix A.1, vectors 1 and 2.
RFC_8439 = [
    (
        bytes(range(32)),
        "01000000" "000000090000004a00000000",
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
    ),
    (
        bytes(32),
        "00000000" "000000000000000000000000",
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    ),
    (
        bytes(32),
        "01000000" "000000000000000000000000",
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    ),
]

# Random123 1.09, kat_vectors: rounds, counter, key, result.
PI = ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344))
ONES = (0xFFFFFFFF, 0xFFFFFFFF)
THREEFRY = [
    (13, (0, 0), (0, 0), (0x9D1C5EC6, 0x8BD50731)),
    (13, ONES, ONES, (0xFD36D048, 0x2D17272C)),
    (13, *PI, (0xBA3E4725, 0xF27D669E)),
    (20, (0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    (20, ONES, ONES, (0x1CB996FC, 0xBB002BE7)),
    (20, *PI, (0xC4923A9C, 0x483DF7A0)),
]


def words_of(data: bytes) -> list[jax.Array]:
    return [jnp.uint32(word) for word in struct.unpack(f"<{len(data) // 4}I", data)]


@pytest.mark.parametrize(("key", "tail", "expected"), RFC_8439)
def test_chacha20_gives_the_blocks_of_the_rfc(key: bytes, tail: str, expected: str) -> None:
    block = keys.chacha20_block(words_of(key), words_of(bytes.fromhex(tail)))
    assert struct.pack("<16I", *map(int, block)).hex() == expected


@pytest.mark.parametrize(("rounds", "counter", "key", "expected"), THREEFRY)
def test_threefry_gives_the_published_words(rounds, counter, key, expected) -> None:
    pair = jnp.uint32(key[0]), jnp.uint32(key[1])
    block = keys.threefry2x32(pair, (jnp.uint32(counter[0]), jnp.uint32(counter[1])), rounds)
    assert tuple(map(int, block)) == expected


def pcg_seed(state: int) -> list[int]:
    """rand_core 0.6's `seed_from_u64` in plain integers, from its description."""
    words = []
    for _ in range(8):
        state = (state * 6364136223846793005 + 11634580027462260723) % 2**64
        xorshifted = (((state >> 18) ^ state) >> 27) % 2**32
        turn = state >> 59
        words.append((xorshifted >> turn | xorshifted << (32 - turn)) % 2**32)
    return words


def test_seeds_are_stretched_as_rand_core_does() -> None:
    chance = random.Random(0)
    for seed in [0, 1, 42, 2**32 - 1, 2**32, 2**63, 2**64 - 1, *(chance.getrandbits(64) for _ in range(50))]:
        assert [int(word) for word in keys.expand_seed(seed)] == pcg_seed(seed)


def test_a_traced_seed_gives_the_same_keys() -> None:
    plain = keys.root_keys(123456, 5)
    traced = jax.jit(keys.root_keys, static_argnums=1)(jnp.int32(123456), 5)
    np.testing.assert_array_equal(plain, traced)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed is {seed}, expected 0 to"):
        keys.root_keys(seed, 1)


def test_draws_of_neighbouring_keys_and_counters_look_uniform() -> None:
    """Bits are balanced and words uncorrelated where they would not be if keys or counters leaked through."""
    roots = keys.root_keys(0, 4096)
    counters = jnp.arange(16, dtype=jnp.uint32)
    drawn = jax.vmap(lambda counter: jnp.stack(keys.draw(roots, counter)))(counters)  # [16, 2, 4096]
    assert_looks_uniform(np.asarray(drawn).reshape(32, 4096))


def test_starts_of_successive_episodes_look_uniform() -> None:
    """Sixteen games that an illegal action ends 4,096 times: the words of every start, whose keys are not far apart."""
    game, illegal = make_game("cartpole"), jnp.full((16,), -1)

    def episode(states: EngineState[Any], _: None) -> tuple[EngineState[Any], Array]:
        assert states.key is not None
        return batch.step(game, states, illegal)[0], jnp.stack(keys.draw(states.key, 0))

    _, each = jax.lax.scan(episode, batch.init(game, 0, 16)[0], length=4096)  # [4096, 2, 16]
    assert_looks_uniform(np.asarray(each).transpose(1, 2, 0).reshape(32, 4096))


def assert_looks_uniform(streams: np.ndarray) -> None:
    """Of u32[32, 4096]: each bit of each stream is even, and no two streams go together."""
    bits = np.unpackbits(np.ascontiguousarray(streams).view(np.uint8), axis=1).reshape(32, 4096, 32)
    means = bits.mean(axis=1)  # [32, 32], each of 4,096 flips
    assert np.abs(means - 0.5).max() < 5.5 * 0.5 / 64
    flips = bits.reshape(32, -1).astype(np.float64) - 0.5
    correlation = flips @ flips.T / flips.shape[1] * 4 - np.eye(32)  # between streams, over 131,072 flips
    assert np.abs(correlation).max() < 5.5 / np.sqrt(flips.shape[1])
    after = flips[:, 32:].ravel() @ flips[:, :-32].ravel() / flips[:, 32:].size * 4  # of each draw with the next
    assert abs(after) < 5.5 / np.sqrt(flips[:, 32:].size)


@pytest.mark.parametrize("bound", [1, 2, 6, 10, 81])
def test_below_is_uniform(bound: int) -> None:
    words = keys.draw(keys.root_keys(1, 60_000), 3)[0]
    counts = np.bincount(np.asarray(jax.vmap(lambda word: keys.below(word, bound))(words)), minlength=bound)
    expected = 60_000 / bound
    assert len(counts) == bound
    assert ((counts - expected) ** 2 / expected).sum() < bound + 5 * np.sqrt(2 * bound) + 1e-9  # chi-squared
