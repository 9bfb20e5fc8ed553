"""Many cells in one fleet: each is trained as it is alone, whoever else is there."""

import numpy as np
import pytest
import torch

from lmrnn.training.fleet.places import Places
from lmrnn.training.fleet.pool import Pool
from lmrnn.training.fleet.rows import full, staircase
from lmrnn.training.fleet.shape import Shape
from lmrnn.training.fleet.step import Step
from lmrnn.training.train import train
from tests.training.fleets import (
    CELLS,
    DATA,
    TASKS,
    TEST,
    VALIDATION,
    Together,
    alone,
    run_fleet,
    same_bits,
    state,
    trainings,
)

NETWORKS = [
    {"nonlinearity": "relu"},
    {"nonlinearity": "relu", "leak": 0.4},
    {"nonlinearity": "softplus", "leak": 0.3},
    {"nonlinearity": "softplus", "initialisation": "gaussian"},
    {"nonlinearity": "tanh", "initialisation": "gaussian", "initial_scale": 1.0},
    {"nonlinearity": "tanh", "leak": 0.5},
]
LAYOUTS = ["padded", "stream"]
OTHERS = {"first four": [0, 1, 2, 3], "reversed": [7, 6, 5, 4, 3, 2, 1, 0], "one alone": [6], "every other": [1, 3, 5]}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: "-".join(map(str, n.values())))
def test_every_cell_of_a_fleet_is_trained_as_the_reference_trains_it_alone(network, layout):
    options = {"double": True, "network": network, "noise": {1: 0.1, 6: 0.2}, "layout": layout, "evaluate_every": 60}
    one = trainings(path="reference", **options)
    expected = [alone(training, 50) for training in one]
    together = Together(other := trainings(**options)).take(50)
    for k in range(len(CELLS)):
        np.testing.assert_allclose(together.losses[k], expected[k], rtol=1e-10, err_msg=str(CELLS[k]))
        ours, theirs = state(other[k]), state(one[k])
        for name, values in theirs.items():
            bound = 1e-10 if name.startswith("weight") else 1e-8  # a moment is a sum of what nearly cancels
            assert np.linalg.norm(ours[name] - values) <= bound * max(np.linalg.norm(values), 1e-10), (CELLS[k], name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_in_float32_a_fleet_differs_from_the_dense_path_by_no_more_than_the_kernel_does(layout):
    options = {"layout": layout, "evaluate_every": 60, "network": {"nonlinearity": "softplus", "leak": 0.3}}
    dense, kernel = trainings(**options), trainings(path="auto", **options)
    for training in (*dense, *kernel):
        alone(training, 30)
    Together(fleet := trainings(**options)).take(30)
    far = lambda a, b: max(np.abs(x - y).max() for x, y in zip(state(a).values(), state(b).values(), strict=True))  # noqa: E731
    allowed = max(far(a, b) for a, b in zip(dense, kernel, strict=True))
    assert max(far(a, b) for a, b in zip(dense, fleet, strict=True)) <= 3 * allowed


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("who", OTHERS)
def test_a_cell_has_the_same_bits_whoever_else_is_in_the_fleet_and_where_it_sits(who, layout):
    options = {"layout": layout, "evaluate_every": 60}
    whole = trainings(**options)
    Together(whole).take(20)
    some = trainings([CELLS[k] for k in OTHERS[who]], **options)
    Together(some, places=len(some) + 3).take(20)
    assert [same_bits(one, whole[k]) for one, k in zip(some, OTHERS[who], strict=True)] == [True] * len(some)


@pytest.mark.parametrize("who", OTHERS)
def test_a_batch_that_needs_more_rows_than_most_changes_no_bit_of_the_others(who, monkeypatch):
    monkeypatch.setattr("lmrnn.training.fleet.rows._TILE", 1)
    monkeypatch.setattr("lmrnn.training.fleet.rows._SPARE", 1.5)
    taken, compute = [], Step.compute
    monkeypatch.setattr(Step, "compute", lambda self, rows: (taken.append(rows.widths), compute(self, rows))[1])
    whole = trainings(evaluate_every=60)
    Together(whole).take(20)
    assert len(taken) > 20  # some step in two launches or more
    assert len(set(taken)) > 1
    some = trainings([CELLS[k] for k in OTHERS[who]], evaluate_every=60)
    Together(some, places=len(some) + 3).take(20)
    assert [same_bits(one, whole[k]) for one, k in zip(some, OTHERS[who], strict=True)] == [True] * len(some)
    dense = trainings(double=True)
    for training in dense:
        alone(training, 20)
    Together(other := trainings(evaluate_every=60, double=True)).take(20)
    for one, two in zip(dense, other, strict=True):
        np.testing.assert_allclose(state(two)["weight input"], state(one)["weight input"], rtol=1e-9, atol=1e-13)


def test_a_cell_that_diverges_stops_alone_and_keeps_its_last_finite_weights():
    cells = [*CELLS[:3], ({"kind": "full"}, 2, 1, 1e6), *CELLS[4:]]
    options = {"evaluate_every": 10, "steps": 20, "network": {"leak": 0.5}}
    found = run_fleet(trainings(cells, **options))
    assert [found.results[k].status for k in range(8)] == ["completed"] * 3 + ["diverged"] + ["completed"] * 4
    without = run_fleet(trainings(cells[:3], **options))
    for k in range(3):
        for name, values in without.results[k].weights.items():
            assert np.array_equal(found.results[k].weights[name], values)
    spec, data = found.members[3].training.spec, DATA[1]
    single = train(spec, data, VALIDATION, TEST, log=lambda line: None)
    assert found.results[3].history["step"].tolist() == single.history["step"].tolist()
    assert found.results[3].history["trials"].tolist() == single.history["trials"].tolist()
    assert all(np.isfinite(values).all() for values in found.results[3].weights.values())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_of_a_fleet_are_those_of_cells_alone(layout):
    options = {"layout": layout, "evaluate_every": 7, "network": {"nonlinearity": "tanh"}}
    cells = [*CELLS[:3], ({"kind": "autapse"}, 1, 1, 1e-9)]  # the last one learns nothing: its validation ends it
    made = [trainings([cell], steps=10 + k, patience=7, **options)[0] for k, cell in enumerate(cells)]
    found = run_fleet(made)
    assert not found.errors
    assert found.results[3].history["step"].tolist() == [0, 7]
    for k, training in enumerate(made):
        single = train(training.spec, DATA[cells[k][2]], VALIDATION, TEST, log=lambda line: None)
        ours = found.results[k]
        assert (ours.status, ours.spec) == (single.status, single.spec)
        for name, values in single.history.items():
            if "seconds" not in name:
                np.testing.assert_allclose(ours.history[name], values, atol=1e-5, err_msg=name)
        for part in ("test", "weights"):
            for name, values in getattr(single, part).items():
                np.testing.assert_allclose(getattr(ours, part)[name], values, atol=1e-5, err_msg=name)
        assert ours.provenance["path"] == "fleet"
        assert ours.provenance["precision"] == "float32"
        assert ours.provenance["fleet_places"] == 4


def test_a_cell_that_joins_late_is_trained_as_one_that_was_there_and_disturbs_nobody():
    options = {"evaluate_every": 60}
    whole = trainings(**options)
    Together(whole).take(30)
    late = trainings(**options)
    together = Together(late[:5], places=8).take(10)
    together.join(*late[5:])  # with a dataset that was not there before
    together.take(20)
    for k in range(5):
        assert same_bits(late[k], whole[k])
    assert [training.step for training in late] == [30] * 5 + [20] * 3
    fewer = trainings(CELLS[5:], **options)
    Together(fewer).take(20)
    assert all(map(same_bits, late[5:], fewer))


def test_what_goes_wrong_with_one_cell_is_told_to_it_alone(tmp_path):
    made = trainings(CELLS[:4], steps=8)
    (tmp_path / "file").write_text("")
    whole = run_fleet(trainings(CELLS[:4], steps=8))

    checkpoints = [tmp_path / ("file/c.h5" if k == 2 else f"{k}.h5") for k in range(4)]
    found = run_fleet(made, checkpoints=checkpoints)
    results, errors = found.results, found.errors
    assert sorted(results) == [0, 1, 3]
    assert list(errors) == [2]
    assert "file" in str(errors[2])
    for k in results:
        assert all(np.array_equal(results[k].weights[n], v) for n, v in whole.results[k].weights.items())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: "-".join(map(str, n.values())))
