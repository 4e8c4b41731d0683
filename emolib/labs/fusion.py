"""Two decisions become one: Lu's arithmetic and geometric mean, on answers that are stored.

The fusion of Section III-C has no weights. So the 24 cells of Tables VII and VIII need seven
trained networks and not 24: `cells` fuses the stored answers of the branches, on the same clips,
within seconds. `noise` asks on true audio-visual recordings, and `noise_in_branches` with Lu's own
networks, which mean is better when one modality goes bad, `sharpness` why.
`leave_one_emotion_out` repeats Fig. 9 with a learner that is trained in seconds,
`voices_without` with Lu's voice network, and `voice_variants` changes its kernels and widths.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax

from emolib import evaluation, paths, results, training
from emolib.corpora import splits
from emolib.corpora.ravdess import CLASSES
from emolib.labs import grid, leaks, learners
from emolib.models.lu import FACE, SPEECH
from emolib.papers import engine
from emolib.papers.engine import Dataset
from emolib.papers.experiment import Experiment, ExperimentError, command
from emolib.training import Samples

MEANS = {"GM": "geometric", "AM": "arithmetic"}
CHOICE = ("F4", "S2", "GM")  # the paper's
LEVELS = (0, 0.5, 1, 2, 4)  # of noise, in standard deviations
#: Stored probabilities have 16 bits. What was rounded to nothing gets half a code: a geometric
#: mean would otherwise take it for a certainty.
_SMALLEST = 0.5 / (2**16 - 1)

#: Arousal and valence of the emotions on the circumplex. The paper's text calls anger
#: "high-valence", which is another axis: anger is unpleasant.
GROUPS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "arousal": {
        "high": ("happy", "angry", "fearful", "disgust", "surprised"),
        "low": ("neutral", "calm", "sad"),
    },
    "valence": {
        "pleasant": ("happy", "calm", "surprised"),
        "neither": ("neutral",),
        "unpleasant": ("sad", "angry", "fearful", "disgust"),
    },
}


# --- fusing stored answers -----------------------------------------------------------------


def fused(face: results.Result, speech: results.Result, how: str = "geometric") -> results.Result:
    """Fuse the stored answers of two branches, fold by fold (eq. 7 or 8).

    Parameters
    ----------
    face, speech
        Results on the same clips, with the same folds and seeds. A run that only one of them
        has is left out.
    how
        "geometric" or "arithmetic".

    Returns
    -------
    Result
        As if the bimodal network had been run; not to be saved beside the branches.

    Raises
    ------
    ExperimentError
        If the branches tell other classes apart, or were tested on other clips.
    """
    same_classes(face.classes, speech.classes, "the face branch", "the speech branch")
    if face.samples.clip_ids != speech.samples.clip_ids or face.split.sha256 != speech.split.sha256:
        raise ExperimentError(
            f"{face.experiment} and {speech.experiment} were not tested on the same clips and "
            "folds: run both on one corpus and split"
        )
    voices = {(run.seed, run.fold): run for run in speech.runs}
    labels = np.array(face.samples.labels)
    runs = []
    for run in face.runs:
        voice = voices.get((run.seed, run.fold))
        if voice is None:
            continue
        rows = run.rows()
        if not np.array_equal(rows, voice.rows()):
            raise ExperimentError(f"fold {run.fold}: the branches tested other clips")
        both = [np.clip(one.probabilities(), _SMALLEST, 1) for one in (run, voice)]
        probabilities = evaluation.fuse(both, how)
        judged = evaluation.evaluate(labels[rows], probabilities, face.classes, draws=1)
        metrics = {name: getattr(judged, name) for name in engine.METRICS}
        packed = {"clip": results.Packed.pack(rows.tolist(), probabilities, bits=16)}
        runs.append(run.model_copy(update={"metrics": metrics, "predictions": packed}))
    if not runs:
        raise ExperimentError(
            f"{face.experiment} and {speech.experiment} share no seed and fold: run one more"
        )
    options = {**face.model.options, **speech.model.options, "modality": "both", "fusion": how}
    return face.model_copy(
        update={
            "experiment": f"{face.experiment} + {speech.experiment}, {how}",
            "modality": "both",
            "model": results.ModelUsed(
                options=options, parameters=face.model.parameters + speech.model.parameters
            ),
            "split": face.split.model_copy(update={"folds": sorted({run.fold for run in runs})}),
            "summary": results.summarise(runs, face.samples, face.classes, "clip", 1),
            "runs": runs,
        }
    )


def shared(*branches: results.Result) -> list[results.Result]:
    """Return results with the runs alone that all of them have: the same seeds and folds.

    Raises
    ------
    ExperimentError
        If there is no such run.
    """
    common = set.intersection(*({(run.seed, run.fold) for run in one.runs} for one in branches))
    if not common:
        names = " and ".join(one.experiment for one in branches)
        raise ExperimentError(f"{names} share no seed and fold: run one more")
    alike = []
    for one in branches:
        runs = [run for run in one.runs if (run.seed, run.fold) in common]
        summary = results.summarise(runs, one.samples, one.classes, one.level, one.n_segments)
        folds = sorted({run.fold for run in runs})
        split = one.split.model_copy(update={"folds": folds})
        alike.append(one.model_copy(update={"runs": runs, "summary": summary, "split": split}))
    return alike


def same_classes(
    first: Sequence[str], second: Sequence[str], one: str = "the network", other: str = "the data"
) -> None:
    """Refuse a head that does not fit: the same emotions in the same order are wanted.

    Raises
    ------
    ExperimentError
        Naming the emotions that only one side has. The paper keeps eight outputs for the six
        emotions of CREMA-D; two of them would share the probability and could be answered.
    """
    if list(first) == list(second):
        return
    sides = ((one, {*first} - {*second}), (other, {*second} - {*first}))
    extra = [f"only {side} has {', '.join(sorted(names))}" for side, names in sides if names]
    raise ExperimentError(
        f"{one} tells {len(first)} classes apart, {other} {len(second)}: "
        f"{'; '.join(extra) or 'in another order'}. Build the head with n_classes={len(second)} "
        "for these classes"
    )


def branches(prefix: str = "paired") -> dict[str, results.Result]:
    """Return the stored branches of the ablation: "F1" … "F4", "S1" … "S3", those there are."""
    named = {f: f"{prefix}-video-{f}" for f in FACE} | {s: f"{prefix}-audio-{s}" for s in SPEECH}
    return grid.stored("lu", named)


def cells(trained: Mapping[str, results.Result], metric: str = "accuracy") -> pd.DataFrame:
    """Return Tables VII and VIII from the stored branches: one row for each of the 24 cells.

    Parameters
    ----------
    trained
        As `branches` returns them. The paper's choice, F4 with S2 and GM, must be among them.
    metric
        "accuracy", "uar" or "macro_f1".

    Returns
    -------
    DataFrame
        ``face, speech, mean``; `metric` with ``low`` and ``high`` (95 %, by actor); the
        ``difference`` from the paper's choice, ``p``, the ``test`` it is from, and ``p_holm``,
        corrected for the number of cells; beside them the clips of the first seed that ``only
        choice`` or ``only cell`` gets right, with exact McNemar p: ``mcnemar`` and, corrected,
        ``mcnemar_holm``.
    """
    together = {
        (f, s, mean): fused(trained[f], trained[s], how)
        for (f, s), (mean, how) in product(_pairs(trained), MEANS.items())
    }
    if CHOICE not in together:
        wanted = (command("lu", f"paired-{branch}") for branch in ("video-F4", "audio-S2"))
        raise ExperimentError(f"F4 and S2 are needed: run `{'` and `'.join(wanted)}`")
    reference = together[CHOICE]
    table = grid.compare(reference, together, metric=metric).drop(columns=["sd"])
    names = pd.DataFrame(list(together), columns=["face", "speech", "mean"])
    table = pd.concat([names, table.drop(columns="name")], axis=1)
    _, labels, chosen, _ = reference.pooled()
    compared = [
        evaluation.paired_comparison(labels, chosen, cell.pooled()[2]) for cell in together.values()
    ]
    table["only choice"] = [one.only_first for one in compared]
    table["only cell"] = [one.only_second for one in compared]
    table["mcnemar"] = [one.mcnemar_p for one in compared]
    own = (table[["face", "speech", "mean"]] == list(CHOICE)).all(axis=1)
    table.loc[own, ["p", "mcnemar"]] = np.nan
    return table.assign(
        p_holm=evaluation.holm(table["p"]), mcnemar_holm=evaluation.holm(table["mcnemar"])
    )


def _pairs(trained: Mapping[str, results.Result]) -> list[tuple[str, str]]:
    """Return the pairs of a face and a speech branch that are there."""
    return [(f, s) for f, s in product(FACE, SPEECH) if f in trained and s in trained]


def printed_cells(table: int = 7) -> pd.DataFrame:
    """Return the paper's Table VII or VIII as rows ``face, speech, mean, printed``."""
    wide = pd.read_csv(paths.CLAIMS / "tables" / f"lu-table{table}.csv", comment="#")
    long = wide.melt(id_vars="branch", var_name="cell", value_name="printed")
    named = long["cell"].str.split(" ", expand=True)
    return pd.DataFrame(
        {"face": long["branch"], "speech": named[0], "mean": named[1], "printed": long["printed"]}
    )


