"""The loop is closed: a claim that awaits data names experiments, and their results settle it.

Each experiment is loaded on small media in the layout of its corpus; a result of it is then made up
just inside and just outside of what the rule allows, and the verdict has to follow.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from emolib import claims, corpora, models, paths, registry, results
from emolib.claims import Bench, scores
from emolib.claims.judges import CorpusCheck, DeviceCheck, ResultCheck
from emolib.claims.verdicts import ENOUGH_SEEDS
from emolib.corpora import mead
from emolib.features.frft import FrftMfcc
from emolib.labs import settle
from emolib.papers import engine
from emolib.synthetic import apex_frame, media
from emolib.training import Samples

INSIDE, OUTSIDE = "reproduced", "not reproduced"
#: Emotion → its codes in RAVDESS, CREMA-D and SAVEE.
EMOTIONS = {"happy": (3, "HAP", "h"), "sad": (4, "SAD", "sa")}
#: Three speakers, as RAVDESS, CREMA-D, SAVEE and MEAD call them.
SPEAKERS = ((1, 1001, "DC", "M003"), (2, 1002, "JE", "W009"), (3, 1003, "KL", "M005"))
RATE = 16_000


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Six films of each corpus, and some pictures; a data root."""
    root = tmp_path_factory.mktemp("recordings")
    times = np.arange(RATE) / RATE
    voice = (0.3 * np.sin(2 * np.pi * 220 * times) * np.sin(3 * times)).astype(np.float32)
    for emotion, (code, cremad, savee) in EMOTIONS.items():
        face, _ = apex_frame(1, emotion, height=240)
        for kind in (".mp4", ".flv", ".avi"):
            media.write_media(root / f"{emotion}{kind}", [face] * 6, 6, voice, RATE)
        for number, actor, initials, person in SPEAKERS:
            take = f"01-{code:02}-01-01-01-{number:02}"
            for name in (
                f"ravdess/Actor_{number:02}/01-{take}.mp4",
                f"cremad/VideoFlash/{actor}_DFA_{cremad}_XX.flv",
                f"savee/{initials}/{savee}01.avi",
                f"mead/{person}/video/front/{emotion}/level_1/001.mp4",
            ):
                film = root / name
                film.parent.mkdir(parents=True, exist_ok=True)
                film.hardlink_to(root / f"{emotion}{film.suffix}")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 48 * 48))
    rows = [f"{i % 7},{' '.join(map(str, row))},Training" for i, row in enumerate(pixels)]
    (root / "fer2013").mkdir()
    (root / "fer2013" / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    return root


@pytest.fixture(scope="module")
def loaded(recordings, tmp_path_factory):
    """Load the data and the split of an experiment in quick mode; each set of data once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOLIB_DATA", str(recordings))
        patch.setattr(paths, "FEATURES", tmp_path_factory.mktemp("features"))
        # Two candidates for the order of the transform instead of dozens: seconds a clip.
        patch.setattr(FrftMfcc, "__post_init__", _fewer_orders)
        for key in registry.PAPERS:
            patch.setattr(engine.paper(key), "load", _once(engine.paper(key).load))
        yield engine.prepared


def _fewer_orders(recipe):
    object.__setattr__(recipe, "orders", recipe.orders[:2])


def _once(load):
    """Load every set of data once."""
    known = {}

    def loading(corpus, modality, mode, **options):
        asked = corpus, modality, mode, *sorted(options.items())
        if asked not in known:
            known[asked] = load(corpus, modality, mode, n_jobs=1, progress=False, **options)
        return known[asked]

    return loading


@cache
def waiting():
    """The claims that would await data if there were no results of their experiments."""
    return settle.awaiting()


def about_results():
    return [claim for claim in waiting() if isinstance(claim.check, ResultCheck)]


# --- a result that is made up ----------------------------------------------------------------


def fraction(low, high):
    """Return how many of how many lie in an interval, as few as can be."""
    for of in range(10, 20_000):
        right = int(np.ceil(low * of - 1e-9))
        if right <= min(high, 1) * of + 1e-9:
            return right, of
    return None  # a share above 1


def made_up(key, name, loaded, right, of):
    """A result of an experiment whose every metric is `right` of `of`.

    Of each class and actor so many clips are answered right and the others taken for the next
    class, so that accuracy, precision, recall and F1 agree.
    """
    experiment = engine.declared(key, name)
    data, split, _ = loaded(key, name, "quick")
    of_each = [set(corpora.classes(corpus)) for corpus in experiment.corpus.split("+")]
    names = [emotion for emotion in corpora.EMOTIONS if emotion in set.intersection(*of_each)]
    truth = np.tile(np.repeat(np.arange(len(names)), of), 2)
    wrong = np.tile(np.arange(of) >= right, 2 * len(names))
    told = np.repeat(np.eye(len(names))[(truth + wrong) % len(names)], data.n_segments, axis=0)
    labels = torch.from_numpy(truth).repeat_interleave(data.n_segments)
    test = replace(data, samples=Samples({}, labels), classes=tuple(names), copies=())
    level = engine.level_of(split, data)
    metrics, predictions = engine.judge(test, level, np.arange(len(labels)), told)
    runs = [
        results.Run(seed=seed, fold=0, metrics=metrics, history_summary={"seconds": 1.0},
                    counts={}, predictions=predictions)
        for seed in range(ENOUGH_SEEDS)
    ]  # fmt: skip
    actors = np.repeat(["a", "b"], len(truth) // 2).tolist()
    clips = results.TestClips(
        clip_ids=[str(i) for i in range(len(truth))], labels=truth.tolist(), actors=actors
    )
    title = results.compose_title(
        key, experiment.corpus, experiment.modality, split.kind, allow_leak=experiment.allow_leak
    )
    used = results.SplitUsed(
        name=split.name, kind=split.kind, sha256="", allow_leak=experiment.allow_leak,
        n_folds=1, folds=[0],
    )  # fmt: skip
    return results.Result(
        key=key, experiment=name, title=title, mode="full", corpus=experiment.corpus,
        modality=experiment.modality, level=level, classes=names, n_segments=data.n_segments,
        split=used, model=described(key, experiment, data), recipe={}, features=data.features,
        provenance=results.provenance(runs, manifest_sha256="", threads=1),
        summary=results.summarise(runs, clips, names, level, data.n_segments),
        samples=clips, runs=runs,
    )  # fmt: skip


def described(key, experiment, data):
    """The network as `run` would describe it, without building it again for every result."""
    options = engine.learner(key, experiment, "full").options
    return results.ModelUsed(options=engine._as_json(options), parameters=0)


def verdict(claim, made):
    bench = Bench(claim.key)
    bench.results = made
    return claims.judge(claim, bench).verdict


def limits(claim):
    """Return the least share that the rule lets be reproduced, and the tolerance as a share."""
    scale = 100 if claim.unit.startswith(("%", "point")) else 1
    tolerance = claim.tolerance / scale
    return float(claim.number.value) / scale - tolerance, tolerance


# --- every claim -----------------------------------------------------------------------------


@pytest.mark.parametrize("claim", about_results(), ids=lambda claim: claim.id)
def test_a_result_of_its_experiments_settles_a_claim(claim, loaded, monkeypatch):
    assert verdict(claim, []) == "awaits data"
    if claim.check.best:
        _the_best_value_settles(claim, loaded)
        return
    if claim.check.cls:
        _its_whole_table_settles(claim, loaded, monkeypatch)
        return
    least, tolerance = limits(claim)
    base = []
    if claim.check.less:
        of = 1000
        base = [made_up(claim.key, claim.check.less["experiment"], loaded, 600, of)]
        least += 0.6
    name = claim.check.experiment
    inside = fraction(least + 1e-6, least + 2 * tolerance)
    outside = fraction(least - 3 * tolerance, least - 0.1 * tolerance)
    above = fraction(least + 2.1 * tolerance, least + 5 * tolerance)
    assert verdict(claim, [made_up(claim.key, name, loaded, *inside), *base]) == INSIDE
    assert verdict(claim, [made_up(claim.key, name, loaded, *outside), *base]) == OUTSIDE
    if above and not base:
        assert verdict(claim, [made_up(claim.key, name, loaded, *above)]) == "exceeded"


def _its_whole_table_settles(claim, loaded, monkeypatch):
    """All cells as printed settle each of them one way, one cell off the other way."""
    made = made_up(claim.key, claim.check.experiment, loaded, 9, 10)
    printed = {
        (cell.check.cls, cell.check.metric.removeprefix("segment_")): float(cell.number.value)
        / (100 if cell.unit.startswith("%") else 1)
        for cell in Bench(claim.key).cells(claim)
    }
    off = (claim.check.cls, claim.check.metric.removeprefix("segment_"))
    for shift, expected in ((0.0, INSIDE), (-0.02, OUTSIDE), (0.02, "exceeded")):
        values = pd.Series({cell: value + shift * (cell == off) for cell, value in printed.items()})
        table = pd.DataFrame({"value": values, "low": values, "high": values})
        monkeypatch.setattr(scores, "cells", lambda *_, table=table: table)
        assert verdict(claim, [made]) == expected


def _the_best_value_settles(claim, loaded):
    names = claim.check.experiments
    assert len(names) >= 3
    for best, expected in ((0, INSIDE), (1, OUTSIDE)):
        made = [
            made_up(claim.key, name, loaded, 91 if i == best else 90, 100)
            for i, name in enumerate(names)
        ]
        assert verdict(claim, made[:2]) == "awaits data"
        assert verdict(claim, made) == expected


@pytest.mark.parametrize("key", registry.PAPERS)
def test_the_data_of_each_experiment_fit_its_network(key, loaded):
    checked, shown = set(), set()
    for name in sorted({n for c in about_results() if c.key == key for n in c.check.experiments}):
        data, split, _ = loaded(key, name, "quick")
        learner = engine.learner(key, engine.declared(key, name), "quick")
        options = dict(learner.options)
        options.pop("weights", None)  # they would be fetched
        if str(options) not in checked:
            replace(learner, options=options).check()
            checked.add(str(options))
        if id(data.samples) in shown:
            continue
        shown.add(id(data.samples))
        train, valid, test = data.parts(split, 0)
        assert min(map(len, (train, valid, test))), name
        model = models.build(key, len(data.classes), **options).eval()
        few = data.prepare(dict(test.take(np.arange(1)).inputs), None)
        with torch.inference_mode():
            assert model(**few).isfinite().all(), name


def test_only_what_an_experiment_a_count_or_a_device_settles_awaits_data():
    kinds = {type(claim.check) for claim in waiting()}
    assert kinds <= {ResultCheck, CorpusCheck, DeviceCheck}
    for claim in about_results():
        bench = Bench(claim.key)
        for name in claim.check.experiments:
            declared = bench.experiment(name)
            assert declared.corpus == claim.needs.corpus, claim.id
            if name == claim.check.experiment:
                assert declared.modality == claim.needs.modality, claim.id
            assert claim.check.split in (None, declared.kind), claim.id


def test_no_two_readings_share_an_experiment():
    """Two numbers of one metric and one experiment are one number, printed twice."""
    printed = {}
    for claim in about_results():
        check = claim.check
        if not check.best and not check.less:
            number = claim.key, check.experiment, check.metric, check.cls
            assert printed.setdefault(number, claim.published) == claim.published, claim.id


# --- the experiments themselves --------------------------------------------------------------


@pytest.mark.parametrize("trained", ["savee", "ravdess", "mead"])
@pytest.mark.parametrize("tested", ["savee", "ravdess", "mead"])
def test_a_network_trained_on_one_corpus_is_tested_on_another(trained, tested, loaded):
    if trained == tested:
        return
    data, split, leaks = loaded("ding", f"cross-{trained}-{tested}", "quick")
    assert data.classes == tuple(EMOTIONS)
    assert split.n_folds == 1
    assert set(leaks.values()) == {0}
    corpus = data.manifest["corpus"].to_numpy()
    for part, rows in data.rows(split).items():
        assert set(corpus[rows // data.n_segments]) == {tested if part == "test" else trained}


def test_a_result_comes_of_another_corpus_and_of_each_speaker_left_out(
    loaded, tmp_path, monkeypatch
):
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    across, alone = (
        engine.run("ding", engine.declared("ding", name, seeds=(0,)), progress=False)
        for name in ("cross-savee-ravdess", "savee-speaker")
    )
    assert across.corpus == "savee+ravdess"
    assert {"segment_accuracy", "accuracy"} <= {*across.summary}
    assert alone.split.folds == [0, 1, 2]
    left_out = [sorted(run.counts["test"]["by_actor"]) for run in alone.runs]
    assert left_out == [["DC"], ["JE"], ["KL"]]
    assert set(alone.split.leaks.values()) == {0}


def test_a_run_settles_a_claim_and_leaves_nothing_to_do(loaded, tmp_path, monkeypatch):
    name = "ding-table2-loocv-accuracy"
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(settle, "ENOUGH", 0)  # six clips are the whole corpus here
    brief = engine.paper("ding").RECIPE.quick(2)
    declared = engine.paper("ding").FULL
    one = replace(declared["savee-speaker"], recipe=brief, seeds=(0, 1))
    monkeypatch.setitem(declared, "savee-speaker", one)
    said = []
    changed = settle.run(settle.plan([name]), budget=1, progress=False, tell=said.append)
    assert set(changed["claim"]) == {name}, said
    assert set(changed["before"]) == {"awaits data"}
    assert set(changed["after"]) <= {INSIDE, OUTSIDE}
    assert (tmp_path / "results" / "ding" / "savee-speaker.json").is_file()
    assert settle.plan([name]) == []


def test_an_experiment_is_timed_by_a_few_steps(loaded, monkeypatch):
    prepared = engine.prepared
    monkeypatch.setattr(engine, "prepared", lambda key, name: prepared(key, name, "quick"))
    one = settle.epoch_timed("ding", "savee-segment")
    assert one > 0
    assert settle.epoch_timed("ding", "savee-segment", 1000) < one


# --- counts and times ------------------------------------------------------------------------


@pytest.mark.parametrize(("surplus", "expected"), [(0, INSIDE), (1, "contradicted")])
def test_a_count_is_settled_by_the_recordings(surplus, expected, tmp_path, monkeypatch):
    (claim,) = (claim for claim in waiting() if isinstance(claim.check, CorpusCheck))
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path))
    assert verdict(claim, []) == "awaits data"
    number = 7 + surplus
    for take in range(number):
        film = tmp_path / "mead" / f"M003/video/front/happy/level_1/{take + 1:03}.mp4"
        film.parent.mkdir(parents=True, exist_ok=True)
        face, _ = apex_frame(1, "happy", height=96)
        media.write_media(film, [face], 6, None, RATE)
    printed = claim.model_copy(update={"published": "7"})
    assert len(mead.manifest(tmp_path / "mead")) == number
    assert verdict(printed, []) == expected
    assert verdict(claim.model_copy(update={"published": "90"}), []) == "awaits data"


def test_a_time_is_settled_by_the_device_it_was_printed_for(tmp_path, monkeypatch):
    timed = [claim for claim in waiting() if isinstance(claim.check, DeviceCheck)]
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    for claim in timed:
        assert verdict(claim, []) == "awaits data"
        for device, factor, expected in (
            ("12th Gen Intel(R) Core(TM) i5-12500H", 1.0, INSIDE),
            ("12th Gen Intel(R) Core(TM) i5-12500H", 1.1, OUTSIDE),
            ("AMD EPYC", 1.0, "awaits data"),
        ):
            milliseconds = factor * float(claim.published)
            monkeypatch.setattr(results, "device_name", lambda *_, device=device: device)
            monkeypatch.setattr(DeviceCheck, "measure", lambda *_, ms=milliseconds: ms)
            settle._time(claim.id)
            assert verdict(claim, []) == expected, device
