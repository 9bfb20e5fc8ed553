"""Networks: which synapses exist, the parameters, and the paths that compute the recurrence.

What needs torch is loaded when it is first used, so that planning does without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lmrnn.networks.connectivity import (
    Connectivity,
    build_connectivity,
    complete_connectivity,
    connectivity_label,
    network_size,
    validate_connectivity,
)

if TYPE_CHECKING:
    from lmrnn.networks.model import LMRNN
    from lmrnn.networks.paths import PATHS, choose_path, get_path

__all__ = [
    "LMRNN",
    "PARAMETERS",
    "PATHS",
    "Connectivity",
    "build_connectivity",
    "choose_path",
    "complete_connectivity",
    "connectivity_label",
    "get_path",
    "network_size",
    "validate_connectivity",
]
# Trained parameters of a network, in the order of Parameters in csrc/problem.h.
PARAMETERS = ("recurrent", "input", "rule", "bias", "readout", "readout_bias")
_LATER = {"LMRNN": "model", "PATHS": "paths", "choose_path": "paths", "get_path": "paths"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
