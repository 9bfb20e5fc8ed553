"""What tells a job from all others, and whether it is still the same job after a restart."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

_VERSION = "1:"
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+(?=>)")


def members(job: JobExecutorInterface) -> list[Any]:
    """The single jobs in a job: those of a group, or itself."""
    return list(job.jobs) if job.is_group() else [job]


def job_key(job: JobExecutorInterface) -> str:
    """A job's name in the ledger, unique on this file system: the absolute path of its first output; of one without
    any, its rule and wildcards as a name in the working directory.
    """
    outputs = [str(path) for path in job.output]
    if outputs:
        # The jobs of a group have no order.
        return os.path.abspath(min(outputs) if job.is_group() else outputs[0])
    specs = sorted(f"{rule}:{json.dumps(dict(wildcards), sort_keys=True)}" for rule, wildcards in job.get_target_spec())
    return os.path.abspath(" ".join(specs).replace("/", "|"))


def shown(key: str) -> str:
    """A job's key for people: relative to the working directory where it lies in there."""
    relative = os.path.relpath(key)
    return key if relative.startswith("..") else relative


def rules_of(job: JobExecutorInterface) -> str:
    """Names of the rules in a job, for people."""
    return ",".join(sorted({str(rule) for rule in job.rules}))


def description(job: JobExecutorInterface) -> str:
    """Rule and wildcards of a job for people who look at the queue."""
    specs = [(rule, dict(wildcards)) for rule, wildcards in job.get_target_spec()]
    texts = [" ".join([rule, *(f"{name}={value}" for name, value in wildcards.items())]) for rule, wildcards in specs]
    return "; ".join(sorted(texts))


def uncarried(job: JobExecutorInterface) -> str | None:
    """What Snakemake's own way of naming a job to another Snakemake would lose of its wildcards; None if nothing."""
    for _, wildcards in job.get_target_spec():
        for name, value in wildcards.items():
            if "," in value or value != value.strip("'\""):
                return f"wildcard {name}={value!r}: no comma, and no quotation mark at either end"
    return None


def fingerprint(job: JobExecutorInterface, triggers: Iterable[str]) -> str:
    """What a job is made of, as far as Snakemake's rerun triggers in force (``params``, ``input``, ``code``, ``mtime``,
    ``software-env``) look at it: a restarted driver takes a task over only if this is still the same.
    """
    wanted = frozenset(triggers)
    made_here = {str(path) for one in members(job) for path in one.output}
    # where in this process an object lies says nothing about what it is
    parts = sorted(_ADDRESS.sub("", repr(_parts(one, wanted, made_here))) for one in members(job))
    return _VERSION + hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()[:16]


def is_same(job: JobExecutorInterface, made: str, triggers: Iterable[str]) -> bool:
    """Whether a fingerprint in the ledger is this job's; those of version 0 are still understood."""
    if made.startswith(_VERSION):
        return made == fingerprint(job, triggers)
    return made in ("", _fingerprint_0(job))


def _parts(job: Any, wanted: frozenset[str], made_here: set[str]) -> list[Any]:
    inputs = [str(path) for path in job.input]
    parts: list[Any] = [job.rule.name, [str(path) for path in job.output]]
    if "params" in wanted:
        parts += [list(job.params.items()), list(job.params)]
    if "input" in wanted:
        parts.append(sorted(inputs))
    if "mtime" in wanted:
        parts.append([_mtime(path) for path in job.input if str(path) not in made_here and not path.is_ancient])
    if "code" in wanted:
        parts += [job.rule.shellcmd, job.rule.run_func_src, _source(job.rule)]
    if "software-env" in wanted:
        parts += [_conda_env(job), str(job.container_img_url), str(job.rule.env_modules)]
    return parts


def _mtime(path: Any) -> int:
    """Time of an input in nanoseconds; 0 where it is not here."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _conda_env(job: Any) -> str:
    """What names a job's conda environment, and what stands in the file that describes it."""
    spec = job.conda_env_spec
    if spec is None:
        return str(None)
    named = [str(value) for value in vars(spec).values()]
    return str([*named, *(hashlib.sha256(Path(one).read_bytes()).hexdigest() for one in named if Path(one).is_file())])


def _source(rule: Any) -> list[str]:
    """Name and content of a rule's script or notebook, its wrapper's name."""
    sources = [str(source) for source in (rule.script, rule.notebook, rule.wrapper) if source]
    for source in list(sources):
        path = Path(str(rule.basedir), source)
        if path.is_file():
            sources.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return sources


def _fingerprint_0(job: JobExecutorInterface) -> str:
    parts = sorted(
        f"{one.rule.name} {list(one.input)} {list(one.output)} {list(one.params.items())} {list(one.params)}"
        for one in members(job)
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
