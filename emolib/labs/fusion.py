"""Two decisions become one: Lu's arithmetic and geometric mean, on answers that are stored.

The fusion of Section III-C has no weights. So the 24 cells of Tables VII and VIII need seven
trained networks and not 24: `cells` fuses the stored answers of the branches, on the same clips,
within seconds. `noise` asks on true audio-visual recordings, and `noise_in_branches` with Lu's own
networks, which mean is better when one modality goes bad, `sharpness` why.
`leave_one_emotion_out` repeats Fig. 9 with a learner that is trained in seconds,
`voices_without` with Lu's voice network, and `voice_variants` changes its kernels and widths.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from emolib.labs import grid, leaks
from emolib.models.lu import FACE, SPEECH
from emolib.papers import engine, lu
from emolib.papers.engine import ExperimentError
from emolib.training import Samples

MEANS = {"GM": "geometric", "AM": "arithmetic"}
CHOICE = ("F4", "S2", "GM")  # the paper's
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
        metrics = {name: getattr(judged, name) for name in (*results.METRICS, "log_loss", "ece")}
        packed = {"clip": results.Packed.pack(rows, probabilities, bits=16)}
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
    extra = [f"only {one} has {', '.join(sorted(set(first) - set(second)))}"] * bool(
        set(first) - set(second)
    )
    extra += [f"only {other} has {', '.join(sorted(set(second) - set(first)))}"] * bool(
        set(second) - set(first)
    )
    raise ExperimentError(
        f"{one} tells {len(first)} classes apart, {other} {len(second)}: "
        f"{'; '.join(extra) or 'in another order'}. Build the head with n_classes={len(second)} "
        "for these classes"
    )


def branches(prefix: str = "paired") -> dict[str, results.Result]:
    """Return the stored branches of the ablation: "F1" … "F4", "S1" … "S3", those there are."""
    named = {f: f"{prefix}-video-{f}" for f in FACE} | {s: f"{prefix}-audio-{s}" for s in SPEECH}
    return {
        name: results.load("lu", experiment)
        for name, experiment in named.items()
        if results.path("lu", experiment).exists()
    }


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
    made = {
        (f, s, mean): fused(trained[f], trained[s], how)
        for f, s, (mean, how) in product(FACE, SPEECH, MEANS.items())
        if f in trained and s in trained
    }
    if CHOICE not in made:
        raise ExperimentError(
            "F4 and S2 are needed: run `emolib train lu --experiment paired-video-F4` and "
            "`emolib train lu --experiment paired-audio-S2`"
        )
    reference = made[CHOICE]
    table = grid.compare(reference, made, metric=metric).drop(columns=["sd"])
    names = pd.DataFrame(list(made), columns=["face", "speech", "mean"])
    table = pd.concat([names, table.drop(columns="name")], axis=1)
    _, labels, chosen, _ = reference.pooled()
    compared = [
        evaluation.paired_comparison(labels, chosen, cell.pooled()[2]) for cell in made.values()
    ]
    table["only choice"] = [one.only_first for one in compared]
    table["only cell"] = [one.only_second for one in compared]
    table["mcnemar"] = [one.mcnemar_p for one in compared]
    own = (table[["face", "speech", "mean"]] == list(CHOICE)).all(axis=1)
    table.loc[own, ["p", "mcnemar"]] = np.nan
    for p, corrected in (("p", "p_holm"), ("mcnemar", "mcnemar_holm")):
        others = table[p].notna()
        table[corrected] = np.nan
        table.loc[others, corrected] = evaluation.holm(table.loc[others, p])
    return table


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
    """Compare GM with AM for each pair of branches: one row a pair, with exact McNemar tests."""
    rows = []
    for f, s in product(FACE, SPEECH):
        if f not in trained or s not in trained:
            continue
        geometric, arithmetic = (fused(trained[f], trained[s], how) for how in MEANS.values())
        _, labels, first, _ = geometric.pooled()
        _, _, second, _ = arithmetic.pooled()
        compared = evaluation.paired_comparison(labels, first, second)
        rows.append(
            {
                "face": f,
                "speech": s,
                "GM": geometric.summary["accuracy"].mean,
                "AM": arithmetic.summary["accuracy"].mean,
                "only GM right": compared.only_first,
                "only AM right": compared.only_second,
                "p": compared.mcnemar_p,
            }
        )
    table = pd.DataFrame(rows)
    if len(table):
        table["p_holm"] = evaluation.holm(table["p"])
    return table


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
    labels, answers = np.asarray(labels), np.asarray(answers)
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, answers), 1)
    rows = []
    for axis, groups in GROUPS.items():
        for name, members in groups.items():
            inside = np.array([emotion in members for emotion in classes])
            if not inside.any():
                continue
            hits = np.diag(confusion)[inside]
            either = confusion[inside].sum(1) + confusion[:, inside].sum(0)
            block = confusion[np.ix_(inside, inside)].sum()
            rows.append(
                {
                    "axis": axis,
                    "group": name,
                    "classes": int(inside.sum()),
                    "mean F1": float(np.mean(2 * hits / np.maximum(either, 1))),
                    "group F1": float(2 * block / max(either.sum(), 1)),
                }
            )
    return pd.DataFrame(rows)


# --- which mean, when one modality goes bad ------------------------------------------------


@lru_cache(maxsize=2)
def _pairs(mode: str):
    """Return the true pairs of voices and faces: 40 MFCC and 35 action units of one moment."""
    dataset = leaks.numbers("ravdess", "both", mode)
    return dataset, splits.make("actor", dataset.manifest)


def noise(
    learner: str = "svm",
    levels: Sequence[float] = (0, 0.5, 1, 2, 4),
    *,
    mode: str = "full",
    folds: Iterable[int] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Add noise to one modality of the test clips of RAVDESS, and fuse by either mean.

    The branches are those of the leak lab (`leaks.LEARNERS`): one on 40 MFCC, one on the 35
    action units of the same recording, trained on clean clips of other actors. Gaussian noise
    of `levels` standard deviations of the training rows is added to the tested one's numbers.

    Returns
    -------
    DataFrame
        One row for each noisy modality and level: ``learner, noisy, level``; accuracy of the
        ``noisy branch``, the ``clean branch``, ``GM`` and ``AM``; mean ``confidence`` of the
        noisy branch (its largest probability), how much that exceeds its accuracy
        (``overconfidence``), and the share of clips where it is the surer of the two (``noisy
        surer``) or gives the true emotion less than 1 % (``vetoes``); ``only GM right``, ``only
        AM right`` and exact McNemar ``p``.
    """
    dataset, split = _pairs(mode)
    labels = dataset.samples.labels.numpy()
    inputs = {name: values.double().numpy() for name, values in dataset.samples.inputs.items()}
    rng = np.random.default_rng(seed)
    answers: dict[tuple[str, float], list[tuple[np.ndarray, np.ndarray]]] = {}
    truth: list[np.ndarray] = []
    for fold in range(split.n_folds) if folds is None else folds:
        rows = dataset.rows(split, fold)
        truth.append(labels[rows["test"]])
        clean, noisy = {}, {}
        for name, x in inputs.items():
            ask = _branch(learner, seed, x, labels, rows, len(dataset.classes))
            clean[name] = ask(0.0, rng)
            noisy[name] = {level: ask(level, rng) if level else clean[name] for level in levels}
        for name, other in (("audio", "video"), ("video", "audio")):
            for level in levels:
                pair = noisy[name][level], clean[other]
                answers.setdefault((name, level), []).append(pair)
    told = np.concatenate(truth)
    return pd.DataFrame(
        [
            {"learner": learner, "noisy": name, "level": level}
            | _judged(told, *(np.concatenate(part) for part in zip(*pairs, strict=True)))
            for (name, level), pairs in answers.items()
        ]
    )


