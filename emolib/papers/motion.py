"""A still picture as a film: the small motions of a head and of a camera.

The paired corpus has no films. Pictures of several people in one clip would be several independent
looks at its emotion, which no clip of a person gives. So a clip shows one picture, moved a little
from frame to frame, and the frames of a clip tell as little news as neighbours in a film do.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import torch

from emolib.papers.augment import warp

#: The largest shift (parts of a side), turn (degrees), change of size and change of light.
SHIFT, TURN, SIZE, LIGHT = 0.04, 4.0, 0.04, 0.06
_LARGEST = np.array([SHIFT, SHIFT, TURN, SIZE, LIGHT])
_AT_ONCE = 1024  # pictures that are floats at a time


def filmed(pictures: np.ndarray, clip_ids: Sequence[str], frames: int, seed: int = 0) -> np.ndarray:
    """Return so many frames of every picture of every clip, each picture moved on its own path.

    A path depends on the clip's name, the number of the picture in it and the seed alone: not on
    the other clips, on how many pictures follow, or on how many frames are taken of it.

    Parameters
    ----------
    pictures
        uint8, shape (clips, pictures, S, S).
    clip_ids
        Their names.
    frames
        Frames of a picture, at equal distances along its path.
    seed
        Of the paths.

    Returns
    -------
    ndarray of uint8, shape (clips, pictures, frames, S, S)

    Examples
    --------
    >>> stills = np.random.default_rng(0).integers(0, 256, (1, 2, 48, 48), np.uint8)
    >>> filmed(stills, ["03-01-03-01-01-01-01"], 15).shape
    (1, 2, 15, 48, 48)
    """
    clips, count, side, _ = pictures.shape
    moves = motions(clip_ids, count, frames, seed).reshape(clips * count, frames, 5)
    film = np.empty((clips * count, frames, side, side), np.uint8)
    stills = pictures.reshape(-1, side, side)
    step = max(1, _AT_ONCE // frames)
    for start in range(0, len(stills), step):
        some = slice(start, start + step)
        film[some] = _moved(stills[some], moves[some])
    return film.reshape(clips, count, frames, side, side)


def motions(clip_ids: Sequence[str], count: int, frames: int, seed: int = 0) -> np.ndarray:
    """Return the motion of every picture: shifts to the side and down, turn, size and light.

    Each of the five is the sum of two slow waves, and never more than its largest value from rest.

    Returns
    -------
    ndarray, shape (clips, count, frames, 5)
        Shifts in parts of a side, turn in degrees, size and light as changes of 1.
    """
    drawn = np.array(
        [
            np.random.default_rng((seed, zlib.crc32(clip.encode()))).random((count, 2, 3, 5))
            for clip in clip_ids
        ]
    ).reshape(len(clip_ids), count, 2, 3, 1, 5)
    height, pace, phase = (drawn[:, :, :, each] for each in range(3))  # (clips, count, 2, 1, 5)
    times = ((np.arange(frames) + 0.5) / frames)[:, None]
    # Half a wave to one and a half within the clip.
    waves = height / 2 * np.sin(2 * np.pi * ((0.5 + pace) * times + phase))
    return waves.sum(2) * _LARGEST


def _moved(stills: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return (N, frames, S, S) of stills (N, S, S) and their motion (N, frames, 5)."""
    n, frames, _ = moves.shape
    right, down, turn, size, light = torch.from_numpy(moves.reshape(-1, 5)).float().unbind(1)
    cos, sin = (wave(turn.deg2rad()) / (1 + size) for wave in (torch.cos, torch.sin))
    shown = torch.from_numpy(np.repeat(stills, frames, axis=0))[:, None].float()
    places = warp(shown, cos, -sin, -2 * right, sin, cos, -2 * down)[:, 0]
    lit = places * (1 + light)[:, None, None]
    return lit.round().clamp(0, 255).to(torch.uint8).view(n, frames, *stills.shape[1:]).numpy()
