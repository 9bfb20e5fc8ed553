"""The battery: which tasks exist, their names, and the order in which batteries of any size take them.

A name is composed: ``base ["int" ("l"|"r")] ["seq" ("l"|"r")]``. Twenty bases are one table; every other task is a base
whose answer is shifted by an integration over the delay (``int``) or moves along the ring during the decision
(``seq``), to the right (``r``, +1) or to the left (``l``, -1).
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from lmrnn import plugins
from lmrnn.errors import ConfigError, TaskNameError
from lmrnn.tasks.variation import AS_IT_IS, Variation

if TYPE_CHECKING:
    from lmrnn.tasks.own import OwnTask

DEFINITIONS = ("corrected", "released")

PERIODS = {
    "reach": ("fixation", "stimulus", "delay", "decision"),
    "rt": ("fixation", "decision"),
    "dm": ("fixation", "stimulus", "decision"),
    "dlydm": ("fixation", "stim1", "delay", "stim2", "decision"),
    "match": ("fixation", "sample", "delay", "test", "decision"),
}


@dataclass(frozen=True)
class Base:
    """One row of the table of base tasks.

    `family` is a key of `PERIODS`: which periods a trial has and how its answer comes about; `delay` says whether the
    task has an ``int`` form, `anti` that the stimulus lies opposite to the answer. `rings` are those that show stimuli
    in every trial, empty where each trial draws one of the two; `weights` are those of the evidence on ring 1 and ring
    2. With `category`, sample and test match when they lie in the same half of the ring, else when they are the same
    position; `go_on_match` answers on match trials, else on the others.
    """

    family: str
    delay: bool = False
    anti: bool = False
    rings: tuple[int, ...] = ()
    weights: tuple[int, int] = (0, 0)
    category: bool = False
    go_on_match: bool = True


BASES = {
    "go": Base("reach"),
    "rtgo": Base("rt"),
    "dlygo": Base("reach", delay=True),
    "anti": Base("reach", anti=True),
    "rtanti": Base("rt", anti=True),
    "dlyanti": Base("reach", delay=True, anti=True),
    "dm1": Base("dm", rings=(1,), weights=(1, 1)),
    "dm2": Base("dm", rings=(2,), weights=(1, 1)),
    "ctxdm1": Base("dm", rings=(1, 2), weights=(1, 0)),
    "ctxdm2": Base("dm", rings=(1, 2), weights=(0, 1)),
    "multidm": Base("dm", rings=(1, 2), weights=(1, 1)),
    "dlydm1": Base("dlydm", delay=True, rings=(1,), weights=(1, 1)),
    "dlydm2": Base("dlydm", delay=True, rings=(2,), weights=(1, 1)),
    "ctxdlydm1": Base("dlydm", delay=True, rings=(1, 2), weights=(1, 0)),
    "ctxdlydm2": Base("dlydm", delay=True, rings=(1, 2), weights=(0, 1)),
    "multidlydm": Base("dlydm", delay=True, rings=(1, 2), weights=(1, 1)),
    "dms": Base("match", delay=True),
    "dnms": Base("match", delay=True, go_on_match=False),
    "dmc": Base("match", delay=True, category=True),
    "dnmc": Base("match", delay=True, category=True, go_on_match=False),
}

_SIGN = {None: 0, "r": 1, "l": -1}
_NAME = re.compile(rf"({'|'.join(BASES)})(?:int([rl]))?(?:seq([rl]))?")


@dataclass(frozen=True)
class Task:
    """One task of the battery: its canonical name (``dlygointrseql``), its base (a key of `BASES`), its family (of
    `PERIODS`); or one of a user's own, whose base is its name and whose family is ``own``.

    `int_sign` and `seq_sign` are +1 for ``r``, -1 for ``l``, 0 without; `variation` is what a study changes in it.
    """

    name: str
    base: str
    family: str
    int_sign: int = 0
    seq_sign: int = 0
    own: OwnTask | None = field(default=None, repr=False)
    variation: Variation = AS_IT_IS


def parse(name: str, own: Mapping[str, str] | None = None) -> Task:
    """Task of a name of the battery; ``<base>intseq`` is the published code's name of ``<base>intrseqr``.

    A name that the battery does not have is that of a user's own task: of the file whose sha256 `own` gives, or else of
    the last file that was read and has it. Raises TaskNameError, with the nearest names, on any other.

    >>> parse("dlygointr").int_sign
    1
    """
    if own and name in own:
        return Task(name, name, "own", own=plugins.find("tasks", name, own[name]))
    canonical = re.sub("intseq$", "intrseqr", name) if isinstance(name, str) else ""
    found = _NAME.fullmatch(canonical)
    if found is None or (found[2] and not BASES[found[1]].delay):
        known = plugins.latest("tasks")
        if name in known:
            return Task(name, name, "own", own=known[name])
        near = difflib.get_close_matches(str(name), [*battery_names(126), *known], n=3, cutoff=0.5)
        hint = f"nearest names: {', '.join(near)}" if near else f"base tasks: {', '.join(BASES)}"
        raise TaskNameError(
            f"no task is named {name!r}; {hint}. A name is base[int(l|r)][seq(l|r)], int only on bases with a delay; "
            "`lmrnn tasks` lists all; a task of your own needs the configuration that names its file (--config)"
        )
    base, integrate, sequence = found.groups()
    return Task(canonical, base, BASES[base].family, _SIGN[integrate], _SIGN[sequence])


def is_of_battery(name: str) -> bool:
    """Whether a name is one of the battery's, in any notation; no own task may have it."""
    try:
        return parse(name, {}).own is None
    except TaskNameError:
        return False


