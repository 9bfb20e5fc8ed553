"""Training of one cell.

A network learns all tasks of a battery at once: batches mix them (`lmrnn.datasets.batches`), the loss is the softmax
cross-entropy averaged over all time steps, its gradient's norm over all existing parameters is clipped, Adam takes the
step, nothing decays. Validation measures are taken before the first step, every `evaluate_every` steps and after the
last; the test set is seen once, at the end. Data, initial weights, order of trials, recurrent noise and random synapses
each have their own stream from the cell's seed: two connectivities with the same seed see the same trials in the same
order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import torch

from lmrnn.datasets.batches import PaddedBatches, StreamBatches, TrialTensors
from lmrnn.errors import ConfigError, Interrupted, ResourceError
from lmrnn.files.removal import remove_temporaries
from lmrnn.networks import LMRNN, build_connectivity, choose_path
from lmrnn.seeds import torch_seed
from lmrnn.study.cells import COLUMNS, CellResult
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training.evaluation import always_fixate, evaluate
from lmrnn.training.optimiser import Adam
from lmrnn.training.progress import Progress
from lmrnn.training.provenance import Stopwatch, now, peak_memory_mb, provenance
from lmrnn.training.step import make_step

if TYPE_CHECKING:
    from lmrnn.datasets import Dataset


@dataclass(frozen=True)
class Compute:
    """How a training is computed; none of it changes what is computed, beyond rounding.

    Parameters
    ----------
    threads : int
        Threads of torch.
    device : str
        ``cpu``, ``cuda``, or ``auto``: a GPU where there is one.
    path : str
        Path of the recurrence (`lmrnn.networks.paths`), or ``auto``.
    cuda_graphs : bool
        Whether the dense path on a GPU replays its steps as CUDA graphs (`lmrnn.training.step`).
    checkpoint_seconds : float
        Time between two checkpoints, in seconds.
    progress : bool
        Draw a progress bar on the terminal.
    """

    threads: int = 1
    device: str = "cpu"
    path: str = "auto"
    cuda_graphs: bool = True
    checkpoint_seconds: float = 60.0
    progress: bool = False

    @classmethod
    def of(cls, section: Mapping[str, Any], progress: bool = False) -> Compute:
        """As the section ``compute`` of a configuration has it."""
        named = {field.name: section[field.name] for field in fields(cls) if field.name != "progress"}
        return cls(**named, progress=progress)


def train(
    spec: dict[str, Any],
    train_set: Dataset,
    validation_set: Dataset,
    test_set: Dataset,
    checkpoint: Path | str | None = None,
    log: Callable[[str], object] | TextIO = print,
    compute: Compute | None = None,
) -> CellResult:
    """Train one cell, or go on with a training that was interrupted.

    Parameters
    ----------
    spec : dict
        The cell's spec (`lmrnn.study.grid.Cell`); used here are `seed`, `connectivity`, `network` and `training`.
    train_set, validation_set, test_set : Dataset
        Of the cell's battery.
    checkpoint : Path or str, optional
        Where the state is kept while training; the caller removes it (`checkpoint.remove`) once the result is
        safe. Without it nothing is kept and signals are left alone.
    log : callable or TextIO
        Gets the lines of the log.
    compute : Compute, optional
        How to compute.

    Returns
    -------
    CellResult
        With status ``completed``, or ``diverged`` where the loss stopped being finite. The same for the same spec,
        data, machine and number of threads, interrupted or not, except for times and provenance.

    Raises
    ------
    Interrupted
        On SIGTERM, SIGINT or SIGUSR2, after the state was saved.
    ConfigError, ConnectivityError
        When the spec or `compute` asks for what does not exist.
    ResourceError
        When a GPU is asked for and not there, or the disk is full.
    """
    compute = compute or Compute()
    say = log if callable(log) else lambda line: print(line, file=log, flush=True)
    steps, every = spec["training"]["steps"], spec["training"]["evaluate_every"]
    data = train_set, validation_set
    with checkpoints.stop_requests(listen=checkpoint is not None) as stop, _threads(compute.threads):
        training = _resume(spec, data, checkpoint, say, compute) or Training(spec, *data, compute)
        told = {"record": log.record} if hasattr(log, "record") else {}
        progress = Progress(steps, training.step, say, compute.progress, **told)
        saved = -math.inf
        while True:
            if (training.ended or training.step % every == 0) and not training.evaluated:
                training.evaluate()
                progress.report(training.step, training.history)
            if training.ended:
                break
            asked = stop.signal  # looked at once: one that comes while saving waits for the next boundary
            if checkpoint is not None and (asked or time.monotonic() - saved > compute.checkpoint_seconds):
                with training.watch.timing("checkpoint"):
                    checkpoints.save(checkpoint, spec, checkpoints.snapshot(training))
                saved = time.monotonic()
            if asked:
                say(f"{asked}: saved at step {training.step}, resumable")
                raise Interrupted(f"{asked} at step {training.step} of {steps}: saved in {checkpoint}, resumable")
            training.take_step()
            progress.show(training.step)
        progress.close(training.step)
        return training.result(test_set, say)


class Training:
    """A training at a step boundary.

    Parameters
    ----------
    spec : dict
        The cell's spec.
    train_set, validation_set : Dataset
        Of the cell's battery.
    compute : Compute
        How to compute.
    """

    def __init__(self, spec: dict[str, Any], train_set: Dataset, validation_set: Dataset, compute: Compute) -> None:
        self.spec, self.settings, self.compute = spec, spec["training"], compute
        seed, device = spec["seed"], _device(compute.device)
        network = dict(spec["network"])
        connectivity = build_connectivity(spec["connectivity"], network.pop("neurons"), seed)
        weights = torch.Generator().manual_seed(torch_seed(seed, "initialisation"))
        self.network = LMRNN(connectivity, len(train_set.tasks), generator=weights, **network).to(device)
        self.path = choose_path(self.network, device, compute.path)
        self.noise = torch.Generator().manual_seed(torch_seed(seed, "noise"))
        self.optimiser = Adam(self.network.parameters(), self.settings["learning_rate"])
        self.training_step = make_step(
            self.network, self.optimiser, self.settings["gradient_clip"], self.path, compute.cuda_graphs
        )
        self.batches = _batches(self.settings, TrialTensors.of(train_set, device), seed)
        self.validation = TrialTensors.of(validation_set, device)

        self.step, self.diverged = 0, False
        self.loss_sum, self.loss_count = 0.0, 0  # since the last evaluation
        self.history: dict[str, list] = {column: [] for column in COLUMNS}
        self.watch = Stopwatch()
        self.restarts, self.started, self.peak_memory_mb = 0, now(), 0.0

    @property
    def ended(self) -> bool:
        """Whether no step is left to take."""
        return self.diverged or self.step >= self.settings["steps"]

    @property
    def evaluated(self) -> bool:
        """Whether the history already has this step."""
        return bool(self.history["step"]) and self.history["step"][-1] == self.step

    def take_step(self) -> None:
        """One batch: loss, gradients, clipping, Adam."""
        with self.watch.timing("training"):
            batch = self.batches.next()
            noise = self.network.draw_noise(*batch.labels.shape, self.noise)
            loss = self.training_step.take(batch, noise)
            self.step += 1
            self.loss_sum, self.loss_count = self.loss_sum + loss, self.loss_count + 1
            self.diverged = not math.isfinite(loss)

    def evaluate(self) -> None:
        """Append one row to the history: the mean loss since the last one, and the validation measures."""
        with self.watch.timing("evaluation"):
            measures = evaluate(self.network, self.validation, self.path)
        row = {
            "step": self.step,
            "trials": self.batches.trials_seen,
            "training_seconds": self.watch.wall["training"],
            "evaluation_seconds": self.watch.wall["evaluation"],
            "loss": self.loss_sum / self.loss_count if self.loss_count else math.nan,
            **measures.means(),
            "task_decision_accuracy": measures.decision_accuracy.tolist(),
        }
        for column in COLUMNS:
            self.history[column].append(row[column])
        self.loss_sum, self.loss_count = 0.0, 0

    def result(self, test_set: Dataset, say: Callable[[str], object]) -> CellResult:
        """Test the trained network, once, and gather what is to be kept."""
        with self.watch.timing("evaluation"):
            test = evaluate(self.network, test_set, self.path)
        status = "diverged" if self.diverged else "completed"
        fixate = always_fixate(test_set)
        accuracy, fixate_accuracy = test.means()["decision_accuracy"], float(fixate.decision_accuracy.mean())
        say(
            f"{status} at step {self.step}: test decision accuracy {accuracy:.4f} "
            f"(always-fixate {fixate_accuracy:.4f}), "
            f"{self.watch.wall['training']:.1f} s training, {self.watch.wall['evaluation']:.1f} s evaluation, "
            f"at most {peak_memory_mb() / 1000:.1f} GB of memory"
        )
        weights = {name: parameter.detach().cpu().numpy() for name, parameter in self.network.named_parameters()}
        synapses = {"pre": self.network.connectivity.pre, "post": self.network.connectivity.post}
        history = {column: np.asarray(values) for column, values in self.history.items()}
        origin = {
            **provenance(self.watch, _device_name(self.network.bias.device)),
            **{"path": self.path, "cuda_graphs": self.training_step.captured, "threads": self.compute.threads},
            **{"restarts": self.restarts, "started": self.started},
            "peak_memory_mb": max(self.peak_memory_mb, peak_memory_mb()),
            "always_fixate_step_accuracy": fixate.step_accuracy,
            "always_fixate_decision_accuracy": fixate_accuracy,
        }
        measures = {**test.per_task(), "always_fixate": fixate.decision_accuracy}
        return CellResult(self.spec, status, history, measures, {**weights, **synapses}, origin)


def _resume(
    spec: dict[str, Any],
    data: tuple[Dataset, Dataset],
    checkpoint: Path | str | None,
    say: Callable[[str], object],
    compute: Compute,
) -> Training | None:
    """The training as its newest usable checkpoint has it; None without one."""
    if checkpoint is None:
        return None
    remove_temporaries(checkpoint)
    for snapshot in checkpoints.candidates(checkpoint, spec, say):
        training = Training(spec, *data, compute)
        try:
            path = checkpoints.restore(training, snapshot)
        except checkpoints.MISFIT as error:
            say(f"warning: checkpoint not used, it does not fit this training: {type(error).__name__}: {error}")
            continue
        training.restarts += 1
        say(f"resumed at step {training.step} (restart {training.restarts}) from {checkpoint}")
        if path != training.path:
            say(f"warning: was computed with path {path} so far, goes on with {training.path}: not bit-identical")
        return training
    return None


def _batches(settings: dict[str, Any], trials: TrialTensors, seed: int) -> PaddedBatches | StreamBatches:
    """The layout that the cell asks for."""
    if settings["layout"] == "padded":
        return PaddedBatches(trials, settings["batch_size"], seed)
    if settings["layout"] == "stream":
        return StreamBatches(trials, settings["batch_size"], settings["sequence_length"], seed)
    raise ConfigError(f"training.layout is {settings['layout']!r}; allowed: padded, stream")


def _device(name: str) -> torch.device:
    """The device that is asked for, if it is there."""
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"compute.device is {name!r}; allowed: auto, cpu, cuda")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ResourceError(
            "compute.device is cuda, but torch sees no GPU here; allowed: cpu, or auto (a GPU if there is one)"
        )
    return torch.device("cuda" if there and name != "cpu" else "cpu")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Give torch a number of threads, and take it back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device_name(device: torch.device) -> str:
    """The processor or the GPU by name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
