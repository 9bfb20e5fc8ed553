"""Where neurons lie, for what depends on the length of synapses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lmrnn.errors import ConnectivityError
from lmrnn.networks.masks import array_of


def check_places(spec: Mapping[str, Any], neurons: int) -> None:
    """Raise ConnectivityError where the neurons of a network have no place."""
    none = np.zeros(0, np.int64)
    synapse_lengths(spec, neurons, none, none)


def synapse_lengths(spec: Mapping[str, Any], neurons: int, post: np.ndarray, pre: np.ndarray) -> np.ndarray:
    """Length of each synapse, (E,) float64, in units of neighbouring neurons: across the sheet, round its ends where
    its ``boundary`` is torus; along the closed line of the kind ``ring``; or, in the units of its file, between the
    positions that a mask gives.

    Raises ConnectivityError where neurons have no place: their number is no square, and no file gives positions.
    """
    if spec["kind"] == "ring":
        apart = np.abs(post - pre)
        return np.minimum(apart, neurons - apart).astype(float)
    positions = array_of(spec, "positions")
    if positions is not None:
        return np.linalg.norm(positions[post] - positions[pre], axis=1)
    if math.isqrt(neurons) ** 2 != neurons:
        what = f"{neurons} neurons are no square sheet, and their synapses have no length"
        allowed = "allowed with wiring_cost: a square number, or a mask with positions"
        raise ConnectivityError(f"connectivity {spec['kind']}: {what}; {allowed}")
    return sheet_lengths(math.isqrt(neurons), post, pre, torus=spec.get("boundary") == "torus")


def sheet_lengths(side: int, post: np.ndarray, pre: np.ndarray, torus: bool) -> np.ndarray:
    """Euclidean length of each synapse on a square sheet, (E,); on a torus the shorter way counts."""
    apart = np.abs(np.stack([post // side - pre // side, post % side - pre % side]))
    if torus:
        apart = np.minimum(apart, side - apart)
    return np.hypot(*apart)
