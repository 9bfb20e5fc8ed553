"""What a network can no longer do without some of its units or synapses."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from lmrnn.analysis.units import unit_tables
from lmrnn.datasets import Dataset
from lmrnn.errors import ConnectivityError
from lmrnn.networks import LMRNN, Connectivity
from lmrnn.networks.places import sheet_lengths
from lmrnn.science.trained import TrainedNetwork


def without_units(network: LMRNN, units: np.ndarray) -> LMRNN:
    """A copy of a network in which some units, numbers or bool (N,), act on nothing: their synapses onto others and
    onto themselves and their readout are 0 (the lesion of Yang et al. 2019, Nature Neuroscience 22, Methods).
    """
    silent = np.zeros(network.neurons, bool)
    silent[units] = True
    lesioned = without_synapses(network, silent[network.connectivity.pre])
    with torch.no_grad():
        lesioned.readout[:, torch.from_numpy(silent)] = 0
    return lesioned


def without_synapses(network: LMRNN, synapses: np.ndarray) -> LMRNN:
    """A copy of a network in which some synapses, numbers in the order of its connectivity or bool (E,), are 0."""
    lesioned = copy.deepcopy(network)
    with torch.no_grad():
        lesioned.recurrent[torch.from_numpy(np.asarray(synapses))] = 0
    return lesioned


def synapse_lengths(connectivity: Connectivity, boundary: str = "open") -> np.ndarray:
    """Euclidean length of each synapse on the square sheet, (E,), in units of neighbouring neurons; on a ``torus`` the
    shorter way counts. Raises ConnectivityError where the neurons make no square.
    """
    side = connectivity.side
    if side is None:
        raise ConnectivityError(f"{connectivity.neurons} neurons make no square sheet: their synapses have no length")
    return sheet_lengths(side, connectivity.post, connectivity.pre, boundary == "torus")


def unit_clusters(cell: TrainedNetwork, trials: int = 64, seed: int = 0) -> np.ndarray:
    """Cluster of each unit by the tasks that it varies in, (N,), -1 where it is silent (`lmrnn.analysis.units`)."""
    return unit_tables(cell.network, cell.spec, trials, seed)[0]["cluster"].to_numpy()


def lesion_clusters(cell: TrainedNetwork, clusters: np.ndarray, data: Dataset | None = None) -> pd.DataFrame:
    """Decision accuracy on every task without each cluster of units in turn, on the test set or another dataset.

    `clusters` (N,) are whole numbers, negative for units in none. One row per cluster and task: cluster, units, task,
    decision_accuracy, change (against the whole network).
    """
    data = cell.test_set() if data is None else data
    whole, parts = cell.accuracy(data), []
    for cluster in np.unique(clusters[clusters >= 0]):
        units = np.asarray(clusters) == cluster
        parts.append(_rows(cell, without_units(cell.network, units), data, whole, cluster=cluster, units=units.sum()))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def lesion_lengths(cell: TrainedNetwork, edges: Sequence[float], data: Dataset | None = None) -> pd.DataFrame:
    """Decision accuracy on every task without the synapses of each range of lengths in turn.

    Ranges are from each of `edges` up to, not including, the next. One row per range and task: low, high, synapses,
    strength (sum of the absolute weights that go), task, decision_accuracy, change. Raises ConnectivityError where the
    neurons make no square sheet.
    """
    data = cell.test_set() if data is None else data
    boundary = str(cell.spec.get("connectivity", {}).get("boundary", "open"))
    lengths = synapse_lengths(cell.network.connectivity, boundary)
    whole, parts = cell.accuracy(data), []
    for low, high in itertools.pairwise(edges):
        gone = (lengths >= low) & (lengths < high)
        strength = float(np.abs(cell.network.recurrent.numpy(force=True)[gone]).sum())
        lesioned = without_synapses(cell.network, gone)
        about = {"low": low, "high": high, "synapses": int(gone.sum()), "strength": strength}
        parts.append(_rows(cell, lesioned, data, whole, **about))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _rows(cell: TrainedNetwork, lesioned: LMRNN, data: Dataset, whole: pd.Series, **about: object) -> pd.DataFrame:
    """Accuracies of one lesion, with what it was."""
    accuracy = cell.with_network(lesioned).accuracy(data)
    found = pd.DataFrame({**about, "task": accuracy.index, "decision_accuracy": accuracy.to_numpy()})
    return found.assign(change=(accuracy - whole).to_numpy())
