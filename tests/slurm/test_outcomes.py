"""Each way in which a cell can go wrong, one by one, on a real Slurm."""

import pytest

pytestmark = pytest.mark.slurm


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("exception", "exit status 1"),
        ("exit", "exit status 3"),
        ("exit without output", "missing"),
    ],
)
def test_a_cell_that_fails_leaves_its_neighbours_done_and_says_why(study, fault, reason):
    study.configure({"good": {}, "bad": {"fault": fault}})
    assert study.run() != 0
    assert study.right("good")
    assert study.result("bad") is None
    assert study.entry("good").outcome == "done"
    assert study.entry("bad").outcome == "failed"
    assert reason in study.entry("bad").reason.lower()
    assert [study.starts("good"), study.starts("bad")] == [1, 1]
    assert list(study.entry("bad").task.path(study.folder / ".lmrnn/dispatch").glob("*_log.out"))
    assert not study.entry("good").task.path(study.folder / ".lmrnn/dispatch").exists()


def test_a_killed_step_fails_its_cell_and_takes_no_finished_neighbour_along(study):
    study.configure({"quick": {"steps": 1}, "victim": {"fault": "kill", "steps": 1}}, pack=2)
    assert study.run() != 0
    assert study.entry("victim").outcome == "failed"
    assert "FAILED" in study.entry("victim").reason or "CANCELLED" in study.entry("victim").reason
    assert study.starts("victim") == 1
    (study.folder / "repaired").touch()
    assert study.run() == 0
    assert study.right("quick")
    assert study.right("victim")
    assert study.starts("quick") <= 2


def test_memory_over_the_limit_is_named(study):
    study.configure({"good": {}, "hog": {"fault": "memory"}}, mem_mb=100)
    assert study.run() != 0
    assert study.right("good")
    entry = study.entry("hog")
    assert entry.outcome == "failed"
    assert "OUT_OF_MEMORY" in entry.reason or "memory" in entry.reason
    assert study.starts("hog") == 1


def test_a_refused_submission_fails_its_cells_with_slurms_message(study):
    study.configure({"a": {}, "b": {}}, slurm_partition="nowhere")
    assert study.run() != 0
    for cell in ("a", "b"):
        assert study.starts(cell) == 0
        assert study.entry(cell).outcome == "failed"
        assert "invalid partition" in study.entry(cell).reason
    assert "invalid partition" in study.log.read_text()
    study.configure({"a": {}, "b": {}})
    assert study.run() == 0
    assert study.right("a")
    assert study.right("b")
