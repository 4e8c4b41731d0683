"""A paper declares its streams; one loader makes them of any corpus that has the medium.

A stream is one named input of a network: which recipes make it of a clip, and the form in which
the network takes it. `load` walks from the clips of a corpus to a paper's samples.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from emolib import corpora
from emolib.corpora.manifest import subset
from emolib.corpora.paired import folder_of
from emolib.corpora.pictures import SIDE
from emolib.features.store import PROBLEM_COLUMNS, FeatureRecipe
from emolib.media import MODALITIES
from emolib.papers.dataset import Dataset, as_stored
from emolib.papers.experiment import choose
from emolib.papers.motion import LIGHT, SHIFT, SIZE, TURN, filmed
from emolib.training import Augment, Prepare, Samples

MODES = ("quick", "full")

#: So many problems are printed; the rest are counted.
_SHOWN_PROBLEMS = 10


class Part(NamedTuple):
    """The values of one stream.

    Attributes
    ----------
    ids, values
        Clips, and their values (clips, versions, …).
    about
        What goes into the result about them.
    problems
        The clips that gave none: ``clip_id, path, cause, remedy``.
    """

    ids: list[str]
    values: np.ndarray
    about: dict[str, Any]
    problems: pd.DataFrame | None = None


# --- what a paper declares -----------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """What `load` is asked for, as a declaration sees it; fields are the parameters of `load`.

    `asked` are the options that belong to the corpus, such as its view or its labels.
    """

    corpus: str
    modality: str
    mode: str = "full"
    root: str | Path | None = None
    n_jobs: int = 2
    seed: int = 0
    progress: bool = True
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def media(self) -> tuple[str, ...]:
        """Names of the inputs, in the network's order."""
        return MODALITIES.get(self.modality, ())


def original(values: np.ndarray) -> np.ndarray:
    """Return the first version of each clip, (clips, …)."""
    return values[:, 0]


def of_the_original(about: dict[str, Any]) -> dict[str, Any]:
    """Say of a stream what its original is made by."""
    return {name: value for name, value in about.items() if name != "versions"}


@dataclass(frozen=True)
class Stream:
    """One named input of a network.

    Attributes
    ----------
    recipes
        Name → recipe of each version of a clip, the original first. Words need none.
    form
        Turns the values of all clips, (clips, versions, …), into the input.
    standardise
        Axes over which the input is brought to mean 0 and sd 1; none: left as it is.
    describe
        Turns what the result would say of the input into what it says.
    pictures
        Frames a clip and their side in pixels, where a corpus has pictures and no films.
    draws
        Pictures that training may show of a clip, the one that is tested first, where pictures
        are dealt to clips: they are versions of it, as altered sounds are of a voice.
    """

    recipes: Mapping[str, FeatureRecipe] = field(default_factory=dict)
    form: Callable[[np.ndarray], np.ndarray] = original
    standardise: tuple[int, ...] = ()
    describe: Callable[[dict[str, Any]], dict[str, Any]] = of_the_original
    pictures: tuple[int, int] = (1, SIDE)
    draws: int = 1


def every_version(values: np.ndarray) -> np.ndarray:
    """Return all versions of each clip, for `augment.one_version` to draw from."""
    return values


def altered(
    recipe: Callable[..., FeatureRecipe], augmentations: Iterable[str]
) -> dict[str, FeatureRecipe]:
    """Return the recipes of a clip as it is and of its altered versions, for `Stream.recipes`."""
    return {name or "original": recipe(augment=name) for name in (None, *augmentations)}


