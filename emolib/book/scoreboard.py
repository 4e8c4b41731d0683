"""The scoreboard: every claim of the five papers on one page that needs no kernel and no network.

The page is plain HTML. Without JavaScript it shows the whole ledger; with it (a few lines, inside
the page) a reader filters by paper, verdict, origin and words. Filters stand in the address, so
that a link leads to what its sender saw.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import jinja2
import pandas as pd
from markupsafe import Markup

from emolib import paths, registry, results
from emolib.book import tables
from emolib.book.tables import Table, badge, cell
from emolib.claims import DEFINITIONS, VERDICTS, history, ledger, schema

#: What the papers are called, in the order of the book.
PAPERS = {key: paper.name for key, paper in registry.PAPERS.items()}
#: Colour of a verdict in a figure; the darker, the heavier.
_SHADES = (
    *("#1b7f79", "#6dbcae", "#e08a3c", "#b0413e"),
    *("#7a1030", "#9aa0a6", "#cfc9dd", "#d5e0f2"),
)
COLORS = dict(zip(VERDICTS, _SHADES, strict=True))


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
        """Return how many facts of each paper (rows) got each verdict (columns).

        What several rows print is one fact, and counted once.
        """
        table = ledger.once(self.ledger)
        table = table if own is None else table[table["own"] == own]
        papers = ledger.tally(self.ledger).index
        return ledger.tally(table).reindex(papers, fill_value=0)

    def _repr_html_(self) -> str:
        own, every = self.counts(), self.counts(own=None)
        names = {key: PAPERS.get(key, key) for key in own.index.union(every.index)}
        template = jinja2.Environment(
            loader=jinja2.PackageLoader("emolib.book", ""), autoescape=True, trim_blocks=True
        ).get_template("scoreboard.html")
        return template.render(
            claims=self.ledger.to_dict("records"),
            own=own,
            quoted=every.sum(axis=1) - own.sum(axis=1),
            definitions=DEFINITIONS,
            measured=lambda claim: Markup(
                tables.measured(claim, self.results.get(claim["result"]))
            ),
            new_people=lambda claim: Markup(
                tables.new_people(claim, self.results.get(claim["new_people_result"]))
            ),
            rests=lambda claim: Markup(tables.rests(claim)),
            names=names,
            papers=[(key, names[key]) for key in own.index],
            verdicts=[(verdict, verdict) for verdict in own.columns],
            chapters=self.chapters,
            results=self.results,
            badge=lambda verdict: Markup(badge(verdict)),
            anchor=anchor,
        )

    def __repr__(self) -> str:
        """Return the counts as text."""
        return f"{len(self.ledger)} claims\n{self.counts(own=None)}"


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
        {
            name: result_address(*name.split("/"))
            for name in sorted({*table["result"], *table["new_people_result"]} - {""})
        },
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
    return f"../data/results/{key}/{experiment}.json"


def anchor(result: str) -> str:
    """Return the id of a result's line of provenance: ``ding/audio-actor`` → ``result-ding-…``."""
    return "result-" + cell(result.replace("/", "-"))


def dependencies(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return which claims of a paper fall with which, as `plots.dependencies` draws them."""
    edges = ledger.dependencies(table[table["paper"] == key])
    for end in ("claim", "detail"):
        said = edges[f"{end}_quantity"] + ": " + edges[f"{end}_published"]
        edges[f"{end}_label"] = [
            textwrap.shorten(f"{what} {unit}".strip(), 62, placeholder=" …")
            for what, unit in zip(said, edges[f"{end}_unit"], strict=True)
        ]
    return edges


def changes(table: pd.DataFrame) -> Table:
    """Return how many verdicts changed when, from what to what; the whole list is in the file."""
    moved = history.changes()
    moved = moved[moved["was"] != ""]
    gone = moved["verdict"].where(moved["verdict"] != "", "no claim of the paper any more")
    counted = moved.assign(verdict=gone).groupby(["date", "was", "verdict"], sort=False).size()
    frame = counted.rename("claims").reset_index()
    frame = frame.rename(columns={"was": "before", "verdict": "after"})
    frame = frame.sort_values(["date", "claims"], ascending=[False, False])
    since = f"{len(table)} rows today; every change stands in data/claims/history.csv"
    return Table(frame, since)


def reforms() -> Table:
    """Return what each paper reports, by the 32 items of REFORMS."""
    items = schema.reforms()
    heads = {key: schema.ledger_of(key).paper for key in PAPERS}
    frame = items.reset_index()
    frame.columns = ["", "module", "asked for"]
    for key, head in heads.items():
        frame[PAPERS[key]] = [
            f'<span title="{cell(said.where)}">{said.answer}</span>'
            if (said := head.reforms.get(number))
            else ""
            for number in items.index
        ]
    asked = {head.asked_the_authors for head in heads.values()}
    return Table(
        frame, "what each paper reports", f"Asked the authors: {'; '.join(sorted(asked))}."
    )


def provenance(table: pd.DataFrame) -> Table:
    """Return every committed result: what it is, where its file lies, and where it comes from."""
    settled = table[table["verdict"] != "awaits data"]["result"].value_counts()
    rows = []
    for result in results.load_all():
        accuracy = result.summary["accuracy"]
        low, high = accuracy.interval
        address = cell(result_address(result.key, result.experiment))
        title = f'<span id="{anchor(result.name)}">{cell(result.title)}</span>'
        row = {
            "result": f'{title}<br><a href="{address}">{cell(result.name)}</a>',
            "runs": len(result.runs),
            "accuracy (%)": f"{100 * accuracy.mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]",
            "claims settled": int(settled.get(result.name, 0)),
            "provenance": cell(result.provenance_line())
            + f"<br><code>{cell(result.command)}</code>",
        }
        rows.append(row)
    frame = pd.DataFrame(rows)
    return Table(frame, f"{len(frame)} committed results: mean over seeds [95 % interval]")
