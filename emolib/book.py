"""Build the book: execute every notebook, lay the pages out, and check what came of it.

``notebooks/*.ipynb`` → papermill → ``_build/run/<mode>/`` → ``_build/stage/`` → Jupyter Book with
execution off → checks → ``_build/html/index.html``. A step whose inputs have not changed since its
last success is not done again; a step that fails leaves no page behind that could be taken for
its result.
"""

import ast
import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from emolib import paths

MODES = ("quick", "full")
OUTSIDE_EXECUTION = ("emolib/book.py", "emolib/cli.py", "emolib/live.py")
"""Sources that no cell runs: a change in them executes nothing again."""

FOLDERS = {
    "ravdess": ("ravdess",),
    "cremad": ("cremad",),
    "savee": ("savee",),
    "mead": ("mead",),
    "fer2013": ("fer2013",),
    "ckplus": ("ckplus48",),
    "paired": ("ravdess", "fer2013"),
}
"""Folders of recordings that a notebook's ``emolib.real`` corpus needs."""

TIMINGS = ("notebook", "corpus", "cells", "seconds", "peak_mb", "stderr_lines", "commit", "reused")


class BookError(RuntimeError):
    """The book could not be built; the message says which page, why, and what to do."""


# ------------------------------------------------------------------------------- notebooks


@dataclass(frozen=True)
class Job:
    """One notebook to execute with one set of parameters.

    ``corpus`` is empty for the chapter's own default and names a real corpus otherwise;
    ``digest`` is a SHA-256 over everything that the outputs depend on.
    """

    notebook: Path
    mode: str
    seed: int
    corpus: str
    folder: Path
    digest: str

    @property
    def name(self) -> str:
        """Return ``ding`` or, on a real corpus, ``ding on ravdess``."""
        return f"{self.notebook.stem} on {self.corpus}" if self.corpus else self.notebook.stem

    @property
    def executed(self) -> Path:
        """Return where the executed copy lies."""
        return self.folder / self.notebook.name

    @property
    def record(self) -> Path:
        """Return where digest, time and memory of the last success are kept."""
        return self.executed.with_suffix(".json")

    @property
    def parameters(self) -> dict[str, object]:
        """Return what papermill sets."""
        given = {"mode": self.mode, "seed": self.seed}
        return given | ({"corpus": self.corpus} if self.corpus else {})


@dataclass(frozen=True)
class Run:
    """What executing one notebook took: seconds, and the peak of all its processes in MB."""

    notebook: str
    corpus: str
    cells: int
    seconds: float
    peak_mb: float
    stderr_lines: int
    commit: str
    reused: bool = False


def read_notebook(path: Path) -> dict:
    """Read a notebook's JSON, naming the file when it is not one."""
    try:
        return json.loads(path.read_text(encoding="utf8"))
    except ValueError as error:
        raise BookError(
            f"{path} is not a notebook ({error}): restore it with `git checkout -- {path}`"
        ) from error


def source(cell: Mapping) -> str:
    """Return a cell's source as one string."""
    text = cell.get("source", "")
    return text if isinstance(text, str) else "".join(text)


def real_corpora(notebook: Mapping) -> tuple[str, ...]:
    """Return the real corpora on which a notebook also runs.

    A notebook names them in its metadata: ``"emolib": {"real": ["ravdess", "paired"]}``.
    """
    named = tuple(notebook.get("metadata", {}).get("emolib", {}).get("real", ()))
    unknown = sorted(set(named) - set(FOLDERS))
    if unknown:
        raise BookError(f"unknown real corpus {', '.join(unknown)}: known are {', '.join(FOLDERS)}")
    return named


def unexecuted(notebook: Mapping) -> list[str]:
    """Return what speaks against a notebook having run through: cells skipped or failed."""
    problems = []
    for position, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code" or not source(cell).strip():
            continue
        first = source(cell).strip().splitlines()[0]
        if cell.get("execution_count") is None:
            problems.append(f"cell {position} was not executed: {first}")
        problems += [
            f"cell {position} failed with {output.get('ename')}: {output.get('evalue')}"
            for output in cell.get("outputs", ())
            if output["output_type"] == "error"
        ]
    return problems


# ------------------------------------------------------------------------------- digests


def _digest_files(files: Iterable[Path], *also: object) -> str:
    total = hashlib.sha256(repr(also).encode())
    for file in sorted(files):
        total.update(f"{file.relative_to(paths.PROJECT)}\0{paths.sha256(file)}\n".encode())
    return total.hexdigest()


