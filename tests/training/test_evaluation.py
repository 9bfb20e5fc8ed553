"""Every measure worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lmrnn.datasets.batches import TrialTensors, padded_batch
from lmrnn.networks import LMRNN, build_connectivity, reference
from lmrnn.training.evaluation import always_fixate, evaluate, trial_counts
from tests.small_data import dataset

# labels, decision onset, what a network says, task: three trials
TRIALS = [
    ([0, 0, 5, 5], 2, [0, 1, 5, 5], 0),  # all right, fixation broken once in two steps
    ([0, 7, 7, 8], 1, [0, 7, 3, 8], 0),  # two of three decision steps right, last one right
    ([0, 0, 0, 0, 0], 3, [0, 0, 0, 0, 9], 1),  # no-go: one of two right, last one wrong
]


def hand_made():
    labels = [np.array(trial[0]) for trial in TRIALS]
    length = np.array([len(one) for one in labels])
    rows = length.sum()
    observations = np.zeros((rows, 33), np.float32)
    return SimpleNamespace(
        observations=observations,
        labels=np.concatenate(labels).astype(np.int8),
        start=np.cumsum(length) - length,
        length=length.astype(np.int32),
        task=np.array([trial[3] for trial in TRIALS], np.int16),
        decision=np.array([trial[1] for trial in TRIALS], np.int32),
        tasks=("a", "b"),
    )


def logits_of(choices, steps):
    logits = torch.zeros((steps, len(choices), 17))
    for b, chosen in enumerate(choices):
        for t, one in enumerate(chosen):
            logits[t, b, one] = 1
    return logits


class Says:
    """A network in whose place fixed answers stand; the order of trials is by length, as in `evaluate`."""

    bias = torch.zeros(1)


@pytest.fixture
def says(monkeypatch):
    module = SimpleNamespace(logits=lambda network, batch: logits_of([trial[2] for trial in TRIALS], len(batch.labels)))
    monkeypatch.setattr("lmrnn.training.evaluation.choose_path", lambda *_: "hand")
    monkeypatch.setattr("lmrnn.training.evaluation.get_path", lambda _: module)
    return Says()


def test_measures_worked_out_by_hand(says):
    measures = evaluate(says, hand_made())
    assert measures.decision_accuracy.tolist() == [4 / 5, 1 / 2]
    assert measures.trial_accuracy.tolist() == [1 / 2, 0]
    assert measures.final_step_accuracy.tolist() == [1, 0]
    assert measures.fixation_break_rate.tolist() == [1 / 3, 0]
    assert measures.means() == pytest.approx(
        {
            "decision_accuracy": 0.65,
            "trial_accuracy": 0.25,
            "final_step_accuracy": 0.5,
            "fixation_break_rate": 1 / 6,
        }
    )


def test_counts_of_one_batch():
    batch = padded_batch(TrialTensors.of(hand_made()), np.arange(3))
    counts = trial_counts(logits_of([trial[2] for trial in TRIALS], 5), batch)
    assert counts.T.tolist() == [[0, 2, 2, 1, 2, 1], [0, 3, 2, 1, 1, 0], [1, 2, 1, 0, 3, 0]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_time_steps_without_finite_logits_are_wrong(bad):
    batch = padded_batch(TrialTensors.of(hand_made()), np.arange(3))
    logits = logits_of([trial[2] for trial in TRIALS], 5)
    logits[:, :, 0] = bad
    counts = trial_counts(logits, batch)
    assert counts[2].tolist() == [0, 0, 0]
    assert counts[3].tolist() == [0, 0, 0]
    assert counts[5].tolist() == counts[4].tolist(), "fixation is broken everywhere"


def test_always_fixate_by_hand():
    baseline = always_fixate(hand_made())
    assert baseline.decision_accuracy.tolist() == [0, 1]
    assert baseline.step_accuracy == pytest.approx((2 + 1 + 5) / 13)


def test_a_network_that_always_fixates_reaches_the_baseline():
    data = dataset()
    network = LMRNN(build_connectivity({"kind": "autapse"}, 4), 2)
    with torch.no_grad():
        network.readout.zero_()
        network.readout_bias.copy_(torch.eye(17)[0])
    measures = evaluate(network, data)
    assert np.array_equal(measures.decision_accuracy, always_fixate(data).decision_accuracy)
    assert np.all(measures.fixation_break_rate == 0)


def test_measures_do_not_depend_on_how_trials_are_put_together():
    data = dataset(n_tasks=3, trials_per_task=30)
    network = LMRNN(build_connectivity({"kind": "full"}, 16), 3, generator=torch.Generator().manual_seed(1))
    whole = evaluate(network, data)
    for size in (1, 7, 1000):
        parts = evaluate(network, TrialTensors.of(data), batch_size=size)
        for name, values in whole.per_task().items():
            assert np.array_equal(values, parts.per_task()[name]), (name, size)


def test_evaluation_leaves_the_network_alone():
    data = dataset()
    network = LMRNN(build_connectivity({"kind": "full"}, 16), 2)
    reference.loss_and_gradients(network, padded_batch(TrialTensors.of(data), np.arange(5)))
    before = {name: (p.clone(), p.grad.clone()) for name, p in network.named_parameters()}
    evaluate(network, data)
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, before[name][0])
        assert torch.equal(parameter.grad, before[name][1])


def test_a_task_without_trials_has_no_figure():
    data = dataset()
    data.tasks = ("a", "b", "c")
    network = LMRNN(build_connectivity({"kind": "autapse"}, 4), 3)
    assert np.isnan(evaluate(network, data).decision_accuracy).tolist() == [False, False, True]
