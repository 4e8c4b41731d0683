"""Yang et al.: counts of Tables I and II, residual blocks, attention, and missing modalities."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from emolib.models import layers, yang


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def given(batch: int = 2, **options) -> dict:
    torch.manual_seed(0)
    return yang.example_inputs(batch, **{"spatial": "features", "frames": 5, **options})


def made(n_classes: int = 8, **options) -> yang.Yang:
    torch.manual_seed(1)
    return yang.Yang(n_classes, **{"spatial": "features", **options}).eval()


# --- counts ---------------------------------------------------------------------------------------


def test_mobilenet_has_its_parameters_and_macs_without_the_classifier():
    network = yang.Spatial().eval()
    assert parameters(network) == 2_223_872
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.rand(1, 3, 224, 224))
    assert counter.get_total_flops() / 2e9 == pytest.approx(0.2995, abs=5e-5)


@pytest.mark.parametrize(
    ("residual", "n_mfcc", "visual", "audio", "joint"),
    [
        (False, 10, 332_928, 39_552, 222_720),
        (False, 40, 332_928, 45_312, 222_720),
        (True, 10, 423_232, 40_256, 247_424),
        (True, 40, 423_232, 47_936, 247_424),
    ],
)
def test_conv1d_blocks_have_the_parameters_of_tables_i_and_ii(
    residual, n_mfcc, visual, audio, joint
):
    model = made(residual=residual, n_mfcc=n_mfcc)
    assert parameters(model.visual) == visual
    assert parameters(model.audio) == audio
    assert parameters(model.joint) == joint
    assert parameters(model.attend) == 3 * 128**2


@pytest.mark.parametrize(("residual", "total"), [(False, 2_869_256), (True, 2_984_968)])
def test_the_whole_network_is_the_sum_of_its_parts(residual, total):
    assert parameters(yang.Yang(residual=residual)) == total


def test_each_rung_of_the_ladder_changes_one_thing():
    rungs = [{"features": features, **options} for features, options in yang.LADDER]
    for lower, upper in itertools.pairwise(rungs):
        assert sum(lower[name] != upper[name] for name in lower) == 1
    assert parameters(yang.Yang(**yang.LADDER[-1][1])) == parameters(yang.Yang())


# --- blocks ---------------------------------------------------------------------------------------


def test_a_residual_block_adds_its_input_and_a_plain_one_does_not():
    x = torch.rand(1, 4, 6)
    for residual in (True, False):
        block = yang.ConvBlock(4, 4, residual=residual).eval()
        torch.nn.init.zeros_(block.body[1].weight)
        torch.testing.assert_close(block(x), x if residual else torch.zeros_like(x))


def test_the_audio_branch_halves_time_four_times():
    branch = made(modality="audio").audio
    with torch.no_grad():
        assert branch(torch.rand(2, 10, 160)).shape == (2, 64, 10)
        assert branch(torch.rand(2, 10, 1)).shape == (2, 64, 1)


# --- attention ------------------------------------------------------------------------------------


def test_attention_is_equations_4_to_7():
    torch.manual_seed(2)
    module = yang.Attention(3).double()
    x = torch.randn(1, 4, 3, dtype=torch.float64)
    w_q, w_k, w_v = (
        layer.weight.detach().numpy().T for layer in (module.query, module.key, module.value)
    )
    steps = x[0].numpy()
    q, k, v = steps @ w_q, steps @ w_k, steps @ w_v
    expected = np.zeros((4, 3))
    rows = np.zeros((4, 4))
    for i in range(4):
        scores = np.array([sum(q[i] * k[j]) / math.sqrt(3) for j in range(4)])
        rows[i] = np.exp(scores) / np.exp(scores).sum()
        expected[i] = sum(rows[i, j] * v[j] for j in range(4))
    with torch.no_grad():
        attended, weights = module(x)
    np.testing.assert_allclose(attended[0].numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(weights[0].numpy(), rows, rtol=1e-12)


def test_positions_that_are_not_present_get_no_weight():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4)
    present = torch.tensor([[True, False, True], [True, True, False]])[:, None, :]
    attended, weights = layers.attend(x, x, x, present)
    assert not weights.masked_select(~present.expand_as(weights)).any()
    changed = x.clone()
    changed[0, 1] = 1e3
    again, _ = layers.attend(x, changed, changed, present)
    torch.testing.assert_close(again, attended)


def test_attention_weights_can_be_looked_at():
    inputs = given(steps=64)
    with torch.no_grad():
        steps = made().attention(**inputs)["steps"]
        crossed = made(fusion="intermediate").attention(**inputs)
        assert made(fusion="concatenation").attention(**inputs) == {}
    assert steps.shape == (2, 5, 5)
    assert crossed["video_to_audio"].shape == (2, 5, 16)
    assert crossed["audio_to_video"].shape == (2, 16, 5)
    for weights in (steps, *crossed.values()):
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))


# --- fusion ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fusion", yang.FUSIONS)
def test_a_missing_stream_counts_as_silent_and_the_other_still_decides(fusion):
    model, inputs = made(fusion=fusion), given()
    with torch.no_grad():
        both = model(**inputs)
        for name in inputs:
            alone = model(**{name: inputs[name]})
            assert alone.isfinite().all()
            assert not torch.allclose(alone, both)
            assert not torch.allclose(alone[0], alone[1])


def test_modality_dropout_acts_in_training_only():
    model, inputs = made(modality_dropout=1.0), given()
    model.train()
    torch.manual_seed(0)
    same = {name: (torch.nn.Identity(), 1) for name in ("audio", "video")}
    rounds = [model._streams(inputs, **same) for _ in range(50)]
    draws = torch.stack([torch.stack([s.any(2).any(1) for s in pair], 1) for pair in rounds])
    draws = draws.float()
    assert (draws.sum(dim=2) == 1).all()  # always one lost, never both
    assert draws.mean() == pytest.approx(0.5)
    assert 0.2 < draws[:, :, 0].mean() < 0.8  # either of them
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs), model(**inputs))


@pytest.mark.parametrize(("rate", "low", "high"), [(0.0, 0, 0), (0.3, 0.25, 0.35), (1.0, 1, 1)])
def test_modalities_are_lost_at_the_rate_asked_for_and_never_the_last(rate, low, high):
    torch.manual_seed(0)
    everything = torch.ones(4000, 3, dtype=torch.bool)
    lost = ~layers.lose_a_modality(everything, rate)
    assert low <= lost.any(dim=1).float().mean() <= high
    assert lost.sum(dim=1).max() <= 1
    last = torch.tensor([[False, True, False]]).expand(100, 3)
    assert torch.equal(layers.lose_a_modality(last, 1.0), last)


def test_precomputed_features_give_the_logits_of_the_frames():
    frames = given(spatial="mobilenetv2", modality="video", frames=2, size=32)["video"]
    whole = made(spatial="mobilenetv2", modality="video")
    head = made(modality="video")
    head.load_state_dict(
        {k: v for k, v in whole.state_dict().items() if not k.startswith("spatial.")}
    )
    with torch.no_grad():
        torch.testing.assert_close(
            head(video=whole.spatial_features(frames)), whole(video=frames), atol=1e-6, rtol=1e-5
        )


def test_a_frozen_face_network_keeps_weights_and_statistics():
    model = made(spatial="mobilenetv2", modality="video", freeze=True)
    model.train()
    before = {k: v.clone() for k, v in model.spatial.state_dict().items()}
    frames = given(spatial="mobilenetv2", modality="video", frames=2, size=32)["video"]
    model(video=frames).sum().backward()
    assert all(p.grad is None for p in model.spatial.parameters())
    assert all(p.grad is not None for p in model.visual.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.spatial.state_dict().items())


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modality": "text"}, "modality='text'"),
        ({"fusion": "late"}, "fusion='late'.*'attention'"),
        ({"spatial": "resnet"}, "spatial='resnet'.*'mobilenetv2'"),
    ],
)
def test_unknown_options_name_the_choices(options, message):
    with pytest.raises(ValueError, match=message):
        yang.Yang(**options)


def test_a_missing_or_misshapen_modality_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match="at least one"):
        made()()
    with pytest.raises(ValueError, match=r"audio= missing.*modality='audio'"):
        made(modality="audio")(video=torch.rand(1, 2, 1280))
    with pytest.raises(ValueError, match=r"expected \(B, any, 1280\)"):
        made()(video=torch.rand(1, 2, 3, 32, 32))
    with pytest.raises(ValueError, match=r"expected \(B, 10, any\)"):
        made()(audio=torch.rand(1, 40, 100))
