"""The look into networks once more, from the cells' files: a second implementation, for people to follow by hand.

Loops and dictionaries, nothing of `lmrnn.analysis`; shared are the trials (drawn and rendered by `lmrnn.tasks`) and the
random streams. A network is run in its own numbers (float32), whose last digits depend on the order of sums, so that a
table is held against a number with a tolerance, and, where rounding decides (an answer between two classes, a state
that grows by a thousand in each step), against what the same network gives when its states are shaken in the last
digits.
"""

from __future__ import annotations

import csv
import math

import h5py
import numpy as np

from lmrnn.seeds import stream
from lmrnn.tasks import battery_of, draw, render
from tests.analysis import plain_clusters, plain_rotation
from tests.curves.plain import LABELS, NAN, battery, best, grouped, mean, text

ASIDE = ("small_world", "ring", "full_matched")
SHAKEN = 1e-6  # of a state in each time step: some ten times what float32 rounds
TRIALS = {"units": 64, "rotation": 128}
SHOWN = 48


# --- which networks


def chosen(cells, known):
    """Cells of the best network of each kind, by kind and seed; of equally good ones those that are `known`, ids."""
    most = max(len(tasks(cell)) for cell in cells)
    kept = [cell for cell in cells if len(tasks(cell)) == most]
    kept = [cell for cell in kept if cell["spec"]["training"]["layout"] == "padded"] or kept
    kept = [cell for cell in kept if cell["size"] == max(other["size"] for other in kept)]
    kept = [cell for cell in kept if neurons(cell) == neurons(kept[0])]
    kinds = {cell["kind"] for cell in kept}
    found = []
    for kind in sorted(kinds - set(ASIDE) or kinds):
        own = [cell for cell in kept if cell["kind"] == kind]
        longest = max(cell["spec"]["training"]["steps"] for cell in own)
        own = [cell for cell in own if cell["spec"]["training"]["steps"] == longest]
        own = [cell for cell in own if cell["panel_id"] == own[0]["panel_id"]]
        found += [cell for cell in best_of(own, known) if not cell["lost"]]
    return found


def tasks(cell):
    return battery_of(cell["spec"])


def neurons(cell):
    return cell["spec"]["network"]["neurons"]


def best_of(cells, known):
    """Each connectivity at its best rate; of those with the most seeds, the one of the highest final accuracy."""
    runs = [best(own, lambda cell: cell["final"])[2] for own in grouped(cells, "connectivity_id").values()]
    runs = [run for run in runs if len(run) == max(len(other) for other in runs)]
    scores = [mean([cell["final"] for cell in run]) for run in runs]
    equal = [run for run, score in zip(runs, scores, strict=True) if score >= max(scores) - 1e-12]
    return next((run for run in equal if run[0]["connectivity_id"] in known), equal[0])


# --- running them


def read_network(cell):
    """Weights of a cell's file, its recurrent ones as a matrix, and what its equation needs."""
    with h5py.File(cell["file"]) as file:
        found = {name: values[()] for name, values in file["weights"].items()}
    size = len(found["bias"])
    found["matrix"] = np.zeros((size, size), np.float32)
    for post, pre, weight in zip(found["post"], found["pre"], found["recurrent"], strict=True):
        found["matrix"][post, pre] = weight
    network = cell["spec"]["network"]
    found |= {"leak": network["leak"], "nonlinearity": network["nonlinearity"], "size": size}
    side = math.isqrt(size)
    found["side"] = side if side * side == size else 0
    return found


def activated(drive, nonlinearity):
    if nonlinearity == "relu":
        return np.maximum(drive, 0)
    return np.tanh(drive) if nonlinearity == "tanh" else np.logaddexp(np.float32(0), drive)


def states_of(network, trials, rule, shake=None):
    """State after each time step of each trial, laid out as the trials' observations; each trial begins at 0."""
    leak = np.float32(network["leak"])
    state = np.zeros((len(trials), network["size"]), np.float32)
    found = np.zeros((len(trials.labels), network["size"]), np.float32)
    for time in range(int(trials.length.max())):
        for_whom = [trial for trial in range(len(trials)) if time < trials.length[trial]]
        rows = [int(trials.start[trial]) + time for trial in for_whom]
        drive = state[for_whom] @ network["matrix"].T + trials.observations[rows] @ network["input"].T
        drive += network["rule"][:, rule] + network["bias"]
        state[for_whom] = (1 - leak) * state[for_whom] + leak * activated(drive, network["nonlinearity"])
        if shake is not None:
            state[for_whom] *= 1 + np.float32(SHAKEN) * shake.standard_normal((len(rows), 1), np.float32)
        found[rows] = state[for_whom]
    return found


