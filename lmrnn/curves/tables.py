"""From the cells of a sweep to its curves: training speed, steps to threshold, data efficiency, trials to threshold.

Cells that differ in nothing but connectivity, learning rate and seed are compared with each other: they make one panel.
Each connectivity is shown at its own best learning rate, chosen on validation data only. A cell that never reaches a
threshold is censored, one that diverged never reaches any and has accuracy 0 from there on; neither is ever dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lmrnn.curves.comparison import CONNECTIVITY, FIRST_AXES, best_rates, choose_rate, course, groups_at_best, prepare
from lmrnn.curves.statistics import DRAWS, crossing, mean_interval, median_interval
from lmrnn.tasks import battery_names

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult

TABLES = (
    *("training_speed", "threshold_times", "steps_to_threshold"),
    *("data_efficiency", "trials_to_threshold", "task_accuracy"),
)
UNITS = {"steps": "step", "trials": "trials", "seconds": "training_seconds"}


def compute(
    table: pd.DataFrame, results: Sequence[CellResult], thresholds: Sequence[float], bootstrap: int = DRAWS
) -> dict[str, pd.DataFrame]:
    """All curves of a study, as tidy tables.

    Parameters
    ----------
    table : pandas.DataFrame
        Table of the cells (`lmrnn.study.cells.cells_table`), one row per cell.
    results : sequence of CellResult
        The same cells in the same order; weights are not needed.
    thresholds : sequence of float
        Decision accuracies whose first crossing is reported, each in (0, 1].
    bootstrap : int
        Resamples for the interval over more than five seeds (up to five, all are listed).

    Returns
    -------
    dict of str to pandas.DataFrame
        ``training_speed``, ``threshold_times`` (one row per cell and threshold), ``steps_to_threshold``,
        ``data_efficiency``, ``trials_to_threshold``, ``task_accuracy``; see the functions of these names.

    Raises
    ------
    ValueError
        When table and results differ in number.
    """
    runs = prepare(table, results)
    times = threshold_times(runs, results, thresholds)
    best = best_rates(runs)
    return {
        "training_speed": training_speed(runs, results, best, bootstrap),
        "threshold_times": times,
        "steps_to_threshold": steps_to_threshold(times, bootstrap),
        "data_efficiency": data_efficiency(runs, results, best, bootstrap),
        "trials_to_threshold": trials_to_threshold(runs, best, thresholds, bootstrap),
        "task_accuracy": task_accuracy(runs, results, best),
    }


def training_speed(
    runs: pd.DataFrame, results: Sequence[CellResult], best: pd.DataFrame, bootstrap: int = DRAWS
) -> pd.DataFrame:
    """Validation decision accuracy against steps, trials seen and training seconds.

    Parameters
    ----------
    runs, results, best, bootstrap
        From `prepare`, `best_rates`; see `compute`.

    Returns
    -------
    pandas.DataFrame
        One row per panel, connectivity and evaluation: step, trials and training_seconds (mean over seeds),
        decision_accuracy (mean over seeds) with its bootstrap 95% interval low, high, and the always-fixate baseline.
    """
    steps_of = {
        panel: np.unique(np.concatenate([results[i].history["step"] for i in group.index]))
        for panel, group in runs.groupby("panel", sort=False)
    }
    rows = []
    for lead, group in groups_at_best(runs, best, ["panel", "connectivity"]):
        steps = steps_of[lead["panel"]]
        cells = [results[i] for i in group["cell"]]
        end = max((result.history["step"][-1] for result in cells if len(result.history["step"])), default=0)
        steps = steps[steps <= end] if lead["diverged"] < lead["seeds"] else steps
        accuracy = np.stack([course(result, "decision_accuracy", steps) for result in cells])  # (seeds, K)
        mean, low, high = mean_interval(accuracy, bootstrap)
        rows.append(
            pd.DataFrame(
                {
                    **lead,
                    "step": steps,
                    "trials": np.mean([course(result, "trials", steps) for result in cells], axis=0),
                    "training_seconds": np.mean(
                        [course(result, "training_seconds", steps) for result in cells], axis=0
                    ),
                    "decision_accuracy": mean,
                    "low": low,
                    "high": high,
                    "always_fixate": _baseline(cells),
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def _baseline(cells: Sequence[CellResult]) -> float:
    """Decision accuracy of always answering fixate on the test set, mean over tasks; NaN where no cell recorded it."""
    recorded = [result.provenance.get("always_fixate_decision_accuracy", np.nan) for result in cells]
    return float(next((value for value in recorded if np.isfinite(value)), np.nan))


def _fixate_per_task(cells: Sequence[CellResult]) -> np.ndarray:
    """The same for each task, (tasks,), or (1,) NaN; it depends on the test set only, which all cells share."""
    return next(
        (result.test["always_fixate"] for result in cells if "always_fixate" in result.test), np.full(1, np.nan)
    )


def threshold_times(runs: pd.DataFrame, results: Sequence[CellResult], thresholds: Sequence[float]) -> pd.DataFrame:
    """When each cell first reaches each threshold of validation decision accuracy.

    Parameters
    ----------
    runs, results, thresholds
        From `prepare`; see `compute`.

    Returns
    -------
    pandas.DataFrame
        One row per cell and threshold: steps, trials and seconds of training (straight line between the evaluation
        that reaches it and the one before), infinity where it never does; ``limit_steps`` is how long the cell had.
        A diverged cell never reaches any.
    """
    kept = ["panel", "family", *FIRST_AXES, *CONNECTIVITY, "learning_rate", "seed", "status", "final_validation"]
    rows = []
    for i, run in runs.iterrows():
        history, lost = results[i].history, run["status"] == "diverged"
        for threshold in thresholds:
            times = {
                unit: float("inf") if lost else crossing(history[name], history["decision_accuracy"], threshold)
                for unit, name in UNITS.items()
            }
            limit = int(run["steps"])
            rows.append(
                {
                    **run[kept],
                    "threshold": threshold,
                    "reached": np.isfinite(times["steps"]),
                    **times,
                    "limit_steps": limit,
                }
            )
    return pd.DataFrame(rows)


def steps_to_threshold(times: pd.DataFrame, bootstrap: int = DRAWS) -> pd.DataFrame:
    """Steps, trials and seconds to each threshold, each connectivity at the rate that gets there in the fewest steps.

    The rate is chosen for each panel, connectivity and threshold by the restricted mean: the mean over seeds of the
    steps, or of the length of training where the threshold is never reached (the area under the Kaplan-Meier curve, as
    all cells of a panel are censored at the same step); of equals, the one of the higher final validation accuracy.

    Parameters
    ----------
    times : pandas.DataFrame
        From `threshold_times`.
    bootstrap : int
        See `compute`.

    Returns
    -------
    pandas.DataFrame
        One row per panel, connectivity, threshold and unit (steps, trials, seconds): the median over seeds with its
        bootstrap 95% interval (infinite where too few seeds get there), seeds, reached, diverged, restricted mean of
        the steps and the length of training.

    References
    ----------
    P. Royston, M. K. B. Parmar: Restricted mean survival time. BMC Medical Research Methodology 13:152, 2013.
    """
    keys = ["panel", "connectivity", "threshold"]
    limited = times.assign(restricted=times["steps"].where(times["reached"], times["limit_steps"]))
    # accuracies lie in 0..1, so they decide between equal numbers of steps only
    limited["score"] = -limited["restricted"] + 1e-6 * limited["final_validation"]
    rows = []
    for lead, group in groups_at_best(limited, choose_rate(limited, keys, "score"), keys):
        common = {
            **lead,
            "threshold": group["threshold"].iloc[0],
            "reached": int(group["reached"].sum()),
            "restricted_mean_steps": float(group["restricted"].mean()),
            "limit_steps": int(group["limit_steps"].max()),
        }
        for unit in UNITS:
            median, low, high = median_interval(group[unit].to_numpy(), bootstrap)
            rows.append({**common, "unit": unit, "median": median, "low": low, "high": high})
    return pd.DataFrame(rows)


def data_efficiency(
    runs: pd.DataFrame, results: Sequence[CellResult], best: pd.DataFrame, bootstrap: int = DRAWS
) -> pd.DataFrame:
    """Test decision accuracy against training trials per task.

    Parameters
    ----------
    runs, results, best, bootstrap
        From `prepare`, `best_rates`; see `compute`.

    Returns
    -------
    pandas.DataFrame
        One row per panel (which fixes the data size) and connectivity: test_decision_accuracy, mean over seeds, with
        its bootstrap 95% interval low, high. The rate is chosen for each data size; a diverged cell counts as 0.
    """
    rows = []
    for lead, group in groups_at_best(runs, best, ["panel", "connectivity"]):
        mean, low, high = mean_interval(group["final_test"].to_numpy(), bootstrap)
        measured = {"test_decision_accuracy": float(mean), "low": float(low), "high": float(high)}
        rows.append({**lead, **measured, "always_fixate": _baseline([results[i] for i in group["cell"]])})
    return pd.DataFrame(rows)


def seed_trials_to_threshold(runs: pd.DataFrame, best: pd.DataFrame, thresholds: Sequence[float]) -> pd.DataFrame:
    """Training trials per task that each seed needs to reach each threshold of test decision accuracy.

    The accuracy is taken as straight in the logarithm of the data size between the sizes trained. A seed that no size
    brings there is censored at its largest; one that the smallest brings there needs that or fewer.

    Parameters
    ----------
    runs, best, thresholds
        From `prepare`, `best_rates`; see `compute`.

    Returns
    -------
    pandas.DataFrame
        One row per family of panels that differ in data size only, connectivity, seed and threshold: trials (infinity
        if censored), reached, diverged (number of cells), smallest and largest size, at_edge (``no`` if the rate is not
        the smallest or largest tried at the sizes on both sides of the crossing). Empty if there is one size only.
    """
    chosen = runs.merge(best, on=["panel", "connectivity", "learning_rate"])
    kept = [name for name in ["family", *FIRST_AXES, *CONNECTIVITY, "seed"] if name != "trials_per_task"]
    rows = []
    for _, own in chosen.groupby(["family", "connectivity", "seed"], sort=False):
        own = own.sort_values("trials_per_task")
        sizes = own["trials_per_task"].to_numpy(dtype=float)
        if len(sizes) < 2:
            continue
        common = {**own.iloc[0][kept], "diverged": int((own["status"] == "diverged").sum())}
        for threshold in thresholds:
            trials = crossing(sizes, own["final_test"].to_numpy(), threshold, logarithmic=True)
            around = own["at_edge"].to_numpy()[_around(sizes, trials)]
            edge = next((one for one in around if one != "no"), "no")
            found = {"threshold": threshold, "trials": trials, "reached": np.isfinite(trials), "at_edge": edge}
            rows.append({**common, **found, "smallest": int(sizes[0]), "largest": int(sizes[-1])})
    return pd.DataFrame(rows)


def _around(sizes: np.ndarray, place: float) -> slice:
    """The two sizes between which a place lies, the largest beyond all."""
    after = int(np.searchsorted(sizes, place)) if np.isfinite(place) else len(sizes)
    return slice(max(after - 1, 0), after + 1)


def trials_to_threshold(
    runs: pd.DataFrame, best: pd.DataFrame, thresholds: Sequence[float], bootstrap: int = DRAWS
) -> pd.DataFrame:
    """Training trials per task needed to reach each threshold of test decision accuracy.

    Parameters
    ----------
    runs, best, thresholds, bootstrap
        From `prepare`, `best_rates`; see `compute`.

    Returns
    -------
    pandas.DataFrame
        One row per family, connectivity and threshold of `seed_trials_to_threshold`: median over seeds with its
        bootstrap 95% interval, seeds, reached, at_smallest (seeds already there at the smallest size), at_edge (of any
        seed), smallest and largest size. Empty if there is only one data size.
    """
    keys = ["family", "connectivity", "threshold"]
    needed = seed_trials_to_threshold(runs, best, thresholds)
    if needed.empty:
        return pd.DataFrame(columns=[*keys, "seeds", "reached", "median", "low", "high"])
    rows = []
    for _, part in needed.groupby(keys, sort=False):
        median, low, high = median_interval(part["trials"].to_numpy(), bootstrap)
        rows.append(
            {
                **part.iloc[0].drop(["seed", "trials", "reached", "diverged", "smallest", "largest", "at_edge"]),
                "at_edge": next((edge for edge in part["at_edge"] if edge != "no"), "no"),
                "seeds": len(part),
                "diverged": int(part["diverged"].sum()),
                "reached": int(part["reached"].sum()),
                "at_smallest": int((part["trials"] <= part["smallest"]).sum()),
                "smallest": int(part["smallest"].min()),
                "largest": int(part["largest"].max()),
                "median": median,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows)


def task_accuracy(runs: pd.DataFrame, results: Sequence[CellResult], best: pd.DataFrame) -> pd.DataFrame:
    """Test decision accuracy of every task, each connectivity at its best rate.

    Parameters
    ----------
    runs, results, best
        From `prepare` and `best_rates`.

    Returns
    -------
    pandas.DataFrame
        One row per panel, connectivity and task: task (name), position (rule channel), mean over seeds of
        test_decision_accuracy, always_fixate.
    """
    rows = []
    for lead, group in groups_at_best(runs, best, ["panel", "connectivity"]):
        cells = [results[i] for i in group["cell"]]
        tasks = battery_names(cells[0].spec["tasks"])
        known = [r.test["decision_accuracy"] if r.status == "completed" else np.zeros(len(tasks)) for r in cells]
        columns = {"task": tasks, "position": range(len(tasks)), "test_decision_accuracy": np.mean(known, axis=0)}
        rows.append(pd.DataFrame({**lead, **columns, "always_fixate": np.resize(_fixate_per_task(cells), len(tasks))}))
    return pd.concat(rows, ignore_index=True)
