"""Small media files, written with PyAV and soundfile once a session."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest


def numbered_frame(i: int, n: int, width: int = 160, height: int = 96) -> np.ndarray:
    """A frame that says which one it is: a moving bar on a background of its own brightness."""
    frame = np.full((height, width, 3), 30 + 190 * i // n, np.uint8)
    x = (i * 7) % (width - 20)
    frame[10 : height // 2, x : x + 16] = (220, 40, 90)
    frame[height // 2 : height - 8, 8:30] = (20, 200, 60)  # tells top from bottom, left from right
    return frame


def write_video(
    path,
    frames,
    *,
    fps=25,
    codec="libx264",
    gop=250,
    rotation=0,
    stamps=None,
    sound=None,
    options=None,
    container_options=None,
):
    """Encode frames (and a mono signal at 16 kHz); `stamps` in milliseconds make the rate vary."""
    import av

    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = gop
        stream.options = options or {}
        if stamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        speech = None
        if sound is not None:
            speech = container.add_stream("aac", rate=16_000, layout="mono")
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if stamps is not None:
                picture.pts, picture.time_base = int(stamps[i]), Fraction(1, 1000)
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
        if speech is not None:
            samples = av.AudioFrame.from_ndarray(
                sound.astype(np.float32)[None], format="fltp", layout="mono"
            )
            samples.sample_rate = 16_000
            for packet in (*speech.encode(samples), *speech.encode()):
                container.mux(packet)
    return path


def tone(seconds: float, rate: int, hertz: float = 220.0) -> np.ndarray:
    """A tone with harmonics and a slow swell: enough like a voice to have structure."""
    t = np.arange(round(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * hertz * h * t) / h for h in (1, 2, 3, 5))
    return (0.2 * voice * (0.6 + 0.4 * np.sin(2 * np.pi * 1.5 * t))).astype(np.float32)


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    """A folder of clips that a corpus might hold, good and bad."""
    import soundfile

    folder = tmp_path_factory.mktemp("media")
    frames = [numbered_frame(i, 50) for i in range(50)]
    write_video(folder / "long_gop.mp4", frames, gop=250, sound=tone(2, 16_000))
    write_video(folder / "short_gop.mp4", frames, gop=8)
    write_video(folder / "keyframes_only.mp4", frames, gop=1)
    write_video(folder / "turned.mp4", frames, rotation=90)
    write_video(folder / "mpeg4.avi", frames, codec="mpeg4", gop=12)
    write_video(folder / "h264.avi", frames, gop=12)
    write_video(folder / "matroska.mkv", frames, gop=12)
    write_video(folder / "flash.flv", frames, codec="flv", gop=12)
    write_video(folder / "three_frames.mp4", frames[:3])
    stamps = np.concatenate([np.arange(30) * 20, 600 + np.arange(20) * 100])
    write_video(folder / "variable_rate.mp4", frames, stamps=stamps)
    write_video(folder / "streamable.mp4", frames, container_options={"movflags": "faststart"})
    whole = (folder / "long_gop.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    whole = (folder / "streamable.mp4").read_bytes()
    (folder / "truncated_streamable.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("version https://git-lfs.github.com/spec/v1\n" * 3)

    voice = tone(1.5, 48_000)
    soundfile.write(folder / "voice.wav", voice, 48_000)
    soundfile.write(folder / "voice.flac", voice, 48_000)
    soundfile.write(folder / "stereo.wav", np.stack([voice, 0.5 * voice], 1), 48_000)
    soundfile.write(folder / "silent.wav", np.zeros(24_000), 48_000)
    soundfile.write(folder / "zero_length.wav", np.zeros(0), 48_000)
    broken = voice.copy()
    broken[100] = np.nan
    soundfile.write(folder / "not_finite.wav", broken, 48_000, subtype="FLOAT")
    for name in ("voice.wav", "voice.flac"):
        whole = (folder / name).read_bytes()
        (folder / f"truncated_{name}").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture
def clips(media):
    """Manifest-like table of some of the media: ``clips("voice.wav", …)``."""

    def table(*names: str) -> pd.DataFrame:
        return pd.DataFrame(
            {"clip_id": [f"{i}-{n}" for i, n in enumerate(names)],
             "path": [str(media / n) for n in names]}
        )  # fmt: skip

    return table
