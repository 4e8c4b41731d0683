"""Our own networks: their size, what they hear, and how both modalities decide together."""

import pytest
import torch

from emolib import models
from emolib.models import own
from emolib.models.layers import ModelError


def _size(**options):
    return sum(values.numel() for values in models.build("own", **options).parameters())


def test_the_sizes_are_what_the_book_says():
    assert _size(modality="audio") == 45_321 <= 50_000
    assert _size(modality="audio", design="convolutional") == 40_937
    assert _size(modality="audio", design="reslstm") == 46_772  # as its authors print it


@pytest.mark.parametrize(("channels", "most"), [((20, 36, 72, 108), 5e5), (None, 1.2e6)])
def test_the_faces_stay_below_what_was_asked(channels, most):
    assert _size(n_classes=7, modality="video", channels=channels) <= most


def test_the_voice_begins_with_the_cosine_transform():
    from scipy.fft import dct

    values = torch.randn(64, 3)
    ours = own.cosines(40) @ values
    theirs = torch.from_numpy(dct(values.numpy(), axis=0, norm="ortho")[:40])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    assert torch.equal(own.Voice().gather.weight, own.cosines(40))


def test_changes_of_a_ramp_are_constant_and_then_nothing():
    ramp = torch.arange(9.0).expand(1, 1, 4, 9)
    plain, first, second = own.with_deltas(ramp)[0]
    assert torch.equal(plain, ramp[0, 0])
    assert (first[:, 1:-1] == 1).all()
    assert (second[:, 2:-2] == 0).all()


def test_statistics_without_attention_are_mean_and_deviation():
    steps = torch.randn(2, 7, 3)
    mean, spread = own.Statistics()(steps).split(3, dim=1)
    torch.testing.assert_close(mean, steps.mean(1))
    torch.testing.assert_close(spread, (steps.var(1, correction=0) + 1e-5).sqrt())
    attentive = own.AttentiveStatistics(3)
    torch.nn.init.zeros_(attentive.score[2].weight)
    torch.testing.assert_close(attentive(steps), torch.cat([mean, spread], 1))


def test_both_decide_by_the_product_and_one_alone_where_the_other_is_missing():
    torch.manual_seed(0)
    model = models.build("own").eval()
    inputs = models.example_inputs("own")
    with torch.no_grad():
        voice = model.voice(inputs["audio"]).log_softmax(1)
        face = model.face(inputs["video"]).log_softmax(1)
        torch.testing.assert_close(model(**inputs), (voice + face).log_softmax(1))
        torch.testing.assert_close(model(audio=inputs["audio"]), voice)
    with pytest.raises(ModelError, match="missing"):
        model()


def test_unknown_designs_and_options_are_refused():
    with pytest.raises(ModelError, match="convolutional"):
        models.build("own", design="transformer")
    with pytest.raises(ModelError, match="no option 'width'"):
        models.build("own", width=3)
