"""A pack of trainings that share a GPU is one fleet: one process trains all of it, which takes few CPUs. Slurm grants a
pretended GPU; what a real one would compute is rehearsed on the processor.
"""

import json
import re

import pytest
import yaml
from snakemake_executor_plugin_submitit.ledger import Ledger
from study import on_slurm, slurm, wait_for

from lmrnn.study.cells import read_cell
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from tests.training.fleets import by_hand
from tests.training.test_train import assert_same

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("_slurm")]
STUDY = {
    "study": "packed",
    "validation_trials": 2,
    "test_trials": 4,
    "grid": [{"connectivity": ["autapse", "full"], "tasks": [2], "trials_per_task": [8], "seed": [*range(8)]}],
    "network": {"neurons": 25, "recurrent_noise": 0.05},
    "training": {"batch_size": 4, "steps": 1000, "evaluate_every": 500},
    "compute": {"fleet": "on", "device": "cpu"},
}
# every Python of the sweep reads it when it starts
WITNESS = """
import atexit, json, os, sys
def note():
    if "train_cell" in sys.argv[0]:
        with open(os.path.join(os.environ["WITNESS"], str(os.getpid())), "w") as file:
            json.dump("torch" in sys.modules, file)
atexit.register(note)
"""


def test_a_pack_of_sixteen_that_shares_a_gpu_is_trained_by_one_process_on_two_cpus(tmp_path):
    config, witness = tmp_path / "study.yaml", tmp_path / "witness"
    config.write_text(yaml.safe_dump(STUDY))
    witness.mkdir()
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    asks = ("train_cell:gpus=1", "train_cell:slurm_extra='--hold'")
    variables = {"PYTHONPATH": str(tmp_path), "WITNESS": str(witness)}
    pack = ("--submitit-pack", "16", "--set-resources", *asks, "--until", "train_cell")
    driver = on_slurm(tmp_path, config, *pack, **variables)
    cells = cells_of(load_config(config))
    keys = {str(cell.path(tmp_path / "results")) for cell in cells}

    def tasks():
        entries = Ledger(tmp_path / ".snakemake" / "submitit").replay()[0]
        return {entries[key].task.job_id for key in keys} if keys <= set(entries) else set()

    (task,) = wait_for(lambda: all(found := tasks()) and found, 60, "the pack")
    fields = dict(re.findall(r"(\S+?)=(\S*)", slurm("scontrol", "show", "job", task)))
    assert (fields["NumCPUs"], fields["TresPerNode"]) == ("2", "gres:gpu:1")
    slurm("scontrol", "release", task.split("_")[0])
    output, _ = driver.communicate(timeout=280)
    assert driver.returncode == 0, output[-3000:]

    seen = [json.loads(path.read_text()) for path in witness.iterdir()]
    assert sorted(seen) == [False] * 15 + [True]  # whether each process of a cell had torch
    logs = [path.read_text() for path in (tmp_path / "results" / "logs" / "cells").rglob("*.log")]
    assert len(logs) == 16
    assert sum("leads the cells that meet at" in log for log in logs) == 1
    assert all(re.search(r"trains on cpu in float32, one of \d+ cells in a fleet of \d+ places", log) for log in logs)
    assert any("one of 16 cells" in log for log in logs)
    by_hand(cells, tmp_path / "results", tmp_path / "by hand")
    for cell in cells:
        found = read_cell(cell.path(tmp_path / "results"), cell.spec)
        assert (found.provenance["path"], found.provenance["restarts"]) == ("fleet", 0)
        assert_same(found, read_cell(cell.path(tmp_path / "by hand")))
    assert list((tmp_path / "tmp").glob("lmrnn*")) == []
