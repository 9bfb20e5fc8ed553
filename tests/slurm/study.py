"""A small sweep of stand-in cells in a folder of its own, driven by the real snakemake on the real Slurm."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from snakemake_executor_plugin_submitit.ledger import Ledger

ROOT = Path(__file__).parents[2]
SNAKEFILE = ROOT / "snakemake-executor-plugin-submitit" / "tests" / "workflow" / "Snakefile"
QUIET = {"poll_interval": 1, "grace": 20, "requeues": 5, "signal_delay": 30}


def counted(steps: int) -> int:
    """What a cell's counting ends with, however often it was interrupted."""
    value = 1
    for _ in range(steps):
        value = (value * 1103515245 + 12345) % 2**31
    return value


def wait_for(what: Callable[[], object], seconds: float = 60, why: str = "") -> object:
    """Wait until something is true, and return it; a test that waits in vain fails here."""
    end = time.monotonic() + 2 * seconds  # patience for a busy machine
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds} s in vain{f' for {why}' if why else ''}")


def slurm(*command: str, seconds: float = 60) -> str:
    """Output of one of Slurm's commands; asks again while another test restarts a daemon."""
    for _ in range(20):
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
        if answer.returncode == 0:
            return answer.stdout
        time.sleep(1)
    raise AssertionError(f"{' '.join(command)}: {answer.stderr or answer.stdout}")


