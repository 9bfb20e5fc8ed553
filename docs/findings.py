"""The numbers of docs/findings.md, from the tables in docs/results: a test holds the page to them."""

import runpy
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from lmrnn.claims.autapses import task_group
from lmrnn.claims.best import Comparison, Setting, Settings, compare
from lmrnn.claims.controls import measure_text, number_text
from lmrnn.curves.statistics import student_interval
from lmrnn.tasks.battery import battery

FIRST, TWENTY = "lottery_first", "lottery_20"  # 82 tasks, full and local; 20 tasks, all kinds
END, REPLICATION = "lottery_end", "replication"  # 82 tasks, 20,000 steps with decay; the paper's claims
RADII = ("local-r3", "local-r5", "local-r8")
SPARSE = {
    **{f"local r{radius}": (f"local-r{radius}",) for radius in (3, 5, 8)},
    "random": ("random-r3",),
    "small world": ("small_world-r3-p0.2",),
    "autapses": ("autapse",),
}
_GROUPS = {task.name: task_group(task) for task in battery(82)}
_results = runpy.run_path(str(Path(__file__).with_name("results.py")))
_read, _made = _results["read"], _results["made"]


def _costs(rows: pd.DataFrame, column: str) -> tuple[tuple[Setting, ...], tuple[int, ...], np.ndarray]:
    """The settings of some networks, the seeds, and a column of their rows, (settings, seeds)."""
    keys = ["connectivity", "learning_rate", "recurrent_rate"]
    table = rows.pivot_table(index=keys, columns="seed", values=column)
    named = tuple(Setting(f"{name}, recurrent rate {factor:g}", name, rate) for name, rate, factor in table.index)
    return named, tuple(table.columns), table.to_numpy()


def _areas(rows: pd.DataFrame) -> Settings:
    """What each setting costs each seed: minus its area."""
    *names, area = _costs(rows, "area")
    return Settings(*names, *[-area] * 4)


def _times(rows: pd.DataFrame, every: int) -> Settings:
    """The same in logarithms of steps to a threshold, which lie between two evaluations or beyond the training."""
    *names, steps = _costs(rows.assign(steps=rows["steps"].fillna(np.inf)), "steps")
    limit = float(rows["limit_steps"].max())
    after = np.where(np.isinf(steps), np.inf, np.ceil(steps / every) * every)
    before = np.where(np.isinf(steps), limit, after - every)
    low, value, high = np.log([np.maximum(before, 1), np.minimum(steps, limit), after])
    return Settings(*names, low, value, high, value)


def _parts(study: str, table: str) -> list[tuple[str, pd.DataFrame]]:
    """Rows of the networks of 256 neurons: of those whose weights share one rate, and of all."""
    factors = _read(study, "curves/areas").drop_duplicates("panel_id").set_index("panel_id")["recurrent_rate"]
    rows = _read(study, table)
    rows = rows[rows["network_neurons"] == 256].assign(recurrent_rate=lambda known: known["panel_id"].map(factors))
    return [("one rate for all weights", rows[rows["recurrent_rate"] == 1]), ("with a recurrent rate of its own", rows)]


def _areas_between(rows: pd.DataFrame, first: Collection[str], second: Collection[str], budget: int) -> Comparison:
    """Area of the best of some networks, and the second's minus the first's with bounds that choose nothing."""
    now = rows[rows["budget"] == budget]
    return compare(*(_areas(now[now["connectivity"].isin(some)]) for some in (first, second)))


def _bounds(made: Comparison, digits: int) -> str:
    """The number of a comparison with its bounds."""
    high = f"{made.high:.{digits}f}" if np.isfinite(made.high) else "any"
    return f"{'at least ' * (made.bound == '>=')}{made.number:.{digits}f} ({made.low:.{digits}f} to {high})"


def lines(study: str = FIRST, budgets: tuple[int, ...] = (500, 1000, 2000)) -> list[str]:
    """Rows of the table: area of full and of the best local at their best, held out, and local minus full."""
    found = []
    for words, part in _parts(study, "curves/areas"):
        for budget in budgets:
            made = _areas_between(part, ("full",), RADII, budget)
            ends = f"{made.first:.3f} | {made.second:.3f} | {_bounds(made, 3)}"
            found.append(f"| {words} | {budget:,} | {ends} |")
    return found


def steps(study: str = FIRST, thresholds: tuple[float, ...] = (0.5, 0.7)) -> list[str]:
    """Rows of the table of steps to a threshold: of each at its best, held out, and full over the best local."""
    every, found = _made(study)["configuration"]["training"]["evaluate_every"], []
    for words, part in _parts(study, "curves/threshold_times"):
        for threshold in thresholds:
            now = part[part["threshold"] == threshold]
            full, local = (_times(now[now["connectivity"].isin(some)], every) for some in (("full",), RADII))
            made = compare(full, local, logarithmic=True)
            found.append(f"| {words} | {threshold:g} | {made.first:,.0f} | {made.second:,.0f} | {_bounds(made, 2)} |")
    return found


def wirings(budget: int = 1000) -> list[str]:
    """Rows of the table of all wirings on the 20 tasks: area, and the area minus that of full and of local r3."""
    found = []
    for words, part in _parts(TWENTY, "curves/areas"):
        for name, network in SPARSE.items():
            against = {other: _areas_between(part, (other,), network, budget) for other in ("full", "local-r3")}
            differences = ["" if (other,) == network else _bounds(made, 3) for other, made in against.items()]
            found.append(f"| {words} | {name} | {against['full'].second:.3f} | {' | '.join(differences)} |")
    return found


