"""The manifest: one row for each clip, the same columns for every corpus."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from emolib import paths, pointers
from emolib.corpora.sources import SOURCES
from emolib.emotions import EMOTIONS
from emolib.errors import EmolibError

NAMES = yaml.safe_load(Path(__file__).with_name("names.yml").read_text(encoding="utf-8"))
COLUMNS = tuple(NAMES["columns"])
_DEFAULTS = {"duration_s": float("nan"), "sample_rate": pd.NA}

#: What published folders call an emotion → what it is called here.
EMOTION_WORDS = {emotion: emotion for emotion in EMOTIONS} | NAMES["emotion_words"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
_RICHEST = ("audiovisual", "video", "audio", "image")
# Files that lie beside recordings everywhere and hold none.
_SIDE_FILES = ("readme*", "license*", "*.md", "*.pdf", ".*", "thumbs.db")
_LFS_POINTER = b"version https://git-lfs.github.com"
_READ_HEADERS = ContextVar("read_headers", default=True)


class CorpusError(EmolibError, ValueError):
    """A corpus is missing, empty, or not in the form its loader expects."""


class FileProblem(EmolibError, ValueError):
    """One file of a corpus that cannot become a clip: what is wrong, and what to do."""

    def __init__(self, cause: str, remedy: str):
        super().__init__(f"{cause}: {remedy}")
        self.cause, self.remedy = cause, remedy

    def line(self, path: str | Path) -> dict[str, str]:
        """Return the problem as a line of ``manifest.attrs["problems"]``."""
        return {"path": str(path), "cause": self.cause, "remedy": self.remedy}


def known(option: str, value: object, values: Iterable[object]) -> None:
    """Refuse the value of a loader's option that is none of those known; None asks for all."""
    values = tuple(values)
    if value is not None and value not in values:
        raise CorpusError(f"unknown {option} {value!r}: known are {', '.join(map(str, values))}")


def read_name(
    text: str, pattern: re.Pattern[str], known: Mapping[str, Iterable[str | None]], example: str
) -> dict[str, Any]:
    """Return the fields of a recording's name.

    Parameters
    ----------
    text
        The name, or the path where the folders belong to it.
    pattern
        What it must be, a named group a field.
    known
        Field → the values that it may have.
    example
        The form in words, with an example.

    Raises
    ------
    FileProblem
        If the name is not one of the corpus.
    """
    match = pattern.fullmatch(text)
    if not match:
        raise FileProblem(
            f"the name is not {example}",
            "give the file its original name, or move it out of the corpus folder",
        )
    for field, values in known.items():
        if match[field] not in values:
            raise FileProblem(
                f"unknown {field} {match[field]!r} in the name",
                f"known are {', '.join(filter(None, values))}",
            )
    return match.groupdict()


@contextmanager
def by_name() -> Iterator[None]:
    """Within it, manifests come of names and sizes of files alone: fast, with no durations."""
    before = _READ_HEADERS.set(False)
    try:
        yield
    finally:
        _READ_HEADERS.reset(before)


def kind_of(path: Path) -> str:
    """Return the modality of a file that is a film with sound unless it is sound alone."""
    return "audio" if path.suffix.lower() in (".wav", ".flac") else "audiovisual"


def subset(manifest: pd.DataFrame, mask: pd.Series) -> pd.DataFrame:
    """Return the rows of a mask, renumbered, with the manifest's attributes."""
    kept = manifest[mask].reset_index(drop=True)
    kept.attrs.update(manifest.attrs)
    return kept


