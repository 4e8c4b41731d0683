"""The real films that are here go through every network, in the way a reader would run it."""

import pytest
import torch
from typer.testing import CliRunner

from emolib import cli, models, paths
from emolib.papers import engine
from emolib.papers.experiment import Experiment
from emolib.registry import PAPERS

#: Ordinary MFCC, for those of a fractional order take seconds a clip; few faces, for the same.
DATA = {"yang": {"order": 1.0, "frames": 2}, "lu": {"frames": 3, "shown": 2}}
CLIPS = {"cremad": 6, "mead": 5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where features and runs of this module are kept."""
    return tmp_path_factory.mktemp("real")


@pytest.fixture
def real(recordings, folder, monkeypatch):
    """Look for corpora among the real recordings."""
    monkeypatch.setenv("EMOLIB_DATA", str(recordings))
    monkeypatch.setattr(paths, "FEATURES", folder / "features")
    monkeypatch.setattr(paths, "RUNS", folder / "runs")
    return recordings


@pytest.mark.realdata
@pytest.mark.parametrize("corpus", CLIPS)
@pytest.mark.parametrize("key", PAPERS)
def test_real_films_reach_every_network(key, corpus, real):
    modality = "all" if "text" in PAPERS[key].media and corpus == "cremad" else "both"
    data = {"n_jobs": 1, "progress": False, **DATA.get(key, {})}
    experiment = engine.completed(key, Experiment(corpus, modality, data=data))
    dataset = engine.paper(key).load(corpus, modality, "quick", **experiment.data)
    assert len(dataset.manifest) == len(dataset.classes) == CLIPS[corpus]
    assert dataset.problems.empty
    model = models.build(key, CLIPS[corpus], modality=modality, **experiment.options).eval()
    with torch.inference_mode():
        answers = model(**dataset.prepare(dict(dataset.samples.inputs), None))
    assert answers.shape == (len(dataset.samples), CLIPS[corpus])
    assert answers.isfinite().all()
    assert answers.std(0).min() > 0, "clips differ, and so do the answers"


@pytest.mark.realdata
def test_one_actor_alone_is_told_which_split_works_and_it_does(real):
    words = ["train", "ding", "--corpus", "cremad", "--modality", "both", "--data", "n_jobs=1"]
    refused = CliRunner().invoke(cli.app, words)
    assert refused.exit_code == 2
    line = refused.stderr.splitlines()[-1]
    assert "a split by actor needs 3 actors" in line
    assert "there is 1 (cremad 1001)" in line
    remedy = ["--split", "clip", "--allow-leak", "clip"]
    assert " ".join(remedy) in line
    done = CliRunner().invoke(cli.app, [*words, *remedy, "--folds", "0", "--json"])
    assert done.exit_code == 0, done.output
    assert "CREMA-D" in done.stdout
    assert "leaking: clips of one actor on both sides" in done.stdout
