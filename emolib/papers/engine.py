"""From a paper's key to a result: features, split, training for each seed and fold, evaluation.

One file a paper says how it trains (`RECIPE`), what its samples are (`load`) and which full
runs the book shows (`FULL`). `run` is the same for all of them; it refuses a split that leaks
unless the caller names the leak, and skips what an interrupted call has finished.
"""

import ast
import hashlib
import importlib
import inspect
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from emolib import corpora, evaluation, models, paths, registry, results, training
from emolib.corpora import manifest as manifests
from emolib.corpora import splits
from emolib.papers import augment
from emolib.papers.dataset import Dataset
from emolib.papers.streams import ExperimentError
from emolib.training import TrainingRecipe

#: Kinds of split that leak by design: `run` wants the leak named before it uses them.
LEAKING = ("segment", "clip")
QUICK_EPOCHS = 3


@dataclass(frozen=True)
class _Plan:
    """What all runs of one experiment share; sent to the worker processes."""

    key: str
    dataset: Dataset
    split: splits.Split
    level: results.Level
    recipe: TrainingRecipe
    options: dict[str, Any]
    folder: Path
    device: str
    made_from: tuple[str | None, bool]  # commit, dirty


def paper(key: str) -> ModuleType:
    """Return ``emolib.papers.<key>``.

    Raises
    ------
    ExperimentError
        If there is no such paper.
    """
    return importlib.import_module(f"emolib.papers.{registry.paper(key).key}")


def run(
    key: str,
    *,
    corpus: str,
    split: "str | splits.Split",
    modality: str,
    seeds: Sequence[int] = (0,),
    folds: Sequence[int] | None = None,
    mode: str = "quick",
    options: Mapping[str, Any] | None = None,
    recipe: TrainingRecipe | None = None,
    data: Mapping[str, Any] | None = None,
    load: Callable[..., Dataset] | None = None,
    split_options: Mapping[str, Any] | None = None,
    allow_leak: str | None = None,
    experiment: str | None = None,
    note: str = "",
    n_jobs: int = 1,
    device: str = "auto",
    progress: bool = True,
) -> results.Result:
    """Train and test one paper's model for each seed and fold, and return the result.

    Parameters
    ----------
    key
        The paper.
    corpus, modality
        Which recordings, and what of them the model gets.
    split
        Kind of split ("segment", "clip", "actor", "corpus", "official") or a split.
    seeds, folds
        Every seed is run on every fold; None means all folds.
    mode
        "quick" limits the recipe to a few epochs and lets the paper load fewer clips; "full"
        is what may be called a result.
    options
        Options of the model (``models.build``).
    recipe
        Replaces the paper's own recipe.
    data
        Further options of ``load``.
    load
        Replaces the paper's own ``load``: called with corpus, modality, mode and `data`.
    split_options
        Options of ``splits.make`` for a split given by its kind, e.g. ``{"valid": 0.1}``.
    allow_leak
        Must repeat the kind of a split that leaks ("segment", "clip"); the title then says so.
    experiment
        Name of the result file; made from corpus, modality and split if not given.
    note
        Added to the title: what sets this experiment apart.
    n_jobs
        Runs trained side by side, each in a process with one thread.
    device
        As in `training.fit`.

    Returns
    -------
    Result
        Not yet saved: ``results.save(result)``.

    Raises
    ------
    ExperimentError
        Unknown paper or mode, or folds that the split does not have.
    LeakError
        If the split leaks and the leak is not allowed by name.
    """
    module = paper(key)
    if mode not in ("quick", "full"):
        raise ExperimentError(f"unknown mode {mode!r}: known are quick, full")
    if "n_classes" in (options or {}):
        raise ExperimentError(
            f"n_classes={options['n_classes']} among the options: the head follows the labels of "
            f"the corpus ({corpus}: {', '.join(corpora.classes(corpus))}); leave it out"
        )
    dataset = (load or module.load)(corpus, modality, mode, **dict(data or {}))
    split, leaks = checked(split, dataset, allow_leak, **dict(split_options or {}))
    recipe = recipe or module.RECIPE
    recipe = recipe.quick(QUICK_EPOCHS) if mode == "quick" else recipe
    folds = tuple(range(split.n_folds)) if folds is None else tuple(folds)
    if not seeds or not folds or not set(folds) <= set(range(split.n_folds)):
        raise ExperimentError(
            f"seeds {list(seeds)} on folds {list(folds)}: give at least one seed, and folds "
            f"from 0 to {split.n_folds - 1} ({split.name} has {split.n_folds})"
        )
    options = {"modality": modality, **dict(options or {})}
    level = level_of(split, dataset)
    digest = _digest(module, load or module.load, dataset, split, recipe, options, mode)
    plan = _Plan(
        key, dataset, split, level, recipe, options, paths.RUNS / digest, device, results.commit()
    )
    runs = _run_all(plan, seeds, folds, n_jobs, progress)

    model = models.build(key, n_classes=len(dataset.classes), **options)
    few = "" if len(folds) == split.n_folds else f"{len(folds)} of {split.n_folds} folds"
    title = results.compose_title(
        key, corpus, modality, split.kind,
        allow_leak=allow_leak, mode=mode, note=", ".join(filter(None, (note, few))),
    )  # fmt: skip
    return compose(
        runs,
        dataset,
        split,
        key=key,
        experiment=experiment or _name(corpus, modality, split.kind, mode),
        title=title,
        mode=mode,
        corpus=corpus,
        modality=modality,
        allow_leak=allow_leak,
        leaks=leaks,
        model=results.ModelUsed(
            options=_as_json(options), parameters=sum(p.numel() for p in model.parameters())
        ),
        recipe=asdict(recipe) | {"digest": recipe.digest()},
        threads=1 if n_jobs > 1 else torch.get_num_threads(),
        device=device,
    )


