"""Sentences that a page computes: no number in the text is typed that a result could change."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from emolib.book import tables
from emolib.claims import VERDICTS, ledger


@dataclass(frozen=True)
class Text:
    """A paragraph in Markdown that a cell returns."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        """Return the paragraph as a terminal shows it."""
        return self.text


def say(*sentences: str) -> Text:
    """Return sentences as one paragraph of the page; line breaks within them are only layout."""
    return Text(" ".join(" ".join(sentence.split()) for sentence in sentences if sentence))


def listing(words: Sequence[str]) -> str:
    """Return words as a sentence lists them: ``a, b and c``."""
    *first, last = words or ("nothing",)
    return f"{', '.join(first)} and {last}" if first else last


def verdicts(key: str) -> dict[str, int]:
    """Return how many facts of a paper have each verdict, those that nobody has left out."""
    counts = ledger.once(ledger.table(key, own=True))["verdict"].value_counts()
    return {verdict: int(counts[verdict]) for verdict in VERDICTS if verdict in counts}


def tally(key: str) -> str:
    """Return a sentence with the counts of `verdicts`."""
    counts = verdicts(key)
    shares = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    return f"The ledger has {sum(counts.values())} facts of this paper: {shares}."


def score(key: str, experiment: str, metric: str = "accuracy") -> str:
    """Return a committed result as ``52.0 % [47.9, 56.2]``, or that it awaits its run."""
    result = tables.committed(key, experiment)
    if result is None:
        return f"(not run: `emolib train {key} --experiment {experiment}`)"
    summary = result.summary[metric]
    low, high = (100 * end for end in summary.interval)
    return f"{100 * summary.mean:.1f} % [{low:.1f}, {high:.1f}]"


def points(key: str, experiment: str, other: str, metric: str = "accuracy") -> float:
    """Return by how many points one committed result lies above another; NaN without both."""
    pair = [tables.committed(key, name) for name in (experiment, other)]
    if any(result is None for result in pair):
        return math.nan
    first, second = (result.summary[metric].mean for result in pair if result)
    return 100 * (first - second)
