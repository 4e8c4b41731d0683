"""Numbers that the questions of a quiz are about, computed and never typed."""

import numpy as np
from scipy import stats

from emolib import evaluation
from emolib.book import tables


def _parameters(key: str, **options) -> int:
    from emolib import models

    return sum(p.numel() for p in models.build(key, **options).parameters())


def _accuracy(key: str, experiment: str, metric: str = "accuracy") -> float:
    """Return an accuracy of a committed result in percent."""
    result = tables.committed(key, experiment)
    if result is None:
        raise LookupError(f"no committed result {key}/{experiment}: a quiz asks for it")
    return 100 * result.summary[metric].mean


def _width(right: int, of: int) -> float:
    """Return the width of a 95 % Wilson interval in percent points."""
    low, high = evaluation.wilson(right, of)
    return 100 * (high - low)


def ding_parameters() -> int:
    """Parameters of Ding's network."""
    return _parameters("ding")


def ding_weights_kb() -> float:
    """Bytes of the weights of Ding's network, in 1,000."""
    return 4 * ding_parameters() / 1000


def ding_activations_kb() -> float:
    """Bytes of all layer outputs of Ding's network for one sample, in 1,000."""
    return tables.count("ding").activation_bytes / 1000


def ding_segment() -> float:
    """Percent of segments that Ding's voice network has right, segments dealt at random."""
    return _accuracy("ding", "audio-segment-standardised", "segment_accuracy")


def ding_actor() -> float:
    """Percent of segments that Ding's voice network has right on new actors."""
    return _accuracy("ding", "audio-actor-standardised", "segment_accuracy")


def ding_clips_width() -> float:
    """Width of the interval of 276 right answers of 288, in points."""
    return _width(276, 288)


def ghost_share() -> float:
    """Convolution weights of a ghost module from 240 to 40 maps, beside a plain layer's."""
    from emolib.models.lu import GhostModule

    kernels = (p for p in GhostModule(240, 40).parameters() if p.ndim == 4)
    return sum(p.numel() for p in kernels) / (240 * 40)


def geometric_veto() -> float:
    """Probability of a class that one voice gives 0.6 and the other 0.01, geometric mean."""
    return float(
        evaluation.fuse([np.array([[0.6, 0.4]]), np.array([[0.01, 0.99]])], "geometric")[0, 0]
    )


def arithmetic_veto() -> float:
    """Return the same under the arithmetic mean."""
    return float(
        evaluation.fuse([np.array([[0.6, 0.4]]), np.array([[0.01, 0.99]])], "arithmetic")[0, 0]
    )


def lu_clip() -> float:
    """Percent of clips that Lu's voice network has right, clips dealt at random."""
    return _accuracy("lu", "audio-clip")


def lu_actor() -> float:
    """Percent of clips that Lu's voice network has right on new actors."""
    return _accuracy("lu", "audio-actor")


def lu_width() -> float:
    """Width of the interval of 479 right answers of 491, in points."""
    return _width(479, 491)


def yang_order_one() -> float:
    """Percent of clips that Yang's voice stream has right with the plain Fourier transform."""
    return _accuracy("yang", "audio-1.0")


def yang_adaptive() -> float:
    """Percent of clips that it has right with the adaptive order."""
    return _accuracy("yang", "audio-adaptive")


def mostafa_recall_mean() -> float:
    """Percent that the recalls of Mostafa's Table II imply for RAVDESS speech."""
    from emolib.book import exercises

    return exercises.find("audit-mostafa-accuracy").truth()


def mostafa_first_block() -> float:
    """Percent of the multiplications of Mostafa's face network in its first two convolutions."""
    from emolib.book import exercises

    return 100 * exercises.find("mostafa-first-block").truth()


def mostafa_clip() -> float:
    """Percent of clips that Mostafa's voice network has right, clips dealt at random."""
    return _accuracy("mostafa", "mel-clip")


def mostafa_actor() -> float:
    """Percent of clips that it has right on new actors."""
    return _accuracy("mostafa", "mel-actor")


def separable_share() -> float:
    """Weights of a separable 3×3 convolution from 64 to 128 channels, beside a plain one's."""
    from emolib.models.layers import DepthwiseSeparable

    kernels = (p for p in DepthwiseSeparable(64, 128).parameters() if p.ndim == 4)
    return sum(p.numel() for p in kernels) / (9 * 64 * 128)


def ishtiaq_text_confounded() -> float:
    """Percent of clips that the words alone have right where they were dealt to emotions."""
    return _accuracy("ishtiaq", "text-confounded")


def ishtiaq_text() -> float:
    """Percent of clips that the words alone have right where everybody says both sentences."""
    return _accuracy("ishtiaq", "text-actor")


def gru_share() -> float:
    """Parameters of a GRU beside those of an LSTM of the same sizes."""
    from torch import nn

    gru, lstm = (sum(p.numel() for p in kind(256, 128).parameters()) for kind in (nn.GRU, nn.LSTM))
    return gru / lstm


def neighbour_clip() -> float:
    """Percent of clips that a nearest neighbour of voices has right, clips dealt at random."""
    return _accuracy("lab_leaks", "neighbour-audio-clip")


def neighbour_actor() -> float:
    """Percent of clips that it has right on new actors."""
    return _accuracy("lab_leaks", "neighbour-audio-actor")


def looks_several() -> float:
    """Percent that a face network has right on clips that show fifteen people."""
    return _accuracy("lab_leaks", "lu-looks-several")


def looks_tested_one() -> float:
    """Percent that the same training gives on clips of one person."""
    return _accuracy("lab_leaks", "lu-looks-tested-one")


def six_of_six() -> float:
    """Lower end of the interval of six right answers of six, in percent."""
    return 100 * evaluation.wilson(6, 6)[0]


def _fits(n: int, printed: np.ndarray) -> float:
    shares = np.arange(n + 1) / n
    return float(np.mean([np.abs(100 * shares - one).min() <= 0.005 for one in printed]))


def comb_491() -> float:
    """Percent of all two-decimal percentages that are a share of 491 clips."""
    return 100 * _fits(491, np.arange(10_001) / 100)


def mcnemar_eight() -> float:
    """Two-sided p-value of eight clips that all changed to the better."""
    return float(stats.binomtest(8, 8).pvalue)


def mcnemar_fourteen() -> float:
    """Two-sided p-value of 14 clips that changed to the better and 6 to the worse."""
    return float(stats.binomtest(14, 20).pvalue)


def best_of_ten() -> float:
    """How many standard deviations the largest of ten lies above the mean, on average."""
    return float(stats.norm.expect(lambda x: 10 * x * stats.norm.cdf(x) ** 9))


def luna_pooled() -> float:
    """Percent of the pooled clips that the published trained fusion has right."""
    from emolib.book.exercises import lab_peers

    folds = lab_peers._folds()
    return 100 * float(folds["right"].sum() / folds["clips"].sum())


def luna_mean() -> float:
    """Mean of the five folds' accuracies of the same fusion, in percent."""
    from emolib.book import exercises

    return exercises.find("lab_peers-mean-of-folds").truth()
