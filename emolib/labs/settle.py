"""Settle what awaits data: make the results that the ledger asks for, the most telling first.

`plan` lists what has to be done for the claims that await data: each experiment once, however many
claims read it, in the order of claims settled per hour. It needs no PyTorch and reads no recording,
so its hours are estimates from counts until `run` has measured an epoch of the same experiment on
this machine. `run` does the work that the data here allow and compares the verdicts.
"""

import csv
import dataclasses
import inspect
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from emolib import corpora, paths, registry, results
from emolib.claims import Bench, Claim, ClaimError, judge, load, scores
from emolib.claims.judges import (
    CorpusCheck,
    DeviceCheck,
    QuotedCheck,
    ResultCheck,
    StudyCheck,
    UnstatedCheck,
)
from emolib.corpora import SOURCES, CorpusError
from emolib.corpora.manifest import by_name
from emolib.media import MODALITIES
from emolib.papers.experiment import Experiment

#: The published number of clips of a corpus, by its row in ``data/claims/corpora.csv``.
CLIPS = {
    "ravdess": "ravdess-speech",
    "cremad": "cremad-clips",
    "savee": "savee-clips",
    "mead": "mead-front-clips",
    "fer2013": "fer2013-images",
}
#: Nobody published how many frontal clips MEAD has: this is what Ding et al. counted.
_MEAD = 30_412
#: Fewer clips of a corpus than this share of the published ones are a sample of it, and settle
#: nothing. (Of FER2013, 86 % are enough for the committed results.)
ENOUGH = 0.8
#: For the first look, before anything was measured here: multiply-accumulates of forward and
#: backward passes that a processor does in a second, and the seconds of an optimiser's step.
RATE, STEP = 8e9, 0.004
#: For the first look: seconds to make the features of a clip, of sound and of the faces of a film.
EXTRACTION = {"audio": 0.2, "video": 1.5}
#: Of the clips of a corpus, those that a fold trains on.
_TRAINED = 0.64
#: What an experiment of the five papers takes, if no run of theirs tells.
_EPOCHS = 30
_STEPS_TIMED = 8


