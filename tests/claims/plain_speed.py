"""Rows of claim 1 once more, how fast networks learn, and what the other claims share, for people to follow by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from lmrnn.tasks import battery_of
from lmrnn.tasks.observer import ideal_accuracy
from tests.claims.plain import INF, NAN, Cost, compare
from tests.curves.plain import grouped, mean
from tests.curves.plain_tables import largest

SHARES = (0.25, 0.5, 0.75)
CONTROLS = ("random", "full_matched", "small_world")
AREA, ACCURACY = "difference in mean decision accuracy", "difference in decision accuracy"


def setting_of(cell, labels):
    return labels[cell["connectivity_id"]], cell["connectivity_id"], float(cell["rate"])


def costs_of(cells, labels, cost):
    """{setting: {seed: cost}} of some cells."""
    found = {}
    for cell in cells:
        found.setdefault(setting_of(cell, labels), {})[cell["seed"]] = cost(cell)
    return found


def only(costs, ids):
    return {setting: own for setting, own in costs.items() if setting[1] in ids}


def ids_of(cells, kind):
    return {cell["connectivity_id"] for cell in cells if cell["kind"] == kind}


def row_of(claim, condition, comparison, variant, **values):
    """A row; the columns of what it does not say are empty."""
    blank = dict.fromkeys(("number", "low", "high", "first", "second", "baseline", "budget", "threshold"), NAN)
    blank |= {"role": "claim", "subject": "", "network_id": "", "bound": "", "detail": "", "seeds": 0, "measure": ""}
    blank |= {"sides": (NAN, NAN), "forbidden": ("", "")}
    return {"claim": claim, "condition_id": condition, "comparison": comparison, "variant": variant, **blank, **values}


def thresholds_of(cell, asked):
    """Value, name, and whether it lies above what is reached without deciding anything: those asked for, and shares."""
    spec = cell["spec"]
    tasks = battery_of(spec)
    still = [replace(task, name=task.base, int_sign=0, seq_sign=0) for task in tasks]
    chance = mean([1.0 if task.family in ("reach", "rt") else 0.5 for task in tasks])
    ideal = mean([ideal_accuracy(task, spec["dt"], spec["definition"], 500)[0] for task in still])
    found = [(threshold, "", threshold > chance) for threshold in dict.fromkeys(asked)]
    if ideal - chance > 0.05:
        found += [(round(chance + one * (ideal - chance), 3), f"{100 * one:.0f}% of what can be reached", True)
                  for one in SHARES]  # fmt: skip
    return found


def curve(cell):
    """Points of a validation curve; a training that diverged falls to 0 at its last step."""
    both = zip(cell["history"]["step"], cell["history"]["decision_accuracy"], strict=True)
    points = [(float(step), value if math.isfinite(value) else 0.0) for step, value in both]
    return points + ([(points[-1][0] if points else 0.0, 0.0)] if cell["lost"] or not points else [])


def area(cell, budget):
    """Mean accuracy up to a budget of steps, trapezium by trapezium; flat before the first point and after the last."""
    points = curve(cell)
    total, points = 0.0, [(0.0, points[0][1]), *points, (INF, points[-1][1])]
    for (left, before), (right, after) in pairwise(points):
        if left < budget and right > left:
            end = min(right, budget)
            share = (end - left) / (right - left) if right < INF else 0.0
            total += (end - left) * (before + before + share * (after - before)) / 2
    return total / budget


def steps_cost(cell, threshold, limit):
    """Logarithms of the steps between which a threshold is reached for good: kept for a tenth, or to the end."""
    points = curve(cell)
    low, value, high = limit, limit, INF
    for i, (step, accuracy) in enumerate(points):
        if accuracy >= threshold and (i == 0 or points[i - 1][1] < threshold):
            kept = [later for place, later in points if step <= place <= step + limit / 10]
            if all(later >= threshold for later in kept):
                low, value, high = 0.0, step, step
                if i > 0:
                    (before, below), rise = points[i - 1], accuracy - points[i - 1][1]
                    low, value = before, before + (threshold - below) / rise * (step - before)
                break
    first, middle, last = (math.log(one) if one > 0 else -INF for one in (low, value, high))
    middle = max(middle, 0.0)
    return Cost(first, middle, max(last, 0.0), middle)


def speed(cells, labels, asked):
    for (panel,), own in grouped(largest(cells), "panel_id").items():
        if not ids_of(own, "full") or not ids_of(own, "local"):
            continue
        limit = float(max(cell["spec"]["training"]["steps"] for cell in own))
        measures = []
        for share, subject in ((0.25, "first quarter of the training"), (1.0, "whole training")):
            budget = share * limit
            costs = costs_of(own, labels, lambda cell, budget=budget: Cost.exact(-area(cell, budget)))
            measures.append((costs, True, {"measure": "area", "subject": subject, "budget": budget, "unit": AREA}))
        for threshold, name, decides in thresholds_of(own[0], asked):
            costs = costs_of(own, labels, lambda cell, at=(threshold, limit): steps_cost(cell, *at))
            said = {"measure": "steps", "subject": name, "threshold": threshold, "unit": "ratio of steps"}
            measures.append((costs, decides, said))
        for costs, decides, said in measures:
            for variant, words, found in speed_comparisons(own, labels, costs, said["measure"] == "steps"):
                role = "claim" if variant == "best" and decides else "control"
                yield row_of(1, panel, words, variant, **{**found, **said, "role": role, "cells": own})


def speed_comparisons(cells, labels, costs, ratio):
    def words(first, second, more=""):
        return (f"{first} / {second}" if ratio else f"{second} - {first}") + more

    full, local = (only(costs, ids_of(cells, kind)) for kind in ("full", "local"))
    yield "best", words("full", "best local"), compare(full, local, ratio)
    same = compare(full, local, ratio, held_out=False)
    yield "same seeds", words("full", "best local", ", chosen on the same seeds"), same
    if pool := ids_of(cells, "autapse"):
        yield "autapse", words("autapse", "best local"), compare(only(costs, pool), local, ratio)
    for kind, first, second, network, near in at_equal_synapses(cells, labels):
        yield kind, words(first, second), compare(only(costs, {network}), only(costs, near), ratio)
    for label, network in radii(cells, labels):
        yield "network", words("full", label), compare(full, only(costs, {network}), ratio)
    rates = sorted({setting[2] for setting in full} & {setting[2] for setting in local})
    for rate, text in zip(rates, apart(rates), strict=True):
        full_there, local_there = ({s: own for s, own in group.items() if s[2] == rate} for group in (full, local))
        found = compare(full_there, local_there, ratio, given_rate=True)
        yield "rate", words("full", f"best local, both at {text}"), found


def apart(numbers):
    """Numbers in so many digits, six or more, as tell them apart."""
    digits = 6
    while len({f"{one:.{digits}g}" for one in numbers}) < len(numbers):
        digits += 1
    return [f"{one:.{digits}g}" for one in numbers]


def networks_of(cells):
    """The first cell of each connectivity: what is drawn anew for each seed is counted there."""
    return {network: own[0] for (network,), own in grouped(cells, "connectivity_id").items()}


def radii(cells, labels):
    found = sorted((labels[network], network) for network in ids_of(cells, "local"))
    return found if len(found) > 1 else []


def at_equal_synapses(cells, labels):
    firsts = networks_of(cells)
    for network, cell in firsts.items():
        near = {one for one, other in firsts.items() if other["kind"] == "local"
                and abs(other["synapses"] - cell["synapses"]) <= 0.05 * cell["synapses"]}  # fmt: skip
        if cell["kind"] in CONTROLS and near:
            yield cell["kind"], labels[network], " or ".join(sorted(labels[one] for one in near)), network, near
