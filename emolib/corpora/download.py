"""Fetching corpora, verifying them, and saying what is here.

What may be fetched lies in tables: ``data/registry/archives.csv`` (files with address and
checksum), ``ravdess.csv.xz`` and ``cremad.csv.xz`` (a SHA-256 for every recording). What a
download takes is said before it starts; one that breaks off goes on where it stopped, also in the
next session. `emolib.papers.films` fetches films whose features alone are kept.
"""

import hashlib
import re
import shutil
import stat
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd

from emolib import paths, pointers
from emolib.corpora.manifest import CorpusError, FileProblem, by_name, header, locate
from emolib.corpora.sources import SOURCES
from emolib.errors import EmolibError

#: Corpus → its parts, the one fetched by default first.
PARTS: dict[str, tuple[str, ...]] = {
    "ravdess": ("speech", "song", "speech-video", "song-video"),
    "cremad": ("audio", "video"),
}
#: Films with sound that an archive of one actor holds, beside as many silent ones.
_TAKES = {"speech-video": 60, "song-video": 44}
_CREMAD_FOLDERS = {"audio": "AudioWAV", "video": "VideoFlash"}
#: CREMA-D keeps its recordings in Git LFS; this address serves them, not the pointers.
_CREMAD_URL = "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/master"
_CHUNK = 1 << 16
_TIMEOUT = 30  # seconds without a byte
_ATTEMPTS = 5  # in a row without a new byte
#: What a connection is taken to carry before anything is measured, in bits a second.
ASSUMED_RATE = 50e6


class DownloadError(EmolibError, RuntimeError):
    """A corpus cannot be fetched, or what came is not what was published."""


@dataclass(frozen=True)
class Remote:
    """One file to fetch.

    Attributes
    ----------
    file
        Its path below the corpus folder.
    url
        Where it is.
    checksum
        "md5:…" or "sha256:…", or "" if none is published.
    bytes
        Its size, or None.
    """

    file: str
    url: str
    checksum: str = ""
    bytes: int | None = None


@dataclass(frozen=True)
class Batch:
    """What is fetched together: an archive, or the recordings of an actor.

    Attributes
    ----------
    name
        Of the archive, or of the actor.
    files
        What is fetched.
    inside
        Pattern of its recordings below the corpus folder.
    unpacked
        Bytes of its recordings; None if nobody says.
    clips
        Recordings in it that a network can be given; 0 if not known.
    """

    name: str
    files: tuple[Remote, ...]
    inside: str
    unpacked: int | None = None
    clips: int = 0

    @property
    def zipped(self) -> bool:
        """Whether it is an archive."""
        return self.files[0].file.endswith(".zip")

    @property
    def bytes(self) -> int:
        """What is fetched, of files whose size is known."""
        return sum(file.bytes or 0 for file in self.files)


@dataclass(frozen=True)
class Plan:
    """What a download takes, as it is said before the start.

    Attributes
    ----------
    title
        Corpus and part.
    files, unknown
        How many are still to be fetched, and of how many of them nobody says the size.
    bytes
        To be fetched.
    stored
        Bytes that stay on the disk.
    peak
        Bytes that it needs on the way.
    free
        Bytes that the disk has.
    """

    title: str
    files: int
    unknown: int
    bytes: int
    stored: int
    peak: int
    free: int

    def __str__(self) -> str:
        """Say it in one line."""
        if not self.files:
            return f"{self.title}: everything is here"
        more = f" and {_files(self.unknown)} of unknown size" if self.unknown else ""
        minutes = max(1, round(8 * self.bytes / ASSUMED_RATE / 60))
        return (
            f"{self.title}: {_files(self.files)}, {size(self.bytes)} to fetch{more}; "
            f"{size(self.stored)} stay, {size(self.peak)} are needed on the way, "
            f"{size(self.free)} are free; about {minutes} min at {ASSUMED_RATE / 1e6:.0f} Mbit/s"
        )


