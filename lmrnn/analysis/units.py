"""What the units of a trained network are for, how long they remember, and where on the sheet they lie."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmrnn.analysis.autapses import readout_lesions, self_weights, time_constants
from lmrnn.analysis.clusters import cluster_units, modularity, normalised_variance, sheet_neighbours, task_variance
from lmrnn.analysis.runs import moments, run_task
from lmrnn.networks import LMRNN
from lmrnn.tasks import battery_of


def unit_tables(
    network: LMRNN, spec: dict, trials: int = 64, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """What the units of a network are for: three tables, of units, of their tuning, of their clusters.

    Units, one row each: unit, row and column on the sheet (-1 without one), active, cluster (-1 if not active),
    self_weight, time_constant_ms, the task of the largest variance and that of the largest loss without the unit.
    Tuning, one row per unit and task: variance (normalised: the unit's largest is 1; 0 if not active), loss (decision
    accuracy lost when the unit no longer reaches the readout). Clusters, one row: active units, number of clusters,
    silhouette, and modularity on the sheet (neighbours) and over synapses (weighted by strength). `trials` is per task,
    `seed` >= 0 that of the trials and of the clustering.
    """
    tasks = battery_of(spec)
    readout, bias = network.readout.detach().numpy(), network.readout_bias.detach().numpy()
    variance, loss = np.zeros((network.neurons, len(tasks))), np.zeros((network.neurons, len(tasks)))
    for rule, task in enumerate(tasks):
        run = run_task(network, task, rule, spec, trials, seed)
        variance[:, rule] = task_variance(run.states, moments(run.trials))
        deciding = run.time >= run.trials.decision[run.trial]
        _, loss[:, rule] = readout_lesions(run.states[deciding], run.trials.labels[deciding], readout, bias)
    active, normalised = normalised_variance(variance)
    labels = np.full(network.neurons, -1)
    labels[active], scores = cluster_units(normalised, seed=seed) if active.any() else (labels[active], {})
    shown = np.zeros_like(variance)
    shown[active] = normalised
    names = np.array([task.name for task in tasks])
    units = _units(network, spec, active, labels).assign(
        main_task=np.where(active, names[shown.argmax(axis=1)], ""),
        lesioned_task=np.where(loss.max(axis=1) > 0, names[loss.argmax(axis=1)], ""),
    )
    tuning = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(network.neurons), len(tasks)),
            "task": np.tile(names, network.neurons),
            "variance": shown.ravel(),
            "loss": loss.ravel(),
        }
    )
    return units, tuning, _cluster_row(network, spec, labels, scores)


def _units(network: LMRNN, spec: dict, active: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    connectivity, side = network.connectivity, network.connectivity.side or 0
    own = self_weights(network.recurrent.detach().numpy(), connectivity.post, connectivity.pre, network.neurons)
    unit = np.arange(network.neurons)
    return pd.DataFrame(
        {
            "unit": unit,
            "row": unit // side if side else -1,
            "column": unit % side if side else -1,
            "active": active,
            "cluster": labels,
            "self_weight": own,
            "time_constant_ms": time_constants(own, network.leak, spec["dt"]),
        }
    )


def _cluster_row(network: LMRNN, spec: dict, labels: np.ndarray, scores: dict[int, float]) -> pd.DataFrame:
    """Number of clusters and their modularity on the sheet and over synapses."""
    connectivity = network.connectivity
    row = {
        "active": int((labels >= 0).sum()),
        "clusters": int(labels.max() + 1),
        "silhouette": max(scores.values(), default=np.nan),
    }
    torus = spec["connectivity"].get("boundary") == "torus"
    touching = sheet_neighbours(connectivity.side, torus) if connectivity.side else np.zeros((0, 2), np.int64)
    between = connectivity.post != connectivity.pre
    pairs = np.stack([connectivity.post[between], connectivity.pre[between]], axis=1)
    strength = np.abs(network.recurrent.detach().numpy())[between]
    for name, pair, weight in (("sheet", touching, None), ("synapses", pairs, strength)):
        found = modularity(labels, pair, weight) if len(pair) else None
        for key in ("share", "chance", "spread", "p"):
            row[f"{name}_{key}"] = getattr(found, key) if found else np.nan
    return pd.DataFrame([row])
