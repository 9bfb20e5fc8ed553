"""Areas at the best rates with and without a recurrent rate, from cells whose answers were worked out by hand."""

import pytest

from lmrnn.curves import tables as curves
from lmrnn.figures.registry import draw
from lmrnn.files.tables import read_table, write_table
from tests.drawing import overlapping, watched
from tests.synthetic_cells import AUTAPSE, FULL, LOCAL3, cell, table_of

# final accuracy of a curve that begins at .1, so that its area is the mean of both
FULL_ENDS = {
    (0.001, 1.0): (0.3, 0.3, 0.3),
    (0.002, 1.0): (0.5, 0.5, 0.1),
    (0.004, 1.0): (0.2, 0.4, 0.5),
    (0.002, 0.25): (0.6, 0.6, 0.6),
    (0.004, 0.25): (0.7, 0.7, 0.7),
    (0.008, 0.25): (0.6, 0.6, 0.6),
    (0.004, 0.0625): (0.5, 0.5, 0.5),
    (0.004, "in_degree"): (0.4, 0.4, 0.4),
    (0.016, 1.0): (0.9,),  # one seed only: not to be chosen
}


def rated(connectivity, ends):
    made = []
    for (rate, factor), finals in ends.items():
        own = {} if factor == 1 else {"recurrent_rate": factor}
        made += [cell(connectivity, [0.1, end], learning_rate=rate, seed=k, **own) for k, end in enumerate(finals)]
    return made


def found(cells):
    table = curves.compute(table_of(cells), cells, (0.5,))["tuned_areas"]
    return {key: group.sort_values("seed") for key, group in table.groupby(["connectivity", "tuned"])}


def test_each_seed_stands_at_the_rates_that_are_best_for_the_others():
    table = found([*rated(FULL, FULL_ENDS), *rated(LOCAL3, {(0.004, 1.0): (0.8, 0.8, 0.8)})])
    plain, tuned = table["full", False], table["full", True]
    # others of seed 0: .3 .3 | .5 .1 | .4 .5; of seed 1: .3 .3 | .5 .1 | .2 .5; of seed 2: .3 .3 | .5 .5 | .2 .4
    assert plain["learning_rate"].tolist() == [0.004, 0.004, 0.002]
    assert plain["area"].tolist() == pytest.approx([0.15, 0.25, 0.1])
    assert set(plain["recurrent_rate"]) == {1.0}
    assert tuned[["learning_rate", "recurrent_rate"]].drop_duplicates().to_numpy().tolist() == [[0.004, 0.25]]
    assert tuned["area"].tolist() == pytest.approx([0.4] * 3)
    assert set(tuned["rate_at_edge"]) == set(tuned["recurrent_at_edge"]) == {"no"}
    local = table["local-r3", True]
    assert local["area"].tolist() == pytest.approx([0.45] * 3)
    assert set(local["rate_at_edge"]) == {"only"}
    assert local["drive_id"].iloc[0] == tuned["drive_id"].iloc[0]


def test_a_best_pair_at_the_edge_of_what_was_tried_is_said():
    table = found(rated(FULL, {(0.001, 0.25): (0.4, 0.4), (0.002, 0.25): (0.5, 0.5), (0.002, 1.0): (0.3, 0.3)}))
    assert set(table["full", True]["rate_at_edge"]) == {"high"}
    assert set(table["full", True]["recurrent_at_edge"]) == {"low"}


def test_one_seed_is_chosen_on_itself_and_other_settings_are_other_panels():
    cells = [cell(FULL, [0.1, 0.5], steps=100), cell(FULL, [0.1, 0.7], batch_size=8)]
    table = found(cells)["full", True]
    assert sorted(table["area"]) == pytest.approx([0.3, 0.4])
    assert table["drive_id"].nunique() == 2


def test_the_drive_is_rate_times_recurrent_rate_times_in_degree():
    cells = rated(LOCAL3, {(0.004, 1.0): (0.5, 0.7), (0.004, 0.25): (0.3, 0.3)})
    cells += [cell(LOCAL3, [0.1, 0.9], learning_rate=0.002, recurrent_rate="in_degree")]  # of 21 neurons, by default
    cells += [cell(LOCAL3, [0.1, 0.9], learning_rate=0.001, recurrent_rate="in_degree", reference_degree=40.0)]
    cells += rated(FULL, {(0.002, 1.0): (0.5,)})
    table = curves.compute(table_of(cells), cells, (0.5,))["drive"]
    rows = table.set_index(["connectivity", "learning_rate", "recurrent_rate"])
    assert table["drive_id"].nunique() == 1
    assert rows.loc[("full", 0.002, 1.0), "drive"] == pytest.approx(0.002 * 256)
    local = rows.loc["local-r3"]
    assert local.loc[(0.004, 1.0), "drive"] == pytest.approx(0.004 * 5480 / 256)  # 5,480 synapses on 256 neurons
    assert local.loc[(0.004, 0.25), "drive"] == pytest.approx(0.001 * 5480 / 256)
    assert local.loc[(0.002, "in_degree"), "drive"] == pytest.approx(0.002 * 21)
    assert local.loc[(0.001, "in_degree"), "drive"] == pytest.approx(0.001 * 40)
    assert local.loc[(0.004, 1.0), ["area", "low", "high", "seeds"]].tolist() == pytest.approx([0.35, 0.3, 0.4, 2])


def test_a_network_by_itself_is_left_out_where_others_are_compared(tmp_path):
    compared = rated(LOCAL3, {(0.004, 1.0): (0.5,), (0.004, 0.25): (0.3,)}) + rated(FULL, {(0.002, 1.0): (0.5,)})
    alone = [cell(AUTAPSE, [0.1, 0.9], batch_size=8)]
    for cells, panels in ((compared + alone, 1), (alone, 1)):
        table = curves.compute(table_of(cells), cells, (0.5,))["drive"]
        with watched() as made:
            draw("drive", [table], tmp_path / "drive")
        budgets = table.groupby("drive_id")["budget"].nunique().clip(upper=2)
        assert len(made[0].axes) == 2 * panels * budgets.iloc[0]


def test_marks_are_filled_where_all_weights_share_one_rate_whatever_else_the_file_holds(tmp_path):
    cells = rated(LOCAL3, {(0.001 * 2**k, 1.0): (0.5, 0.7) for k in range(8)})
    cells += rated(LOCAL3, {(0.004, 0.25): (0.3, 0.3)})
    cells += [cell(LOCAL3, [0.1, 0.9], learning_rate=0.002, recurrent_rate="in_degree", seed=k) for k in (0, 1)]
    table = curves.compute(table_of(cells), cells, (0.5,))["drive"]
    write_table(tmp_path / "drive.csv", table)
    with watched() as made:
        draw("drive", [read_table(tmp_path / "drive.csv")], tmp_path / "drive")
    marks = [bar.lines[0] for bar in made[0].axes[0].containers]
    filled = [mark.get_markerfacecolor() != "white" for mark in marks]
    assert [len(mark.get_xdata()) for mark, full in zip(marks, filled, strict=True) if full] == [8]
    assert not overlapping(made[0])
