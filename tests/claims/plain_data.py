"""Rows of claim 2 once more, what is learned from little data, for people to follow by hand."""

from __future__ import annotations

import math

from tests.claims.plain import INF, MARKS, Cost, at_edge, beats, compare, moments, quantile
from tests.claims.plain_speed import ACCURACY, at_equal_synapses, costs_of, ids_of, radii, row_of, thresholds_of
from tests.curves.plain import crossing, grouped, mean


def data(cells, labels, asked):
    for (family,), own in grouped(cells, "family_id").items():
        if len({cell["size"] for cell in own}) < 2:
            continue
        peaks = [{**cell, "final": peak(cell), "tested": peak(cell)} for cell in own]
        thresholds = thresholds_of(own[0], asked)
        for part, early in ((own, False), (peaks, True)):
            for variant, words, first, second in data_pairs(part, labels, early):
                groups = [[cell for cell in part if cell["connectivity_id"] in ids] for ids in (first, second)]
                said = {"role": "claim" if variant == "best" else "control", "cells": own}
                for size in sorted(set.intersection(*({cell["size"] for cell in group} for group in groups))):
                    costs = [costs_of([cell for cell in group if cell["size"] == size], labels, accuracy_cost)
                             for group in groups]  # fmt: skip
                    found = compare(*costs) | said | {"measure": "accuracy", "subject": f"{size:,} trials per task"}
                    yield row_of(2, family, words(False), variant, **found, unit=ACCURACY)
                for threshold, name, decides in thresholds:
                    found = trials_ratio(*groups, labels, threshold)
                    if found:
                        found |= said | ({} if decides else {"role": "control"})
                        found |= {"measure": "trials", "subject": name, "threshold": threshold}
                        yield row_of(2, family, words(True), variant, **found, unit="ratio of trials per task")


def peak(cell):
    """Highest validation accuracy of a training, 0 where it diverged."""
    return 0.0 if cell["lost"] else max([0.0, *(x for x in cell["history"]["decision_accuracy"] if math.isfinite(x))])


def accuracy_cost(cell):
    return Cost.exact(-cell["tested"], -cell["final"])


def data_pairs(cells, labels, early):
    def words(first, second):
        more = ", maximum of validation" * early
        return lambda ratio: (f"{first} / {second}" if ratio else f"{second} - {first}") + more

    full, local = ids_of(cells, "full"), ids_of(cells, "local")
    if full and local:
        yield "early" if early else "best", words("full", "best local"), full, local
    if not early:
        for kind, first, second, network, near in at_equal_synapses(cells, labels):
            yield kind, words(first, second), {network}, near
        for label, network in radii(cells, labels) if full else ():
            yield "network", words("full", label), full, {network}


def trials_ratio(first, second, labels, threshold):
    """Trials per task that one group needs over those that another needs."""
    seeds = sorted({cell["seed"] for cell in first} & {cell["seed"] for cell in second})
    sizes = sorted({cell["size"] for cell in first} & {cell["size"] for cell in second})
    if not seeds or len(sizes) < 2:
        return None
    groups = []  # {size: {setting: {seed: cell}}} of each
    for cells in (first, second):
        kept = [cell for cell in cells if cell["seed"] in seeds]
        groups.append({size: costs_of([cell for cell in kept if cell["size"] == size], labels, dict) for size in sizes})
    able = [{size: {one: own for one, own in found.items() if len(own) == len(seeds)} for size, found in group.items()}
            for group in groups]  # fmt: skip
    if not all(found for group in able for found in group.values()):
        return None
    picks = [chosen(group, part, sizes, seeds) for group, part in zip(groups, able, strict=True)]
    needed = [[along(sizes, curve, threshold) for curve in pick["curves"]] for pick in picks]
    late = [any(math.isinf(one) for one in own) for own in needed]
    early = [any(one <= sizes[0] for one in own) for own in needed]
    bound = MARKS[late[0] or early[1], late[1] or early[0]]
    means = [math.exp(mean([math.log(min(one, sizes[-1])) for one in own])) for own in needed]
    said = {">=": ["at least this"], "<=": ["at most this"], "~": ["both leave the sizes that were trained"], "": []}
    words = [" against ".join(pick["names"] for pick in picks), *said[bound], f"sizes {', '.join(map(str, sizes))}"]
    row = {"first": means[0], "second": means[1], "seeds": len(seeds), "bound": bound, "detail": "; ".join(words)}
    row["forbidden"] = tuple("; ".join(pick["doubts"]) for pick in picks)
    if all(math.isinf(one) for own in needed for one in own) or all(one <= sizes[0] for own in needed for one in own):
        return row
    row["number"] = 1.0 if abs(means[0] / means[1] - 1) < 1e-12 else means[0] / means[1]
    if len(seeds) < 3:
        return row

    def bounds(level):
        (most, fewest), (other_most, other_fewest) = (
            [along(sizes, edge, threshold) for edge in band(part, sizes, level / (2 * len(sizes)))] for part in able
        )
        low = min(fewest, sizes[-1]) / other_most if fewest > sizes[0] else 0.0
        return low, most / min(other_fewest, sizes[-1]) if other_fewest > sizes[0] else INF

    row["low"], row["high"] = bounds(0.025)
    row["sides"] = smallest(lambda level: bounds(level)[0] > 1), smallest(lambda level: bounds(level)[1] < 1)
    return row


def along(sizes, curve, threshold):
    return crossing(sizes, curve, threshold, math.log, math.exp)


def chosen(group, able, sizes, seeds):
    """Accuracy of each seed along the sizes, each at the setting whose validation is best for the other seeds."""
    curves, names, doubts = [[] for _ in seeds], set(), []
    for size in sizes:
        picks, here = {}, {}
        for seed in seeds:
            others = [one for one in seeds if one != seed] or seeds
            totals = {one: sum(able[size][one][other]["final"] for other in others) for one in sorted(able[size])}
            picks[seed] = next(one for one, total in totals.items() if total >= max(totals.values()) - 1e-9)
            here[seed] = able[size][picks[seed]][seed]["tested"]
        for curve, seed in zip(curves, seeds, strict=True):
            curve.append(here[seed])
        names |= {one[0] for one in picks.values()}
        doubts += [f"{one[0]}'s best rate at {size} is at the edge of those tried"
                   for one in sorted(set(picks.values())) if at_edge(one, group[size])]  # fmt: skip
        for one in sorted(set(group[size]) - set(able[size])):
            own = {seed: cell["tested"] for seed, cell in group[size][one].items()}
            if mean(list(own.values())) > mean([here[seed] for seed in own]):
                doubts.append(f"{beats(one, len(own), len(seeds))} at {size}")
    return {"curves": curves, "names": " or ".join(sorted(names)), "doubts": doubts}


def band(able, sizes, level):
    """Bounds of the best setting's accuracy at each size: the lower at a level shared by the settings."""
    lower, upper = [], []
    for size in sizes:
        found = [moments([cell["tested"] for cell in own.values()]) for own in able[size].values()]
        freedom = len(next(iter(able[size].values()))) - 1
        lower.append(max(middle + quantile(level / len(found), freedom) * error for middle, error in found))
        upper.append(max(middle - quantile(level, freedom) * error for middle, error in found))
    return lower, upper


def smallest(excluded):
    """The smallest level at which a bound excludes no difference, by halving its logarithm."""
    low, high = -12.0, math.log10(0.5)
    if not excluded(0.5):
        return 1.0
    if excluded(10**low):
        return 10**low
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (low, middle) if excluded(10**middle) else (middle, high)
    return 10**high
