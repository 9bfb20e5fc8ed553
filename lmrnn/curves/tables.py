"""From the cells of a sweep to its curves: training speed, steps to threshold, data efficiency, trials to threshold.

Which cells are compared, and at which learning rate, says `lmrnn.curves.comparison`. A cell that never reaches a
threshold is censored, one that diverged never reaches any and has accuracy 0 from there on; neither is ever dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lmrnn.curves.comparison import (
    CONNECTIVITY,
    FIRST_AXES,
    IDS,
    always_fixate,
    best_rates,
    choose_rate,
    course,
    groups_at_best,
    ideal_observer,
    prepare,
    restricted,
)
from lmrnn.curves.drive import drive, tuned_areas
from lmrnn.curves.statistics import DRAWS, area, crossing, mean_interval, median_interval
from lmrnn.tasks import names_of

if TYPE_CHECKING:
    from lmrnn.study.cells import CellResult

UNITS = {"steps": "step", "trials": "trials", "seconds": "training_seconds"}
_PANEL = ["panel_id", "connectivity_id"]
# settings of the rates, as far as a study has them
RATES = ("learning_rate", "recurrent_rate", "reference_degree", "schedule", "warmup_steps", "rate_floor")


@dataclass(frozen=True)
class Sweep:
    """The cells of a study as its curves see them.

    `runs` is the table of `prepare`, row i of which is results[i]; `thresholds` are decision accuracies in (0, 1];
    `bootstrap` counts the resamples for intervals over more than five seeds (up to five, all are listed); `budgets` are
    steps up to which areas are taken.
    """

    runs: pd.DataFrame
    results: Sequence[CellResult]
    thresholds: Sequence[float]
    bootstrap: int = DRAWS
    budgets: Sequence[int] = ()

    @cached_property
    def best(self) -> pd.DataFrame:
        """Best learning rate of each connectivity in each panel."""
        return best_rates(self.runs)

    @cached_property
    def areas(self) -> pd.DataFrame:
        """Area under each cell's learning curve up to each budget."""
        return areas(self)

    @cached_property
    def times(self) -> pd.DataFrame:
        """When each cell reaches each threshold."""
        return threshold_times(self.runs, self.results, self.thresholds)


def compute(
    table: pd.DataFrame,
    results: Sequence[CellResult],
    thresholds: Sequence[float],
    bootstrap: int = DRAWS,
    budgets: Sequence[int] = (),
) -> dict[str, pd.DataFrame]:
    """All curves of a study (`TABLES`), from its table of cells and the same cells in the same order without weights.

    Raises ValueError when table and results differ in number.
    """
    sweep = Sweep(prepare(table, results), results, list(dict.fromkeys(thresholds)), bootstrap, sorted(set(budgets)))
    return {name: make(sweep) for name, make in TABLES.items()}


def training_speed(sweep: Sweep) -> pd.DataFrame:
    """Validation decision accuracy against steps, trials seen and training seconds.

    One row per panel, connectivity and evaluation: step, trials and training_seconds (mean over seeds),
    decision_accuracy (mean over seeds) with its bootstrap 95% interval low, high; always_fixate and ideal, what
    always fixating and the ideal observer reach.
    """
    steps_of = {
        panel: np.unique(np.concatenate([sweep.results[i].history["step"] for i in group.index]))
        for panel, group in sweep.runs.groupby("panel_id", sort=False)
    }
    rows = []
    for lead, group in groups_at_best(sweep.runs, sweep.best, _PANEL):
        steps = steps_of[lead["panel_id"]]
        cells = [sweep.results[i] for i in group["cell"]]
        end = max((result.history["step"][-1] for result in cells if len(result.history["step"])), default=0)
        steps = steps[steps <= end] if lead["diverged"] < lead["seeds"] else steps
        accuracy = np.stack([course(result, "decision_accuracy", steps) for result in cells])  # (seeds, K)
        mean, low, high = mean_interval(accuracy, sweep.bootstrap)
        spent = {
            name: np.mean([course(result, name, steps) for result in cells], axis=0)
            for name in ("trials", "training_seconds")
        }
        measured = {"decision_accuracy": mean, "low": low, "high": high, **_references(cells)}
        rows.append(_led(lead, {"step": steps, **spent, **measured}))
    return pd.concat(rows, ignore_index=True)


