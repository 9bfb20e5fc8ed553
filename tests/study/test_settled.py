"""Constraints, costs, tau and the loss's weights, from a configuration to curves; what cannot stand is refused."""

import numpy as np
import pytest

from lmrnn import plugins
from lmrnn.errors import ConfigError
from lmrnn.study.cells import read_cell
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from lmrnn.study.settled import remarks
from lmrnn.training.fleet.devices import by_itself, meeting_points
from lmrnn.training.state import restore_network
from tests.study.test_plugins import study, trained

LATER = {
    "excitatory": [None, 0.8],
    "input_share": [1, 0.5],
    "readout_share": [1, 0.5],
    "loss": [{}, {"grace": 100, "weights": {"decision": 5}}],
    "weight_decay": [0, 0.1],
    "l1": [0, 0.1],
    "wiring_cost": [0, 0.1],
    "l2_rates": [0, 0.1],
    "tau": [None, 200],
    "gradient_clip": [1.0, None],
}


@pytest.fixture(autouse=True)
def apart(monkeypatch):
    monkeypatch.setattr(plugins, "_known", {})
    monkeypatch.setenv(plugins.VARIABLE, "")


@pytest.mark.parametrize("key", LATER)
def test_a_constraint_goes_from_the_configuration_to_a_curve_of_its_own(key, tmp_path):
    config = load_config(study(tmp_path, {key: LATER[key]}, compute={"path": "dense"}))
    plain = cells_of(load_config(study(tmp_path)))[0]
    cells = cells_of(config)
    assert cells[0] == plain
    assert cells[1].hash != plain.hash
    speed, _ = trained(config, tmp_path)
    assert speed["panel"].nunique() == 2
    assert speed["decision_accuracy"].between(0, 1).all()
    result = read_cell(cells[1].path(tmp_path / "results"), cells[1].spec)
    network = restore_network(result)
    if key == "excitatory":
        signs = network.signs.numpy()[result.weights["pre"]]
        assert np.all(result.weights["recurrent"] * signs >= 0)
    if key == "readout_share":
        assert not result.weights["readout"][:, ~network.is_read.numpy()].any()


@pytest.mark.parametrize("key", ["loss", "l2_rates"])
def test_what_the_kernel_does_not_compute_takes_the_dense_path_and_says_so(key, tmp_path):
    config = load_config(study(tmp_path, {key: LATER[key][1:]}))
    with pytest.warns(UserWarning, match="slower dense path: the compiled kernel"):
        trained(config, tmp_path)


@pytest.mark.parametrize("key", [key for key in LATER if key not in ("tau", "gradient_clip")])
def test_a_fleet_refuses_what_it_does_not_compute(key, tmp_path):
    plain, own = cells_of(load_config(study(tmp_path, {key: LATER[key]})))
    assert (by_itself(plain.spec), by_itself(own.spec)) == ([], [key])
    compute = {"fleet": "auto", "device": "auto", "path": "auto"}
    assert meeting_points(own.spec, compute) == []


def test_tau_is_the_leak_that_it_means(tmp_path):
    by_leak = cells_of(load_config(study(tmp_path, network={"neurons": 9, "leak": 0.2}, dt=20)))
    by_tau = cells_of(load_config(study(tmp_path, network={"neurons": 9, "tau": 100}, dt=20)))
    axis = cells_of(load_config(study(tmp_path, {"tau": [100]}, dt=20)))
    assert by_leak == by_tau == axis


@pytest.mark.parametrize(
    ("grid", "network"),
    [({}, {"leak": 0.5, "tau": 100}), ({"tau": [100]}, {"leak": 0.5}), ({"leak": [0.5], "tau": [100]}, {})],
)
def test_leak_and_tau_together_are_refused(grid, network, tmp_path):
    with pytest.raises(ConfigError, match=r"line \d+: \S*(tau|leak): network.leak and network.tau are both given"):
        load_config(study(tmp_path, grid, network=network))


def test_dt_alone_says_what_it_does_to_tau(tmp_path):
    assert remarks(load_config(study(tmp_path))) == []
    assert "tau = dt / leak is 20 ms" in remarks(load_config(study(tmp_path, dt=20)))[0]
    assert remarks(load_config(study(tmp_path, dt=20, network={"tau": 100}))) == []
    assert remarks(load_config(study(tmp_path, {"leak": [0.2]}, dt=20))) == []


def test_weights_that_change_nothing_are_none(tmp_path):
    plain = cells_of(load_config(study(tmp_path)))
    assert cells_of(load_config(study(tmp_path, {"loss": [{"grace": 0, "weights": {"delay": 1}}]}))) == plain


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"network": {"excitatory": 0.8, "nonlinearity": "tanh"}},
            r"network.excitatory is 0.8, but the states of tanh",
        ),
        ({"network": {"excitatory": 1.5}}, r"network.excitatory is 1.5; allowed: at most 1"),
        ({"network": {"input_share": 0}}, r"network.input_share is 0; allowed: greater than 0"),
        ({"network": {"tau": 50}}, r"network.tau is 50.0 ms; allowed: at least dt, which is 100 ms"),
        ({"training": {"loss": {"grace": 50}}}, r"grace is 50 ms, no whole number of steps of dt = 100 ms"),
        ({"training": {"loss": {"weights": {"decison": 5}}}}, r"no task here has a period named 'decison'; they have"),
        ({"training": {"loss": {"weigths": {}}}}, r"unknown key 'weigths'; did you mean 'weights'"),
        (
            {"training": {"loss": {"weights": {"fixation": 0, "stimulus": 0, "delay": 0, "decision": 0}}}},
            r"every time step of some trials could weigh 0",
        ),
        ({"training": {"wiring_cost": 1}, "network": {"neurons": 10}}, r"10 neurons are no square sheet"),
        ({"training": {"weight_decay": -1}}, r"weight_decay is -1; allowed: at least 0"),
    ],
)
def test_what_cannot_stand_together_is_refused(changes, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as caught:
        cells_of(load_config(study(tmp_path, **changes)))
    assert len(str(caught.value).splitlines()) == 1
