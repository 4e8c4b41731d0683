"""Lu et al.: counts, attention against its equations, fusion, and what the streams cannot see."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from emolib import evaluation
from emolib.models import layers, lu


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def macs(model: torch.nn.Module, inputs: dict) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(**inputs)
    return counter.get_total_flops() // 2


def norms_and_activations(model: torch.nn.Module, inputs: dict) -> int:
    """2 for each value out of a batch normalisation, 1 for each out of a ReLU or PReLU."""
    total = 0

    def add(module, _, output):
        nonlocal total
        is_norm = isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)
        total += output.numel() * (2 if is_norm else 1)

    kinds = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.ReLU, torch.nn.PReLU)
    hooks = [m.register_forward_hook(add) for m in model.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        model.eval()(**inputs)
    for hook in hooks:
        hook.remove()
    return total


def clip(batch: int = 1, frames: int = 2, size: int = 32, **options) -> dict:
    torch.manual_seed(0)
    return lu.example_inputs(batch, frames=frames, size=size, **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 871_414),
        ({"modality": "video"}, 281_190),
        ({"modality": "video", "tam": "all"}, 281_790),
        ({"modality": "video", "cheap_kernel": "K"}, 291_622),
        ({"modality": "video", "tam": "none", "fan": "off"}, 272_152),
        ({"modality": "video", "attention": "se"}, 734_994),
        ({"modality": "audio"}, 590_224),
        ({"modality": "audio", "speech": "S1"}, 442_384),
        ({"modality": "audio", "speech": "S3"}, 725_776),
        ({"modality": "audio", "speech_head": "flatten"}, 606_608),
        ({"modality": "audio", "kernels": (5, 7), "width": 1.0}, 590_224),
        ({"cheap_kernel": "K", "tam_position": "before"}, 881_846),
    ],
)
def test_parameters_are_those_of_the_papers_own_tables(options, expected):
    assert parameters(lu.Lu(**options)) == expected


@pytest.mark.parametrize(
    ("options", "giga"),
    [
        ({}, 0.6398),
        ({"tam": "all"}, 0.6553),
        ({"cheap_kernel": "K"}, 0.6688),
        ({"tam": "none", "fan": "off"}, 0.5667),
    ],
)
def test_macs_of_a_clip_of_fifteen_frames(options, giga):
    model = lu.Lu(modality="video", **options)
    inputs = lu.example_inputs(1, modality="video")
    assert macs(model, inputs) / 1e9 == pytest.approx(giga, abs=5e-5)


def test_the_paper_prints_the_flops_of_another_reading_than_its_tables():
    inputs = lu.example_inputs(1)
    printed_tables = lu.Lu()
    total = macs(printed_tables, inputs) + norms_and_activations(printed_tables, inputs)
    assert total / 1e9 == pytest.approx(0.710, abs=1.5e-3)
    other = lu.Lu(cheap_kernel="K", tam_position="before")
    total = macs(other, inputs) + norms_and_activations(other, inputs)
    assert total / 1e9 == pytest.approx(0.77, abs=5e-3)


def test_speech_macs_are_those_of_table_ii():
    inputs = lu.example_inputs(1, modality="audio")
    assert macs(lu.Lu(modality="audio"), inputs) == 6_797_312


def test_every_row_of_table_i_has_its_printed_output():
    seen = []
    network = lu.ghostnet().eval()
    for layer in network:
        layer.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[1:])))
    with torch.no_grad():
        network(torch.rand(1, 3, 224, 224))
    sides = (112, 56, 28, 28, 14, 14, 14, 14, 14, 7, 7, 7, 7)
    channels = (16, 16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96, 576)
    assert seen[:13] == [(c, s, s) for c, s in zip(channels, sides, strict=True)]
    assert seen[-1] == (576,)


def test_every_row_of_table_ii_has_its_printed_output():
    seen = []
    network = lu.SpeechNetwork().eval()
    for block in list(network.features)[:8]:
        block.register_forward_hook(lambda _m, _i, out: seen.append((out.shape[2], out.shape[1])))
    with torch.no_grad():
        network(torch.rand(2, 40, 7))
    lengths, widths = (40, 20, 20, 10, 10, 5, 5, 3), (128,) * 6 + (64,) * 2
    assert seen == list(zip(lengths, widths, strict=True))


def test_kernels_and_width_change_the_blocks_of_table_ii_and_nothing_else():
    network = lu.SpeechNetwork(kernels=(3, 9), width=0.5)
    convolutions = [block[0] for block in list(network.features)[:8]]
    assert [c.kernel_size[0] for c in convolutions] == [3, 9] * 4
    assert [c.out_channels for c in convolutions] == [64] * 6 + [32] * 2
    with torch.no_grad():  # odd kernels keep the lengths of Table II
        assert network.eval().forward_features(torch.rand(2, 40, 1)).shape == (2, 32)


def test_the_ablations_facial_networks_differ_by_the_parameters_of_their_attention():
    count = {name: parameters(lu.Lu(modality="video", **o)) for name, o in lu.FACE.items()}
    assert count["F4"] == parameters(lu.Lu(modality="video"))
    assert count["F2"] - count["F1"] == count["F4"] - count["F3"] == 9 * 300
    queries_and_wider_head = (576 + 1) + (1152 + 1) + 576 * 8
    assert count["F3"] - count["F1"] == count["F4"] - count["F2"] == queries_and_wider_head


# --- triplet attention ---------------------------------------------------------------------------


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def triplet_by_hand(x: np.ndarray, psi: dict[str, np.ndarray]) -> np.ndarray:
    """Equation 4 in loops: x (C, H, W), psi[branch] (2, 7, 7) → (C, H, W)."""
    y = np.zeros_like(x)
    for branch, pooled_axis in (("HC", 2), ("WC", 1), ("HW", 0)):
        planes = np.stack([x.max(axis=pooled_axis), x.mean(axis=pooled_axis)])
        if branch != "HW":  # the module lays these planes out with C last
            planes = planes.transpose(0, 2, 1)
        rows, columns = planes.shape[1:]
        gate = np.zeros((rows, columns))
        for i in range(rows):
            for j in range(columns):
                for k in range(2):
                    for di in range(-3, 4):
                        for dj in range(-3, 4):
                            if 0 <= i + di < rows and 0 <= j + dj < columns:
                                weight = psi[branch][k, di + 3, dj + 3]
                                gate[i, j] += weight * planes[k, i + di, j + dj]
        gate = sigmoid(gate / math.sqrt(1 + 1e-5))  # batch normalisation, fresh statistics
        if branch == "HC":
            y += x * gate.T[:, :, None]  # (C, H, 1)
        elif branch == "WC":
            y += x * gate.T[:, None, :]  # (C, 1, W)
        else:
            y += x * gate[None]  # (1, H, W)
    return y / 3


@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 2, 2), (1, 8, 3)])
def test_triplet_attention_is_equation_4(shape):
    torch.manual_seed(1)
    module = lu.TripletAttention().double().eval()
    x = torch.randn(2, *shape, dtype=torch.float64)
    psi = {branch: module.psi[branch][0].weight.detach()[0].numpy() for branch in module.psi}
    expected = np.stack([triplet_by_hand(sample.numpy(), psi) for sample in x])
    with torch.no_grad():
        np.testing.assert_allclose(module(x).numpy(), expected, rtol=1e-10, atol=1e-12)
        with_residual = lu.TripletAttention(residual=True).double().eval()
        with_residual.load_state_dict(module.state_dict())
        np.testing.assert_allclose(with_residual(x).numpy(), x.numpy() + expected, rtol=1e-10)


def test_triplet_attention_costs_300_parameters_whatever_the_width():
    assert parameters(lu.TripletAttention()) == 300


def test_neutral_triplet_attention_halves_its_input():
    module = lu.TripletAttention().eval()
    for branch in module.psi.values():
        torch.nn.init.zeros_(branch[0].weight)
    x = torch.randn(1, 3, 4, 5)
    torch.testing.assert_close(module(x), x / 2)  # every gate is σ(0)


# --- frame attention -----------------------------------------------------------------------------


def test_frame_attention_is_its_two_equations():
    torch.manual_seed(2)
    module = lu.FrameAttention(3).double()
    frames = torch.randn(1, 4, 3, dtype=torch.float64)
    f = frames[0].numpy()
    q0, b0 = module.query.weight.detach().numpy()[0], module.query.bias.item()
    q1, b1 = module.relation.weight.detach().numpy()[0], module.relation.bias.item()
    alpha = [sigmoid(f_i @ q0 + b0) for f_i in f]
    context = sum(a * f_i for a, f_i in zip(alpha, f, strict=True)) / sum(alpha)
    pairs = [np.concatenate([f_i, context]) for f_i in f]
    beta = [sigmoid(pair @ q1 + b1) for pair in pairs]
    weight = [a * b for a, b in zip(alpha, beta, strict=True)]
    expected = sum(w * pair for w, pair in zip(weight, pairs, strict=True)) / sum(weight)
    with torch.no_grad():
        np.testing.assert_allclose(module(frames)[0].numpy(), expected, rtol=1e-12)
        weights = module.weights(frames)
        alone = lu.FrameAttention(3, relation=False).double()
        alone.load_state_dict(module.state_dict(), strict=False)
        np.testing.assert_allclose(alone(frames)[0].numpy(), context, rtol=1e-12)
    np.testing.assert_allclose(weights["alpha"][0].numpy(), alpha, rtol=1e-12)
    np.testing.assert_allclose(weights["beta"][0].numpy(), beta, rtol=1e-12)
    np.testing.assert_allclose(
        weights["frame"][0].numpy(), np.array(weight) / sum(weight), rtol=1e-12
    )


def test_frame_attention_survives_sigmoids_that_vanish():
    module = lu.FrameAttention(2)
    torch.nn.init.constant_(module.query.bias, -1e6)
    with torch.no_grad():
        assert module(torch.randn(1, 3, 2)).isfinite().all()


def test_frames_have_no_order_for_the_frame_attention_network():
    model = lu.Lu(modality="video").eval()
    video = clip(frames=4, modality="video")["video"]
    with torch.no_grad():
        torch.testing.assert_close(
            model(video=video), model(video=video[:, [2, 0, 3, 1]]), atol=1e-5, rtol=1e-5
        )


def test_attention_can_be_looked_at_and_leaves_no_hook_behind():
    model = lu.Lu(modality="video").eval()
    video = clip(batch=2, frames=3, size=64, modality="video")["video"]
    with torch.no_grad():
        seen = model.visual.attention(video)
    assert len(seen["triplet"]) == 9  # the marked rows of Table I
    assert seen["triplet"][0]["HW"].shape == (2, 3, 16, 16)
    assert seen["triplet"][0]["HC"].shape == (2, 3, 16, 16)
    assert seen["triplet"][4]["WC"].shape == (2, 3, 4, 120)
    assert all(g.min() >= 0 and g.max() <= 1 for gates in seen["triplet"] for g in gates.values())
    torch.testing.assert_close(seen["frame"].sum(dim=1), torch.ones(2))
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_time_has_no_order_for_the_speech_network_unless_it_convolves_time():
    audio = clip(modality="audio")["audio"]
    backwards = audio.flip(2)
    with torch.no_grad():
        averaged = lu.Lu(modality="audio").eval()
        torch.testing.assert_close(averaged(audio=audio), averaged(audio=backwards))
        temporal = lu.Lu(modality="audio", convolve="time").eval()
        assert not torch.allclose(temporal(audio=audio), temporal(audio=backwards))


# --- fusion --------------------------------------------------------------------------------------

distributions = st.lists(st.floats(1e-6, 1), min_size=6, max_size=6).map(
    lambda v: torch.tensor([v], dtype=torch.float64) / sum(v)
)


def test_means_worked_by_hand():
    p, q = torch.tensor([[0.64, 0.32, 0.04]]), torch.tensor([[0.25, 0.50, 0.25]])
    arithmetic = layers.fuse(p.log(), q.log(), "arithmetic").exp()
    torch.testing.assert_close(arithmetic, torch.tensor([[0.445, 0.41, 0.145]]))
    roots = torch.tensor([[0.4, 0.4, 0.1]])  # √(0.64·0.25), √(0.32·0.5), √(0.04·0.25)
    geometric = layers.fuse(p.log(), q.log(), "geometric").exp()
    torch.testing.assert_close(geometric, roots / 0.9)


@settings(max_examples=40, deadline=None)
@given(distributions, distributions, st.sampled_from(sorted(layers.FUSIONS)))
def test_every_fusion_is_symmetric_and_a_distribution(p, q, rule):
    fused = layers.fuse(p.log(), q.log(), rule)
    torch.testing.assert_close(fused, layers.fuse(q.log(), p.log(), rule))
    torch.testing.assert_close(fused.exp().sum(), torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("rule", evaluation.FUSIONS)
def test_networks_fuse_as_the_evaluation_does(rule):
    p, q = torch.rand(2, 5, 6, dtype=torch.float64).softmax(-1)
    fused = evaluation.fuse([p.numpy(), q.numpy()], rule)
    np.testing.assert_allclose(layers.fuse(p.log(), q.log(), rule).exp(), fused)


@settings(max_examples=40, deadline=None)
@given(distributions)
def test_two_streams_that_agree_fuse_to_what_they_agree_on(p):
    for rule in ("geometric", "arithmetic"):
        torch.testing.assert_close(layers.fuse(p.log(), p.log(), rule).exp(), p)


@settings(max_examples=40, deadline=None)
@given(distributions, distributions)
def test_product_and_geometric_mean_rank_the_classes_alike(p, q):
    product = layers.fuse(p.log(), q.log(), "product")
    geometric = layers.fuse(p.log(), q.log(), "geometric")
    torch.testing.assert_close(
        product - product.max(), 2 * (geometric - geometric.max()), atol=1e-9, rtol=1e-9
    )


def test_one_stream_can_veto_under_the_geometric_mean_only():
    face, voice = torch.tensor([[0.98, 0.01, 0.01]]), torch.tensor([[1e-30, 0.5, 0.5]])
    assert layers.fuse(face.log(), voice.log(), "geometric").argmax() != 0
    assert layers.fuse(face.log(), voice.log(), "arithmetic").argmax() == 0


@pytest.mark.parametrize("fusion", ["geometric", "arithmetic"])
def test_the_bimodal_network_fuses_the_softmax_of_its_streams(fusion):
    model = lu.Lu(6, fusion=fusion).eval()
    inputs = clip()
    with torch.no_grad():
        streams = model.streams(**inputs)
        face, voice = (streams[name].softmax(-1).numpy() for name in ("video", "audio"))
        fused = model(**inputs).softmax(-1).numpy()
    mean = np.sqrt(face * voice) if fusion == "geometric" else (face + voice) / 2
    np.testing.assert_allclose(fused, mean / mean.sum(), rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(model(audio=inputs["audio"]), streams["audio"])
        torch.testing.assert_close(model(video=inputs["video"]), streams["video"])


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"modality": "text"}, "modality='text'.*'both'"),
        ({"fusion": "product"}, "fusion='product'.*'geometric'"),
        ({"tam": "some"}, "tam='some'.*'marked'"),
        ({"tam_position": "inside"}, "tam_position"),
        ({"attention": "cbam"}, "attention"),
        ({"fan": "both"}, "fan="),
        ({"speech": "S4"}, "speech='S4'.*'S2'"),
        ({"speech_head": "flatten", "convolve": "time"}, "use speech_head='gap'"),
    ],
)
def test_an_unknown_option_names_the_choices(options, named):
    with pytest.raises(ValueError, match=named):
        lu.Lu(**options)


def test_a_missing_or_misshapen_modality_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match="at least one"):
        lu.Lu()()
    with pytest.raises(ValueError, match=r"audio= missing.*modality='audio'"):
        lu.Lu(modality="audio")(video=torch.rand(1, 2, 3, 32, 32))
    with pytest.raises(ValueError, match=r"expected \(B, any, 3, any, any\)"):
        lu.Lu()(video=torch.rand(1, 3, 32, 32))
    with pytest.raises(ValueError, match=r"expected \(B, 40, any\)"):
        lu.Lu()(audio=torch.rand(1, 13, 100))
