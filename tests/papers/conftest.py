"""Synthetic media in the layout of every corpus, rendered once for all tests of the papers."""

import pytest

from emolib import corpora, paths, synthetic

EMOTIONS, ACTORS = ("happy", "sad"), 3


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    """The folder of seven corpora: three people, two emotions, one sentence, a second a clip."""
    folder = synthetic.ensure(
        ACTORS, root=tmp_path_factory.mktemp("media"), corpora=synthetic.CORPORA, statements=1,
        emotions=EMOTIONS, brief=True, silent=True, song=True, n_jobs=1, progress=False,
    )  # fmt: skip
    _as_own_recordings(folder / "ravdess", folder / "table")
    return folder


def _as_own_recordings(ravdess, table):
    """Lay the films of RAVDESS into folders of a reader's own: emotion, speaker, file."""
    for film in ravdess.rglob("01-01-*.mp4"):
        row = corpora.CORPORA["ravdess"].parse(film)
        own = table / row["emotion"] / row["actor"] / film.name
        own.parent.mkdir(parents=True, exist_ok=True)
        own.hardlink_to(film)


@pytest.fixture
def every_corpus(media, monkeypatch):
    """Put these media where corpora are looked for; features are kept for the session."""
    from emolib.corpora import synthetic as talking

    monkeypatch.setenv("EMOLIB_DATA", str(media))
    monkeypatch.setattr(paths, "FEATURES", media.parent / "features")
    monkeypatch.setattr(paths, "RUNS", media.parent / "runs")
    facts = [one for one in synthetic.clip_facts(ACTORS, 1, False) if one[1]["emotion"] in EMOTIONS]
    monkeypatch.setattr(talking, "ensure", lambda *_, **__: media)
    monkeypatch.setattr(talking, "clip_facts", lambda *_: facts)
    return media
