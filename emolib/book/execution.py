"""Execute notebooks: each from a clean copy, several at once, only what has changed."""

import functools
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from emolib import paths
from emolib.corpora.sources import SOURCES
from emolib.errors import EmolibError

OUTSIDE_EXECUTION = (
    *(f"book/{name}.py" for name in ("build", "checks", "execution", "pages")),
    "app/live.py",
    "cli.py",
)
"""Sources that no cell runs: a change in them executes nothing again."""

MADE_OF = {"paired": ("ravdess", "fer2013")}
"""Corpora that have no folder of their own."""


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
class Execution:
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
    if unknown := sorted(set(named) - set(known)):
        raise BookError(f"unknown real corpus {', '.join(unknown)}: known are {', '.join(known)}")
    return named


def _errors(cell: Mapping) -> list[Mapping]:
    """Return the errors that a cell ended with."""
    return [one for one in cell.get("outputs", ()) if one["output_type"] == "error"]


def unexecuted(notebook: Mapping) -> list[str]:
    """Return what speaks against a notebook having run through: cells skipped or failed."""
    problems = []
    for position, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code" or not source(cell).strip():
            continue
        if cell.get("execution_count") is None:
            first = source(cell).strip().splitlines()[0]
            problems.append(f"cell {position} was not executed: {first}")
        problems += [
            f"cell {position} failed with {error.get('ename')}: {error.get('evalue')}"
            for error in _errors(cell)
        ]
    return problems


def files_below(folder: Path, leave_out: Collection[Path] = ()) -> Iterator[Path]:
    """Yield the files below a folder, without hidden ones and what Python compiled."""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.name.startswith(".") or entry.suffix == ".pyc" or entry in leave_out:
            continue
        if entry.is_dir():
            yield from files_below(entry, leave_out)
        else:
            yield entry


def digest_files(files: Iterable[Path], *also: object) -> str:
    """Return a SHA-256 over names and contents of project files and the `repr` of what is given."""
    total = hashlib.sha256(repr(also).encode())
    for file in sorted(files):
        total.update(f"{file.relative_to(paths.PROJECT)}\0{paths.sha256(file)}\n".encode())
    return total.hexdigest()


def execution_digest() -> str:
    """Return a SHA-256 over what every notebook depends on: code, committed data, libraries."""
    package = paths.PROJECT / "emolib"
    outside = [package / name for name in OUTSIDE_EXECUTION]
    products = [paths.DATA / name for name in ("features", "raw", "runs", "synthetic")]
    files = [*files_below(package, outside), *files_below(paths.DATA, products)]
    return digest_files([*files, paths.PROJECT / "requirements.lock"], sys.version_info[:2])


def plan(
    notebooks: Sequence[Path], *, mode: str, seed: int, data: Path | None, build: Path
) -> tuple[list[Job], list[str]]:
    """List what is to be executed, and what is left out because its recordings are not here."""
    common, recordings = execution_digest(), data or Path()
    jobs, left_out = [], []

    def job(notebook: Path, corpus: str) -> Job:
        folder = build / "run" / (f"{mode}-{corpus}" if corpus else mode)
        digest = digest_files([notebook], common, mode, seed, corpus, str(data or ""))
        return Job(notebook, mode, seed, corpus, folder, digest)

    for notebook in notebooks:
        jobs.append(job(notebook, ""))
        for corpus in real_corpora(read_notebook(notebook)) if data else ():
            missing = [
                str(recordings / SOURCES[part].folders[0])
                for part in MADE_OF.get(corpus, (corpus,))
                if not any((recordings / folder).is_dir() for folder in SOURCES[part].folders)
            ]
            if missing:
                left_out.append(f"{notebook.stem} on {corpus}: no folder {', '.join(missing)}")
            else:
                jobs.append(job(notebook, corpus))
    return jobs, left_out


def finished(job: Job) -> Execution | None:
    """Return the record of an earlier success of exactly this job, or None."""
    record = _record(job)
    if record.get("digest") != job.digest or not job.executed.is_file():
        return None
    if record["executed_sha256"] != paths.sha256(job.executed):
        return None
    return Execution(**record["run"] | {"reused": True})


def _record(job: Job) -> dict:
    """Return what is kept of the notebook's last success, if anything."""
    try:
        return json.loads(job.record.read_text())
    except (OSError, ValueError):
        return {}


def _environment(folder: Path, data: Path | None, threads: int) -> dict[str, str]:
    """Return the variables of a kernel: one place to read data, few threads, no user profile."""
    variables = {
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
        "TQDM_DISABLE": "1",
    } | {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}
    return os.environ | variables | ({"EMOLIB_DATA": str(data)} if data else {})


def execute(
    job: Job, *, threads: int, timeout: float, data: Path | None, running: set
) -> Execution:
    """Execute one notebook from a clean copy with papermill.

    The copy runs in an empty working folder, so that nothing it writes can reach the checkout or
    another notebook. On failure the copy is kept as ``<name>.failed.ipynb`` for reading, and no
    executed notebook of that name remains.

    Raises
    ------
    BookError
        If a cell fails, the time runs out, or a code cell was left out.
    """
    from emolib import results

    failed = job.executed.with_suffix(".failed.ipynb")
    for file in (job.record, job.executed, failed):
        file.unlink(missing_ok=True)
    work = job.folder / "work" / job.notebook.stem
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    unfinished = work / job.notebook.name

    started = time.monotonic()
    log, peak = _papermill(job, unfinished, _environment(work, data, threads), timeout, running)
    seconds = time.monotonic() - started
    if log is not None:
        if unfinished.exists():
            unfinished.replace(failed)
        raise BookError(_explain_failure(job, failed, log))
    notebook = read_notebook(unfinished)
    if problems := unexecuted(notebook):
        raise BookError(f"{job.name}: " + "; ".join(problems))

    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in code for output in cell["outputs"]]
    stderr = ["".join(one["text"]) for one in outputs if one.get("name") == "stderr"]
    commit, dirty = results.commit()
    run = Execution(
        notebook=job.notebook.stem,
        corpus=job.corpus,
        cells=len(code),
        seconds=round(seconds, 1),
        peak_mb=round(peak / 1e6),
        stderr_lines=sum(len(text.splitlines()) for text in stderr),
        commit=(commit or "")[:7] + ("+" if dirty else ""),
    )
    unfinished.replace(job.executed)
    record = {"digest": job.digest, "executed_sha256": paths.sha256(job.executed)}
    with paths.atomic(job.record) as temporary:
        temporary.write_text(json.dumps(record | {"run": asdict(run)}, indent=1))
    shutil.rmtree(work, ignore_errors=True)
    return run


def _papermill(
    job: Job, partial: Path, environment: Mapping[str, str], timeout: float, running: set
) -> tuple[Path | None, int]:
    """Run papermill: return its log if it failed, and the peak of its processes in bytes."""
    import psutil

    work = partial.parent
    command = [sys.executable, "-m", "papermill", str(job.notebook), str(partial)]
    command += ["--kernel", "python3", "--language", "python", "--no-progress-bar"]
    command += ["--cwd", str(work)]
    for name, value in job.parameters.items():
        command += ["-r" if isinstance(value, str) else "-p", name, str(value)]
    log, peak, end = work / "papermill.log", 0, time.monotonic() + timeout
    place = {"cwd": work, "env": environment, "start_new_session": True}
    with log.open("wb") as stream:
        process = psutil.Popen(command, stdout=stream, stderr=subprocess.STDOUT, **place)
        running.add(process)
        try:
            while process.poll() is None:
                peak = max(peak, _resident(process))
                if time.monotonic() > end:
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait(30)
                    raise BookError(
                        f"{job.name}: stopped after {timeout:.0f} s. Look at {partial} for the "
                        "cell that was running, or raise the limit with --timeout."
                    )
                time.sleep(0.2)
        finally:
            running.discard(process)
    return log if process.returncode else None, peak


def _resident(process) -> int:
    """Return the resident bytes of a process and all below it, as far as they still run."""
    import psutil

    total = 0
    with suppress(psutil.NoSuchProcess):
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
    return total


def _explain_failure(job: Job, failed: Path, log: Path) -> str:
    """Return name, failing cell and the end of its traceback as one readable message."""
    for position, cell in enumerate(read_notebook(failed)["cells"] if failed.exists() else ()):
        for error in _errors(cell):
            trace = plain("\n".join(error["traceback"])).splitlines()
            return (
                f"{job.name}: cell {position} failed with {error['ename']}: {error['evalue']}\n"
                f"  the cell:\n{indented(source(cell).splitlines()[:12])}\n"
                f"  the end of its traceback:\n{indented(trace[-15:])}\n"
                f"  the whole notebook up to there: {failed}"
            )
    tail = log.read_text(errors="replace").splitlines()[-15:]
    return f"{job.name}: papermill failed\n{indented(tail)}"


def plain(text: str) -> str:
    """Return what a terminal would show, without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def indented(lines: Iterable[str], by: int = 4) -> str:
    """Return lines as one text, each `by` spaces from the margin."""
    return "\n".join(" " * by + line for line in lines)


def execute_all(
    jobs: Sequence[Job],
    *,
    n_jobs: int = 2,
    timeout: float = 1800,
    data: Path | None = None,
    progress: bool = True,
) -> list[Execution]:
    """Execute what has changed, `n_jobs` notebooks at a time; try all before failing.

    Raises
    ------
    BookError
        With the explanation of every notebook that failed.
    """
    from tqdm import tqdm

    runs = {job: run for job in jobs if (run := finished(job))}
    # The longest first, as far as an earlier run tells, so that no core waits at the end.
    pending = sorted((job for job in jobs if job not in runs), key=_last_seconds, reverse=True)
    threads = max(1, (os.cpu_count() or 1) // max(1, n_jobs))
    running: set = set()  # papermill's processes, so that Ctrl-C stops their kernels too
    failures = []
    bar = tqdm(total=len(pending), desc="notebooks", unit="nb", disable=not progress or not pending)
    with bar, ThreadPoolExecutor(max(1, n_jobs)) as pool:
        work = functools.partial(
            execute, threads=threads, timeout=timeout, data=data, running=running
        )
        futures = {pool.submit(work, job): job for job in pending}
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
            for process in list(running):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
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
    return _record(job).get("run", {}).get("seconds", float("inf"))


def _timings(runs: Sequence[Execution]):
    import pandas as pd

    return pd.DataFrame(map(asdict, runs), columns=[field.name for field in fields(Execution)])


def save_timings(runs: Sequence[Execution], path: Path) -> None:
    """Keep time and memory per notebook as a table."""
    with paths.atomic(path) as temporary:
        _timings(runs).to_csv(temporary, index=False)


def timings_table(runs: Sequence[Execution]) -> str:
    """Return time and memory per notebook as text."""
    table = _timings(runs).drop(columns=["stderr_lines", "commit"])
    table["corpus"] = table["corpus"].replace("", "(default)")
    table["reused"] = ["kept" if run.reused else "executed" for run in runs]
    return table.rename(columns={"peak_mb": "peak MB", "reused": ""}).to_string(index=False)
