"""Ishtiaq et al.: what depthwise separation saves, recurrent ends, masks, and the tokeniser."""

import numpy as np
import pytest
import torch

from emolib import models
from emolib.models import ishtiaq


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def given(batch: int = 3, **options) -> dict:
    torch.manual_seed(0)
    small = {"n_mels": 32, "steps": 40, "frames": 3, "size": 32}
    return ishtiaq.example_inputs(batch, **{**small, **options})


def made(n_classes: int = 8, **options) -> ishtiaq.Ishtiaq:
    torch.manual_seed(1)
    return ishtiaq.Ishtiaq(n_classes, **options).eval()


# --- what the design saves ------------------------------------------------------------------------


def test_the_convolutions_shrink_by_88_percent():
    light, heavy = (ishtiaq.count_parts(made(design=d)) for d in ("light", "heavy"))
    for name in ("audio convolution", "video convolution"):
        assert (light[name], heavy[name]) == (45_065, 387_360)
        assert 1 - light[name] / heavy[name] == pytest.approx(0.884, abs=5e-4)


def test_an_encoder_with_its_recurrent_layer_shrinks_by_67_percent_only():
    light, heavy = (ishtiaq.count_parts(made(design=d)) for d in ("light", "heavy"))
    kept = [parts["audio convolution"] + parts["audio recurrent"] for parts in (light, heavy)]
    assert 1 - kept[0] / kept[1] == pytest.approx(0.670, abs=5e-4)


@pytest.mark.parametrize(("c_out", "saved"), [(16, 0.826), (32, 0.858), (256, 0.885)])
def test_no_depthwise_separable_layer_saves_ninety_percent(c_out, saved):
    def weights(layer):
        convolutions = (m for m in layer.modules() if isinstance(m, torch.nn.Conv2d))
        return sum(parameters(m) for m in convolutions)

    separable = weights(ishtiaq.DepthwiseSeparable(64, c_out))
    standard = weights(ishtiaq.StandardConv(64, c_out, activation="mish"))
    assert 1 - separable / standard == pytest.approx(saved, abs=1e-3)
    assert 1 - separable / standard < 1 - 1 / 9


@pytest.mark.parametrize("design", ["light", "heavy"])
@pytest.mark.parametrize("modality", list(ishtiaq.MODALITIES))
def test_the_parts_sum_to_the_whole(design, modality):
    model = made(design=design, modality=modality)
    assert sum(ishtiaq.count_parts(model).values()) == parameters(model)


def test_each_replacement_can_be_switched_alone():
    light, heavy = made(), made(design="heavy")
    same = made(design="heavy", convolution="separable", recurrent="gru", depth=2)
    assert parameters(same) == parameters(light) < parameters(heavy)


