"""Building a small book from end to end."""

import csv

import nbformat
import pytest

from emolib.book import build as building
from emolib.book.build import BookError
from emolib.book.execution import read_notebook

# Each of these starts kernels and Sphinx several times: on a busy machine that takes minutes.
pytestmark = pytest.mark.timeout(900)


def change(project, *cells, name="tiny"):
    """Put other code cells into the project's notebook."""
    path = project / "notebooks" / f"{name}.ipynb"
    made = nbformat.read(path, 4)
    made.cells = made.cells[:2] + [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(made, path)


@pytest.fixture
def build(project):
    """Build the project without progress bars."""
    return lambda **options: building.build(progress=False, **options)


def test_a_book_is_built_kept_and_renewed_only_where_something_changed(project, build):
    index = build()
    page = index.parent / "notebooks" / "tiny.html"
    html = page.read_text()
    assert "mode is quick on synthetic" in html  # the cell ran
    assert "Every cell ran on the embedded default data" in html  # and the banner says so
    assert "unpkg.com" not in html
    assert not read_notebook(project / "notebooks" / "tiny.ipynb")["cells"][1]["outputs"]
    with (project / "_build/run/quick/timings.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["seconds"]) > 0
    assert float(row["peak_mb"]) > 10

    # Nothing changed: the same file is still there.
    before = page.stat().st_mtime_ns
    assert build() == index
    assert page.stat().st_mtime_ns == before

    # Only prose changed: pages are made anew, the notebook is not executed again.
    executed = project / "_build/run/quick/tiny.ipynb"
    ran = executed.stat().st_mtime_ns
    with (project / "book/intro.md").open("a") as file:
        file.write("\nA new sentence.\n")
    build()
    assert "A new sentence." in (index.parent / "book/intro.html").read_text()
    assert executed.stat().st_mtime_ns == ran

    # Only a style changed: it reaches the pages although none of them is out of date.
    (project / "book/_static/look.css").write_text("p { color: teal }")
    build()
    assert "teal" in (index.parent / "_static/look.css").read_text()

    # A page with a warning is no page, and the old one is gone.
    with (project / "book/intro.md").open("a") as file:
        file.write("\n[nowhere](absent.md)\n")
    with pytest.raises(BookError, match=r"intro.md:.*absent.md"):
        build()
    assert not index.exists()

    # Nor does a second try get through because Sphinx has seen the warning before.
    with pytest.raises(BookError, match=r"absent\.md"):
        build()


@pytest.mark.parametrize(
    "name",
    ["book/look.html", "emolib/book/scoreboard.html", "emolib/synthetic/hair.yml", "_config.yml"],
)
def test_pages_are_made_anew_when_a_file_beside_the_code_changes(project, name):
    before = building._book_digest([], [])
    file = project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as text:
        text.write("\n# changed\n")
    assert building._book_digest([], []) != before


def test_a_failing_notebook_fails_the_build_by_name_after_the_others_ran(project, build):
    change(project, "print('fine')")
    source = project / "notebooks" / "tiny.ipynb"
    (project / "notebooks" / "other.ipynb").write_bytes(source.read_bytes())
    change(project, "total = 1", "total / 0  # here")
    html = project / "_build" / "html"
    html.mkdir(parents=True)
    (html / "index.html").write_text("an older book")

    with pytest.raises(BookError) as caught:
        build()
    message = str(caught.value)
    assert "1 of 2 notebooks failed (tiny)" in message
    assert "total / 0  # here" in message
    assert "ZeroDivisionError" in message
    assert not html.exists()
    run = project / "_build/run/quick"
    assert (run / "other.ipynb").exists()
    assert not (run / "tiny.ipynb").exists()
    assert (run / "tiny.failed.ipynb").exists()


def test_a_kernel_that_dies_fails_the_build(project, build):
    change(project, "import os", "os._exit(3)")
    with pytest.raises(BookError, match="tiny: papermill failed"):
        build()


def test_a_notebook_that_takes_too_long_is_stopped(project, build):
    change(project, "import time", "time.sleep(600)")
    with pytest.raises(BookError, match="stopped after 4 s"):
        build(timeout=4)


def test_part_of_a_book_does_not_replace_the_whole(project, build):
    whole = build()
    part = build(only="tiny")
    assert part != whole
    assert whole.exists()
    assert (part.parent / "notebooks/tiny.html").exists()
    with pytest.raises(BookError, match="no notebook absent: there are tiny"):
        build(only="absent")


def test_what_cannot_be_built_is_said_before_anything_runs(project, build, tmp_path):
    with pytest.raises(BookError, match="known are quick, full"):
        build(mode="fast")
    with pytest.raises(BookError, match="no folder"):
        build(data=tmp_path / "absent")
    (project / "notebooks/tiny.ipynb").unlink()
    with pytest.raises(BookError, match="names notebooks/tiny"):
        build()
    assert not (project / "_build/run").exists()
