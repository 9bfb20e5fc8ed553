"""What `lmrnn plan` and `lmrnn status` say, against files made for it."""

import fcntl
import io
import json
import os
import re

import pytest
from snakemake_executor_plugin_submitit.ledger import Ledger

from lmrnn.cli.cell_states import Reader, pace
from lmrnn.cli.exits import logged
from lmrnn.cli.main import main
from lmrnn.cli.plan import Cost, cell_seconds, describe, duration, makespan, plan
from lmrnn.cli.status import failures, legend, table
from lmrnn.errors import ConfigError
from lmrnn.files.records import records_file
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from lmrnn.study.moments import left_of_whole
from lmrnn.study.record import note_study
from lmrnn.study.since import with_defaults
from lmrnn.training.run import run_cell
from tests.studies import Study

STUDY = {
    "study": "planned",
    "validation_trials": 5,
    "test_trials": 10,
    "grid": [{"connectivity": ["autapse", "full"], "tasks": [3], "trials_per_task": [8], "seed": [0, 1, 2]}],
    "network": {"neurons": 16},
    "training": {"batch_size": 8, "steps": 100, "evaluate_every": 30},
    "compute": {"threads": 2},
}

SHORT = {
    "grid": [{**STUDY["grid"][0], "connectivity": ["autapse"], "seed": [0, 1]}],
    "training": {"batch_size": 4, "steps": 2, "evaluate_every": 2},
}


@pytest.fixture
def sweep(tmp_path):
    """A complete configuration whose results lie in a folder of the test, and its cells."""
    config = validate_config({**STUDY, "results": str(tmp_path / "results")})
    return config, cells_of(config)


def submit(ledger, cells, results, state="RUNNING", folder="20300101/a"):
    """Enter an array of one task per cell into a ledger."""
    logs = f"{results}/logs/cells"
    lines = [[{"key": str(c.path(results)), "rule": "train_cell", "log": f"{logs}/{c.stem}.log"}] for c in cells]
    ledger.append("submit", folder=folder, cluster="slurm", tasks=lines)
    ids = [f"7_{index}" for index in range(len(cells))]
    ledger.append("ids", folder=folder, ids=ids)
    ledger.append("states", states=dict.fromkeys(ids, state))


def test_the_plan_adds_up(sweep):
    config, cells = sweep
    made = plan(config, cells, 0.01, pack=4, parallel=2, gpus=1)
    assert (made.cells, made.done) == (6, 0)
    assert (made.datasets, made.datasets_done) == (5, 0)  # training data of three seeds, validation, test
    assert (made.dataset_tasks, made.cell_tasks) == (5, 2)
    assert made.hours * 3600 == pytest.approx(6 * 100 * 0.01)
    assert made.core_hours == pytest.approx(2 * made.hours)
    assert made.gpu_hours == pytest.approx(made.hours / 4)
    assert made.wall_hours * 3600 == pytest.approx(3.0)
    assert 0 < made.gigabytes < 0.01


def test_evaluations_count_too(sweep):
    _, cells = sweep
    trials = 3 * (5 * 5 + 2 * 10)  # before the first step, after 30, 60, 90 and 100 steps; the test set twice
    left = left_of_whole(with_defaults(cells[0].spec["training"]))
    assert cell_seconds(cells[0], Cost(step=0.0, trial=1.0), left) == trials


def test_a_cell_that_is_looked_at_again_costs_its_tests_and_more_steps_cost_those_alone(tmp_path):
    def priced(**changes):
        config = validate_config({**STUDY, "results": str(tmp_path), **SHORT, **changes})
        made = plan(config, cells_of(config), lambda cell: Cost(step=1000.0, trial=1.0))
        return made, made.hours * 3600

    config = validate_config({**STUDY, "results": str(tmp_path), **SHORT})
    for cell in cells_of(config):
        run_cell(cell, tmp_path, config["compute"], io.StringIO())
    assert priced()[0].done == 2
    made, seconds = priced(test_trials=20)
    assert (made.tested, made.continued, seconds) == (2, 0, pytest.approx(2 * 3 * 2 * 20))
    line, shared, *_ = describe(made, 1, 1).splitlines()
    assert "0 done, 0 to train" in line
    assert shared.strip() == "2 only to test: a finished cell has their weights"
    assert priced(validation_trials=6)[1] == pytest.approx(2 * 3 * (6 + 2 * 10))  # its last evaluation, too
    longer = {"training": {**SHORT["training"], "steps": 6}}
    made, seconds = priced(**longer)  # evaluated after the fourth and the sixth step, the second is there
    assert (made.tested, made.continued, seconds) == (0, 2, pytest.approx(2 * (4000 + 3 * (2 * 5 + 2 * 10))))
    assert "0 to train\n" + " " * 26 + "2 to go on from a finished cell of fewer steps" in describe(made, 1, 1)
    assert plan(config, cells_of(config), 1.0, rate=1.0).gpu_hours == 0
    made, seconds = priced(training={**longer["training"], "learning_rate": 0.5})  # other weights
    assert (made.tested, made.continued, seconds) == (0, 0, pytest.approx(2 * (6000 + 3 * (4 * 5 + 2 * 10))))
    assert "finished" not in describe(made, 1, 1)


