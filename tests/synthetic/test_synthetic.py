"""The synthetic corpus as files: names, codecs, seeds, leaks."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from emolib import corpora, synthetic
from emolib.corpora import cremad, fer2013, mead, ravdess, savee
from emolib.synthetic import SynthesisError, performance, stills
from emolib.synthetic.performance import Cue, Take

OPTIONS = {"actors": 1, "statements": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with one actor, one statement: eight clips."""
    root = tmp_path_factory.mktemp("synthetic")
    synthetic.ensure(root=root, n_jobs=1, progress=False, **OPTIONS)
    return root


@pytest.fixture(scope="module")
def clips(root) -> pd.DataFrame:
    return corpora.load("synthetic", root, n_jobs=1, progress=False, **OPTIONS)


def test_the_manifest_has_every_emotion_of_every_actor_once_for_each_statement(clips):
    assert clips["emotion"].tolist() == list(synthetic.CLASSES)
    assert set(clips["corpus"]) == {"synthetic"}
    assert clips["clip_id"].iloc[4] == "01-01-05-01-01-01-01"
    assert all(
        Path(path).stem == clip for path, clip in zip(clips.path, clips.clip_id, strict=True)
    )


def test_ravdess_loader_reads_the_same_facts_from_the_names(root, clips):
    folder = root / "actors1-seed0-statements1" / "ravdess"
    found = ravdess.manifest(folder, modality="audiovisual").set_index("clip_id")
    assert len(found) == len(clips)
    for column in ("emotion", "actor", "intensity"):
        assert found.loc[clips.clip_id, column].tolist() == clips[column].tolist()
    assert len(ravdess.manifest(folder)) == len(clips)  # the audio-only twins


def test_clips_are_h264_and_aac_beside_48_khz_16_bit_wav(clips):
    import av

    row = clips.iloc[0]
    with av.open(row.path) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert video.average_rate == synthetic.FPS
        assert (video.width, video.height) == synthetic.SIZE
        assert audio.sample_rate == synthetic.RATE
    sound = soundfile.info(row.path.replace("/01-", "/03-").replace(".mp4", ".wav"))
    assert (sound.samplerate, sound.subtype, sound.channels) == (synthetic.RATE, "PCM_16", 1)
    assert sound.duration == pytest.approx(row.duration_s)
    assert 2 < row.duration_s < 4.5


def test_landmarks_are_known_for_every_frame(root, clips):
    for row in clips.itertuples():
        points = synthetic.landmarks(row.clip_id, root=root, **OPTIONS)
        assert points.shape == (round(row.duration_s * synthetic.FPS), 68, 2)
        assert points.dtype == np.float32
        assert (points > 0).all()
        assert (points < synthetic.SIZE).all()
        assert np.ptp(points[..., 0], axis=1).min() > 120  # a face is at least 120 px wide


def test_landmarks_of_a_missing_clip_say_how_to_make_it(root):
    with pytest.raises(SynthesisError, match="ensure"):
        synthetic.landmarks("01-01-05-01-02-01-01", root=root, **OPTIONS)


def test_a_lost_file_comes_back_bit_for_bit_and_nothing_else_is_touched(root, clips):
    lost, kept = Path(clips.path[0]), Path(clips.path[1])
    before, stamp = hashlib.sha256(lost.read_bytes()).hexdigest(), kept.stat().st_mtime_ns
    lost.unlink()
    synthetic.ensure(root=root, n_jobs=1, progress=False, **OPTIONS)
    assert hashlib.sha256(lost.read_bytes()).hexdigest() == before
    assert kept.stat().st_mtime_ns == stamp


def test_a_clip_does_not_depend_on_how_many_others_are_made():
    one, many = (synthetic._clips("ravdess", synthetic._Options(actors=n))[0].take for n in (1, 24))
    assert one == many


def test_files_of_an_older_version_are_stale(root, clips):
    folder = root / "actors1-seed0-statements1"
    assert synthetic._current(Path(clips.path[1]), folder)
    older = synthetic._Options(actors=2)
    folder = synthetic._folder(older, root)
    (folder / "clip.wav").write_bytes(b"")
    assert synthetic._current(folder / "clip.wav", folder)
    (folder / "corpus.json").write_text('{"version": 0}')
    synthetic._folder(older, root)
    assert not synthetic._current(folder / "clip.wav", folder)


