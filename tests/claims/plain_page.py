"""The page of claims once more, from claims.csv: every number that it shows, table by table, for people to follow."""

from __future__ import annotations

import math
from collections import Counter
from html.parser import HTMLParser

from tests.claims.plain_table import shown

SIGNS = {"supported": "+", "not supported": "−", "undecided": "?", "": ""}
MARKS = {">=": "≥", "<=": "≤", "~": "~", "": ""}
NUMBERS = ("number", "low", "high", "p", "p_holm", "first", "second", "baseline", "budget", "threshold")


class Page(HTMLParser):
    """Tables, each (class, rows of texts), and paragraphs, in the order of the page; `parts` by heading 2."""

    def __init__(self, text):
        super().__init__()
        self.parts, self.open = [{"tables": [], "paragraphs": []}], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        part = self.parts[-1]
        if tag == "h2":
            self.parts.append({"tables": [], "paragraphs": []})
        elif tag == "table":
            part["tables"].append((dict(attrs).get("class", ""), []))
        elif tag == "tr":
            part["tables"][-1][1].append([])
        elif tag in ("td", "th"):
            part["tables"][-1][1][-1].append("")
        elif tag == "p":
            part["paragraphs"].append("")
        if tag in ("td", "th", "p"):
            self.open = tag

    def handle_endtag(self, tag):
        self.open = None if tag == self.open else self.open

    def handle_data(self, data):
        part = self.parts[-1]
        if self.open == "p":
            part["paragraphs"][-1] += data
        elif self.open:
            part["tables"][-1][1][-1][-1] += data


def compare(path, rows):
    """Hold the page against the rows of claims.csv, which `plain_table.compare` has held against the cells."""
    rows = [
        {**row, **{name: float(row[name] or "nan") for name in NUMBERS}, "claim": int(row["claim"])} for row in rows
    ]
    first, *parts = Page(path.read_text(encoding="utf-8")).parts
    headlines = [row for row in rows if row["headline"] == "True"]
    if headlines:
        ((_, table),) = first["tables"]
        body = [line for line in table[1:] if len(line) > 1]  # without the claims' statements
        same(path, body, [line_of(row, row["controls"]) for row in headlines])
    assert len(parts) == 4
    for claim, part in enumerate(parts, 1):
        own = [row for row in rows if row["claim"] == claim]
        assert part["paragraphs"][0] == sentence(own), f"{path}: {part['paragraphs'][0]}"
        listed = [table[1:] for kind, table in part["tables"] if kind != "glance"]
        by_role = [[row for row in own if row["role"] == role] for role in ("claim", "control")]
        wanted = [[line_of(row, row["detail"]) for row in some] for some in by_role if some]
        assert len(listed) == len(wanted)
        for table, lines in zip(listed, wanted, strict=True):
            same(path, table, lines)
        glances = [table for kind, table in part["tables"] if kind == "glance"]
        expected = [*({1: by_column, 2: by_column, 3: groups, 4: shares}[claim](own) if own else ()), *limits(own)]
        assert len(glances) == len(expected), f"{path}: {len(glances)} tables at a glance of claim {claim}"
        for table, lines in zip(glances, expected, strict=True):
            same(path, table, lines)


def same(path, found, wanted):
    found = [[" ".join(text.split()) for text in line] for line in found]
    wanted = [[" ".join(text.split()) for text in line] for line in wanted]
    assert found == wanted, f"{path}: {[pair for pair in zip(found, wanted, strict=False) if pair[0] != pair[1]][:1]}"


def line_of(row, last):
    verdict = row["verdict"] + (f": {row['reason']}" if row["reason"] else "")
    p = ["" if math.isnan(row[name]) else f"{row[name]:.2g}" for name in ("p", "p_holm")]
    return [row["condition"], measured(row), row["comparison"], shown(row), row["seeds"], verdict, *p, last]


def measured(row):
    if row["measure"] == "area":
        return f"area, {row['subject']} ({row['budget']:,.0f} steps)"
    if row["measure"] in ("steps", "trials"):
        return f"{row['measure']} to {row['threshold']:g}" + (f" ({row['subject']})" if row["subject"] else "")
    return f"accuracy, {row['subject']}" if row["claim"] == 2 else ""


def sentence(rows):
    counts = Counter(row["verdict"] for row in rows if row["role"] == "claim")
    if not counts:
        return "Not measured in this study."
    words = ", ".join(f"{verdict} in {count}" for verdict, count in counts.most_common())
    found = f"Of {sum(counts.values())} cases (condition, measure and threshold or tasks): {words}."
    whole = [row["number"] for row in rows if row["variant"] == "rate" and row["subject"] == "whole training"]
    whole = [number for number in whole if not math.isnan(number)]
    if whole:
        local, full = (sum(sign * number > 0 for number in whole) for sign in (1, -1))
        found += (
            f" With both networks at the same learning rate, local learns faster in {local} and full in {full} of "
            f"{len(whole)} comparisons (area, whole training)."
        )
    return found


