"""Yang's data, face features, and the runs the book shows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from emolib import evaluation, models, paths, training
from emolib.corpora import CorpusError
from emolib.labs import grid
from emolib.models import yang as network
from emolib.models.yang import LADDER
from emolib.papers import engine, face_features, yang
from emolib.papers.experiment import Experiment, ExperimentError
from emolib.papers.streams import Request

ONE_EPOCH = replace(face_features.RECIPE, max_epochs=1, batch_size=8)


@pytest.fixture
def faces():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (40, 48, 48), dtype=np.uint8), np.arange(40) % 7


# --- face features --------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "width"), [("mobilenetv2", 1280), ("shufflenetv2", 1024)])
def test_every_picture_gets_the_features_it_gets_alone(name, width, faces):
    network = face_features.untrained(name)
    pictures = faces[0][:6].reshape(2, 3, 48, 48)
    together = network.features(pictures)
    assert together.shape == (2, 3, width)
    np.testing.assert_allclose(together[1, 2], network.features(pictures[1:, 2:])[0, 0], atol=1e-4)
    assert together.std(axis=(0, 1)).max() > 0


def test_a_face_network_is_trained_once_and_read_back(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FEATURES", tmp_path)
    first = face_features.trained("shufflenetv2", *faces, recipe=ONE_EPOCH, progress=False)
    monkeypatch.setattr(training, "fit", None)  # a second training would fail
    again = face_features.trained("shufflenetv2", *faces, recipe=ONE_EPOCH, progress=False)
    np.testing.assert_array_equal(first.features(faces[0][:4]), again.features(faces[0][:4]))
    assert again.said["valid_accuracy"] == first.said["valid_accuracy"]
    fresh = face_features.untrained("shufflenetv2")
    assert np.abs(fresh.features(faces[0][:4]) - again.features(faces[0][:4])).max() > 1e-3


def test_features_of_another_width_fit_a_network_built_for_them():
    options = {"spatial": "features", "spatial_width": 1024, "modality": "video"}
    model = models.build("yang", **options)
    inputs = models.example_inputs("yang", **options)
    assert inputs["video"].shape[-1] == 1024
    assert model(**inputs).shape == (2, 8)
    with pytest.raises(ValueError, match="1024"):
        model(video=torch.zeros(2, 6, 1280))


# --- data -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modality": "text"}, "unknown modality 'text'"),
        ({"spatial": "frames"}, "unknown spatial 'frames': known are features, pixels"),
        ({"face_network": "vgg"}, "unknown face_network 'vgg'"),
        ({"order": "best"}, "unknown order 'best': give a number"),
    ],
)
def test_data_that_are_not_there_are_refused(arguments, message):
    with pytest.raises(ExperimentError, match=message):
        yang.load(**{"corpus": "synthetic", "modality": "both", **arguments})


def test_an_order_that_is_an_angle_is_refused_before_any_clip_is_read():
    with pytest.raises(ValueError, match="not the angle"):
        yang.mfcc_recipe(4.5)


def test_only_order_one_is_called_mfcc():
    about = {"recipe": "FrftMfcc(…)", "digest": "0" * 16, "problems": 0}
    asked = Request("ravdess", "audio")
    said = {
        order: yang.declare(asked, order=order).streams["audio"].describe(about)
        for order in (1.0, 0.9, "adaptive")
    }
    assert "frft" not in str(said[1.0]).lower()
    assert said[0.9]["front_end"] == said["adaptive"]["front_end"] == "FrFT-MFCC"
    assert said["adaptive"]["order"] is None
    assert "orders" in said["adaptive"]
    assert "orders" not in said[0.9]


def test_stored_pictures_become_three_equal_channels_about_zero():
    pictures = torch.randint(0, 256, (2, 1, 6, 48, 48), dtype=torch.uint8)
    video = yang.prepare({"video": pictures}, None)["video"]
    assert video.shape == (2, 6, 3, 48, 48)
    assert torch.equal(video[:, :, 0], video[:, :, 2])
    assert video.min() >= -2
    assert video.max() <= 2
    features = {"video": torch.randn(2, 3, 6, 1280)}
    assert torch.equal(yang.prepare(features, None)["video"], features["video"][:, 0])


# --- the runs -------------------------------------------------------------------------------


def test_every_rung_builds_the_network_that_its_features_fit():
    for i, (front_end, options) in enumerate(LADDER, start=1):
        run = yang.FULL[f"paired-rung{i}"]
        assert (run.data["order"] == 1.0) == (front_end == "mfcc")
        assert run.data["face_network"] == options["spatial"]
        model = models.build("yang", n_classes=7, **run.options)
        frames = torch.randn(1, 6, run.options["spatial_width"])
        assert model(audio=torch.randn(1, 10, 311), video=frames).shape == (1, 7)


@pytest.mark.parametrize(
    ("experiment", "spatial", "data"),
    [
        (Experiment("paired", "both"), "features", {}),
        (Experiment("paired", "both", data={"face_network": "shufflenetv2"}), "features", None),
        (Experiment("paired", "video", options={"spatial": "shufflenetv2"}), "shufflenetv2",
         {"spatial": "pixels"}),
        (Experiment("paired", "both", data={"spatial": "pixels"}), None, {"spatial": "pixels"}),
        (Experiment("ravdess", "audio"), None, {}),
        *((each, each.options.get("spatial"), each.data) for each in yang.FULL.values()),
    ],
)  # fmt: skip
def test_network_and_data_agree_about_the_faces(experiment, spatial, data):
    complete = yang.completed(experiment)
    assert complete.options.get("spatial") == spatial
    assert complete.data == (experiment.data if data is None else data)
    width = complete.options.get("spatial_width")
    if spatial == "features" and width:
        assert width == network.Spatial.WIDTHS[complete.data.get("face_network", "mobilenetv2")]
    engine.learner("yang", experiment, "quick").check()


def test_the_study_of_orders_changes_nothing_but_the_order():
    runs = [yang.FULL[f"audio-{order}"] for order in yang.ORDERS]
    assert [run.data for run in runs] == [{"order": order} for order in yang.ORDERS]
    assert len({replace(run, data={}, note="") for run in runs}) == 1
    assert yang.ORDERS[0] == 1.0  # the others are compared with the first


def test_of_two_orders_that_mirror_each_other_the_study_has_both_and_they_see_the_same():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(22_050).astype(np.float32)
    beyond = [order for order in yang.ORDERS if order != "adaptive" and order > 1]
    assert beyond
    for order in beyond:
        assert 2 - order in yang.ORDERS
        here, there = (
            yang.mfcc_recipe(p).coefficients(samples, 22_050) for p in (order, 2 - order)
        )
        np.testing.assert_allclose(here, there, atol=1e-3 * np.abs(there).max())


class _Stored:
    """The parts of a result that a comparison reads."""

    level = "clip"

    def __init__(self, values):
        self.samples = type("S", (), {"clip_ids": ["a", "b"]})()
        self.model = type("M", (), {"parameters": 1})()
        counts = {"train": {"n": 16}, "test": {"n": 4}}
        self.runs = [
            type("R", (), {"seed": 0, "fold": i, "metrics": {"uar": v}, "counts": counts,
                           "rows": lambda self, level: [0, 1]})()
            for i, v in enumerate(values)
        ]  # fmt: skip
        mean = float(np.mean(values))
        self.summary = {"uar": type("U", (), {"mean": mean, "interval": (0, 1), "sd": 0})()}


def test_stored_results_are_compared_fold_by_fold_and_corrected_for_their_number():
    reference = _Stored([0.50, 0.52, 0.48, 0.51])
    others = {"same": _Stored([0.51, 0.51, 0.49, 0.50]), "worse": _Stored([0.30, 0.33, 0.29, 0.31])}
    table = grid.compare(reference, others).set_index("name")
    assert table.loc["worse", "difference"] == pytest.approx(-0.195)
    assert table.loc["worse", "p"] < 0.01 < table.loc["same", "p"]
    pd.testing.assert_series_equal(
        table["p_holm"], pd.Series(evaluation.holm(table["p"]), table.index, name="p_holm")
    )


# --- real recordings ------------------------------------------------------------------------


@pytest.mark.realdata
def test_the_face_network_never_saw_a_picture_that_a_clip_shows(recordings):
    from emolib.corpora import fer2013, paired, pictures

    try:
        shown = paired.frames(paired.manifest(recordings), yang.FRAMES, root=recordings)
    except CorpusError:
        pytest.skip("needs FER2013 and RAVDESS")
    spare = yang.spare_pictures(recordings)
    groups = pictures.near_duplicates(fer2013.images(recordings / "fer2013"))
    assert not np.intersect1d(groups[spare], groups[shown.ravel()]).size
    assert len(spare) > 20_000
