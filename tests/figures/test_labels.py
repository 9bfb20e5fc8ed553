"""Words of figures: nothing that a cell lacks, nothing beyond the page, nothing on something else."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

from lmrnn.curves import tables as curves
from lmrnn.curves.comparison import prepare
from lmrnn.curves.identity import told_apart, without_digests
from lmrnn.figures import curves as figures
from lmrnn.figures import thresholds
from lmrnn.figures.style import new_figure, note
from lmrnn.figures.trial import _name_periods, _stagger
from lmrnn.networks.keys import digest
from tests.drawing import beyond, overlapping, watched
from tests.synthetic_cells import AUTAPSE, FULL, LOCAL3, cell, table_of


def _words(figure):
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text)).replace("\n", " ")


@pytest.mark.parametrize("value", [np.nan, None])
def test_a_setting_that_a_cell_lacks_is_not_in_its_panels_name(value):
    cells = [cell(FULL, [0, 0.9]), cell(FULL, [0, 0.9], excitatory=0.8), cell(LOCAL3, [0, 0.9], excitatory=0.8)]
    table = table_of(cells)
    table["excitatory"] = [value, 0.8, 0.8]
    assert list(prepare(table, cells)["panel"])[1:] == ["20 tasks, 100 trials per task, excitatory 0.8"] * 2
    assert prepare(table, cells)["panel"][0] == "20 tasks, 100 trials per task"
    assert told_apart(["a", "a"], [{"loss": None}, {"loss": 1}]) == ["a (loss none)", "a (loss 1)"]


@pytest.mark.parametrize("width", [3.5, 5.25, 7.0])
@pytest.mark.parametrize("letter", ["i", "n", "W"])
def test_a_note_of_any_length_stays_on_its_page(width, letter, tmp_path):
    with watched() as made, new_figure(width, 3, tmp_path / "one", ("png",)) as figure:
        figure.subplots()
        note(figure, "short\n" + " ".join([letter * 9] * 40))
    assert beyond(made[0]) <= 0.01


def _study():
    """Two networks beside each other, and one alone in its panel; one learning rate."""
    return [cell(kind, [0, 0.5, 0.9], tasks=n, seed=s) for kind, n in ((AUTAPSE, 20), (FULL, 20), (LOCAL3, 82))
            for s in range(2)]  # fmt: skip


def test_few_panels_are_all_drawn_and_one_rate_is_called_one(tmp_path):
    cells = _study()
    made = curves.compute(table_of(cells), cells, (0.7,))
    with watched() as drawn:
        figures.training_speed(made["training_speed"], tmp_path / "speed")
        thresholds.steps_to_threshold(made["steps_to_threshold"], tmp_path / "steps")
        figures.data_efficiency(made["data_efficiency"], tmp_path / "data")
    assert "in the table only" not in _words(drawn[0])
    assert "82 tasks" in _words(drawn[0])
    for figure in drawn:
        assert "one learning rate tried" in _words(figure)
        assert "smallest" not in _words(figure)


@pytest.mark.parametrize(
    "shares",
    [
        (0.27, 0.27),
        (0.27, 0.3),
        (0.27, 0.272),
        (0.004, 0.08, 0.27, 1.0),
        (0.0, 0.0),
        (0.0, 1.0),
        (0.0, 0.004, 0.05, 0.08),
    ],
)
def test_a_density_axis_has_labels_where_networks_are(shares, tmp_path):
    cells = [cell(AUTAPSE, [0, 0.9], seed=0), cell(FULL, [0, 0.9])]
    table = curves.compute(table_of(cells), cells, (0.5, 0.7))["steps_to_threshold"]
    table = table.iloc[np.arange(len(table)).repeat(2)].reset_index(drop=True)
    table["density"] = np.resize(shares, len(table))
    with watched() as made:
        thresholds.steps_to_threshold(table, tmp_path / "steps")
    for axes in made[0].axes:
        low, high = axes.get_xlim()
        labels = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert len(labels) >= min(2, len(set(shares)))
    texts = {text.get_text() for axes in made[0].axes for text in axes.get_xticklabels()}
    assert ("0" in texts) == (0 in shares)  # it has no place on a logarithmic axis, but a label


@pytest.mark.parametrize("steps", [1, 2, 30])
def test_names_of_short_periods_do_not_lie_on_each_other(steps, tmp_path):
    names = ["fixation", "stimulus1", "distractor", "delay2", "a_long_name_of_a_period", "go"]
    bounds = [0, steps, steps + 1, steps + 2, steps + 3, steps + 4, 2 * steps + 5]
    periods = [SimpleNamespace(name=n, start=a, stop=b) for n, a, b in zip(names, bounds, bounds[1:], strict=False)]
    trials = SimpleNamespace(dt=100, periods=lambda _trial: periods)
    with watched() as made, new_figure(5.25, 4.4, tmp_path / "trial", ("png",)) as figure:
        axes = figure.subplots()
        axes.set_xlim(0, 100 * bounds[-1])
        _stagger(figure, _name_periods(axes, trials, 0))
    assert overlapping(made[0]) == []
    assert beyond(made[0]) <= 0.01


def test_a_mask_has_its_digest_in_a_label_only_where_another_has_its_name():
    one, other, third = ({"kind": "file", "name": name, "sha256": digit * 64} for name, digit in ("a1", "a2", "b3"))
    labels = [f"file-{spec['name']}-{digest(spec['sha256'])}" for spec in (one, other, third)]
    assert without_digests(labels, [one, other, third]) == [*labels[:2], "file-b"]
    assert without_digests([labels[0]] * 2, [one, one]) == ["file-a"] * 2
