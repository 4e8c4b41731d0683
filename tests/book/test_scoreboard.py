"""The scoreboard: every claim once, links that lead somewhere, a filter that filters."""

import re
from html.parser import HTMLParser
from urllib.parse import urldefrag

import pandas as pd
import pytest

from emolib import claims, paths, registry, results
from emolib.book import scoreboard
from emolib.claims import VERDICTS


def claim(name: str, **given) -> dict:
    """One row of a ledger."""
    row = {
        "id": name, "paper": name.partition("-")[0], "source": "Table I", "quantity": "accuracy",
        "unit": "%", "published": "97.50", "measured": float("nan"), "interval": None,
        "verdict": "reproduced", "why": "It is so.", "settle_with": "", "own": True,
        "strength": "exact count", "overturned_by": "a correction", "tier": "recomputed",
        "role": "detail", "fact": name, "new_people": float("nan"), "new_people_interval": None,
    }  # fmt: skip
    run = {"split": "", "leak": "", "seeds": 0, "folds": 0, "n_folds": 0, "result": ""}
    return row | run | {f"new_people_{key}": value for key, value in run.items()} | given


@pytest.fixture
def ledger() -> pd.DataFrame:
    """Six claims of three papers."""
    rows = [
        claim("ding-a-one", measured=66584.0),
        claim(
            "ding-b-two", verdict="not reproduced", quantity="memory <script>alert('&')</script>"
        ),
        claim("ding-c-three", verdict="awaits data", settle_with="emolib data get a && b"),
        claim("lu-a-one", verdict="contradicted", quantity="UAR of the voice"),
        claim("lu-b-quoted", verdict="awaits data", own=False),
        claim("yang-a-one", verdict="not stated", measured=61.2, result="yang/voice"),
    ]
    return pd.DataFrame(rows)


