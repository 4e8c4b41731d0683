"""One contract for all five networks and for every option set that their files name."""

import importlib.util
import inspect
import io

import pytest
import torch

from emolib import models

CASES = [
    pytest.param(key, options, id=f"{key}-{'-'.join(f'{k}={v}' for k, v in options.items())}")
    for key in models.KEYS
    if importlib.util.find_spec(f"emolib.models.{key}")
    for options in models.variants(key)
]
contract = pytest.mark.parametrize(("key", "options"), CASES)


def made(key: str, options: dict, batch: int = 2) -> tuple[torch.nn.Module, dict]:
    torch.manual_seed(0)
    return models.build(key, **options), models.example_inputs(key, batch=batch, **options)


@contract
def test_logits_have_one_column_for_each_class_and_are_finite(key, options):
    model, inputs = made(key, {"n_classes": 5, **options})
    with torch.no_grad():
        logits = model.eval()(**inputs)
    assert logits.shape == (2, options.get("n_classes", 5))
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@contract
def test_every_parameter_receives_a_gradient(key, options):
    model, inputs = made(key, {**options, **({"dropout": 0.0} if "dropout" in options else {})})
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert trainable
    # The cosine gives every logit its own weight, so that no gradient cancels by symmetry.
    logits = model.train()(**inputs)
    (logits * torch.arange(logits.numel()).reshape(logits.shape).cos()).sum().backward()
    without = [name for name, p in trainable.items() if p.grad is None]
    assert not without
    assert all(p.grad.isfinite().all() for p in trainable.values())


@contract
def test_evaluation_is_deterministic_and_blind_to_the_rest_of_the_batch(key, options):
    model, inputs = made(key, options)
    model.eval()
    with torch.no_grad():
        together = model(**inputs)
        again = model(**inputs)
        alone = model(**{name: value[1:] for name, value in inputs.items()})
    assert torch.equal(together, again)
    torch.testing.assert_close(alone, together[1:], atol=1e-4, rtol=1e-4)


@contract
def test_each_modality_changes_the_logits(key, options):
    model, inputs = made(key, options)
    model.eval()
    with torch.no_grad():
        before = model(**inputs)
        for name, value in inputs.items():
            # The other clip of the batch is always a valid input, also for token ids.
            after = model(**{**inputs, name: value.flip(0)})
            assert not torch.allclose(before, after, atol=1e-9), f"{name} is not used"


@contract
def test_a_missing_modality_is_either_handled_or_refused_with_a_remedy(key, options):
    model, inputs = made(key, options)
    model.eval()
    for missing in inputs:
        rest = {name: value for name, value in inputs.items() if name != missing}
        with torch.no_grad():
            try:
                logits = model(**rest)
            except ValueError as error:
                assert missing in str(error) or len(rest) == 0
                continue
        assert rest, "a network cannot answer without any input"
        assert logits.isfinite().all()


@contract
def test_weights_survive_saving_and_loading(key, options):
    model, inputs = made(key, options)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    torch.manual_seed(1)
    other = models.build(key, **options)
    other.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        assert torch.equal(model.eval()(**inputs), other.eval()(**inputs))


@pytest.mark.parametrize("key", sorted({case.values[0] for case in CASES}))
def test_forward_takes_modalities_by_name(key):
    names = list(inspect.signature(models.build(key).forward).parameters)
    assert names[:3] == ["audio", "video", "text"]


def test_an_unknown_key_names_the_known_ones():
    with pytest.raises(ValueError, match="ding, lu, yang, mostafa, ishtiaq"):
        models.build("resnet")


def test_example_inputs_leave_aside_options_that_do_not_shape_them():
    inputs = models.example_inputs("ding", batch=3, dropout=0.9, n_mfcc=13)
    assert inputs["audio"].shape == (3, 13)
