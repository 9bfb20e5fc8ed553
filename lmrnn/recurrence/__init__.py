"""The recurrent computation. Every path, a module of this package, computes the same three things its own way:

``loss_and_gradients(network, batch, initial_state=None, noise=None) -> (loss (), final state (B, N))``
    sets ``grad`` of all six parameters (overwritten, not added to);
``logits(network, batch, initial_state=None, noise=None) -> (T, B, 17)`` and
``states(network, batch, initial_state=None, noise=None) -> (T, B, N)``
    without gradients.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from lmrnn.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from lmrnn.network import LMRNN

PATHS = ("reference",)


def choose_path(network: LMRNN, device: torch.device | str, wanted: str = "auto") -> str:
    """Name of the path that computes a network on a device.

    Parameters
    ----------
    network : LMRNN
        The network.
    device : torch.device or str
        Where it is to run.
    wanted : str
        A path by name, or ``auto``: plain torch, the only one that runs everywhere.

    Returns
    -------
    str
        One of `PATHS`.

    Raises
    ------
    ConfigError
        On an unknown path.
    """
    if wanted == "auto":
        return "reference"
    get_path(wanted)
    return wanted


def get_path(name: str) -> ModuleType:
    """The module of a path.

    Parameters
    ----------
    name : str
        One of `PATHS`.

    Returns
    -------
    module
        With `loss_and_gradients`, `logits` and `states`.

    Raises
    ------
    ConfigError
        On an unknown path.
    """
    if name not in PATHS:
        raise ConfigError(f"compute.path is {name!r}; allowed: auto, {', '.join(PATHS)}")
    return import_module(f"{__name__}.{name}")
