"""How a fleet computes its recurrence, and where that is decided: as batched products, or as a scan fused over time."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor

from lmrnn.training.fleet import passes
from lmrnn.training.fleet.fused import Fused
from lmrnn.training.fleet.passes import Buffer, Weights
from lmrnn.training.fleet.rows import Rows
from lmrnn.training.fleet.shape import Shape

# Of NVIDIA's GPUs, what Triton asks for.
LEAST_CAPABILITY = (8, 0)


class Scan(Protocol):
    """The recurrence of the cells in K places: `name` stands in their results, `says` in their logs. `load`, `empty`
    and `at` follow those of `Places`; `forward` and `backward` are those of `passes`.
    """

    name: str
    says: str

    def load(self, place: int, post: Tensor, pre: Tensor) -> None:
        """Take in the synapses (S,) of the cell in a place."""

    def empty(self, place: int) -> None:
        """Leave a place to the next cell."""

    def at(self, places: Tensor) -> Scan:
        """The same for the cells in some places, int64 (k,)."""

    def forward(self, values: Tensor, weights: Weights, rows: Rows, buffer: Buffer) -> Tensor:
        """States (K, R, N) of all rows, from the drive in `values` (K, R, N), which becomes f(z)."""

    def backward(self, deltas: Tensor, values: Tensor, weights: Weights, rows: Rows) -> None:
        """The readout's gradient by the states (K, R, N) becomes the gradient by z, in place."""


class Products:
    """Batched dense products, one a time step (`passes`); `instead` says why it is not the scan that was asked for."""

    name = "products"

    def __init__(self, shape: Shape, instead: str = "") -> None:
        self.shape = shape
        self.says = f"batched products{f' (not by the fused scan: {instead})' if instead else ''}"

    def load(self, place: int, post: Tensor, pre: Tensor) -> None:
        """Nothing: a missing synapse is a weight of 0."""

    def empty(self, place: int) -> None:
        """Nothing."""

    def at(self, places: Tensor) -> Products:
        """The same."""
        return self

    def forward(self, values: Tensor, weights: Weights, rows: Rows, buffer: Buffer) -> Tensor:
        """As `passes.forward`."""
        return passes.forward(values, weights, rows, self.shape.nonlinearity, self.shape.leak, buffer)

    def backward(self, deltas: Tensor, values: Tensor, weights: Weights, rows: Rows) -> None:
        """As `passes.backward`."""
        passes.backward(deltas, values, weights, rows, self.shape.nonlinearity, self.shape.leak)


def make_scan(shape: Shape, places: int, device: torch.device, dtype: torch.dtype) -> Scan:
    """The scan that a shape asks for; batched products, which can all that a fleet can, where it cannot be had here."""
    if shape.scan == "products":
        return Products(shape)
    if reason := why_not_fused(device):
        return Products(shape, reason)
    try:
        return Fused(shape, places, device, dtype)
    except torch.OutOfMemoryError:
        raise  # less of it is tried
    except Exception as error:  # Triton's compiler has errors of many kinds, of this machine and of its own
        return Products(shape, f"it cannot be compiled here: {type(error).__name__}: {error}")


def why_not_fused(device: torch.device) -> str:
    """Why the fused scan cannot be had on a device; empty where nothing is known against it."""
    if find_spec("triton") is None:
        return "Triton is not installed here, which torch for NVIDIA's GPUs brings (pip install triton)"
    if device.type == "cuda":
        have = torch.cuda.get_device_capability(device)
        return "" if have >= LEAST_CAPABILITY else f"Triton needs a GPU of compute capability 8.0, this one has {have}"
    if device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1":  # slowly, for tests
        return ""
    return f"Triton computes on GPUs, not on {device.type}"