def battery_names(spec: int | str | Sequence[str], own: Collection[str] = ()) -> tuple[str, ...]:
    """Canonical names of a battery's tasks, in the order of their rule channels.

    `spec` is a number of tasks (1 to 132, a prefix of one canonical order), ``"seq60"`` (the 20 base tasks and their 40
    seq forms), one task name, or several, where the names in `own` are taken as they are. Battery 132 is the 126 names
    and then dlyanti's six int forms once more: the published task list counted its two int tasks twice. Each entry has
    its own rule channel and trials. Raises TaskNameError on an unknown name or a size out of range, and on a name
    listed more often than battery 132 has it.
    """
    order = _canonical_order()
    if isinstance(spec, bool) or not isinstance(spec, (int, str, list, tuple)):
        raise TaskNameError(f"a battery is a number of tasks, 'seq60' or a list of task names, not {spec!r}")
    if isinstance(spec, int):
        if not 1 <= spec <= len(order):
            raise TaskNameError(f"a battery has 1 to {len(order)} tasks, not {spec} (usual: 20, 82, 126, 132, 'seq60')")
        return order[:spec]
    if spec == "seq60":
        return order[:20] + order[42:82]
    names = (spec,) if isinstance(spec, str) else tuple(spec)
    # what is not even text cannot be looked up and gets its message from `parse`; own tasks come and go with files
    kept = all(isinstance(name, str) for name in names) and not any(map(plugins.latest("tasks").__contains__, names))
    return (_listed if kept else _listed.__wrapped__)(names, frozenset(own))


@cache
def _listed(spec: tuple[str, ...], own: frozenset[str]) -> tuple[str, ...]:
    """Canonical names of a list of names; kept, because a sweep's plan asks for the same list thousands of times."""
    names = tuple(name if name in own else parse(name).name for name in spec)
    if not names:
        raise TaskNameError("a battery needs at least one task; this list of names is empty")
    order = Counter(_canonical_order())
    if surplus := Counter(names) - (order | Counter(set(names) - set(order))):
        raise TaskNameError(f"listed too often: {', '.join(surplus)}. Name every task once (or use battery 132)")
    return names


def battery(
    spec: int | str | Sequence[str], own: Mapping[str, str] | None = None, variation: Variation = AS_IT_IS
) -> tuple[Task, ...]:
    """Tasks of a battery as `battery_names` takes it: entry k has rule channel k; `own` and `variation` as in `Task`.

    >>> [task.name for task in battery(3)]
    ['go', 'rtgo', 'dlygo']
    """
    return tuple(replace(parse(name, own), variation=variation) for name in battery_names(spec, own or ()))


def battery_of(spec: Mapping[str, Any]) -> tuple[Task, ...]:
    """Tasks of a cell by its spec, with their own timing and noise; entry k has rule channel k."""
    return battery(spec["tasks"], spec.get("own_tasks"), Variation.of(spec))


def names_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the tasks of a cell by its spec, by rule channel; the files of own tasks are not read."""
    return battery_names(spec["tasks"], spec.get("own_tasks", ()))


def battery_label(spec: int | str | Sequence[str], own: Collection[str] = ()) -> str:
    """Short name of a battery that is fit for a file name.

    ``tasks20`` for a prefix of the canonical order, ``seq60``, else ``tasks3-`` and eight hex digits that stand for the
    list of names.
    """
    names = battery_names(spec, own)
    if names == _canonical_order()[: len(names)]:
        return f"tasks{len(names)}"
    if names == battery_names("seq60"):
        return "seq60"
    return f"tasks{len(names)}-{hashlib.sha256(' '.join(names).encode()).hexdigest()[:8]}"


@cache
def _canonical_order() -> tuple[str, ...]:
    """All 132 entries: bases, int, seq, int and seq, the six repeats; every battery is a prefix of the next."""
    delay = [name for name, base in BASES.items() if base.delay]
    composed = [f"{name}{form}" for name in delay for form in ("intrseqr", "intrseql", "intlseqr", "intlseql")]
    anti = [f"dlyantiint{sign}" for sign in "rl"]
    return (
        *BASES,
        *(f"{name}int{sign}" for name in delay for sign in "rl"),
        *(f"{name}seqr" for name in BASES),
        *(f"{name}seql" for name in BASES),
        *composed,
        *anti,
        *(f"{name}seq{sign}" for name in anti for sign in "rl"),
    )


def check_setting(definition: str, dt: int) -> None:
    """Raise ConfigError on a definition that is none of `DEFINITIONS`, or a `dt` in ms that does not divide 100."""
    if definition not in DEFINITIONS:
        raise ConfigError(f"definition: {definition!r} is none of {', '.join(DEFINITIONS)}")
    if isinstance(dt, bool) or not isinstance(dt, int) or dt < 1 or 100 % dt:
        raise ConfigError(f"dt: {dt!r} ms does not divide 100; allowed are 1, 2, 4, 5, 10, 20, 25, 50, 100")


def task_count(tasks: int | str) -> int:
    """Number of tasks of a battery as the table of cells names it: a number, ``seq60``, or names joined by ``+``."""
    return int(tasks) if str(tasks).isdigit() else 60 if tasks == "seq60" else str(tasks).count("+") + 1
