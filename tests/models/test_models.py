"""One contract for all five networks and for every option set that their files name."""

import copy
import importlib.util
import inspect
import io

import pytest
import torch

from emolib import models, registry

CASES = [
    pytest.param((key, options), id=f"{key}-{'-'.join(f'{k}={v}' for k, v in options.items())}")
    for key in registry.PAPERS
    if importlib.util.find_spec(f"emolib.models.{key}")
    for options in models.variants(key)
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
        except ValueError as error:
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


def test_example_inputs_leave_aside_options_that_do_not_shape_them():
    inputs = models.example_inputs("ding", batch=3, dropout=0.9, n_mfcc=13)
    assert inputs["audio"].shape == (3, 13)
