"""Executing notebooks: what is run, kept, and counted as run."""

import json

import nbformat
import pytest

from emolib.book.execution import (
    BookError,
    execute_all,
    finished,
    plan,
    read_notebook,
    real_corpora,
    unexecuted,
)


@pytest.fixture
def planned(project):
    """Plan the notebooks of the small project."""

    def plan_them(data=None, seed=0):
        notebooks = sorted((project / "notebooks").glob("*.ipynb"))
        return plan(notebooks, mode="quick", seed=seed, data=data, build=project / "_build")

    return plan_them


def test_a_job_is_done_again_exactly_when_something_it_depends_on_changes(project, planned):
    (before,), _ = planned()
    assert planned()[0] == [before]
    digests = [before.digest, planned(seed=1)[0][0].digest]
    for folder in ("book", "corpora", "synthetic"):
        (project / "emolib" / folder).mkdir()
    for name in (
        "emolib/tiny.py",
        "emolib/synthetic/hair.yml",
        "emolib/corpora/sources.yml",
        "emolib/book/scoreboard.html",
        "emolib/book/tables.py",
        "data/claims/tiny.yml",
        "requirements.lock",
    ):
        with (project / name).open("a") as file:
            file.write("\n# changed\n")
        digests.append(planned()[0][0].digest)
    assert len(set(digests)) == len(digests)
    (project / "emolib" / "book" / "pages.py").write_text("no cell runs this")
    assert planned()[0][0].digest == digests[-1]


def test_an_executed_copy_that_was_altered_is_not_taken_for_a_result(planned):
    (job,), _ = planned()
    (run,) = execute_all([job], progress=False)
    assert not run.reused
    assert finished(job).seconds == run.seconds
    content = json.loads(job.executed.read_text())
    content["cells"][-1]["outputs"] = []
    job.executed.write_text(json.dumps(content))
    assert finished(job) is None


def test_notebooks_run_on_the_real_corpora_they_name(project, planned, tmp_path):
    path = project / "notebooks" / "tiny.ipynb"
    made = nbformat.read(path, 4)
    made.metadata["emolib"] = {"real": ["ravdess", "paired"]}
    made.cells[2].source = "import os; print(mode, corpus, os.environ['EMOLIB_DATA'])"
    nbformat.write(made, path)
    data = tmp_path / "recordings"
    (data / "ravdess").mkdir(parents=True)

    jobs, left_out = planned(data)
    assert [job.name for job in jobs] == ["tiny", "tiny on ravdess"]
    assert left_out == [f"tiny on paired: no folder {data / 'fer2013'}"]
    execute_all(jobs[1:], data=data, progress=False)
    executed = read_notebook(project / "_build/run/quick-ravdess/tiny.ipynb")
    printed = ["".join(output.get("text", "")) for output in executed["cells"][3]["outputs"]]
    assert printed == [f"quick ravdess {data}\n"]


def test_a_corpus_that_does_not_exist_is_refused():
    with pytest.raises(BookError, match="unknown real corpus ravdes: known are ravdess"):
        real_corpora({"metadata": {"emolib": {"real": ["ravdes"]}}})


def test_a_notebook_that_is_no_notebook_is_named(tmp_path):
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{")
    with pytest.raises(BookError, match=r"broken\.ipynb is not a notebook"):
        read_notebook(broken)


def test_cells_that_were_skipped_or_failed_are_found():
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no"}
    cells = [
        {"cell_type": "markdown", "source": "# Title"},
        {"cell_type": "code", "source": "", "execution_count": None, "outputs": []},
        {"cell_type": "code", "source": ["fine = 1"], "execution_count": 1, "outputs": []},
        {"cell_type": "code", "source": ["left = 1"], "execution_count": None, "outputs": []},
        {"cell_type": "code", "source": "bad", "execution_count": 2, "outputs": [error]},
    ]
    assert unexecuted({"cells": cells}) == [
        "cell 3 was not executed: left = 1",
        "cell 4 failed with ValueError: no",
    ]
