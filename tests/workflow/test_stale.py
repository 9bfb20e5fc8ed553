"""Tables and figures are those of the study as it is asked for now, whoever made them, from where, and what befell."""

import os
import shutil
import time

import pandas as pd
import pytest

from lmrnn.errors import ConfigError
from lmrnn.study.record import read_study
from lmrnn.study.upkeep import take_study
from tests.studies import Study


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study of four cells with its claims that has run to its end."""
    study = Study(tmp_path_factory.mktemp("finished"))
    study.change(claims=True, grid={"seed": [0, 1]})
    assert len(study.run()) == 4
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


def forget(study):
    """What Snakemake remembers is gone, as in a new clone or another folder."""
    shutil.rmtree(study.folder / ".snakemake")


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
    forget(study)
    assert study.planned() == {}
    study.change(**changes)
    assert rules(study.planned()) == runs


@pytest.mark.parametrize("way", ["absolute", "link"])
def test_results_reached_by_another_way_are_the_same_study(study, tmp_path, way):
    elsewhere = Study(tmp_path / "elsewhere")
    if way == "link":
        (tmp_path / "way").symlink_to(study.results)
    place = str(study.results if way == "absolute" else tmp_path / "way")
    elsewhere.change(**{**study.config, "results": place})
    assert elsewhere.planned() == {}
    elsewhere.change(grid={"seed": [0]})
    trained = study.trained()
    elsewhere.run()
    assert study.trained() == trained
    assert list(pd.read_csv(of_study(study, "cells.csv"))["seed"]) == [0, 0]
    assert set(pd.read_csv(of_study(study, "curves", "threshold_times.csv"))["seed"]) == {0}
    assert study.planned() != {}  # the first one still asks for both seeds


def test_a_dry_run_leaves_no_trace_and_a_study_file_keeps_its_time(study):
    path = of_study(study, "study.json")
    before = path.read_bytes(), path.stat().st_mtime_ns
    study.change(curves={"thresholds": [0.3]})
    study.planned()
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
    done = study.snakemake()
    assert done.returncode == 0, done.stdout
    for path in (table, curve):
        assert f"{path.relative_to(study.folder)}: this table is not as it was written" in done.stdout
    assert (table.read_bytes(), curve.read_bytes()) == good
    assert (study.results / "trash" / "tiny" / "cells.csv").is_file()
    assert study.trained() == trained
    assert study.planned() == {}


def test_every_table_and_figure_that_a_killed_rule_leaves_missing_is_made(study):
    made = {path for path in of_study(study).rglob("*") if path.is_file() and path.suffix in (".csv", ".html", ".png")}
    for path in made:
        path.unlink()
    study.run()
    assert made == {path for path in made if path.is_file()}
    assert {path.stem for path in made} >= {"rate_threshold_map", "equal_synapses", "units", "claims"}


def test_one_missing_map_of_a_rule_of_two_is_missed(study):
    of_study(study, "curves", "equal_synapses.csv").unlink()
    assert "map_locality" in study.planned()


def test_results_from_before_a_clock_was_set_right_are_taken_and_stay(study):
    tomorrow = time.time() + 86400
    for path in study.results.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    of_study(study, "curves", "training_speed.csv").unlink()
    done = study.snakemake()
    assert done.returncode == 0, done.stdout
    assert "ahead of this machine's clock" in done.stdout
    assert of_study(study, "cells.csv").is_file()
    assert "Rule: train_cell" not in done.stdout
    assert study.planned() == {}


def test_a_study_that_runs_is_not_given_other_settings_by_a_second_driver(tmp_path):
    with take_study(tmp_path / "running.lock", changes=False), pytest.raises(ConfigError, match="other settings"):
        take_study(tmp_path / "running.lock", changes=True)
    with take_study(tmp_path / "running.lock", changes=True) as alone:
        assert alone is not None
