import numpy as np
import pytest

from emolib.corpora import pictures
from emolib.corpora.pictures import near_duplicates


def smooth(count, seed=0):
    """Pictures of smooth noise, each unlike the others."""
    from PIL import Image

    coarse = np.random.default_rng(seed).integers(0, 256, (count, 6, 6), np.uint8)
    resized = [Image.fromarray(c).resize((48, 48), Image.Resampling.BICUBIC) for c in coarse]
    return np.stack([np.asarray(image) for image in resized])


def test_copies_brighter_and_noisier_versions_are_one_group(cache):
    one = smooth(40)
    noise = np.random.default_rng(1).normal(0, 3, one.shape)
    brighter = np.clip(one * 0.8 + 20, 0, 255).astype(np.uint8)
    noisy = np.clip(one + noise, 0, 255).astype(np.uint8)
    groups = near_duplicates(np.concatenate([one, one, brighter, noisy])).reshape(4, 40)
    assert (groups == groups[0]).all() and len(set(groups[0])) == 40


def test_strangers_are_not_merged(cache):
    assert len(set(near_duplicates(smooth(300)))) == 300


def test_groups_are_transitive_and_named_by_their_first_picture():
    hashes = np.array([0b0, 0b111, 0b111111, 2**63 + 2**62 + 2**61 + 2**60], np.uint64)
    assert pictures._groups(hashes, 3).tolist() == [0, 0, 0, 3]
    assert pictures._groups(hashes, 2).tolist() == [0, 1, 2, 3]
    assert pictures._groups(hashes[:0], 3).tolist() == []


def test_blocks_do_not_change_the_groups():
    hashes = np.random.default_rng(0).integers(0, 2**10, 1300).astype(np.uint64)
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None])
    groups = pictures._groups(hashes, 1)
    near = distance <= 1
    assert (groups[:, None] == groups[None])[near].all()
    assert all(near[i].sum() > 1 for i in np.flatnonzero(groups != np.arange(len(groups))))


def test_hashes_are_kept_by_content(cache):
    one = smooth(5)
    near_duplicates(one)
    assert len(list(cache.glob("near-duplicates-*.npy"))) == 1
    near_duplicates(one.copy())
    assert len(list(cache.glob("near-duplicates-*.npy"))) == 1
    near_duplicates(smooth(5, seed=1))
    assert len(list(cache.glob("near-duplicates-*.npy"))) == 2


def test_unusable_pictures_are_reported(cache, tmp_path, picture):
    good, large = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", side=64)
    (tmp_path / "c.png").write_bytes(b"no picture")
    (tmp_path / "d.png").write_bytes(b"")
    rows = [{"path": str(tmp_path / f"{name}.png"), "clip_id": name} for name in "abcd"]
    found = pictures.read(rows)
    assert found.table["clip_id"].tolist() == ["a"] and found.pixels.shape == (1, 48, 48)
    causes = [problem["cause"] for problem in found.problems]
    assert "64×64 pixels instead of 48×48" in causes[0]
    assert "cannot be read as a picture" in causes[1] and "empty" in causes[2]
    assert good.is_file() and large.is_file()


@pytest.mark.parametrize("change", ["content", "time"])
def test_the_cache_follows_the_files(cache, tmp_path, picture, change):
    path = picture(tmp_path / "a.png")
    made = []

    def make():
        made.append(1)
        return pictures.read([{"path": str(path)}])

    for _ in range(2):
        pictures.cached("x", [path], make)
    assert len(made) == 1
    if change == "content":
        picture(path, seed=5)
    import os

    os.utime(path, ns=(1, 1))
    pictures.cached("x", [path], make)
    assert len(made) == 2
