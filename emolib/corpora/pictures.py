"""Still faces of 48×48 grey pixels: read once, then memory-mapped from a cache."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emolib import paths
from emolib.corpora.manifest import IMAGE_SUFFIXES, FileProblem, find, header, missing, once

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

    def numbered(self, corpus: str) -> pd.DataFrame:
        """Return the table as that of a corpus, with ``row``, each picture's place in `pixels`."""
        kind = {"corpus": corpus, "modality": "image", "channel": "none"}
        return self.table.assign(**kind, row=np.arange(len(self.table)))


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
        if made.table.empty:  # nothing worth keeping
            return made
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


def in_folders(
    name: str, folder: Path, parse: Callable[[Path], dict], below: Iterable[str] = ("",)
) -> Pictures:
    """Read the pictures of a corpus that keeps each as a file, from the cache where it can.

    Parameters
    ----------
    name
        Key of the corpus.
    folder
        Its folder.
    parse
        As for `manifest.collect`.
    below
        The folders in it to look through.

    Raises
    ------
    CorpusError
        If none can be used.
    """
    rows, problems = [], []
    for part in below:

        def parse_below(path: Path, part: str = part) -> dict:
            return parse(Path(part, path))

        some, wrong = find(folder / part, parse_below, IMAGE_SUFFIXES)
        rows += once(some, wrong)
        problems += wrong
    files = [Path(line["path"]) for line in (*rows, *problems)]
    found = cached(name, files, lambda: read(rows, problems))
    if found.table.empty:
        first = f"; {found.problems[0]['path']}: {found.problems[0]['cause']}" if files else ""
        raise missing(name, folder, f"it holds no usable picture{first}")
    return found


def read(rows: Iterable[dict], problems: Iterable[dict] = ()) -> Pictures:
    """Read the picture of every row (``path``); those that cannot be used join the problems."""
    from PIL import Image, UnidentifiedImageError

    pixels, kept, problems = [], [], list(problems)
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


def repeated(
    clips: pd.DataFrame, k: int, seed: int = 0, *, root: str | Path | None = None
) -> np.ndarray:
    """Return the rows of the pictures that clips show, (n_clips, k): each shows its own k times.

    What `paired.frames` is for clips that are dealt pictures; nothing is drawn here.
    """
    return np.repeat(clips["row"].to_numpy(int)[:, None], k, axis=1)


def near_duplicates(pixels: np.ndarray, distance: int = 6) -> np.ndarray:
    """Number the groups of pictures that look the same.

    Two pictures are near-duplicates when their perceptual hashes (64 bits of the low frequencies
    of the cosine transform) differ in at most `distance` bits; a group is everything reachable
    over such pairs. On FER2013, pairs at up to 6 bits carry the same label in 9 of 10 cases and
    the largest group has 24 pictures; from 8 bits on, strangers are merged.

    Parameters
    ----------
    pixels
        uint8, shape (N, H, W) grey or (N, H, W, 3).
    distance
        Largest number of differing bits, 0 to 64.

    Returns
    -------
    ndarray of int, shape (N,)
        The position of the first picture of each picture's group. Cached by content.
    """
    stamp = hashlib.sha256(f"{_FORMAT}|{distance}|{pixels.shape}".encode())
    stamp.update(np.ascontiguousarray(pixels).data)
    path = paths.FEATURES / f"near-duplicates-{stamp.hexdigest()[:16]}.npy"
    if not path.is_file():
        groups = _groups(perceptual_hashes(pixels), distance)
        with paths.atomic(path) as part:
            np.save(part, groups)
    return np.load(path)


def perceptual_hashes(pixels: np.ndarray) -> np.ndarray:
    """Return the 64-bit perceptual hash of every picture: uint64, shape (N,)."""
    from imagehash import phash
    from PIL import Image

    bits = np.array([phash(Image.fromarray(picture)).hash.ravel() for picture in pixels], bool)
    return np.packbits(bits.reshape(-1, 64), axis=1).view(np.uint64).ravel()


def near_duplicate_report(
    pixels: np.ndarray,
    emotion: np.ndarray,
    usage: np.ndarray,
    distances: Iterable[int] = (0, 2, 4, 6, 8),
) -> pd.DataFrame:
    """Count pictures that look the same, within and across emotions and official parts.

    Parameters
    ----------
    pixels
        uint8, shape (N, H, W).
    emotion, usage
        Label and official part of every picture, shape (N,).
    distances
        Largest numbers of differing bits to count at.

    Returns
    -------
    DataFrame
        One row for byte-identical pictures (``"same bytes"``) and one for each distance
        (``"≤ 6 bits"``), with the columns ``pairs``; ``pairs_across_emotions`` (of these, with
        different labels); ``pairs_across_parts``; ``involved`` (pictures with a twin);
        ``groups``, ``largest_group``; ``test_pictures_seen`` (pictures outside Training with a
        twin in Training).
    """
    emotion, usage = np.asarray(emotion), np.asarray(usage)
    same = pd.Series([hashlib.sha256(picture).digest() for picture in np.ascontiguousarray(pixels)])
    hashes = perceptual_hashes(pixels)
    left, right = _pairs(pd.factorize(same)[0].astype(np.uint64), 0)
    rows = {"same bytes": _counted(left, right, emotion, usage)}
    for distance in distances:
        rows[f"≤ {distance} bits"] = _counted(*_pairs(hashes, distance), emotion, usage)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("looks the same by")


def _counted(
    left: np.ndarray, right: np.ndarray, emotion: np.ndarray, usage: np.ndarray
) -> dict[str, int]:
    """Count pairs of pictures, each named once."""
    sizes = np.bincount(_components(left, right, len(emotion)))
    across = usage[left] != usage[right]
    seen = np.where(usage[left] == "Training", right, left)
    seen = seen[across & ((usage[left] == "Training") | (usage[right] == "Training"))]
    return {
        "pairs": len(left),
        "pairs_across_emotions": int((emotion[left] != emotion[right]).sum()),
        "pairs_across_parts": int(across.sum()),
        "involved": len(np.union1d(left, right)),
        "groups": int((sizes > 1).sum()),
        "largest_group": int(sizes.max(initial=0)),
        "test_pictures_seen": len(np.unique(seen)),
    }


def _groups(hashes: np.ndarray, distance: int) -> np.ndarray:
    if not len(hashes):
        return np.empty(0, np.int64)
    component = _components(*_pairs(hashes, distance), len(hashes))
    _, first, member = np.unique(component, return_index=True, return_inverse=True)
    return first[member]


def _pairs(hashes: np.ndarray, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of both members of every pair within `distance` bits, left < right."""
    pairs: list[np.ndarray] = [np.empty((0, 2), np.int64)]
    for start in range(0, len(hashes), 512):  # blocks keep the matrix of distances small
        block = hashes[start : start + 512, None]
        both = np.argwhere(np.bitwise_count(block ^ hashes[None, start:]) <= distance)
        pairs.append(both[both[:, 0] < both[:, 1]] + start)
    left, right = np.concatenate(pairs).T
    return left, right


def _components(left: np.ndarray, right: np.ndarray, n: int) -> np.ndarray:
    """Number the groups of everything reachable over pairs, shape (n,)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(left), bool), (left, right)), (n, n))
    return connected_components(graph, directed=False)[1]
