"""Costs agree with the papers' equations, with hand counts and with two independent counters."""

import json
import time

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from emolib import devices, models


@pytest.fixture(scope="module")
def ding() -> devices.Cost:
    return devices.cost(models.build("ding"), models.example_inputs("ding", batch=3))


class Calls(nn.Module):
    """A network of one call, so that a test can count it by hand."""

    def __init__(self, call, *layers: nn.Module):
        super().__init__()
        self.call, self.layers = call, nn.ModuleList(layers)

    def forward(self, audio=None, video=None, text=None):
        return self.call(audio, *self.layers)


def counted(call, shape: tuple[int, ...], *layers: nn.Module) -> devices.Cost:
    return devices.cost(Calls(call, *layers), {"audio": torch.randn(2, *shape)})


def test_ding_costs_what_its_table_v_prints(ding):
    assert ding.parameters == 66_584
    assert ding.macs == 7_162_368
    assert ding.flops == ding.flops_paper == 14_423_416  # 0.014 G
    assert ding.weight_bytes == 266_336
    assert ding.activation_bytes / 1e6 == pytest.approx(0.934, abs=5e-4)  # "Mem. 0.93 MB"


def test_equation_3_on_input_maps_would_not_give_the_printed_flops(ding):
    convolutions = ding.layers[ding.layers["type"].isin(["Conv1d", "Conv2d"])]
    # (input side)², C_in, C_out and kernel volume of each convolution of Fig. 3.
    inputs = [
        (64**2, 1, 16, 9),
        (31**2, 16, 32, 9),
        (14**2, 32, 64, 9),
        (40, 1, 16, 5),
        (18, 16, 32, 5),
    ]
    total = sum(2 * y * i * o * k + y * o for y, i, o, k in inputs) + 2 * (40_448 + 128) + 24
    assert len(convolutions) == len(inputs)
    assert total == pytest.approx(17.55e6, rel=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_macs_agree_with_fvcore_and_with_torch(ding):
    from fvcore.nn import FlopCountAnalysis
    from torch.utils.flop_counter import FlopCounterMode

    model, inputs = models.build("ding").eval(), models.example_inputs("ding", batch=1)
    analysis = FlopCountAnalysis(model, (inputs["audio"], inputs["video"]))
    assert analysis.unsupported_ops_warnings(False).total() == ding.macs
    with FlopCounterMode(display=False) as counter:
        model(**inputs)
    assert counter.get_total_flops() == 2 * ding.macs


def test_counts_agree_with_torchinfo(ding):
    import torchinfo

    model, inputs = models.build("ding"), models.example_inputs("ding", batch=1)
    summary = torchinfo.summary(model, input_data=inputs, verbose=0)
    assert summary.total_params == ding.parameters
    # torchinfo adds the biases to its products.
    assert summary.total_mult_adds == ding.macs + ding.layers["bias_additions"].sum()


def test_the_layer_table_sums_to_the_totals(ding):
    assert ding.layers["macs"].sum() == ding.macs
    assert ding.layers["parameters"].sum() == ding.parameters
    assert ding.layers["outputs"].sum() * 4 == ding.activation_bytes
    spatial = ding.layers.set_index("layer").loc["spatial.3"]
    assert spatial["output_shape"] == (32, 29, 29)
    assert spatial["macs"] == 29 * 29 * 32 * 16 * 9


@settings(max_examples=15, deadline=None)
@given(
    groups=st.sampled_from([1, 2, 4]),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    bias=st.booleans(),
)
def test_a_convolution_costs_its_output_times_its_kernel(groups, kernel, stride, bias):
    layer = nn.Conv2d(4, 8, kernel, stride, groups=groups, bias=bias)
    side = (12 - kernel) // stride + 1
    cost = counted(lambda x, conv: conv(x), (4, 12, 12), layer)
    assert cost.macs == 8 * side**2 * (4 // groups) * kernel**2
    assert cost.flops == 2 * cost.macs + bias * 8 * side**2
    assert cost.flops_paper == 2 * cost.macs + 8 * side**2


def test_a_layer_and_the_function_of_the_same_name_cost_the_same():
    conv, dense, weight = nn.Conv1d(3, 5, 3), nn.Linear(10, 4), torch.randn(4, 10)
    layer = counted(lambda x, c: F.relu(c(x)), (3, 10), conv)
    function = counted(lambda x, c: F.relu(F.conv1d(x, c.weight, c.bias)), (3, 10), conv)
    modules = counted(lambda x, c, r: r(c(x)), (3, 10), conv, nn.ReLU())
    for one in (function, modules):
        assert (one.macs, one.flops, one.macs_bn_act) == (
            layer.macs,
            layer.flops,
            layer.macs_bn_act,
        )
        assert one.activation_bytes == layer.activation_bytes
    assert counted(lambda x: F.linear(x, weight), (10,)).macs == 40
    assert counted(lambda x, d: F.linear(x, d.weight, d.bias), (10,), dense).flops == 84


@pytest.mark.parametrize(("kind", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_recurrent_layer_costs_both_matrices_of_each_gate_at_each_step(
    kind, gates, bidirectional
):
    layer = getattr(nn, kind)(6, 5, num_layers=2, batch_first=True, bidirectional=bidirectional)
    cost = counted(lambda x, rnn: rnn(x)[0], (7, 6), layer)
    directions = 1 + bidirectional
    first, second = gates * 5 * (6 + 5), gates * 5 * (5 * directions + 5)
    assert cost.macs == 7 * directions * (first + second)
    assert cost.flops - 2 * cost.macs == 7 * 2 * directions * 2 * gates * 5
    single = nn.utils.parameters_to_vector(layer.parameters()).numel()
    assert cost.parameters == single


@pytest.mark.parametrize("need_weights", [True, False])
def test_attention_costs_four_projections_and_two_products(need_weights):
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    cost = counted(lambda x, mha: mha(x, x, x, need_weights=need_weights)[0], (5, 8), layer)
    assert cost.macs == 4 * 5 * 8 * 8 + 2 * 5 * 5 * 8
    assert cost.parameters == 4 * 8 * 8 + 4 * 8


def test_attention_written_out_costs_its_two_products():
    call = lambda x: torch.softmax(x @ x.transpose(1, 2), dim=-1) @ x  # noqa: E731
    cost = counted(call, (5, 8))
    assert cost.macs == 2 * 5 * 5 * 8
    assert cost.macs_bn_act == cost.macs + 25  # the softmax
    assert cost.activation_bytes == 4 * (40 + 25 + 25 + 40)


def test_a_transformer_layer_is_counted_through_its_fast_path():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    cost = counted(lambda x, encoder: encoder(x), (5, 8), layer)
    assert cost.macs == 4 * 5 * 8 * 8 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16


def test_normalisation_costs_two_and_an_activation_one_for_each_value():
    cost = counted(lambda x, bn, act: act(bn(x)), (3, 4), nn.BatchNorm1d(3), nn.PReLU())
    assert cost.macs == 0
    assert cost.macs_bn_act == 2 * 12 + 12


def test_a_shortcut_costs_nothing_and_the_addition_leaves_one_map():
    call = lambda x, block, shortcut: block(x) + shortcut(x)  # noqa: E731
    block, shortcut = nn.Conv1d(3, 3, 1), nn.Sequential()
    cost = counted(call, (3, 4), block, shortcut)
    assert cost.activation_bytes == 4 * (12 + 12 + 12)  # input, block, sum


def test_lu_costs_what_its_section_iii_adds_up_to():
    for options, parameters, convention, value in (
        ({"modality": "audio"}, 590_224, "macs", 6.80e6),
        ({"modality": "video"}, 281_190, "macs", 0.6398e9),
        ({}, 871_414, "macs_bn_act", 0.710e9),
    ):
        inputs = models.example_inputs("lu", batch=1, **options)
        cost = devices.cost(models.build("lu", **options), inputs)
        assert cost.parameters == parameters
        assert getattr(cost, convention) == pytest.approx(value, rel=1e-3)


def test_a_layer_used_twice_costs_twice_but_is_stored_once():
    once = counted(lambda x, d: d(x), (4,), nn.Linear(4, 4))
    twice = counted(lambda x, d: d(d(x)), (4,), nn.Linear(4, 4))
    assert twice.macs == 2 * once.macs
    assert twice.layers["parameters"].sum() == twice.parameters == once.parameters


def test_counting_is_for_one_sample_and_leaves_the_model_as_it_was():
    model = models.build("ding").train()
    weights = {name: p.clone() for name, p in model.state_dict().items()}
    one = devices.cost(model, models.example_inputs("ding", batch=1))
    many = devices.cost(model, models.example_inputs("ding", batch=7))
    assert one.to_dict() == many.to_dict()
    assert model.training and model.fusion[2].training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(weights[name], p) for name, p in model.state_dict().items())


def test_a_failing_forward_leaves_no_hooks_behind():
    model = models.build("ding")
    with pytest.raises(ValueError, match="video"):
        devices.cost(model, {"audio": torch.zeros(1, 40)})
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_costs_are_json(ding):
    again = json.loads(json.dumps(ding.to_dict()))
    assert again["macs"] == 7_162_368
    assert again["arithmetic_intensity"] == pytest.approx(14_423_416 / (266_336 + 934_208))


def test_boards_say_where_their_numbers_come_from():
    boards = devices.boards().set_index("board")
    printed = boards[boards["provenance"] == "printed"]
    assert printed.loc["Raspberry Pi 4B", ["bandwidth_gb_s", "peak_gflops"]].tolist() == [
        12.8,
        30.0,
    ]
    assert printed.loc["Raspberry Pi 5", ["bandwidth_gb_s", "peak_gflops"]].tolist() == [
        17.1,
        120.0,
    ]
    assert printed.loc["Zenbo Junior II", ["bandwidth_gb_s", "peak_gflops"]].tolist() == [
        25.6,
        25.76,
    ]
    # Lu et al. print these as "arithmetic intensity": they are the boards' balance.
    np.testing.assert_allclose(printed["balance"], [2.34, 7.01, 1.01], atol=0.01)
    assert set(boards["provenance"]) <= {"printed", "derived"}
    assert boards["source"].str.len().min() > 20


@settings(max_examples=30, deadline=None)
@given(intensity=st.floats(0.01, 1000), peak=st.floats(1, 1e4), bandwidth=st.floats(1, 1e3))
def test_no_board_exceeds_either_roof(intensity, peak, bandwidth):
    cost = devices.Cost(
        layers=pd.DataFrame(),
        parameters=0,
        macs=0,
        flops=int(intensity * 1e9),
        flops_paper=1,
        macs_bn_act=1,
        weight_bytes=0,
        activation_bytes=10**9,
    )
    board = pd.DataFrame({"board": ["b"], "bandwidth_gb_s": [bandwidth], "peak_gflops": [peak]})
    board["balance"] = peak / bandwidth
    row = devices.feasibility(cost, board).iloc[0]
    assert row["attainable_gflops"] <= peak * (1 + 1e-9)
    # The bound is the slower of computing and moving.
    moving, computing = 1.0 / bandwidth, cost.flops / 1e9 / peak
    assert row["bound_ms"] / 1000 == pytest.approx(max(moving, computing), rel=1e-6)
    assert row["limit"] == ("memory" if moving > computing else "compute")


def test_ding_meets_the_size_limit_in_fp32_already(ding):
    table = devices.feasibility({"ding": ding}, rate_hz=30)
    assert table["fits_size"].all()
    assert table["keeps_up"].all()
    slow = devices.feasibility({"ding": ding}, rate_hz=1e6)
    assert not slow["keeps_up"].any()
    # Work against speed, as Lu et al. compare them, is blind to the rate.
    assert slow["work_below_peak"].all()
    eight_bits = devices.feasibility({"ding": ding}, weight_bits=8)
    np.testing.assert_allclose(eight_bits["weights_mb"], table["weights_mb"] / 4)


def test_a_pass_that_waits_takes_the_clock_s_time_and_not_the_processor_s():
    measured = devices.timed(lambda: time.sleep(0.05), runs=3, warmup=0, threads=1, device="cpu")
    assert measured.fastest_ms >= 50
    assert measured.processor_ms < 25


def test_latency_is_measured_with_the_threads_asked_for():
    model, before = models.build("ding").train(), torch.get_num_threads()
    measured = devices.latency(model, models.example_inputs("ding", batch=1), runs=5, threads=1)
    assert 0 < measured.fastest_ms <= measured.median_ms <= measured.slowest_ms
    assert (measured.runs, measured.threads, measured.device) == (5, 1, "cpu")
    assert torch.get_num_threads() == before
    assert model.training


def test_peak_bytes_are_those_held_at_once():
    kilobyte = 250  # values
    one_at_a_time = devices.peak_bytes(lambda: [torch.zeros(kilobyte).sum() for _ in range(5)])
    all_kept = devices.peak_bytes(lambda: [torch.zeros(kilobyte) for _ in range(5)])
    assert 1000 <= one_at_a_time < 1500
    assert all_kept == 5000


def test_a_training_step_holds_weights_gradients_and_moments():
    inputs, labels = {"audio": torch.randn(2, 300)}, torch.tensor([0, 1])

    def build():
        return Calls(lambda x, layer: layer(x), nn.Linear(300, 100, bias=False))

    step, training, inference = devices.training_step(build, inputs, labels, runs=2)
    weights = 4 * 300 * 100
    # Adam's step needs two temporaries more, and a few bytes for its counters.
    assert 4 * weights <= training <= 6 * weights + 64
    assert weights <= inference < 2.2 * weights
    assert 0 <= step.fastest_ms <= step.median_ms <= step.slowest_ms
    assert step.runs == 2
