"""Looking into trained networks: what their units are for, how long they remember, and whether they turn along a ring.

A network is run, without noise, on fresh trials of every task; what is then measured is in `lmrnn.tuning`,
`lmrnn.autapses` and `lmrnn.rotation`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from lmrnn.autapses import readout_lesions, self_weights, time_constants
from lmrnn.batches import Trials as TrialTensors
from lmrnn.batches import padded_batch
from lmrnn.cells import CellResult
from lmrnn.connectivity import build_connectivity
from lmrnn.network import LMRNN
from lmrnn.recurrence import choose_path, get_path
from lmrnn.rotation import POSITIONS, Rotation, measure_rotation
from lmrnn.seeds import stream
from lmrnn.tasks import Task, Trials, battery, draw, render
from lmrnn.tuning import cluster_units, modularity, normalised_variance, sheet_neighbours, task_variance

MS_PER_POSITION = 100  # int and seq move by one position on the ring in this time


@dataclass(frozen=True)
class Run:
    """A network's states on noise-free trials of one task.

    Parameters
    ----------
    trials : Trials
        n trials.
    states : numpy.ndarray
        (S, N) state after each of the S time steps, laid out as the trials' observations.
    """

    trials: Trials
    states: np.ndarray

    @property
    def trial(self) -> np.ndarray:
        """(S,) trial of each row."""
        return np.repeat(np.arange(len(self.trials)), self.trials.length)

    @property
    def time(self) -> np.ndarray:
        """(S,) time step of each row within its trial."""
        return np.arange(len(self.states)) - self.trials.start[self.trial]


def restore_network(result: CellResult) -> LMRNN:
    """The trained network of a cell.

    Parameters
    ----------
    result : CellResult
        With its weights.

    Returns
    -------
    LMRNN
        On the CPU.

    Raises
    ------
    KeyError
        When the result was read without its weights.
    """
    spec = result.spec
    settings = dict(spec["network"])
    connectivity = build_connectivity(spec["connectivity"], settings.pop("neurons"), spec["seed"])
    network = LMRNN(connectivity, len(battery(spec["tasks"])), **settings)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(np.asarray(result.weights[name])))
    return network


def run_task(network: LMRNN, task: Task, rule: int, spec: dict, trials: int, seed: int = 0) -> Run:
    """Run a network on noise-free trials of one task.

    Parameters
    ----------
    network : LMRNN
        The network.
    task : Task
        The task.
    rule : int
        Its rule channel.
    spec : dict
        The cell's spec: definition and dt.
    trials : int
        How many trials, >= 1.
    seed : int
        Seed >= 0 of the trials; they are of a stream of their own.

    Returns
    -------
    Run
        Trials and states.
    """
    rng = stream(seed, "analysis", task.name)
    made = render(task, draw(task, trials, rng, spec["dt"], spec["definition"]), spec["dt"], spec["definition"])
    columns = {"start": made.start, "length": made.length, "task": np.full(trials, rule), "decision": made.decision}
    tensors = TrialTensors(
        torch.from_numpy(made.obs),
        torch.from_numpy(made.labels),
        **{name: np.asarray(column, np.int64) for name, column in columns.items()},
        n_tasks=network.n_tasks,
    )
    batch = padded_batch(tensors, np.arange(trials))
    states = get_path(choose_path(network, "cpu")).states(network, batch).numpy()  # (T, n, N)
    laid = np.concatenate([states[: made.length[i], i] for i in range(trials)])
    return Run(made, laid)


def moments(trials: Trials) -> np.ndarray:
    """What point of a trial each time step is: its period, and the time since the period's onset.

    Parameters
    ----------
    trials : Trials
        n trials.

    Returns
    -------
    numpy.ndarray
        (S,) equal for time steps to be compared; -1 in the fixation period, in which nothing differs yet.
    """
    time = np.arange(len(trials.labels)) - np.repeat(trials.start, trials.length)
    bounds = np.repeat(trials.bounds, trials.length, axis=0)  # (S, periods + 1)
    period = (time[:, None] >= bounds[:, 1:-1]).sum(axis=1)
    since = time - bounds[np.arange(len(time)), period]
    return np.where(period == 0, -1, period * 100_000 + since)


def seq_positions(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Position to be reported at each time step of the decision period.

    Parameters
    ----------
    run : Run
        Of any task.

    Returns
    -------
    rows : numpy.ndarray
        (R,) rows of the states in which there is something to report.
    position : numpy.ndarray
        (R,) 0 .. 15.
    """
    rows = np.flatnonzero((run.time >= run.trials.decision[run.trial]) & (run.trials.labels > 0))
    return rows, run.trials.labels[rows] - 1


