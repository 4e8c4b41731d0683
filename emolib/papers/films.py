"""Fetch films, keep what the papers take of them, and throw the films away.

The films of a corpus take many gigabytes, the features of a paper a small part of that. So one
archive (RAVDESS) or actor (CREMA-D) at a time is fetched into ``.films/`` of the corpus folder,
every recipe that the papers' experiments declare is extracted, and a pointer (`emolib.pointers`)
is left in the place of each film. Nothing is thrown away before its features are stored, so that
a run that was stopped goes on in the archive it was in. Films that were fetched whole stay.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from emolib import corpora, pointers
from emolib.corpora import SOURCES, CorpusError, download
from emolib.corpora.download import Batch, size
from emolib.corpora.manifest import subset
from emolib.features import store
from emolib.features.faces import FaceFrames
from emolib.features.store import FeatureProblem, FeatureRecipe
from emolib.papers import engine, streams

#: Length of a clip that is taken to say what the features of a sound take, in seconds.
_SECONDS = 3.7
_WORKPLACE = ".films"


@dataclass(frozen=True)
class _Job:
    """What one call works on."""

    name: str
    part: str
    folder: Path
    recipes: tuple[FeatureRecipe, ...]
    cache: str | Path | None
    n_jobs: int
    progress: bool


def keep_features(
    name: str,
    keys: Iterable[str],
    root: str | Path | None = None,
    *,
    parts: Iterable[str] | None = None,
    actors: Iterable[str] | None = None,
    n_jobs: int = 2,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Fetch the films of a corpus, one archive at a time, and keep features alone.

    Parameters
    ----------
    name
        A corpus whose films can be fetched: ravdess or cremad.
    keys
        Papers whose features are kept, in quick and in full mode, for all their experiments on
        this corpus.
    root
        Folder of the corpus; by default below `emolib.paths.recordings`.
    parts
        Parts with films; by default the speech.
    actors
        Only these actors.
    n_jobs
        Processes that extract.
    cache
        Folder of the stored features; default ``data/features``.
    progress
        Say before the start what it takes, and show progress bars.

    Returns
    -------
    Path
        The folder of the corpus, with pointers in the place of the films.

    Raises
    ------
    DownloadError
        If the corpus has no films that a program can fetch, the network or the disk fails, or a
        file is not what was published.
    """
    film_part = SOURCES[name].film_part if name in SOURCES else ""
    known = [part for part in download.PARTS.get(name, ()) if "video" in part]
    chosen = tuple(parts) if parts else (film_part,)
    for part in chosen:
        if part not in known:
            there = f": those with films are {', '.join(known)}" if known else ""
            raise download.DownloadError(
                f"no films of {name} {part} can be fetched{there}; leave out --features-only"
            )
    folder = download.home(name, root)
    with download.disk_explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        job = partial(_Job, name, folder=folder, recipes=recipes(name, keys), cache=cache)
        for part in chosen:
            _keep_part(job(part=part, n_jobs=n_jobs, progress=progress), tuple(actors or ()))
    return folder


def recipes(name: str, keys: Iterable[str]) -> tuple[FeatureRecipe, ...]:
    """Return all recipes by which papers' experiments take voices and faces from a corpus."""
    found = {}
    for key in keys:
        paper = engine.paper(key)
        asked: list[tuple[str, Any]] = [("both", {})]  # without options, and as the experiments ask
        asked += [(e.modality, e.data) for e in paper.FULL.values() if name in e.corpus.split("+")]
        for (modality, options), mode in product(asked, streams.MODES):
            declared = paper.declare(streams.Request(name, modality, mode), **options).streams
            for medium in ("audio", "video"):
                for recipe in declared[medium].recipes.values() if medium in declared else ():
                    found[recipe.digest()] = recipe
    return tuple(found.values())


def bytes_each(recipe: FeatureRecipe) -> int:
    """Return the bytes that a recipe keeps of a clip as long as those of RAVDESS."""
    if isinstance(recipe, FaceFrames):
        return recipe.frames * recipe.size**2 * (1 if recipe.grey else 3)
    import numpy as np
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        noise = 0.1 * np.random.default_rng(0).standard_normal(round(48_000 * _SECONDS))
        soundfile.write(f"{folder}/noise.wav", noise, 48_000)
        return recipe.compute({"clip_id": "noise", "path": f"{folder}/noise.wav"}).nbytes


# --- one part of a corpus --------------------------------------------------------------------