def _committed_data() -> Iterator[Path]:
    """Yield the data that pages read: claims, results, splits, boards, registries."""
    made = {paths.FEATURES, paths.SYNTHETIC, paths.RUNS, paths.DATA / "raw"}
    for top in sorted(paths.DATA.iterdir()) if paths.DATA.is_dir() else ():
        if top in made or top.name.startswith("."):
            continue
        inside = top.rglob("*") if top.is_dir() else [top]
        yield from (file for file in inside if file.is_file() and not file.name.startswith("."))


def execution_digest() -> str:
    """Return a SHA-256 over what every notebook depends on: code, committed data, libraries."""
    outside = {paths.PROJECT / name for name in OUTSIDE_EXECUTION}
    code = [file for file in (paths.PROJECT / "emolib").rglob("*.py") if file not in outside]
    lock = paths.PROJECT / "requirements.lock"
    return _digest_files([*code, *_committed_data(), lock], sys.version_info[:2])


def _commit() -> str:
    """Return the short commit, with ``+`` when the tree has changes; "" outside git."""
    try:
        ask = ("git", "-C", str(paths.PROJECT))
        head = subprocess.run(
            [*ask, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        dirty = subprocess.run(
            [*ask, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + ("+" if dirty else "")


# ------------------------------------------------------------------------------- execution


def plan(
    notebooks: Sequence[Path], *, mode: str, seed: int, data: Path | None, build: Path
) -> tuple[list[Job], list[str]]:
    """List what is to be executed, and what is left out because its recordings are not here."""
    common = execution_digest()
    jobs, left_out = [], []

    def job(notebook: Path, corpus: str) -> Job:
        folder = build / "run" / (f"{mode}-{corpus}" if corpus else mode)
        where = str(data) if data else ""
        digest = hashlib.sha256(
            repr((common, paths.sha256(notebook), mode, seed, corpus, where)).encode()
        ).hexdigest()
        return Job(notebook, mode, seed, corpus, folder, digest)

    for notebook in notebooks:
        jobs.append(job(notebook, ""))
        for corpus in real_corpora(read_notebook(notebook)) if data else ():
            missing = [name for name in FOLDERS[corpus] if not (data / name).is_dir()]
            if missing:
                folders = ", ".join(str(data / name) for name in missing)
                left_out.append(f"{notebook.stem} on {corpus}: no folder {folders}")
            else:
                jobs.append(job(notebook, corpus))
    return jobs, left_out


def finished(job: Job) -> Run | None:
    """Return the record of an earlier success of exactly this job, or None."""
    try:
        record = json.loads(job.record.read_text())
        intact = record["executed_sha256"] == paths.sha256(job.executed)
    except (OSError, ValueError, KeyError):
        return None
    if record["digest"] != job.digest or not intact:
        return None
    return Run(**record["run"] | {"reused": True})


class _Processes:
    """The papermill processes now running, so that Ctrl-C stops their kernels too."""

    def __init__(self) -> None:
        self.running: set[subprocess.Popen] = set()

    def stop(self) -> None:
        for process in list(self.running):
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue


def _environment(folder: Path, data: Path | None, threads: int) -> dict[str, str]:
    """Return the variables of a kernel: one place to read data, few threads, no user profile."""
    return (
        os.environ
        | {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}
        | {
            "IPYTHONDIR": str(folder / "ipython"),
            "JUPYTER_PREFER_ENV_PATH": "1",
            "JUPYTER_PLATFORM_DIRS": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "PYTHONHASHSEED": "0",
            "TQDM_DISABLE": "1",
        }
        | ({"EMOLIB_DATA": str(data)} if data else {})
    )


def execute(
    job: Job, *, threads: int, timeout: float, data: Path | None, processes: _Processes
) -> Run:
    """Execute one notebook from a clean copy with papermill.

    The copy runs in an empty working folder, so that nothing it writes can reach the checkout or
    another notebook. On failure the copy is kept as ``<name>.failed.ipynb`` for reading, and no
    executed notebook of that name remains.

    Raises
    ------
    BookError
        If a cell fails, the time runs out, or a code cell was left out.
    """
    import psutil

    job.record.unlink(missing_ok=True)
    job.executed.unlink(missing_ok=True)
    failed = job.executed.with_suffix(".failed.ipynb")
    failed.unlink(missing_ok=True)
    work = job.folder / "work" / job.notebook.stem
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    partial = work / job.notebook.name
    log = work / "papermill.log"

    command = [sys.executable, "-m", "papermill", str(job.notebook), str(partial)]
    command += ["--kernel", "python3", "--cwd", str(work), "--no-progress-bar"]
    for name, value in job.parameters.items():
        command += ["-r" if isinstance(value, str) else "-p", name, str(value)]

    started = time.monotonic()
    peak = 0
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=work,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=_environment(work, data, threads),
            start_new_session=True,
        )
        processes.running.add(process)
        try:
            watched = psutil.Process(process.pid)
            while process.poll() is None:
                peak = max(peak, _resident(watched))
                if time.monotonic() - started > timeout:
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait(30)
                    raise BookError(
                        f"{job.name}: stopped after {timeout:.0f} s. Look at {partial} for the "
                        "cell that was running, or raise the limit with --timeout."
                    )
                time.sleep(0.2)
        finally:
            processes.running.discard(process)
    seconds = time.monotonic() - started

    if process.returncode != 0:
        if partial.exists():
            partial.replace(failed)
        raise BookError(_explain_failure(job, failed, log))
    notebook = read_notebook(partial)
    problems = unexecuted(notebook)
    if problems:
        raise BookError(f"{job.name}: " + "; ".join(problems))

    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    stderr = [
        line
        for cell in code
        for output in cell["outputs"]
        if output.get("name") == "stderr"
        for line in "".join(output["text"]).splitlines()
    ]
    run = Run(
        notebook=job.notebook.stem,
        corpus=job.corpus,
        cells=len(code),
        seconds=round(seconds, 1),
        peak_mb=round(peak / 1e6),
        stderr_lines=len(stderr),
        commit=_commit(),
    )
    partial.replace(job.executed)
    with paths.atomic(job.record) as temporary:
        record = {
            "digest": job.digest,
            "executed_sha256": paths.sha256(job.executed),
            "run": asdict(run),
        }
        temporary.write_text(json.dumps(record, indent=1))
    shutil.rmtree(work, ignore_errors=True)
    return run


def _resident(process) -> int:
    """Return the resident bytes of a process and all below it."""
    import psutil

    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            try:
                total += one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
    except psutil.NoSuchProcess:
        pass  # it ended between two looks; what was seen before stands
    return total


def _explain_failure(job: Job, failed: Path, log: Path) -> str:
    """Return name, failing cell and the end of its traceback as one readable message."""
    plain = re.compile(r"\x1b\[[0-9;]*m")
    if failed.exists():
        for position, cell in enumerate(read_notebook(failed)["cells"]):
            for output in cell.get("outputs", ()):
                if output["output_type"] != "error":
                    continue
                trace = plain.sub("", "\n".join(output["traceback"])).splitlines()
                shown = "\n".join(f"    {line}" for line in trace[-15:])
                code = "\n".join(f"    {line}" for line in source(cell).splitlines()[:12])
                return (
                    f"{job.name}: cell {position} failed with {output['ename']}: "
                    f"{output['evalue']}\n  the cell:\n{code}\n  the end of its traceback:\n{shown}"
                    f"\n  the whole notebook up to there: {failed}"
                )
    tail = log.read_text(errors="replace").splitlines()[-15:]
    return f"{job.name}: papermill failed\n" + "\n".join(f"    {line}" for line in tail)


def execute_all(
    jobs: Sequence[Job],
    *,
    n_jobs: int = 2,
    timeout: float = 1800,
    data: Path | None = None,
    progress: bool = True,
) -> list[Run]:
    """Execute what has changed, `n_jobs` notebooks at a time; try all before failing.

    Raises
    ------
    BookError
        With the explanation of every notebook that failed.
    """
    from tqdm import tqdm

    runs = {job: run for job in jobs if (run := finished(job))}
    pending = [job for job in jobs if job not in runs]
    # The longest first, as far as an earlier run tells, so that no core waits at the end.
    pending.sort(key=_last_seconds, reverse=True)
    threads = max(1, (os.cpu_count() or 1) // max(1, n_jobs))
    processes = _Processes()
    failures = []
    bar = tqdm(total=len(pending), desc="notebooks", unit="nb", disable=not progress or not pending)
    with bar, ThreadPoolExecutor(max(1, n_jobs)) as pool:
        futures = {
            pool.submit(
                execute, job, threads=threads, timeout=timeout, data=data, processes=processes
            ): job
            for job in pending
        }
        try:
            for future in as_completed(futures):
                job = futures[future]
                try:
                    runs[job] = future.result()
                    bar.set_postfix_str(f"{job.name} {runs[job].seconds:.0f} s")
                except BookError as error:
                    failures.append(str(error))
                    tqdm.write(f"✗ {error}", file=sys.stderr)
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.stop()
            raise
    if failures:
        names = ", ".join(failure.split(":")[0] for failure in failures)
        raise BookError(
            f"{len(failures)} of {len(jobs)} notebooks failed ({names}); no page was built.\n\n"
            + "\n\n".join(failures)
        )
    return [runs[job] for job in jobs]


def _last_seconds(job: Job) -> float:
    """Return how long the notebook took when it last succeeded; unknown ones go first."""
    try:
        return json.loads(job.record.read_text())["run"]["seconds"]
    except (OSError, ValueError, KeyError):
        return float("inf")


def save_timings(runs: Sequence[Run], path: Path) -> None:
    """Keep time and memory per notebook as a table."""
    with paths.atomic(path) as temporary, temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, TIMINGS)
        table.writeheader()
        table.writerows(asdict(run) for run in runs)


def timings_table(runs: Sequence[Run]) -> str:
    """Return time and memory per notebook as text."""
    rows = [("notebook", "corpus", "cells", "seconds", "peak MB", "")]
    for run in runs:
        reused = "kept" if run.reused else "executed"
        row = (run.notebook, run.corpus or "(default)", run.cells, run.seconds, run.peak_mb, reused)
        rows.append(tuple(str(value) for value in row))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


# ------------------------------------------------------------------------------- staging

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


def with_banner(notebook: dict, run: Run, job: Job) -> dict:
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
    title, *rest = "".join(cells[0]["source"]).split("\n")
    banner = BANNER.format(data=data, seed=job.seed, seconds=run.seconds)
    cells[0]["source"] = "\n".join([title, "", banner, *rest])
    return notebook | {"cells": cells}


def stage(
    folder: Path,
    jobs: Sequence[Job],
    runs: Sequence[Run],
    pages: Sequence[str],
    project: Path = paths.PROJECT,
) -> None:
    """Lay out the sources of the pages: prose, executed notebooks, configuration.

    Only files whose content differs are written, so that Sphinx renews only their pages;
    files that are no longer part of the book are removed.
    """
    import yaml

    content = {}
    for name in ("_config.yml", "_toc.yml"):
        content[name] = (project / name).read_bytes()
    for file in sorted((project / "book").rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            content[str(file.relative_to(project))] = file.read_bytes()
    api = "book/api.md"
    if api in content:
        content[api] = content[api].replace(API_MARK.encode(), api_overview().encode())
    for job, run in zip(jobs, runs, strict=True):
        if not job.corpus:
            page = with_banner(read_notebook(job.executed), run, job)
            content[f"notebooks/{job.notebook.name}"] = json.dumps(page, indent=1).encode()

    toc = yaml.safe_load(content["_toc.yml"])
    if set(pages) != set(toc_pages(project / "_toc.yml")):
        content["_toc.yml"] = yaml.safe_dump(_only_pages(toc, set(pages))).encode()

    for old in [file for file in folder.rglob("*") if file.is_file()] if folder.exists() else []:
        if str(old.relative_to(folder)) not in content:
            old.unlink()
    for name, data in content.items():
        target = folder / name
        if not target.exists() or target.read_bytes() != data:
            with paths.atomic(target) as temporary:
                temporary.write_bytes(data)


def _only_pages(entry, keep: set[str]):
    """Return a table of contents without the pages that are not in `keep`."""
    if isinstance(entry, list):
        kept = [_only_pages(one, keep) for one in entry if one.get("file", "") in {"", *keep}]
        return [one for one in kept if "file" in one or one.get("chapters")]
    if isinstance(entry, dict):
        return {key: _only_pages(value, keep) for key, value in entry.items()}
    return entry


# ------------------------------------------------------------------------------- API page

API_MARK = "<!-- api -->"


def api_overview(package: Path = paths.PROJECT / "emolib") -> str:
    """Return Markdown that lists every public name of the package with its first sentence.

    The sources are read, not imported: a page about the package needs none of its libraries.
    """
    parts = []
    for file in sorted(package.rglob("*.py")):
        module = ".".join(file.relative_to(package.parent).with_suffix("").parts)
        module = module.removesuffix(".__init__")
        tree = ast.parse(file.read_text(encoding="utf8"))
        public = [
            node
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        ]
        intro = _prose((ast.get_docstring(tree) or "").split("\n\n")[0])
        parts.append(f"(api-{module})=\n## `{module}`\n\n{intro}\n")
        if public:
            rows = [
                f"| {_code(_signature(node))} | {_prose(_first(node)).replace('|', chr(92) + '|')} |"
                for node in public
            ]
            parts.append("| name | what it does |\n|---|---|\n" + "\n".join(rows) + "\n")
        documented = [node for node in public if "\n" in (ast.get_docstring(node) or "")]
        if documented:
            full = "\n\n".join(
                f"{node.name}\n{'-' * len(node.name)}\n{ast.get_docstring(node)}"
                for node in documented
            )
            parts.append(
                f"`````{{dropdown}} Parameters, shapes, units, errors\n"
                f"````text\n{full}\n````\n`````\n"
            )
    return "\n".join(parts)


def _signature(node: ast.FunctionDef | ast.ClassDef) -> str:
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){returns}"


def _first(node: ast.AST) -> str:
    return (ast.get_docstring(node) or "").split("\n\n")[0]


def _code(text: str) -> str:
    """Return inline code for a table cell: a bar inside it would end the cell."""
    return "`" + text.replace("|", "\\|") + "`"


def _prose(text: str) -> str:
    """Return a docstring's sentence as Markdown: roles become code, markup signs stay signs."""
    text = re.sub(r":[a-z:]+:`~?([^`]+)`", r"`\1`", " ".join(text.split()))
    text = text.replace("``", "`")
    pieces = text.split("`")
    pieces[::2] = [re.sub(r"([\\*_$<>{}\[\]])", r"\\\1", piece) for piece in pieces[::2]]
    return "`".join(pieces)


# ------------------------------------------------------------------------------- checks


class _Page(HTMLParser):
    """The ids, links, pictures and loaded files of one page."""

    LOADS = {
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


# ------------------------------------------------------------------------------- build

THEBE = re.compile(
    rb"\s*<script>const THEBE_JS_URL.*?</script>|\s*<script[^>]*sphinx-thebe\.js[^>]*></script>|"
    rb"\s*<link[^>]*sphinx-thebe\.css[^>]*/?>",
    re.S,
)
"""Jupyter Book writes the address of Thebe into every page, asked for or not."""


def publish(built: Path, target: Path, alts: Mapping[str, str]) -> None:
    """Copy built pages to where readers find them, whole or not at all.

    Parameters
    ----------
    alts
        For a picture's SHA-256 (its file name in the book): the text it was shown with. MyST-NB
        drops it and writes the picture's address in its place.
    """
    fresh = target.with_name(f".{target.name}-new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(built, fresh)
    for file in fresh.rglob("*.html"):
        before = file.read_bytes()
        after = THEBE.sub(b"", before)
        for digest, alt in alts.items():
            if digest.encode() in after:
                after = re.sub(
                    rb'alt="[^"]*%s[^"]*"' % digest.encode(),
                    b'alt="%s"' % _attribute(alt).replace("\\", r"\\").encode(),
                    after,
                )
        if after != before:
            file.write_bytes(after)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def _attribute(text: str) -> str:
    from html import escape

    return escape(" ".join(text.split()), quote=True)


def picture_texts(notebook: Mapping) -> dict[str, str]:
    """Return the alt text of each picture of an executed notebook by the picture's SHA-256."""
    from binascii import a2b_base64

    texts = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            for kind, content in output.get("data", {}).items():
                alt = output.get("metadata", {}).get(kind, {})
                alt = alt.get("alt") if isinstance(alt, Mapping) else None
                if not alt or not kind.startswith("image/"):
                    continue
                text = content if isinstance(content, str) else "".join(content)
                data = (
                    os.linesep.join(text.splitlines()).encode()
                    if kind == "image/svg+xml"
                    else a2b_base64(text)
                )
                texts[hashlib.sha256(data).hexdigest()] = alt
    return texts


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the build folder, so that two builds at once do not mix their pages."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another build is using {folder}; waiting for it", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sphinx(folder: Path, output: Path, *, strict: bool) -> None:
    command = [sys.executable, "-m", "jupyter_book", "build", str(folder)]
    command += ["--path-output", str(output), "-n", "--quiet"]
    command += ["-W", "--keep-going"] if strict else []
    log = output / "sphinx.log"
    output.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        said = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr).replace(str(folder) + "/", "")
        lines = [line for line in said.splitlines() if re.search("WARNING|ERROR|Error", line)]
        shown = "\n".join(f"  {line}" for line in (lines or said.splitlines())[-40:])
        # What Sphinx remembers of a failed build would hide its warnings the next time.
        shutil.rmtree(output / "_build", ignore_errors=True)
        raise BookError(f"Jupyter Book found something to mend (all of it in {log}):\n{shown}")


def build(
    mode: str = "quick",
    only: str | Sequence[str] | None = None,
    jobs: int = 2,
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    seed: int = 0,
    timeout: float = 1800,
    project: Path = paths.PROJECT,
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
    folder = Path(out) if out else project / "_build"

    pages = toc_pages(project / "_toc.yml")
    notebooks = sorted((project / "notebooks").glob("*.ipynb"))
    if only:
        asked = {only} if isinstance(only, str) else set(only)
        unknown = asked - {notebook.stem for notebook in notebooks}
        if unknown:
            known = ", ".join(notebook.stem for notebook in notebooks)
            raise BookError(f"no notebook {', '.join(sorted(unknown))}: there are {known}")
        notebooks = [notebook for notebook in notebooks if notebook.stem in asked]
        hidden = {f"notebooks/{name}" for name in asked}
        pages = [page for page in pages if not page.startswith("notebooks/") or page in hidden]
    else:
        absent = [
            page
            for page in pages
            if page.startswith("notebooks/") and not (project / f"{page}.ipynb").is_file()
        ]
        if absent:
            raise BookError(f"_toc.yml names {', '.join(absent)}, but there is no such notebook")

    with _alone(folder):
        limit = timeout if mode == "quick" else float("inf")
        planned, left_out = plan(notebooks, mode=mode, seed=seed, data=data, build=folder)
        html = folder / ("partial/html" if only else "html")
        digest = _book_digest(planned, pages, project)
        stamp = html / ".emolib-book"
        ready = stamp.is_file() and stamp.read_text() == digest
        if not ready:
            shutil.rmtree(html, ignore_errors=True)

        runs = execute_all(planned, n_jobs=jobs, timeout=limit, data=data, progress=progress)
        save_timings(runs, folder / "run" / mode / "timings.csv")
        if progress and runs:
            print(timings_table(runs))
        for line in left_out:
            print(f"left out: {line}", file=sys.stderr)

        if not ready or any(not run.reused for run in runs):
            shutil.rmtree(html, ignore_errors=True)
            staged = folder / ("partial/stage" if only else "stage")
            sphinx = folder / ("partial/sphinx" if only else "sphinx")
            stage(staged, planned, runs, pages, project)
            _sphinx(staged, sphinx, strict=not only)
            alts: dict[str, str] = {}
            for job in planned:
                alts |= picture_texts(read_notebook(job.executed))
            candidate = folder / "partial" / "unchecked" if only else folder / "unchecked"
            publish(sphinx / "_build" / "html", candidate, alts)
            problems = [] if only else check_html(candidate, pages)
            for job in planned:
                problems += [
                    f"{job.name}: {line}" for line in unexecuted(read_notebook(job.executed))
                ]
            if problems:
                raise BookError(
                    f"{len(problems)} findings in the built pages ({candidate}):\n"
                    + "\n".join(f"  {line}" for line in problems)
                )
            (candidate / ".emolib-book").write_text(digest)
            candidate.rename(html)
    return html / "index.html"


def _book_digest(jobs: Sequence[Job], pages: Sequence[str], project: Path) -> str:
    prose = [file for file in (project / "book").rglob("*") if file.is_file()]
    prose += [project / "_config.yml", project / "_toc.yml"]
    prose += list((paths.PROJECT / "emolib").rglob("*.py"))
    texts = [(str(file), paths.sha256(file)) for file in sorted(prose)]
    said = repr((texts, [(job.name, job.digest) for job in jobs], list(pages)))
    return hashlib.sha256(said.encode()).hexdigest()
