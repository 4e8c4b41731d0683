"""How others deal the actors of RAVDESS: their folds, so that networks meet on the same people.

``peers.yml`` holds them; each is read and checked when this module is imported, and a split of
such a kind (``splits.make("emobox", manifest)``) goes through `Split.check` like any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from emolib.corpora.manifest import CorpusError

#: The corpus whose actors are dealt: they are called "01" to "24", odd ones are men.
CORPUS = "ravdess"
ACTORS = tuple(f"{number:02}" for number in range(1, 25))


@dataclass(frozen=True)
class PeerFolds:
    """The folds of one peer.

    Attributes
    ----------
    name
        As a split of this kind is called.
    title
        As a page calls them.
    source
        ``owner/repository@commit`` in which the test actors were read.
    validation
        Where the validation actors are from.
    test, valid
        Actors of each fold; the others train.

    Raises
    ------
    CorpusError
        If an actor is not tested exactly once, or validates in the fold that tests it.
    """

    name: str
    title: str
    source: str
    validation: str
    test: tuple[tuple[str, ...], ...]
    valid: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Refuse folds that leak or leave somebody out."""
        here = f"folds of {self.name} in {_FILE.name}"
        tested = sorted(actor for fold in self.test for actor in fold)
        if tested != list(ACTORS):
            wrong = sorted(
                {a for a in (*tested, *ACTORS) if tested.count(a) != 1 or a not in ACTORS}
            )
            raise CorpusError(
                f"{here}: {', '.join(wrong)} must be actors from {ACTORS[0]} to {ACTORS[-1]} and "
                "tested exactly once: mend `test`"
            )
        if len(self.valid) != len(self.test):
            raise CorpusError(
                f"{here}: {len(self.test)} folds test and {len(self.valid)} validate: give as many"
            )
        for fold, (test, valid) in enumerate(zip(self.test, self.valid, strict=True)):
            wrong = sorted((set(test) & set(valid)) | (set(valid) - set(ACTORS)))
            if wrong or not valid:
                raise CorpusError(
                    f"{here}: {', '.join(wrong) or 'nobody'} validates in fold {fold}: name actors "
                    "that it does not test"
                )


def drawn(test: Sequence[Sequence[str]], seed: int = 0) -> tuple[tuple[str, ...], ...]:
    """Draw two men and two women of the training actors of each fold, to validate.

    Examples
    --------
    >>> drawn([["01", "02"]])
    (('08', '10', '17', '19'),)
    """
    rng = np.random.default_rng(seed)
    rest = [[actor for actor in ACTORS if actor not in fold] for fold in test]
    return tuple(
        tuple(
            sorted(
                str(actor)
                for odd in (1, 0)
                for actor in rng.choice([a for a in fold if int(a) % 2 == odd], 2, replace=False)
            )
        )
        for fold in rest
    )


def _read(rows: Mapping[str, Mapping]) -> dict[str, PeerFolds]:
    """Return the folds of each peer; validation actors are drawn where there are none."""
    folds = {}
    for name, row in rows.items():
        test, valid = (
            tuple(tuple(f"{actor:02}" for actor in fold) for fold in row.get(part, ()))
            for part in ("test", "valid")
        )
        about = {key: row[key] for key in ("title", "source", "validation")}
        folds[name] = PeerFolds(name, **about, test=test, valid=valid or drawn(test))
    return folds


_FILE = Path(__file__).with_suffix(".yml")
PEERS: Mapping[str, PeerFolds] = _read(yaml.safe_load(_FILE.read_text(encoding="utf-8")))
