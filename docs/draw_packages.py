"""Draw the packages of lmrnn and what they import from each other, from the imports themselves: `make packages`.

An arrow points from a package to one that it imports. Where the way by another package shows the same, the arrow is
left out: a package may import everything that its arrows lead to.
"""

import ast
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lmrnn"
PICTURE = Path(__file__).with_name("packages.svg")
SAYS = {
    "errors": "what is said to users",
    "seeds": "streams of random numbers",
    "files": "written whole or not at all",
    "plugins": "files of one's own",
    "tasks": "batteries, trials",
    "datasets": "trials in HDF5, batches",
    "networks": "connectivity, models, paths",
    "study": "configuration, grid, layout",
    "training": "the loop, checkpoints",
    "curves": "tables of the sweep",
    "analysis": "inside trained networks",
    "claims": "verdicts",
    "figures": "pictures",
    "science": "from a result to questions",
    "steps": "steps of the workflow",
    "cli": "lmrnn ...",
}


def imported(path: Path) -> set[str]:
    """Packages of lmrnn that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
    return {name.split(".")[1] for name in names if name.startswith("lmrnn.") and not name.startswith("lmrnn.__")}


def arrows() -> dict[str, set[str]]:
    """For each package, or single module, below lmrnn/ those that it imports."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if name != "__init__":
            found.setdefault(name, set()).update(imported(path) - {name})
    return found


def reach(graph: dict[str, set[str]], name: str) -> set[str]:
    """All packages that a package leads to."""
    return graph[name].union(*(reach(graph, other) for other in graph[name]))


def needed(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no way by another package shows already."""
    return {
        name: {one for one in below if not any(one in reach(graph, other) for other in below - {one})}
        for name, below in graph.items()
    }


def floors(graph: dict[str, set[str]]) -> dict[str, int]:
    """Floor of each package: one above the highest that it imports."""

    def floor(name: str) -> int:
        return 1 + max(map(floor, graph[name]), default=-1)

    return {name: floor(name) for name in graph}


def places(graph: dict[str, set[str]]) -> dict[str, tuple[float, float]]:
    """Middle of each box; those of a floor side by side, each as near as can be to what it imports."""
    floor, found = floors(graph), {}
    for level in range(max(floor.values()) + 1):
        row = [name for name in graph if floor[name] == level]
        wanted = {n: sum(found[b][0] for b in graph[n] if b in found) / max(1, len(graph[n])) for n in row}
        row.sort(key=lambda name: (wanted[name], name))
        for i, name in enumerate(row):
            found[name] = ((i - (len(row) - 1) / 2) * 2.6, level)
    return found


def draw(path: Path = PICTURE) -> None:
    """Write the picture; the same imports give the same bytes."""
    graph = needed(arrows())
    at = places(graph)
    figure = Figure(figsize=(7.0, 0.62 * (1 + max(y for _, y in at.values()))))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for name, below in sorted(graph.items()):
        for other in sorted(below):
            (x, y), (x2, y2) = at[name], at[other]
            bend = 0.0 if y - y2 == 1 else 0.25 * (1 if x + x2 >= 0 else -1)
            arrow = {"arrowstyle": "->", "color": "0.45", "connectionstyle": f"arc3,rad={bend}", "linewidth": 0.8}
            axes.annotate("", (x2, y2 + 0.3), (x, y - 0.3), arrowprops=arrow)
    for name, (x, y) in at.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.2", "linewidth": 0.8}
        axes.text(x, y, f"{name}\n{SAYS[name]}", ha="center", va="center", fontsize=7, bbox=box, linespacing=1.4)
    across, up = zip(*at.values(), strict=True)
    axes.set(xlim=(min(across) - 1.4, max(across) + 1.4), ylim=(-0.6, max(up) + 0.6))
    with rc_context({"svg.hashsalt": "lmrnn"}):
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw()
