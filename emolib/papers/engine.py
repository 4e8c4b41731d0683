"""From a declared experiment to a result: features, split, training for each seed and fold.

A paper or a lab says how its samples are made (`load`) and which experiments there are (`FULL`).
`run` is the same for all of them; it refuses what cannot be meant before any feature is made,
refuses a split that leaks unless the leak is named, and skips what an interrupted call finished.
"""

import ast
import hashlib
import importlib
import inspect
import itertools
import json
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch

from emolib import corpora, evaluation, models, paths, registry, results, training
from emolib.corpora import manifest as manifests
from emolib.corpora import splits
from emolib.papers.dataset import Dataset
from emolib.papers.experiment import Experiment, ExperimentError, choose, command
from emolib.training import Fit, Samples, TrainingRecipe

__all__ = ["Dataset", "Experiment", "ExperimentError", "command", "run"]

QUICK_EPOCHS = 3
#: What a run is judged by.
METRICS = (*results.METRICS, "log_loss", "ece")
#: Options of a paper's `load` that change where or how it works, and not what comes out.
_PLACES = ("root", "n_jobs", "progress", "device")


# --- what is run --------------------------------------------------------------------------


def paper(key: str) -> ModuleType:
    """Return the module in which a paper or a lab declares its experiments.

    Raises
    ------
    UnknownPaperError
        If there is no such paper or lab.
    """
    return importlib.import_module(registry.module(key))


def declared(key: str, name: str | None = None, **changes: Any) -> Experiment:
    """Return an experiment of a paper or lab by its name, or a plain one, with `changes`.

    Parameters
    ----------
    key
        The paper or lab.
    name
        In its table ``FULL``. Without it: one seed on the synthetic corpus, voice and face.
    changes
        As `Experiment.changed` takes them.

    Raises
    ------
    ExperimentError
        If there is no such experiment, naming those there are.
    """
    known = paper(key).FULL
    if name is not None and name not in known:
        raise ExperimentError(f"{key} has no experiment {name}: it has {', '.join(known)}")
    base = known[name] if name else Experiment("synthetic", "both", seeds=(0,))
    return base.changed(**changes)


def run(
    key: str,
    experiment: "str | Experiment",
    *,
    mode: str = "quick",
    n_jobs: int = 1,
    device: str = "auto",
    progress: bool = True,
    name: str | None = None,
) -> results.Result:
    """Train and test a model for each seed and fold of an experiment, and return the result.

    Parameters
    ----------
    key
        The paper or lab.
    experiment
        The name of one that it declares, or any `Experiment`.
    mode
        "quick" limits the recipe to a few epochs and lets the paper load fewer clips; "full"
        is what may be called a result.
    n_jobs
        Runs trained side by side, each in a process with one thread.
    device
        As in `training.fit`.
    name
        Of the result file. With the name of a declared experiment, what was changed of it shows:
        fewer seeds in the title, anything else in the name too.

    Returns
    -------
    Result
        Not yet saved: ``results.save(result)``.

    Raises
    ------
    ExperimentError
        Unknown mode or experiment, an option that the model or the loader has not got, or folds
        that the split has not got: all before any feature is extracted.
    LeakError
        If train and test share something that the experiment does not allow by name.
    """
    module = paper(key)
    choose("mode", mode, ("quick", "full"))
    choose("device", device, ("auto", "cpu", "cuda", "mps"))
    if isinstance(experiment, str):
        name, experiment = experiment, declared(key, experiment)
    trained = learner(key, experiment, mode, device)
    trained.check()
    _check_early(module, experiment)
    dataset, split, leaks = prepared(key, experiment, mode)
    folder = paths.RUNS / f"{key}-{_digest(module, trained, dataset, split, mode)}"
    work = _Work(key, experiment, mode, trained, dataset, split, folder, results.commit())
    runs = _run_all(work, n_jobs, progress)
    samples = results.TestClips(
        clip_ids=dataset.manifest["clip_id"].tolist(),
        labels=dataset.samples.labels[:: dataset.n_segments].tolist(),
        actors=dataset.manifest["actor"].tolist(),
    )
    level, n_segments = level_of(split, dataset), dataset.n_segments
    threads = 1 if n_jobs > 1 else torch.get_num_threads()
    return results.Result(
        key=key,
        experiment=_name(work, name),
        title=_title(work, name),
        mode="quick" if mode == "quick" else "full",
        corpus=experiment.corpus,
        modality=experiment.modality,
        level=level,
        classes=list(dataset.classes),
        n_segments=n_segments,
        split=_split_used(work, leaks),
        model=trained.describe(dataset, runs),
        recipe=_as_json(trained.recipe),
        features=_as_json(dataset.features),
        provenance=results.provenance(
            runs, manifest_sha256=manifests.digest(dataset.manifest), threads=threads, device=device
        ),
        summary=results.summarise(runs, samples, dataset.classes, level, n_segments),
        samples=samples,
        runs=runs,
    )


