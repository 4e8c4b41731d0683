"""Peers under the same light: what others print for RAVDESS, recomputed and set beside ours.

Three things are asked of others' numbers that this book asks of its five papers: do they follow
from their own answers, who chose what on which people, and what is left for people that nobody
has met. `published` reads the scores that one published system gave to each clip; `facts` are
the public facts in ``data/peers.yml``, with repository, commit, file and line. The experiments in
`FULL` train here on *their* folds (``emolib train lab_peers --experiment …``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy.special import log_softmax, softmax

from emolib import evaluation, paths, results
from emolib.corpora import ravdess
from emolib.corpora.peers import ACTORS, PEERS
from emolib.errors import EmolibError
from emolib.labs import leaks
from emolib.labs.learners import LEARNERS, Plain, loader
from emolib.papers import engine, ishtiaq, mostafa
from emolib.papers.experiment import Experiment, choose, command

LAB = "lab_peers"


class PeersError(EmolibError, ValueError):
    """Scores or facts of others are not here, or not what they should be."""


# --- the scores that a published system gave to each clip ------------------------------------

#: Below the folder of recordings: research data, no part of the project.
SCORES = Path("peers/luna-jimenez-2022.csv.xz")
#: What stands before the class in a column → what gave the scores, and whether they are logits.
SYSTEMS = {
    "audio": ("voice alone", True),
    "video": ("action units alone", True),
    "video_mlp": ("action units, second network", False),
    "fusion": ("trained fusion", False),
}
FOLDS = "luna"
#: As printed, in percent.
PRINTED = 86.70


@dataclass(frozen=True)
class Scores:
    """What several systems say about the same clips.

    Attributes
    ----------
    title
        Whose they are; a stand-in says so.
    clip_ids, actors
        Of each clip (N,).
    folds, labels
        In which fold its actor was tested, and its class in the order of `ravdess.CLASSES`.
    probabilities
        System → (N, 8).
    """

    title: str
    clip_ids: np.ndarray
    actors: np.ndarray
    folds: np.ndarray
    labels: np.ndarray
    probabilities: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.labels)


def published(root: str | Path | None = None) -> Scores:
    """Return the scores that Luna-Jiménez et al. (2022) published.

    Parameters
    ----------
    root
        Folder with `SCORES`; that of the recordings by default.

    Raises
    ------
    PeersError
        If they are not here, a column or a clip is missing, or a clip was scored in a fold that
        does not test its actor.
    """
    file = (Path(root) if root else paths.recordings()) / SCORES
    if not file.is_file():
        raise PeersError(
            f"{file} is missing: the scores of each clip are research data of cristinalunaj/"
            "MMEmotionRecognition; put them there, or use peers.stand_in()"
        )
    table = pd.read_csv(file, dtype={"clip_id": str})
    columns = [f"{system}_{name}" for system in SYSTEMS for name in ravdess.CLASSES]
    if absent := sorted({"clip_id", "fold", *columns} - set(table)):
        raise PeersError(f"{file} has no column {', '.join(absent)}: fetch it again")
    return _scores("Luna-Jiménez et al. (2022)", table, str(file))


def stand_in(seed: int = 0) -> Scores:
    """Return made-up scores with the names and folds of the published ones.

    They check this page's machinery where the published ones are not at hand, and are no
    finding: each system hears the acted class more or less well, and each actor is more or less
    easy for each system.
    """
    takes = product(range(1, 9), (1, 2), (1, 2), (1, 2), range(1, 25))
    names = [
        "01-01-" + "-".join(f"{field:02}" for field in take) for take in takes if take[:2] != (1, 2)
    ]
    fold_of = {actor: fold for fold, test in enumerate(PEERS[FOLDS].test) for actor in test}
    table = pd.DataFrame({"clip_id": names, "fold": [fold_of[name[-2:]] for name in names]})
    rng = np.random.default_rng(seed)
    truth = np.eye(8)[table["clip_id"].str[6:8].astype(int) - 1]
    who = table["clip_id"].str[-2:].astype(int).to_numpy() - 1
    for system, gain in (("audio", 3.0), ("video", 2.0), ("video_mlp", 1.9)):
        easy = rng.normal(gain, 0.4, len(ACTORS))[who]
        table = _with(table, system, truth * easy[:, None] + rng.gumbel(size=truth.shape))
    logs = {s: _logs(table[_columns(s)].to_numpy()) for s in ("audio", "video")}
    fused = 1.2 * logs["audio"] + 0.9 * logs["video"] + rng.normal(0, 0.3, truth.shape)
    for system, values in (("fusion", fused), ("video_mlp", table[_columns("video_mlp")])):
        table = _with(table, system, softmax(np.asarray(values), axis=1))
    return _scores("synthetic stand-in", table, "the stand-in")


def _columns(system: str) -> list[str]:
    return [f"{system}_{name}" for name in ravdess.CLASSES]


def _with(table: pd.DataFrame, system: str, values: np.ndarray) -> pd.DataFrame:
    return table.assign(**dict(zip(_columns(system), values.T, strict=True)))


def _logs(logits: np.ndarray) -> np.ndarray:
    return log_softmax(logits, axis=1)


def _scores(title: str, table: pd.DataFrame, where: str) -> Scores:
    """Read clips off their names; refuse what is not one score a clip by a stranger."""
    rows = [ravdess.parse(Path(f"{name}.mp4")) for name in table["clip_id"]]
    actors = np.array([row["actor"] for row in rows])
    if table["clip_id"].duplicated().any():
        raise PeersError(f"{where} scores {table['clip_id'].duplicated().sum()} clips twice")
    tested = PEERS[FOLDS].test
    known = [
        0 <= fold < len(tested) and who in tested[fold]
        for who, fold in zip(actors, table["fold"], strict=True)
    ]
    if not all(known):
        first = table["clip_id"].iloc[known.index(False)]
        raise PeersError(
            f"{where}: {known.count(False)} clips are scored in a fold that does not test their "
            f"actor, such as {first}: these scores leak, or are of other folds"
        )
    values = {system: table[_columns(system)].to_numpy(float) for system in SYSTEMS}
    return Scores(
        title=title,
        clip_ids=table["clip_id"].to_numpy(),
        actors=actors,
        folds=table["fold"].to_numpy(int),
        labels=np.array([ravdess.CLASSES.index(row["emotion"]) for row in rows]),
        probabilities={
            system: softmax(values[system], axis=1) if logits else values[system]
            for system, (_, logits) in SYSTEMS.items()
        },
    )


# --- what follows from them -----------------------------------------------------------------


def recomputed(scores: Scores | None = None) -> pd.DataFrame:
    """Count what each system of `scores` has right, in each fold and over all clips.

    Returns
    -------
    DataFrame
        ``system``, ``fold`` ("0" to "4"; "all" pools the clips; "mean" averages the folds),
        ``actors``, ``clips``, ``right``, and in percent ``accuracy``, ``uar`` with its interval
        ``low`` to ``high`` over actors (of "mean" none).
    """
    scores = scores or published()
    rows = []
    for system, (name, _) in SYSTEMS.items():
        answers = scores.probabilities[system].argmax(1)
        folds = [*((str(fold), scores.folds == fold) for fold in np.unique(scores.folds))]
        own = []
        for fold, here in (*folds, ("all", np.ones(len(scores), bool))):
            drawn = evaluation.bootstrap_by_actor(
                scores.labels[here], answers[here], 8, scores.actors[here]
            )
            right = int((answers == scores.labels)[here].sum())
            uar, (low, high) = drawn["uar"]
            counts = (len(set(scores.actors[here])), int(here.sum()), right)
            own.append(
                (name, fold, *counts, 100 * right / here.sum(), 100 * uar, 100 * low, 100 * high)
            )
        each = pd.DataFrame(own[:-1])
        rows += [
            *own,
            (name, "mean", pd.NA, pd.NA, pd.NA, each[5].mean(), each[6].mean(), np.nan, np.nan),
        ]
    columns = ["system", "fold", "actors", "clips", "right", "accuracy", "uar", "low", "high"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:5], "Int64"))


#: How the scores of voice and action units can be joined without training anything.
UNTRAINED = tuple(
    (systems, how)
    for systems in (("audio", "video"), ("audio", "video_mlp"), ("audio", "video", "video_mlp"))
    for how in ("geometric", "arithmetic")
)


def fusions(scores: Scores | None = None) -> pd.DataFrame:
    """Compare means of the same scores with the trained fusion, clip by clip.

    Nothing is chosen: all of `UNTRAINED` are shown, and the tests are corrected for their number.

    Returns
    -------
    DataFrame
        ``mean`` (which), ``of`` (which systems), ``right``; in percent ``accuracy`` and ``uar``;
        ``fewer`` and ``more`` (clips that only the trained fusion, and only the mean, has right),
        ``difference`` in accuracy (points, mean − trained) with its interval ``low`` to ``high``
        over actors, ``p`` of McNemar's test and ``p_holm``.
    """
    scores = scores or published()
    trained = scores.probabilities["fusion"].argmax(1)
    rows = []
    for systems, how in UNTRAINED:
        fused = evaluation.fuse([scores.probabilities[one] for one in systems], how).argmax(1)
        tested = evaluation.paired_comparison(scores.labels, trained, fused)
        apart = evaluation.difference_by_actor(scores.labels, trained, fused, 8, scores.actors)
        difference, (low, high) = apart["accuracy"]
        own = evaluation.scores(evaluation.confusion_matrix(scores.labels, fused, 8))
        rows.append(
            {
                "mean": how,
                "of": " + ".join(SYSTEMS[one][0] for one in systems),
                "right": int((fused == scores.labels).sum()),
                "accuracy": 100 * float(own["accuracy"]),
                "uar": 100 * float(own["uar"]),
                "fewer": tested.only_first,
                "more": tested.only_second,
                "difference": 100 * difference,
                "low": 100 * low,
                "high": 100 * high,
                "p": tested.mcnemar_p,
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(p_holm=evaluation.holm(table["p"].tolist()))


def weights(scores: Scores | None = None) -> pd.DataFrame:
    """Choose one number, the weight of the voice in a geometric mean, on the test and apart.

    Returns
    -------
    DataFrame
        One row a fold: ``clips``; the weight that is best on the ``test`` fold itself and the one
        that is best on the four ``other`` folds (the smallest of several), and how many clips of
        the fold each has right (``right by test``, ``right by other``).
    """
    scores = scores or published()
    voice, units = (np.log(scores.probabilities[one]) for one in ("audio", "video"))
    grid = np.linspace(0, 1, 21)
    right = np.stack(
        [(w * voice + (1 - w) * units).argmax(1) == scores.labels for w in grid]
    )  # (weights, clips)
    rows = []
    for fold in np.unique(scores.folds):
        here = scores.folds == fold
        inside, outside = right[:, here].sum(1), right[:, ~here].sum(1)
        best, apart = inside.argmax(), outside.argmax()
        rows.append((str(fold), here.sum(), grid[best], grid[apart], inside[best], inside[apart]))
    columns = ["fold", "clips", "test", "other", "right by test", "right by other"]
    return pd.DataFrame(rows, columns=columns)


# --- what others print, and how it was made ---------------------------------------------------

_FACTS = {
    "system", "corpus", "input", "parameters", "folds", "protocol", "metric", "printed", "note",
    "chosen_on", "checked", "where", "cite",
}  # fmt: skip
PROTOCOLS = (
    "new speakers",
    "shared speakers",
    "random split",
    "the corpus's own parts",
    "unknown",
)
CHOSEN_ON = ("test", "nothing", "validation", "not checked")


def facts(file: str | Path | None = None) -> pd.DataFrame:
    """Return what others print, one row a number, as ``data/peers.yml`` explains it.

    ``value`` is the printed number, and ``spread`` what follows its ±.

    Raises
    ------
    PeersError
        If a row has not the fields it must have, or says a protocol that there is not.
    """
    file = Path(file or paths.DATA / "peers.yml")
    rows = yaml.safe_load(file.read_text(encoding="utf-8"))
    for number, row in enumerate(rows, start=1):
        here = f"{file}, row {number} ({row.get('system', 'no system')})"
        if wrong := sorted(_FACTS ^ set(row)):
            raise PeersError(f"{here}: {', '.join(wrong)} is missing or unknown: see its head")
        for name, known in (("protocol", PROTOCOLS), ("chosen_on", CHOSEN_ON)):
            if row[name] not in known:
                raise PeersError(f"{here}: unknown {name} {row[name]!r}: {', '.join(known)}")
        if row["chosen_on"] != "not checked" and not (row["checked"] and row["where"]):
            raise PeersError(f"{here}: say what was checked, and where")
    table = pd.DataFrame(rows).astype({"parameters": "Int64"})
    numbers = table["printed"].str.split(" ± ", expand=True).apply(pd.to_numeric)
    return table.assign(value=numbers[0], spread=numbers[1])


def chosen() -> pd.DataFrame:
    """Return how many printed numbers of each protocol were chosen where."""
    return pd.crosstab(facts()["protocol"], facts()["chosen_on"])


#: Our voices and learners that were tested both ways: by clip, and by actor.
BOTH_WAYS = {
    "Mostafa, voice": ("mostafa/mel-clip", "mostafa/mel-actor"),
    "Ishtiaq, voice": ("ishtiaq/audio-clip", "ishtiaq/audio-actor"),
    "Lu, voice": ("lu/audio-clip", "lu/audio-actor"),
    "Ding, voice": ("ding/audio-clip-standardised", "ding/audio-actor-standardised"),
    "Yang, voice": ("yang/audio-adaptive-clip", "yang/audio-adaptive"),
    "SVM, voice and action units": ("lab_leaks/svm-early-clip", "lab_leaks/svm-early-actor"),
    "nearest neighbour, both": (
        "lab_leaks/neighbour-early-clip",
        "lab_leaks/neighbour-early-actor",
    ),
}


def gaps() -> pd.DataFrame:
    """Return accuracy on people who were met and on new ones, of others and of ours.

    Returns
    -------
    DataFrame
        ``whose``, ``system``, ``corpus``; in percent ``random``, ``new`` with ``low`` to ``high``
        (ours: 95 % over actors; theirs: ± as printed), and ``lost`` points.
    """
    rows: list[tuple] = []
    printed = facts().to_dict("records")
    for one, other in product(printed, printed):
        same = all(one[name] == other[name] for name in ("system", "corpus"))
        if same and (one["protocol"], other["protocol"]) == ("random split", "new speakers"):
            new, spread = other["value"], other["spread"]
            values = (one["value"], new, new - spread, new + spread)
            rows.append(("printed", one["system"], one["corpus"], *values))
    for system, names in BOTH_WAYS.items():
        if all(results.path(*name.split("/")).exists() for name in names):
            by_clip, by_actor = (
                results.load(*name.split("/")).summary["accuracy"] for name in names
            )
            values = (by_clip.mean, by_actor.mean, *by_actor.interval)
            rows.append(("measured here", system, "ravdess", *(100 * value for value in values)))
    columns = ["whose", "system", "corpus", "random", "new", "low", "high"]
    return pd.DataFrame(rows, columns=columns).assign(lost=lambda t: t["random"] - t["new"])


# --- our networks on their folds ------------------------------------------------------------

#: What a learner is given: a few numbers of a clip, or what a paper's network gets.
INPUTS = {"numbers": leaks.numbers, "mostafa": mostafa.load, "ishtiaq": ishtiaq.load}
#: A paper's voice network and the experiment whose recipe it is trained by.
VOICES = {"mostafa": "mel-ours-actor", "ishtiaq": "audio-ours-actor"}
load = loader(INPUTS)


def learner(experiment: Experiment, mode: str, device: str) -> engine.Learner:
    """Return what the option ``learner`` names: a plain learner, or a paper's voice network."""
    options = dict(experiment.options)
    name = options.pop("learner", "svm")
    choose("learner", name, (*LEARNERS, *VOICES))
    if name in VOICES:
        return engine.network(name, replace(experiment, options=options), mode, device)
    engine.refuse_unknown("option", options, Plain, ("learner", "modality"))
    return Plain(name, experiment.modality, **options)


