"""claims.csv once more: rows, adjusted p values, verdicts, headlines and the line of controls, each recomputed by hand.

Every column is covered but statement and condition, which only people read; of the latter that it differs where its id
does. `compare` holds a table as it was written against all of it.
"""

from __future__ import annotations

import csv
import math

from lmrnn.tasks import task_count
from tests.claims.plain_data import data
from tests.claims.plain_speed import speed
from tests.claims.plain_tasks import pools, turns
from tests.curves.plain import NAN, battery, text

KEY = ("claim", "condition_id", "comparison", "measure", "subject", "threshold", "budget")
WORDS = ("comparison", "role", "unit", "verdict", "reason", "detail", "condition_id", "variant", "subject",
         "network_id", "bound", "measure")  # fmt: skip
NUMBERS = (
    "claim",
    "threshold",
    "number",
    "low",
    "high",
    "seeds",
    "p",
    "p_holm",
    "first",
    "second",
    "baseline",
    "budget",
)


def rows_of(cells, labels, asked, rotation):
    """All rows by key; `labels` of connectivities by id, thresholds that are asked for, rows of rotation.csv."""
    rows = [*speed(cells, labels, asked), *data(cells, labels, asked), *pools(cells, labels), *turns(rotation)]
    for row in rows:
        row["p"] = NAN if any(map(math.isnan, row["sides"])) else min(1.0, 2 * min(row["sides"]))
        row["p_holm"], row["verdict"], row["reason"] = NAN, "", ""
    claimed = [row for row in rows if row["role"] == "claim"]
    for number in (1, 2, 3, 4):
        adjust([row for row in claimed if row["claim"] == number and row["seeds"] >= 6])
    for row in claimed:
        row["verdict"], row["reason"] = verdict(row)
    headlines(rows, max(task_count(battery(cell["spec"])) for cell in cells))
    for row in rows:
        row["controls"] = controls(row, rows) if row["role"] == "claim" else ""
    found = {tuple(text(row[name]) for name in KEY): row for row in rows}
    assert len(found) == len(rows)
    return found


def adjust(rows):
    """Holm's: the smallest p times the number of rows, the next times one less, never below the one before."""
    least = 0.0
    ordered = sorted(rows, key=lambda row: 1.0 if math.isnan(row["p"]) else row["p"])
    for place, row in enumerate(ordered):
        if not math.isnan(row["p"]):
            least = max(least, min(1.0, (len(rows) - place) * row["p"]))
            row["p_holm"] = least


def verdict(row):
    if math.isnan(row["number"]):
        return "undecided", "nothing to compare"
    if row["seeds"] < 6:
        return "undecided", f"{row['seeds']} seed" + "s" * (row["seeds"] != 1)
    if row["p_holm"] > 0.05:
        return "undecided", "the difference is within chance" if row["p"] > 0.05 else "within chance over all rows"
    against = row["sides"][1] < row["sides"][0]
    if row["forbidden"][against]:
        return "undecided", row["forbidden"][against]
    return "not supported" if against else "supported", ""


def headlines(rows, most):
    """Rows on the largest battery: of each claim's condition the largest budget, the threshold nearest to a half of
    those at which there is something to compare, and all that have neither."""
    groups = {}
    for row in rows:
        row["headline"] = False
        tasks = task_count(row["battery"] if "battery" in row else battery(row["cells"][0]["spec"]))
        if row["role"] == "claim" and (tasks == most or row["claim"] == 3):
            groups.setdefault((row["claim"], row["condition_id"]), []).append(row)
    for own in groups.values():
        budgets = [row for row in own if not math.isnan(row["budget"])]
        reached = [row for row in own if not math.isnan(row["threshold"]) and not math.isnan(row["number"])]
        chosen = [row for row in own if math.isnan(row["threshold"]) and math.isnan(row["budget"])]
        chosen += sorted(budgets, key=lambda row: -row["budget"])[:1]
        chosen += sorted(reached, key=lambda row: abs(row["threshold"] - 0.5))[:1]
        for row in chosen:
            row["headline"] = True


# --- the line of controls


