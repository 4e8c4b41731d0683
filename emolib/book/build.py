"""Build the book: execute every notebook, lay the pages out, and check what came of it.

``notebooks/*.ipynb`` → papermill → ``_build/run/<mode>/`` → ``_build/stage/`` → Jupyter Book with
execution off → checks → ``_build/html/index.html``. A step whose inputs have not changed since its
last success is not done again; a step that fails leaves no page behind that could be taken for
its result.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from emolib import paths
from emolib.book import execution
from emolib.book.checks import check_html
from emolib.book.execution import BookError, Job, digest_files, files_below, indented
from emolib.book.pages import publish, stage, toc_pages

__all__ = ["MODES", "BookError", "build"]

MODES = ("quick", "full")


def _alone(folder: Path):
    """Hold the build folder, so that two builds at once do not mix their pages."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        print(f"another build is using {folder}; waiting for it", file=sys.stderr)
        return lock.acquire()


def _sphinx(folder: Path, output: Path, *, strict: bool) -> None:
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(folder)]
    command += ["--path-output", str(output), "-n", "--quiet"]
    command += ["-W", "--keep-going"] if strict else []
    # Sphinx copies styles and pictures only along with changed pages: if they alone have
    # changed, all pages are made again.
    assets = digest_files(files_below(paths.PROJECT / "book" / "_static"))
    stamp, log = output / ".assets", output / "sphinx.log"
    command += [] if stamp.is_file() and stamp.read_text() == assets else ["--all"]
    output.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        lines = execution.plain(done.stderr).replace(str(folder) + "/", "").splitlines()
        faults = [line for line in lines if re.search("WARNING|ERROR|Error", line)]
        shown = indented((faults or lines)[-40:], 2)
        # What Sphinx remembers of a failed build would hide its warnings the next time.
        shutil.rmtree(output / "_build", ignore_errors=True)
        raise BookError(f"Jupyter Book found something to mend (all of it in {log}):\n{shown}")
    stamp.write_text(assets)


def build(
    mode: str = "quick",
    only: str | Sequence[str] | None = None,
    jobs: int = 2,
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    seed: int = 0,
    timeout: float = 1800,
    progress: bool = True,
) -> Path:
    """Build the book and return its first page.

    Parameters
    ----------
    mode
        ``"quick"`` (embedded default data, few steps) or ``"full"``.
    only
        Notebooks to execute and show, such as ``"ding"``. The pages then go to
        ``_build/partial/html``, where links to the others may lead nowhere.
    jobs
        Notebooks executed at once.
    data
        Folder of real corpora. Notebooks that name real corpora in their metadata are executed
        on each of these too.
    out
        Build folder, by default ``_build`` in the project.
    timeout
        Seconds that one notebook may take in quick mode.

    Raises
    ------
    BookError
        If a notebook fails, a page is missing or faulty. No page is left that could be taken
        for the result.
    """
    if mode not in MODES:
        raise BookError(f"unknown mode {mode!r}: known are {', '.join(MODES)}")
    data = Path(data).expanduser().resolve() if data else None
    if data and not data.is_dir():
        raise BookError(f"no folder {data}: give the one that holds ravdess/, fer2013/ and so on")
    notebooks, pages = _chosen({only} if isinstance(only, str) else set(only or ()))
    folder = Path(out) if out else paths.PROJECT / "_build"
    home = folder / "partial" if only else folder  # part of a book never replaces the whole
    html = home / "html"

    with _alone(folder):
        limit = timeout if mode == "quick" else float("inf")
        planned, left_out = execution.plan(notebooks, mode=mode, seed=seed, data=data, build=folder)
        digest = _book_digest(planned, pages)
        stamp = html / ".emolib-book"
        kept = all(execution.finished(job) for job in planned)
        ready = kept and stamp.is_file() and stamp.read_text() == digest
        if not ready:
            shutil.rmtree(html, ignore_errors=True)

        runs = execution.execute_all(
            planned, n_jobs=jobs, timeout=limit, data=data, progress=progress
        )
        execution.save_timings(runs, folder / "run" / mode / "timings.csv")
        if progress and runs:
            print(execution.timings_table(runs))
        for line in left_out:
            print(f"left out: {line}", file=sys.stderr)

        if not ready:
            stage(home / "stage", planned, runs, pages)
            _sphinx(home / "stage", home / "sphinx", strict=not only)
            publish(home / "sphinx" / "_build" / "html", home / "unchecked")
            _check(home / "unchecked", planned, [] if only else pages)
            (home / "unchecked" / ".emolib-book").write_text(digest)
            (home / "unchecked").rename(html)
    return html / "index.html"


def _chosen(only: set[str]) -> tuple[list[Path], list[str]]:
    """Return the notebooks to execute and the pages to show; `only` names notebooks, if any."""
    toc = paths.PROJECT / "_toc.yml"
    if not toc.is_file():
        raise BookError(f"no {toc}: the book is built in a checkout, which has its chapters")
    pages = toc_pages(toc)
    notebooks = sorted((paths.PROJECT / "notebooks").glob("*.ipynb"))
    here = {f"notebooks/{notebook.stem}" for notebook in notebooks}
    absent = [page for page in pages if page.startswith("notebooks/") and page not in here]
    if absent:
        raise BookError(f"_toc.yml names {', '.join(absent)}, but there is no such notebook")
    if not only:
        return notebooks, pages
    unknown = only - {notebook.stem for notebook in notebooks}
    if unknown:
        known = ", ".join(notebook.stem for notebook in notebooks)
        raise BookError(f"no notebook {', '.join(sorted(unknown))}: there are {known}")
    hidden = here - {f"notebooks/{name}" for name in only}
    return (
        [notebook for notebook in notebooks if notebook.stem in only],
        [page for page in pages if page not in hidden],
    )


def _check(html: Path, jobs: Sequence[Job], pages: Sequence[str]) -> None:
    """Refuse pages with faults; without `pages` only the notebooks are looked at."""
    problems = check_html(html, pages) if pages else []
    for job in jobs:
        notebook = execution.read_notebook(job.executed)
        problems += [f"{job.name}: {line}" for line in execution.unexecuted(notebook)]
    if problems:
        count = f"{len(problems)} findings in the built pages ({html})"
        raise BookError(f"{count}:\n{indented(problems, 2)}")


def _book_digest(jobs: Sequence[Job], pages: Sequence[str]) -> str:
    """Return a SHA-256 over what the pages depend on: notebooks, prose, configuration, names."""
    project = paths.PROJECT
    files = [*files_below(project / "book"), *files_below(project / "emolib")]
    files += [project / "_config.yml", project / "_toc.yml"]
    return digest_files(files, [(job.name, job.digest) for job in jobs], list(pages))
