"""Rules of the house that no single test of behaviour would notice."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lmrnn", "snakemake_executor_plugin_submitit")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAY_IMPORT = {
    "snakemake": set(),
    "submitit": set(),
    "matplotlib": {"figures"},
    "h5py": {"storage", "datasets", "cells", "checkpoint"},
    "torch": {
        *("recurrence", "network", "batches", "training", "training_step", "optimiser"),
        *("evaluation", "checkpoint", "analysis"),
    },
}


def imports(path):
    """Top-level names of everything that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def public_functions(path):
    """Public functions of a file, and public methods of its public classes."""
    body = ast.parse(path.read_text()).body
    classes = [node for node in body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    for node in [*body, *(member for one in classes for member in one.body)]:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT / "lmrnn")], ids=lambda p: p.name)
def test_libraries_are_imported_only_where_the_design_allows(path):
    part = path.relative_to(ROOT / "lmrnn").parts[0].removesuffix(".py")
    part = "figures" if part.startswith("figures") else "analysis" if part.startswith("analysis") else part
    for name in imports(path):
        assert name not in MAY_IMPORT or part in MAY_IMPORT[name], f"{path} imports {name}"


def test_only_the_executor_plugin_imports_submitit():
    users = {path.relative_to(ROOT).parts[0] for path in SOURCES if "submitit" in imports(path)}
    assert users == {"snakemake_executor_plugin_submitit"}


def test_no_file_is_longer_than_350_lines():
    patterns = ("*.py", "*.smk", "*.c", "*.h", "Snakefile")
    places = (*PACKAGES, "tests", "workflow", "benchmarks")
    files = [path for place in places for pattern in patterns for path in (ROOT / place).rglob(pattern)]
    long = {str(path): n for path in files if (n := len(path.read_text().splitlines())) > 350}
    assert not long


def test_rules_and_scripts_stay_small():
    sizes = {".smk": 120, "Snakefile": 40, ".py": 25}
    for path in (ROOT / "workflow").rglob("*"):
        limit = sizes.get(path.suffix) or sizes.get(path.name)
        if path.is_file() and limit:
            assert len(path.read_text().splitlines()) <= limit, path


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_functions_have_types_and_docstrings(path):
    for function in public_functions(path):
        where = f"{path}:{function.lineno} {function.name}"
        arguments = [a for a in function.args.args + function.args.kwonlyargs if a.arg not in ("self", "cls")]
        assert function.returns is not None, f"{where}: no return type"
        assert all(a.annotation is not None for a in arguments), f"{where}: an argument without a type"
        docstring = ast.get_docstring(function) or ""
        assert docstring, f"{where}: no docstring"


@pytest.mark.parametrize(
    "module", ["lmrnn", "lmrnn.sweep", "lmrnn.curves", "lmrnn.config", "lmrnn.limits", "lmrnn.plan", "lmrnn.status"]
)
def test_planning_runs_without_torch(module, run_python):
    done = run_python(
        f"import {module}, sys; assert 'torch' not in sys.modules; assert 'matplotlib' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr
