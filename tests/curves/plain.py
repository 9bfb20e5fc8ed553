"""The tables of a study once more, from its cell files: a second implementation, for people to follow by hand.

Lists and dictionaries alone, one value after the other, nothing of `lmrnn.curves`. Each function gives the rows that a
table must have, by what tells them apart, with the value of each of its columns. Labels of panels and connectivities,
which only people read, are left to other tests; here they must tell apart what the identities tell apart.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import math
from dataclasses import replace
from fractions import Fraction

import h5py

from lmrnn.seeds import stream
from lmrnn.tasks import battery_names, parse
from lmrnn.tasks.observer import ideal_accuracy

INF, NAN = math.inf, math.nan
MEASURES = ("decision_accuracy", "trial_accuracy", "final_step_accuracy", "fixation_break_rate")
UNITS = {"steps": "step", "trials": "trials", "seconds": "training_seconds"}
RATES = ("learning_rate", "recurrent_rate", "reference_degree", "schedule", "warmup_steps", "rate_floor")
COSTS = ("training_seconds", "evaluation_seconds", "restarts", "peak_memory_mb", "path", "host")


# --- cells


def read(path, train_set, test_set):
    """One cell as nested dictionaries and lists, from its file and those of its data."""
    with h5py.File(path) as file:
        cell = {"spec": json.loads(file.attrs["spec"]), "provenance": json.loads(file.attrs["provenance"])}
        cell |= {"status": str(file.attrs["status"]), "file": str(path)}
        for group in ("history", "test"):
            cell[group] = {name: values[()].tolist() for name, values in file[group].items()}
        cell["synapses"], cell["neurons"] = len(file["weights/pre"]), len(file["weights/bias"])
    cell["test_in_training"] = shared(train_set, test_set)
    return described(cell)


def described(cell):
    """A cell with what it is compared by and grouped by."""
    spec = cell["spec"]
    cell["lost"] = cell["status"] == "diverged"
    cell["rate"], cell["seed"] = spec["training"]["learning_rate"], spec["seed"]
    cell["size"], cell["kind"] = spec["trials_per_task"], spec["connectivity"]["kind"]
    cell["final"] = 0.0 if cell["lost"] else cell["history"]["decision_accuracy"][-1]
    cell["tested"] = 0.0 if cell["lost"] else mean(cell["test"]["decision_accuracy"])
    panel = {key: value for key, value in spec.items() if key not in ("connectivity", "seed", "data_seed", "version")}
    panel["training"] = {key: value for key, value in spec["training"].items() if key != "learning_rate"}
    family = {key: value for key, value in panel.items() if key != "trials_per_task"}
    network = {key: value for key, value in family["network"].items() if key != "neurons"}
    cell["panel"] = panel
    cell["panel_id"], cell["family_id"] = short(panel), short(family)
    cell["any_size_id"] = short({**family, "network": network})
    cell["connectivity_id"] = short(spec["connectivity"])
    return cell


def shared(train_set, test_set):
    """Share of the test trials of which an equal one was trained on, mean over tasks."""
    known, found = set(trials(train_set)), {}
    for task, content in trials(test_set):
        found.setdefault(task, []).append((task, content) in known)
    return mean([mean(own) for own in found.values()])


def trials(path):
    """Each trial's task, and its observations and labels as bytes."""
    with h5py.File(path) as file:
        columns = [file[name][()] for name in ("start", "length", "task")]
        observations, labels = file["observations"][()], file["labels"][()]
    for start, length, task in zip(*columns, strict=True):
        part = slice(start, start + length)
        yield int(task), observations[part].tobytes() + labels[part].tobytes()


