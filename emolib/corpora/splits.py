"""Splits: which rows train, validate and test; a split that leaks refuses to be used.

Six kinds, from the most to the least generous, and the folds of others (`emolib.corpora.peers`):

========  =========================================================================
segment   segments of one clip fall on both sides: what several papers did
clip      clips are kept whole, but every actor is on both sides
actor     the actors of the test are heard and seen nowhere else
speaker   each actor in turn is the test, and all others are trained on
corpus    the test comes from another corpus
official  the parts that the corpus itself prescribes (FER2013)
emobox    by actor, with the folds that EmoBox tests on; so are luna and hicmae
========  =========================================================================
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emolib import paths
from emolib.corpora.manifest import CorpusError, build
from emolib.corpora.peers import CORPUS, PEERS, PeerFolds
from emolib.corpora.sources import SOURCES
from emolib.errors import EmolibError

KINDS = ("segment", "clip", "actor", "corpus", "official", "speaker", *PEERS)
PARTS = ("train", "valid", "test")
COLUMNS = ("clip_id", "segment", "fold", "part")

#: What the rows of train and test may share, the worst first.
LEAKS = {
    "clip": "the very same sample",
    "segment": "segments of one clip, or frames of one sequence",
    "twin": "two recordings of one performance",
    "image": "near-duplicate images",
    "actor": "actors",
}
#: What a caller accepts by saying ``allow_leak=``.
ALLOWS = {
    "segment": frozenset(LEAKS),
    "twin": frozenset({"twin", "image", "actor"}),
    "clip": frozenset({"image", "actor"}),
    "actor": frozenset({"image", "actor"}),
    "image": frozenset({"image"}),
}
_FOLDS = 5
#: What is left where people cannot be kept apart.
_KNOWN_PEOPLE = (
    "measure with `--split clip --allow-leak clip` how well a network knows these people alone"
)
#: Corpora in which the same people appear under the same actor names.
_SAME_PEOPLE = {source.name: source.voices_of for source in SOURCES.values() if source.voices_of}

_NAME = re.compile(rf"(?P<corpus>.+)-(?P<kind>{'|'.join(KINDS)})(?:-seed(?P<seed>\d+))?")


class LeakError(EmolibError, ValueError):
    """Rows of the test share something with rows of the training that they must not share."""


@dataclass(frozen=True)
class LeakReport:
    """What train (with valid) and test have in common.

    Attributes
    ----------
    table
        One row for each fold and kind of leak: ``fold, leak, pairs`` (of a seen and a test row),
        ``test_rows`` (of the test that share something), ``share`` (of all rows of the test),
        ``offenders`` (names of what is shared).
    unused
        Rows of the manifest that the split does not mention.
    """

    table: pd.DataFrame
    unused: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Leaking pairs by type, over all folds."""
        pairs = self.table.groupby("leak")["pairs"].sum()
        return {leak: int(pairs.get(leak, 0)) for leak in LEAKS}


