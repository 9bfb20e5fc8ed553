"""Maps of where locality helps, from cells whose numbers were chosen so that the answer is known."""

import pandas as pd
import pytest

from lmrnn.curves import maps
from lmrnn.curves.comparison import prepare
from lmrnn.curves.tables import threshold_times
from lmrnn.figures.maps import equal_synapses as draw_equal_synapses
from lmrnn.figures.maps import rate_threshold_map as draw_map
from tests.claims.test_claims import one, reaching, speed_study
from tests.drawing import watched
from tests.synthetic_cells import FULL, LOCAL3, LOCAL5, cell, table_of


def times_of(cells, thresholds=(0.35, 0.7)):
    return threshold_times(prepare(table_of(cells), cells), cells, thresholds)


def test_the_map_compares_at_equal_rates(tmp_path):
    table = maps.rate_threshold_map(times_of(speed_study(full=(800, 600, 9000))))
    row = one(table, learning_rate=1e-3, threshold=0.7)
    assert (row["ratio"], row["local"], row["bound"]) == (pytest.approx(800 / 500), "local-r3", "")
    row = one(table, learning_rate=4e-3, threshold=0.7)
    assert (row["bound"], row["full_reached"], row["local_reached"], row["cells"]) == (">", 0, 6, 6)
    with watched() as drawn:
        draw_map(table, tmp_path / "map")
    ratios = table.sort_values(["threshold", "learning_rate"])
    written = [f"{bound}{ratio:.2f}" for bound, ratio in zip(ratios["bound"], ratios["ratio"], strict=True)]
    assert [text.get_text() for text in drawn[0].axes[0].texts] == written
    none = maps.rate_threshold_map(times_of([cell(FULL, [0, 1])]))
    none.to_csv(tmp_path / "none.csv", index=False)
    draw_map(pd.read_csv(tmp_path / "none.csv"), tmp_path / "none")
    assert (tmp_path / "map.svg").stat().st_size > 5000


def test_the_map_compares_over_the_seeds_that_both_have(tmp_path):
    cells = [reaching(FULL, steps, seed=seed) for seed, steps in enumerate((600, 60, 60))] + [reaching(LOCAL3, 300)]
    row = one(maps.rate_threshold_map(times_of(cells)), threshold=0.7)
    assert (row["ratio"], row["cells"]) == (pytest.approx(2), 1)  # not 240 / 300
    draw_map(maps.rate_threshold_map(times_of(cells)), tmp_path / "map")


def test_where_some_cells_of_both_never_get_there_the_map_has_no_bound():
    cells = [reaching(kind, steps, seed=seed) for kind in (FULL, LOCAL3) for seed, steps in enumerate((600, 9000))]
    assert one(maps.rate_threshold_map(times_of(cells)), threshold=0.7)["bound"] == "~"


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
    with watched() as drawn:
        draw_equal_synapses(found, tmp_path / "equal")
    for axes, unit in zip(drawn[0].axes, ("steps", "seconds"), strict=True):
        values = {line.get_ydata()[0] for line in axes.get_lines() if len(line.get_ydata()) == 1}
        assert values == set(found[found["unit"] == unit]["median"])
    draw_equal_synapses(maps.equal_synapses(times_of([cell(FULL, [0, 1])])), tmp_path / "none")
    assert (tmp_path / "equal.png").exists()
    assert (tmp_path / "none.png").exists()