def prepared(
    key: str, experiment: "str | Experiment", mode: str = "full"
) -> tuple[Dataset, splits.Split, dict[str, int]]:
    """Return the data of an experiment, its split, and how much of each type leaks through it."""
    module = paper(key)
    if isinstance(experiment, str):
        experiment = declared(key, experiment)
    experiment = completed(key, experiment)
    corpus = experiment.corpus.split("+")
    parts = [
        module.load(one, experiment.modality, mode, **_data_of(module, experiment, one))
        for one in corpus
    ]
    dataset = joined(parts) if len(parts) > 1 else parts[0]
    split = _split(module, experiment, dataset.manifest, n_segments=dataset.n_segments)
    report = split.check(dataset.manifest, allow_leak=experiment.allow_leak, images=dataset.images)
    return dataset, split, dict(report.counts)


def _data_of(module: ModuleType, experiment: Experiment, corpus: str) -> dict[str, Any]:
    """Return the options of the data but for those that only another of the corpora knows."""
    foreign = set(_asked(module, experiment)) - set(corpora.options(corpus))
    return {name: value for name, value in experiment.data.items() if name not in foreign}


def _asked(module: ModuleType, experiment: Experiment) -> dict[str, Any]:
    """Return the options of the data that say which recordings of the corpora are meant."""
    known = {option for name in experiment.corpus.split("+") for option in corpora.options(name)}
    known -= set(inspect.signature(module.load).parameters)  # a paper's own go first
    return {name: value for name, value in experiment.data.items() if name in known}


