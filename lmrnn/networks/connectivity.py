"""Which synapses exist: pairs of neurons, never a matrix.

Neurons sit on a square sheet, row by row; distances are Euclidean, in units of neighbouring neurons. The density is the
share of the N * N possible synapses that exist (the paper calls this number the sparsity: "sparsity 4%" is density
0.04). The kinds themselves are in `lmrnn.networks.kinds`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from lmrnn.errors import ConnectivityError
from lmrnn.networks.kinds import KINDS
from lmrnn.seeds import stream

BOUNDARIES = ("open", "torus")


@dataclass(frozen=True, eq=False)
class Connectivity:
    """The synapses of a network.

    Parameters
    ----------
    neurons : int
        Number of neurons N (for `full_matched` fewer than were asked for).
    post, pre : numpy.ndarray
        Receiving and sending neuron of each synapse, int64, (E,), sorted by (post, pre), read-only.
    label : str
        Name of the kind with its settings, e.g. ``local-r3``.

    Examples
    --------
    >>> connectivity = build_connectivity({"kind": "local", "radius": 3}, 256)
    >>> connectivity.label, connectivity.synapses, round(connectivity.density, 4)
    ('local-r3', 5476, 0.0836)
    """

    neurons: int
    post: np.ndarray = field(repr=False)
    pre: np.ndarray = field(repr=False)
    label: str

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

    @property
    def self_synapses(self) -> np.ndarray:
        """Positions, in the list of synapses, of those from a neuron to itself; int64, at most N."""
        return np.flatnonzero(self.post == self.pre)

    def matrix(self) -> np.ndarray:
        """Where a dense matrix W[post, pre] has a synapse, bool, (N, N)."""
        matrix = np.zeros((self.neurons, self.neurons), dtype=bool)
        matrix[self.post, self.pre] = True
        return matrix


def build_connectivity(spec: Mapping[str, Any], neurons: int, seed: int = 0) -> Connectivity:
    """List the synapses of a network.

    Parameters
    ----------
    spec : mapping
        ``kind`` and its settings: ``local`` (radius, boundary ``open`` or ``torus``), ``full``, ``autapse``, ``random``
        (density, or radius and boundary of the local sheet of equal density; self_connections: each neuron surely has
        one to itself, else only by chance), ``small_world`` (radius, boundary, rewired: share of the synapses between
        different neurons that get another sender), ``ring`` (radius), ``full_matched`` (radius, boundary: full on as
        many neurons as give about the synapses of that local sheet).
    neurons : int
        Number of neurons N >= 1; a square number for kinds that lie on a sheet.
    seed : int
        Seed >= 0 of the random kinds; the others do not depend on it.

    Returns
    -------
    Connectivity
        The same for the same arguments.

    Raises
    ------
    ConnectivityError
        On an unknown kind or key, or a value out of range.
    """
    spec = complete_connectivity(spec)
    validate_connectivity(spec, neurons)
    post, pre = KINDS[spec["kind"]].pairs(spec, neurons, stream(seed, "connectivity"))
    size = math.isqrt(len(post)) if spec["kind"] == "full_matched" else neurons
    order = np.argsort(post * size + pre, kind="stable")
    post, pre = post[order], pre[order]
    post.flags.writeable = pre.flags.writeable = False
    return Connectivity(size, post, pre, connectivity_label(spec))


def complete_connectivity(spec: Mapping[str, Any] | str) -> dict[str, Any]:
    """Fill in the defaults of a connectivity's settings, so that equal connectivities have equal specs.

    Parameters
    ----------
    spec : mapping or str
        As for `build_connectivity`; the name alone will do for a kind without settings.

    Returns
    -------
    dict
        Complete; whole-numbered radii are integers.

    Raises
    ------
    ConnectivityError
        On an unknown kind or key, or a missing key.
    """
    given = {"kind": spec} if isinstance(spec, str) else dict(spec)
    name = given.pop("kind", None)
    if not isinstance(name, str) or name not in KINDS:
        raise ConnectivityError(f"connectivity kind is {name!r}{_nearest(name, KINDS)}; allowed: {', '.join(KINDS)}")
    keys = KINDS[name].keys
    for key in given:
        if key not in keys:
            allowed = ", ".join(keys) or "none"
            raise ConnectivityError(
                f"connectivity {name}: unknown key {key!r}{_nearest(key, keys)}; allowed: {allowed}"
            )
    complete = {"kind": name, **{key: default for key, default in keys.items() if default is not ...}, **given}
    if name == "random":
        _choose_density(complete, given)
    missing = [key for key, default in keys.items() if default is ... and key not in given]
    if missing:
        raise ConnectivityError(f"connectivity {name}: the key {missing[0]!r} is missing; keys: {', '.join(keys)}")
    for key in ("radius", "density", "rewired"):
        if isinstance(complete.get(key), float) and complete[key].is_integer():
            complete[key] = int(complete[key])
    return complete


def _choose_density(complete: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Keep either the density or the sheet whose density is meant."""
    if ("density" in given) == ("radius" in given):
        raise ConnectivityError("connectivity random: give either density, in (0, 1], or the radius of a local sheet")
    for key in ("radius", "boundary") if "density" in given else ("density",):
        if key in given:
            raise ConnectivityError(f"connectivity random: {key} has no meaning beside density; leave it out")
        complete.pop(key, None)


