"""Small datasets and cells whose trainings take a second."""

from __future__ import annotations

import contextlib
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from lmrnn.tasks import CHANNELS, battery_names
from lmrnn.training import train as loop


def trial(task, steps, decision, answer, rng):
    """A reach: the answer is shown before the decision, with some noise; fixation until the decision."""
    observations = rng.normal(0, 0.1, (steps, CHANNELS)).astype(np.float32)
    observations[:decision, 0] += 1
    observations[1:decision, answer + (16 if task % 2 else 0)] += 1
    labels = np.where(np.arange(steps) < decision, 0, answer)
    return observations, labels


def dataset(n_tasks=2, trials_per_task=20, seed=0, decision=(2, 5), rest=(1, 4)):
    """Trials of n_tasks easy tasks, task by task, with the fields of `lmrnn.datasets.Dataset`."""
    rng = np.random.default_rng(seed)
    observations, labels, columns = [], [], []
    for task in np.repeat(np.arange(n_tasks), trials_per_task):
        onset = int(rng.integers(*decision))
        steps = onset + int(rng.integers(*rest))
        shown, answers = trial(task, steps, onset, int(rng.integers(1, 17)), rng)
        observations.append(shown)
        labels.append(answers)
        columns.append((steps, task, onset))
    length, task, onset = np.array(columns).T
    return SimpleNamespace(
        observations=np.concatenate(observations),
        labels=np.concatenate(labels).astype(np.int8),
        start=np.cumsum(length) - length,
        length=length.astype(np.int32),
        task=task.astype(np.int16),
        decision=onset.astype(np.int32),
        tasks=battery_names(n_tasks),
    )


def datasets(**options):
    """Training, validation and test set."""
    return tuple(dataset(seed=seed, **options) for seed in (1, 2, 3))


def cell_spec(connectivity=None, network=None, **training):
    """A cell's spec for a tiny network."""
    return {
        "version": 1,
        "seed": 5,
        "tasks": 2,
        "connectivity": connectivity or {"kind": "local", "radius": 2},
        "network": {
            "neurons": 25,
            "nonlinearity": "relu",
            "leak": 1.0,
            "initialisation": "scaled_identity",
            "initial_scale": 0.5,
            "recurrent_noise": 0.0,
            **(network or {}),
        },
        "training": {
            "layout": "padded",
            "batch_size": 7,
            "steps": 12,
            "learning_rate": 1e-2,
            "gradient_clip": 1.0,
            "evaluate_every": 4,
            "sequence_length": 30,
            **training,
        },
    }


@contextlib.contextmanager
def told_to_stop(step):
    """A training within gets SIGTERM after a step."""
    take_step = loop.take_step

    def interrupted(training):
        take_step(training)
        if training.step == step:
            signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "take_step", interrupted)
        yield