@dataclass(frozen=True)
class Split:
    """Which rows train, validate and test in each fold.

    Attributes
    ----------
    kind
        One of `KINDS`.
    corpus
        Key of the corpus; several are joined by "+".
    table
        Columns ``clip_id, segment, fold, part``; segment −1 means all segments of the clip.
    seed
        The seed it was made with.
    """

    kind: str
    corpus: str
    table: pd.DataFrame
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the table and put it into its one order."""
        table = self.table
        if absent := [column for column in COLUMNS if column not in table]:
            raise CorpusError(f"the split has no column {', '.join(absent)}: it needs {COLUMNS}")
        table = table[list(COLUMNS)].astype(
            {"clip_id": str, "segment": int, "fold": int, "part": str}
        )
        if unknown := sorted(set(table["part"]) - set(PARTS)):
            raise CorpusError(f"unknown part {', '.join(unknown)}: known are {', '.join(PARTS)}")
        key = ["fold", "clip_id", "segment"]
        twice = table[table.duplicated(key, keep=False)]
        whole = table["segment"] == -1
        if whole.any() and not whole.all():
            raise CorpusError("the split names whole clips (segment -1) and segments: use one")
        if len(twice):
            row = twice.iloc[0]
            raise LeakError(
                f"split {self.name}: {len(twice)} rows are there more than once, the first is "
                f"clip {row['clip_id']}, segment {row['segment']}, in fold {row['fold']}: every "
                "row belongs to one part of a fold"
            )
        held = table.groupby("fold")["part"].agg(set)
        gaps = list(held.index) != list(range(len(held)))
        if gaps or not held.map({"train", "test"}.issubset).all():
            raise CorpusError(
                f"split {self.name}: folds must count from 0 without gaps, each with rows for "
                "train and for test"
            )
        object.__setattr__(self, "table", table.sort_values(key, ignore_index=True))

    @property
    def name(self) -> str:
        """The name of its file, such as "ravdess-actor"."""
        return f"{self.corpus}-{self.kind}" + (f"-seed{self.seed}" if self.seed else "")

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.table["fold"].nunique())

    def digest(self) -> str:
        """Return a SHA-256 over the table."""
        return hashlib.sha256(self.table.to_csv(index=False).encode()).hexdigest()

    def save(self, path: str | Path | None = None) -> Path:
        """Write the table as CSV, by default to ``splits/<name>.csv`` below `paths.HOME`."""
        path = Path(path) if path else paths.SPLITS / f"{self.name}.csv"
        with paths.atomic(path) as part:
            self.table.to_csv(part, index=False)
        return path

    @classmethod
    def load(cls, path: str | Path) -> "Split":
        """Read a split; its file name says corpus, kind and seed (``ravdess-actor.csv``).

        A plain name such as "ravdess-actor" is looked up in ``data/splits``.

        Raises
        ------
        CorpusError
            If there is no such file, or its name or table is not that of a split.
        """
        path = Path(path)
        if path.suffix != ".csv":
            path = paths.find(paths.SPLITS / f"{path.name}.csv")
        match = _NAME.fullmatch(path.stem)
        if not match:
            raise CorpusError(
                f"{path} is not named like a split: corpus-kind.csv, such as ravdess-actor.csv"
            )
        if not path.is_file():
            known = ", ".join(file.stem for file in paths.files(path.parent, "*.csv")) or "none"
            raise CorpusError(f"there is no split {path}: saved there are {known}")
        table = pd.read_csv(path, dtype={"clip_id": str}, keep_default_na=False)
        return cls(match["kind"], match["corpus"], table, int(match["seed"] or 0))

    def indices(
        self, manifest: pd.DataFrame, fold: int, part: str, n_segments: int = 1
    ) -> np.ndarray:
        """Return the samples of one part of one fold, ascending.

        Parameters
        ----------
        manifest
            The clips in the order of the samples; clips that the split mentions and the
            manifest does not have (corrupt, faceless) are left out.
        fold, part
            Which fold, and "train", "valid" or "test".
        n_segments
            Samples per clip.

        Returns
        -------
        ndarray of int
            Flat positions ``clip_position * n_segments + segment``.

        Raises
        ------
        CorpusError
            If the fold or part does not exist, segments were split into another number, or no
            clip of the manifest is in the split.
        """
        if part not in PARTS or not 0 <= fold < self.n_folds:
            raise CorpusError(
                f"split {self.name} has no part {part!r} in fold {fold}: parts are "
                f"{', '.join(PARTS)}, folds 0 to {self.n_folds - 1}"
            )
        position = pd.Series(np.arange(len(manifest)), index=manifest["clip_id"].to_numpy())
        rows = self.table[(self.table["fold"] == fold) & (self.table["part"] == part)]
        rows = rows[rows["clip_id"].isin(position.index)]
        if rows.empty and not self.table["clip_id"].isin(position.index).any():
            raise self._strangers(manifest)
        clip = position.loc[rows["clip_id"]].to_numpy()
        segment = rows["segment"].to_numpy()
        if (self.table["segment"] == -1).all():
            samples = clip[:, None] * n_segments + np.arange(n_segments)
        else:
            counted = int(self.table["segment"].max()) + 1
            if counted != n_segments:
                raise CorpusError(
                    f"split {self.name} was made for {counted} segments a clip, the samples have "
                    f"{n_segments}: make it with n_segments={n_segments}"
                )
            samples = clip * n_segments + segment
        return np.sort(samples, axis=None).astype(np.int64)

    def check(
        self,
        manifest: pd.DataFrame,
        *,
        allow_leak: str | Iterable[str] | None = None,
        images: np.ndarray | None = None,
    ) -> LeakReport:
        """Count what train and test share, and refuse what was not allowed in so many words.

        Valid counts as train: a model chosen on rows that the test knows leaks as well.

        Parameters
        ----------
        manifest
            The clips. Siblings are segments of one clip and frames of one ``sequence``; twins
            are clips of one ``twin``.
        allow_leak
            One or several of `ALLOWS`: "segment" allows all leaks, "clip" allows shared actors
            and images.
        images
            Pictures of the clips, in manifest order: uint8 (N, H, W), compared by perceptual
            hash; or numbers of pictures or of groups of near-duplicates, shape (N,) or (N, k).

        Raises
        ------
        LeakError
            If something else is shared; the message names the first offenders.
        CorpusError
            If `allow_leak` is unknown, or no clip of the manifest is in the split.
        """
        named = (allow_leak,) if isinstance(allow_leak, str) else tuple(allow_leak or ())
        if unknown := [name for name in named if name not in ALLOWS]:
            raise CorpusError(f"unknown allow_leak {unknown[0]!r}: known are {', '.join(ALLOWS)}")
        allowed = frozenset().union(*(ALLOWS[name] for name in named))
        known = _identities(manifest)
        rows = self.table.merge(known, on="clip_id", how="inner")
        if rows.empty:
            raise self._strangers(manifest)
        groups = None if images is None else _groups_of_images(images, manifest)
        found: list[dict] = []
        for fold, here in rows.groupby("fold"):
            seen, test = here[here["part"] != "test"], here[here["part"] == "test"]
            leaks = dict(_shared(seen, test))
            if groups is not None:
                leaks["image"] = _shared_images(seen, test, groups)
            found += [{"fold": int(fold), "leak": leak, **leaks[leak]} for leak in leaks]
        unused = ~manifest["clip_id"].isin(self.table["clip_id"])
        report = LeakReport(pd.DataFrame(found), int(unused.sum()))
        refused = report.table[(report.table["pairs"] > 0) & ~report.table["leak"].isin(allowed)]
        if len(refused):
            raise LeakError(self._refusal(refused))
        return report

    def _refusal(self, refused: pd.DataFrame) -> str:
        lines = []
        for leak, meaning in LEAKS.items():
            rows = refused[refused["leak"] == leak]
            if rows.empty:
                continue
            row = rows.iloc[0]
            first, total = row["offenders"][:3], len(row["offenders"])
            more = f" and {total - len(first)} more" if total > len(first) else ""
            lines.append(
                f"{meaning} ({leak}: {', '.join(first)}{more} in fold {row['fold']}; "
                f"{row['share']:.1%} of its test rows)"
            )
        worst = next(leak for leak in LEAKS if leak in set(refused["leak"]))
        name = {"clip": "segment", "actor": "clip"}.get(worst, worst)
        return (
            f"split {self.name} leaks: train and test share {'; '.join(lines)}. Use a split by "
            f"actor, or say allow_leak={name!r} to measure the leak itself"
        )

    def _strangers(self, manifest: pd.DataFrame) -> CorpusError:
        return CorpusError(
            f"none of the {len(manifest)} clips of the manifest is in split {self.name} "
            f"(manifest: {next(iter(manifest['clip_id']), 'empty')}, …; split: "
            f"{self.table['clip_id'].iloc[0]}, …): make the split for this corpus"
        )


# --- what rows share ------------------------------------------------------------------------


def _identities(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return what must not be on both sides, by clip: actor, sequence, twin ("" for none)."""
    people = manifest["corpus"].replace(_SAME_PEOPLE).astype(str) + " "
    known = {"clip_id": manifest["clip_id"], "position": np.arange(len(manifest))}
    for column in ("actor", "sequence", "twin"):
        name = manifest[column].astype(str) if column in manifest else people.map(lambda _: "")
        known[column] = (people + name).where(name != "", "")
    return pd.DataFrame(known)