def pool() -> list[str]:
    """Rows of the table of pools of autapses: test decision accuracy at the rate that is best on the other seeds."""
    cells, found = _read(TWENTY, "cells"), []
    for neurons, part in cells[(cells["connectivity"] == "autapse") & (cells["steps"] == 2000)].groupby("neurons"):
        table = part.pivot_table(index="learning_rate", columns="seed", values="test_decision_accuracy")
        chosen = part.pivot_table(index="learning_rate", columns="seed", values="validation_decision_accuracy")
        best = [chosen.drop(columns=seed).mean(axis=1).idxmax() for seed in table.columns]
        accuracy = np.array([table.at[rate, seed] for rate, seed in zip(best, table.columns, strict=True)])
        rates = ", ".join(f"{rate:g}" for rate in sorted(set(best)))
        found.append(f"| {neurons} | {rates} | {accuracy.mean():.3f} ({accuracy.min():.3f} to {accuracy.max():.3f}) |")
    return found


def ends() -> list[str]:
    """Rows of the table of ends: test decision accuracy after 2,000 steps, mean and range over seeds."""
    found = []
    for keys, part in _read(FIRST, "cells").groupby(["kind", "learning_rate", "recurrent_rate"], sort=True):
        accuracy = part["test_decision_accuracy"]
        spread = f"{accuracy.mean():.3f} ({accuracy.min():.3f} to {accuracy.max():.3f})"
        found.append(f"| {keys[0]} | {keys[1]:g} | {keys[2]:g} | {len(part)} | {spread} |")
    return found


def _interval(values: pd.Series) -> str:
    """Mean over seeds with Student's 95% interval."""
    low, high = student_interval(values.to_numpy())
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def _ends_by_network() -> dict[tuple[str, int, int], pd.DataFrame]:
    """Cells by name, neurons and synapses of their network, indexed by seed."""
    groups = _read(END, "cells").groupby(["connectivity", "neurons", "synapses"])
    found = {keys: part.set_index("seed") for keys, part in groups}
    return dict(sorted(found.items(), key=lambda item: (item[0][1], item[0][2])))


def ends_after_decay() -> list[str]:
    """Rows of the table of what networks hold in the end: test decision accuracy where validation was best, and what it
    is more than that of full, seed by seed.
    """
    networks, found = _ends_by_network(), []
    column = "test_at_best_decision_accuracy"
    full = networks["full", 256, 65536][column]
    for (name, neurons, synapses), cells in networks.items():
        difference = "" if name == "full" else _interval((cells[column] - full).dropna())
        names = f"{name} | {neurons:,} | {synapses:,} | {len(cells)}"
        found.append(f"| {names} | {_interval(cells[column])} | {difference} |")
    return found


def ends_by_group() -> list[str]:
    """Rows of the table of ends by group of tasks: mean test decision accuracy of the tasks, of every network."""
    tasks = _read(END, "curves/task_accuracy").assign(group=lambda rows: rows["task"].map(_GROUPS))
    accuracy = tasks.pivot_table(
        index="group", columns=["network_neurons", "synapses"], values="test_decision_accuracy"
    )
    known = tasks.pivot_table(index="group", values=["always_fixate", "ideal"])
    order = [group for group in dict.fromkeys(_GROUPS.values()) if group in accuracy.index]
    rows = [[*accuracy.loc[group], known.at[group, "always_fixate"], known.at[group, "ideal"]] for group in order]
    counts = pd.Series(_GROUPS).value_counts()
    return [
        f"| {group} | {counts[group]} | {' | '.join(f'{one:.3f}' for one in row)} |"
        for group, row in zip(order, rows, strict=True)
    ]


def _claim_row(row: pd.Series) -> str:
    """A row of claims.csv: claim, condition, what is measured and compared, number and bounds, verdict."""
    measured = ", ".join(filter(None, [str(row["comparison"]), measure_text(row)]))
    words = [str(row["claim"]), str(row["condition"]), measured, f"{row['bound']} {number_text(row)}".strip()]
    return f"| {' | '.join([*words, row['verdict']])} |"


def claims() -> list[str]:
    """Rows of the table of the paper's claims: all that have a verdict and a number."""
    table = _read(REPLICATION, "claims").fillna({"subject": "", "bound": "", "verdict": ""})
    return [_claim_row(row) for _, row in table[(table["role"] == "claim") & table["number"].notna()].iterrows()]


def controls() -> list[str]:
    """Rows of the table of controls: of claim 1 in area over the whole training, of claim 4 those of local networks."""
    table = _read(REPLICATION, "claims").fillna({"subject": "", "bound": "", "verdict": ""})
    named = table["comparison"].str
    first = (table["claim"] == 1) & (table["subject"] == "whole training") & ~named.contains("both at|local-r. - full")
    chosen = (table["role"] == "control") & (first | (table["claim"] == 4))
    return [_claim_row(row) for _, row in table[chosen].iterrows()]


def rows() -> list[str]:
    """All rows of the page."""
    small = (250, 500, 1000)
    first, twenty = [*lines(), *steps(), *ends()], [*lines(TWENTY, small), *steps(TWENTY, (0.7, 0.8))]
    return [*first, *twenty, *wirings(), *pool(), *ends_after_decay(), *ends_by_group(), *claims(), *controls()]


if __name__ == "__main__":
    print(*rows(), sep="\n")