def printed_report(table: int = 3) -> pd.DataFrame:
    """Return the paper's Table III or IV: ``class, precision, recall, f1`` in percent."""
    return pd.read_csv(paths.CLAIMS / "tables" / f"lu-table{table}.csv", comment="#")


def beside_report(
    table: int, measured: Mapping[str, results.Result], metric: str = "f1"
) -> pd.DataFrame:
    """Set a metric of each emotion, as printed in Table III or IV, beside stored results.

    Returns
    -------
    DataFrame
        ``class``, ``printed`` and one column a result, in percent, the mean over its seeds; NaN
        for an emotion that its corpus has not got. The last row is the mean of the others.
    """
    printed = printed_report(table)
    columns = {"class": printed["class"], "printed": printed[metric]}
    for name, result in measured.items():
        each = [result.evaluation(seed).per_class[metric] for seed in result.seeds]
        mean = sum(each) / len(each)
        columns[name] = printed["class"].str.lower().map(100 * mean)
    beside = pd.DataFrame(columns)
    beside = beside[beside["class"].str.lower() != "average"]
    average = beside.drop(columns="class").mean().to_dict() | {"class": "mean"}
    return pd.concat([beside, pd.DataFrame([average])], ignore_index=True)


def means_compared(trained: Mapping[str, results.Result]) -> pd.DataFrame:
    """Compare GM with AM for each pair of branches, on the clips of their first seed.

    Returns
    -------
    DataFrame
        ``face, speech``, accuracy of ``GM`` and ``AM``, ``only GM right``, ``only AM right``,
        exact McNemar ``p`` and ``p_holm``.
    """
    rows = []
    for f, s in _pairs(trained):
        pooled = [fused(trained[f], trained[s], how).pooled() for how in MEANS.values()]
        both = _gm_beside_am(pooled[0][1], *(probabilities for _, _, probabilities, _ in pooled))
        rows.append({"face": f, "speech": s} | both)
    table = pd.DataFrame(rows)
    return table.assign(p_holm=evaluation.holm(table["p"])) if len(table) else table