def _led(lead: dict, measured: dict) -> pd.DataFrame:
    """A table of what was measured, between the columns that say of what and, at its end, the ids."""
    ids = {name: lead[name] for name in IDS if name in lead}
    return pd.DataFrame({**{name: value for name, value in lead.items() if name not in ids}, **measured, **ids})


def _references(cells: Sequence[CellResult]) -> dict[str, float]:
    """Decision accuracy of always answering fixate and of the ideal observer, mean over tasks; NaN where unknown."""
    return {"always_fixate": float(np.mean(always_fixate(cells))), "ideal": float(np.mean(ideal_observer(cells)))}


def threshold_times(runs: pd.DataFrame, results: Sequence[CellResult], thresholds: Sequence[float]) -> pd.DataFrame:
    """When each cell first reaches each threshold of validation decision accuracy; runs are those of `prepare`.

    One row per cell and threshold: steps, trials and seconds of training (straight line between the evaluation that
    reaches it and the one before), infinity where it never does, also for every diverged cell; ``limit_steps`` is how
    long the cell had, ``trained_steps`` and so on how far it came, ``first_evaluation`` the step of its first
    evaluation after training began: what lies before it was never measured.
    """
    kept = ["panel", "family", *FIRST_AXES, *CONNECTIVITY, "learning_rate", "seed", "status", "final_validation"]
    rows = []
    for i, run in runs.iterrows():
        history, lost = results[i].history, run["status"] == "diverged"
        trained = {f"trained_{unit}": float(max(history[name], default=0)) for unit, name in UNITS.items()}
        first = min((step for step in history["step"] if step > 0), default=0)
        for threshold in thresholds:
            times = {
                unit: float("inf") if lost else crossing(history[name], history["decision_accuracy"], threshold)
                for unit, name in UNITS.items()
            }
            reached = np.isfinite(times["steps"])
            found = {"threshold": threshold, "reached": reached, **times, "limit_steps": int(run["steps"])}
            rows.append({**run[kept], **found, **trained, "first_evaluation": int(first), **run[IDS]})
    return pd.DataFrame(rows)


def areas(sweep: Sweep) -> pd.DataFrame:
    """Area under each cell's learning curve up to fixed budgets of steps: the primary measure of how fast it learns.

    One row per cell and budget that its training spans, whole (its own length among them): area, the mean validation
    decision accuracy from step 0, at which the untrained network is evaluated, to the budget, on straight lines between
    evaluations (`lmrnn.curves.statistics.area`). From where a training diverges on, its accuracy is 0.
    """
    settings = [name for name in RATES if name in sweep.runs]
    kept = ["panel", "family", *FIRST_AXES, *CONNECTIVITY, *settings, "seed", "status", "final_validation"]
    rows = []
    for i, run in sweep.runs.iterrows():
        history, length = sweep.results[i].history, int(run["steps"])
        steps, accuracy = history["step"], history["decision_accuracy"]
        if run["status"] == "diverged":
            after = np.nextafter(float(steps[-1:].sum()), np.inf)  # the last measured accuracy holds at its own step
            steps, accuracy = np.append(steps, after), np.append(accuracy, 0.0)
        for budget in sorted({length, *(one for one in sweep.budgets if one < length)}):
            rows.append({**run[kept], "budget": budget, "area": area(steps, accuracy, budget), **run[IDS]})
    return pd.DataFrame(rows)


