"""Mostafa et al.: counts, the cheaper design, and a fusion of networks with different classes."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from emolib.models import layers, mostafa

FER2013 = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")
RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def macs(model: torch.nn.Module, inputs: dict) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(**inputs)
    return counter.get_total_flops() // 2


def face(**options):
    return mostafa.Mostafa(7, modality="video", **options)


def test_face_network_has_the_papers_parameters_and_keras_total():
    model = face()
    assert parameters(model) == 1_175_399
    statistics = [b for name, b in model.named_buffers() if "running" in name]
    assert parameters(model) + sum(b.numel() for b in statistics) == 1_177_319


def test_face_network_costs_117_million_macs():
    inputs = mostafa.example_inputs(1, modality="video")
    assert macs(face(), inputs) / 1e6 == pytest.approx(117.5, abs=0.06)


@pytest.mark.parametrize(
    ("design", "millions"), [("vgg13", 9.40), ("resnet50", 23.5)], ids=["vgg13", "resnet50"]
)
def test_pretrained_backbones_have_the_parameters_of_table_iii_without_heads(design, millions):
    backbone = face(design=design).image.backbone
    assert parameters(backbone) / 1e6 == pytest.approx(millions, abs=0.01)


def test_grey_faces_reach_a_pretrained_network_as_imagenet_would_show_them():
    network = mostafa.Pretrained("vgg13")
    seen = []
    network.backbone.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    with torch.no_grad():
        network.eval()(torch.full((1, 1, 48, 48), -1.0))  # black
    expected = -torch.tensor([0.485 / 0.229, 0.456 / 0.224, 0.406 / 0.225])
    torch.testing.assert_close(seen[0].mean(dim=(0, 2, 3)), expected)


@pytest.mark.parametrize("block", ["basic", "inverted"])
@pytest.mark.parametrize("squeeze", [False, True])
def test_our_design_does_with_a_fifth_of_the_macs_and_no_more_parameters(block, squeeze):
    inputs = mostafa.example_inputs(1, modality="video")
    ours = face(design="residual", block=block, squeeze=squeeze)
    assert parameters(ours) <= 1_200_000
    assert macs(ours, inputs) <= macs(face(), inputs) / 5


@pytest.mark.parametrize("block", ["basic", "inverted"])
def test_a_residual_block_whose_body_is_silent_passes_its_input_on(block):
    module = layers.ResidualBlock(
        4, 4, block=block, stride=1, activation="relu", squeeze=False, shortcut=True
    ).eval()
    torch.nn.init.zeros_(module.body[-1].weight)
    x = torch.rand(2, 4, 6, 6)
    torch.testing.assert_close(module(x), x)
    without = layers.ResidualBlock(
        4, 4, block=block, stride=1, activation="relu", squeeze=False, shortcut=False
    ).eval()
    torch.nn.init.zeros_(without.body[-1].weight)
    assert not without(x).any()


def test_our_design_learns_sixteen_faces_by_heart():
    """Thirty steps on faces of four brightness patterns bring the loss down tenfold."""
    torch.manual_seed(0)
    labels = torch.arange(16) % 4
    images = torch.randn(16, 1, 48, 48) * 0.3
    for i, label in enumerate(labels):
        images[i, 0, 12 * label : 12 * label + 12] += 1
    model = mostafa.Mostafa(4, modality="video", design="residual", dropout=0.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(video=images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10


@pytest.mark.parametrize("n_mels", [16, 64, 128])
def test_spectrograms_of_any_size_are_accepted(n_mels):
    model = mostafa.Mostafa(modality="audio").eval()
    inputs = mostafa.example_inputs(2, modality="audio", n_mels=n_mels, steps=50)
    with torch.no_grad():
        assert model(**inputs).shape == (2, 8)


# --- late fusion ---------------------------------------------------------------------------------


def test_fer2013_and_ravdess_share_seven_emotions():
    names, of_image, of_audio = mostafa.shared_classes(FER2013, RAVDESS)
    assert names == FER2013
    assert [FER2013[i] for i in of_image] == [RAVDESS[i] for i in of_audio] == list(names)


RULES = {
    "arithmetic": lambda p, q: (p + q) / 2,
    "geometric": lambda p, q: np.sqrt(p * q),
    "product": lambda p, q: p * q,
}


@pytest.mark.parametrize("rule", RULES)
def test_late_fusion_over_shared_emotions_is_the_named_mean_of_renormalised_streams(rule):
    torch.manual_seed(0)
    model = mostafa.Mostafa(7, fusion=rule, image_classes=FER2013, audio_classes=RAVDESS).eval()
    inputs = mostafa.example_inputs(3)
    with torch.no_grad():
        face_p = model.image(inputs["video"]).softmax(-1).numpy()  # (3, 7)
        voice_p = model.audio(inputs["audio"]).softmax(-1).numpy()  # (3, 8)
        fused = model(**inputs).exp().numpy()
    voice_p = np.delete(voice_p, RAVDESS.index("calm"), axis=1)
    voice_p /= voice_p.sum(axis=1, keepdims=True)
    expected = RULES[rule](face_p, voice_p)
    np.testing.assert_allclose(fused, expected / expected.sum(1, keepdims=True), rtol=2e-4)


def test_one_missing_stream_leaves_the_decision_to_the_other():
    model = mostafa.Mostafa(7, image_classes=FER2013, audio_classes=RAVDESS).eval()
    inputs = mostafa.example_inputs(2)
    with torch.no_grad():
        streams = model.streams(**inputs)
        for name in ("audio", "video"):
            torch.testing.assert_close(model(**{name: inputs[name]}), streams[name])
            torch.testing.assert_close(streams[name].exp().sum(-1), torch.ones(2))


@pytest.mark.parametrize(
    ("n_classes", "options", "message"),
    [
        (8, {"image_classes": FER2013, "audio_classes": RAVDESS}, "set n_classes=7"),
        (7, {"image_classes": FER2013}, "give both, or neither"),
        (7, {"image_classes": ("joy",), "audio_classes": RAVDESS}, "spell them alike"),
        (7, {"design": "vgg16"}, "design='vgg16'.*'vgg13'"),
        (7, {"fusion": "max"}, "fusion='max'.*'product'"),
        (7, {"modality": "text"}, "modality='text'"),
        (7, {"pooling": "stride"}, "pooling='stride'"),
        (7, {"design": "residual", "block": "ghost"}, "block='ghost'"),
        (7, {"design": "residual", "activation": "tanh"}, "activation='tanh'"),
    ],
)
def test_contradictory_or_unknown_options_are_refused_with_a_remedy(n_classes, options, message):
    with pytest.raises(ValueError, match=message):
        mostafa.Mostafa(n_classes, **options)


def test_a_missing_or_misshapen_modality_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match="at least one"):
        mostafa.Mostafa()()
    with pytest.raises(ValueError, match=r"audio= missing.*modality='audio'"):
        mostafa.Mostafa(modality="audio")(video=torch.rand(1, 1, 48, 48))
    with pytest.raises(ValueError, match=r"expected \(B, 1, any, any\)"):
        face()(video=torch.rand(1, 3, 48, 48))
