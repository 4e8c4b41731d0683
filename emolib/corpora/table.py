"""One's own recordings: a CSV that lists them, or folders that are named by emotion.

A CSV has a line for each recording, and the columns ``path`` (relative to the CSV), ``emotion``
and ``actor`` (or ``speaker``). Where files lie in folders that are named by emotion, the column
``emotion`` may be left out. Any other column is kept, such as ``text``, ``statement`` or
``session``, but for those that the files themselves tell (`MEASURED`).

A folder needs no CSV: of the folders on the way to a file, one is named by its emotion, and the
other one, if there is one, by its speaker: ``happy/ann/1.wav`` or ``ann/happy/1.wav``.

Whether a file is a sound, a film, a silent film or a picture is read out of the file itself.
"""

import codecs
import csv
import hashlib
import io
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from emolib import paths
from emolib.corpora.manifest import (
    EMOTION_WORDS,
    EMOTIONS,
    CorpusError,
    FileProblem,
    build,
    find,
    refuse_empty,
    subset,
)
from emolib.corpora.sources import MEDIA, SOURCES

CLASSES = EMOTIONS
#: Columns that are read out of the files; a CSV cannot set them.
MEASURED = ("clip_id", "corpus", "modality", "duration_s", "sample_rate")
#: Files that lie beside recordings in a folder and hold none.
_SIDE_FILES = ("*.csv", "*.tsv", "*.txt", "*.json", "*.xlsx")
_KNOWN = f"known are {', '.join(EMOTION_WORDS)}"
_COLUMNS = "a CSV has the columns path, emotion and actor"


def manifest(root: str | Path | None = None, *, modality: str | None = None) -> pd.DataFrame:
    """List one's own recordings.

    Parameters
    ----------
    root
        A CSV file, or a folder; see the module's text.
    modality
        "audio", "audiovisual", "video" (a silent film), "image", or None for all.

    Returns
    -------
    DataFrame
        The manifest; ``clip_id`` is the path relative to the CSV or to the folder. What could not
        be taken is in ``attrs["problems"]``, each with its line: a file that is missing or holds
        no recording, an unknown emotion, an empty speaker where others have one, a recording that
        is listed twice.

    Raises
    ------
    CorpusError
        If `root` is neither, cannot be read, lacks a column, or lists no usable recording.
    """
    place = _place(root)
    problems: list[dict[str, str]] = []
    entries = list((_in_folder if place.is_dir() else _in_csv)(place, problems))
    told = any(entry["actor"] for entry in entries)
    rows = []
    for entry in entries:
        try:
            rows.append(entry | _recording(entry, told))
        except FileProblem as problem:
            problems.append(problem.line(entry["_line"]))
    rows = [row for row in _once(rows, problems) if modality in (None, row["modality"])]
    if not rows:
        raise CorpusError(f"{place} lists no usable {modality or 'recording'}{_first(problems)}")
    plain = ({name: row[name] for name in row if name not in ("_line", "_file")} for row in rows)
    return build(plain, problems, place)


def carrying(media: Collection[str], root: str | Path | None = None) -> pd.DataFrame:
    """Return the manifest of the recordings that carry what a network is to be given.

    The others become problems, each named with what it lacks.

    Parameters
    ----------
    media
        Names in `sources.MEDIA`.
    root
        As for `manifest`.

    Raises
    ------
    CorpusError
        If no recording carries them all, or those that do show one emotion only.
    """
    clips = manifest(root)
    name = Path(clips.attrs["root"]).name
    has = pd.DataFrame({one: _carries(clips, one) for one in MEDIA})
    whole = has[list(media)].all(axis=1)
    if not whole.any():
        there = [f"{MEDIA[one]} ({one}) in {has[one].sum()}" for one in MEDIA if has[one].any()]
        lacking = [MEDIA[one] for one in media if not has[one].any()]
        wanted = " and ".join(lacking or [MEDIA[one] for one in media])
        raise CorpusError(
            f"{name} has no {wanted}{'' if lacking else ' in one file'}: it has "
            f"{', '.join(there)} of {len(clips)} files; list recordings that have them, or train "
            "with another modality"
        )
    kept, others = subset(clips, whole), clips[~whole]
    problems = [
        FileProblem(
            f"it has no {' and '.join(MEDIA[one] for one in media if not lacking[one])}",
            "nothing to do, if that is meant so: other modalities can use it",
        ).line(path)
        for path, (_, lacking) in zip(others["path"], has[~whole].iterrows(), strict=True)
    ]
    kept.attrs["problems"] = clips.attrs["problems"] + problems
    if len(emotions := set(kept["emotion"])) < 2:
        raise CorpusError(
            f"{name} has one emotion only ({', '.join(emotions)}) among {len(kept)} usable files: "
            "a network learns to tell emotions apart, so list recordings of two or more"
            f"{_first(kept.attrs['problems'])}"
        )
    return kept


