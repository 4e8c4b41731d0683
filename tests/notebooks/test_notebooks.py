"""Committed notebooks: without outputs, with parameters, and each in the book."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from emolib import paths
from emolib.book.execution import read_notebook, real_corpora, source
from emolib.book.pages import toc_pages

NOTEBOOKS = sorted((paths.PROJECT / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def code(notebook: dict) -> list[dict]:
    """Return the code cells."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


@every_notebook
def test_it_is_committed_without_outputs(path: Path):
    for cell in code(read_notebook(path)):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert "papermill" not in cell["metadata"]


@every_notebook
def test_it_is_valid_and_its_cells_keep_their_ids(path: Path):
    notebook = read_notebook(path)
    nbformat.validate(notebook)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) >= (4, 5)


@every_notebook
def test_it_runs_on_the_kernel_that_everyone_has(path: Path):
    metadata = read_notebook(path)["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
    assert metadata["language_info"]["name"] == "python"


@every_notebook
def test_its_parameters_are_literals_that_papermill_can_set(path: Path):
    (cell,) = (
        cell
        for cell in code(read_notebook(path))
        if "parameters" in cell["metadata"].get("tags", [])
    )
    found = {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(source(cell)).body
        for target in node.targets
    }
    assert found["mode"] == "quick"
    assert found["seed"] == 0
    assert isinstance(found["corpus"], str)


@every_notebook
def test_it_begins_with_its_only_title(path: Path):
    first, *rest = read_notebook(path)["cells"]
    assert first["cell_type"] == "markdown"
    assert re.match(r"(\([\w-]+\)=\n)?# \S", source(first))
    outside_code = [
        re.sub(r"^(`{3,}).*?^\1`*", "", source(cell), flags=re.S | re.M)
        for cell in rest
        if cell["cell_type"] == "markdown"
    ]
    assert not any(re.search(r"^# ", text, re.M) for text in outside_code)


@every_notebook
def test_it_is_a_page_of_the_book(path: Path):
    assert f"notebooks/{path.stem}" in toc_pages(paths.PROJECT / "_toc.yml")


@every_notebook
def test_it_names_only_real_corpora_that_exist(path: Path):
    assert isinstance(real_corpora(read_notebook(path)), tuple)


@every_notebook
def test_it_reads_no_environment_variable_and_no_path_of_one_machine(path: Path):
    text = "\n".join(source(cell) for cell in code(read_notebook(path)))
    assert not re.search(r"os\.environ|getenv|/home/|/work/|\.\./", text)
