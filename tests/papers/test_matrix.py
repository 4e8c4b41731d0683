"""Every paper on every corpus: each modality reaches the network, or its medium is missing."""

import numpy as np
import pytest
import torch

from emolib import corpora, models, paths
from emolib.corpora import CorpusError
from emolib.errors import EmolibError
from emolib.papers import engine, streams
from emolib.registry import PAPERS
from emolib.synthetic import apex_frame, media

#: What a corpus has not got; everything else must load.
LACKS = {
    "savee": {"text"},
    "mead": {"text"},
    "fer2013": {"audio", "text"},
    "ckplus": {"audio", "text"},
}
EMOTIONS = {"happy": (3, "HAP", "h"), "sad": (4, "SAD", "sa")}  # RAVDESS, CREMA-D, SAVEE
#: Ordinary MFCC, for those of a fractional order take seconds a clip.
DATA = {"yang": {"order": 1.0}}
MODEL = {"yang": {"spatial": "features"}}
RATE = 48_000


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two short films, and their sound, under the names of every corpus."""
    root = tmp_path_factory.mktemp("recordings")
    times = np.arange(2 * RATE) / RATE
    voice = (0.3 * np.sin(2 * np.pi * 220 * times) * np.sin(3 * times)).astype(np.float32)
    for number, (emotion, (code, cremad, savee)) in enumerate(EMOTIONS.items(), 1):
        face, _ = apex_frame(1, emotion, height=240)
        ravdess, filmed = "ravdess/Actor_01", f"{emotion}/level_1/001"
        take = f"01-{code:02}-01-01-01-01"
        for film, sound in (
            (f"{ravdess}/01-{take}.mp4", f"{ravdess}/03-{take}.wav"),
            (f"cremad/VideoFlash/1001_DFA_{cremad}_XX.flv", ""),
            (f"savee/DC/{savee}01.avi", f"savee/DC/{savee}01.wav"),
            (f"mead/M003/video/front/{filmed}.mp4", f"mead/M003/audio/{filmed}.wav"),
        ):  # fmt: skip
            (root / film).parent.mkdir(parents=True, exist_ok=True)
            media.write_media(root / film, [face] * 12, 6, voice, RATE)
            if sound:
                (root / sound).parent.mkdir(parents=True, exist_ok=True)
                media.write_wav(root / sound, voice, RATE)
        _write_pictures(root, emotion, number)
    return root


def _write_pictures(root, emotion, number):
    """Write 24 pictures, one for each actor of RAVDESS, into FER2013, and three into CK+."""
    from PIL import Image

    pictures = np.random.default_rng(number).integers(0, 256, (24, 48, 48), np.uint8)
    for name, some in (("fer2013/train", pictures), ("fer2013/test", pictures[:1, ::-1]),
                       ("ckplus", pictures[:3])):  # fmt: skip
        folder = root / name / emotion
        folder.mkdir(parents=True)
        for frame, picture in enumerate(some):
            Image.fromarray(picture).save(folder / f"S010_{number:03}_{frame:08}.png")


@pytest.fixture
def folder_of(recordings, monkeypatch):
    """Return the root that a corpus is loaded with; features are kept for the module."""
    from emolib.corpora import synthetic

    monkeypatch.setattr(paths, "FEATURES", recordings.parent / "features")
    facts = {"actor": 1, "intensity": "normal", "statement": 1, "repetition": 1}
    names = [(f"01-{code:02}-01-01-01-01", facts | {"emotion": emotion})
             for emotion, (code, *_) in EMOTIONS.items()]  # fmt: skip
    monkeypatch.setattr(synthetic, "ensure", lambda *_, **__: recordings)
    monkeypatch.setattr(synthetic, "clip_facts", lambda *_: names)
    return lambda corpus: recordings if corpus in ("paired", "synthetic") else recordings / corpus


@pytest.mark.parametrize("corpus", corpora.CORPORA)
@pytest.mark.parametrize("key", PAPERS)
def test_a_corpus_reaches_the_network_or_has_no_such_medium(key, corpus, folder_of):
    module = engine.paper(key)
    has = set(module.declare(streams.Request(corpus, "audio")).streams)
    offered = [name for name, inputs in streams.MODALITIES.items() if set(inputs) <= has]
    for modality in offered:
        root, lacking = folder_of(corpus), LACKS.get(corpus, set())

        def load(modality=modality, root=root):
            options = {"root": root, "n_jobs": 1, "progress": False, **DATA.get(key, {})}
            return module.load(corpus, modality, "quick", **options)

        wanted = streams.MODALITIES[modality]
        if lacking & set(wanted):
            words = corpora.sources.MEDIA[next(name for name in wanted if name in lacking)]
            with pytest.raises(CorpusError, match=f"has no {words}: it has "):
                load()
            continue
        data = load()
        assert data.classes == ("happy", "sad"), modality
        assert data.features["clips_left_out"] == 0, modality
        model = models.build(key, 2, modality=modality, **MODEL.get(key, {})).eval()
        some = data.samples.take(np.arange(2))
        with torch.inference_mode():
            answers = model(**data.prepare(dict(some.inputs), None))
        assert answers.shape == (2, 2), modality
        assert answers.isfinite().all(), modality


def test_a_picture_is_shown_as_often_as_the_network_wants_frames(folder_of):
    load = engine.paper("ishtiaq").load
    posed, found = (load(name, "video", root=folder_of(name)) for name in ("ckplus", "fer2013"))
    shown = posed.samples.inputs["video"]
    assert shown.shape == (6, 1, 3, 1, 48, 48)
    assert torch.equal(shown[:, 0, 0], shown[:, 0, 2])
    assert found.images.shape == (50, 1), "whose faces these are is not known: look-alikes count"
    assert posed.images is None, "whose faces these are is known"


def test_a_paired_clip_is_one_picture_that_moves_and_training_may_draw_another(folder_of):
    data = engine.paper("lu").load("paired", "video", root=folder_of("paired"), draws=2)
    shown = data.samples.inputs["video"].float()
    assert shown.shape == (2, 2, 15, 1, 48, 48)
    assert data.images.shape == (2, 2), "what training may draw counts as shown"
    assert not torch.equal(shown[:, 0, 0], shown[:, 0, 1])


def test_a_silent_film_is_heard_in_its_sound_file(recordings, tmp_path, folder_of):
    actor = tmp_path / "ravdess" / "Actor_01"
    actor.mkdir(parents=True)
    face, _ = apex_frame(1, "happy", height=240)
    media.write_media(actor / "02-01-03-01-01-01-01.mp4", [face] * 12, 6, None, RATE)
    load = engine.paper("mostafa").load
    with pytest.raises(EmolibError, match="no sound stream"):
        load("ravdess", "both", root=tmp_path / "ravdess", n_jobs=1, progress=False)
    sound = actor / "03-01-03-01-01-01-01.wav"
    sound.hardlink_to(recordings / "ravdess" / "Actor_01" / sound.name)
    heard = load("ravdess", "both", root=tmp_path / "ravdess", n_jobs=1, progress=False)
    assert heard.manifest["clip_id"].tolist() == ["02-01-03-01-01-01-01"]
    alone = load("ravdess", "audio", root=tmp_path / "ravdess", n_jobs=1, progress=False)
    assert torch.equal(heard.samples.inputs["audio"], alone.samples.inputs["audio"])