def controls(claim, rows):
    own = [row for row in rows if row["role"] == "control"
           and all(row[name] == claim[name] for name in ("claim", "condition_id", "measure"))]  # fmt: skip
    words = []
    if claim["claim"] == 3:
        words = [] if math.isnan(claim["baseline"]) else [f"always fixate {claim['baseline']:.3f}"]
    if claim["claim"] < 4:
        anywhere = math.isnan(claim["threshold"])
        own = [row for row in own if row["subject"] == claim["subject"]
               and (anywhere or row["threshold"] == claim["threshold"])]  # fmt: skip
    else:
        # the same network measured otherwise or in tasks without rotation, and other networks measured alike
        same = [row for row in own if row["network_id"] == claim["network_id"]]
        otherwise = [row for row in own if row["variant"] == "share"] + same
        own = [row for row in own if (row in otherwise and row["subject"] == claim["subject"])
               or (row in same and row["subject"] == "none")]  # fmt: skip
    counted = {"rate": "at equal learning rates", "network": "each radius by itself"}
    words += [f"{row['comparison']} {shown(row)}" for row in own if row["variant"] not in counted]
    none = 0 if claim["measure"] in ("area", "accuracy") else 1
    for variant, name in counted.items():
        numbers = [row["number"] for row in own if row["variant"] == variant and not math.isnan(row["number"])]
        if numbers:
            words.append(f"{name} above {none} in {sum(number > none for number in numbers)} of {len(numbers)}")
    return "; ".join(words)


def shown(row):
    """A number with its interval, e.g. ``1.52 (1.31 to 1.80)``."""
    if not math.isfinite(row["number"]):
        return "not measured"
    digits = 3 if row["measure"] in ("area", "accuracy") else 2
    ends = [row["low"], row["high"]]
    known = any(map(math.isfinite, ends)) and not any(map(math.isnan, ends))
    interval = " to ".join(f"{end:.{digits}f}" for end in ends) if known else "no interval"
    return f"{row['number']:.{digits}f} ({interval})"


# --- the table as it was written


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def labels_of(rows):
    """Labels of connectivities by id, of any table that has both."""
    return {row["connectivity_id"]: row["connectivity"] for row in rows}


def compare(path, wanted):
    """Hold claims.csv against the rows that it must have; AssertionError names the first difference."""
    rows = read(path)
    found = {tuple(text(row[name] or NAN if name in ("threshold", "budget") else row[name]) for name in KEY): row
             for row in rows}  # fmt: skip
    assert len(found) == len(rows), f"{path}: two rows of one key"
    assert set(found) == set(wanted), f"{path}: rows {set(found) ^ set(wanted)}"
    for key, row in found.items():
        assert set(row) == {*WORDS, *NUMBERS, "headline", "controls", "statement", "condition"}
        for name in WORDS:
            assert row[name] == wanted[key][name], (
                f"{path}: {name} of {key} is {row[name]!r}, but {wanted[key][name]!r}"
            )
        for name in NUMBERS:
            said = f"{path}: {name} of {key} is {row[name]}, but {wanted[key][name]} by hand"
            assert alike(row[name], wanted[key][name], tolerance(name, wanted[key])), said
        assert row["headline"] == str(wanted[key]["headline"]), f"{path}: headline of {key}"
        mine, theirs = (sorted(line.split("; ")) for line in (wanted[key]["controls"], row["controls"]))
        assert mine == theirs, f"{path}: controls of {key} are {row['controls']!r}, but {wanted[key]['controls']!r}"
    pairs = {(row["condition"], row["condition_id"], row["claim"] == "2") for row in rows}
    assert len(pairs) == len({(a, c) for a, _, c in pairs}) == len({(b, c) for _, b, c in pairs}), f"{path}: {pairs}"


def tolerance(name, row):
    """p values of ratios of trials are found by halving, to a thousandth or two of their logarithm."""
    return 0.01 if name in ("p", "p_holm") and row["claim"] == 2 else 1e-7


def alike(shown, value, relative):
    if math.isnan(value):
        return shown == ""
    return shown != "" and math.isclose(float(shown), value, rel_tol=relative, abs_tol=1e-12)