def run(network, cell, number, rule, shake):
    """Trials of a task without noise, and the states in them."""
    task, spec = tasks(cell)[rule], cell["spec"]
    drawn = draw(task, number, stream(0, "analysis", task.name), spec["dt"], spec["definition"])
    trials = render(task, drawn, spec["dt"], spec["definition"])
    states = states_of(network, trials, rule, shake)
    if not np.isfinite(states).all():
        raise OverflowError
    return trials, states


# --- tables


def tables(cells, known, shake=None):
    """The five tables, {name: {key: row}}; `known` are the ids of connectivities that are looked into if equally good,
    `shake` the generator of what is changed in the last digits, if anything is."""
    found = {name: {} for name in KEYS}
    pictured = set()
    for cell in chosen(cells, known):
        network = read_network(cell)
        lead = {"tasks": battery(cell["spec"]), "kind": cell["kind"], "seed": cell["seed"]}
        lead |= {name: cell[name] for name in ("panel_id", "connectivity_id")}
        try:
            own = rotation(network, cell, shake) | units(network, cell, shake)
        except OverflowError:  # it explodes: there is nothing to look into
            continue
        for name, rows in own.items():
            if name in ("rotation", "clusters") or cell["kind"] not in pictured:
                for row in rows:
                    whole = {**lead, **row}
                    key = tuple(text(whole[column]) for column in KEYS[name])
                    assert key not in found[name]
                    found[name][key] = whole
        pictured.add(cell["kind"])
    return found


def rotation(network, cell, shake):
    rows, planes = [], []
    for rule, task in enumerate(tasks(cell)):
        what = plain_rotation.looked_at(task, cell["spec"]["definition"])
        if what is None:
            continue
        trials, states = run(network, cell, TRIALS["rotation"], rule, shake)
        row, plane = plain_rotation.measure(network, trials, states, what)
        if row is None:
            continue
        rows.append({"task": task.name, "what": what, **row, "trials": TRIALS["rotation"]})
        if what == "seq" and not planes:
            planes = [{"task": task.name, **point} for point in plane if point["trial"] < SHOWN]
    return {"rotation": rows, "planes": planes}


def units(network, cell, shake):
    names = [task.name for task in tasks(cell)]
    variance, loss = [], []
    for rule in range(len(names)):
        trials, states = run(network, cell, TRIALS["units"], rule, shake)
        variance.append(variance_over_trials(trials, states))
        loss.append(losses(network, trials, states))
    variance, loss = np.array(variance).T.reshape(-1, len(names)), np.array(loss).T.reshape(-1, len(names))
    active = [unit for unit in range(network["size"]) if sum(variance[unit]) >= 1e-3]
    shown = np.zeros_like(variance)
    for unit in active:
        shown[unit] = variance[unit] / max(variance[unit])
    found, clusters = plain_clusters.measure(network, cell, shown, active)
    rows, tuning = [], []
    for unit in range(network["size"]):
        row, column = divmod(unit, network["side"]) if network["side"] else (-1, -1)
        own = float(network["matrix"][unit, unit])
        rows.append({"unit": unit, "row": row, "column": column, "active": unit in active, "self_weight": own})
        rows[-1] |= {"cluster": found.get(unit, -1), "time_constant_ms": time_constant(own, network, cell)}
        # of equals, any
        main = {name for name, one in zip(names, shown[unit], strict=True) if one > 1 - 1e-5} or {""}
        most = max(loss[unit])
        served = {name for name, one in zip(names, loss[unit], strict=True) if one > most - 1e-9} if most > 0 else {""}
        rows[-1] |= {"main_task": main, "lesioned_task": served}
        for place, name in enumerate(names):
            tuning.append({"unit": unit, "task": name, "variance": shown[unit, place], "loss": loss[unit, place]})
    return {"units": rows, "tuning": tuning, "clusters": [clusters]}


def variance_over_trials(trials, states):
    """Of each unit: variance over the trials at one moment (time in a period), mean over moments; fixation left out."""
    moments = {}
    for trial in range(len(trials)):
        for period in trials.periods(trial)[1:]:
            for step in range(period.start, period.stop):
                state = states[int(trials.start[trial]) + step].astype(float)
                moments.setdefault((period.name, step - period.start), []).append(state)
    seen = [np.var(own, axis=0) for own in moments.values() if len(own) > 1]
    return sum(seen) / len(seen) if seen else np.zeros(states.shape[1])