def _branch(learner, seed, x, labels, rows, n_classes) -> Callable[..., np.ndarray]:
    """Train one branch; return level, generator → probabilities of the noisy test clips."""
    parts = [(x[rows[part]], labels[rows[part]]) for part in splits.PARTS]
    fitted = leaks.fit_scaled(leaks.LEARNERS[learner], seed, parts, n_classes)
    scale = x[rows["train"]].std(axis=0)

    def ask(level: float, rng: np.random.Generator) -> np.ndarray:
        tested = x[rows["test"]]
        tested = tested + level * scale * rng.standard_normal(tested.shape)
        scores = leaks.class_scores(leaks.LEARNERS[learner], fitted.model, tested, n_classes)
        return softmax(scores / fitted.temperature, axis=1)

    return ask


def _judged(labels: np.ndarray, noisy: np.ndarray, clean: np.ndarray) -> dict[str, Any]:
    geometric, arithmetic = (evaluation.fuse([noisy, clean], how) for how in MEANS.values())
    compared = evaluation.paired_comparison(labels, geometric, arithmetic)
    right = {
        name: float((p.argmax(1) == labels).mean())
        for name, p in (
            ("noisy branch", noisy), ("clean branch", clean), ("GM", geometric), ("AM", arithmetic),
        )
    }  # fmt: skip
    confidence = float(noisy.max(1).mean())
    return {
        **right,
        "confidence": confidence,
        "overconfidence": confidence - right["noisy branch"],
        "noisy surer": float((noisy.max(1) > clean.max(1)).mean()),
        "vetoes": float((noisy[np.arange(len(labels)), labels] < 0.01).mean()),
        "only GM right": compared.only_first,
        "only AM right": compared.only_second,
        "p": compared.mcnemar_p,
    }


