"""Imports go one way, and the contract that says so notices when one does not."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emolib import paths

MODEL_FILES = sorted((paths.PACKAGE / "models").glob("[!_]*.py"))


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    """Hold the package in `folder` against the contracts of the pyproject.toml there."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its contracts, to be broken."""
    shutil.copytree(
        paths.PACKAGE, tmp_path / "emolib", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(paths.PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_go_one_way():
    done = lint_imports(paths.PROJECT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "arrow"),
    [
        ("corpora/manifest.py", "from emolib import cli", "emolib.corpora.manifest -> emolib.cli"),
        (
            "papers/lu.py",
            "def later():\n    from emolib.app import companion",
            "emolib.papers.lu -> emolib.app.companion",
        ),
        ("labs/leaks.py", "import emolib.book.checks", "emolib.labs.leaks -> emolib.book.checks"),
        ("models/ding.py", "from emolib import paths", "emolib.models.ding -> emolib.paths"),
    ],
)
def test_an_arrow_that_runs_back_is_named(copy, file, line, arrow):
    with (copy / "emolib" / file).open("a") as source:
        source.write(f"\n\n{line}\n")
    done = lint_imports(copy)
    assert done.returncode == 1
    assert arrow in done.stdout


def test_a_new_module_has_to_be_given_its_place(copy):
    (copy / "emolib" / "newcomer.py").write_text('"""A module that no layer holds."""\n')
    done = lint_imports(copy)
    assert done.returncode == 1
    assert "newcomer" in done.stdout


@pytest.mark.parametrize("file", MODEL_FILES, ids=lambda file: file.stem)
def test_a_model_s_file_needs_torch_torchvision_and_the_shared_layers_alone(file):
    allowed = {"torch", "torchvision", "emolib.models.layers", "emolib.errors", "emolib.media"}
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
    outside = {name for name in modules if name.split(".")[0] not in sys.stdlib_module_names}
    assert {n for n in outside if n not in allowed and n.split(".")[0] not in allowed} == set()
