"""The kinds of connectivity: each gives its pairs of neurons, its keys with what they may be, its size and its label.

Neurons sit on a square sheet, row by row; distances are Euclidean, in units of neighbouring neurons. A new kind is one
function here under `@kind` with its keys and their defaults, and nothing elsewhere:

    @kind("half_local", radius=..., boundary="open")
    def half_local(spec, neurons, rng):
        post, pre = KINDS["local"].pairs(spec, neurons, rng)
        return post[::2], pre[::2]

References
----------
Khona, Chandra, Ma and Fiete (2023), Neural Computation 35(11): the locality mask.
Watts and Strogatz (1998), Nature 393: rewiring.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lmrnn.errors import ConnectivityError
from lmrnn.networks.keys import Choice, Number
from lmrnn.networks.registry import KINDS, Kind, Pairs, find_kind, kind, pairs_stream

__all__ = ["KINDS", "Kind", "Pairs", "find_kind", "kind", "pairs_stream"]


def _near(length: int, radius: float, closed: bool) -> np.ndarray:
    """Offsets along a line of neurons nearer than the radius; round a closed line each neuron once, at its nearest."""
    offsets = np.arange(-((length - 1) // 2), length // 2 + 1) if closed else np.arange(1 - length, length)
    return offsets[np.abs(offsets) < radius]


def _local_size(spec: dict[str, Any], neurons: int) -> tuple[int, int]:
    """Each offset counts the neurons that it leaves on the sheet."""
    side, torus = math.isqrt(neurons), spec["boundary"] == "torus"
    offset = _near(side, spec["radius"], torus)
    near = offset[:, None] ** 2 + offset**2 < spec["radius"] ** 2  # (offsets down, offsets right)
    left = np.full_like(offset, side) if torus else side - np.abs(offset)
    return neurons, int(left @ near.astype(np.int64) @ left)


@kind("local", _local_size, radius=..., boundary="open")
def _local(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Neurons nearer than the radius, each to itself included: one shifted copy of the sheet per offset."""
    side, radius, torus = math.isqrt(neurons), spec["radius"], spec["boundary"] == "torus"
    index = np.arange(neurons).reshape(side, side)
    reach = _near(side, radius, torus).tolist()
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


