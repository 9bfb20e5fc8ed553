"""Looks at figures while they are drawn, and at how they lie on their pages."""

import itertools
import re
from contextlib import contextmanager

import matplotlib
import pytest
from matplotlib.transforms import Bbox

from lmrnn.figures import style
from lmrnn.figures.registry import FIGURES, draw


@contextmanager
def watched():
    """The figures drawn inside the block, still open for inspection."""
    made, make = [], style.Figure

    def remember(*args, **kwargs):
        made.append(make(*args, **kwargs))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "Figure", remember)
        yield made


def draw_all(tables, folder, names=None):
    """Every figure whose tables are there, each as it was drawn."""
    wanted = names or [name for name, one in FIGURES.items() if all(t.split("/")[1] in tables for t in one.tables)]
    with watched() as made:
        for name in wanted:
            draw(name, [tables[table.split("/")[1]] for table in FIGURES[name].tables], folder / name)
    return dict(zip(wanted, made, strict=True))


def smallest_font(figure):
    """Size of a figure's smallest text, in points at printed size."""
    texts = [one for one in figure.findobj(matplotlib.text.Text) if one.get_text().strip() and one.get_visible()]
    return min(text.get_fontsize() for text in texts)


def beyond(figure):
    """How far a figure's contents reach beyond its page, in inches."""
    box, page = figure.get_tightbbox(), figure.get_size_inches()
    return max(-box.x0, -box.y0, box.x1 - page[0], box.y1 - page[1])


def box_of(text):
    """Where a text is on its page, without an empty line above it."""
    box = text.get_window_extent()
    above = box.height / 2 if text.get_text().startswith("\n") else 0
    return Bbox.from_extents(box.x0, box.y0, box.x1, box.y1 - above)


def overlapping(figure):
    """Pairs of titles, labels and legends that lie on each other (remarks at points apart, which follow the points)."""
    figure.draw_without_rendering()  # places were last worked out for the SVG
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_text().strip() and text.get_visible()]
    # ticks' labels include those out of view
    texts = [text for text in texts if not re.fullmatch(r"[\d.]+[kM]?", text.get_text())]
    texts = [text for text in texts if not (isinstance(text, matplotlib.text.Annotation) and text.xycoords == "data")]
    boxes = [(box_of(text), text.get_text()) for text in texts]
    pairs = itertools.combinations([(box, words) for box, words in boxes if box.width > 0], 2)
    return [
        (first, second)
        for (a, first), (b, second) in pairs
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1  # pixels
    ]
