"""What becomes of a job, from its task's state and its own report; and what a command's end means."""

import subprocess
import time
from pathlib import Path

import pytest
from snakemake_executor_plugin_submitit.events import Event, read_events, write_event
from snakemake_executor_plugin_submitit.nested import Reporter, ending
from snakemake_executor_plugin_submitit.outcome import Judge
from snakemake_executor_plugin_submitit.states import STATES, meaning
from snakemake_executor_plugin_submitit.task import Pack, PackedJob

KEY = "/w/out/a.txt"
# state, event, outcome of a job that asks to go on, and of one that does not
TABLE = [
    ("RUNNING", "", "running", "running"),
    ("PENDING", "interrupted", "running", "running"),
    ("UNKNOWN", "", "running", "running"),
    ("A_STATE_OF_THE_FUTURE", "", "running", "running"),
    ("RUNNING", "failed", "failed", "failed"),
    ("RUNNING", "lost", "failed", "failed"),
    ("NODE_FAIL", "done", "done", "done"),
    ("FAILED", "done", "done", "done"),
    ("FAILED", "started", "failed", "failed"),
    ("COMPLETED", "started", "failed", "failed"),
    ("FAILED", "interrupted", "interrupted", "failed"),
    ("TIMEOUT", "interrupted", "interrupted", "failed"),
    ("TIMEOUT", "started", "failed", "failed"),
    ("TIMEOUT", "killed", "failed", "failed"),
    ("CANCELLED", "interrupted", "failed", "failed"),
    ("OUT_OF_MEMORY", "started", "failed", "failed"),
    ("PREEMPTED", "started", "interrupted", "failed"),
    ("NODE_FAIL", "started", "interrupted", "failed"),
    ("BOOT_FAIL", "", "interrupted", "failed"),
    ("GONE", "started", "failed", "failed"),
    ("RUNNING", "killed", "running", "running"),
    ("PENDING", "killed", "running", "running"),
    ("OUT_OF_MEMORY", "killed", "failed", "failed"),
    ("NODE_FAIL", "killed", "interrupted", "failed"),
    ("GONE", "done", "done", "done"),
]


@pytest.mark.parametrize(("state", "event", "resumed", "plain"), TABLE)
@pytest.mark.parametrize("resumable", [True, False])
def test_what_becomes_of_a_job(tmp_path, state, event, resumed, plain, resumable):
    judge = Judge(grace=0.0, latency=0.0)
    for _ in range(2):  # what is only final if it lasts has lasted on the second look
        judged = judge.judge(tmp_path, KEY, state, Event(event), True, resumable)
    assert judged.kind == (resumed if resumable else plain)
    if judged.kind == "failed" and event not in ("failed", "lost"):
        assert state in judged.reason


def test_no_state_but_a_report_is_success():
    judge = Judge(grace=0.0, latency=0.0)
    for state in [*STATES, "NONE_OF_THESE", ""]:
        for _ in range(2):
            assert judge.judge(Path("nowhere"), KEY, state, Event(), True).kind != "done"
        assert meaning(state).advice or judge.judge(Path("nowhere"), KEY, state, Event(), True).kind in (
            "running",
            "failed",
        )


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
def test_a_job_may_try_again_alone_when_its_whole_task_died(tmp_path, state, event, alone):
    judge = Judge(grace=0.0, latency=0.0)
    for _ in range(2):
        judged = judge.judge(tmp_path, KEY, state, Event(event), settled=False)
    assert (judged.kind, judged.alone) == ("failed", alone)


def test_a_job_shot_down_with_its_task_says_why():
    event = Event("killed", "its command was ended by signal 9", signal=9)
    judge = Judge(grace=0.0, latency=0.0)
    for _ in range(2):
        judged = judge.judge(Path("nowhere"), "a", "OUT_OF_MEMORY", event, settled=True)
    assert (judged.alone, judged.signal) == (True, 9)
    assert "signal 9" in judged.reason
    assert "mem_mb" in judged.reason


def test_each_job_shot_down_in_a_task_that_goes_on_waits_for_the_tasks_end_and_then_tries_again_alone(monkeypatch):
    judge, event, now = Judge(grace=0.0, latency=0.0), Event("killed", "SIGKILL"), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def outcome(job):
        judged = judge.judge(Path("nowhere"), job, "RUNNING", event, settled=False)
        return judged.kind, judged.alone

    assert outcome("a") == ("running", False)  # the task may be dying
    now[0] += 60
    assert outcome("a") == ("failed", True)
    assert outcome("b") == ("running", False)