def build(
    rows: Iterable[Mapping] | pd.DataFrame,
    problems: Iterable[Mapping] = (),
    root: str | Path | None = None,
) -> pd.DataFrame:
    """Turn rows into a checked manifest.

    Parameters
    ----------
    rows
        Mappings, or a table, with at least ``clip_id, path, corpus, emotion, modality``; other
        columns of `COLUMNS` default to "" (``duration_s`` and ``sample_rate`` to missing), and
        further columns are kept behind them.
    problems
        Files that were found but not understood: mappings ``path, cause, remedy``, kept in
        ``manifest.attrs["problems"]``.
    root
        Folder that the corpus was found in, kept in ``manifest.attrs["root"]``.

    Raises
    ------
    CorpusError
        If a clip appears twice or carries an unknown emotion.
    """
    frame = rows.copy() if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    for column in COLUMNS:
        if column not in frame:
            frame[column] = _DEFAULTS.get(column, "")
    extra = [column for column in frame if column not in COLUMNS]
    frame = frame[[*COLUMNS, *extra]].reset_index(drop=True)
    frame["duration_s"] = frame["duration_s"].astype("float64")
    frame["sample_rate"] = frame["sample_rate"].astype("Int64")

    twice = frame.loc[frame["clip_id"].duplicated(), "clip_id"]
    if len(twice):
        paths = frame.loc[frame["clip_id"] == twice.iloc[0], "path"].tolist()
        raise CorpusError(
            f"clip {twice.iloc[0]!r} is there {len(paths)} times ({', '.join(map(str, paths))}): "
            "keep one copy of each recording in the corpus folder"
        )
    unknown = sorted(set(frame["emotion"]) - set(EMOTIONS))
    if unknown:
        raise CorpusError(
            f"unknown emotion {', '.join(map(repr, unknown))}: known are {', '.join(EMOTIONS)}"
        )
    frame.attrs["problems"] = [dict(problem) for problem in problems]
    frame.attrs["root"] = str(root) if root else None
    frame.attrs["kinds"] = sorted(set(frame["modality"]))
    return frame


def digest(manifest: pd.DataFrame) -> str:
    """Return a SHA-256 over what the clips are, independent of where they lie on the disk."""
    columns = [column for column in COLUMNS if column not in ("path", "duration_s", "sample_rate")]
    text = manifest[columns].sort_values("clip_id").to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()


def locate(name: str, root: str | Path | None = None) -> Path:
    """Return the folder of a corpus, or say where to get the corpus and where to put it.

    Parameters
    ----------
    name
        Key of the corpus.
    root
        Its folder; by default the first of its usual folder names that exists below
        `emolib.paths.recordings`.

    Raises
    ------
    CorpusError
        If there is no such folder.
    """
    if root is not None:
        folder = Path(root).expanduser().resolve()
    else:
        usual = [paths.recordings() / folder for folder in SOURCES[name].folders]
        folder = next((path for path in usual if path.is_dir()), usual[0])
    if not folder.is_dir():
        raise missing(name, folder, "there is no such folder")
    return folder


def missing(name: str, folder: Path, cause: str) -> CorpusError:
    """Return the error that tells how to get a corpus and where to put it."""
    source = SOURCES[name]
    return CorpusError(
        f"{source.title} is not in {folder} ({cause}): {source.how(folder)}; or point EMOLIB_DATA "
        "at the folder that holds your corpora"
    )


def collect(
    name: str,
    root: str | Path | None,
    parse: Callable[[Path], Mapping[str, Any]],
    suffixes: Iterable[str],
    *,
    side_files: Iterable[str] = (),
    modality: str | None = None,
    **wanted: str | None,
) -> pd.DataFrame:
    """Walk a corpus folder and make its manifest: what every loader does.

    Every file ends up in exactly one place: as a clip, as a clip that was not asked for, as a
    known side file, or as a problem. The kinds of files that are there, asked for or not, are
    kept in ``manifest.attrs["kinds"]``.

    Parameters
    ----------
    name
        Key of the corpus.
    root
        Its folder, or None for the usual one.
    parse
        Reads the columns of a row out of a file's path relative to the folder; raises
        `FileProblem` for a name it does not know.
    suffixes
        The kinds of files that hold clips, lower case; none: any.
    side_files
        Patterns (of the lower-case name) of files that belong to the corpus and hold no clip.
    modality
        The modality to list; None: the richest that is there; "all": every one.
    wanted
        Further columns and the value asked for, None for any.

    Raises
    ------
    CorpusError
        If the folder is missing or holds no such clip.
    """
    folder = locate(name, root)
    rows, problems = find(folder, parse, suffixes, side_files)
    chosen = modality or min((row["modality"] for row in rows), key=_RICHEST.index, default=None)
    asked = {"modality": None if chosen == "all" else chosen} | wanted
    asked = {column: value for column, value in asked.items() if value is not None}
    there = sorted({f"{row['modality']} {row.get('channel', '')}".strip() for row in rows})
    kinds = sorted({row["modality"] for row in rows})
    rows = [row for row in rows if all(row[column] == value for column, value in asked.items())]
    rows = _with_headers(rows, problems)
    rows = once(rows, problems)
    if not rows:
        cause = f"it holds no {' '.join(map(str, asked.values()))} clip".replace("  ", " ")
        cause += f", only {', '.join(there)}" if there else ""
        for first in problems[:1]:
            cause += (
                f"; {len(problems)} files are not usable, the first is {first['path']}: "
                f"{first['cause']}; {first['remedy']}"
            )
        raise missing(name, folder, cause)
    manifest = build(({"corpus": name} | row for row in rows), problems, folder)
    manifest.attrs["kinds"] = kinds
    return manifest


