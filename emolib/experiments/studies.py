"""Tables beside the results of Yang and Ishtiaq: what several runs say together.

``python -m emolib.experiments.studies`` makes them all, or those named, from what is stored:
``yang/orders`` from the committed results, ``ishtiaq/listening`` and ``ishtiaq/robustness`` from
the weights that the runs left in ``data/runs``. ``ishtiaq/cost`` is measured on the machine that
it is made on.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from emolib import devices, evaluation, experiments, models, paths, results
from emolib.corpora import splits
from emolib.experiments import ishtiaq, yang
from emolib.training import Samples

LEVELS = (0.5, 1.0, 2.0)
BATCH = 4


class StudyError(RuntimeError):
    """A table cannot be made; the message says what to run first."""


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
    stored = {
        order: results.load("yang", f"audio-{order}")
        for order in yang.ORDERS
        if results.path("yang", f"audio-{order}").exists()
    }
    if 1.0 not in stored:
        raise StudyError("there is no reference: run `emolib train yang --experiment audio-1.0`")
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
        p = (
            np.nan
            if order == 1.0
            else evaluation.corrected_t_test(gain, first["train"]["n"], first["test"]["n"])[1]
        )
        rows.append(
            {
                "order": str(order),
                "seeds": len(shared),
                "folds": len({fold for _, fold in pairs}),
                metric: values.mean(),
                "difference": gain.mean(),
                "better": f"{int((gain > 0).sum())} of {len(pairs)}" if order != 1.0 else "",
                "p": p,
            }
        )
    table = pd.DataFrame(rows)
    tested = table["p"].notna()
    if tested.any():
        table.loc[tested, "p_holm"] = evaluation.holm(table.loc[tested, "p"])
    return table


# --- Ishtiaq: a modality is missing, or noisy -------------------------------------------------


def kept(key: str, experiment: str) -> tuple[experiments.Dataset, splits.Split, Path]:
    """Return the data, split and folder of weights of a paper's full experiment."""
    said = experiments.paper(key).FULL[experiment]
    module = experiments.paper(key)
    dataset = module.load(said["corpus"], said["modality"], "full", **said.get("data", {}))
    split, _ = experiments.checked(said["split"], dataset, said.get("allow_leak"))
    options = {"modality": said["modality"], **said.get("options", {})}
    recipe = said.get("recipe", module.RECIPE)
    digest = experiments._digest(module, module.load, dataset, split, recipe, options, "full")
    return dataset, split, paths.RUNS / digest


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
    StudyError
        If the weights of that experiment are not on this machine.
    """
    dataset, split, folder = kept("ishtiaq", experiment)
    said = ishtiaq.FULL[experiment]
    files = sorted(folder.glob("seed*-fold*.safetensors"))
    if not files:
        raise StudyError(
            f"the weights of {experiment} are not in {folder}: run "
            f"`emolib train ishtiaq --experiment {experiment}`"
        )
    return pd.concat([_asked(file, dataset, split, said) for file in files], ignore_index=True)


def _asked(file: Path, dataset: experiments.Dataset, split: splits.Split, said) -> pd.DataFrame:
    from safetensors.torch import load_model

    seed, fold = (int(part.strip("sedfol")) for part in file.stem.split("-"))
    model = _network(dataset, said)
    load_model(model, file)
    model.eval()
    _, _, test = dataset.parts(split, fold)
    test = Samples(dataset.prepare(test.inputs, None), test.labels)
    names = ishtiaq.MODALITIES[said["modality"]]

    def uar(samples: Samples, present: list[bool]) -> float:
        rows = torch.tensor([present]).expand(len(samples), -1)
        with torch.inference_mode():
            said = model(**samples.inputs, present=rows).softmax(1).numpy()
        return evaluation.evaluate(samples.labels, said, dataset.classes, draws=1).uar

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
    return pd.DataFrame(rows).assign(seed=seed, fold=fold)


# --- Ishtiaq: a voice heard more than once -----------------------------------------------------


def listening(names: Iterable[str] = ("audio-ours-actor", "audio-actor")) -> pd.DataFrame:
    """Ask trained voice networks about each test clip as it is, and about its altered versions too.

    The versions are those that training draws from: two semitones lower and higher, a tenth slower
    and faster. The answer is the mean of all probabilities; of several networks (every choice of
    the seeds that there are), the mean over them as well.

    Returns
    -------
    DataFrame
        ``experiment``, ``networks`` that answer together, ``seeds``, their ``parameters``, how
        often a clip is ``heard``, and over all test clips ``uar`` with its interval ``low`` to
        ``high`` (actors drawn with replacement) and ``accuracy``.

    Raises
    ------
    StudyError
        If none of the experiments has left weights for every fold on this machine.
    """
    tables = [table for name in names if len(table := _listened(name))]
    if not tables:
        raise StudyError(
            "there are no weights of all folds: run "
            "`emolib train ishtiaq --experiment audio-ours-actor`"
        )
    return pd.concat(tables, ignore_index=True)


def _listened(experiment: str) -> pd.DataFrame:
    """Return the rows of one experiment; none without the weights of a whole seed."""
    dataset, split, folder = kept("ishtiaq", experiment)
    said = ishtiaq.FULL[experiment]
    answers: dict[int, list[np.ndarray]] = {}
    for seed in said["seeds"]:
        files = [folder / f"seed{seed}-fold{fold}.safetensors" for fold in range(split.n_folds)]
        if all(file.exists() for file in files):
            answers[seed] = [
                _versions_answered(file, dataset, split, said, fold)
                for fold, file in enumerate(files)
            ]
    rows = [dataset.rows(split, fold)["test"] for fold in range(split.n_folds)]
    labels = dataset.samples.labels.numpy()[np.concatenate(rows)]
    actors = dataset.manifest["actor"].to_numpy()[np.concatenate(rows)]
    made = []
    for seeds in chain.from_iterable(combinations(answers, n + 1) for n in range(len(answers))):
        mean = np.mean([np.concatenate(answers[seed]) for seed in seeds], axis=0)  # (N, V, C)
        for heard in (1, mean.shape[1]):
            found = evaluation.evaluate(
                labels, mean[:, :heard].mean(axis=1), dataset.classes, actors=actors
            )
            made.append(
                {
                    "experiment": experiment,
                    "networks": len(seeds),
                    "seeds": " ".join(map(str, seeds)),
                    "parameters": len(seeds) * _size(dataset, said),
                    "heard": heard,
                    "uar": found.uar,
                    "low": found.uar_interval[0],
                    "high": found.uar_interval[1],
                    "accuracy": found.accuracy,
                }
            )
    return pd.DataFrame(made)


def _network(dataset: experiments.Dataset, said: Mapping) -> torch.nn.Module:
    return models.build(
        "ishtiaq",
        n_classes=len(dataset.classes),
        modality=said["modality"],
        **said.get("options", {}),
    )


def _size(dataset: experiments.Dataset, said: Mapping) -> int:
    return sum(p.numel() for p in _network(dataset, said).parameters())


def _versions_answered(file: Path, dataset, split, said, fold: int) -> np.ndarray:
    """Return the probabilities of every version of every test clip, (clips, versions, classes)."""
    from safetensors.torch import load_model

    model = _network(dataset, said)
    load_model(model, file)
    model.eval()
    voices = dataset.parts(split, fold)[2].inputs["audio"]  # (clips, versions, 64, 64)
    with torch.inference_mode():
        heard = [model(audio=voices[:, i, None]).softmax(1) for i in range(voices.shape[1])]
    return torch.stack(heard, dim=1).numpy()


# --- Ishtiaq: what the heavy design costs -----------------------------------------------------


def cost(batch: int = BATCH, runs: int = 5) -> pd.DataFrame:
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
            row |= {
                f"{design} step (ms)": step.fastest_ms,
                f"{design} use (ms)": _forward_ms(build().eval(), inputs, runs),
                f"{design} training (MB)": training_peak / 1e6,
                f"{design} inference (MB)": inference_peak / 1e6,
            }
        for what in ("step (ms)", "use (ms)", "training (MB)", "inference (MB)"):
            row[f"{what.split(' (')[0]} ratio"] = row[f"heavy {what}"] / row[f"light {what}"]
        rows.append(row)
    return pd.DataFrame(rows)


def _forward_ms(model: torch.nn.Module, inputs: Mapping[str, torch.Tensor], runs: int) -> float:
    import time

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    try:
        with torch.inference_mode():
            for _ in range(runs + 1):
                start = time.process_time()
                model(**inputs)
                times.append(1000 * (time.process_time() - start))
    finally:
        torch.set_num_threads(before)
    return min(times[1:])


# --- the tables of the book --------------------------------------------------------------------

TABLES: Mapping[str, Callable[[], pd.DataFrame]] = {
    "yang/orders": orders,
    "ishtiaq/listening": listening,
    "ishtiaq/robustness": robustness,
    "ishtiaq/cost": cost,
}


def save(names: Iterable[str] = ()) -> list[Path]:
    """Make the tables and write them to ``data/results``."""
    saved = []
    for name in names or TABLES:
        if name not in TABLES:
            raise StudyError(f"unknown table {name!r}: known are {', '.join(TABLES)}")
        target = paths.RESULTS / f"{name}.csv"
        table = TABLES[name]().assign(commit=results.commit()[0])
        with paths.atomic(target) as part:
            table.to_csv(part, index=False)
        saved.append(target)
    return saved


def table(name: str) -> pd.DataFrame:
    """Return a stored table, or an empty one that says how to make it."""
    file = paths.RESULTS / f"{name}.csv"
    if not file.exists():
        return pd.DataFrame({"not made yet": [f"python -m emolib.experiments.studies {name}"]})
    return pd.read_csv(file, keep_default_na=False, na_values=[""]).drop(columns="commit")


if __name__ == "__main__":
    for path in save(sys.argv[1:]):
        print(path)