def test_a_step_reads_no_value_from_the_device(network, layout):
    """A tensor on the device "meta" has no values: reading one, or mixing in a tensor of the CPU, is an error."""
    training = trainings(CELLS[:1], network=network, layout=layout)[0]
    shape, meta = Shape.of(training.spec, TASKS), torch.device("meta")
    pool = Pool(meta, torch.float32)
    pool.add(training.batches.trials)
    rows = staircase(np.array([4, 9, 9, 2]), 7, meta) if layout == "padded" else full(30, 7, meta)
    step = Step(Places(4, shape, meta, torch.float32), pool, 3, len(rows), noisy=True)
    step.compute(rows)
    assert step.ahead.losses.is_meta


def test_rows_are_those_of_the_trials_that_are_still_on():
    rows = staircase(np.array([1, 2, 2, 5] * 10), 8)
    assert rows.widths == (8, 8, 8, 8, 8)  # of so few, all may be long
    lengths = np.repeat([2, 10], [950, 50])
    rows = staircase(lengths, 64)
    assert rows.steps == 10
    assert rows.widths[:2] == (64, 64)
    assert rows.widths[2] < 24
    batches = np.array([[10] * 3 + [2] * 61, [10] * 40 + [2] * 24, [11] + [2] * 63, [2] * 64])
    assert rows.holds(batches).tolist() == [True, False, False, True]
    assert rows.before.tolist()[:3] == [0, 1, 2]
    assert len(rows.before) == len(rows) - 64