def completed(key: str, experiment: Experiment) -> Experiment:
    """Return an experiment with the options of network and data that follow from each other."""
    complete = getattr(paper(key), "completed", None)
    return complete(experiment) if complete else experiment


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Put the samples of several corpora together: clips of the emotions that all of them have."""
    manifest = splits.combine(*(part.manifest for part in parts))
    ids = pd.concat([part.manifest["corpus"] + ":" + part.manifest["clip_id"] for part in parts])
    clips = pd.Index(ids).get_indexer(manifest["clip_id"])
    n = parts[0].n_segments
    rows = (clips[:, None] * n + np.arange(n)).ravel()
    classes = tuple(name for name in corpora.EMOTIONS if name in set(manifest["emotion"]))
    labels = torch.tensor([classes.index(emotion) for emotion in manifest["emotion"]])

    def together(samples: Iterable[Samples]) -> Samples:
        inputs = [one.inputs for one in samples]
        return Samples(
            {name: torch.cat([one[name] for one in inputs])[rows] for name in inputs[0]},
            labels.repeat_interleave(n),
        )

    left_out = sum(part.features.get("clips_left_out", 0) for part in parts)
    names = [part.manifest["corpus"].iloc[0] for part in parts]
    return replace(
        parts[0],
        samples=together(part.samples for part in parts),
        manifest=manifest,
        classes=classes,
        features={name: part.features for name, part in zip(names, parts, strict=True)}
        | {"clips_left_out": left_out},
        copies=tuple(together(copy) for copy in zip(*(part.copies for part in parts), strict=True)),
        images=None,
    )


def _split_used(work: "_Work", leaks: dict[str, int]) -> results.SplitUsed:
    return results.SplitUsed(
        name=work.split.name,
        kind=work.split.kind,
        sha256=work.split.digest(),
        allow_leak=work.experiment.allow_leak,
        n_folds=work.split.n_folds,
        folds=sorted(work.folds),
        leaks=leaks,
    )


def _split(module: ModuleType, experiment: Experiment, manifest: pd.DataFrame, **options: Any):
    """Return the split of an experiment; a lab may deal in ways of its own."""
    if not isinstance(experiment.split, str):
        return experiment.split
    deal = getattr(module, "split", splits.make)
    return deal(experiment.split, manifest, **options, **experiment.split_options)


def _folds(experiment: Experiment, split: splits.Split) -> tuple[int, ...]:
    """Return the folds to run; refuse one that the split has not got."""
    every = tuple(range(split.n_folds))
    if not {*(experiment.folds or ())} <= {*every}:
        raise ExperimentError(
            f"folds={experiment.folds}: {split.name} has folds from 0 to {split.n_folds - 1}"
        )
    return experiment.folds or every


def _check_early(module: ModuleType, experiment: Experiment) -> None:
    """Refuse options of the loader, folds, and a split that cannot be, before any feature is made.

    Whether people can be kept apart is not known of recordings that a reader names.
    """
    names = experiment.corpus.split("+")
    of_corpora = [option for name in names for option in corpora.options(name)]
    apart = ("corpus", "modality", "mode")
    refuse_unknown("data option", experiment.data, module.load, apart, of_corpora)
    root = experiment.data.get("root")
    if experiment.folds is None and root is None:
        return
    try:
        parts = [corpora.load(name, root) for name in names]
    except corpora.CorpusError:  # it is not here, or elsewhere: `load` says so
        return
    manifest = splits.combine(*parts) if len(parts) > 1 else parts[0]
    _folds(experiment, _split(module, experiment, manifest))


def refuse_unknown(
    what: str,
    given: Iterable[str],
    function: Callable,
    apart: Iterable[str] = (),
    besides: Iterable[str] = (),
) -> None:
    """Refuse names that a function does not take, naming those that it does, but for `apart`.

    Names in `besides` are not refused.

    Raises
    ------
    ExperimentError
        For the first of `given` that is none of them.
    """
    parameters = inspect.signature(function).parameters
    if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        for name in given:
            known = [one for one in parameters if one not in apart]
            choose(what, name, dict.fromkeys((*known, *besides)))


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they read in the file: lists for tuples, text for what JSON lacks."""
    return json.loads(json.dumps(dict(values), default=str))


# --- how a result is called ----------------------------------------------------------------


def _title(work: "_Work", name: str | None) -> str:
    """Say what was run; a part of the declared seeds or of the folds is called one."""
    experiment, split = work.experiment, work.split
    usual = paper(work.key).FULL.get(name, experiment)
    root = experiment.data.get("root")
    which = [Path(root).name] if root and _called(experiment) != experiment.corpus else []
    notes = [work.learner.note, *which, experiment.note]
    for what, count, of in (
        ("seeds", len(experiment.seeds), len(usual.seeds)),
        ("folds", len(work.folds), split.n_folds),
    ):
        notes += [f"{count} of {of} {what}"] * (count < of)
    title = results.compose_title(
        "",
        experiment.corpus,
        experiment.modality,
        split.kind,
        allow_leak=experiment.allow_leak,
        mode=work.mode,
        note=", ".join(filter(None, notes)),
        asked=_asked(paper(work.key), experiment),
    )
    return f"{work.learner.name}, {title}"


def _name(work: "_Work", name: str | None) -> str:
    """Return the name of the result file; what was changed of a declared experiment is part."""
    experiment = work.experiment
    parts = [name or f"{_called(experiment)}-{experiment.modality}-{experiment.kind}"]
    plain = experiment if name else replace(experiment, options={}, data={})
    usual = paper(work.key).FULL.get(name, plain)
    for field_name in ("corpus", "modality", "kind"):
        here = getattr(experiment, field_name)
        parts += [here] * (here != getattr(usual, field_name))
    for field_name in ("options", "data"):
        known = getattr(usual, field_name)
        for option, value in getattr(experiment, field_name).items():
            different = known.get(option) != value and option not in _PLACES
            parts += [f"{option}-{value}"] * different
    parts += ["quick"] * (work.mode == "quick")
    return re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(parts)).strip("-")