def once(rows: Iterable[dict], problems: list[dict]) -> list[dict]:
    """Return the rows with each clip once; further files of a clip join the problems.

    Of copies the first stays. Where files of one clip contradict each other none does, for
    nobody can say which is right.
    """
    files: dict[str, list[dict]] = {}
    for row in rows:
        files.setdefault(row["clip_id"], []).append(row)
    kept = []
    for clip, (first, *others) in files.items():
        alike = all(other["emotion"] == first["emotion"] for other in others)
        kept += [first] * alike
        for row in others if alike else (first, *others):
            other = first if row is not first else others[0]
            cause = f"clip {clip} is there already, as {other['path']}"
            if not alike:
                cause = f"clip {clip} has another emotion than in {other['path']}"
            remedy = "keep one file of each clip in the corpus folder"
            problems.append(FileProblem(cause, remedy).line(row["path"]))
    return kept


def find(
    root: Path,
    parse: Callable[[Path], Mapping[str, Any]],
    suffixes: Iterable[str],
    side_files: Iterable[str] = (),
) -> tuple[list[dict], list[dict]]:
    """Return the rows that the file names under `root` give, in order of path, and the problems.

    No file is opened; the parameters are those of `collect`.
    """
    suffixes, side_files = tuple(suffixes), (*_SIDE_FILES, *side_files)
    rows, problems = [], []
    for path in _files(root):
        name = path.name.lower()
        if any(fnmatch(name, pattern) for pattern in side_files):
            continue
        try:
            if suffixes and path.suffix.lower() not in suffixes:
                raise FileProblem(
                    f"not one of the file types {', '.join(suffixes)}",
                    "move it out of the corpus folder, or convert it",
                )
            rows.append(dict(parse(path.relative_to(root))) | {"path": str(path)})
        except FileProblem as problem:
            problems.append(problem.line(path))
    return rows, problems


def _with_headers(rows: list[dict], problems: list[dict]) -> list[dict]:
    """Add what the headers say; rows whose file cannot be read become problems."""
    readable = []
    read = header if _READ_HEADERS.get() else refuse_empty
    for row in rows:
        try:
            readable.append(row | (read(Path(row["path"])) or {}))
        except FileProblem as problem:
            problems.append(problem.line(row["path"]))
    return readable


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(names):
            yield Path(folder, name)


def header(path: Path) -> dict[str, Any]:
    """Return ``duration_s`` and ``sample_rate`` (Hz) from a file's header, without decoding.

    Raises
    ------
    FileProblem
        If the file is empty, a Git LFS pointer, or has no header that can be read.
    """
    refuse_empty(path)
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return {}
    if (kept := pointers.read(path)) is not None:
        return {"duration_s": kept.duration_s, "sample_rate": kept.sample_rate}
    try:
        return _soundfile_header(path) if suffix in (".wav", ".flac") else _container_header(path)
    except (OSError, RuntimeError, ValueError) as error:
        raise FileProblem(
            f"its header cannot be read ({error})", "fetch it again, or convert it"
        ) from error


def refuse_empty(path: Path) -> None:
    """Refuse a file that holds nothing of a recording, by its size.

    Raises
    ------
    FileProblem
        If the file is empty, or a Git LFS pointer.
    """
    size = path.stat().st_size
    if size == 0:
        raise FileProblem("the file is empty (0 bytes)", "fetch it again; the copy broke off")
    if size < 1024:
        with path.open("rb") as file:
            if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
                raise FileProblem(
                    "this is a Git LFS pointer, not the recording itself",
                    "run `git lfs pull` in its repository, or `emolib data get` for the corpus",
                )


def _soundfile_header(path: Path) -> dict[str, Any]:
    import soundfile

    info = soundfile.info(str(path))
    if info.frames == 0:
        raise ValueError("no samples")
    return {"duration_s": info.frames / info.samplerate, "sample_rate": info.samplerate}


def _container_header(path: Path) -> dict[str, Any]:
    import av

    with av.open(str(path)) as container:
        sound = next(iter(container.streams.audio), None)
        if sound is None and not container.streams.video:
            raise ValueError("neither a sound nor a picture track")
        return {
            "duration_s": container.duration / av.time_base if container.duration else None,
            "sample_rate": sound.sample_rate if sound else None,
        }