def compose(
    runs: list[results.Run],
    dataset: Dataset,
    split: splits.Split,
    *,
    allow_leak: str | None,
    leaks: dict[str, int],
    recipe: Mapping[str, Any],
    threads: int,
    device: str = "cpu",
    **said: Any,
) -> results.Result:
    """Put finished runs together with what they were made from; `said` are further fields."""
    samples = results.TestClips(
        clip_ids=dataset.manifest["clip_id"].tolist(),
        labels=_clip_labels(dataset).tolist(),
        actors=dataset.manifest["actor"].tolist(),
    )
    level = level_of(split, dataset)
    return results.Result(
        level=level,
        classes=list(dataset.classes),
        n_segments=dataset.n_segments,
        split=results.SplitUsed(
            name=split.name,
            kind=split.kind,
            sha256=split.digest(),
            allow_leak=allow_leak,
            n_folds=split.n_folds,
            folds=sorted({run.fold for run in runs}),
            leaks=leaks,
        ),
        recipe=_as_json(recipe),
        features=_as_json(dataset.features),
        provenance=results.provenance(
            runs,
            manifest_sha256=manifests.digest(dataset.manifest),
            threads=threads,
            device=device,
        ),
        summary=results.summarise(runs, samples, dataset.classes, level, dataset.n_segments),
        samples=samples,
        runs=runs,
        **said,
    )


def run_full(
    key: str,
    names: Sequence[str] | None = None,
    *,
    n_jobs: int = 1,
    device: str = "auto",
    progress: bool = True,
    **changes: Any,
) -> list[Path]:
    """Run the paper's full experiments (all, or those named) and save their results.

    `changes` replace arguments of `run`, e.g. ``folds=(0, 1, 2)``.
    """
    known = paper(key).FULL
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise ExperimentError(
            f"{key} has no experiment {', '.join(unknown)}: it has {', '.join(known)}"
        )
    saved = []
    for name in names or known:
        arguments = {**known[name], **changes}
        wanted, given = (len(said.get("seeds", (0,))) for said in (known[name], arguments))
        if given < wanted:
            few = f"{given} of {wanted} seeds"
            arguments["note"] = ", ".join(filter(None, (arguments.get("note"), few)))
        made = run(
            key,
            **arguments,
            mode="full",
            experiment=name,
            n_jobs=n_jobs,
            device=device,
            progress=progress,
        )
        saved.append(results.save(made))
    return saved


