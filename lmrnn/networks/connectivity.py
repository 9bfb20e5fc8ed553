"""Which synapses exist: pairs of neurons, never a matrix.

Neurons sit on a square sheet, row by row; distances are Euclidean, in units of neighbouring neurons. The density is the
share of the N * N possible synapses that exist (the paper calls this number the sparsity: "sparsity 4%" is density
0.04). The kinds themselves are in `lmrnn.networks.kinds`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

import numpy as np

from lmrnn.errors import ConnectivityError
from lmrnn.networks import masks as masks  # registers the kind of files
from lmrnn.networks.kinds import Kind, find_kind, pairs_stream
from lmrnn.networks.registry import did_you_mean


@dataclass(frozen=True, eq=False)
class Connectivity:
    """The synapses of a network of N neurons, by pairs: no pair twice, no neuron but 0 to N - 1 (ConnectivityError).

    `neurons` is N (for `full_matched` fewer than were asked for), `post` and `pre` the receiving and sending neuron of
    each synapse, int64, (E,), read-only; those that were built are sorted. `label` is the name of the kind with its
    settings; `signs` are 1 or -1 of each neuron, (N,), where all its recurrent weights are to have that sign (Dale's
    law).

    >>> connectivity = build_connectivity({"kind": "local", "radius": 3}, 256)
    >>> connectivity.label, connectivity.synapses, round(connectivity.density, 4)
    ('local-r3', 5476, 0.0836)
    """

    neurons: int
    post: np.ndarray = field(repr=False)
    pre: np.ndarray = field(repr=False)
    label: str
    signs: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("post", "pre"):
            object.__setattr__(self, name, _neurons(getattr(self, name), name, self.neurons, self.label))
        if self.post.shape != self.pre.shape:
            shapes = f"post has {len(self.post)} synapses, pre has {len(self.pre)}"
            raise ConnectivityError(f"connectivity {self.label}: {shapes}; allowed: one of each per synapse")
        numbers = self.post * self.neurons + self.pre
        if not np.all(numbers[1:] > numbers[:-1]) and len(np.unique(numbers)) < len(numbers):
            found, counts = np.unique(numbers, return_counts=True)
            post, pre = divmod(int(found[np.argmax(counts)]), self.neurons)
            times = f"{len(numbers) - len(found)} synapses stand twice, e.g. that to neuron {post} from neuron {pre}"
            raise ConnectivityError(f"connectivity {self.label}: {times}; allowed: each pair of neurons once")
        if self.signs is not None and (self.signs.shape != (self.neurons,) or not np.all(np.abs(self.signs) == 1)):
            what = f"signs are of {self.signs.dtype}, {self.signs.shape}"
            raise ConnectivityError(f"connectivity {self.label}: {what}; allowed: 1 or -1 for each neuron")

    @property
    def synapses(self) -> int:
        """Number of synapses E."""
        return len(self.post)

    @property
    def density(self) -> float:
        """Share of the N * N possible synapses that exist."""
        return self.synapses / self.neurons**2

    @property
    def side(self) -> int | None:
        """Side of the square sheet; None where the number of neurons is no square."""
        side = math.isqrt(self.neurons)
        return side if side * side == self.neurons else None

    @property
    def in_degree(self) -> np.ndarray:
        """Number of synapses that each neuron receives, int64, (N,)."""
        return np.bincount(self.post, minlength=self.neurons)

    def matrix(self) -> np.ndarray:
        """Where a dense matrix W[post, pre] has a synapse, bool, (N, N)."""
        matrix = np.zeros((self.neurons, self.neurons), dtype=bool)
        matrix[self.post, self.pre] = True
        return matrix


def _neurons(values: np.ndarray, name: str, neurons: int, label: str) -> np.ndarray:
    """The neurons of all synapses as int64, read-only, in an array of their own where the caller's could change."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        what = f"{name} is an array of {array.dtype}, {array.shape}"
        raise ConnectivityError(f"connectivity {label}: {what}; allowed: whole numbers, one per synapse")
    if array.size and not 0 <= array.min() <= array.max() < neurons:
        what = f"{name} has neurons from {array.min()} to {array.max()}"
        raise ConnectivityError(f"connectivity {label}: {what}; allowed: 0 to {neurons - 1}")
    if array.dtype != np.int64 or array.flags.writeable:
        array = array.astype(np.int64)
        array.flags.writeable = False
    return array


