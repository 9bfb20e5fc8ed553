"""Tables and figures are those of the study as it is asked for now, whoever made them, from where, and what befell."""

import contextlib
import io
import os
import shutil
import subprocess
import time

import pandas as pd
import psutil
import pytest

from lmrnn.curves.maps import MAPS
from lmrnn.errors import ConfigError
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from lmrnn.study.record import read_study
from lmrnn.study.upkeep import take_study
from lmrnn.training.run import run_cell
from tests.studies import Study
from tests.workflow.test_faults import kill


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study of four cells with its claims that has run to its end, here without Snakemake."""
    study = Study(tmp_path_factory.mktemp("finished"))
    study.change(claims=True, grid={"seed": [0, 1]})
    study.finish()
    assert len(study.trained()) == 4
    return study


@pytest.fixture
def study(finished, tmp_path):
    """A copy of the finished study, to be changed."""
    shutil.copytree(finished.folder, tmp_path / "study", symlinks=True)
    copy = Study(tmp_path / "study")
    copy.change(**finished.config)
    return copy


def of_study(study, *names):
    return study.results.joinpath("tiny", *names)


def rules(planned):
    """Rules that are planned, all drawings as one."""
    return {"draw" if rule.startswith("draw_") else rule for rule in planned}


MADE_OF_CELLS = {"note_cells", "collect_cells", "analyse_networks"}
MADE_OF_CURVES = {"compute_curves", "measure_claims", "map_locality", "draw", "sweep"}


@pytest.mark.parametrize(
    ("changes", "runs"),
    [
        ({"curves": {"thresholds": [0.3]}}, MADE_OF_CURVES),
        ({"curves": {"palette": "viridis"}}, {"draw", "sweep"}),
        ({"grid": {"seed": [0]}}, MADE_OF_CELLS | MADE_OF_CURVES),
        ({"compute": {"checkpoint_seconds": 5}}, set()),
    ],
)
def test_what_a_change_makes_stale_is_made_anew_though_snakemake_has_forgotten_all(study, changes, runs):
    study.change(**changes)
    assert rules(study.planned()) == runs


def test_a_finished_study_has_nothing_to_do_though_snakemake_has_forgotten_all(finished):
    assert not (finished.folder / ".snakemake").exists()
    assert finished.planned() == {}


@pytest.mark.parametrize("way", ["absolute", "link"])
def test_results_reached_by_another_way_are_the_same_study(study, tmp_path, way):
    elsewhere = Study(tmp_path / "elsewhere")
    if way == "link":
        (tmp_path / "way").symlink_to(study.results)
    place = str(study.results if way == "absolute" else tmp_path / "way")
    elsewhere.change(**{**study.config, "results": place})
    elsewhere.change(grid={"seed": [0]})
    trained = study.trained()
    elsewhere.run(f"{place}/tiny/cells.csv", f"{place}/tiny/curves/threshold_times.csv")
    assert study.trained() == trained
    assert list(pd.read_csv(of_study(study, "cells.csv"))["seed"]) == [0, 0]
    assert set(pd.read_csv(of_study(study, "curves", "threshold_times.csv"))["seed"]) == {0}
    assert study.planned() != {}  # the first one still asks for both seeds


def test_a_dry_run_leaves_no_trace_and_a_study_file_keeps_its_time(study):
    path = of_study(study, "study.json")
    before = path.read_bytes(), path.stat().st_mtime_ns
    study.change(curves={"thresholds": [0.3]})
    assert study.planned() != {}
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    study.change(curves={"thresholds": [0.2]})
    study.run()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert read_study(path).config["curves"]["thresholds"] == [0.2]
    assert [one.is_file() for one in read_study(path).files] == [True] * 4


def test_a_table_changed_by_hand_or_cut_is_named_kept_aside_and_made_anew(study):
    table, curve = of_study(study, "cells.csv"), of_study(study, "curves", "training_speed.csv")
    good = table.read_bytes(), curve.read_bytes()
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:-1], lines[-1].replace("0.", "9.", 1)]) + "\n")
    curve.write_bytes(good[1][: len(good[1]) // 2])
    trained = study.trained()
    done = study.snakemake("results/tiny/curves/training_speed.csv")
    assert done.returncode == 0, done.stdout
    for path in (table, curve):
        assert f"{path.relative_to(study.folder)}: this table is not as it was written" in done.stdout
    assert (table.read_bytes(), curve.read_bytes()) == good
    assert (study.results / "trash" / "tiny" / "cells.csv").is_file()
    assert study.trained() == trained
    assert rules(study.planned()) == {"analyse_networks", "measure_claims", "map_locality", "draw", "sweep"}


def test_each_table_and_figure_that_is_missing_by_itself_is_missed(study):
    """One of each rule with several outputs, so that no rule is planned for the sake of another output."""
    names = ["curves/equal_synapses.csv", "analysis/planes.csv", "curves/task_accuracy.csv", "claims.html"]
    for name in [*names, "figures/training_speed.svg"]:
        of_study(study, name).unlink()
    made = {"analyse_networks", "compute_curves", "map_locality", "measure_claims", "draw", "sweep"}
    assert rules(study.planned()) == made


def test_a_deleted_cell_is_seen_by_a_dry_run_for_one_table(study):
    next(study.results.joinpath("cells").rglob("*.h5")).unlink()
    planned = study.planned("results/tiny/cells.csv")
    assert planned == {"train_cell": 1, "note_cells": 1, "collect_cells": 1}
    assert of_study(study, "inputs", "trained.tsv").exists()


def map_is_made(process):
    """Whether the job of map_locality runs now."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        return any("map_locality.py" in word for one in family for word in one.cmdline())
    return False