def test_a_separable_layer_is_a_depthwise_and_a_pointwise_convolution():
    layer = ishtiaq.DepthwiseSeparable(2, 3, activation="relu").eval()
    x = torch.randn(1, 2, 5, 5)
    depthwise, pointwise = layer[0].weight.detach().numpy(), layer[3].weight.detach().numpy()
    padded = np.pad(x[0].numpy(), ((0, 0), (1, 1), (1, 1)))
    channels = np.zeros((2, 5, 5))
    for c in range(2):
        for i in range(5):
            for j in range(5):
                channels[c, i, j] = (padded[c, i : i + 3, j : j + 3] * depthwise[c, 0]).sum()
    channels = np.maximum(channels / np.sqrt(1 + 1e-5), 0)
    mixed = np.einsum("oc,chw->ohw", pointwise[:, :, 0, 0], channels) / np.sqrt(1 + 1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(layer(x)[0].numpy(), np.maximum(mixed, 0), atol=1e-5)


# --- encoders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("recurrent", ["gru", "lstm"])
def test_the_embedding_is_the_final_hidden_state(recurrent):
    module = ishtiaq.Temporal(5, 7, recurrent).eval()
    steps = torch.randn(2, 4, 5)
    with torch.no_grad():
        _, state = module.recurrent(steps)
        hidden = state if recurrent == "gru" else state[0]
        torch.testing.assert_close(module(steps), module.project(hidden[-1]))
        lengths = torch.tensor([2, 4])
        cut = module(steps, lengths)
        torch.testing.assert_close(cut[:1], module(steps[:1, :2]))
        torch.testing.assert_close(cut[1:], module(steps[1:]))


def test_frames_have_an_order_for_the_recurrent_encoder():
    model, video = made(modality="video"), given(modality="video")["video"]
    with torch.no_grad():
        assert not torch.allclose(model(video=video), model(video=video.flip(1)))


def test_padding_does_not_change_what_a_text_means():
    model = made(modality="text")
    text = ishtiaq.tokenize(["Kids are talking by the door"], length=6)
    padded = ishtiaq.tokenize(["Kids are talking by the door"], length=11)
    with torch.no_grad():
        torch.testing.assert_close(model(text=text), model(text=padded))


# --- fusion ---------------------------------------------------------------------------------------


def test_what_is_masked_has_no_influence_and_gets_no_attention():
    model, inputs = made(), given()
    present = torch.tensor([[True, False, True], [False, True, False], [True, True, True]])
    with torch.no_grad():
        logits = model(**inputs, present=present)
        other = dict(inputs, video=inputs["video"].clone())
        other["video"][0] = torch.rand_like(other["video"][0])
        other["audio"] = inputs["audio"].clone()
        other["audio"][1] = torch.randn_like(other["audio"][1])
        torch.testing.assert_close(model(**other, present=present), logits)
        weights = model.attention(**inputs, present=present)
    for seen in (*weights["encoder"], *weights["decoder"]):
        assert not seen[0, :, :, 1].any()
        assert not seen[1, :, :, 0].any() and not seen[1, :, :, 2].any()
        torch.testing.assert_close(seen.sum(-1), torch.ones(seen.shape[:-1]))


def test_a_modality_that_is_not_passed_is_a_modality_that_is_masked():
    model, inputs = made(), given()
    with torch.no_grad():
        for i, name in enumerate(("audio", "video", "text")):
            present = torch.ones(3, 3, dtype=torch.bool)
            present[:, i] = False
            rest = {k: v for k, v in inputs.items() if k != name}
            torch.testing.assert_close(model(**rest), model(**inputs, present=present))


def test_a_text_without_words_is_a_missing_text():
    model, inputs = made(), given()
    silent = dict(inputs, text=torch.zeros_like(inputs["text"]))
    rest = {k: v for k, v in inputs.items() if k != "text"}
    with torch.no_grad():
        torch.testing.assert_close(model(**silent), model(**rest))


@pytest.mark.parametrize(("queries", "depth"), [(1, 2), (3, 1)])
def test_attention_can_be_looked_at(queries, depth):
    model = made(queries=queries, depth=depth)
    with torch.no_grad():
        weights = model.attention(**given())
    assert [w.shape for w in weights["encoder"]] == [(3, 4, 3, 3)] * depth
    assert [w.shape for w in weights["decoder"]] == [(3, 4, queries, 3)] * depth


def test_multi_head_attention_is_the_reference_implementation():
    torch.manual_seed(0)
    ours = ishtiaq.MultiHead(8, 2)
    reference = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(
            torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
        )
        reference.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        reference.out_proj.load_state_dict(ours.out.state_dict())
        x, context = torch.randn(2, 3, 8), torch.randn(2, 4, 8)
        present = torch.tensor([[True, True, False, True], [True, False, True, True]])
        expected, weights = reference(
            x, context, context, key_padding_mask=~present, average_attn_weights=False
        )
        found, seen = ours(x, context, present)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(seen, weights)


def test_modality_dropout_acts_in_training_only():
    model, inputs = made(modality_dropout=1.0, dropout=0.0), given()
    model.train()
    torch.manual_seed(0)
    lost = torch.stack([~model._present(inputs, None) for _ in range(40)])
    assert (lost.sum(dim=2) == 1).all()
    assert lost.float().mean(dim=(0, 1)).min() > 0.15  # each of the three
    model.eval()
    assert model._present(inputs, None).all()


# --- words ----------------------------------------------------------------------------------------


def test_every_word_of_the_corpora_is_known_and_others_are_not():
    numbers = ishtiaq.tokenize(ishtiaq.SENTENCES)
    assert not (numbers == ishtiaq.UNKNOWN).any()
    assert ishtiaq.tokenize(["xylophone"]).tolist() == [[ishtiaq.UNKNOWN]]
    assert len(set(ishtiaq.VOCABULARY)) == len(ishtiaq.VOCABULARY)


def test_tokenising_ignores_case_and_punctuation():
    assert torch.equal(
        ishtiaq.tokenize(["  KIDS are, talking by the door!! "]),
        ishtiaq.tokenize(["Kids are talking by the door"]),
    )
    assert torch.equal(ishtiaq.tokenize(["It’s eleven"]), ishtiaq.tokenize(["it's eleven"]))


def test_a_text_too_long_is_refused_and_not_cut():
    with pytest.raises(ValueError, match=r"'Maybe tomorrow.*more than 4 words.*length="):
        ishtiaq.tokenize(["Don't forget a jacket", "Maybe tomorrow it will be cold"], length=4)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modality": "speech"}, "modality='speech'.*'all'"),
        ({"design": "medium"}, "design='medium'"),
        ({"convolution": "dilated"}, "convolution='dilated'.*'separable'"),
        ({"recurrent": "rnn"}, "recurrent='rnn'.*'gru'"),
        ({"activation": "tanh"}, "activation='tanh'.*'mish'"),
        ({"downsample": "crop"}, "downsample='crop'.*'stride'"),
        ({"stem": "wide"}, "stem='wide'.*'standard'"),
        ({"pooling": "max"}, "pooling='max'.*'last'"),
        ({"heads": 3}, "does not divide"),
    ],
)
def test_unknown_options_name_the_choices(options, message):
    with pytest.raises(ValueError, match=message):
        ishtiaq.Ishtiaq(**options)


