"""A still picture as a film: one source, small motions, the same in every run."""

import numpy as np
import pytest

from emolib.papers import motion

NAMES = ["03-01-03-01-01-01-01", "03-01-04-01-01-01-02"]


@pytest.fixture
def stills():
    """Two clips of three smooth pictures each."""
    from PIL import Image

    coarse = np.random.default_rng(0).integers(0, 256, (2, 3, 6, 6), np.uint8)
    faces = [
        np.asarray(Image.fromarray(one).resize((48, 48), Image.Resampling.BICUBIC))
        for one in coarse.reshape(-1, 6, 6)
    ]
    return np.array(faces).reshape(2, 3, 48, 48)


def test_frames_are_near_their_own_picture_and_far_from_every_other(stills):
    film = motion.filmed(stills, NAMES, 15).astype(float)
    assert film.shape == (2, 3, 15, 48, 48)
    sources = stills.reshape(6, 1, 48, 48).astype(float)
    for number, frames in enumerate(film.reshape(6, 15, 48, 48)):
        distance = np.abs(frames - sources).mean((-1, -2))  # (6 sources, 15 frames)
        assert (distance.argmin(0) == number).all()


def test_a_picture_moves_from_frame_to_frame_but_a_little(stills):
    film = motion.filmed(stills, NAMES, 15).astype(float)
    steps = np.abs(np.diff(film, axis=2)).mean((-1, -2))
    assert (steps.max(axis=2) > 0).all()
    moves = motion.motions(NAMES, 3, 15)
    largest = (motion.SHIFT, motion.SHIFT, motion.TURN, motion.SIZE, motion.LIGHT)
    assert (np.abs(moves).max((0, 1, 2)) <= largest).all()
    assert (np.abs(moves).max((0, 1, 2)) > 0.3 * np.array(largest)).all()
    assert (np.abs(np.diff(moves, axis=2)).max((0, 1, 2)) < 0.7 * np.array(largest)).all()


def test_a_path_depends_on_its_clip_and_seed_alone(stills):
    film = motion.filmed(stills, NAMES, 5)
    assert np.array_equal(film, motion.filmed(stills, NAMES, 5))
    assert np.array_equal(film[1:], motion.filmed(stills[1:], NAMES[1:], 5)), "not on other clips"
    assert np.array_equal(film[:, :1], motion.filmed(stills[:, :1], NAMES, 5)), "nor on draws"
    assert not np.array_equal(film, motion.filmed(stills, NAMES, 5, seed=1))
    paths = motion.motions(NAMES, 3, 15)
    assert np.allclose(motion.motions(NAMES, 3, 5), paths[:, :, 1::3]), "nor on frames"
    assert not np.allclose(paths[0], paths[1])
    assert not np.allclose(paths[:, 0], paths[:, 1])


def test_a_picture_at_rest_is_itself(stills):
    still = motion._moved(stills[0], np.zeros((3, 2, 5)))
    assert np.array_equal(still[:, 0], stills[0])
    assert np.array_equal(still[:, 1], stills[0])


def test_a_shift_to_the_right_shifts_to_the_right():
    bar = np.zeros((1, 48, 48), np.uint8)
    bar[0, :, 20] = 200
    right = np.zeros((1, 1, 5))
    right[..., 0] = 4 / 48
    assert motion._moved(bar, right)[0, 0, 10].argmax() == 24
