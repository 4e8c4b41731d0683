"""Tables made from several stored runs."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from emolib import corpora, models, paths, training
from emolib.corpora import splits
from emolib.labs import studies
from emolib.papers import augment, yang
from emolib.papers.engine import Dataset
from emolib.training import Samples


class _Result:
    """The parts of a result that the study of orders reads."""

    def __init__(self, gain, seeds):
        counts = {"train": {"n": 16}, "test": {"n": 4}}
        values = np.random.default_rng(0).normal(0.5, 0.05, (9, 6))
        self.seeds = list(seeds)
        self.runs = [
            type("R", (), {"seed": seed, "fold": fold, "counts": counts,
                           "metrics": {"uar": values[seed, fold] + gain + 0.002 * (fold % 2)}})()
            for seed in seeds for fold in range(6)
        ]  # fmt: skip


def stored(monkeypatch, tmp_path, made):
    for name in made:
        (tmp_path / name).touch()
    monkeypatch.setattr(studies.results, "path", lambda key, name: tmp_path / name)
    monkeypatch.setattr(studies.results, "load", lambda key, name: made[name])


def test_orders_are_compared_run_by_run_on_the_seeds_that_all_have(monkeypatch, tmp_path):
    made = {
        "audio-1.0": _Result(0.0, (0, 1, 2)),
        "audio-0.75": _Result(-0.1, (0, 1)),
        "audio-adaptive": _Result(0.0, (0, 1, 2)),
    }
    stored(monkeypatch, tmp_path, made)
    table = studies.orders().set_index("order")
    assert list(table.index) == [str(o) for o in yang.ORDERS if f"audio-{o}" in made]
    assert (table["seeds"] == 2).all()
    assert table.loc["0.75", "difference"] == pytest.approx(-0.1)
    assert table.loc["0.75", "better"] == "0 of 12"
    assert table.loc["adaptive", "difference"] == pytest.approx(0)
    assert np.isnan(table.loc["1.0", "p"])
    assert (table["p_holm"].dropna() >= table["p"].dropna()).all()


def test_settings_are_compared_with_the_paper_s_own_choice(monkeypatch, tmp_path):
    def compared(reference, others, *, metric):
        rows = [{"name": k, metric: one.value, "difference": one.value - reference.value, "p": 0.01}
                for k, one in others.items()]  # fmt: skip
        return pd.DataFrame(rows)

    def made(value, seeds):
        split = SimpleNamespace(folds=[0, 1, 2])
        return SimpleNamespace(value=value, seeds=seeds, split=split)

    monkeypatch.setattr(studies.grid, "compare", compared)
    experiments = {5: "own", 2: "small", 9: "missing", 12: "large"}
    stored(monkeypatch, tmp_path, {"own": made(0.4, [0, 1]), "large": made(0.3, [0]),
                                   "small": made(0.5, [0, 1])})  # fmt: skip
    table = studies.ablation("kernel", experiments)
    assert table["kernel"].tolist() == [2, 5, 12], "what was not made is left out"
    assert table["chosen"].tolist() == [False, True, False]
    assert table["difference"].tolist() == pytest.approx([0.1, 0.0, -0.1])
    assert np.isnan(table["p_holm"][1])
    assert table["p_holm"][0] == pytest.approx(0.02), "of two tests"
    assert table["seeds"].tolist() == [2, 2, 1]
    assert (table["folds"] == 3).all()
    with pytest.raises(studies.StudyError, match="--experiment missing"):
        studies.ablation("kernel", {9: "missing", 5: "own"})


@pytest.mark.parametrize("grid", ["VOICE_KERNELS", "DROPOUTS", "FACE_KERNELS"])
def test_every_setting_of_a_grid_is_declared_with_it(grid):
    from emolib.papers import ding

    axis = {"VOICE_KERNELS": "audio_kernel", "DROPOUTS": "dropout", "FACE_KERNELS": "video_kernel"}
    usual = {"audio_kernel": 5, "dropout": 0.4, "video_kernel": 3}
    settings = getattr(studies, grid)
    assert next(iter(settings)) == usual[axis[grid]]
    for setting, name in settings.items():
        options = ding.FULL[name].options
        assert options.get(axis[grid], usual[axis[grid]]) == setting
        assert set(options) <= {axis[grid]}


def test_orders_without_a_reference_are_refused(monkeypatch, tmp_path):
    stored(monkeypatch, tmp_path, {"audio-0.75": _Result(0, (0,))})
    with pytest.raises(studies.StudyError, match=r"--experiment audio-1\.0"):
        studies.orders()


class _Trained:
    """The parts of a result that say which networks there are, and the networks themselves."""

    def __init__(self, modality, seeds, folds, build):
        self.experiment, self.modality, self.seeds = "trained", modality, list(seeds)
        self.runs = [SimpleNamespace(seed=seed, fold=fold) for seed in seeds for fold in folds]
        self.split = SimpleNamespace(folds=list(folds))
        self.build = build
        self.model = SimpleNamespace(parameters=sum(p.numel() for p in build().parameters()))

    def network(self, seed, fold):
        training.seed_everything(10 * seed + fold)
        return self.build().eval()


def asked_again(monkeypatch, stored, dataset, split):
    monkeypatch.setattr(studies.results, "load", lambda key, name: stored)
    monkeypatch.setattr(studies.engine, "prepared", lambda key, name: (dataset, split, {}))


@pytest.fixture
def trained(monkeypatch):
    """A network of all modalities, and the data it is asked about."""
    emotions = ("calm", "angry")
    clips = pd.DataFrame(
        [
            (f"{actor}-{i}", f"{actor:02}", emotions[i % 2])
            for actor in range(1, 25)
            for i in (0, 1)
        ],
        columns=["clip_id", "actor", "emotion"],
    )
    generator = torch.Generator().manual_seed(0)
    n = len(clips)
    inputs = {
        "audio": torch.randn(n, 1, 32, 16, generator=generator),
        "video": torch.randint(0, 256, (n, 2, 1, 16, 16), dtype=torch.uint8, generator=generator),
        "text": torch.randint(2, 9, (n, 4), generator=generator),
    }
    dataset = Dataset(
        Samples(inputs, torch.arange(n) % 2), clips, 1, emotions, prepare=augment.drawn
    )
    rows = [
        {"clip_id": row.clip_id, "segment": -1, "fold": 0,
         "part": "test" if int(row.actor) < 5 else "valid" if int(row.actor) < 9 else "train"}
        for row in clips.itertuples()
    ]  # fmt: skip
    build = partial(models.build, "ishtiaq", n_classes=2, modality="all", activation="swish")
    stored = _Trained("all", (3,), (0,), build)
    asked_again(
        monkeypatch, stored, dataset, splits.Split("actor", "paired", pd.DataFrame(rows), 0)
    )


@pytest.mark.usefixtures("trained")
def test_every_modality_is_taken_away_and_disturbed_once():
    table = studies.robustness()
    assert set(table["seed"]) == {3}
    assert set(table["fold"]) == {0}
    assert table["what"].value_counts().to_dict() == {"noise": 8, "missing": 3, "nothing": 1}
    assert set(table.loc[table["what"] == "missing", "modality"]) == {"audio", "video", "text"}
    assert table.loc[table["modality"] == "text", "level"].max() <= 1
    assert table["uar"].between(0, 1).all()


def test_every_choice_of_seeds_listens_once_and_to_all_versions(monkeypatch):
    clips = pd.DataFrame({"clip_id": list("abcdefgh"), "actor": [f"{i // 2:02}" for i in range(8)]})
    audio = torch.randn(8, 5, 32, 16, generator=torch.Generator().manual_seed(0))
    dataset = Dataset(
        Samples({"audio": audio}, torch.arange(8) % 2), clips.assign(emotion="calm"), 1, ("x", "y")
    )
    tables = [
        pd.DataFrame({"clip_id": clips["clip_id"], "segment": -1, "fold": fold,
                      "part": np.where(np.arange(8) // 4 == fold, "test", "train")})
        for fold in (0, 1)
    ]  # fmt: skip
    build = partial(models.build, "ishtiaq", n_classes=2, modality="audio", activation="swish")
    stored = _Trained("audio", (0, 1, 2), (0, 1), build)
    asked_again(
        monkeypatch, stored, dataset, splits.Split("actor", "ravdess", pd.concat(tables), 0)
    )
    table = studies.listening(["voices"])
    assert table["seeds"].tolist()[::2] == ["0", "1", "2", "0 1", "0 2", "1 2", "0 1 2"]
    assert table["versions"].tolist() == [1, 5] * 7
    alone, together = table["parameters"].iloc[0], table["parameters"].iloc[-1]
    assert together == 3 * alone == 3 * stored.model.parameters
    assert (table["low"] <= table["uar"]).all()
    assert (table["uar"] <= table["high"]).all()


@pytest.fixture
def faces():
    """Eight random pictures, six of which test."""
    pixels = torch.randint(0, 256, (8, 1, 48, 48), generator=torch.Generator().manual_seed(0))
    pictures = pd.DataFrame({"clip_id": list("abcdefgh")}).assign(emotion="calm", actor="")
    samples = Samples({"video": pixels}, torch.arange(8) % 7)
    classes = corpora.classes("fer2013")
    table = pictures[["clip_id"]].assign(segment=-1, fold=0, part=["test"] * 6 + ["train"] * 2)
    return Dataset(samples, pictures, 1, classes), splits.Split("official", "fer2013", table, 0)


def test_a_face_is_looked_at_as_it_is_and_mirrored_and_moved(monkeypatch, faces):
    build = partial(models.build, "mostafa", n_classes=7, modality="video", design="residual")
    asked_again(monkeypatch, _Trained("video", (0,), (0,), build), *faces)
    table = studies.looking(["faces"])
    assert table["versions"].tolist() == [1, 2, 10]
    assert table["accuracy"].between(0, 1).all()
    samples = faces[0].samples
    views, as_it_is = studies.face_views(samples), augment.faces_to_input(samples.inputs["video"])
    assert len(views) == 10
    torch.testing.assert_close(views[0], as_it_is)
    torch.testing.assert_close(views[1], as_it_is.flip(-1))
    torch.testing.assert_close(views[2][..., 3:, :], as_it_is[..., :-3, :])  # moved down


class _Answers:
    """The parts of a result that the study of look-alikes reads; wrong where not `right`."""

    key, experiment = "mostafa", "fer-residual-official"

    def __init__(self, ids, labels, right, seeds=(0, 1)):
        self.seeds = list(seeds)
        self.samples = type("S", (), {"clip_ids": list(ids)})()
        said = np.where(right, labels, (labels + 1) % 7)
        self.probabilities = np.eye(7)[said]

    def pooled(self, seed):
        n = len(self.probabilities)
        return np.arange(n)[::-1], None, self.probabilities[::-1], None


def test_look_alikes_are_counted_and_judged_apart(monkeypatch, faces):
    dataset, split = faces
    labels = dataset.samples.labels.numpy()[:6]
    alike = np.array([1, 2, 3, 4, 5, 6, 1, 2])  # the training pictures look like a and b
    shown = replace(dataset, images=alike)
    monkeypatch.setattr(studies.engine, "prepared", lambda *_: (shown, split, {}))
    ids = list("abcdef")
    made = {
        "x": _Answers(ids, labels, np.array([0, 0, 1, 1, 1, 0], bool)),
        "y": _Answers(ids, labels, np.array([1, 1, 1, 1, 0, 0], bool), seeds=(1, 2)),
    }
    monkeypatch.setattr(studies.results, "load", lambda key, name: made[name])
    table = studies.look_alikes("x", "y").set_index("test pictures")
    assert table["pictures"].to_dict() == {"all": 6, "with a look-alike": 2, "without": 4}
    assert (table["seeds"] == 1).all()
    assert table["left out"].round(3).tolist() == [0.5, 0.0, 0.75]
    assert table["difference"].round(3).tolist() == [0.167, 1.0, -0.25]
    assert table["p"].between(0, 1).all()

    made["y"] = _Answers(ids[1:], labels[1:], np.ones(5, bool), seeds=(1,))
    with pytest.raises(studies.StudyError, match="has not been tested on a and 0 others"):
        studies.look_alikes("x", "y")
    made["y"].seeds = [7]
    with pytest.raises(studies.StudyError, match="no seed in common"):
        studies.look_alikes("x", "y")


def test_validation_pictures_are_judged_by_whether_training_showed_their_like(monkeypatch, faces):
    dataset, split = faces
    parts = ["train"] * 3 + ["valid"] * 3 + ["test"] * 2
    split = splits.Split("official", "fer2013", split.table.assign(part=parts), 0)
    dataset = replace(
        dataset,
        images=np.array([1, 2, 3, 3, 4, 4, 5, 6]),
        prepare=lambda inputs, _: {"video": augment.faces_to_input(inputs["video"])},
    )
    build = partial(models.build, "mostafa", n_classes=7, modality="video", design="residual")
    stored = _Trained("video", (0, 1), (0,), build)
    stored.recipe = {"max_epochs": 30}
    asked_again(monkeypatch, stored, dataset, split)
    table = studies.remembering(["faces"]).set_index("validation pictures")
    assert table["pictures"].to_dict() == {"with a look-alike": 1, "without": 2}
    assert (table["seeds"] == 2).all()
    assert table["accuracy"].between(0, 1).all()


def test_the_heavy_design_takes_several_times_the_time_and_memory():
    table = studies.light_and_heavy(batch=2, runs=2).set_index("modality")
    assert (table["step ratio"] > 1.5).all()
    assert (table["training ratio"] > 1.2).all()
    light = table["light inference (MB)"] < table["light training (MB)"]
    assert light.all()


def test_tables_are_written_with_the_commit_and_read_without(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    (tmp_path / "yang").mkdir()
    made = pd.DataFrame({"order": ["1.0", "adaptive"], "uar": [0.5, 0.6]})
    monkeypatch.setitem(studies.TABLES, "yang/orders", lambda: made)
    assert "not made yet" in studies.table("yang/orders")
    studies.save("yang/orders")
    assert "commit" in pd.read_csv(tmp_path / "yang" / "orders.csv")
    assert list(studies.table("yang/orders").columns) == ["order", "uar"]
    with pytest.raises(studies.StudyError, match="unknown table 'yang/all'"):
        studies.save("yang/all")
