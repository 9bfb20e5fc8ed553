"""Rows of claims 3 and 4 once more, pools of autapses and rotation, for people to follow by hand."""

from __future__ import annotations

import math

from lmrnn.tasks import battery_of, spans
from tests.claims.plain import NAN, Cost, compare, p_above, quantile, sides_of
from tests.claims.plain_speed import ACCURACY, costs_of, ids_of, only, row_of
from tests.curves.plain import grouped, mean
from tests.curves.plain_tables import largest


def pools(cells, labels):
    for (panel,), own in grouped(largest(cells), "panel_id").items():
        for group, places in groups_of(own[0]["spec"]).items():
            costs = costs_of(own, labels, lambda cell, places=places: Cost.exact(-reached(cell, places)))
            local = only(costs, ids_of(own, "local"))
            for kind in ("autapse", "full", "random"):
                other = only(costs, ids_of(own, kind))
                if not local or not other:
                    continue
                found, baseline = compare(local, other), fixating(own[0], places)
                claimed = kind == "autapse" and not group.endswith("constant delay")
                found |= {"first": found["second"], "second": found["first"], "bound": "", "baseline": baseline}
                found["detail"] += f"; {len(places)} tasks"
                if claimed:
                    above, below = sides_of(found, -0.03 if group == "base" else -0.2)
                    found["sides"] = (above, below) if group == "base" else (below, above)
                if group != "base":
                    found["forbidden"] = found["forbidden"][::-1]
                if found["second"] - baseline < 0.2:
                    little = "local itself gains fewer than 20 points over always fixate"
                    found |= {"forbidden": (little, little), "detail": f"{found['detail']}; {little}"}
                words = {"subject": group, "measure": "accuracy", "unit": ACCURACY, "cells": own}
                words["role"] = "claim" if claimed else "control"
                yield row_of(3, panel, f"{kind} - best local, {group} tasks", kind, **{**found, **words})


def groups_of(spec):
    found = {}
    for place, task in enumerate(battery_of(spec)):
        found.setdefault(group_of(task, spec["definition"]), []).append(place)
    return found


def group_of(task, definition):
    if task.family == "own":
        return "own"
    if task.int_sign and not task.seq_sign:
        delay = spans(task, definition)["delay"]
        name = {"reach": "reach", "match": "match", "dlydm": "delayed decision"}[task.family]
        return f"int, {name} family" + (", constant delay" if delay.low == delay.high else "")
    return "int and seq" if task.int_sign else "seq" if task.seq_sign else "base"


def reached(cell, places):
    return 0.0 if cell["lost"] else mean([cell["test"]["decision_accuracy"][place] for place in places])


def fixating(cell, places):
    return mean([cell["test"]["always_fixate"][place] for place in places])


TURNING = {"seq": "seq tasks, decision", "int": "int tasks of the reach family, delay",
           "none": "the same tasks without rotation"}  # fmt: skip
OTHERWISE = {"right_share": "trials answered right", "answer_share": "angle of the answers themselves",
             "pattern_share": "angle of the whole pattern"}  # fmt: skip


def turns(rotation):
    """From the rows of rotation.csv, as they were written."""
    for (panel, kind, what), own in grouped(rotation, "panel_id", "kind", "what").items():
        name, claimed = f"{own[0]['connectivity']}, {TURNING[what]}", kind == "local" and what != "none"
        yield turn(panel, name, own, "share", claimed)
        for column, words in OTHERWISE.items() if claimed else ():
            known = [row for row in own if row.get(column)]
            if known:
                used = [row for row in own if int(row["right_trials"]) >= 8] if column == "right_share" else known
                if used:
                    yield turn(panel, f"{name}, {words}", used, column, False)


def turn(panel, comparison, rows, column, claimed):
    seeds = {}
    for row in rows:
        seeds.setdefault(int(row["seed"]), []).extend([float(row[column])] if row[column] else [])
    shares = [mean(own) for own in seeds.values()]
    known = len(shares) > 1 and all(map(math.isfinite, shares))
    number, low, high, sides, n = mean(shares), NAN, NAN, (NAN, NAN), len(shares)
    if known:
        middle, error = mean(shares), math.sqrt(sum((one - mean(shares)) ** 2 for one in shares) / (n - 1) / n)
        low, high = middle + quantile(0.025, n - 1) * error, middle - quantile(0.025, n - 1) * error
    if known and claimed:
        above, below = [], []
        for limit in (0.8, 1.25):
            above.append(p_above([shares], [[limit] * n]))
            below.append(p_above([[limit] * n], [shares]))
        sides = max(above[0], below[1]), min(below[0], above[1])
    right = sum(int(row["right_trials"]) for row in rows) / sum(int(row["trials"]) for row in rows)
    tasks = f"{len({row['task'] for row in rows})} tasks; coherence of "
    if column == "pattern_share":
        detail = f"{tasks}the pattern {mean([float(row['pattern_coherence']) for row in rows]):.2f}"
    else:
        solved = "" if right >= 0.5 else ": not solved"
        angle = mean([float(row["coherence"]) for row in rows])
        detail = f"{tasks}angle and position {angle:.2f}; {100 * right:.0f}% of trials answered right{solved}"
    unsolved = "fewer than half of the trials are answered right" if right < 0.5 else ""
    return row_of(
        4, panel, comparison, column, role="claim" if claimed else "control", number=number, low=low, high=high,
        seeds=n, unit="angle advanced / target's", measure="rotation", subject=rows[0]["what"],
        network_id=rows[0]["connectivity_id"], detail=detail, sides=sides, forbidden=("", unsolved),
        battery=rows[0]["tasks"],
    )  # fmt: skip
