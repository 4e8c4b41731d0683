"""Write real media files: H.264 and AAC in MP4, and the containers of the other corpora."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from emolib import paths

# suffix → (video codec, its options, audio codec, sample rate in Hz); mp3 in flv knows 44.1 kHz.
_FORMATS: dict[str, Any] = {
    ".mp4": ("libx264", {"preset": "ultrafast", "crf": "22", "g": "25"}, "aac", 48_000),
    ".m4a": (None, {}, "aac", 48_000),
    ".avi": ("mpeg4", {"qscale": "4", "g": "25"}, "pcm_s16le", 44_100),
    ".flv": ("flv", {"qscale": "4", "g": "25"}, "libmp3lame", 44_100),
}
_BLOCK = 1024  # samples that an encoder is fed at once


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Return samples (n,) at another rate, float32."""
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    ratio = Fraction(wanted, rate)
    return resample_poly(samples, ratio.numerator, ratio.denominator).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray, rate: int, wanted: int | None = None) -> None:
    """Write 16-bit PCM, at `wanted` Hz if given; the file appears complete or not at all."""
    import soundfile

    wanted = wanted or rate
    with paths.atomic(path) as temporary:
        soundfile.write(temporary, resample(samples, rate, wanted), wanted, subtype="PCM_16")


def write_media(
    path: Path, frames: Sequence[np.ndarray] | None, fps: int, samples: np.ndarray | None, rate: int
) -> None:
    """Write a recording in the codecs that its suffix stands for.

    Parameters
    ----------
    path
        ``.mp4``, ``.m4a``, ``.avi`` or ``.flv``; appears complete or not at all.
    frames
        RGB, uint8 (H, W, 3) with even sides; None for sound only.
    samples
        float32 (n,), full scale 1; None for a silent video.
    rate
        Of the samples in Hz.
    """
    import av

    video_codec, options, audio_codec, wanted = _FORMATS[path.suffix]
    # bitexact: no dates or versions in the file, so one seed always gives the same bytes.
    exact = {"fflags": "+bitexact"}
    with paths.atomic(path) as temporary, av.open(str(temporary), "w", options=exact) as container:
        picture: Any = None
        sound: Any = None
        if frames is not None:
            picture = container.add_stream(video_codec, rate=fps, options=options)
            picture.height, picture.width = frames[0].shape[:2]
            picture.pix_fmt = "yuv420p"
            picture.codec_context.thread_count = 1
        if samples is not None:
            sound = container.add_stream(audio_codec, rate=wanted, layout="mono")
            if audio_codec == "aac":
                sound.bit_rate = 128_000
        for index, image in enumerate(() if frames is None else frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(picture.encode(frame))
        if picture is not None:
            container.mux(picture.encode(None))
        if samples is not None:
            _encode_sound(container, sound, resample(samples, rate, wanted), wanted)


def _encode_sound(container, stream, samples: np.ndarray, rate: int) -> None:
    import av

    pcm = stream.codec_context.format.name == "s16"
    if pcm:
        samples = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    block = stream.codec_context.frame_size or _BLOCK
    for start in range(0, len(samples), block):
        piece = np.ascontiguousarray(samples[None, start : start + block])
        frame = av.AudioFrame.from_ndarray(piece, format="s16" if pcm else "fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
