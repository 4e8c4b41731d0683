"""From recordings to tensors: when frames lie, and how many numbers a voice becomes."""

from emolib.book.exercises.engine import exercise


@exercise(
    "tensors-last-frame",
    wrong=[
        (3.6, "the end of the clip: its last segment is centred half a segment earlier"),
        (3.6 - 3.6 / 15, "the beginning of the last segment, and its centre is wanted"),
        (3.5, "rounded"),
    ],
)
def _last_frame() -> float:
    """a segment lasts 3.6 s / 15, and its centre lies half of that before its end"""
    from emolib.features.video import frame_times

    return float(frame_times(3.6, 15)[-1])


@exercise(
    "tensors-mfcc-frames",
    wrong=[
        (281, "off by one: too small"),
        (3 * 48_000 / 512, "a whole number"),
        (3 * 44_100 // 512 + 1, "that is the number at 44.1 kHz, and this clip has 48 kHz"),
    ],
)
def _mfcc_frames() -> int:
    """3 seconds are 144,000 samples; divide by the hop, round down, add one"""
    import librosa
    import numpy as np

    return librosa.feature.mfcc(y=np.zeros(3 * 48_000, np.float32), sr=48_000).shape[1]
