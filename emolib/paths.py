"""Where things lie: the project's own data folder, the recordings, and atomic writes."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT / "data"
CLAIMS = DATA / "claims"
RESULTS = DATA / "results"
SPLITS = DATA / "splits"
REGISTRY = DATA / "registry"
WEIGHTS = DATA / "weights"
FEATURES = DATA / "features"
SYNTHETIC = DATA / "synthetic"
RUNS = DATA / "runs"


def recordings() -> Path:
    """Return the folder that holds the corpora: ``EMOLIB_DATA``, or ``data/raw``."""
    return Path(os.environ.get("EMOLIB_DATA") or DATA / "raw").expanduser().resolve()


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed to it only if the block succeeds.

    A reader therefore sees the old file or the new one, never a half-written one;
    after an error (a full disk, Ctrl-C) the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; the result should be as readable as any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
