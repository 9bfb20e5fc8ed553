"""sbatch and its answers: a stand-in for the command (the tests in tests/slurm use the real one)."""

import os
import subprocess
from pathlib import Path

import pytest
from snakemake_executor_plugin_submitit import slurm
from snakemake_executor_plugin_submitit.commands import environment, run, tasks_of, time_limits
from snakemake_executor_plugin_submitit.errors import LimitedError, RefusedError
from snakemake_executor_plugin_submitit.slurm import SlurmCluster, array_of, script
from snakemake_executor_plugin_submitit.task import Pack, PackedJob

FAILED = "sbatch: error: Batch job submission failed: "
PASSING = [
    FAILED + "Unable to contact slurm controller (connect failure)",
    FAILED + "Socket timed out on send/recv operation",
    "sbatch: error: slurm_receive_msg: " + "Zero Bytes were transmitted or received",
    FAILED + "Unexpected message received",
    FAILED + "Transport endpoint is not connected",
    "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
    FAILED + "Resource temporarily unavailable",
    FAILED + "Connection refused",
    FAILED + "Connection reset by peer",
    FAILED + "Communication connection failure",
    FAILED + "Slurm backup controller in standby mode",
    FAILED + "No route to host",
    FAILED + "Protocol authentication error",
    FAILED + "Rate limit exceeded, please retry momentarily",
    FAILED + "Message receive failure",
    FAILED + "Header lengths are longer than data received",
    FAILED + "I/O error writing script/environment to file",
]
LIMITED = [
    "sbatch: error: AssocMaxSubmitJobLimit\n"
    + FAILED
    + "Job violates accounting/QOS policy (job submit limit, user's size)",
    "sbatch: error: QOSMaxSubmitJobPerUserLimit\n" + FAILED + "Job violates accounting/QOS policy",
    "sbatch: error: AssocGrpSubmitJobsLimit\n" + FAILED + "Job violates accounting/QOS policy",
    "sbatch: error: AssocGrpJobsLimit\n" + FAILED + "Job violates accounting/QOS policy",
    "sbatch: error: QOSMaxJobsPerUserLimit\n" + FAILED + "Job violates accounting/QOS policy",
    FAILED + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
]
REFUSED = [
    FAILED + "Invalid account or account/partition combination specified",
    "sbatch: error: invalid partition specified: nowhere\n" + FAILED + "Invalid partition name specified",
    FAILED + "Requested node configuration is not available",
    FAILED + "Invalid qos specification",
    FAILED + "Requested time limit is invalid (missing or exceeds some limit)",
    "sbatch: error: Memory specification can not be satisfied",
    # Slurm's sentence is the same for limits that no waiting helps against
    "sbatch: error: QOSMaxWallDurationPerJobLimit\n"
    + FAILED
    + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
    "sbatch: error: AssocMaxCpuPerJobLimit\n"
    + FAILED
    + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A folder of stand-ins for Slurm's commands, first on the path; returns a function that writes one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(name, body):
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)

    return write


def submit(tmp_path, tasks=2):
    """One submission through the stand-ins, without waiting between tries."""
    cluster = SlurmCluster(3, 120, 256, "python")
    cluster.stop.wait = lambda seconds: False
    folder = tmp_path / "submission"
    folder.mkdir()
    pack = Pack((PackedJob("/a", (("a", {}),), ("a:",)),), (), (), {}, "", str(tmp_path), str(folder / "0"), 1.0)
    return cluster.submit(folder, [pack] * tasks, {"cpus-per-task": 1}, "name", "a comment")


@pytest.mark.parametrize("message", PASSING, ids=lambda text: text.splitlines()[0][-40:])
def test_what_passes_is_tried_again_until_it_is_taken(tmp_path, stand_in, message):
    again = tmp_path / "tried"
    (tmp_path / "message").write_text(message)
    stand_in("sbatch", f"[ -e {again} ] && {{ echo 12; exit; }}; touch {again}; cat {tmp_path}/message >&2; exit 1")
    stand_in("squeue", "exit 0")
    assert submit(tmp_path) == ["12_0", "12_1"]


@pytest.mark.parametrize("message", LIMITED, ids=lambda text: text.splitlines()[0][-40:])
def test_a_limit_of_jobs_is_no_refusal(tmp_path, stand_in, message):
    (tmp_path / "message").write_text(message)
    stand_in("sbatch", f"cat {tmp_path}/message >&2; exit 1")
    with pytest.raises(LimitedError):
        submit(tmp_path)


@pytest.mark.parametrize("message", REFUSED, ids=lambda text: text.splitlines()[0][-40:])
def test_a_refusal_is_told_at_once_with_slurms_words(tmp_path, stand_in, message):
    (tmp_path / "message").write_text(message)
    stand_in("sbatch", f"echo x >> {tmp_path}/calls; cat {tmp_path}/message >&2; exit 1")
    with pytest.raises(RefusedError, match=message.split(": ")[-1].split(" (")[0]):
        submit(tmp_path)
    assert (tmp_path / "calls").read_text() == "x\n"


