"""One cell of a fleet, and what becomes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmrnn.datasets.batches import TrialTensors
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training.progress import Progress
from lmrnn.training.rates import learning_rate
from lmrnn.training.state import FLEET, Training

if TYPE_CHECKING:
    from lmrnn.datasets import Dataset
    from lmrnn.study.cells import CellResult


@dataclass(eq=False)
class Member:
    """A training at a step boundary, on the host, and whom to tell how it ends: `done` gets its result, `failed` what
    went wrong with it alone. `stop` says the name of a signal that asks it to save its state and end; it is then failed
    with `Interrupted`. Without a `checkpoint` nothing is kept on the way. `data` are its datasets, held for others who
    share them.
    """

    training: Training
    test_set: Dataset
    done: Callable[[CellResult], object]
    failed: Callable[[Exception], object]
    checkpoint: Path | None = None
    say: Callable[[str], object] = print
    record: Callable[..., object] = lambda event, **fields: None
    stop: Callable[[], str | None] = lambda: None
    data: Any = None
    validation: TrialTensors = field(init=False)
    test: TrialTensors = field(init=False)
    progress: Progress = field(init=False)
    saved: float = field(init=False, default=-math.inf)

    def __post_init__(self) -> None:
        self.training.path = FLEET
        self.validation, self.test = self.training.validation, TrialTensors.of(self.test_set)
        steps = self.training.settings["steps"]
        self.progress = Progress(steps, self.training.step, self.say, record=self.record)

    def rate(self, ahead: int) -> float:
        """Learning rate of the step so many after the next one."""
        return learning_rate(self.training.settings, self.training.step + ahead)

    def account(self, losses: np.ndarray, before: dict[str, Any]) -> None:
        """Note the losses (n,) of n steps that were taken from a state of the batches on; one that is not finite ends
        it there, and its batches go back to what was seen until then.
        """
        training, finite = self.training, np.isfinite(losses)
        taken = len(losses) if finite.all() else int(finite.argmin()) + 1
        for loss in losses[:taken].tolist():
            training.loss_sum, training.loss_count = training.loss_sum + loss, training.loss_count + 1
        training.step += taken
        if not finite.all():
            training.diverged = True
            training.batches.restore(before)
            training.batches.draw(taken)
        self.progress.show(training.step)

    def save(self) -> None:
        """Write its checkpoint."""
        if self.checkpoint is not None:
            with self.training.watch.timing("checkpoint"):
                checkpoints.save(self.checkpoint, self.training.spec, self.training.snapshot())
