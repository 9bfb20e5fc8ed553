"""What a rule asks for is what Slurm was asked for: a table of combinations, each read back from the controller."""

import re
import signal

import pytest
from study import Study, slurm, wait_for

pytestmark = pytest.mark.slurm
# resources of the rule: what `scontrol show job` says
TABLE = {
    "nothing": ({}, {"NumCPUs": "1", "TimeLimit": "00:10:00", "Partition": "main", "MinMemoryNode": "1000M"}),
    "threads": ({"threads": 3}, {"NumCPUs": "3", "CPUs/Task": "3"}),
    "cpus": ({"threads": 2, "cpus_per_task": 6}, {"NumCPUs": "6", "CPUs/Task": "6"}),
    "minutes": ({"runtime": 7}, {"TimeLimit": "00:07:00"}),
    "hours": ({"runtime": "4h"}, {"TimeLimit": "04:00:00"}),
    "megabytes": ({"mem_mb": 60000}, {"MinMemoryNode": "60000M"}),
    "largest": ({"mem_mb": 64000}, {"MinMemoryNode": "62.50G"}),
    "gigabytes": ({"mem": "8GB"}, {"MinMemoryNode": "8000M"}),
    "per_cpu": ({"threads": 2, "mem_mb_per_cpu": 8000}, {"MinMemoryCPU": "8000M", "NumCPUs": "2"}),
    "tasks": ({"tasks": 4, "mpi": "srun"}, {"NumTasks": "4", "NumCPUs": "4"}),
    "nodes": (
        {"nodes": 2, "tasks": 4, "tasks_per_node": 2, "mpi": "srun"},
        {"NumNodes": "2-2", "NtasksPerN:B:S:C": "2:0:*:*"},
    ),
    "partition": ({"slurm_partition": "low"}, {"Partition": "low"}),
    "account": ({"slurm_account": "test"}, {"Account": "test"}),
    "qos": ({"qos": "normal"}, {"QOS": "normal"}),
    "constraint": ({"constraint": "test"}, {"Features": "test"}),
    "nodelist": ({"nodelist": "node2"}, {"ReqNodeList": "node2"}),
    "exclude": ({"exclude": "node1"}, {"ExcNodeList": "node1"}),
    "gpu": ({"gpu": 1}, {"TresPerNode": "gres:gpu:1"}),
    "gpus": ({"gpus": 2, "slurm_extra": "--hold"}, {"TresPerNode": "gres:gpu:2"}),
    "gres": ({"gres": "gpu:1"}, {"TresPerNode": "gres:gpu:1"}),
    "extra_name": ({"slurm_extra": "--hold --job-name=mine"}, {"JobName": "mine"}),
    "extra_cpus": ({"slurm_extra": "--hold --cpus-per-task=4", "threads": 2}, {"NumCPUs": "4"}),
    "extra_nice": ({"slurm_extra": "--hold --nice=7 -p urgent"}, {"Nice": "7", "Partition": "urgent"}),
    "clusters": ({"clusters": "lmrnn"}, {"Partition": "main"}),
    "plain": ({"runtime": 9}, {"Requeue": "1", "JobName": "plain", "Comment~": r"Comment=\S+ plain"}),
    "own": ({"license": 3, "disk_mb": 5, "slots": 9}, {"NumCPUs": "1"}),
}
RULE = """
rule {name}:
    output: "{name}.txt"
    threads: {threads}
    resources: {resources}
    shell: "touch {{output}}"
"""


def snakefile(folder):
    """A rule for each row; all are held, so that they can be looked at."""
    text = "rule all:\n    input: " + ", ".join(f'"{name}.txt"' for name in TABLE) + "\n"
    for name, (asked, _) in TABLE.items():
        resources = {"slurm_extra": "--hold", **{key: value for key, value in asked.items() if key != "threads"}}
        shown = ", ".join(f"{key}={value!r}" for key, value in resources.items())
        text += RULE.format(name=name, threads=asked.get("threads", 1), resources=shown)
    (folder / "Snakefile").write_text(text)


@pytest.fixture(scope="module")
def shown(_slurm, tmp_path_factory):
    """What the controller says of each rule's job."""
    folder = tmp_path_factory.mktemp("requests")
    snakefile(folder)
    study = Study(folder)
    study.snakefile, study.configfile = folder / "Snakefile", ()
    study.start("--default-resources", "tmpdir=system_tmpdir")  # not Snakemake's own of memory and disk
    try:
        found = {name: study.output_task(f"{name}.txt") for name in TABLE}
        yield {name: slurm("scontrol", "show", "job", task) for name, task in found.items()}
    finally:
        study.signal(signal.SIGINT)
        study.finish()
        wait_for(lambda: not study.queued(), 60, "an empty queue")


@pytest.mark.parametrize("name", TABLE)
def test_what_a_rule_asks_for_is_what_slurm_was_asked_for(shown, name):
    fields = dict(re.findall(r"(\S+?)=(\S*)", shown[name]))
    for field, value in TABLE[name][1].items():
        if field.endswith("~"):
            assert re.search(value, shown[name])
        else:
            assert fields.get(field) == value, f"{field}: {shown[name]}"
