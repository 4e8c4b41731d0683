"""Synthetic media in the layout of every corpus, rendered once for all tests of the papers."""

import pytest

from emolib import paths, synthetic

EMOTIONS, ACTORS = ("happy", "sad"), 3


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    """The folder of six corpora: three people, two emotions, one sentence, a second a clip."""
    return synthetic.ensure(
        ACTORS, root=tmp_path_factory.mktemp("media"), corpora=synthetic.CORPORA, statements=1,
        emotions=EMOTIONS, brief=True, silent=True, song=True, n_jobs=1, progress=False,
    )  # fmt: skip


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
