"""Still faces of 48×48 grey pixels: read once, then memory-mapped from a cache."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emolib import paths
from emolib.corpora.manifest import FileProblem, header

SIDE = 48
_FORMAT = "1"  # raise it when what is stored changes


@dataclass(frozen=True)
class Pictures:
    """Pictures with what is known about each.

    Attributes
    ----------
    pixels
        uint8, shape (N, 48, 48).
    table
        One row a picture, columns of the manifest.
    problems
        Files that could not be read: ``path, cause, remedy``.
    """

    pixels: np.ndarray
    table: pd.DataFrame
    problems: list[dict]


def cached(name: str, files: Iterable[Path], make: Callable[[], Pictures]) -> Pictures:
    """Return what `make` returns, from the cache if the files have not changed since.

    Parameters
    ----------
    name
        Key of the corpus; begins the name of the cache folder below `emolib.paths.FEATURES`.
    files
        The files that `make` reads; their paths, sizes and times name the cache.
    """
    stamp = hashlib.sha256(_FORMAT.encode())
    for path in files:
        stat = path.stat()
        stamp.update(f"{path}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    folder = paths.FEATURES / f"{name}-{stamp.hexdigest()[:16]}"
    table = folder / "table.csv"
    if not table.is_file():
        made = make()
        with paths.atomic(folder / "pixels.npy") as part:
            np.save(part, made.pixels)
        with paths.atomic(folder / "problems.json") as part:
            part.write_text(json.dumps(made.problems))
        with paths.atomic(table) as part:  # last: its presence says that the rest is whole
            made.table.to_csv(part, index=False)
    return Pictures(
        np.load(folder / "pixels.npy", mmap_mode="r"),
        pd.read_csv(table, dtype=str, keep_default_na=False),
        json.loads((folder / "problems.json").read_text()),
    )


def read(rows: Iterable[dict]) -> Pictures:
    """Read the picture of every row (``path``); those that cannot be used become problems."""
    from PIL import Image, UnidentifiedImageError

    pixels, kept, problems = [], [], []
    for row in rows:
        path = Path(row["path"])
        try:
            header(path)
            try:
                with Image.open(path) as image:
                    grey = np.asarray(image.convert("L"))
            except (OSError, UnidentifiedImageError) as error:
                raise FileProblem(
                    f"it cannot be read as a picture ({error})", "fetch it again"
                ) from error
            if grey.shape != (SIDE, SIDE):
                raise FileProblem(
                    f"it has {grey.shape[1]}×{grey.shape[0]} pixels instead of {SIDE}×{SIDE}",
                    "crop the face and resize it, or fetch the published version",
                )
        except FileProblem as problem:
            problems.append(problem.line(path))
            continue
        pixels.append(grey)
        kept.append(row)
    stacked = np.stack(pixels) if pixels else np.empty((0, SIDE, SIDE), np.uint8)
    return Pictures(stacked, pd.DataFrame(kept), problems)
