"""A finished sweep of which Snakemake is asked for other tests and for more steps."""

import io
import json
import re
import tempfile

import pytest

from lmrnn.files.records import records_file
from lmrnn.study.cells import read_cell
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from lmrnn.training.cell import train_cell
from tests.studies import Study

CLOCKS = {"training_seconds", "evaluation_seconds"}


LATER = {"test_trials": 8, "grid": {"steps": [6, 9]}}


def study_of(folder, fleet, **compute):
    study = Study(folder)
    compute |= {"fleet": fleet, "device": "cpu"}
    study.change(results=str(study.results), grid={"connectivity": ["autapse"]}, compute=compute)
    return study


def results_of(study, train=False):
    """The result of each cell by its number of steps, trained here where that is asked for."""
    config = load_config(study.config_file)
    for cell in cells_of(config) if train else ():
        train_cell(cell.spec, config, config["compute"], io.StringIO())
    return {cell.spec["training"]["steps"]: read_cell(cell.path(study.results), cell.spec) for cell in cells_of(config)}


@pytest.mark.parametrize("fleet", ["off", "on"])
def test_twice_the_test_trials_train_nothing_and_more_steps_are_those_alone_bit_for_bit(fleet, tmp_path, monkeypatch):
    study, fresh = study_of(tmp_path / "study", fleet), study_of(tmp_path / "fresh", fleet, keep_end=False)
    monkeypatch.setattr(tempfile, "tempdir", str(study.temporary))  # cells meet there, and none of another test
    (first,) = results_of(study, train=True).values()
    before = study.trained()
    study.change(**LATER)
    fresh.change(**LATER)
    assert len(study.run("--until", "train_cell")) == 2
    assert before.items() < study.trained().items()
    found, expected = results_of(study), results_of(fresh, train=True)  # no end is kept there: each from the start
    for steps, result in found.items():
        for part in ("weights", "history", "test"):
            one, other = getattr(result, part), getattr(expected[steps], part)
            assert set(one) == set(other)
            assert [name for name in set(one) - CLOCKS if one[name].tobytes() != other[name].tobytes()] == []
    logs, taken = logs_of(study), {}
    for steps, (text, records) in logs.items():
        taken[steps] = [record["step"] for record in records if record.get("event") == "step"]
        assert ("nothing to train, tests are taken anew" in text) == (steps == 6)
    assert taken[6] == []
    assert min(taken[9]) >= 6
    assert re.search(r"goes on from the end of \S+ at step 6", logs[9][0])
    assert found[6].provenance["training_seconds"] == first.provenance["training_seconds"]
    assert found[9].provenance["path"] == ("fleet" if fleet == "on" else first.provenance["path"])


def logs_of(study):
    """Log and records of each cell by its number of steps."""
    layout, logs = Layout(study.results), {}
    for cell in cells_of(load_config(study.config_file)):
        records = records_file(layout.cell_log(cell.stem))
        lines = records.read_text().splitlines() if records.exists() else []
        logs[cell.spec["training"]["steps"]] = layout.cell_log(cell.stem).read_text(), list(map(json.loads, lines))
    return logs