def short(settings):
    return hashlib.sha256(json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def battery(spec):
    return "+".join(spec["tasks"]) if isinstance(spec["tasks"], list) else str(spec["tasks"])


def lead(cell):
    """What most tables say of a network."""
    spec = cell["spec"]
    return {
        "tasks": battery(spec),
        "trials_per_task": cell["size"],
        "layout": spec["training"]["layout"],
        "network_neurons": spec["network"]["neurons"],
        "kind": cell["kind"],
        "radius": spec["connectivity"].get("radius") or NAN,
        "boundary": spec["connectivity"].get("boundary", ""),
        "density": cell["synapses"] / cell["neurons"] ** 2,
        "synapses": cell["synapses"],
        **{name: cell[name] for name in ("panel_id", "family_id", "any_size_id", "connectivity_id")},
    }


def settle(cells, defaults):
    """Give each cell the settings that any of them has; `defaults` are those that specs leave out where usual."""
    own = [{**cell["spec"]["network"], **cell["spec"]["training"]} for cell in cells]
    names = list(dict.fromkeys(name for one in own for name in one))
    for cell, one in zip(cells, own, strict=True):
        cell["settings"] = {name: one.get(name, defaults.get(name, NAN)) for name in names}


def cells_csv(cells, hashes):
    """Rows of cells.csv by file."""
    rows = {}
    for cell, digest in zip(cells, hashes, strict=True):
        spec, history = cell["spec"], cell["history"]
        row = {name: value for name, value in lead(cell).items() if not name.endswith("_id")}
        del row["network_neurons"]
        row |= cell["settings"] | {
            "neurons": cell["neurons"],
            "seed": cell["seed"],
            "definition": spec["definition"],
            "dt": spec["dt"],
        }
        row |= {"status": cell["status"], "last_step": history["step"][-1], "hash": digest, "file": cell["file"]}
        row |= {f"test_{name}": mean(cell["test"][name]) for name in MEASURES}
        row |= {f"validation_{name}": history[name][-1] for name in MEASURES}
        row |= {f"test_at_best_{name}": mean(cell["test"].get(f"at_best_{name}")) for name in MEASURES}
        row["best_validation_decision_accuracy"] = max(x for x in history["decision_accuracy"] if math.isfinite(x))
        row["test_in_training"] = cell["test_in_training"]
        row["best_step"] = history["step"][history["decision_accuracy"].index(max(history["decision_accuracy"]))]
        rows[(cell["file"],)] = row | {key: cell["provenance"][key] for key in COSTS}
    return rows


# --- statistics


def mean(values):
    return NAN if not values else sum(values) / len(values)


def median(values):
    values = sorted(values)
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def interval(values, statistic, draws):
    """Bootstrap 95% interval over seeds of a statistic."""
    n = len(values)
    if n == 1:
        return NAN, NAN
    if n <= 5:
        resamples = list(itertools.product(range(n), repeat=n))
    else:
        resamples = stream(20230703, "bootstrap", n).integers(0, n, size=(draws, n)).tolist()
    drawn = sorted(statistic([values[i] for i in picked]) for picked in resamples)
    share = Fraction(1, 40) * len(drawn)
    return drawn[math.ceil(share) - 1], drawn[math.ceil(len(drawn) - share) - 1]


def crossing(xs, ys, threshold, scale=lambda x: x, back=lambda x: x):
    """Where a curve first reaches a threshold, on a straight line between two points."""
    for i, y in enumerate(ys):
        if y >= threshold:
            if i == 0 or not math.isfinite(ys[i - 1]):
                return xs[i]
            left, right, below = scale(xs[i - 1]), scale(xs[i]), ys[i - 1]
            return back(left + (threshold - below) / (y - below) * (right - left))
    return INF


def at(cell, name, step):
    """A column of a cell's history at a step, on a straight line between evaluations."""
    steps, values = cell["history"]["step"], cell["history"][name]
    if cell["lost"] and name.endswith("accuracy") and step > steps[-1]:
        return 0.0
    if step >= steps[-1]:
        value = values[-1]
    else:
        i = max(j for j in range(len(steps)) if steps[j] <= step)
        share = (step - steps[i]) / (steps[i + 1] - steps[i])
        value = values[i] + share * (values[i + 1] - values[i]) if share else values[i]
    return value if math.isfinite(value) else 0.0


# --- which cells are compared


def grouped(cells, *names):
    groups = {}
    for cell in cells:
        groups.setdefault(tuple(cell[name] for name in names), []).append(cell)
    return groups


def best(cells, score):
    """The rate of the highest mean score among those with the most seeds, and whether it is at the edge."""
    rates = grouped(cells, "rate")
    most = max(len(own) for own in rates.values())
    scores = {rate: mean([score(cell) for cell in own]) for (rate,), own in rates.items() if len(own) == most}
    chosen = min(rate for rate, value in scores.items() if value >= max(scores.values()) - 1e-12)
    edge = {min(rates)[0]: "low", max(rates)[0]: "high"}.get(chosen, "no") if len(rates) > 1 else "only"
    return chosen, edge, sorted((c for c in cells if c["rate"] == chosen), key=lambda cell: cell["seed"])


def networks(cells):
    """Each connectivity of each panel at its best rate: all of the panel's cells, what to say, its own cells."""
    for (panel,), whole in grouped(cells, "panel_id").items():
        for (network,), own in grouped(whole, "connectivity_id").items():
            rate, edge, chosen = best(own, lambda cell: cell["final"])
            yield (panel, network), whole, said(chosen, rate, edge), chosen


def said(chosen, rate, edge):
    lost = sum(cell["lost"] for cell in chosen)
    return {**lead(chosen[0]), "learning_rate": rate, "at_edge": edge, "seeds": len(chosen), "diverged": lost}


def references(cells):
    """What always fixating and the ideal observer reach, mean over tasks."""
    return {"always_fixate": mean(cells[0]["test"]["always_fixate"]), "ideal": mean(ideal(cells[0]["spec"]))}


def ideal(spec):
    """Of the ideal observer, for each task; the way an answer moves makes no difference."""
    tasks = [parse(name) for name in battery_names(spec["tasks"])]
    still = [replace(task, name=task.base, int_sign=0, seq_sign=0) for task in tasks]
    return [ideal_accuracy(task, spec["dt"], spec["definition"], 4000)[0] for task in still]


# --- the tables as they were written


# labels for people: two rows have the same one exactly where they have the same id (local: any of equally fast ones)
LABELS = {
    "panel": "panel_id",
    "family": "family_id",
    "drive_panel": "drive_id",
    "connectivity": "connectivity_id",
    "network": "network_id",
}


def compare(path, keys, expected):
    """Hold a CSV file against the rows that it must have; raises AssertionError that names the first difference."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {tuple(text(row[key]) for key in keys): row for row in rows}
    wanted = {tuple(text(part) for part in key): row for key, row in expected.items()}
    assert len(found) == len(rows), f"{path}: two rows of one key"
    assert set(found) == set(wanted), f"{path}: rows {set(found) ^ set(wanted)}"
    for key, row in found.items():
        told = {name for name in (*LABELS, "local") if name in row}
        assert set(row) - told == set(wanted[key]), f"{path}: columns {(set(row) - told) ^ set(wanted[key])}"
        for name, value in wanted[key].items():
            assert same(row[name], value), f"{path}: {name} of {key} is {row[name]}, but {value} by hand"
    for label, of in LABELS.items():
        if rows and label in rows[0] and of in rows[0]:
            pairs = {(row[label], row[of]) for row in rows}
            assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}), f"{path}: {label} {pairs}"


def text(value):
    """A value or a table's text of it, so that both are alike: 1 may stand there as 1.0."""
    try:
        return repr(float(value))
    except ValueError:
        return value


def same(shown, value):
    """Whether the text in a table is a value, to 1e-9 of it (sums of numbers in another order)."""
    if isinstance(value, str):
        return shown == value
    if isinstance(value, bool) or value is None:
        return shown == ("" if value is None else str(value))
    if math.isnan(value):
        return shown == ""
    return shown != "" and math.isclose(float(shown), value, rel_tol=1e-9, abs_tol=1e-12)
