"""All benchmarks: a table, and results/bench/bench.json. Each row is a question; the goals are this project's own.

make bench                            everything, about ten minutes
make bench BENCH=--quick              fewer rounds, short versions
make bench BENCH="step generation"    some of them
make bench BENCH=gpu                  by itself, on a machine with a GPU: `benchmarks.gpu`
"""

import argparse
import importlib
import inspect
import json
import os
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from lmrnn.files.storage import atomic_path

FOLDER = Path(__file__).parent
RESULT = FOLDER.parent / "results" / "bench" / "bench.json"
ORDER = ("step", "cell", "generation", "checkpointing", "dispatch")


def met(row: dict) -> bool | None:
    """Whether a row's goal is met; None for a row without one."""
    if row.get("goal") is None:
        return None
    value = row.get("ratio", row.get("ours"))
    return value <= row["goal"] if row.get("better") == "lower" else value >= row["goal"]


def line(row: dict) -> str:
    """A row of the table."""
    unit, parts = row.get("unit", ""), [f"{row['ours']:,.4g} {row.get('unit', '')}".strip()]
    if "theirs" in row:
        parts = [f"{row['ours']:,.4g} against {row['theirs']:,.4g} {unit}".strip()]
    if "ratio" in row:
        low, high = row["spread"]
        parts.append(f"ratio {row['ratio']:.3g} ({low:.3g} to {high:.3g})")
    if row.get("goal") is not None:
        sign = "at most" if row.get("better") == "lower" else "at least"
        parts.append(f"goal {sign} {row['goal']:,.4g}: {'met' if met(row) else 'MISSED'}")
    return f"{row['question']}\n    {', '.join(parts)}"


def show(rows: Iterable[dict]) -> int:
    """Print rows as they come; 1 if a goal was missed."""
    missed = 0
    for row in rows:
        print(line(row), flush=True)
        missed |= met(row) is False
    return int(missed)


def processor() -> str:
    """Name of the processor, as the system has it."""
    names = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return next((each.split(":", 1)[1].strip() for each in names.splitlines() if each.startswith("model name")), "")


def about() -> dict:
    """The machine, and what was measured on it."""
    import torch

    from lmrnn.networks import kernel

    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": platform.platform(),
        "processor": processor() or platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kernel": kernel.why_not() or kernel.variant(),
    }


def measure(names: list[str], quick: bool) -> list[dict]:
    """Rows of the named benchmarks, shown as they come."""
    made = []
    for name in names:
        rows = importlib.import_module(f"benchmarks.{name}").rows
        options = {"quick": quick} if "quick" in inspect.signature(rows).parameters else {}
        print(f"\n== {name}", flush=True)
        start = time.monotonic()
        for row in rows(**options):
            show([row])
            made.append({"benchmark": name, **row})
        print(f"   {time.monotonic() - start:.0f} s", flush=True)
    return made


def main() -> int:
    """Measure, print and write; status 1 when a goal is missed."""
    if sys.argv[1:2] == ["gpu"]:  # it has rows and options of its own, and runs where little is installed
        from benchmarks import gpu

        return gpu.main(sys.argv[2:])
    there = [name for name in ORDER if (FOLDER / f"{name}.py").exists()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(there)}; all if none are named")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and short versions")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(there):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(there)}")
    rows = measure(chosen.names or there, chosen.quick)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(RESULT) as path:
        path.write_text(json.dumps({"about": about(), "quick": chosen.quick, "rows": rows}, indent=1))
    missed = sum(met(row) is False for row in rows)
    print(f"\n{len(rows)} rows, {missed} goals missed; written to {RESULT}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
