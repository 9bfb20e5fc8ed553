"""Rotation along a ring once more, row by row, for people to follow by hand; `tests.analysis.plain` says how."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from tests.analysis import plain
from tests.curves.plain import NAN, mean

STEP = 2 * math.pi / 16


def looked_at(task, definition):
    """For what a task is looked at: seq tasks, int tasks of the reach family, its tasks without either as a control."""
    if task.seq_sign:
        return None if task.int_sign else "seq"
    if task.family != "reach":
        return None
    return "none" if not task.int_sign else "int" if definition == "corrected" else None


def measure(network, trials, states, what):
    """The row of a task, and the points of its plane; None, [] where nothing can turn."""
    points = positions(trials, what)  # one for each row that is looked at
    onsets = {}
    for point in points:
        onsets.setdefault(point["trial"], point)
        point["state"] = states[point["row"]].astype(float)
    starts = {point["first"] for point in points}
    if len(starts) < 3 or (explained := in_plane(points)) is None:
        return None, []
    here = coherence(onsets.values(), 1)
    if coherence(onsets.values(), -1) > here:
        for point in points:
            point["y"], point["angle"] = -point["y"], -point["angle"]
    said = plain.answers(network, states)
    right = {
        trial for trial in range(len(trials)) if all(said[r] == trials.labels[r] for r in plain.deciding(trials, trial))
    }
    steps = pairs(points)
    turning = [(a, b) for a, b in steps if not math.isnan(a["angle"] + b["angle"])]
    in_right = [(a, b) for a, b in turning if b["trial"] in right]
    advance, target = (mean([turned(a[name], b[name]) for a, b in turning]) for name in ("angle", "wanted"))
    pattern = of_pattern(points)
    row = {
        "advance": advance,
        "target": target,
        "share": share(advance, target),
        "coherence": coherence(points, 1),
        "explained": explained,
        "right_share": share_of(in_right),
        "right_trials": len(right),
        "answer_share": NAN if what == "int" else of_answers(steps, said),
        "pattern_share": pattern[0],
        "pattern_coherence": pattern[1],
    }
    plane = [{"trial": p["trial"], "step": p["since"], "position": p["position"] % 16, "x": p["x"], "y": p["y"]}
             for p in points]  # fmt: skip
    return row, plane


def pairs(points):
    """Points of one trial at two time steps running."""
    return [(a, b) for a, b in pairwise(points)
            if a["trial"] == b["trial"] and b["since"] == a["since"] + 1]  # fmt: skip


def positions(trials, what):
    """Where there is something to report: each row, its trial, its time step since the onset of decision or delay, the
    position on the ring, and that with which the trial began."""
    found = []
    for trial in range(len(trials)):
        start, periods = int(trials.start[trial]), {period.name: period for period in trials.periods(trial)}
        if what == "int":
            delay = periods["delay"]
            for time in range(delay.start, delay.stop):
                # the answer if the delay ended with this time step: it moves one position in 100 ms of delay
                left = (delay.stop - delay.start) * trials.dt // 100 - (time - delay.start + 1) * trials.dt // 100
                position = int(trials.draws.columns["response"][trial]) - trials.task.int_sign * left
                found.append({"row": start + time, "trial": trial, "since": time - delay.start, "position": position})
        else:
            for time in range(periods["decision"].start, periods["decision"].stop):
                label = int(trials.labels[start + time])
                if label > 0:
                    since = time - periods["decision"].start
                    found.append({"row": start + time, "trial": trial, "since": since, "position": label - 1})
    sign = trials.task.int_sign if what == "int" else trials.task.seq_sign
    for point in found:
        point["wanted"] = STEP * point["position"]
        gone = point["since"] * trials.dt // 100  # positions that the answer has moved since the onset
        if what == "int":  # elapsed at the end of the time step, the first one included
            gone = (point["since"] + 1) * trials.dt // 100 - trials.dt // 100
        point["first"] = (point["position"] - sign * gone) % 16
    return found


def in_plane(points):
    """Give each point its place in the plane that states go round once with the first position; the share of the
    variance between trials that lies in it; None where they lie on a line."""
    means, shared, fits = means_by_start(points), {}, []
    for time, own in means.items():
        shared[time] = sum(own.values()) / len(own)
        rest = {first: state - shared[time] for first, state in own.items()}
        fits += wave(rest)
    values, vectors = np.linalg.eigh(sum(np.outer(fit, fit) for fit in fits))
    # states are rounded to float32: what is less than a millionth of the largest of them may be no more than that
    nothing = 1e-6 * max(math.sqrt(point["state"] @ point["state"]) for point in points)
    if len(values) < 2 or values[-2] <= nothing**2:
        return None
    inside = whole = 0.0
    for point in points:
        rest = point["state"] - shared[point["since"]]
        point["x"], point["y"] = rest @ vectors[:, -1], rest @ vectors[:, -2]
        point["angle"] = math.atan2(point["y"], point["x"])
        inside += point["x"] ** 2 + point["y"] ** 2
        whole += rest @ rest
    for point in points:  # where all states are at a time, a state lies in no direction
        if math.hypot(point["x"], point["y"]) <= nothing:
            point["angle"] = NAN
    return inside / max(whole, 1e-300)


def means_by_start(points):
    """{time since onset: {first position: mean state}}."""
    groups = {}
    for point in points:
        groups.setdefault(point["since"], {}).setdefault(point["first"], []).append(point["state"])
    return {time: {first: sum(own) / len(own) for first, own in groups[time].items()} for time in sorted(groups)}


def wave(states):
    """How states go with the cosine and with the sine of a position, by least squares beside what is constant."""
    design = np.array([[1, math.cos(STEP * first), math.sin(STEP * first)] for first in states])
    found = np.linalg.pinv(design, rcond=1e-9) @ np.array(list(states.values()))
    return [found[1], found[2]]


def coherence(points, sense):
    """Length of the mean of exp(i (angle - position's angle))."""
    known = [point for point in points if not math.isnan(point["angle"])]
    return abs(mean([np.exp(1j * (point["angle"] - sense * point["wanted"])) for point in known])) if known else 0.0


def turned(before, after):
    """Angle from one to another, the short way round; half a turn is -pi whatever rounding says."""
    angle = (after - before + math.pi) % (2 * math.pi) - math.pi
    return angle - 2 * math.pi if angle > math.pi - 1e-6 else angle


def share(advance, target):
    return advance / (target if abs(target) > 1e-9 else STEP)


def share_of(steps):
    if not steps:
        return NAN
    return share(*(mean([turned(a[name], b[name]) for a, b in steps]) for name in ("angle", "wanted")))


def of_answers(steps, said):
    """What the answers turn by where there are two running."""
    both = [(a, b) for a, b in steps if said[a["row"]] > 0 and said[b["row"]] > 0]
    if not both:
        return NAN
    moved = mean([turned(STEP * (said[a["row"]] - 1), STEP * (said[b["row"]] - 1)) for a, b in both])
    return share(moved, mean([turned(a["wanted"], b["wanted"]) for a, b in both]))


def of_pattern(points):
    """Angle by which the pattern over first positions turns in a time step, over the target's, and its coherence."""
    total, lengths, targets = 0j, 0.0, []
    for time in range(1, max(point["since"] for point in points) + 1):
        steps = [(a, b) for a, b in pairs(points) if b["since"] == time]
        if len({b["first"] for _, b in steps}) < 8:
            continue
        before, after = (harmonic([step[end] for step in steps]) for end in (0, 1))
        total += len(steps) * sum(one.conjugate() * other for one, other in zip(before, after, strict=True))
        lengths += len(steps) * math.sqrt(sum(abs(before) ** 2)) * math.sqrt(sum(abs(after) ** 2))
        targets += [turned(a["wanted"], b["wanted"]) for a, b in steps]
    if not targets or lengths == 0:
        return NAN, NAN
    return share(math.atan2(total.imag, total.real), mean(targets)), abs(total) / lengths


def harmonic(points):
    """Complex c of the states a + Re(c exp(i angle of the first position)), one mean state for each first position."""
    groups = {}
    for point in points:
        groups.setdefault(point["first"], []).append(point["state"])
    cosine, sine = wave({first: sum(own) / len(own) for first, own in groups.items()})
    return cosine - 1j * sine
