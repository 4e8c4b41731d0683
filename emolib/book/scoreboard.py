"""The scoreboard: every claim of the five papers on one page that needs no kernel and no network.

The page is plain HTML. Without JavaScript it shows the whole ledger; with it (a few lines, inside
the page) a reader filters by paper, verdict, origin and words. Filters stand in the address, so
that a link leads to what its sender saw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from emolib import paths, registry, results
from emolib.book.tables import Table, badge, cell, number
from emolib.claims import VERDICTS, ledger

#: What the papers are called, in the order of the book.
PAPERS = {key: paper.name for key, paper in registry.PAPERS.items()}
#: Colour of a verdict in a figure; the darker, the heavier.
COLORS = dict(zip(VERDICTS, ("#1b7f79", "#e08a3c", "#7a1030", "#9aa0a6", "#d5e0f2"), strict=True))


@dataclass(frozen=True)
class Scoreboard:
    """The ledger of `emolib.claims.table` with links, counts and a filter.

    Attributes
    ----------
    ledger : DataFrame
        One row a claim, with the columns of `emolib.claims.table`.
    chapters : mapping of str to str
        Address of the verdict of each paper that has a chapter.
    results : mapping of str to str
        Address of each result file, by ``key/experiment``.
    """

    ledger: pd.DataFrame
    chapters: Mapping[str, str]
    results: Mapping[str, str]

    def counts(self, *, own: bool | None = True) -> pd.DataFrame:
        """Return how many claims of each paper (rows) got each verdict (columns)."""
        table = self.ledger if own is None else self.ledger[self.ledger["own"] == own]
        papers = ledger.tally(self.ledger).index
        return ledger.tally(table).reindex(papers, fill_value=0)

    def _repr_html_(self) -> str:
        return (
            '<section class="emolib-scoreboard" aria-label="Scoreboard of claims">'
            f"{self._counts_html()}{self._form_html()}{self._ledger_html()}"
            f"<script>{SCRIPT}</script></section>"
        )

    def __repr__(self) -> str:
        """Return the counts as text."""
        return f"{len(self.ledger)} claims\n{self.counts(own=None)}"

    def _counts_html(self) -> str:
        own, every = self.counts(), self.counts(own=None)
        quoted = every.sum(axis=1) - own.sum(axis=1)
        head = "".join(f'<th scope="col">{badge(name)}</th>' for name in own)
        rows = []
        for key in (*own.index, ""):
            part = own.loc[key] if key else own.sum()
            cells = "".join(
                f'<td data-paper="{cell(key)}" data-verdict="{cell(name)}" data-own="own">{n}</td>'
                for name, n in part.items()
            )
            total = quoted[key] if key else quoted.sum()
            rows.append(
                f'<tr><th scope="row">{self._paper(key) if key else "all five"}</th>{cells}'
                f'<td data-paper="{cell(key)}" data-verdict="" data-own="own">{part.sum()}</td>'
                f'<td data-paper="{cell(key)}" data-verdict="" data-own="quoted">{total}</td></tr>'
            )
        return (
            '<p class="emolib-caption">The papers\' own claims by verdict; the last column counts '
            "the numbers they quote from others.</p>"
            '<div class="emolib-scroll" role="region" aria-label="Counts of claims" tabindex="0">'
            '<table class="dataframe emolib-table emolib-counts">'
            f'<thead><tr><th scope="col">paper</th>{head}<th scope="col">own claims</th>'
            '<th scope="col">quoted</th></tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>"
        )

    def _form_html(self) -> str:
        def menu(name: str, label: str, options: Sequence[tuple[str, str]]) -> str:
            inside = "".join(
                f'<option value="{cell(v)}">{cell(text)}</option>' for v, text in options
            )
            return f'<label>{label} <select name="{name}">{inside}</select></label>'

        papers = [("", "all papers"), *((k, PAPERS.get(k, k)) for k in self.counts().index)]
        verdicts = [("", "all verdicts"), *((name, name) for name in VERDICTS)]
        origins = [("", "own and quoted"), ("own", "the paper's own"), ("quoted", "quoted")]
        n = len(self.ledger)
        # Hidden until the script runs: a filter that does nothing would be a broken promise.
        return (
            '<form class="emolib-filter" role="search" aria-label="Filter the claims" hidden>'
            f"{menu('paper', 'Paper', papers)}{menu('verdict', 'Verdict', verdicts)}"
            f"{menu('own', 'Origin', origins)}"
            '<label>Words <input type="search" name="words" placeholder="accuracy RAVDESS" '
            'autocomplete="off"></label><button type="reset">Show all</button>'
            f'<output role="status" aria-live="polite">{n} of {n} claims</output></form>'
        )

    def _ledger_html(self) -> str:
        columns = ("claim", "printed", "measured", "verdict and why")
        head = "".join(f'<th scope="col">{name}</th>' for name in columns)
        body = "\n".join(self._row(claim) for claim in self.ledger.itertuples())
        return (
            '<div class="emolib-scroll emolib-tall" role="region" aria-label="Claims" tabindex="0">'
            f'<table class="dataframe emolib-table emolib-ledger"><thead><tr>{head}</tr></thead>'
            f"<tbody>\n{body}\n</tbody></table></div>"
        )

    def _row(self, claim) -> str:
        name = f"claim-{cell(claim.id)}"
        printed = " ".join(filter(None, (cell(claim.published), cell(claim.unit))))
        measured = number(claim.measured)
        if claim.result:
            measured = (
                f'<a href="{cell(self.results[claim.result])}">{measured}</a>'
                f'<br><a class="emolib-note" href="#{anchor(claim.result)}">provenance</a>'
            )
        why = cell(claim.why)
        if claim.settle_with:
            command = f"<code>{cell(claim.settle_with)}</code>"
            why += f"<details><summary>settle it</summary>{command}</details>"
        origin = "own" if claim.own else "quoted"
        quoted = "" if claim.own else " (quoted)"
        return (
            f'<tr id="{name}" data-paper="{cell(claim.paper)}" '
            f'data-verdict="{cell(claim.verdict)}" data-own="{origin}">'
            f'<th scope="row"><span class="emolib-note">{self._paper(claim.paper)}, '
            f"{cell(claim.source)}{quoted}</span><br>{cell(claim.quantity)} "
            f'<a class="emolib-mark" href="#{name}" aria-label="Link to this claim" '
            f'title="{cell(claim.id)}">#</a></th>'
            f"<td>{printed}</td><td>{measured}</td><td>{badge(claim.verdict)}<div>{why}</div></td></tr>"
        )

    def _paper(self, key: str) -> str:
        title = cell(PAPERS.get(key, key))
        if key not in self.chapters:
            return title
        return f'<a href="{cell(self.chapters[key])}">{title}</a>'


def scoreboard(table: pd.DataFrame | None = None) -> Scoreboard:
    """Return the scoreboard of all claims, as the page beside the chapters shows it.

    Parameters
    ----------
    table : DataFrame, optional
        What `emolib.claims.table` returns; computed if not given.
    """
    table = ledger.table() if table is None else table
    return Scoreboard(
        table,
        {key: page for key in sorted(set(table["paper"])) if (page := chapter_address(key))},
        {name: result_address(*name.split("/")) for name in sorted(set(table["result"])) if name},
    )


def chapter_address(key: str) -> str | None:
    """Return where the verdict of a paper stands, seen from this page; None without a chapter."""
    notebook = paths.PROJECT / "notebooks" / f"{key}.ipynb"
    label = f"{key}-verdict"
    if not notebook.is_file() or f"({label})=" not in notebook.read_text(encoding="utf-8"):
        return None
    return f"{key}.html#{label}"


def result_address(key: str, experiment: str) -> str:
    """Return where a result file lies, seen from this page.

    The address serves the checkout and the built book, which carries a copy of the committed
    results.
    """
    return "../" + results.path(key, experiment).relative_to(paths.PROJECT).as_posix()


def anchor(result: str) -> str:
    """Return the id of a result's line of provenance: ``ding/audio-actor`` → ``result-ding-…``."""
    return "result-" + cell(result.replace("/", "-"))


