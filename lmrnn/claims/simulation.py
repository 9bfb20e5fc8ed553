"""How often the claims are wrong where nothing differs, and how large a difference they find: simulated studies.

    python -m lmrnn.claims.simulation [studies]

prints both. The studies are cells with invented learning curves, test accuracies and angles, measured by the functions
that measure real ones. What varies is as in real studies: seeds change the data of all networks alike (shared) and
every training by itself, several rates are tried, some trainings never reach a threshold, a rate further out has fewer
seeds. Without a difference every network is drawn alike; of claims 3 and 4 the truth lies at the limit of their
verdicts, where either verdict is wrong.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lmrnn.claims.autapses import AT_PAR, FAR_BEHIND, autapse_rows
from lmrnn.claims.data import data_rows
from lmrnn.claims.rotation import ON_TARGET, rotation_rows
from lmrnn.claims.speed import speed_rows
from lmrnn.claims.verdicts import judge
from lmrnn.curves.comparison import prepare
from lmrnn.curves.statistics import crossing
from lmrnn.study.cells import MEASURES, CellResult, cell_row, cells_table

CLAIMS = (1, 2, 3, 4)
STEPS, EVERY = 1000, 50
_RATES = (0.001, 0.002, 0.004, 0.008)
_TASKS = ("dm1", "dm2", "dlydm1intr", "dlydm2intr")  # two base tasks and two of an int group
_CONNECTIVITIES = {"full": {"kind": "full"}, "local": {"kind": "local", "radius": 3}, "autapse": {"kind": "autapse"}}
_SYNAPSES = {"full": 65536, "local": 5480, "autapse": 256}


@dataclass(frozen=True)
class World:
    """What simulated studies are drawn from.

    `speed` is the logarithm of how much longer full networks take than local ones, `data` by how much more accurate
    local networks are at each size, `points` what autapses lie beyond the limits of claim 3, `turn` what shares of
    rotation lie beyond the lower limit of claim 4; no differences at 0. `shared` and `own` are standard deviations of
    the logarithm of the time constant of learning, `spread` that of accuracies; `flat` says that all rates are equally
    good, or else the middle ones are best. `skewed` noise has a long tail towards slow trainings.
    """

    speed: float = 0.0
    data: float = 0.0
    points: float = 0.0
    turn: float = 0.0
    shared: float = 0.1
    own: float = 0.1
    spread: float = 0.015
    flat: bool = True
    skewed: bool = False


def simulate(world: World, seeds: int, number: int, rng: np.random.Generator) -> tuple[pd.DataFrame, list[CellResult]]:
    """Cells of `number` studies with full, local and autapse networks at two data sizes, and their table of `prepare`.

    A study's cells have its number as batch size, so that they are compared with each other alone.
    """
    cells, rows = [], []
    for study in range(number):
        for seed in range(seeds):
            shared = world.shared * rng.standard_normal(2)  # of speed, of accuracy
            for kind in _CONNECTIVITIES:
                for place, rate in enumerate(_RATES):
                    if place == len(_RATES) - 1 and seed >= seeds // 3:
                        continue  # the rate furthest out has a third of the seeds
                    slower = 0.0 if world.flat else 0.3 * abs(place - 1.5)
                    for size in (32, 128) if kind != "autapse" else (128,):
                        cells.append(_cell(world, kind, rate, (study, seed, size), shared, slower, rng))
    for i, cell in enumerate(cells):
        kind = cell.spec["connectivity"]["kind"]
        rows.append(cell_row(cell, kind, 256, _SYNAPSES[kind], f"{i}.h5", f"{i:08x}"))
    return prepare(cells_table(rows), cells), cells


def _cell(
    world: World,
    kind: str,
    rate: float,
    place: tuple[int, int, int],
    shared: np.ndarray,
    slower: float,
    rng: np.random.Generator,
) -> CellResult:
    """A simulated cell of a study, seed and data size."""
    study, seed, size = place
    noise = rng.gumbel(-np.euler_gamma, 1.0) if world.skewed else rng.standard_normal()
    logarithm = shared[0] + world.own * noise + slower + (world.speed if kind == "full" else 0.0)
    top = 0.82 + world.spread * (rng.standard_normal() + shared[1])  # not all get to .8 in time
    step = np.arange(0, STEPS + 1, EVERY)
    course = 0.1 + (top - 0.1) * (1 - np.exp(-step / (200 * np.exp(logarithm))))
    level = (0.6 if size == 32 else 0.8) + (world.data if kind == "local" else 0.0) - 0.1 * slower
    behind = np.array([AT_PAR + world.points] * 2 + [FAR_BEHIND - world.points] * 2) if kind == "autapse" else 0.0
    test = level + behind + world.spread * (rng.standard_normal() + shared[1]) + np.zeros(len(_TASKS))
    spec = {
        "version": 1, "definition": "corrected", "dt": 100, "tasks": list(_TASKS), "trials_per_task": size,
        "seed": seed, "data_seed": seed, "connectivity": _CONNECTIVITIES[kind],
        "network": {"neurons": 256, "nonlinearity": "relu"},
        "training": {"layout": "padded", "batch_size": study + 1, "steps": STEPS, "learning_rate": rate},
    }  # fmt: skip
    history = {"step": step, "trials": 64 * step, "training_seconds": 0.01 * step, "evaluation_seconds": 0.0 * step}
    history |= {"loss": 1.0 + 0.0 * step, **dict.fromkeys(MEASURES, course)}
    tests = {**dict.fromkeys(MEASURES, test), "always_fixate": np.full(len(_TASKS), 0.1)}
    provenance = {"training_seconds": 1.0, "restarts": 0, "always_fixate_decision_accuracy": 0.1}
    return CellResult(spec, "completed", history, tests, {}, provenance)


def simulated_rotation(world: World, seeds: int, number: int, rng: np.random.Generator) -> pd.DataFrame:
    """A table of rotation of `number` studies, in whose local networks shares scatter around the limit of claim 4."""
    return pd.DataFrame(
        {"panel": "", "panel_id": str(study), "tasks": 82, "kind": "local", "connectivity": "local-r3",
         "connectivity_id": "local", "seed": seed, "task": what, "what": what, "coherence": 0.9,
         "share": ON_TARGET[0] + world.turn + 2 * world.spread * rng.standard_normal()}
        for study in range(number) for what in ("seq", "int") for seed in range(seeds)
    )  # fmt: skip


def verdict_rates(
    world: World, seeds: int, number: int, thresholds: Sequence[float] = (0.7, 0.8), seed: int = 0
) -> Mapping[int, tuple[int, int]]:
    """In how many of `number` simulated studies any row of a claim is supported, and in how many not supported."""
    rng = np.random.default_rng([seed, seeds])
    runs, cells = simulate(world, seeds, number, rng)
    turned = simulated_rotation(world, seeds, number, rng)
    rows = [*speed_rows(runs, cells, thresholds), *data_rows(runs, cells, thresholds), *autapse_rows(runs, cells)]
    studies: dict[str, int] = {}
    for name in ("panel_id", "family_id"):
        studies |= dict(zip(runs[name], runs["batch_size"], strict=True))
    by_study: dict[int, list[dict]] = {}
    for row in rows:
        by_study.setdefault(int(studies[row["condition_id"]]), []).append(row)
    for row in rotation_rows(turned):
        by_study[int(row["condition_id"]) + 1].append(row)
    said: Counter[tuple[int, str]] = Counter()
    for study in by_study.values():
        judge(study)
        said.update({(row["claim"], row["verdict"]) for row in study})  # each verdict once in a study
    return {claim: (said[claim, "supported"], said[claim, "not supported"]) for claim in CLAIMS}


WORLDS = {
    "all settings alike": World(),
    "a best rate inside": World(flat=False),
    "a long tail of slow trainings": World(flat=False, skewed=True),
}
# Of each claim the setting that makes a difference, in what unit it is told, and effects among which 80% is sought.
_EFFECTS: dict[int, tuple[str, str, Callable[[float], float], np.ndarray]] = {
    1: ("speed", "full takes longer by a factor of", np.exp, np.linspace(0.0, 1.0, 6)),
    2: ("data", "local more accurate by", float, np.linspace(0.0, 0.15, 6)),
    3: ("points", "beyond the limit by", float, np.linspace(0.0, 0.15, 6)),
    4: ("turn", "beyond the limit by", float, np.linspace(0.0, 0.25, 6)),
}
_FOUND = 0.8


def power(claim: int, seeds: int, number: int) -> float:
    """The smallest effect on a claim that `seeds` seeds find (supported) in 80% of studies, of `number` for each size.

    In the unit of `_EFFECTS`, on the straight line between the sizes that are tried; NaN where even the largest is not.
    """
    name, _, unit, sizes = _EFFECTS[claim]
    worlds = [World(flat=False, **{name: size}) for size in sizes]
    shares = [verdict_rates(world, seeds, number)[claim][0] / number for world in worlds]
    return float(unit(crossing(sizes, np.array(shares), _FOUND)))


def main(studies: int = 200) -> None:
    """Print how often a verdict is wrong without a difference, and the effects that are found in 80%."""
    print(f"Verdicts without a difference, in % of {studies} studies with any on a claim (wanted: 5 at most)\n")
    print(f"{'':32}" + "".join(f"{f'claim {claim}':>10}" for claim in CLAIMS))
    for name, world in WORLDS.items():
        for seeds in (3, 6, 10):
            found = verdict_rates(world, seeds, studies)
            rates = [100 * sum(found[claim]) / studies for claim in CLAIMS]
            print(f"{name + f', {seeds}':32}" + "".join(f"{rate:10.1f}" for rate in rates))
    noise = World()
    print(f"\nThe effect that is found in 80% (standard deviation of a training's speed {noise.own:g}, of an accuracy "
          f"{noise.spread:g})\n")  # fmt: skip
    for claim in CLAIMS:
        few, more = (power(claim, seeds, max(studies // 5, 10)) for seeds in (6, 10))
        print(f"claim {claim}: {_EFFECTS[claim][1]} {few:.3g} with 6 seeds, {more:.3g} with 10")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
