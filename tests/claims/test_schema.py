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
