"""One contract for all five networks and for every option set that their files name."""

import copy
import importlib.util
import inspect
import io
import subprocess
import sys
import textwrap

import pytest
import torch

from emolib import models, paths, registry
from emolib.models import lu
from emolib.models.layers import ModelError

# Each paper's own network first, then one step along each of its ablations and readings.
VARIANTS: dict[str, list[dict]] = {
    "ding": [
        {},
        {"modality": "audio"},
        {"modality": "video"},
        {"n_classes": 7, "hidden": 14, "dropout": 0.5},  # SAVEE
        {"padding": "same"},
        {"audio_kernel": 2, "video_kernel": 2, "dropout": 0.0},
        {"audio_kernel": 12, "video_kernel": 12, "padding": "same", "dropout": 0.9},
        {"n_mfcc": 20, "hidden_activation": False},
    ],
    "lu": [
        {},
        {"modality": "audio"},
        {"fusion": "arithmetic"},
        {"modality": "audio", "speech": "S1"},
        {"modality": "audio", "speech": "S3"},
        {"modality": "audio", "speech_head": "flatten"},
        {"modality": "audio", "kernels": (3, 9), "width": 0.5},
        {"modality": "audio", "convolve": "time", "n_mfcc": 20},
        *({"modality": "video", **options} for options in lu.FACE.values()),
        {"modality": "video", "fan": "self"},
        {"modality": "video", "tam": "all", "tam_position": "before", "cheap_kernel": "K"},
        {"modality": "video", "tam_residual": True},
        {"modality": "video", "attention": "se"},
    ],
    "yang": [
        {"spatial": "features"},
        {"modality": "audio"},
        {"modality": "audio", "residual": False, "n_mfcc": 40},
        {"modality": "video", "spatial": "features"},
        {"spatial": "features", "residual": False},
        {"spatial": "features", "fusion": "concatenation"},
        {"spatial": "features", "fusion": "intermediate"},
        {"spatial": "features", "fusion": "intermediate", "residual": False},
        {"spatial": "features", "modality_dropout": 0.5},
        {"spatial": "mobilenetv2", "modality": "video"},
        {"spatial": "shufflenetv2", "fusion": "intermediate", "residual": False},
    ],
    "mostafa": [
        {},
        {"modality": "video", "n_classes": 7},
        {"modality": "audio"},
        {"fusion": "product"},
        {"fusion": "geometric"},
        {"modality": "video", "channels": (16, 32), "convs_per_block": 3, "pooling": "max"},
        {"modality": "video", "design": "residual"},
        {"modality": "video", "design": "residual", "block": "inverted"},
        {"modality": "video", "design": "residual", "squeeze": True, "activation": "swish"},
        {"modality": "video", "design": "residual", "shortcut": False, "separable_stem": True},
        {"modality": "video", "design": "vgg13"},
        {"modality": "video", "design": "resnet50"},
    ],
    "ishtiaq": [
        {},
        {"modality": "audio"},
        {"modality": "video"},
        {"modality": "text"},
        {"modality": "both"},
        {"design": "heavy"},
        {"modality": "both", "activation": "swish", "modality_dropout": 0.3},
        {"modality": "both", "activation": "relu", "recurrent": "lstm"},
        {"modality": "video", "convolution": "standard", "colours": 3},
        {"modality": "both", "depth": 1, "queries": 3},
        {"modality": "both", "downsample": "pool"},
        {"modality": "both", "stem": "standard", "pooling": "mean"},
    ],
}
CASES = [
    pytest.param((key, options), id=f"{key}-{'-'.join(f'{k}={v}' for k, v in options.items())}")
    for key in registry.PAPERS
    if importlib.util.find_spec(f"emolib.models.{key}")
    for options in VARIANTS.get(key, [{}])
]
# Frames and pixels below the papers' own where the network takes any: the contract is the same.
TINY = {"lu": {"frames": 3, "size": 64}, "yang": {"frames": 3, "size": 64}}
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


