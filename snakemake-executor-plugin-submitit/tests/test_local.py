"""Whole workflows on the clusters of this machine."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from snakemake_executor_plugin_submitit.clusters import LocalCluster
from snakemake_executor_plugin_submitit.events import read_events
from snakemake_executor_plugin_submitit.ledger import Ledger
from snakemake_executor_plugin_submitit.settings import ExecutorSettings
from snakemake_executor_plugin_submitit.task import Pack, PackedJob
from sweeps import diary, entries, run_sweep, run_workflow, snakemake, sweep_command


@pytest.mark.parametrize(("cluster", "name"), [("local", "plain"), ("debug", "it's $(touch EXECUTED)")])
def test_only_the_bad_job_is_left_to_do(tmp_path, cluster, name):
    folder = tmp_path / name
    folder.mkdir()
    cells = {"a": {"steps": 1}, "b": {"steps": 1}, "bad": {"fault": "exception"}}
    done = run_sweep(folder, cluster, cells, pack=2)
    assert done.returncode != 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.txt", "b.txt"]
    outcomes = {key: (entry.outcome, entry.status) for key, entry in entries(folder).items()}
    assert outcomes == {"out/a.txt": ("done", None), "out/b.txt": ("done", None), "out/bad.txt": ("failed", 1)}
    (folder / "repaired").touch()
    again = run_sweep(folder, cluster, cells, pack=2)
    assert again.returncode == 0, again.stderr
    assert {cell: diary(folder, cell).count("start") for cell in cells} == {"a": 1, "b": 1, "bad": 2}
    assert not list((folder / ".snakemake/submitit").glob("*/*/*")), "folders of finished tasks are left"
    assert not list(tmp_path.rglob("EXECUTED"))


# In place of Snakemake: works until it is told to make room, and is done when it is started again.
PATIENT = """
import signal, sys, time
from pathlib import Path
from snakemake_executor_plugin_submitit.events import Event, write_event
folder = Path(sys.argv[1])
again = (folder / "state").exists()
def save(number, frame):
    (folder / "state").touch()
    sys.exit(1)
signal.signal(signal.SIGUSR2, save)
write_event(folder, "/w/a.txt", Event("started"))
time.sleep(0 if again else 60)
write_event(folder, "/w/a.txt", Event("done"))
"""


def test_a_local_task_saves_its_state_at_its_time_limit_and_goes_on(tmp_path):
    (tmp_path / "program.py").write_text(PATIENT)
    program, folder = (sys.executable, str(tmp_path / "program.py")), tmp_path / "submission"
    job = PackedJob("/w/a.txt", (("a", {}),), ("a:",))
    pack = Pack((job,), program, (), {}, "", str(tmp_path), str(folder / "0"), grace=5.0, resumable=True)
    cluster = LocalCluster(requeues=3, delay=120)
    [name] = cluster.submit(folder, [pack], {"time": 1 / 10, "resumable": True}, "name", "comment")
    wait_for(lambda: cluster.states([name], "")[name] == "COMPLETED")
    assert read_events(folder / "0")["/w/a.txt"].kind == "done"
    assert (folder / "0" / "state").exists()
    lines = (folder / "0" / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["started", "interrupted", "started", "done"]


@pytest.mark.soak
@pytest.mark.skipif("LMRNN_SOAK_KILLS" not in os.environ, reason="takes more than a minute: make soak")
def test_a_local_cell_saves_its_state_at_its_time_limit_of_a_minute_and_goes_on(tmp_path):
    done = run_sweep(tmp_path, "local", {"long": {"steps": 66, "seconds": 1, "every": 1000}}, runtime=1)
    assert done.returncode == 0, done.stderr
    assert diary(tmp_path, "long") == ["start", "interrupted", "start", "end"]


def test_snakemake_finds_the_executor_and_explains_its_settings():
    shown = subprocess.run([sys.executable, "-m", "snakemake", "--help"], capture_output=True, text=True, check=True)
    assert "submitit executor plugin settings" in shown.stdout
    for name in ExecutorSettings.__dataclass_fields__:
        assert f"--submitit-{name.replace('_', '-')}" in shown.stdout


def test_reading_a_ledger_needs_no_submitit_and_importing_the_plugin_is_quick():
    code = (
        "import time, sys; start = time.process_time(); import snakemake_executor_plugin_submitit as plugin; "
        "took = time.process_time() - start; assert took < 1, took; "
        "import snakemake_executor_plugin_submitit.ledger; assert 'submitit' not in sys.modules; print(took)"
    )
    best = min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )
    assert best < 0.2


def test_ctrl_c_ends_the_processes_of_a_local_run_and_the_next_one_goes_on(tmp_path):
    driver = start(sweep_command(tmp_path, "local", {"a": {"steps": 40, "seconds": 0.5, "every": 1000}}), tmp_path)
    wait_for((tmp_path / "diary" / "a").exists)
    os.killpg(driver.pid, signal.SIGINT)
    time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGINT)  # an impatient hand
    assert driver.wait(60) != 0
    pid = json.loads((tmp_path / "diary" / "a").read_text().splitlines()[0])["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    quicker = {"a": {"steps": 40, "seconds": 0.01}}
    assert run_sweep(tmp_path, "local", quicker).returncode == 0
    assert diary(tmp_path, "a") == ["start", "interrupted", "start", "end"]


def start(command, folder):
    """A driver in a session of its own, which hears SIGINT as a user's shell lets it."""
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(what, seconds=120):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