def int_positions(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Position that the answer would have if the delay ended now, at each time step of the delay (reach family).

    Parameters
    ----------
    run : Run
        Of a task of the reach family with a delay.

    Returns
    -------
    rows : numpy.ndarray
        (R,) rows of the delay.
    position : numpy.ndarray
        (R,) any integer, counted modulo 16.
    """
    task, dt = run.trials.task, run.trials.dt
    onset, decision = run.trials.bounds[run.trial, -3], run.trials.decision[run.trial]
    rows = np.flatnonzero((run.time >= onset) & (run.time < decision))
    elapsed = (run.time - onset + 1)[rows] * dt  # ms, at the end of the time step
    answer = run.trials.draws.columns["response"][run.trial[rows]]
    total = (decision - onset)[rows] * dt
    return rows, answer - task.int_sign * (total // MS_PER_POSITION - elapsed // MS_PER_POSITION)


def rotations(
    network: LMRNN, spec: dict, trials: int = 128, seed: int = 0
) -> Iterator[tuple[dict, Rotation, np.ndarray]]:
    """Rotation of a network in every task that calls for it, and in the same tasks without as a control.

    Parameters
    ----------
    network : LMRNN
        The network.
    spec : dict
        The cell's spec.
    trials : int
        Trials per task.
    seed : int
        Seed >= 0 of the trials.

    Yields
    ------
    row : dict
        task; what (``seq``: during the decision, ``int``: during the delay, ``none``: a base task's decision or delay,
        in which the position stands still); advance, target (rad per time step), share, coherence, explained.
    rotation : Rotation
        The same, with the states in the plane.
    place : numpy.ndarray
        (R, 3): trial, time step since onset, position modulo 16 of each of its states.
    """
    for rule, task in enumerate(battery(spec["tasks"])):
        what = _ring_of(task, spec["definition"])
        if what is None:
            continue
        run = run_task(network, task, rule, spec, trials, seed)
        rows, position = int_positions(run) if what == "int" else seq_positions(run)
        trial = run.trial[rows]
        first = np.flatnonzero(np.diff(trial, prepend=-1))
        if len(np.unique(position[first] % POSITIONS)) < 3 or not np.any(run.states[rows]):
            continue  # a silent network turns nothing
        found = measure_rotation(run.states[rows], position, trial)
        names = ("advance", "target", "share", "coherence", "explained")
        since = np.arange(len(rows)) - np.repeat(first, np.diff(np.r_[first, len(rows)]))
        row = {"task": task.name, "what": what, **{name: getattr(found, name) for name in names}}
        yield row, found, np.stack([trial, since, position % POSITIONS], axis=1)


def _ring_of(task: Task, definition: str) -> str | None:
    """What a task is looked at for: ``seq``, ``int``, ``none`` (a control), or nothing."""
    if task.seq_sign:
        return None if task.int_sign else "seq"
    if task.family != "reach":
        return None
    # the published code turns the stimulus of int tasks by an angle off the grid
    return "none" if not task.int_sign else "int" if definition == "corrected" else None


def unit_tables(
    network: LMRNN, spec: dict, trials: int = 64, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """What the units of a network are for.

    Parameters
    ----------
    network : LMRNN
        The network.
    spec : dict
        The cell's spec.
    trials : int
        Trials per task.
    seed : int
        Seed >= 0 of the trials and of the clustering.

    Returns
    -------
    units : pandas.DataFrame
        One row per unit: unit, row and column on the sheet (-1 without one), active, cluster (-1 if not active),
        self_weight, time_constant_ms, the task of the largest variance and that of the largest loss without the unit.
    tuning : pandas.DataFrame
        One row per unit and task: variance (normalised: the unit's largest is 1; 0 if not active), loss (decision
        accuracy lost when the unit no longer reaches the readout).
    clusters : pandas.DataFrame
        One row: active units, number of clusters, silhouette, and modularity on the sheet (neighbours) and over
        synapses (weighted by strength).
    """
    tasks = battery(spec["tasks"])
    readout, bias = network.readout.detach().numpy(), network.readout_bias.detach().numpy()
    variance, loss = np.zeros((network.neurons, len(tasks))), np.zeros((network.neurons, len(tasks)))
    for rule, task in enumerate(tasks):
        run = run_task(network, task, rule, spec, trials, seed)
        variance[:, rule] = task_variance(run.states, moments(run.trials))
        deciding = run.time >= run.trials.decision[run.trial]
        _, loss[:, rule] = readout_lesions(run.states[deciding], run.trials.labels[deciding], readout, bias)
    active, normalised = normalised_variance(variance)
    labels = np.full(network.neurons, -1)
    labels[active], scores = cluster_units(normalised, seed=seed) if active.any() else (labels[active], {})
    shown = np.zeros_like(variance)
    shown[active] = normalised
    names = np.array([task.name for task in tasks])
    units = _units(network, spec, active, labels).assign(
        main_task=np.where(active, names[shown.argmax(axis=1)], ""),
        lesioned_task=np.where(loss.max(axis=1) > 0, names[loss.argmax(axis=1)], ""),
    )
    tuning = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(network.neurons), len(tasks)),
            "task": np.tile(names, network.neurons),
            "variance": shown.ravel(),
            "loss": loss.ravel(),
        }
    )
    return units, tuning, _cluster_row(network, spec, labels, scores)


def _units(network: LMRNN, spec: dict, active: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    connectivity, side = network.connectivity, network.connectivity.side or 0
    own = self_weights(network.recurrent.detach().numpy(), connectivity.post, connectivity.pre, network.neurons)
    unit = np.arange(network.neurons)
    return pd.DataFrame(
        {
            "unit": unit,
            "row": unit // side if side else -1,
            "column": unit % side if side else -1,
            "active": active,
            "cluster": labels,
            "self_weight": own,
            "time_constant_ms": time_constants(own, network.leak, spec["dt"]),
        }
    )


def _cluster_row(network: LMRNN, spec: dict, labels: np.ndarray, scores: dict[int, float]) -> pd.DataFrame:
    """Number of clusters and their modularity on the sheet and over synapses."""
    connectivity = network.connectivity
    row = {
        "active": int((labels >= 0).sum()),
        "clusters": int(labels.max() + 1),
        "silhouette": max(scores.values(), default=np.nan),
    }
    links = {}
    if connectivity.side:
        links["sheet"] = (sheet_neighbours(connectivity.side, spec["connectivity"].get("boundary") == "torus"), None)
    between = connectivity.post != connectivity.pre
    pairs = np.stack([connectivity.post[between], connectivity.pre[between]], axis=1)
    links["synapses"] = (pairs, np.abs(network.recurrent.detach().numpy())[between])
    for name, (pair, weight) in links.items():
        found = modularity(labels, pair, weight) if len(pair) else None
        for key in ("share", "chance", "spread", "p"):
            row[f"{name}_{key}"] = getattr(found, key) if found else np.nan
    return pd.DataFrame([row])
