"""The compiled path: forward pass, loss, backward pass and gradients over the existing synapses only, on one CPU core.

The C source is in ``csrc``; the package build (``hatch_build.py``) compiles it into a shared library beside this file.
The environment variable LMRNN_KERNEL names another library to load in its place, LMRNN_KERNEL_VARIANT the instruction
set to use (``baseline``, ``avx2``, ``avx512``) where it is not to be the widest that the processor has.

A trial's time steps after its end are not computed: there, logits and states are 0.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from lmrnn.errors import ConfigError, ResourceError
from lmrnn.files.sources import digest
from lmrnn.networks import PARAMETERS
from lmrnn.networks.pairs import MOST_TOGETHER, Pairs, Walk, pair_rows, walk
from lmrnn.tasks import CHANNELS, CLASSES

if TYPE_CHECKING:
    from lmrnn.datasets.batches import Batch
    from lmrnn.networks.model import LMRNN

LIBRARY = Path(__file__).with_name("_kernel.so")
SOURCES = Path(__file__).with_name("csrc")
CODES = {"relu": 0, "softplus": 1, "tanh": 2}
_FAULTS = {-1: "the workspace is too small", -2: "a length is outside 1..T", -3: "a rule is not a task of the network"}
_pointer, _long = ctypes.c_void_p, ctypes.c_int64


class _Pairs(ctypes.Structure):
    """Mirror of Pairs in csrc/problem.h."""

    _fields_ = [(name, _long) for name in ("pairs", "synapses", "shift", "lag")] + [
        (name, _pointer) for name in ("rows", "counts", "columns", "order", "fresh", "fresh_counts")
    ]


class _Parameters(ctypes.Structure):
    """Mirror of Parameters in csrc/problem.h."""

    _fields_ = [(name, _pointer) for name in PARAMETERS]


class _Problem(ctypes.Structure):
    """Mirror of Problem in csrc/problem.h."""

    _fields_ = [
        *((name, _long) for name in ("neurons", "tasks", "steps", "batch", "nonlinearity", "strip", "together")),
        ("gradients", _long),
        ("leak", ctypes.c_double),
        *((name, _Pairs) for name in ("rows", "transpose")),
        *((name, _Parameters) for name in ("values", "grads")),
        *((name, _pointer) for name in ("observations", "rules", "labels", "lengths", "initial_state", "noise")),
        *((name, _pointer) for name in ("logits", "states")),
        ("loss", ctypes.c_double),
        ("workspace", _pointer),
        ("workspace_bytes", _long),
    ]


class _Library:
    """The loaded shared library and the variant that it runs."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        _check(library, path)
        library.lmrnn_variant_name.restype = ctypes.c_char_p
        library.lmrnn_workspace_bytes.restype = _long
        library.lmrnn_workspace_bytes.argtypes = library.lmrnn_run.argtypes = (_pointer, ctypes.c_int, ctypes.c_int)
        self.run, self.workspace_bytes = library.lmrnn_run, library.lmrnn_workspace_bytes
        self.variants = [library.lmrnn_variant_name(i).decode() for i in range(library.lmrnn_variants())]
        wanted = os.environ.get("LMRNN_KERNEL_VARIANT", self.variants[-1])
        if wanted not in self.variants:
            raise ConfigError(f"LMRNN_KERNEL_VARIANT is {wanted!r}; this machine has: {', '.join(self.variants)}")
        self.variant = self.variants.index(wanted)


def _check(library: ctypes.CDLL, path: Path) -> None:
    """Refuse a library that was not compiled from the source beside this file, or for other sizes than this file's."""
    library.lmrnn_problem_bytes.restype = _long
    same = library.lmrnn_problem_bytes() == ctypes.sizeof(_Problem) and hasattr(library, "lmrnn_sources")
    same = same and tuple((_long * 3).in_dll(library, "lmrnn_constants")) == (CHANNELS, CLASSES, MOST_TOGETHER)
    if not same or (ctypes.c_char * 64).in_dll(library, "lmrnn_sources").value.decode() != digest(
        SOURCES, (".c", ".h")
    ):
        raise OSError(f"{path} was compiled from other source than this package's: install it again, or make setup")


@cache
def _load() -> _Library | str:
    """The library, or why there is none."""
    path = Path(os.environ.get("LMRNN_KERNEL", LIBRARY))
    try:
        return _Library(path)
    except (AttributeError, OSError) as error:  # no library, or a foreign one, which lacks our functions
        return f"no compiled kernel at {path} ({error})"


def why_not(network: LMRNN | None = None, device: torch.device | str = "cpu") -> str | None:
    """Say why the kernel cannot compute a network on a device, or None where it can."""
    if torch.device(device).type != "cpu":
        return f"the compiled kernel runs on the CPU, not on {device}"
    if network is not None and network.bias.dtype not in (torch.float32, torch.float64):
        return f"the compiled kernel computes in float32 or float64, not in {network.bias.dtype}"
    if network is not None and network.rates_cost:
        return "the compiled kernel computes no cost of rates (training.l2_rates)"
    if network is not None and network.weighs_time:
        return "the compiled kernel weighs no time steps (training.loss)"
    library = _load()
    return library if isinstance(library, str) else None


def variant() -> str:
    """Name of the instruction set that the kernel uses: ``avx512``, ``avx2`` or ``baseline``."""
    library = _library()
    return library.variants[library.variant]