# --- what is to be done --------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One thing to do, and the claims that wait for it.

    Attributes
    ----------
    key, name
        The paper, and its experiment, its table of a study, or what else is done.
    kind
        "training", "study", "timing" or "counting".
    claims
        Ids of the claims that it settles, alone or with others.
    share
        The number of claims that it settles; a half of each that takes another job as well.
    hours
        How long it takes; an estimate from counts unless it was `measured` here.
    missing
        What is not here, and the command or the step that gets it.
    """

    key: str
    name: str
    kind: str
    claims: tuple[str, ...]
    share: float
    hours: float
    measured: bool = False
    missing: tuple[str, ...] = ()

    @property
    def per_hour(self) -> float:
        """Claims settled per hour."""
        return self.share / max(self.hours, 1 / 3600)

    def to_dict(self) -> dict[str, Any]:
        """The job as one flat row."""
        row = dataclasses.asdict(self)
        return row | {"claims": list(self.claims), "missing": list(self.missing)}


def plan(ids: Sequence[str] = ()) -> list[Job]:
    """Return what would settle the claims that await data, most claims per hour first.

    What the data here cannot do comes last, with what is missing.

    Parameters
    ----------
    ids
        Only these claims; all that await data by default.

    Raises
    ------
    ClaimError
        If there is no such claim, or nothing can settle it.
    """
    waiting: dict[tuple[str, str, str], dict[str, float]] = {}
    benches = {key: Bench(key) for key in registry.PAPERS}
    for claim in awaiting(ids, benches):
        needed = list(_needed(claim, benches[claim.key]))
        for job in needed:
            waiting.setdefault(job, {})[claim.id] = 1 / len(needed)
    library = Library()
    jobs = [_job(*job, claims, benches[job[0]], library) for job, claims in waiting.items()]
    return sorted(jobs, key=lambda job: (bool(job.missing), -job.per_hour, job.key, job.name))


def awaiting(ids: Sequence[str] = (), benches: Mapping[str, Bench] | None = None) -> list[Claim]:
    """Return the claims that await data: all of them, or those of `ids` that do.

    Raises
    ------
    ClaimError
        If there is no such claim, or nothing that is done here can settle it.
    """
    benches = benches or {key: Bench(key) for key in registry.PAPERS}
    ledger = {claim.id: claim for key in benches for claim in load(key)}
    for name in ids:
        if name not in ledger:
            raise ClaimError(f"there is no claim {name!r}: `emolib claims` lists them")
        if isinstance(ledger[name].check, QuotedCheck | UnstatedCheck):
            why = judge(ledger[name], benches[ledger[name].key]).why
            raise ClaimError(f"{name} cannot be settled here: {why}")
    asked = [ledger[name] for name in ids] or ledger.values()
    return [claim for claim in asked if claim.check.awaits(claim, benches[claim.key])]


def _needed(claim: Claim, bench: Bench) -> Iterator[tuple[str, str, str]]:
    """Yield key, name and kind of each job that a claim still waits for."""
    check = claim.check
    if isinstance(check, ResultCheck):
        full = (result for result in bench.results if result.mode == "full")
        done = {result.experiment for result in full if scores.enough(result)}
        yield from ((claim.key, name, "training") for name in check.experiments if name not in done)
    elif isinstance(check, StudyCheck):
        yield claim.key, check.table, "study"
    elif isinstance(check, DeviceCheck):
        yield claim.key, claim.id, "timing"
    elif isinstance(check, CorpusCheck):
        yield claim.key, claim.id, "counting"


def _job(
    key: str, name: str, kind: str, claims: dict[str, float], bench: Bench, library: "Library"
) -> Job:
    """Say what a job takes, and what is missing for it."""
    job = Job(key, name, kind, tuple(claims), sum(claims.values()), 1 / 60)
    if kind == "training":
        estimate = Estimate(key, name, bench, library)
        hours, measured = estimate.hours, estimate.measured is not None
        missing = library.missing(estimate.experiment)
        return dataclasses.replace(job, hours=hours, measured=measured, missing=missing)
    if kind == "timing":
        check = _claim(name).check
        assert isinstance(check, DeviceCheck)
        here = results.device_name("cpu")
        if check.device.lower() not in here.lower():
            missing = (f"this machine is {here}: run it on {check.device}",)
            return dataclasses.replace(job, missing=missing)
    if kind == "counting":
        corpus = str(_claim(name).needs.corpus)
        return dataclasses.replace(job, missing=library.lacking(corpus, ("video",)))
    return job


def _claim(name: str) -> Claim:
    return next(claim for claim in load(name.partition("-")[0]) if claim.id == name)


# --- which data are here -------------------------------------------------------------------


class Library:
    """Which corpora are here, and how many clips; each is listed once."""

    def __init__(self) -> None:
        self._lacking: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}

    @cached_property
    def _facts(self) -> pd.DataFrame:
        return Bench(next(iter(registry.PAPERS))).facts

    def clips(self, corpus: str) -> int:
        """Return the published number of clips of a corpus."""
        return int(self._facts["value"].loc[CLIPS[corpus]] or _MEAD)

    def actors(self, corpus: str) -> int:
        """Return the published number of actors of a corpus."""
        return int(self._facts["value"].loc[f"{corpus}-actors"])

    def missing(self, experiment: Experiment) -> tuple[str, ...]:
        """Return what is missing for an experiment, corpus by corpus."""
        wanted = MODALITIES[experiment.modality]
        return tuple(
            line for corpus in experiment.corpus.split("+") for line in self.lacking(corpus, wanted)
        )

    def lacking(self, corpus: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return what of a corpus is missing and how to get it, nothing if it is here."""
        asked = corpus, wanted
        if asked not in self._lacking:
            try:
                with by_name():
                    here = len(corpora.carrying(corpus, wanted))
            except CorpusError:
                here = 0
            enough = here >= ENOUGH * self.clips(corpus)
            self._lacking[asked] = () if enough else (self._remedy(corpus, wanted, here),)
        return self._lacking[asked]

    def _remedy(self, corpus: str, wanted: tuple[str, ...], here: int) -> str:
        source = SOURCES[corpus]
        what = " and ".join(corpora.sources.MEDIA[one] for one in wanted)
        have = f"{here:,} of {self.clips(corpus):,} clips are here"
        part = f" --part {source.film_part}" if "video" in wanted and source.film_part else ""
        step = f"emolib data get {corpus}{part}"
        if source.manual:
            step = source.manual.format(folder=paths.recordings() / source.folders[0])
        return f"{source.title} ({what}; {have}): {step}"