def _called(experiment: Experiment) -> str:
    """Return what names the data: the corpora, and of one's own recordings also which."""
    root = experiment.data.get("root")
    return "+".join(corpora.called(corpus, root) for corpus in experiment.corpus.split("+"))


# --- what is trained -----------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """What a trained model says about the test rows of one fold, and how its training went.

    Attributes
    ----------
    probabilities
        Shape (test samples, classes).
    summary, curves
        As in `results.Run`.
    """

    probabilities: np.ndarray
    summary: dict[str, float]
    curves: dict[str, list[float]] = field(default_factory=dict)


class Learner(Protocol):
    """What `run` trains: a paper's network, or what a lab brings (`emolib.labs.learners`).

    `name` begins the title and `note` stands in it; `recipe` and `options` go into the result;
    `files` hold the code.
    """

    @property
    def name(self) -> str: ...
    @property
    def note(self) -> str: ...
    @property
    def recipe(self) -> Mapping[str, Any]: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def files(self) -> Sequence[Path]: ...

    def check(self) -> None:
        """Refuse options that the model has not got, within a second."""

    def answer(self, dataset: Dataset, rows: Mapping, seed: int, file: Path, bar: bool) -> Answers:
        """Train on the rows of a fold; `file` names what is kept beside the run."""

    def describe(self, dataset: Dataset, runs: list[results.Run]) -> results.ModelUsed:
        """Return the options and the size of the model."""


@dataclass(frozen=True)
class Network:
    """A paper's network, trained by `training.fit`."""

    key: str
    options: Mapping[str, Any]
    training: TrainingRecipe
    device: str = "auto"
    note: str = ""

    @property
    def name(self) -> str:
        """What the book calls the paper."""
        return registry.network(self.key).name

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe with its digest."""
        return asdict(self.training) | {"digest": self.training.digest()}

    @property
    def files(self) -> list[Path]:
        """The code of the network and of its training."""
        folder = Path(models.__file__).parent
        return [Path(training.__file__), folder / "layers.py", folder / f"{self.key}.py"]

    def check(self) -> None:
        """Build the network and ask it about example inputs.

        Raises
        ------
        ExperimentError
            Naming the options that the network has.
        """
        if "n_classes" in self.options:
            raise ExperimentError(
                f"n_classes={self.options['n_classes']} among the options: the head follows the "
                "labels of the corpus; leave it out"
            )
        with torch.random.fork_rng(), torch.inference_mode():
            model = models.build(self.key, **self.options).eval()
            model(**models.example_inputs(self.key, batch=1, **self.options))

    def fitted(
        self, dataset: Dataset, rows: Mapping, seed: int, bar: bool, checkpoint: Path | None = None
    ) -> tuple[Fit, Samples]:
        """Train with early stopping on the validation rows; return the test samples as well."""
        train, valid, test = dataset.take(rows)
        training.seed_everything(seed)
        fit = training.fit(
            models.build(self.key, n_classes=len(dataset.classes), **self.options),
            train,
            valid,
            self.training,
            seed=seed,
            checkpoint=checkpoint,
            prepare=dataset.prepare,
            augment=dataset.augment,
            device=self.device,
            progress=bar,
        )
        return fit, test

    def answer(self, dataset: Dataset, rows: Mapping, seed: int, file: Path, bar: bool) -> Answers:
        """Train the network and keep its weights."""
        from safetensors.torch import save_model

        fitted, test = self.fitted(dataset, rows, seed, bar, checkpoint=file.with_suffix(".pt"))
        probabilities = training.predict(fitted.model, test, prepare=dataset.prepare)
        with paths.atomic(file.with_suffix(".safetensors")) as temporary:
            save_model(fitted.model, str(temporary))
        history = fitted.history
        best = history.iloc[fitted.best_epoch - 1]
        summary = {
            "epochs": len(history),
            "best_epoch": fitted.best_epoch,
            **best[["train_loss", "valid_loss", "valid_uar"]],
            "seconds": round(fitted.seconds, 2),
        }
        curves = ["train_loss", "valid_loss", "train_accuracy", "valid_accuracy"]
        return Answers(probabilities, summary, history[curves].round(4).to_dict("list"))

    def describe(self, dataset: Dataset, runs: list[results.Run]) -> results.ModelUsed:
        """Return the options and the number of parameters."""
        model = models.build(self.key, n_classes=len(dataset.classes), **self.options)
        parameters = sum(values.numel() for values in model.parameters())
        return results.ModelUsed(options=_as_json(self.options), parameters=parameters)


def learner(key: str, experiment: Experiment, mode: str, device: str = "auto") -> Learner:
    """Return what an experiment trains: a paper's network, unless the lab says otherwise."""
    make = getattr(paper(key), "learner", partial(network, key))
    return make(completed(key, experiment), mode, device)


