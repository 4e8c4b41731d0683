"""A changed digit or two exchanged values are noticed, wherever in the ledger they are."""

import random
import re

import pytest

from emolib import claims, paths, registry
from emolib.claims import sources
from emolib.claims.sources import Source

N = 500
DIGIT = re.compile(r"\d")
UNNOTICED = "run `emolib claims --seal FOLDER` with the papers' texts"


@pytest.fixture(scope="module")
def ledger():
    return [claim for key in registry.PAPERS for claim in claims.load(key)]


@pytest.fixture(scope="module")
def known():
    """Sources, tables and seals, as a check of one claim takes them."""
    return sources.read(), sources.typed_tables(), sources.read_seals()


def another_digit(rng, text):
    """Return a text with one of its digits changed."""
    at = rng.choice([match.start() for match in DIGIT.finditer(text)])
    return text[:at] + rng.choice([d for d in "0123456789" if d != text[at]]) + text[at + 1 :]


def test_no_changed_digit_of_a_value_or_a_quote_passes(ledger, known):
    rng = random.Random(0)
    places = [(c, name) for c in ledger for name in ("published", "quote")]
    places = [(c, name) for c, name in places if DIGIT.search(getattr(c, name) or "")]
    passed, read_off = [], []
    for _ in range(N):
        claim, name = rng.choice(places)
        changed = claim.model_copy(update={name: another_digit(rng, getattr(claim, name))})
        if not sources.fault(changed, *known):
            passed.append((claim.id, name))
        if name == "published" and not sources.fault(changed, *known[:2]):
            read_off.append(claim.id)
    assert not passed, UNNOTICED
    assert not read_off, "reading the value off again did not notice"


def test_no_changed_digit_of_a_typed_in_table_passes(known):
    rng = random.Random(1)
    _, tables, seals = known
    places = [(stem, name) for stem, one in tables.items() for name in one.lines]
    places = [(stem, name) for stem, name in places if DIGIT.search(tables[stem].lines[name])]
    passed = []
    for _ in range(N):
        stem, name = rng.choice(places)
        line = tables[stem].lines[name]
        changed = sources.Typed(tables[stem].table, {name: another_digit(rng, line)})
        if not sources.table_faults(changed, seals):
            passed.append(name)
    assert not passed, UNNOTICED


def test_a_changed_cell_is_noticed_by_the_claims_that_are_read_off_it(ledger, known):
    rng = random.Random(2)
    rows, tables, _ = known
    cells = [c for c in ledger if rows[c.id].table and DIGIT.search(c.published)]
    for claim in rng.sample(cells, 100):
        source = rows[claim.id]
        text = (paths.CLAIMS / "tables" / f"{source.table}.csv").read_text(encoding="utf-8")
        table = sources.typed(source.table, text).table
        place = source.row, source.column
        table.cells[place] = another_digit(rng, table.cells[place])
        changed = tables | {source.table: sources.Typed(table, {})}
        assert sources.fault(claim, rows, changed), claim.id


def test_no_two_exchanged_values_of_a_paper_pass(ledger, known):
    rng = random.Random(3)
    papers = {key: [c for c in ledger if c.key == key] for key in registry.PAPERS}
    passed, read_off = [], []
    for _ in range(N):
        first = rng.choice(ledger)
        second = rng.choice([c for c in papers[first.key] if c.published != first.published])
        pair = [
            first.model_copy(update={"published": second.published}),
            second.model_copy(update={"published": first.published}),
        ]
        if not any(sources.fault(claim, *known) for claim in pair):
            passed.append((first.id, second.id))
        exact = any(known[0][claim.id] != Source(claim.id) for claim in pair)
        if exact and not any(sources.fault(claim, *known[:2]) for claim in pair):
            read_off.append((first.id, second.id))  # words may both stand in one quote
    assert not passed, UNNOTICED
    assert not read_off, "reading the values off again did not notice"


def test_two_exchanged_values_of_one_quote_are_noticed(ledger, known):
    by_quote = {}
    for claim in ledger:
        if claim.quote and known[0][claim.id].number:
            by_quote.setdefault((claim.key, claim.quote), {})[claim.published] = claim
    shared = [list(each.values())[:2] for each in by_quote.values() if len(each) > 1]
    assert shared
    for first, second in shared:
        changed = first.model_copy(update={"published": second.published})
        assert sources.fault(changed, *known[:2]), first.id