def _files(number: int) -> str:
    return f"{number:,} file{'s' if number > 1 else ''}"


def size(number: float) -> str:
    """Say a number of bytes in decimal units.

    >>> size(13_360_000_000), size(4_600)
    ('13.4 GB', '4.6 kB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5 or unit == "GB":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if number >= 99.5 or unit == "B" else f"{number:.1f} {unit}"


def archives(name: str | None = None, part: str | None = None) -> pd.DataFrame:
    """Return the registry: corpus, part, file, checksum, bytes, unpacked, url (one row a file)."""
    sizes = ("bytes", "unpacked")
    missing = {"keep_default_na": False, "na_values": {column: [""] for column in sizes}}
    types = dict.fromkeys(sizes, "Int64")
    table = pd.read_csv(paths.REGISTRY / "archives.csv", dtype=types, **missing)
    wanted = table["corpus"].eq(name or table["corpus"]) & table["part"].eq(part or table["part"])
    return table[wanted].reset_index(drop=True)


def recordings(name: str) -> pd.DataFrame:
    """Return the registry of a corpus' recordings: file, sha256 and, if known, more."""
    return pd.read_csv(paths.REGISTRY / f"{name}.csv.xz")


# --- fetching -------------------------------------------------------------------------------


def get(
    name: str,
    root: str | Path | None = None,
    *,
    parts: Iterable[str] | None = None,
    actors: Iterable[str] | None = None,
    jobs: int = 4,
    keep: bool = False,
    progress: bool = True,
) -> Path:
    """Fetch a corpus, verify it and unpack it.

    Parameters
    ----------
    name
        Key of the corpus.
    root
        Its folder; by default below `emolib.paths.recordings`.
    parts
        Which of `PARTS`; by default the first.
    actors
        Only these actors, where files or archives belong to one.
    jobs
        Files fetched at a time, where a corpus is many small files (CREMA-D).
    keep
        Keep archives after unpacking.
    progress
        Show a progress bar.

    Returns
    -------
    Path
        The folder of the corpus.

    Raises
    ------
    DownloadError
        If the corpus needs a step by hand (the message says which), the network or the disk
        fails, or a file is not what was published.
    """
    if name not in SOURCES:
        raise CorpusError(f"unknown corpus {name!r}: known are {', '.join(SOURCES)}")
    source = SOURCES[name]
    if name not in PARTS:
        folder = root or (paths.recordings() / source.folders[0] if source.folders else "")
        raise DownloadError(f"{source.title} cannot be fetched by a program: {source.how(folder)}")
    chosen = tuple(parts) if parts is not None else PARTS[name][:1]
    if unknown := [part for part in chosen if part not in PARTS[name]]:
        raise DownloadError(
            f"{source.title} has no part {unknown[0]!r}: known are {', '.join(PARTS[name])}"
        )
    folder = home(name, root)
    with disk_explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for part in chosen:
            wanted = batches(name, part, actors or ())
            announce(plan(name, part, wanted, folder), name, part, folder, progress)
            fetch_part = {"ravdess": _get_ravdess, "cremad": _get_cremad}[name]
            fetch_part(folder, part, wanted, jobs, keep, progress)
    return folder


def home(name: str, root: str | Path | None = None) -> Path:
    """Return the folder that a corpus is fetched into."""
    return Path(root).resolve() if root else paths.recordings() / SOURCES[name].folders[0]


@contextmanager
def disk_explained(folder: Path) -> Iterator[None]:
    """Say what a disk that is full or read-only means for a download."""
    try:
        yield
    except OSError as error:
        raise DownloadError(
            f"{folder} cannot be written ({error}): free space there, or point EMOLIB_DATA at a "
            "folder of your own; the same command goes on where it stopped"
        ) from error


