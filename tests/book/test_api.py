"""API pages: made from the sources without importing them, with links, and none is missing."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from sphinx.application import Sphinx

from emolib import paths

SOURCE = '''\
"""A module with `code` and **emphasis**."""

from dataclasses import dataclass

1 / 0  # cannot be imported


@dataclass
class Sound:
    """What is heard.

    Attributes
    ----------
    rate
        Samples a second.
    """

    rate: int


class SilentError(Exception):
    """Nothing is heard."""


def louder(sound: Sound, gain: int | float = 2.0) -> Sound:
    """Return a `sound` that is louder, $x^2$.

    Parameters
    ----------
    sound
        Any sound; `None` is none.

    Raises
    ------
    SilentError
        If there is nothing to hear.
    """


def _hidden():
    """Nobody else calls it."""
'''


class Text(HTMLParser):
    """The words of a page and where its links lead."""

    def __init__(self, page: str):
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_data(self, data):
        self.words += data.split()

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if (tag, name) == ("a", "href")]


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """The API page of a small package, built as the book is: warnings are errors."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "emolib").mkdir()
    (folder / "emolib" / "__init__.py").write_text('"""The package."""\n')
    (folder / "emolib" / "sounds.py").write_text(SOURCE)
    (folder / "index.md").write_text("# API\n\n```{autodoc2-object} emolib\n```\n")
    config = yaml.safe_load((paths.PROJECT / "_config.yml").read_text())["sphinx"]["config"]
    settings = {name: value for name, value in config.items() if name.startswith("autodoc2_")}
    settings["nitpick_ignore_regex"] = config["nitpick_ignore_regex"]
    settings["extensions"] = ["myst_parser", "autodoc2"]
    settings["nitpicky"] = True
    app = Sphinx(
        folder, None, folder / "html", folder / "html", "html", settings,
        status=None, warningiserror=True,
    )  # fmt: skip
    app.build()
    return (folder / "html" / "index.html").read_text()


def test_a_module_that_cannot_be_imported_is_shown(page):
    text = " ".join(Text(page).words)
    assert "Return a sound that is louder" in text
    assert "Samples a second." in text
    assert "Any sound; None is none." in text


def test_names_are_linked_to_what_they_stand_for(page):
    assert re.search(r'<dt class="sig[^>]*id="emolib.sounds.louder"', page)
    links = Text(page).links
    assert links.count("#emolib.sounds.Sound") >= 3  # parameter, return value, its own anchor
    assert "#emolib.sounds.SilentError" in links


def test_backticks_are_code_and_private_names_are_left_out(page):
    assert re.search(r"<code[^>]*><span[^>]*>sound</span></code>", page)
    assert "hidden" not in " ".join(Text(page).words)


def test_each_module_is_on_a_page():
    pages = "".join(file.read_text() for file in (paths.PROJECT / "book" / "api").glob("*.md"))
    shown = set(re.findall(r"autodoc2-object\} emolib\.(\w+)", pages))
    there = {file.stem for file in paths.PACKAGE.iterdir() if not file.name.startswith("_")}
    # The command line explains itself.
    assert there - shown == {"cli"}, "name the module on a page in book/api"
    assert shown <= there


def test_each_page_is_reached_from_the_overview():
    overview = (paths.PROJECT / "book" / "api.md").read_text()
    for file in sorted(Path(paths.PROJECT / "book" / "api").glob("*.md")):
        assert f"](api/{file.stem})" in overview
