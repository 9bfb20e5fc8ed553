"""Training of one cell, as a methods section tells it.

A network learns all tasks of a battery at once: batches mix them (`lmrnn.datasets.batches`), the loss is the softmax
cross-entropy averaged over all time steps, its gradient's norm over all existing parameters is clipped, Adam takes the
step at the rate of the schedule (`lmrnn.training.rates`, `lmrnn.training.step`), no weight decays. Validation measures
are taken before the first step, at the steps of `lmrnn.study.moments` and after the last; the test set is seen at the
end. Data, initial weights, order of trials, recurrent noise and random synapses each have their own stream from the
cell's seed: two connectivities with the same seed see the same trials in the same order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import torch

from lmrnn.errors import Interrupted
from lmrnn.study.cells import AT_BEST, CellResult
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training.evaluation import Measures, always_fixate, evaluate
from lmrnn.training.interruption import stop_requests
from lmrnn.training.progress import Progress
from lmrnn.training.provenance import device_name, peak_memory_mb, provenance
from lmrnn.training.rates import learning_rate
from lmrnn.training.state import Compute, Training

if TYPE_CHECKING:
    from lmrnn.datasets import Dataset


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

    Of the cell's `spec` (`lmrnn.study.grid.Cell`), `seed`, `connectivity`, `network` and `training` are used. The state
    is kept in the file `checkpoint`, which the caller removes once the result is safe; without it nothing is kept and
    signals are left alone. The result's status is ``completed``, or ``diverged`` where the loss stopped being finite.
    It is the same for the same spec, data, machine and number of threads, interrupted or not, except for times and
    provenance. Raises `Interrupted` on SIGTERM, SIGINT or SIGUSR2, after the state was saved; `ConfigError` or
    `ConnectivityError` where something is asked for that does not exist; `ResourceError` where a GPU is asked for and
    not there, or the disk is full.
    """
    compute = compute or Compute()
    say = log if callable(log) else lambda line: print(line, file=log, flush=True)
    data = train_set, validation_set
    with stop_requests(listen=checkpoint is not None) as stop, arithmetic(compute.threads):
        allow_tf32(compute.tf32)
        training = checkpoints.resume(spec, data, checkpoint, say, compute) or Training(spec, *data, compute)
        told = {"record": log.record} if hasattr(log, "record") else {}
        progress = Progress(spec["training"]["steps"], training.step, say, compute.progress, **told)
        saved = -math.inf
        while True:
            if training.due:
                validate(training)
                training.keep_if_best()
                progress.report(training.step, training.history)
            if training.ended:
                break
            asked = stop.signal  # looked at once: one that comes while saving waits for the next boundary
            if checkpoint is not None and (asked or time.monotonic() - saved > compute.checkpoint_seconds):
                with training.watch.timing("checkpoint"):
                    checkpoints.save(checkpoint, spec, training.snapshot())
                saved = time.monotonic()
            if asked:
                say(f"{asked}: saved at step {training.step}, resumable")
                at = f"{asked} at step {training.step} of {spec['training']['steps']}"
                raise Interrupted(f"{at}: saved in {checkpoint}, resumable")
            take_step(training)
            progress.show(training.step)
        progress.close(training.step)
        with training.watch.timing("evaluation"):
            test, at_best = test_measures(training, test_set)
        return result(training, test, test_set, say, at_best)


def test_measures(training: Training, test_set: Dataset) -> tuple[Measures, Measures | None]:
    """The test set's measures at the end, and at the best validation where its weights were kept."""
    measure = partial(evaluate, training.network, test_set, training.path)
    test = measure()
    return test, measures_at_best(training, test, measure)


def take_step(training: Training) -> None:
    """One batch: forward pass, loss and gradients, clipping, Adam (`lmrnn.training.step`)."""
    with training.watch.timing("training"):
        batch = training.batches.next()
        steps, trials = batch.labels.shape
        noise = training.network.draw_noise(steps, trials, training.noise)
        training.optimiser.set_rate(learning_rate(training.settings, training.step))
        loss = training.training_step.take(batch, noise)
        training.step += 1
        training.loss_sum, training.loss_count = training.loss_sum + loss, training.loss_count + 1
        training.diverged = not math.isfinite(loss)


