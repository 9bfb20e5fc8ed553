"""Curves from cells whose answers were worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from lmrnn.curves import tables as curves
from lmrnn.curves.comparison import best_rates, prepare
from lmrnn.curves.statistics import (
    crossing,
    mean_interval,
    median_interval,
    resamples,
    student_interval,
)
from tests.synthetic_cells import AUTAPSE, FULL, LOCAL3, cell, study, table_of

INF = float("inf")


def computed(cells, thresholds=(0.5,)):
    return curves.compute(table_of(cells), cells, thresholds)


def test_crossing_lies_on_the_line_between_two_evaluations():
    steps, accuracy = np.array([0, 100, 200, 300]), np.array([0.1, 0.3, 0.7, 0.6])
    assert crossing(steps, accuracy, 0.5) == pytest.approx(150)
    assert crossing(steps, accuracy, 0.1) == 0
    assert crossing(steps, accuracy, 0.8) == INF
    assert crossing(np.array([10.0, 1000.0]), np.array([0.2, 0.6]), 0.4, logarithmic=True) == pytest.approx(100)


def test_three_seeds_have_all_27_resamples_and_their_interval_is_the_range():
    assert resamples(3).shape == (27, 3)
    assert mean_interval(np.array([0.2, 0.4, 0.9]))[1:] == (pytest.approx(0.2), pytest.approx(0.9))
    assert np.isnan(mean_interval(np.array([0.2]))[1])


def test_eight_seeds_are_resampled_alike_at_every_call_and_cover_the_mean():
    values = np.arange(8.0)
    mean, low, high = mean_interval(values)
    assert (mean, low, high) == mean_interval(values)
    assert mean == 3.5
    # standard error of the mean of 8 draws from 0..7 is sqrt(5.25 / 8) = 0.81
    assert low == pytest.approx(3.5 - 1.96 * 0.81, abs=0.2)
    assert high == pytest.approx(3.5 + 1.96 * 0.81, abs=0.2)


def test_students_interval_of_a_mean():
    # mean 2, standard deviation 1, and 4.303 the .975 quantile of t with 2 degrees of freedom
    low, high = student_interval(np.array([1.0, 2.0, 3.0]))
    assert (low, high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)
    assert np.isnan(student_interval(np.array([1.0]))).all()
    assert np.isnan(student_interval(np.array([1.0, INF]))).all()
    rng = np.random.default_rng(1)
    drawn = rng.standard_normal((2000, 3))
    covered = [low <= 0 <= high for low, high in map(student_interval, drawn)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)
    # the bootstrap's is the range, which leaves out 0 in a quarter of cases
    assert np.mean((drawn.min(axis=1) <= 0) & (drawn.max(axis=1) >= 0)) == pytest.approx(0.75, abs=0.03)


def test_a_median_counts_seeds_that_never_get_there():
    assert median_interval(np.array([100.0, INF, 300.0])) == (300.0, 100.0, INF)
    assert median_interval(np.array([100.0, INF, INF]))[0] == INF


def test_steps_trials_and_seconds_to_threshold_of_one_cell():
    times = computed([cell(LOCAL3, [0.1, 0.3, 0.7])])["threshold_times"]
    assert times[["steps", "trials", "seconds"]].iloc[0].tolist() == pytest.approx([150, 150 * 64, 1.5])


def test_the_area_under_a_learning_curve_is_its_mean_up_to_each_budget():
    # steps 0, 100, 200; a straight line to .5 at 100, then to .7
    cells = [cell(LOCAL3, [0.1, 0.5, 0.7]), cell(FULL, [0.1, 0.5], status="diverged", steps=200)]
    found = curves.compute(table_of(cells), cells, (0.5,), budgets=(50, 100, 150, 5000))["areas"]
    local = found[found["connectivity"] == "local-r3"]
    assert local["budget"].tolist() == [50, 100, 150, 200]  # none longer than the training
    # means of .1..3, of .1...5, of (.3 x 100 + .55 x 50) / 150, of (.3 + .6) / 2
    assert local["area"].tolist() == pytest.approx([0.2, 0.3, 57.5 / 150, 0.45])
    full = found[found["connectivity"] == "full"]
    assert full["area"].tolist() == pytest.approx([0.2, 0.3, 0.2, 0.15])  # 0 from where it diverged on


@pytest.mark.parametrize(
    "rise", [100, 150, 400]
)  # halfway after 70 steps, as the fastest networks on 20 tasks, or later
def test_areas_hardly_depend_on_how_often_is_evaluated(rise):
    found = []
    for every in (25, 50, 100):
        steps = np.arange(0, 2001, every)
        one = cell(LOCAL3, 0.05 + 0.85 * (1 - np.exp(-steps / rise)), every=every)
        found.append(curves.compute(table_of([one]), [one], (0.5,), budgets=(1000,))["areas"]["area"].to_numpy())
    assert np.abs(np.array(found) / found[0] - 1).max() < 0.01


def test_censored_and_diverged_cells_are_counted_and_never_dropped():
    cells = [cell(LOCAL3, [0, 0.6, 0.8], seed=0), cell(LOCAL3, [0, 0.2, 0.3], seed=1)]
    cells += [cell(LOCAL3, [0, 0.9], seed=2, status="diverged", steps=200)]
    tables = computed(cells)
    row = tables["steps_to_threshold"].query("unit == 'steps'").iloc[0]
    assert (row["seeds"], row["reached"], row["diverged"], row["median"]) == (3, 1, 1, INF)
    assert row["restricted_mean_steps"] == pytest.approx((500 / 6 + 200 + 200) / 3)
    last = tables["training_speed"].iloc[-1]
    assert last["step"] == 200
    assert last["decision_accuracy"] == pytest.approx((0.8 + 0.3 + 0) / 3)
    assert tables["data_efficiency"].iloc[0]["test_decision_accuracy"] == pytest.approx((0.8 + 0.3 + 0) / 3)


def test_a_connectivity_of_which_every_cell_diverged_at_once_is_in_every_table():
    cells = [cell(LOCAL3, [0, 0.6, 0.8], test=0.8), cell(FULL, [0.1], status="diverged", steps=200, learning_rate=1e3)]
    tables = computed(cells)
    for name in ("training_speed", "threshold_times", "steps_to_threshold", "data_efficiency", "task_accuracy"):
        assert set(tables[name]["connectivity"]) == {"local-r3", "full"}, name
    full = tables["training_speed"].query("connectivity == 'full'")
    assert full["decision_accuracy"].iloc[1:].eq(0).all()
    assert full["step"].max() == 200


def test_the_best_rate_is_that_of_the_best_mean_final_validation_accuracy():
    cells = [cell(LOCAL3, [0, 0.9, top], seed=seed, learning_rate=rate, test=1 - top)
             for rate, tops in {1e-3: (0.6, 0.6), 2e-3: (0.9, 0.5), 4e-3: (0.95, 0.2)}.items()
             for seed, top in enumerate(tops)]  # fmt: skip
    chosen = best_rates(prepare(table_of(cells), cells)).iloc[0]
    assert (chosen["learning_rate"], chosen["at_edge"]) == (2e-3, "no")
    assert set(computed(cells)["data_efficiency"]["learning_rate"]) == {2e-3}


def test_a_rate_with_fewer_seeds_only_shows_where_the_edge_is():
    cells = [cell(LOCAL3, [0, 0.8], seed=seed, learning_rate=rate) for seed in (0, 1) for rate in (1e-3, 2e-3)]
    cells += [cell(LOCAL3, [0, top], learning_rate=rate) for rate, top in ((5e-4, 0.5), (4e-3, 0.81))]
    chosen = best_rates(prepare(table_of(cells), cells)).iloc[0]
    assert (chosen["learning_rate"], chosen["at_edge"]) == (1e-3, "no")


def test_each_threshold_has_the_rate_that_reaches_it_first():
    cells = [cell(FULL, [0, 0.6, 0.6, 0.6], learning_rate=4e-3), cell(FULL, [0, 0.2, 0.5, 0.9], learning_rate=1e-3)]
    rows = computed(cells, (0.5, 0.8))["steps_to_threshold"].query("unit == 'steps'").set_index("threshold")
    assert rows["learning_rate"].to_dict() == {0.5: 4e-3, 0.8: 1e-3}
    assert rows["at_edge"].to_dict() == {0.5: "high", 0.8: "low"}


def test_a_divergence_never_makes_the_best_rate():
    cells = [cell(FULL, [0, 0.99], status="diverged", learning_rate=1.0, steps=200), cell(FULL, [0, 0.1, 0.2])]
    assert best_rates(prepare(table_of(cells), cells))["learning_rate"].tolist() == [1e-3]


def test_trials_to_threshold_interpolates_each_seed_in_log_data_size():
    accuracy = {0: {10: 0.2, 100: 0.4, 1000: 0.8}, 1: {10: 0.3, 100: 0.7, 1000: 0.9}, 2: {10: 0.1, 100: 0.2, 1000: 0.4}}
    cells = [
        cell(AUTAPSE, [0, value], seed=seed, trials_per_task=size)
        for seed, sizes in accuracy.items()
        for size, value in sizes.items()
    ]
    row = computed(cells, (0.6,))["trials_to_threshold"].iloc[0]
    # seed 0: halfway between 100 and 1000; seed 1: three quarters of the way from 10 to 100; seed 2: never
    assert row["median"] == pytest.approx(10**2.5)
    assert row["low"] == pytest.approx(10**1.75)
    assert (row["high"], row["seeds"], row["reached"], row["largest"]) == (INF, 3, 2, 1000)
    assert row["at_edge"] == "only"  # a single rate was tried


def test_one_data_size_gives_no_trials_to_threshold():
    assert computed([cell(FULL, [0, 1])])["trials_to_threshold"].empty


def test_panels_hold_only_cells_that_differ_in_connectivity_rate_and_seed():
    cells = [cell(LOCAL3, [0, 1], tasks=tasks, layout=layout, batch_size=batch)
             for tasks in (20, 82) for layout, batch in (("padded", 64), ("stream", 8))]  # fmt: skip
    cells += [cell(FULL, [0, 1]), cell(FULL, [0, 1], neurons=784)]
    runs = prepare(table_of(cells), cells)
    assert runs["panel"].nunique() == 5
    assert "20 tasks, 100 trials per task, padded trials, N = 784" in set(runs["panel"])
    assert not runs["panel"].str.contains("batch").any()


def test_accuracy_of_every_task_is_named():
    rows = computed([cell(LOCAL3, [0, 1], test=np.linspace(0, 1, 20))])["task_accuracy"]
    assert rows["task"].iloc[[0, 2, 19]].tolist() == ["go", "dlygo", "dnmc"]
    assert rows["test_decision_accuracy"].iloc[-1] == 1
    assert rows["always_fixate"].eq(0.1).all()


def test_the_table_read_back_from_csv_gives_the_same_curves(tmp_path):
    cells = study()
    table_of(cells).to_csv(tmp_path / "cells.csv", index=False)
    read = pd.read_csv(tmp_path / "cells.csv")
    for name, table in curves.compute(read, cells, (0.5, 0.8)).items():
        mine = computed(cells, (0.5, 0.8))[name]
        pd.testing.assert_frame_equal(table.drop(columns="boundary"), mine.drop(columns="boundary"), check_dtype=False)


def test_a_table_of_other_cells_is_refused():
    with pytest.raises(ValueError, match="2 rows of cells, but 1 results"):
        curves.compute(table_of([cell(FULL, [0, 1])] * 2), [cell(FULL, [0, 1])], (0.5,))
