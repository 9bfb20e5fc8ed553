"""How two groups of settings compare, once more: a second implementation of the claims, for people to follow by hand.

Loops and dictionaries, nothing of `lmrnn.claims`. A setting is (label, id, rate) of a network; a group of settings is
{setting: {seed: Cost}}. `tests.claims.plain_table` has the rows of claims.csv.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from functools import cache
from typing import NamedTuple

from tests.curves.plain import INF, NAN, mean

LEVEL = 0.025
ROUNDING = 1e-9  # standard errors below are what rounding makes


class Cost(NamedTuple):
    """What a setting costs a seed: smaller is better; it lies between `low` and `high`."""

    low: float
    value: float
    high: float
    choose: float

    @classmethod
    def exact(cls, value, choose=None):
        return cls(value, value, value, value if choose is None else choose)


# --- distributions


def tail(t, freedom):
    """Chance that Student's t lies above a value, by the incomplete beta function."""
    x = freedom / (freedom + t * t)
    both = incomplete_beta(x, freedom / 2, 0.5)
    return both / 2 if t >= 0 else 1 - both / 2


def incomplete_beta(x, a, b):
    """By its continued fraction (Abramowitz and Stegun 26.5.8), of which 15 pairs of terms are enough for ten seeds."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )  # fmt: skip
    terms = []
    for m in range(15):
        terms.append(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)))
        terms.append((m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2)))
    value = 1.0
    for term in reversed(terms):
        value = 1 + term / value
    return front / (a * value)


@cache
def quantile(level, freedom):
    """Value below which Student's t lies with a chance below a half, by Newton's method on the chance's logarithm."""
    t, density = 0.0, math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    for _ in range(100):
        above = tail(t, freedom)
        step = above / density * (1 + t * t / freedom) ** ((freedom + 1) / 2) * math.log(above / level)
        t += step
        if abs(step) < 1e-13 * t:
            break
    return -t


@cache
def rank_chances(n):
    """Chance of each number of the n * n pairs in which the first of two like samples is larger: all ways to share."""
    counts = Counter()
    for first in itertools.combinations(range(2 * n), n):
        counts[sum(first) - n * (n - 1) // 2] += (
            1  # the i-th smallest of the first lies above its rank - i of the second
        )
    whole = math.comb(2 * n, n)
    return [counts[pairs] / whole for pairs in range(n * n + 1)]


# --- one setting against another


def minus(a, b):
    """Difference of two ends; of two infinities nothing is known, which speaks against."""
    difference = a - b
    return -INF if math.isnan(difference) else difference


def moments(differences):
    n, middle = len(differences), mean(differences)
    spread = math.sqrt(sum((one - middle) ** 2 for one in differences) / (n - 1))
    return middle, max(spread / math.sqrt(n), ROUNDING)


def pair_p(first, second, limit):
    """Chance of what is seen, or more, if the first is not above the second plus a limit; both by seed."""
    n, second = len(first), [one + limit for one in second]
    if n < 2:
        return 1.0
    differences = [minus(a, b) for a, b in zip(first, second, strict=True)]
    if all(map(math.isfinite, differences)):
        middle, error = moments(differences)
        return tail(middle / error, n - 1)
    above = sum(minus(a, b) > 0 for a in first for b in second)
    return sum(rank_chances(n)[above:])


def pair_bound(first, second, level):
    n = len(first)
    if n < 2:
        return -INF
    differences = [minus(a, b) for a, b in zip(first, second, strict=True)]
    if all(map(math.isfinite, differences)):
        middle, error = moments(differences)
        return middle + quantile(level, n - 1) * error
    passed = sum(sum(rank_chances(n)[: pairs + 1]) <= level for pairs in range(n * n + 1))
    every = sorted(minus(a, b) for a in first for b in second)
    return every[passed - 1] if passed else -INF


# --- the best of a group against the best of another


def p_above(lows, highs, limit=0.0):
    """Best of some minus best of others is at most a limit: all of the first must lie above one of the second."""
    worst = [max(pair_p(low, high, limit) for low in lows) for high in highs]
    return min(1.0, len(highs) * min(worst))


def lower_bound(lows, highs):
    return max(min(pair_bound(low, high, LEVEL / len(highs)) for low in lows) for high in highs)


def seeds_of(group):
    return sorted({seed for costs in group.values() for seed in costs})


def ends(group, seeds, name):
    return [[getattr(group[setting][seed], name) for seed in seeds] for setting in sorted(group)]


def whole(group, seeds):
    return {setting: costs for setting, costs in group.items() if all(seed in costs for seed in seeds)}


def picked(group, seeds, held_out):
    """For each seed the setting that costs the others least; of equals the first."""
    found = {}
    for seed in seeds:
        others = [one for one in seeds if one != seed] if held_out and len(seeds) > 1 else seeds
        totals = {setting: sum(group[setting][one].choose for one in others) for setting in sorted(group)}
        found[seed] = next(setting for setting, total in totals.items() if total <= min(totals.values()) + 1e-9)
    return found


