"""The recurrent computation. Every path, a module of this package, computes the same three things its own way:

``loss_and_gradients(network, batch, initial_state=None, noise=None) -> loss ()``
    sets ``grad`` of all six parameters (overwritten, not added to);
``logits(network, batch, initial_state=None, noise=None) -> (T, B, 17)`` and
``states(network, batch, initial_state=None, noise=None) -> (T, B, N)``
    without gradients.

A batch is T time steps of B trials. The loss is the mean cross-entropy in nats over all time steps that are not
padding, weighted where the batch says so, and what the network's rates cost. `initial_state` (B, N) is the state before
the first time step, 0 if none is given, into which no gradient flows; `noise` (T, B, N) the recurrent noise as it
enters the nonlinearity.

Which one is taken (`choose_path`): on the CPU ``kernel``, compiled code whose cost follows the synapses, at any density
(of a full network's step it takes two thirds of what dense products take, `make bench`); ``dense`` on a GPU, and on the
CPU where the kernel was not compiled or does not know the network's type of numbers.
``reference``, plain torch with automatic differentiation, is what the others are tested against.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import torch

from lmrnn.errors import ConfigError

if TYPE_CHECKING:
    from lmrnn.networks.model import LMRNN

PATHS = ("reference", "dense", "kernel")


def choose_path(network: LMRNN, device: torch.device | str, wanted: str = "auto") -> str:
    """Name of the path that computes a network on a device: the `wanted` one, or with ``auto`` by device and kernel.

    Raises ConfigError on an unknown path, or one that cannot compute this network here; warns (UserWarning) where
    ``auto`` takes a slower path on the CPU.
    """
    from lmrnn.networks import kernel

    if wanted != "auto":
        get_path(wanted)
        if wanted == "kernel" and (reason := kernel.why_not(network, device)):
            raise ConfigError(f"compute.path is 'kernel', but {reason}; allowed here: auto, reference, dense")
        return wanted
    if torch.device(device).type != "cpu":
        return "dense"
    if reason := kernel.why_not(network, device):
        warnings.warn(f"training takes the slower dense path: {reason}", stacklevel=2)
        return "dense"
    return "kernel"


def get_path(name: str) -> ModuleType:
    """The module of one of `PATHS`, with `loss_and_gradients`, `logits` and `states`; ConfigError on an unknown one."""
    if name not in PATHS:
        raise ConfigError(f"compute.path is {name!r}; allowed: auto, {', '.join(PATHS)}")
    return import_module(f"{__package__}.{name}")