def network(key: str, experiment: Experiment, mode: str, device: str) -> Network:
    """Return a paper's network as an experiment asks for it."""
    recipe = experiment.recipe or paper(key).RECIPE
    options = {"modality": experiment.modality, **experiment.options}
    return Network(key, options, recipe.quick(QUICK_EPOCHS) if mode == "quick" else recipe, device)


# --- one run -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Work:
    """What all runs of one experiment share; sent to the worker processes."""

    key: str
    experiment: Experiment
    mode: str
    learner: Learner
    dataset: Dataset
    split: splits.Split
    folder: Path
    made_from: tuple[str | None, bool]  # commit, dirty

    @property
    def folds(self) -> tuple[int, ...]:
        return _folds(self.experiment, self.split)

    def file(self, seed: int, fold: int) -> Path:
        return self.folder / f"seed{seed}-fold{fold}.json"


def level_of(split: splits.Split, dataset: Dataset) -> results.Level:
    """Return what is judged: segments where those of one clip were dealt apart, else clips."""
    return "segment" if split.kind == "segment" and dataset.n_segments > 1 else "clip"


def _run_all(work: _Work, n_jobs: int, progress: bool) -> list[results.Run]:
    """Return all runs, seeds outermost; finished ones are read back."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    wanted = [(seed, fold) for seed in work.experiment.seeds for fold in work.folds]
    done = {pair: run for pair in wanted if (run := _finished(work.file(*pair)))}
    todo = [pair for pair in wanted if pair not in done]
    single = len(todo) == 1
    jobs = (delayed(_run_one)(work, *pair, n_jobs > 1, progress and single) for pair in todo)
    with tqdm(
        total=len(wanted),
        initial=len(wanted) - len(todo),
        desc=f"{work.key}, {work.split.name}",
        unit="run",
        disable=not progress or single,
    ) as bar:
        for one in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs):
            done[one.seed, one.fold] = one
            bar.update()
    return [done[pair] for pair in wanted]


def _finished(file: Path) -> results.Run | None:
    """Return a finished run, or None if it has to be made."""
    if not file.exists():
        return None
    try:
        return results.Run.model_validate_json(file.read_bytes())
    except ValueError as error:
        warnings.warn(f"{file} is damaged and will be made again ({error})", stacklevel=2)
        return None


def _run_one(work: _Work, seed: int, fold: int, one_thread: bool, progress: bool) -> results.Run:
    """Train and test one seed on one fold; keep the run."""
    if one_thread:
        torch.set_num_threads(1)
    dataset, file = work.dataset, work.file(seed, fold)
    rows = dataset.rows(work.split, fold)
    answers = work.learner.answer(dataset, rows, seed, file, progress)
    level = level_of(work.split, dataset)
    metrics, predictions = judge(dataset, level, rows["test"], answers.probabilities)
    commit, dirty = work.made_from
    run = results.Run(
        seed=seed,
        fold=fold,
        commit=commit,
        dirty=dirty,
        metrics=metrics,
        history_summary=answers.summary,
        curves=answers.curves,
        counts={part: dataset.counts(indices) for part, indices in rows.items()},
        predictions=predictions,
    )
    with paths.atomic(file) as temporary:
        temporary.write_text(run.model_dump_json())
    file.with_suffix(".pt").unlink(missing_ok=True)  # the checkpoint of its training
    return run


def judge(
    dataset: Dataset, level: results.Level, rows: np.ndarray, probabilities: np.ndarray
) -> tuple[dict[str, float], dict[results.Level, results.Packed]]:
    """Return metrics and packed predictions of the test rows, by segment and by clip.

    Parameters
    ----------
    level
        The level of the result: "segment" where segments of one clip were dealt apart.
    rows
        Sample numbers, ascending.
    probabilities
        Shape (len(rows), C).
    """
    n_segments = dataset.n_segments
    labels = dataset.samples.labels.cpu().numpy()[rows]
    by_level: dict[results.Level, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    if n_segments > 1:
        by_level["segment"] = (rows, labels, probabilities)
    if level == "clip":
        by_level["clip"] = (
            rows[::n_segments] // n_segments,
            labels[::n_segments],
            evaluation.clip_level(probabilities, n_segments),
        )
    metrics: dict[str, float] = {}
    for each, (_, truth, predicted) in by_level.items():
        judged = evaluation.evaluate(truth, predicted, dataset.classes, draws=1)
        if each == level:
            metrics |= {name: getattr(judged, name) for name in METRICS}
        if each == "segment":
            metrics |= {f"segment_{name}": getattr(judged, name) for name in results.METRICS}
    predictions = {
        each: results.Packed.pack(where.tolist(), predicted, bits=8 if each == "segment" else 16)
        for each, (where, _, predicted) in by_level.items()
    }
    return metrics, predictions


# --- what names a run ----------------------------------------------------------------------


def _digest(
    module: ModuleType, learner: Learner, dataset: Dataset, split: splits.Split, mode: str
) -> str:
    """Return what names the folder of these runs: it changes with anything that matters.

    Covered are the data themselves, the split, the recipe, the model's options, and the code
    that trains, evaluates and prepares (not its comments and docstrings, and not `FULL`).
    """
    settings = {
        "options": dict(learner.options),
        "recipe": learner.recipe,
        "features": dataset.features,
        "split": split.digest(),
        "manifest": manifests.digest(dataset.manifest),
        "mode": mode,
        "standardise": dict(dataset.standardise),
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    here = Path(__file__).parent
    apart = {"engine", "experiment", *registry.NETWORKS}
    shared = [file for file in sorted(here.glob("*.py")) if file.stem not in apart]
    for text in map(
        _code, (Path(evaluation.__file__), Path(inspect.getfile(module)), *learner.files, *shared)
    ):
        digest.update(hashlib.sha256(text.encode()).digest())
    for samples in (dataset.samples, *dataset.copies):
        for values in (*samples.inputs.values(), samples.labels):
            digest.update(values.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _code(file: Path) -> str:
    """Return what a file does, without what it says about it, up to its first `Experiment`.

    So a new row in the table of experiments leaves finished runs of the others valid.
    """
    tree = ast.parse(file.read_text())
    tree.body = list(itertools.takewhile(lambda node: not _declares(node), tree.body))
    for node in ast.walk(tree):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.unparse(tree)


def _declares(statement: ast.stmt) -> bool:
    return any(getattr(node, "id", "") == "Experiment" for node in ast.walk(statement))


# --- a network to look into ----------------------------------------------------------------


def trained(
    key: str,
    corpus: str,
    modality: str,
    *,
    epochs: int = QUICK_EPOCHS,
    seed: int = 0,
    progress: bool = True,
    root: str | Path | None = None,
) -> tuple[Dataset, Fit, Samples]:
    """Train a paper's network briefly, as `run` does in quick mode, and keep it to look into.

    Parameters
    ----------
    key, corpus, modality
        The paper, and what its network gets.
    epochs
        Of the paper's recipe.
    seed
        Of the split, of the weights and of the order of the samples.
    root
        Of the corpus.

    Returns
    -------
    Dataset, Fit, Samples
        The data, the trained network, and the test samples of the first fold by actor: brought to
        the scale of the training rows, as the network's own inputs were.
    """
    module = paper(key)
    dataset = module.load(corpus, modality, "quick", progress=progress, root=root)
    split = splits.make("actor", dataset.manifest, seed=seed, n_segments=dataset.n_segments)
    brief = Network(key, {"modality": modality}, module.RECIPE.quick(epochs))
    fit, test = brief.fitted(dataset, dataset.rows(split), seed, progress)
    return dataset, fit, test