def _library() -> _Library:
    library = _load()
    if isinstance(library, str):
        raise ResourceError(f"{library}; install a C compiler and the package again, or take another compute.path")
    return library


class _Context:
    """What the kernel keeps for one network: its synapses in order of use, and memory to work in."""

    def __init__(self, network: LMRNN) -> None:
        post, pre, neurons = network.connectivity.post, network.connectivity.pre, network.neurons
        way = walk(post, pre, neurons)
        self.arranged = [pair_rows(post, pre, neurons), pair_rows(pre, post, neurons)]
        self.problem = _Problem(neurons=neurons, tasks=network.n_tasks, nonlinearity=CODES[network.nonlinearity])
        self.problem.leak, self.problem.strip, self.problem.together = network.leak, way.strip, way.together
        self.problem.rows, self.problem.transpose = (_pairs(pairs, way) for pairs in self.arranged)
        self.workspace = _memory(mmap.PAGESIZE)

    def reserve(self, library: _Library, precision: int) -> None:
        """Make the workspace large enough for the problem as it stands."""
        needed = library.workspace_bytes(ctypes.byref(self.problem), library.variant, precision)
        if needed > len(self.workspace):
            self.workspace = _memory(needed)
        self.problem.workspace = ctypes.addressof(ctypes.c_char.from_buffer(self.workspace))
        self.problem.workspace_bytes = len(self.workspace)


def _memory(size: int) -> mmap.mmap:
    """Zeroed memory of a process's own, on huge pages where the system gives them: its columns lie pages apart."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _pairs(pairs: Pairs, way: Walk) -> _Pairs:
    arrays = (pairs.rows, pairs.counts, pairs.columns, pairs.order, pairs.fresh, pairs.fresh_counts)
    return _Pairs(len(pairs.rows), len(pairs.order), way.shift, way.lag, *(array.ctypes.data for array in arrays))


_contexts: WeakKeyDictionary[LMRNN, _Context] = WeakKeyDictionary()


def _run(
    network: LMRNN,
    batch: Batch,
    initial_state: Tensor | None,
    noise: Tensor | None,
    gradients: int = 0,
    **outputs: Tensor,
) -> float:
    """Run the kernel and return the loss; it writes into `outputs` and, if `gradients` is 1, into every grad."""
    library, kind = _library(), network.bias.dtype
    if network not in _contexts:
        _contexts[network] = _Context(network)
    context = _contexts[network]
    problem = context.problem
    parameters = [getattr(network, name) for name in PARAMETERS]
    if gradients:
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
        problem.grads = _Parameters(*(_address(parameter.grad, kind) for parameter in parameters))
    if gradients and batch.weights is not None:
        allowed = "compute.path dense, reference"
        raise ConfigError(f"the compiled kernel weighs no time steps (training.loss); allowed: {allowed}")
    problem.values = _Parameters(*(_address(parameter, kind) for parameter in parameters))
    problem.steps, problem.batch = batch.labels.shape
    problem.gradients = gradients
    inputs = {
        "observations": batch.observations.to(kind).contiguous(),
        "rules": batch.rule.contiguous(),
        "labels": batch.labels.contiguous(),
        "lengths": batch.lengths.contiguous(),
        "initial_state": None if initial_state is None else initial_state.to(kind).contiguous(),
        "noise": None if noise is None else noise.to(kind).contiguous(),
    }
    for name, tensor in inputs.items():
        setattr(problem, name, None if tensor is None else tensor.data_ptr())
    for name in ("logits", "states"):
        setattr(problem, name, outputs[name].data_ptr() if name in outputs else None)
    precision = int(kind == torch.float64)
    context.reserve(library, precision)
    fault = library.run(ctypes.byref(problem), library.variant, precision)
    if fault:
        raise ConfigError(f"the compiled kernel refuses the batch: {_FAULTS[fault]}")
    return problem.loss


def _address(tensor: Tensor, kind: torch.dtype) -> int:
    if tensor.dtype != kind or tensor.device.type != "cpu" or not tensor.is_contiguous():
        needed = f"contiguous {kind} parameters on the CPU, not {tensor.dtype} on {tensor.device}"
        raise ConfigError(f"the compiled kernel needs {needed}")
    return tensor.data_ptr()


def loss_and_gradients(
    network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None
) -> Tensor:
    """Loss () of a batch, of a network on the CPU in float32 or float64; overwrites the gradient of every parameter, in
    place where there is one; as `lmrnn.networks.paths` says. What it cannot compute, `why_not` says.
    """
    return torch.tensor(_run(network, batch, initial_state, noise, gradients=1), dtype=network.bias.dtype)


def passes(network: LMRNN, batch: Batch) -> float:
    """Forward and backward pass without the gradients of the weights, to measure them alone; returns the loss."""
    return _run(network, batch, None, None, gradients=2)


def logits(network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
    """Logits (T, B, 17) of a network; 0 in the padding. Arguments as in `loss_and_gradients`."""
    result = network.bias.new_zeros((*batch.labels.shape, CLASSES), requires_grad=False)
    _run(network, batch, initial_state, noise, logits=result)
    return result


def states(network: LMRNN, batch: Batch, initial_state: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
    """States (T, B, N) of a network; 0 in the padding. Arguments as in `loss_and_gradients`."""
    result = network.bias.new_zeros((*batch.labels.shape, network.neurons), requires_grad=False)
    _run(network, batch, initial_state, noise, states=result)
    return result
