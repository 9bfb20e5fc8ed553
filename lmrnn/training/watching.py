"""Watching a training where people watch it: its evaluations as a CSV file and as TensorBoard's event files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmrnn.errors import ResourceError
from lmrnn.files.storage import write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TASK = "task_decision_accuracy"


@dataclass(frozen=True)
class Places:
    """Where a training's evaluations are written besides its result: a file, and a folder; None where they are not."""

    csv: Path | None = None
    tensorboard: Path | None = None


class Watch:
    """Writes each evaluation of a training of `tasks`, by name, where `places` says.

    The CSV file is written whole each time, so that one that was interrupted goes on in it; TensorBoard is told to
    forget what it saw of steps that are taken again. Raises ResourceError where tensorboard is asked for and not there.
    """

    def __init__(self, places: Places, tasks: Sequence[str]) -> None:
        self.places, self.tasks = places, tasks
        self._writer: SummaryWriter | None = None
        if places.tensorboard is not None:
            _writer_class()

    def note(self, history: Mapping[str, Sequence[Any]], ended: bool) -> None:
        """Write the evaluation that a history ends with; the last one closes the event file."""
        if self.places.csv is not None:
            write_text(self.places.csv, self._table(history))
        if self.places.tensorboard is not None:
            self._scalars(self.places.tensorboard, {name: values[-1] for name, values in history.items()}, ended)

    def _table(self, history: Mapping[str, Sequence[Any]]) -> str:
        """All evaluations, one line each: the columns of a cell's history, then each task's accuracy."""
        plain = [name for name in history if name != TASK]
        lines = [",".join([*plain, *(f"{TASK}/{task}" for task in self.tasks)])]
        for row in range(len(history["step"])):
            values = [history[name][row] for name in plain] + list(history[TASK][row])
            lines.append(",".join(map(str, values)))
        return "\n".join(lines) + "\n"

    def _scalars(self, folder: Path, row: Mapping[str, Any], ended: bool) -> None:
        step = int(row["step"])
        if self._writer is None:
            self._writer = _writer_class()(str(folder), purge_step=step)
        scalars = {name: value for name, value in row.items() if name not in ("step", TASK)}
        scalars |= {f"{TASK}/{task}": value for task, value in zip(self.tasks, row[TASK], strict=True)}
        for name, value in scalars.items():
            if np.isfinite(value):
                self._writer.add_scalar(name, value, step)
        if ended:
            self._writer.close()
        else:
            self._writer.flush()


def _writer_class() -> type[SummaryWriter]:
    """TensorBoard's writer, imported only where it is asked for."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ResourceError(
            f"log.tensorboard is true, but tensorboard is not there ({error}): pip install 'lmrnn[tensorboard]', or "
            "set it to false; log.csv needs nothing"
        ) from error
    return SummaryWriter
