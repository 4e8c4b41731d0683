"""From a manifest and a recipe to stored arrays: parallel, resumable, and honest about bad files.

A `FeatureRecipe` says how one clip becomes one array; `extract` applies it to every row of a
manifest and keeps the result on disk::

    data/features/<recipe name>-<recipe digest>/<clip set digest>/
        values.npy      one array for each clip that worked, in manifest order
        clips.csv       clip id and file state of each array, and what the recipe noted about it
        problems.csv    clip_id, path, cause, remedy of each clip that did not
        complete.json   shape, dtype, size and checksum; written last
        chunks/         finished pieces of an extraction that has not ended yet

The recipe digest changes with every option, the clip set digest with every clip and with the
size or time stamp of its file, so a stored array is never mistaken for another. What another clip
set of the same recipe has stored of the very same file is copied and not computed again; so films
may be thrown away, actor by actor, once their features are stored (`emolib.pointers`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from emolib import paths, pointers
from emolib.errors import EmolibError

if TYPE_CHECKING:  # pandas is slow to import, and the worker processes do not need it
    import pandas as pd

PROBLEM_COLUMNS = ("clip_id", "path", "cause", "remedy")

#: Of more clips than these, an extraction says first how long it will take.
FEW = 48

#: Larger arrays are mapped from the disk instead of read, and checked by size and header only.
MAP_ABOVE_BYTES = 256 * 2**20


class FeatureProblem(EmolibError, ValueError):
    """A clip that cannot become a feature: what is wrong with it, and what to do.

    Parameters
    ----------
    cause
        What is wrong, in a few words ("no video stream").
    remedy
        What the reader can do about it.
    path
        The file at fault, if it is known where the error is raised.
    """

    def __init__(self, cause: str, remedy: str, path: str | Path | None = None):
        super().__init__(cause, remedy, path)  # these arguments travel between processes
        self.cause = cause
        self.remedy = remedy
        self.path = path

    def __str__(self) -> str:
        """Return file, cause and remedy as one line."""
        file = f"{self.path}: " if self.path is not None else ""
        return f"{file}{self.cause} ({self.remedy})"


#: What to do about a file that cannot be read to its end.
BROKEN = "the file is damaged or was not fetched to its end: fetch it again"


def refuse_truncated(
    path: str | Path, seconds: float, declared: float, *, exact: bool = False
) -> None:
    """Refuse a file that holds clearly less than its header declares, or `exact` less at all."""
    if declared - seconds > (0.0 if exact else max(0.5, 0.1 * declared)):
        cause = f"truncated: {seconds:.2f} s of {declared:.2f} s are there"
        raise FeatureProblem(cause, BROKEN, path)


@contextmanager
def decoding(path: str | Path, what: str) -> Iterator[None]:
    """Say which file is "not readable `what`" ("as sound"), whatever a library throws at it.

    A decoder throws what its author thought of: the end of the file, metadata in an encoding of
    their own, a size that no memory holds. Nothing but its calls belongs inside.

    Raises
    ------
    FeatureProblem
        In place of all of these.
    """
    try:
        yield
    except FeatureProblem:
        raise
    except Exception as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise FeatureProblem(f"not readable {what}: {said}", BROKEN, path) from error


def parse_augmentation(
    augment: str, defaults: Mapping[str, float], medium: str
) -> tuple[str, float]:
    """Return name and value of ``"name"`` or ``"name=value"``, given each name's default."""
    name, _, value = augment.partition("=")
    if name not in defaults:
        known = ", ".join(defaults)
        raise ValueError(f"unknown {medium} augmentation {augment!r}: known are {known}")
    return name, float(value) if value else defaults[name]