def steps_to_threshold(sweep: Sweep) -> pd.DataFrame:
    """Steps, trials and seconds to each threshold, each connectivity at the rate that gets there in the fewest steps.

    The rate is chosen for each panel, connectivity and threshold by the restricted mean (see `restricted`); of equals,
    the one of the higher final validation accuracy. One row per panel, connectivity, threshold and unit (steps, trials,
    seconds): the median over seeds with its bootstrap 95% interval (infinite where too few seeds get there), seeds,
    reached, diverged, restricted mean of the steps, the length of training, ``trained`` (how far the networks came, in
    the row's unit, median over seeds) and ``before_first_evaluation`` (seeds that were there before anything after the
    first step was measured, so that their time is interpolated).
    """
    keys = [*_PANEL, "threshold"]
    limited = restricted(sweep.times)
    # accuracies lie in 0..1, so they decide between equal numbers of steps only
    limited["score"] = -limited["restricted"] + 1e-6 * limited["final_validation"]
    rows = []
    for lead, group in groups_at_best(limited, choose_rate(limited, keys, "score"), keys):
        common = {
            "threshold": group["threshold"].iloc[0],
            "reached": int(group["reached"].sum()),
            "restricted_mean_steps": float(group["restricted"].mean()),
            "limit_steps": int(group["limit_steps"].max()),
        }
        before = int((group["reached"] & (group["steps"] < group["first_evaluation"])).sum())
        for unit in UNITS:
            median, low, high = median_interval(group[unit].to_numpy(), sweep.bootstrap)
            measured = {"unit": unit, "median": median, "low": low, "high": high}
            ends = {"trained": float(group[f"trained_{unit}"].median()), "before_first_evaluation": before}
            rows.append(_led(lead, {name: [value] for name, value in {**common, **measured, **ends}.items()}))
    return pd.concat(rows, ignore_index=True)


def data_efficiency(sweep: Sweep) -> pd.DataFrame:
    """Test decision accuracy against training trials per task.

    One row per panel (which fixes the data size) and connectivity: test_decision_accuracy, mean over seeds, with its
    bootstrap 95% interval low, high; always_fixate, ideal. The rate is chosen for each data size; a diverged cell
    counts as 0.
    """
    rows = []
    for lead, group in groups_at_best(sweep.runs, sweep.best, _PANEL):
        mean, low, high = mean_interval(group["final_test"].to_numpy(), sweep.bootstrap)
        measured = {"test_decision_accuracy": [float(mean)], "low": [float(low)], "high": [float(high)]}
        rows.append(_led(lead, {**measured, **_references([sweep.results[i] for i in group["cell"]])}))
    return pd.concat(rows, ignore_index=True)


def seed_trials_to_threshold(runs: pd.DataFrame, best: pd.DataFrame, thresholds: Sequence[float]) -> pd.DataFrame:
    """Training trials per task that each seed needs to reach each threshold of test decision accuracy.

    From `prepare` and `best_rates`. The accuracy is taken as straight in the logarithm of the data size between the
    sizes trained. A seed that no size brings there is censored at its largest; one that the smallest brings there needs
    that or fewer. One row per family of panels that differ in data size only, connectivity, seed and threshold: trials
    (infinity if censored), reached, diverged (number of cells), smallest and largest size, at_edge (``no`` if the rate
    is not the smallest or largest tried at the sizes on both sides of the crossing). Empty if there is one size only.
    """
    chosen = runs.merge(best, on=[*_PANEL, "learning_rate"])
    kept = [name for name in ["family", *FIRST_AXES, *CONNECTIVITY, "seed"] if name != "trials_per_task"]
    rows = []
    for _, own in chosen.groupby(["family_id", "connectivity_id", "seed"], sort=False):
        own = own.sort_values("trials_per_task")
        sizes = own["trials_per_task"].to_numpy(dtype=float)
        if len(sizes) < 2:
            continue
        common = {**own.iloc[0][kept], "diverged": int((own["status"] == "diverged").sum())}
        ids = own.iloc[0][["family_id", "any_size_id", "connectivity_id"]]
        for threshold in thresholds:
            trials = crossing(sizes, own["final_test"].to_numpy(), threshold, logarithmic=True)
            around = own["at_edge"].to_numpy()[_around(sizes, trials)]
            edge = next((one for one in around if one != "no"), "no")
            found = {"threshold": threshold, "trials": trials, "reached": np.isfinite(trials), "at_edge": edge}
            rows.append({**common, **found, "smallest": int(sizes[0]), "largest": int(sizes[-1]), **ids})
    return pd.DataFrame(rows)


