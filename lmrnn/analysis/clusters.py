"""What units are for: their variance in each task, clusters of units alike in that, and where those lie on the sheet.

The task variance and its clustering follow G. R. Yang, M. R. Joglekar, H. F. Song, W. T. Newsome and X.-J. Wang, Nature
Neuroscience 22, 297-306 (2019), Methods.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from lmrnn.analysis.ring import group_means
from lmrnn.seeds import stream

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
SILENT = 1e-3  # a unit whose variances sum to less is left out (Yang et al. 2019)
RESTARTS = 10
PERMUTATIONS = 1000


def task_variance(states: Floats, moment: Integers) -> Floats:
    """Variance of each unit over the trials of one task, averaged over the moments of a trial, (N,).

    `states` are (R, N), one row per trial and time step; `moment` (R,) says what point of a trial each row is (period,
    and time steps since its onset): rows of equal moment are compared, those of a negative one left out. The mean is
    over the moments seen in two trials or more.
    """
    kept = moment >= 0
    states, moment = np.asarray(states, dtype=float)[kept], moment[kept]
    mean, place = group_means(states, moment)
    variance, _ = group_means((states - mean[place]) ** 2, moment)
    several = np.bincount(place) > 1
    return variance[several].mean(axis=0) if several.any() else np.zeros(states.shape[1])


def normalised_variance(variance: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Which units are active, (N,): those whose task variances (N, tasks) sum to `SILENT` or more; and their variances,
    each unit's largest being 1, (active units, tasks).
    """
    active = variance.sum(axis=1) >= SILENT
    kept = variance[active]
    return active, kept / kept.max(axis=1, keepdims=True) if len(kept) else kept


def k_means(points: Floats, k: int, rng: np.random.Generator, restarts: int = RESTARTS) -> Integers:
    """Cluster points (n, d) around k means, 1 <= k <= n: Lloyd's algorithm, the best of several k-means++ starts
    (Arthur and Vassilvitskii, SODA 2007). Gives each point's cluster, 0 .. k-1, (n,), clusters in the order of their
    first point. Raises ValueError when there are fewer points than clusters.
    """
    if not 1 <= k <= len(points):
        raise ValueError(f"{len(points)} points cannot make {k} clusters")
    runs = [_lloyd(points, _spread_starts(points, k, rng)) for _ in range(restarts)]
    labels = min(runs, key=lambda run: run[1])[0]
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[place]


def _spread_starts(points: Floats, k: int, rng: np.random.Generator) -> Floats:
    """Starting means, k of them, each drawn with probability proportional to its squared distance from those before."""
    means = points[[rng.integers(len(points))]]
    for _ in range(k - 1):
        near = cdist(points, means, "sqeuclidean").min(axis=1)
        total = near.sum()
        chosen = rng.choice(len(points), p=near / total) if total > 0 else rng.integers(len(points))
        means = np.vstack([means, points[chosen]])
    return means


def _lloyd(points: Floats, means: Floats) -> tuple[Integers, float]:
    """Labels and sum of squared distances after alternating assignment and averaging until nothing changes."""
    labels = np.full(len(points), -1)
    while True:
        distances = cdist(points, means, "sqeuclidean")
        nearest = distances.argmin(axis=1)
        if (nearest == labels).all():
            return labels, float(distances.min(axis=1).sum())
        labels = nearest
        member = np.eye(len(means))[labels].T  # (k, n)
        size = member.sum(axis=1, keepdims=True)
        means = np.where(size > 0, member @ points / np.maximum(size, 1), means)