@kind("full", lambda spec, neurons: (neurons, neurons**2))
def _full(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Every neuron to every neuron."""
    every = np.arange(neurons)
    return np.repeat(every, neurons), np.tile(every, neurons)


@kind("autapse", lambda spec, neurons: (neurons, neurons))
def _autapse(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Every neuron to itself only."""
    return np.arange(neurons), np.arange(neurons)


def _random_size(spec: dict[str, Any], neurons: int) -> tuple[int, int]:
    """Exactly as many synapses as the density or the local sheet asks for."""
    return _local_size(spec, neurons) if "density" not in spec else _dense_size(spec, neurons)


def _dense_size(spec: dict[str, Any], neurons: int) -> tuple[int, int]:
    """Exactly as many synapses as the density asks for."""
    synapses = round(spec["density"] * neurons**2)
    if spec["self_connections"] and synapses < neurons:
        lowest = f"at least 1/neurons = {1 / neurons:.3g} with self_connections"
        what = f"density is {spec['density']!r}; allowed: {lowest}, or self_connections: false"
        raise ConnectivityError(f"connectivity {spec['kind']}: {what}")
    return neurons, synapses


def _density_or_radius(spec: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Keep either the density or the sheet whose density is meant."""
    if ("density" in given) == ("radius" in given):
        raise ConnectivityError("connectivity random: give either density, in (0, 1], or the radius of a local sheet")
    without = ("radius", "boundary") if "density" in given else ("density",)
    for key in without:
        if key in given:
            raise ConnectivityError(f"connectivity random: {key} has no meaning beside density; leave it out")
    return {key: value for key, value in spec.items() if key not in without}


@kind("random", _random_size, _density_or_radius, density=None, radius=None, boundary="open", self_connections=True)
def _random(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Exactly as many synapses as the density asks for, uniform among all sets of that size.

    The exact number, in place of a coin for each synapse, makes networks of equal density comparable.
    """
    wanted = _random_size(spec, neurons)[1]
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


@kind("small_world", _local_size, radius=..., boundary="open", rewired=0.1)
def _small_world(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Local, with exactly the given share of the synapses between different neurons sent from elsewhere.

    Receivers keep their number of synapses, and their synapse from themselves; a new sender was none before.
    """
    post, pre = _local(spec, neurons, rng)
    others = np.flatnonzero(post != pre)
    moved = rng.permutation(others)[: round(spec["rewired"] * len(others))]
    kept = np.bincount(post, minlength=neurons)
    if np.any(np.bincount(post[moved], minlength=neurons) > neurons - kept):
        what = f"radius {spec['radius']} leaves too few other neurons for rewired {spec['rewired']}"
        raise ConnectivityError(f"connectivity small_world: {what}; allowed: a smaller radius or share")
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


_PROFILE = Choice("exponential", texts=(("exponential", ""), ("gaussian", "gaussian")))
_MOST_AT_ONCE = 4_000_000  # pairs whose distances are in memory together


@kind(
    *("distance", _dense_size),
    length=Number(low=0, letter="l"),
    density=...,
    profile=_PROFILE,
    boundary="open",
    self_connections=True,
)
def _distance(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Exactly as many synapses as the density asks for, drawn one by one with weights that fall with distance.

    The weight of a pair at distance d is exp(-d / length), or exp(-d^2 / (2 length^2)). Drawing without replacement is
    taking the pairs with the largest log(weight) + Gumbel noise (Efraimidis and Spirakis 2006, Inf. Process. Lett. 97).
    """
    own = np.arange(neurons) if spec["self_connections"] else np.arange(0)
    wanted = _dense_size(spec, neurons)[1] - len(own)
    best, number = np.empty(0), np.empty(0, np.int64)
    rows = max(1, _MOST_AT_ONCE // neurons)
    for first in range(0, neurons, rows):
        post = np.arange(first, min(first + rows, neurons))
        score = _log_weight(spec, post, neurons) + rng.gumbel(size=(len(post), neurons))
        if len(own):
            score[np.arange(len(post)), post] = -np.inf
        best = np.concatenate([best, score.ravel()])
        number = np.concatenate([number, np.arange(first * neurons, (first + len(post)) * neurons)])
        if len(best) > wanted:
            kept = np.argpartition(-best, wanted)[:wanted] if wanted else slice(0)
            best, number = best[kept], number[kept]
    post, pre = np.divmod(number, neurons)
    return np.concatenate([own, post]), np.concatenate([own, pre])


def _log_weight(spec: dict[str, Any], post: np.ndarray, neurons: int) -> np.ndarray:
    """Logarithm of the weight of each pair of these neurons and all senders, (len(post), N)."""
    side = math.isqrt(neurons)
    apart = np.abs(np.arange(side)[:, None] - np.arange(side))
    if spec["boundary"] == "torus":
        apart = np.minimum(apart, side - apart)
    down, right = apart[post // side], apart[post % side]  # (len(post), side)
    square = (down[:, :, None] ** 2 + right[:, None, :] ** 2).reshape(len(post), neurons)
    if spec["profile"] == "gaussian":
        return -square / (2 * spec["length"] ** 2)
    return -np.sqrt(square) / spec["length"]


@kind("ring", lambda spec, neurons: (neurons, neurons * len(_near(neurons, spec["radius"], True))), radius=...)
def _ring(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Neurons on a closed line, nearer than the radius along it."""
    offsets = _near(neurons, spec["radius"], closed=True)
    every = np.arange(neurons)
    return np.repeat(every, len(offsets)), ((every[:, None] + offsets) % neurons).ravel()


def _matched_size(spec: dict[str, Any], neurons: int) -> tuple[int, int]:
    """The number of neurons whose square is nearest to the number of synapses of the local sheet."""
    size = round(math.sqrt(_local_size(spec, neurons)[1]))
    return size, size**2


@kind("full_matched", _matched_size, radius=..., boundary="open")
def _full_matched(spec: dict[str, Any], neurons: int, rng: np.random.Generator) -> Pairs:
    """Full on as many neurons as give about the synapses of the local sheet."""
    return _full(spec, _matched_size(spec, neurons)[0], rng)
