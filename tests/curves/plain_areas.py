"""The tables of areas once more, from the cells that `plain.read` gives, for people to follow by hand."""

from __future__ import annotations

import itertools

from tests.curves.plain import RATES, at, grouped, interval, lead, mean, short


def areas(cells, asked):
    rows = {}
    for cell in cells:
        for budget in budgets(cell, asked):
            key = cell["panel_id"], cell["connectivity_id"], cell["rate"], cell["seed"], budget
            rows[key] = {
                **lead(cell),
                **{name: value for name, value in cell["settings"].items() if name in RATES},
                **{name: cell[name] for name in ("seed", "status")},
                **{"final_validation": cell["final"], "budget": budget, "area": area(cell, budget)},
            }
    return rows


def budgets(cell, asked):
    length = cell["spec"]["training"]["steps"]
    return {length, *(one for one in asked["budgets"] if one < length)}


def area(cell, budget):
    """Mean accuracy over the steps of a budget, trapezium by trapezium."""
    steps, values = cell["history"]["step"], cell["history"]["decision_accuracy"]
    total = 0.0
    for left, right in itertools.pairwise(range(len(steps))):
        if steps[left] < budget:
            end = min(steps[right], budget)
            total += (end - steps[left]) * (values[left] + at(cell, "decision_accuracy", end)) / 2
    if budget > steps[-1] and not cell["lost"]:
        total += (budget - steps[-1]) * values[-1]
    return total / budget


def tuned_areas(cells, asked):
    rows, found = {}, with_drive(cells)
    for tuned in (False, True):
        kept = [cell for cell in found if tuned or cell["pair"][1] == 1]
        for (drive, network), own in grouped(kept, "drive_id", "connectivity_id").items():
            for budget in {one for cell in own for one in budgets(cell, asked)}:
                spanning = [cell for cell in own if budget in budgets(cell, asked)]
                for words in held_out(spanning, budget):
                    words |= {"tuned": tuned, "drive_id": drive}
                    rows[drive, network, str(tuned), budget, words["seed"]] = words
    return rows


def held_out(cells, budget):
    """Each seed at the pair of rates that is best for the others."""
    table = {}
    for cell in cells:
        table.setdefault(cell["pair"], {}).setdefault(cell["seed"], []).append(area(cell, budget))
    table = {pair: {seed: mean(values) for seed, values in own.items()} for pair, own in table.items()}
    most = max(len(own) for own in table.values())
    able = {pair: own for pair, own in table.items() if len(own) == most}
    seeds = set.intersection(*(set(own) for own in able.values()))

    def choose(some):
        means = {pair: mean([own[seed] for seed in some]) for pair, own in able.items()} if some else {}
        return next((pair for pair, value in means.items() if value >= max(means.values()) - 1e-12), None)

    over_all = choose(seeds)
    for seed in seeds:
        pair = choose(seeds - {seed} or seeds)
        yield {
            **{name: value for name, value in lead(cells[0]).items() if not name.endswith("_id")},
            **{"connectivity_id": cells[0]["connectivity_id"], "budget": budget, "seed": seed},
            **{"area": able[pair][seed], "learning_rate": pair[0], "recurrent_rate": pair[1]},
            "rate_at_edge": edge(over_all[0], [rate for rate, factor in table if factor == over_all[1]]),
            "recurrent_at_edge": edge(over_all[1], [factor for rate, factor in table if rate == over_all[0]]),
        }


def edge(chosen, tried):
    numbers = [one for one in tried if not isinstance(one, str)]
    if isinstance(chosen, str):
        return "no"
    return "only" if len(numbers) == 1 else {min(numbers): "low", max(numbers): "high"}.get(chosen, "no")


def with_drive(cells):
    """Cells with the identity of their panel whatever the recurrent rate, and their pair of rates."""
    found = []
    for cell in cells:
        panel = {key: value for key, value in cell["panel"].items() if key != "training"}
        panel["training"] = {key: value for key, value in cell["panel"]["training"].items() if key not in RATES[1:3]}
        factor = cell["panel"]["training"].get("recurrent_rate", 1.0)
        found.append({**cell, "drive_id": short(panel), "pair": (cell["rate"], factor)})
    return found


def drive(cells, asked):
    rows = {}
    for (drive_id, network, pair), own in grouped(with_drive(cells), "drive_id", "connectivity_id", "pair").items():
        for budget in {one for cell in own for one in budgets(cell, asked)}:
            spanning = [cell for cell in own if budget in budgets(cell, asked)]
            values = [area(cell, budget) for cell in spanning]
            low, high = interval(values, mean, asked["bootstrap"])
            first, degree = spanning[0], spanning[0]["synapses"] / spanning[0]["neurons"]
            reference = first["panel"]["training"].get("reference_degree", 21.0)
            words = {name: value for name, value in lead(first).items() if name not in ("panel_id", "any_size_id")}
            rows[drive_id, network, budget, *pair] = {
                **words,
                **{"drive_id": drive_id, "budget": budget, "learning_rate": pair[0], "recurrent_rate": pair[1]},
                "drive": pair[0] * (reference if pair[1] == "in_degree" else pair[1] * degree),
                **{"area": mean(values), "low": low, "high": high, "seeds": len(values)},
            }
    return rows