def silhouette(points: Floats, labels: Integers) -> float:
    """How well clusters are separated, -1 .. 1: the mean over points (n, d) of (b - a) / max(a, b), with a the mean
    distance to the own cluster's other points, b that to the nearest other cluster (Rousseeuw, J. Comput. Appl. Math.
    20, 1987). A point alone in its cluster counts 0; NaN for a single cluster.
    """
    names, place = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        return float("nan")
    distance = cdist(points, points)
    member = np.eye(len(names))[place]  # (n, k)
    size = member.sum(axis=0)
    total = distance @ member  # (n, k) sum of distances to each cluster
    own = np.arange(len(points)), place
    inner = total[own] / np.maximum(size[place] - 1, 1)
    outer = total / size
    outer[own] = np.inf
    nearest = outer.min(axis=1)
    score = (nearest - inner) / np.maximum(np.maximum(inner, nearest), 1e-300)
    return float(np.where(size[place] > 1, score, 0).mean())


def cluster_units(points: Floats, largest: int = 30, seed: int = 0) -> tuple[Integers, dict[int, float]]:
    """Cluster units by their normalised task variances, (units, tasks), with as many clusters as separate best.

    Gives each unit's cluster, 0 .. k-1 (all 0 where there are fewer than 3 units), and the mean silhouette of each
    number of clusters tried, 2 .. `largest`. `seed` >= 0 is that of the starts.
    """
    found = {k: k_means(points, k, stream(seed, "clusters", k)) for k in range(2, min(largest, len(points) - 1) + 1)}
    scores = {k: silhouette(points, labels) for k, labels in found.items()}
    scores = {k: score for k, score in scores.items() if np.isfinite(score)}
    if not scores:
        return np.zeros(len(points), dtype=np.int64), {}
    return found[max(scores, key=scores.__getitem__)], scores


@dataclass(frozen=True)
class Modularity:
    """How often linked units lie in the same cluster.

    `share` is the share of the links (by weight) within a cluster, `chance` and `spread` are its mean and standard
    deviation when clusters are permuted among units, `p` the share of permutations with at least as much, counting the
    clustering itself.
    """

    share: float
    chance: float
    spread: float
    p: float


def modularity(labels: Integers, links: Integers, weight: Floats | None = None, seed: int = 0) -> Modularity:
    """Compare the links within clusters with those of permuted clusters; NaN throughout if no link is left.

    `labels` (N,) are the units' clusters, -1 for a unit that is in none, whose links are left out; `links` (L, 2) are
    pairs of units, neighbours on the sheet or synapses between different units, with weights >= 0 (L,), 1 by default;
    `seed` >= 0 is that of the permutations.
    """
    weight = np.ones(len(links)) if weight is None else np.asarray(weight, dtype=float)
    kept = (labels[links] >= 0).all(axis=1)
    links, weight = links[kept], weight[kept]
    if weight.sum() == 0:
        return Modularity(*(float("nan"),) * 4)
    weight = weight / weight.sum()
    rng = stream(seed, "modularity")
    active = np.flatnonzero(labels >= 0)
    shares = []
    for _ in range(PERMUTATIONS):
        permuted = labels.copy()
        permuted[active] = rng.permutation(labels[active])
        shares.append(_share_within(permuted, links, weight))
    share = _share_within(labels, links, weight)
    p = (1 + sum(other >= share - 1e-12 for other in shares)) / (1 + PERMUTATIONS)
    return Modularity(share, float(np.mean(shares)), float(np.std(shares)), p)


def _share_within(labels: Integers, links: Integers, weight: Floats) -> float:
    return float(weight[labels[links[:, 0]] == labels[links[:, 1]]].sum())


def sheet_neighbours(side: int, torus: bool = False) -> Integers:
    """Pairs of units that touch, by sides and corners, on a square sheet of `side` units, (L, 2), each pair once; on a
    torus opposite edges are joined.
    """
    row, column = np.divmod(np.arange(side * side), side)
    pairs = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        r, c = row + down, column + right
        inside = np.ones(len(r), bool) if torus else (r < side) & (c >= 0) & (c < side)
        pairs.append(np.stack([np.arange(side * side), (r % side) * side + c % side], axis=1)[inside])
    links = np.concatenate(pairs)
    if torus and side < 3:  # across the edge lies the unit itself, or one that it touches anyway
        links = np.unique(np.sort(links[links[:, 0] != links[:, 1]], axis=1), axis=0)
    return links
