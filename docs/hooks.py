"""Pages of the site made from the project itself: gallery of tasks, keys of the configuration, other READMEs."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from lmrnn.figures.trial import draw_trial
from lmrnn.tasks import Task, battery

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "build" / "gallery"
# a test of the site draws one task of each kind
FEW = os.environ.get("LMRNN_GALLERY") == "few"
INTRODUCTION = """\
# Tasks

A trial of each task, as `lmrnn show TASK` draws it: what the network sees, with its noise,
and what it is to answer. Trial, seed and time step can be chosen: `lmrnn show dlygo --seed 3 --dt 20`.

`lmrnn tasks` lists the battery. Where the two definitions differ, the corrected one is shown.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {
        "tasks.md": gallery(),
        "configuration.md": readme("config/README.md") + "\n\n" + keys(),
        "cluster.md": readme("profiles/README.md"),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    for picture in sorted(PICTURES.glob("*.png")):
        files.append(File.generated(config, f"gallery/{picture.name}", abs_src_path=str(picture)))
    return files


def readme(path: str) -> str:
    """Another README as a page: links to files of the repository become their paths, since the site has no sources."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.sub(r"\[(`?[^\]]+`?)\]\((?!https?:)[^)]*\)", r"\1", text)


def gallery() -> str:
    """One picture for each of the 126 tasks, as `lmrnn show` draws it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    lines = [INTRODUCTION]
    groups: dict[str, list[Task]] = {}
    for task in battery(126):
        words = [word for word, sign in (("int", task.int_sign), ("seq", task.seq_sign)) if sign]
        groups.setdefault(" and ".join(words), []).append(task)
    for title in ("", "int", "seq", "int and seq"):
        tasks = groups[title]
        lines += [f"## {title} ({len(tasks)})" if title else "## The 20 base tasks", ""]
        for task in tasks[:1] if FEW else tasks:
            picture = PICTURES / f"{task.name}.png"
            if not picture.exists():
                draw_trial(task.name, picture)
            lines += [
                f"### {task.name}",
                "",
                f"![A trial of {task.name}](gallery/{task.name}.png){{ loading=lazy }}",
                "",
            ]
    return "\n".join(lines)


def keys() -> str:
    """Every key of the configuration, from the schema that checks it."""
    schema = yaml.safe_load((ROOT / "lmrnn/study/config.schema.yaml").read_text(encoding="utf-8"))
    lines = ["## Every key", "", "From the schema that checks a configuration before anything starts.", ""]
    top = {name: one for name, one in schema["properties"].items() if one.get("type") != "object"}
    lines += _table("Top level", top)
    for name, section in schema["properties"].items():
        if section.get("type") == "object":
            lines += _table(f"`{name}:`", section.get("properties", {}), section.get("description", ""))
    return "\n".join(lines)


def _table(title: str, properties: Mapping[str, Mapping[str, Any]], says: str = "") -> list[str]:
    lines = [
        f"### {title}",
        "",
        *([says, ""] if says else []),
        "| key | meaning | allowed | default |",
        "|---|---|---|---|",
    ]
    for name, one in properties.items():
        cells = name, one.get("description", ""), _allowed(one), _default(one)
        lines.append("| " + " | ".join([f"`{cells[0]}`", *(cell.replace("|", "\\|") for cell in cells[1:])]) + " |")
    return [*lines, ""]


def _default(one: Mapping[str, Any]) -> str:
    value = one.get("default")
    if "default" not in one:
        return "must be given"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _allowed(one: Mapping[str, Any]) -> str:
    if "enum" in one:
        return ", ".join(f"`{value}`" for value in one["enum"])
    if one.get("type") == "array" or "$ref" in one:
        return "a list"
    kinds = {"integer": "integer", "number": "number", "boolean": "`true`, `false`", "string": "text"}
    types = one["type"] if isinstance(one.get("type"), list) else [one.get("type")]
    text = " or ".join(kinds.get(kind, str(kind)) for kind in types if kind)
    low, above, high = one.get("minimum"), one.get("exclusiveMinimum"), one.get("maximum")
    bounds = [f">= {low}"] if low is not None else [f"> {above}"] if above is not None else []
    bounds += [f"<= {high}"] if high is not None else []
    return f"{text} {', '.join(bounds)}".strip()
