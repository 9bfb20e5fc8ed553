"""The workflow and the executor together, without Slurm (tests/slurm has what needs one)."""

import os
import subprocess
import sys
from pathlib import Path

import yaml
from snakemake_executor_plugin_submitit.ledger import DEFAULT_FOLDER, Ledger

from lmrnn.cli.main import main
from lmrnn.files.storage import write_text
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of

ROOT = Path(__file__).parents[1]
# as in shared/cases/quoted_folder.yaml
QUOTED = {
    "study": "quoted",
    "results": "r'$(touch EXECUTED)",
    "validation_trials": 4,
    "test_trials": 8,
    "grid": {"connectivity": ["autapse"], "tasks": [3], "trials_per_task": [8], "seed": [0]},
    "network": {"neurons": 16},
    "training": {"steps": 20, "evaluate_every": 10, "batch_size": 8},
}


def snakemake(*arguments, **options):
    """A run of the workflow from the root."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280, **options)


def test_a_dry_run_with_the_slurm_profile_needs_no_slurm(tmp_path):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:/bin"}
    arguments = ("-n", "--profile", "slurm", "--configfile", "config/smoke.yaml", "--directory", str(tmp_path))
    done = snakemake(*arguments, env=environment)
    assert done.returncode == 0, done.stderr
    assert "train_cell" in done.stdout


def test_the_name_of_a_results_folder_is_a_name_and_nothing_of_it_is_executed(tmp_path):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(QUOTED))
    where = ("--directory", str(tmp_path), "--configfile", str(tmp_path / "study.yaml"), "--until", "train_cell")
    how = ("--executor", "submitit", "--submitit-cluster", "local", "--jobs", "2", "--submitit-poll-interval", "0.5")
    done = snakemake(*where, *how)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("EXECUTED"))
    cells = list((tmp_path / QUOTED["results"] / "cells").rglob("*.h5"))
    assert len(cells) == 1
    entries, _ = Ledger(tmp_path / DEFAULT_FOLDER).replay()
    assert {entry.outcome for entry in entries.values()} == {"done"}
    assert str(cells[0]) in entries


def test_status_says_what_failed_from_a_ledger_full_of_hostile_lines_and_counts_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study = {**QUOTED, "results": "results"}
    write_text(tmp_path / "study.yaml", yaml.safe_dump(study))
    cell = cells_of(validate_config(study))[0]
    ledger = Ledger(DEFAULT_FOLDER)
    key = os.path.abspath(cell.path("results"))
    job = {"key": key, "rule": "train_cell", "log": ""}
    ledger.append("submit", folder="20300101/a", cluster="slurm", workflow=str(tmp_path), tasks=[[job]])
    ledger.append("end", folder="20300101/a", index=0, key=key, outcome="failed", reason="the node burnt down")
    hostile = [
        b'{"kind": "end"}',
        b"17",
        b"[]",
        b"[" * 99_999,
        b"\xff\xfe",
        b'{"event": "end", "time": 1}',
        b'{"event": "su',
    ]
    with open(ledger.path, "ab") as handle:
        handle.write(b"\n".join(hostile))
    main(["status", "--config", "study.yaml"])
    shown = capsys.readouterr().out
    assert "the node burnt down" in shown
    assert f"{len(hostile)} lines of" in shown


def test_status_needs_neither_submitit_nor_torch(run_python):
    done = run_python("import lmrnn.cli.status, sys; assert not {'submitit', 'torch', 'snakemake'} & set(sys.modules)")
    assert done.returncode == 0, done.stderr


ELSEWHERE = """
import os, sys
if "submitit.core._submit" in sys.orig_argv:
    os.environ["PLACE"] = "/nowhere"
"""


def test_a_variable_in_results_is_that_of_the_driver_also_where_a_job_has_another(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(ELSEWHERE)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**QUOTED, "results": "$PLACE/a b"}))
    where = ("--directory", str(tmp_path), "--configfile", str(tmp_path / "study.yaml"), "--until", "generate_dataset")
    how = ("--executor", "submitit", "--submitit-cluster", "local", "--jobs", "2", "--submitit-poll-interval", "0.5")
    environment = {**os.environ, "PLACE": str(tmp_path / "here #1"), "PYTHONPATH": str(tmp_path)}
    done = snakemake(*where, *how, env=environment)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "here #1" / "a b" / "datasets").rglob("*.h5"))) == 3
