"""One place for dependencies: pyproject.toml; everything else keeps in step with it."""

import ast
import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from emolib import __version__, paths

HEAVY = [
    "torch",
    "torchvision",
    "cv2",
    "librosa",
    "captum",
    "papermill",
    "dask",
    "gradio",
    "matplotlib",
    "plotly",
    "av",
    "facenet_pytorch",
    "onnxruntime",
    "lightning",
]
OUT_OF_DATE_PINS = "facenet-pytorch"  # needs --no-deps outside uv: environment.yml says so


# What no line of Python here imports, and why it is on the list all the same.
NOT_IMPORTED = {
    "dask": "runs features on a cluster: joblib starts it as its backend",
    "dlib-bin": "imported as dlib, a name that its metadata leave out",
    "hatchling": "builds the wheel: started by tests/test_wheel.py and the release",
    "import-linter": "started by `make lint` and tests/test_architecture.py",
    "ipykernel": "the kernel in which papermill runs a notebook",
    "jupyter-book": "started in a process of its own by emolib.book.build",
    "face-recognition-models": "holds the landmark model, which is read by its path",
    "mypy": "started by `make lint`",
    "numba": "librosa's: the bounds keep versions out that end the process",
    "onnxscript": "torch.onnx writes its graphs with it",
    "papermill": "started in a process of its own by emolib.book.execution",
    "pre-commit": "started by git, once a contributor has installed the hooks",
    "pytest-cov": "a plugin of pytest: `make test ARGS=--cov`",
    "pytest-timeout": "a plugin of pytest: no test hangs",
    "pytest-xdist": "a plugin of pytest: `make test` runs in parallel",
    "ruff": "started by `make lint`",
    "sphinx-design": "an extension that Jupyter Book loads by itself: grids and cards",
    "sphinx-togglebutton": "an extension that Jupyter Book loads by itself: hidden cells",
    "sphinxcontrib-bibtex": "an extension that Jupyter Book loads by itself: citations",
}


def project() -> dict:
    """Read pyproject.toml."""
    return tomllib.loads((paths.PROJECT / "pyproject.toml").read_text())


def requirements() -> list[Requirement]:
    """Return every requirement of the package and of all its extras."""
    table = project()["project"]
    extras = table["optional-dependencies"].values()
    named = table["dependencies"] + [one for extra in extras for one in extra]
    return [Requirement(one) for one in named]


def locked() -> dict[str, list[tuple[str, str]]]:
    """Return the locked versions of each package, each with the text that follows it."""
    text = (paths.PROJECT / "requirements.lock").read_text()
    found: dict[str, list[tuple[str, str]]] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", text):
        if match := re.match(r"([a-z0-9][a-z0-9._-]*)==([^\s;]+)", entry):
            found.setdefault(canonicalize_name(match[1]), []).append((match[2], entry))
    return found


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_each_requirement_is_locked_inside_its_range(requirement):
    versions = locked().get(canonicalize_name(requirement.name), [])
    assert versions, f"{requirement.name} is not in requirements.lock: run `make lock`"
    for version, _ in versions:
        assert requirement.specifier.contains(version, prereleases=True)


def test_each_locked_package_has_a_hash_and_no_address():
    entries = [(name, text) for name, all_ in locked().items() for _, text in all_]
    assert len(entries) > len(requirements())
    assert [name for name, text in entries if "--hash=sha256:" not in text] == []
    lock = (paths.PROJECT / "requirements.lock").read_text()
    assert re.findall(r"https?://|^--|@ file|^\s*-[if] ", lock, re.M) == []


def test_the_conda_environment_names_the_same_packages():
    environment = yaml.safe_load((paths.PROJECT / "environment.yml").read_text())
    (python,) = [one for one in environment["dependencies"] if str(one).startswith("python")]
    assert set(python.removeprefix("python").split(",")) == set(
        project()["project"]["requires-python"].split(",")
    )
    (pip,) = [one["pip"] for one in environment["dependencies"] if isinstance(one, dict)]
    expected = {str(one) for one in requirements() if one.name != OUT_OF_DATE_PINS}
    assert {str(Requirement(one)) for one in pip} == expected
    comment = (paths.PROJECT / "environment.yml").read_text()
    (left_out,) = [str(one) for one in requirements() if one.name == OUT_OF_DATE_PINS]
    assert f"--no-deps {left_out}" in comment


