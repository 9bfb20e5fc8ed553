"""The dispatch without Slurm: its ledger, its rules, and the clusters local and debug."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lmrnn.ledger import Ledger
from snakemake_executor_plugin_submitit.events import read_events, write_event
from snakemake_executor_plugin_submitit.nested import CellReporter
from snakemake_executor_plugin_submitit.outcome import Judge
from snakemake_executor_plugin_submitit.packing import memory_class
from snakemake_executor_plugin_submitit.resources import parameters, parse_extra, signal_delay
from snakemake_executor_plugin_submitit.settings import ExecutorSettings
from snakemake_executor_plugin_submitit.task import CellJob, Pack

SNAKEFILE = Path(__file__).parent / "slurm" / "workflow" / "Snakefile"
CELL = {"key": "out/a.txt", "rule": "cell", "log": "logs/a.log"}


def sweep_command(folder, cluster, cells, *arguments, **resources):
    """Configuration and command line of one run of snakemake on stand-in cells."""
    (folder / "config.yaml").write_text(yaml.safe_dump({"cells": cells, "resources": resources}))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--configfile", "config.yaml"]
    command += ["--executor", "submitit", "--submitit-cluster", cluster, "--submitit-poll-interval", "0.5"]
    return [*command, "--jobs", "4", "--keep-going", "--latency-wait", "5", *arguments]


def run_sweep(folder, cluster, cells, *arguments, **resources):
    """One such run."""
    command = sweep_command(folder, cluster, cells, *arguments, **resources)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.parametrize("cluster", ["local", "debug"])
def test_the_sweep_runs_without_slurm_and_only_the_bad_cell_is_left(tmp_path, cluster):
    cells = {"a": {"steps": 1}, "b": {"steps": 1}, "bad": {"fault": "exception"}}
    done = run_sweep(tmp_path, cluster, cells, pack=2)
    assert done.returncode != 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "b.txt"]
    entries, _ = Ledger(tmp_path / ".lmrnn/dispatch").replay()
    assert {key: entry.outcome for key, entry in entries.items()} == {
        "out/a.txt": "done",
        "out/b.txt": "done",
        "out/bad.txt": "failed",
    }
    assert "exit status 1" in entries["out/bad.txt"].reason
    (tmp_path / "repaired").touch()
    again = run_sweep(tmp_path, cluster, cells, pack=2)
    assert again.returncode == 0, again.stderr
    starts = {cell: (tmp_path / "diary" / cell).read_text().count('"start"') for cell in cells}
    assert starts == {"a": 1, "b": 1, "bad": 2}


def test_a_local_task_saves_its_state_at_its_time_limit_and_goes_on(tmp_path):
    done = run_sweep(tmp_path, "local", {"long": {"steps": 66, "seconds": 1, "every": 1000}}, runtime=1)
    assert done.returncode == 0, done.stderr
    diary = [json.loads(line)["what"] for line in (tmp_path / "diary" / "long").read_text().splitlines()]
    assert diary == ["start", "interrupted", "start", "end"]


def test_snakemake_finds_the_executor_and_explains_its_settings():
    shown = subprocess.run([sys.executable, "-m", "snakemake", "--help"], capture_output=True, text=True, check=True)
    assert "submitit executor plugin settings" in shown.stdout
    for name in ExecutorSettings.__dataclass_fields__:
        assert f"--submitit-{name.replace('_', '-')}" in shown.stdout


def test_a_dry_run_with_the_slurm_profile_needs_no_slurm(tmp_path):
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:/bin"}
    command = [sys.executable, "-m", "snakemake", "-n", "--profile", "slurm", "--configfile", "config/smoke.yaml"]
    done = subprocess.run(
        [*command, "--directory", str(tmp_path)], cwd=root, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "train_cell" in done.stdout


def test_a_torn_line_costs_only_itself(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.append("submit", folder="f", cluster="slurm", tasks=[[CELL]])
    with open(ledger.path, "a") as handle:
        handle.write('{"event": "ids", "time": 1, "fol')
    assert ledger.replay()[0]["out/a.txt"].task.job_id == ""
    ledger.append("ids", folder="f", ids=["7_0"])
    ledger.append("states", states={"7_0": "RUNNING"})
    task = ledger.replay()[0]["out/a.txt"].task
    assert (task.job_id, task.state) == ("7_0", "RUNNING")


def test_an_end_of_an_earlier_submission_does_not_end_the_later_one(tmp_path):
    ledger = Ledger(tmp_path)
    for folder in ("first", "second"):
        ledger.append("submit", folder=folder, cluster="slurm", tasks=[[CELL]])
    ledger.append("end", folder="first", index=0, key="out/a.txt", outcome="failed", reason="late news")
    entry = ledger.replay()[0]["out/a.txt"]
    assert (entry.outcome, entry.submissions) == ("open", 2)


def test_done_stays_done_in_a_tasks_events(tmp_path):
    write_event(tmp_path, "a", "started")
    write_event(tmp_path, "a", "done")
    write_event(tmp_path, "a", "failed", "a survivor's last words")
    with open(tmp_path / "cells.jsonl", "a") as handle:
        handle.write('{"key": "b", "event": "do')
    assert read_events(tmp_path) == {"a": ("done", "")}


@pytest.mark.parametrize(
    ("state", "event", "outcome"),
    [
        ("RUNNING", "", "running"),
        ("PENDING", "interrupted", "running"),
        ("UNKNOWN", "", "running"),
        ("A_STATE_OF_THE_FUTURE", "", "running"),
        ("RUNNING", "failed", "failed"),
        ("RUNNING", "lost", "failed"),
        ("NODE_FAIL", "done", "done"),
        ("FAILED", "done", "done"),
        ("FAILED", "started", "failed"),
        ("COMPLETED", "started", "failed"),
        ("FAILED", "interrupted", "interrupted"),
        ("TIMEOUT", "interrupted", "interrupted"),
        ("TIMEOUT", "started", "failed"),
        ("CANCELLED", "interrupted", "failed"),
        ("OUT_OF_MEMORY", "started", "failed"),
        ("PREEMPTED", "started", "interrupted"),
        ("NODE_FAIL", "started", "interrupted"),
        ("GONE", "started", "failed"),
        ("RUNNING", "killed", "running"),
        ("OUT_OF_MEMORY", "killed", "failed"),
        ("NODE_FAIL", "killed", "interrupted"),
        ("GONE", "done", "done"),
    ],
)
def test_what_becomes_of_a_cell(tmp_path, state, event, outcome):
    judge = Judge(grace=0.0, latency=0.0)
    for _ in range(2):  # what is only final if it lasts has lasted on the second look
        judged = judge.judge(tmp_path, CELL["key"], state, (event, ""), settled=True)
    assert judged.kind == outcome
    if outcome == "failed" and event not in ("failed", "lost"):
        assert state in judged.reason


@pytest.mark.parametrize(
    ("state", "event", "alone"),
    [
        ("FAILED", "started", True),
        ("OUT_OF_MEMORY", "", True),
        ("FAILED", "lost", True),
        ("FAILED", "killed", True),
        ("FAILED", "failed", False),
        ("CANCELLED", "started", False),
        ("CANCELLED", "killed", False),
    ],
)
def test_a_cell_may_try_again_alone_when_its_whole_task_died(tmp_path, state, event, alone):
    judge = Judge(grace=0.0, latency=0.0)
    for _ in range(2):
        judged = judge.judge(tmp_path, CELL["key"], state, (event, ""), settled=False)
    assert (judged.kind, judged.alone) == ("failed", alone)


def test_a_cell_shot_down_with_its_task_says_why():
    event = ("killed", "its command died with <Signals.SIGKILL: 9>")
    judge = Judge(grace=0.0, latency=0.0)
    for _ in range(2):
        judged = judge.judge(Path("nowhere"), "a", "OUT_OF_MEMORY", event, settled=True)
    assert judged.alone
    assert "SIGKILL" in judged.reason
    assert "mem_mb" in judged.reason


def test_each_cell_shot_down_in_a_task_that_goes_on_waits_for_the_tasks_end_and_then_tries_again_alone(monkeypatch):
    judge, event, now = Judge(grace=0.0, latency=0.0), ("killed", "SIGKILL"), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def outcome(cell):
        judged = judge.judge(Path("nowhere"), cell, "RUNNING", event, settled=False)
        return judged.kind, judged.alone

    assert outcome("a") == ("running", False)  # the task may be dying
    now[0] += 60
    assert outcome("a") == ("failed", True)
    assert outcome("b") == ("running", False)


def test_the_cells_of_a_dead_task_go_on_together_whichever_of_them_lived_to_report(monkeypatch):
    judge, now = Judge(grace=0.0, latency=10.0), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def outcomes():
        return [judge.judge(Path("nowhere"), cell, "FAILED", (cell, ""), False).kind for cell in ("killed", "started")]

    assert outcomes() == ["running", "running"]
    now[0] += 11
    assert outcomes() == ["failed", "failed"]


@pytest.mark.parametrize(("there", "same", "left"), [(True, True, 0), (False, True, 1), (True, False, 1)])
def test_what_a_survivor_reports_as_done_counts_only_with_its_result(tmp_path, there, same, left):
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    write_event(folders[0], "a.txt", "done")
    if there:
        (tmp_path / "a.txt").touch()
    result = (str(tmp_path / "a.txt"),)
    cell = CellJob("a.txt", "cell:a", ("cell",), (), "", 1, ("a.txt",), str(folders[0]), same, results=result)
    pack = Pack((cell,), "", "", str(tmp_path), str(folders[1]), 1.0)
    pack.outlast()
    assert len(pack.left()) == left


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CalledProcessError: Command 'train' returned non-zero exit status 137.", "killed"),
        ("CalledProcessError: Command 'train' died with <Signals.SIGKILL: 9>.", "killed"),
        ("CalledProcessError: Command 'train' died with <Signals.SIGSEGV: 11>.", "failed"),
        ("CalledProcessError: Command 'train' returned non-zero exit status 1.", "failed"),
        ("CalledProcessError: Command 'train' returned non-zero exit status 75.", "interrupted"),
    ],
)
def test_how_a_command_ended_says_whose_doing_it_was(tmp_path, text, kind):
    assert CellReporter(tmp_path, {}).kind_of_failure(text) == kind
    (tmp_path / "making-room").touch()
    assert CellReporter(tmp_path, {}).kind_of_failure(text) == "interrupted"


def test_ctrl_c_ends_the_processes_of_a_local_run_and_the_next_one_goes_on(tmp_path):
    cells = {"a": {"steps": 40, "seconds": 0.5, "every": 1000}}
    command = sweep_command(tmp_path, "local", cells)
    driver = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    diary = tmp_path / "diary" / "a"
    end = time.monotonic() + 120
    while not diary.exists() and time.monotonic() < end:
        time.sleep(0.2)
    os.killpg(driver.pid, signal.SIGINT)
    assert driver.wait(60) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(json.loads(diary.read_text().splitlines()[0])["pid"], 0)
    assert run_sweep(tmp_path, "local", cells).returncode == 0
    assert [json.loads(line)["what"] for line in diary.read_text().splitlines()][-1] == "end"


def test_a_report_that_is_late_is_waited_for_and_a_requeue_too(tmp_path):
    judge = Judge(grace=100.0, latency=100.0)
    assert judge.judge(tmp_path, CELL["key"], "COMPLETED", ("started", ""), settled=True).kind == "running"
    assert judge.judge(tmp_path, CELL["key"], "COMPLETED", ("done", ""), settled=True).kind == "done"
    assert judge.judge(tmp_path, CELL["key"], "NODE_FAIL", ("started", ""), settled=True).kind == "running"
    assert judge.judge(tmp_path, CELL["key"], "PENDING", ("started", ""), settled=True).kind == "running"


def test_resources_become_a_request():
    settings = ExecutorSettings(partition="cpu", account="lab", gpu_type="a100", extra="--nice=5")
    asked = parameters(
        {"mem_mb": 1000, "runtime": 30, "gpu": 1, "slurm_partition": "gpu", "slurm_extra": "--exclusive"},
        [2, 2, 2],
        settings,
    )
    assert asked == {
        "cpus_per_task": 6,
        "time": 30,
        "signal_delay_s": 120,
        "array_parallelism": 256,
        "mem": "3500MB",
        "gpus_per_node": "a100:1",
        "partition": "gpu",
        "account": "lab",
        "additional_parameters": {"nice": "5", "exclusive": True},
    }


@pytest.mark.parametrize(("minutes", "wanted", "delay"), [(60, 120, 120), (3, 120, 60), (1, 120, 1), (2, 600, 1)])
def test_the_signal_does_not_come_before_the_task_is_up(minutes, wanted, delay):
    assert signal_delay(minutes, wanted) == delay


def test_extra_parameters_must_be_parameters():
    with pytest.raises(ValueError, match="--name=value"):
        parse_extra("nice=5")


@pytest.mark.parametrize(("needed", "asked"), [(1, 128), (468, 512), (512, 512), (513, 640), (9000, 10240)])
def test_memory_is_rounded_up_so_that_similar_cells_share_an_array(needed, asked):
    assert memory_class(needed) == asked
