"""Learning rates: schedules against values worked out by hand, recurrent rates against torch's groups of parameters."""

import copy

import numpy as np
import pytest
import torch

from lmrnn.networks import get_path
from lmrnn.study.config import complete
from lmrnn.study.moments import evaluation_count, moments, next_evaluation
from lmrnn.study.since import SINCE, with_defaults
from lmrnn.training.rates import learning_rate, recurrent_factors
from lmrnn.training.state import Compute, Training
from lmrnn.training.step import Adam, CapturedStep, clip
from lmrnn.training.train import take_step, train
from tests.small_data import cell_spec, datasets
from tests.training.fleets import CELLS, DATA, TEST, VALIDATION, run_fleet, trainings

SCHEDULES = {
    # 1/4, 2/4, 3/4, 4/4, then constant
    "warmup": ({"warmup_steps": 4}, [0.25, 0.5, 0.75, 1, 1, 1]),
    # .1 + .9 (1 + cos(pi t / 6)) / 2 with cos 1, sqrt(3)/2, 1/2, 0, -1/2, -sqrt(3)/2
    "cosine": ({"rate_floor": 0.1}, [1, 0.1 + 0.45 * 1.8660254, 0.775, 0.55, 0.325, 0.1 + 0.45 * 0.1339746]),
    # 1/2, 2/2, then (1 + cos(pi t / 4)) / 2
    "warmup_cosine": ({"warmup_steps": 2}, [0.5, 1, 1, 0.8535534, 0.5, 0.1464466]),
    "constant": ({"warmup_steps": 3, "rate_floor": 0.5}, [1] * 6),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_those_worked_out_by_hand(name):
    settings, shares = SCHEDULES[name]
    training = with_defaults({"learning_rate": 0.02, "steps": 6, "schedule": name, **settings})
    assert [learning_rate(training, step) for step in range(6)] == pytest.approx([0.02 * share for share in shares])


def test_a_cosine_ends_at_its_floor_and_a_warm_up_longer_than_the_training_just_rises():
    cosine = with_defaults({"learning_rate": 1.0, "steps": 1000, "schedule": "cosine", "rate_floor": 0.25})
    assert learning_rate(cosine, 999) == pytest.approx(0.25, abs=1e-5)
    both = with_defaults({"learning_rate": 1.0, "steps": 2, "schedule": "warmup_cosine", "warmup_steps": 4})
    assert [learning_rate(both, step) for step in range(2)] == [0.25, 0.5]


def test_the_recurrent_rate_by_in_degree_is_one_at_the_reference():
    training = with_defaults({"recurrent_rate": "in_degree"})
    assert recurrent_factors(training, np.array([21, 42, 7, 0])).tolist() == [1.0, 0.5, 3.0, 1.0]
    training = with_defaults({"recurrent_rate": "in_degree", "reference_degree": 256.0})
    assert recurrent_factors(training, np.array([256, 64])).tolist() == [1.0, 4.0]
    assert recurrent_factors(with_defaults({"recurrent_rate": 0.25}), np.array([3, 9])).tolist() == [0.25, 0.25]


def test_settings_that_specs_leave_out_train_at_the_defaults_of_the_schema():
    assert complete("training", {}) == SINCE


class Groups:
    """A network trained by torch's own Adam, the weights that each neuron receives a group of parameters."""

    def __init__(self, training):
        self.network, self.path = copy.deepcopy(training.network), training.path
        self.clip = training.settings["gradient_clip"]
        factors = recurrent_factors(training.settings, self.network.connectivity.in_degree)
        self.own = [self.network.post == neuron for neuron in range(self.network.neurons)]
        self.pieces = [torch.nn.Parameter(self.network.recurrent.detach()[own].clone()) for own in self.own]
        self.others = [p for name, p in self.network.named_parameters() if name != "recurrent"]
        groups = [{"params": self.others}]
        rate = training.settings["learning_rate"]
        groups += [{"params": [piece], "lr": rate * f} for piece, f in zip(self.pieces, factors, strict=True)]
        self.optimiser = torch.optim.Adam(groups, lr=rate)
        self.shares = [group["lr"] / rate for group in self.optimiser.param_groups]

    def take(self, batch, rate):
        get_path(self.path).loss_and_gradients(self.network, batch)
        clip([p.grad for p in self.network.parameters()], self.clip)
        for piece, own in zip(self.pieces, self.own, strict=True):
            piece.grad = self.network.recurrent.grad[own]
        for group, share in zip(self.optimiser.param_groups, self.shares, strict=True):
            group["lr"] = rate * share
        self.optimiser.step()
        with torch.no_grad():
            for piece, own in zip(self.pieces, self.own, strict=True):
                self.network.recurrent[own] = piece


@pytest.mark.parametrize("layout", ["padded", "stream"])
@pytest.mark.parametrize("rate", [0.084, "in_degree"])
@pytest.mark.parametrize("path", ["kernel", "dense", "reference"])
def test_every_path_trains_as_adam_of_torch_with_a_group_for_the_recurrent_weights(path, rate, layout):
    settings = {"recurrent_rate": rate, "reference_degree": 5.0, "schedule": "cosine", "layout": layout}
    training = Training(cell_spec(**settings), *datasets()[:2], Compute(path=path))
    theirs, same = Groups(training), Training(cell_spec(**settings), *datasets()[:2], Compute(path=path)).batches
    for step in range(12):
        theirs.take(same.next(), learning_rate(training.settings, step))
        take_step(training)
        for (name, ours), other in zip(training.network.named_parameters(), theirs.network.parameters(), strict=True):
            far = (ours - other).abs().max().item()
            assert far <= 1e-6, f"{name} after step {step + 1}"


def test_recurrent_weights_at_a_rate_of_zero_stay_and_at_one_train_as_without():
    still, plain, whole = (
        train(cell_spec(**settings), *datasets(), log=lambda line: None)
        for settings in ({"recurrent_rate": 0.0}, {}, {"recurrent_rate": 1.0})
    )
    assert set(still.weights["recurrent"].tolist()) == {0.0, 0.5}
    assert all(plain.weights[name].tobytes() == whole.weights[name].tobytes() for name in plain.weights)


def test_a_captured_step_reads_the_rate_of_the_schedule_from_its_place():
    network = Training(cell_spec(), *datasets()[:2], Compute(path="dense")).network
    rate = torch.tensor(0.5)
    adam = Adam(network.parameters(), rate)
    adam.set_rate(0.125)
    assert rate.item() == 0.125
    assert adam.learning_rate is rate
    assert CapturedStep(network, adam, 1.0, None).optimiser is adam


@pytest.mark.parametrize("layout", ["padded", "stream"])
def test_a_fleet_trains_at_the_rates_of_cells_alone(layout):
    options = {"layout": layout, "evaluate_every": "log", "evaluations": 4, "steps": 30}
    settings = [
        {"recurrent_rate": "in_degree", "reference_degree": 4.0},
        {"schedule": "warmup_cosine", "warmup_steps": 5},
    ]
    settings += [{"recurrent_rate": 0.2, "schedule": "cosine"}, {}]
    made = [trainings([cell], **options, **own)[0] for cell, own in zip(CELLS[:4], settings, strict=True)]
    found = run_fleet(made)
    assert not found.errors
    for k, training in enumerate(made):
        single = train(training.spec, DATA[CELLS[k][2]], VALIDATION, TEST, log=lambda line: None)
        assert found.results[k].history["step"].tolist() == single.history["step"].tolist()
        for name, values in single.weights.items():
            np.testing.assert_allclose(found.results[k].weights[name], values, atol=1e-5, err_msg=name)


def test_evaluations_by_the_logarithm_are_those_worked_out_by_hand():
    training = with_defaults({"steps": 1000, "evaluate_every": "log", "evaluations": 3})
    assert list(moments(training)) == [0, 10, 100]
    assert evaluation_count(training) == 4
    assert [next_evaluation(training, step) for step in (0, 9, 10, 100, 999)] == [10, 10, 100, 1000, 1000]
    assert list(moments(with_defaults({"steps": 3, "evaluate_every": "log"}))) == [0, 1, 2]
    assert list(moments(with_defaults({"steps": 1, "evaluate_every": "log", "evaluations": 1}))) == [0]
    result = train(cell_spec(steps=40, evaluate_every="log", evaluations=5), *datasets(), log=lambda line: None)
    assert result.history["step"].tolist() == [0, 1, 3, 6, 16, 40]
