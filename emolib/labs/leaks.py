"""The leak ladder: the same model and the same recordings, under splits of rising honesty.

Nothing here is a paper's method. Plain learners on a few numbers per clip, and two of the papers'
own branches, are tested by segment, by clip and by actor, so that what a split gives away can be
told from what a model has learned. `FULL` declares the runs as a paper does, and ``emolib train
lab_leaks --experiment …`` makes them; results lie under ``data/results/lab_leaks``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from emolib import corpora, evaluation, registry, results
from emolib.corpora import fer2013, paired, pictures, ravdess, splits
from emolib.features.audio import MelSpectrogram
from emolib.labs.learners import LEARNERS, Plain, loader
from emolib.papers import ding, engine, lu
from emolib.papers.dataset import Dataset, as_stored
from emolib.papers.experiment import (
    Experiment,
    ExperimentError,
    choose,
    command,
    experiments_beside,
)
from emolib.papers.streams import Request, classes, near_duplicates, resized
from emolib.training import Prepare, Samples, TrainingRecipe

LAB = "lab_leaks"
NORMALISATIONS = ("train", "speaker")
PICTURES = ("one", "several")


# --- what the learners see -----------------------------------------------------------------


def numbers(
    corpus: str,
    modality: str,
    mode: str = "full",
    *,
    segments: int = 1,
    normalise: str = "train",
    root: str | Path | None = None,
    progress: bool = False,
) -> Dataset:
    """Return a few numbers per clip: 40 MFCC of the voice, 35 action units of the face.

    Parameters
    ----------
    corpus
        "ravdess": each recording of a voice with the action units of its audio-visual twin, a
        true pair. "synthetic": voices only.
    modality
        "audio" (N, 40), "video" (N, 35) or "both".
    mode
        As in `ding.load`: "quick" takes a quarter of the recordings.
    segments
        1: the mean over the clip. 6: every sixth of the sound is a sample. Action units exist
        as means over the clip only, so its six samples share them.
    normalise
        "train": with mean and sd of the training rows. "speaker": with those of each speaker,
        which needs no label but many clips of the speaker before the first answer.
    root
        Folder of the corpus.
    """
    choose("number of segments", segments, (1, ding.SEGMENTS))
    choose("normalise", normalise, NORMALISATIONS)
    if corpus != "ravdess" and modality != "audio":
        raise ExperimentError(
            f"{corpus} has no action units: use modality='audio', or corpus='ravdess'"
        )
    voices = ding.load(corpus, "audio", mode, root=root, augmentation="none", progress=progress)
    manifest = voices.manifest
    sound = voices.samples.inputs["audio"].reshape(-1, ding.SEGMENTS, ding.N_MFCC)
    inputs = {}
    if modality != "video":
        inputs["audio"] = (sound.mean(1, keepdim=True) if segments == 1 else sound).flatten(0, 1)
    if modality != "audio":
        units = torch.from_numpy(ravdess.action_units(root).loc[manifest["clip_id"]].to_numpy())
        inputs["video"] = units.float().repeat_interleave(segments, 0)
    if normalise == "speaker":
        speaker = np.repeat(manifest["actor"].to_numpy(), segments)
        inputs = {name: _by_speaker(values, speaker) for name, values in inputs.items()}
    return replace(
        voices,
        samples=Samples(
            inputs, voices.samples.labels[:: ding.SEGMENTS].repeat_interleave(segments)
        ),
        n_segments=segments,
        prepare=as_stored,
        features={
            "numbers": {name: values.shape[1] for name, values in inputs.items()},
            "segments": segments,
            "normalise": normalise,
            "clips_left_out": voices.features["clips_left_out"],
        },
    )


def _by_speaker(values: torch.Tensor, speaker: np.ndarray) -> torch.Tensor:
    """Bring every column to mean 0 and sd 1 within each speaker."""
    table = pd.DataFrame(values.double().numpy())
    groups = table.groupby(speaker)
    scaled = (table - groups.transform("mean")) / groups.transform("std", ddof=0).clip(lower=1e-8)
    return torch.tensor(scaled.to_numpy(), dtype=torch.float32)


def faces(
    corpus: str,
    modality: str = "video",
    mode: str = "full",
    *,
    size: int = ding.SIDE,
    shared: bool = False,
    root: str | Path | None = None,
) -> Dataset:
    """Return posed faces of CK+, the frames of a sequence as its segments, or found ones.

    Parameters
    ----------
    corpus, modality
        "ckplus" or "fer2013" (its PublicTest), "video": (N, 1, size, size) uint8.
    mode
        "quick" takes the first 24 people of CK+, or every tenth picture of FER2013.
    size
        64 (bilinear, the input of Ding's network) or 48 (as they are).
    shared
        Of CK+, take the emotions that FER2013 has too.
    root
        Folder of the corpus.
    """
    if corpus not in ("ckplus", "fer2013") or modality != "video":
        raise ExperimentError(
            f"{corpus}, {modality}: these are the faces of ckplus or fer2013, video"
        )
    manifest = corpora.load(corpus, root)
    if corpus == "ckplus":
        kept = manifest["emotion"].isin(fer2013.CLASSES) | (not shared)
        few = manifest["actor"].isin(sorted(set(manifest["actor"]))[:24])
    else:
        kept = manifest["usage"] == "PublicTest"
        few = kept.cumsum() % 10 == 0
    kept = (kept & few if mode == "quick" else kept).to_numpy()
    manifest = manifest[kept].reset_index(drop=True)
    pixels = resized(np.array(corpora.CORPORA[corpus].images(root)[kept]), size)
    made_of = {"faces": f"{results.corpus_name(corpus)} 48×48 → {size}×{size}"}
    return _dataset(corpus, manifest, pixels, made_of)


def _dataset(
    corpus: str, manifest: pd.DataFrame, values: np.ndarray, features: dict[str, Any], **fields: Any
) -> Dataset:
    """Return pictures (clips, H, W) as Ding's network takes them, or sounds (samples, k)."""
    names, labels = classes(corpus, manifest)
    segments = len(values) // len(manifest)
    inputs = {"video": values[:, None]} if values.ndim == 3 else {"audio": values}
    return Dataset(
        Samples(
            {name: torch.from_numpy(one) for name, one in inputs.items()},
            labels.repeat_interleave(segments),
        ),
        manifest,
        segments,
        names,
        prepare=ding.prepare if values.ndim == 3 else as_stored,
        features=features | {"clips_left_out": 0},
        **fields,
    )


def voices(
    corpus: str, modality: str = "audio", mode: str = "full", *, root: str | Path | None = None
) -> Dataset:
    """Return what Lu's audio network gets: the mean MFCC of each clip, (N, 40, 1)."""
    data = numbers(corpus, modality, mode, root=root)
    audio = data.samples.inputs["audio"].unsqueeze(2)
    return replace(
        data, samples=Samples({"audio": audio}, data.samples.labels), standardise={"audio": (0, 2)}
    )


# --- how much of a leak does it take? ------------------------------------------------------


def dosed(manifest: pd.DataFrame, dose: int, seed: int = 0) -> splits.Split:
    """Return the split by actor, with `dose` clips of every test actor moved into training.

    Half of each test actor's clips (drawn once, the same for all doses) are tested; of the
    other half the first `dose` join the training, the rest is not used. With dose 0 the test
    actors are strangers. A recording that was published under two names is used once.

    Raises
    ------
    ExperimentError
        If an actor has not got that many clips to give.
    """
    if "twin" in manifest:
        manifest = manifest.drop_duplicates("twin")
    actor = splits.make("actor", manifest, seed=seed)
    order = np.random.default_rng(seed).permutation(len(manifest))
    turn = pd.Series(np.empty(len(manifest), int), index=manifest["clip_id"].to_numpy())
    for _, rows in manifest.iloc[order].groupby("actor"):
        turn[rows["clip_id"]] = np.arange(len(rows))
    clips = manifest.groupby("actor")["clip_id"].transform("size").to_numpy()
    half = pd.Series(clips // 2, index=turn.index)
    if not 0 <= dose <= half.min():
        raise ExperimentError(f"dose={dose}: an actor has from 0 to {half.min()} clips to give")
    table = actor.table
    mine, limit = turn[table["clip_id"]].to_numpy(), half[table["clip_id"]].to_numpy()
    tested = (table["part"] == "test").to_numpy()
    part = table["part"].mask(tested & (mine < dose), "train")
    kept = ~tested | (mine < dose) | (mine >= limit)
    return splits.Split(
        "clip" if dose else "actor", actor.corpus, table.assign(part=part)[kept], seed
    )


# --- leaks of known size -------------------------------------------------------------------


def cue_reader(told: pd.DataFrame, split: splits.Split, knows_actor: bool = True) -> float:
    """Return the accuracy of whoever reads the planted cue, and nothing else.

    The reader counts in the training rows which label went with which cue (of the same actor,
    if `knows_actor`) and answers with the most frequent one; what was never met is guessed, and
    counts 1 / number of labels.

    Parameters
    ----------
    told
        ``synthetic.cues(...)``.
    split
        A split of its clips.
    """
    key = ["actor", "cue"] if knows_actor else ["cue"]
    guess = 1 / told["emotion"].nunique()
    scores = []
    for fold in range(split.n_folds):
        seen = np.concatenate([split.indices(told, fold, part) for part in ("train", "valid")])
        test = told.iloc[split.indices(told, fold, "test")]
        votes = told.iloc[seen].groupby([*key, "emotion"]).size().reset_index(name="n")
        best = votes.sort_values("n", ascending=False).drop_duplicates(key)
        answers = test.merge(best[[*key, "emotion"]], on=key, how="left", suffixes=("", "_read"))
        hit = (answers["emotion"] == answers["emotion_read"]).astype(float)
        scores.append(hit.where(answers["emotion_read"].notna(), guess))
    return float(pd.concat(scores).mean())


def room_tones(
    corpus: str = "synthetic",
    modality: str = "audio",
    mode: str = "quick",
    *,
    root: str | Path | None = None,
) -> Dataset:
    """Return the noise floor of each sixth of the synthetic clips with a planted room tone.

    The floor is the level, in decibels, below which each of 128 mel bands stays for a tenth of
    the time: what sounds on while nobody speaks.
    """
    if (corpus, modality) != ("synthetic", "audio"):
        raise ExperimentError("room tones are planted in the sound of the synthetic corpus only")
    manifest = corpora.load(
        "synthetic", root, actors=2, modality="audio", statements=1, leak="segment", progress=False
    )
    recipe = MelSpectrogram(n_mels=128, duration_s=None)
    floors = [
        np.quantile(part, 0.1, axis=1)
        for row in manifest.to_dict("records")
        for part in np.array_split(recipe.compute(row), ding.SEGMENTS, axis=1)
    ]
    return _dataset(corpus, manifest, np.array(floors, np.float32), {"floor": repr(recipe)})


def plant_duplicates(
    pixels: np.ndarray, count: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Append altered copies of some pictures: up to 10 % brighter or darker, with slight noise.

    Returns
    -------
    tuple
        The pictures (N + count, H, W) uint8, and the row each copy was made from (count,).
    """
    rng = np.random.default_rng(seed)
    source = rng.choice(len(pixels), count, replace=False)
    gain = rng.uniform(0.9, 1.1, (count, 1, 1))
    copies = gain * pixels[source] + rng.normal(0, 2, (count, *pixels.shape[1:]))
    copies = copies.round().clip(0, 255).astype(np.uint8)
    return np.concatenate([np.asarray(pixels), copies]), source


def twins(
    corpus: str = "paired",
    modality: str = "video",
    mode: str = "full",
    *,
    share: float = 0.0,
    seed: int = 0,
    root: str | Path | None = None,
) -> Dataset:
    """Return one picture for each clip of the paired corpus; some are planted near-duplicates.

    A planted picture is an altered copy (`plant_duplicates`) of the picture of another actor's
    clip of the same emotion. No picture is copied twice and no copy is copied, so the planted
    twins are known pairs: ``features["copy_of"]``, clip → clip.

    Parameters
    ----------
    corpus, modality
        "paired", "video": (N, 1, 48, 48) uint8. Its `images` are the groups that a perceptual
        hash finds, so the check of a split counts twins without being told.
    mode
        Has no effect.
    share
        Of the clips, how many show a copy: 0 to 0.4.
    seed
        Deals the pictures and chooses the copies.
    root
        Folder that holds both corpora.
    """
    if (corpus, modality) != ("paired", "video") or not 0 <= share <= 0.4:
        raise ExperimentError(
            f"{corpus}, {modality}, share={share}: twins are planted among the pictures of "
            "paired, video, in a share of 0 to 0.4"
        )
    manifest = paired.manifest(root, seed)
    rows = paired.frames(manifest, 1, seed, root=root)[:, 0]
    folder = paired.folder_of("fer2013", root)
    pixels = np.array(fer2013.images(folder)[rows])
    copies, sources = _pairs(manifest, round(share * len(manifest)), seed)
    altered, order = plant_duplicates(pixels[sources], len(sources), seed)
    pixels[copies[order]] = altered[len(sources) :]
    clips = manifest["clip_id"].to_numpy()
    features = {
        "faces": "FER2013 48×48, one for each clip",
        "copy_of": dict(zip(clips[copies].tolist(), clips[sources].tolist(), strict=True)),
    }
    images = pictures.near_duplicates(pixels)[:, None]
    return _dataset(corpus, manifest, pixels, features, images=images)


def looks(
    corpus: str = "paired",
    modality: str = "video",
    mode: str = "full",
    *,
    pictures: str = "one",
    tested: str | None = None,
    root: str | Path | None = None,
    progress: bool = False,
) -> Dataset:
    """Return what Lu's face network gets of clips that show one person, or several.

    Parameters
    ----------
    corpus, modality
        "paired", "video": uint8 (N, draws, 15, 1, 48, 48).
    mode
        As in `lu.load`.
    pictures
        "one": a clip is one picture that moves, and training draws one of several for it.
        "several": a clip is 15 pictures of different people of its emotion, as this corpus once
        had them. That is a trap: they are 15 independent looks at the emotion.
    tested
        The same of the clips that are not trained on, where they differ.
    root
        Folder that holds both corpora.
    """
    choose("pictures", pictures, PICTURES)
    choose("tested", tested or pictures, PICTURES)
    if (corpus, modality) != ("paired", "video"):
        raise ExperimentError(f"{corpus}, {modality}: several pictures a clip are those of paired")
    one = lu.load(corpus, modality, mode, root=root, progress=progress)
    crowd = paired.frames(one.manifest, lu.FRAMES, root=root)
    faces = fer2013.images(paired.folder_of("fer2013", root))
    several = torch.from_numpy(np.array(faces[crowd]))[:, None, :, None]  # (N, 1, 15, 1, 48, 48)
    stored = {"one": one.samples.inputs["video"], "several": several}
    named = {"trained": pictures, "tested": tested or pictures}
    people = near_duplicates(Request(corpus, modality, root=root))[crowd]
    return replace(
        one,
        samples=Samples({part: stored[kind] for part, kind in named.items()}, one.samples.labels),
        prepare=partial(_look, prepare=one.prepare),
        features=one.features | {"pictures": named},
        images=people,
    )


def _look(
    inputs: dict[str, torch.Tensor], generator: torch.Generator | None, *, prepare: Prepare
) -> dict[str, torch.Tensor]:
    """Show a clip as it is trained on, or as it is tested."""
    shown = inputs["tested" if generator is None else "trained"]
    return prepare({"video": shown}, generator)


def _pairs(manifest: pd.DataFrame, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `count` clips, and for each another of its emotion by another actor, none twice."""
    rng = np.random.default_rng(seed)
    actor, free = manifest["actor"].to_numpy(), np.ones(len(manifest), bool)
    emotion = manifest["emotion"].to_numpy()
    pairs: list[tuple[int, int]] = []
    for row in rng.permutation(len(manifest)):
        if len(pairs) == count:
            break
        others = np.flatnonzero(free & (emotion == emotion[row]) & (actor != actor[row]))
        if free[row] and len(others):
            source = rng.choice(others)
            pairs.append((row, source))
            free[[row, source]] = False
    copies, sources = np.array(pairs, int).reshape(-1, 2).T
    return copies, sources


def recovered(names: Sequence[str]) -> pd.DataFrame:
    """Compare what was planted with what was found, for results on `twins`.

    Parameters
    ----------
    names
        Results of the lab under one split; the first has no planted twins.

    Returns
    -------
    DataFrame
        One row a result. ``planted`` pairs of a training and a test picture are known,
        ``found`` ones are those of the split's check (less what it finds without any planted).
        ``expected`` accuracy follows from what was planted: a test clip whose twin was trained
        on is right, any other as often as without twins. ``measured`` is that of the result.
    """
    rows, plain = [], None
    for name in names:
        result = results.load(LAB, name)
        tested, labels, probabilities, _ = result.pooled()
        right = probabilities.argmax(1) == labels
        plain = (right, result.split.leaks["image"]) if plain is None else plain
        number = {clip: at for at, clip in enumerate(result.samples.clip_ids)}
        fold = np.full(len(number), -1)
        for run in result.runs:
            fold[run.rows()] = run.fold
        twin = [(number[a], number[b]) for a, b in result.features["copy_of"].items()]
        apart = np.array([pair for pair in twin if fold[pair[0]] != fold[pair[1]]], int)
        leaking = np.isin(tested, apart)
        summary = result.summary["accuracy"]
        more = result.split.leaks["image"] - plain[1]
        expected = np.where(leaking, 1.0, plain[0]).mean()
        shares = (leaking.mean(), expected, summary.mean, *summary.interval)
        rows.append((len(twin), apart.size, more, *(100 * share for share in shares)))
    twins = "test clips with a twin in training (%)"
    columns = ["copies", "planted", "found", twins, "expected", "measured", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def panel(
    name: str, people: Sequence[int] = (1, 2, 4, 8, 15), *, draws: int = 200, seed: int = 0
) -> pd.DataFrame:
    """Average the stored answers to several clips of one emotion, as if they were one clip.

    Parameters
    ----------
    name
        A result of the lab.
    people
        How many answers are averaged.
    draws
        How often clips of each emotion are drawn, with replacement.

    Returns
    -------
    DataFrame
        ``people`` and ``accuracy``, each emotion as often as it was tested; empty if the result
        has not been made.
    """
    if not results.path(LAB, name).exists():
        return pd.DataFrame()
    _, labels, probabilities, _ = results.load(LAB, name).pooled()
    generator = np.random.default_rng(seed)
    rows = []
    for count in people:
        right = 0.0
        for label in np.unique(labels):
            own = probabilities[labels == label]
            drawn = own[generator.integers(len(own), size=(draws, count))]  # (draws, people, C)
            right += len(own) * (drawn.mean(1).argmax(1) == label).mean()
        rows.append((count, right / len(labels)))
    return pd.DataFrame(rows, columns=["people", "accuracy"])


# --- the full runs -------------------------------------------------------------------------

INPUTS: Mapping[str, Callable[..., Dataset]] = {
    "numbers": numbers,
    "faces": faces,
    "voices": voices,
    "room tones": room_tones,
    "twins": twins,
    "looks": looks,
}
load = loader(INPUTS)


def split(kind: str, manifest: pd.DataFrame, *, dose: int | None = None, **options) -> splits.Split:
    """Return a split, or the one of `dosed`."""
    if dose is not None:
        return dosed(manifest, dose)
    return splits.make(kind, manifest, **options)


def learner(experiment: Experiment, mode: str, device: str) -> engine.Learner:
    """Return what the option ``learner`` names: one of `LEARNERS`, or a paper's network."""
    options = dict(experiment.options)
    name = options.pop("learner", "neighbour")
    choose("learner", name, (*LEARNERS, *registry.PAPERS))
    if name in registry.PAPERS:
        return engine.network(name, replace(experiment, options=options), mode, device)
    engine.refuse_unknown("option", options, Plain, ("learner", "modality"))
    return Plain(name, experiment.modality, **options)


DOSES = (0, 1, 2, 4, 8, 15, 29)
TWINS = (0, 5, 10, 20, 40)  # per cent of the clips that show a planted copy

#: One cycle of a higher rate instead of the papers' hundreds of epochs: 66 runs on some hundred
#: faces, and 33 on 1,440 voices, have to end within minutes on one core.
DING = TrainingRecipe(lr=4e-3, eps=1e-7, batch_size=32, max_epochs=30, scheduler="onecycle")
LU = TrainingRecipe(lr=2e-3, batch_size=64, max_epochs=20, scheduler="onecycle")
#: As the paired runs of Lu's face network, in half the epochs.
LOOKS = replace(lu.RECIPE, lr=4e-3, batch_size=32, max_epochs=10)
FULL: dict[str, Experiment] = experiments_beside(__file__, DING=DING, LU=LU, LOOKS=LOOKS)


# --- reading them --------------------------------------------------------------------------


def ladder(experiments_of: Mapping[str, Sequence[str]], metric: str = "accuracy") -> pd.DataFrame:
    """Return one row a rung: what leaks, and the accuracy that is left.

    Parameters
    ----------
    experiments_of
        Model → names of results, ``<experiment>`` of the lab or ``<paper>/<experiment>``.
        A result that has not been made keeps its row, with the command that makes it.
    metric
        A metric of the results' summary. "segment_accuracy" is comparable on all rungs where
        one sample is a segment.

    Returns
    -------
    DataFrame
        Columns ``model, rung, test, value, low, high`` (percent), ``same clip, same actor``
        (leaking pairs of training and test rows), ``seeds``, ``title``, ``command``.
    """
    rows = [
        {"model": model} | _rung(f"{LAB}/{name}", metric)
        for model, names in experiments_of.items()
        for name in names
    ]
    counts = dict.fromkeys(("test", "same clip", "same actor", "seeds"), "Int64")
    columns = ["model", "rung", "test", "value", "low", "high", *counts, "title", "command"]
    return pd.DataFrame(rows, columns=list(dict.fromkeys(columns))).astype(counts)


def _rung(name: str, metric: str) -> dict[str, object]:
    """Return what one result says, or the command that makes it."""
    key, experiment = name.split("/")[-2:]
    if not results.path(key, experiment).exists():
        return {"rung": experiment.split("-")[-1], "command": command(key, experiment)}
    result = results.load(key, experiment)
    summary = result.summary.get(metric) or result.summary["accuracy"]
    leaks = result.split.leaks
    return {
        "rung": result.split.kind,
        "test": sum(run.counts["test"]["n"] for run in result.runs if run.seed == result.seeds[0]),
        "value": 100 * summary.mean,
        "low": 100 * summary.interval[0],
        "high": 100 * summary.interval[1],
        "same clip": leaks.get("segment", 0) + leaks.get("twin", 0),
        "same actor": leaks.get("actor", 0),
        "seeds": len(result.seeds),
        "title": result.title,
        "command": "",
    }


def tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Return a ladder as a page shows it: one decimal, without titles and empty columns."""
    text = table.drop(columns="title").copy()
    floats = text.select_dtypes("float").columns
    text[floats] = text[floats].map(lambda value: "" if pd.isna(value) else f"{value:.1f}")
    text = text.astype(object).where(text.notna(), "")
    return text.loc[:, (text != "").any()]


def in_words(table: pd.DataFrame, knob: str, x: str) -> str:
    """Return a ladder as sentences, for the text that stands in for its figure.

    Examples
    --------
    >>> in_words(pd.DataFrame({"model": ["SVM"], "rung": ["actor"], "value": [64.03]}),
    ...          "model", "rung")
    'SVM: actor 64 percent.'
    """
    measured = table.dropna(subset=["value"])
    return " ".join(
        f"{choice}: {', '.join(f'{row[x]} {row.value:.0f}' for _, row in rows.iterrows())} percent."
        for choice, rows in measured.groupby(knob, sort=False)
    )


def compare(first: str, second: str) -> dict[str, float | None]:
    """Compare two of the lab's results on the same clips: McNemar, and t over folds and seeds."""
    a, b = results.load(LAB, first), results.load(LAB, second)
    if a.split.sha256 != b.split.sha256:
        raise ExperimentError(f"{first} and {second} were tested under different splits")
    table = a.table().merge(b.table(), on=["seed", "fold"], suffixes=("", "_second"))
    _, labels, left, _ = a.pooled()
    _, _, right, _ = b.pooled()
    seen = (table["n_train"] + table["n_valid"]).mean()
    gain = table["accuracy_second"] - table["accuracy"]
    counts = {"n_train": seen, "n_test": table["n_test"].mean()}
    outcome = evaluation.paired_comparison(
        labels, left, right, fold_differences=gain.tolist(), **counts
    )
    return {
        "only first right": outcome.only_first,
        "only second right": outcome.only_second,
        "difference (points)": 100 * float(gain.mean()),
        "McNemar p (first seed)": outcome.mcnemar_p,
        "corrected t": outcome.t,
        "p of t": outcome.t_p,
    }


def comparisons(pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Return `compare` for every pair whose results have both been made, one row each.

    The rows are called by first and second.
    """
    stored = [pair for pair in pairs if all(results.path(LAB, name).exists() for name in pair)]
    index = pd.MultiIndex.from_tuples(stored, names=["first", "second"])
    return pd.DataFrame([compare(*pair) for pair in stored], index=index)