def test_the_full_corpus_has_the_1440_names_of_ravdess_speech():
    names = dict(synthetic.clip_facts(24, 2, True))
    assert len(names) == 1440
    facts = pd.DataFrame(names.values())
    assert facts.groupby("actor").size().eq(60).all()
    assert set(facts.loc[facts.emotion == "neutral", "intensity"]) == {"normal"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"actors": 0},
        {"actors": 25},
        {"statements": 3},
        {"seed": -1},
        {"leak": "x"},
        {"corpora": ["x"]},
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(SynthesisError):
        synthetic.ensure(root=tmp_path, **wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("loader", [cremad, savee, mead], ids=lambda module: module.__name__[15:])
def test_other_layouts_are_read_by_their_own_loaders(tmp_path, loader):
    name = loader.__name__.rsplit(".", 1)[1]
    clip = synthetic._clips(name, synthetic._Options())[0]
    synthetic._render(clip, tmp_path)
    options = {} if name == "mead" else {"modality": "audiovisual"}
    found = loader.manifest(tmp_path / name, **options)
    assert clip.take.emotion in found["emotion"].tolist()
    assert not found.attrs["problems"]
    planned = {c.take.emotion for c in synthetic._clips(name, synthetic._Options())}
    assert planned == set(loader.CLASSES)

    import av

    with av.open(str(tmp_path / clip.video)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 50
    with av.open(str(tmp_path / clip.video)) as container:
        samples = np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)])
    assert np.abs(samples).max() > 0


def test_fer2013_table_is_read_by_its_loader_and_keeps_people_apart(tmp_path, cache):
    stills.write_fer2013(tmp_path / "fer2013.csv", seed=0, people=3)
    table = fer2013.manifest(tmp_path)
    pictures = fer2013.images(tmp_path)
    assert pictures.shape == (3 * 7 * 2, 48, 48)
    assert pictures.std(axis=(1, 2)).min() > 20
    assert table["emotion"].value_counts().eq(6).all()


def test_face_and_voice_of_a_leak_corpus_say_nothing_about_the_label():
    table = synthetic.cues("segment", actors=24, full=True)
    same = (table["emotion"] == table["shown"]).mean()
    assert same == pytest.approx(1 / 8, abs=0.03)
    assert table["cue"].is_unique


def test_the_actor_leak_is_as_large_as_written_and_gone_on_new_actors():
    table = synthetic.cues("actor", actors=24, full=True)
    leak = synthetic.LEAKS["actor"]
    half = table.index % 2 == 0
    code = table[half].groupby(["actor", "cue"])["emotion"].agg(lambda e: e.mode()[0])
    known = table[~half]
    read = [code.get((row.actor, row.cue)) == row.emotion for row in known.itertuples()]
    assert np.mean(read) == pytest.approx(leak.leaking["clip"], abs=0.05)

    hits = []
    for actor, clips in table.groupby("actor"):
        rest = table[table["actor"] != actor]
        general = rest.groupby("cue")["emotion"].agg(lambda e: e.mode()[0])
        hits += (clips["cue"].map(general) == clips["emotion"]).tolist()
    # Leaving one actor out pushes a guess below chance; what matters is that it never helps.
    assert np.mean(hits) < leak.honest["actor"] + 0.05


@pytest.mark.parametrize("code", [0, 3, 6])
def test_a_cue_can_be_seen_and_heard(code):
    plain = Take(1, "neutral", "Kids are talking by the door", name="x")
    marked = Take(1, "neutral", "Kids are talking by the door", name="x", cue=Cue.coded(code))
    speech = marked.speech()
    frames = [next(iter(take.frames(speech)))[0].astype(float) for take in (plain, marked)]
    face = np.s_[140:280, 180:300]
    ratio = (frames[1][face].mean(-1) + 1) / (frames[0][face].mean(-1) + 1)
    down, across = np.gradient(ratio)
    seen = np.degrees(np.arctan2(down.mean(), across.mean()))
    assert abs((seen - 45 * code + 180) % 360 - 180) < 15

    silence = speech.samples[: int(0.4 * synthetic.RATE)]
    power = np.abs(np.fft.rfft(silence)) ** 2
    hertz = np.fft.rfftfreq(len(silence), 1 / synthetic.RATE)
    bands = [power[(hertz > c / 1.12) & (hertz < c * 1.12)].sum() for c in performance._BANDS]
    assert int(np.argmax(bands)) == code