# --- how long it takes ---------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """How long an experiment takes: from counts, or as it was measured on this machine."""

    key: str
    name: str
    bench: Bench
    library: Library

    @cached_property
    def experiment(self) -> Experiment:
        """The declared experiment."""
        return self.bench.experiment(self.name)

    @property
    def measured(self) -> float | None:
        """Seconds that it was measured to take here."""
        return _measured().get(f"{self.key}/{self.name}")

    @property
    def hours(self) -> float:
        """How long it takes."""
        seconds = self.measured
        if seconds is None:
            one = self.committed or self.epochs * self.epoch_seconds
            seconds = self.extraction + self.runs * one
        return seconds / 3600

    @property
    def committed(self) -> float | None:
        """Seconds of one training of it elsewhere, if some of its runs are committed."""
        mine = (one for one in self.bench.results if one.experiment == self.name)
        took = [run.history_summary.get("seconds") for result in mine for run in result.runs]
        known = [seconds for seconds in took if seconds]
        return sum(known) / len(known) if known else None

    @property
    def clips(self) -> int:
        """Clips of all of its corpora."""
        return sum(map(self.library.clips, self.experiment.corpus.split("+")))

    @property
    def extraction(self) -> float:
        """Seconds to make the features; pictures are stored as they are."""
        films = [one for one in self.experiment.corpus.split("+") if not SOURCES[one].pictures_of]
        rate = sum(EXTRACTION.get(one, 0) for one in MODALITIES[self.experiment.modality])
        return rate * sum(map(self.library.clips, films))

    @property
    def runs(self) -> int:
        """Trainings: seeds times folds."""
        one = self.experiment
        first = one.corpus.partition("+")[0]
        folds = {"official": 1, "corpus": 1, "actor": SOURCES[first].actor_folds}.get(one.kind, 5)
        if one.kind == "speaker":
            folds = self.library.actors(first)
        return len(one.seeds) * (len(one.folds) if one.folds else folds)

    @property
    def epochs(self) -> float:
        """Epochs of one training: as many as the paper's committed runs took, or its limit."""
        limit = self.bench.declared[self.name].get("recipe", {}).get("max_epochs")
        runs = [run for result in self.bench.results for run in result.runs]
        known = [run.history_summary["epochs"] for run in runs if "epochs" in run.history_summary]
        return limit or (sum(known) / len(known) if known else _EPOCHS)

    @property
    def epoch_seconds(self) -> float:
        """Seconds of one epoch, from the operations of the network and its number of samples."""
        segments = max((result.n_segments for result in self.bench.results), default=1)
        samples = _TRAINED * self.clips * segments
        return samples * (3 * self.bench.macs(self.name) / RATE + STEP / 64)


def _measured() -> dict[str, float]:
    """Return the seconds that experiments were measured to take on this machine, by name."""
    file = _notes()
    return json.loads(file.read_bytes()) if file.is_file() else {}


def _notes() -> Path:
    return paths.RUNS / "settle.json"


def _note(job: Job, seconds: float) -> None:
    noted = _measured() | {f"{job.key}/{job.name}": round(seconds, 1)}
    _notes().parent.mkdir(parents=True, exist_ok=True)
    with paths.atomic(_notes()) as part:
        part.write_text(json.dumps(noted, indent=1))


def within(jobs: Iterable[Job], hours: float | None) -> list[Job]:
    """Return the jobs that the data here allow, as many as fit into so many hours, in order."""
    chosen, left = [], float("inf") if hours is None else hours
    for job in jobs:
        if not job.missing and job.hours <= left:
            chosen.append(job)
            left -= job.hours
    return chosen


