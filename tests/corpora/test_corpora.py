import subprocess
import sys

import pytest

from emolib import corpora


def test_the_registry_names_every_corpus_and_imports_it_when_asked():
    assert set(corpora.CORPORA) == set(corpora.SOURCES) and "synthetic" in corpora.CORPORA
    assert corpora.CORPORA["ravdess"].__name__ == "emolib.corpora.ravdess"


def test_an_unknown_corpus_is_refused_with_the_known_ones():
    for call in (corpora.load, corpora.classes, corpora.CORPORA.__getitem__):
        with pytest.raises(corpora.CorpusError, match="'tess': known are ravdess, cremad, savee"):
            call("tess")


@pytest.mark.parametrize(
    ("name", "count", "absent"),
    [
        ("ravdess", 8, {"contempt"}),
        ("cremad", 6, {"calm", "surprised", "contempt"}),
        ("savee", 7, {"calm", "contempt"}),
        ("mead", 8, {"calm"}),
        ("fer2013", 7, {"calm", "contempt"}),
        ("ckplus", 7, {"neutral", "calm"}),
        ("paired", 7, {"calm", "contempt"}),
        ("table", 9, set()),
    ],
)
def test_classes_are_the_corpus_own_emotions_in_one_order(name, count, absent):
    classes = corpora.classes(name)
    assert len(classes) == count and not absent & set(classes)
    assert list(classes) == sorted(classes, key=corpora.EMOTIONS.index)


def test_importing_the_corpora_loads_no_heavy_library():
    heavy = "av soundfile PIL imagehash pooch requests joblib scipy sklearn torch cv2 librosa"
    code = (
        "import sys; from emolib import corpora; from emolib.corpora import splits, download\n"
        "for n in ('ravdess','cremad','savee','mead','fer2013','ckplus','paired','table'):\n"
        "    corpora.CORPORA[n]\n"
        f"print([m for m in {heavy.split()} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
