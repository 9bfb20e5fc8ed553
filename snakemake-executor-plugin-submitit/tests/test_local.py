"""Whole workflows on the clusters of this machine."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from snakemake_executor_plugin_submitit.ledger import Ledger
from snakemake_executor_plugin_submitit.settings import ExecutorSettings
from sweeps import diary, entries, run_sweep, run_workflow, sweep_command


@pytest.mark.parametrize("cluster", ["local", "debug"])
def test_only_the_bad_job_is_left_to_do(tmp_path, cluster):
    cells = {"a": {"steps": 1}, "b": {"steps": 1}, "bad": {"fault": "exception"}}
    done = run_sweep(tmp_path, cluster, cells, pack=2)
    assert done.returncode != 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "b.txt"]
    outcomes = {key: (entry.outcome, entry.status) for key, entry in entries(tmp_path).items()}
    assert outcomes == {"out/a.txt": ("done", None), "out/b.txt": ("done", None), "out/bad.txt": ("failed", 1)}
    (tmp_path / "repaired").touch()
    again = run_sweep(tmp_path, cluster, cells, pack=2)
    assert again.returncode == 0, again.stderr
    assert {cell: diary(tmp_path, cell).count("start") for cell in cells} == {"a": 1, "b": 1, "bad": 2}
    assert not list((tmp_path / ".snakemake/submitit").glob("*/*/*")), "folders of finished tasks are left"


def test_a_local_task_saves_its_state_at_its_time_limit_and_goes_on(tmp_path):
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
    cells = {"a": {"steps": 40, "seconds": 0.5, "every": 1000}}
    command = sweep_command(tmp_path, "local", cells)
    driver = start(command, tmp_path)
    wait_for((tmp_path / "diary" / "a").exists)
    os.killpg(driver.pid, signal.SIGINT)
    time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGINT)  # an impatient hand
    assert driver.wait(60) != 0
    pid = json.loads((tmp_path / "diary" / "a").read_text().splitlines()[0])["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert run_sweep(tmp_path, "local", cells).returncode == 0
    assert diary(tmp_path, "a")[-1] == "end"


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


ODD = """
envvars: "ODD"
rule all:
    input: "results/r'$(touch EXECUTED)/b `touch EXECUTED` ü.txt"
rule a:
    output: "results/r'$(touch EXECUTED)/a.txt"
    shell: "printf %s \\"$ODD\\" > {output:q}"
rule b:
    input: "results/r'$(touch EXECUTED)/a.txt"
    output: "results/r'$(touch EXECUTED)/b {name} ü.txt"
    shell: "cp {input:q} {output:q}"
"""


@pytest.mark.parametrize("cluster", ["local", "debug"])
def test_nothing_of_a_name_a_setting_or_a_variable_is_executed(tmp_path, cluster):
    value = 'it\'s `touch EXECUTED` $(touch EXECUTED) "x" \\n'
    folder = tmp_path / "it's $(touch EXECUTED)"
    done = run_workflow(folder, ODD, "--config", "text=it's $(touch EXECUTED)", cluster=cluster, ODD=value)
    assert done.returncode == 0, done.stderr
    assert (folder / "results/r'$(touch EXECUTED)/b `touch EXECUTED` ü.txt").read_text() == value
    assert not list(tmp_path.rglob("EXECUTED"))


MANY = """
INPUTS = [f"in/{'x' * 80}{i}.txt" for i in range(3000)]
rule all:
    input: INPUTS
    output: "all.txt"
    run:
        with open(output[0], "w") as out:
            print(len(input), file=out)
"""


def test_three_thousand_inputs_are_no_more_than_a_command_line_takes(tmp_path):
    (tmp_path / "in").mkdir()
    for index in range(3000):
        (tmp_path / "in" / f"{'x' * 80}{index}.txt").touch()
    done = run_workflow(tmp_path, MANY)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "all.txt").read_text() == "3000\n"


RETRIES = """
rule a:
    output: "a.txt"
    retries: 2
    resources: runtime=lambda wildcards, attempt: 10 * attempt, mem_mb=lambda wildcards, attempt: 100 * attempt
    shell: "echo {resources.runtime} >> tries; [ $(wc -l < tries) = 3 ] && touch {output}"