def hours(text: str | None) -> float | None:
    """Read a budget such as ``8h``, ``90m`` or ``1.5h``.

    Raises
    ------
    ClaimError
        If it is none.
    """
    if text is None:
        return None
    try:
        number = float(text[:-1]) / {"h": 1, "m": 60}[text[-1:]]
    except (KeyError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise ClaimError(f"{text!r} is no budget: give hours or minutes, such as 8h or 90m")
    return number


def shown(jobs: Sequence[Job], chosen: Sequence[Job]) -> Iterator[Any]:
    """Yield the lines and tables that say what is to be done and what is missing."""
    if not jobs:
        yield "no claim awaits data"
        return
    claims = len({name for job in jobs for name in job.claims})
    yield f"{claims} claims await data, {len(jobs)} things to do: {len(chosen)} now"
    if chosen:
        rows = [(f"{job.key} {job.name}", len(job.claims), _told(job)) for job in chosen]
        yield pd.DataFrame(rows, columns=["what", "claims", "time"])
        total = sum(job.hours for job in chosen)
        rough = "" if all(job.measured for job in chosen) else "; ~ is an estimate from counts"
        yield f"{_duration(total)} in all{rough}"
    if later := [job for job in jobs if not job.missing and job not in chosen]:
        yield f"not within the budget: {', '.join(f'{job.key} {job.name}' for job in later)}"
    gaps: dict[str, list[Job]] = {}
    for job in jobs:
        for line in job.missing:
            gaps.setdefault(line, []).append(job)
    if gaps:
        rows = [
            (line, len({name for job in waiting for name in job.claims}), _told(*waiting))
            for line, waiting in gaps.items()
        ]
        yield pd.DataFrame(rows, columns=["missing", "claims", "then"])


def _told(*jobs: Job) -> str:
    total = _duration(sum(job.hours for job in jobs))
    return total if all(job.measured for job in jobs) else f"~ {total}"


def _duration(number: float) -> str:
    if number < 1:
        return f"{max(60 * number, 1):.0f} min"
    return f"{number:,.1f} h" if number < 48 else f"{number / 24:,.0f} days"


# --- doing it ------------------------------------------------------------------------------


def run(
    jobs: Sequence[Job],
    *,
    budget: float | None = None,
    mode: str = "full",
    n_jobs: int = 1,
    progress: bool = True,
    tell: Callable[[str], object] = print,
) -> pd.DataFrame:
    """Do the jobs that the data here allow, one after the other, and compare the verdicts.

    What was finished before a kill is not done again. A job that fails is reported and the others
    go on.

    Parameters
    ----------
    jobs
        Of `plan`.
    budget
        Hours. Each training is timed before it starts, and left out if it does not fit any more.
    mode
        "quick" rehearses: a few epochs, nothing is written and no verdict changes.
    n_jobs
        Trainings side by side.
    progress
        Show a bar with the time left.
    tell
        Called with each line to print.

    Returns
    -------
    DataFrame
        ``claim, before, after``: the verdicts that changed.
    """
    from tqdm import tqdm

    chosen = within(jobs, budget)
    names = sorted({name for job in chosen for name in job.claims})
    before = _verdicts(names)
    deadline = None if budget is None else time.monotonic() + 3600 * budget
    form = "{desc} {percentage:3.0f}% |{bar}| {n:.1f} of {total:.1f} h, {remaining} left"
    total = sum(job.hours for job in chosen)
    with tqdm(total=total, bar_format=form, desc="settle", disable=not progress) as bar:
        for number, job in enumerate(chosen, 1):
            tell(f"{number} of {len(chosen)}: {job.key} {job.name}, {len(job.claims)} claims")
            try:
                _do(job, mode, n_jobs, deadline, progress, tell)
            except Exception as error:  # the night goes on without it
                tell(f"  left out: {type(error).__name__}: {error}")
            bar.update(job.hours)
    after = _verdicts(names)
    rows = [(name, before[name], after[name]) for name in names if before[name] != after[name]]
    return pd.DataFrame(rows, columns=["claim", "before", "after"])


def _verdicts(names: Sequence[str]) -> dict[str, str]:
    benches = {key: Bench(key) for key in {name.partition("-")[0] for name in names}}
    return {name: judge(_claim(name), benches[name.partition("-")[0]]).verdict for name in names}


def _do(
    job: Job,
    mode: str,
    n_jobs: int,
    deadline: float | None,
    progress: bool,
    tell: Callable[[str], object],
) -> None:
    if job.kind == "training":
        _train(job, mode, n_jobs, deadline, progress, tell)
    elif job.kind == "study" and mode == "full":
        from emolib.labs import studies

        tell(f"  {studies.save(f'{job.key}/{job.name}')}")
    elif job.kind == "timing" and mode == "full":
        _time(job.name)


def _train(
    job: Job,
    mode: str,
    n_jobs: int,
    deadline: float | None,
    progress: bool,
    tell: Callable[[str], object],
) -> None:
    """Time an epoch, and make the result of an experiment if there is time for it."""
    from emolib.papers import engine

    if mode == "full":
        seconds = extraction_timed(job.key, job.name)
        if seconds:
            tell(f"  features: about {seconds / 60:.0f} min, by a few clips that were timed")
        if deadline is not None and time.monotonic() + seconds > deadline:
            tell("  left out: its features do not fit into the budget")
            return
        seconds = epoch_timed(job.key, job.name, n_jobs)
        _note(job, seconds)
        tell(f"  about {seconds / 60:.0f} min, by an epoch that was timed")
        if deadline is not None and time.monotonic() + seconds > deadline:
            tell("  left out: it does not fit into the budget")
            return
    result = engine.run(job.key, job.name, mode=mode, n_jobs=n_jobs, progress=progress)
    if mode == "full":
        tell(f"  {results.save(result)}")


def extraction_timed(key: str, name: str) -> float:
    """Return the seconds to make the features that an experiment takes and that are not stored."""
    from emolib.features import store
    from emolib.papers import engine, streams

    paper, experiment = engine.paper(key), engine.declared(key, name)
    seconds = 0.0
    for corpus in experiment.corpus.split("+"):
        request = streams.Request(corpus, experiment.modality)
        own = inspect.signature(paper.declare).parameters
        options = {option: value for option, value in experiment.data.items() if option in own}
        declared = paper.declare(request, **options).streams
        clips = corpora.carrying(corpus, request.media)
        for medium in request.media:
            if medium != "video" or not SOURCES[corpus].pictures_of:
                for recipe in declared[medium].recipes.values():
                    seconds += store.estimate(clips, recipe).seconds
    return seconds


def epoch_timed(key: str, name: str, n_jobs: int = 1) -> float:
    """Return the seconds that an experiment takes, by a few timed steps on its first fold.

    Features that are not stored yet are made on the way.
    """
    from emolib.papers import engine

    experiment = engine.declared(key, name)
    dataset, split, _ = engine.prepared(key, experiment)
    network = engine.learner(key, experiment, "full")
    assert isinstance(network, engine.Network)  # papers train networks, labs other learners too
    rows = dataset.rows(split)
    size = _STEPS_TIMED * network.training.batch_size
    few = {part: numbers[:size] for part, numbers in rows.items()}
    brief = dataclasses.replace(network, training=network.training.quick(1))
    fitted, _ = brief.fitted(dataset, few, experiment.seeds[0], bar=False)
    epochs = Estimate(key, name, Bench(key), Library()).epochs
    folds = len(experiment.folds) if experiment.folds else split.n_folds
    whole = len(rows["train"]) / len(few["train"])
    return fitted.seconds * whole * epochs * folds * len(experiment.seeds) / n_jobs


def _time(name: str) -> None:
    """Time the network of a claim on this machine, and write the time beside the results."""
    claim = _claim(name)
    check = claim.check
    assert isinstance(check, DeviceCheck)
    file = paths.RESULTS / claim.key / "latency.csv"
    timed = Bench(claim.key).latency
    timed = timed[timed["claim"] != name]
    rows = [*timed.itertuples(index=False, name=None)]
    rows += [(name, results.device_name("cpu"), round(check.measure(claim), 3))]
    file.parent.mkdir(parents=True, exist_ok=True)
    with paths.atomic(file) as part, Path(part).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([("claim", "device", "median_ms"), *rows])
