"""Every published value can be read off its source again, and is as it was sealed."""

import pytest

from emolib import claims, paths, registry
from emolib.claims import ClaimError, sealing, sources
from emolib.claims.sources import Source

PAPER = """Abstract: 97.50% of two actors on 7,356 files, an $80/20$ split.
TABLE I
SCORES
Author	Data	Acc. (%)	F1
Ours [1]	Speech	97.50	<b>0.90</b>
	Song	91.00	0.80
"""
TYPED = '# kind: numbers\nauthor,Acc,F1\n"Ours, speech",97.50,0.90\n"Ours, song",91.00,0.80\n'


@pytest.fixture(scope="module")
def ledger():
    return [claim for key in registry.PAPERS for claim in claims.load(key)]


def test_every_value_quote_and_typed_in_line_is_as_it_was_sealed(ledger):
    assert not sources.faults(ledger)


@pytest.mark.parametrize("key", registry.PAPERS)
def test_values_and_tables_stand_in_the_paper(key, papers, ledger):
    text = sealing.Text((papers / f"{key}.txt").read_text(encoding="utf-8"))
    known, tables = sources.read(), sources.typed_tables()
    mine = [claim for claim in ledger if claim.key == key]
    assert not [p for c in mine if (p := sealing.unfound(c, known, tables, text, {}))]
    own = {stem: one.table for stem, one in tables.items() if stem.startswith(f"{key}-")}
    assert not [each for stem, table in own.items() for each in sealing.absent(stem, table, text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("80/20", ["80", "20"]),
        ("60–80%", ["60", "80"]),
        ("~10% of 7,356", ["10", "7356"]),
        ("112² × 16", ["112", "16"]),
        ("−1.84 and -2, but CREMA-7", ["-1.84", "-2", "7"]),
        ("2-layer, 1D CNN", ["2", "1"]),
        ("four male actors, threefold, null FLOPs", ["4", "3", "0"]),
        ("97.50", ["97.50"]),
        ("none, often", []),
    ],
)
def test_numbers_are_read_as_papers_print_them(text, found):
    assert sources.numbers(text) == found


@pytest.mark.parametrize(
    ("published", "quote", "source", "well"),
    [
        ("80/20", "an 80/20 split", {"number": "1"}, True),
        ("20", "an 80/20 split", {"number": "1"}, False),
        ("20", "an 80/20 split", {"number": "2"}, True),
        ("7356", "7,356 files", {"number": "1"}, True),
        ("97.5", "97.50%", {"number": "1"}, False),
        ("best", "the best one", {}, True),
        ("worst", "the best one", {}, False),
        ("1", "lower cost", {"means": "1"}, True),
        ("2", "lower cost", {"means": "1"}, False),
        ("2", None, {"words": "two actors", "number": "1"}, True),
        ("3", None, {"number": "1"}, False),
        ("97.50", None, {"table": "t-table1", "row": "Ours, speech", "column": "accuracy"}, True),
        ("91.00", None, {"table": "t-table1", "row": "Ours, speech", "column": "accuracy"}, False),
        ("97.50", None, {"table": "t-table1", "row": "Ours", "column": "accuracy"}, False),
        ("97.50", None, {"table": "t-table7", "row": "Ours, speech", "column": "accuracy"}, False),
    ],
)
def test_a_value_is_compared_with_what_stands_at_its_source(claim, published, quote, source, well):
    tables = {"t-table1": sources.typed("t-table1", TYPED)}
    one = claim({"kind": "quoted", "reference": "r"}, published=published, quote=quote)
    problem = sources.fault(one, {one.id: Source(one.id, **source)}, tables)
    assert (problem == "") is well
    assert well or (one.id in problem and "emolib claims --seal" in problem)


def test_a_new_claim_is_named_with_the_command_that_gives_it_a_source(claim):
    problem = sources.fault(claim({"kind": "quoted", "reference": "r"}), {}, {}, {})
    assert "ding-test-claim has no row" in problem
    assert "emolib claims --seal FOLDER" in problem