def _declared() -> dict[str, Experiment]:
    """Return plain learners and two papers' voice networks, on the folds of each peer.

    The networks keep inputs, options and recipe of the experiment that `VOICES` names: only the
    people are dealt otherwise.
    """
    plain = Experiment("ravdess", "both", seeds=(0,), options={"learner": "svm"})
    full = {}
    for folds in PEERS:
        for modality in ("audio", "video"):
            full[f"svm-{modality}-{folds}"] = plain.changed(modality=modality, split=folds)
        for fusion in ("early", "geometric"):
            full[f"svm-{fusion}-{folds}"] = plain.changed(split=folds, options={"fusion": fusion})
        for key, name in VOICES.items():
            own = engine.declared(key, name)
            full[f"{key}-{folds}"] = own.changed(
                split=folds,
                seeds=(0,),
                options={"learner": key},
                data={"inputs": key},
                recipe=own.recipe or engine.paper(key).RECIPE,
            )
    return full


FULL: dict[str, Experiment] = _declared()


def beside(folds: str) -> pd.DataFrame:
    """Return ours beside what others print on the same folds.

    Returns
    -------
    DataFrame
        ``whose`` ("printed", "recomputed" or "ours"), ``system``, ``input``, ``parameters``,
        ``metric``, in percent its ``value`` with ``low`` to ``high`` (printed: ± as printed; else
        95 % over actors), ``chosen on``; and the ``command`` of what has not been run.
    """
    choose("folds", folds, PEERS)
    printed = facts().query("folds == @folds and corpus == 'ravdess'")
    rows = [
        {
            "whose": "printed",
            **{name: row[name] for name in ("system", "input", "parameters", "metric", "value")},
            "low": row["value"] - row["spread"],
            "high": row["value"] + row["spread"],
            "chosen on": row["chosen_on"],
            "command": "",
        }
        for row in printed.to_dict("records")
    ]
    rows += _recomputed_beside() if folds == FOLDS else []
    rows += [_ours(name) for name in FULL if name.endswith(f"-{folds}")]
    return pd.DataFrame(rows).astype({"parameters": "Int64"})