def imported() -> set[str]:
    """Return the first names of all modules that package, tests and notebooks import."""

    def sources() -> Iterator[str]:
        for folder in ("emolib", "tests"):
            for file in (paths.PROJECT / folder).rglob("*.py"):
                yield file.read_text()
        for file in (paths.PROJECT / "notebooks").glob("*.ipynb"):
            for cell in json.loads(file.read_text())["cells"]:
                if cell["cell_type"] == "code":
                    yield "".join(cell["source"])

    modules = set()
    for source in sources():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                modules |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("importorskip"):
                modules.add(ast.literal_eval(node.args[0]))
    return {name.split(".")[0] for name in modules}


def test_each_requirement_is_imported_somewhere_or_has_a_reason():
    offered: dict[str, set[str]] = {}
    for module, distributions in packages_distributions().items():
        for name in distributions:
            offered.setdefault(canonicalize_name(name), set()).add(module.lstrip("_"))
    config = yaml.safe_load((paths.PROJECT / "_config.yml").read_text())["sphinx"]
    used = imported() | {name.split(".")[0] for name in config["extra_extensions"]}
    needed = {canonicalize_name(one.name) for one in requirements()}
    idle = {name for name in needed if not offered.get(name, set()) & used}
    assert idle - set(NOT_IMPORTED) == set(), "use it, drop it, or say in NOT_IMPORTED why it stays"
    assert set(NOT_IMPORTED) - idle == set(), "imported by now, or no requirement any more"


def test_the_hooks_before_a_commit_check_what_make_lint_checks():
    config = yaml.safe_load((paths.PROJECT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}  # nothing is fetched
    asked = ["make", "--dry-run", "--old-file", ".venv/.emolib-installed", "lint"]
    lint = subprocess.run(asked, cwd=paths.PROJECT, capture_output=True, text=True, check=True)
    system = [hook["entry"] for hook in hooks if hook["language"] == "system"]
    assert system == [line for line in lint.stdout.splitlines() if line.startswith(".venv/bin/")]


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ('"outputs": [], "execution_count": null', False),
        ('"execution_count": 3', True),
        ('"outputs": [{"output_type": "stream"}]', True),
    ],
)
def test_the_hook_for_notebooks_finds_outputs(cell, found):
    config = yaml.safe_load((paths.PROJECT / ".pre-commit-config.yaml").read_text())
    (hook,) = (hook for hook in config["repos"][0]["hooks"] if hook["id"] == "notebooks")
    assert bool(re.search(hook["entry"], cell)) is found
    assert re.search(hook["files"], "notebooks/ding.ipynb")


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((paths.PROJECT / "CITATION.cff").read_text())
    assert project()["project"]["version"] == __version__ == citation["version"]


def test_the_workflow_tests_each_python_that_the_package_allows():
    workflow = yaml.safe_load((paths.PROJECT / ".github/workflows/test.yml").read_text())
    tested = workflow["jobs"]["locked"]["strategy"]["matrix"]["python"]
    named = [
        line.rpartition(" ")[2]
        for line in project()["project"]["classifiers"]
        if re.search(r"Python :: 3\.\d+$", line)
    ]
    assert tested == named


def loaded_after(code: str) -> set[str]:
    """Return the heavy libraries that a fresh interpreter has loaded after running `code`."""
    probe = f"import sys; {code}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["emolib", "emolib.cli", "emolib.book", "emolib.corpora"])
def test_importing_is_light(module):
    assert loaded_after(f"import {module}") == set()


def test_training_from_stored_features_needs_no_decoder():
    needless = {"cv2", "librosa", "captum", "papermill", "dask", "gradio", "matplotlib", "av"}
    found = loaded_after("import emolib.models, emolib.training, emolib.evaluation")
    assert found & needless == set()


def test_help_answers_at_once():
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "emolib.cli", "--help"], capture_output=True, check=True)
    assert time.perf_counter() - started < 3  # about 0.5 s on an idle machine


def test_make_env_does_nothing_when_nothing_changed(tmp_path):
    (tmp_path / "Makefile").write_bytes((paths.PROJECT / "Makefile").read_bytes())
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    (tmp_path / ".venv").mkdir()
    stale = subprocess.run(
        ["make", "--dry-run", "env"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "--require-hashes" in stale.stdout
    (tmp_path / ".venv" / ".emolib-installed").touch()
    fresh = subprocess.run(
        ["make", "--dry-run", "env"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "pip" not in fresh.stdout
