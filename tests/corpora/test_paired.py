import time

import numpy as np
import pandas as pd
import pytest

from emolib.corpora import CorpusError, fer2013, paired, pictures

COPIES = 2  # every picture is there this many times


@pytest.fixture
def root(cache, tmp_path, sound):
    """Two actors with all their happy and disgusted takes, and 30 copied pictures of each."""
    for actor in ("01", "02"):
        for code in ("03", "07"):
            for take in range(8):
                a, b, c = (1 + (take >> bit & 1) for bit in (2, 1, 0))
                sound(tmp_path / "ravdess" / f"03-01-{code}-0{a}-0{b}-0{c}-{actor}.wav", 0.01)
        sound(tmp_path / "ravdess" / f"03-01-02-01-01-01-{actor}.wav", 0.01)
    generator = np.random.default_rng(0)
    from PIL import Image

    rows = []
    for code in (3, 1):
        for coarse in generator.integers(0, 256, (30, 6, 6), np.uint8):
            face = Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC)
            text = " ".join(map(str, np.asarray(face).ravel()))
            rows += [{"emotion": code, "pixels": text, "Usage": "Training"}] * COPIES
    (tmp_path / "fer2013").mkdir()
    pd.DataFrame(rows).sample(frac=1, random_state=0).to_csv(
        tmp_path / "fer2013" / "fer2013.csv", index=False
    )
    return tmp_path


def test_clips_are_the_ravdess_clips_without_calm(root):
    table = paired.manifest(root)
    assert len(table) == 32 and set(table["emotion"]) == {"happy", "disgust"}
    assert set(table["corpus"]) == {"paired"} and table["clip_id"].str.startswith("03-01-").all()


def test_near_duplicates_belong_to_one_actor_and_shares_are_equal(root):
    owner = paired.deal(root)
    groups = pictures.near_duplicates(fer2013.images(root / "fer2013"))
    assert len(set(groups)) == 60
    assert all(len(set(owner[groups == group])) == 1 for group in groups)
    emotion = fer2013.manifest(root / "fer2013")["emotion"].to_numpy()
    shares = pd.crosstab(emotion, owner)
    assert shares.to_numpy().max() - shares.to_numpy().min() <= COPIES


def test_frames_show_the_clip_s_emotion_and_belong_to_its_actor(root):
    clips = paired.manifest(root)
    chosen = paired.frames(clips, 3)
    emotion = fer2013.manifest(root / "fer2013")["emotion"].to_numpy()
    assert chosen.shape == (32, 3)
    assert (emotion[chosen] == clips["emotion"].to_numpy()[:, None]).all()
    assert (paired.deal(root)[chosen] == clips["actor"].to_numpy()[:, None]).all()


def test_frames_of_a_clip_do_not_depend_on_the_other_clips(root):
    clips = paired.manifest(root)
    some = clips.sample(frac=0.3, random_state=3)
    assert (paired.frames(some, 2) == paired.frames(clips, 2)[some.index]).all()
    assert (paired.frames(clips, 2) == paired.frames(clips, 2, seed=0)).all()
    assert (paired.frames(clips, 2) != paired.frames(clips, 2, seed=1)).any()


def test_a_clip_of_another_corpus_is_refused(root):
    clips = paired.manifest(root)
    with pytest.raises(CorpusError, match="is not in the paired corpus"):
        paired.frames(clips.assign(emotion="calm"), 2, root=root)


def test_the_picture_that_a_clip_shows_is_its_own_however_many_training_may_draw(root):
    clips = paired.manifest(root)
    shown = paired.frames(clips, 1)
    assert (paired.frames(clips, 5)[:, :1] == shown).all()


@pytest.mark.parametrize("absent", ["ravdess", "fer2013"])
def test_a_missing_half_is_named(root, absent):
    (root / absent).rename(root / "away")
    with pytest.raises(CorpusError, match={"ravdess": "RAVDESS", "fer2013": "FER2013"}[absent]):
        paired.manifest(root)


@pytest.mark.realdata
def test_the_real_pictures_are_dealt_by_actor_without_near_duplicates_across(recordings):
    started = time.process_time()
    clips = paired.manifest(recordings)
    chosen = paired.frames(clips, 6)
    assert time.process_time() - started < 60
    started = time.process_time()
    again = paired.frames(paired.manifest(recordings), 6)
    assert time.process_time() - started < 2 and (again == chosen).all()

    assert len(clips) == 1248 and clips["actor"].nunique() == 24
    assert len(np.unique(chosen[:, 0])) == 1248, "no two clips show the same picture"
    groups = pictures.near_duplicates(fer2013.images(recordings / "fer2013"))
    shown = {
        actor: set(groups[chosen[clips["actor"].to_numpy() == actor]].ravel())
        for actor in paired.ACTORS
    }
    assert sum(map(len, shown.values())) == len(set.union(*shown.values()))
    emotion = fer2013.manifest(recordings / "fer2013")["emotion"].to_numpy()
    shares = pd.crosstab(emotion, paired.deal(recordings))
    assert (shares.max(axis=1) - shares.min(axis=1) <= 1).all()
    assert shares.loc["disgust"].min() == 19
