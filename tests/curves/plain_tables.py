"""Each table of curves once more, from the cells that `plain.read` gives, for people to follow by hand."""

from __future__ import annotations

import math

from lmrnn.tasks import battery_names
from tests.curves.plain import (
    INF,
    NAN,
    UNITS,
    at,
    best,
    crossing,
    grouped,
    ideal,
    interval,
    lead,
    mean,
    median,
    networks,
    references,
    said,
)  # fmt: skip
from tests.curves.plain_areas import areas, drive, tuned_areas


def training_speed(cells, asked):
    rows = {}
    for key, whole, words, own in networks(cells):
        steps = sorted({step for cell in whole for step in cell["history"]["step"]})
        if not all(cell["lost"] for cell in own):
            steps = [step for step in steps if step <= max(cell["history"]["step"][-1] for cell in own)]
        for step in steps:
            values = [at(cell, "decision_accuracy", step) for cell in own]
            low, high = interval(values, mean, asked["bootstrap"])
            measured = {name: mean([at(cell, name, step) for cell in own]) for name in ("trials", "training_seconds")}
            measured |= {"step": step, "decision_accuracy": mean(values), "low": low, "high": high}
            rows[(*key, step)] = {**words, **measured, **references(own)}
    return rows


def times_of(cell, threshold):
    history = cell["history"]
    times = {
        unit: INF if cell["lost"] else crossing(history[name], history["decision_accuracy"], threshold)
        for unit, name in UNITS.items()
    }
    limit = cell["spec"]["training"]["steps"]
    return {
        "threshold": threshold,
        "reached": times["steps"] < INF,
        **times,
        "limit_steps": limit,
        **{f"trained_{unit}": max(history[name]) for unit, name in UNITS.items()},
        "first_evaluation": next((step for step in history["step"] if step > 0), 0),
        "restricted": times["steps"] if times["steps"] < INF else limit,
    }


def threshold_times(cells, asked):
    rows = {}
    for cell in cells:
        shared = {"learning_rate": cell["rate"], "seed": cell["seed"], "status": cell["status"]}
        for threshold in asked["thresholds"]:
            times = times_of(cell, threshold)
            del times["restricted"]
            key = cell["panel_id"], cell["connectivity_id"], cell["rate"], cell["seed"], threshold
            rows[key] = {**lead(cell), **shared, "final_validation": cell["final"], **times}
    return rows


def steps_to_threshold(cells, asked):
    rows = {}
    for (panel, network), whole in grouped(cells, "panel_id", "connectivity_id").items():
        for threshold in asked["thresholds"]:

            def score(cell, threshold=threshold):
                return 1e-6 * cell["final"] - times_of(cell, threshold)["restricted"]

            rate, edge, own = best(whole, score)
            times = [times_of(cell, threshold) for cell in own]
            common = {
                "threshold": threshold,
                "reached": sum(one["reached"] for one in times),
                "restricted_mean_steps": mean([one["restricted"] for one in times]),
                "limit_steps": max(one["limit_steps"] for one in times),
                "before_first_evaluation": sum(one["steps"] < one["first_evaluation"] for one in times),
            }
            for unit in UNITS:
                values = [one[unit] for one in times]
                low, high = interval(values, median, asked["bootstrap"])
                measured = {"unit": unit, "median": median(values), "low": low, "high": high}
                measured["trained"] = median([one[f"trained_{unit}"] for one in times])
                rows[panel, network, threshold, unit] = {**said(own, rate, edge), **common, **measured}
    return rows


def data_efficiency(cells, asked):
    rows = {}
    for key, _, words, own in networks(cells):
        values = [cell["tested"] for cell in own]
        low, high = interval(values, mean, asked["bootstrap"])
        measured = {"test_decision_accuracy": mean(values), "low": low, "high": high}
        rows[key] = {**words, **measured, **references(own)}
    return rows


