"""Figures show exactly what their tables hold, are written the same way twice, and can be read."""

import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest

from lmrnn.curves import maps
from lmrnn.curves import tables as curves
from lmrnn.errors import ConfigError, TaskNameError
from lmrnn.figures import curves as figures
from lmrnn.figures import style as figures_style
from lmrnn.figures.registry import FIGURES, chapters, draw
from lmrnn.figures.tasks import accuracy_map
from lmrnn.figures.trial import draw_one, draw_trial
from lmrnn.seeds import stream
from lmrnn.tasks import parse, sample
from tests.drawing import beyond, draw_all, overlapping, smallest_font, watched
from tests.synthetic_cells import AUTAPSE, FULL, LOCAL3, LOCAL5, cell, study, table_of

CURVES = [name for name, figure in FIGURES.items() if not figure.claims]
THRESHOLDS = (0.5, 0.8, 0.9)


@pytest.fixture(scope="module")
def tables():
    cells = study()
    return curves.compute(table_of(cells), cells, THRESHOLDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("figures")


@pytest.fixture(scope="module")
def drawn(tables, folder):
    """Every figure by name; its files lie in the folder."""
    return draw_all(tables, folder)


@pytest.mark.parametrize("name", CURVES)
def test_every_figure_is_legible_and_says_its_seeds(name, drawn):
    figure = drawn[name]
    assert smallest_font(figure) >= 7
    assert figure.get_size_inches()[0] <= 7
    words = " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    assert "3 seeds" in words
    assert "rate" in words


@pytest.mark.parametrize("name", CURVES)
def test_nothing_reaches_beyond_the_page(name, drawn):
    assert beyond(drawn[name]) <= 0.01


@pytest.mark.parametrize("name", ["training_speed", "trials_to_threshold", "task_accuracy"])
def test_the_same_table_gives_the_same_bytes_and_valid_svg(name, tables, drawn, folder, tmp_path):
    draw(name, [tables[name]], tmp_path / name)
    for ending in ("png", "svg"):
        first, second = ((place / f"{name}.{ending}").read_bytes() for place in (folder, tmp_path))
        assert first == second
    assert ElementTree.fromstring(first).tag.endswith("svg")
    assert b"<dc:date>" not in first


def test_training_speed_draws_the_table(tables, drawn):
    figure = drawn["training_speed"]
    shown = tables["training_speed"].query("trials_per_task == 1000")
    # every step sees 64 trials: their scale lies above the steps
    for axes, x in zip(figure.axes, ("step", "training_seconds"), strict=True):
        lines = {line.get_label().split(" ")[0]: line for line in axes.get_lines() if "n=" in line.get_label()}
        assert set(lines) == set(shown["connectivity"])
        for name, line in lines.items():
            rows = shown[shown["connectivity"] == name]
            np.testing.assert_array_equal(line.get_xdata(), rows[x])
            np.testing.assert_array_equal(line.get_ydata(), rows["decision_accuracy"])
        # the axis begins where the networks part; always fixating lies below it
        assert [text.get_text() for text in axes.texts] == ["↓ always fixate 0.10"]


def test_trials_seen_have_a_scale_above_steps_or_where_steps_differ_in_trials_a_panel(tables, drawn, tmp_path):
    above = drawn["training_speed"].axes[0].child_axes[0]
    assert above.get_xlabel() == "trials seen"
    low, high = drawn["training_speed"].axes[0].get_xlim()
    assert above.get_xlim() == (pytest.approx(64 * low), pytest.approx(64 * high))
    table = tables["training_speed"]
    other = table.assign(trials=table["trials"].where(table["connectivity"] != "full", 2 * table["trials"]))
    with watched() as made:
        figures.training_speed(other, tmp_path / "speed")
    assert [axes.get_xlabel() for axes in made[0].axes] == ["training steps", "trials seen", "training time (s)"]
    full = other.query("trials_per_task == 1000 and connectivity == 'full'")
    line = next(line for line in made[0].axes[1].get_lines() if line.get_label().startswith("full"))
    np.testing.assert_array_equal(line.get_xdata(), full["trials"])


def test_steps_to_threshold_draws_every_connectivity_once_in_every_panel(tables, drawn):
    table = tables["steps_to_threshold"]
    figure = drawn["steps_to_threshold"]
    shown = table.query("trials_per_task == 1000 and unit == 'steps'")
    for axes, threshold in zip(figure.axes, THRESHOLDS, strict=False):
        rows = shown[shown["threshold"] == threshold]
        points = {(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.get_lines() if len(line.get_xdata()) == 1}
        expected = rows["median"].where(np.isfinite(rows["median"]), rows["limit_steps"])
        aside = rows["kind"].map({"random": 1.2}).fillna(1.0)  # not on top of the local network of its density
        assert points == set(zip(100 * rows["density"] * aside, expected, strict=True))
        hollow = sum(line.get_marker() == "^" and line.get_markerfacecolor() == "none" for line in axes.get_lines())
        assert hollow == np.isinf(rows["median"]).sum()
        remarks = [text.get_text().strip("*") for text in axes.texts]
        for _, row in rows[(rows["reached"] > 0) & (rows["reached"] < rows["seeds"])].iterrows():
            assert f"{row['reached']}/{row['seeds']}" in remarks


def test_data_efficiency_draws_the_table(tables, drawn):
    table = tables["data_efficiency"]
    figure = drawn["data_efficiency"]
    for container in figure.axes[0].containers:
        rows = table[table["connectivity"] == container.get_label().split(" ")[0]].sort_values("trials_per_task")
        np.testing.assert_array_equal(container[0].get_xdata(), rows["trials_per_task"])
        np.testing.assert_array_equal(container[0].get_ydata(), rows["test_decision_accuracy"])
    assert len(figure.axes[0].containers) == table["connectivity"].nunique()


def test_the_heat_map_holds_the_table(tables, drawn):
    shown = tables["task_accuracy"].query("trials_per_task == 1000")
    figure = drawn["task_accuracy"]
    grid = accuracy_map(shown)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), grid)
    row = shown.query("task == 'dms' and connectivity == 'full'").iloc[0]
    assert grid.loc["dms", "full"] == row["test_decision_accuracy"]
    assert grid.columns[0] == "always fixate"


