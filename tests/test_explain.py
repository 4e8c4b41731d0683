"""Attributions keep their axioms and fail when they should."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from emolib import explain, models
from emolib.explain import networks
from emolib.papers import engine

MOUTH = torch.zeros(64, 64, dtype=torch.bool)
MOUTH[44:56, 20:44] = True
EYES = torch.zeros(64, 64, dtype=torch.bool)
EYES[20:30, 12:52] = True


class Linear(nn.Module):
    """A network whose exact attributions are known: weight times input."""

    def __init__(self, audio: int = 6, side: int = 4, classes: int = 3):
        super().__init__()
        self.a = nn.Linear(audio, classes)
        self.v = nn.Linear(side * side, classes)

    def forward(self, audio=None, video=None, text=None):
        return self.a(audio) + self.v(video.flatten(1))


class Reader(nn.Module):
    """A network of a voice and of words."""

    def __init__(self):
        super().__init__()
        self.words, self.a, self.gru = nn.Embedding(9, 4), nn.Linear(6, 3), nn.GRU(4, 3)

    def forward(self, audio=None, video=None, text=None):
        return self.a(audio) * self.gru(self.words(text).transpose(0, 1))[1][0]


class Mouth(nn.Module):
    """A network that looks at the mean of the mouth and at nothing else."""

    def forward(self, audio=None, video=None, text=None):
        openness = video[..., 44:56, 20:44].mean(dim=(1, 2, 3))
        return torch.stack([8 * openness - 4, 4 - 8 * openness], dim=1)


def linear_inputs(batch: int = 5) -> dict:
    generator = torch.Generator().manual_seed(1)
    return {
        "audio": torch.randn(batch, 6, generator=generator),
        "video": torch.rand(batch, 1, 4, 4, generator=generator),
    }


@pytest.fixture(scope="module")
def ding() -> tuple[nn.Module, dict]:
    torch.manual_seed(0)
    return models.build("ding"), models.example_inputs("ding", batch=3)


@pytest.mark.parametrize("kind", ["zeros", "mean"])
@pytest.mark.parametrize("output", ["logit", "probability"])
def test_attributions_sum_to_the_difference_of_outputs(ding, kind, output):
    model, inputs = ding
    attribution = explain.integrated_gradients(
        model, inputs, baselines=kind, output=output, steps=128
    )
    total = sum(value.flatten(1).sum(1) for value in attribution.values.values())
    torch.testing.assert_close(total, attribution.difference, atol=3e-4, rtol=0.03)
    # Noise against its own mean differs by little in the output: the share is then coarse.
    assert attribution.relative_gap < (0.02 if kind == "zeros" else 0.08)
    assert {name: v.shape for name, v in attribution.values.items()} == {
        name: v.shape for name, v in inputs.items()
    }


@pytest.mark.parametrize("kind", ["black", "blur"])
def test_steps_are_doubled_until_the_attributions_add_up(kind):
    torch.manual_seed(0)
    model = models.build("ding", modality="audio")
    inputs = models.example_inputs("ding", batch=3, modality="audio")
    found = explain.integrated_gradients(
        model, inputs, baselines=kind, steps=2, tolerance=explain.COMPLETE
    )
    assert found.steps > 2 and found.relative_gap < explain.COMPLETE
    total = sum(value.flatten(1).sum(1) for value in found.values.values())
    torch.testing.assert_close((total - found.difference).abs(), found.completeness_gap)
    given_up = explain.integrated_gradients(
        model, inputs, baselines=kind, steps=1, tolerance=1e-9, most=2
    )
    assert given_up.steps == 2 and given_up.relative_gap > 1e-9


def test_a_blurred_picture_keeps_its_light_and_loses_its_detail():
    face = {"video": torch.rand(2, 1, 32, 32), "text": torch.arange(6).reshape(2, 3)}
    soft = explain.baseline(face, "blur")
    assert torch.equal(soft["text"], face["text"])
    assert soft["video"].std() < face["video"].std() / 5
    assert soft["video"].mean() == pytest.approx(float(face["video"].mean()), abs=0.02)
    flat = {"audio": torch.full((2, 40), 3.0)}
    torch.testing.assert_close(explain.baseline(flat, "blur")["audio"], flat["audio"])
    assert (explain.baseline(face, "black")["video"] == face["video"].min()).all()


def test_the_completeness_gap_shrinks_with_more_steps(ding):
    few, many = (explain.integrated_gradients(*ding, steps=n).relative_gap for n in (2, 128))
    assert many < few


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), target=st.integers(0, 2))
def test_a_linear_network_is_attributed_exactly(seed, target):
    torch.manual_seed(seed)
    model, inputs = Linear(), linear_inputs()
    attribution = explain.integrated_gradients(model, inputs, target, steps=3)
    torch.testing.assert_close(
        attribution.values["audio"], inputs["audio"] * model.a.weight[target]
    )
    weight = model.v.weight[target].reshape(1, 1, 4, 4)
    torch.testing.assert_close(attribution.values["video"], inputs["video"] * weight)
    assert attribution.completeness_gap.max() < 1e-5


def test_the_answer_itself_is_explained_unless_a_class_is_named():
    model, inputs = Linear(), linear_inputs()
    own = model(**inputs).argmax(dim=1)
    assert torch.equal(explain.integrated_gradients(model, inputs).target, own)
    each = explain.integrated_gradients(model, inputs, [0, 1, 2, 0, 1]).target
    assert each.tolist() == [0, 1, 2, 0, 1]


def test_words_are_held_fixed_and_recurrent_layers_can_be_explained():
    torch.manual_seed(0)
    inputs = {"audio": torch.randn(2, 6), "text": torch.tensor([[1, 2, 3], [4, 5, 6]])}
    attribution = explain.integrated_gradients(Reader(), inputs)
    assert set(attribution.values) == {"audio"}
    assert attribution.completeness_gap.max() < 1e-4


def test_a_large_batch_goes_through_in_portions(ding):
    model, inputs = ding
    whole = explain.integrated_gradients(model, inputs, steps=16)
    parts = explain.integrated_gradients(model, inputs, steps=16, batch_size=5)
    torch.testing.assert_close(whole.values["video"], parts.values["video"], atol=1e-6, rtol=1e-3)


def test_explaining_leaves_the_model_as_it_was(ding):
    model, inputs = ding
    model.train()
    before = {name: p.clone() for name, p in model.state_dict().items()}
    explain.integrated_gradients(model, inputs, steps=2)
    explain.sanity_check(model, inputs, steps=2)
    assert model.training and model.fusion[2].training
    assert all(torch.equal(before[name], p) for name, p in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_occlusion_covers_the_region_and_nothing_else(ding):
    _, inputs = ding
    for fill, expected in ((0.0, 0.0), (0.5, 0.5)):
        covered = explain.occlude(inputs, MOUTH, fill=fill)
        assert (covered["video"][..., MOUTH] == expected).all()
        assert torch.equal(covered["video"][..., ~MOUTH], inputs["video"][..., ~MOUTH])
        assert covered["audio"] is inputs["audio"]
    mean = explain.occlude(inputs, MOUTH, fill="mean")["video"][0, 0][MOUTH]
    torch.testing.assert_close(mean, inputs["video"][0].mean().expand_as(mean))


def test_every_sample_and_every_frame_can_have_its_mask():
    faces = {"video": torch.ones(2, 5, 3, 64, 64)}
    own = explain.occlude(faces, torch.stack([MOUTH, EYES]))["video"]
    assert (own[0][..., MOUTH] == 0).all() and (own[0][..., EYES] == 1).all()
    assert (own[1][..., EYES] == 0).all() and (own[1][..., MOUTH] == 1).all()


def test_the_halves_of_the_mfcc_cover_all_of_them_once():
    lower, higher = explain.mfcc_halves(40).values()
    assert lower.sum() == higher.sum() == 20
    assert (lower ^ higher).all()
    assert lower[:20].all()


def test_region_scores_find_the_only_region_that_counts():
    attribution = explain.integrated_gradients(Mouth(), {"video": torch.rand(4, 1, 64, 64)}, 0)
    scores = explain.region_scores(attribution, {"mouth": MOUTH, "eyes": EYES}).set_index("region")
    assert scores.loc["mouth", "share"] == pytest.approx(1)
    assert scores.loc["mouth", "density"] == pytest.approx(64 * 64 / int(MOUTH.sum()))
    assert scores.loc["mouth", "signed"] == pytest.approx(scores.loc["mouth", "magnitude"])
    assert scores.loc["eyes", "magnitude"] == 0


def test_occlusion_costs_accuracy_only_where_the_network_looks():
    model = Mouth()
    video = torch.full((6, 1, 64, 64), 0.9)
    table = explain.occlusion_test(
        model, {"video": video}, [0] * 6, {"video": {"mouth": MOUTH, "eyes": EYES}}
    ).set_index("region")
    assert table.loc["none", "accuracy"] == 1
    assert table.loc["mouth", "accuracy_change"] == -1
    assert table.loc["mouth", "answers_changed"] == 1
    assert table.loc["eyes", "probability_change"] == pytest.approx(0, abs=1e-6)


def test_randomising_the_parameters_destroys_the_attribution(ding):
    model, inputs = ding
    table = explain.sanity_check(model, inputs, steps=8)
    start = table[table["layers"] == 0]
    np.testing.assert_allclose(start["correlation"], 1, atol=1e-9)
    end = table[table["layers"] == table["layers"].max()]
    assert (end["correlation"].abs() < 0.5).all()
    # Seven layers with parameters, and two modalities, each step.
    assert len(table) == (7 + 1) * 2


def test_a_map_that_ignores_the_network_fails_the_sanity_check(ding):
    def edges(model, inputs, target=None, **_):
        values = {name: value - value.mean() for name, value in inputs.items()}
        zero = torch.zeros(3)
        return explain.Attribution(values, zero.long(), zero, zero)

    table = explain.sanity_check(*ding, method=edges)
    assert (table["correlation"] > 0.99).all()


def test_deleting_what_counts_falls_faster_than_deleting_at_random():
    model, inputs = Mouth(), {"video": 0.6 + 0.4 * torch.rand(4, 1, 64, 64)}
    attribution = explain.integrated_gradients(model, inputs)
    curve = explain.deletion_curve(model, inputs, attribution, steps=10)
    assert curve["deleted"].tolist() == pytest.approx(np.linspace(0, 1, 11))
    assert curve.loc[0, "attributed"] == curve.loc[0, "random"]
    assert curve["attributed"].mean() < curve["random"].mean() - 0.1
    assert curve["attributed"].iloc[-1] == pytest.approx(curve["random"].iloc[-1])


def test_wrong_choices_are_named(ding):
    model, inputs = ding
    with pytest.raises(ValueError, match="choose zeros, black, mean or blur"):
        explain.integrated_gradients(model, inputs, baselines="grey")
    with pytest.raises(ValueError, match="choose 'logit' or 'probability'"):
        explain.integrated_gradients(model, inputs, output="loss")
    with pytest.raises(ValueError, match=r"mask of shape \(32, 32\) does not fit video"):
        explain.occlude(inputs, np.ones((32, 32), bool))
    with pytest.raises(ValueError, match="'chin' is empty"):
        explain.region_scores(torch.ones(1, 64, 64), {"chin": np.zeros((64, 64), bool)})


def test_regions_fit_the_inputs_they_describe():
    face = explain.regions_of("video", torch.zeros(2, 1, 64, 64))
    assert {"mouth", "eyes"} <= set(face)
    assert face["mouth"].shape == (64, 64)
    assert set(explain.regions_of("audio", torch.zeros(2, 40))) == {"lower MFCC", "higher MFCC"}
    (whole,) = explain.regions_of("text", torch.zeros(2, 9)).values()
    assert whole.shape == (9,)


def test_what_is_explained_are_the_samples_as_the_network_is_trained_on_them(monkeypatch):
    seen = {}

    def train(*args, **options):
        seen["dataset"], seen["fit"], seen["test"] = trained = engine_trained(*args, **options)
        return trained

    def attribute(model, inputs, *args, **options):
        seen["model"], seen["voices"] = model, inputs["audio"]
        return integrated_gradients(model, inputs, *args, **options)

    engine_trained, integrated_gradients = engine.trained, explain.integrated_gradients
    monkeypatch.setattr(engine, "trained", train)
    monkeypatch.setattr(networks, "integrated_gradients", attribute)
    shares = explain.regions("lu", "synthetic", "audio", epochs=1, samples=8, progress=False)
    assert seen["model"] is seen["fit"].model
    # Raw, Lu's coefficients are of loudness most of all: tens of decibels below zero.
    assert seen["dataset"].samples.inputs["audio"].std() > 20
    assert seen["voices"].mean().abs() < 0.5
    assert 0.5 < seen["voices"].std() < 5
    scaled = seen["dataset"].prepare(seen["test"].inputs, None)["audio"]
    assert all((scaled == voice).flatten(1).all(1).any() for voice in seen["voices"])
    assert shares.samples == len(seen["voices"]) >= 8
    assert shares.table["share"].sum() == pytest.approx(1, abs=1e-3)
    assert shares.relative_gap < 0.01 or shares.steps == 1024
    assert shares.learned.n == len(seen["test"])


# --- the methods beside integrated gradients ---------------------------------------------------


@pytest.mark.parametrize("name", list(explain.METHODS))
def test_each_method_finds_the_mouth_of_a_network_that_looks_at_nothing_else(name):
    torch.manual_seed(0)
    faces = {"video": 0.6 + 0.4 * torch.rand(3, 1, 64, 64)}

    class Seen(nn.Module):
        """`Mouth` behind a convolution, for Grad-CAM to find."""

        def __init__(self):
            super().__init__()
            self.maps = nn.Conv2d(1, 2, 1, bias=False)
            self.maps.weight.data[:] = torch.tensor([1.0, -1.0])[:, None, None, None]

        def forward(self, audio=None, video=None, text=None):
            seen = self.maps(video)[..., 44:56, 20:44].mean(dim=(2, 3))
            return seen - 0.5 * seen.flip(1)

    found = explain.METHODS[name](Seen(), faces, 0)
    assert found.values["video"].shape == faces["video"].shape
    mass = explain.relevance_mass(found.values["video"], MOUTH.expand(3, 1, 64, 64))
    # Grad-CAM weighs whole maps, wherever they are used.
    least = 0.05 if name == "Grad-CAM" else 0.5
    assert (mass > least).all()


@pytest.mark.parametrize("key", ["ding", "yang", "ishtiaq"])
@pytest.mark.parametrize("name", ["occlusion", "Grad-CAM", "SmoothGrad"])
def test_maps_have_the_shape_of_voices(key, name):
    options = {"modality": "audio"}
    torch.manual_seed(0)
    model, inputs = models.build(key, **options), models.example_inputs(key, **options)
    found = explain.METHODS[name](model, inputs)
    assert found.values["audio"].shape == inputs["audio"].shape
    assert np.isnan(found.relative_gap)
    assert found.values["audio"].isfinite().all()


def test_portions_change_nothing(ding):
    model, inputs = ding
    for name in ("occlusion", "Grad-CAM"):
        whole = explain.METHODS[name](model, inputs, 1).values["audio"]
        parts = explain.METHODS[name](model, inputs, 1, batch_size=2).values["audio"]
        torch.testing.assert_close(whole, parts, atol=1e-5, rtol=1e-3)


def test_a_network_without_a_convolution_of_its_own_has_no_grad_cam():
    with pytest.raises(ValueError, match="choose another method"):
        explain.grad_cam(Linear(), linear_inputs())


# --- sums by emotion, and known truth ------------------------------------------------------------


def test_shares_and_intervals_by_emotion():
    values = torch.zeros(6, 1, 64, 64)
    values[:3, ..., MOUTH] = 1.0
    values[3:, ..., EYES] = -2.0
    shares = explain.region_shares(values, {"mouth": MOUTH, "eyes": EYES})
    np.testing.assert_allclose(shares, [[1, 0]] * 3 + [[0, 1]] * 3)
    table = explain.by_class(shares, [0, 0, 0, 1, 1, 1], ["sad", "glad"], ["mouth", "eyes"])
    means = table.set_index(["emotion", "region"])["mean"]
    assert means["sad", "mouth"] == 1 and means["glad", "mouth"] == 0
    assert means["all", "eyes"] == 0.5
    everything = table[table["emotion"] == "all"]
    assert ((everything["low"] < 0.5) & (everything["high"] > 0.5)).all()


def test_clips_are_drawn_and_not_their_segments():
    rng = np.random.default_rng(0)
    clips = np.repeat(np.arange(20), 6)
    values = rng.normal(size=20)[clips][:, None]
    _, low, high = explain.mean_and_interval(values, clips)
    _, near, far = explain.mean_and_interval(values)
    assert (high - low)[0] > 2 * (far - near)[0]


def test_known_truth_is_scored_as_other_programs_score_it():
    from sklearn.metrics import roc_auc_score

    generator = torch.Generator().manual_seed(0)
    values = torch.randn(8, 5, 7, generator=generator)
    truth = (torch.rand(8, 5, 7, generator=generator) < 0.3).numpy()
    by_sklearn = [
        roc_auc_score(one.ravel(), value.abs().numpy().ravel())
        for one, value in zip(truth, values, strict=True)
    ]
    np.testing.assert_allclose(explain.relevance_auc(values, truth), by_sklearn)
    assert explain.relevance_auc(torch.as_tensor(truth).float(), truth).tolist() == [1] * 8
    assert explain.pointing_game(torch.as_tensor(truth).float(), truth).all()
    assert not explain.pointing_game(-torch.as_tensor(truth).float(), truth).any()
    assert explain.agreement(values, -3 * values) == pytest.approx(np.ones(8))
    with pytest.raises(ValueError, match="give one place for each value"):
        explain.pointing_game(values, truth[:, :2])


def test_what_counts_falls_first_and_comes_back_first():
    model, inputs = Mouth(), {"video": 0.6 + 0.4 * torch.rand(4, 1, 64, 64)}
    attribution = explain.integrated_gradients(model, inputs)
    areas = explain.deletion_and_insertion(model, inputs, attribution, fill=0.0)
    assert (areas["deletion"] < areas["random"]).all()
    assert (areas["insertion"] > areas["random"]).all()
    curve = explain.deletion_curve(model, inputs, attribution, steps=20)
    assert curve["attributed"].mean() == pytest.approx(areas["deletion"].mean())


# --- published networks --------------------------------------------------------------------------


def test_published_networks_are_named_where_one_is_missing():
    assert ("lu", "audio") in explain.every_published()
    network = explain.published("mostafa", "video")
    assert network.learned and len(network.classes) == 7 and not network.model.training
    with pytest.raises(explain.UnlearnedError, match=r"there are .*mostafa video"):
        explain.published("ishtiaq", "video")
