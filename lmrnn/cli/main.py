"""The command `lmrnn`: look at tasks, train a cell, plan a sweep, see how it stands."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmrnn import __version__
from lmrnn.cli import plan, status, studies
from lmrnn.cli import prune as unasked
from lmrnn.cli.arguments import Parser, is_whole, whole
from lmrnn.cli.exits import explained, logged, secure_streams
from lmrnn.errors import ConfigError
from lmrnn.study.config import load_config, own_analyses, own_tasks
from lmrnn.study.grid import cells_of

if TYPE_CHECKING:
    from lmrnn.tasks import Task


def tasks_command(arguments: argparse.Namespace) -> None:
    """List tasks, one line each: a battery, or all that a study has, its own tasks included."""
    from lmrnn.tasks import battery

    if arguments.config and arguments.battery is not None:
        raise ConfigError("--config lists the tasks of a study, --battery those of a battery: give one of the two")
    if arguments.config:
        return _print_study_tasks(load_config(arguments.config))
    print(f"{'rule':>4}  {_HEAD}")
    for rule, task in enumerate(battery(_battery("126" if arguments.battery is None else arguments.battery))):
        print(f"{rule:>4}  {_line(task)}")


_HEAD = f"{'task':<22}{'family':<8}{'int':>4}{'seq':>5}"
_SIGN = {1: "r", -1: "l", 0: "-"}


def _line(task: Task) -> str:
    name = task.name if len(task.name) < 22 else f"{task.name} "
    return f"{name:<22}{task.family:<8}{_SIGN[task.int_sign]:>4}{_SIGN[task.seq_sign]:>5}"


def _print_study_tasks(config: Mapping[str, Any]) -> None:
    """Every task of a study's cells, and the own tasks that none of them uses, with periods and file."""
    from lmrnn.tasks import battery, battery_of, period_names

    own = own_tasks(config)
    tasks = {task.name: task for cell in cells_of(config) for task in battery_of(cell.spec)}
    tasks |= {task.name: task for task in battery(list(own), own)} if own else {}
    print(f"{_HEAD}  periods")
    for task in tasks.values():
        file = f"  ({task.own.plugin.path.name})" if task.own else ""
        print(f"{_line(task)}  {', '.join(period_names(task))}{file}")


def _battery(text: str) -> int | str | list[str]:
    """A battery as a user types it: a number, seq60, or names with commas."""
    if is_whole(text):
        return int(text)
    return text.split(",") if "," in text else text


def show_command(arguments: argparse.Namespace) -> None:
    """Draw one trial of a task as a picture."""
    from lmrnn.figures.trial import draw_trial
    from lmrnn.tasks import Variation, parse

    config = load_config(arguments.config) if arguments.config else {}
    chosen = {key: getattr(arguments, key) or config.get(key, value) for key, value in _SHOWN.items()}
    task = replace(parse(arguments.task, own_tasks(config)), variation=Variation.of(config))
    path = Path(arguments.output or f"{task.name}.png")
    draw_trial(task, path, seed=arguments.seed, **chosen)
    print(path)


_SHOWN = {"dt": 100, "definition": "corrected"}


def train_command(arguments: argparse.Namespace) -> None:
    """Train one cell of a study without Snakemake."""
    from lmrnn.study.grid import find_cell
    from lmrnn.study.requirements import check_limits
    from lmrnn.training.cell import train_cell

    chosen = studies.choose(arguments)
    config, cell = chosen.config, find_cell(chosen.cells, arguments.cell)
    check_limits([cell], config, local=True)
    progress = sys.stderr.isatty() and not arguments.log
    if arguments.log:
        with logged(arguments.log) as log:
            status = train_cell(cell.spec, config, config["compute"], log)
    else:
        status = train_cell(cell.spec, config, config["compute"], sys.stdout, progress)
    print(f"{cell.path(config['results'])}: {status}")


def cells_command(arguments: argparse.Namespace) -> None:
    """List the cells of a study."""
    chosen = studies.choose(arguments)
    for cell in chosen.cells:
        print("done   " if chosen.layout.cell(cell.stem).exists() else "missing", cell.stem)


def analyse_command(arguments: argparse.Namespace) -> None:
    """Look into trained networks: units and their tasks, time constants, rotation along the ring, own analyses."""
    from lmrnn.steps import analyse_cells
    from lmrnn.study.grid import find_cell

    chosen = studies.choose(arguments)
    cells = [find_cell(chosen.cells, one) for one in arguments.cell]
    own = own_analyses(chosen.config).values()
    for path in analyse_cells(cells, chosen.config["results"], arguments.output, own=own):
        print(path)


def build_parser() -> argparse.ArgumentParser:
    """Parser of the whole command line; each sub-command stores its function as ``run``."""
    parser = Parser(prog="lmrnn", description="Locality-masked RNNs on the Mod-Cog battery.")
    parser.add_argument("--version", action="version", version=f"lmrnn {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Any, of_study: bool = True) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        one.set_defaults(run=run)
        if of_study:
            studies.add_arguments(one)
        return one

    tasks = add("tasks", tasks_command, of_study=False)
    tasks.add_argument("--config", "--configfile", help="configuration of a study: its tasks, its own ones included")
    tasks.add_argument("--battery", help="20, 82, 126, 132, any other number, seq60, or names (126)")
    show = add("show", show_command, of_study=False)
    show.add_argument("task", help="name of a task, see `lmrnn tasks`")
    show.add_argument("--config", "--configfile", help="configuration of a study: its own tasks, dt, timing and noise")
    show.add_argument("--output", "-o", help="picture to write, .png or .svg (TASK.png)")
    show.add_argument("--seed", type=whole(0), default=0, help="seed of the trial (0)")
    show.add_argument("--dt", type=whole(1), help="ms per time step, a divisor of 100 (the configuration's, or 100)")
    show.add_argument("--definition", choices=("corrected", "released"), help="(the configuration's, or corrected)")
    train = add("train", train_command)
    train.add_argument("--cell", required=True, help="hash, file or unique part of the cell's name, see `lmrnn cells`")
    train.add_argument("--log", help="write the log to this file")
    add("cells", cells_command)
    plan.add_arguments(add("plan", plan.plan_command))
    status.add_arguments(add("status", status.status_command))
    unasked.add_arguments(add("prune", unasked.prune_command))
    analysing = add("analyse", analyse_command)
    analysing.add_argument("cell", nargs="+", help="finished cells: hash, file or unique part of the name")
    analysing.add_argument("--output", "-o", default="analysis", help="folder for tables and figures (analysis)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point of the command `lmrnn`, with the process's own arguments by default: exit status 0; others leave as
    SystemExit.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `lmrnn tasks | head` ends quietly
    secure_streams()
    arguments = build_parser().parse_args(argv)
    with explained():
        arguments.run(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
