"""Our own networks beside everybody's: size, ingredients, fusion, and knowing when not to answer.

Everything here is told from committed results and needs no recordings, but for the published
scores of the action units.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from emolib import evaluation, paths, results
from emolib.errors import EmolibError
from emolib.labs import peers

KEY = "own"
#: Our voice on the folds whose actors others have tested too; and with clips of the new person.
VOICE, SPEAKER, RERUN = "voice-luna", "voice-luna-speaker", "reslstm-luna"
SELECTION = paths.RESULTS / KEY / "selection.yml"


class FrontierError(EmolibError, ValueError):
    """Answers that do not belong together, or are not here."""


# --- how the settings were chosen --------------------------------------------------------------


def selection() -> dict[str, Any]:
    """Return what was compared before any test actor was judged, on whom, and what was chosen.

    ``date`` and ``commit`` say when, ``folds`` and ``seeds`` on what, ``actors`` who validated;
    ``tried`` is name → what it changes of the ``chosen`` one, whose settings are ``fixed``.
    """
    return yaml.safe_load(paths.find(SELECTION).read_text(encoding="utf-8"))


def ingredients() -> pd.DataFrame:
    """Say what each other setting costs on the validation actors, paired over folds.

    Returns
    -------
    DataFrame
        ``setting``, the chosen one first; ``folds``; means over folds of ``uar`` (percent) and
        ``log_loss``; ``difference`` of the UAR to the chosen one's on the same folds, in points,
        with ``p`` of the corrected resampled t-test and ``p_holm``; ``parameters``.
    """
    told = selection()
    table = pd.read_csv(paths.find(SELECTION.with_suffix(".csv")))
    uar = table.pivot_table(index="setting", columns=["fold", "seed"], values="uar", sort=False)
    reference = uar.loc[told["chosen"]]
    rows = []
    for name, own in table.groupby("setting", sort=False):
        apart = (uar.loc[name] - reference).dropna()
        alone = name == told["chosen"] or len(apart) < 2
        p = np.nan if alone else evaluation.corrected_t_test(apart, n_train=1020, n_test=120)[1]
        size = int(own["parameters"].iloc[0])
        rows.append(
            (name, len(apart), own["uar"].mean(), own["log_loss"].mean(), apart.mean(), p, size)
        )
    columns = ["setting", "folds", "uar", "log_loss", "difference", "p", "parameters"]
    found = pd.DataFrame(rows, columns=columns)
    others = found["p"].notna()
    found.loc[others, "p_holm"] = evaluation.holm(found.loc[others, "p"].tolist())
    return found


# --- parameters against what is right ----------------------------------------------------------


def points() -> pd.DataFrame:
    """Return every voice on the folds ``luna`` whose size is known, ours and others'.

    Returns
    -------
    DataFrame
        As `emolib.labs.peers.beside`, voices alone; ``whose`` is "own" for the networks of this
        chapter and "rerun" for the peer's, trained here. What has not been run has no ``value``
        and says its ``command``.
    """
    known = peers.beside(peers.FOLDS).query("input == 'voice'")
    ours = [
        _measured(name, whose, system)
        for name, whose, system in (
            (VOICE, "own", "our voice"),
            (SPEAKER, "own", "our voice, speaker known"),
            (RERUN, "rerun", "ResLSTM-SA h64, settings of ours"),
        )
    ]
    return pd.concat([known, pd.DataFrame(ours)], ignore_index=True)


def _measured(name: str, whose: str, system: str) -> dict[str, Any]:
    row = {
        "whose": whose,
        "system": system,
        "input": "voice",
        "metric": "UAR",
        "chosen on": "validation",
        "parameters": pd.NA,
        "command": f"emolib train {KEY} --experiment {name}",
    }
    if not results.path(KEY, name).exists():
        return row
    result = results.load(KEY, name)
    uar = result.summary["uar"]
    low, high = uar.interval
    return row | {
        "parameters": result.model.parameters,
        "value": 100 * uar.mean,
        "low": 100 * low,
        "high": 100 * high,
        "command": "",
    }


def unchosen(result: results.Result) -> tuple[float, tuple[float, float], int]:
    """Return UAR over the actors on whom nothing at all was chosen, its interval, and their number.

    An actor who validates in one fold is tested in another. Those who validated while settings
    were compared had a say, if a small one, in what tests them; the rest had none.
    """
    had_a_say = {actor for actors in selection()["actors"].values() for actor in actors}
    _, labels, _, actors = result.pooled()
    others = ~np.isin(actors, sorted(had_a_say))
    predicted = np.stack([result.pooled(seed)[2].argmax(1) for seed in result.seeds])
    drawn = evaluation.bootstrap_by_actor(
        labels[others], predicted[:, others], len(result.classes), actors[others]
    )
    return *drawn["uar"], len(set(actors[others]))


# --- together ------------------------------------------------------------------------------------

#: The means that train nothing.
MEANS = ("geometric", "arithmetic")


def answers(result: results.Result, clip_ids: Sequence[str]) -> np.ndarray:
    """Return the probabilities that the first seed of a result gives to clips, (N, classes).

    One seed is one network: the mean over seeds would be several times as large as its card says.
    A clip of a voice and the film of the same moment differ only in the first field of a RAVDESS
    name, the modality.

    Raises
    ------
    FrontierError
        If the result has not judged one of them.
    """
    rows, _, probabilities, _ = result.pooled()
    judged = pd.Index([result.samples.clip_ids[row][2:] for row in rows])
    at = judged.get_indexer([name[2:] for name in clip_ids])
    if (at < 0).any():
        missing = np.asarray(clip_ids)[at < 0]
        raise FrontierError(
            f"{result.name} has not judged {len(missing)} clips, such as {missing[0]}: take all "
            "folds of the same corpus"
        )
    return probabilities[at]


def together(
    voice: np.ndarray,
    scores: peers.Scores,
    temperatures: tuple[np.ndarray, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Fuse a voice with the published action units, clip by clip, beside fusions that are trained.

    Parameters
    ----------
    voice
        Probabilities (N, 8) of the clips of `scores`.
    temperatures
        Of voice and action units for each clip (N,): what divides their logits.

    Returns
    -------
    DataFrame
        ``fusion``, ``calibrated``; ``right``; in percent ``accuracy`` and ``uar`` with the ends of
        its interval over actors, ``low`` and ``high``; and against the geometric mean of the same
        row group: ``difference`` in accuracy with its interval ``from`` to ``to``, ``p`` of
        McNemar's test and ``p_holm``.
    """
    units = scores.probabilities["video"]
    rows = []
    for calibrated in (False, True):
        pair = [voice, units]
        if calibrated:
            found = temperatures or tuple(nested_temperature(p, scores) for p in pair)
            pair = [sharpened(p, t) for p, t in zip(pair, found, strict=True)]
        fused = {how: evaluation.fuse(pair, how) for how in MEANS}
        fused["trained"] = nested(pair, scores)
        for alone, what in zip(pair, ("voice alone", "action units alone"), strict=True):
            fused[what] = alone
        first = fused["geometric"].argmax(1)
        for how, probabilities in fused.items():
            rows.append(
                {"fusion": how, "calibrated": calibrated}
                | _judged(probabilities.argmax(1), first, scores)
            )
    table = pd.DataFrame(rows)
    others = table["fusion"] != "geometric"
    table.loc[others, "p_holm"] = evaluation.holm(table.loc[others, "p"].tolist())
    return table


