"""A training at a step boundary: all that it is made of, and its state as plain values and arrays."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lmrnn.datasets.batches import PaddedBatches, StreamBatches, TrialTensors
from lmrnn.errors import ConfigError, ResourceError
from lmrnn.networks import LMRNN, PATHS, Connectivity, build_connectivity, choose_path, connectivity_label, kernel
from lmrnn.seeds import torch_seed
from lmrnn.study.cells import COLUMNS, CellResult
from lmrnn.study.moments import evaluated_by, next_evaluation, out_of_patience
from lmrnn.study.since import with_defaults
from lmrnn.tasks import names_of
from lmrnn.training.penalties import make_penalties
from lmrnn.training.provenance import Stopwatch, code, now, peak_memory_mb
from lmrnn.training.rates import CONSTANT, recurrent_factors
from lmrnn.training.step import Adam, dense_megabytes, make_step
from lmrnn.training.watching import Places, Watch
from lmrnn.training.weighing import time_weights

if TYPE_CHECKING:
    from lmrnn.datasets import Dataset

# Where dense products of a GPU lose against the kernel on one core: by estimate, a full matrix takes as long as this
# share of its synapses does there, from this size on.
MOST_NEURONS, LEAST_DENSITY = 8192, 0.01
# the path of a training that is one of several in `lmrnn.training.fleet`
FLEET = "fleet"
# attributes of a training that JSON holds as they are
_PLAIN = ("step", "diverged", "loss_sum", "loss_count", "restarts", "started", "peak_memory_mb")
_ADAM = ("first", "second", "steps")
# what `Training.restore` raises on a snapshot that does not fit
MISFIT = (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Compute:
    """How a training is computed; none of it changes what is computed, beyond rounding.

    `threads` of torch; `device` ``cpu``, ``cuda`` or ``auto`` (a GPU where there is one); `path` of the recurrence
    (`lmrnn.networks.paths`), ``auto``, or ``fleet`` for one of several that a fleet trains; whether the dense path on a
    GPU replays its steps as `cuda_graphs`; whether a GPU multiplies with `tf32`, 10 bits of mantissa in place of 23;
    seconds between two checkpoints; whether a result carries the state of its end; whether to draw a `progress` bar on
    the terminal; where else evaluations are written.
    """

    threads: int = 1
    device: str = "cpu"
    path: str = "auto"
    cuda_graphs: bool = True
    tf32: bool = False
    checkpoint_seconds: float = 60.0
    keep_end: bool = True
    progress: bool = False
    watch: Places = field(default_factory=Places)

    @classmethod
    def of(cls, section: Mapping[str, Any], progress: bool = False) -> Compute:
        """As the section ``compute`` of a configuration has it."""
        named = {one.name: section[one.name] for one in fields(cls) if one.name not in ("progress", "watch")}
        return cls(**named, progress=progress)


@dataclass(frozen=True)
class Snapshot:
    """All that a training needs to go on: values that JSON holds, and arrays (weights, optimiser, noise, history)."""

    values: dict[str, Any]
    arrays: dict[str, np.ndarray]


class Training:
    """The network, its optimiser, its batches and the course so far of the training that a cell's spec describes.

    Raises `ConfigError` or `ConnectivityError` where the spec or `compute` asks for what does not exist, and
    `ResourceError` where a GPU is asked for and none is there.
    """

    def __init__(self, spec: dict[str, Any], train_set: Dataset, validation_set: Dataset, compute: Compute) -> None:
        code()  # as it is now, which its result will say: files may change while it trains
        self.spec, self.settings, self.compute = spec, with_defaults(spec["training"]), compute
        seed = spec["seed"]
        network = dict(spec["network"])
        connectivity = build_connectivity(spec["connectivity"], network.pop("neurons"), seed)
        device = _device(compute.device, connectivity)
        weights = torch.Generator().manual_seed(torch_seed(seed, "initialisation"))
        self.network = LMRNN(connectivity, len(train_set.tasks), generator=weights, **network).to(device)
        penalties = make_penalties(self.network, spec, self.settings)
        self.path = FLEET if compute.path == FLEET else choose_path(self.network, device, compute.path)
        self.kernel_variant = kernel.variant() if self.path == "kernel" else ""
        self.noise = torch.Generator().manual_seed(torch_seed(seed, "noise"))
        self.optimiser = _optimiser(self.network, self.settings)
        self.training_step = make_step(
            self.network, self.optimiser, self.settings["gradient_clip"], self.path, compute.cuda_graphs, penalties
        )
        if self.training_step.captured and self.settings["schedule"] != CONSTANT:
            self.optimiser.learning_rate = torch.tensor(self.settings["learning_rate"], device=device)
        self.batches = _batches(self.settings, _trials(train_set, self.settings["loss"], device), seed)
        self.validation = TrialTensors.of(validation_set, device)

        self.step, self.diverged = 0, False
        self.loss_sum, self.loss_count = 0.0, 0  # since the last evaluation
        self.history: dict[str, list] = {column: [] for column in COLUMNS}
        self.watch_of = Watch(compute.watch, train_set.tasks)
        self._sum_before, self._best_before = (0.0, 0), dict[str, torch.Tensor]()  # the last evaluation, for `end`
        self.best: dict[str, torch.Tensor] = {}  # weights by name at the best evaluation; empty where not known
        self.watch = Stopwatch()
        self.restarts, self.started, self.peak_memory_mb = 0, now(), 0.0
        self.origin: dict[str, Any] = {}  # of provenance: what its own network and `compute` do not tell

    @property
    def ended(self) -> bool:
        """Whether no step is left to take."""
        return self.diverged or self.step >= self.settings["steps"] or self.converged

    @property
    def converged(self) -> bool:
        """Whether the evaluation of this step found that validation has not improved in `patience` steps."""
        return self.history["step"][-1:] == [self.step] and out_of_patience(self.settings, self.history)

    @property
    def due(self) -> bool:
        """Whether this step is to be evaluated and was not yet."""
        evaluated = bool(self.history["step"]) and self.history["step"][-1] == self.step
        return not evaluated and (self.ended or evaluated_by(self.settings, self.step)[-1] == self.step)

    @property
    def steps_left(self) -> int:
        """Steps until it is to be evaluated next, or has ended."""
        return next_evaluation(self.settings, self.step) - self.step

    @property
    def best_step(self) -> int:
        """Step of the best evaluation so far by validation decision accuracy, of equals the first; there is one."""
        return self.history["step"][int(np.argmax(self.history["decision_accuracy"]))]

    def keep_if_best(self) -> None:
        """Keep the weights, which were just evaluated, where no evaluation before was as good."""
        if self.best_step == self.step:
            self._best_before = self.best
            self.best = {name: parameter.detach().clone() for name, parameter in self.network.named_parameters()}

    @contextmanager
    def at_best(self) -> Iterator[None]:
        """The network with the weights of the best evaluation, which must be known; afterwards it has its own again."""
        parameters = dict(self.network.named_parameters())
        own = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        for name, parameter in parameters.items():
            parameter.data.copy_(self.best[name])
        try:
            yield
        finally:
            for name, parameter in parameters.items():
                parameter.data.copy_(own[name])

    def snapshot(self) -> Snapshot:
        """All that `restore` needs to go on from here as if nothing had happened, apart from what this does next."""
        self.peak_memory_mb = max(self.peak_memory_mb, peak_memory_mb())
        arrays = {f"history/{column}": np.array(values) for column, values in self.history.items()}
        for position, (name, parameter) in enumerate(self.network.named_parameters()):
            arrays[f"weights/{name}"] = parameter.detach().cpu().numpy().copy()
            for key in _ADAM:
                arrays[f"adam/{name}/{key}"] = getattr(self.optimiser, key)[position].cpu().numpy().copy()
        arrays |= {f"best/{name}": values.cpu().numpy().copy() for name, values in self.best.items()}
        arrays["noise"] = self.noise.get_state().numpy()
        values = {name: getattr(self, name) for name in _PLAIN}
        values |= {"batches": self.batches.state(), "watch": vars(self.watch), "path": self.path}
        values["kernel_variant"] = self.kernel_variant
        return Snapshot(copy.deepcopy(values), arrays)

    def note_evaluation(self, row: Mapping[str, Any]) -> None:
        """Append a row to the history; the loss counts anew."""
        for column, values in self.history.items():
            values.append(row[column])
        self.watch_of.note(self.history, self.ended)
        self._sum_before = self.loss_sum, self.loss_count
        self.loss_sum, self.loss_count = 0.0, 0

    def end(self) -> Snapshot:
        """The state of a training that has ended, as one of more steps has it there: without the evaluation that only
        the end called for.
        """
        found = self.snapshot()
        if evaluated_by({**self.settings, "steps": self.step + 1}, self.step)[-1] == self.step:
            return found
        arrays = {name: one[:-1] if name.startswith("history/") else one for name, one in found.arrays.items()}
        if self.best_step == self.step:
            arrays = {name: one for name, one in arrays.items() if not name.startswith("best/")}
            arrays |= {f"best/{name}": one.cpu().numpy().copy() for name, one in self._best_before.items()}
        loss_sum, loss_count = self._sum_before
        return Snapshot({**found.values, "loss_sum": loss_sum, "loss_count": loss_count}, arrays)

    def restore(self, snapshot: Snapshot) -> tuple[str, str | None]:
        """Bring a fresh training to the point of a snapshot; returns the path and the kernel's variant so far.

        The variant is None where it is not known (checkpoints of version 0.1). Raises one of `MISFIT` when the snapshot
        does not fit; the training is then of no more use.
        """
        values, arrays = snapshot.values, snapshot.arrays
        for name in _PLAIN:
            if type(values[name]) is not type(getattr(self, name)):
                raise TypeError(f"{name} is {values[name]!r}")
            setattr(self, name, values[name])
        self.batches.restore(values["batches"])
        self.watch = Stopwatch(**values["watch"])
        rows = len(arrays["history/step"])
        for column in self.history:
            wide = column == "task_decision_accuracy"
            _check_shape(arrays[f"history/{column}"], (rows, self.network.n_tasks) if wide else (rows,))
            self.history[column] = arrays[f"history/{column}"].tolist()
        _check_shape(arrays["noise"], tuple(self.noise.get_state().shape))
        self.noise.set_state(torch.from_numpy(arrays["noise"]))
        for position, (name, parameter) in enumerate(self.network.named_parameters()):
            _fill(parameter.data, arrays[f"weights/{name}"])
            for key in _ADAM:
                _fill(getattr(self.optimiser, key)[position], arrays[f"adam/{name}/{key}"])
            if f"best/{name}" in arrays:  # those of earlier versions have none
                self.best[name] = torch.empty_like(parameter)
                _fill(self.best[name], arrays[f"best/{name}"])
        if len(self.best) not in (0, len(self.optimiser.parameters)):
            raise KeyError("some weights of the best evaluation")
        if values["path"] not in (*PATHS, FLEET):
            raise ValueError(f"path is {values['path']!r}")
        variant = values.get("kernel_variant")
        if not isinstance(variant, (str, type(None))):
            raise TypeError(f"kernel_variant is {variant!r}")
        return values["path"], variant


def _trials(train_set: Dataset, loss: Mapping[str, Any], device: torch.device) -> TrialTensors:
    """The training set, with the weights of its time steps in the loss where the cell asks for such."""
    trials = TrialTensors.of(train_set, device)
    return replace(trials, weights=torch.from_numpy(time_weights(train_set, loss)).to(device)) if loss else trials


def _optimiser(network: LMRNN, settings: Mapping[str, Any]) -> Adam:
    """Adam, with the recurrent weights at a rate of their own where the cell asks for it."""
    names, factors = [name for name, _ in network.named_parameters()], {}
    if settings["recurrent_rate"] != 1:
        neurons = torch.tensor(recurrent_factors(settings, network.connectivity.in_degree)).to(network.recurrent)
        factors[names.index("recurrent")] = neurons[network.post]
    return Adam(network.parameters(), settings["learning_rate"], factors)


def restore_network(result: CellResult) -> LMRNN:
    """The trained network of a cell, on the CPU; KeyError when the result was read without its weights."""
    spec = result.spec
    settings = dict(spec["network"])
    del settings["neurons"]  # the network's own number may be another
    pairs = result.weights["post"], result.weights["pre"]
    label, signs = connectivity_label(spec["connectivity"]), result.weights.get("signs")
    connectivity = Connectivity(len(result.weights["bias"]), *pairs, label, signs)
    generator = torch.Generator().manual_seed(torch_seed(spec["seed"], "initialisation"))  # signs and masks are drawn
    network = LMRNN(connectivity, len(names_of(spec)), generator=generator, **settings)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(np.asarray(result.weights[name])))
    return network


def _fill(tensor: torch.Tensor, array: np.ndarray) -> None:
    """Copy an array into a tensor of its shape."""
    _check_shape(array, tuple(tensor.shape))
    values = torch.tensor(array)
    if values.dtype != tensor.dtype:
        raise TypeError(f"an array of {values.dtype} where {tensor.dtype} is needed")
    tensor.copy_(values)


def _check_shape(array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"an array of shape {array.shape} where {shape} is needed")


def _batches(settings: dict[str, Any], trials: TrialTensors, seed: int) -> PaddedBatches | StreamBatches:
    """The layout that the cell asks for."""
    if settings["layout"] == "padded":
        return PaddedBatches(trials, settings["batch_size"], seed)
    if settings["layout"] == "stream":
        return StreamBatches(trials, settings["batch_size"], settings["sequence_length"], seed)
    raise ConfigError(f"training.layout is {settings['layout']!r}; allowed: padded, stream")


def _device(name: str, connectivity: Connectivity) -> torch.device:
    """The device that is asked for, if it is there, and has room for the matrix of a network."""
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"compute.device is {name!r}; allowed: auto, cpu, cuda")
    if name == "cpu" or (name == "auto" and _wasteful(connectivity)):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        if name == "cuda" or (granted := granted_gpus()):
            asked = f"compute.device is {name}" if name == "cuda" else f"Slurm has granted a GPU ({granted})"
            raise ResourceError(
                f"{asked}, but torch sees no GPU here: {why_no_gpu()}; allowed: cpu, or auto (a GPU if there is one)"
            )
        return torch.device("cpu")
    needed, have = dense_megabytes(connectivity.neurons, 0), torch.cuda.mem_get_info()[1] / 1e6
    if needed > have:
        raise ResourceError(
            f"a network of {connectivity.neurons:,} neurons needs {needed:,.0f} MB for its dense matrix and gradient, "
            f"and the GPU has {have:,.0f} MB; set compute.device to cpu, where only its {connectivity.synapses:,} "
            "synapses count"
        )
    return torch.device("cuda")


def on_gpu(device: str) -> bool:
    """Whether a setting of the device, ``auto``, ``cpu`` or ``cuda``, means a GPU here."""
    return device != "cpu" and torch.cuda.is_available()


def _wasteful(connectivity: Connectivity) -> bool:
    """Whether the compiled kernel on one core outruns dense products on a GPU, as most of the matrix is missing."""
    neurons = connectivity.neurons
    return neurons > MOST_NEURONS and connectivity.synapses < LEAST_DENSITY * neurons**2


def granted_gpus() -> str:
    """What Slurm says of the GPUs that this task was granted; empty where it granted none."""
    for name, none in (("SLURM_STEP_GPUS", ""), ("SLURM_JOB_GPUS", ""), ("SLURM_GPUS_ON_NODE", "0")):
        if (value := os.environ.get(name, "")) not in ("", none):
            return f"{name}={value}"
    return ""


def why_no_gpu() -> str:
    """The likeliest reason for which torch sees no GPU."""
    if torch.version.cuda is None:
        return "this torch is a build for the CPU (`pip install torch` from PyTorch's index for CUDA)"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1", "NoDevFiles"):
        return "CUDA_VISIBLE_DEVICES is empty"
    return f"is there one (`nvidia-smi`), and is its driver new enough for CUDA {torch.version.cuda}, which torch has?"
