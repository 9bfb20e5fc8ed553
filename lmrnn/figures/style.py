"""What all figures share: sizes, colours of connectivities, panels, notes, and how they are written."""

from __future__ import annotations

import os
import textwrap
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from lmrnn.errors import ConfigError
from lmrnn.figures.text import short_number
from lmrnn.files.storage import atomic_path

WIDTH = 7.0  # inches: two columns of a page, one is 3.5
ROW = 2.0
DPI = 200
SEEDS_NOTE = "bars, bands: bootstrap 95% interval over seeds (of two or three seeds: their range)"

# Okabe and Ito's colours, told apart by readers with any of the common colour blindnesses
_COLOURS = {
    "full": "#000000",
    "autapse": "#D55E00",
    "random": "#009E73",
    "small_world": "#CC79A7",
    "ring": "#E69F00",
    "full_matched": "#7F7F7F",
}
_DASHES = {"random": "--", "small_world": "-.", "ring": ":", "full_matched": "--"}
_MARKERS = {"full": "s", "autapse": "D", "random": "^", "small_world": "v", "ring": "P", "full_matched": "X"}
# for kinds that are added to those; also told apart by colour-blind readers, and from those above by their markers
_OTHER_COLOURS = ("#56B4E9", "#8C510A", "#882255")
_OTHER_MARKERS = ("X", "*", "p", "d", "<", ">")
_OTHER_DASHES: tuple[Any, ...] = ("-", (0, (5, 1)), (0, (2, 1)), (0, (6, 1, 1, 1)), (0, (1, 1)))
_SHADES = tuple(np.linspace(0, 1, 16))
_BLUES = LinearSegmentedColormap.from_list("local", ["#9BD4F5", "#0072B2", "#03223B"])
_LARGEST_RADIUS = 12.0
# without the date and the version of the drawing library, so that the same figure gives the same bytes
_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
_RC = {
    "font.size": 7.5,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "svg.hashsalt": "lmrnn",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Style:
    """How one connectivity is drawn, the same in every figure: Matplotlib colour, line style and marker."""

    colour: Any
    dashes: Any
    marker: str


def style_of(kind: str, radius: float = float("nan"), palette: str = "okabe_ito") -> Style:
    """Colour, line and marker of a kind of connectivity, whatever else is drawn.

    Its radius gives the shade; NaN without. The palette, ``okabe_ito`` or ``viridis``, gives the shades of local
    networks. A kind that no figure was made for has a colour and a marker by its name.
    """
    shade = 0.5 if not np.isfinite(radius) else min(1.0, np.log(max(radius, 1.0)) / np.log(_LARGEST_RADIUS))
    if kind == "local":
        shades = _BLUES if palette == "okabe_ito" else matplotlib.colormaps["viridis_r"]
        return Style(shades(shade if palette == "okabe_ito" else 0.15 + 0.8 * shade), "-", "o")
    base = _COLOURS.get(kind) or _pick(kind, _OTHER_COLOURS)
    if np.isfinite(radius) and kind != "full_matched":
        base = _shaded(base, shade)
    return Style(base, _DASHES.get(kind, "-"), _MARKERS.get(kind) or _pick(kind, _OTHER_MARKERS))


def _shaded(colour: str, shade: float) -> Any:
    """A colour made lighter (0) or darker (1)."""
    return LinearSegmentedColormap.from_list("shades", ["#FFFFFF", colour, "#000000"])(0.35 + 0.35 * shade)


def _pick(name: str, choices: tuple[Any, ...]) -> Any:
    """One of some choices, always the same for a name."""
    return choices[zlib.crc32(name.encode()) % len(choices)]


def row_style(row: pd.Series, palette: str) -> Style:
    """Style of a table's row, from its columns kind, radius, boundary and connectivity.

    A sheet whose edges are joined (torus) has hexagons. Networks of a kind without colours of its own that differ in
    more than a radius, such as two masks, are told apart by shade and dashes.
    """
    kind, label = str(row["kind"]), str(row.get("connectivity", row["kind"]))
    style = style_of(kind, float(row["radius"]), palette)
    if kind == "local":
        return Style(style.colour, style.dashes, "h" if row.get("boundary") == "torus" else style.marker)
    if kind in _COLOURS or label == kind:
        return style
    colour = style.colour if np.isfinite(float(row["radius"])) else _shaded(style.colour, _pick(label, _SHADES))
    return Style(colour, _pick(label[::-1], _OTHER_DASHES), style.marker)


def styles_of(table: pd.DataFrame, palette: str) -> dict[str, Style]:
    """Style of each connectivity of a table by its connectivity_id, no two alike: settings that no colour, dashes or
    marker stand for (a share rewired, edges joined) still make another line.
    """
    found: dict[str, Style] = {}
    first = table.drop_duplicates("connectivity_id").sort_values(["connectivity", "connectivity_id"])
    for _, row in first.iterrows():
        style = row_style(row, palette)
        known = {(str(one.colour), str(one.dashes)) for one in found.values()}
        others = zip((style.dashes, *_OTHER_DASHES), (style.marker, *_OTHER_MARKERS), strict=False)
        options = [Style(style.colour, dashes, marker) for dashes, marker in others]
        free = (one for one in options if (str(one.colour), str(one.dashes)) not in known)
        found[str(row["connectivity_id"])] = next(free, style)
    return found


def picture(path: Path | str) -> tuple[Path, str]:
    """A picture's file without its ending, and the ending, png or svg; ConfigError on another one."""
    path = Path(path)
    if path.suffix not in (".png", ".svg"):
        raise ConfigError(f"{path}: a picture's name ends in .png or .svg")
    return path.with_suffix(""), path.suffix[1:]


@contextmanager
def new_figure(
    width: float, height: float, stem: Path | str, formats: tuple[str, ...] = ("png", "svg")
) -> Iterator[Figure]:
    """A figure, in inches at printed size, that is written as PNG and SVG beside the stem when the block ends.

    Laid out so that nothing overlaps; each file is written whole or not at all, the same figure gives the same bytes.
    """
    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_RC, "backend": "agg"}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, not for each format
        for ending in formats:
            with atomic_path(f"{os.fspath(stem)}.{ending}") as path:
                figure.savefig(path, format=ending, dpi=DPI, metadata=_METADATA[ending])


