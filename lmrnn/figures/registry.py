"""Every figure once: what it shows, where it stands in the report, what is said under it, and what draws it.

The workflow makes its rules, the report its chapters and captions, the command line its pictures from this list; a new
figure is a function and an entry here. Nothing here loads the drawing library, so that planning stays quick.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lmrnn.curves.drive import PAIR
from lmrnn.curves.identity import panel_settings, without
from lmrnn.curves.maps import near_in_synapses
from lmrnn.networks import network_size
from lmrnn.study.cells import canonical_json
from lmrnn.study.grid import Cell
from lmrnn.tasks import battery_of

# In the order in which they are to be read. The report sorts them by name, hence the numbers that `chapters` adds.
CHAPTERS = ("Claims", "Curves", "Heat maps", "Networks", "Cells and provenance")


def _several_sizes(cells: Sequence[Cell]) -> bool:
    """Whether some network was trained on several data sizes, all else being equal."""
    sizes: dict[str, set[int]] = {}
    for cell in cells:
        spec = cell.spec
        key = canonical_json([without(panel_settings(spec), "trials_per_task"), spec["connectivity"], spec["seed"]])
        sizes.setdefault(key, set()).add(spec["trials_per_task"])
    return any(len(known) > 1 for known in sizes.values())


def _several_speeds(cells: Sequence[Cell]) -> bool:
    """Whether several connectivities were trained at several rates, or recurrent rates."""
    pairs = {canonical_json([cell.spec["training"].get(key) for key in PAIR]) for cell in cells}
    return len(pairs) > 1 and len({canonical_json(cell.spec["connectivity"]) for cell in cells}) > 1


def _of_largest_size(cells: Sequence[Cell]) -> list[Cell]:
    """Cells of the largest data size among those that differ in nothing else that panels are told apart by."""
    families = [canonical_json(without(panel_settings(cell.spec), "trials_per_task")) for cell in cells]
    largest: dict[str, int] = {}
    for family, cell in zip(families, cells, strict=True):
        largest[family] = max(largest.get(family, 0), cell.spec["trials_per_task"])
    pairs = zip(families, cells, strict=True)
    return [cell for family, cell in pairs if cell.spec["trials_per_task"] == largest[family]]


def _local_and_full_at_one_rate(cells: Sequence[Cell]) -> bool:
    """Whether some local and some full network differ in nothing else, the seed included."""
    kinds: dict[str, set[str]] = {}
    for cell in _of_largest_size(cells):
        spec = cell.spec
        key = canonical_json([panel_settings(spec), spec["training"]["learning_rate"], spec["seed"]])
        kinds.setdefault(key, set()).add(spec["connectivity"]["kind"])
    return any({"local", "full"} <= known for known in kinds.values())


def _larger_local_with_as_many_synapses(cells: Sequence[Cell]) -> bool:
    """Whether a larger local network has about the full one's synapses and differs in nothing else."""
    groups: dict[str, dict[str, tuple[str, int, int]]] = {}
    for cell in _of_largest_size(cells):
        spec = cell.spec
        kind, neurons = spec["connectivity"]["kind"], spec["network"]["neurons"]
        if kind in ("local", "full"):
            group = groups.setdefault(canonical_json(without(panel_settings(spec), "neurons", "trials_per_task")), {})
            name = f"{cell.connectivity_label} {neurons}"
            group.setdefault(name, (kind, neurons, network_size(spec["connectivity"], neurons)[1]))
    return any(_near_the_smallest_full(list(group.values())) for group in groups.values())


def _near_the_smallest_full(networks: Sequence[tuple[str, int, int]]) -> bool:
    """Of kinds, numbers of neurons and of synapses: whether a larger local one has about as many as the least full."""
    full = [(neurons, synapses) for kind, neurons, synapses in networks if kind == "full"]
    return bool(full) and any(
        neurons > min(full)[0] and near_in_synapses(synapses, min(full)[1])
        for kind, neurons, synapses in networks
        if kind == "local"
    )


def _on_a_sheet(cells: Sequence[Cell]) -> bool:
    return any("boundary" in cell.spec["connectivity"] for cell in cells)


def _turning_tasks(cells: Sequence[Cell]) -> bool:
    batteries = {cell.tasks: cell.spec for cell in cells}
    return any(task.seq_sign and not task.int_sign for spec in batteries.values() for task in battery_of(spec))


@dataclass(frozen=True)
class Entry:
    """One figure.

    What draws it is the function of its name in `module` of this package; `tables` are CSV files below the study's
    folder, without their ending, in the order in which it takes them; `caption` is reStructuredText; `claims` says that
    only studies with ``claims: true`` have it; `shown` says of a study's cells whether there can be anything to see.
    """

    name: str
    module: str
    chapter: str
    tables: tuple[str, ...]
    caption: str
    claims: bool = False
    shown: Callable[[Sequence[Cell]], bool] = lambda cells: True