def _as_json(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they read in the file: lists for tuples, text for what JSON lacks."""
    return json.loads(json.dumps(dict(said), default=str))


def _name(corpus: str, modality: str, kind: str, mode: str) -> str:
    parts = [corpus, modality, kind] + (["quick"] if mode == "quick" else [])
    return "-".join(parts)


# --- the split -----------------------------------------------------------------------------


def checked(
    split: "str | splits.Split", dataset: Dataset, allow_leak: str | None, **options: Any
) -> tuple[splits.Split, dict[str, int]]:
    """Return the split and what leaks through it, by type; refuse a leak that was not named."""
    kind = split if isinstance(split, str) else split.kind
    if kind in LEAKING and allow_leak != kind:
        raise splits.LeakError(
            f"a split by {kind} puts {results.LEAKS[kind]} of the test: its numbers do not hold "
            f'for a new speaker. Use split="actor", or say allow_leak="{kind}" to measure the '
            "leak itself; the result's title will carry it"
        )
    if isinstance(split, str):
        split = splits.make(kind, dataset.manifest, n_segments=dataset.n_segments, **options)
    report = split.check(dataset.manifest, allow_leak=allow_leak, images=dataset.images)
    return split, dict(report.counts)


def level_of(split: splits.Split, dataset: Dataset) -> results.Level:
    """Return what is judged: segments where those of one clip were dealt apart, else clips."""
    return "segment" if split.kind == "segment" and dataset.n_segments > 1 else "clip"


# --- one run -------------------------------------------------------------------------------


def _run_all(
    plan: _Plan, seeds: Sequence[int], folds: Sequence[int], n_jobs: int, progress: bool
) -> list[results.Run]:
    """Return all runs, seeds outermost; finished ones are read back."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    wanted = [(int(seed), int(fold)) for seed in seeds for fold in folds]
    done = {pair: _finished(_file(plan, *pair)) for pair in wanted}
    todo = [pair for pair in wanted if done[pair] is None]
    single = len(todo) == 1
    jobs = (delayed(_run_one)(plan, *pair, n_jobs > 1, progress and single) for pair in todo)
    with tqdm(
        total=len(wanted),
        initial=len(wanted) - len(todo),
        desc=f"{plan.key}, {plan.split.name}",
        unit="run",
        disable=not progress or single,
    ) as bar:
        for one in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs):
            done[one.seed, one.fold] = one
            bar.update()
    return [done[pair] for pair in wanted]


def _file(plan: _Plan, seed: int, fold: int) -> Path:
    return plan.folder / f"seed{seed}-fold{fold}.json"


def _finished(file: Path) -> results.Run | None:
    """Return a finished run, or None if it has to be made."""
    if not file.exists():
        return None
    try:
        return results.Run.model_validate_json(file.read_bytes())
    except ValueError as error:
        warnings.warn(f"{file} is damaged and will be made again ({error})", stacklevel=2)
        return None


def _run_one(plan: _Plan, seed: int, fold: int, one_thread: bool, progress: bool) -> results.Run:
    """Train and test one seed on one fold; keep the run and its weights."""
    from safetensors.torch import save_model

    if one_thread:
        torch.set_num_threads(1)
    dataset, file = plan.dataset, _file(plan, seed, fold)
    rows = dataset.rows(plan.split, fold)
    train, valid, test = dataset.take(rows)
    training.seed_everything(seed)
    model = models.build(plan.key, n_classes=len(dataset.classes), **plan.options)
    checkpoint = file.with_suffix(".pt")
    fitted = training.fit(
        model,
        train,
        valid,
        plan.recipe,
        seed=seed,
        checkpoint=checkpoint,
        prepare=dataset.prepare,
        augment=dataset.augment,
        device=plan.device,
        progress=progress,
    )
    probabilities = training.predict(fitted.model, test, prepare=dataset.prepare)
    metrics, predictions = judge(dataset, plan.level, rows["test"], probabilities)
    commit, dirty = plan.made_from
    history = fitted.history
    best = history.iloc[fitted.best_epoch - 1]
    made = results.Run(
        seed=seed,
        fold=fold,
        commit=commit,
        dirty=dirty,
        metrics=metrics,
        history_summary={
            "epochs": len(history),
            "best_epoch": fitted.best_epoch,
            "train_loss": best["train_loss"],
            "valid_loss": best["valid_loss"],
            "valid_uar": best["valid_uar"],
            "seconds": round(fitted.seconds, 2),
        },
        curves={
            name: [round(value, 4) for value in history[name]]
            for name in ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy")
        },
        counts={part: dataset.counts(indices) for part, indices in rows.items()},
        predictions=predictions,
    )
    with paths.atomic(file.with_suffix(".safetensors")) as temporary:
        save_model(fitted.model, temporary)
    with paths.atomic(file) as temporary:
        temporary.write_text(made.model_dump_json())
    checkpoint.unlink(missing_ok=True)
    return made


