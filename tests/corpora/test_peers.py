"""The folds of others deal all 24 actors once, and no actor stands on two sides of a fold."""

from dataclasses import replace
from itertools import product

import pytest

from emolib import paths
from emolib.corpora import CorpusError, ravdess
from emolib.corpora.manifest import build
from emolib.corpora.peers import ACTORS, PEERS, drawn
from emolib.corpora.splits import LeakError, Split, make

every_peer = pytest.mark.parametrize("name", PEERS)


def speech(prefix="03", corpus="ravdess"):
    """The 1,440 clips of RAVDESS speech, by name alone."""
    takes = product(range(1, 9), (1, 2), (1, 2), (1, 2), range(1, 25))
    names = ["-".join(f"{f:02}" for f in (1, *take)) for take in takes if take[:2] != (1, 2)]
    suffix = ".flac" if prefix == "03" else ".mp4"
    rows = [ravdess.parse(paths.PROJECT / f"{prefix}-{name}{suffix}") for name in names]
    return build([row | {"corpus": corpus, "path": "/x"} for row in rows])


def people(split, manifest, fold, part):
    return set(manifest["actor"].iloc[split.indices(manifest, fold, part)])


@every_peer
def test_the_committed_table_is_theirs_and_shares_no_actor(name):
    manifest = speech()
    split = Split.load(f"ravdess-{name}")
    assert split.digest() == make(name, manifest).digest()
    report = split.check(manifest)
    assert sum(report.counts.values()) == report.unused == 0
    tested = []
    for fold, (test, valid) in enumerate(zip(PEERS[name].test, PEERS[name].valid, strict=True)):
        assert people(split, manifest, fold, "test") == set(test)
        assert people(split, manifest, fold, "valid") == set(valid)
        assert people(split, manifest, fold, "train") == set(ACTORS) - set(test) - set(valid)
        tested += test
    assert sorted(tested) == list(ACTORS)
    assert split.n_folds == len(PEERS[name].test)


def test_validation_actors_that_nobody_chose_are_drawn_two_men_and_two_women():
    for name in ("emobox", "hicmae"):
        assert PEERS[name].validation.startswith("drawn")
        assert PEERS[name].valid == drawn(PEERS[name].test)
        for fold in PEERS[name].valid:
            assert [int(actor) % 2 for actor in fold].count(1) == 2 == len(fold) / 2


def test_films_of_the_same_actors_are_dealt_alike():
    films, voices = speech("01"), speech()
    for manifest in (films, voices):
        split = make("luna", manifest)
        assert people(split, manifest, 4, "test") == {"01", "04", "09", "22"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": (("01",), tuple(ACTORS[2:]))}, "02 must be actors from 01 to 24 and tested"),
        ({"test": (ACTORS, ("07",))}, "07 must be actors"),
        ({"test": ((*ACTORS, "25"),)}, "25 must be actors"),
        ({"valid": PEERS["luna"].valid[:4]}, "5 folds test and 4 validate"),
        ({"valid": (("02",), *PEERS["luna"].valid[1:])}, "02 validates in fold 0"),
        ({"valid": ((), *PEERS["luna"].valid[1:])}, "nobody validates in fold 0"),
    ],
)
def test_folds_that_leak_or_leave_somebody_out_are_refused_when_read(changes, message):
    with pytest.raises(CorpusError, match=rf"folds of luna in peers\.yml: .*{message}"):
        replace(PEERS["luna"], **changes)


def test_a_changed_table_is_refused_when_it_is_checked(tmp_path):
    split = Split.load("ravdess-emobox")
    table = split.table.copy()
    moved = table["clip_id"].str.endswith("-01") & (table["fold"] == 0)
    table.loc[moved & table["clip_id"].str.contains("-05-"), "part"] = "train"
    path = tmp_path / "ravdess-emobox.csv"
    table.to_csv(path, index=False)
    with pytest.raises(LeakError, match=r"ravdess-emobox leaks: .*actors"):
        Split.load(path).check(speech())


def test_another_corpus_is_refused():
    with pytest.raises(CorpusError, match=r"manifest has savee: use one of ravdess, paired"):
        make("hicmae", speech(corpus="savee"))