def validate(training: Training, measures: Measures | None = None) -> None:
    """Append one row to the history: the mean loss since the last one, and the validation measures, taken here if not
    given.
    """
    if measures is None:
        with training.watch.timing("evaluation"):
            measures = evaluate(training.network, training.validation, training.path)
    row = {
        "step": training.step,
        "trials": training.batches.trials_seen,
        "training_seconds": training.watch.wall["training"],
        "evaluation_seconds": training.watch.wall["evaluation"],
        "loss": training.loss_sum / training.loss_count if training.loss_count else math.nan,
        **measures.means(),
        "task_decision_accuracy": measures.decision_accuracy.tolist(),
    }
    training.note_evaluation(row)


def measures_at_best(training: Training, test: Measures, measure: Callable[[], Measures]) -> Measures | None:
    """Measures on the test set with the weights of the best validation, given those of the last weights (`test`);
    `measure` takes them of the network as it then is. None where an earlier version trained the best weights, which did
    not keep them.
    """
    if training.best_step == training.step:
        return test
    if not training.best:
        return None
    with training.at_best():
        return measure()


def result(
    training: Training, test: Measures, test_set: Dataset, say: Callable[[str], object], at_best: Measures | None = None
) -> CellResult:
    """What is to be kept of a training that has ended, with its measures on the test set, and those with the weights of
    the best validation where they are known; `say` gets the last line.
    """
    network, watch = training.network, training.watch
    status = "diverged" if training.diverged else "completed"
    fixate = always_fixate(test_set)
    fixate_accuracy = float(fixate.decision_accuracy.mean())
    why = f" (no better validation in {training.settings['patience']} steps)" if training.converged else ""
    say(
        f"{status} at step {training.step}{why}: test decision accuracy {test.means()['decision_accuracy']:.4f} "
        f"(always-fixate {fixate_accuracy:.4f}), "
        f"{watch.wall['training']:.1f} s training, {watch.wall['evaluation']:.1f} s evaluation, "
        f"at most {peak_memory_mb() / 1000:.1f} GB of memory; on {device_name(network.bias.device)} by "
        f"{training.path} in {precision(network.bias)}"
    )
    weights = {name: parameter.detach().cpu().numpy() for name, parameter in network.named_parameters()}
    synapses = {"pre": network.connectivity.pre, "post": network.connectivity.post}
    if network.connectivity.signs is not None:
        synapses["signs"] = network.connectivity.signs
    history = {column: np.asarray(values) for column, values in training.history.items()}
    origin = {
        **provenance(watch, device_name(network.bias.device)),
        **{"path": training.path, "cuda_graphs": training.training_step.captured, "threads": training.compute.threads},
        "kernel_variant": training.kernel_variant,
        "precision": precision(network.bias),
        **{"restarts": training.restarts, "started": training.started},
        "peak_memory_mb": max(training.peak_memory_mb, peak_memory_mb()),
        "always_fixate_step_accuracy": fixate.step_accuracy,
        "always_fixate_decision_accuracy": fixate_accuracy,
        **training.origin,
    }
    measures = {**test.per_task(), "always_fixate": fixate.decision_accuracy}
    if at_best is not None:
        measures |= {f"{AT_BEST}{name}": values for name, values in at_best.per_task().items()}
    end = training.end() if training.compute.keep_end else None
    return CellResult(training.spec, status, history, measures, {**weights, **synapses}, origin, end)


def allow_tf32(allowed: bool) -> None:
    """Let a GPU multiply with TF32, or not."""
    torch.backends.cuda.matmul.allow_tf32 = allowed


def precision(like: torch.Tensor) -> str:
    """How numbers are computed with on a tensor's device: ``float32``, ``float64``, or ``tf32``."""
    if like.device.type == "cuda" and like.dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32:
        return "tf32"
    return str(like.dtype).removeprefix("torch.")


@contextmanager
def arithmetic(threads: int) -> Iterator[None]:
    """Give torch a number of threads and have the CPU take subnormal numbers for zero, and take both back.

    Once a network knows its trials by heart its gradients fall below 1e-38, where a CPU computes many times slower:
    2,000 steps on 32 trials a task (autapses, rate .03) took 3 s of CPU instead of 31 s. Adam's epsilon of 1e-8 leaves
    such gradients no say: no weight of the cells that were compared differed by a bit.
    """
    before, subnormal = torch.get_num_threads(), torch.tensor(1e-39)
    flushed = (subnormal * 1).item() == 0
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushed)