def batches(name: str, part: str, actors: Iterable[str] = ()) -> list[Batch]:
    """Return what is fetched for a part of a corpus, of some actors or of all.

    Sizes that the registry does not know are asked of the server.
    """
    actors = tuple(actors)
    if name == "cremad":
        return _actors_of_cremad(part, actors)
    found = []
    for row in archives(name, part).itertuples():
        stem = Path(row.file).stem
        if actors and part.endswith("video") and stem.rpartition("_")[2] not in actors:
            continue
        known = None if pd.isna(row.bytes) else int(row.bytes)
        unpacked = getattr(row, "unpacked", None)
        unpacked = known if unpacked is None or pd.isna(unpacked) else int(unpacked)
        remote = Remote(f".downloads/{row.file}", row.url, row.checksum, known)
        found.append(Batch(stem, (remote,), f"{stem}/*", unpacked, _TAKES.get(part, 0)))
    return found


def _actors_of_cremad(part: str, actors: Sequence[str]) -> list[Batch]:
    files: dict[str, list[Remote]] = {}
    for row in recordings("cremad").itertuples():
        actor = Path(row.file).name.split("_")[0]
        if row.file.startswith(_CREMAD_FOLDERS[part]) and (not actors or actor in actors):
            url = f"{_CREMAD_URL}/{row.file}"
            remote = Remote(row.file, url, f"sha256:{row.sha256}", int(row.bytes))
            files.setdefault(actor, []).append(remote)
    return [
        Batch(actor, tuple(of), f"{_CREMAD_FOLDERS[part]}/{actor}_*", sum(r.bytes or 0 for r in of),
              len(of))
        for actor, of in files.items()
    ]  # fmt: skip


def plan(
    name: str, part: str, wanted: Sequence[Batch], folder: str | Path, *, kept: int | None = None
) -> Plan:
    """Return what fetching these batches takes; what is here already does not count.

    Parameters
    ----------
    name, part, wanted
        Of `batches`.
    folder
        Of the corpus; it need not exist.
    kept
        Bytes that stay, where the recordings of a batch are thrown away before the next one.
    """
    folder = Path(folder)
    if kept is None:
        wanted = [replace(batch, files=tuple(absent(batch, folder))) for batch in wanted]
    todo = _sized([batch for batch in wanted if batch.files])
    there = [_part_of(folder / file.file) for batch in todo for file in batch.files]
    fetched = sum(batch.bytes for batch in todo) - sum(map(_size, there))
    recordings = [
        (batch.unpacked or batch.bytes) if batch.zipped else batch.bytes for batch in todo
    ]
    archive = max((batch.bytes for batch in todo if batch.zipped), default=0)
    stored = sum(recordings) if kept is None else kept
    return Plan(
        title=f"{SOURCES[name].title} {part}",
        files=sum(len(batch.files) for batch in todo),
        unknown=sum(file.bytes is None for batch in todo for file in batch.files),
        bytes=max(0, fetched),
        stored=stored,
        peak=stored + archive + (max(recordings, default=0) if kept is not None else 0),
        free=shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free,
    )


def absent(batch: Batch, folder: Path) -> list[Remote]:
    """Return the files of a batch that are still to be fetched; pointers are not the recordings."""
    if batch.zipped:
        unpacked = folder / batch.name
        return [] if unpacked.is_dir() and not _only_pointers(unpacked) else list(batch.files)
    return [file for file in batch.files if _size(folder / file.file) != (file.bytes or -1)]


def _sized(todo: Sequence[Batch]) -> list[Batch]:
    """Ask the server for the sizes that the registry does not know, until it fails to answer."""
    sized, answers = [], True
    for batch in todo:
        files = []
        for file in batch.files:
            known = file.bytes or (_length_of(file.url) if answers else None)
            answers = known is not None
            files.append(replace(file, bytes=known))
        sized.append(replace(batch, files=tuple(files)))
    return sized


def _length_of(url: str) -> int | None:
    import requests

    try:
        reply = requests.head(url, allow_redirects=True, timeout=_TIMEOUT)
    except requests.RequestException:
        return None
    length = reply.headers.get("Content-Length", "")
    return int(length) if reply.ok and length.isdigit() else None


