"""The tables beside the results: what several runs say together, or a run says when asked again.

``emolib study`` makes them all, or those named, from what is stored: the committed results, the
weights that runs left in ``data/runs``, and the recordings. ``ishtiaq/cost``, ``lu/face-times``
and all of ``lab_devices`` are measured on the machine that they are made on; ``lu/voice-variants``
and ``ding/int8`` train.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from emolib import devices, evaluation, export, models, paths, results, training
from emolib.corpora import fer2013, pictures, splits
from emolib.errors import EmolibError
from emolib.labs import devices as machines
from emolib.labs import fusion, grid, label_noise, leaks, peers, quantising
from emolib.papers import augment, engine, ishtiaq, mostafa, streams, yang
from emolib.papers.experiment import Experiment, command
from emolib.training import Samples

LEVELS = (0.5, 1.0, 2.0)
#: Our face networks, trained without pictures that look like one of the test.
LOOKERS = ("fer-residual-official", "fer-residual-long-official", "fer-slim-official")
BATCH = 4


class StudyError(EmolibError, RuntimeError):
    """A table cannot be made; the message says what to run first."""


# --- Ding: the ablations of its supplement ------------------------------------------------------

#: Setting → experiment; the paper's own choice is that of the first.
VOICE_KERNELS: Mapping[Any, str] = {5: "audio-cell"} | {
    k: f"audio-kernel-{k}" for k in range(2, 13) if k != 5
}
DROPOUTS: Mapping[Any, str] = {0.4: "audio-cell"} | {
    rate: f"audio-dropout-{rate}" for rate in (0.0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
}
FACE_KERNELS: Mapping[Any, str] = {3: "paired-video-actor-short"} | {
    k: f"paired-kernel-{k}" for k in range(2, 10) if k != 3
}


def ablation(
    axis: str, experiments: Mapping[Any, str], *, key: str = "ding", metric: str = "accuracy"
) -> pd.DataFrame:
    """Compare the settings of one axis with the paper's own, run by run.

    Parameters
    ----------
    axis
        What varies: the name of the first column.
    experiments
        Setting → experiment, the paper's choice first. Those that have not been made are left out.
    key
        The paper.
    metric
        "accuracy", "uar" or "macro_f1", of clips.

    Returns
    -------
    DataFrame
        By setting: `metric` with ``low`` and ``high`` (95 %, by actor), ``parameters``, the
        ``difference`` from the paper's choice, ``p`` (corrected resampled t-test over seeds and
        folds) and ``p_holm``; ``seeds`` and ``folds``, how many were run, and ``chosen``, whether
        the row is the paper's.

    Raises
    ------
    StudyError
        If there is no result of the paper's choice.
    """
    choice, first = next(iter(experiments.items()))
    stored = grid.stored(key, experiments)
    if choice not in stored:
        raise StudyError(f"there is no reference: run `{command(key, first)}`")
    table = grid.compare(stored[choice], stored, metric=metric).rename(columns={"name": axis})
    chosen = table[axis] == choice
    p = table["p"].mask(chosen)
    return table.assign(
        p=p,
        p_holm=evaluation.holm(p),
        seeds=[len(result.seeds) for result in stored.values()],
        folds=[len(result.split.folds) for result in stored.values()],
        chosen=chosen,
    ).sort_values(axis, ignore_index=True)


# --- Lu: one person a clip, or several --------------------------------------------------------


def looks() -> pd.DataFrame:
    """Show the published face network clips of strangers: of one person each, and of several.

    Asked are clips of the actors that its fold kept for the test. A clip of several people is 15
    pictures of them, a clip of one person 15 moved views of a single picture.

    Returns
    -------
    DataFrame
        ``clips`` ("several", "one"), ``n``, ``accuracy`` with ``low`` and ``high`` (95 %, by
        actor), ``uar``, and the ``network``.
    """
    from safetensors.torch import load_file

    file = paths.find(paths.WEIGHTS / "lu" / "face.safetensors")
    card = json.loads(file.with_suffix(".json").read_text())
    network = models.build("lu", len(card["classes"]), **card["options"])
    network.load_state_dict(load_file(file))
    rows = []
    for clips in leaks.PICTURES[::-1]:
        asked = Experiment("paired", "video", data={"inputs": "looks", "pictures": clips})
        dataset, split, _ = engine.prepared(leaks.LAB, asked)
        _, _, test = dataset.parts(split, card["fold"])
        answers = training.predict(network, test, prepare=dataset.prepare, batch_size=16)
        actors = dataset.actors(split, card["fold"]).tolist()
        if shared := {*actors} & {*card["trained_on_actors"]}:
            raise StudyError(f"{file} was trained on actors {', '.join(sorted(shared))}")
        judged = evaluation.evaluate(test.labels.numpy(), answers, dataset.classes, actors=actors)
        low, high = judged.accuracy_actor_interval
        rows.append((clips, len(test), judged.accuracy, low, high, judged.uar))
    columns = ["clips", "n", "accuracy", "low", "high", "uar"]
    return pd.DataFrame(rows, columns=columns).assign(network=card["title"])


# --- Yang: does another order than one help? -------------------------------------------------


def orders(metric: str = "uar") -> pd.DataFrame:
    """Compare every order of the transform with the ordinary one, run by run.

    Only seeds that all stored orders share are compared. Differences are tested with the corrected
    resampled t-test over seeds and folds, and the tests are corrected for their number (Holm).

    Parameters
    ----------
    metric
        "uar" or "accuracy".

    Returns
    -------
    DataFrame
        ``order``, ``seeds``, ``folds``, the mean of `metric`, its ``difference`` from order 1,
        in how many runs the order was ``better``, ``p`` and ``p_holm``.

    Raises
    ------
    StudyError
        If there is no result of the ordinary transform.
    """
    stored = grid.stored("yang", {order: f"audio-{order}" for order in yang.ORDERS})
    if 1.0 not in stored:
        raise StudyError(f"there is no reference: run `{command('yang', 'audio-1.0')}`")
    shared = sorted(set.intersection(*(set(result.seeds) for result in stored.values())))
    runs = {
        order: {(run.seed, run.fold): run for run in result.runs if run.seed in shared}
        for order, result in stored.items()
    }
    first = next(iter(runs[1.0].values())).counts
    rows = []
    for order, own in runs.items():
        pairs = sorted(set(own) & set(runs[1.0]))
        values = np.array([own[pair].metrics[metric] for pair in pairs])
        gain = values - [runs[1.0][pair].metrics[metric] for pair in pairs]
        better, p = "", np.nan
        if order != 1.0:
            better = f"{int((gain > 0).sum())} of {len(pairs)}"
            sizes = (first[part]["n"] for part in ("train", "test"))
            _, p = evaluation.corrected_t_test(gain.tolist(), *sizes)
        folds = len({fold for _, fold in pairs})
        rows.append((str(order), len(shared), folds, values.mean(), gain.mean(), better, p))
    columns = ["order", "seeds", "folds", metric, "difference", "better", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=evaluation.holm(table["p"]))


# --- Ishtiaq: a modality is missing, or noisy -------------------------------------------------


def robustness(experiment: str = "paired-all-actor") -> pd.DataFrame:
    """Ask a trained network of all modalities without one, or with one of them noisy.

    Noise is Gaussian with a standard deviation of `LEVELS` times that of the input; of words, the
    share `LEVELS` (at most one) becomes unknown. The network was not trained for either.

    Returns
    -------
    DataFrame
        ``seed``, ``fold``, ``what`` ("nothing", "missing" or "noise"), ``modality``, ``level``
        and ``uar``.

    Raises
    ------
    ResultError
        If the weights of that experiment are not on this machine.
    """
    result = results.load("ishtiaq", experiment)
    dataset, split, _ = engine.prepared("ishtiaq", experiment)
    tables = [_disturbed(result, run, dataset, split) for run in result.runs]
    return pd.concat(tables, ignore_index=True)


def _disturbed(
    result: results.Result, run: results.Run, dataset: engine.Dataset, split: splits.Split
) -> pd.DataFrame:
    model = result.network(run.seed, run.fold)
    _, _, test = dataset.parts(split, run.fold)
    test = Samples(dataset.prepare(test.inputs, None), test.labels)
    names = streams.MODALITIES[result.modality]

    def uar(samples: Samples, present: list[bool]) -> float:
        rows = torch.tensor([present]).expand(len(samples), -1)
        with torch.inference_mode():
            answers = model(**samples.inputs, present=rows).softmax(1).numpy()
        return evaluation.evaluate(samples.labels.numpy(), answers, dataset.classes, draws=1).uar

    everything = [True] * len(names)
    rows = [{"what": "nothing", "modality": "", "level": 0.0, "uar": uar(test, everything)}]
    for i, name in enumerate(names):
        rest = [there and j != i for j, there in enumerate(everything)]
        rows.append({"what": "missing", "modality": name, "level": 1.0, "uar": uar(test, rest)})
        for level in LEVELS:
            if name == "text" and level > 1:
                continue
            heard = uar(ishtiaq.noisy(test, name, level), everything)
            rows.append({"what": "noise", "modality": name, "level": level, "uar": heard})
    return pd.DataFrame(rows).assign(seed=run.seed, fold=run.fold)


# --- Mostafa: what the look-alikes of FER2013 are worth ---------------------------------------


def look_alikes(
    without: str = "fer-residual-official", within: str = "fer-residual-twins-official"
) -> pd.DataFrame:
    """Compare two trainings that differ in the pictures which look like one of the test.

    Parameters
    ----------
    without, within
        Results of trainings without look-alikes, and with them.

    Returns
    -------
    DataFrame
        For all ``test pictures``, those ``with a look-alike`` in training and those ``without``:
        how many ``pictures``, the mean accuracy over the seeds that both have after either
        training (``left out``, ``left in``), the ``difference``, and ``p`` of McNemar's test
        between the means of their networks.

    Raises
    ------
    StudyError
        If the two have no seed in common.
    """
    dataset, split, _ = engine.prepared("mostafa", within)
    rows, groups = dataset.rows(split, 0), np.asarray(dataset.images)
    known = np.isin(groups[rows["test"]], groups[np.concatenate([rows["train"], rows["valid"]])])
    ids = dataset.manifest["clip_id"].to_numpy()[rows["test"]]
    labels = dataset.samples.labels.numpy()[rows["test"]]
    stored = [results.load("mostafa", name) for name in (without, within)]
    seeds = sorted(set.intersection(*(set(result.seeds) for result in stored)))
    if not seeds:
        raise StudyError(
            f"{without} and {within} have no seed in common: run `{command('mostafa', within)}`"
        )
    left_out, left_in = (_answers(result, seeds, ids) for result in stored)  # (seeds, N, classes)
    right = [answers.argmax(2) == labels for answers in (left_out, left_in)]
    table = []
    every = np.ones_like(known)
    for name, shown in (("all", every), ("with a look-alike", known), ("without", ~known)):
        accuracy = [float(each[:, shown].mean()) for each in right]
        tested = evaluation.paired_comparison(
            labels[shown], left_out[:, shown].mean(0), left_in[:, shown].mean(0)
        )
        table.append((name, int(shown.sum()), len(seeds), *accuracy, tested.mcnemar_p))
    columns = ["test pictures", "pictures", "seeds", "left out", "left in", "p"]
    compared = pd.DataFrame(table, columns=columns)
    compared.insert(5, "difference", compared["left in"] - compared["left out"])
    return compared


def remembering(names: Iterable[str] = LOOKERS) -> pd.DataFrame:
    """Ask face networks about validation pictures that look like a training picture, and others.

    Validation pictures are dealt from FER2013's training set, where look-alikes are many. Only
    the choice of the epoch sees them.

    Returns
    -------
    DataFrame
        For each experiment and both kinds of ``validation pictures``: the ``epochs`` and ``seeds``
        of the experiment, how many ``pictures``, and their ``accuracy``, mean over the seeds.

    Raises
    ------
    ResultError
        If the weights of an experiment are not on this machine.
    """
    table = []
    for name in names:
        result = results.load("mostafa", name)
        dataset, split, _ = engine.prepared("mostafa", name)
        rows, groups = dataset.rows(split, 0), np.asarray(dataset.images)
        _, valid, _ = dataset.parts(split, 0)
        known = np.isin(groups[rows["valid"]], groups[rows["train"]])
        right = np.stack(
            [
                training.predict(result.network(seed, 0), valid, prepare=dataset.prepare).argmax(1)
                == valid.labels.numpy()
                for seed in result.seeds
            ]
        )  # (seeds, pictures)
        for kind, shown in (("with a look-alike", known), ("without", ~known)):
            asked = (name, result.recipe["max_epochs"], len(result.seeds), kind)
            table.append((*asked, int(shown.sum()), float(right[:, shown].mean())))
    columns = ["experiment", "epochs", "seeds", "validation pictures", "pictures", "accuracy"]
    return pd.DataFrame(table, columns=columns)


def _answers(result: results.Result, seeds: Sequence[int], ids: np.ndarray) -> np.ndarray:
    """Return the probabilities of the clips `ids` from each seed: (seeds, clips, classes)."""
    answers = []
    for seed in seeds:
        rows, _, probabilities, _ = result.pooled(seed)
        place = pd.Index(np.asarray(result.samples.clip_ids)[rows]).get_indexer(ids)
        if (place < 0).any():
            raise StudyError(
                f"{result.experiment} has not been tested on {ids[place < 0][0]} and "
                f"{(place < 0).sum() - 1} others: run `{command(result.key, result.experiment)}` "
                "again"
            )
        answers.append(probabilities[place])
    return np.stack(answers)


def near_duplicates() -> pd.DataFrame:
    """Count the pictures of FER2013 that look the same, by how alike they have to be."""
    manifest = fer2013.manifest()
    report = pictures.near_duplicate_report(
        fer2013.images(), manifest["emotion"].to_numpy(), manifest["usage"].to_numpy()
    )
    return report.assign(pictures=len(manifest)).reset_index()


# --- Mostafa and Ishtiaq: asked more than once ------------------------------------------------

#: By how many of 48 pixels a face is moved.
MOVED = 3


def looking(names: Iterable[str] = LOOKERS) -> pd.DataFrame:
    """Ask Mostafa's face networks about each test picture as it is, mirrored and moved.

    Two views are the picture and its mirror image; ten are these and both moved by `MOVED` pixels
    up, down, left and right. Nothing was chosen by looking at the outcome: both are customary.

    Returns
    -------
    DataFrame
        As `listening`; pictures are drawn for the interval, as their people are not known.

    Raises
    ------
    ResultError
        If the weights of an experiment are not on this machine.
    """

    def views(test: Samples) -> list[Samples]:
        return [Samples({"video": view}, test.labels) for view in face_views(test)]

    return _asked_often("mostafa", names, views, (1, 2, 10))


def face_views(samples: Samples) -> list[torch.Tensor]:
    """Return ten views of faces, each (N, 1, 48, 48): as they are, mirrored, moved."""
    faces = augment.faces_to_input(samples.inputs["video"])
    wide = torch.nn.functional.pad(faces, [MOVED] * 4, mode="replicate")
    views = []
    for down, right in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2)):
        rows, columns = (slice(MOVED * n, MOVED * n + mostafa.SIDE) for n in (down, right))
        moved = wide[:, :, rows, columns]
        views += [moved, moved.flip(-1)]
    return views


def listening(names: Iterable[str] = ("audio-ours-actor", "audio-actor")) -> pd.DataFrame:
    """Ask Ishtiaq's trained voice networks about each test clip as it is, and about its versions.

    The versions are those that training draws from: two semitones lower and higher, a tenth slower
    and faster. The answer is the mean of all probabilities; of several networks (every choice of
    the seeds that there are), the mean over them as well.

    Returns
    -------
    DataFrame
        ``experiment``, ``networks`` that answer together, ``seeds``, their ``parameters``, how
        many ``versions`` they are asked about, and over all test clips ``uar`` with its interval
        ``low`` to ``high`` (actors drawn with replacement) and ``accuracy``.

    Raises
    ------
    ResultError
        If the weights of an experiment are not on this machine.
    """

    def versions(test: Samples) -> list[Samples]:
        voices = test.inputs["audio"]  # (clips, versions, 64, 64)
        return [Samples({"audio": voices[:, i, None]}, test.labels) for i in range(voices.shape[1])]

    return _asked_often("ishtiaq", names, versions, (1, 5))


def _asked_often(
    key: str,
    names: Iterable[str],
    versions: Callable[[Samples], list[Samples]],
    counts: Iterable[int],
) -> pd.DataFrame:
    """Judge every choice of a result's seeds, asked about so many versions of each test clip."""

    def answered(network: torch.nn.Module, test: Sequence[Samples]) -> np.ndarray:
        return np.stack([training.predict(network, each) for each in test], axis=1)

    tables = []
    for name in names:
        result = results.load(key, name)
        dataset, split, _ = engine.prepared(key, name)
        folds = result.split.folds
        tests = {fold: versions(dataset.parts(split, fold)[2]) for fold in folds}
        answers = {
            seed: np.concatenate(
                [answered(result.network(seed, fold), tests[fold]) for fold in folds]
            )
            for seed in tqdm(result.seeds, desc=name, unit="seed")
        }  # seed → (clips, versions, classes)
        rows = np.concatenate([dataset.rows(split, fold)["test"] for fold in folds])
        tables.append(_judged(result, answers, rows, dataset, counts))
    return pd.concat(tables, ignore_index=True)