def note(figure: Figure, text: str) -> None:
    """Write under a figure what its reader must know, each line wrapped where the page ends."""
    written = figure.supxlabel("", fontsize=7, x=0.01, ha="left", color="0.25")
    width = 0.98 * figure.bbox.width
    lines = []
    for one in text.split("\n"):
        size = min(len(one), int(30 * figure.get_figwidth()))  # more never fit in an inch
        while size > 10 and _widest(written, textwrap.wrap(one, size)) > width:
            size -= 1
        lines += textwrap.wrap(one, max(size, 1))
    written.set_text("\n".join(lines))


def _widest(text: Text, lines: list[str]) -> float:
    """Pixels that the longest of some lines takes."""
    text.set_text("\n".join(lines))
    return float(text.get_window_extent().width)


def title(axes: Axes, text: str, width: int = 90) -> None:
    """Write a panel's name above its left edge, in several lines where it is long."""
    axes.set_title(textwrap.fill(text, width), loc="left")


def accuracy_axis(axes: Axes, label: str, low: float = 0.0, high: float = 1.0) -> None:
    """Make a y axis that shows accuracies between two of 0, .1 ... 1, by default all."""
    axes.set_ylim(low, high + 0.02 * (high - low))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_ylabel(label)


def draw_references(axes: Axes, part: pd.DataFrame) -> None:
    """Draw what always answering fixate reaches, and the ideal observer (columns always_fixate, ideal), where known.

    One that lies outside of the axis is named at its edge.
    """
    low, high = axes.get_ylim()
    for column, name, dots in (
        ("always_fixate", "always fixate", (0, (1, 2))),
        ("ideal", "ideal observer", (0, (4, 2))),
    ):
        value = float(part[column].iloc[0]) if column in part else np.nan
        if low <= value <= high:
            axes.axhline(value, color="0.6", linewidth=0.8, linestyle=dots, label=name, zorder=0)
        elif np.isfinite(value):
            place, aside, arrow = ((0.99, 0.01), "bottom", "↓") if value < low else ((0.99, 0.99), "top", "↑")
            axes.text(
                *place, f"{arrow} {name} {value:.2f}", transform=axes.transAxes, ha="right", va=aside, color="0.4"
            )


def side_legend(axes: Axes) -> None:
    """Put the legend to the right of a row's last panel, so that it covers nothing."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.02), borderaxespad=0, handlelength=2.2, labelspacing=0.35)


def few_ticks(axis: Axis) -> None:
    """At most five ticks with short numbers, for a narrow panel."""
    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(short_number)


def plain_log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers at 1, 2 and 5 times powers of ten, as far as they fit."""
    across = isinstance(axis, XAxis)  # where labels stand side by side
    axis.set_major_locator(LogLocator(subs=(1.0,) if across else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(short_number))
    axis.set_minor_formatter(NullFormatter())


def empty_figure(stem: Path | str, reason: str) -> None:
    """A figure that says why there is nothing to draw: a workflow's output must exist."""
    with new_figure(WIDTH / 2, 1.2, stem) as figure:
        figure.text(0.5, 0.5, reason, ha="center", va="center", fontsize=8)