def test_sizes_are_drawn_only_of_studies_that_have_several(tmp_path):
    cells = [cell(LOCAL3, [0, 0.9], tasks=tasks, trials_per_task=size, seed=seed)
             for tasks, sizes in ((20, (10, 100)), (82, (100,))) for size in sizes for seed in range(3)]  # fmt: skip
    table = curves.compute(table_of(cells), cells, (0.7,))["data_efficiency"]
    with watched() as made:
        figures.data_efficiency(table, tmp_path / "several")
        figures.data_efficiency(table[table["tasks"].astype(str) == "82"], tmp_path / "single")
    assert [[axes.get_title(loc="left") for axes in figure.axes] for figure in made] == [["20 tasks"], ["82 tasks"]]


PANELS = ((20, "padded", 256), (82, "padded", 256), (82, "stream", 256), (82, "padded", 784))


def test_large_studies_of_one_seed_fit_their_pages(tmp_path):
    kinds = [AUTAPSE, {"kind": "local", "radius": 2}, LOCAL3, LOCAL5, {"kind": "random", "radius": 3}, FULL]
    cells = [
        cell(kind, np.linspace(0, 0.9 - 0.1 * number / 6, 6), tasks=tasks, layout=layout,
             neurons=neurons, trials_per_task=size)
        for number, kind in enumerate(kinds)
        for tasks, layout, neurons in PANELS
        for size in (100, 1000)
    ]  # fmt: skip
    table = table_of(cells)
    table.loc[(table["neurons"] == 784) & (table["kind"] == "local"), "synapses"] = 60_000
    made = curves.compute(table, cells, (0.5, 0.6, 0.7, 0.8, 0.85, 0.9))
    made |= {name: make(made["threshold_times"]) for name, make in maps.MAPS.items()}
    for figure in draw_all(made, tmp_path).values():
        assert beyond(figure) <= 0.01, figure.axes[0].get_title(loc="left")
        assert smallest_font(figure) >= 7
        assert "1 seed" in " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
        assert overlapping(figure) == []


