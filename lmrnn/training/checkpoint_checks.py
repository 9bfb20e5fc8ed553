"""Whether a checkpoint's values are a moment of this training: the last line against files that only look whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lmrnn.study.cell_checks import check_history

if TYPE_CHECKING:
    from lmrnn.training.train import Training


def check_moment(training: Training) -> None:
    """Refuse a restored training that its own steps could not have led to.

    Weights and moments of Adam are not looked at: they may be anything, also not finite just before a divergence.

    Parameters
    ----------
    training : Training
        As restored.

    Raises
    ------
    ValueError
        Saying what does not fit.
    """
    step, every = training.step, training.settings["evaluate_every"]
    if training.diverged or not 0 <= step < training.settings["steps"]:
        raise ValueError(f"step {step} of {training.settings['steps']}, diverged {training.diverged}")
    if training.history["step"] != list(range(0, step + 1, every)):
        raise ValueError(f"the history has steps {training.history['step']} at step {step}")
    check_history({name: np.asarray(values) for name, values in training.history.items()}, training.network.n_tasks)
    if training.loss_count != step % every or not math.isfinite(training.loss_sum):
        raise ValueError(f"a loss of {training.loss_sum} over {training.loss_count} steps at step {step}")
    if any(count.item() != step for count in training.optimiser.steps):
        raise ValueError(f"the optimiser is not at step {step}")
    seen = training.batches.trials_seen
    exact = step * training.settings["batch_size"] if training.settings["layout"] == "padded" else seen
    if seen != exact or seen < training.history["trials"][-1]:
        raise ValueError(f"{seen} trials seen at step {step}")
    seconds = [*training.watch.wall.values(), *training.watch.cpu.values(), training.peak_memory_mb, training.restarts]
    if not all(isinstance(value, (int, float)) and 0 <= value < math.inf for value in seconds):
        raise ValueError(f"seconds, memory or restarts are {seconds}")