def losses(network, trials, states):
    """Of each unit: share of the decision's time steps that are right only as long as the unit is read out."""
    rows = [row for trial in range(len(trials)) for row in deciding(trials, trial)]
    right = sum(answers(network, states[rows]) == trials.labels[rows])
    lost = []
    for unit in range(network["size"]):
        without = states[rows].copy()
        without[:, unit] = 0
        lost.append((right - sum(answers(network, without) == trials.labels[rows])) / len(rows))
    return lost


def deciding(trials, trial):
    start = int(trials.start[trial])
    return range(start + trials.periods(trial)[-1].start, start + trials.periods(trial)[-1].stop)


def answers(network, states):
    """Class of the largest output."""
    return np.argmax(states.astype(float) @ network["readout"].astype(float).T + network["readout_bias"], axis=1)


def time_constant(weight, network, cell):
    factor = 1 - network["leak"] + network["leak"] * weight
    if factor <= 0:
        return 0.0
    return math.inf if factor == 1 else -cell["spec"]["dt"] / math.log(factor)


# --- the tables as they were written

NETWORK = ("connectivity_id", "seed")
# by table: the columns that tell rows apart
KEYS = {
    "rotation": (*NETWORK, "task"),
    "clusters": NETWORK,
    "units": (*NETWORK, "unit"),
    "tuning": (*NETWORK, "unit", "task"),
    "planes": (*NETWORK, "task", "trial", "step"),
}
EXACT = ("self_weight", "time_constant_ms", "target", "position")


def compare(folder, cells):
    """Hold the five files against what they must have; AssertionError names the first difference. What
    rounding decided, in words."""
    found = {name: read(folder(name)) for name in KEYS}
    known = {row["connectivity_id"] for row in found["clusters"]}
    wanted = tables(cells, known)
    shaken = []

    def others():
        if not shaken:
            shaken.extend(tables(cells, known, np.random.default_rng(one)) for one in range(6))
        return shaken

    return [one for name in KEYS for one in compare_table(str(folder(name)), name, found[name], wanted[name], others)]


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def compare_table(path, name, rows, wanted, others):
    found = {tuple(text(row[column]) for column in KEYS[name]): row for row in rows}
    assert len(found) == len(rows), f"{path}: two rows of one key"
    if set(found) != set(wanted):  # a task in which all but nothing moves may be there or not
        sets = [set(other[name]) for other in others()]
        assert len(set(map(frozenset, sets))) > 1, f"{path}: rows {set(found) ^ set(wanted)}"
    turned_round(found)
    turned_round(wanted)
    doubtful = []
    for key in set(found) & set(wanted):
        row, expected = found[key], wanted[key]
        told = {label for label in LABELS if label in row}
        assert set(row) - told == set(expected), f"{path}: columns {(set(row) - told) ^ set(expected)}"
        for column, value in expected.items():
            if alike(row[column], value, 1e-9 if column in EXACT else 1e-4):
                continue
            shaken = [other[name] for other in others()]
            for other in shaken:
                turned_round(other)
            spread = [value, *(other[key][column] for other in shaken if key in other)]
            said = f"{path}: {column} of {key} is {row[column]}, but {value} by hand, {spread[1:]} shaken"
            assert within(row[column], spread), said
            doubtful.append(said)
    for label, of in LABELS.items():
        pairs = {(row[label], row[of]) for row in rows if label in row and of in row}
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}), f"{path}: {label} {pairs}"
    return doubtful


def turned_round(rows):
    """Points of each plane so that the farthest lies to the right: a plane's axes may point either way."""
    planes = {}
    for row in rows.values():
        if "x" in row:
            planes.setdefault((row["connectivity_id"], row["seed"]), []).append(row)
    for plane in planes.values():
        points = [(float(row["x"]), float(row["y"])) for row in plane]
        far = max(points, key=lambda point: abs(point[0]))
        for row, point in zip(plane, points, strict=True):
            row["x"], row["y"] = (one / far[0] if far[0] else one for one in point)


def alike(shown, value, tolerance):
    if isinstance(value, set):
        return shown in value
    if isinstance(value, (str, bool)):
        return shown == str(value)
    if isinstance(shown, str):
        shown = float(shown) if shown else NAN
    if math.isnan(value) or math.isnan(shown):
        return math.isnan(value) and math.isnan(shown)
    return math.isclose(shown, value, rel_tol=tolerance, abs_tol=min(tolerance, 1e-4))


def within(shown, spread):
    """Whether rounding may make a value of it: between those of shaken networks, or at most four times as far apart."""
    if any(alike(shown, value, 1e-4) for value in spread):
        return True
    numbers = [value for value in spread if isinstance(value, (int, float)) and not math.isnan(value)]
    if not numbers or shown == "":
        return False
    low, high = min(numbers), max(numbers)
    return low - 4 * (high - low) <= float(shown) <= high + 4 * (high - low)
