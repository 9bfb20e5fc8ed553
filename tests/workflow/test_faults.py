"""Sweeps that are killed, run twice at once or find damaged files: the same command ends as if nothing had been."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pytest

from lmrnn.study.cells import read_cell
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from lmrnn.training.run import run_cell
from tests.conftest import ROOT
from tests.studies import Study, steady
from tests.training.test_train import assert_same

TABLE = "results/tiny/cells.csv"
CHANGES = {
    "data_seed": "shared",
    "grid": {"seed": [0, 1]},
    "training": {"steps": 400, "evaluate_every": 50},
    "compute": {"path": "reference", "checkpoint_seconds": 0.1},
}


def make_study(folder):
    study = Study(folder)
    study.change(**CHANGES)
    return study


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A study of four cells that has run to its table."""
    study = make_study(tmp_path_factory.mktemp("undisturbed") / "study")
    assert len(study.run(TABLE)) == 4
    return study


def start(study):
    """Snakemake in the background, as a user has it in a terminal."""
    with open(study.folder / "output.txt", "a") as output:
        command, environment = study.command(TABLE), study.environment()
        return subprocess.Popen(command, cwd=study.folder, env=environment, stdout=output, stderr=subprocess.STDOUT)


def wait_for_a_checkpoint(study, process):
    """Until the sweep is in the midst of a cell, or has ended."""
    end = time.monotonic() + 120
    while process.poll() is None and not any((study.results / "checkpoints").rglob("*.h5")):
        assert time.monotonic() < end
        time.sleep(0.02)


def family(process):
    """Snakemake and all that it has started, its trainings among them."""
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def kill(process, whole_family):
    """SIGKILL for Snakemake with everything it started, or alone: then its trainings live on."""
    processes = family(process) if whole_family else family(process)[:1]
    for one in processes:
        one.send_signal(signal.SIGKILL)
    process.wait(60)


def inodes(study):
    """The cells' files; one that is written anew gets another."""
    return {cell: (study.results / "cells" / cell).stat().st_ino for cell in study.trained()}


@pytest.mark.timeout(900)
def test_a_sweep_that_is_killed_with_kill_9_goes_on_where_it_was(undisturbed, tmp_path):
    study, rng = make_study(tmp_path / "study"), np.random.default_rng(11)
    finished, mid_sweep = {}, 0
    for whole_family in (True, False, True):
        process, cells_before = start(study), len(study.trained())
        wait_for_a_checkpoint(study, process)
        time.sleep(float(rng.uniform(0, 2)))
        if process.poll() is not None:
            break
        if not mid_sweep:  # a second terminal is told who holds the folder, and the way out
            second = study.snakemake(TABLE)
            assert second.returncode != 0
            assert "Traceback" not in second.stdout
            assert "--unlock" in second.stdout
            assert "cleared away" not in second.stdout
        mid_sweep += process.poll() is None
        kill(process, whole_family)
        assert len(study.trained()) >= cells_before
        assert all(inodes(study)[cell] == inode for cell, inode in finished.items())
        finished = inodes(study)
    assert mid_sweep >= 1
    study.run(TABLE)
    assert all(inodes(study)[cell] == inode for cell, inode in finished.items())
    pd.testing.assert_frame_equal(steady(study.folder / TABLE), steady(undisturbed.folder / TABLE))
    for cell in cells_of(load_config(study.config_file)):
        assert_same(read_cell(cell.path(study.results), cell.spec), read_cell(cell.path(undisturbed.results)))
    assert not [path for path in study.results.rglob("*") if path.name.endswith(".tmp")]
    assert not [path for path in (study.results / "checkpoints").rglob("*") if path.is_file()]
    assert study.planned(TABLE) == {}


def test_two_processes_on_one_cell_train_it_once(undisturbed, tmp_path):
    study = make_study(tmp_path / "study")
    shutil.copytree(undisturbed.results / "datasets", study.results / "datasets")
    cell = cells_of(load_config(study.config_file))[0]
    command = [sys.executable, "-m", "lmrnn.cli.main", "train", "--config", "study.yaml", "--cell", cell.hash]
    environment = {**study.environment(), "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen([*command, "--log", f"{name}.log"], cwd=study.folder, env=environment, stdout=subprocess.PIPE)
        for name in ("one", "other")
    ]
    said = [process.communicate(timeout=120)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all("completed" in text for text in said)
    logs = sorted((study.folder / f"{name}.log").read_text() for name in ("one", "other"))
    trained = [log for log in logs if "completed at step 400" in log]
    waited = [log for log in logs if "is finished (completed) and valid: nothing to train" in log]
    assert len(trained) == len(waited) == 1
    assert_same(read_cell(cell.path(study.results), cell.spec), read_cell(cell.path(undisturbed.results)))


def test_a_process_that_waits_for_another_one_says_so(undisturbed, tmp_path):
    study = make_study(tmp_path / "study")
    shutil.copytree(undisturbed.results, study.results)
    config = load_config(study.config_file)
    cell = cells_of(config)[0]
    reader, writer = os.pipe()
    holder = (
        "import os, sys, time; from lmrnn.files.storage import lock\n"
        "with lock(sys.argv[1]):\n    print('held', flush=True); os.read(0, 1)"
    )
    lock_file = cell.checkpoint(study.results).with_suffix(".lock")
    log = Telling("waiting for it to end", lambda: os.close(writer))
    command = [sys.executable, "-c", holder, str(lock_file)]
    with subprocess.Popen(command, cwd=ROOT, stdin=reader, stdout=subprocess.PIPE, text=True) as other:
        os.close(reader)
        assert other.stdout.readline() == "held\n"
        assert run_cell(cell, study.results, config["compute"], log) == "completed"
    assert "another process is at work on" in log.getvalue()
    assert "nothing to train" in log.getvalue()


class Telling(io.StringIO):
    """A log that does something when it gets a certain line."""

    def __init__(self, words, then):
        super().__init__()
        self.words, self.then = words, then

    def write(self, text):
        if self.words in text:
            self.then()
        return super().write(text)


@pytest.mark.timeout(600)
def test_a_sweep_names_a_damaged_cell_and_trains_only_it_again(undisturbed, tmp_path):
    shutil.copytree(undisturbed.folder, tmp_path / "study", symlinks=True)
    study = make_study(tmp_path / "study")
    table = (study.folder / TABLE).read_bytes()
    victim = sorted(study.trained())[1]
    path = study.results / "cells" / victim
    path.write_bytes(path.read_bytes()[:-200])
    refused = study.snakemake(TABLE)
    assert refused.returncode != 0
    assert f"error: results/cells/{victim}: its content does not match its checksum" in refused.stdout
    assert "Delete it and run the same command again: only this cell is trained anew" in refused.stdout
    assert not (study.folder / TABLE).exists() or (study.folder / TABLE).read_bytes() == table
    path.unlink()
    assert study.run(TABLE) == {victim}
    pd.testing.assert_frame_equal(steady(study.folder / TABLE), steady(undisturbed.folder / TABLE))