def judge(
    dataset: Dataset, level: results.Level, rows: np.ndarray, probabilities: np.ndarray
) -> tuple[dict[str, float], dict[str, results.Packed]]:
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
    by_level = {"segment": (rows, labels, probabilities)} if n_segments > 1 else {}
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
            metrics |= {
                name: getattr(judged, name) for name in (*results.METRICS, "log_loss", "ece")
            }
        if each == "segment":
            metrics |= {f"segment_{name}": getattr(judged, name) for name in results.METRICS}
    predictions = {
        each: results.Packed.pack(where, predicted, bits=8 if each == "segment" else 16)
        for each, (where, _, predicted) in by_level.items()
    }
    return metrics, predictions


def _clip_labels(dataset: Dataset) -> np.ndarray:
    return dataset.samples.labels[:: dataset.n_segments].cpu().numpy()


# --- what names a run ----------------------------------------------------------------------


def _digest(
    module: ModuleType,
    load: Callable[..., Dataset],
    dataset: Dataset,
    split: splits.Split,
    recipe: TrainingRecipe,
    options: Mapping,
    mode: str,
) -> str:
    """Return what names the folder of these runs: it changes with anything that matters.

    Covered are the data themselves, the split, the recipe, the model's options, and the code
    that trains, evaluates and prepares (not its comments and docstrings).
    """
    loader = () if load is module.load else (inspect.getfile(load),)
    code = [
        _code(Path(file))
        for file in (
            training.__file__,
            evaluation.__file__,
            augment.__file__,
            Path(models.__file__).with_name("layers.py"),
            Path(models.__file__).with_name(Path(module.__file__).name),
            module.__file__,
            *loader,
        )
    ]
    said = {
        "options": options,
        "recipe": recipe.digest(),
        "features": dataset.features,
        "split": split.digest(),
        "manifest": manifests.digest(dataset.manifest),
        "mode": mode,
        "standardise": dict(dataset.standardise),
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode())
    for text in code:
        digest.update(hashlib.sha256(text.encode()).digest())
    for samples in (dataset.samples, *dataset.copies):
        for values in (*samples.inputs.values(), samples.labels):
            digest.update(values.cpu().contiguous().numpy().tobytes())
    return f"{Path(module.__file__).stem}-{digest.hexdigest()[:16]}"


def _code(file: Path) -> str:
    """Return what a file does, without what it says about it."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.unparse(tree)


# --- a network to look into ----------------------------------------------------------------


def trained(
    key: str,
    corpus: str,
    modality: str,
    *,
    epochs: int = QUICK_EPOCHS,
    seed: int = 0,
    progress: bool = True,
) -> tuple[Dataset, training.Fit, Samples]:
    """Train a paper's network briefly, as `run` does in quick mode, and keep it to look into.

    Parameters
    ----------
    key, corpus, modality
        The paper, and what its network gets.
    epochs
        Of the paper's recipe.
    seed
        Of the split, of the weights and of the order of the samples.

    Returns
    -------
    Dataset, Fit, Samples
        The data, the trained network, and the test samples of the first fold by actor: brought to
        the scale of the training rows, as the network's own inputs were.
    """
    module = paper(key)
    dataset = module.load(corpus, modality, "quick", progress=progress)
    split = splits.make("actor", dataset.manifest, seed=seed, n_segments=dataset.n_segments)
    train, valid, test = dataset.parts(split)
    training.seed_everything(seed)
    fit = training.fit(
        models.build(key, n_classes=len(dataset.classes), modality=modality),
        train,
        valid,
        module.RECIPE.quick(epochs),
        seed=seed,
        prepare=dataset.prepare,
        augment=dataset.augment,
        progress=progress,
    )
    return dataset, fit, test