def announce(what: Plan, name: str, part: str, folder: Path, progress: bool) -> None:
    """Say what a download takes; refuse it where the disk is too small.

    Raises
    ------
    DownloadError
        If there is not enough space.
    """
    if progress:
        print(what, file=sys.stderr)
    if what.files and what.peak > what.free:
        films = part == SOURCES[name].film_part or part.endswith("video")
        less = ", or keep the features alone with --features-only" if films else ""
        raise DownloadError(
            f"{what.title} needs {size(what.peak)}, {size(what.free)} are free at {folder}: free "
            f"space, or point EMOLIB_DATA at another disk{less}"
        )


def _get_ravdess(folder, part, wanted, jobs, keep, progress) -> None:
    for batch in wanted:
        if absent(batch, folder):
            fetch_batch(batch, folder, keep=keep, progress=progress)
    if part == "speech":
        found = check("ravdess", folder, progress=progress)
        wrong = found[found["status"] == "wrong"]
        if len(wrong):
            raise DownloadError(
                f"{len(wrong)} recordings are not the published ones, the first is "
                f"{wrong['path'].iloc[0]}: remove them and fetch RAVDESS again"
            )


def _only_pointers(folder: Path) -> bool:
    """Say whether nothing but pointers lies in a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return bool(files) and all(pointers.read(path) for path in files)


def _get_cremad(folder, part, wanted, jobs, keep, progress) -> None:
    for row in archives("cremad", "tables").itertuples():
        fetch(Remote(row.file, row.url, row.checksum), folder, progress=False)
    files = [file for batch in wanted for file in batch.files]
    _fetch_all(files, folder, jobs, f"CREMA-D {part}", progress)


def _fetch_all(files: Sequence[Remote], folder: Path, jobs: int, name: str, progress: bool) -> None:
    """Fetch small files, a few at a time."""
    from joblib import Parallel, delayed

    fetched = Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")(
        delayed(fetch)(remote, folder, progress=False) for remote in files
    )
    for _ in _bar(fetched, progress, total=len(files), desc=name, unit="file"):
        pass


def fetch_batch(
    batch: Batch, folder: Path, *, jobs: int = 4, keep: bool = False, progress: bool = True
) -> None:
    """Fetch a batch and unpack it: its recordings lie at ``batch.inside`` below `folder`.

    Raises
    ------
    DownloadError
        As `get`.
    """
    if not batch.zipped:
        _fetch_all(batch.files, folder, jobs, batch.name, progress)
        return
    archive = fetch(batch.files[0], folder, progress=progress)
    unpack(archive, folder / batch.name)
    if not keep:
        archive.unlink()


def fetch(remote: Remote, folder: str | Path, *, progress: bool = True) -> Path:
    """Fetch one file into `folder`, unless it is there already; go on with a broken-off one.

    Raises
    ------
    DownloadError
        If the server does not deliver, or the checksum does not fit.
    """
    target = Path(folder) / remote.file
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file() and _is_published(target, remote):
        return target
    part = _part_of(target)
    free, needed = shutil.disk_usage(target.parent).free, (remote.bytes or 0) - _size(part)
    if free < needed and not target.is_file():
        raise DownloadError(
            f"{target} needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free: free space, or "
            "point EMOLIB_DATA at another disk"
        )
    stated = _stream(remote.url, part, progress, remote.bytes)
    if not _is_published(part, replace(remote, checksum=remote.checksum or stated)):
        came = _size(part)
        part.unlink()
        expected = remote.checksum or stated or f"{remote.bytes} bytes long"
        raise DownloadError(
            f"{remote.url} is not the published file (its {came} bytes are not {expected}): fetch "
            "it again; if that does not help, the publisher has changed it"
        )
    part.replace(target)
    return target


def _part_of(target: Path) -> Path:
    """Return where the beginning of a file lies until all of it is here."""
    return target.with_name(f".{target.name}.part")


def _is_published(path: Path, remote: Remote) -> bool:
    from pooch import file_hash

    if remote.bytes is not None and _size(path) != remote.bytes:
        return False
    kind, _, published = remote.checksum.partition(":")
    return not published or file_hash(str(path), kind) == published


def _stream(url: str, part: Path, progress: bool, whole: int | None = None) -> str:
    """Write `url` to `part`, from where `part` ends, again and again until it is whole.

    No more than `whole` bytes and a chunk are taken. Returns the checksum that the server states,
    "" if it states none.
    """
    import requests

    passing = (
        *(requests.HTTPError, requests.ConnectionError, requests.Timeout),
        requests.exceptions.ChunkedEncodingError,  # broken off inside the body
    )
    idle, most = 0, _size(part)
    while True:
        try:
            return _stream_once(url, part, progress, whole)
        except passing as error:
            reply = error.response
            if reply is not None and reply.status_code < 500 and reply.status_code != 429:
                raise DownloadError(f"{url} answers {error}: the address may have moved") from error
            reason = error
        except requests.RequestException as error:
            raise DownloadError(f"{url} cannot be fetched ({error}): check the address") from error
        # Only more than ever came counts as progress, so this ends with every server.
        idle = 0 if _size(part) > most else idle + 1
        most = max(most, _size(part))
        if idle == _ATTEMPTS:
            raise DownloadError(
                f"{url} broke off {_ATTEMPTS} times ({reason}): check the network and run the "
                f"same command again; it goes on after the {_size(part)} bytes that are here"
            ) from reason
        time.sleep(0.2 * 2**idle)


def _stream_once(url: str, part: Path, progress: bool, whole: int | None = None) -> str:
    import requests

    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as reply:
        span, _, length = reply.headers.get("Content-Range", "").partition("/")
        if reply.status_code == 416:  # nothing behind what is here
            if length.isdigit() and int(length) == have:
                return _stated(reply.headers)
            part.unlink()
            raise requests.ConnectionError("the part that is here does not belong to the file")
        reply.raise_for_status()
        goes_on = reply.status_code == 206 and span.startswith(f"bytes {have}-")
        start = have if goes_on else 0
        length = reply.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        shown = {"desc": part.name[1:-5], "unit": "B", "unit_scale": True}
        bar = _bar(None, progress, total=total, initial=start, **shown)
        with part.open("ab" if goes_on else "wb") as file, bar:
            for chunk in reply.iter_content(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
                if whole is not None and file.tell() > whole:
                    return ""  # not the file: more than was published, perhaps without an end
    if total is not None and _size(part) != total:
        raise requests.ConnectionError(f"{_size(part)} of {total} bytes came")
    return _stated(reply.headers)


def _stated(headers) -> str:
    """Return the MD5 that a server states of a file, as Zenodo's does, or ""."""
    for name in ("Content-MD5", "ETag"):
        match = re.fullmatch(r'"?(md5:)?([0-9a-f]{32})"?', headers.get(name, ""))
        if match and (name == "Content-MD5" or match[1]):  # others make an ETag as they like
            return f"md5:{match[2]}"
    return ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _bar(iterable, progress: bool, **options):
    from tqdm import tqdm

    return tqdm(iterable, disable=not progress, **options)


