"""Counts of the networks are kept with the code that they were counted from."""

import json

import pytest

from emolib import claims, models, paths, registry
from emolib.claims import bench

RENEW = "run `emolib claims --recount` and commit data/claims/counts.json"


@pytest.fixture
def counting(monkeypatch):
    """The networks that are built to be counted."""
    built = []
    build = models.build
    monkeypatch.setattr(models, "build", lambda key, **o: built.append((key, o)) or build(key, **o))
    bench._count.cache_clear()
    yield built
    bench._count.cache_clear()


@pytest.mark.parametrize("key", registry.PAPERS)
def test_the_committed_counts_are_of_this_code(key):
    assert bench.stored_counts()[key]["code"] == bench.code_digest(key), RENEW


@pytest.mark.parametrize("key", registry.PAPERS)
def test_every_count_that_a_claim_compares_with_is_committed(key, counting, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    here = claims.Bench(key)
    for claim in claims.load(key):
        if claim.check.kind in ("cost", "layers", "formula"):
            claims.judge(claim, here)
    assert not counting, RENEW


def test_a_committed_count_is_what_the_network_counts(counting):
    stored, live = (
        bench.CountedNetwork("ding", counts) for counts in (bench.stored_counts()["ding"], {})
    )
    assert stored.numbers({}, {}) == live.numbers({}, {}), RENEW
    assert stored.layers({}).equals(live.layers({})), RENEW
    assert stored.options == live.options, RENEW
    assert live.numbers({}, {})["macs"] == live.layers({})["macs"].sum() == 7_162_368
    assert counting == [("ding", {})]


def test_counts_of_other_code_are_not_used(counting):
    old = bench.stored_counts()["ding"] | {"code": "0" * 16}
    assert bench.CountedNetwork("ding", old).numbers({}, {})["parameters"] == 66_584
    assert counting == [("ding", {})]


def test_a_recount_writes_what_the_claims_ask_for(monkeypatch, tmp_path):
    committed = bench.stored_counts()["ding"]
    monkeypatch.setattr(registry, "PAPERS", {"ding": registry.PAPERS["ding"]})
    for file in paths.CLAIMS.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.setattr(paths, "CLAIMS", tmp_path)
    assert json.loads(claims.recount().read_text()) == {"ding": committed}, RENEW


@pytest.mark.parametrize("changed", ["devices/cost.py", "models/ding.py", "models/layers.py"])
def test_a_digest_changes_with_the_code_that_counts(changed, monkeypatch, tmp_path):
    for folder in ("devices", "models"):
        (tmp_path / folder).mkdir()
    for file in ("devices/cost.py", "models/ding.py", "models/layers.py"):
        (tmp_path / file).write_bytes((paths.PACKAGE / file).read_bytes())
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    before = bench.code_digest("ding")
    (tmp_path / changed).write_text("# another")
    assert bench.code_digest("ding") != before
