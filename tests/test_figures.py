"""Figures show exactly what their tables hold, are written the same way twice, and can be read."""

import xml.etree.ElementTree as ElementTree
from contextlib import contextmanager

import matplotlib
import numpy as np
import pandas as pd
import pytest

from lmrnn import curves, figures, figures_style
from lmrnn.errors import ConfigError, TaskNameError
from lmrnn.figures_tasks import accuracy_map
from lmrnn.figures_trial import draw_one
from lmrnn.seeds import stream
from lmrnn.tasks import parse, sample
from tests.synthetic_cells import FULL, LOCAL3, cell, study, table_of

THRESHOLDS = (0.5, 0.8, 0.9)


@pytest.fixture(scope="module")
def tables():
    cells = study()
    return curves.compute(table_of(cells), cells, THRESHOLDS)


@contextmanager
def watched():
    """The figures drawn inside the block, still open for inspection."""
    made, make = [], figures_style.Figure

    def remember(*args, **kwargs):
        made.append(make(*args, **kwargs))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures_style, "Figure", remember)
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("figures")


@pytest.fixture(scope="module")
def drawn(tables, folder):
    """Every figure by name; its files lie in the folder."""
    with watched() as made:
        figures.draw_all(tables, folder)
    return dict(zip(figures.FIGURES, made, strict=True))


@pytest.mark.parametrize("name", figures.FIGURES)
def test_every_figure_is_legible_and_says_its_seeds(name, drawn):
    figure = drawn[name]
    assert figures_style.smallest_font(figure) >= 7
    assert figure.get_size_inches()[0] <= 7
    words = " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    assert "3 seeds" in words
    assert "rate" in words


@pytest.mark.parametrize("name", figures.FIGURES)
def test_nothing_reaches_beyond_the_page(name, drawn):
    box, page = drawn[name].get_tightbbox(), drawn[name].get_size_inches()
    assert box.x0 >= -0.01
    assert box.y0 >= -0.01
    assert box.x1 <= page[0] + 0.01
    assert box.y1 <= page[1] + 0.01


@pytest.mark.parametrize("name", ["training_speed", "trials_to_threshold", "task_accuracy"])
def test_the_same_table_gives_the_same_bytes_and_valid_svg(name, tables, drawn, folder, tmp_path):
    figures.FIGURES[name](tables[name], tmp_path / name, "okabe_ito")
    for ending in ("png", "svg"):
        first, second = ((place / f"{name}.{ending}").read_bytes() for place in (folder, tmp_path))
        assert first == second
    assert ElementTree.fromstring(first).tag.endswith("svg")
    assert b"<dc:date>" not in first


def test_training_speed_draws_the_table(tables, drawn):
    figure = drawn["training_speed"]
    shown = tables["training_speed"].query("trials_per_task == 1000")
    for axes, x in zip(figure.axes, ("step", "trials", "training_seconds"), strict=True):
        lines = {line.get_label().split(" ")[0]: line for line in axes.get_lines() if "n=" in line.get_label()}
        assert set(lines) == set(shown["connectivity"])
        for name, line in lines.items():
            rows = shown[shown["connectivity"] == name]
            np.testing.assert_array_equal(line.get_xdata(), rows[x])
            np.testing.assert_array_equal(line.get_ydata(), rows["decision_accuracy"])
        assert any(
            line.get_label() == "always fixate" and line.get_ydata()[0] == pytest.approx(0.1)
            for line in axes.get_lines()
        )


def test_steps_to_threshold_draws_every_connectivity_once_in_every_panel(tables, drawn):
    table = tables["steps_to_threshold"]
    figure = drawn["steps_to_threshold"]
    shown = table.query("trials_per_task == 1000 and unit == 'steps'")
    for axes, threshold in zip(figure.axes, THRESHOLDS, strict=False):
        rows = shown[shown["threshold"] == threshold]
        points = {(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.get_lines() if len(line.get_xdata()) == 1}
        expected = rows["median"].where(np.isfinite(rows["median"]), rows["limit_steps"])
        assert points == set(zip(100 * rows["density"], expected, strict=True))
        hollow = sum(line.get_markerfacecolor() == "none" for line in axes.get_lines())
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


def test_a_study_with_132_tasks_several_layouts_and_sizes_draws(tmp_path):
    cells = [
        cell(connectivity, [0, 0.5, 0.9], tasks=tasks, layout=layout, trials_per_task=size)
        for connectivity in (LOCAL3, FULL)
        for tasks in (20, 132)
        for layout in ("padded", "stream")
        for size in (10, 100)
    ]
    made = curves.compute(table_of(cells), cells, (0.7,))
    for path in figures.draw_all(made, tmp_path):
        assert path.stat().st_size > 10_000


def test_a_study_of_one_size_one_seed_and_only_diverged_cells_draws(tmp_path):
    cells = [cell(LOCAL3, [0.1], status="diverged", steps=100), cell(FULL, [], status="diverged", steps=100)]
    made = curves.compute(table_of(cells), cells, (0.7,))
    for name, table in made.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    read = {name: pd.read_csv(tmp_path / f"{name}.csv") for name in made}
    assert len(figures.draw_all(read, tmp_path)) == len(figures.FIGURES)


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
    np.testing.assert_array_equal(panels[2].images[0].get_array(), trials.obs[trials.rows(1), 17:].T)
    names = [text.get_text() for text in panels[0].texts]
    assert names == [period.name for period in trials.periods(1) if period.stop > period.start]
    assert figures_style.smallest_font(drawn[0]) >= 7
    with pytest.raises(IndexError, match="trial 3 of 3"):
        draw_one(trials, 3, tmp_path / "trial")


def test_show_refuses_what_it_cannot_draw(tmp_path):
    with pytest.raises(TaskNameError):
        figures.draw_trial("dlygoint", tmp_path / "x.png")
    with pytest.raises(ConfigError, match=r"\.png or \.svg"):
        figures.draw_trial("go", tmp_path / "x.pdf")
    figures.draw_trial("go", tmp_path / "x.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]