def test_one_task_and_names_of_a_hundred_characters_fit_their_pages(tmp_path):
    cells = [cell(kind, [0, 0.9], tasks=1, trials_per_task=size) for kind in (LOCAL3, FULL) for size in (10, 100)]
    table = table_of(cells)
    table["connectivity"] += "-wired_by_hand_0.123456789" * 4
    for name, figure in draw_all(curves.compute(table, cells, (0.7,)), tmp_path).items():
        assert beyond(figure) <= 0.01, name
        assert overlapping(figure) == [], name


def test_a_study_with_132_tasks_several_layouts_and_sizes_draws(tmp_path):
    cells = [
        cell(connectivity, [0, 0.5, 0.9], tasks=tasks, layout=layout, trials_per_task=size)
        for connectivity in (LOCAL3, FULL)
        for tasks in (20, 132)
        for layout in ("padded", "stream")
        for size in (10, 100)
    ]
    made = curves.compute(table_of(cells), cells, (0.7,))
    for name in draw_all(made, tmp_path):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_a_study_of_one_size_one_seed_and_only_diverged_cells_draws(tmp_path):
    cells = [cell(LOCAL3, [0.1], status="diverged", steps=100), cell(FULL, [], status="diverged", steps=100)]
    made = curves.compute(table_of(cells), cells, (0.7,))
    for name, table in made.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    read = {name: pd.read_csv(tmp_path / f"{name}.csv") for name in made}
    assert set(draw_all(read, tmp_path)) == set(CURVES)


@pytest.mark.parametrize("claims", [False, True])
def test_chapters_are_numbered_without_gaps(claims):
    for left_out in ((), ("Curves",), ("Heat maps",), ("Curves", "Networks")):
        shown = {name: one for name, one in FIGURES.items() if one.claims <= claims and one.chapter not in left_out}
        numbers = [int(name.split()[0]) for name in sorted(chapters(shown, claims).values())]
        assert numbers == list(range(1, len(numbers) + 1))


def test_colours_are_fixed_for_each_connectivity_and_differ():
    kinds = ["full", "autapse", "random", "small_world", "ring", "full_matched"]
    colours = [figures_style.style_of(kind).colour for kind in kinds]
    colours += [figures_style.style_of("local", radius).colour for radius in (1, 2, 3, 5, 8)]
    assert len(set(colours)) == len(colours)


def test_a_trial_is_drawn_with_its_periods(tmp_path):
    trials = sample(parse("dlygointr"), 3, stream(0, "test"))
    with watched() as drawn:
        draw_one(trials, 1, tmp_path / "trial")
    panels = drawn[0].axes
    np.testing.assert_array_equal(panels[2].images[0].get_array(), trials.observations[trials.rows(1), 17:].T)
    names = [text.get_text() for text in panels[0].texts]
    assert names == [period.name for period in trials.periods(1) if period.stop > period.start]
    assert smallest_font(drawn[0]) >= 7
    with pytest.raises(IndexError, match="trial 3 of 3"):
        draw_one(trials, 3, tmp_path / "trial")


def test_show_refuses_what_it_cannot_draw(tmp_path):
    with pytest.raises(TaskNameError):
        draw_trial("dlygoint", tmp_path / "x.png")
    with pytest.raises(ConfigError, match=r"\.png or \.svg"):
        draw_trial("go", tmp_path / "x.pdf")
    draw_trial("go", tmp_path / "x.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]