def called(root: str | Path) -> str:
    """Return a name for a table that no other one on this machine has.

    Examples
    --------
    >>> called("/data/my.csv")
    'my-c1df16'
    """
    place = Path(root).expanduser().resolve()
    return f"{place.stem}-{hashlib.sha256(str(place).encode()).hexdigest()[:6]}"


def held(path: Path) -> dict[str, Any]:
    """Return ``modality``, ``duration_s`` and ``sample_rate`` (Hz) of a file, whatever its name.

    Raises
    ------
    FileProblem
        If the file is missing, empty, or neither a sound, nor a film, nor a picture.
    """
    import av

    try:
        if not path.is_file():
            raise FileProblem("there is no such file", "correct the path, or put the file there")
        refuse_empty(path)
        with av.open(str(path)) as container:
            kind = container.format.name
            sound = next(iter(container.streams.audio), None)
            cover = av.stream.Disposition.attached_pic  # a picture that goes with a sound
            film = [one for one in container.streams.video if not one.disposition & cover]
            length = container.duration / av.time_base if container.duration else float("nan")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, FileProblem):
            raise
        raise FileProblem(
            "neither a sound, nor a film, nor a picture that can be read",
            "convert it, fetch it again, or leave it out",
        ) from error
    if kind == "tty" or not (sound or film):  # FFmpeg draws a text as a film
        raise FileProblem("it holds neither sound nor picture", "leave it out")
    if kind == "image2" or kind.endswith("_pipe"):
        return {"modality": "image"}
    modality = ("audiovisual" if sound else "video") if film else "audio"
    return {
        "modality": modality,
        "duration_s": length,
        "sample_rate": sound.sample_rate if sound else pd.NA,
    }


# --- where they are listed -----------------------------------------------------------------------


def _place(root: str | Path | None) -> Path:
    """Return the file or the folder, which must exist."""
    if root is None:
        raise CorpusError(f"a table is a file or a folder of your own: {SOURCES['table'].manual}")
    try:
        place = Path(root).expanduser().resolve()
        there = place.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise CorpusError(f"{str(root)!r} cannot be a path ({error}): name a CSV") from error
    if not there:
        raise CorpusError(f"{place} does not exist: name a CSV, or a folder of recordings")
    return place


