"""Sparse, spatially local recurrent networks on the Mod-Cog battery: tasks, training, sweep, curves."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lmrnn.science.trained import TrainedNetwork

__version__ = "0.1.0"


def load(path: Path | str) -> TrainedNetwork:
    """The trained network of a cell's file, with its tasks, spec and result; docs/science.md shows what can be done.

    Raises `lmrnn.errors.DamagedFileError` when the file is missing or not good.
    """
    # by name: what only plans and lists shall not wait for torch
    return import_module("lmrnn.science.trained").load(path)
