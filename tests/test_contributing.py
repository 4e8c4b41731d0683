"""CONTRIBUTING.md's walk-throughs: followed to the letter in a copy of the project, they work.

A walk-through names files (**new** or **edit**) and shows what goes into them; an edit is a diff
whose first lines are there already. Its commands are those of the blocks after **run**.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emolib import paths

#: Most files that a walk-through may touch: (new, edited).
MOST = {
    "Add a paper": (5, 3),
    "Add a corpus": (2, 1),
    "Add a feature": (2, 0),
    "Add a lab": (3, 2),
}
STEP = re.compile(r"^\*\*(new|edit|run)\*\*(?: `([^`]+)`)?[^\n]*\n+```\w*\n(.*?)^```$", re.M | re.S)


@dataclass
class WalkThrough:
    """What one section of CONTRIBUTING.md asks for, in its order."""

    new: dict[str, str] = field(default_factory=dict)
    edit: dict[str, str] = field(default_factory=dict)
    run: list[str] = field(default_factory=list)


def walk_throughs() -> dict[str, WalkThrough]:
    """Read the sections that begin with “Add a”."""
    text = (paths.PROJECT / "CONTRIBUTING.md").read_text()
    sections = re.split(r"^### (Add a .*)$", text, flags=re.M)[1:]
    walks = {}
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        walk = walks[title] = WalkThrough()
        for kind, file, content in STEP.findall(re.split(r"^## ", body, flags=re.M)[0]):
            if kind == "run":
                walk.run += content.splitlines()
            else:
                getattr(walk, kind)[file] = content
    return walks


def edited(text: str, diff: str) -> str:
    """Return the text after a diff whose unchanged and removed lines stand in it exactly once."""
    lines = diff.splitlines(keepends=True)
    before, after = ("".join(line[1:] for line in lines if line[0] != sign) for sign in "+-")
    assert text.count(before) == 1, f"this stands {text.count(before)} times:\n{before}"
    return text.replace(before, after)


def follow(walk: WalkThrough, project: Path) -> None:
    """Write the new files and mend the others."""
    for name, content in walk.new.items():
        target = project / name
        assert not target.exists(), f"{name} is there already"
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".ipynb":
            import jupytext

            content = jupytext.writes(jupytext.reads(content, fmt="py:percent"), fmt="ipynb")
        target.write_text(content)
    for name, diff in walk.edit.items():
        target = project / name
        target.write_text(edited(target.read_text(), diff))


def run(command: str, project: Path) -> str:
    """Run one line of a walk-through with this Python, and return what it prints."""
    tools = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("EMOLIB_DATA", None)
    done = subprocess.run(
        command, shell=True, cwd=project, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture
def project(tmp_path) -> Path:
    """A copy of what is committed, without results; talking faces and features are shared."""
    target = tmp_path / "project"
    for name in ("emolib", "tests", "notebooks", "book", "data/claims", "data/splits"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(paths.PROJECT / name, target / name, ignore=ignore)
    for file in (paths.PROJECT).iterdir():
        if file.is_file():
            shutil.copy(file, target)
    shutil.copy(paths.DATA / "devices.csv", target / "data")
    for made in (paths.SYNTHETIC, paths.FEATURES):  # what is there need not be made once more
        made.mkdir(parents=True, exist_ok=True)
        (target / "data" / made.name).symlink_to(made)
    return target


def test_there_is_a_walk_through_for_each_kind_of_addition():
    assert set(walk_throughs()) == set(MOST)


@pytest.mark.parametrize("title", MOST)
def test_a_walk_through_touches_few_files(title):
    walk = walk_throughs()[title]
    new, edited = MOST[title]
    assert 0 < len(walk.new) <= new
    assert len(walk.edit) <= edited
    assert walk.run


@pytest.mark.parametrize("title", MOST)
def test_followed_to_the_letter_it_works(title, project):
    walk = walk_throughs()[title]
    follow(walk, project)
    for command in walk.run:
        run(command, project)


@pytest.mark.parametrize("file", walk_throughs().get("Add a paper", WalkThrough()).edit)
def test_a_list_that_was_forgotten_fails_a_test_that_names_the_remedy(file, project):
    walk = walk_throughs()["Add a paper"]
    del walk.edit[file]
    follow(walk, project)
    with pytest.raises(AssertionError, match=rf"(?s){re.escape(file)}.*CONTRIBUTING|registry.csv"):
        run(f"{sys.executable} -m pytest -q tests/test_registry.py", project)