def _judged(answer: np.ndarray, first: np.ndarray, scores: peers.Scores) -> dict[str, Any]:
    own = evaluation.bootstrap_by_actor(scores.labels, answer, 8, scores.actors)
    uar, (low, high) = own["uar"]
    apart = evaluation.difference_by_actor(scores.labels, first, answer, 8, scores.actors)
    difference, (start, end) = apart["accuracy"]
    same = bool((first == answer).all())
    return {
        "right": int((answer == scores.labels).sum()),
        "accuracy": 100 * own["accuracy"][0],
        "uar": 100 * uar,
        "low": 100 * low,
        "high": 100 * high,
        "difference": 100 * difference,
        "from": 100 * start,
        "to": 100 * end,
        "p": 1.0 if same else evaluation.paired_comparison(scores.labels, first, answer).mcnemar_p,
    }


def nested(pair: Sequence[np.ndarray], scores: peers.Scores) -> np.ndarray:
    """Return the answers of a logistic regression on both, trained on the other folds' answers.

    Each clip of the training was judged by networks that had not met its actor, as each clip of
    the test was; the actors of the test are in no training.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    logs = np.hstack([np.log(np.clip(one, 1e-6, 1)) for one in pair])
    fused = np.empty_like(pair[0])
    for fold in np.unique(scores.folds):
        here = scores.folds == fold
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        model.fit(logs[~here], scores.labels[~here])
        fused[here] = model.predict_proba(logs[here])
    return fused


# --- how sure -------------------------------------------------------------------------------------


def sharpened(probabilities: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Return probabilities whose logits are divided by a temperature, one or one for each row."""
    logs = np.log(np.clip(probabilities, 1e-12, 1))
    return softmax(logs / np.reshape(temperature, (-1, 1)), axis=1)


def temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the temperature under which probabilities (N, C) have the smallest log loss."""
    logs = np.log(np.clip(probabilities, 1e-12, 1))
    rows = np.arange(len(labels))

    def loss(log_t: float) -> float:
        return -float(log_softmax(logs / np.exp(log_t), axis=1)[rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded").x))


def nested_temperature(probabilities: np.ndarray, scores: peers.Scores) -> np.ndarray:
    """Return for each clip the temperature that suits the four other folds, (N,)."""
    found = np.empty(len(scores))
    for fold in np.unique(scores.folds):
        here = scores.folds == fold
        found[here] = temperature(scores.labels[~here], probabilities[~here])
    return found


def risk_coverage(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Return how often answers are wrong when only the surest share of them is given.

    Returns
    -------
    DataFrame
        One row an answer, the surest first: ``coverage`` (share of clips answered), ``risk``
        (share of these that is wrong) and ``confidence`` (of the least sure of them).

    Examples
    --------
    >>> risk_coverage(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]))["risk"].tolist()
    [0.0, 0.5]
    """
    confidence = probabilities.max(1)
    order = np.argsort(-confidence, kind="stable")
    wrong = (probabilities.argmax(1) != labels)[order]
    given = np.arange(1, len(labels) + 1)
    return pd.DataFrame(
        {
            "coverage": given / len(labels),
            "risk": wrong.cumsum() / given,
            "confidence": confidence[order],
        }
    )


def threshold(labels: np.ndarray, probabilities: np.ndarray, risk: float = 0.2) -> float:
    """Return the confidence from which on answers were wrong at most so often.

    The lowest confidence at which the answers given so far stay within `risk`; 1.0 (never answer)
    if there is none.
    """
    curve = risk_coverage(labels, probabilities)
    within = curve[curve["risk"] <= risk]
    return float(within["confidence"].iloc[-1]) if len(within) else 1.0


# --- what a new person's neutral voice tells ------------------------------------------------------


def with_neutral(
    result: results.Result, kept: int = 2, strength: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Take from each clip's log-probabilities what the person's neutral clips show on average.

    The first `kept` neutral clips of each person are his baseline: they are judged in neither way.
    Where somebody's calm voice already sounds sad to the network, "sad" is taken back. The mean
    over people of such baselines is left in, so that only what sets a person apart is removed.

    Returns
    -------
    labels, actors, plain, corrected
        Of the other clips: (N,), (N,), and probabilities (N, C) of the first seed.
    """
    rows, labels, probabilities, actors = result.pooled()
    neutral = result.classes.index("neutral")
    logs = np.log(np.clip(probabilities, 1e-6, 1))
    names = np.array([result.samples.clip_ids[row] for row in rows])
    base, used = {}, np.zeros(len(rows), bool)
    for actor in np.unique(actors):
        own = np.flatnonzero((actors == actor) & (labels == neutral))
        first = own[np.argsort(names[own])][:kept]
        used[first] = True
        base[actor] = logs[first].mean(0)
    usual = np.mean([*base.values()], axis=0)
    offset = np.stack([base[actor] - usual for actor in actors])
    corrected = softmax(logs - strength * offset, axis=1)
    rest = ~used
    return labels[rest], actors[rest], probabilities[rest], corrected[rest]
