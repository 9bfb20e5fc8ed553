"""Claims of random studies: every number, verdict and word of claims.csv is that of a second, plain implementation."""

import os

import numpy as np
import pandas as pd
import pytest

from lmrnn import claims
from lmrnn.claims.page import write_page
from lmrnn.files.tables import read_table, write_table
from tests.claims import plain_page, plain_table
from tests.curves import plain
from tests.synthetic_cells import AUTAPSE, FULL, LOCAL3, LOCAL5, RADII, SYNAPSES, cell, table_of

STUDIES = 8
MORE = int(os.environ.get("LMRNN_SOAK_STUDIES", "0"))
KINDS = (LOCAL3, LOCAL5, {"kind": "local", "radius": 2}, AUTAPSE, {"kind": "random", "radius": 3},
         {"kind": "small_world"}, {"kind": "full_matched", "radius": 3})  # fmt: skip
BATTERIES = (["dm1", "dm2"], ["go", "dm1", "dlydm1intr"], ["dms", "dnmcintl", "goseqr"],
             ["dlygointr", "dlygo", "rtgoseql"], ["ctxdm1", "multidlydmintlseqr", "dmc", "anti"])  # fmt: skip
RATES = (0.001, 0.002, 0.004, 0.008)


def random_cells(rng):
    """Cells of a study: random networks, rates, seeds and data sizes, some of them missing, lost or all alike."""
    seeds = range(rng.choice([1, 2, 3, 6, 6, 7]))
    sizes = [int(one) for one in rng.permutation([8, 32, 128])[: rng.integers(1, 4)]]
    chosen = [FULL] * int(rng.random() < 0.9) + [KINDS[i] for i in rng.permutation(len(KINDS))[: rng.integers(1, 5)]]
    rates = [RATES[i] for i in rng.permutation(4)[: rng.integers(1, 4)]]
    coarse = rng.choice([0, 0, 0.05, 0.5])  # accuracies of few trials are often equal
    best, scatter, missing = rng.uniform(0.4, 1, len(KINDS) + 1), rng.choice([0.003, 0.05]), rng.choice([0, 0.1, 0.4])
    cells = []
    for tasks in [BATTERIES[i] for i in rng.permutation(len(BATTERIES))[: 1 + (rng.random() < 0.3)]]:
        steps, every = int(rng.choice([1000, 200])), int(rng.choice([50, 100]))
        for size in sizes:
            for place, kind in enumerate(chosen):
                for rate in rates:
                    for seed in seeds:
                        if rng.random() >= missing:
                            top = best[place] * (1 - 0.1 * RATES.index(rate)) * (0.7 + 0.1 * np.log10(size))
                            made = drawn(rng, (kind, rate, seed, size), top, scatter, coarse, steps, every, tasks)
                            cells.append(made)
    return cells or [cell(FULL, [0.0, 0.5], tasks=1)]


def drawn(rng, place, top, scatter, coarse, steps, every, tasks):
    connectivity, rate, seed, size = place
    time = np.arange(0, steps + 1, every)
    slow = steps * rng.choice([0.2, 0.2, 2]) * (1 + rate * 50)
    course = top * (1 - np.exp(-time / slow)) + scatter * rng.standard_normal(len(time))
    test = np.clip(course[-1] + scatter * rng.standard_normal(len(tasks)), 0, 1)
    if coarse:
        course, test = np.round(course / coarse) * coarse, np.round(test / coarse) * coarse
    lost = rng.random() < 0.04
    made = cell(
        connectivity, np.clip(course, 0, 1)[: rng.integers(1, len(time)) if lost else None], every=every, seed=seed,
        tasks=len(tasks), trials_per_task=size, learning_rate=rate, status="diverged" if lost else "completed",
        steps=steps, test=test,
    )  # fmt: skip
    made.spec["tasks"], made.spec["definition"] = tasks, "released" if tasks[0] == "dms" else "corrected"
    return made


