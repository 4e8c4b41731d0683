"""Tiny media files in the layouts of the corpora."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def sound() -> Callable[..., Path]:
    """Write a short tone: ``sound(path, seconds=0.1, rate=16000, channels=1)``."""

    def write(path, seconds=0.1, rate=16000, channels=1, pitch=220.0):
        import soundfile

        path.parent.mkdir(parents=True, exist_ok=True)
        wave = 0.3 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)
        soundfile.write(str(path), np.tile(wave[:, None], channels), rate, subtype="PCM_16")
        return path

    return write


@pytest.fixture
def movie() -> Callable[..., Path]:
    """Write a few grey frames, with or without sound: ``movie(path, sound=True)``."""

    def write(path, sound=True, frames=10, rate=25):
        import av

        path.parent.mkdir(parents=True, exist_ok=True)
        codecs = {".flv": ("flv1", "mp3"), ".avi": ("mpeg4", "pcm_s16le")}
        picture, voice = codecs.get(path.suffix, ("mpeg4", "aac"))
        with av.open(str(path), "w") as container:
            video = container.add_stream(picture, rate=rate)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
            audio = container.add_stream(voice, rate=44100) if sound else None
            for value in range(frames):
                grey = np.full((64, 64, 3), 20 * value, np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(video.encode())
            if audio is not None:
                samples = np.zeros((1, 44100 * frames // rate), np.int16)
                frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
                frame.sample_rate, frame.time_base, frame.pts = 44100, Fraction(1, 44100), 0
                for packet in (*audio.encode(frame), *audio.encode()):
                    container.mux(packet)
        return path

    return write


@pytest.fixture
def picture() -> Callable[..., Path]:
    """Write a grey picture of smooth noise: ``picture(path, seed=0, side=48)``."""

    def write(path, seed=0, side=48):
        from PIL import Image

        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 6), np.uint8)
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(path)
        return path

    return write