SLOW = """
rule all:
    input: "same.txt", "edited.txt", "software.txt"
rule same:
    output: "same.txt"
    params: one=object()  # each Snakemake has its own
    conda: "same.yaml"
    shell: "echo same >> same; sleep 8; echo same > {{output}}"
rule software:
    output: "software.txt"
    conda: "software.yaml"
    shell: "echo x >> software; sleep 8; touch {{output}}"
rule edited:
    output: "edited.txt"
    shell: "echo {word} >> edited; sleep 8; echo {word} > {{output}}"
"""


def test_a_restarted_driver_takes_over_what_is_still_the_same_and_nothing_else(tmp_path):
    (tmp_path / "Snakefile").write_text(SLOW.format(word="old"))
    for name in ("same", "software"):
        (tmp_path / f"{name}.yaml").write_text("dependencies: [python=3.11]")
    driver = start(snakemake("local"), tmp_path)
    wait_for(lambda: all((tmp_path / name).exists() for name in ("same", "edited", "software")))
    driver.kill()
    driver.wait()
    (tmp_path / "software.yaml").write_text("dependencies: [python=3.12]")
    (tmp_path / ".snakemake" / "locks").rename(tmp_path / "locks")  # as --unlock does
    done = run_workflow(tmp_path, SLOW.format(word="new"), "--rerun-incomplete")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "edited.txt").read_text() == "new\n"
    assert (tmp_path / "same").read_text().split() == ["same"]
    assert (tmp_path / "edited").read_text().split() == ["old", "new"]
    assert (tmp_path / "software").read_text().split() == ["x", "x"]


def test_two_workflows_with_one_folder_leave_each_other_alone(tmp_path):
    shared, first, second = tmp_path / "shared", tmp_path / "first", tmp_path / "second"
    drivers = []
    for folder in (first, second):
        folder.mkdir()
        (folder / "Snakefile").write_text(SLOW.format(word="slow"))
        drivers.append(start(snakemake("local", "--submitit-folder", str(shared), "edited.txt"), folder))
    wait_for(lambda: (first / "edited").exists() and (second / "edited").exists())
    os.killpg(drivers[0].pid, signal.SIGINT)
    assert drivers[0].wait(60) != 0
    assert drivers[1].wait(60) == 0
    assert (second / "edited.txt").exists()
    found = Ledger(shared).replay()[0]
    assert found[str(first / "edited.txt")].outcome == "interrupted"
    assert found[str(second / "edited.txt")].outcome == "done"
