"""Ding et al.: the network has the layers, counts and options that the paper prints."""

import pytest
import torch
from torch import nn

from emolib import models


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 66_584),  # Table V prints 0.06 M
        ({"n_classes": 7, "hidden": 14}, 61_495),
        ({"padding": "same"}, 96_792),
        ({"modality": "audio"}, 96 + 2_592 + 224 * 16 + 16 + 136),
        ({"modality": "video"}, 160 + 4_640 + 18_496 + 2_304 * 16 + 16 + 136),
    ],
)
def test_parameters_are_those_of_equation_4(options, expected):
    assert parameters(models.build("ding", **options)) == expected


def test_feature_maps_have_the_sizes_of_fig_3():
    model = models.build("ding").eval()
    seen = {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: tuple(out.shape[1:])})
        )
    model(**models.example_inputs("ding"))
    spatial = [seen[f"spatial.{i}"] for i in (0, 2, 3, 5, 6, 8)]
    assert spatial == [
        (16, 62, 62),
        (16, 31, 31),
        (32, 29, 29),
        (32, 14, 14),
        (64, 12, 12),
        (64, 6, 6),
    ]
    assert [seen[f"temporal.{i}"] for i in (0, 2, 3, 5)] == [(16, 36), (16, 18), (32, 14), (32, 7)]
    assert (seen["spatial"], seen["temporal"]) == ((2304,), (224,))


def test_dropout_sits_before_both_flattenings_and_before_the_last_dense_layer():
    model = models.build("ding", dropout=0.3)
    rates = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    assert rates == [0.3, 0.3, 0.3]
    for branch in (model.spatial, model.temporal):
        assert isinstance(branch[-2], nn.Dropout)
        assert isinstance(branch[-1], nn.Flatten)
    assert isinstance(model.fusion[-2], nn.Dropout)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel", range(2, 13))
def test_every_kernel_of_the_ablation_builds_with_same_padding(kernel):
    model = models.build("ding", audio_kernel=kernel, video_kernel=kernel, padding="same").eval()
    assert model(**models.example_inputs("ding", batch=1)).shape == (1, 8)


@pytest.mark.parametrize("kernel", [10, 11, 12])
def test_large_kernels_without_padding_leave_no_face_and_say_so(kernel):
    with pytest.raises(ValueError, match=r"video_kernel=\d+ .*padding='same'"):
        models.build("ding", video_kernel=kernel)


@pytest.mark.parametrize("missing", ["audio", "video"])
def test_concatenation_refuses_a_missing_modality(missing):
    inputs = models.example_inputs("ding")
    del inputs[missing]
    with pytest.raises(ValueError, match=f"{missing}= missing.*needs all of audio, video"):
        models.build("ding")(**inputs)


def test_a_unimodal_network_ignores_the_other_modality():
    model = models.build("ding", modality="audio").eval()
    inputs = models.example_inputs("ding")
    assert torch.equal(model(**inputs), model(audio=inputs["audio"]))


def test_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"audio has shape \(2, 13\), expected \(B, 40\)"):
        models.build("ding")(audio=torch.zeros(2, 13), video=torch.zeros(2, 1, 64, 64))


def test_equation_8_at_its_word_makes_the_head_linear():
    head = models.build("ding", hidden_activation=False).eval().fusion
    a, b = torch.randn(2, 1, 2528)
    zero = head(torch.zeros(1, 2528))
    torch.testing.assert_close(head(a + b) - zero, head(a) + head(b) - 2 * zero, atol=1e-5, rtol=0)
