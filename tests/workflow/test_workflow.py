"""What Snakemake's users expect of a sweep, on small studies that really train."""

import inspect
import shutil

import numpy as np
import pandas as pd
import pytest
from snakemake.scheduling.job_scheduler import JobScheduler

from lmrnn.study.cells import read_cell
from tests.studies import Study


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that has run to its end."""
    study = Study(tmp_path_factory.mktemp("finished"))
    assert len(study.run()) == 2
    return study


@pytest.fixture
def study(finished, tmp_path):
    """A copy of the finished study, to be changed."""
    shutil.copytree(finished.folder, tmp_path / "study", symlinks=True)
    return Study(tmp_path / "study")


def table(study):
    return pd.read_csv(study.results / "tiny" / "cells.csv")


def test_a_finished_study_leaves_table_curves_and_figures_and_has_nothing_to_do(finished):
    assert finished.planned() == {}
    assert len(table(finished)) == 2
    folder = finished.results / "tiny"
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".svg"}
    assert (folder / "curves" / "training_speed.csv").stat().st_size > 0


def test_a_deleted_cell_is_trained_again_with_what_depends_on_it(study):
    victim = sorted(study.trained())[0]
    before = read_cell(study.results / "cells" / victim).weights
    old = table(study)
    (study.results / "cells" / victim).unlink()
    assert study.planned()["train_cell"] == 1
    assert study.planned()["collect_cells"] == 1
    assert study.run() == {victim}
    after = read_cell(study.results / "cells" / victim).weights
    assert all(np.array_equal(after[name], before[name]) for name in before)
    same = [name for name in old if not name.endswith("_seconds") and name != "peak_memory_mb"]
    pd.testing.assert_frame_equal(table(study)[same], old[same])


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("seed", [0, 1]),
        ("connectivity", ["autapse", {"kind": "local", "radius": [2, 3]}]),
        ("trials_per_task", [8, 12]),
    ],
)
def test_a_value_more_in_the_grid_trains_only_the_new_cells(study, axis, values):
    old = study.trained()
    study.change(grid={axis: values})
    new = study.run("--until", "collect_cells")
    assert new
    assert not new & set(old)
    assert "train_cell" not in study.planned()
    assert len(table(study)) == len(old) + len(new)


def test_a_changed_learning_rate_trains_anew_and_going_back_finds_the_old_cells(study):
    study.change(training={"learning_rate": 0.01})
    assert len(study.run("--until", "train_cell")) == 2
    study.change(training={"learning_rate": 0.001})
    assert "train_cell" not in study.planned()


def test_a_threshold_a_colour_or_a_thread_count_trains_nothing(study):
    study.change(curves={"thresholds": [0.3], "palette": "viridis"}, compute={"threads": 2, "checkpoint_seconds": 5})
    planned = set(study.planned())
    assert {rule for rule in planned if not rule.startswith("draw_")} == {"sweep", "compute_curves"}
    assert study.run() == set()


def test_a_failing_cell_leaves_the_others_finished_and_only_it_runs_again(tmp_path):
    study = Study(tmp_path / "study")
    study.snakemake("--until", "generate_dataset")
    dataset = next((study.results / "datasets").rglob("*train*.h5"))
    study.change(grid={"seed": [0, 1]})
    good = dataset.read_bytes()
    dataset.write_bytes(good[:1000])
    failed = study.snakemake()
    assert failed.returncode != 0
    assert str(dataset.relative_to(study.folder)) in failed.stdout
    assert len(study.trained()) == 2
    dataset.write_bytes(good)
    assert study.planned()["train_cell"] == 2
    assert len(study.run("--until", "train_cell")) == 2


def test_a_diverging_cell_is_an_outcome_not_a_failure(tmp_path):
    study = Study(tmp_path / "study")
    study.change(grid={"connectivity": ["full"]}, training={"learning_rate": 1000.0, "steps": 200})
    study.run()
    assert list(table(study)["status"]) == ["diverged"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"grid": {"tasks": [["go", "dlygoo"]]}}, "dlygo"),
        ({"grid": {"connectivity": [{"kind": "local", "radius": 0}]}}, "radius"),
        ({"grid": {"connectivity": [{"kind": "random", "density": 2}]}}, "density"),
        ({"network": {"neurons": 26}}, "square"),
        ({"grid": {"trials_per_task": [-8]}}, "trials_per_task"),
        ({"training": {"batch_size": 0}}, "batch_size"),
    ],
)
def test_bad_input_gets_one_clear_message_and_touches_nothing(finished, tmp_path, change, says):
    study = Study(tmp_path / "study")
    (study.results).symlink_to(finished.results)
    before = finished.trained()
    study.change(**change)
    done = study.snakemake()
    assert done.returncode != 0
    assert says in done.stdout
    assert "Traceback" not in done.stdout
    assert finished.trained() == before


def test_the_rate_limiter_that_the_workflow_turns_off_is_the_one_that_snakemake_has():
    """Under another name, setting it to None would do nothing, and the driver would slow down with every cell."""
    source = inspect.getsource(JobScheduler)
    assert "if self.job_rate_limiter is None" in source
    assert "if self.job_rate_limiter is not None" in source