def build_connectivity(spec: Mapping[str, Any] | str, neurons: int, seed: int = 0) -> Connectivity:
    """List the synapses of a network of N >= 1 neurons, the same for the same arguments.

    `spec` is ``kind`` and its settings: ``local`` (radius, boundary ``open`` or ``torus``), ``full``, ``autapse``,
    ``random`` (density, or radius and boundary of the local sheet of equal density; self_connections: each neuron
    surely has one to itself, else only by chance), ``small_world`` (radius, boundary, rewired: share of the synapses
    between different neurons that get another sender), ``ring`` (radius), ``full_matched`` (radius, boundary: full on
    as many neurons as give about the synapses of that local sheet), ``distance`` (length, density, profile
    ``exponential`` or ``gaussian``, boundary, self_connections), ``file`` (path: see `lmrnn.networks.masks`), or a kind
    of one's own; the name alone will do for a kind without settings. Kinds that lie on a sheet need a square number of
    neurons; only random kinds depend on the `seed` >= 0. Raises ConnectivityError on an unknown kind or key, or a value
    out of range.
    """
    spec = complete_connectivity(spec)
    validate_connectivity(spec, neurons)
    one = find_kind(spec["kind"], spec.get("plugin"))
    label, (post, pre) = one.label(spec), one.pairs(spec, neurons, pairs_stream(seed))
    size, synapses = one.exact_size(spec, neurons) if one.exact_size else (neurons, len(post))
    if len(post) != synapses:
        what = f"its size says {synapses} synapses, its pairs are {len(post)}"
        raise ConnectivityError(f"connectivity {one.name}: {what}")
    post, pre = _neurons(post, "post", size, label), _neurons(pre, "pre", size, label)
    if len(post) == len(pre):
        order = np.argsort(post * size + pre, kind="stable")
        post, pre = post[order], pre[order]
        post.flags.writeable = pre.flags.writeable = False
    return Connectivity(size, post, pre, label, masks.array_of(spec, "signs"))


def complete_connectivity(spec: Mapping[str, Any] | str) -> dict[str, Any]:
    """Fill in the defaults of a connectivity's settings, so that equal connectivities have equal specs.

    Whole-numbered values become integers. Raises ConnectivityError on an unknown kind or key, or a missing key.
    """
    given = {"kind": spec} if isinstance(spec, str) else dict(spec)
    name = given.pop("kind", None)
    one = find_kind(name, given.get("plugin"))
    for key in given:
        if key not in one.keys:
            allowed = ", ".join(one.keys) or "none"
            hint = did_you_mean(key, one.keys)
            raise ConnectivityError(f"connectivity {name}: unknown key {key!r}{hint}; allowed: {allowed}")
    complete = {key: given.get(key, rule.default) for key, rule in one.keys.items()}
    if one.settle:
        complete = one.settle(complete, given)
    missing = [key for key, value in complete.items() if value is ...]
    if missing:
        keys = ", ".join(one.keys)
        raise ConnectivityError(f"connectivity {name}: the key {missing[0]!r} is missing; keys: {keys}")
    return {"kind": one.name, **{key: _plain(value) for key, value in complete.items()}}


def _plain(value: Any) -> Any:
    """Numbers as JSON knows them, whole ones as integers: 3, 3.0 and numpy's 3 are the same setting."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return int(number) if number.is_integer() else number
    return value


def connectivity_label(spec: Mapping[str, Any] | str) -> str:
    """Name of a connectivity that is fit for file names and legends; different settings give different labels.

    Raises ConnectivityError as `complete_connectivity` does.

    >>> connectivity_label({"kind": "small_world", "radius": 3})
    'small_world-r3-p0.1'
    """
    spec = complete_connectivity(spec)
    return find_kind(spec["kind"], spec.get("plugin")).label(spec)


def validate_connectivity(spec: Mapping[str, Any] | str, neurons: int) -> None:
    """Refuse settings that no network of this size can have, as far as that shows without building it.

    Raises ConnectivityError that names the key, its value and what is allowed.
    """
    spec = complete_connectivity(spec)
    one, where = find_kind(spec["kind"], spec.get("plugin")), f"connectivity {spec['kind']}"
    if isinstance(neurons, bool) or not isinstance(neurons, int) or neurons < 1:
        raise ConnectivityError(f"{where}: neurons is {neurons!r}; allowed: a whole number >= 1")
    for key, rule in one.keys.items():
        left_out = key not in spec or (spec[key] is None and rule.default is None and not one.settle)
        if not left_out and (allowed := rule.allowed(spec[key], spec, neurons)):
            raise ConnectivityError(f"{where}: {key} is {spec[key]!r}; allowed: {allowed}")
    if one.exact_size:
        network_size(spec, neurons)


def network_size(spec: Mapping[str, Any] | str, neurons: int, seed: int = 0) -> tuple[int, int]:
    """Neurons (fewer than asked for where the kind matches synapses) and recurrent synapses of a network; exact.

    The seed matters only to kinds whose number of synapses is drawn.

    >>> network_size({"kind": "local", "radius": 2}, 16)
    (16, 100)
    """
    spec = complete_connectivity(spec)
    one = find_kind(spec["kind"], spec.get("plugin"))
    return _size(one, json.dumps(spec), neurons, 0 if one.exact_size else seed)


@lru_cache(maxsize=100_000)
def _size(one: Kind, spec: str, neurons: int, seed: int) -> tuple[int, int]:
    """Size by settings in JSON; kept, because a plan asks for the same few sizes thousands of times."""
    return one.size(json.loads(spec), neurons, seed)
