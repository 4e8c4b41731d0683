"""Every printed number is in the ledger, as the paper prints it."""

import json
import os
import re
from pathlib import Path

import pytest

from emolib import claims, paths, registry
from emolib.audit import PrintedTable
from emolib.claims import ClaimError

LEAST = {"ding": 60, "lu": 110, "yang": 30, "mostafa": 45, "ishtiaq": 10}


@pytest.fixture
def papers():
    """The folder of the papers' texts beside the recordings, or skip."""
    folder = os.environ.get("EMOLIB_DATA")
    texts = Path(folder).resolve().parent / "papers" if folder else None
    if texts is None or not texts.is_dir():
        pytest.skip("needs the papers' texts: a folder 'papers' beside EMOLIB_DATA")
    return texts


@pytest.mark.parametrize("key", registry.PAPERS)
def test_a_paper_has_all_its_claims_with_ids_of_its_own(key):
    ledger = claims.load(key)
    assert len([c for c in ledger if c.own]) >= LEAST[key]
    assert len({c.id for c in ledger}) == len(ledger)
    assert {c.key for c in ledger} == {key}
    for each in ledger:
        assert each.source
        assert each.quantity
        assert each.protocol
        assert each.why


def plain(text):
    """A text without markup, spaces and typographic variants."""
    text = re.sub(r"[*_$\\]|</?\w+>", " ", text)
    variants = {"“": '"', "”": '"', "’": "'", "–": "-", "−": "-", "×": "x"}
    return re.sub(r"\s+", "", text.translate(str.maketrans(variants))).lower()


@pytest.mark.parametrize("key", registry.PAPERS)
def test_every_published_value_stands_in_the_paper(key, papers):
    raw = (papers / f"{key}.txt").read_text(encoding="utf-8")
    text = plain(raw)
    absent = []
    for each in claims.load(key):
        if each.quote:
            if plain(each.quote) not in text:
                absent.append((each.id, each.quote))
        elif each.printed is None:
            if plain(each.published) not in text:
                absent.append((each.id, each.published))
        elif not re.search(rf"(?<![\d.]){re.escape(each.published)}(?!\d|\.\d)", raw):
            absent.append((each.id, each.published))
    assert not absent


@pytest.mark.parametrize("key", ["ding", "lu", "yang", "mostafa"])
def test_every_typed_in_number_stands_in_the_paper(key, papers):
    raw = (papers / f"{key}.txt").read_text(encoding="utf-8")
    for file in sorted((paths.CLAIMS / "tables").glob(f"{key}-*.csv")):
        table = PrintedTable.read(file)
        if table.kind in ("layers", "statements"):
            continue
        for (row, column), printed in table.cells.items():
            if not column.startswith("n "):
                number = re.escape(printed.rstrip("% "))
                assert re.search(rf"(?<![\d.]){number}(?!\d|\.\d)", raw), (file.name, row, column)


def test_a_published_value_must_be_quoted_so_that_its_digits_are_kept(tmp_path):
    file = tmp_path / "ding.yml"
    file.write_text(
        "paper: {key: ding}\nclaims:\n- {id: ding-a, source: s, quantity: q, published: 97.50,"
        " protocol: p, why: w, check: {kind: quoted, reference: r}}\n"
    )
    with pytest.raises(ClaimError, match=r"ding-a.*quote the published value"):
        claims.read(file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdict": "holds"}, "verdict"),
        ({"check": {"kind": "opinion"}}, "opinion"),
        ({"id": "lu-a"}, "another paper"),
        ({"tolerance": -1}, "greater than or equal"),
    ],
)
def test_a_ledger_that_does_not_follow_the_model_is_refused_by_name(claim, tmp_path, change, words):
    import yaml

    entry = json.loads(claim({"kind": "quoted", "reference": "r"}).model_dump_json(by_alias=True))
    file = tmp_path / "ding.yml"
    file.write_text(yaml.safe_dump({"paper": {"key": "ding"}, "claims": [entry | change]}))
    with pytest.raises(ClaimError, match=words) as error:
        claims.read(file)
    assert "ding.yml" in str(error.value)


def test_an_unknown_paper_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(registry.UnknownPaperError, match="unknown paper 'darwin'"):
        claims.load("darwin")
    with pytest.raises(ClaimError, match="no such ledger"):
        claims.read(tmp_path / "ding.yml")


# --- what ties the rows of a ledger to each other ---------------------------------------------