def test_a_kill_9_of_a_job_of_two_tables_and_its_driver_leaves_nothing_missing_or_old(study):
    """The job has removed its old tables when it starts, and all that Snakemake says of them dies with it."""
    study.change(grid={"seed": [0, 1, 2]})
    config = load_config(study.config_file)
    for cell in cells_of(config):
        run_cell(cell, study.results, config["compute"], io.StringIO())
    maps = [of_study(study, "curves", f"{name}.csv") for name in MAPS]
    before = [path.stat().st_mtime_ns for path in maps]
    command, environment = study.command("--until", "map_locality"), study.environment()
    with open(study.folder / "said.txt", "w") as said:
        process = subprocess.Popen(command, cwd=study.folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
    while not map_is_made(process):
        assert process.poll() is None, (study.folder / "said.txt").read_text()
        time.sleep(0.1)
    kill(process, whole_family=True)
    assert not all(path.exists() for path in maps)
    assert len(study.trained()) == 6
    assert rules(study.planned()) == {"map_locality", "analyse_networks", "measure_claims", "draw", "sweep"}
    study.run("--until", "map_locality")
    assert all(path.stat().st_mtime_ns > time for path, time in zip(maps, before, strict=True))
    assert "map_locality" not in study.planned()


def test_results_from_before_a_clock_was_set_right_are_taken_and_stay(study):
    tomorrow = time.time() + 86400
    for path in study.results.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    of_study(study, "curves", "training_speed.csv").unlink()
    done = study.snakemake("results/tiny/curves/training_speed.csv")
    assert done.returncode == 0, done.stdout
    assert "ahead of this machine's clock" in done.stdout
    assert of_study(study, "cells.csv").is_file()
    assert "Rule: train_cell" not in done.stdout
    assert not {"train_cell", "collect_cells", "compute_curves"} & set(study.planned())


def test_a_study_that_runs_is_not_given_other_settings_by_a_second_driver(tmp_path):
    with take_study(tmp_path / "running.lock", changes=False), pytest.raises(ConfigError, match="other settings"):
        take_study(tmp_path / "running.lock", changes=True)
    with take_study(tmp_path / "running.lock", changes=True) as alone:
        assert alone is not None


def test_a_second_driver_with_other_settings_says_what_is_the_matter(tmp_path):
    study = Study(tmp_path)
    assert study.snakemake("--until", "generate_dataset").returncode == 0
    study.change(curves={"thresholds": [0.3]})
    with take_study(study.results / "tiny/inputs/running.lock", changes=False):
        done = study.snakemake()
    assert done.returncode == 1
    assert "other settings" in done.stdout
    assert "NameError" not in done.stdout