@pytest.mark.parametrize(
    ("quote", "published", "number"),
    [("97.50% of two actors", "2", "2"), ("97.50% of two actors", "97.50", "1")],
)
def test_a_quote_that_holds_the_value_is_its_source(claim, quote, published, number):
    one = claim({"kind": "quoted", "reference": "r"}, published=published, quote=quote)
    found = sealing.locate(one, {})
    assert found == Source(one.id, number=number)
    text = sealing.Text(PAPER)
    assert not sealing.unfound(one, {one.id: found}, {}, text, {})
    elsewhere = sealing.unfound(one, {one.id: found}, {}, sealing.Text("nothing"), {})
    assert "is not in ding.txt" in elsewhere


def test_what_no_quote_and_no_cell_holds_is_refused_by_name(claim):
    one = claim({"kind": "quoted", "reference": "r"}, published="5", quote="of two actors")
    assert sealing.locate(one, {}) is None
    assert "ding-test-claim" in sealing.unfound(one, {one.id: None}, {}, None, {})


@pytest.mark.parametrize(
    ("typed", "lacks"),
    [
        (TYPED, 0),
        (TYPED.replace("91.00", "92.00"), 1),
        (TYPED.replace("97.50,0.90", "0.90,97.50"), 1),
        (TYPED.replace("speech", "x").replace("song", "speech").replace(", x", ", song"), 2),
        ("\n".join([*TYPED.split("\n")[:2], *TYPED.split("\n")[3:1:-1]]), 1),
        (TYPED + "# accuracy: 97.50 %\n", 0),
        ("# accuracy: 97.51 %\n" + TYPED, 1),
    ],
)
def test_a_typed_in_row_must_stand_in_a_line_of_the_printed_table(typed, lacks):
    table = sources.typed("t-table1", typed).table
    assert len(sealing.absent("t-table1", table, sealing.Text(PAPER))) == lacks


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the ledger that may be changed."""
    import shutil

    shutil.copytree(paths.CLAIMS, tmp_path / "claims")
    monkeypatch.setattr(paths, "CLAIMS", tmp_path / "claims")
    return tmp_path / "claims"


def test_without_a_paper_s_text_nothing_of_it_is_sealed_anew(copied, tmp_path):
    (tmp_path / "ishtiaq.txt").write_text("nothing")
    with pytest.raises(ClaimError, match=r"ishtiaq-abstract-encoder-saving.*is not in ishtiaq.txt"):
        claims.seal(tmp_path)
    with pytest.raises(ClaimError, match="no paper's text"):
        claims.seal(tmp_path / "nowhere")
    file = copied / "ding.yml"
    before = (copied / "seals.csv").read_text()
    file.write_text(file.read_text().replace('published: "97.57"', 'published: "97.58"', 1))
    (tmp_path / "ishtiaq.txt").write_text("")
    with pytest.raises(ClaimError, match="ding-abstract-accuracy-savee"):
        claims.seal(tmp_path)
    assert (copied / "seals.csv").read_text() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("claim,table", "claim,tables"), "line 1: the columns must be"),
        (("ding-abstract-audio-layers,,,,,1,", "ding-abstract-audio-layers,,,,,x,"), "line 2: 'x'"),
        (("ding-abstract-audio-layers,,,,,1,", "ding-abstract-audio-layers,1,"), "line 2: "),
        (("ding-abstract-video-layers,", "ding-abstract-audio-layers,"), "line 3: a second source"),
    ],
)
def test_sources_that_cannot_be_read_are_refused_at_their_line(copied, change, words):
    file = copied / "sources.csv"
    file.write_text(file.read_text().replace(*change, 1))
    with pytest.raises(ClaimError, match=words) as error:
        sources.read()
    assert "\n" not in str(error.value)


def test_sealing_twice_changes_nothing(copied, papers):
    files = ("sources.csv", "seals.csv")
    before = [(copied / name).read_text() for name in files]
    assert "Sealed" in claims.seal(papers)
    assert [(copied / name).read_text() for name in files] == before