def test_the_jobs_of_a_dead_task_go_on_together_whichever_of_them_lived_to_report(monkeypatch):
    judge, now = Judge(grace=0.0, latency=10.0), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def outcomes():
        return [judge.judge(Path("nowhere"), job, "FAILED", Event(job), False).kind for job in ("killed", "started")]

    assert outcomes() == ["running", "running"]
    now[0] += 11
    assert outcomes() == ["failed", "failed"]


def test_a_report_that_is_late_is_waited_for_and_a_requeue_too(tmp_path):
    judge = Judge(grace=100.0, latency=100.0)
    for resumable in (True, False):
        assert judge.judge(tmp_path, KEY, "COMPLETED", Event("started"), True, resumable).kind == "running"
        assert judge.judge(tmp_path, KEY, "COMPLETED", Event("done"), True, resumable).kind == "done"
        assert judge.judge(tmp_path, KEY, "NODE_FAIL", Event("started"), True, resumable).kind == "running"
        assert judge.judge(tmp_path, KEY, "PENDING", Event("started"), True, resumable).kind == "running"


@pytest.mark.parametrize(("there", "same", "left"), [(True, True, 0), (False, True, 1), (True, False, 1)])
def test_what_a_survivor_reports_as_done_counts_only_with_its_result(tmp_path, there, same, left):
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    write_event(folders[0], KEY, Event("done"))
    if there:
        (tmp_path / "a.txt").touch()
    job = PackedJob(
        KEY, (("cell", {}),), ("cell:",), results=(str(tmp_path / "a.txt"),), earlier=str(folders[0]), same=same
    )
    pack = Pack((job,), (), (), {}, "", str(tmp_path), str(folders[1]), 1.0)
    pack.outlast()
    assert len(pack.left("done")) == left


@pytest.mark.parametrize(
    ("code", "resumed", "plain"),
    [
        (137, "killed", "killed"),
        (-9, "killed", "killed"),
        (-11, "failed", "failed"),
        (1, "failed", "failed"),
        (75, "interrupted", "failed"),
        (143, "interrupted", "killed"),
        (140, "interrupted", "killed"),
        (-15, "interrupted", "killed"),
    ],
)
@pytest.mark.parametrize("resumable", [True, False])
def test_how_a_command_ended_says_whose_doing_it_was(tmp_path, code, resumed, plain, resumable):
    error = RuntimeError("a rule failed")
    error.__context__ = subprocess.CalledProcessError(code, "train")
    event = Reporter(tmp_path, {}, resumable=resumable).event_of("any words at all", error)
    assert event.kind == (resumed if resumable else plain)
    assert (event.status, event.signal) == ((code, None) if code >= 0 else (None, -code))
    (tmp_path / "making-room").touch()
    room = Reporter(tmp_path, {}, resumable=resumable).event_of("any words at all", error)
    assert room.kind == ("interrupted" if resumable else plain)


def test_an_exit_status_is_found_however_deep_it_lies():
    error = subprocess.CalledProcessError(3, "x")
    for _ in range(5):
        outer = RuntimeError("wrapped")
        outer.__cause__, error = error, outer
    assert ending(error) == (3, None)
    circle = RuntimeError("a")
    circle.__context__ = RuntimeError("b")
    circle.__context__.__context__ = circle
    assert ending(circle) == (None, None)


class Record:
    """A log record of Snakemake's."""

    def __init__(self, **fields):
        self.levelno = 20
        self.__dict__.update(fields)


def test_a_job_is_known_by_rule_and_wildcards_and_a_group_ends_with_its_last_job(tmp_path):
    jobs = {"/single": [("a", {"x": "1"})], "/group": [("b", {}), ("c", {"x": "1"})]}
    reporter = Reporter(tmp_path, jobs)
    for number, (rule, wildcards) in enumerate([("a", {"x": "1"}), ("b", None), ("c", {"x": "1"}), ("other", {})]):
        reporter.started(Record(jobid=number, rule_name=rule, wildcards=wildcards))
    reporter.done(0)
    reporter.failed(Record(jobid=1))
    assert {key: event.kind for key, event in read_events(tmp_path).items()} == {"/single": "done", "/group": "started"}
    reporter.done(2)
    reporter.close_down(False)
    assert read_events(tmp_path)["/group"].kind == "failed"


@pytest.mark.parametrize(("well", "kind"), [(True, "done"), (False, "failed")])
def test_outputs_for_a_storage_are_there_once_snakemake_has_ended(tmp_path, well, kind):
    reporter = Reporter(tmp_path, {"/stored": [("a", {})]}, frozenset({"/stored"}))
    reporter.started(Record(jobid=0, rule_name="a", wildcards={}))
    reporter.done(0)
    assert read_events(tmp_path)["/stored"].kind == "started"
    reporter.close_down(well)
    assert read_events(tmp_path)["/stored"].kind == kind