@pytest.mark.parametrize(("jobs", "workers", "seconds"), [([1, 1, 1], 2, 2), ([5, 1, 1], 9, 5), ([], 3, 0)])
def test_wall_clock_is_that_of_workers_taking_turns(jobs, workers, seconds):
    assert makespan(jobs, workers) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(3, "3 s"), (60, "1 min"), (3700, "1 h 1 min"), (90000, "1 d 1 h")])
def test_time_spans_read_well(seconds, text):
    assert duration(seconds) == text


def test_plan_measures_a_step_of_every_kind_of_cell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(json.dumps(STUDY))
    main(["plan", "--config", "study.yaml"])
    lines = capsys.readouterr().out.splitlines()
    measured = [line for line in lines if "ms a step" in line]
    assert [line.split(",")[0].strip() for line in measured] == ["autapse", "full"]
    assert all(float(re.search(r"([\d.]+) ms a step", line)[1]) > 0 for line in measured)


@pytest.mark.parametrize(
    "option", [("--pack", "0"), ("--parallel", "-1"), ("--step-ms", "0"), ("--gpus", "-1"), ("--step-ms", "nan")]
)
def test_plan_refuses_what_cannot_be(option, tmp_path, capsys):
    (tmp_path / "study.yaml").write_text(json.dumps(STUDY))
    with pytest.raises(SystemExit) as stop:
        main(["plan", "--config", str(tmp_path / "study.yaml"), *option])
    assert stop.value.code == 2
    assert option[0] in capsys.readouterr().err


def test_status_reads_the_ledger_the_locks_and_the_logs(sweep, tmp_path):
    config, cells = sweep
    results, ledger = config["results"], Ledger(tmp_path / "dispatch")
    submit(ledger, cells[:2], results)
    submit(ledger, cells[2:3], results, "PENDING", "20300101/b")
    key = str(cells[1].path(results))
    ledger.append(
        "end", folder="20300101/a", index=1, key=key, outcome="failed", reason="its command exploded", status=1
    )
    checkpoint = cells[3].checkpoint(results)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    reader = Reader(results, ledger.folder)
    lock = cells[4].checkpoint(results).with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        states = reader.states(cells)
    assert [one.state for one in states] == ["running", "failed", "waiting", "stopped", "running", "missing"]
    assert "its command exploded" in failures(states)
    assert f"{cells[1].stem}.log" in failures(states)
    assert [one.state for one in reader.states(cells)][4] == "missing"
    assert table(states).splitlines()[-1].split()[:6] == ["all", ".", ".", "2", "1", "1"]