def _judged(
    result: results.Result,
    answers: Mapping[int, np.ndarray],
    tested: np.ndarray,
    dataset: engine.Dataset,
    counts: Iterable[int],
) -> pd.DataFrame:
    """Judge the mean over versions, and over every choice of seeds."""
    labels = dataset.samples.labels.numpy()[tested]
    actors = dataset.manifest["actor"].to_numpy()[tested]
    rows = []
    for seeds in chain.from_iterable(combinations(answers, n + 1) for n in range(len(answers))):
        mean = np.mean([answers[seed] for seed in seeds], axis=0)
        for count in counts:
            judged = evaluation.evaluate(
                labels, mean[:, :count].mean(axis=1), dataset.classes, actors=actors
            )
            names = " ".join(map(str, seeds))
            rows.append(
                (len(seeds), names, count, judged.uar, *judged.uar_interval, judged.accuracy)
            )
    columns = ["networks", "seeds", "versions", "uar", "low", "high", "accuracy"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(0, "experiment", result.experiment)
    table.insert(3, "parameters", table["networks"] * result.model.parameters)
    return table


# --- Ishtiaq: what the heavy design costs -----------------------------------------------------


def light_and_heavy(batch: int = BATCH, runs: int = 5) -> pd.DataFrame:
    """Measure a training step and a forward pass of the light and the heavy design.

    One thread, processor time, 32-bit floats, in one run.

    Returns
    -------
    DataFrame
        One row for each of voice alone and all modalities: for both designs milliseconds of a
        ``step`` and of a forward pass (``use``), ``training`` and ``inference`` peaks in MB, and
        the ratios heavy / light of each.
    """
    rows = []
    for modality in ("audio", "all"):
        inputs = models.example_inputs("ishtiaq", batch=batch, modality=modality)
        row: dict = {"modality": modality, "batch": batch}
        for design in ("light", "heavy"):
            build = partial(models.build, "ishtiaq", modality=modality, design=design)
            step, training_peak, inference_peak = devices.training_step(
                build, inputs, torch.arange(batch) % 8, runs=runs
            )
            use = devices.latency(build(), inputs, runs=runs, warmup=1, clock=time.process_time)
            row |= {
                f"{design} step (ms)": step.fastest_ms,
                f"{design} use (ms)": use.fastest_ms,
                f"{design} training (MB)": training_peak / 1e6,
                f"{design} inference (MB)": inference_peak / 1e6,
            }
        for what in ("step (ms)", "use (ms)", "training (MB)", "inference (MB)"):
            row[f"{what.split(' (')[0]} ratio"] = row[f"heavy {what}"] / row[f"light {what}"]
        rows.append(row)
    return pd.DataFrame(rows)


# --- Lu: torch and onnxruntime -----------------------------------------------------------------


TIMES = ("median_ms", "fastest_ms", "processor_ms")


def face_times(threads: Sequence[int] = (1, 2), *, runs: int = 10) -> pd.DataFrame:
    """Measure the facial network on one clip of the paper, 15 frames of 224×224, two ways.

    Returns
    -------
    DataFrame
        One row a number of threads and a runtime: ``threads, runtime``; ``median_ms`` and
        ``fastest_ms`` by the clock, ``processor_ms`` of all threads; ``times as fast`` by
        processor time, and the ``largest difference`` of the logits, both against torch; the
        ``processor``.
    """
    model = models.build("lu", modality="video").eval()
    clip = models.example_inputs("lu", batch=1, modality="video")
    rows = []
    with TemporaryDirectory() as folder:
        file = export.export(model, clip, Path(folder) / "lu.onnx")
        difference = export.parity(model, file, clip).max_abs_diff
        for n in threads:
            eager = devices.latency(model, clip, runs=runs, threads=n)
            exported = export.latency(file, clip, runs=runs, threads=n)
            for runtime, measured in (("torch", eager), ("onnxruntime", exported)):
                times = [getattr(measured, name) for name in TIMES]
                faster = eager.processor_ms / measured.processor_ms
                rows.append((n, runtime, *times, faster, 0.0 if measured is eager else difference))
    columns = ["threads", "runtime", *TIMES, "times as fast", "largest difference"]
    return pd.DataFrame(rows, columns=columns).assign(processor=results.device_name("cpu"))


# --- the tables of the book --------------------------------------------------------------------


def _fusion_noise() -> pd.DataFrame:
    return pd.concat([fusion.noise("svm"), fusion.noise("mlp")], ignore_index=True)


TABLES: Mapping[str, Callable[[], pd.DataFrame]] = {
    "ding/voice-kernels": partial(ablation, "kernel", VOICE_KERNELS),
    "ding/dropouts": partial(ablation, "dropout", DROPOUTS),
    "ding/face-kernels": partial(ablation, "kernel", FACE_KERNELS),
    "ding/int8": partial(quantising.table, "ding"),
    "lab_devices/machine": machines.machines,
    "lab_devices/latencies": machines.latencies,
    "lab_devices/misses": machines.missed,
    "lab_leaks/fer2013-near-duplicates": near_duplicates,
    "lab_peers/recomputed": peers.recomputed,
    "lab_peers/fusions": peers.fusions,
    "lab_peers/weights": peers.weights,
    "mostafa/label-noise": partial(label_noise.table, "fer-residual-official"),
    "mostafa/int8": partial(quantising.table, "mostafa"),
    "mostafa/looking": looking,
    "mostafa/look-alikes": look_alikes,
    "mostafa/remembering": remembering,
    "lu/fusion-noise": _fusion_noise,
    "lu/leave-one-emotion-out": fusion.leave_one_emotion_out,
    "lu/int8": partial(quantising.table, "lu"),
    "lu/looks": looks,
    "lu/branch-noise": fusion.noise_in_branches,
    "lu/voice-variants": fusion.voice_variants,
    "lu/face-times": partial(face_times, (1,)),  # on one thread: several wait for each other
    "yang/orders": orders,
    "ishtiaq/listening": listening,
    "ishtiaq/robustness": robustness,
    "ishtiaq/cost": light_and_heavy,
}


def save(name: str) -> Path:
    """Make one of `TABLES` and write it to ``data/results``.

    Raises
    ------
    StudyError
        If the name is unknown, or what the table is made from is not on this machine.
    """
    if name not in TABLES:
        raise StudyError(f"unknown table {name!r}: known are {', '.join(TABLES)}")
    target = paths.RESULTS / f"{name}.csv"
    table = TABLES[name]().assign(commit=results.commit()[0])
    with paths.atomic(target) as part:
        table.to_csv(part, index=False)
    return target


def table(name: str) -> pd.DataFrame:
    """Return a stored table, or an empty one that says how to make it."""
    file = paths.find(paths.RESULTS / f"{name}.csv")
    if not file.exists():
        return pd.DataFrame({"not made yet": [f"emolib study {name}"]})
    return pd.read_csv(file, keep_default_na=False, na_values=[""]).drop(columns="commit")
