"""Lay the pages out: prose, executed notebooks with their banner, the sources of the API pages."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from emolib import paths, registry
from emolib.book.execution import Execution, Job, files_below, read_notebook, source
from emolib.claims import DEFINITIONS, ENOUGH

BANNER = """\
:::{{admonition}} Quick mode
:class: quick-mode
Every cell ran on {data}, with a few training steps (seed {seed}, {seconds:.0f} s). \
What you see here checks the machinery; no accuracy on this page's own runs is a finding. \
The committed full results are shown beside them, each with its provenance.
:::"""


def toc_pages(toc: Path) -> list[str]:
    """Return the pages of a table of contents, in reading order, without their endings."""
    import yaml

    def walk(entry: object) -> Iterator[str]:
        if isinstance(entry, Mapping):
            yield from (entry[key] for key in ("root", "file") if key in entry)
            for key in ("parts", "chapters", "sections"):
                yield from walk(entry.get(key, ()))
        elif isinstance(entry, Sequence):
            for one in entry:
                yield from walk(one)

    return list(walk(yaml.safe_load(toc.read_text())))


def with_banner(notebook: dict, run: Execution, job: Job) -> dict:
    """Return an executed notebook with the quick-mode banner below its title.

    The parameters that papermill injected repeat what the banner says, so their cell is hidden.
    """
    if job.mode != "quick":
        return notebook
    cells = [dict(cell) for cell in notebook["cells"]]
    for cell in cells:
        tags = cell.get("metadata", {}).get("tags", [])
        if "injected-parameters" in tags:
            cell["metadata"] = cell["metadata"] | {"tags": [*tags, "remove-cell"]}
    data = f"the {job.corpus} corpus" if job.corpus else "the embedded default data"
    banner = BANNER.format(data=data, seed=job.seed, seconds=run.seconds)
    below_title = re.compile(r"^# .*$", re.M)
    cells[0]["source"] = below_title.sub(
        lambda title: f"{title[0]}\n\n{banner}\n", source(cells[0]), count=1
    )
    return notebook | {"cells": cells}


def stage(
    folder: Path, jobs: Sequence[Job], runs: Sequence[Execution], pages: Sequence[str]
) -> None:
    """Lay out the sources of the pages: prose, executed notebooks, configuration.

    The ledger and the committed results go to ``attached/``, from where they are published as they
    are: a page links to the file behind its number.

    Only files whose content differs are written, so that Sphinx renews only their pages;
    files that are no longer part of the book are removed.
    """
    import yaml

    project = paths.PROJECT
    content = {name: (project / name).read_bytes() for name in ("_config.yml", "_toc.yml")}
    # The sources of the package go along: the API pages are made from them.
    sources = [file for file in files_below(project / "emolib") if file.suffix == ".py"]
    for file in [*files_below(project / "book"), *sources]:
        content[str(file.relative_to(project))] = file.read_bytes()
    for folder_of_data in ("data/claims", "data/results"):
        for file in files_below(project / folder_of_data):
            content[f"attached/{file.relative_to(project)}"] = file.read_bytes()
    if (intro := "book/intro.md") in content:
        for mark, table in (("papers", papers_table()), ("verdicts", verdicts_table())):
            content[intro] = content[intro].replace(f"<!-- {mark} -->".encode(), table.encode())
    for job, run in zip(jobs, runs, strict=True):
        if not job.corpus:
            page = with_banner(read_notebook(job.executed), run, job)
            content[f"notebooks/{job.notebook.name}"] = json.dumps(page, indent=1).encode()

    toc = yaml.safe_load(content["_toc.yml"])
    if set(pages) != set(toc_pages(project / "_toc.yml")):
        content["_toc.yml"] = yaml.safe_dump(_only_pages(toc, set(pages))).encode()

    _write(folder, content)


def _write(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write the files whose content differs, and remove those that are not named."""
    for old in [file for file in folder.rglob("*") if file.is_file()]:
        if str(old.relative_to(folder)) not in content:
            old.unlink()
    for name, data in content.items():
        target = folder / name
        if not target.exists() or target.read_bytes() != data:
            with paths.atomic(target) as temporary:
                temporary.write_bytes(data)


def verdicts_table() -> str:
    """Return the words of the verdicts as a Markdown table, and when a score counts."""
    rows = [f"| {word} | {meaning} |" for word, meaning in DEFINITIONS.items()]
    return "\n".join(["| verdict | meaning |", "|---|---|", *rows, "", ENOUGH])


def papers_table() -> str:
    """Return the papers of the registry as a Markdown table, each with its chapter and its idea."""
    head = ["| key | paper | the idea in one line |", "|---|---|---|"]
    rows = [
        f"| [`{paper.key}`](ch-{paper.key}) | {{cite:t}}`{paper.citation}` | {paper.idea} |"
        for paper in registry.PAPERS.values()
    ]
    return "\n".join(head + rows)


def _only_pages(entry, keep: set[str]):
    """Return a table of contents without the pages that are not in `keep`."""
    if isinstance(entry, list):
        kept = [_only_pages(one, keep) for one in entry if one.get("file", "") in {"", *keep}]
        return [one for one in kept if "file" in one or one.get("chapters")]
    if isinstance(entry, dict):
        return {key: _only_pages(value, keep) for key, value in entry.items()}
    return entry


THEBE = re.compile(
    rb"\s*<script>const THEBE_JS_URL.*?</script>|\s*<script[^>]*sphinx-thebe\.js[^>]*></script>|"
    rb"\s*<link[^>]*sphinx-thebe\.css[^>]*/?>",
    re.S,
)
"""Jupyter Book writes the address of Thebe into every page, asked for or not."""


def publish(built: Path, target: Path) -> None:
    """Copy built pages to `target`, without what would load a script from an outside host."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(built, target)
    for file in target.rglob("*.html"):
        file.write_bytes(THEBE.sub(b"", file.read_bytes()))
