"""The battery as the reference checks want it: one trial rendered from given parameters, or n sampled trials."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmrnn.seeds import stream
from lmrnn.tasks import PERIODS, Draws, Task, Trials, parse, render, sample

COHERENCES = ("coh1_mod1", "coh2_mod1", "coh1_mod2", "coh2_mod2")
Params = dict[str, Any]


def _draws(task: Task, params: Params) -> Draws:
    """One trial's parameters as columns of length 1."""
    durations = np.array([[params["durations"][name] for name in PERIODS[task.family]]])
    names = ("modality", "response", "theta1", "theta2", "winner", "tie", "sample", "test", "match")
    columns = {str(name): np.array([params[name]]) for name in names if name in params}
    if task.family in ("dm", "dlydm"):
        columns["coherence"] = np.array([[params.get(name, np.nan) for name in COHERENCES]])
    return Draws(durations, columns)


def _params(trials: Trials, i: int) -> Params:
    """Trial i's parameters as the reference checks give them."""
    names = PERIODS[trials.task.family]
    params: Params = {"family": trials.task.family}
    params["durations"] = dict(zip(names, trials.draws.durations[i].tolist(), strict=True))
    if "delay" in names:
        params["delay_ms"] = params["durations"]["delay"] * trials.dt
    for name, values in trials.draws.columns.items():
        if name == "coherence":
            present = ~np.isnan(values[i])
            params |= {key: float(values[i, j]) for j, key in enumerate(COHERENCES) if present[j]}
        else:
            params[name] = values[i].item()
    return params


def noise_sd(trials: Trials) -> np.ndarray:
    """(S, 33): standard deviation of the noise at each entry, 0 where there is none."""
    sd = np.zeros(trials.observations.size, np.float32)
    sd[trials.noise.entry[:, None] + np.arange(trials.noise.width)] = trials.noise.sd
    return sd.reshape(trials.observations.shape)


def _rendered(name: str, params: Params, dt: int, definition: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    task = parse(name)
    trials = render(task, _draws(task, params), dt, definition)
    return trials.observations, trials.labels, noise_sd(trials)


def released(task: str, params: Params, dt: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observation without noise (T, 33), labels (T,) and noise sd (T, 33) of one trial, released definition."""
    return _rendered(task, params, dt, "released")


def corrected(task: str, params: Params, dt: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observation without noise (T, 33), labels (T,) and noise sd (T, 33) of one trial, corrected definition."""
    return _rendered(task, params, dt, "corrected")


def _sampled(name: str, n: int, seed: int, dt: int, definition: str) -> tuple[Trials, list[tuple]]:
    task = parse(name)
    trials = sample(task, n, stream(seed, "reference", task.name), dt, definition)
    return trials, [(trials.observations[trials.rows(i)], trials.labels[trials.rows(i)]) for i in range(n)]


def sample_released(task: str, n: int, seed: int, dt: int = 100) -> list[tuple[np.ndarray, np.ndarray]]:
    """n pairs of observation with noise (T, 33) and labels (T,), released definition."""
    return _sampled(task, n, seed, dt, "released")[1]


def sample_corrected(task: str, n: int, seed: int, dt: int = 100, with_params: bool = False) -> list[tuple]:
    """n pairs of observation with noise (T, 33) and labels (T,), corrected definition; parameters first on demand."""
    trials, pairs = _sampled(task, n, seed, dt, "corrected")
    return [(_params(trials, i), *pair) for i, pair in enumerate(pairs)] if with_params else pairs