@dataclass(frozen=True)
class FeatureRecipe:
    """How one clip becomes one array; the base of every recipe.

    A recipe is a frozen dataclass with an own `compute`. Its fields are its identity.

    Parameters
    ----------
    augment
        An augmentation of the clip before its features are taken, as ``"name"`` or
        ``"name=value"`` (None: the clip as it was recorded).
    seed
        Seeds what is random in an augmentation, together with the clip id.
    """

    augment: str | None = None
    seed: int = 0

    #: Raised whenever `compute` changes its values, so that older caches are left alone.
    version: ClassVar[int] = 1
    #: At most so many clips are lost when an extraction is interrupted.
    chunk: ClassVar[int] = 24

    @property
    def name(self) -> str:
        """The recipe's class name in lower case with hyphens: ``face-frames``."""
        words = "".join(f"-{c.lower()}" if c.isupper() else c for c in type(self).__name__)
        return words.strip("-")

    def digest(self) -> str:
        """Return 12 hexadecimal digits that change with every option of the recipe."""
        identity = {"recipe": self.name, "version": self.version, **asdict(self)}
        text = json.dumps(identity, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def compute(self, row: Mapping) -> np.ndarray:
        """Return the features of one clip.

        Parameters
        ----------
        row
            One row of a manifest; ``path`` and ``clip_id`` are used.

        Raises
        ------
        FeatureProblem
            If the clip is corrupt, silent, truncated, or shows no face.
        """
        return self.compute_noted(row)[0]

    def compute_noted(self, row: Mapping) -> tuple[np.ndarray, dict]:
        """Return the features of one clip and notes that become columns of the manifest."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_noted")

    def generator(self, row: Mapping) -> np.random.Generator:
        """Return a random generator that depends on the clip and the seed alone."""
        clip = hashlib.sha256(str(row["clip_id"]).encode()).digest()
        return np.random.default_rng([self.seed, int.from_bytes(clip[:8], "little")])


@dataclass(frozen=True)
class Features:
    """The arrays of a manifest's clips.

    Parameters
    ----------
    values
        Array of shape (n_clips, …), float32 or uint8; mapped from the disk when it is large.
    manifest
        The rows that succeeded, in the order of `values`, with the recipe's notes as further
        columns (``missed_frames``, ``channels``).
    problems
        The clips that failed: ``clip_id, path, cause, remedy``.
    recipe
        What made the values.
    """

    values: np.ndarray
    manifest: pd.DataFrame
    problems: pd.DataFrame
    recipe: FeatureRecipe


def extract(
    manifest: pd.DataFrame,
    recipe: FeatureRecipe,
    *,
    n_jobs: int | None = 2,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Features:
    """Return the features of every clip, from the cache where it holds them.

    Finished chunks are kept: after Ctrl-C, a crash or a full disk the same call goes on where
    it stopped. A second process that asks for the same features waits for the first.

    Parameters
    ----------
    manifest
        Clips as `emolib.corpora` lists them; ``clip_id`` and ``path`` are needed.
    recipe
        What to compute.
    n_jobs
        Worker processes (-1: one for each core); 1 computes in this process. None leaves it to
        `joblib.parallel_config`: ``with parallel_config("dask"):`` computes on the cluster of
        the current Dask client, whose workers must see the recordings under the same paths.
    cache
        Folder of the stored features; default ``data/features``.
    progress
        Show a progress bar.

    Raises
    ------
    FeatureProblem
        If no clip at all gave features.
    OSError
        If the disk is full; finished chunks stay.
    """
    from filelock import FileLock

    if manifest.empty:
        raise FeatureProblem("the manifest has no clips", "check the corpus and its options")
    folder = _folder(manifest, recipe, cache)
    if (stored := _load(folder, manifest, recipe)) is not None:
        return stored
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        # Another process may have finished these features while this one waited.
        if (stored := _load(folder, manifest, recipe)) is None:
            with _full_disk_explained(folder):
                _compute(folder, manifest, recipe, n_jobs, progress)
            stored = _load(folder, manifest, recipe)
    if stored is None:
        raise OSError(f"{folder}: the features vanished while they were read: run it again")
    return stored


def _folder(manifest: pd.DataFrame, recipe: FeatureRecipe, cache: str | Path | None) -> Path:
    root = Path(cache) if cache is not None else paths.FEATURES
    return root / f"{recipe.name}-{recipe.digest()}" / _clip_set_digest(manifest)


def _clip_set_digest(manifest: pd.DataFrame) -> str:
    """Digest what the clips are: ids in order, and size and time stamp of each file."""
    digest = hashlib.sha256()
    for clip_id, path in zip(manifest["clip_id"], manifest["path"], strict=True):
        digest.update(f"{clip_id}\t{_state(path)}\n".encode())
    return digest.hexdigest()[:12]


def _state(path: str | Path) -> str:
    """Return size and time stamp of a clip's file."""
    try:
        return pointers.state(path)
    except OSError:
        return "missing"  # the extraction reports it, and the digest changes once it is there


def _compute(
    folder: Path,
    manifest: pd.DataFrame,
    recipe: FeatureRecipe,
    n_jobs: int | None,
    progress: bool,
) -> None:
    """Compute the chunks that are missing, then join them."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    # At least eight chunks, so that a few slow clips still keep every worker busy.
    size = max(1, min(recipe.chunk, math.ceil(len(manifest) / 8)))
    starts = range(0, len(manifest), size)
    files = {start: folder / "chunks" / f"{start:06d}-{size}.npz" for start in starts}
    rows = _rows(folder.parent, manifest)
    todo = {
        start: rows[start : start + size]
        for start, file in files.items()
        if _read_chunk(file) is None
    }
    n_jobs = min(n_jobs, max(1, len(todo))) if n_jobs and n_jobs > 0 else n_jobs
    new = [row for part in todo.values() for row in part if not row["stored"]]
    n_jobs = n_jobs if new else 1  # copies need no workers
    done = len(rows) - sum(map(len, todo.values()))
    with _workers(n_jobs):
        if progress and len(new) > FEW:
            tqdm.write(f"{recipe.name}: {_measured(recipe, new, n_jobs)}", file=sys.stderr)
        shown = {"desc": recipe.name, "unit": "clip", "disable": not progress}
        with tqdm(total=len(rows), initial=done, **shown) as bar:
            jobs = (delayed(_compute_chunk)(recipe, start, part) for start, part in todo.items())
            for start, chunk in Parallel(n_jobs, return_as="generator_unordered")(jobs):
                with paths.atomic(files[start]) as temporary:
                    np.savez(temporary, **chunk)
                bar.update(len(todo[start]))
    _join(folder, manifest, recipe, list(files.values()))


# --- what other clip sets have ---------------------------------------------------------------


def _rows(recipe_folder: Path, manifest: pd.DataFrame) -> list[dict]:
    """Return what `_compute_chunk` needs of each clip, with what is stored of it elsewhere."""
    stored, refused = _elsewhere(recipe_folder)
    rows = []
    for clip_id, path in zip(manifest["clip_id"], manifest["path"], strict=True):
        found = stored.get((clip_id, _state(path)))
        row = {"clip_id": clip_id, "path": path, "stored": found, "refused": None}
        if not found and Path(path).is_file() and pointers.read(path) is not None:
            row["refused"] = refused.get((clip_id, Path(path).name))
        rows.append(row)
    return rows


def _elsewhere(
    recipe_folder: Path,
) -> tuple[dict[tuple[str, str], tuple[str, int, dict]], dict[tuple[str, str], tuple[str, str]]]:
    """Return what all clip sets of a recipe have stored, and which clips gave nothing.

    The first maps clip id and state of its file to file, position and notes of its array; the
    second maps clip id and file name to cause and remedy.
    """
    import pandas as pd

    stored: dict[tuple[str, str], tuple[str, int, dict]] = {}
    refused: dict[tuple[str, str], tuple[str, str]] = {}
    for folder in sorted(recipe_folder.glob("*/complete.json")):
        try:
            complete = json.loads(folder.read_text())
            values = folder.with_name("values.npy")
            whole = values.stat().st_size == complete["bytes"]
            whole &= complete["sha256"] in (None, _checksum(values))
            clips = pd.read_csv(folder.with_name("clips.csv"), dtype={"clip_id": str})
            problems = pd.read_csv(folder.with_name("problems.csv"), dtype=str)
        except (OSError, ValueError, KeyError):
            continue  # damaged; whoever asks for this very set is told
        if not whole or "state" not in clips:
            continue
        notes = clips.drop(columns=["position", "clip_id", "state"]).to_dict("records")
        for position, (clip_id, state) in enumerate(
            zip(clips["clip_id"], clips["state"], strict=True)
        ):
            stored[clip_id, state] = str(values), position, notes[position]
        for clip_id, path, cause, remedy in problems.to_numpy().tolist():
            refused[clip_id, Path(path).name] = cause, remedy
    return stored, refused


def held(
    manifest: pd.DataFrame, recipe: FeatureRecipe, cache: str | Path | None = None
) -> pd.Series:
    """Say of each clip whether its features are stored, or why there are none: booleans."""
    import pandas as pd

    stored, refused = _elsewhere(_folder(manifest, recipe, cache).parent)
    known = [
        (clip_id, _state(path)) in stored or (clip_id, Path(path).name) in refused
        for clip_id, path in zip(manifest["clip_id"], manifest["path"], strict=True)
    ]
    return pd.Series(known, index=manifest.index, dtype=bool)


def drop(manifest: pd.DataFrame, recipe: FeatureRecipe, cache: str | Path | None = None) -> None:
    """Remove the stored features of exactly these clips, if there are any."""
    shutil.rmtree(_folder(manifest, recipe, cache), ignore_errors=True)


# --- how long it will take -------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """What an extraction will take.

    Parameters
    ----------
    clips
        That are not stored yet.
    seconds_each
        That one process needs for one of them.
    workers
        Processes side by side.
    """

    clips: int
    seconds_each: float
    workers: int

    @property
    def seconds(self) -> float:
        """Of all clips."""
        return self.clips * self.seconds_each / self.workers

    def __str__(self) -> str:
        """Say it in one line: ``1,440 clips, 0.31 s each on 2 workers: about 4 minutes``."""
        workers = f"{self.workers} worker{'s' if self.workers > 1 else ''}"
        took = f"{self.seconds_each:.2g} s each on {workers}"
        return f"{self.clips:,} clips, {took}: about {duration(self.seconds)}"


def duration(seconds: float) -> str:
    """Say a time in words, in the largest unit that it has at least two of.

    >>> duration(224), duration(7300), duration(50)
    ('4 minutes', '2 hours', '50 seconds')
    """
    size, unit = next(
        (one for one in ((3600, "hour"), (60, "minute")) if seconds >= 1.5 * one[0]), (1, "second")
    )
    number = max(1, round(seconds / size))
    return f"{number} {unit}{'s' if number > 1 else ''}"


def estimate(
    manifest: pd.DataFrame,
    recipe: FeatureRecipe,
    *,
    sample: int = 4,
    n_jobs: int | None = 2,
    cache: str | Path | None = None,
) -> Estimate:
    """Return how long `extract` would take, measured on a few of the clips that are not stored.

    Nothing is stored. The workers that measure load the same libraries, one clip each before
    they are timed, and work side by side as `extract` lets them.

    Parameters
    ----------
    manifest, recipe, n_jobs, cache
        As for `extract`.
    sample
        Clips that are measured, evenly spread over those not stored.
    """
    rows = _rows(_folder(manifest, recipe, cache).parent, manifest)
    new = [row for row in rows if not row["stored"]]
    with _workers(n_jobs):
        return _measured(recipe, new, n_jobs, sample)


def _measured(
    recipe: FeatureRecipe, rows: Sequence[Mapping], n_jobs: int | None, sample: int = 4
) -> Estimate:
    from joblib import Parallel, delayed, effective_n_jobs

    workers = min(effective_n_jobs(n_jobs), max(1, len(rows)))
    few = rows[:: max(1, len(rows) // sample)][:sample]
    shares = [few[start::workers] for start in range(min(workers, len(few)))]
    timed = Parallel(n_jobs)(delayed(_seconds_each)(recipe, share) for share in shares)
    seconds = [one for share in timed for one in share]
    return Estimate(len(rows), float(np.mean(seconds)) if seconds else 0.0, workers)


def _seconds_each(recipe: FeatureRecipe, rows: Sequence[Mapping]) -> list[float]:
    seconds = []
    for row in (rows[0], *rows):  # the first loads what the recipe needs
        start = time.perf_counter()
        with suppress(FeatureProblem):
            _value(recipe, row)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


# --- chunks ----------------------------------------------------------------------------------


@contextmanager
def _workers(n_jobs: int | None) -> Iterator[None]:
    """Give each local process one thread, and end the processes with the extraction."""
    if n_jobs in (None, 1):
        yield
        return
    from joblib import parallel_config
    from joblib.externals.loky import get_reusable_executor

    try:
        # One thread in each process: the processes already fill the cores.
        with parallel_config(backend="loky", inner_max_num_threads=1):
            yield
    finally:
        # Idle workers would keep the detectors, and half a gigabyte each, for minutes.
        get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def _compute_chunk(
    recipe: FeatureRecipe, start: int, rows: Sequence[Mapping]
) -> tuple[int, dict[str, np.ndarray]]:
    """Compute a few clips in a worker process: (start, {values, positions, notes, problems})."""
    values, positions, notes, problems = [], [], [], []
    for position, row in enumerate(rows, start):
        try:
            value, note = _value(recipe, row)
        except FeatureProblem as problem:
            report = (row["clip_id"], str(row["path"]), problem.cause, problem.remedy)
            problems.append(dict(zip(PROBLEM_COLUMNS, report, strict=True)))
        except Exception as error:
            error.add_note(f"while computing {recipe} of {row['clip_id']} ({row['path']})")
            raise
        else:
            values.append(value)
            positions.append(position)
            notes.append(note)
    shapes = sorted({value.shape for value in values})
    if len(shapes) > 1:
        raise ValueError(f"{recipe} gives arrays of different shapes {shapes}: fix their length")
    return start, {
        "values": np.stack(values) if values else np.empty(0, np.float32),
        "positions": np.array(positions, np.int64),
        "report": np.array(json.dumps({"notes": notes, "problems": problems})),
    }


def _value(recipe: FeatureRecipe, row: Mapping) -> tuple[np.ndarray, dict]:
    """Return the features of one clip and the notes about it, stored ones where there are any."""
    if row["stored"]:
        file, position, note = row["stored"]
        return np.array(np.load(file, mmap_mode="r")[position]), note
    if row["refused"]:
        raise FeatureProblem(*row["refused"])
    if not Path(row["path"]).is_file():
        raise FeatureProblem("the file does not exist", "fetch the corpus again")
    if pointers.read(row["path"]) is not None:
        raise FeatureProblem(
            "the recording was thrown away, and these features of it were not kept",
            "fetch it again with `emolib data get`, with --features-only for this paper or whole",
        )
    return recipe.compute_noted(row)


def _read_chunk(file: Path) -> dict[str, np.ndarray] | None:
    """Return a finished chunk; None, with a warning, if it is damaged (zip checks its CRC)."""
    import zipfile

    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in ("values", "positions", "report")}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        warnings.warn(f"{file} is damaged ({error}): computing it again", stacklevel=5)
        return None


def _join(
    folder: Path, manifest: pd.DataFrame, recipe: FeatureRecipe, files: Sequence[Path]
) -> None:
    """Write the final files from the chunks, one chunk in memory at a time."""
    import pandas as pd

    positions, notes, problems, shapes = [], [], [], set()
    for file in files:
        chunk = _finished(file)
        report = json.loads(str(chunk["report"]))
        positions.extend(chunk["positions"].tolist())
        notes.extend(report["notes"])
        problems.extend(report["problems"])
        if len(chunk["positions"]):
            shapes.add((chunk["values"].shape[1:], chunk["values"].dtype.str))
    with paths.atomic(folder / "problems.csv") as temporary:
        pd.DataFrame(problems, columns=list(PROBLEM_COLUMNS)).to_csv(temporary, index=False)
    if not positions:
        first = problems[0]
        raise FeatureProblem(
            f"none of the {len(problems)} clips gave {recipe.name} features; the first "
            f"({first['path']}): {first['cause']}",
            f"{first['remedy']}; all causes are in {folder / 'problems.csv'}",
        )
    if len(shapes) > 1:
        raise ValueError(f"{recipe} gives arrays of different shapes {shapes}: fix their length")

    ((shape, dtype),) = shapes
    shape = (len(positions), *shape)
    values = folder / "values.npy"
    _write_values(values, files, shape, dtype)
    clips = pd.DataFrame(notes, index=range(len(notes)))
    clips.insert(0, "position", positions)
    clips.insert(1, "clip_id", manifest["clip_id"].to_numpy()[positions])
    clips.insert(2, "state", [_state(path) for path in manifest["path"].iloc[positions]])
    with paths.atomic(folder / "clips.csv") as temporary:
        clips.to_csv(temporary, index=False)
    complete = {
        "recipe": repr(recipe),
        "shape": shape,
        "dtype": dtype,
        "bytes": values.stat().st_size,
        "sha256": _checksum(values),
        "problems": len(problems),
    }
    with paths.atomic(folder / "complete.json") as temporary:
        temporary.write_text(json.dumps(complete, indent=1))
    shutil.rmtree(folder / "chunks", ignore_errors=True)


def _finished(file: Path) -> dict[str, np.ndarray]:
    """Return a chunk that was written a moment ago."""
    chunk = _read_chunk(file)
    if chunk is None:
        raise OSError(f"{file} cannot be read back: check the disk, then run it again")
    return chunk


def _write_values(path: Path, files: Sequence[Path], shape: tuple[int, ...], dtype: str) -> None:
    """Write one array from the chunks; written, not mapped: a full disk is an error, no crash."""
    with paths.atomic(path) as temporary, temporary.open("wb") as out:
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(out, header)
        for file in files:
            if len(values := _finished(file)["values"]):
                out.write(np.ascontiguousarray(values).data)


def _checksum(values: Path) -> str | None:
    """Return the SHA-256 of a file, or None where reading it all would take too long."""
    return paths.sha256(values) if values.stat().st_size <= MAP_ABOVE_BYTES else None


def _load(folder: Path, manifest: pd.DataFrame, recipe: FeatureRecipe) -> Features | None:
    """Return stored features; None if there are none, with a warning if they are damaged."""
    import pandas as pd

    if not (folder / "complete.json").exists():
        return None
    try:
        complete = json.loads((folder / "complete.json").read_text())
        path = folder / "values.npy"
        size = path.stat().st_size
        if size != complete["bytes"]:
            raise ValueError(f"values.npy has {size} bytes instead of {complete['bytes']}")
        if complete["sha256"] not in (None, _checksum(path)):
            raise ValueError("values.npy does not have its checksum")
        values = np.load(path, mmap_mode="r" if size > MAP_ABOVE_BYTES else None)
        clips = pd.read_csv(folder / "clips.csv", dtype={"clip_id": str})
        problems = pd.read_csv(folder / "problems.csv", dtype=str, keep_default_na=False)
        rows = manifest.iloc[clips.pop("position")].reset_index(drop=True)
        if list(values.shape) != complete["shape"] or len(rows) != len(values):
            raise ValueError(f"values of shape {values.shape} for {len(rows)} clips")
        if list(rows["clip_id"]) != list(clips.pop("clip_id")):
            raise ValueError("clips.csv lists other clips")
        clips = clips.drop(columns="state", errors="ignore")
    except (OSError, ValueError, KeyError, IndexError) as error:
        warnings.warn(f"{folder} is damaged ({error}): computing it again", stacklevel=3)
        (folder / "complete.json").unlink(missing_ok=True)
        return None
    for column in clips:
        rows[column] = clips[column].to_numpy()
    return Features(values, rows, problems, recipe)


@contextmanager
def _full_disk_explained(folder: Path) -> Iterator[None]:
    """Say what a full disk means for an extraction."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(folder).free / 2**20
        raise OSError(
            error.errno,
            f"the disk is full ({free:.0f} MiB free) while features are written; what was "
            "finished is kept: make room, or give another folder as cache=, and run it again",
            str(folder),
        ) from error