def _around(sizes: np.ndarray, place: float) -> slice:
    """The two sizes between which a place lies, the largest beyond all."""
    after = int(np.searchsorted(sizes, place)) if np.isfinite(place) else len(sizes)
    return slice(max(after - 1, 0), after + 1)


def trials_to_threshold(sweep: Sweep) -> pd.DataFrame:
    """Training trials per task needed to reach each threshold of test decision accuracy.

    One row per family, connectivity and threshold of `seed_trials_to_threshold`: median over seeds with its bootstrap
    95% interval, seeds, reached, at_smallest (seeds already there at the smallest size), at_edge (of any seed),
    smallest and largest size. Empty if there is only one data size.
    """
    keys = ["family_id", "connectivity_id", "threshold"]
    needed = seed_trials_to_threshold(sweep.runs, sweep.best, sweep.thresholds)
    if needed.empty:
        columns = ["family", "connectivity", "threshold", "seeds", "reached", "median", "low", "high"]
        return pd.DataFrame(columns=[*columns, "family_id", "connectivity_id"])
    rows = []
    summed = ["seed", "trials", "reached", "diverged", "smallest", "largest", "at_edge"]
    for _, part in needed.groupby(keys, sort=False):
        median, low, high = median_interval(part["trials"].to_numpy(), sweep.bootstrap)
        found = {
            "at_edge": next((edge for edge in part["at_edge"] if edge != "no"), "no"),
            "seeds": len(part),
            "diverged": int(part["diverged"].sum()),
            "reached": int(part["reached"].sum()),
            "at_smallest": int((part["trials"] <= part["smallest"]).sum()),
            "smallest": int(part["smallest"].min()),
            "largest": int(part["largest"].max()),
            **{"median": median, "low": low, "high": high},
        }
        rows.append(_led(dict(part.iloc[0].drop(summed)), {name: [value] for name, value in found.items()}))
    return pd.concat(rows, ignore_index=True)


def task_accuracy(sweep: Sweep) -> pd.DataFrame:
    """Test decision accuracy of every task, each connectivity at its best rate.

    One row per panel, connectivity and task: task (name), position (rule channel), mean over seeds of
    test_decision_accuracy, always_fixate, ideal (of the ideal observer).
    """
    rows = []
    for lead, group in groups_at_best(sweep.runs, sweep.best, _PANEL):
        cells = [sweep.results[i] for i in group["cell"]]
        tasks = names_of(cells[0].spec)
        known = [r.test["decision_accuracy"] if r.status == "completed" else np.zeros(len(tasks)) for r in cells]
        columns = {"task": tasks, "position": range(len(tasks)), "test_decision_accuracy": np.mean(known, axis=0)}
        references = {"always_fixate": np.resize(always_fixate(cells), len(tasks)), "ideal": ideal_observer(cells)}
        rows.append(_led(lead, {**columns, **references}))
    return pd.concat(rows, ignore_index=True)


# Every table of curves by its name; the workflow makes each a file.
TABLES: dict[str, Callable[[Sweep], pd.DataFrame]] = {
    "training_speed": training_speed,
    "areas": lambda sweep: sweep.areas,
    "tuned_areas": lambda sweep: tuned_areas(sweep, sweep.areas),
    "drive": lambda sweep: drive(sweep, sweep.areas),
    "threshold_times": lambda sweep: sweep.times,
    "steps_to_threshold": steps_to_threshold,
    "data_efficiency": data_efficiency,
    "trials_to_threshold": trials_to_threshold,
    "task_accuracy": task_accuracy,
}
