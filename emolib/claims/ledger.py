"""The ledger: every number that the five papers print, and what became of it here.

``data/claims/<key>.yml`` lists the claims of one paper in the paper's own order; `schema` says
what a claim is, `judges` how it is tested, `verdicts` what can become of it.

What each verdict means is said in `verdicts`, and nowhere else. Only a full run on the claim's own
corpus, modality and kind of split settles a score: results on paired or synthetic data, and quick
runs, are mentioned and settle nothing.
"""

import json
from pathlib import Path

import pandas as pd

from emolib import paths, registry
from emolib.claims import history
from emolib.claims.bench import Bench
from emolib.claims.judges import ResultCheck
from emolib.claims.schema import Row, ledger_of, load
from emolib.claims.verdicts import VERDICTS, ClaimError, Verdict


def judge(claim: Row, bench: Bench | None = None) -> Verdict:
    """Compute the verdict on one claim."""
    try:
        return claim.check.judge(claim, bench or Bench(claim.key))
    except ClaimError as error:
        raise error if claim.id in str(error) else ClaimError(f"{claim.id}: {error}") from error
    except Exception as error:
        cause = f"its {claim.check.kind} check cannot run ({type(error).__name__}: {error})"
        remedy = f"Mend the check in data/claims/{claim.key}.yml or what it calls."
        raise ClaimError(f"{claim.id}: {cause}. {remedy}") from error


def evaluate(key: str) -> list[Verdict]:
    """Compute the verdict on every claim of one paper.

    Raises
    ------
    ClaimError
        If a check cannot be run at all: a finding or a layer that does not exist, a model that
        does not build. A missing result or corpus is no error: the claim awaits data.
    """
    bench = Bench(key)
    return [judge(claim, bench) for claim in load(key)]


def findings(key: str) -> pd.DataFrame:
    """Return what was found beside a paper's claims, one row a finding: these count nowhere.

    The columns are those of `table`, and `bears_on`: the claims that a finding throws light on.
    """
    bench, found = Bench(key), ledger_of(key).findings
    rows = [judge(each, bench).to_dict() | {"bears_on": each.bears_on} for each in found]
    return pd.DataFrame(rows)


def dependencies(table: pd.DataFrame) -> pd.DataFrame:
    """Return which claim falls with which, as the ledger says it: claim, detail.

    Parameters
    ----------
    table
        Of `table`: the columns of both ends are joined, as ``claim_…`` and ``detail_…``.
    """
    edges = [
        (claim.id, detail)
        for key in table["paper"].unique()
        for claim in load(key)
        for detail in claim.depends_on
    ]
    frame = pd.DataFrame(edges, columns=["claim", "detail"])
    known = table.set_index("id")[["paper", "quantity", "published", "unit", "verdict"]]
    for end in ("claim", "detail"):
        frame = frame.join(known.add_prefix(f"{end}_"), on=end)
    return frame


def facts(key: str | None = None, *, own: bool | None = None) -> pd.DataFrame:
    """Return the ledger with one row a fact: what is printed several times is counted once.

    The columns are those of `table`, and `rows`: how many rows of the ledger print the fact.
    """
    frame = table(key, own=own)
    rows = frame.groupby("fact").size()
    frame = once(frame)
    return frame.assign(rows=frame["fact"].map(rows)).reset_index(drop=True)


def table(key: str | None = None, *, own: bool | None = None) -> pd.DataFrame:
    """Return the ledger with its verdicts, one row a claim.

    Parameters
    ----------
    key : str, optional
        One paper; all five by default.
    own : bool, optional
        True for the paper's own claims only, False for the numbers it quotes from others.

    Returns
    -------
    DataFrame
        Columns as `Verdict.to_dict` says: id, paper, source, quantity, unit, published, measured,
        interval, verdict, why, settle_with, result, own, role, fact (the id of the row that holds
        what is printed here), leak.
    """
    keys = [key] if key else registry.PAPERS
    frame = pd.DataFrame([verdict.to_dict() for each in keys for verdict in evaluate(each)])
    since = history.latest()["date"]
    frame["since"] = frame["id"].map(since).fillna("not recorded yet")
    return frame if own is None else frame[frame["own"] == own].reset_index(drop=True)


def once(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table that hold a fact: without those that print it again."""
    return table[table["id"] == table["fact"]]


def tally(table: pd.DataFrame) -> pd.DataFrame:
    """Count the verdicts of a table: papers down in the book's order, verdicts across."""
    counts = pd.crosstab(table["paper"], table["verdict"])
    papers = [key for key in registry.PAPERS if key in counts.index]
    papers += sorted(set(counts.index) - set(papers))
    return counts.reindex(index=papers, columns=list(VERDICTS), fill_value=0)


def summary(*, own: bool | None = None) -> pd.DataFrame:
    """Count the facts: papers down, verdicts across, with totals."""
    counts = tally(once(table(own=own)))
    counts["all"] = counts.sum(axis=1)
    counts.loc["all"] = counts.sum()
    counts.columns.name = counts.index.name = None
    return counts


def recount() -> Path:
    """Count every network that a claim compares with, and write ``data/claims/counts.json``.

    Raises
    ------
    ClaimError
        In an installed package, whose counts are those of its own code.
    """
    if paths.INSTALLED:
        raise ClaimError("counts are renewed in a checkout of the project, not in a package")
    lines = []
    for key in registry.PAPERS:
        bench = Bench(key, counts={})
        rows: list[Row] = [*load(key), *ledger_of(key).findings]
        for row in rows:
            verdict = judge(row, bench)
            if verdict.settle_with and isinstance(row.check, ResultCheck):
                for name in row.check.experiments:  # how long they take is told from counts
                    bench.macs(name)
        lines.append(f"{json.dumps(key)}: {json.dumps(bench.network.asked)}")
    file = paths.CLAIMS / "counts.json"
    with paths.atomic(file) as part:
        part.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return file
