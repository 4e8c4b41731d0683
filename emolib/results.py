"""One result file for one experiment: every number, and everything needed to doubt it.

A `Result` is written by `emolib.papers` and read by the claims, the chapters and the
scoreboard. It holds a run for each seed and fold with its predictions on the test clips, so
that any metric can be recomputed, and the provenance: commit, data, split, recipe, machine.

How the summary is made: the folds of one seed together predict every test sample once, and
are pooled into one value per seed. `mean` and `sd` are over seeds; `fold_sd` is over single
runs; `interval` is the 95 % percentile interval of the mean from drawing *actors* with
replacement, because the next user's voice is a new actor and not a new clip of a known one.
"""

import base64
import contextlib
import datetime
import functools
import json
import os
import platform
import re
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from emolib import evaluation, paths, registry
from emolib.errors import EmolibError
from emolib.evaluation import Evaluation

if TYPE_CHECKING:
    from torch import nn

Level = Literal["clip", "segment"]
Bits = Literal[8, 16]
METRICS = ("accuracy", "uar", "macro_f1")

#: How corpora, leaks and modalities are called in a title.
_WORDS = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
LEAKS = _WORDS["leaks"]
#: Corpora of pictures whose people are not named: what a random split shares is the picture.
_NAMELESS = ("fer2013",)


def corpus_name(corpus: str) -> str:
    """Return how a corpus, or several joined by "+", is called in a title."""
    return " and ".join(_WORDS["corpora"].get(name, name) for name in corpus.split("+"))


class ResultError(EmolibError, ValueError):
    """A result file is missing, damaged, or contradicts itself."""