def _shared(seen: pd.DataFrame, test: pd.DataFrame) -> Iterable[tuple[str, dict]]:
    """Yield every kind of leak with its pairs, rows of the test and offenders."""
    same_clip = _pairs(seen, test, ["clip_id"])
    same_row = _pairs(seen, test, ["clip_id", "segment"])
    sequence = _pairs(seen, test, ["sequence"])
    siblings = sequence if len(sequence) else same_clip
    twin = _pairs(seen, test, ["twin"])
    clips = pd.concat([seen, test]).groupby("twin")["clip_id"].nunique()
    twin = twin[twin.index.map(clips).to_numpy() > 1] if len(twin) else twin
    yield "clip", _summary(same_row, test)
    yield "segment", _summary(siblings, test, less=int(same_row["pairs"].sum()))
    # Rows of one clip share their take, too: they are siblings, not twins.
    overlap = same_clip[same_clip.index.isin(test.loc[test["twin"].isin(twin.index), "clip_id"])]
    yield "twin", _summary(twin, test, less=int(overlap["pairs"].sum()))
    yield "actor", _summary(_pairs(seen, test, ["actor"]), test)


def _pairs(seen: pd.DataFrame, test: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return, for each value that both sides have, the pairs and the rows of the test."""
    sizes = [side[side[key[0]].ne("")].groupby(key).size() for side in (seen, test)]
    counts = pd.concat(sizes, axis=1, join="inner", keys=["seen", "test"])
    return counts.assign(pairs=counts["seen"] * counts["test"])


def _summary(shared: pd.DataFrame, test: pd.DataFrame, less: int = 0) -> dict:
    pairs = int(shared["pairs"].sum()) - less
    rows = int(shared["test"].sum()) if pairs > 0 else 0
    names = [" ".join(map(str, k)) if isinstance(k, tuple) else str(k) for k in shared.index]
    return {
        "pairs": pairs,
        "test_rows": rows,
        "share": rows / max(len(test), 1),
        "offenders": names if pairs > 0 else [],
    }


def _groups_of_images(images: np.ndarray, manifest: pd.DataFrame) -> np.ndarray:
    """Return the numbers of the images of every clip: shape (N, k)."""
    images = np.asarray(images)
    if len(images) != len(manifest):
        raise CorpusError(
            f"there are {len(images)} images for {len(manifest)} clips: give one row for each "
            "clip, in the order of the manifest"
        )
    if images.ndim >= 3:
        from emolib.corpora.pictures import near_duplicates

        images = near_duplicates(images)
    return images.reshape(len(images), -1)


def _shared_images(seen: pd.DataFrame, test: pd.DataFrame, groups: np.ndarray) -> dict:
    images = [groups[side["position"]] for side in (seen, test)]
    rows = [np.repeat(np.arange(len(side)), groups.shape[1]) for side in images]
    sides = [
        pd.DataFrame({"image": image.ravel(), "row": row}).drop_duplicates()
        for image, row in zip(images, rows, strict=True)
    ]
    shared = _pairs(sides[0], sides[1], ["image"])
    hit = sides[1].loc[sides[1]["image"].isin(shared.index), "row"].nunique()
    return _summary(shared, test) | {"test_rows": hit, "share": hit / max(len(test), 1)}


# --- making splits --------------------------------------------------------------------------


def make(
    kind: str,
    manifest: pd.DataFrame,
    *,
    seed: int = 0,
    n_segments: int = 6,
    n_folds: int | None = None,
    valid: float = 0.2,
    test: str | None = None,
    groups: Sequence | None = None,
) -> Split:
    """Make a split.

    The result depends on the clip ids, emotions and actors only: not on the order of the rows,
    and not on file formats.

    Parameters
    ----------
    kind
        One of `KINDS`. By segment and by clip: `n_folds` (5) folds stratified by emotion, then
        `valid` of the rest validates. By actor: folds of actors, balanced by sex where the
        corpus tells it (RAVDESS: six folds of two men and two women); the next fold's actors
        validate. By speaker: each actor is the test once, in the order of their names; `valid` of
        the other actors' clips validates. By corpus: each corpus of the manifest is the test
        once, in the order of their names; `valid` of the other actors validates. Official:
        FER2013's Training, of which `valid` validates, and its PrivateTest (or PublicTest).
        One of `PEERS`: their folds of the actors of RAVDESS.
    manifest
        The clips. Where it has a ``sequence`` (CK+), rows are frames: they take the part of
        segments, and sequences that of clips.
    seed
        Seed of the shuffle.
    n_segments
        Segments per clip (by segment only).
    n_folds
        Number of folds; by default as above, and by actor no more than there are actors.
    valid
        Share of the rest that validates, above 0 and below 1.
    test
        By corpus: the one corpus to test on. Official: "PublicTest" or "PrivateTest".
    groups
        One value a row; rows with the same value stay together in a split by clip, and in the
        valid part of an official one (for example `pictures.near_duplicates`).

    Raises
    ------
    CorpusError
        If the manifest cannot be split that way (no actors, one corpus, no official parts).
    """
    if kind not in KINDS:
        raise CorpusError(f"unknown kind of split {kind!r}: known are {', '.join(KINDS)}")
    if not 0 < valid < 1:
        raise CorpusError(f"valid={valid} must lie between 0 and 1, both excluded")
    if manifest.empty:
        raise CorpusError("the manifest is empty: there is nothing to split")
    if groups is not None:
        manifest = manifest.assign(_group=np.asarray(groups).astype(str))
    manifest = manifest.sort_values("clip_id", ignore_index=True)
    generator = np.random.default_rng((seed, KINDS.index(kind)))
    corpus = "+".join(sorted(manifest["corpus"].unique()))
    if kind == "segment":
        table = _by_segment(manifest, generator, n_segments, n_folds or _FOLDS, valid)
    elif kind == "clip":
        table = _by_clip(manifest, generator, n_folds or _FOLDS, valid)
    elif kind == "actor":
        table = pd.concat(_by_actor(manifest, generator, n_folds))
    elif kind == "speaker":
        table = pd.concat(_by_speaker(manifest, generator, valid))
    elif kind in PEERS:
        table = pd.concat(_as_peers(manifest, PEERS[kind]))
    elif kind == "corpus":
        table = pd.concat(_by_corpus(manifest, generator, valid, test))
    else:
        table = _officially(manifest, generator, valid, test)
    return Split(kind, corpus, table, seed)


def combine(*manifests: pd.DataFrame) -> pd.DataFrame:
    """Join the manifests of several corpora, with the emotions that all of them have.

    Clip ids become ``corpus:clip_id``, for corpora may use the same names.

    Raises
    ------
    CorpusError
        If they have no emotion in common.
    """
    shared = set.intersection(*(set(manifest["emotion"]) for manifest in manifests))
    if not shared:
        raise CorpusError("the corpora have no emotion in common: nothing can be compared")
    joined = []
    for manifest in manifests:
        twin = _identities(manifest)["twin"]
        kept = manifest.assign(twin=twin, clip_id=manifest["corpus"] + ":" + manifest["clip_id"])
        joined.append(kept[kept["emotion"].isin(shared)])
    problems = [line for manifest in manifests for line in manifest.attrs.get("problems", [])]
    table = pd.concat(joined, ignore_index=True)
    text = table.select_dtypes(["object", "string"]).columns
    return build(table.fillna(dict.fromkeys(text, "")), problems)


def _by_segment(manifest, generator, n_segments: int, n_folds: int, valid: float) -> pd.DataFrame:
    if "sequence" in manifest:
        rows = manifest[["clip_id", "emotion"]].assign(segment=-1)
    else:
        rows = manifest[["clip_id", "emotion"]].loc[manifest.index.repeat(n_segments)]
        rows = rows.assign(segment=np.tile(np.arange(n_segments), len(manifest)))
    rows = rows.reset_index(drop=True)
    return _stratified(rows.assign(unit=rows.index), generator, n_folds, valid)


def _by_clip(manifest, generator, n_folds: int, valid: float) -> pd.DataFrame:
    rows = manifest[["clip_id", "emotion"]].assign(segment=-1, unit=_wholes(manifest))
    return _stratified(rows, generator, n_folds, valid)


def _wholes(manifest: pd.DataFrame) -> pd.Series:
    """Return what a split by clip keeps whole: the group, the sequence, the take or the clip."""
    if "_group" in manifest:
        return manifest["_group"]
    known = _identities(manifest)
    unit = known["sequence"].where(known["sequence"] != "", known["twin"])
    return unit.where(unit != "", known["clip_id"])


def _stratified(rows: pd.DataFrame, generator, n_folds: int, valid: float) -> pd.DataFrame:
    """Return `n_folds` folds of the units of `rows`, stratified by emotion."""
    units = _units(rows, "emotion")
    if n_folds < 2 or len(units) < n_folds + 1:
        raise CorpusError(
            f"{n_folds} folds cannot be made of {len(units)} clips: ask for 2 folds or more, "
            "and have more clips than folds"
        )
    fold_of = _deal(units, [1] * n_folds, generator)
    tables = []
    for fold in range(n_folds):
        part = pd.Series("test", index=units.index)
        rest = units[fold_of != fold]
        part[rest.index] = _some_validate(rest, rest.index, generator, valid)
        tables.append(rows.assign(fold=fold, part=part.loc[rows["unit"]].to_numpy()))
    return pd.concat(tables)


def _by_actor(manifest, generator, n_folds: int | None) -> Iterator[pd.DataFrame]:
    actors = _actors(manifest)
    known = [SOURCES[name].actor_folds for name in set(manifest["corpus"]) if name in SOURCES]
    usual = max(known, default=_FOLDS)
    if len(actors) < 3:
        raise CorpusError(
            f"a split by actor needs 3 actors, one each for train, valid and test, and there "
            f"{'is' if len(actors) == 1 else 'are'} {len(actors)} ({', '.join(actors.index)}): "
            "split='clip' with allow_leak='clip' (--split clip --allow-leak clip) does with fewer, "
            "and its title says that it tests on people it knows"
        )
    n_folds = n_folds or min(usual, len(actors))
    if not 3 <= n_folds <= len(actors):
        raise CorpusError(
            f"{n_folds} folds cannot be made of {len(actors)} actors: train, valid and test need "
            "at least one actor each, so have 3 actors or more and from 3 folds to one per actor; "
            f"or {_KNOWN_PEOPLE}"
        )
    fold_of = pd.Series(_deal(actors, [1] * n_folds, generator), index=actors.index)
    mine = fold_of.loc[_person(manifest)].to_numpy()
    for fold in range(n_folds):
        part = np.select([mine == fold, mine == (fold + 1) % n_folds], ["test", "valid"], "train")
        yield manifest[["clip_id"]].assign(segment=-1, fold=fold, part=part)


def _by_speaker(manifest, generator, valid: float) -> Iterator[pd.DataFrame]:
    speakers = _actors(manifest).index
    if len(speakers) < 2:
        raise CorpusError(
            f"one speaker cannot be left out of {len(speakers)}: have clips of two or more"
        )
    mine, unit = _person(manifest), _wholes(manifest)
    for fold, speaker in enumerate(speakers):
        rest = manifest[mine != speaker]
        part = pd.Series("test", index=manifest.index)
        units = _units(rest.assign(unit=unit), "emotion")
        part[rest.index] = _some_validate(units, unit[rest.index], generator, valid)
        yield manifest[["clip_id"]].assign(segment=-1, fold=fold, part=part)


def _as_peers(manifest, folds: PeerFolds) -> Iterator[pd.DataFrame]:
    strangers = sorted(set(manifest["corpus"]) - set(dealt_by_peers()))
    if strangers:
        raise CorpusError(
            f"the folds of {folds.name} deal the actors of RAVDESS, the manifest has "
            f"{', '.join(strangers)}: use one of {', '.join(dealt_by_peers())}, or kind 'actor'"
        )
    for fold, (test, valid) in enumerate(zip(folds.test, folds.valid, strict=True)):
        mine = manifest["actor"]
        part = np.select([mine.isin(test), mine.isin(valid)], ["test", "valid"], "train")
        yield manifest[["clip_id"]].assign(segment=-1, fold=fold, part=part)


def dealt_by_peers() -> list[str]:
    """Return the corpora whose actors are those of RAVDESS: only these fit `PEERS`."""
    return [name for name in SOURCES if _SAME_PEOPLE.get(name, name) == CORPUS]


def _by_corpus(manifest, generator, valid: float, test: str | None) -> Iterator[pd.DataFrame]:
    corpora = sorted(manifest["corpus"].unique())
    if len(corpora) < 2 or (test is not None and test not in corpora):
        raise CorpusError(
            f"a split by corpus needs two corpora (and test= one of them), the manifest has "
            f"{', '.join(corpora)}: join manifests with splits.combine(a, b)"
        )
    for fold, tested in enumerate([test] if test else corpora):
        rest = manifest[manifest["corpus"] != tested]
        if (rest["actor"] != "").all() and len(set(rest["actor"])) > 1:
            units, unit = _actors(rest), _person(rest)
        else:  # pictures without names, or one actor alone: whole clips validate
            unit = _wholes(rest)
            units = _units(rest.assign(unit=unit), "emotion")
        part = pd.Series("test", index=manifest.index)
        part[rest.index] = _some_validate(units, unit, generator, valid)
        yield manifest[["clip_id"]].assign(segment=-1, fold=fold, part=part)


def _officially(manifest, generator, valid: float, test: str | None) -> pd.DataFrame:
    usage = manifest["usage"]
    parts = [name for name in ("PrivateTest", "PublicTest") if (usage == name).any()]
    if not parts or not (usage == "Training").any() or (test or parts[0]) not in parts:
        raise CorpusError(
            f"an official split needs the parts Training and {test or 'a test part'} in the "
            f"column usage, there are {', '.join(sorted(set(usage) - {''})) or 'none'}: only "
            "FER2013 has them; split other corpora by actor"
        )
    rest = manifest[usage == "Training"]
    unit = _wholes(rest)
    units = _units(rest.assign(unit=unit), "emotion")
    train = rest[["clip_id"]].assign(part=_some_validate(units, unit, generator, valid))
    tested = manifest.loc[usage == (test or parts[0]), ["clip_id"]].assign(part="test")
    return pd.concat([train, tested]).assign(segment=-1, fold=0)


def _some_validate(units: pd.DataFrame, unit, generator, valid: float) -> np.ndarray:
    """Return "valid" or "train" for each row, whose units are `unit`."""
    held_out = units.index[_deal(units, [1 - valid, valid], generator) == 1]
    return np.where(unit.isin(held_out), "valid", "train")


def _person(manifest: pd.DataFrame) -> pd.Series:
    return _identities(manifest)["actor"]


def _actors(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return one row an actor, with the sex as its stratum where the corpus tells it."""
    if (nameless := manifest["actor"] == "").any():
        raise CorpusError(
            f"{int(nameless.sum())} clips have no actor (such as "
            f"{manifest.loc[nameless, 'clip_id'].iloc[0]}), so they cannot be split by actor: "
            f"split FER2013 officially; say of your own recordings who speaks, or {_KNOWN_PEOPLE}"
        )
    sex = manifest["sex"].astype(str) if "sex" in manifest else ""
    stratum = manifest["corpus"].astype(str) + " " + sex
    people = pd.DataFrame({"unit": _person(manifest), "stratum": stratum})
    return people.groupby("unit").agg(stratum=("stratum", "first")).assign(size=1)


def _units(rows: pd.DataFrame, stratum: str) -> pd.DataFrame:
    """Return one row a unit, sorted by name, with its stratum and its number of rows."""
    return rows.groupby("unit").agg(stratum=(stratum, "first"), size=("unit", "size"))


def _deal(units: pd.DataFrame, shares: Sequence[float], generator) -> np.ndarray:
    """Deal units to parts so that each part gets its share of every stratum and of the whole.

    Stratum by stratum, shuffled, large units ahead: each goes to the part that lacks most of the
    stratum; among equals, to the one that lacks most of the whole; then to the first.
    """
    shares = [share / sum(shares) for share in shares]
    parts = range(len(shares))
    size, stratum = units["size"].tolist(), units["stratum"].astype(str).tolist()
    order = sorted(generator.permutation(len(units)), key=lambda unit: (stratum[unit], -size[unit]))
    whole = [share * sum(size) for share in shares]
    totals = units.groupby("stratum")["size"].sum()
    lack = {str(name): [share * total for share in shares] for name, total in totals.items()}
    dealt = np.empty(len(units), int)
    for unit in order:
        here = lack[stratum[unit]]
        ranks = [(here[part], whole[part], -part) for part in parts]
        part = ranks.index(max(ranks))
        here[part] -= size[unit]
        whole[part] -= size[unit]
        dealt[unit] = part
    for part in parts:  # strata of one unit each would leave a small part empty
        if len(units) >= len(shares) and not (dealt == part).any():
            dealt[order[-1]] = part
    return dealt