"""


def test_a_rules_retries_are_the_drivers_each_with_resources_of_its_own(tmp_path):
    done = run_workflow(tmp_path, RETRIES)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tries").read_text().split() == ["10", "20", "30"]


STATUS = """
rule a:
    output: "a.txt"
    resources: resumable={resumable}
    shell: "echo x >> tries; [ $(wc -l < tries) -ge 3 ] && touch {{output}} || exit {status}"
"""


@pytest.mark.parametrize(("resumable", "status", "tries"), [(0, 75, 1), (0, 140, 1), (0, 1, 1), (1, 75, 3), (1, 1, 1)])
def test_a_job_goes_on_after_an_interruption_only_where_its_rule_asks_for_it(tmp_path, resumable, status, tries):
    done = run_workflow(tmp_path, STATUS.format(resumable=resumable, status=status))
    assert (done.returncode == 0) == (tries == 3)
    assert (tmp_path / "tries").read_text().count("x") == tries
    if tries == 1:
        assert entries(tmp_path)["a.txt"].status == status


BACKGROUND = """
rule a:
    output: "a.txt"
    shell: "sleep 300 & echo $! > pid; touch {output}"
"""


def test_what_a_job_leaves_in_the_background_ends_with_it_and_costs_it_nothing(tmp_path):
    started = time.monotonic()
    done = run_workflow(tmp_path, BACKGROUND)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 40
    pid = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


EDITED = """
rule a:
    output: "a.txt"
    shell: "echo {word} >> diary; sleep 6; echo {word} > {{output}}"
"""


@pytest.mark.parametrize(("word", "runs"), [("old", 1), ("new", 2)])
def test_a_restarted_driver_takes_over_what_is_still_the_same_and_nothing_else(tmp_path, word, runs):
    (tmp_path / "Snakefile").write_text(EDITED.format(word="old"))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--executor",
        "submitit",
        "--submitit-cluster",
        "local",
        "--jobs",
        "1",
    ]
    driver = start([*command, "--submitit-poll-interval", "0.5"], tmp_path)
    wait_for((tmp_path / "diary").exists)
    driver.kill()
    driver.wait()
    unlock = subprocess.run([*command, "--unlock"], cwd=tmp_path, capture_output=True, check=True)
    assert unlock.returncode == 0
    done = run_workflow(tmp_path, EDITED.format(word=word), "--rerun-incomplete")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.txt").read_text() == f"{word}\n"
    assert len((tmp_path / "diary").read_text().split()) == runs


def test_two_workflows_with_one_folder_leave_each_other_alone(tmp_path):
    shared, first, second = tmp_path / "shared", tmp_path / "first", tmp_path / "second"
    slow = EDITED.format(word="slow")
    drivers = []
    for folder in (first, second):
        folder.mkdir()
        (folder / "Snakefile").write_text(slow)
        command = [sys.executable, "-m", "snakemake", "--executor", "submitit", "--submitit-cluster", "local"]
        where = ["--submitit-folder", str(shared), "--submitit-poll-interval", "0.5", "--jobs", "1"]
        drivers.append(start([*command, *where], folder))
    wait_for(lambda: (first / "diary").exists() and (second / "diary").exists())
    os.killpg(drivers[0].pid, signal.SIGINT)
    assert drivers[0].wait(60) != 0
    assert drivers[1].wait(60) == 0
    assert (second / "a.txt").exists()
    found = Ledger(shared).replay()[0]
    assert found[str(first / "a.txt")].outcome == "interrupted"
    assert found[str(second / "a.txt")].outcome == "done"
