"""Laying pages out: banner, table of contents, what else the book carries."""

from emolib import paths, registry
from emolib.book.pages import THEBE, papers_table, stage, toc_pages


def test_the_toc_is_read_in_reading_order(project):
    assert toc_pages(project / "_toc.yml") == ["book/intro", "notebooks/tiny"]


def test_staging_writes_only_what_differs_and_removes_what_left_the_book(project, tmp_path):
    folder = tmp_path / "stage"
    (project / "book" / "old.md").write_text("# Old")
    stage(folder, [], [], ["book/intro"])
    intro = folder / "book" / "intro.md"
    written = intro.stat().st_mtime_ns
    (project / "book" / "old.md").unlink()
    stage(folder, [], [], ["book/intro"])
    assert intro.stat().st_mtime_ns == written
    assert not (folder / "book" / "old.md").exists()
    assert toc_pages(folder / "_toc.yml") == ["book/intro"]


def test_staging_takes_the_ledger_and_the_committed_results_along(project, tmp_path):
    result = project / "data" / "results" / "tiny" / "one.json"
    result.parent.mkdir(parents=True)
    result.write_text("{}")
    stage(tmp_path / "stage", [], [], ["book/intro"])
    attached = tmp_path / "stage" / "attached"
    assert (attached / "data" / "results" / "tiny" / "one.json").read_text() == "{}"
    assert (attached / "data" / "claims" / "tiny.yml").is_file()


def test_staging_takes_the_sources_along_for_the_api_pages(project, tmp_path):
    stage(tmp_path / "stage", [], [], ["book/intro"])
    staged = tmp_path / "stage" / "emolib" / "tiny.py"
    assert staged.read_text() == (project / "emolib" / "tiny.py").read_text()


def test_thebe_and_nothing_else_is_taken_out_of_a_page():
    page = (
        b'<script>const THEBE_JS_URL = "https://unpkg.com/x"; const a = 1</script>\n'
        b'<script async="async" src="../_static/sphinx-thebe.js?v=1"></script>\n'
        b"<script>const kept = 1</script>"
    )
    assert THEBE.sub(b"", page) == b"\n<script>const kept = 1</script>"


def test_the_first_page_lists_the_papers_of_the_registry():
    table = papers_table()
    assert [line.split("`")[1] for line in table.splitlines()[2:]] == list(registry.PAPERS)
    intro = (paths.PROJECT / "book" / "intro.md").read_text()
    assert intro.count("<!-- papers -->") == 1, "pages.stage puts the table there"
