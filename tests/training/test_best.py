"""The test set at the best validation: its weights are kept, also across interruptions and in a fleet."""

import numpy as np
import pytest

from lmrnn.errors import Interrupted
from lmrnn.study.cells import AT_BEST, MEASURES
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training import train as loop
from lmrnn.training.state import Compute, Snapshot
from lmrnn.training.train import train
from tests.small_data import cell_spec, datasets, told_to_stop
from tests.training.fleets import CELLS, DATA, TEST, VALIDATION, run_fleet, trainings

# so large a rate that the network is best early and worse at the end
SPEC = cell_spec(steps=24, evaluate_every=2, learning_rate=0.1)


@pytest.fixture(scope="module")
def data():
    return datasets()


def trained(spec, data, path=None):
    return train(spec, *data, path, lambda line: None, Compute(checkpoint_seconds=1e9))


@pytest.fixture(scope="module")
def undisturbed(data):
    return trained(SPEC, data)


def best_step(result):
    return int(result.history["step"][np.argmax(result.history["decision_accuracy"])])


def test_the_test_set_is_measured_with_the_weights_of_the_best_validation(data, undisturbed):
    best = best_step(undisturbed)
    assert 0 < best < 24
    until_then = trained({**SPEC, "training": {**SPEC["training"], "steps": best}}, data)
    for name in MEASURES:
        assert undisturbed.test[AT_BEST + name].tolist() == until_then.test[name].tolist()
    assert undisturbed.test["decision_accuracy"].tolist() != until_then.test["decision_accuracy"].tolist()


def test_the_last_weights_are_those_of_a_training_that_was_not_looked_at(data, undisturbed, monkeypatch):
    monkeypatch.setattr(loop, "measures_at_best", lambda training, test, measure: None)
    plain = trained(SPEC, data)
    assert all(plain.weights[name].tobytes() == values.tobytes() for name, values in undisturbed.weights.items())
    assert not any(name.startswith(AT_BEST) for name in plain.test)


def test_best_weights_survive_an_interruption_on_either_side_of_the_best(data, undisturbed, tmp_path):
    best = best_step(undisturbed)
    for step in (best - 1, best + 1, 23):
        path = tmp_path / f"{step}.h5"
        with told_to_stop(step), pytest.raises(Interrupted):
            trained(SPEC, data, path)
        result = trained(SPEC, data, path)
        assert result.provenance["restarts"] == 1
        assert {name: v.tobytes() for name, v in result.test.items()} == {
            name: v.tobytes() for name, v in undisturbed.test.items()
        }


def test_a_checkpoint_of_an_earlier_version_goes_on_without_the_best_weights_it_never_had(data, undisturbed, tmp_path):
    path, best = tmp_path / "c.h5", best_step(undisturbed)
    with told_to_stop(best + 1), pytest.raises(Interrupted):
        trained(SPEC, data, path)
    snapshot = checkpoints.read(path, SPEC)
    arrays = {name: values for name, values in snapshot.arrays.items() if not name.startswith("best/")}
    checkpoints.save(path, SPEC, Snapshot(snapshot.values, arrays))
    result = trained(SPEC, data, path)
    assert all(result.weights[name].tobytes() == values.tobytes() for name, values in undisturbed.weights.items())
    assert not any(name.startswith(AT_BEST) for name in result.test)
    arrays["best/input"] = snapshot.arrays["best/input"]  # some, but not all
    checkpoints.save(path, SPEC, Snapshot(snapshot.values, arrays))
    said = []
    train(SPEC, *data, path, said.append)
    assert "does not fit" in said[0]


def test_a_fleet_measures_the_same():
    made = [trainings([cell], steps=24, evaluate_every=2, learning_rate=0.1)[0] for cell in CELLS[:4]]
    found = run_fleet(made)
    assert not found.errors
    early = 0
    for k, training in enumerate(made):
        single = train(training.spec, DATA[CELLS[k][2]], VALIDATION, TEST, log=lambda line: None)
        early += best_step(single) < 24
        for name in MEASURES:
            np.testing.assert_allclose(found.results[k].test[AT_BEST + name], single.test[AT_BEST + name], atol=0.02)
    assert early