def names(chosen):
    """Settings that seeds were given, the most frequent first."""
    counts = Counter(chosen)
    order = sorted(counts, key=lambda setting: (-counts[setting], chosen.index(setting)))
    shares = {setting: f" ({counts[setting]} of {len(chosen)} seeds)" if len(counts) > 1 else "" for setting in order}
    return " or ".join(f"{setting[0]} at {setting[2]:g}{shares[setting]}" for setting in order)


def at_edge(setting, tried):
    rates = [rate for _, network, rate in tried if network == setting[1]]
    return setting[2] in (min(rates), max(rates))


def beaten(group, able, chosen):
    """Settings with fewer seeds that cost less than what was chosen, on the seeds that they have."""
    words = []
    for setting in sorted(set(group) - set(able)):
        own = {seed: cost.value for seed, cost in group[setting].items() if seed in chosen}
        if own and sum(own.values()) < sum(chosen[seed] for seed in own):
            words.append(beats(setting, len(own), len(chosen)))
    return words


def beats(setting, seeds, of):
    return f"{setting[0]} at {setting[2]:g}, tried with {seeds} of {of} seeds, beats the choice"


NOTHING = {"number": NAN, "low": NAN, "high": NAN, "first": NAN, "second": NAN, "seeds": 0, "detail": "", "bound": "",
           "sides": (NAN, NAN), "forbidden": ("", ""), "groups": None}  # fmt: skip
MARKS = {(True, False): ">=", (False, True): "<=", (True, True): "~", (False, False): ""}
BOUNDS = {">=": "at least this", "<=": "at most this", "~": "neither always gets there"}


def compare(first, second, ratio=False, held_out=True, given_rate=False):
    """Columns of claims.csv: best of the first minus best of the second, a ratio where costs are logarithms."""
    seeds = [seed for seed in seeds_of(first) if seed in seeds_of(second)]
    able = whole(first, seeds), whole(second, seeds)
    if not seeds or not all(able):
        return dict(NOTHING)
    picks = [picked(group, seeds, held_out) for group in able]
    costs = [{seed: group[pick[seed]][seed] for seed in seeds} for group, pick in zip(able, picks, strict=True)]
    late = [[math.isinf(own[seed].high) for seed in seeds] for own in costs]
    named = [names(list(pick.values())) for pick in picks]
    edges, missed = [False, False], []
    if not given_rate:
        edges = [
            any(at_edge(one, group) for one in pick.values())
            for group, pick in zip((first, second), picks, strict=True)
        ]
        for group, part, own in zip((first, second), able, costs, strict=True):
            missed += beaten(group, part, {seed: cost.value for seed, cost in own.items()})
    bound = MARKS[tuple(map(any, late))]
    means = [mean([cost.value for cost in own.values()]) for own in costs]
    at_edges = [f"at the edge of the rates tried: {name}" for name, edge in zip(named, edges, strict=True) if edge]
    words = [" against ".join(named), *at_edges, *([BOUNDS[bound]] if bound else []), *missed]
    why = ["; ".join([*missed, *([f"best rate at the edge of those tried: {name}"] if edge else [])])
           for name, edge in zip(named, edges, strict=True)]  # fmt: skip
    shown = math.exp if ratio else lambda value: -value
    row = {**NOTHING, "first": shown(means[0]), "second": shown(means[1]), "seeds": len(seeds), "bound": bound}
    row |= {"detail": "; ".join(words), "forbidden": tuple(why)}
    if all(map(all, late)):
        return row
    both = [{name: ends(group, seeds, name) for name in ("low", "high")} for group in able]
    row["sides"] = p_above(both[0]["low"], both[1]["high"]), p_above(both[1]["low"], both[0]["high"])
    number = means[0] - means[1]
    number = 0.0 if abs(number) < 1e-12 else number  # what rounding makes
    low, high = NAN, NAN
    if len(seeds) > 2:
        low, high = lower_bound(both[0]["low"], both[1]["high"]), -lower_bound(both[1]["low"], both[0]["high"])
    row["groups"] = both
    if ratio:
        return {**row, "number": math.exp(number), "low": raised(low), "high": raised(high)}
    if len(seeds) > 2:
        low, high = max(low, -1.0), min(high, 1.0)
    return {**row, "number": number, "low": low, "high": high}


def raised(value):
    return INF if value > 50 else math.exp(value)


def sides_of(row, limit):
    """One-sided p values of a comparison's number lying above and below a limit."""
    if row["groups"] is None:
        return NAN, NAN
    first, second = row["groups"]
    return p_above(first["low"], second["high"], limit), p_above(second["low"], first["high"], -limit)