class Page(HTMLParser):
    """Ids, links, texts of cells and tags that are open at the end."""

    VOID = ("br", "input", "img")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids, self.links, self.open, self.labels = [], [], [], 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given["href"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_claim_appears_once(ledger):
    page = Page(scoreboard.scoreboard(ledger)._repr_html_())
    assert [name for name in page.ids if name.startswith("claim-")] == [
        f"claim-{name}" for name in ledger["id"]
    ]
    assert page.open == []


def test_every_claim_of_the_five_papers_appears_once_on_a_light_page():
    # The verdicts are claims' business; here it is enough that each claim has its row.
    rows = [
        claim(
            one.id, source=one.source, quantity=one.quantity, unit=one.unit, own=one.own,
            published=one.published, why="A reason as long as reasons are. " * 4,
        )
        for key in registry.PAPERS for one in claims.load(key)
    ]  # fmt: skip
    text = scoreboard.scoreboard(pd.DataFrame(rows))._repr_html_()
    ids = [name for name in Page(text).ids if name.startswith("claim-")]
    assert len(ids) == len(set(ids)) == len(rows)
    assert len(text.encode()) < 1_500_000


def test_nothing_in_the_ledger_becomes_markup(ledger):
    text = scoreboard.scoreboard(ledger)._repr_html_()
    assert "<script>alert" not in text
    assert "memory &lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;" in text
    assert "get a &amp;&amp; b" in text


def test_counts_add_up_and_keep_quoted_numbers_apart(ledger):
    board = scoreboard.scoreboard(ledger)
    assert board.counts().to_numpy().sum() == 5
    assert board.counts(own=False).to_numpy().sum() == 1
    assert board.counts().loc["ding"].to_dict() == dict.fromkeys(VERDICTS, 0) | {
        "reproduced": 1, "not reproduced": 1, "awaits data": 1,
    }  # fmt: skip
    assert list(board.counts().index) == ["ding", "lu", "yang"]


def test_links_to_chapters_lead_to_a_verdict_that_is_there(ledger):
    links = {
        link
        for link in Page(scoreboard.scoreboard(ledger)._repr_html_()).links
        if not link.startswith(("#", ".."))
    }
    assert "ding.html#ding-verdict" in links
    for link in links:
        page, label = urldefrag(link)
        notebook = paths.PROJECT / "notebooks" / page.replace(".html", ".ipynb")
        assert f"({label})=" in notebook.read_text()


def test_a_paper_without_a_chapter_has_no_link(ledger, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "data" / "results")
    board = scoreboard.scoreboard(ledger)
    assert board.chapters == {}
    assert "ding.html" not in board._repr_html_()


def test_a_result_is_linked_beside_its_provenance(ledger):
    text = scoreboard.scoreboard(ledger)._repr_html_()
    assert '<a href="../data/results/yang/voice.json">61.2</a>' in text
    assert f'href="#{scoreboard.anchor("yang/voice")}"' in text


def test_links_to_committed_results_lead_to_files_and_to_lines_of_provenance(ledger, monkeypatch):
    committed = results.load_all()
    monkeypatch.setattr(results, "load_all", lambda: committed)
    table = scoreboard.provenance(ledger)
    page = Page(table._repr_html_())
    assert len(table.frame) == len(committed)
    for link in page.links:
        assert (paths.PROJECT / "notebooks" / link).resolve().is_file()
    for result in committed:
        assert scoreboard.anchor(f"{result.key}/{result.experiment}") in page.ids


def test_the_page_loads_nothing_and_calls_no_one(ledger):
    text = scoreboard.scoreboard(ledger)._repr_html_()
    assert not re.search(r"https?://|\bsrc=|fetch\(|import\(", text)


@pytest.fixture
def page(browser, ledger, tmp_path):
    """The scoreboard in a browser that has no network; a script that fails fails the test."""
    file = tmp_path / "board.html"
    body = scoreboard.scoreboard(ledger)._repr_html_()
    file.write_text(f"<!doctype html><html lang=en><meta charset=utf-8><body>{body}</body></html>")
    context = browser.new_context(offline=True)
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert faults == []


def visible(page) -> list[str]:
    """The ids of the claims that are shown."""
    return page.eval_on_selector_all(
        ".emolib-ledger tbody tr:not([hidden])", "rows => rows.map(r => r.id.slice(6))"
    )


@pytest.mark.browser
def test_the_filter_works_in_a_browser_without_a_network(page, ledger):
    status = page.get_by_role("status")
    assert visible(page) == ledger["id"].tolist()

    page.select_option("[name=paper]", "ding")
    assert visible(page) == ["ding-a-one", "ding-b-two", "ding-c-three"]
    assert status.inner_text() == "3 of 6 claims"

    page.select_option("[name=verdict]", "awaits data")
    assert visible(page) == ["ding-c-three"]

    page.get_by_role("button", name="Show all", exact=True).click()
    page.fill("[name=words]", "uar VOICE")
    assert visible(page) == ["lu-a-one"]

    page.fill("[name=words]", "")
    page.select_option("[name=own]", "quoted")
    assert visible(page) == ["lu-b-quoted"]
    assert status.inner_text() == "1 of 6 claims"


@pytest.mark.browser
def test_a_filter_can_be_sent_as_a_link_and_a_linked_claim_is_never_hidden(page):
    page.select_option("[name=paper]", "lu")
    page.fill("[name=words]", "UAR")
    link = page.evaluate("location.href")  # page.url lags behind replaceState
    page.goto("about:blank")
    page.goto(link)
    assert visible(page) == ["lu-a-one"]
    assert page.input_value("[name=words]") == "UAR"

    page.evaluate("location.hash = '#claim-ding-a-one'")
    page.wait_for_function("!document.getElementById('claim-ding-a-one').hidden")
    assert len(visible(page)) == 6


@pytest.mark.browser
def test_counts_and_filters_are_reached_and_used_by_keyboard(page):
    page.get_by_role("button", name="Show 1 claims: ding, not reproduced, own").focus()
    page.keyboard.press("Enter")
    assert visible(page) == ["ding-b-two"]
    page.focus("[name=paper]")
    reached = []
    for _ in range(4):
        reached.append(page.evaluate("document.activeElement.name"))
        page.keyboard.press("Tab")
    assert reached == ["paper", "verdict", "own", "words"]
    page.keyboard.press("Enter")  # on "Show all"
    page.wait_for_function("document.querySelectorAll('.emolib-ledger tr[hidden]').length === 0")
