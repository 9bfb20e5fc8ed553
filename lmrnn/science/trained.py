"""A trained network with its tasks, and its responses to new trials."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from lmrnn.analysis.runs import Run, run_trials
from lmrnn.datasets import Dataset, generate
from lmrnn.errors import ConfigError
from lmrnn.networks import LMRNN
from lmrnn.science.conditions import draw_conditions
from lmrnn.seeds import stream, torch_seed
from lmrnn.study.cells import CellResult, read_cell
from lmrnn.study.grid import Cell
from lmrnn.tasks import Task, Trials, add_noise, battery_of, names_of, parse, period_names, render
from lmrnn.training.evaluation import evaluate
from lmrnn.training.state import restore_network


@dataclass(frozen=True)
class Responses(Run):
    """What a network does in n trials of one task, S time steps in all, laid end to end as the trials' observations.

    `states` (S, N) and `logits` (S, 17) are those after each time step; class 0 is "fixate", k is ring position k - 1.
    """

    logits: np.ndarray = field(repr=False)

    @cached_property
    def choices(self) -> np.ndarray:
        """(S,) class of the largest logit at each time step."""
        return self.logits.argmax(axis=1)

    @property
    def labels(self) -> np.ndarray:
        """(S,) right class at each time step."""
        return self.trials.labels

    @property
    def period(self) -> np.ndarray:
        """(S,) name of the period that each time step belongs to."""
        begins = np.repeat(self.trials.bounds, self.trials.length, axis=0)[:, 1:-1]
        return np.asarray(period_names(self.trials.task))[(self.time[:, None] >= begins).sum(axis=1)]

    @property
    def last(self) -> np.ndarray:
        """(n,) row of each trial's last time step."""
        return self.trials.start + self.trials.length - 1

    @property
    def answers(self) -> np.ndarray:
        """(n,) choice at the last time step of each trial."""
        return self.choices[self.last]

    @property
    def right(self) -> np.ndarray:
        """(n,) whether the answer is the right one."""
        return self.answers == self.labels[self.last]

    def padded(self, name: str) -> np.ndarray:
        """One of the arrays by row, e.g. ``states``, as (n, longest trial, ...): NaN after a trial's end, -1 in those
        of whole numbers.
        """
        values = np.asarray(getattr(self, name))
        filler = np.nan if values.dtype.kind == "f" else "" if values.dtype.kind == "U" else -1
        padded = np.full((len(self.trials), int(self.trials.length.max()), *values.shape[1:]), filler, values.dtype)
        padded[self.trial, self.time] = values
        return padded

    def table(self) -> pd.DataFrame:
        """One row per trial: what was drawn (periods in ms, ``coherence`` by ring and stimulus), the answer, the right
        one, and whether they agree.
        """
        draws, names = self.trials.draws, period_names(self.trials.task)
        lasting = draws.durations[:, : len(names)].T * self.trials.dt
        columns: dict[str, Any] = {f"{name}_ms": ms for name, ms in zip(names, lasting, strict=True)}
        for name, values in draws.columns.items():
            wide = {f"{name}_{number}": column for number, column in enumerate(values.T, 1)}
            columns |= wide if values.ndim > 1 else {name: values}
        return pd.DataFrame({**columns, "answer": self.answers, "label": self.labels[self.last], "right": self.right})


@dataclass(frozen=True)
class TrainedNetwork:
    """A `network`, the spec that its cell was trained by, and the whole result (history, test) where there is a file.

    A network made by hand needs of the spec only ``tasks``, ``definition`` and ``dt``.
    """

    network: LMRNN
    spec: dict[str, Any] = field(repr=False)
    result: CellResult | None = field(default=None, repr=False)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of their rule channels."""
        return names_of(self.spec)

    def rule(self, task: str) -> int:
        """Rule channel of a task; ConfigError where the network was not trained on it."""
        name = task if task in self.tasks else parse(task).name
        if name not in self.tasks:
            raise ConfigError(f"the network has no task {name!r}; it has: {', '.join(self.tasks)}")
        return self.tasks.index(name)

    def _task(self, task: str) -> Task:
        """The task as the network was trained on it; one that it does not have, as the battery has it."""
        known = {one.name: one for one in battery_of(self.spec)}
        return known[task] if task in known else known.get((one := parse(task)).name, one)

    def with_network(self, network: LMRNN) -> TrainedNetwork:
        """Another network of the same tasks in its place, e.g. one with a lesion."""
        return replace(self, network=network, result=None)

    def trials(self, task: str, trials: int = 100, noise: bool = True, seed: int = 0, **conditions: Any) -> Trials:
        """New trials of a task under chosen conditions (`lmrnn.science.conditions`), with or without stimulus noise.

        The same `seed` draws the same trials with noise and without; none of them is of training, validation or test.
        """
        one = self._task(task)
        dt, definition = self.spec["dt"], self.spec["definition"]
        draws = draw_conditions(one, trials, stream(seed, "science", one.name, "draws"), conditions, dt, definition)
        made = render(one, draws, dt, definition)
        return add_noise(made, stream(seed, "science", one.name, "noise")) if noise else made

    def run(
        self,
        task: str,
        trials: int | Trials = 100,
        *,
        noise: bool = True,
        recurrent_noise: bool = False,
        seed: int = 0,
        **conditions: Any,
    ) -> Responses:
        """Run the network on new trials of a task, or on given ones, from state 0.

        `noise` is that of the stimuli, `recurrent_noise` the network's own of its training, which evaluations leave
        out. Further arguments are conditions: ``run("dm1", 200, coherence=0.16)``, ``run("dlygo", delay_ms=2000)``.
        Raises ConfigError on a task or a condition that there is not.
        """
        rule, name = self.rule(task), self._task(task).name
        made = trials if isinstance(trials, Trials) else self.trials(task, trials, noise, seed, **conditions)
        generator = None
        if recurrent_noise:
            generator = torch.Generator().manual_seed(torch_seed(seed, "science", name, "recurrent noise"))
        states = run_trials(self.network, made, rule, generator)
        readout, bias = (p.numpy(force=True) for p in (self.network.readout, self.network.readout_bias))
        return Responses(made, states, states @ readout.T + bias)

    def test_set(self, trials_per_task: int | None = None) -> Dataset:
        """The test set that the cell was measured on, or the first trials of each task, or more of them."""
        spec = Cell(self.spec).dataset("test")
        return generate(replace(spec, trials_per_task=trials_per_task or spec.trials_per_task))

    def accuracy(self, data: Dataset | None = None) -> pd.Series:
        """Decision accuracy of each task, by name, on a dataset of its battery or on the test set."""
        measures = evaluate(self.network, self.test_set() if data is None else data)
        return pd.Series(measures.decision_accuracy, index=pd.Index(self.tasks, name="task"), name="decision_accuracy")


def load(path: Path | str) -> TrainedNetwork:
    """The trained network of a cell's file; DamagedFileError when the file is missing or not good."""
    result = read_cell(path)
    return TrainedNetwork(restore_network(result), result.spec, result)
