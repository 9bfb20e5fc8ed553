"""Principal components, lesions and export."""

import json

import numpy as np
import pytest
import torch

from lmrnn.errors import ConfigError, ConnectivityError
from lmrnn.networks import LMRNN, Connectivity, build_connectivity
from lmrnn.science.export import rnn_input, to_npz, to_rnn
from lmrnn.science.lesions import (
    lesion_clusters,
    lesion_lengths,
    synapse_lengths,
    unit_clusters,
    without_synapses,
    without_units,
)
from lmrnn.science.state_space import principal_components
from tests.networks.test_model import random_batch
from tests.science.hand_made import hand_made


def test_principal_components_of_points_on_a_tilted_ellipse_are_its_axes():
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    axes = np.array([[0.6, 0.8, 0], [-0.8, 0.6, 0]])
    points = 5 + np.stack([3 * np.cos(angle), np.sin(angle)], axis=1) @ axes
    found = principal_components(points, 2)
    np.testing.assert_allclose(np.abs(found.axes @ axes.T), np.eye(2), atol=1e-9)
    np.testing.assert_allclose(found.share, [0.9, 0.1])
    np.testing.assert_allclose(found.project(points).max(axis=0), [3, 1], rtol=1e-4)
    np.testing.assert_allclose(found.mean, 5)
    assert np.isnan(found.project(np.full((2, 4, 3), np.nan))).all()


def test_more_components_than_there_are_are_refused():
    with pytest.raises(ConfigError, match="1 to 3"):
        principal_components(np.zeros((10, 3)), 4)


def test_units_that_are_lesioned_act_on_nothing_and_the_network_stays_as_it_was():
    network = hand_made(np.full((4, 4), 0.3), readout=np.ones((17, 4)), bias=np.ones(4))
    batch = random_batch(n_tasks=1)
    before = [parameter.clone() for parameter in network.parameters()]
    lesioned = without_units(network, np.array([False, True, False, True]))
    kept = hand_made(np.full((2, 2), 0.3), readout=np.ones((17, 2)), bias=np.ones(2))
    shown = batch.observations.double()
    np.testing.assert_allclose(lesioned(shown, 0).detach(), kept(shown, 0).detach(), rtol=1e-12)
    assert torch.equal(without_units(network, np.array([1, 3])).recurrent, lesioned.recurrent)
    assert all(map(torch.equal, before, network.parameters()))


def test_lengths_of_synapses_on_a_sheet_and_on_a_torus():
    connectivity = Connectivity(9, np.array([0, 8, 2]), np.array([0, 0, 0]), "three")
    np.testing.assert_allclose(synapse_lengths(connectivity), [0, np.sqrt(8), 2])
    np.testing.assert_allclose(synapse_lengths(connectivity, "torus"), [0, np.sqrt(2), 1])
    local = build_connectivity({"kind": "local", "radius": 3}, 49)
    assert synapse_lengths(local).max() < 3
    torus = build_connectivity({"kind": "local", "radius": 3, "boundary": "torus"}, 49)
    assert synapse_lengths(torus, "torus").max() < 3 < synapse_lengths(torus).max()
    with pytest.raises(ConnectivityError, match="no square"):
        synapse_lengths(Connectivity(2, np.array([0]), np.array([1]), "pair"))


def test_lesions_of_nothing_change_nothing_and_of_everything_leave_chance(cell):
    data = cell.test_set(20)
    none = lesion_lengths(cell, [50, 60], data)
    assert (none["change"] == 0).all()
    assert (none["synapses"] == 0).all()
    every = lesion_lengths(cell, [0, 1, 60], data)
    assert every.groupby("low")["synapses"].first().sum() == cell.network.connectivity.synapses
    assert list(every["task"]) == 2 * list(cell.tasks)
    silent = lesion_clusters(cell, np.zeros(36, int), data)
    without = without_synapses(without_units(cell.network, np.arange(36)), np.arange(5))
    expected = cell.with_network(without).accuracy(data)
    assert np.array_equal(silent["decision_accuracy"], expected)
    assert list(silent["units"]) == 4 * [36]


def test_clusters_are_those_of_the_units(cell):
    clusters = unit_clusters(cell, 8)
    assert clusters.shape == (36,)
    table = lesion_clusters(cell, clusters, cell.test_set(4))
    assert set(table["cluster"]) == set(clusters[clusters >= 0])


@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
def test_an_exported_rnn_has_the_states_and_logits_of_the_network(nonlinearity, dtype, tolerance):
    generator = torch.Generator().manual_seed(1)
    connectivity = build_connectivity({"kind": "random", "density": 0.1}, 256)
    network = LMRNN(connectivity, 3, nonlinearity, 1.0, "gaussian", 1.0, generator=generator).to(dtype)
    batch = random_batch(steps=33, trials=8, n_tasks=3)
    shown = batch.observations.to(dtype)
    rnn, readout = to_rnn(network)
    states, _ = rnn(rnn_input(shown, batch.rule, 3))
    from lmrnn.networks.model import unroll

    batch = type(batch)(shown, batch.rule, batch.labels, batch.lengths, batch.decision)
    ours = unroll(network, batch)
    assert ((states - ours).norm(dim=-1) <= tolerance * ours.norm(dim=-1)).all()
    logits, expected = readout(states), network(batch)
    assert ((logits - expected).norm(dim=-1) <= tolerance * expected.norm(dim=-1)).all()


@pytest.mark.parametrize("settings", [{"leak": 0.5}, {"nonlinearity": "softplus"}])
def test_what_nn_rnn_does_not_compute_is_refused_with_what_to_do(settings):
    network = LMRNN(build_connectivity("autapse", 4), 1, **{"nonlinearity": "relu", "leak": 1.0, **settings})
    with pytest.raises(ConfigError, match=r"leak 1 with tanh or relu only; .* to_npz"):
        to_rnn(network)


def test_arrays_of_an_export_give_the_logits_by_its_formula(cell, tmp_path):
    to_npz(cell, tmp_path / "network.npz")
    with np.load(tmp_path / "network.npz") as read:
        file = {name: read[name] for name in read.files}
    run = cell.run("dms", 1)
    weights = np.zeros((36, 36))
    weights[file["post"], file["pre"]] = file["recurrent"]
    assert (str(file["nonlinearity"]), float(file["leak"])) == ("relu", 1.0)
    task, state = list(file["tasks"]).index("dms"), np.zeros(36)
    for observation in run.trials.observations:
        drive = file["input"] @ observation + file["rule"][:, task] + file["bias"]
        state = np.maximum(weights @ state + drive, 0)
    np.testing.assert_allclose(file["readout"] @ state + file["readout_bias"], run.logits[-1], rtol=1e-4, atol=1e-5)
    assert json.loads(str(file["spec"])) == cell.spec
    with pytest.raises(ConfigError, match="npz"):
        to_npz(cell, tmp_path / "network.npy")