def trials_to_threshold(cells, asked):
    kept = []
    for _, _, words, own in networks(cells):
        kept += [{**cell, "at_edge": words["at_edge"]} for cell in own]
    rows = {}
    for (family, network), whole in grouped(kept, "family_id", "connectivity_id").items():
        for threshold in asked["thresholds"]:
            found = []
            for own in grouped(whole, "seed").values():
                own = sorted(own, key=lambda cell: cell["size"])
                if len(own) > 1:
                    found.append(needed(own, threshold))
            if not found:
                continue
            words = {
                name: value for name, value in lead(whole[0]).items() if name not in ("trials_per_task", "panel_id")
            }
            values = [one["trials"] for one in found]
            low, high = interval(values, median, asked["bootstrap"])
            edges = [one["at_edge"] for one in found if one["at_edge"] != "no"]
            rows[family, network, threshold] = {
                **words,
                "threshold": threshold,
                "at_edge": edges[0] if edges else "no",
                "seeds": len(found),
                "diverged": sum(one["diverged"] for one in found),
                "reached": sum(one["trials"] < INF for one in found),
                "at_smallest": sum(one["trials"] <= one["smallest"] for one in found),
                "smallest": min(one["smallest"] for one in found),
                "largest": max(one["largest"] for one in found),
                **{"median": median(values), "low": low, "high": high},
            }
    return rows


def needed(own, threshold):
    """Trials per task that one seed needs, from its cells by size."""
    sizes = [cell["size"] for cell in own]
    trials = crossing(sizes, [cell["tested"] for cell in own], threshold, math.log, math.exp)
    after = next((i for i, size in enumerate(sizes) if size >= trials), len(sizes))
    edges = [cell["at_edge"] for cell in own[max(after - 1, 0) : after + 1] if cell["at_edge"] != "no"]
    return {
        "trials": trials,
        "at_edge": edges[0] if edges else "no",
        "diverged": sum(cell["lost"] for cell in own),
        "smallest": sizes[0],
        "largest": sizes[-1],
    }


def task_accuracy(cells, asked):
    rows = {}
    for key, _, words, own in networks(cells):
        for place, task in enumerate(battery_names(own[0]["spec"]["tasks"])):
            reached = mean([0.0 if cell["lost"] else cell["test"]["decision_accuracy"][place] for cell in own])
            measured = {"task": task, "position": place, "test_decision_accuracy": reached}
            measured["always_fixate"] = own[0]["test"]["always_fixate"][place]
            rows[(*key, place)] = {**words, **measured, "ideal": ideal(own[0]["spec"])[place]}
    return rows


def largest(cells):
    """Cells of the largest data size of each family."""
    return [cell for own in grouped(cells, "family_id").values() for cell in own
            if cell["size"] == max(other["size"] for other in own)]  # fmt: skip


def rate_threshold_map(cells, asked):
    rows = {}
    for (panel, rate), whole in grouped(largest(cells), "panel_id", "rate").items():
        kinds = {kind: [cell for cell in whole if cell["kind"] == kind] for kind in ("local", "full")}
        seeds = {cell["seed"] for cell in kinds["local"]} & {cell["seed"] for cell in kinds["full"]}
        for threshold in asked["thresholds"] if seeds else ():
            local, full = (fastest(kinds[kind], seeds, threshold) for kind in ("local", "full"))
            if local is None or full is None:
                continue
            never = not (local["reached"] or full["reached"]) or local["steps"] == full["steps"] == 0
            late = [one["reached"] < one["cells"] for one in (full, local)]
            bound = {(1, 0): ">", (0, 1): "<", (1, 1): "~", (0, 0): ""}[tuple(map(int, late))]
            rows[panel, rate, threshold] = {
                **{name: lead(whole[0])[name] for name in ("tasks", "layout", "panel_id")},
                "learning_rate": rate,
                "threshold": threshold,
                "local_steps": local["steps"],
                "full_steps": full["steps"],
                "ratio": NAN if never else full["steps"] / local["steps"] if local["steps"] else INF,
                "bound": "" if never else bound,
                "local_reached": local["reached"],
                "full_reached": full["reached"],
                "cells": min(local["cells"], full["cells"]),
            }
    return rows