def _recomputed_beside() -> list[dict[str, object]]:
    """Return the parts of the published system, from the committed table of `recomputed`."""
    file = paths.find(paths.RESULTS / LAB / "recomputed.csv")
    if not file.exists():
        return []
    table = pd.read_csv(file).query("fold == 'all'").set_index("system")
    return [
        {
            "whose": "recomputed",
            "system": f"Luna-Jiménez, {SYSTEMS[part][0]}",
            "input": given,
            "parameters": parameters,
            "metric": "UAR",
            "value": table.loc[SYSTEMS[part][0], "uar"],
            "low": table.loc[SYSTEMS[part][0], "low"],
            "high": table.loc[SYSTEMS[part][0], "high"],
            "chosen on": "test" if part == "audio" else "not checked",
            "command": "",
        }
        for part, given, parameters in (
            ("audio", "voice", 317_000_000),
            ("video", "action units", pd.NA),
            ("video_mlp", "action units", pd.NA),
        )
    ]


_INPUT = {"audio": "voice", "video": "action units", "both": "voice and action units"}


def _ours(name: str) -> dict[str, object]:
    experiment = FULL[name]
    row: dict[str, object] = {
        "whose": "ours",
        "system": name.rsplit("-", 1)[0],
        "input": _INPUT[experiment.modality],
        "metric": "UAR",
        "chosen on": "validation",
        "parameters": pd.NA,
        "command": command(LAB, name),
    }
    if not results.path(LAB, name).exists():
        return row
    result = results.load(LAB, name)
    uar = result.summary["uar"]
    several = experiment.modality == "both"
    fusion = [f"{result.model.options['fusion']} fusion"] if several else []
    return row | {
        "system": ", ".join([result.title.split(",")[0], *fusion]),
        "parameters": result.model.parameters,
        "value": 100 * uar.mean,
        "low": 100 * uar.interval[0],
        "high": 100 * uar.interval[1],
        "command": "",
    }


