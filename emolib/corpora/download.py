"""Fetching corpora, verifying them, and saying what is here.

What may be fetched lies in tables: ``data/registry/archives.csv`` (files with address and
checksum), ``ravdess.csv.xz`` and ``cremad.csv.xz`` (a SHA-256 for every recording). A download
that breaks off goes on where it stopped, also in the next session.
"""

import hashlib
import shutil
import stat
import tempfile
import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd

from emolib import paths
from emolib.corpora.manifest import CorpusError, FileProblem, by_name, header, locate
from emolib.corpora.sources import SOURCES
from emolib.errors import EmolibError

#: Corpus → its parts, the one fetched by default first.
PARTS: dict[str, tuple[str, ...]] = {
    "ravdess": ("speech", "song", "speech-video", "song-video"),
    "cremad": ("audio", "video"),
}
_CREMAD_FOLDERS = {"audio": "AudioWAV", "video": "VideoFlash"}
#: CREMA-D keeps its recordings in Git LFS; this address serves them, not the pointers.
_CREMAD_URL = "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/master"
_CHUNK = 1 << 16
_TIMEOUT = 30  # seconds without a byte
_ATTEMPTS = 5  # in a row without a new byte


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


def archives(name: str | None = None, part: str | None = None) -> pd.DataFrame:
    """Return the registry: corpus, part, file, checksum, bytes, url (one row a file)."""
    missing = {"keep_default_na": False, "na_values": {"bytes": [""]}}
    table = pd.read_csv(paths.REGISTRY / "archives.csv", dtype={"bytes": "Int64"}, **missing)
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
    folder = Path(root).resolve() if root else paths.recordings() / source.folders[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in chosen:
            fetch_part = {"ravdess": _get_ravdess, "cremad": _get_cremad}[name]
            fetch_part(folder, part, tuple(actors or ()), jobs, keep, progress)
    except OSError as error:
        raise DownloadError(
            f"{folder} cannot be written ({error}): free space there, or point EMOLIB_DATA at a "
            "folder of your own"
        ) from error
    return folder


def _get_ravdess(folder, part, actors, jobs, keep, progress) -> None:
    for row in archives("ravdess", part).itertuples():
        one_actor = Path(row.file).stem.rpartition("_")[2]
        target = folder / Path(row.file).stem
        if (actors and part.endswith("video") and one_actor not in actors) or target.is_dir():
            continue
        size = None if pd.isna(row.bytes) else int(row.bytes)
        archive = fetch(
            Remote(f".downloads/{row.file}", row.url, row.checksum, size), folder, progress=progress
        )
        unpack(archive, target)
        if not keep:
            archive.unlink()
    if part == "speech":
        found = check("ravdess", folder, progress=progress)
        wrong = found[found["status"] == "wrong"]
        if len(wrong):
            raise DownloadError(
                f"{len(wrong)} recordings are not the published ones, the first is "
                f"{wrong['path'].iloc[0]}: remove them and fetch RAVDESS again"
            )


def _get_cremad(folder, part, actors, jobs, keep, progress) -> None:
    from joblib import Parallel, delayed

    wanted = [
        Remote(row.file, row.url, row.checksum) for row in archives("cremad", "tables").itertuples()
    ]
    for row in recordings("cremad").itertuples():
        actor = Path(row.file).name.split("_")[0]
        if row.file.startswith(_CREMAD_FOLDERS[part]) and (not actors or actor in actors):
            url = f"{_CREMAD_URL}/{row.file}"
            wanted.append(Remote(row.file, url, f"sha256:{row.sha256}", int(row.bytes)))
    fetched = Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")(
        delayed(fetch)(remote, folder, progress=False) for remote in wanted
    )
    for _ in _bar(fetched, progress, total=len(wanted), desc=f"CREMA-D {part}", unit="file"):
        pass


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
    free, needed = shutil.disk_usage(target.parent).free, remote.bytes or 0
    if free < needed and not target.is_file():
        raise DownloadError(
            f"{target} needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free: free space, or "
            "point EMOLIB_DATA at another disk"
        )
    part = target.with_name(f".{target.name}.part")
    _stream(remote.url, part, progress)
    if not _is_published(part, remote):
        part.unlink()
        raise DownloadError(
            f"{remote.url} is not the published file (its hash is not {remote.checksum}): fetch it "
            "again; if that does not help, the publisher has changed it"
        )
    part.replace(target)
    return target


def _is_published(path: Path, remote: Remote) -> bool:
    from pooch import file_hash

    kind, _, published = remote.checksum.partition(":")
    return not published or file_hash(str(path), kind) == published


def _stream(url: str, part: Path, progress: bool) -> None:
    """Write `url` to `part`, from where `part` ends, again and again until it is whole."""
    import requests

    passing = (
        *(requests.HTTPError, requests.ConnectionError, requests.Timeout),
        requests.exceptions.ChunkedEncodingError,  # broken off inside the body
    )
    idle, most = 0, _size(part)
    while True:
        try:
            return _stream_once(url, part, progress)
        except passing as error:
            reply = error.response
            if reply is not None and reply.status_code < 500 and reply.status_code != 429:
                raise DownloadError(f"{url} answers {error}: the address may have moved") from error
            reason = error
        # Only more than ever came counts as progress, so this ends with every server.
        idle = 0 if _size(part) > most else idle + 1
        most = max(most, _size(part))
        if idle == _ATTEMPTS:
            raise DownloadError(
                f"{url} broke off {_ATTEMPTS} times ({reason}): check the network and run the "
                f"same command again; it goes on after the {_size(part)} bytes that are here"
            ) from reason
        time.sleep(0.2 * 2**idle)


def _stream_once(url: str, part: Path, progress: bool) -> None:
    import requests

    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as reply:
        span, _, whole = reply.headers.get("Content-Range", "").partition("/")
        if reply.status_code == 416:  # nothing behind what is here
            if whole.isdigit() and int(whole) == have:
                return
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
    if total is not None and _size(part) != total:
        raise requests.ConnectionError(f"{_size(part)} of {total} bytes came")


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
        If the archive is damaged, too large for the disk, or a member would leave the folder
        (an absolute path, "..", a link).
    """
    archive, folder = Path(archive), Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".unpacking-"))
    try:
        with zipfile.ZipFile(archive) as opened:
            _refuse_escapes(archive, opened.infolist())
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
    except zipfile.BadZipFile as error:
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
        others += [(path, *unlisted) for path in manifest["path"].unique()]
        rows += [_status(path, path, *status) for path, *status in others if path not in listed]
    return pd.DataFrame(rows, columns=["file", "path", "status", "detail"])


#: Options of the loaders that list all there is.
_EVERYTHING = {"ravdess": {"modality": "all", "channel": None}}


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
