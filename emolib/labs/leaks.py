"""The leak ladder: the same model and the same recordings, under splits of rising honesty.

Nothing here is a paper's method. Plain learners on a few numbers per clip, and two of the papers'
own branches, are tested by segment, by clip and by actor, so that what a split gives away can be
told from what a model has learned. Results lie under ``data/results/lab_leaks``.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch.nn import functional as F

from emolib import evaluation, paths, results
from emolib.corpora import ckplus, splits
from emolib.papers import ding, engine
from emolib.papers.engine import Dataset, ExperimentError
from emolib.training import Samples, TrainingRecipe

LAB = "lab_leaks"
MODALITIES = {"audio": ("audio",), "video": ("video",), "both": ("audio", "video")}
FUSIONS = ("early", "arithmetic", "geometric")
NORMALISATIONS = ("train", "speaker")


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
    if segments not in (1, ding.SEGMENTS) or normalise not in NORMALISATIONS:
        raise ExperimentError(
            f"segments={segments}, normalise={normalise!r}: known are 1 and {ding.SEGMENTS}, "
            f"and {', '.join(NORMALISATIONS)}"
        )
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
        inputs["video"] = _action_units(manifest, root).repeat_interleave(segments, 0)
    if normalise == "speaker":
        speaker = np.repeat(manifest["actor"].to_numpy(), segments)
        inputs = {name: _by_speaker(values, speaker) for name, values in inputs.items()}
    return replace(
        voices,
        samples=Samples(
            inputs, voices.samples.labels[:: ding.SEGMENTS].repeat_interleave(segments)
        ),
        n_segments=segments,
        prepare=None,
        features={
            "numbers": {name: values.shape[1] for name, values in inputs.items()},
            "segments": segments,
            "normalise": normalise,
            "clips_left_out": voices.features["clips_left_out"],
        },
    )


def _action_units(manifest: pd.DataFrame, root: str | Path | None) -> torch.Tensor:
    from emolib.corpora import ravdess

    table = ravdess.action_units(root).loc[manifest["clip_id"]]
    return torch.tensor(table.to_numpy(), dtype=torch.float32)


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
    """Return the posed faces of CK+; the three frames of a sequence are its segments.

    Parameters
    ----------
    corpus, modality
        "ckplus", "video": (N, 1, size, size) uint8. "ckplus+fer2013" has the pictures of
        FER2013's PublicTest too, and the six emotions that both corpora have.
    mode
        "quick" takes the first 24 people, and as many pictures of FER2013 as they have.
    size
        64 (bilinear, the input of Ding's network) or 48 (as they are).
    shared
        Of CK+ alone, take the emotions that FER2013 has too.
    root
        Folder of the corpus, or the one that holds both.
    """
    from emolib.corpora import fer2013

    if corpus not in _FACES or modality != "video":
        raise ExperimentError(
            f"{corpus}, {modality}: these are the faces of {' or '.join(_FACES)}, video"
        )
    manifest, pixels = _FACES[corpus](root)
    pixels = torch.from_numpy(pixels)[:, None]
    kept = np.ones(len(manifest), bool)
    if shared:
        kept &= manifest["emotion"].isin(fer2013.CLASSES).to_numpy()
    if mode == "quick":
        people = sorted(set(manifest["actor"]) - {""})[:24]
        few = manifest["actor"].isin(people).to_numpy()
        nameless = (manifest["actor"] == "").to_numpy()
        kept &= few | (nameless & (nameless.cumsum() <= few.sum()))
    manifest, pixels = manifest[kept].reset_index(drop=True), pixels[torch.from_numpy(kept)]
    if size != pixels.shape[-1]:
        large = F.interpolate(pixels.float(), (size, size), mode="bilinear", align_corners=False)
        pixels = large.round().clamp(0, 255).to(torch.uint8)
    classes = tuple(c for c in ckplus.CLASSES if c in set(manifest["emotion"]))
    labels = torch.tensor([classes.index(emotion) for emotion in manifest["emotion"]])
    said = "FER2013 (PublicTest) and " if "fer2013" in corpus else ""
    return Dataset(
        samples=Samples({"video": pixels}, labels),
        manifest=manifest,
        n_segments=1,
        classes=classes,
        prepare=ding.prepare,
        features={"faces": f"{said}CK+ 48×48 → {size}×{size}", "clips_left_out": 0},
    )


def _posed(root: str | Path | None) -> tuple[pd.DataFrame, np.ndarray]:
    return ckplus.manifest(root), np.array(ckplus.images(root))


def _posed_and_found(root: str | Path | None) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the faces of CK+ and of FER2013's PublicTest, with the emotions of both."""
    from emolib.corpora import fer2013, paired

    folder = {name: paired.folder_of(name, root) for name in ("ckplus", "fer2013")}
    found = fer2013.manifest(folder["fer2013"])
    manifest = splits.combine(
        ckplus.manifest(folder["ckplus"]), found[found["usage"] == "PublicTest"]
    )
    images = {
        "ckplus": ckplus.images(folder["ckplus"]), "fer2013": fer2013.images(folder["fer2013"]),
    }  # fmt: skip
    rows = zip(manifest["corpus"], manifest["row"].astype(int), strict=True)
    return manifest, np.stack([images[name][row] for name, row in rows])


_FACES = {"ckplus": _posed, "ckplus+fer2013": _posed_and_found}


def voices(
    corpus: str, modality: str = "audio", mode: str = "full", *, root: str | Path | None = None
) -> Dataset:
    """Return what Lu's audio network gets: the mean MFCC of each clip, (N, 40, 1)."""
    data = numbers(corpus, modality, mode, root=root)
    audio = data.samples.inputs["audio"].unsqueeze(2)
    return replace(
        data,
        samples=Samples({"audio": audio}, data.samples.labels),
        standardise={"audio": (0, 2)},
    )


# --- plain learners ------------------------------------------------------------------------


@dataclass(frozen=True)
class Learner:
    """A classifier that is trained in seconds.

    Attributes
    ----------
    name
        As it is called in a title.
    make
        Seed → an unfitted scikit-learn classifier.
    scores
        (fitted, X) → one score per class; the largest is the answer.
    size
        Fitted → how many numbers it stores.
    recipe
        What it is, for the result.
    """

    name: str
    make: Callable[[int], Any]
    scores: Callable[[Any, np.ndarray], np.ndarray]
    size: Callable[[Any], int]
    recipe: dict[str, Any]


def _log_share(model, x: np.ndarray) -> np.ndarray:
    return np.log(np.clip(model.predict_proba(x), 1e-6, 1))


#: Settings were fixed beforehand and not tuned: no split was looked at to choose them.
LEARNERS: Mapping[str, Learner] = {
    "neighbour": Learner(
        "Nearest neighbour",
        lambda seed: KNeighborsClassifier(1),
        _log_share,
        lambda model: model.n_samples_fit_ * model.n_features_in_,
        {"classifier": "nearest neighbour, Euclidean"},
    ),
    "svm": Learner(
        "SVM",
        lambda seed: SVC(C=10, gamma="scale"),
        lambda model, x: model.decision_function(x),
        lambda model: model.support_vectors_.size + model.dual_coef_.size,
        {"classifier": "SVM, RBF kernel", "C": 10, "gamma": "scale"},
    ),
    "mlp": Learner(
        "MLP",
        lambda seed: MLPClassifier((64,), alpha=0.01, max_iter=200, random_state=seed),
        _log_share,
        lambda model: sum(weights.size for weights in (*model.coefs_, *model.intercepts_)),
        {"classifier": "MLP, 64 hidden units", "alpha": 0.01, "epochs": 200},
    ),
}


@dataclass(frozen=True)
class Fitted:
    """A fitted learner, its temperature, and its probabilities (N, C) of the test rows."""

    model: Pipeline
    temperature: float
    probabilities: np.ndarray


def fit_scaled(learner: Learner, seed: int, parts: Sequence[tuple], n_classes: int) -> Fitted:
    """Fit on train, choose the temperature on valid, fit again on both, predict the test.

    The temperature turns scores into probabilities that can be averaged over modalities; it
    never changes an answer.
    """
    (x, y), (x_valid, y_valid), (x_test, _) = parts
    scores = class_scores(learner, _pipeline(learner, seed, x, y), x_valid, n_classes)
    temperature = _temperature(scores, y_valid)
    model = _pipeline(learner, seed, np.concatenate([x, x_valid]), np.concatenate([y, y_valid]))
    scores = class_scores(learner, model, x_test, n_classes)
    return Fitted(model, temperature, softmax(scores / temperature, axis=1))


def _pipeline(learner: Learner, seed: int, x: np.ndarray, y: np.ndarray) -> Pipeline:
    model = make_pipeline(StandardScaler(), learner.make(seed))
    with warnings.catch_warnings():
        # To stop after so many passes is the recipe, not an accident.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y)


def class_scores(learner: Learner, model: Pipeline, x: np.ndarray, n_classes: int) -> np.ndarray:
    """Return scores (N, n_classes); a class that was never seen gets the lowest."""
    known = learner.scores(model[-1], model[:-1].transform(x))
    scores = np.full((len(x), n_classes), known.min() - 1.0)
    scores[:, model.classes_] = known
    return scores


def _temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the T for which softmax(scores / T) gives the labels the most probability."""

    def loss(log_t: float) -> float:
        logs = log_softmax(scores / np.exp(log_t), axis=1)
        return -logs[np.arange(len(labels)), labels].mean()

    return float(np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x))


def classify(
    learner: str,
    *,
    corpus: str,
    split: "str | splits.Split",
    modality: str,
    fusion: str = "early",
    seeds: Sequence[int] = (0,),
    mode: str = "quick",
    data: Mapping[str, Any] | None = None,
    load: Callable[..., Dataset] = numbers,
    split_options: Mapping[str, Any] | None = None,
    allow_leak: str | None = None,
    experiment: str | None = None,
    note: str = "",
) -> results.Result:
    """Train and test a plain learner on every fold, like `engine.run` does for networks.

    Parameters
    ----------
    learner
        One of `LEARNERS`.
    corpus, modality, mode, data, load
        What the learner sees: ``load(corpus, modality, mode, **data)``, flattened.
    split, split_options, allow_leak
        As in `engine.run`: a leak must be named.
    fusion
        Of several modalities: "early" joins their numbers, "arithmetic" and "geometric" are the
        means of the probabilities of one learner each (Lu's eq. 7 and 8).
    seeds
        Only the MLP depends on them.
    """
    if learner not in LEARNERS or fusion not in FUSIONS:
        raise ExperimentError(
            f"learner {learner!r}, fusion {fusion!r}: known are {', '.join(LEARNERS)}; "
            f"{', '.join(FUSIONS)}"
        )
    dataset = load(corpus, modality, mode, **dict(data or {}))
    split, leaks = engine.checked(split, dataset, allow_leak, **dict(split_options or {}))
    inputs = [_flat(values) for values in dataset.samples.inputs.values()]
    if fusion == "early":
        inputs = [np.concatenate(inputs, axis=1)]
    work = _Work(LEARNERS[learner], dataset, split, inputs, fusion, results.commit())
    done = [_classified(work, seed, fold) for seed in seeds for fold in range(split.n_folds)]
    runs = [run for run, _ in done]
    said = f"{fusion} fusion" if modality == "both" else ""
    title = results.compose_title(
        "", corpus, modality, split.kind,
        allow_leak=allow_leak, mode=mode, note=", ".join(filter(None, (said, note))),
    )  # fmt: skip
    return engine.compose(
        runs,
        dataset,
        split,
        key=LAB,
        experiment=experiment or f"{learner}-{corpus}-{modality}-{split.kind}",
        title=f"{LEARNERS[learner].name}, {title}",
        mode=mode,
        corpus=corpus,
        modality=modality,
        allow_leak=allow_leak,
        leaks=leaks,
        model=results.ModelUsed(
            options={"learner": learner, "fusion": fusion, "inputs": [x.shape[1] for x in inputs]},
            parameters=done[0][1],
        ),
        recipe={**LEARNERS[learner].recipe, "standardised": "with the training rows"},
        threads=torch.get_num_threads(),
    )


def _flat(values: torch.Tensor) -> np.ndarray:
    return values.reshape(len(values), -1).double().numpy()


@dataclass(frozen=True)
class _Work:
    """What all folds of one experiment share."""

    learner: Learner
    dataset: Dataset
    split: splits.Split
    inputs: list[np.ndarray]
    fusion: str
    made_from: tuple[str | None, bool]


def _classified(work: _Work, seed: int, fold: int) -> tuple[results.Run, int]:
    """Return one run, and how many numbers its learners store."""
    started = time.perf_counter()
    dataset = work.dataset
    rows = dataset.rows(work.split, fold)
    labels = dataset.samples.labels.numpy()
    fitted = [
        fit_scaled(
            work.learner, seed, [(x[rows[p]], labels[rows[p]]) for p in splits.PARTS],
            len(dataset.classes),
        )
        for x in work.inputs
    ]  # fmt: skip
    each = [one.probabilities for one in fitted]
    probabilities = each[0] if len(each) == 1 else evaluation.fuse(each, work.fusion)
    level = engine.level_of(work.split, dataset)
    metrics, predictions = engine.judge(dataset, level, rows["test"], probabilities)
    commit, dirty = work.made_from
    run = results.Run(
        seed=seed,
        fold=fold,
        commit=commit,
        dirty=dirty,
        metrics=metrics,
        history_summary={
            "temperature": float(np.mean([one.temperature for one in fitted])),
            "seconds": round(time.perf_counter() - started, 2),
        },
        counts={part: dataset.counts(indices) for part, indices in rows.items()},
        predictions=predictions,
    )
    return run, sum(work.learner.size(one.model[-1]) for one in fitted)


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
    from emolib import corpora
    from emolib.features.audio import MelSpectrogram

    if (corpus, modality) != ("synthetic", "audio"):
        raise ExperimentError("room tones are planted in the sound of the synthetic corpus only")
    manifest = corpora.load(
        "synthetic", root, actors=2, modality="audio", statements=1, leak="segment", progress=False
    )
    recipe = MelSpectrogram(n_mels=128, duration_s=None)
    floors = []
    for row in manifest.to_dict("records"):
        parts = np.array_split(recipe.compute(row), ding.SEGMENTS, axis=1)
        floors.extend(np.quantile(part, 0.1, axis=1) for part in parts)
    classes = tuple(dict.fromkeys(manifest["emotion"]))
    labels = torch.tensor([classes.index(emotion) for emotion in manifest["emotion"]])
    return Dataset(
        samples=Samples(
            {"audio": torch.tensor(np.array(floors), dtype=torch.float32)},
            labels.repeat_interleave(ding.SEGMENTS),
        ),
        manifest=manifest,
        n_segments=ding.SEGMENTS,
        classes=classes,
        features={"floor": repr(recipe), "clips_left_out": 0},
    )


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
    from emolib.corpora import fer2013, paired, pictures

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
    return Dataset(
        samples=Samples(
            {"video": torch.from_numpy(pixels)[:, None]},
            torch.tensor([paired.CLASSES.index(emotion) for emotion in manifest["emotion"]]),
        ),
        manifest=manifest,
        n_segments=1,
        classes=paired.CLASSES,
        prepare=ding.prepare,
        features={
            "faces": "FER2013 48×48, one for each clip",
            "copy_of": dict(zip(clips[copies].tolist(), clips[sources].tolist(), strict=True)),
            "clips_left_out": 0,
        },
        images=pictures.near_duplicates(pixels)[:, None],
    )


def _pairs(manifest: pd.DataFrame, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `count` clips, and for each another of its emotion by another actor, none twice."""
    rng = np.random.default_rng(seed)
    actor, free = manifest["actor"].to_numpy(), np.ones(len(manifest), bool)
    emotion = manifest["emotion"].to_numpy()
    copies, sources = [], []
    for row in rng.permutation(len(manifest)):
        if len(copies) == count:
            break
        others = np.flatnonzero(free & (emotion == emotion[row]) & (actor != actor[row]))
        if free[row] and len(others):
            source = rng.choice(others)
            copies.append(row)
            sources.append(source)
            free[[row, source]] = False
    return np.array(copies, int), np.array(sources, int)


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
        rows.append(
            {
                "copies": len(twin),
                "planted": apart.size,
                "found": result.split.leaks["image"] - plain[1],
                "test clips with a twin in training (%)": 100 * leaking.mean(),
                "expected": 100 * np.where(leaking, 1.0, plain[0]).mean(),
                "measured": 100 * summary.mean,
                "low": 100 * summary.interval[0],
                "high": 100 * summary.interval[1],
            }
        )
    return pd.DataFrame(rows)


# --- the full runs -------------------------------------------------------------------------

_SEEDS = (0, 1, 2)
#: One cycle of a higher rate instead of the papers' hundreds of epochs: 66 runs on some hundred
#: faces, and 33 on 1,440 voices, have to end within minutes on one core.
_CYCLE = TrainingRecipe(lr=4e-3, eps=1e-7, batch_size=32, max_epochs=30, scheduler="onecycle")
_LU = TrainingRecipe(lr=2e-3, batch_size=64, max_epochs=20, scheduler="onecycle")
DOSES = (0, 1, 2, 4, 8, 15, 29)
TWINS = (0, 5, 10, 20, 40)  # per cent of the clips that show a planted copy


def _named(kind: str) -> dict[str, Any]:
    return {"split": kind, "allow_leak": kind if kind in engine.LEAKING else None}


def _across() -> dict[str, dict[str, Any]]:
    """Return the rungs over the emotions that CK+ and FER2013 share: actor, corpus, and back."""
    faced = {"modality": "video", "load": faces}
    both = {**faced, "corpus": "ckplus+fer2013", "split": "corpus", "data": {}}
    return {
        "shared-actor": {
            **faced, "corpus": "ckplus", "split": "actor", "data": {"shared": True},
            "note": "the six emotions of FER2013",
        },
        "shared-corpus": {
            **both, "split_options": {"test": "fer2013"}, "note": "tested on FER2013",
        },
        "shared-corpus-back": {
            **both, "split_options": {"test": "ckplus"}, "note": "tested on CK+",
        },
    }  # fmt: skip


def _plain() -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the experiments of the plain learners."""
    ravdess = {"corpus": "ravdess"}
    for kind in ("segment", "clip", "actor"):
        for learner in ("neighbour", "svm"):
            said = {
                **ravdess,
                **_named(kind),
                "data": {"segments": 6},
                "note": "six samples a clip",
            }
            yield f"{learner}-segments-{kind}", {"learner": learner, "modality": "audio", **said}
            yield (
                f"{learner}-pixels-{kind}",
                {"learner": learner, "corpus": "ckplus", "modality": "video", "load": faces,
                 "data": {"size": 48}, "note": "pixels", **_named(kind)},
            )  # fmt: skip
    said = {**ravdess, **_named("segment"), "data": {"segments": 6}, "modality": "both"}
    for learner in ("neighbour", "svm"):
        yield (
            f"{learner}-early-segment",
            {"learner": learner, **said, "note": "six samples share the action units of a clip"},
        )
    for name, said in _across().items():
        for learner in ("neighbour", "svm"):
            yield (
                f"{learner}-{name}",
                {"learner": learner, **said, "data": {"size": 48, **said["data"]}},
            )
    for kind in ("clip", "actor"):
        for learner, seeds in (("neighbour", (0,)), ("svm", (0,)), ("mlp", _SEEDS)):
            shared = {"learner": learner, **ravdess, **_named(kind), "seeds": seeds}
            for modality in ("audio", "video"):
                yield f"{learner}-{modality}-{kind}", {**shared, "modality": modality}
            for fusion in FUSIONS[: 1 if learner == "neighbour" else 3]:
                both = {**shared, "modality": "both", "fusion": fusion}
                yield f"{learner}-{fusion}-{kind}", both
    for modality in MODALITIES:
        said = {**ravdess, **_named("actor"), "modality": modality, "learner": "svm"}
        said |= {"data": {"normalise": "speaker"}, "note": "each speaker standardised alone"}
        yield f"svm-{'early' if modality == 'both' else modality}-actor-speaker", said
    for percent in TWINS:
        yield (
            f"neighbour-twins-{percent:02}",
            {"learner": "neighbour", "corpus": "paired", "modality": "video", "load": twins,
             "split": "actor", "allow_leak": "image" if percent else None,
             "data": {"share": percent / 100}, "note": f"{percent} % planted twins"},
        )  # fmt: skip
    for dose in DOSES:
        said = {**ravdess, "modality": "both", "learner": "svm"}
        said |= {"allow_leak": "clip" if dose else None}
        yield f"svm-dose-{dose:02}", {**said, "dose": dose, "note": f"{dose} clips of each tester"}


#: Name → arguments of `classify`, and ``dose`` where the split is one of `dosed`.
PLAIN: Mapping[str, dict[str, Any]] = dict(_plain())

#: Name → arguments of `engine.run`, with the paper's key.
NETWORKS: Mapping[str, dict[str, Any]] = {
    **{
        f"ding-faces-{kind}": {
            "key": "ding", "corpus": "ckplus", "modality": "video", "load": faces,
            "recipe": _CYCLE, "seeds": _SEEDS, **_named(kind),
        }
        for kind in ("segment", "clip", "actor")
    },
    **{
        f"lu-audio-{kind}": {
            "key": "lu", "corpus": "ravdess", "modality": "audio", "load": voices,
            "recipe": _LU, "seeds": _SEEDS, "note": "20 epochs", **_named(kind),
        }
        for kind in ("clip", "actor")
    },
    **{
        f"ding-{name}": {"key": "ding", "recipe": _CYCLE, "seeds": _SEEDS, **said}
        for name, said in _across().items()
    },
}  # fmt: skip
FULL: Mapping[str, dict[str, Any]] = {**PLAIN, **NETWORKS}


def run_full(names: Sequence[str] | None = None, *, progress: bool = True) -> list[Path]:
    """Run the lab's full experiments (all, or those named) and save their results."""
    unknown = sorted(set(names or ()) - set(FULL))
    if unknown:
        raise ExperimentError(
            f"the lab has no experiment {', '.join(unknown)}: it has {', '.join(FULL)}"
        )
    saved = []
    for name in names or FULL:
        said = dict(FULL[name])
        if name in PLAIN:
            if (dose := said.pop("dose", None)) is not None:
                manifest = numbers(said["corpus"], "audio", "full").manifest
                said["split"] = dosed(manifest, dose)
            result = classify(said.pop("learner"), **said, mode="full", experiment=name)
        else:
            made = engine.run(
                said.pop("key"), **said, mode="full", experiment=name, progress=progress
            )
            result = made.model_copy(update={"key": LAB})
        saved.append(results.save(result))
    return saved


_COLUMNS = [
    "model", "rung", "test", "value", "low", "high", "same clip", "same actor", "seeds", "title",
    "command",
]  # fmt: skip


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
    rows = []
    for model, names in experiments_of.items():
        for name in names:
            key, _, experiment = f"{LAB}/{name}".rpartition("/")
            key = key.rpartition("/")[2]
            if not results.path(key, experiment).exists():
                command = (
                    f"emolib train {key} --experiment {experiment}" if key != LAB
                    else f"python -m emolib.labs.leaks {experiment}"
                )  # fmt: skip
                rows.append({"model": model, "rung": experiment.split("-")[-1], "command": command})
                continue
            result = results.load(key, experiment)
            summary = result.summary.get(metric) or result.summary["accuracy"]
            tested = [run.counts["test"]["n"] for run in result.runs if run.seed == result.seeds[0]]
            leaks = result.split.leaks
            rows.append(
                {
                    "model": model,
                    "rung": result.split.kind,
                    "test": sum(tested),
                    "value": 100 * summary.mean,
                    "low": 100 * summary.interval[0],
                    "high": 100 * summary.interval[1],
                    "same clip": leaks.get("segment", 0) + leaks.get("twin", 0),
                    "same actor": leaks.get("actor", 0),
                    "seeds": len(result.seeds),
                    "title": result.title,
                    "command": "",
                }
            )
    counts = dict.fromkeys(("test", "same clip", "same actor", "seeds"), "Int64")
    return pd.DataFrame(rows, columns=_COLUMNS).astype(counts)


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
    made = table.dropna(subset=["value"])
    return " ".join(
        f"{choice}: {', '.join(f'{row[x]} {row.value:.0f}' for _, row in rows.iterrows())} percent."
        for choice, rows in made.groupby(knob, sort=False)
    )


def compare(first: str, second: str) -> dict[str, float]:
    """Compare two of the lab's results on the same clips: McNemar, and t over folds and seeds."""
    a, b = results.load(LAB, first), results.load(LAB, second)
    if a.split.sha256 != b.split.sha256:
        raise ExperimentError(f"{first} and {second} were tested under different splits")
    table = a.table().merge(b.table(), on=["seed", "fold"], suffixes=("", "_second"))
    _, labels, left, _ = a.pooled()
    _, _, right, _ = b.pooled()
    seen = (table["n_train"] + table["n_valid"]).mean()
    outcome = evaluation.paired_comparison(
        labels,
        left,
        right,
        fold_differences=(table["accuracy_second"] - table["accuracy"]).tolist(),
        n_train=seen,
        n_test=table["n_test"].mean(),
    )
    return {
        "only first right": outcome.only_first,
        "only second right": outcome.only_second,
        "difference (points)": 100 * float(np.mean(table["accuracy_second"] - table["accuracy"])),
        "McNemar p (first seed)": outcome.mcnemar_p,
        "corrected t": outcome.t,
        "p of t": outcome.t_p,
    }


def comparisons(pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Return `compare` for every pair whose results have both been made, one row each.

    The rows are called by first and second.
    """
    made = [
        pair for pair in pairs if all(results.path(LAB, name).exists() for name in pair)
    ]  # fmt: skip
    index = pd.MultiIndex.from_tuples(made, names=["first", "second"])
    return pd.DataFrame([compare(*pair) for pair in made], index=index)


SCAN = "fer2013-near-duplicates.csv"


def scan_fer2013(root: str | Path | None = None) -> Path:
    """Scan FER2013 for pictures that look the same, and write the findings as a table."""
    from emolib.corpora import fer2013, pictures

    manifest = fer2013.manifest(root)
    report = pictures.near_duplicate_report(
        fer2013.images(root), manifest["emotion"].to_numpy(), manifest["usage"].to_numpy()
    )
    target = paths.RESULTS / LAB / SCAN
    with paths.atomic(target) as part:
        report.assign(pictures=len(manifest), commit=results.commit()[0]).to_csv(part)
    return target


if __name__ == "__main__":
    import sys

    for file in run_full(sys.argv[1:] or None):
        print(file)
