"""When each verdict was reached, and what it was before: ``data/claims/history.csv``.

A row is one change: date, commit, claim, the new verdict, and the one before it ("" for the first).
`record` adds the changes since the last row; a test fails as long as some are missing.
"""

import csv
import datetime

import pandas as pd

from emolib import paths, results
from emolib.claims.verdicts import ClaimError

FILE = paths.CLAIMS / "history.csv"
COLUMNS = ("date", "commit", "id", "verdict", "was")


def changes() -> pd.DataFrame:
    """Return every change of a verdict, the oldest first: date, commit, id, verdict, was."""
    return pd.read_csv(FILE, dtype=str, keep_default_na=False)


def latest() -> pd.DataFrame:
    """Return the last change of each claim, indexed by id."""
    return changes().groupby("id").last()


def unrecorded(table: pd.DataFrame) -> pd.DataFrame:
    """Return the changes that are not in the file yet: id, verdict, was.

    Parameters
    ----------
    table
        The ledger, as `emolib.claims.table` returns it. A claim that is gone has verdict "".
    """
    now = table.set_index("id")["verdict"]
    before = latest()["verdict"].reindex(now.index.union(latest().index), fill_value="")
    both = pd.DataFrame({"verdict": now.reindex(before.index, fill_value=""), "was": before})
    both = both[both["verdict"] != both["was"]]
    order = {name: position for position, name in enumerate(table["id"])}
    both = both.rename_axis("id").reset_index()
    return both.sort_values("id", key=lambda ids: ids.map(order).fillna(len(order)))


def record(table: pd.DataFrame) -> int:
    """Add the changes that are not in the file yet, and return how many there were.

    Raises
    ------
    ClaimError
        In an installed package, whose history is that of its release.
    """
    if paths.INSTALLED:
        raise ClaimError("verdicts are recorded in a checkout of the project, not in a package")
    new = unrecorded(table)
    commit, _ = results.commit()
    when = {"date": datetime.date.today().isoformat(), "commit": (commit or "")[:12]}
    old = FILE.read_text(encoding="utf-8") if FILE.exists() else ",".join(COLUMNS) + "\n"
    with paths.atomic(FILE) as part, part.open("w", encoding="utf-8", newline="") as file:
        file.write(old)
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writerows({**when, **row} for row in new.to_dict("records"))
    return len(new)
