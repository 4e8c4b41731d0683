"""Checks of built pages: each fault is found, and a sound page passes."""

import pytest

from emolib.book.checks import check_html

SOUND = """<html><head>
<link rel="canonical" href="https://example.org/page.html">
<link rel="stylesheet" href="_static/style.css">
<script>const site = "https://example.org/";</script>
</head><body><h1 id="top-of-it">Title</h1>
<a href="#top-of-it">up</a> <a href="other.html#part">part</a>
<a href="https://example.org">a site</a> <a href="mailto:a@example.org">mail</a>
<img src="a.png" alt="a face">
</body></html>"""


@pytest.fixture
def html(tmp_path):
    """A built book of two sound pages."""
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "style.css").write_text("b { background: url(dot.png) }")
    (tmp_path / "page.html").write_text(SOUND)
    (tmp_path / "other.html").write_text("<h1>Other</h1><p id=part></p>")
    return tmp_path


def test_a_sound_book_passes(html):
    assert check_html(html, ["page", "other"]) == []


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ('<script src="https://cdn.example.org/x.js"></script>', "loads https://cdn"),
        ('<script src="//cdn.example.org/x.js"></script>', "loads //cdn"),
        ('<link rel="stylesheet" href="http://cdn.example.org/x.css">', "loads http://cdn"),
        ('<link rel="preload" as="font" href="https://cdn.example.org/x.woff2">', "loads"),
        ('<img src="https://example.org/x.png" alt="a badge">', "loads https://example.org"),
        ('<iframe src="https://example.org/video"></iframe>', "loads https://example.org"),
        ('<input type="image" src="https://example.org/x.png">', "loads https://example.org"),
        ("<style>@import url(https://fonts.example.org/css)</style>", "a style loads"),
        ('<p style="background:url(//example.org/x.png)"></p>', "a style loads"),
        ("<script>import('https://cdn.example.org/x.js')</script>", "a script loads"),
        ("<script>s.src = 'https://cdn.example.org/x.js'</script>", "a script loads"),
        ('<img src="a.png">', "no alt text on a.png"),
        ('<img src="a.png" alt=" ">', "no alt text on a.png"),
        ('<img src="../_images/a.png" alt="../_images/a.png">', "no alt text on ../_images"),
        ('<a href="absent.html">x</a>', "the link absent.html leads nowhere"),
        ('<a href="other.html#absent">x</a>', "the link other.html#absent leads nowhere"),
        ('<a href="#absent">x</a>', "the link #absent leads nowhere"),
        ('<a href="../../etc/passwd">x</a>', "leads nowhere"),
    ],
)
def test_a_fault_in_a_page_is_found(html, fault, finding):
    (html / "page.html").write_text(SOUND.replace("</body>", f"{fault}</body>"))
    (problem,) = check_html(html, ["page", "other"])
    assert problem.startswith("page.html: ")
    assert finding in problem


def test_pages_that_are_absent_or_empty_are_found(html):
    (html / "other.html").write_text("<p id=part></p>")
    assert check_html(html, ["page", "other", "third"]) == [
        "third: no page was built",
        "other.html: the page has no title, so it is empty",
    ]


def test_a_style_sheet_that_loads_a_font_from_outside_is_found(html):
    (html / "_static" / "style.css").write_text("@import 'https://fonts.example.org/serif';")
    (problem,) = check_html(html, ["page", "other"])
    assert problem.startswith("_static/style.css: loads @import")
