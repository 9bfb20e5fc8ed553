"""How many neurons and synapses a connectivity has, without listing them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lmrnn.networks.connectivity import complete_connectivity


def network_size(spec: Mapping[str, Any] | str, neurons: int) -> tuple[int, int]:
    """Neurons and recurrent synapses of a network.

    Parameters
    ----------
    spec : mapping or str
        As for `lmrnn.networks.connectivity.build_connectivity`.
    neurons : int
        ``network.neurons`` of the configuration.

    Returns
    -------
    tuple of int
        Neurons (fewer than asked for where the kind matches synapses) and synapses; exact, because no kind's count
        depends on its random draw.

    Examples
    --------
    >>> network_size({"kind": "local", "radius": 2}, 16)
    (16, 100)
    """
    spec = complete_connectivity(spec)
    kind = spec["kind"]
    if kind == "full":
        return neurons, neurons**2
    if kind == "autapse":
        return neurons, neurons
    if kind == "ring":
        offsets = np.arange(-((neurons - 1) // 2), neurons // 2 + 1)
        return neurons, neurons * int(np.count_nonzero(np.abs(offsets) < spec["radius"]))
    if kind == "random" and "density" in spec:
        return neurons, round(spec["density"] * neurons**2)
    local = _local_synapses(spec["radius"], spec["boundary"] == "torus", math.isqrt(neurons))
    if kind == "full_matched":
        size = round(math.sqrt(local))
        return size, size**2
    return neurons, local


def _local_synapses(radius: float, torus: bool, side: int) -> int:
    """Synapses of a local sheet: each offset counts the neurons that it leaves on the sheet."""
    low, high = (-((side - 1) // 2), side // 2) if torus else (1 - side, side - 1)
    offset = np.arange(low, high + 1)
    near = offset[:, None] ** 2 + offset**2 < radius**2  # (offsets down, offsets right)
    left = np.full_like(offset, side) if torus else side - np.abs(offset)
    return int(left @ near.astype(np.int64) @ left)