# --- how often is this wrong? -----------------------------------------------------------------


def selection(trials: int, spread: float, noise: float, seed: int = 0, draws: int = 2000) -> dict:
    """Say what the best of several trials is worth, when it is chosen on the test or apart.

    Parameters
    ----------
    trials
        Settings that are tried; how good each is really is drawn with sd `spread` (points).
    noise
        Sd of what one test adds by chance, in points.

    Returns
    -------
    dict
        Mean over `draws` of ``shown`` (what the chosen one shows on the test it was chosen on),
        ``worth`` (what it is worth) and ``honest`` (worth of one chosen on other people), all in
        points above the mean setting.
    """
    rng = np.random.default_rng(seed)
    true = rng.normal(0, spread, (draws, trials))
    test, other = (true + rng.normal(0, noise, true.shape) for _ in range(2))
    rows = np.arange(draws)
    best, apart = test.argmax(1), other.argmax(1)
    return {
        "shown": float(test[rows, best].mean()),
        "worth": float(true[rows, best].mean()),
        "honest": float(true[rows, apart].mean()),
    }


def false_alarms(
    tables: int, seed: int = 0, *, actors: int = 24, clips: int = 60, taste: float = 0.08
) -> pd.DataFrame:
    """Count how often two equally good systems are told apart, by each of two tests.

    Each is right on a clip with a probability of 0.8 on average; each actor suits one of them
    better, by a sd of `taste` each, so that clips of one actor are not independent.

    Returns
    -------
    DataFrame
        For actors who suit both alike and for those with `taste`: the share of tables in which
        McNemar's test says p < 0.05, and in which the interval over actors leaves out zero.
    """
    rows = []
    labels, who = np.zeros(actors * clips, int), np.repeat(np.arange(actors), clips)
    for name, sd in (("all actors suit both alike", 0.0), ("each actor suits one better", taste)):
        rng = np.random.default_rng(seed)
        alarms = np.zeros(2)
        for _ in range(tables):
            chance = np.clip(0.8 + rng.normal(0, sd, (2, actors)), 0, 1)
            first, second = (rng.random((2, len(who))) > chance[:, who]).astype(int)
            p = evaluation.paired_comparison(labels, first, second).mcnemar_p
            low, high = evaluation.difference_by_actor(labels, first, second, 2, who, draws=500)[
                "accuracy"
            ][1]
            alarms += (p < 0.05, not low <= 0 <= high)
        rows.append((name, tables, *(100 * alarms / tables)))
    columns = ["people", "tables", "McNemar (%)", "interval over actors (%)"]
    return pd.DataFrame(rows, columns=columns)
