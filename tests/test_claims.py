"""Claims and maps from cells whose numbers were chosen so that the answer is known."""

import numpy as np
import pandas as pd
import pytest

from lmrnn import claims, maps
from lmrnn.claims.page import write_page
from lmrnn.claims.verdicts import verdict_of_ratio
from lmrnn.comparison import prepare
from lmrnn.curves import threshold_times
from lmrnn.figures_maps import equal_synapses as draw_equal_synapses
from lmrnn.figures_maps import rate_threshold_map as draw_map
from lmrnn.tasks import battery
from tests.synthetic_cells import AUTAPSE, FULL, LOCAL3, LOCAL5, cell, table_of

RANDOM = {"kind": "random", "radius": 3}
RATES = (1e-3, 2e-3, 4e-3)


def reaching(connectivity, steps, *, limit=2000, **more):
    """A cell that reaches .7 exactly at a step: a straight line from 0 to 1, then flat."""
    course = np.minimum(1.0, 0.7 * np.arange(limit // 10 + 1) * 10 / steps)
    return cell(connectivity, course, every=10, **more)


def speed_study(full=(800, 600, 800), local=(500, 300, 500), seeds=3, **more):
    """Steps to .7 of each rate; later seeds take 10% longer each."""
    cells = []
    for connectivity, steps in ((FULL, full), (LOCAL3, local), (LOCAL5, [2 * s for s in local]), (RANDOM, [400] * 3)):
        cells += [
            reaching(connectivity, s * (1 + seed / 10), seed=seed, learning_rate=rate, **more)
            for seed in range(seeds)
            for rate, s in zip(RATES, steps, strict=True)
        ]
    return cells


def computed(cells, **more):
    return claims.compute(table_of(cells), cells, (0.7,), **more)


def one(table, **wanted):
    for column, value in wanted.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_claim_1_is_the_ratio_of_the_best_of_each():
    row = one(computed(speed_study()), claim=1, role="claim")
    assert row["number"] == pytest.approx(2.0)
    assert (row["low"], row["high"]) == (pytest.approx(600 / 300), pytest.approx(600 / 300))
    assert (row["verdict"], row["seeds"], bool(row["headline"])) == ("supported", 3, True)
    assert row["detail"] == "full at 0.002 over local-r3 at 0.002"


def test_claim_1_says_when_the_paper_does_not_hold():
    row = one(computed(speed_study(full=(300, 200, 300))), claim=1, role="claim")
    assert row["number"] == pytest.approx(200 / 300)
    assert row["verdict"] == "not supported"


def test_a_loser_at_the_edge_of_its_rates_decides_nothing():
    row = one(computed(speed_study(full=(800, 700, 600))), claim=1, role="claim")
    assert row["verdict"] == "undecided"
    assert "the first at the edge of the rates tried" in row["detail"]


def test_a_rate_tried_with_one_seed_moves_the_edge():
    cells = [*speed_study(full=(800, 700, 600)), reaching(FULL, 900, seed=0, learning_rate=8e-3)]
    assert one(computed(cells), claim=1, role="claim")["verdict"] == "supported"


def test_two_seeds_decide_nothing():
    assert set(computed(speed_study(seeds=2))["verdict"]) <= {"undecided", ""}


def test_a_network_that_never_gets_there_makes_the_ratio_a_bound():
    row = one(computed(speed_study(full=(9000, 9000, 9000))), claim=1, role="claim")
    assert row["number"] == pytest.approx(2000 / 330)
    assert "at least this" in row["detail"]


def test_a_threshold_that_nobody_reaches_has_no_ratio():
    row = one(computed(speed_study(full=(9000,) * 3, local=(8000,) * 3)), claim=1, role="claim")
    assert np.isnan(row["number"])
    assert (row["verdict"], row["seeds"]) == ("undecided", 3)
    assert "neither always gets there" in row["detail"]


def test_a_winner_that_does_not_always_get_there_decides_nothing():
    cells = [reaching(FULL, 1900, seed=seed, learning_rate=rate) for seed in range(3) for rate in RATES]
    cells += [reaching(LOCAL3, 9000 if seed == 1 else 300, seed=seed, learning_rate=2e-3) for seed in range(3)]
    cells += [reaching(LOCAL3, 9000, learning_rate=rate) for rate in (1e-3, 4e-3)]
    row = one(computed(cells), claim=1, role="claim")
    assert row["number"] == pytest.approx(1900 / (2600 / 3))
    assert row["verdict"] == "undecided"
    assert (
        row["detail"] == "full at 0.001 over local-r3 at 0.002; the first at the edge of the rates tried; at most this"
    )


def test_controls_are_random_networks_and_equal_rates():
    table = computed(speed_study())
    control = one(table, claim=1, comparison="random of equal density / best local")
    assert control["number"] == pytest.approx(400 / 300)
    assert one(table, claim=1, comparison="full / best local, both at 0.001")["number"] == pytest.approx(800 / 500)
    assert not table[table["role"] == "control"]["headline"].any()


def test_claim_2_is_the_ratio_of_trials_per_task():
    accuracy = {"full": {10: 0.3, 100: 0.7, 1000: 0.9}, "local": {10: 0.7, 100: 0.8, 1000: 0.9}}
    cells = [
        cell(FULL if kind == "full" else LOCAL3, [0, value], seed=seed, trials_per_task=size)
        for kind, sizes in accuracy.items()
        for size, value in sizes.items()
        for seed in range(3)
    ]
    row = one(computed(cells), claim=2, role="claim")
    assert row["number"] == pytest.approx(10)
    assert row["verdict"] == "supported"


def test_claim_3_is_reported_apart_for_base_int_families_and_seq():
    names = battery(82)
    local = np.full(82, 0.9)
    pool = np.array([0.9 if not (task.int_sign or task.seq_sign) else 0.8 if task.int_sign else 0.3 for task in names])
    cells = [
        cell(connectivity, [0, 0.9], seed=seed, tasks=82, test=test)
        for connectivity, test in ((LOCAL3, local), (AUTAPSE, pool))
        for seed in range(3)
    ]
    table = computed(cells).query("claim == 3 and role == 'claim'").set_index("comparison")
    expected = {
        "base": (0.0, "supported"),
        "int, reach family": (-0.1, "not supported"),
        "int, match family": (-0.1, "not supported"),
        "int, delayed decision family": (-0.1, "not supported"),
        "seq": (-0.6, "supported"),
    }
    for group, (number, verdict) in expected.items():
        row = table.loc[f"autapse - best local, {group} tasks"]
        assert row["number"] == pytest.approx(number)
        assert row["verdict"] == verdict


def test_claim_4_compares_the_angle_advanced_with_the_target():
    rotation = pd.DataFrame(
        {"panel": "p", "tasks": 82, "kind": "local", "connectivity": "local-r3", "seed": seed, "task": "goseqr",
         "what": what, "share": share, "advance": 0.39 * share, "coherence": 0.9}
        for what, shares in {"seq": (0.95, 1.0, 1.05), "int": (0.1, 0.2, 0.0)}.items()
        for seed, share in enumerate(shares)
    )  # fmt: skip
    table = computed(speed_study(tasks=82), rotation=rotation).query("claim == 4").set_index("comparison")
    assert table.loc["local-r3, seq tasks, decision", "number"] == pytest.approx(1.0)
    assert table.loc["local-r3, seq tasks, decision", "verdict"] == "supported"
    assert table.loc["local-r3, int tasks of the reach family, delay", "verdict"] == "not supported"


@pytest.mark.parametrize(
    ("low", "high", "seeds", "edges", "verdict"),
    [
        (1.1, 1.5, 3, (False, False), "supported"),
        (1.1, 1.5, 3, (False, True), "supported"),
        (1.1, 1.5, 3, (True, False), "undecided"),
        (0.5, 0.9, 3, (False, False), "not supported"),
        (0.5, 0.9, 3, (False, True), "undecided"),
        (0.9, 1.1, 3, (False, False), "undecided"),
        (1.0, 1.5, 3, (False, False), "undecided"),
        (1.1, 1.5, 2, (False, False), "undecided"),
        (float("nan"), float("nan"), 3, (False, False), "undecided"),
    ],
)
def test_verdicts(low, high, seeds, edges, verdict):
    assert verdict_of_ratio(low, high, seeds, edges) == verdict


def test_a_study_without_local_networks_makes_no_claim(tmp_path):
    table = computed([cell(FULL, [0, 0.9])])
    assert table.empty
    write_page(table, tmp_path / "claims.html", "smoke")
    assert "none of the claims" in (tmp_path / "claims.html").read_text()


def test_the_page_holds_every_number_and_nothing_from_outside(tmp_path):
    table = computed(speed_study())
    write_page(table, tmp_path / "claims.html", "a <study>")
    text = (tmp_path / "claims.html").read_text()
    assert "a &lt;study&gt;" in text
    rows = text.split("<table>")[1:]
    assert sum(part.count("<tr>") - 1 for part in rows) == len(table) + table["headline"].sum()
    assert "2.00 (2.00 to 2.00)" in text
    assert "http" not in text
    assert "<script" not in text


def times_of(cells, thresholds=(0.35, 0.7)):
    return threshold_times(prepare(table_of(cells), cells), cells, thresholds)


def test_the_map_compares_at_equal_rates(tmp_path):
    table = maps.rate_threshold_map(times_of(speed_study(full=(800, 600, 9000))))
    row = one(table, learning_rate=1e-3, threshold=0.7)
    assert (row["ratio"], row["local"], row["bound"]) == (pytest.approx(800 / 500), "local-r3", "")
    row = one(table, learning_rate=4e-3, threshold=0.7)
    assert (row["bound"], row["full_reached"], row["local_reached"], row["cells"]) == (">", 0, 3, 3)
    draw_map(table, tmp_path / "map")
    none = maps.rate_threshold_map(times_of([cell(FULL, [0, 1])]))
    none.to_csv(tmp_path / "none.csv", index=False)
    draw_map(pd.read_csv(tmp_path / "none.csv"), tmp_path / "none")
    assert (tmp_path / "map.svg").stat().st_size > 5000


def test_networks_of_equal_synapses_are_found_and_compared_in_steps_and_seconds(tmp_path):
    cells = [reaching(FULL, 600, seed=seed) for seed in range(3)]
    cells += [reaching(LOCAL3, 100, seed=seed) for seed in range(3)]
    large = [reaching(LOCAL5, 300, seed=seed, neurons=784, seconds_per_step=0.04) for seed in range(3)]
    table = table_of(cells + large)
    table.loc[table["neurons"] == 784, "synapses"] = 54_000
    cells = cells + large
    found = maps.equal_synapses(threshold_times(prepare(table, cells), cells, (0.7,)))
    assert set(found["network"]) == {"full, N = 256", "local-r5, N = 784"}
    assert found.set_index(["network", "unit"])["median"].to_dict() == pytest.approx(
        {("full, N = 256", "steps"): 600, ("full, N = 256", "seconds"): 6,
         ("local-r5, N = 784", "steps"): 300, ("local-r5, N = 784", "seconds"): 12}
    )  # fmt: skip
    draw_equal_synapses(found, tmp_path / "equal")
    draw_equal_synapses(maps.equal_synapses(times_of([cell(FULL, [0, 1])])), tmp_path / "none")
    assert (tmp_path / "equal.png").exists()
    assert (tmp_path / "none.png").exists()
