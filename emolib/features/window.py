"""One stretch of a clip for both of its modalities.

Yang et al. (Section III-A) bring the sound to 3.6 s, cutting the centre out of longer clips, and
take the frames "uniformly" from the video, without saying from which part of it. Code of this
family cuts the sound at its centre and the video at its start; in a clip of five seconds the face
is then seen 0.7 s before it is heard. Here one rule holds for both: the centre of the clip, and
nothing (silence, black frames) behind the end of a shorter one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emolib.features import video
from emolib.features.faces import FaceFrames, add_image_noise, noise_variance

SECONDS = 3.6


def start(duration_s: float, seconds: float = SECONDS) -> float:
    """Return when the window begins: it is centred in a longer clip, and 0 in a shorter one.

    The same rule as `emolib.features.audio.fit_length` for samples.

    >>> start(5.0)
    0.7
    >>> start(3.0)
    0.0
    """
    return round(max(0.0, (duration_s - seconds) / 2), 9)


def frame_times(
    duration_s: float, k: int, seconds: float = SECONDS
) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres of k equal parts of the window, and which of them the clip reaches.

    Parameters
    ----------
    duration_s
        Length of the clip.
    k
        Number of frames.
    seconds
        Length of the window.

    Returns
    -------
    times, present
        Seconds ``(k,)`` and booleans ``(k,)``.

    Raises
    ------
    ValueError
        If k is below one, or a length is not above zero.
    """
    if not (duration_s > 0 and seconds > 0):
        raise ValueError(f"clip {duration_s} s, window {seconds} s: give lengths above zero")
    times = start(duration_s, seconds) + video.frame_times(seconds, k)
    return times, times < duration_s


@dataclass(frozen=True)
class WindowFaces(FaceFrames):
    """The speaker's face at the centres of equal parts of the window of 3.6 s.

    Where `FaceFrames` repeats the nearest face, this recipe leaves a black picture, as the paper
    does ("zero-padding"). The manifest columns count both reasons: ``beyond_end`` frames lie
    behind the end of the clip, in ``missed_frames`` no face was found.

    Parameters
    ----------
    window_s
        Length of the window.
    """

    window_s: float = SECONDS

    def __post_init__(self):
        """Refuse options that no clip could satisfy."""
        super().__post_init__()
        if self.skip:
            raise ValueError("skip= moves the frames but not the sound: leave it at 0")
        frame_times(1.0, self.frames, self.window_s)

    def compute_noted(self, row: Mapping) -> tuple[np.ndarray, dict]:
        """Return the faces of one clip and what is missing."""
        clip = video.probe(row["path"])
        shown = self.window_s if clip.frames == 1 else clip.duration_s  # a picture stands still
        times, present = frame_times(shown, self.frames, self.window_s)
        there = np.flatnonzero(present)
        frames = video.read_frames(row["path"], len(there), times=times[there])
        faces = self.follow(frames, row)
        colours = () if self.grey else (3,)
        values = np.zeros((self.frames, *colours, self.size, self.size), np.uint8)
        for position, frame, face in zip(there, frames, faces, strict=True):
            if face is not None:
                values[position] = self.cut(frame, face)
        variance = noise_variance(self.augment)
        if variance:
            seen = values.any(axis=tuple(range(1, values.ndim)))
            values[seen] = add_image_noise(values[seen], variance, self.generator(row))
        return values, {
            "missed_frames": sum(face is None for face in faces),
            "beyond_end": int((~present).sum()),
        }
