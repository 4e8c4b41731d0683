"""What lies in the place of a recording that was thrown away once its features were stored.

A pointer is a small text file under the recording's own name, as those of Git LFS are. It
remembers what the header said, and size and time stamp of the file, by which stored features are
found. So a corpus without its films lists the same clips, and trains the same networks.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from emolib import paths

_FIRST_LINE = b"emolib pointer: only features of this recording were kept\n"
_LONGEST = 1024  # bytes; no recording is as short


@dataclass(frozen=True)
class Pointer:
    """What a pointer remembers of its recording.

    Attributes
    ----------
    bytes, modified_ns
        Size and time stamp of the file.
    duration_s, sample_rate
        What its header said, in seconds and Hz; None where it said nothing.
    """

    bytes: int
    modified_ns: int
    duration_s: float | None = None
    sample_rate: int | None = None


def leave(path: str | Path, pointer: Pointer) -> None:
    """Write a pointer in the place of a recording; it appears complete or not at all."""
    with paths.atomic(path) as temporary:
        temporary.write_bytes(_FIRST_LINE + json.dumps(asdict(pointer)).encode())


def read(path: str | Path) -> Pointer | None:
    """Return what a pointer remembers; None if the file is anything else.

    Raises
    ------
    OSError
        If there is no such file.
    """
    if Path(path).stat().st_size > _LONGEST:
        return None
    first, newline, rest = Path(path).read_bytes().partition(b"\n")
    if first + newline != _FIRST_LINE:
        return None
    try:
        return Pointer(**json.loads(rest))
    except (ValueError, TypeError):  # edited, or cut
        return None


def state(path: str | Path) -> str:
    """Return size and time stamp of a recording, also of one that was thrown away.

    Raises
    ------
    OSError
        If there is no such file.
    """
    if (kept := read(path)) is not None:
        return f"{kept.bytes} {kept.modified_ns}"
    stat = Path(path).stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"