_ENTRIES = (
    Entry("training_speed", "curves", "Curves", ("curves/training_speed",), caption="""\
**Training speed.** Validation decision accuracy against training steps, trials seen (the scale above, where every
step sees equally many) and seconds of training (evaluation not included), one line per connectivity: mean over
seeds and bootstrap 95% interval. A row of panels for each battery, layout and network size; where there are several
data sizes, the largest. In the legend: density, best learning rate (the one of the highest mean final validation
accuracy; * marks the smallest or largest rate tried), number of seeds. A training that diverged counts as accuracy
0 from there on. Dotted: always fixate; dashed: the ideal observer, which knows all but the noise and answers what is
most likely (Monte Carlo, within .01); with an arrow where they lie outside of the axis. The numbers, for all data
sizes, are in ``curves/training_speed.csv``."""),
    Entry("drive", "drive", "Curves", ("curves/drive",), shown=_several_speeds, caption="""\
**How fast does a network move?** Area under the validation learning curve (the mean decision accuracy from the first
step to the budget of steps named above each row) at every pair of learning rate and recurrent rate. Left: against the
learning rate. Right: the same points against the drive, learning rate times recurrent rate times in-degree, by which a
step moves a neuron's summed recurrent input if every weight moves by its rate, as it nearly does under Adam. Networks
that learn equally fast at equal drive lie on one line at the right however different they are at the left. Filled: all
weights share one rate; open: the recurrent weights have a rate of their own. Mean over seeds and bootstrap 95%
interval; the largest data size. The numbers are in ``curves/drive.csv``."""),
    Entry("steps_to_threshold", "thresholds", "Curves", ("curves/steps_to_threshold",), caption="""\
**Steps to threshold against density.** Training steps (upper row) and seconds (lower row) until validation decision
accuracy first reaches the threshold named above each panel; between two evaluations the accuracy is taken as a
straight line. Points are medians over seeds, bars their bootstrap 95% intervals. Each point is at the learning rate
that reaches this threshold in the fewest steps (restricted mean over seeds: a seed that never gets there counts
with the whole length of training); a ring marks a rate at the edge of those tried. Open triangles that point up: at
most half of the seeds get there, drawn where their own training ends; k/n is written beside where some do. Half-filled
marks: some seed is there before the first evaluation after the start, so that its time is interpolated; triangles
that point down: before the first step. Random and matched networks are drawn a little aside of the
density that they share with others. Thresholds that no seed of any network reaches have no panel. The numbers are
in ``curves/steps_to_threshold.csv``, those of every single cell, at every learning rate, in
``curves/threshold_times.csv``."""),
    Entry("data_efficiency", "curves", "Curves", ("curves/data_efficiency",), shown=_several_sizes, caption="""\
**Data efficiency.** Test decision accuracy after training on a limited number of trials per task, which are seen
again and again. Mean over seeds and bootstrap 95% interval; each connectivity at its best learning rate at each
data size (highest mean final validation accuracy). A training that diverged counts as 0. Every size is trained for
the same number of steps, and the accuracy is that of the last. Families of panels with a single size are left out
where others have several. Dotted: always fixate; dashed: the ideal observer; with an arrow where they lie outside of
the axis. The numbers are in ``curves/data_efficiency.csv``."""),
    Entry("trials_to_threshold", "thresholds", "Curves", ("curves/trials_to_threshold",),
          shown=_several_sizes, caption="""\
**Trials to threshold against density.** Training trials per task needed for a test decision accuracy at the
threshold named above each panel: for each seed, the first data size that gets there, and between two sizes a
straight line in the logarithm of the size. Points are medians over seeds, bars their bootstrap 95% intervals.
Triangles that point up: at most half of the seeds get there with the largest data set; k/n is written beside where
some do; that point down: the smallest data set is enough. A ring marks a best learning rate that is the smallest or
largest tried at a size beside the crossing. Random and matched networks are drawn a little aside of the density
that they share with others. Thresholds that no seed of any network reaches have no panel. The numbers are in
``curves/trials_to_threshold.csv``."""),
    Entry("task_accuracy", "tasks", "Heat maps", ("curves/task_accuracy",), caption="""\
**Accuracy on every task.** Test decision accuracy in percent, tasks by connectivity, mean over seeds, at the
largest data size and each connectivity's best learning rate (highest mean final validation accuracy). The first
column is what a network reaches that always fixates; the last one is the ideal observer: the best that any network
could reach, as the noise of the stimuli leaves (Monte Carlo, within .01). The numbers are in
``curves/task_accuracy.csv``."""),
    Entry("rate_threshold_map", "maps", "Heat maps", ("curves/rate_threshold_map",),
          claims=True, shown=_local_and_full_at_one_rate, caption="""\
**When does locality help?** Steps to threshold of the full network over those of the best local one, both at the
same learning rate, for every learning rate and threshold (restricted mean over the seeds that both have: a cell
that never gets there counts with the whole length of training). Above 1 (orange) local networks are faster. The
best of several radii is taken, which is a slight advantage; the page of claims has every radius by itself. > and <
mark bounds, ~ ratios in which cells of both never get there, (1) a single seed, a dash cases in which neither
network ever gets there. A panel for each battery, layout and network size. The numbers are in
``curves/rate_threshold_map.csv``."""),
    Entry("equal_synapses", "maps", "Curves", ("curves/equal_synapses",),
          claims=True, shown=_larger_local_with_as_many_synapses, caption="""\
**At equal numbers of synapses.** Training steps (left) and seconds of training (right) to each threshold, for the
full network on few neurons and local networks on more neurons whose numbers of synapses lie within 30% of it.
Medians over seeds with bootstrap 95% intervals, each network at the learning rate of its fewest steps (restricted
mean). The numbers are in ``curves/equal_synapses.csv``."""),
    Entry("sheets", "networks", "Networks", ("analysis/units", "analysis/clusters"),
          claims=True, shown=_on_a_sheet, caption="""\
**Clusters on the sheet.** The units of one network of each kind (the largest battery, best learning rate, first
seed), coloured by cluster. Units are clustered by their normalised task variance, the variance of a unit over
trials of a task, averaged over the moments of a trial and divided by the unit's largest (Yang et al. 2019);
k-means, with the number of clusters of the best silhouette. *Neighbours alike*: share of touching pairs of active
units in the same cluster, beside the mean of 1,000 permutations of the clusters among active units. All seeds are
in ``analysis/clusters.csv``."""),
    Entry("tuning", "networks", "Networks", ("analysis/tuning", "analysis/units"), claims=True, caption="""\
**What units are for.** Normalised task variance of every active unit in every task, units ordered by cluster, for
one network of each kind (first seed). The numbers are in ``analysis/tuning.csv``."""),
    Entry("autapses", "networks", "Networks", ("analysis/units", "analysis/tuning"), claims=True, caption="""\
**Units by themselves.** Left: weights of the units' synapses onto themselves and the time constant with which an
active unit would forget, -dt / ln(1 - a + a w). Right: for each task, how many units cost a point of decision
accuracy or more when they no longer reach the readout; for a pool of autapses this is all that removing a unit
does. One network of each kind (first seed). The numbers are in ``analysis/units.csv`` and ``analysis/tuning.csv``."""),
    Entry("rings", "networks", "Networks", ("analysis/planes", "analysis/rotation"),
          claims=True, shown=_turning_tasks, caption="""\
**Rotation along a ring.** Above: states during the decision of a seq task, in the principal plane that they go
round once with the position at which a trial begins (what all trials share at a time is taken away; nothing about
the plane presumes rotation), coloured by the position to be reported. Below: the mean angle that the state advances
in one time step, in the sense in which positions rise, for seq tasks during the decision, for int tasks of the
reach family during the delay, and for their base tasks, in which the answer stands still; one point for each seed;
open: in trials answered right at every time step of the decision, of tasks with 8 or more of them in 128. (In seq
tasks right answers all but imply that the state turns; in int tasks nothing is answered yet.) Dashed: the angle by
which the right answer moves. The numbers, for every task, are in ``analysis/rotation.csv``."""),
)  # fmt: skip
FIGURES = {entry.name: entry for entry in _ENTRIES}


def figures_of(cells: Sequence[Cell], claims: bool) -> dict[str, Entry]:
    """The figures of a study, by name: those in which, by its cells, there can be anything to see."""
    return {entry.name: entry for entry in _ENTRIES if (claims or not entry.claims) and entry.shown(cells)}


def chapters(figures: dict[str, Entry], claims: bool) -> dict[str, str]:
    """The report's chapters with their numbers, without gaps, for a study with these figures."""
    found = {entry.chapter for entry in figures.values()} | {CHAPTERS[-1]} | ({CHAPTERS[0]} if claims else set())
    return {name: f"{number} {name}" for number, name in enumerate((one for one in CHAPTERS if one in found), 1)}


def draw(name: str, tables: Sequence[pd.DataFrame], stem: Path | str, palette: str = "okabe_ito") -> None:
    """Draw a figure of the list from its tables as PNG and SVG; the palette of curves is okabe_ito or viridis."""
    module = importlib.import_module(f"lmrnn.figures.{FIGURES[name].module}")
    getattr(module, name)(*tables, stem, palette)
