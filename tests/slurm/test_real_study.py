"""The real workflow on Slurm, through the profile that users run."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from snakemake_executor_plugin_submitit.ledger import Ledger
from study import on_slurm, slurm, snakemake, wait_for

from lmrnn.study.cells import read_cell
from tests.studies import as_tested

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("_slurm")]
ROOT = Path(__file__).parents[2]
ONE = {
    "study": "one",
    "validation_trials": 2,
    "test_trials": 4,
    "grid": [{"connectivity": ["full"], "tasks": [3], "trials_per_task": [16], "seed": [0]}],
    "network": {"neurons": 100},
    "training": {"batch_size": 16, "steps": 6000, "evaluate_every": 500},
}


def test_the_smoke_study_runs_through_the_profile_and_then_nothing_is_left_to_do(tmp_path):
    config = tmp_path / "smoke.yaml"
    config.write_text(yaml.safe_dump(as_tested(yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text()))))
    driver = on_slurm(tmp_path, config, "--submitit-pack", "8")
    output, _ = driver.communicate(timeout=280)
    assert driver.returncode == 0, output[-3000:]
    cells = sorted((tmp_path / "results" / "cells").rglob("*.h5"))
    assert len(cells) == 6
    assert (tmp_path / "results" / "smoke" / "cells.csv").exists()
    assert list((tmp_path / "results" / "smoke" / "figures").glob("*.png"))
    # result, the end that more steps go on from, log, records, and Snakemake's note
    for cell in cells:
        own = [path for path in (tmp_path / "results").rglob(f"*{cell.stem}*") if path.is_file()]
        assert len(own) + 1 <= 5, own
    assert not list((tmp_path / ".snakemake" / "submitit").glob("*/*")), "pickles and logs of finished cells are left"
    again = on_slurm(tmp_path, config)
    output, _ = again.communicate(timeout=120)
    assert again.returncode == 0
    assert "Nothing to be done" in output
    shown = subprocess.run(
        [sys.executable, "-m", "lmrnn.cli.main", "status", "--config", str(config), "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [json.loads(line)["state"] for line in shown.splitlines()] == ["done"] * 6


def test_a_killed_driver_of_the_real_workflow_is_replaced(tmp_path):
    config = tmp_path / "study.yaml"
    grid = [{"connectivity": ["autapse", "full"], "tasks": [3], "trials_per_task": [16], "seed": [0, 1]}]
    changed = {**ONE, "grid": grid, "training": {**ONE["training"], "steps": 3000}}
    config.write_text(yaml.safe_dump(as_tested(changed)))
    driver = on_slurm(tmp_path, config, "--submitit-pack", "2", "--until", "train_cell")
    logs = tmp_path / "results" / "logs" / "cells"
    wait_for(lambda: sum("500" in log.read_text() for log in logs.rglob("*.log")) >= 2, 120, "the trainings")
    driver.kill()
    driver.communicate()
    again = on_slurm(tmp_path, config, "--until", "train_cell")
    output, _ = again.communicate(timeout=280)
    assert again.returncode == 0, output[-3000:]
    assert "submitit: 4 jobs" not in output
    cells = [read_cell(path) for path in (tmp_path / "results" / "cells").rglob("*.h5")]
    assert [cell.provenance["restarts"] for cell in cells] == [0, 0, 0, 0]


@pytest.mark.usefixtures("preemptible")
def test_a_preempted_training_ends_with_the_weights_of_an_undisturbed_one(tmp_path):
    config = tmp_path / "study.yaml"
    config.write_text(yaml.safe_dump(as_tested(ONE)))
    disturbed, calm = tmp_path / "disturbed", tmp_path / "calm"
    for folder in (disturbed, calm):
        folder.mkdir()
    driver = on_slurm(disturbed, config, "--submitit-partition", "low", "--until", "train_cell")
    log = wait_for(lambda: next((disturbed / "results" / "logs" / "cells").rglob("*.log"), None), 90, "the training")
    wait_for(lambda: "500" in log.read_text(), 60, "its first evaluations")
    slurm("sbatch", "-p", "urgent", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 2")
    output, _ = driver.communicate(timeout=280)
    assert driver.returncode == 0, output[-3000:]
    local = ("--cores", "1", "--configfile", str(config), "--until", "train_cell")
    subprocess.run(snakemake(calm, *local), cwd=ROOT, check=True, capture_output=True)
    one, other = (read_cell(next((folder / "results" / "cells").rglob("*.h5"))) for folder in (disturbed, calm))
    assert one.provenance["restarts"] == 1
    assert other.provenance["restarts"] == 0
    assert all(np.array_equal(one.weights[name], other.weights[name]) for name in other.weights)
    assert np.array_equal(one.history["loss"], other.history["loss"], equal_nan=True)
    entries, _ = Ledger(disturbed / ".snakemake" / "submitit").replay()
    assert all(entry.outcome == "done" for entry in entries.values())
