"""The exported file answers as the network does, at any batch size, and small enough."""

import pytest
import torch
from torch import nn

from emolib import export, models


@pytest.fixture(scope="module")
def ding() -> tuple[nn.Module, dict]:
    torch.manual_seed(0)
    return models.build("ding"), models.example_inputs("ding", batch=48)


@pytest.fixture(scope="module")
def file(ding, tmp_path_factory):
    return export.export(*ding, tmp_path_factory.mktemp("onnx") / "ding.onnx")


class Recurrent(nn.Module):
    """A network with what other papers use: normalisation, recurrence, attention."""

    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm1d(6)
        self.gru = nn.GRU(6, 8, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, audio=None, video=None, text=None):
        states, _ = self.gru(self.bn(audio).transpose(1, 2))  # (B, T, 8)
        mixed, _ = self.attention(states, states, states, need_weights=False)
        return self.out(mixed.mean(dim=1))


def test_the_file_answers_as_the_network_at_any_batch_size(ding, file):
    model, inputs = ding
    for size in (1, 5, 48):
        some = {name: value[:size] for name, value in inputs.items()}
        parity = export.parity(model, file, some)
        assert parity.samples == size
        assert parity.max_abs_diff < 1e-5
        assert parity.same_answers == 1


def test_fp32_already_meets_the_limit_of_300_kilobytes(file):
    weights = 66_584 * 4 / 1e6
    assert weights < export.size_mb(file) < 0.3


def test_the_file_names_no_local_path_and_its_inputs_by_modality(file):
    import onnx

    content = file.read_bytes()
    assert b"/emolib/" not in content and b"File " not in content
    graph = onnx.load(file).graph
    assert [node.name for node in graph.input] == ["audio", "video"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    onnx.checker.check_model(str(file), full_check=True)


@pytest.mark.parametrize(("static", "limit"), [(True, 0.10), (False, 0.16)])
def test_eight_bits_make_the_file_smaller_and_keep_the_answers(ding, file, tmp_path, static, limit):
    model, inputs = ding
    small = export.quantize(file, inputs if static else None, to=tmp_path / "small.onnx")
    assert export.size_mb(small) < limit < export.size_mb(file)
    parity = export.parity(model, small, inputs)
    # Logits of the untrained network spread over about 0.1.
    assert 0 < parity.max_abs_diff < 0.02
    assert parity.same_answers > 0.9


def test_quantised_files_lie_beside_the_original_by_default(file):
    assert export.quantize(file) == file.with_name("ding-int8.onnx")


def test_recurrent_and_attending_networks_are_exported_too(tmp_path):
    torch.manual_seed(0)
    model, inputs = Recurrent(), {"audio": torch.randn(1, 6, 7)}
    file = export.export(model, inputs, tmp_path / "recurrent.onnx")
    more = {"audio": torch.randn(4, 6, 7)}
    assert export.parity(model, file, more).max_abs_diff < 1e-5
    assert export.parity(model, export.quantize(file), more).max_abs_diff < 0.1


def test_exporting_leaves_the_model_in_training_mode(ding, file):
    model, _ = ding
    assert model.training and model.fusion[2].training


def test_latency_is_measured_on_the_file(ding, file):
    _, inputs = ding
    one = {name: value[:1] for name, value in inputs.items()}
    measured = export.latency(file, one, runs=5)
    assert 0 < measured.fastest_ms <= measured.median_ms <= measured.slowest_ms
    assert (measured.runs, measured.device) == (5, "onnxruntime cpu")


def test_a_failed_export_keeps_the_old_file_and_says_why(tmp_path):
    class Branching(nn.Module):
        def forward(self, audio=None, video=None, text=None):
            return audio if float(audio.sum()) > 0 else -audio

    file = tmp_path / "old.onnx"
    file.write_bytes(b"old")
    with pytest.raises(export.ExportError, match="Branching cannot be written as ONNX"):
        export.export(Branching(), {"audio": torch.randn(2, 3)}, file)
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["old.onnx"]


def test_a_network_that_fixes_its_batch_size_is_refused(tmp_path):
    class Counting(nn.Module):
        def forward(self, audio=None, video=None, text=None):
            return audio + torch.zeros(3).expand(len(audio), 3)

    with pytest.raises(export.ExportError, match=r"fixes the batch size of audio.*shape\[0\]"):
        export.export(Counting(), {"audio": torch.randn(2, 3)}, tmp_path / "counting.onnx")


def test_missing_files_and_inputs_are_named(ding, file, tmp_path):
    _, inputs = ding
    with pytest.raises(export.ExportError, match=r"gone\.onnx does not exist"):
        export.run(tmp_path / "gone.onnx", inputs)
    with pytest.raises(export.ExportError, match="video is not given"):
        export.run(file, {"audio": inputs["audio"]})
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(export.ExportError, match="not an ONNX file"):
        export.run(broken, inputs)
    with pytest.raises(export.ExportError, match="cannot be quantised"):
        export.quantize(broken, inputs)
