"""Rules of the house that no single test of behaviour would notice."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGIN = "snakemake-executor-plugin-submitit"
PACKAGES = ("lmrnn", f"{PLUGIN}/src/snakemake_executor_plugin_submitit")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAY_IMPORT = {
    "snakemake": set(),
    "submitit": set(),
    "matplotlib": {"figures"},
    "h5py": {"files", "datasets", "study", "training"},
    "torch": {"networks", "datasets", "training", "analysis", "science"},
    "scipy": {"curves", "analysis", "claims", "science"},
    "gymnasium": {"science"},
    "triton": {"training"},
}
# Each package imports only from those before it: the way of the data, from the ground up.
ORDER = (
    *("errors", "seeds", "files", "plugins", "tasks", "datasets", "networks", "study", "training"),
    *("curves", "analysis", "science", "claims", "figures", "steps", "cli"),
)


def modules(path):
    """Full names of every module that a file imports, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def imports(path):
    """Top-level names of everything that a file imports."""
    return {name.split(".")[0] for name in modules(path)}


def package(path):
    """The package of lmrnn/ that a file belongs to, or its own name where it stands by itself."""
    return path.relative_to(ROOT / "lmrnn").parts[0].removesuffix(".py")


def public_functions(path):
    """Public functions of a file, and public methods of its public classes."""
    body = ast.parse(path.read_text()).body
    classes = [node for node in body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    for node in [*body, *(member for one in classes for member in one.body)]:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


OURS = [p for p in SOURCES if p.is_relative_to(ROOT / "lmrnn")]


@pytest.mark.parametrize("path", OURS, ids=lambda p: str(p.relative_to(ROOT)))
def test_libraries_are_imported_only_where_the_design_allows(path):
    for name in imports(path):
        assert name not in MAY_IMPORT or package(path) in MAY_IMPORT[name], f"{path} imports {name}"


@pytest.mark.parametrize("path", OURS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_package_imports_only_what_lies_below_it(path):
    if path == ROOT / "lmrnn/__init__.py":
        return
    for name in modules(path):
        if name.startswith("lmrnn.") and name != "lmrnn.__version__":
            other = name.split(".")[1]
            assert ORDER.index(other) <= ORDER.index(package(path)), f"{path} imports {name}"


def test_the_picture_of_the_packages_is_that_of_the_code(tmp_path, run_python):
    drawn = tmp_path / "packages.svg"
    done = run_python(
        f"import runpy, pathlib; runpy.run_path('docs/draw_packages.py')['draw'](pathlib.Path({str(drawn)!r}))"
    )
    assert done.returncode == 0, done.stderr
    assert drawn.read_bytes() == (ROOT / "docs/packages.svg").read_bytes(), "the imports have changed: make packages"


def test_only_the_executor_plugin_imports_submitit():
    users = {path.relative_to(ROOT).parts[0] for path in SOURCES if "submitit" in imports(path)}
    assert users == {PLUGIN}


def test_no_file_is_longer_than_350_lines():
    patterns = ("*.py", "*.smk", "*.c", "*.h", "Snakefile")
    places = (*PACKAGES, f"{PLUGIN}/tests", "tests", "workflow", "benchmarks")
    files = [path for place in places for pattern in patterns for path in (ROOT / place).rglob(pattern)]
    long = {str(path): n for path in files if (n := len(path.read_text().splitlines())) > 350}
    assert not long


def test_no_function_is_longer_than_50_lines():
    functions = [(path, node) for path in SOURCES for node in ast.walk(ast.parse(path.read_text()))]
    functions = [(path, node) for path, node in functions if isinstance(node, ast.FunctionDef)]
    long = {f"{path}: {one.name}": n for path, one in functions if (n := one.end_lineno - one.lineno + 1) > 50}
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
    "module",
    [
        "lmrnn",
        "lmrnn.study.grid",
        "lmrnn.curves.tables",
        "lmrnn.study.config",
        "lmrnn.study.requirements",
        "lmrnn.cli.plan",
        "lmrnn.cli.status",
    ],
)
def test_planning_runs_without_torch(module, run_python):
    done = run_python(
        f"import {module}, sys; assert 'torch' not in sys.modules; assert 'matplotlib' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr


def test_training_runs_without_what_reads_configurations_and_schedules_jobs(run_python):
    """A node with a GPU needs nothing but torch, numpy, h5py: it may have no workflow manager at all."""
    absent = ("jsonschema", "yaml", "snakemake", "submitit", "matplotlib", "pygments")
    absent += ("pandas", "psutil", "filelock", "scipy")
    blocked = f"import sys; sys.modules.update(dict.fromkeys({absent}))"
    code = f"{blocked}; import lmrnn.training.fleet.train, lmrnn.training.train"
    done = run_python(code)
    assert done.returncode == 0, done.stderr