def unpack(archive: str | Path, folder: str | Path) -> Path:
    """Unpack a zip file into `folder`: all of it or nothing, and nothing beside it.

    Raises
    ------
    DownloadError
        If the archive is damaged, encrypted, too large for the disk, or a member would leave the
        folder (an absolute path, "..", a link).
    """
    archive, folder = Path(archive), Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".unpacking-"))
    try:
        with zipfile.ZipFile(archive) as opened:
            _refuse_escapes(archive, opened.infolist())
            _refuse_encrypted(archive, opened.infolist())
            needed = sum(member.file_size for member in opened.infolist())
            if needed > shutil.disk_usage(folder.parent).free:
                raise DownloadError(
                    f"{archive} unpacks to {needed / 1e6:.0f} MB, more than is free: free space"
                )
            opened.extractall(staging)
        if not folder.exists():
            staging.chmod(0o755)  # mkdtemp makes it private
            staging.rename(folder)
        else:
            for path in sorted(path for path in staging.rglob("*") if path.is_file()):
                target = folder / path.relative_to(staging)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
    except NotImplementedError as error:
        raise DownloadError(
            f"{archive} is packed in a way that Python cannot read ({error}): unpack it by hand "
            f"into {folder}"
        ) from error
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DownloadError(
            f"{archive} is not a whole zip file ({error}): remove it and fetch it again"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def _refuse_escapes(archive: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    for member in members:
        name = member.orig_filename
        posix, windows = PurePosixPath(name), PureWindowsPath(name)
        link = stat.S_ISLNK(member.external_attr >> 16)
        if posix.is_absolute() or windows.anchor or ".." in (*posix.parts, *windows.parts) or link:
            raise DownloadError(
                f"{archive}: its member {name!r} {'is a link' if link else 'leaves the folder'}; "
                "nothing was unpacked, do not use this archive"
            )


def _refuse_encrypted(archive: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    locked = [member.filename for member in members if member.flag_bits & 0x1]
    if locked:
        raise DownloadError(
            f"{archive} is encrypted ({locked[0]!r} and {len(locked) - 1} others need a password), "
            "as the published one is not; nothing was unpacked: remove it and fetch it again with "
            "`emolib data get`"
        )


# --- verifying ------------------------------------------------------------------------------


def check(name: str, root: str | Path | None = None, *, progress: bool = False) -> pd.DataFrame:
    """Compare the files of a corpus with what was published.

    RAVDESS recordings kept as FLAC are compared sample by sample (a hash of the decoded 16-bit
    samples), since their files differ from the published WAV files.

    Returns
    -------
    DataFrame
        ``file`` (as published), ``path`` ("" if missing), ``status`` and ``detail``. The status
        is "ok"; "wrong" (another content, unreadable, or an unknown file); "missing"; or
        "unlisted" (readable, but no checksum is published).
    """
    from emolib import corpora

    checks = {"ravdess": _check_recordings, "cremad": _check_recordings, "fer2013": _check_tables}
    rows = checks[name](name, locate(name, root), progress) if name in checks else []
    try:
        manifest = corpora.load(name, root, **_EVERYTHING.get(name, {}))
    except CorpusError:
        if not any(row["path"] for row in rows):
            raise
        manifest = None  # nothing usable is here, and the rows say why
    if manifest is not None:
        listed = {row["path"] for row in rows}
        others = [
            (line["path"], "wrong", f"{line['cause']}; {line['remedy']}")
            for line in manifest.attrs["problems"]
        ]
        unlisted = ("unlisted", "readable; no checksum is published")
        gone = ("missing", _THROWN_AWAY)
        others += [
            (path, *(gone if pointers.read(path) else unlisted))
            for path in manifest["path"].unique()
        ]
        rows += [_status(path, path, *status) for path, *status in others if path not in listed]
    return pd.DataFrame(rows, columns=["file", "path", "status", "detail"])


_THROWN_AWAY = "thrown away; some features of it were kept"
#: Options of the loaders that list all there is.
_EVERYTHING = {"ravdess": {"modality": "all", "channel": None}}


def films(name: str, root: str | Path | None = None) -> pd.DataFrame:
    """Return the manifest of all films with sound of a corpus.

    Raises
    ------
    CorpusError
        If there are none.
    """
    from emolib import corpora

    return corpora.load(name, root, **_EVERYTHING.get(name, {}) | {"modality": "audiovisual"})


def _status(file: str, path: str | Path, status: str, detail: str = "") -> dict[str, str]:
    return {"file": str(file), "path": str(path), "status": status, "detail": detail}


def _check_recordings(name: str, folder: Path, progress: bool) -> list[dict]:
    """Compare each published recording with the files here that bear its name."""
    here: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.*")):
        here.setdefault(path.name, []).append(path)
    rows = []
    registry = recordings(name)
    for row in _bar(registry.itertuples(), progress, total=len(registry), desc=f"check {name}"):
        published = Path(row.file).name
        copies = here.get(published, [])
        samples = getattr(row, "sha256_samples", "")
        lossless = here.get(f"{Path(published).stem}.flac", []) if samples else []
        rows += [_compare(row.file, path, row.sha256, paths.sha256) for path in copies]
        rows += [_compare(row.file, path, samples, sha256_of_samples) for path in lossless]
        if not copies and not lossless:
            rows.append(_status(row.file, "", "missing", "not in the corpus folder"))
    return rows


def _compare(file: str, path: Path, expected: str, digest) -> dict[str, str]:
    try:
        header(path)
        if pointers.read(path) is not None:
            return _status(file, path, "missing", _THROWN_AWAY)
        if digest(path) == expected:
            return _status(file, path, "ok")
    except FileProblem as problem:
        return _status(file, path, "wrong", f"{problem.cause}; {problem.remedy}")
    except (OSError, RuntimeError) as error:
        return _status(file, path, "wrong", f"it cannot be decoded ({error}); fetch it again")
    return _status(file, path, "wrong", "its content is not the published one; fetch it again")


def sha256_of_samples(path: str | Path) -> str:
    """Return the SHA-256 of a recording's 16-bit samples (little-endian, channels interleaved)."""
    import soundfile

    samples, _ = soundfile.read(str(path), dtype="int16")
    return hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()


def _check_tables(name: str, folder: Path, progress: bool) -> list[dict]:
    from pooch import file_hash

    published = archives(name).set_index("file")["checksum"].str.partition(":")
    return [
        _compare(file, folder / file, expected, partial(file_hash, alg=kind))
        for file, kind, _, expected in published.itertuples()
        if (folder / file).is_file()
    ]


# --- what is here ---------------------------------------------------------------------------


def listing() -> pd.DataFrame:
    """Say which corpora are here, by the names and sizes of their files.

    Returns
    -------
    DataFrame
        One row a corpus: ``corpus, clips, actors, emotions, problems`` (files that are not
        usable), ``kinds`` (of files), ``where`` (its folder, "" if it is not here), ``how`` (how
        to get it) and ``note`` (why it is not usable).
    """
    with by_name():
        return pd.DataFrame([_here(name) for name in SOURCES])


def _here(name: str) -> dict:
    from emolib import corpora

    row = {"corpus": name, "clips": 0, "actors": 0, "emotions": 0, "problems": 0}
    row |= {"kinds": [], "where": "", "how": SOURCES[name].how(), "note": ""}
    if name == "synthetic":  # its manifest would make it
        row["kinds"] = list(SOURCES[name].kinds)  # and does, when it is trained on
        made = sorted(paths.SYNTHETIC.rglob("ravdess/**/01-01-*.mp4"))
        if not made:
            return row
        manifest = pd.DataFrame(map(corpora.CORPORA["ravdess"].parse, made))
        manifest.attrs = {"problems": [], "root": str(paths.SYNTHETIC)}
    else:
        try:
            manifest = corpora.load(name, **_EVERYTHING.get(name, {}))
        except Exception as error:  # whatever one folder holds, the others are listed
            return row | {"note": str(error) or type(error).__name__}
    kinds = manifest.attrs.get("kinds", sorted(set(manifest["modality"])))
    return row | {
        "clips": len(manifest),
        "actors": len(set(manifest["actor"]) - {""}),
        "emotions": len(set(manifest["emotion"])),
        "problems": len(manifest.attrs["problems"]),
        "kinds": kinds,
        "where": manifest.attrs["root"] or str(paths.recordings()),
    }
