"""A trained network read from its file, and its responses to chosen trials."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrnn.errors import ConfigError, DamagedFileError
from lmrnn.science.conditions import conditions_of, draw_conditions
from lmrnn.tasks import BASES, battery, parse, period_names, render
from lmrnn.training.evaluation import evaluate


def test_a_loaded_network_repeats_the_test_accuracies_of_its_file(cell):
    assert np.array_equal(cell.accuracy().to_numpy(), cell.result.test["decision_accuracy"])
    assert list(cell.accuracy().index) == list(cell.tasks) == cell.spec["tasks"]


def test_a_file_that_is_not_there_is_named(tmp_path):
    import lmrnn

    with pytest.raises(DamagedFileError, match=r"nothing\.h5"):
        lmrnn.load(tmp_path / "nothing.h5")


def test_responses_are_what_the_network_computes_on_the_observations(cell):
    run = cell.run("dm1", 5, seed=3)
    for trial in range(5):
        rows = run.trials.rows(trial)
        logits = cell.network(run.trials.observations[rows], cell.rule("dm1"))
        np.testing.assert_allclose(run.logits[rows], logits, rtol=1e-4, atol=1e-5)
    assert np.array_equal(run.choices, run.logits.argmax(axis=1))
    assert set(run.period[run.time == 0]) == {"fixation"}
    assert np.array_equal(run.right, run.choices[run.last] == run.labels[run.last])


def test_padded_arrays_hold_each_trial_from_its_beginning_and_nothing_after_its_end(cell):
    run = cell.run("dm1", 20)
    states, choices, period = run.padded("states"), run.padded("choices"), run.padded("period")
    for trial, length in enumerate(run.trials.length):
        rows = run.trials.rows(trial)
        assert np.array_equal(states[trial, :length], run.states[rows])
        assert np.isnan(states[trial, length:]).all()
        assert (choices[trial, length:] == -1).all()
        assert (period[trial, length - 1], *period[trial, length:]) == ("decision", *[""] * (states.shape[1] - length))


def test_the_same_seed_draws_the_same_trials_with_noise_and_without(cell):
    noisy, clean, other = (cell.trials("dm1", 8, noise, seed) for noise, seed in ((True, 1), (False, 1), (True, 2)))
    assert np.array_equal(noisy.draws.durations, clean.draws.durations)
    assert np.array_equal(noisy.labels, clean.labels)
    assert not np.array_equal(noisy.observations, clean.observations)
    assert not np.array_equal(noisy.draws.columns["theta1"], other.draws.columns["theta1"])


def test_recurrent_noise_changes_states_only_where_the_network_has_it(cell):
    quiet = cell.run("dm1", 4, recurrent_noise=True)
    assert np.array_equal(quiet.states, cell.run("dm1", 4).states)
    cell.network.recurrent_noise = 0.1
    noisy = cell.run("dm1", 4, recurrent_noise=True)
    assert not np.allclose(noisy.states, quiet.states)
    assert np.array_equal(noisy.states, cell.run("dm1", 4, recurrent_noise=True).states)


def test_a_task_that_the_network_was_not_trained_on_is_refused_by_name(cell):
    with pytest.raises(ConfigError, match="no task 'go'; it has: dm1, dlygo"):
        cell.run("go")


def test_a_table_has_a_row_for_each_trial_with_periods_in_milliseconds(cell):
    table = cell.run("dlygo", 6, delay_ms=[0, 100, 200, 300, 400, 2500]).table()
    assert list(table["delay_ms"]) == [0, 100, 200, 300, 400, 2500]
    assert (table["right"] == (table["answer"] == table["label"])).all()


def test_chosen_conditions_are_met_and_the_rest_is_drawn():
    draws = draw_conditions(parse("dlygo"), 300, np.random.default_rng(0), {"response": 3, "modality": 2})
    assert set(draws.columns["response"]) == {3}
    assert set(draws.columns["modality"]) == {2}
    each = np.arange(300) % 16
    draws = draw_conditions(parse("dms"), 300, np.random.default_rng(0), {"sample": each, "match": each < 8})
    assert np.array_equal(draws.columns["sample"], each)
    assert np.array_equal(draws.columns["match"], each < 8)
    assert np.array_equal(draws.columns["test"] == each, each < 8)


@given(name=st.sampled_from([t for t in BASES if BASES[t].family in ("dm", "dlydm")]), c=st.floats(-1, 1))
@settings(max_examples=25, deadline=None)
def test_evidence_of_a_chosen_coherence_lies_on_the_rings_that_count_and_says_who_wins(name, c):
    draws = draw_conditions(parse(name), 6, np.random.default_rng(0), {"coherence": c})
    base, strengths = BASES[name], draws.columns["coherence"].reshape(-1, 2, 2)
    for ring, weight in enumerate(base.weights):
        if weight:
            np.testing.assert_allclose(strengths[:, ring, 0] - strengths[:, ring, 1], c, atol=1e-12)
        else:
            assert np.isnan(strengths[:, ring]).all() == (ring + 1 not in base.rings)
    assert set(draws.columns["winner"]) <= ({1, 2} if c == 0 else {1 if c > 0 else 2})
    labels = render(parse(name), draws).labels
    assert set(labels[labels > 0]) <= set(np.r_[draws.columns["theta1"], draws.columns["theta2"]] + 1)


@pytest.mark.parametrize(
    ("task", "conditions", "said"),
    [
        ("dlygo", {"coherence": 0.1}, "no condition 'coherence'; it has: fixation_ms, stimulus_ms, delay_ms"),
        ("dlygo", {"response": 16}, "has response = 16"),
        ("dms", {"sample": 3, "test": 4}, "no trial of dms has sample = 3, test = 4"),
        ("dm1", {"coherence": 1.5}, "allowed: -1 to 1"),
        ("dm1", {"coherence": 0.5, "winner": 1}, "leave out winner"),
        ("dm1", {"coherence": [0.5, 0.1]}, "a number, or one for each of 4 trials"),
        ("dm1", {"theta1": "left"}, "a number"),
        ("dlygo", {"delay_ms": 150}, "multiples of dt = 100 ms"),
        ("dlygo", {"decision_ms": 0}, "from 100 ms"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_with_what_is_allowed(task, conditions, said):
    with pytest.raises(ConfigError, match=said):
        draw_conditions(parse(task), 4, np.random.default_rng(0), conditions)


def test_every_task_has_conditions_that_can_be_chosen():
    for task in battery(126):
        known = conditions_of(task)
        assert set(known) >= {f"{name}_ms" for name in period_names(task)}
        draws = draw_conditions(task, 3, np.random.default_rng(0), {known[-1]: 1})
        assert len(draws) == 3


def test_accuracy_on_more_trials_is_that_of_a_larger_test_set(cell):
    data = cell.test_set(20)
    assert np.array_equal(cell.accuracy(data), evaluate(cell.network, data).decision_accuracy)
    assert np.array_equal(data[0].observations, cell.test_set()[0].observations)
