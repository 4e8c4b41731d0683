"""Where things lie: the data that come with the package, one's own, and atomic writes.

What the package reads (claims, committed results, splits, boards, registries, weights) lies in
``data/`` of the checkout, or in ``emolib/data/`` of an installed wheel; nothing writes there once
it is installed. What is made (features, runs, downloads, new results) goes to `HOME`: ``data/`` of
the checkout, the user's data folder once installed, or wherever ``EMOLIB_HOME`` says.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INSTALLED = (PACKAGE / "data").is_dir()
"""Whether this is an installed wheel: only there do the data lie inside the package."""
PROJECT = PACKAGE.parent
_ROOT = PACKAGE if INSTALLED else PROJECT
DATA = _ROOT / "data"


def _home() -> Path:
    """Return the folder for what is made here."""
    if named := os.environ.get("EMOLIB_HOME"):
        return Path(named).expanduser().resolve()
    if INSTALLED:
        from platformdirs import user_data_path

        return user_data_path("emolib", appauthor=False)
    return DATA


HOME = _home()
# read only
CLAIMS = DATA / "claims"
REGISTRY = DATA / "registry"
BENCHMARKS = _ROOT / "tests" / "benchmarks"
# written, and read together with what came with the package: see `find` and `files`
RESULTS = HOME / "results"
SPLITS = HOME / "splits"
WEIGHTS = HOME / "weights"
# made here
FEATURES = HOME / "features"
SYNTHETIC = HOME / "synthetic"
RUNS = HOME / "runs"


def recordings() -> Path:
    """Return the folder that holds the corpora: ``EMOLIB_DATA``, or ``raw`` below `HOME`."""
    return Path(os.environ.get("EMOLIB_DATA") or HOME / "raw").expanduser().resolve()


def find(path: Path) -> Path:
    """Return a file below `HOME`, or the one of that name that came with the package.

    One's own comes first; where neither exists, the answer says where it would be written.
    """
    packaged = _packaged(path)
    return packaged if packaged.exists() and not path.exists() else path


def files(folder: Path, pattern: str) -> list[Path]:
    """Return the files that match, one's own and those that came with the package, by name.

    Of two with the same name it is one's own.
    """
    both = {
        file.relative_to(place): file
        for place in (_packaged(folder), folder)
        for file in place.glob(pattern)
    }
    return [both[name] for name in sorted(both)]


def _packaged(path: Path) -> Path:
    return DATA / path.relative_to(HOME) if path.is_relative_to(HOME) else path


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
