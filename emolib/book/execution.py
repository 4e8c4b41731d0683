"""Execute notebooks: each from a clean copy, several at once, only what has changed."""

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
from dataclasses import asdict, dataclass
from pathlib import Path

from emolib import paths
from emolib.corpora.sources import SOURCES
from emolib.errors import EmolibError

OUTSIDE_EXECUTION = ("emolib/book", "emolib/cli.py", "emolib/live.py")
"""Sources that no cell runs: a change in them executes nothing again."""

MADE_OF = {"paired": ("ravdess", "fer2013")}
"""Corpora that have no folder of their own."""

TIMINGS = ("notebook", "corpus", "cells", "seconds", "peak_mb", "stderr_lines", "commit", "reused")


class BookError(EmolibError, RuntimeError):
    """The book could not be built; the message says which page, why, and what to do."""


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
    known = [name for name, corpus in SOURCES.items() if corpus.folders or name in MADE_OF]
    unknown = sorted(set(named) - set(known))
    if unknown:
        raise BookError(f"unknown real corpus {', '.join(unknown)}: known are {', '.join(known)}")
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


def digest_files(files: Iterable[Path], *also: object) -> str:
    """Return a SHA-256 over names and contents of project files and the `repr` of what is given."""
    total = hashlib.sha256(repr(also).encode())
    for file in sorted(files):
        total.update(f"{file.relative_to(paths.PROJECT)}\0{paths.sha256(file)}\n".encode())
    return total.hexdigest()


def _committed_data() -> Iterator[Path]:
    """Yield the data that pages read: claims, results, splits, boards, registries."""
    made = {paths.DATA / name for name in ("features", "raw", "runs", "synthetic")}
    for top in sorted(paths.DATA.iterdir()) if paths.DATA.is_dir() else ():
        if top in made or top.name.startswith("."):
            continue
        inside = top.rglob("*") if top.is_dir() else [top]
        yield from (file for file in inside if file.is_file() and not file.name.startswith("."))


def execution_digest() -> str:
    """Return a SHA-256 over what every notebook depends on: code, committed data, libraries."""
    outside = [paths.PROJECT / name for name in OUTSIDE_EXECUTION]
    code = [
        file
        for file in (paths.PROJECT / "emolib").rglob("*.py")
        if not any(file.is_relative_to(one) for one in outside)
    ]
    lock = paths.PROJECT / "requirements.lock"
    return digest_files([*code, *_committed_data(), lock], sys.version_info[:2])


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
            missing = [
                str(data / SOURCES[part].folders[0])
                for part in MADE_OF.get(corpus, (corpus,))
                if not any((data / folder).is_dir() for folder in SOURCES[part].folders)
            ]
            if missing:
                left_out.append(f"{notebook.stem} on {corpus}: no folder {', '.join(missing)}")
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
    command += [
        "--kernel",
        "python3",
        "--language",
        "python",
        "--cwd",
        str(work),
        "--no-progress-bar",
    ]
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
                    tqdm.write(f"✗ {job.name} failed", file=sys.stderr)
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
