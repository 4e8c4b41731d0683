"""Check built pages: all there, readable without sight, and complete without a network."""

import os
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urldefrag, urlsplit


class _Page(HTMLParser):
    """The ids, links, pictures and loaded files of one page."""

    LOADS: ClassVar = {
        "script": ("src",),
        "link": ("href",),
        "img": ("src", "srcset"),
        "source": ("src", "srcset"),
        "video": ("src", "poster"),
        "audio": ("src",),
        "iframe": ("src",),
        "embed": ("src",),
        "object": ("data",),
    }

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.pictures: list[tuple[str, str | None]] = []
        self.headings = 0
        self.css: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        given = {name: value or "" for name, value in attributes}
        self._inside = tag
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        self.headings += tag == "h1"
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "img":
            self.pictures.append((given.get("src", ""), given.get("alt")))
        if "style" in given:
            self.css.append(given["style"])
        # <link rel="canonical"> and its like say where a page belongs and load nothing.
        loaded = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "manifest"}
        if tag != "link" or loaded & set(given.get("rel", "").split()):
            self.loads += [given[name] for name in self.LOADS.get(tag, ()) if given.get(name)]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.css.append(data)
        if self._inside == "script":
            self.scripts.append(data)


OUTSIDE = re.compile(r"^\s*(?:https?:)?//", re.I)
OUTSIDE_CSS = re.compile(r"(?:@import\s+|url\()\s*['\"]?(?:https?:)?//[^'\")\s]+", re.I)
OUTSIDE_SCRIPT = re.compile(
    r"""(?:\bsrc\s*[=:]|\bimport\s*\(|\bimportScripts\s*\(|\bfrom|_JS_URL\s*=|\bfetch\s*\()"""
    r"""\s*['"](?:https?:)?//[^'"]+""",
    re.I,
)


def check_html(html: Path, pages: Sequence[str]) -> list[str]:
    """Return what is wrong with a built book, one line for each finding.

    Every page is there and has a title; every picture has a text for those who cannot see it; no
    script, style, picture or font comes from an outside host; every inner link leads somewhere.
    """
    problems = [
        f"{page}: no page was built" for page in pages if not (html / f"{page}.html").is_file()
    ]
    parsed = {
        file: _Page(file.read_text(encoding="utf8"))
        for file in sorted(html.rglob("*.html"))
        if "_static" not in file.relative_to(html).parts
    }
    for file, page in parsed.items():
        name = str(file.relative_to(html))
        if name.removesuffix(".html") in pages and not page.headings:
            problems.append(f"{name}: the page has no title, so it is empty")
        problems += [
            f"{name}: loads {url} from outside" for url in page.loads if OUTSIDE.match(url)
        ]
        problems += [
            f"{name}: a style loads {found} from outside"
            for text in page.css
            for found in OUTSIDE_CSS.findall(text)
        ]
        problems += [
            f"{name}: a script loads {found} from outside"
            for text in page.scripts
            for found in OUTSIDE_SCRIPT.findall(text[:20_000])
        ]
        problems += [
            f"{name}: no alt text on {source[:80]}"
            for source, alt in page.pictures
            if not (alt or "").strip() or alt == source or Path(alt).name == Path(source).name
        ]
        problems += [
            f"{name}: the link {link} leads nowhere"
            for link in dict.fromkeys(page.links)
            if not _resolves(link, file, html, parsed)
        ]
    for sheet in sorted(html.rglob("*.css")):
        problems += [
            f"{sheet.relative_to(html)}: loads {found} from outside"
            for found in OUTSIDE_CSS.findall(sheet.read_text(encoding="utf8", errors="replace"))
        ]
    return problems


def _resolves(link: str, page: Path, html: Path, parsed: Mapping[Path, _Page]) -> bool:
    if urlsplit(link).scheme or link.startswith("//"):
        return True  # to another site: a reader's choice, nothing is loaded
    address, fragment = urldefrag(link)
    address = unquote(urlsplit(address).path)
    target = page if not address else Path(os.path.normpath(page.parent / address))
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(html) or not target.is_file():
        return False
    ids = parsed[target].ids if target in parsed else {fragment}
    return fragment in ("", "top") or fragment in ids or unquote(fragment) in ids
