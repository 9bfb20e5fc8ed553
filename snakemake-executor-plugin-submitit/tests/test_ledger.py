"""The ledger and the tasks' reports: torn, foreign and hostile lines, two workflows, an earlier version's folder."""

import json
import os
import random

import pytest
from snakemake_executor_plugin_submitit.events import Event, read_events, write_event
from snakemake_executor_plugin_submitit.ledger import Ledger, folder_in_use
from snakemake_executor_plugin_submitit.pruning import prune_all

JOB = {"key": "/w/out/a.txt", "rule": "cell", "log": "logs/a.log"}
KEY = JOB["key"]
HOSTILE = [
    b'{"kind": "end"}',
    b"17",
    b"[1, 2]",
    b"null",
    b'"end"',
    b"NaN",
    b"[" * 100_000,
    b'{"event": ' * 50_000,
    b"\xff\xfe\x00",
    b"\x00" * 50,
    b'{"event": "end"}',
    b'{"event": ["end"], "time": 1}',
    b'{"event": "end", "time": 1, "folder": "f", "index": "0", "key": "/w/out/a.txt", "outcome": "done", "reason": ""}',
    b'{"event": "end", "time": 1, "folder": "f", "index": 0, "key": 7, "outcome": "done", "reason": ""}',
    b'{"event": "end", "time": 1, "folder": "f", "index": 0, "key": "/w/out/a.txt", "outcome": "well", "reason": ""}',
    b'{"event": "end", "time": NaN, "folder": "f", "index": 0, "key": "/w/out/a.txt", "outcome": "done", "reason": ""}',
    b'{"event": "submit", "time": 1, "folder": "../../home", "cluster": "slurm", "tasks": [[]]}',
    b'{"event": "submit", "time": 1, "folder": "g", "cluster": "slurm", "tasks": [[{"key": 1}]]}',
    b'{"event": "submit", "time": 1, "folder": "g", "cluster": "slurm", "tasks": {"a": 1}}',
    b'{"event": "ids", "time": 1, "folder": "f", "ids": [{}]}',
    b'{"event": "states", "time": 1, "states": {"7_0": null}}',
    b'{"event": "refused", "time": 1, "folder": "f"}',
    b'{"event": "states", "time": 1e400, "states": {}}',
    b'{"event": "states", "time": ' + b"9" * 5000 + b', "states": {}}',
]


def full_ledger(folder):
    """A ledger with one event of each kind: a job that is done."""
    ledger = Ledger(folder)
    ledger.append("submit", folder="f", cluster="slurm", workflow="/w", tasks=[[JOB]])
    ledger.append("ids", folder="f", ids=["7_0"])
    ledger.append("states", states={"7_0": "RUNNING"})
    ledger.append("end", folder="f", index=0, key=KEY, outcome="done", reason="", status=None, signal=None)
    ledger.append("submit", folder="g", cluster="slurm", workflow="/w", tasks=[[{**JOB, "key": "/w/out/b.txt"}]])
    ledger.append("refused", folder="g", reason="no such partition")
    return ledger


@pytest.mark.parametrize("line", HOSTILE, ids=lambda line: repr(line[:60]))
def test_a_hostile_line_is_skipped_and_counted(tmp_path, line):
    ledger = full_ledger(tmp_path)
    before = ledger.replay()
    text = ledger.path.read_bytes()
    ledger.path.write_bytes(line + b"\n" + text + line + b"\n")
    assert ledger.replay() == before
    assert ledger.skipped == 2


def test_five_hundred_mutations_of_a_ledger_and_of_reports_are_read_without_an_error(tmp_path):
    draw = random.Random(12)
    ledger = full_ledger(tmp_path)
    write_event(tmp_path, KEY, Event("started"))
    write_event(tmp_path, KEY, Event("failed", "for a reason", 3))
    originals = {path: path.read_bytes() for path in (ledger.path, tmp_path / "events.jsonl")}
    pieces = [
        *HOSTILE[:12],
        b"null",
        b"-1",
        b"[]",
        b"{}",
        b'""',
        b"true",
        b'"\\ud800"',
        b'"\\u0000"',
        b"1e999",
        b"\n",
        b",",
        b"}",
    ]
    for _ in range(500):
        for path, original in originals.items():
            path.write_bytes(mutate(original, pieces, draw))
        entries, submissions = ledger.replay()
        assert set(entries) <= {key for tasks in submissions.values() for task in tasks for key in task.keys}
        for entry in entries.values():
            assert entry.task.path(tmp_path).resolve().is_relative_to(tmp_path.resolve())
            assert (entry.outcome, type(entry.reason), type(entry.since)) == (entry.outcome, str, float)
        assert all(isinstance(event, Event) for event in read_events(tmp_path).values())