# --- tables at a glance: lines of texts, a condition's line has its name alone


def order(values):
    return list(dict.fromkeys(values))


def blocks(rows, lines):
    """Lines of each condition below its name."""
    for condition in order(row["condition_id"] for row in rows):
        own = [row for row in rows if row["condition_id"] == condition]
        yield [own[0]["condition"]]
        yield from lines(own)


def column(row):
    return row["subject"] or f"{row['threshold']:g}"


def by_column(rows):
    for measure in order(row["measure"] for row in rows):
        part = [row for row in rows if row["measure"] == measure]
        known = [row for row in part if not math.isnan(row["number"])] or part
        columns = [one for one in order(map(column, part)) if one in map(column, known)]

        def lines(own, columns=columns):
            for variant, comparison in order((row["variant"], row["comparison"]) for row in own):
                line = [row for row in own if (row["variant"], row["comparison"]) == (variant, comparison)]
                cells = [next((number(row) for row in line if column(row) == one), "") for one in columns]
                yield [comparison, *cells]

        yield [["", *columns], *blocks(part, lines)]


def number(row):
    if math.isnan(row["number"]):
        return "-"
    if row["measure"] in ("area", "accuracy"):
        text, none = f"{row['number']:+.3f}", 0
    else:
        text, none = f"{row['number']:.{2 if row['number'] < 20 else 0}f}", 1
    apart = "*" if not row["verdict"] and (row["low"] > none or row["high"] < none) else ""
    return f"{MARKS[row['bound']]}{text}{apart} {SIGNS[row['verdict']]}"


def groups(rows):
    kinds = [kind for kind in ("autapse", "full", "random") if any(row["variant"] == kind for row in rows)]

    def lines(own):
        for subject in order(row["subject"] for row in own):
            by_kind = {row["variant"]: row for row in own if row["subject"] == subject}
            first = next(row for row in own if row["subject"] == subject)
            numbers = [first["baseline"], first["second"]]
            numbers += [by_kind[kind]["first"] if kind in by_kind else math.nan for kind in kinds]
            line = [f"{subject} tasks", *("" if math.isnan(one) else f"{one:.3f}" for one in numbers)]
            if pool := by_kind.get("autapse"):
                gain = pool["second"] - pool["baseline"]
                kept = f"{100 * (pool['first'] - pool['baseline']) / gain:.0f}%" if gain > 0.02 else ""
                line += [f"{pool['number']:+.3f} {SIGNS[pool['verdict']]}", kept]
            yield line

    yield [["", "always fixate", "best local", *kinds, "gap", "kept"], *blocks(rows, lines)]


def shares(rows):
    def lines(own):
        for row in own:
            share = "-" if math.isnan(row["number"]) else f"{row['number']:.2f}"
            interval = "" if math.isnan(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}"
            yield [row["comparison"], f"{share} {SIGNS[row['verdict']]}", interval, row["seeds"]]

    yield [["", "share", "95%", "seeds"], *blocks(rows, lines)]


def limits(rows):
    """What other limits would give, by each row's own interval: ranges in which the claim holds, one of them used."""
    rows = [row for row in rows if row["role"] == "claim" and row["claim"] > 2]
    for base in order(row["subject"] == "base" for row in rows):
        part = [row for row in rows if (row["subject"] == "base") == base]
        if part[0]["claim"] == 4:
            ranges = {f"{low:.2g} to {1 / low:.3g}": (low, 1 / low) for low in (0.9, 0.8, 0.7, 0.5)}
            used = "0.8 to 1.25"
        elif base:
            ranges = {f"{points} points behind": (-points / 100, math.inf) for points in (1, 2, 3, 5, 10)}
            used = "3 points behind"
        else:
            ranges = {f"{points} points behind": (-math.inf, -points / 100) for points in (5, 10, 15, 20, 25, 30)}
            used = "20 points behind"

        def lines(own, ranges=ranges):
            return [[row["comparison"], *(SIGNS[says(row, *limit)] for limit in ranges.values())] for row in own]

        yield [["", *(name + " (used)" * (name == used) for name in ranges)], *blocks(part, lines)]


def says(row, low, high):
    if int(row["seeds"]) < 6 or not row["low"] <= row["high"]:
        return "undecided"
    if low <= row["low"] and row["high"] <= high:
        return "supported"
    return "not supported" if row["high"] < low or row["low"] > high else "undecided"
