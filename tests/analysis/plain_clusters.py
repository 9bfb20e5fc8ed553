"""Clusters of units once more, for people to follow by hand; `tests.analysis.plain` says how."""

from __future__ import annotations

import math

import numpy as np

from lmrnn.seeds import stream
from tests.curves.plain import NAN, mean


def measure(network, cell, shown, active):
    """Cluster of each active unit, and the row of the network."""
    points = [shown[unit] for unit in active]
    labels, score = best_clusters(points)
    found = dict(zip(active, labels, strict=True))
    row = {"active": len(active), "clusters": max(labels, default=-1) + 1, "silhouette": score}
    touching = neighbours(network["side"], cell["spec"]["connectivity"].get("boundary") == "torus")
    linked = {(int(a), int(b)): abs(float(network["matrix"][a, b]))
              for a, b in zip(network["post"], network["pre"], strict=True) if a != b}  # fmt: skip
    for name, links in (("sheet", dict.fromkeys(touching, 1.0)), ("synapses", linked)):
        row |= {f"{name}_{key}": value for key, value in alike_links(found, links).items()}
    return found, row


def best_clusters(points):
    """The number of clusters that separates best; one cluster where nothing is separated."""
    found = []
    for k in range(2, min(30, len(points) - 1) + 1):
        labels = k_means(points, k, stream(0, "clusters", k))
        if len(set(labels)) > 1:
            found.append((silhouette(points, labels), labels))
    if not found:
        return [0] * len(points), NAN
    score = max(score for score, _ in found)
    return next(labels for own, labels in found if own == score), score


def k_means(points, k, rng):
    """The best of ten starts by k-means++; clusters in the order of their first point."""
    points = np.array(points)
    runs = [lloyd(points, starts(points, k, rng)) for _ in range(10)]
    labels = min(runs, key=lambda run: run[1])[0]
    order = list(dict.fromkeys(labels))
    return [order.index(label) for label in labels]


def starts(points, k, rng):
    """Each further start with a chance that goes with its squared distance from the nearest before it."""
    found = [points[rng.integers(len(points))]]
    while len(found) < k:
        near = np.array([min(squared(point, found)) for point in points])
        total = sum(near)
        found.append(points[rng.choice(len(points), p=near / total) if total > 0 else rng.integers(len(points))])
    return found


def lloyd(points, means):
    before = None
    while True:
        distances = [squared(point, means) for point in points]
        labels = [int(np.argmin(own)) for own in distances]
        if labels == before:
            return labels, sum(min(own) for own in distances)
        before = labels
        for cluster in set(labels):
            means[cluster] = np.mean(
                [point for point, label in zip(points, labels, strict=True) if label == cluster], axis=0
            )


def squared(point, others):
    return ((np.array(others) - point) ** 2).sum(axis=1)


def silhouette(points, labels):
    """Mean over points of (b - a) / max(a, b): mean distances to the nearest other and to the own cluster."""
    scores = []
    for i, label in enumerate(labels):
        distance = np.sqrt(squared(points[i], points))
        to = {
            other: [distance[j] for j in range(len(points)) if labels[j] == other and j != i] for other in set(labels)
        }
        if not to[label]:
            scores.append(0.0)
            continue
        inner, outer = mean(to[label]), min(mean(own) for other, own in to.items() if other != label)
        scores.append((outer - inner) / max(inner, outer, 1e-300))
    return mean(scores)


def neighbours(side, torus):
    """Pairs of units that touch on a sheet, by sides and corners, each once."""
    found = []
    for a in range(side * side):
        for b in range(a):
            apart = [abs(one - other) for one, other in zip(divmod(a, side), divmod(b, side), strict=True)]
            if torus:
                apart = [min(one, side - one) for one in apart]
            if max(apart) == 1:
                found.append((a, b))
    return found


def alike_links(labels, links):
    """Share of links, by weight, within a cluster, and the same with clusters permuted among units that have one."""
    links = {pair: weight for pair, weight in links.items() if pair[0] in labels and pair[1] in labels}
    whole = sum(links.values())
    if not whole:
        return dict.fromkeys(("share", "chance", "spread", "p"), NAN)
    units, rng = sorted(labels), stream(0, "modularity")
    one = np.array([units.index(a) for a, _ in links])
    other = np.array([units.index(b) for _, b in links])
    weights = np.array(list(links.values())) / whole

    def within(clusters):
        return float(weights[clusters[one] == clusters[other]].sum())

    own = np.array([labels[unit] for unit in units])
    share = within(own)
    permuted = [within(rng.permutation(own)) for _ in range(1000)]
    spread = math.sqrt(variance(permuted))
    p = (1 + sum(value >= share - 1e-12 for value in permuted)) / 1001
    return {"share": share, "chance": mean(permuted), "spread": spread, "p": p}


def variance(values):
    middle = mean(values)
    return mean([(value - middle) ** 2 for value in values])