def test_a_sample_without_any_modality_is_refused():
    model, inputs = made(), given()
    with pytest.raises(ValueError, match=r"and text= missing.*needs at least one"):
        model()
    present = torch.ones(3, 3, dtype=torch.bool)
    present[1] = False
    with pytest.raises(ValueError, match=r"samples \[1\] have no modality"):
        model(**inputs, present=present)
    with pytest.raises(ValueError, match=r"expected \(3, 3\) for audio, video, text"):
        model(**inputs, present=present[:, :2])
    with pytest.raises(ValueError, match=r"samples \[0\] have no modality"):
        made(modality="text")(text=torch.zeros(1, 4, dtype=torch.int64))


def test_a_misshapen_modality_is_refused():
    with pytest.raises(ValueError, match=r"expected \(B, 1, any, any\)"):
        made()(audio=torch.rand(2, 64, 128))
    with pytest.raises(ValueError, match=r"expected \(B, any, 1, any, any\)"):
        made()(video=torch.rand(2, 4, 3, 32, 32))


def test_strides_and_pooling_shrink_alike_and_cost_the_same_weights():
    strided, pooled = (made(modality="audio", downsample=d) for d in ("stride", "pool"))
    assert parameters(strided) == parameters(pooled)
    audio = torch.randn(2, 1, 64, 128)
    shapes = [model.encoders["audio"].cnn(audio).shape for model in (strided, pooled)]
    assert shapes[0] == shapes[1] == (2, 256, 4, 32)


def test_a_standard_first_layer_costs_its_nine_weights_a_map_and_sees_more_than_one_thing():
    own, other = (made(modality="audio", stem=stem) for stem in (None, "standard"))
    parts = [models.count_parts("ishtiaq", model)["audio convolution"] for model in (own, other)]
    assert parts[1] - parts[0] == 9 * 32 - (9 + 32)
    audio = torch.randn(1, 1, 32, 32)
    ranks = []
    for model in (own, other):
        linear = [m for m in model.encoders["audio"].cnn[0] if isinstance(m, torch.nn.Conv2d)]
        ranks.append(
            int(torch.linalg.matrix_rank(torch.nn.Sequential(*linear)(audio)[0].flatten(1)))
        )
    assert ranks == [1, 9]


def test_the_mean_of_hidden_states_leaves_padding_out():
    steps = torch.randn(2, 6, 16)
    temporal = ishtiaq.Temporal(16, 8, "gru", "mean")
    alone = temporal(steps[:1, :4])
    among = temporal(steps, torch.tensor([4, 6]))
    torch.testing.assert_close(among[:1], alone)
    torch.testing.assert_close(among[1:], temporal(steps[1:]))


def test_the_designs_of_the_paper_come_with_its_own_first():
    named = models.designs("ishtiaq")
    assert list(named) == ["ishtiaq", "ishtiaq heavy"]
    light = models.build("ishtiaq", **named["ishtiaq"])
    assert parameters(light) == parameters(made())
    assert sum(models.count_parts("ishtiaq", light).values()) == parameters(light)
