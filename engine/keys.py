"""Where chance comes from: ChaCha20 gives every game its root key, threefry every draw after that.

A key is a pair of words. The root key of game i under a seed is what `ChaCha20Rng` of Rust's rand_chacha 0.3 gives as
its first two words after `seed_from_u64(seed)` and `set_stream(i)`, so that a program in another language can start the
same games. A block of it at every step would halve the speed of a light game, hence the lighter threefry-2x32.

Sources: RFC 8439 (ChaCha20); O'Neill, "PCG", 2014, by which rand_core 0.6 stretches a seed; Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", 2011 (threefry).
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Key = tuple[Array, Array]  # u32[] each, or u32[B] for B games

_CHACHA = np.frombuffer(b"expand 32-byte k", "<u4")
_DOUBLE_ROUNDS = 10
_PCG_MULTIPLIER, _PCG_INCREMENT = 6364136223846793005, 11634580027462260723
_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = np.uint32(0x1BD11BDA)
_ROUNDS = 13  # the fewest that passed the authors' test batteries


def zero_key() -> Key:
    """For games without chance, which never look at it."""
    return jnp.uint32(0), jnp.uint32(0)


def root_keys(seed: int | Array, num_games: int) -> Key:
    """(u32[B], u32[B]): a key a game, from the seed (see `seed_words`) and the game's index."""
    return _root_keys(seed_words(seed), num_games)


def seed_words(seed: int | Array) -> Array:
    """u32[2], the upper and the lower word of a seed.

    Args:
      seed: 0..2^64 - 1, or in a jitted function, where that is too wide, i32[], u32[] or what this returns.

    Raises:
      ValueError: a Python integer out of range.
    """
    if isinstance(seed, int | np.integer):
        if not 0 <= int(seed) < 1 << 64:
            raise ValueError(f"seed is {seed}, expected 0 to 2**64 - 1")
        return jnp.array([int(seed) >> 32, int(seed) & 0xFFFFFFFF], jnp.uint32)
    if seed.ndim == 1:
        return seed
    low = seed.astype(jnp.uint32)
    return jnp.stack([jnp.zeros_like(low), low])


def draw(key: Key, counter: Array | int) -> Key:
    """Fresh words number `counter` (u32[]) of `key`; each is uniform, and none says anything about another."""
    first = jnp.uint32(counter)
    return threefry2x32(key, (first, jnp.zeros_like(first)))


def word_pairs(key: Array, count: int) -> Key:
    """(u32[count], u32[count]): the first words of a key that is uint32[2]. One kernel, where `jax.random` loops."""
    index = jnp.arange(count, dtype=jnp.uint32)
    return threefry2x32((key[0], key[1]), (index, jnp.zeros_like(index)))


def below(word: Array, bound: Array | int) -> Array:
    """A number in 0..bound - 1, u32[], from the upper 16 bits of a random word.

    None is off its share by more than bound / 65536.
    """
    return ((word >> 16) * jnp.uint32(bound)) >> 16


def threefry2x32(key: Key, counter: Key, rounds: int = _ROUNDS) -> Key:
    """The threefry-2x32 block of `counter` under `key`."""
    schedule = (key[0], key[1], key[0] ^ key[1] ^ _PARITY)
    a, b = counter[0] + schedule[0], counter[1] + schedule[1]
    for number in range(rounds):
        a = a + b
        b = _rotate(b, _ROTATIONS[number % 8]) ^ a
        if number % 4 == 3:
            turn = number // 4 + 1
            a = a + schedule[turn % 3]
            b = b + schedule[(turn + 1) % 3] + np.uint32(turn)
    return a, b


def chacha20_block(key: Sequence[Array], tail: Sequence[Array]) -> list[Array]:
    """The sixteen words of a ChaCha20 block; `key` is eight words, `tail` the four of counter and nonce.

    RFC 8439, section 2.3.
    """
    constants = [jnp.broadcast_to(jnp.uint32(word), key[0].shape) for word in _CHACHA]
    first = jnp.stack([*constants, *key, *tail])  # [16, ...]

    def double_round(_: int, block: Array) -> Array:
        words = list(block)
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
            words[a], words[b], words[c], words[d] = _quarter_round(words[a], words[b], words[c], words[d])
        for a, b, c, d in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            words[a], words[b], words[c], words[d] = _quarter_round(words[a], words[b], words[c], words[d])
        return jnp.stack(words)

    return list(jax.lax.fori_loop(0, _DOUBLE_ROUNDS, double_round, first) + first)


def expand_seed(seed: int | Array) -> list[Array]:
    """The eight key words, u32[] each, that rand_core 0.6 makes of a 64-bit seed: a PCG32 stream."""
    words, both = [], seed_words(seed)
    state = both[0], both[1]  # from here on 64-bit numbers are pairs (high, low)
    for _ in range(8):
        state = _add_64(_multiply_64(state, _PCG_MULTIPLIER), _PCG_INCREMENT)
        high, low = state
        mixed_high, mixed_low = high >> 18 ^ high, (low >> 18 | high << 14) ^ low  # state ^ state >> 18
        xorshifted = mixed_low >> 27 | mixed_high << 5
        turn = high >> 27
        words.append(xorshifted >> turn | xorshifted << (-turn.astype(jnp.int32) & 31).astype(jnp.uint32))
    return words


@functools.partial(jax.jit, static_argnums=1)
def _root_keys(seed: Array, num_games: int) -> Key:
    words = expand_seed(seed)
    index = jnp.arange(num_games, dtype=jnp.uint32)
    zero = jnp.zeros_like(index)
    block = chacha20_block([jnp.broadcast_to(word, index.shape) for word in words], (zero, zero, index, zero))
    return block[0], block[1]


def _quarter_round(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array, Array, Array]:
    a = a + b
    d = _rotate(d ^ a, 16)
    c = c + d
    b = _rotate(b ^ c, 12)
    a = a + b
    d = _rotate(d ^ a, 8)
    c = c + d
    return a, _rotate(b ^ c, 7), c, d


def _rotate(word: Array, by: int) -> Array:
    return word << by | word >> (32 - by)


def _multiply_64(value: Key, factor: int) -> Key:
    """(high, low) words of the 64-bit product."""
    high, low = value
    factor_high, factor_low = np.uint32(factor >> 32), np.uint32(factor & 0xFFFFFFFF)
    return high * factor_low + low * factor_high + high_product(low, factor_low), low * factor_low


def high_product(a: Array, b: Array | np.uint32) -> Array:
    """The upper word of a 32 by 32 bit product, from four products of halves."""
    a0, a1, b0, b1 = a & 0xFFFF, a >> 16, b & 0xFFFF, b >> 16
    middle = a1 * b0 + (a0 * b0 >> 16)
    carry = (middle & 0xFFFF) + a0 * b1
    return a1 * b1 + (middle >> 16) + (carry >> 16)


def _add_64(value: Key, summand: int) -> Key:
    high, low = value
    total = low + np.uint32(summand & 0xFFFFFFFF)
    return high + np.uint32(summand >> 32) + (total < low).astype(jnp.uint32), total