class Case:
    """A network with fresh weights, two samples for it, and its logits in evaluation mode."""

    def __init__(self, key: str, options: dict):
        self.key, self.options = key, {"n_classes": 5, **options}
        self.inputs = models.example_inputs(key, **options, **TINY.get(key, {}))
        self.model = self.fresh(seed=0).eval()
        self.logits = self.answer(self.inputs)

    def fresh(self, seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        return models.build(self.key, **self.options)

    def answer(self, inputs: dict) -> torch.Tensor:
        with torch.no_grad():
            return self.model(**inputs)


@pytest.fixture(scope="module", params=CASES)
def case(request) -> Case:
    torch.manual_seed(0)
    return Case(*request.param)


def test_logits_have_one_column_for_each_class_and_are_finite(case):
    assert case.logits.shape == (2, case.options["n_classes"])
    assert case.logits.dtype == torch.float32
    assert case.logits.isfinite().all()


def test_evaluation_is_deterministic_and_blind_to_the_rest_of_the_batch(case):
    assert torch.equal(case.answer(case.inputs), case.logits)
    alone = case.answer({name: value[1:] for name, value in case.inputs.items()})
    torch.testing.assert_close(alone, case.logits[1:], atol=1e-4, rtol=1e-4)


def test_each_modality_changes_the_logits(case):
    for name, value in case.inputs.items():
        # The other sample of the batch is always a valid input, also for token ids.
        after = case.answer({**case.inputs, name: value.flip(0)})
        assert not torch.equal(case.logits, after), f"{name} is not used"


def test_a_missing_modality_is_either_handled_or_refused_with_a_remedy(case):
    for missing in case.inputs:
        rest = {name: value for name, value in case.inputs.items() if name != missing}
        try:
            logits = case.answer(rest)
        except ModelError as error:
            assert missing in str(error) or not rest
            continue
        assert rest, "a network cannot answer without any input"
        assert logits.isfinite().all()


def test_every_parameter_receives_a_gradient(case):
    case = copy.copy(case)
    if "dropout" in case.options:  # at rate 0.9 whole layers may fall silent by chance
        case.options = {**case.options, "dropout": 0.0}
    model = case.fresh(seed=0)
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert trainable
    # The cosine gives every logit its own weight, so that no gradient cancels by symmetry.
    logits = model.train()(**case.inputs)
    (logits * torch.arange(logits.numel()).reshape(logits.shape).cos()).sum().backward()
    without = [name for name, p in trainable.items() if p.grad is None]
    assert not without
    assert all(p.grad.isfinite().all() for p in trainable.values())


def test_weights_survive_saving_and_loading(case):
    file = io.BytesIO()
    torch.save(case.model.state_dict(), file)
    file.seek(0)
    other = case.fresh(seed=1)
    other.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        assert torch.equal(other.eval()(**case.inputs), case.logits)


@pytest.mark.parametrize("key", sorted({case.values[0][0] for case in CASES}))
def test_forward_takes_modalities_by_name(key):
    names = list(inspect.signature(models.build(key).forward).parameters)
    assert names[:3] == ["audio", "video", "text"]


def test_an_unknown_key_names_the_known_ones():
    with pytest.raises(ValueError, match="ding, lu, yang, mostafa, ishtiaq"):
        models.build("resnet")


@pytest.mark.parametrize(
    ("key", "options", "problem"),
    [
        ("ding", {"nope": 1}, "no option 'nope': there are .*dropout.*padding"),
        ("lu", {"modality": "audio", "nope": 1}, "no option 'nope': there are .*tam.*fan.*speech"),
        ("ding", {"dropout": "["}, r"dropout='\[' of ding: input should be a valid number"),
        ("ding", {"dropout": float("nan")}, "dropout=nan of ding: input should be a finite number"),
        ("yang", {"modality_dropout": 1.5}, "modality_dropout=1.5 of yang: .* from 0 to 1$"),
        ("ding", {"hidden": 10**9}, "hidden=1000000000 of ding: give a number from .* to 100000"),
        ("ding", {"hidden": True}, "hidden=True of ding: input should be a valid integer"),
        ("ding", {"n_classes": -1}, "n_classes=-1 of ding: give a number from 2 to 1000"),
        ("ding", {"n_classes": 10**8}, "n_classes=100000000 of ding: give a number from 2 to 1000"),
        ("lu", {"kernels": (5,)}, r"lu cannot be built with \{'kernels': \(5,\)\}"),
        ("mostafa", {"block": "basic"}, "mostafa cannot be built with .*custom_cnn"),
    ],
)
def test_an_option_that_no_network_has_is_refused_in_one_line(key, options, problem):
    with pytest.raises(ModelError, match=problem) as refusal:
        models.build(key, **options)
    assert len(str(refusal.value).splitlines()) == 1


def test_options_that_go_on_to_a_part_of_the_network_are_known():
    assert models.build("lu", modality="video", tam="none", fan="off").visual.temporal is None
    assert models.build("mostafa", modality="video", design="residual", squeeze=True)


def test_listing_the_models_imports_no_torch():
    script = """
        import sys
        import emolib
        assert "build" in dir(emolib.models) and "models" in dir(emolib)
        assert not {"torch", "numpy"} & set(sys.modules), "imported before it was used"
        emolib.models.build("yang", spatial="features")
        print(*sorted({"torchvision", "lightning", "matplotlib"} & set(sys.modules)))
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True, text=True, check=True, cwd=paths.PROJECT,
    )  # fmt: skip
    assert not ran.stdout.strip(), "a network that takes features needs bare torch"


def test_example_inputs_leave_aside_options_that_do_not_shape_them():
    inputs = models.example_inputs("ding", batch=3, dropout=0.9, n_mfcc=13)
    assert inputs["audio"].shape == (3, 13)