def _keep_part(job: _Job, actors: Sequence[str]) -> None:
    wanted = download.batches(job.name, job.part, actors)
    todo = list(_unfinished(job, wanted))
    clips = sum(batch.clips for batch in todo)
    kept = clips * sum(map(bytes_each, job.recipes)) if todo else 0
    what = download.plan(job.name, job.part, todo, job.folder, kept=kept)
    if job.progress and todo:
        films = sum(batch.unpacked or batch.bytes for batch in todo)
        how = "one archive at a time, fetched, unpacked, thrown away"
        print(f"{size(films)} of films ({how}); about {size(kept)} of features", file=sys.stderr)
    download.announce(what, job.name, job.part, job.folder, job.progress)
    for number, batch in enumerate(todo, 1):
        if job.progress:
            print(f"{batch.name} ({number} of {len(todo)})", file=sys.stderr)
        _keep_batch(job, batch)
    _join(job, wanted)


def _unfinished(job: _Job, wanted: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches of which films are to be fetched, with the files that are missing."""
    try:
        here = download.films(job.name, job.folder)
    except CorpusError:
        here = pd.DataFrame({"clip_id": [], "path": []})
    held = pd.Series(True, index=here.index)
    for recipe in job.recipes:
        held &= store.held(here, recipe, job.cache)
    for batch in wanted:
        inside = _inside(here, batch, job.folder)
        done = inside.any() and held[inside].all() and not _workplace(job, batch).exists()
        complete = batch.zipped or inside.sum() == len(batch.files)
        if download.absent(batch, job.folder) and not (done and complete):
            yield batch


def _inside(manifest: pd.DataFrame, batch: Batch, folder: Path) -> pd.Series:
    """Say of each clip whether it belongs to a batch."""
    found = [fnmatch(str(Path(p).relative_to(folder)), batch.inside) for p in manifest["path"]]
    return pd.Series(found, index=manifest.index, dtype=bool)


def _workplace(job: _Job, batch: Batch) -> Path:
    return job.folder / _WORKPLACE / batch.name


# --- one archive -----------------------------------------------------------------------------


def _keep_batch(job: _Job, batch: Batch) -> None:
    """Fetch films, extract what is wanted, leave pointers, and only then remove the films."""
    place = _workplace(job, batch)
    if not (batch.zipped and (place / batch.name).is_dir()):
        download.fetch_batch(batch, place, progress=job.progress)
    films = download.films(job.name, place)
    final = [job.folder / Path(path).relative_to(place) for path in films["path"]]
    for path, target in zip(films["path"], final, strict=True):
        _as_before(Path(path), target)
    for recipe in job.recipes:
        try:
            store.extract(films, recipe, n_jobs=job.n_jobs, cache=job.cache, progress=job.progress)
        except FeatureProblem as problem:  # of this archive; the next may be better
            print(f"{batch.name}: {problem}", file=sys.stderr)
    for row, target in zip(films.itertuples(), final, strict=True):
        if not target.is_file() or pointers.read(target):
            stat = Path(str(row.path)).stat()
            header = (_plain(row.duration_s), _plain(row.sample_rate))
            pointers.leave(target, pointers.Pointer(stat.st_size, stat.st_mtime_ns, *header))
    shutil.rmtree(place)
    if not any(place.parent.iterdir()):
        place.parent.rmdir()


def _as_before(film: Path, target: Path) -> None:
    """Give a film that is fetched again the time stamp under which its features are stored."""
    kept = pointers.read(target) if target.is_file() else None
    if kept and kept.bytes == film.stat().st_size:
        os.utime(film, ns=(kept.modified_ns, kept.modified_ns))


def _plain(value):
    return None if pd.isna(value) else value.item() if hasattr(value, "item") else value


def _join(job: _Job, wanted: Sequence[Batch]) -> None:
    """Store the features of all films together, as a training asks for them, and not twice."""
    try:
        listed = corpora.carrying(job.name, ("audio", "video"), job.folder)
    except CorpusError:  # songs alone
        return
    every = download.films(job.name, job.folder)
    for recipe in job.recipes:
        store.extract(listed, recipe, n_jobs=job.n_jobs, cache=job.cache, progress=job.progress)
        for batch in wanted:
            of = subset(every, _inside(every, batch, job.folder))
            if 0 < len(of) < len(listed) and set(of["clip_id"]) <= set(listed["clip_id"]):
                store.drop(of, recipe, job.cache)
