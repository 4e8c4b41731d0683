"""A small project to build: one page of prose and one notebook, quick to execute."""

from pathlib import Path

import nbformat
import pytest

from emolib import paths

CONFIG = """\
title: A small book
only_build_toc_files: true
execute: {execute_notebooks: "off"}
parse: {myst_enable_extensions: [colon_fence, dollarmath]}
sphinx:
  extra_extensions: [sphinx-mathjax-offline]
  config: {nb_ipywidgets_js: {}, html_static_path: [book/_static]}
"""
TOC = """\
format: jb-book
root: book/intro
parts:
  - caption: Papers
    chapters:
      - file: notebooks/tiny
"""
SOURCE = '''\
"""A module."""


def double(x: int | float) -> float:
    """Return twice `x` (in $).

    Parameters
    ----------
    x
        A number.
    """
    return 2 * x
'''
FIGURE = """\
from IPython.display import HTML
HTML('<img alt="a grey dot" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">')"""


def notebook(*cells: str, real: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    """Return a notebook: a title, the parameters, and code cells."""
    given = nbformat.v4.new_code_cell('mode = "quick"\nseed = 0\ncorpus = "synthetic"')
    given.metadata["tags"] = ["parameters"]
    made = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# A tiny chapter\n\nWith $x^2$."),
            given,
            *map(nbformat.v4.new_code_cell, cells),
        ]
    )
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    if real:
        made.metadata["emolib"] = {"real": list(real)}
    return made


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a small book, with notebooks/tiny.ipynb, in the place of the real one."""
    folder = tmp_path / "project"
    monkeypatch.setattr(paths, "PROJECT", folder)
    monkeypatch.setattr(paths, "DATA", folder / "data")
    (folder / "data" / "claims").mkdir(parents=True)
    (folder / "data" / "claims" / "tiny.yml").write_text("claims: []\n")
    (folder / "emolib").mkdir()
    (folder / "emolib" / "tiny.py").write_text(SOURCE)
    (folder / "requirements.lock").write_text("")
    (folder / "book").mkdir(parents=True)
    (folder / "book" / "_static").mkdir()
    (folder / "book" / "_static" / "look.css").write_text("p { color: grey }")
    (folder / "notebooks").mkdir()
    (folder / "_config.yml").write_text(CONFIG)
    (folder / "_toc.yml").write_text(TOC)
    (folder / "book" / "intro.md").write_text(
        "# Welcome\n\nSee [the chapter](../notebooks/tiny).\n"
    )
    nbformat.write(
        notebook('print("mode is", mode, "on", corpus)', FIGURE),
        folder / "notebooks" / "tiny.ipynb",
    )
    return folder
