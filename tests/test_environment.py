"""One place for dependencies: pyproject.toml; everything else keeps in step with it."""

import re
import subprocess
import sys
import time
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from emolib import paths

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
    "seaborn",
    "plotly",
    "av",
    "facenet_pytorch",
    "onnxruntime",
    "lightning",
]
OUT_OF_DATE_PINS = "facenet-pytorch"  # needs --no-deps outside uv: environment.yml says so


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
