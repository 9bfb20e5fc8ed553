"""How a fleet computes its recurrence, and where that is decided: as batched products, or as a scan fused over time."""

from __future__ import annotations

import os
from importlib.util import find_spec

import torch

from lmrnn.training.fleet.fused import Fused
from lmrnn.training.fleet.passes import Products
from lmrnn.training.fleet.shape import Shape

# Of NVIDIA's GPUs, what Triton asks for.
LEAST_CAPABILITY = (8, 0)


# The recurrence of the cells in K places, by the same methods; its `name` stands in results, what it `says` in logs.
Scan = Products | Fused


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
