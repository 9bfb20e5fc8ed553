"""What workflows are made of: checkpoints, groups, pipes, services, shadows, storages, retries, odd names."""

import os
import shutil

import psutil
import pytest
from sweeps import entries, run_file, run_once, run_workflow

# each of two fixtures runs a workflow of many tasks, which takes a minute on two busy cores
pytestmark = pytest.mark.timeout(900)
# what a shell would run, in the name of the folder, of an output, of a wildcard and in a variable
ODD = 'it\'s `touch EXECUTED` $(touch EXECUTED) "x" \\n'
# in place of a site's environment modules: says what it is asked for
VARIABLES = {"ODD": ODD, "BASH_FUNC_module%%": '() { echo "$*" >> modules; }'}


@pytest.fixture
def well(tmp_path_factory):
    """A workflow of all kinds of rules, run once, in a folder whose name asks for trouble: it, and the ledger's."""

    def make(folder):
        place = folder / "50% it's $(touch EXECUTED)"
        (place / "in").mkdir(parents=True)
        for index in range(3000):
            (place / "in" / f"{'x' * 80}{index}.txt").touch()
        options = ("--submitit-folder", str(folder / "base"), "--config", "text=it's $(touch EXECUTED)")
        options += ("--default-resources", "pack=4", "--group-components", "g=3", "--sdm", "env-modules")
        return run_file(place, "well.smk", *options, **VARIABLES)

    folder, done = run_once(tmp_path_factory, "well", make)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("50*")), folder / "base"


def test_checkpoints_groups_pipes_services_shadows_and_marked_outputs_work(well):
    folder, base = well
    assert (folder / "last.txt").read_text().split() == ["dir/1.part", "dir/2.part"]
    assert (folder / "piped.txt").read_text() == "hello\n"
    assert (folder / "served.txt").read_text() == "served\n"
    assert (folder / "server-ended").exists(), "a service outlives its clients"
    assert not (folder / "passing.txt").exists()
    assert not (folder / "litter.txt").exists()
    assert {entry.outcome for entry in entries(folder, base).values()} == {"done"}


def test_what_has_run_is_up_to_date(well):
    folder, base = well
    again = run_file(folder, "well.smk", "--submitit-folder", str(base), "--dry-run", **VARIABLES)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_the_way_in_which_software_is_deployed_reaches_the_job(well):
    assert (well[0] / "modules").read_text().splitlines() == ["purge", "load tool/1.0"]


def test_nothing_of_a_name_a_setting_or_a_variable_is_executed(well):
    folder, _ = well
    assert (folder / "results/r'$(touch EXECUTED)/b `touch EXECUTED` ü.txt").read_text() == ODD
    assert (folder / "it's $(touch EXECUTED).group").read_text() == ODD  # of a shadow rule, in a group
    assert not list(folder.parent.rglob("EXECUTED"))


def test_three_thousand_inputs_are_no_more_than_a_command_line_takes(well):
    assert (well[0] / "many.txt").read_text() == "3000\n"


def test_a_rules_retries_are_the_drivers_each_with_resources_of_its_own(well):
    assert (well[0] / "retried.tries").read_text().split() == ["10", "20", "30"]


def test_what_a_job_leaves_in_the_background_ends_with_it_and_costs_it_nothing(well):
    folder, base = well
    ended = entries(folder, base)["background.txt"].since
    assert ended - os.stat(folder / "background.txt").st_mtime < 30
    pid = int((folder / "pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def badly(tmp_path_factory):
    """A workflow whose rules fail by themselves, run once: its folder and the ended run."""

    def make(folder):
        return run_file(folder, "badly.smk", "--group-components", "g=2")

    folder, done = run_once(tmp_path_factory, "badly", make)
    assert done.returncode != 0
    return folder, done


@pytest.mark.parametrize(("how", "status"), [("plain", 75), ("plain", 140), ("plain", 1), ("resumable", 1)])
def test_an_exit_status_is_a_failure_unless_the_rule_says_that_it_can_go_on(badly, how, status):
    folder, _ = badly
    assert (folder / f"{how}{status}.tries").read_text() == "x\n"
    entry = entries(folder)[f"{how}{status}.status"]
    assert (entry.outcome, entry.status) == ("failed", status)


def test_a_job_that_was_interrupted_goes_on_where_its_rule_asks_for_it(well):
    assert (well[0] / "resumed.tries").read_text().split() == ["x"] * 3


def test_a_group_has_failed_only_when_all_of_its_jobs_have_ended(badly):
    folder, _ = badly
    assert (folder / "diary").read_text().split() == ["start", "end"] * 2  # never side by side
    entry = entries(folder)["bad.txt"]
    assert (entry.outcome, entry.status) == ("failed", 3)


def test_what_snakemake_cannot_carry_is_refused_before_anything_is_submitted(badly):
    folder, done = badly
    assert (folder / "ok.name").exists()
    assert "wildcard name='x,y'" in done.stderr
    assert "x,y.name" not in entries(folder)


STORED = """
storage:
    provider="fs"
rule all:
    input: storage.fs("named/b.txt"), "by_default.txt"
rule a:
    output: storage.fs("named/a.txt")
    shell: "echo a > {output}"
rule b:
    input: storage.fs("named/a.txt")
    output: storage.fs("named/b.txt")
    shell: "cp {input} {output}"
rule c:
    input: storage.fs("named/a.txt")
    output: "by_default.txt"
    shell: "cp {input} {output}"
"""


@pytest.mark.skipif(shutil.which("rsync") is None, reason="the storage plugin copies with rsync")
def test_outputs_in_a_storage_count_as_done(tmp_path):
    (tmp_path / "named").mkdir()
    storage = ["--default-storage-provider", "fs", "--default-storage-prefix", "remote"]
    done = run_workflow(tmp_path, STORED, *storage, "--default-resources", "pack=2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "named" / "b.txt").read_text() == "a\n"
    assert (tmp_path / "remote" / "by_default.txt").read_text() == "a\n"
    assert {entry.outcome for entry in entries(tmp_path).values()} == {"done"}


ANYTHING = """
rule a:
    output: "a.txt"
    shell: "touch {output}"
"""


def test_immediate_submission_is_refused_clearly(tmp_path):
    done = run_workflow(tmp_path, ANYTHING, "--immediate-submit", "--notemp")
    assert done.returncode != 0
    assert "--immediate-submit is not possible" in done.stderr