def written(tmp_path, *rows, findings=(), **paper):
    """A ledger of rows that are what the given fields say, read back."""
    plain = {"source": "s", "quantity": "q", "published": "7", "protocol": "p", "why": "w"}
    plain["check"] = {"kind": "quoted", "reference": "r"}
    parts = [[plain | row for row in part] for part in (rows, findings)]
    file = tmp_path / "ding.yml"
    ledger = {"paper": {"key": "ding", **paper}, "claims": parts[0], "findings": parts[1]}
    file.write_text(json.dumps(ledger))
    return claims.read(file)


A, B, C = ({"id": f"ding-{letter}"} for letter in "abc")


@pytest.mark.parametrize(
    ("rows", "findings", "words"),
    [
        ([A | {"same_as": "ding-z"}], [], "same_as names ding-z, which is no claim"),
        ([A | {"same_as": "ding-a"}], [], "leads to no row of its own"),
        ([A, B | {"same_as": "ding-a"}, C | {"same_as": "ding-b"}], [], "no row of its own"),
        ([A, B | {"same_as": "ding-a", "published": "8"}], [], "8  is not 7"),
        ([A, B | {"same_as": "ding-a", "unit": "%"}], [], "7 % is not 7"),
        ([A | {"depends_on": ["ding-z"]}], [], "depends_on names ding-z"),
        ([A | {"depends_on": ["ding-b"]}, B | {"depends_on": ["ding-a"]}], [], "in a circle"),
        ([A | {"leak": ["L4"]}], [], "ding-a.*leak"),
        ([A | {"role": "star"}], [], "ding-a.*role"),
        ([A], [B], "ding-b.*bears_on"),
        ([A], [B | {"bears_on": ["ding-z"]}], "bears_on names ding-z"),
        ([A], [A | {"bears_on": ["ding-a"]}], "two claims are called ding-a"),
        ([A], [B | {"bears_on": ["ding-a"], "own": True}], "ding-b.*own"),
    ],
)
def test_rows_that_name_each_other_wrongly_are_refused(tmp_path, rows, findings, words):
    with pytest.raises(ClaimError, match=words):
        written(tmp_path, *rows, findings=findings)


def test_a_repetition_leads_to_its_fact(tmp_path):
    ledger = written(
        tmp_path,
        A,
        B | {"same_as": "ding-a", "depends_on": ["ding-a"], "leak": ["L3.2"]},
        findings=[C | {"bears_on": ["ding-b"]}],
    )
    assert [claim.fact for claim in ledger.claims] == ["ding-a", "ding-a"]
    assert ledger.findings[0].own is False


@pytest.mark.parametrize("answers", [{"1a": "no"}, dict.fromkeys(claims.reforms().index, "yes")])
def test_reforms_is_answered_whole_and_says_where(tmp_path, answers):
    with pytest.raises(ClaimError, match="reforms"):
        written(tmp_path, A, reforms=answers)


def test_reforms_has_its_32_items_in_8_modules():
    items = claims.reforms()
    assert len(items) == 32
    assert items["module"].nunique() == 8


@pytest.mark.parametrize("key", registry.PAPERS)
def test_a_paper_says_what_it_stands_on_and_who_was_asked(key):
    ledger = claims.ledger_of(key)
    assert ledger.paper.asked_the_authors == "no one has been asked"
    assert set(ledger.paper.reforms) == set(claims.reforms().index)
    headlines = [claim for claim in ledger.claims if claim.role == "headline"]
    assert 5 <= len(headlines) <= 8
    assert all(claim.own and claim.same_as is None for claim in headlines)


def test_the_headlines_fall_with_details():
    every = [claim for key in registry.PAPERS for claim in claims.load(key)]
    assert sum(len(claim.depends_on) for claim in every) >= 40
    for key in registry.PAPERS:
        headlines = [claim for claim in claims.load(key) if claim.role == "headline"]
        assert any(claim.depends_on for claim in headlines), key


@pytest.mark.parametrize("key", ["ding", "lu", "mostafa"])
def test_a_score_of_a_split_that_leaks_says_which_leak(key):
    for claim in claims.load(key):
        if claim.check.kind == "result" and claim.check.split in ("clip", "segment"):
            assert claim.leak, claim.id
        if claim.check.kind == "result" and claim.check.split == "actor":
            assert not claim.leak, claim.id
    assert len(claims.LEAKS) == 8