def random_rotation(rng, cells):
    """A table of rotation, with one task or several for each seed, and what may be missing in it."""
    chosen = {one.spec["connectivity"]["kind"]: one for one in cells}
    rows, seeds = [], range(rng.choice([1, 2, 3, 6]))
    for kind, one in chosen.items():
        what = [name for name in ("seq", "int", "none") if rng.random() < 0.7]
        middle, spread = rng.choice([0.5, 0.8, 1.0, 1.25]), rng.choice([0.01, 0.1])
        connectivity = plain.short(one.spec["connectivity"])
        rows += [
            {"panel": "one panel", "tasks": plain.battery(one.spec), "kind": kind, "connectivity": f"a {kind}",
             "seed": seed, "task": f"task{task}", "what": name, "advance": 0.1, "target": 0.39,
             "share": middle + spread * rng.standard_normal(), "coherence": rng.random(),
             "right_share": rng.normal(1, 0.1) if rng.random() < 0.9 else np.nan,
             "right_trials": int(rng.choice([3, 40, 100])), "trials": 128, "panel_id": "1",
             "connectivity_id": connectivity, "answer_share": np.nan if name == "int" else rng.normal(1, 0.1),
             "pattern_share": rng.normal(1, 0.1),
             "pattern_coherence": rng.random()}
            for name in what for task in range(rng.integers(1, 3)) for seed in seeds
        ]  # fmt: skip
    return pd.DataFrame(rows)


def described(one):
    """A cell as `plain.read` would give it."""
    history, test = ({key: np.asarray(own).tolist() for key, own in part.items()} for part in (one.history, one.test))
    kind = one.spec["connectivity"]
    synapses = RADII[kind["radius"]] if kind["kind"] == "local" else SYNAPSES[kind["kind"]]
    found = {"spec": one.spec, "status": one.status, "history": history, "test": test}
    return plain.described({**found, "synapses": synapses, "neurons": 256})


def go_through(seed, folder):
    """A random study's claims held against the plain ones."""
    rng = np.random.default_rng(seed)
    cells = random_cells(rng)
    table, rotation = table_of(cells), random_rotation(rng, cells)
    asked = [float(one) for one in rng.permutation([0.2, 0.5, 0.7, 0.7, 0.9])[: rng.integers(1, 4)]]
    write_table(folder / "rotation.csv", rotation)
    found = claims.compute(table, cells, asked, rotation=read_table(folder / "rotation.csv") if len(rotation) else None)
    write_table(folder / "claims.csv", found)
    write_page(found, folder / "claims.html", "study")
    known = [described(one) for one in cells]
    labels = dict(zip((one["connectivity_id"] for one in known), table["connectivity"], strict=True))
    turned = plain_table.read(folder / "rotation.csv") if len(rotation) else []
    wanted = plain_table.rows_of(known, labels, asked, turned)
    plain_table.compare(folder / "claims.csv", wanted)
    plain_page.compare(folder / "claims.html", plain_table.read(folder / "claims.csv"))
    return found


@pytest.mark.parametrize("seed", range(STUDIES))
def test_claims_of_a_random_study_are_what_its_cells_hold(seed, tmp_path):
    go_through(seed, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not MORE, reason="started by `make soak`")
def test_claims_of_many_random_studies_are_what_their_cells_hold(tmp_path):
    failed, verdicts = [], set()
    for seed in range(STUDIES, STUDIES + MORE):
        (tmp_path / str(seed)).mkdir()
        try:
            found = go_through(seed, tmp_path / str(seed))
            verdicts |= set(zip(found["claim"], found["verdict"], strict=True))
        except Exception as error:  # the others are looked at, too
            failed.append(f"seed {seed}: {type(error).__name__}: {error}")
    assert not failed, "\n".join(failed)
    assert {(claim, said) for claim in (1, 2, 3, 4) for said in ("supported", "not supported", "undecided")} <= verdicts