def as_they_are(clips: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Leave no clip out."""
    return clips, 0


def fewer(
    clips: pd.DataFrame,
    one_in: int,
    *,
    kind: tuple[str, ...] = ("intensity",),
    order: tuple[str, ...] = ("statement", "repetition"),
    at_once: int = 1,
) -> pd.DataFrame:
    """Return about one clip in `one_in`, for quick runs: some of every actor and emotion.

    Parameters
    ----------
    one_in
        See `emolib.corpora.sources.Source`; 1 keeps all.
    kind
        Columns besides actor and emotion of which every value stays.
    order
        Columns by which the clips of one kind are counted; the first of them stays, …
    at_once
        … or so many neighbours.
    """
    counted = clips.sort_values(list(order), kind="stable")
    number = counted.groupby(["usage", "actor", "emotion", *kind], sort=False).cumcount()
    return subset(clips, number.sort_index() % (at_once * one_in) < at_once)


@dataclass(frozen=True)
class Declaration:
    """What sets one paper's data apart from another's.

    Attributes
    ----------
    streams
        Name of the input → how it is made.
    prepare, augment
        As in `training.fit`.
    segments
        Samples a clip; `Stream.form` then gives the segments of all clips one after the other.
    options
        What the result says about the options, beside the streams.
    quick
        Called with the clips and `Source.one_in`; returns those of a quick run.
    select
        Called with the clips; returns those to use, and how many others are left out as unfit.
    finish
        Called with the data set; returns it as the paper wants it.
    """

    streams: Mapping[str, Stream]
    prepare: Prepare = as_stored
    augment: Augment | None = None
    segments: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    quick: Callable[[pd.DataFrame, int], pd.DataFrame] = fewer
    select: Callable[[pd.DataFrame], tuple[pd.DataFrame, int]] = as_they_are
    finish: Callable[[Dataset], Dataset] = lambda dataset: dataset


#: A paper's `declare`: called with a request and the paper's own options.
Declare = Callable[..., Declaration]


def loader(declare: Declare) -> Callable[..., Dataset]:
    """Return a paper's ``load``: the one loader, with the paper's own options in its signature."""
    made = partial(load, declare)
    shared = inspect.signature(load).parameters.values()
    own = inspect.signature(declare).parameters.values()
    made.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [one for one in shared if one.name not in ("declare", "options")]
        + [one for one in own if one.kind is one.KEYWORD_ONLY]
    )
    return made


# --- the one loader ------------------------------------------------------------------------


def load(
    declare: Declare,
    corpus: str,
    modality: str,
    mode: str = "full",
    *,
    root: str | Path | None = None,
    n_jobs: int = 2,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> Dataset:
    """Return a paper's samples of any corpus that has what its streams need.

    Parameters
    ----------
    declare
        The paper's.
    corpus
        A key of `emolib.corpora.CORPORA`. Faces are those of its films, or its pictures, shown
        as often as the network wants frames; sound is that of the films or of sound files.
    modality
        A key of `MODALITIES`.
    mode
        "quick" takes a part of the clips, see `fewer`.
    root
        Folder of the corpus.
    n_jobs
        Processes that extract features which are not stored yet.
    seed
        Seeds what is drawn once, such as the pictures dealt to voices (paired).
    options
        The paper's own, see its `declare`, and the corpus' own, see `corpora.options`.

    Raises
    ------
    ExperimentError
        If the modality, the mode or an option is unknown.
    CorpusError
        If the corpus has not got a medium, or is not here.
    """
    own = [name for name in inspect.signature(declare).parameters if name != "request"]
    for name in options:
        choose("option of the data", name, (*own, *corpora.options(corpus)))
    choose("mode", mode, MODES)
    asked = {name: value for name, value in options.items() if name not in own}
    request = Request(corpus, modality, mode, root, n_jobs, seed, progress, asked)
    paper = declare(request, **{name: options[name] for name in options if name in own})
    streams = paper.streams
    offered = [name for name, media in MODALITIES.items() if set(media) <= set(streams)]
    choose("modality", modality, offered)

    listed = corpora.carrying(corpus, request.media, root, **asked)
    if mode == "quick":
        listed = paper.quick(listed, corpora.SOURCES[corpus].one_in)
    chosen, unfit = paper.select(listed)
    parts = {name: _values(name, streams[name], listed, chosen, request) for name in request.media}
    clips, left_out = complete(chosen, [part.ids for part in parts.values()])
    problems = _problems(listed, parts.values())
    if progress:
        _report(problems)
    inputs = _inputs(streams, parts, clips)
    names, labels = classes(corpus, clips)
    return paper.finish(
        Dataset(
            samples=Samples(inputs, labels.repeat_interleave(paper.segments)),
            manifest=clips,
            n_segments=paper.segments,
            classes=names,
            prepare=paper.prepare,
            augment=paper.augment,
            features={
                "clips_left_out": unfit + left_out,
                "problems": len(problems),
                **({"asked": asked} if asked else {}),
                **paper.options,
                **{name: streams[name].describe(part.about) for name, part in parts.items()},
            },
            problems=problems,
            standardise={n: streams[n].standardise for n in inputs if streams[n].standardise},
            images=_groups(clips, streams["video"], request) if "video" in inputs else None,
        )
    )


def of_clip(
    declare: Declare,
    clip: Mapping[str, Any],
    modality: str,
    *,
    seed: int = 0,
    known: Mapping[str, np.ndarray] | None = None,
    **options: Any,
) -> Dataset:
    """Return the samples of one clip, made as `load` makes those of a corpus; nothing is stored.

    Parameters
    ----------
    declare
        The paper's.
    clip
        What a manifest says of it: ``clip_id`` and ``path``, and ``text`` where words are wanted.
    modality
        A key of `MODALITIES`.
    seed
        As for `load`.
    known
        Medium → what its recipes would give, where that is known without a file.
    options
        The paper's own, see its `declare`.

    Raises
    ------
    FeatureProblem
        If the file has not got what is wanted, or cannot be read.
    """
    # Quick mode makes no altered versions, but for those that a paper cannot do without.
    request = Request("table", modality, "quick", n_jobs=1, seed=seed, progress=False)
    paper = declare(request, **options)
    parts: dict[str, Part] = {}
    for name in request.media:
        recipes = paper.streams[name].recipes.values()
        if name == "text":
            values = [clip["text"]]
        elif known and name in known:
            values = [known[name]] * len(recipes)
        else:
            values = [recipe.compute(clip) for recipe in recipes]
        parts[name] = Part([clip["clip_id"]], np.stack(values)[None], {})
    clips = pd.DataFrame([clip])
    labels = torch.zeros(paper.segments, dtype=torch.long)
    return paper.finish(
        Dataset(
            samples=Samples(_inputs(paper.streams, parts, clips), labels),
            manifest=clips,
            n_segments=paper.segments,
            classes=("",),
            prepare=paper.prepare,
        )
    )


def _inputs(
    streams: Mapping[str, Stream], parts: Mapping[str, Part], clips: pd.DataFrame
) -> dict[str, Tensor]:
    """Return the inputs of the network, in the order of the clips."""
    return {
        name: torch.from_numpy(
            np.ascontiguousarray(streams[name].form(aligned(part.ids, part.values, clips)))
        )
        for name, part in parts.items()
    }


def _values(
    medium: str, stream: Stream, listed: pd.DataFrame, chosen: pd.DataFrame, request: Request
) -> Part:
    """Return the values of one stream, of the clips that have them.

    What is stored is made of all clips that are listed, so that runs with other options find it.
    """
    source = corpora.SOURCES[request.corpus]
    if medium == "text":
        return Part(chosen["clip_id"].tolist(), chosen["text"].to_numpy()[:, None], {})
    if medium == "video" and source.pictures_of:
        return _shown(chosen, stream, request)
    if medium == "audio":
        if source.voices_of and request.mode == "full":  # one store for both corpora
            listed = corpora.load(source.voices_of, folder_of(source.voices_of, request.root))
        listed = corpora.heard(listed, request.corpus, request.root, **request.asked)
    return versions(listed, stream.recipes, request.n_jobs, request.progress)


def _problems(listed: pd.DataFrame, parts: Iterable[Part]) -> pd.DataFrame:
    """Return what could not be used, one row a file and cause: ``path, cause, remedy``."""
    tables = [pd.DataFrame(listed.attrs.get("problems", []), columns=PROBLEM_COLUMNS[1:])]
    tables += [part.problems for part in parts if part.problems is not None]
    return pd.concat(tables)[[*PROBLEM_COLUMNS[1:]]].drop_duplicates(ignore_index=True)


def _report(problems: pd.DataFrame) -> None:
    """Name on the console the files that could not be used."""
    if problems.empty:
        return
    lines = [f"{len(problems)} files could not be used:"]
    for path, cause, remedy in problems.head(_SHOWN_PROBLEMS).itertuples(index=False):
        lines.append(f"  {path}: {cause}; {remedy}")
    if (more := len(problems) - _SHOWN_PROBLEMS) > 0:
        lines.append(f"  and {more} more, which `emolib features --json` names")
    print("\n".join(lines), file=sys.stderr)


# --- which clips ---------------------------------------------------------------------------


def complete(manifest: pd.DataFrame, ids: Iterable[Iterable[str]]) -> tuple[pd.DataFrame, int]:
    """Return the clips that all of the lists name, and how many others there were.

    A clip counts only if every modality could be extracted.
    """
    kept = manifest["clip_id"].isin(set.intersection(*map(set, ids)))
    return subset(manifest, kept), int((~kept).sum())


def classes(corpus: str, manifest: pd.DataFrame) -> tuple[tuple[str, ...], Tensor]:
    """Return the emotions of a corpus that occur, and each clip's number among them."""
    names = tuple(name for name in corpora.classes(corpus) if name in set(manifest["emotion"]))
    return names, torch.tensor([names.index(emotion) for emotion in manifest["emotion"]])


def aligned(ids: Iterable[str], values: np.ndarray, manifest: pd.DataFrame) -> np.ndarray:
    """Return the values in the order of the manifest, all of whose clips must be among `ids`."""
    at = pd.Index(ids).get_indexer(manifest["clip_id"])
    if (at < 0).any():
        raise ValueError(f"no values for clip {manifest['clip_id'].iloc[int(at.argmin())]}")
    return np.ascontiguousarray(values[at])


# --- values of each clip -------------------------------------------------------------------


def versions(
    manifest: pd.DataFrame, recipes: Mapping[str, FeatureRecipe], n_jobs: int, progress: bool
) -> Part:
    """Return the versions of each clip, from the store where it can, of clips that have them all.

    Parameters
    ----------
    recipes
        Name → recipe; the original comes first.
    """
    from emolib.features import store

    parts = [
        store.extract(manifest, recipe, n_jobs=n_jobs, progress=progress)
        for recipe in recipes.values()
    ]
    first, recipe = parts[0].manifest, parts[0].recipe
    missed = [column for column in ("missed_frames", "beyond_end") if column in first]
    described = {
        "recipe": repr(recipe),
        "digest": recipe.digest(),
        "problems": len(parts[0].problems),
        **{column: int(first[column].sum()) for column in missed},
        "versions": {name: recipe.digest() for name, recipe in recipes.items()},
    }
    if len(parts) == 1:
        only = np.asarray(parts[0].values)[:, None]
        return Part(first["clip_id"].tolist(), only, described, parts[0].problems)
    ids = [part.manifest["clip_id"] for part in parts]
    manifest, _ = complete(manifest, ids)
    values = [aligned(names, part.values, manifest) for names, part in zip(ids, parts, strict=True)]
    problems = pd.concat([part.problems for part in parts]).drop_duplicates()
    return Part(manifest["clip_id"].tolist(), np.stack(values, axis=1), described, problems)


def _numbers(clips: pd.DataFrame, stream: Stream, request: Request) -> np.ndarray:
    """Return which pictures each clip may show, (clips, draws): the tested one first."""
    module = corpora.CORPORA[request.corpus]
    draws = stream.draws if _dealt(request.corpus) else 1
    return module.frames(clips, draws, request.seed, root=request.root)


def _dealt(corpus: str) -> bool:
    """Return whether the clips of a corpus show pictures of another one."""
    return corpora.SOURCES[corpus].pictures_of not in ("", corpus)


def _pictures(request: Request) -> np.ndarray:
    """Return all pictures of a corpus, or those that its clips are dealt from."""
    lender = corpora.SOURCES[request.corpus].pictures_of
    root = request.root if lender == request.corpus else folder_of(lender, request.root)
    return corpora.CORPORA[lender].images(root)


def _shown(clips: pd.DataFrame, stream: Stream, request: Request) -> Part:
    """Return the pictures that clips show: uint8 (clips, draws, frames, side, side).

    The corpora hold no larger ones than 48×48; others are made from them by interpolation. A
    dealt picture stands for a film, so it moves.
    """
    frames, side = stream.pictures
    numbers = _numbers(clips, stream, request)
    used, at = np.unique(numbers, return_inverse=True)
    stills = resized(np.array(_pictures(request)[used]), side)
    stills = stills[at.reshape(numbers.shape)]
    lender = corpora.SOURCES[corpora.SOURCES[request.corpus].pictures_of]
    ids = clips["clip_id"].tolist()
    if not _dealt(request.corpus):
        values = np.repeat(stills[:, :, None], frames, axis=2)
        described: dict[str, Any] = {"recipe": f"{lender.title} pictures, {side}×{side} grey"}
        return Part(ids, values, described)
    described = {
        "recipe": f"one {lender.title} picture a clip, {frames} frames of it, {side}×{side}",
        "moved": {"shift": SHIFT, "turn": TURN, "size": SIZE, "light": LIGHT},
        "drawn": f"one of {stream.draws} in training",
        "seed": request.seed,
    }
    return Part(ids, filmed(stills, ids, frames, request.seed), described)


def resized(pictures: np.ndarray, side: int) -> np.ndarray:
    """Return grey pictures (N, H, W) at (N, side, side), uint8, interpolated part by part."""
    if pictures.shape[-1] == side:
        return pictures
    larger = []
    for part in torch.from_numpy(pictures)[:, None].split(1024):
        floats = F.interpolate(part.float(), (side, side), mode="bilinear", align_corners=False)
        larger.append(floats.round().clamp(0, 255).to(torch.uint8)[:, 0])
    return torch.cat(larger).numpy()


def _groups(clips: pd.DataFrame, stream: Stream, request: Request) -> np.ndarray | None:
    """Return the look-alikes that each clip's pictures belong to, (clips, draws).

    None of films, and of pictures whose people are known: a split by actor keeps those apart,
    where likeness would take posed faces of two people for one.
    """
    lender = corpora.SOURCES[request.corpus].pictures_of
    named = lender == request.corpus and (clips["actor"] != "").all()
    if not lender or named:
        return None
    return near_duplicates(request)[_numbers(clips, stream, request)]


def near_duplicates(request: Request) -> np.ndarray:
    """Return the number of the group of look-alikes of every picture of a corpus."""
    from emolib.corpora import pictures

    return pictures.near_duplicates(_pictures(request))
