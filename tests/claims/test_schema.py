"""Every printed number is in the ledger, as the paper prints it."""

import json

import pytest

from emolib import claims, registry
from emolib.claims import ClaimError

LEAST = {"ding": 60, "lu": 110, "yang": 30, "mostafa": 45, "ishtiaq": 10}


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


GOOD = """paper: {key: ding}
claims:
  - id: ding-a
    source: s
    quantity: q
    unit: "%"
    published: "97.50"
    protocol: p
    tolerance: 0.005
    why: w
    check: {kind: quoted, reference: r}
"""
SECOND = GOOD[GOOD.index("  - id") :]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD.encode("utf-16"), 1, "Save the file as UTF-8"),
        (GOOD.encode("utf-16-le"), 1, "Save the file as UTF-8"),
        (GOOD.replace("source: s", "source: é").encode("latin-1"), 4, "Save the file as UTF-8"),
        ("", 1, "Write 'paper:'"),
        ("- a\n", 1, "Write 'paper:'"),
        (GOOD.replace("{kind: quoted", "{kind: [quoted"), 11, "Mend the indentation"),
        (GOOD.replace("paper: {key: ding}\n", ""), 1, "paper: Field required. Add it"),
        (GOOD.replace("key: ding", "title: Ding"), 1, "key: Field required. Add it"),
        (GOOD.replace("key: ding", "key: d1ng"), 1, "paper → key: "),
        (GOOD.replace("key: ding", "key: 5"), 1, "paper → key: "),
        (GOOD.replace("id: ding-a", "id: d1ng-a"), 3, "digits only after the paper's key"),
        (GOOD.replace("id: ding-a", "id: lu-a"), 3, "belongs to another paper than ding"),
        (GOOD.replace("why: w", "why: w\n    verdict: holds"), 11, "verdict: Extra inputs"),
        (GOOD.replace("why: w", "why: w\n    why: v"), 11, "a second 'why'. Delete one"),
        (GOOD.replace("    why: w\n", ""), 3, "why: Field required. Add it"),
        (GOOD + SECOND, 12, "two claims are called ding-a"),
        (
            GOOD.replace('    unit: "%"\n', ""),
            3,
            "a tolerance of 0.005 without a unit: write unit:",
        ),
        (GOOD.replace("0.005", ".inf"), 9, "finite number"),
        (GOOD.replace("0.005", "half"), 9, "valid number"),
        (GOOD.replace('"97.50"', "97.50"), 7, "quote the published value"),
        (GOOD.replace("kind: quoted", "kind: opinion"), 11, "opinion"),
        ("paper: {key: ding}\nclaims:\n- ding-a\n", 3, "claims → 0"),
        ("paper: {key: ding}\nclaims: 3\n", 2, "valid list"),
    ],
)
def test_a_ledger_that_cannot_be_read_is_refused_at_its_line(tmp_path, text, line, words):
    file = tmp_path / "ding.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ClaimError) as error:
        claims.read(file)
    assert f"ding.yml, line {line}: " in str(error.value), error.value
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_well_formed_ledger_is_read(tmp_path):
    (tmp_path / "ding.yml").write_text(GOOD)
    assert [claim.id for claim in claims.read(tmp_path / "ding.yml").claims] == ["ding-a"]


@pytest.mark.parametrize("published", ["3", "0.67"])
def test_a_count_and_a_share_need_no_unit(tmp_path, published):
    text = GOOD.replace('    unit: "%"\n', "").replace("97.50", published)
    (tmp_path / "ding.yml").write_text(text)
    assert claims.read(tmp_path / "ding.yml").claims[0].tolerance == 0.005


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