class Study:
    """One folder, one configuration, any number of runs of snakemake."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.snakefile, self.configfile = SNAKEFILE, ("--configfile", "config.yaml")
        self.shims = folder / "shims"
        self.variables: dict[str, str] = {}  # further ones of the driver's environment
        self.process: subprocess.Popen[bytes] | None = None
        self.runs = 0
        self.cells: dict[str, dict[str, object]] = {}

    def configure(self, cells: dict[str, dict[str, object]], **resources: object) -> None:
        """Write the configuration: cells by name, and the resources that each asks for."""
        self.cells = cells
        text = yaml.safe_dump({"cells": cells, "resources": resources})
        (self.folder / "config.yaml").write_text(text)

    def count_calls(self, *commands: str) -> None:
        """From now on, note every call that the driver makes of some of Slurm's commands."""
        for command in commands:
            self._shim(command, f'exec {shutil.which(command)} "$@"')

    def slow_down(self, command: str, before: float = 0, after: float = 0) -> None:
        """From now on, one of Slurm's commands takes long to be heard, or to answer."""
        real = shutil.which(command)
        self._shim(command, f'sleep {before}\nanswer=$({real} "$@")\nsleep {after}\necho "$answer"')

    def fail_every_third(self, command: str, message: str) -> None:
        """From now on, one call in three of one of Slurm's commands fails with a message."""
        calls = f"$(wc -l < {self.shims}/{command}.calls)"
        self._shim(
            command,
            f'[ $(({calls} % 3)) = 0 ] && {{ echo "{message}" >&2; exit 1; }}\nexec {shutil.which(command)} "$@"',
        )

    def silence(self, *commands: str) -> Path:
        """While the returned file is there, the driver gets no answer from some of Slurm's commands."""
        silent = self.folder / "silent"
        error = "echo Unable to contact slurm controller >&2; exit 1"
        for command in commands:
            self._shim(command, f'[ -e {silent} ] && {{ {error}; }}\nexec {shutil.which(command)} "$@"')
        return silent

    def _shim(self, command: str, body: str) -> None:
        self.shims.mkdir(exist_ok=True)
        body = f'echo "$(date +%s.%N) $*" >> {self.shims}/{command}.calls\n{body}'
        path = self.shims / command
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def calls(self, command: str) -> list[str]:
        """The calls noted so far."""
        path = self.shims / f"{command}.calls"
        return path.read_text().splitlines() if path.exists() else []

    def command(self, *arguments: str, **settings: object) -> list[str]:
        """The command line of one run."""
        flags = [part for key, value in {**QUIET, **settings}.items() for part in _flag(key, value)]
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(self.snakefile), *self.configfile),
            *("--executor", "submitit", "--jobs", "1000", "--keep-going", "--latency-wait", "10"),
            *("--scheduler", "greedy", "--max-jobs-per-timespan", "100000/1s", *flags, *arguments),
        ]

    def start(self, *arguments: str, **settings: object) -> None:
        """Start a run and leave it alone."""
        self.runs += 1
        environment = {**os.environ, **self.variables, "PATH": f"{self.shims}:{os.environ['PATH']}"}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command(*arguments, **settings),
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # a job in the background of a script is born deaf to SIGINT; a user's shell is not
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def log(self) -> Path:
        """What the latest run printed."""
        return self.folder / f"run{self.runs}.log"

    def finish(self, seconds: float = 200) -> int:
        """Wait for the run's end; its exit status."""
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            raise AssertionError(f"snakemake did not end within {seconds} s:\n{self.log.read_text()[-3000:]}") from None

    def run(self, *arguments: str, seconds: float = 200, **settings: object) -> int:
        """A whole run; its exit status."""
        self.start(*arguments, **settings)
        return self.finish(seconds)

    def signal(self, number: int) -> None:
        """Send a signal to the driver alone, as kill would; SIGINT to its whole session, as a terminal would."""
        assert self.process is not None
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            os.kill(self.process.pid, number)

    def unlock(self) -> None:
        """What a user does after a crash of the driver."""
        subprocess.run(self.command("--unlock"), cwd=self.folder, check=True, capture_output=True)

    def diary(self, cell: str) -> list[dict[str, object]]:
        """What a cell noted about itself."""
        path = self.folder / "diary" / cell
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def starts(self, cell: str) -> int:
        """How often a cell was started."""
        return sum(line["what"] == "start" for line in self.diary(cell))

    def noted(self, cell: str, what: str) -> bool:
        """Whether a cell's diary holds an entry of a kind."""
        return any(line["what"] == what for line in self.diary(cell))

    def result(self, cell: str) -> str | None:
        """Content of a cell's result."""
        path = self.folder / "out" / f"{cell}.txt"
        return path.read_text().strip() if path.exists() else None

    def right(self, cell: str) -> bool:
        """Whether a cell's result is that of an undisturbed run."""
        steps = int(self.cells[cell].get("steps", 3))
        return self.result(cell) == f"{steps} {counted(steps)}"

    def entry(self, cell: str):
        """The ledger's latest entry of a cell."""
        return self.output_entry(f"out/{cell}.txt")

    def output_entry(self, output: str):
        """The ledger's latest entry of an output."""
        return Ledger(self.folder / ".snakemake" / "submitit").replay()[0].get(str(self.folder.absolute() / output))

    def output_task(self, output: str) -> str:
        """Slurm's name of the task that an output was last submitted in; waits for it."""
        return wait_for(lambda: (entry := self.output_entry(output)) and entry.task.job_id, why=f"{output}'s task")

    def task_id(self, cell: str) -> str:
        """Slurm's name of the task that a cell was last submitted in; waits for it."""
        return wait_for(lambda: (entry := self.entry(cell)) and entry.task.job_id, why=f"{cell}'s task")

    def queued(self) -> list[str]:
        """Tasks of this study that Slurm has waiting or running."""
        entries = Ledger(self.folder / ".snakemake" / "submitit").replay()[0].values()
        arrays = {entry.task.job_id.split("_")[0] for entry in entries if entry.task.job_id}
        lines = slurm("squeue", "--noheader", "--array", "--format=%F %i %T").splitlines()
        return [line for line in lines if line.split()[0] in arrays]

    def overlaps(self, cell: str) -> bool:
        """Whether two runs of a cell were at work at the same time: each holds the cell's lock while it works."""
        return self.noted(cell, "overlap")


def _flag(key: str, value: object) -> list[str]:
    return [f"--submitit-{key.replace('_', '-')}", str(value)]


def snakemake(folder: Path, *arguments: str) -> list[str]:
    """Command line of a run of the real workflow with its results in a folder."""
    return [sys.executable, "-m", "snakemake", "--directory", str(folder), *arguments]


def on_slurm(folder: Path, config: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """A run through the profile, with a shorter interval between looks than a real cluster would want."""
    options = ("--profile", "slurm", "--configfile", str(config), "--submitit-poll-interval", "1", *arguments)
    temporary = folder / "tmp"  # in which cells that are trained together meet, and no others
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary), **variables}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(snakemake(folder, *options), cwd=ROOT, env=environment, **pipes)
