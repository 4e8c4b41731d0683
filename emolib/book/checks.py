"""Check built pages: all there, readable without sight, and complete without a network."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

# <link rel="canonical"> and its like say where a page belongs and load nothing.
LOADING = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "manifest"}
SOURCES = ("src", "srcset", "poster")


@dataclass(frozen=True)
class _Page:
    """The ids, links, pictures and loaded files of one page."""

    ids: set[str]
    links: list[str]
    loads: list[str]
    pictures: list[tuple[str, str]]
    titled: bool
    css: list[str]
    scripts: list[str]

    @classmethod
    def read(cls, file: Path) -> "_Page":
        from bs4 import BeautifulSoup

        page: Any = BeautifulSoup(file.read_text(encoding="utf8"), "html.parser")

        def values(name: str, tag: str = "") -> list[str]:
            return [str(one[name]) for one in page.select(f"{tag}[{name}]")]

        linked = [tag for tag in page.select("link[href]") if LOADING & {*(tag.get("rel") or ())}]
        loads = [address for name in SOURCES for address in values(name)]
        return cls(
            ids={*values("id"), *values("name")},
            links=values("href", "a"),
            loads=[*loads, *values("data", "object"), *(str(tag["href"]) for tag in linked)],
            pictures=[(str(tag.get("src", "")), str(tag.get("alt", ""))) for tag in page("img")],
            titled=page.h1 is not None,
            css=[*values("style"), *(tag.text for tag in page("style"))],
            scripts=[tag.text for tag in page("script")],
        )


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
        file: _Page.read(file)
        for file in sorted(html.rglob("*.html"))
        if "_static" not in file.relative_to(html).parts
    }
    for file, page in parsed.items():
        name = str(file.relative_to(html))
        if name.removesuffix(".html") in pages and not page.titled:
            problems.append(f"{name}: the page has no title, so it is empty")
        problems += [f"{name}: {fault}" for fault in _faults(page)]
        problems += [
            f"{name}: the link {link} leads nowhere"
            for link in dict.fromkeys(page.links)
            if not _resolves(link, file, html, parsed)
        ]
    for sheet in sorted(html.rglob("*.css")):
        found = OUTSIDE_CSS.findall(sheet.read_text(encoding="utf8", errors="replace"))
        name = str(sheet.relative_to(html))
        problems += [f"{name}: loads {address} from outside" for address in found]
    return problems


def _faults(page: _Page) -> Iterator[str]:
    """Say what a page loads from outside, and which of its pictures only the sighted can read."""
    yield from (f"loads {url} from outside" for url in page.loads if OUTSIDE.match(url))
    for kind, texts, pattern in (
        ("style", page.css, OUTSIDE_CSS),
        ("script", [text[:20_000] for text in page.scripts], OUTSIDE_SCRIPT),
    ):
        for address in (address for text in texts for address in pattern.findall(text)):
            yield f"a {kind} loads {address} from outside"
    for source, alt in page.pictures:
        if not alt.strip() or Path(alt).name == Path(source).name:
            yield f"no alt text on {source[:80]}"


def _resolves(link: str, page: Path, html: Path, parsed: Mapping[Path, _Page]) -> bool:
    site, fragment = urldefrag(link)
    address = urlsplit(site)
    if address.scheme or address.netloc:
        return True  # to another site: a reader's choice, nothing is loaded
    target = Path(os.path.normpath(page.parent / unquote(address.path))) if address.path else page
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(html) or not target.is_file():
        return False
    known = parsed[target].ids if target in parsed else {fragment}
    return bool({fragment, unquote(fragment)} & {"", "top", *known})
