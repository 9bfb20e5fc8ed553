"""The kinds of connectivity. Each is one function that returns the pairs of neurons that have a synapse.

Neurons sit on a square sheet, row by row; distances are Euclidean, in units of neighbouring neurons. A new kind needs a
function here, under `@kind` with its keys and their defaults, and nothing elsewhere.

References
----------
Khona, Chandra, Ma and Fiete (2023), Neural Computation 35(11): the locality mask.
Watts and Strogatz (1998), Nature 393: rewiring.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmrnn.errors import ConnectivityError

Pairs = tuple[np.ndarray, np.ndarray]  # post (E,), pre (E,), in any order
PairsFunction = Callable[[dict[str, Any], int, np.random.Generator], Pairs]


@dataclass(frozen=True)
class Kind:
    """One kind of connectivity.

    Parameters
    ----------
    pairs : callable
        From complete settings, number of neurons and generator to post and pre, int64, each (E,).
    keys : dict
        Its settings with their defaults; ``...`` = must be given.
    """

    pairs: PairsFunction
    keys: dict[str, Any]


KINDS: dict[str, Kind] = {}


def kind(name: str, **keys: object) -> Callable[[PairsFunction], PairsFunction]:
    """Register the function under it as a kind of connectivity.

    Parameters
    ----------
    name : str
        Its name in configurations.
    **keys : object
        Its settings with their defaults; ``...`` = must be given.

    Returns
    -------
    callable
        The decorator.
    """

    def register(pairs: PairsFunction) -> PairsFunction:
        KINDS[name] = Kind(pairs, keys)
        return pairs

    return register


@kind("local", radius=..., boundary="open")
def _local(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Neurons nearer than the radius, each to itself included: one shifted copy of the sheet per offset."""
    side, radius, torus = math.isqrt(neurons), spec["radius"], spec["boundary"] == "torus"
    index = np.arange(neurons).reshape(side, side)
    # on the torus every offset once, at its shortest; on the open sheet as far as the sheet goes
    low, high = (-((side - 1) // 2), side // 2) if torus else (1 - side, side - 1)
    reach = range(max(low, -math.ceil(radius)), min(high, math.ceil(radius)) + 1)
    post, pre = [], []
    for down, right in ((y, x) for y in reach for x in reach if y * y + x * x < radius * radius):
        if torus:
            receivers, senders = index, np.roll(index, (-down, -right), (0, 1))
        else:
            receivers, senders = _overlap(index, -down, -right), _overlap(index, down, right)
        post.append(receivers.ravel())
        pre.append(senders.ravel())
    return np.concatenate(post), np.concatenate(pre)


def _overlap(index: np.ndarray, down: int, right: int) -> np.ndarray:
    """The part of the sheet that is left when it is shifted by this offset."""
    rows, columns = index.shape
    return index[max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)]


@kind("full")
def _full(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Every neuron to every neuron."""
    every = np.arange(neurons)
    return np.repeat(every, neurons), np.tile(every, neurons)


@kind("autapse")
def _autapse(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Every neuron to itself only."""
    return np.arange(neurons), np.arange(neurons)


@kind("random", density=None, radius=None, boundary="open", self_connections=True)
def _random(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Exactly as many synapses as the density asks for, uniform among all sets of that size.

    The exact number, in place of a coin for each synapse, makes networks of equal density comparable.
    """
    wanted = round(spec["density"] * neurons**2) if "density" in spec else len(_local(spec, neurons, rng)[0])
    if not spec["self_connections"]:
        return np.divmod(_distinct(rng, neurons**2, wanted), neurons)
    # the other N - 1 senders of each neuron, numbered without the gap at the neuron itself
    post, pre = np.divmod(_distinct(rng, neurons * (neurons - 1), wanted - neurons), max(neurons - 1, 1))
    pre = pre + (pre >= post)
    every = np.arange(neurons)
    return np.concatenate([every, post]), np.concatenate([every, pre])


def _distinct(rng: np.random.Generator, population: int, wanted: int) -> np.ndarray:
    """A uniformly drawn set of distinct numbers below `population`, in memory of the order of the set."""
    if 2 * wanted > population:
        left_out = _distinct(rng, population, population - wanted)
        return np.delete(np.arange(population), left_out)
    found = np.empty(0, dtype=np.int64)
    while len(found) < wanted:
        missing = wanted - len(found)
        found = np.sort(np.concatenate([found, rng.integers(0, population, missing + missing // 8 + 8)]))
        found = found[np.diff(found, prepend=-1) > 0]
    surplus = rng.choice(len(found), len(found) - wanted, replace=False, shuffle=False)
    return np.delete(found, surplus)


@kind("small_world", radius=..., boundary="open", rewired=0.1)
def _small_world(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Local, with exactly the given share of the synapses between different neurons sent from elsewhere.

    Receivers keep their number of synapses, and their synapse from themselves; a new sender was none before.
    """
    post, pre = _local(spec, neurons, rng)
    others = np.flatnonzero(post != pre)
    moved = rng.permutation(others)[: round(spec["rewired"] * len(others))]
    kept = np.bincount(post, minlength=neurons)
    if np.any(np.bincount(post[moved], minlength=neurons) > neurons - kept):
        raise ConnectivityError(
            f"connectivity small_world: radius {spec['radius']} leaves too few other neurons for rewired "
            f"{spec['rewired']}; allowed: a smaller radius or share"
        )
    keys, pending = np.sort(post * neurons + pre), moved
    pre = pre.copy()
    while len(pending):
        candidates = post[pending] * neurons + rng.integers(0, neurons, len(pending))
        new, first = np.unique(candidates, return_index=True)
        free = ~np.isin(new, keys, assume_unique=True)
        pre[pending[first[free]]] = new[free] % neurons
        keys = np.concatenate([keys, new[free]])
        pending = np.delete(pending, first[free])
    return post, pre


@kind("ring", radius=...)
def _ring(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Neurons on a closed line, nearer than the radius along it."""
    offsets = np.arange(-((neurons - 1) // 2), neurons // 2 + 1)
    offsets = offsets[np.abs(offsets) < spec["radius"]]
    every = np.arange(neurons)
    return np.repeat(every, len(offsets)), ((every[:, None] + offsets) % neurons).ravel()


@kind("full_matched", radius=..., boundary="open")
def _full_matched(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Full on the number of neurons whose square is nearest to the number of synapses of the local sheet."""
    size = round(math.sqrt(len(_local(spec, neurons, rng)[0])))
    return _full(spec, size, rng)