def _gm_beside_am(
    labels: np.ndarray, geometric: np.ndarray, arithmetic: np.ndarray
) -> dict[str, float]:
    """Return the accuracy of both means, who alone is right how often, and exact McNemar p."""
    compared = evaluation.paired_comparison(labels, geometric, arithmetic)
    return {
        "GM": _accuracy(labels, geometric),
        "AM": _accuracy(labels, arithmetic),
        "only GM right": compared.only_first,
        "only AM right": compared.only_second,
        "p": compared.mcnemar_p,
    }


def _accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float((probabilities.argmax(1) == labels).mean())


# --- arousal and valence (Fig. 8) ----------------------------------------------------------


def by_group(labels: np.ndarray, answers: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Return F1 within groups of arousal and valence, and of the groups themselves (Fig. 8).

    Parameters
    ----------
    labels, answers
        Numbers of the true and the answered class, (N,).
    classes
        Their names.

    Returns
    -------
    DataFrame
        One row a group: ``axis, group``; ``classes`` in it; ``mean F1`` over its emotions, the
        paper's reading; ``group F1``: right when the answer is any emotion of the group.
    """
    confusion = evaluation.confusion_matrix(labels, answers, len(classes))
    rows = []
    for axis, name in ((axis, name) for axis, groups in GROUPS.items() for name in groups):
        inside = np.isin(classes, GROUPS[axis][name])
        if not inside.any():
            continue
        hits = np.diag(confusion)[inside]
        either = confusion[inside].sum(1) + confusion[:, inside].sum(0)
        block = confusion[np.ix_(inside, inside)].sum()
        mean = float(np.mean(2 * hits / np.maximum(either, 1)))
        together = float(2 * block / max(either.sum(), 1))
        rows.append((axis, name, int(inside.sum()), mean, together))
    return pd.DataFrame(rows, columns=["axis", "group", "classes", "mean F1", "group F1"])


# --- which mean, when one modality goes bad ------------------------------------------------


@lru_cache(maxsize=2)
def _true_pairs(mode: str) -> tuple[Dataset, splits.Split]:
    """Return voices and faces of one moment: 40 MFCC and 35 action units a clip."""
    dataset, split, _ = engine.prepared(leaks.LAB, Experiment("ravdess", "both"), mode)
    return dataset, split


def noise(
    learner: str = "svm",
    levels: Sequence[float] = LEVELS,
    *,
    mode: str = "full",
    folds: Iterable[int] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Add noise to one modality of the test clips of RAVDESS, and fuse by either mean.

    The branches are plain (`learners.LEARNERS`): one on 40 MFCC, one on the 35 action units of
    the same recording, trained on clean clips of other actors. Gaussian noise of `levels`
    standard deviations of the training rows is added to the tested one's numbers.

    Returns
    -------
    DataFrame
        One row for each noisy modality and level: ``learner, noisy, level``; accuracy of the
        ``noisy branch``, the ``clean branch``, ``GM`` and ``AM``; ``only GM right``, ``only AM
        right`` and exact McNemar ``p``; mean ``confidence`` of the noisy branch (its largest
        probability), how much that exceeds its accuracy (``overconfidence``), and the share of
        clips where it is the surer of the two (``noisy surer``) or gives the true emotion less
        than 1 % (``vetoes``).
    """
    dataset, split = _true_pairs(mode)
    labels, n_classes = dataset.samples.labels.numpy(), len(dataset.classes)
    rng = np.random.default_rng(seed)
    asked = []
    for fold in range(split.n_folds) if folds is None else folds:
        rows = dataset.rows(split, fold)
        answers = {}
        for name, values in dataset.samples.inputs.items():
            x = learners.flat(values)
            branch = learners.fit(learner, x, labels, rows, n_classes, seed)
            clean, sd = x[rows["test"]], x[rows["train"]].std(axis=0)
            answers[name] = {
                level: branch.probabilities(clean + level * sd * rng.standard_normal(clean.shape))
                for level in dict.fromkeys((0, *levels))
            }
        asked.append((labels[rows["test"]], answers))
    return _noise_table(learner, levels, asked)


def _noise_table(learner: str, levels: Sequence[float], asked: Sequence[tuple]) -> pd.DataFrame:
    """Fuse a noisy modality with the clean other one.

    Parameters
    ----------
    asked
        For each fold the labels (N,), and modality → level → probabilities (N, C).
    """
    labels = np.concatenate([truth for truth, _ in asked])
    rows = []
    for name, other in (("audio", "video"), ("video", "audio")):
        clean = np.concatenate([answers[other][0] for _, answers in asked])
        for level in levels:
            noisy = np.concatenate([answers[name][level] for _, answers in asked])
            row = {"learner": learner, "noisy": name, "level": level}
            rows.append(row | _with_noise(labels, noisy, clean))
    return pd.DataFrame(rows)


def _with_noise(labels: np.ndarray, noisy: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    means = (evaluation.fuse([noisy, clean], how) for how in MEANS.values())
    alone, confidence = _accuracy(labels, noisy), float(noisy.max(1).mean())
    return {
        "noisy branch": alone,
        "clean branch": _accuracy(labels, clean),
        **_gm_beside_am(labels, *means),
        "confidence": confidence,
        "overconfidence": confidence - alone,
        "noisy surer": float((noisy.max(1) > clean.max(1)).mean()),
        "vetoes": float((noisy[np.arange(len(labels)), labels] < 0.01).mean()),
    }


def noise_in_branches(
    face: str = "paired-video-F4",
    speech: str = "paired-audio-S2",
    levels: Sequence[float] = LEVELS,
    *,
    folds: Iterable[int] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Add noise to one modality of the paired test clips, and ask Lu's own networks again.

    The weights are those of the committed results; `levels` are standard deviations of the
    training rows: of each coefficient, and of the grey values of all faces (each frame its own
    noise, clipped to the range of a picture).

    Returns
    -------
    DataFrame
        As `noise`.

    Raises
    ------
    ResultError
        If the weights of a run are not stored on this machine.
    """
    stored = {"video": results.load("lu", face), "audio": results.load("lu", speech)}
    data = {name: engine.prepared("lu", one.experiment)[:2] for name, one in stored.items()}
    asked = []
    for fold in stored["video"].split.folds if folds is None else folds:
        seen, heard = (dataset.rows(split, fold)["test"] for dataset, split in data.values())
        if not np.array_equal(heard, seen):
            raise ExperimentError(f"fold {fold}: the branches tested other clips")
        answers = {
            name: _asked_again(result, *data[name], fold, levels, seed)
            for name, result in stored.items()
        }
        asked.append((data["audio"][0].samples.labels.numpy()[heard], answers))
    return _noise_table("lu", levels, asked)


def _asked_again(
    result: results.Result,
    dataset: Dataset,
    split: splits.Split,
    fold: int,
    levels: Sequence[float],
    seed: int,
) -> dict[float, np.ndarray]:
    """Return level → probabilities of the test clips by the network of the result's first seed."""
    modality = result.modality
    model = result.network(result.seeds[0], fold)
    train, _, test = dataset.parts(split, fold)
    generator = torch.Generator().manual_seed(seed)
    answers = {}
    for level in dict.fromkeys((0, *levels)):
        given = dataset.prepare(test.inputs, None)[modality]  # faces in [-1, 1], sound sd 1
        if level and modality == "video":
            grey = given[:, :, :1]
            sd = train.inputs["video"].float().std() / 127.5
            grey = grey + level * sd * torch.randn(grey.shape, generator=generator)
            given = grey.clamp(-1, 1).expand_as(given)
        elif level:
            given = given + level * torch.randn(given.shape, generator=generator)
        noisy = Samples({modality: given}, test.labels)
        answers[level] = training.predict(model, noisy, batch_size=16).astype(float)
    return answers


def sharpness(
    face: results.Result,
    speech: results.Result,
    powers: Sequence[float] = (0.1, 0.25, 0.5, 1, 2, 4, 8),
    *,
    only: str | None = None,
) -> pd.DataFrame:
    """Make stored answers flatter or sharper (p → pᵃ, renormalised), then fuse by either mean.

    The order of the geometric mean does not change when *both* branches are sharpened alike, for
    log pᵃ = a·log p. The arithmetic mean then goes from the sum of logarithms (a → 0: the same
    order as the geometric mean) to the answer of whoever is surer (a → ∞).

    Parameters
    ----------
    face, speech
        Stored results on the same clips; of their runs those count that both have.
    only
        "video" or "audio" sharpens one branch alone: it is overconfident beside the other.
    """
    face, speech = shared(face, speech)
    _, labels, first, _ = face.pooled()
    _, others, second, _ = speech.pooled()
    if not np.array_equal(labels, others):
        raise ExperimentError(f"{face.experiment} and {speech.experiment} tested other clips")
    rows = []
    for power in powers:
        pair = [
            _sharpened(p, power if only in (None, name) else 1.0)
            for name, p in (("video", first), ("audio", second))
        ]
        geometric, arithmetic = (evaluation.fuse(pair, how) for how in MEANS.values())
        same = float((geometric.argmax(1) == arithmetic.argmax(1)).mean())
        both = _gm_beside_am(labels, geometric, arithmetic)
        rows.append({"power": power, "same answer": same} | both)
    return pd.DataFrame(rows)


def _sharpened(probabilities: np.ndarray, power: float) -> np.ndarray:
    return softmax(power * np.log(np.clip(probabilities, _SMALLEST, 1)), axis=1)


# --- leave one emotion out (Fig. 9) --------------------------------------------------------


def leave_one_emotion_out(
    learner: str = "svm", *, mode: str = "full", folds: Iterable[int] | None = None
) -> pd.DataFrame:
    """Train without one emotion and test the others, on true audio-visual RAVDESS (Fig. 9).

    The paper omits an emotion "from training" and reports the loss of accuracy; whether its
    clips are still tested (and then all wrong) it does not say. Fewer classes are also easier to
    tell apart. So three numbers are given for the learner with both modalities, GM:

    ``as trained``
        all clips tested, the omitted ones too: they cannot be right.
    ``others``
        the remaining emotions only, trained without the omitted one.
    ``others, all trained``
        the same clips by the learner that knows all emotions, its answers limited to the
        remaining ones. Only ``others`` minus this is what the emotion's clips do for the rest.
    """
    dataset, split = _true_pairs(mode)
    labels, n = dataset.samples.labels.numpy(), len(dataset.classes)
    inputs = [learners.flat(values) for values in dataset.samples.inputs.values()]
    folds = list(range(split.n_folds) if folds is None else folds)
    answers: dict[int | None, list[np.ndarray]] = {one: [] for one in (None, *range(n))}
    for fold, emotion in product(folds, answers):
        rows = dataset.rows(split, fold)
        shown = {part: at[labels[at] != emotion] for part, at in rows.items()}
        each = []
        for x in inputs:
            branch = learners.fit(learner, x, labels, shown, n)
            probabilities = branch.probabilities(x[rows["test"]])
            if emotion is not None:  # what it was never shown has none
                probabilities[:, emotion] = 1e-12
            each.append(probabilities)
        answers[emotion].append(evaluation.fuse(each, "geometric"))
    truth = np.concatenate([labels[dataset.rows(split, fold)["test"]] for fold in folds])
    joined = {emotion: np.concatenate(parts) for emotion, parts in answers.items()}
    without = {emotion: joined[emotion].argmax(1) for emotion in range(n)}
    return _omissions(dataset.classes, truth, joined[None], without)


def _omissions(
    names: Sequence[str],
    truth: np.ndarray,
    knows_all: np.ndarray,
    without: Mapping[int, np.ndarray],
) -> pd.DataFrame:
    """Compare the learner that knows all emotions with those that were never shown one.

    Parameters
    ----------
    names
        Of the classes.
    truth
        True classes (N,).
    knows_all
        Probabilities (N, C) by the learner of all emotions.
    without
        Omitted class → answers (N,), numbers among all classes.
    """
    everything = (knows_all.argmax(1) == truth).mean()
    rows = []
    for emotion, answers in without.items():
        rest = truth != emotion
        limited = knows_all.copy()
        limited[:, emotion] = 0
        right = answers == truth
        with_all = limited.argmax(1) == truth
        p = evaluation.mcnemar(
            int((with_all & ~right & rest).sum()), int((right & ~with_all & rest).sum())
        )
        lost = (right & rest).mean() - everything
        shares = (lost, right[rest].mean(), with_all[rest].mean())
        rows.append((names[emotion], int((~rest).sum()), *map(float, shares), p))
    columns = ["omitted", "clips", "as trained", "others", "others, all trained", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(5, "change", table["others"] - table["others, all trained"])
    return table.assign(p_holm=evaluation.holm(table["p"]))


def voices_without(prefix: str = "audio-without", reference: str = "audio-actor") -> pd.DataFrame:
    """Return Fig. 9 for Lu's voice network, from its stored answers.

    Parameters
    ----------
    prefix
        Results named ``<prefix>-<emotion>``, trained and tested without that emotion; those that
        are stored are compared.
    reference
        The result of the network that was shown all emotions, on the same clips and seed.

    Returns
    -------
    DataFrame
        As `leave_one_emotion_out`; empty where a result is missing.
    """
    stored = grid.stored("lu", {emotion: f"{prefix}-{emotion}" for emotion in CLASSES})
    if not stored or not results.path("lu", reference).exists():
        return pd.DataFrame()
    return omitted_emotions(results.load("lu", reference), stored)


def omitted_emotions(full: results.Result, stored: Mapping[str, results.Result]) -> pd.DataFrame:
    """Compare stored results without one emotion each (name → result) with one of all emotions.

    The clips are those that all of them tested with their first seed.
    """
    clip, labels, probabilities, _ = full.pooled(next(iter(stored.values())).seeds[0])
    names = np.array(full.samples.clip_ids)[clip]
    answered = {emotion: _answers(one, full.classes) for emotion, one in stored.items()}
    kept = np.array(
        [
            all(name in answered[emotion] for emotion in stored if emotion != full.classes[label])
            for name, label in zip(names, labels, strict=True)
        ]
    )
    if not kept.any():
        raise ExperimentError(f"{full.experiment} was tested on none of the clips of the others")
    without = {
        full.classes.index(emotion): np.array([answers.get(name, -1) for name in names[kept]])
        for emotion, answers in answered.items()
    }
    return _omissions(full.classes, labels[kept], probabilities[kept], without)


def _answers(result: results.Result, classes: Sequence[str]) -> dict[str, int]:
    """Return clip id → the answered class, numbered as in `classes`."""
    rows, _, probabilities, _ = result.pooled()
    known = np.array([classes.index(name) for name in result.classes])
    ids = np.array(result.samples.clip_ids)[rows]
    return dict(zip(ids.tolist(), known[probabilities.argmax(1)].tolist(), strict=True))


# --- kernels and widths of the voice network -----------------------------------------------

#: One change each to the paper's S2; the channels S1 and S3 have results of their own.
VARIANTS: Mapping[str, Sequence[Any]] = {
    "options.kernels": ((3, 3), (5, 5), (9, 9)),
    "options.width": (0.25, 0.5),
    "options.speech_head": ("flatten",),
    "options.dropout": (0.1, 0.4),
}


def voice_variants(
    variants: Mapping[str, Sequence[Any]] = VARIANTS, **changes: Any
) -> pd.DataFrame:
    """Train Lu's voice network with one thing changed at a time (`grid.run`).

    Parameters
    ----------
    variants
        Axis → values.
    changes
        Of the experiment "audio-actor" with one seed on half of its folds.

    Returns
    -------
    DataFrame
        The base first, then one row a variant: ``changed, to``; accuracy and UAR with its
        interval, ``parameters``, the ``difference`` of UAR, ``p`` and ``p_holm`` over all
        variants.
    """
    base = engine.declared("lu", "audio-actor", **{"seeds": (0,), "folds": (0, 2, 4), **changes})
    parts: list[pd.DataFrame] = []
    for axis, values in variants.items():
        table = grid.run("lu", base, {axis: values}, mode="full", progress=False)
        table["accuracy"] = [one.summary["accuracy"].mean for one in table.attrs["results"]]
        table = table.rename(columns={axis: "to"}).assign(changed=axis.removeprefix("options."))
        parts.append(table[~table["is_base"] | (not parts)])
    table = pd.concat(parts, ignore_index=True)
    table.loc[table["is_base"], ["changed", "to"]] = ["nothing", ""]
    columns = ["changed", "to", "accuracy", "uar", "low", "high", "parameters", "difference", "p"]
    return table[columns].assign(p_holm=evaluation.holm(table["p"]))
