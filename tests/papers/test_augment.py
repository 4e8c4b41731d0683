"""What a batch goes through in training."""

import torch

from emolib.papers import augment


def test_training_draws_among_versions_and_tests_see_the_original():
    values = torch.arange(5).repeat(2000, 1)[..., None]  # (B, versions, 1)
    assert augment.one_version(values, None).unique().tolist() == [0]
    drawn = augment.one_version(values, torch.Generator().manual_seed(0))
    assert drawn.shape == (2000, 1)
    shares = torch.bincount(drawn.flatten(), minlength=5) / 2000
    assert (shares - 0.2).abs().max() < 0.05


def test_changes_are_made_in_order_and_only_to_inputs_that_are_there():
    changes = [
        ("audio", lambda x, _: x + 1),
        ("video", lambda x, _: x * 0),
        ("audio", lambda x, _: x * 2),
    ]
    given = {"audio": torch.ones(3)}
    changed = augment.augmenter(changes)(given, torch.Generator())
    assert set(changed) == {"audio"}
    assert changed["audio"].tolist() == [4.0] * 3
    assert given["audio"].tolist() == [1.0] * 3
    assert augment.augmenter([]) is None


def test_a_mirrored_sample_is_turned_in_all_its_frames_and_half_of_them_are():
    faces = torch.rand(200, 3, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    turned = augment.mirror(faces, torch.Generator().manual_seed(0))
    same = [torch.equal(*pair) for pair in zip(turned, faces, strict=True)]
    mirrored = [torch.equal(*pair) for pair in zip(turned, faces.flip(-1), strict=True)]
    assert 70 < sum(same) < 130
    assert sum(same) + sum(mirrored) == 200


def test_a_mask_blanks_at_most_so_many_bands_and_frames():
    spectrograms = torch.ones(50, 1, 30, 40)
    masked = augment.mask(spectrograms, torch.Generator().manual_seed(0), bands=4, frames=6)
    blank = masked[:, 0] == 0
    assert blank.all(2).sum(1).max() == 4  # whole bands
    assert blank.all(1).sum(1).max() == 6  # whole frames
    assert not blank.flatten(1).all(1).any()


def test_an_affine_map_that_changes_nothing_returns_the_picture():
    pictures = torch.rand(2, 1, 8, 8)
    ones, zeros = torch.ones(2), torch.zeros(2)
    still = augment.warp(pictures, ones, zeros, zeros, zeros, ones, zeros)
    torch.testing.assert_close(still, pictures)
