"""Philox 4x32-10 in NumPy, and pydl's numbers from it: the reference of the random tests."""
from __future__ import annotations

import numpy as np

GROUP = 64                                              # words of 16 consecutive blocks
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def blocks(seed: int, counters: np.ndarray) -> np.ndarray:
    """The four words of each block, shape (4, count)."""
    counters = counters.astype(np.uint64)
    a, b = counters & LOW, counters >> HALF
    c, d = np.zeros_like(a), np.zeros_like(a)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p, q = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b, c, d = (q >> HALF) ^ b ^ np.uint64(k0), q & LOW, (p >> HALF) ^ d ^ np.uint64(k1), p & LOW
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([a, b, c, d])


def words(seed: int, count: int, position: int = 0) -> np.ndarray:
    """`count` 32-bit words in pydl's order: sixteen blocks at a time, word by word."""
    groups = -(-count // GROUP)
    made = blocks(seed, np.arange(position, position + 16 * groups, dtype=np.uint64))
    return made.reshape(4, groups, 16).transpose(1, 0, 2).reshape(-1)[:count]


def pairs(seed: int, count: int, position: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(high, low) words of numbers that take two: the first and second word of 16 blocks, then the third and fourth."""
    grouped = words(seed, -(-count // 32) * GROUP, position).reshape(-1, 2, 2, 16)
    return grouped[:, :, 0].reshape(-1)[:count], grouped[:, :, 1].reshape(-1)[:count]


def uniform32(seed: int, count: int, position: int = 0) -> np.ndarray:
    return ((words(seed, count, position) >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)).astype(np.float32)


def uniform64(seed: int, count: int, position: int = 0) -> np.ndarray:
    high, low = pairs(seed, count, position)
    return (high >> np.uint64(5)).astype(np.float64) * 2.0**-27 + (low >> np.uint64(6)).astype(np.float64) * 2.0**-53


def normal32(seed: int, count: int, position: int = 0) -> np.ndarray:
    """float64 values of the float32 stream: Box & Muller on 32-bit words."""
    u, v = (w.astype(np.float64) * 2.0**-32 for w in pairs(seed, -(-count // GROUP) * 32, position))
    radius, angle = np.sqrt(-2 * np.log(u + 2.0**-32)), 2 * np.pi * v
    both = np.stack([radius * np.cos(angle), radius * np.sin(angle)]).reshape(2, -1, 16)
    return both.transpose(1, 0, 2).reshape(-1)[:count]


def mask(seed: int, shape: tuple[int, ...], p: float) -> np.ndarray:
    """Dropout's mask from the beginning of a stream."""
    count = int(np.prod(shape, dtype=int))
    return (words(seed, count) >= np.uint64(min(int(p * 2**32), 2**32 - 1))).reshape(shape)