def fastest(cells, seeds, threshold):
    """The network of the fewest steps (restricted mean over the seeds), of those that have all of them."""
    found = []
    for own in grouped([cell for cell in cells if cell["seed"] in seeds], "connectivity_id").values():
        times = [times_of(cell, threshold) for cell in own]
        if len(own) == len(seeds):
            steps = mean([one["restricted"] for one in times])
            found.append({"steps": steps, "reached": sum(one["reached"] for one in times), "cells": len(own)})
    return min(found, key=lambda one: one["steps"], default=None)


def equal_synapses(cells, asked):
    rows = {}
    for (group,), whole in grouped(largest(cells), "any_size_id").items():
        whole = [cell for cell in whole if cell["size"] == max(other["size"] for other in whole)]
        full = [cell for cell in whole if cell["kind"] == "full"]
        if not full:
            continue
        fewest = min(cell["spec"]["network"]["neurons"] for cell in full)
        synapses = min(cell["synapses"] for cell in full)
        near = [cell for cell in whole if cell["kind"] == "local" and cell["spec"]["network"]["neurons"] > fewest
                and abs(cell["synapses"] - synapses) <= 0.3 * synapses]  # fmt: skip
        if not near:
            continue
        compared = [cell for cell in full if cell["spec"]["network"]["neurons"] == fewest] + near
        compared = [{**cell, "n": cell["spec"]["network"]["neurons"]} for cell in compared]
        for (n, network), own in grouped(compared, "n", "connectivity_id").items():
            for threshold in asked["thresholds"]:
                rate, edge, chosen = best(own, lambda cell, t=threshold: -times_of(cell, t)["restricted"])
                times = [times_of(cell, threshold) for cell in chosen]
                for unit in ("steps", "seconds"):
                    values = [one[unit] for one in times]
                    low, high = interval(values, median, 2000)
                    words = {key: lead(own[0])[key] for key in ("tasks", "layout", "kind", "radius", "synapses")}
                    rows[group, f"{network}-{n}", threshold, unit] = {
                        **words,
                        **{"neurons": n, "threshold": threshold, "learning_rate": rate, "at_edge": edge, "unit": unit},
                        **{"seeds": len(chosen), "reached": sum(one["reached"] for one in times)},
                        "limit_steps": max(one["limit_steps"] for one in times),
                        **{"median": median(values), "low": low, "high": high},
                        **{"group_id": group, "network_id": f"{network}-{n}"},
                    }
    return rows


# by table: what makes its rows, and the columns that tell rows apart
TABLES = {
    "training_speed": (training_speed, ("panel_id", "connectivity_id", "step")),
    "threshold_times": (threshold_times, ("panel_id", "connectivity_id", "learning_rate", "seed", "threshold")),
    "areas": (areas, ("panel_id", "connectivity_id", "learning_rate", "seed", "budget")),
    "drive": (drive, ("drive_id", "connectivity_id", "budget", "learning_rate", "recurrent_rate")),
    "tuned_areas": (tuned_areas, ("drive_id", "connectivity_id", "tuned", "budget", "seed")),
    "steps_to_threshold": (steps_to_threshold, ("panel_id", "connectivity_id", "threshold", "unit")),
    "data_efficiency": (data_efficiency, ("panel_id", "connectivity_id")),
    "trials_to_threshold": (trials_to_threshold, ("family_id", "connectivity_id", "threshold")),
    "task_accuracy": (task_accuracy, ("panel_id", "connectivity_id", "position")),
    "rate_threshold_map": (rate_threshold_map, ("panel_id", "learning_rate", "threshold")),
    "equal_synapses": (equal_synapses, ("group_id", "network_id", "threshold", "unit")),
}
