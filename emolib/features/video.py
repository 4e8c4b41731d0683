"""A few frames of a clip, found by seeking instead of decoding everything.

A clip is cut into k equal segments and the frame that is on screen at the centre of each is
read (Ding: six "one-sixth intervals"; Lu, section III.A: fifteen). The packets are listed
first, which costs no decoding; then only what the wanted frames depend on is decoded, and
only the wanted frames are converted to RGB. The frames are the same, bit for bit, as those
that decoding the whole clip gives.
"""

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emolib.features.store import BROKEN, FeatureProblem, decoding, refuse_truncated


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a clip's video stream without decoding it.

    Parameters
    ----------
    width, height
        Of a frame as it is shown (after rotation), in pixels.
    frames
        Number of frames.
    duration_s
        From the first frame to the end of the last one, in seconds.
    fps
        Mean frames per second.
    variable_rate
        Whether the frames are unequally spaced in time.
    rotation
        Degrees, counter-clockwise, by which a stored frame is turned to be shown.
    codec
        FFmpeg's name of the codec.
    audio
        Whether there is a sound stream.
    """

    width: int
    height: int
    frames: int
    duration_s: float
    fps: float
    variable_rate: bool
    rotation: int
    codec: str
    audio: bool


@dataclass(frozen=True)
class _Packets:
    """Presentation times of a stream's frames and of its keyframes, sorted, in `unit` seconds.

    Without keyframes the times are positions in the order of decoding.
    """

    frames: Sequence[int]
    keyframes: Sequence[int]
    end: int
    unit: float

    @property
    def duration_s(self) -> float:
        return (self.end - self.frames[0]) * self.unit

    def on_screen(self, seconds: float) -> int:
        """Return the time stamp of the frame shown `seconds` after the first frame."""
        # The small tolerance keeps a frame that starts exactly then from being missed.
        stamp = self.frames[0] + seconds / self.unit + 1e-6
        return self.frames[max(0, bisect_right(self.frames, stamp) - 1)]


def frame_times(duration: float, k: int) -> np.ndarray:
    """Return the centres of k equal segments, in seconds: ``(i + 1/2) · duration / k``.

    >>> frame_times(3.0, 6)
    array([0.25, 0.75, 1.25, 1.75, 2.25, 2.75])
    """
    if k < 1:
        raise ValueError(f"k is {k}: ask for at least one frame")
    return (np.arange(k) + 0.5) * (duration / k)


def probe(path: str | Path) -> VideoInfo:
    """Return size, length, rate and rotation of a clip's video without decoding all of it.

    Raises
    ------
    FeatureProblem
        If the file is missing, damaged, truncated, or has no video.
    """
    with opened(path) as (container, stream):
        packets = _list_packets(path, container, stream)
        if not is_picture(container):
            container.seek(packets.keyframes[0] if packets.keyframes else 0, stream=stream)
            first = next(container.decode(stream))
        else:  # nothing in it can be sought, and listing it has read it
            first = _still(path)
        sideways = first.rotation % 180 != 0
        width, height = (first.height, first.width) if sideways else (first.width, first.height)
        steps = np.diff(packets.frames)
        # One unit of jitter is rounding (24000/1001 fps in milliseconds), not a variable rate.
        variable = len(steps) > 0 and bool(np.ptp(steps) > max(1, steps.min() // 10))
        return VideoInfo(
            width=width,
            height=height,
            frames=len(packets.frames),
            duration_s=packets.duration_s,
            fps=len(packets.frames) / packets.duration_s,
            variable_rate=variable,
            rotation=first.rotation % 360,
            codec=stream.codec_context.name,
            audio=bool(container.streams.audio),
        )


def read_frames(
    path: str | Path, k: int, *, skip: int = 0, times: Sequence[float] | np.ndarray | None = None
) -> np.ndarray:
    """Read the frames on screen at the centres of k equal segments of a clip.

    A clip of fewer than k frames gives the nearest frame repeatedly; a picture is a clip of one.

    Parameters
    ----------
    path
        Any video that FFmpeg reads: mp4, mov, flv, avi, webm; or a picture.
    k
        Number of frames.
    skip
        Frames at the start that are left out (Lu: "after skipping initial frames
        (default: zero)").
    times
        Seconds after the first frame, k of them, instead of the centres.

    Returns
    -------
    ndarray
        uint8, shape (k, height, width, 3), RGB, turned upright.

    Raises
    ------
    FeatureProblem
        If the file is missing, damaged, truncated, or has no video.
    """
    with opened(path) as (container, stream):
        if is_picture(container):
            return np.repeat(upright(next(container.decode(stream)))[None], k, axis=0)
        packets = _list_packets(path, container, stream)
        if skip:
            kept = packets.frames[min(skip, len(packets.frames) - 1) :]
            packets = _Packets(kept, packets.keyframes, packets.end, packets.unit)
        centres = frame_times(packets.duration_s, k) if times is None else times
        wanted = [packets.on_screen(time) for time in centres]
        frames, shown = None, {}
        for stamp, frame in _decode_wanted(container, stream, packets, wanted):
            if frames is None:
                frames = np.empty((k, *frame.shape), np.uint8)
            if frame.shape != frames.shape[1:]:
                raise FeatureProblem(
                    f"the frame size changes within the clip: {frames.shape[2]}×"
                    f"{frames.shape[1]}, then {frame.shape[1]}×{frame.shape[0]}",
                    "convert the clip to one size",
                    path,
                )
            shown[stamp] = [i for i, want in enumerate(wanted) if want == stamp]
            frames[shown[stamp]] = frame
    if frames is None:
        raise FeatureProblem("no frame can be decoded", BROKEN, path)
    for i, want in enumerate(wanted):
        if want not in shown:  # listed, but the decoder gave nothing for it
            _, nearest = min((abs(stamp - want), stamp) for stamp in shown)
            frames[i] = frames[shown[nearest][0]]
    return frames


def is_picture(container) -> bool:
    """Tell whether an opened file holds a single picture, and no film."""
    return container.format.name == "image2" or container.format.name.endswith("_pipe")


def _still(path: str | Path):
    """Return the frame of a picture."""
    with opened(path) as (container, stream):
        return next(container.decode(stream))


@contextmanager
def opened(path: str | Path) -> Iterator[tuple]:
    """Open a file and give its container and first video stream.

    Raises
    ------
    FeatureProblem
        If the file is missing or has no video; or, while it is read, if it is damaged.
    """
    import av

    if not Path(path).is_file():
        raise FeatureProblem("the file does not exist", "check the path", path)
    with decoding(path, "as video"):
        container = av.open(str(path))
    with container:
        if not container.streams.video:
            raise FeatureProblem(
                "no video stream",
                "use the audio-visual or video-only recordings of the corpus",
                path,
            )
        stream = container.streams.video[0]
        # As many threads as OpenMP may have: one in a worker process, else one for each core.
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = _allowed_threads()
        try:
            yield container, stream
        except (av.error.FFmpegError, EOFError, UnicodeError, MemoryError) as error:
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise FeatureProblem(f"decoding fails: {said}", BROKEN, path) from error


def _allowed_threads() -> int:
    """Return the threads that OMP_NUM_THREADS allows, 0 (one for each core) without it."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # "4,2" nests: 4, and 2 in each
    return int(first) if first.strip().isdigit() else 0


def _list_packets(path, container, stream) -> _Packets:
    """List the time stamps of all frames by reading the packets without decoding them."""
    packets = _timed_packets(container, stream) or _count_frames(container, stream)
    if not packets.frames:
        raise FeatureProblem("the video stream has no frames", BROKEN, path)
    declared = float((stream.duration or 0) * (stream.time_base or 0))
    # Sound may outlast the picture, and rates are rounded: only a large gap is a cut.
    refuse_truncated(path, packets.duration_s, declared or (container.duration or 0) / 1e6)
    return packets


def _timed_packets(container, stream) -> _Packets | None:
    """Return the packets by their time stamps, or None where a packet of the stream has none."""
    # These containers store no presentation times although frames are reordered.
    if container.format.name in ("avi", "h264", "hevc") and stream.codec_context.has_b_frames:
        return None
    stamps, keyframes, end = [], [], 0
    step = round(1 / (stream.average_rate or 25) / stream.time_base)
    for packet in container.demux(stream):
        if packet.size and packet.pts is None:
            return None
        if packet.is_keyframe and packet.size:
            keyframes.append(packet.pts)
        # Packets before an edit list's start are decoded but never shown.
        if packet.size == 0 or packet.is_discard or packet.is_corrupt:
            continue
        stamps.append(packet.pts)
        end = max(end, packet.pts + (packet.duration or step))
    shown = sorted(set(stamps)) if keyframes else []
    return _Packets(shown, sorted(keyframes), end, float(stream.time_base))


def _count_frames(container, stream) -> _Packets:
    """Count the frames by decoding them; only their order tells their time."""
    container.seek(0)
    n = sum(1 for _ in container.decode(stream))
    return _Packets(range(n), (), n, 1 / float(stream.average_rate or 25))


def _decode_wanted(
    container, stream, packets: _Packets, wanted
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode from the keyframe before each group of wanted frames to the last of the group."""
    missing = set(wanted)
    if not packets.keyframes:
        container.seek(0)
        yield from _pick(enumerate(container.decode(stream)), missing)
        return

    groups: dict[int, set[int]] = {}
    for stamp in wanted:
        keyframe = packets.keyframes[max(0, bisect_right(packets.keyframes, stamp) - 1)]
        groups.setdefault(keyframe, set()).add(stamp)

    context = stream.codec_context
    for keyframe, stamps in groups.items():
        container.seek(keyframe, stream=stream)
        ahead = set(stamps)
        for packet in container.demux(stream):
            # A frame that no other frame refers to need not be decoded unless it is wanted.
            needed = packet.pts is None or packet.pts in stamps
            context.skip_frame = "DEFAULT" if needed else "NONREF"
            ahead.discard(packet.pts)
            frames = packet.decode()
            if not ahead and packet.size:
                frames += context.decode(None)  # drained: no need to wait for what follows
            yield from _pick(((frame.pts, frame) for frame in frames), missing)
            if not ahead:
                break

    if missing:  # a container with a poor index, or time stamps that only the decoder knows
        container.seek(0)
        context.skip_frame = "DEFAULT"
        yield from _pick(((frame.pts, frame) for frame in container.decode(stream)), missing)


def _pick(frames: Iterable[tuple[int, Any]], missing: set[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the stamped frames that are still missing, upright, and strike them off."""
    for stamp, frame in frames:
        if stamp in missing:
            missing.discard(stamp)
            yield stamp, upright(frame)


def upright(frame) -> np.ndarray:
    """Return a decoded frame as RGB, turned as its metadata says."""
    image = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