def noise_in_branches(
    face: str = "paired-video-F4",
    speech: str = "paired-audio-S2",
    levels: Sequence[float] = (0, 0.5, 1, 2, 4),
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
    asked = {name: engine.paper("lu").FULL[one.experiment] for name, one in stored.items()}
    data = {
        name: lu.load(one["corpus"], name, "full", **one.get("data", {}), progress=False)
        for name, one in asked.items()
    }
    split = splits.make("actor", data["audio"].manifest)
    answers: dict[tuple[str, float], list[tuple[np.ndarray, np.ndarray]]] = {}
    truth: list[np.ndarray] = []
    for fold in stored["video"].split.folds if folds is None else folds:
        heard, seen = (data[name].rows(split, fold)["test"] for name in ("audio", "video"))
        if not np.array_equal(heard, seen):
            raise ExperimentError(f"fold {fold}: the branches tested other clips")
        truth.append(data["audio"].samples.labels.numpy()[heard])
        said = {
            name: _asked_again(stored[name], data[name], split, fold, levels, seed) for name in data
        }
        for name, other in (("audio", "video"), ("video", "audio")):
            for level in levels:
                answers.setdefault((name, level), []).append((said[name][level], said[other][0]))
    told = np.concatenate(truth)
    return pd.DataFrame(
        [
            {"learner": "lu", "noisy": name, "level": level}
            | _judged(told, *(np.concatenate(part) for part in zip(*pairs, strict=True)))
            for (name, level), pairs in answers.items()
        ]
    )


def _asked_again(
    result: results.Result, dataset, split, fold: int, levels: Sequence[float], seed: int
) -> dict[float, np.ndarray]:
    """Return level → probabilities of the test clips by the network of the result's first seed."""
    modality = result.modality
    model = result.network(result.seeds[0], fold)
    train, _, test = dataset.parts(split, fold)
    generator = torch.Generator().manual_seed(seed)
    said = {}
    for level in levels:
        given = dataset.prepare(test.inputs, None)[modality]  # faces in [-1, 1], sound sd 1
        if level and modality == "video":
            grey = given[:, :, :1]
            sd = train.inputs["video"].float().std() / 127.5
            noisy = grey + level * sd * torch.randn(grey.shape, generator=generator)
            given = noisy.clamp(-1, 1).expand_as(given)
        elif level:
            given = given + level * torch.randn(given.shape, generator=generator)
        said[level] = training.predict(
            model, Samples({modality: given}, test.labels), batch_size=16
        ).astype(float)
    return said


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
        Stored results on the same clips and folds.
    only
        "video" or "audio" sharpens one branch alone: it is overconfident beside the other.
    """
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
        compared = evaluation.paired_comparison(labels, geometric, arithmetic)
        rows.append(
            {
                "power": power,
                "GM": float((geometric.argmax(1) == labels).mean()),
                "AM": float((arithmetic.argmax(1) == labels).mean()),
                "same answer": float((geometric.argmax(1) == arithmetic.argmax(1)).mean()),
                "only GM right": compared.only_first,
                "only AM right": compared.only_second,
                "p": compared.mcnemar_p,
            }
        )
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
    dataset, split = _pairs(mode)
    labels = dataset.samples.labels.numpy()
    inputs = {name: values.double().numpy() for name, values in dataset.samples.inputs.items()}
    folds = list(range(split.n_folds) if folds is None else folds)
    n = len(dataset.classes)
    answers = {emotion: [] for emotion in (None, *range(n))}
    for fold, emotion in product(folds, answers):
        rows = dataset.rows(split, fold)
        known = {
            part: at[labels[at] != emotion] if part != "test" else at for part, at in rows.items()
        }
        each = []
        for x in inputs.values():
            parts = [(x[known[part]], labels[known[part]]) for part in splits.PARTS]
            each.append(_only(leaks.fit_scaled(leaks.LEARNERS[learner], 0, parts, n), emotion))
        answers[emotion].append(evaluation.fuse(each, "geometric"))
    told = np.concatenate([labels[dataset.rows(split, fold)["test"]] for fold in folds])
    joined = {emotion: np.concatenate(parts) for emotion, parts in answers.items()}
    without = {emotion: joined[emotion].argmax(1) for emotion in range(n)}
    return _omissions(dataset.classes, told, joined[None], without)


def _omissions(
    names: Sequence[str], told: np.ndarray, knows_all: np.ndarray, without: Mapping[int, np.ndarray]
) -> pd.DataFrame:
    """Compare the learner that knows all emotions with those that were never shown one.

    Parameters
    ----------
    names
        Of the classes.
    told
        True classes (N,).
    knows_all
        Probabilities (N, C) by the learner of all emotions.
    without
        Omitted class → answers (N,), numbers among all classes.
    """
    everything = (knows_all.argmax(1) == told).mean()
    rows = []
    for emotion, answers in without.items():
        rest = told != emotion
        limited = knows_all.copy()
        limited[:, emotion] = 0
        right = answers == told
        with_all = limited.argmax(1) == told
        compared = evaluation.mcnemar(
            int((with_all & ~right & rest).sum()), int((right & ~with_all & rest).sum())
        )
        rows.append(
            {
                "omitted": names[emotion],
                "clips": int((~rest).sum()),
                "as trained": float((right & rest).mean() - everything),
                "others": float(right[rest].mean()),
                "others, all trained": float(with_all[rest].mean()),
                "change": float(right[rest].mean() - with_all[rest].mean()),
                "p": compared,
            }
        )
    table = pd.DataFrame(rows)
    table["p_holm"] = evaluation.holm(table["p"])
    return table


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
    wanted = {emotion: f"{prefix}-{emotion}" for emotion in CLASSES}
    there = {e: name for e, name in wanted.items() if results.path("lu", name).exists()}
    if not there or not results.path("lu", reference).exists():
        return pd.DataFrame()
    full = results.load("lu", reference)
    stored = {emotion: results.load("lu", name) for emotion, name in there.items()}
    return omitted_emotions(full, stored)


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
        full.classes.index(emotion): np.array([said.get(name, -1) for name in names[kept]])
        for emotion, said in answered.items()
    }
    return _omissions(full.classes, labels[kept], probabilities[kept], without)


def _answers(result: results.Result, classes: Sequence[str]) -> dict[str, int]:
    """Return clip id → the answered class, numbered as in `classes`."""
    rows, _, probabilities, _ = result.pooled()
    known = np.array([classes.index(name) for name in result.classes])
    ids = np.array(result.samples.clip_ids)[rows]
    return dict(zip(ids.tolist(), known[probabilities.argmax(1)].tolist(), strict=True))


def _only(fitted, emotion: int | None) -> np.ndarray:
    """Return a learner's probabilities; what it was never shown has none."""
    probabilities = fitted.probabilities.copy()
    if emotion is not None:
        probabilities[:, emotion] = 1e-12
    return probabilities


# --- kernels and widths of the voice network -----------------------------------------------

#: One change each to the paper's S2; the channels S1 and S3 have results of their own.
VARIANTS: Mapping[str, Sequence[Any]] = {
    "options.kernels": ((3, 3), (5, 5), (9, 9)),
    "options.width": (0.25, 0.5),
    "options.speech_head": ("flatten",),
    "options.dropout": (0.1, 0.4),
}


def voice_variants(
    variants: Mapping[str, Sequence[Any]] = VARIANTS, **arguments: Any
) -> pd.DataFrame:
    """Train Lu's voice network with one thing changed at a time (`grid.run`).

    Parameters
    ----------
    variants
        Axis → values.
    arguments
        Of `engine.run`, in place of those of "audio-actor" with one seed on half of its
        folds.

    Returns
    -------
    DataFrame
        The base first, then one row a variant: ``changed, to``; accuracy and UAR with its
        interval, ``parameters``, the ``difference`` of UAR, ``p`` and ``p_holm`` over all
        variants.
    """
    base = {"seeds": (0,), "folds": (0, 2, 4), "mode": "full", "progress": False, **arguments}
    base = engine.paper("lu").FULL["audio-actor"] | base
    parts = []
    for axis, values in variants.items():
        table = grid.run("lu", base, {axis: values})
        table["accuracy"] = [one.summary["accuracy"].mean for one in table.attrs["results"]]
        table = table.rename(columns={axis: "to"}).assign(changed=axis.removeprefix("options."))
        parts.append(table if not parts else table[~table["is_base"]])
    table = pd.concat([part.drop(columns="p_holm") for part in parts], ignore_index=True)
    table.loc[table["is_base"], ["changed", "to"]] = ["nothing", ""]
    tested = table["p"].notna()
    table.loc[tested, "p_holm"] = evaluation.holm(table.loc[tested, "p"])
    columns = ["changed", "to", "accuracy", "uar", "low", "high", "parameters", "difference", "p",
               "p_holm"]  # fmt: skip
    return table[columns]
