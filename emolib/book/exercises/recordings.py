"""Your own recordings: how many people a network learns from."""

import pandas as pd

from emolib.book.exercises.engine import exercise


@exercise(
    "recordings-train",
    wrong=[
        (8, "two of these eight validate: they choose the epoch, and do not teach"),
        (2, "that is how many are tested in each fold, or validate: the others train"),
        (9, "the folds are five, not ten: two people are tested at once"),
    ],
)
def _teachers() -> int:
    """there are five folds: one tests, the next one validates, and the others train"""
    from emolib.corpora import splits

    clips = pd.DataFrame({"clip_id": list("abcdefghij"), "actor": list("abcdefghij")})
    split = splits.make("actor", clips.assign(corpus="table", emotion="happy")).table
    return int(((split["fold"] == 0) & (split["part"] == "train")).sum())