def provenance(table: pd.DataFrame) -> Table:
    """Return every committed result: what it is, where its file lies, and where it comes from."""
    settled = table["result"].value_counts()
    rows = []
    for result in results.load_all():
        accuracy = result.summary["accuracy"]
        low, high = accuracy.interval
        address = cell(result_address(result.key, result.experiment))
        rows.append(
            (
                f'<span id="{anchor(result.name)}">{cell(result.title)}</span><br>'
                f'<a href="{address}">{cell(result.name)}</a>',
                len(result.runs),
                f"{100 * accuracy.mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]",
                int(settled.get(result.name, 0)),
                cell(result.provenance_line()),
            )
        )
    columns = ["result", "runs", "accuracy (%)", "claims settled", "provenance"]
    frame = pd.DataFrame(rows, columns=columns)
    return Table(frame, f"{len(frame)} committed results: mean over seeds [95 % interval]")


SCRIPT = """
(() => {
  const board = document.currentScript
    ? document.currentScript.closest(".emolib-scoreboard")
    : document.querySelector(".emolib-scoreboard");
  if (!board) return;
  const form = board.querySelector("form");
  const status = form.querySelector("output");
  const rows = [...board.querySelectorAll(".emolib-ledger tbody tr")];
  const text = new Map(rows.map((row) => [row, (row.id + " " + row.textContent).toLowerCase()]));
  const names = ["paper", "verdict", "own", "words"];
  let own = "";  // the part of the address that this script wrote

  const filter = () => {
    const words = form.words.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const kept = ["paper", "verdict", "own"].every(
        (name) => !form[name].value || form[name].value === row.dataset[name]
      ) && words.every((word) => text.get(row).includes(word));
      row.hidden = !kept;
      shown += kept;
    }
    status.textContent = shown + " of " + rows.length + " claims";
  };
  const remember = () => {
    const chosen = new URLSearchParams();
    for (const name of names) if (form[name].value) chosen.set(name, form[name].value);
    own = String(chosen);
    history.replaceState(null, "", "#" + own);
  };
  const recall = () => {
    const address = location.hash.slice(1);
    const chosen = new URLSearchParams(address);
    if (address && address === own) return;
    if (address && !names.some((name) => chosen.has(name))) {
      // A link to one claim: it must not be hidden by a filter.
      const claim = document.getElementById(decodeURIComponent(address));
      if (claim && claim.hidden) { form.reset(); filter(); claim.scrollIntoView(); }
      return;
    }
    for (const name of names) {
      form[name].value = chosen.get(name) || "";
      if (form[name].selectedIndex === -1) form[name].value = "";
    }
    filter();
  };

  for (const cell of board.querySelectorAll(".emolib-counts td")) {
    if (cell.textContent === "0") continue;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = cell.textContent;
    const which = [cell.dataset.paper || "all papers", cell.dataset.verdict, cell.dataset.own];
    button.setAttribute(
      "aria-label", "Show " + cell.textContent + " claims: " + which.filter(Boolean).join(", ")
    );
    button.addEventListener("click", () => {
      form.words.value = "";
      for (const name of ["paper", "verdict", "own"]) form[name].value = cell.dataset[name];
      filter();
      remember();
      form.scrollIntoView({ block: "start" });
    });
    cell.replaceChildren(button);
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { filter(); remember(); });
  form.addEventListener("reset", () => setTimeout(() => { filter(); remember(); }));
  window.addEventListener("hashchange", recall);
  form.hidden = false;
  recall();
})();
"""