def test_an_answer_that_was_lost_is_found_by_its_mark_and_not_submitted_twice(tmp_path, stand_in):
    stand_in("sbatch", f"echo x >> {tmp_path}/calls; echo 'Socket timed out' >&2; exit 1")
    stand_in("squeue", "echo '11|another one'; echo '17|submission a comment'")
    assert submit(tmp_path) == ["17_0", "17_1"]
    assert (tmp_path / "calls").read_text() == "x\n"


def test_a_controller_that_never_takes_it_is_given_up(tmp_path, stand_in, monkeypatch):
    monkeypatch.setattr(slurm, "RETRY_SECONDS", 0.2)
    stand_in("sbatch", "echo 'Socket timed out' >&2; exit 1")
    stand_in("squeue", "exit 0")
    with pytest.raises(RefusedError, match="Socket timed out"):
        submit(tmp_path)


@pytest.mark.parametrize(
    ("answer", "array"),
    [
        ("15", "15"),
        ("15;east\n", "15"),
        ("Welcome! job 7 running\n4 nodes are idle\n15\n", "15"),
        ("15\nsite: job 7 running\n", "15"),
        ("2026\n15\n", None),
        ("15\n4\n", None),
        ("Welcome! job 7 running\n", None),
        ("", None),
    ],
)
def test_a_sites_banner_is_not_taken_for_an_answer(answer, array):
    assert array_of(answer) == array


def test_an_answer_among_other_numbers_is_found_by_its_mark(tmp_path, stand_in):
    stand_in("sbatch", f"echo x >> {tmp_path}/calls; echo 2026; echo 17; echo 4")
    stand_in("squeue", "echo '4|another one'; echo '17|submission a comment'")
    assert submit(tmp_path) == ["17_0", "17_1"]
    assert (tmp_path / "calls").read_text() == "x\n"


def test_time_limits_of_partitions_are_minutes(stand_in):
    stand_in("sinfo", "echo 10:00:00; echo 30:00; echo 2-12:00:00; echo infinite; echo 'sinfo: hello'")
    assert time_limits() == {600, 30, 3600}
    stand_in("sinfo", "exit 1")
    assert time_limits() == set()


def test_nothing_of_a_job_reaches_slurms_commands_and_a_site_cannot_empty_the_tasks_environment(
    monkeypatch, tmp_path, stand_in
):
    foreign = {"SLURM_MEM_PER_NODE", "SLURM_NTASKS", "SLURM_CPU_BIND", "SBATCH_EXPORT", "SBATCH_WAIT"}
    foreign |= {"SQUEUE_PARTITION", "SQUEUE_STATES", "SACCT_FORMAT", "SCANCEL_INTERACTIVE", "SINFO_PARTITION"}
    for name in foreign:
        monkeypatch.setenv(name, "stale")
    monkeypatch.setenv("SLURM_CONF", "/etc/here")
    monkeypatch.setenv("SBATCH_PARTITION", "users")
    kept = environment()
    assert not foreign & set(kept)
    assert (kept["SLURM_CONF"], kept["SBATCH_PARTITION"]) == ("/etc/here", "users")
    stand_in("sbatch", f'printf "%s\\n" "$@" > {tmp_path}/words; echo 3')
    submit(tmp_path)
    words = (tmp_path / "words").read_text().splitlines()
    assert "--export=ALL" in words
    assert not any(word.startswith("--wckey") for word in words)
    assert "--job-name=name" in words
    assert "--comment=submission a comment" in words


def test_a_command_that_is_not_there_is_an_answer_too():
    assert run("no-such-command-of-slurm").returncode == 127


def test_what_stands_in_a_path_is_not_evaluated_by_the_batch_script(tmp_path):
    folder = tmp_path / "it's $(touch EXECUTED) `touch EXECUTED`"
    folder.mkdir()
    (tmp_path / "srun").write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    for mpi, program in ((False, "python"), (True, "echo")):
        (tmp_path / "run.sh").write_text(script(folder, program, mpi))
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "run.sh"], cwd=tmp_path, capture_output=True, text=True, check=True, env=environment
        )
        assert str(folder) in done.stdout
        assert not list(tmp_path.rglob("EXECUTED"))


def test_pickles_may_hold_secrets_and_are_the_users_alone(tmp_path, stand_in):
    stand_in("sbatch", "echo 3")
    submit(tmp_path)
    modes = {Path(path).stat().st_mode & 0o777 for path in tmp_path.rglob("*.pkl")}
    assert modes == {0o600}


def test_a_line_of_slurms_stands_for_many_tasks():
    assert tasks_of("5_[0,3-4%10]") == ["5_0", "5_3", "5_4"]
    assert tasks_of("5.0") == []