def mutate(text, pieces, draw):
    """A few bytes removed, replaced, doubled; or a value of one field replaced by a foreign one."""
    for _ in range(draw.randint(1, 4)):
        start = draw.randrange(len(text) + 1)
        end = min(len(text), start + draw.choice([0, 1, 5, 40]))
        way = draw.randrange(4)
        if way == 0:
            text = text[:start] + draw.choice(pieces)[:200] + text[end:]
        elif way == 1:
            text = text[:start] + bytes(draw.randrange(256) for _ in range(draw.randint(1, 8))) + text[start:]
        elif way == 2:
            text = text[:start] + text[end:]
        else:
            lines = text.splitlines()
            index = draw.randrange(len(lines)) if lines else 0
            lines[index : index + 1] = [foreign(lines[index], draw)] if lines else []
            text = b"\n".join(lines) + b"\n"
    return text


def foreign(line, draw):
    """A record with one of its values replaced."""
    try:
        record = json.loads(line)
        name = draw.choice(sorted(record))
    except (ValueError, TypeError, IndexError, RecursionError):
        return line
    record[name] = draw.choice(
        [None, 0, -1, 1.5, "", "../..", [], {}, [[]], [[{}]], {"a": []}, True, "\ud800", "\0", [None]]
    )
    return json.dumps(record).encode()


def test_a_torn_line_costs_only_itself(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.append("submit", folder="f", cluster="slurm", workflow="/w", tasks=[[JOB]])
    with open(ledger.path, "a") as handle:
        handle.write('{"event": "ids", "time": 1, "fol')
    assert ledger.replay()[0][KEY].task.job_id == ""
    ledger.append("ids", folder="f", ids=["7_0"])
    ledger.append("states", states={"7_0": "RUNNING"})
    task = ledger.replay()[0][KEY].task
    assert (task.job_id, task.state) == ("7_0", "RUNNING")


def test_an_end_of_an_earlier_submission_does_not_end_the_later_one(tmp_path):
    ledger = Ledger(tmp_path)
    for folder in ("first", "second"):
        ledger.append("submit", folder=folder, cluster="slurm", workflow="/w", tasks=[[JOB]])
    ledger.append("end", folder="first", index=0, key=KEY, outcome="failed", reason="late news")
    entry = ledger.replay()[0][KEY]
    assert (entry.outcome, entry.task.folder) == ("open", "second")


def test_equal_names_in_two_workflows_are_two_jobs(tmp_path):
    ledger = Ledger(tmp_path)
    for workflow in ("/one", "/two"):
        job = {**JOB, "key": f"{workflow}/out/a.txt"}
        ledger.append("submit", folder=workflow[1:], cluster="slurm", workflow=workflow, tasks=[[job]])
    ledger.append("end", folder="one", index=0, key="/one/out/a.txt", outcome="done", reason="")
    assert {key: entry.outcome for key, entry in ledger.replay()[0].items()} == {
        "/one/out/a.txt": "done",
        "/two/out/a.txt": "open",
    }


def test_a_ledger_leads_to_no_folder_outside_its_own(tmp_path):
    base, precious = tmp_path / "base", tmp_path / "precious" / "0"
    precious.mkdir(parents=True)
    ledger = Ledger(base)
    for folder in ("../precious", str(tmp_path / "precious"), "a/../../precious"):
        ledger.append("submit", folder=folder, cluster="slurm", tasks=[[JOB]])
        ledger.append("end", folder=folder, index=0, key=KEY, outcome="done", reason="")
    prune_all(base, *ledger.replay())
    assert precious.exists()
    assert ledger.skipped == 3


def test_done_stays_done_in_a_tasks_events(tmp_path):
    write_event(tmp_path, "/a", Event("started"))
    write_event(tmp_path, "/a", Event("done"))
    write_event(tmp_path, "/a", Event("failed", "a survivor's last words", 1))
    with open(tmp_path / "events.jsonl", "a") as handle:
        handle.write('{"job": "/b", "event": "do')
    assert read_events(tmp_path) == {"/a": Event("done")}


def test_the_folder_of_version_0_is_taken_over_with_what_is_open_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old = tmp_path / ".lmrnn" / "dispatch"
    task = old / "20260101" / "x" / "0"
    task.mkdir(parents=True)
    (task / "cells.jsonl").write_text('{"key": "out/a.txt", "event": "started", "reason": "", "time": 1}\n')
    line = {"key": "out/a.txt", "rule": "cell", "log": "", "made": "0123456789ab"}
    record = {"event": "submit", "folder": "20260101/x", "cluster": "slurm", "tasks": [[line]], "time": 1}
    (old / "ledger.jsonl").write_text(json.dumps(record) + "\n")
    base = folder_in_use(None)
    assert base == tmp_path / ".snakemake" / "submitit"
    entry = Ledger(base).replay()[0][str(tmp_path / "out/a.txt")]
    assert (entry.outcome, entry.task.workflow) == ("open", os.getcwd())
    assert read_events(entry.task.path(base)) == {str(tmp_path / "out/a.txt"): Event("started")}
    # a task that still runs writes where it always did
    with open(task / "cells.jsonl", "a") as handle:
        handle.write('{"key": "out/a.txt", "event": "done", "reason": "", "time": 2}\n')
    assert read_events(entry.task.path(base))[str(tmp_path / "out/a.txt")].kind == "done"
    assert folder_in_use(None) == base