def test_status_tells_what_a_running_cell_has_left_and_what_a_failed_one_said(sweep, tmp_path):
    config, cells = sweep
    results, ledger = config["results"], Ledger(tmp_path / "dispatch")
    submit(ledger, cells[:3], results)
    reader = Reader(results, ledger.folder)
    records = [{"event": "step", "step": 10, "steps": 100, "done": 5, "seconds": 10.0}, None]
    records.append({"event": "end", "status": 1, "reason": "no such luck"})
    for cell, record in zip(cells, records, strict=False):
        path = records_file(Layout(results).cell_log(cell.stem))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"event": 3}}\ntorn {{\n{json.dumps(record)}\n[')
    key = str(cells[2].path(results))
    ledger.append("end", folder="20300101/a", index=2, key=key, outcome="failed", reason="its command ended", status=1)
    (ledger.folder / "20300101" / "a" / "2").mkdir(parents=True)
    states = reader.states(cells)
    assert [one.state for one in states[:3]] == ["running", "running", "failed"]
    assert (states[0].left, states[0].seconds) == (180, 200)
    # two run, with 180 and 200 s to go; three wait, 200 s each
    assert table(states).splitlines()[-1].endswith(duration((180 + 200 + 3 * 200) / 2))
    assert "error: no such luck" in failures(states)
    assert str(ledger.folder / "20300101" / "a" / "2") in failures(states)
    assert legend(states).startswith("missing")


@pytest.mark.parametrize(
    "record",
    [{}, {"step": 0, "steps": 9, "done": 0, "seconds": 1.0}, {"step": "1", "steps": 9, "done": 1, "seconds": None}],
)
def test_records_that_say_nothing_of_speed_promise_nothing(record):
    assert pace(record) == (0.0, 0.0)


def test_a_dataset_that_failed_is_named_too(sweep, tmp_path):
    config, cells = sweep
    ledger = Ledger(tmp_path / "dispatch")
    path = str(cells[0].dataset_path(config["results"], "train"))
    for key, folder in ((path, "20300101/a"), ("elsewhere/b.h5", "20300101/b")):
        line = {"key": key, "rule": "generate_dataset", "log": "the.log"}
        ledger.append("submit", folder=folder, cluster="slurm", tasks=[[line]])
        ledger.append("end", folder=folder, index=0, key=key, outcome="failed", reason="the disk is full")
    others = Reader(config["results"], ledger.folder).other_failures(cells, "planned")
    assert [one.name for one in others] == [path]
    assert "the disk is full" in failures([], others)


def test_status_after_a_real_run_names_what_nobody_asks_for(tmp_path, monkeypatch, capsys):
    study = Study(tmp_path / "study")
    study.run()
    monkeypatch.chdir(study.folder)
    main(["status", "--config", str(study.config_file)])
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].split()[:4] == ["connectivity", "tasks", "trials", "done"]
    assert shown.splitlines()[-1].split()[:2] == ["all", "2"]
    study.change(training={"steps": 7})
    main(["status", "--config", str(study.config_file)])
    shown = capsys.readouterr().out
    assert "2 files that none of" in shown


def test_a_step_of_the_workflow_that_failed_here_is_named_with_its_reason_until_it_succeeds(sweep):
    config, cells = sweep
    log = Layout(config["results"]).study(config["study"]).log("collect_cells")
    log.parent.mkdir(parents=True)
    with pytest.raises(SystemExit), logged(log):
        raise ConfigError("no task is named 'memory'")
    (found,) = Reader(config["results"]).other_failures(cells, config["study"])
    assert (found.name, found.reason, found.log) == ("collect_cells", "error: no task is named 'memory'", str(log))
    study = Layout(config["results"]).study(config["study"])
    note_study(study, config, cells)
    os.utime(study.file, (log.stat().st_mtime + 1,) * 2)  # the study has changed: it may be without this rule
    assert not Reader(config["results"]).other_failures(cells, config["study"])
    os.utime(study.file, (0, 0))
    assert Reader(config["results"]).other_failures(cells, config["study"])
    with logged(log):
        pass
    assert not Reader(config["results"]).other_failures(cells, config["study"])


def test_a_damaged_cell_is_no_finished_cell(sweep, tmp_path):
    config, cells = sweep
    path = cells[0].path(config["results"])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a cell")
    one = Reader(config["results"], tmp_path / "dispatch").states(cells)[0]
    assert one.state == "failed"
    assert str(path) in one.reason


def test_the_price_of_a_fleet_is_its_steps_at_the_rate_of_a_gpu(sweep):
    config, cells = sweep
    made = plan(config, cells, 0.001, pack=3, parallel=6, gpus=1, rate=1000.0)
    assert made.gpu_hours * 3600 == pytest.approx(6 * 100 / 1000)
    assert made.wall_hours * 3600 == pytest.approx(6 * 100 / 1000 / 2)  # two tasks with a GPU each
    assert made.core_hours == pytest.approx(made.gpu_hours * 3)  # a leader of two threads, and one CPU for who waits
    few = plan(config, cells, 0.001, pack=1, parallel=6, gpus=1, rate=1000.0)
    assert few.core_hours == pytest.approx(few.gpu_hours * 2)
