"""Independent random streams, one for each purpose, all derived from one seed.

A stream is addressed by a seed and a path of keys. Two different paths never share a stream, so that adding a task, a
split or a purpose leaves every other stream as it was.
"""

from __future__ import annotations

import hashlib

import numpy as np


def _key_words(key: int | str) -> tuple[int, ...]:
    """Words of 32 bits of one key; names are hashed, because spawn keys are integers."""
    if isinstance(key, str):
        digest = hashlib.sha256(key.encode()).digest()
        return tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    if key < 0:
        raise ValueError(f"a stream's key is a name or an integer >= 0, not {key}")
    return (0, int(key))


def sequence(seed: int, *keys: int | str) -> np.random.SeedSequence:
    """Seed sequence of the stream at a path of keys, e.g. ``"train", "dlygo", 3``, independent of that of every other
    path; all streams of one purpose share the seed >= 0. Raises ValueError on a negative seed or integer key.
    """
    if seed < 0:
        raise ValueError(f"a seed is an integer >= 0, not {seed}")
    words = tuple(word for key in keys for word in _key_words(key))
    return np.random.SeedSequence(seed, spawn_key=words)


def stream(seed: int, *keys: int | str) -> np.random.Generator:
    """Fresh PCG64 generator at the start of the stream at a path of keys (`sequence`, also for what it raises)."""
    return np.random.Generator(np.random.PCG64(sequence(seed, *keys)))


def torch_seed(seed: int, *keys: int | str) -> int:
    """Integer in 0 .. 2**63 - 1 that seeds a torch generator for the stream at a path of keys (`sequence`, also for
    what it raises).
    """
    return int(sequence(seed, *keys).generate_state(1, np.uint64)[0] >> np.uint64(1))