def _in_folder(folder: Path, problems: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Yield what the folders say of each file in them."""
    rows, unclear = find(folder, _by_folders, (), _SIDE_FILES)
    problems += [one | {"path": str(Path(one["path"]).relative_to(folder))} for one in unclear]
    if not rows:
        tables = ", ".join(sorted(file.name for file in folder.glob("*.csv")))
        raise CorpusError(
            f"{folder} holds no folder that is named by an emotion and has files in it"
            + (f"; it holds {tables}: name that" if tables else f": {_KNOWN}; or write a CSV")
        )
    for row in rows:
        file = Path(row["path"])
        name = file.relative_to(folder).as_posix()
        yield row | {"_line": name, "clip_id": name, "_file": file}


def _by_folders(path: Path) -> dict[str, str]:
    """Read emotion and speaker out of the folders on the way to a file."""
    folders = path.parts[:-1]
    emotions = [name for name in folders if name.lower() in EMOTION_WORDS]
    others = [name for name in folders if name.lower() not in EMOTION_WORDS]
    if len(emotions) != 1:
        how = (
            "several folders on the way to it are" if emotions else "no folder on the way to it is"
        )
        raise FileProblem(f"{how} named by an emotion", _KNOWN)
    if len(others) > 1:
        raise FileProblem(
            f"each of the folders {', '.join(others)} could be the speaker's",
            "keep one beside the emotion's, or list the files in a CSV with a column actor",
        )
    return {"emotion": emotions[0], "actor": others[0] if others else ""}


def _in_csv(file: Path, problems: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Yield the lines of a CSV by their columns."""
    lines = _lines(file)
    _, header = next(lines, (1, []))
    names = [name.strip().lower() for name in header]
    if "actor" not in names:
        names = ["actor" if name == "speaker" else name for name in names]
    _check_columns(file, names)
    empty = True
    for number, values in lines:
        if not any(value.strip() for value in values):
            continue
        empty, where = False, f"{file.name}, line {number}"
        entry = dict.fromkeys(("path", "actor"), "")
        entry |= {name: value.strip() for name, value in zip(names, values, strict=False) if name}
        where += f": {entry['path']}" if entry["path"] else ""
        if any(value.strip() for value in values[len(names) :]):
            problem = FileProblem(
                f"the line has {len(values)} values for {len(names)} columns",
                "put a value that holds a comma into quotes",
            )
            problems.append(problem.line(where))
            continue
        entry = {name: value for name, value in entry.items() if name not in MEASURED}
        try:
            yield entry | {"_line": where} | _located(entry, file.parent)
        except FileProblem as problem:
            problems.append(problem.line(where))
    if empty:
        raise CorpusError(f"{file} lists no recording, it has a header only: add lines below it")


def _check_columns(file: Path, names: list[str]) -> None:
    """Refuse a header without ``path``, or with a name that stands there twice."""
    there = ", ".join(filter(None, names)) or "none"
    if "path" not in names:
        raise CorpusError(f"{file} has no column path, it has {there[:200]}: {_COLUMNS}")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise CorpusError(f"{file} has the column {twice[0]} twice: {_COLUMNS}, each once")


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a CSV with their numbers; commas, semicolons or tabs separate values."""
    data = file.read_bytes()
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise CorpusError(
            f"{file} is not a text in UTF-8 (line {number}): save it as “CSV UTF-8”"
        ) from error
    first = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for values in reader:
            yield reader.line_num, values
    except csv.Error as error:
        raise CorpusError(
            f"{file}, line {reader.line_num}: {error}: look for a quotation mark without its fellow"
        ) from error


def _located(entry: dict[str, str], home: Path) -> dict[str, Any]:
    """Return the file of a line, its id, and the emotion of its folder if no column says one."""
    if not entry["path"]:
        raise FileProblem("the line names no file", "give it in the column path")
    # Tables that were written on Windows separate folders the other way.
    path = Path(os.path.normpath(home / entry["path"].replace("\\", "/")))
    name = path.relative_to(home) if path.is_relative_to(home) else path
    emotion = entry.get("emotion")
    if emotion is None:
        folders = [part for part in name.parts[:-1] if part.lower() in EMOTION_WORDS]
        emotion = folders[-1] if folders else ""
    return {"clip_id": name.as_posix(), "_file": path, "emotion": emotion}


# --- what each one is ----------------------------------------------------------------------------


def _recording(entry: dict[str, Any], told: bool) -> dict[str, Any]:
    """Return the columns of a row, or refuse it; `told`: others say who speaks."""
    word = entry["emotion"].lower()
    if word not in EMOTION_WORDS:
        cause = f"unknown emotion {entry['emotion']!r}" if word else "no emotion is said"
        raise FileProblem(cause, _KNOWN)
    if told and not entry["actor"]:
        raise FileProblem(
            "no speaker is said, as it is of others",
            "say who it is: else one person could train and test",
        )
    try:
        entry["clip_id"].encode()
    except UnicodeEncodeError as error:
        raise FileProblem("its name is not a text in UTF-8", "give it another name") from error
    return {
        "path": str(entry["_file"]),
        "corpus": "table",
        "emotion": EMOTION_WORDS[word],
        **held(entry["_file"]),
    }


def _once(rows: list[dict[str, Any]], problems: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Yield each recording once; files with the same content are one recording."""
    for same in _alike(rows):
        first, *others = same
        if len({(row["emotion"], row["actor"]) for row in same}) > 1:
            for row, other in zip(same, [*others, first], strict=True):
                problem = FileProblem(
                    f"the same recording as {other['_line']}, with another emotion or speaker",
                    "keep the line that is right",
                )
                problems.append(problem.line(row["_line"]))
            continue
        yield first
        problem = FileProblem(f"the same recording as {first['_line']}", "keep one of them")
        problems += [problem.line(row["_line"]) for row in others]


def _alike(rows: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Return the rows, those of one content together, in the order of the first."""
    sizes = [row["_file"].stat().st_size for row in rows]
    times = Counter(sizes)
    groups = defaultdict(list)
    for row, size in zip(rows, sizes, strict=True):
        content = paths.sha256(row["_file"]) if times[size] > 1 else ""
        groups[size, content].append(row)
    return groups.values()


def _carries(clips: pd.DataFrame, medium: str) -> pd.Series:
    """Return which of the clips carry a medium."""
    if medium == "text":
        return clips["text"] != ""
    return clips["modality"].isin(SOURCES["table"].has[medium])


def _first(problems: list[dict[str, str]]) -> str:
    """Return the first problem and how many there are, as the end of a sentence."""
    if not problems:
        return ""
    one, count = problems[0], len(problems)
    files = "1 file is" if count == 1 else f"{count} files are"
    return f"; {files} left out, the first is {one['path']}: {one['cause']}; {one['remedy']}"
