"""What workflows are made of: checkpoints, groups, pipes, shadows, storages, odd names."""

import shutil

import pytest
from sweeps import entries, run_workflow

FEATURES = """
rule all:
    input: "last.txt", "dir", "z (1).txt", "shadow.txt", "piped.txt", expand("g{i}.txt", i=range(3)), "run.txt"
checkpoint split:
    output: directory("dir")
    shell: "mkdir {output}; touch {output}/1.part {output}/2.part"
def parts(wildcards):
    folder = checkpoints.split.get().output[0]
    return expand(folder + "/{n}.part", n=glob_wildcards(folder + "/{n}.part").n)
rule last:
    input: parts
    output: "last.txt"
    shell: "ls {input} > {output}"
rule passing:
    output: temp("passing.txt")
    shell: "touch {output}"
rule upd:
    input: "passing.txt"
    output: update("z (1).txt")
    shell: "echo x >> {output:q}"
rule shadowed:
    output: "shadow.txt"
    shadow: "minimal"
    shell: "touch litter.txt {output}"
rule writer:
    output: pipe("fifo")
    shell: "echo hello > {output}"
rule reader:
    input: "fifo"
    output: "piped.txt"
    shell: "cat {input} > {output}"
rule grouped:
    output: "g{i}.txt"
    group: "g"
    shell: "sleep 0.2; touch {output}"
rule run:
    output: "run.txt"
    run:
        open(output[0], "w").close()
"""


def test_checkpoints_groups_pipes_shadows_and_marked_outputs_work_and_then_nothing_is_left_to_do(tmp_path):
    done = run_workflow(tmp_path, FEATURES, "--default-resources", "pack=4", "--group-components", "g=3")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "last.txt").read_text().split() == ["dir/1.part", "dir/2.part"]
    assert (tmp_path / "piped.txt").read_text() == "hello\n"
    assert not (tmp_path / "passing.txt").exists()
    assert not (tmp_path / "litter.txt").exists()
    assert {entry.outcome for entry in entries(tmp_path).values()} == {"done"}
    again = run_workflow(tmp_path, FEATURES, "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr


STORED = """
storage:
    provider="fs"
rule all:
    input: storage.fs("remote/b.txt")
rule a:
    output: storage.fs("remote/a.txt")
    shell: "echo a > {output}"
rule b:
    input: storage.fs("remote/a.txt")
    output: storage.fs("remote/b.txt")
    shell: "cp {input} {output}"
"""
BY_DEFAULT = """
rule a:
    output: "a.txt"
    shell: "echo a > {output}"
rule b:
    input: "a.txt"
    output: "b.txt"
    shell: "cp {input} {output}"
"""


@pytest.mark.skipif(shutil.which("rsync") is None, reason="the storage plugin copies with rsync")
@pytest.mark.parametrize("way", ["named", "by default"])
def test_outputs_in_a_storage_count_as_done(tmp_path, way):
    if way == "named":
        (tmp_path / "remote").mkdir()
        done = run_workflow(tmp_path, STORED, "--default-resources", "pack=2")
    else:
        storage = ["--default-storage-provider", "fs", "--default-storage-prefix", "remote"]
        done = run_workflow(tmp_path, BY_DEFAULT, "b.txt", *storage)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "remote" / "b.txt").read_text() == "a\n"
    assert {entry.outcome for entry in entries(tmp_path).values()} == {"done"}


GROUP = """
rule all:
    input: "good.txt", "bad.txt"
rule good:
    output: "good.txt"
    group: "g"
    shell: "echo start >> diary; sleep 3; echo end >> diary; touch {output}"
rule bad:
    output: "bad.txt"
    group: "g"
    shell: "sleep 0.5; exit 3"
"""


def test_a_group_has_failed_only_when_all_of_its_jobs_have_ended(tmp_path):
    done = run_workflow(tmp_path, GROUP, "--group-components", "g=2", "--retries", "1")
    assert done.returncode != 0
    assert (tmp_path / "diary").read_text().split() == ["start", "end"] * 2  # never side by side
    entry = entries(tmp_path)["bad.txt"]
    assert (entry.outcome, entry.status) == ("failed", 3)


HOSTILE = """
rule all:
    input: "it's $(touch EXECUTED).txt"
rule a:
    output: "{name}.tmp"
    group: "g"
    run:
        open(output[0], "w").close()
rule b:
    input: "{name}.tmp"
    output: "{name}.txt"
    group: "g"
    shell: "cp {input:q} {output:q}"
"""


def test_nothing_of_a_wildcard_is_executed_in_a_group_either(tmp_path):
    done = run_workflow(tmp_path, HOSTILE)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("EXECUTED"))


UNCARRIED = """
rule all:
    input: "x,y.txt", "ok.txt"
rule a:
    output: "{name}.txt"
    shell: "touch {output:q}"
"""


def test_what_snakemake_cannot_carry_is_refused_before_anything_is_submitted(tmp_path):
    done = run_workflow(tmp_path, UNCARRIED)
    assert done.returncode != 0
    assert (tmp_path / "ok.txt").exists()
    assert "wildcard name='x,y'" in done.stderr
    assert list(entries(tmp_path)) == ["ok.txt"]


def test_immediate_submission_is_refused_clearly(tmp_path):
    done = run_workflow(tmp_path, UNCARRIED, "--immediate-submit", "--notemp")
    assert done.returncode != 0
    assert "--immediate-submit is not possible" in done.stderr