def _nearest(name: object, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def connectivity_label(spec: Mapping[str, Any] | str) -> str:
    """Name of a connectivity that is fit for file names and legends.

    Parameters
    ----------
    spec : mapping or str
        As for `build_connectivity`.

    Returns
    -------
    str
        E.g. ``local-r3-torus``, ``random-d0.1-noself``; different settings give different labels.

    Raises
    ------
    ConnectivityError
        As `complete_connectivity`.

    Examples
    --------
    >>> connectivity_label({"kind": "small_world", "radius": 3})
    'small_world-r3-p0.1'
    """
    spec = complete_connectivity(spec)
    letters = {"radius": "r", "density": "d", "rewired": "p"}
    parts = [spec["kind"]] + [f"{letter}{spec[key]!r}" for key, letter in letters.items() if key in spec]
    if spec.get("boundary") == "torus":
        parts.append("torus")
    if spec.get("self_connections") is False:
        parts.append("noself")
    return "-".join(parts)


def validate_connectivity(spec: Mapping[str, Any] | str, neurons: int) -> None:
    """Refuse settings that no network of this size can have, without building anything.

    Parameters
    ----------
    spec : mapping or str
        As for `build_connectivity`.
    neurons : int
        Number of neurons.

    Raises
    ------
    ConnectivityError
        Naming the key, its value and what is allowed.
    """
    spec = complete_connectivity(spec)
    where = f"connectivity {spec['kind']}"
    if isinstance(neurons, bool) or not isinstance(neurons, int) or neurons < 1:
        raise ConnectivityError(f"{where}: neurons is {neurons!r}; allowed: a whole number >= 1")
    if "boundary" in spec:
        _check_sheet(spec, neurons, where)
    if "radius" in spec:
        # beyond this distance every neuron reaches every other one
        limit = neurons if spec["kind"] == "ring" else math.sqrt(2 * neurons)
        _check_number(where, "radius", spec["radius"], 0, limit)
    if "density" in spec:
        _check_number(where, "density", spec["density"], 0, 1)
        if spec["self_connections"] and round(spec["density"] * neurons**2) < neurons:
            lowest = f"at least 1/neurons = {1 / neurons:.3g} with self_connections"
            raise ConnectivityError(
                f"{where}: density is {spec['density']!r}; allowed: {lowest}, or self_connections: false"
            )
    if "rewired" in spec:
        _check_number(where, "rewired", spec["rewired"], 0, 1, lowest_allowed=True)
    if not isinstance(spec.get("self_connections", True), bool):
        raise ConnectivityError(f"{where}: self_connections is {spec['self_connections']!r}; allowed: true, false")


def _check_sheet(spec: Mapping[str, Any], neurons: int, where: str) -> None:
    if spec["boundary"] not in BOUNDARIES:
        raise ConnectivityError(f"{where}: boundary is {spec['boundary']!r}; allowed: {', '.join(BOUNDARIES)}")
    side = math.isqrt(neurons)
    if side * side != neurons:
        near = f"{side * side} or {(side + 1) ** 2}"
        raise ConnectivityError(f"{where}: neurons is {neurons}; allowed: a square number for a sheet, e.g. {near}")


def _check_number(where: str, key: str, value: object, low: float, high: float, lowest_allowed: bool = False) -> None:
    """Refuse what is no number in (low, high], or [low, high]."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not (low <= value <= high) or (value == low and not lowest_allowed):
        bracket = "[" if lowest_allowed else "("
        raise ConnectivityError(f"{where}: {key} is {value!r}; allowed: a number in {bracket}{low}, {high:.6g}]")