# JSON has no NaN: what is undefined (the sd of one seed) is null in the file, NaN in memory.
Number = Annotated[float, BeforeValidator(lambda v: float("nan") if v is None else v)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Packed(_Model):
    """Probabilities (n, C) as 8 or 16 bit codes and the rows they belong to, compressed.

    The largest code of a row stays the only largest one, so accuracy, recall and F1 computed
    from the decoded form are exact; probabilities are right to half a code (0.2 % at 8 bits).
    """

    shape: tuple[int, int]
    bits: Bits
    rows: str
    codes: str

    @classmethod
    def pack(cls, rows: Sequence[int], probabilities: np.ndarray, bits: Bits) -> "Packed":
        """Pack probabilities and the numbers of the samples they belong to."""
        probabilities = np.asarray(probabilities, dtype=np.float64)
        top = 2**bits - 1
        codes = np.rint(probabilities * top).astype(np.int64)
        each, best = np.arange(len(codes)), probabilities.argmax(1)
        others = codes.copy()
        others[each, best] = -1
        codes[each, best] = np.maximum(codes[each, best], others.max(1) + 1)
        steps = np.diff(np.asarray(rows, dtype=np.int64), prepend=0).astype("<i4")
        packed = _compress(codes.astype(f"<u{bits // 8}"))
        return cls(shape=codes.shape, bits=bits, rows=_compress(steps), codes=packed)

    def sample_rows(self) -> np.ndarray:
        """Return the sample numbers (n,)."""
        return np.frombuffer(_expand(self.rows), "<i4").cumsum()

    def probabilities(self) -> np.ndarray:
        """Return the probabilities (n, C); rows sum to 1."""
        codes = self._whole()
        return codes / codes.sum(1, keepdims=True, dtype=np.float64)

    def answers(self) -> np.ndarray:
        """Return the class with the largest probability (n,)."""
        return self._whole().argmax(1)

    def _whole(self) -> np.ndarray:
        return np.frombuffer(_expand(self.codes), f"<u{self.bits // 8}").reshape(self.shape)


def _compress(numbers: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(numbers.tobytes(), 9)).decode()


def _expand(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


class TestClips(_Model):
    """The clips that predictions refer to by number: ids, class numbers, actors."""

    __test__ = False  # the name is no test of pytest's

    clip_ids: list[str]
    labels: list[int]
    actors: list[str]


class SplitUsed(_Model):
    """Which split, and what leaks through it (pairs of train and test rows, by type)."""

    name: str
    kind: str
    sha256: str
    allow_leak: str | None = None
    n_folds: int
    folds: list[int]
    leaks: dict[str, int] = {}


class ModelUsed(_Model):
    """The options a model was built with and its number of parameters."""

    options: dict[str, Any]
    parameters: int


class Provenance(_Model):
    """Where, when and with what a result was made."""

    commit: str | None
    dirty: bool
    date: str
    python: str
    torch: str
    lightning: str
    numpy: str
    device: str
    threads: int
    wall_seconds: float
    manifest_sha256: str

    @property
    def line(self) -> str:
        """One line for a caption."""
        commit = f"commit {self.commit[:7]}" if self.commit else "no commit"
        changed = " with local changes" if self.dirty else ""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        made = f"{commit}{changed}, {self.date[:10]}, torch {self.torch} on {self.device}"
        return f"{made} ({threads}), {self.wall_seconds / 60:.1f} min of training"


class Run(_Model):
    """One training: a seed and a fold, and the commit it was made from.

    `metrics` are those of the result's level; with ``segment_`` in front those over segments.
    `counts` has for train, valid and test the number of samples ``n``, ``by_class`` and
    ``by_actor``. `curves` are the rounded losses per epoch.
    """

    seed: int
    fold: int
    commit: str | None = None
    dirty: bool = False
    metrics: dict[str, Number]
    history_summary: dict[str, Number]
    curves: dict[str, list[float]] = {}
    counts: dict[str, dict[str, Any]]
    predictions: dict[Level, Packed]

    def probabilities(self, level: Level | None = None) -> np.ndarray:
        """Return the test probabilities (n, C), of clips where there are any."""
        return self.predictions[self._level(level)].probabilities()

    def answers(self, level: Level | None = None) -> np.ndarray:
        """Return the class that each sample was given (n,)."""
        return self.predictions[self._level(level)].answers()

    def rows(self, level: Level | None = None) -> np.ndarray:
        """Return clip numbers, or ``clip · n_segments + segment`` for segments."""
        return self.predictions[self._level(level)].sample_rows()

    def _level(self, level: Level | None) -> Level:
        level = level or ("clip" if "clip" in self.predictions else "segment")
        if level not in self.predictions:
            known = ", ".join(self.predictions)
            raise ResultError(f"this run has no predictions by {level}, only by {known}")
        return level


class MetricSummary(_Model):
    """A metric over seeds: see the module's text for what each field means."""

    mean: Number
    sd: Number
    interval: tuple[Number, Number]
    n: int
    per_seed: list[Number]
    fold_sd: Number


class Result(_Model):
    """An experiment: its runs, their summary, and where they come from."""

    key: str
    experiment: str
    title: str
    mode: Literal["quick", "full"]
    corpus: str
    modality: str
    level: Level
    classes: list[str]
    n_segments: int
    split: SplitUsed
    model: ModelUsed
    recipe: dict[str, Any]
    features: dict[str, Any]
    provenance: Provenance
    summary: dict[str, MetricSummary]
    samples: TestClips
    runs: list[Run]

    @model_validator(mode="after")
    def _title_tells_the_truth(self) -> "Result":
        """Refuse a title that hides synthetic or paired data, or a leak."""
        needed = {"synthetic", "paired"} & {self.corpus} | {"quick"} & {self.mode}
        needed |= {"leak"} if self.split.allow_leak is not None else set()
        if missing := sorted(word for word in needed if word not in self.title.lower()):
            names = f"the title {self.title!r} must name: {', '.join(missing)}"
            raise ValueError(f"{names}; compose it with results.compose_title")
        return self

    @property
    def name(self) -> str:
        """The paper and the experiment: ``ding/audio-actor``."""
        return f"{self.key}/{self.experiment}"

    @property
    def command(self) -> str:
        """The command that makes this result again, seeds and folds included."""
        seeds, folds = ",".join(map(str, self.seeds)), ",".join(map(str, self.split.folds))
        some = f" --folds {folds}" if len(self.split.folds) < self.split.n_folds else ""
        return f"emolib train {self.key} --experiment {self.experiment} --seeds {seeds}{some}"

    @property
    def seeds(self) -> list[int]:
        """The seeds, in order."""
        return sorted({run.seed for run in self.runs})

    def table(self) -> pd.DataFrame:
        """Return one row for each run: seed, fold, metrics, epochs, sample counts."""
        counts = [{f"n_{part}": n["n"] for part, n in run.counts.items()} for run in self.runs]
        rows = [
            {"seed": run.seed, "fold": run.fold, **run.metrics, **run.history_summary, **count}
            for run, count in zip(self.runs, counts, strict=True)
        ]
        return pd.DataFrame(rows).sort_values(["seed", "fold"], ignore_index=True)

    def pooled(
        self, seed: int | None = None, level: Level | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return sample numbers, labels, probabilities and actors of all folds of one seed.

        Samples are in ascending order, so that the pools of two seeds or of two results on
        the same clips agree row by row. `seed` defaults to the first, `level` to the result's.
        """
        seed = self.seeds[0] if seed is None else seed
        level = level or self.level
        runs = [run for run in self.runs if run.seed == seed]
        if not runs:
            raise ResultError(f"{self.experiment} has no seed {seed}: it has {self.seeds}")
        return _pool(runs, self.samples, level, self.n_segments)

    def ensemble(self, level: Level | None = None) -> Evaluation:
        """Evaluate the mean of all seeds' probabilities: one model made of as many networks."""
        mean = evaluation.fuse([self.pooled(seed, level)[2] for seed in self.seeds])
        _, labels, _, actors = self.pooled(level=level)
        return evaluation.evaluate(labels, mean, self.classes, actors=actors.tolist())

    def evaluation(self, seed: int | None = None, level: Level | None = None) -> Evaluation:
        """Evaluate the pooled predictions of one seed (default: the first)."""
        _, labels, probabilities, actors = self.pooled(seed, level)
        return evaluation.evaluate(labels, probabilities, self.classes, actors=actors.tolist())

    def per_class(self, seed: int | None = None, level: Level | None = None) -> pd.DataFrame:
        """Return precision, recall, f1 and support by class, of the pooled predictions of a seed.

        They stand in `evaluation` as well; intervals, which take their time, do not come with them.
        """
        _, labels, probabilities, _ = self.pooled(seed, level)
        predicted = probabilities.argmax(1)
        confusion = evaluation.confusion_matrix(labels, predicted, len(self.classes))
        return evaluation.per_class(confusion, self.classes)

    def weights(self, seed: int, fold: int) -> Path:
        """Return the file of the weights that gave the answers of one seed and fold.

        Raises
        ------
        ResultError
            If they are not stored on this machine: weights of runs are not committed.
        """
        run = next(run for run in self.runs if (run.seed, run.fold) == (seed, fold))
        for file in paths.RUNS.glob(f"{self.key}-*/seed{seed}-fold{fold}.json"):
            source = file.with_suffix(".safetensors")
            with contextlib.suppress(ValidationError):  # a damaged run is made again by training
                stored = Run.model_validate_json(file.read_bytes())
                if stored.predictions == run.predictions and source.is_file():
                    return source
        lost = f"the weights of {self.experiment}, seed {seed}, fold {fold}"
        remedy = f"run `emolib train {self.key} --experiment {self.experiment}`"
        if self.corpus == "table":  # of a reader's own recordings nothing is declared
            remedy = f"run `emolib train {self.key} --corpus` with the same recordings again"
        raise ResultError(f"{lost}, are not in {paths.RUNS}: {remedy}")

    def network(self, seed: int, fold: int) -> "nn.Module":
        """Return the network that gave the answers of one seed and fold, to be asked again.

        Raises
        ------
        ResultError
            As `weights`.
        """
        from safetensors.torch import load_model

        from emolib import models

        network = models.build(self.key, n_classes=len(self.classes), **self.model.options)
        load_model(network, self.weights(seed, fold))
        return network.eval()

    def provenance_line(self) -> str:
        """Return one line for a caption: data, split, seeds, commit, machine, time."""
        folds, all_folds = len(self.split.folds), self.split.n_folds
        of = f"{folds}" if folds == all_folds else f"{folds} of {all_folds}"
        split = f"split {self.split.name} ({of} fold{'s' if all_folds > 1 else ''})"
        seeds = f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"
        return f"{corpus_name(self.corpus)}, {split}, {seeds}; {self.provenance.line}"


# --- titles and summaries ------------------------------------------------------------------


def compose_title(
    key: str,
    corpus: str,
    modality: str,
    split_kind: str,
    *,
    allow_leak: str | None = None,
    mode: str = "full",
    note: str = "",
    asked: Mapping[str, Any] | None = None,
) -> str:
    """Return a title that says what the data are and whether train and test share something.

    `asked` is what was asked of the corpus, see `corpora.options`.

    Examples
    --------
    >>> compose_title("ding", "ravdess", "audio", "segment", allow_leak="segment")
    'Ding, audio, RAVDESS speech, split by segment (leaking: segments of one clip on both sides)'
    """
    asked = dict(asked or {})
    channel = asked.pop("channel", "speech") or "speech and song"
    parts = [
        registry.NETWORKS[key].name if key in registry.NETWORKS else key.capitalize(),
        _WORDS["modalities"].get(modality, modality),
        corpus_name(corpus).replace("speech", channel),
        *(f"{option} {value}" for option, value in asked.items()),
        _WORDS["splits"].get(split_kind, f"split by {split_kind}"),
    ]
    title = ", ".join(part for part in parts if part)
    if note:
        title += f", {note}"
    if allow_leak:
        shared = "image" if corpus in _NAMELESS and allow_leak == "clip" else allow_leak
        title += f" (leaking: {LEAKS.get(shared, shared)})"
    if mode == "quick":
        title += " (quick run: checks machinery, not accuracy)"
    return title


def _pool(runs: Sequence[Run], clips: TestClips, level: Level, n_segments: int):
    """Return sample numbers, labels, probabilities and actors of runs, ascending."""
    rows = np.concatenate([run.rows(level) for run in runs])
    probabilities = np.concatenate([run.probabilities(level) for run in runs])
    order = np.argsort(rows, kind="stable")
    rows, probabilities = rows[order], probabilities[order]
    if len(np.unique(rows)) != len(rows):
        raise ResultError("two folds of one seed test the same sample: the folds overlap")
    which = rows // n_segments if level == "segment" else rows
    return rows, np.array(clips.labels)[which], probabilities, np.array(clips.actors)[which]


def summarise(
    runs: Sequence[Run], clips: TestClips, classes: Sequence[str], level: Level, n_segments: int
) -> dict[str, MetricSummary]:
    """Summarise runs over folds and seeds; see the module's text.

    Metrics of the result's `level` carry their plain name; where segments were predicted as
    well, those over segments are there too, named ``segment_accuracy`` and so on.
    """
    levels = {"": level}
    if all("segment" in run.predictions for run in runs):
        levels["segment_"] = "segment"
    summary = {}
    for prefix, each in levels.items():
        pools = [
            _pool([run for run in runs if run.seed == seed], clips, each, n_segments)
            for seed in sorted({run.seed for run in runs})
        ]
        rows, labels, _, actors = pools[0]
        if not all(np.array_equal(rows, pool[0]) for pool in pools):
            raise ResultError("the seeds were tested on different samples: run the same folds")
        predicted = np.stack([pool[2].argmax(1) for pool in pools])  # (S, N)
        intervals = evaluation.bootstrap_by_actor(labels, predicted, len(classes), actors)
        per_seed = evaluation.scores(
            np.stack([evaluation.confusion_matrix(labels, row, len(classes)) for row in predicted])
        )
        for name in METRICS:
            values = per_seed[name]
            fold_sd, span = _sd([run.metrics[prefix + name] for run in runs]), intervals[name][1]
            numbers = {"mean": float(values.mean()), "sd": _sd(values), "interval": span}
            numbers |= {"n": len(values), "per_seed": values.tolist(), "fold_sd": fold_sd}
            summary[prefix + name] = MetricSummary.model_validate(numbers)
    return summary


def _refuse_forged(result: Result) -> None:
    """Refuse a summary that is not that of the runs below it."""
    labels = np.array(result.samples.labels)
    per_seed = []
    for seed in result.seeds:
        runs = [run for run in result.runs if run.seed == seed]
        rows = np.concatenate([run.rows(result.level) for run in runs])
        said = np.concatenate([run.answers(result.level) for run in runs])
        truth = labels[rows // result.n_segments if result.level == "segment" else rows]
        right = np.bincount(truth, said == truth)  # of each class
        support = np.bincount(truth)
        recall = right[support > 0] / support[support > 0]
        per_seed.append((right.sum() / support.sum(), recall.mean()))
    for name, values in zip(("accuracy", "uar"), np.transpose(per_seed), strict=True):
        stated = result.summary[name]
        if not np.allclose([stated.mean, *stated.per_seed], [values.mean(), *values], atol=1e-6):
            raise ResultError(
                f"its {name} is {stated.mean:.4f}, and its own runs give {values.mean():.4f}: "
                "it was changed by hand; make it again"
            )


def _sd(values: Sequence[float] | np.ndarray) -> float:
    """Return the standard deviation (n − 1), NaN for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


# --- provenance ----------------------------------------------------------------------------


def _git(*arguments: str) -> str | None:
    """Return what git says about the project, or None outside a repository."""
    if paths.INSTALLED:  # a repository around it would be somebody else's
        return None
    command = ["git", "-C", str(paths.PROJECT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def commit() -> tuple[str | None, bool]:
    """Return the commit of the project and whether tracked files outside results differ from it."""
    elsewhere = ("--", ".", ":(exclude)data/results")
    changed = _git("status", "--porcelain", "--untracked-files=no", *elsewhere)
    return _git("rev-parse", "HEAD"), bool(changed)


@functools.lru_cache
def device_name(kind: str = "cpu") -> str:
    """Return the name of the processor or of the GPU."""
    if kind != "cpu":
        import torch

        if kind in ("cuda", "auto") and torch.cuda.is_available():
            return torch.cuda.get_device_name()
        if kind in ("mps", "auto") and torch.backends.mps.is_available():
            return f"{platform.machine()} GPU (MPS)"
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    if name := re.search(r"model name\s*:\s*(.+)", text):
        return name[1].strip()
    return platform.processor() or platform.machine()


def provenance(
    runs: Sequence[Run], *, manifest_sha256: str, threads: int, device: str = "cpu"
) -> Provenance:
    """Return the provenance of a result made of `runs` on this machine.

    `commit` is that of the last run, and each run names its own: an earlier run is used again only
    while the text of what it was made with is the same. `dirty` says whether any run was made from
    files that differed from their commit.
    """
    from importlib.metadata import version

    import torch

    return Provenance(
        commit=runs[-1].commit,
        dirty=any(run.dirty for run in runs),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        python=platform.python_version(),
        torch=str(torch.__version__),
        lightning=version("lightning"),
        numpy=np.__version__,
        device=device_name(device),
        threads=threads,
        wall_seconds=round(sum(run.history_summary["seconds"] for run in runs), 1),
        manifest_sha256=manifest_sha256,
    )


# --- files ---------------------------------------------------------------------------------


def path(key: str, experiment: str) -> Path:
    """Return where a result lies, one's own or a committed one: ``<key>/<experiment>.json``."""
    return paths.find(_written_to(key, experiment))


def _written_to(key: str, experiment: str) -> Path:
    """Return where a new result goes; in an installed package not to where those of it lie."""
    for name in (key, experiment):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            remedy = "use letters, digits, '-', '_' and '.'"
            raise ResultError(f"{name!r} cannot name a result file: {remedy}")
    return paths.RESULTS / key / f"{experiment}.json"


def save(result: Result) -> Path:
    """Write a result atomically and return its path. One run stands on one line."""
    compact = functools.partial(json.dumps, separators=(",", ":"), ensure_ascii=False)
    fields = []
    for name, value in json.loads(result.model_dump_json()).items():  # what is undefined is null
        runs = "[\n" + ",\n".join(map(compact, value)) + "\n]" if name == "runs" else ""
        fields.append(f"{json.dumps(name)}:{runs or compact(value)}")
    target = _written_to(result.key, result.experiment)
    with paths.atomic(target) as temporary:
        temporary.write_text("{\n" + ",\n".join(fields) + "\n}\n", encoding="utf-8")
    return target


def read(file: str | os.PathLike) -> Result:
    """Read one result file.

    Raises
    ------
    ResultError
        If it is missing, is not a result, or states another mean than its runs give.
    """
    file = Path(file)
    try:
        result = Result.model_validate_json(file.read_bytes())
        _refuse_forged(result)
    except FileNotFoundError:
        have = [f"{p.parent.name}/{p.stem}" for p in paths.files(paths.RESULTS, "*/*.json")]
        known = f"{file}: no such result; there are {', '.join(have) or 'none'}"
        raise ResultError(f"{known}. `emolib train` in full mode makes it") from None
    except ValidationError as error:
        raise ResultError(f"{file}: not a result file ({error}); make it again") from error
    except ResultError as error:
        raise ResultError(f"{file}: {error}") from error
    return result


def load(key: str, experiment: str) -> Result:
    """Read the result of one experiment of a paper."""
    return read(path(key, experiment))


def load_all(key: str | None = None) -> list[Result]:
    """Read all results, of one paper or of all, sorted by paper and experiment."""
    return [read(file) for file in paths.files(paths.RESULTS, f"{key or '*'}/*.json")]
