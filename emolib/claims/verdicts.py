"""The words in which the ledger judges a claim: said once, in ``verdicts.yml`` beside this file.

A score is asked two questions. *As printed*: does the paper's own protocol, as far as it is stated,
give this number here? That decides the verdict. *For new people*: what does the same network give
for people whom it has not met? That stands beside it, always.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml

from emolib.errors import EmolibError

if TYPE_CHECKING:
    from emolib.claims.schema import Row

Outcome = Literal[
    "reproduced",
    "exceeded",
    "not reproduced",
    "contradicted",
    "cannot be",
    "not stated",
    "quoted",
    "awaits data",
]
VERDICTS: tuple[Outcome, ...] = get_args(Outcome)

_SAID = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
#: Word → what it means, in a sentence.
DEFINITIONS: dict[Outcome, str] = {word: _SAID["words"][word] for word in VERDICTS}
#: Kind of check → what its verdicts rest on (`strength`), what would overturn them, how verified.
RESTS_ON: dict[str, dict[str, str]] = _SAID["checks"]

#: A measured score settles a claim if it has so many runs: below that chance decides.
ENOUGH_RUNS = 5
ENOUGH_SEEDS = 3
#: The rule in words, for the pages.
ENOUGH = (
    f"A measured score settles a claim once it has all folds of its split and {ENOUGH_RUNS} runs "
    f"or more, or {ENOUGH_SEEDS} seeds; with less the claim awaits data, and the value so far is "
    "shown."
)


class ClaimError(EmolibError, ValueError):
    """A claim that cannot be read or tested; the message names it, the cause and the remedy."""


@dataclass(frozen=True)
class Measurement:
    """What was measured under one protocol.

    Attributes
    ----------
    value, interval
        In the claim's unit; the interval is that of 95 %, None where there is none.
    split, leak
        Kind of the split, and what of a test clip training knows ("" if nothing).
    seeds, folds, n_folds, runs
        How many of each; `folds` were run of `n_folds`.
    clips, people
        Tested clips or pictures, and how many people they show (0 if nobody knows).
    result
        Name of the result file, ``key/experiment``.
    title
        Of the result.
    enough
        Whether these are enough runs to settle a claim: see `ENOUGH`.
    """

    value: float
    interval: tuple[float, float] | None
    split: str
    leak: str
    seeds: int
    folds: int
    n_folds: int
    runs: int
    clips: int
    people: int
    result: str
    title: str
    enough: bool

    @property
    def strength(self) -> str:
        """How much it rests on, in words."""
        seeds = f"{self.seeds} seed{'s' if self.seeds > 1 else ''}"
        folds = "one split" if self.n_folds == 1 else f"{self.folds} of {self.n_folds} folds"
        people = f" of {self.people} people" if self.people else ""
        return f"{seeds}, {folds}, {self.clips:,} test clips{people}"

    def shown(self) -> str:
        """Return value and interval as a table shows them."""
        if self.interval is None:
            return f"{self.value:.4g}"
        return f"{self.value:.4g} [{self.interval[0]:.4g}, {self.interval[1]:.4g}]"

    def columns(self, prefix: str = "") -> dict[str, Any]:
        """Return it as flat columns, each with `prefix` in front."""
        names = ("split", "leak", "seeds", "folds", "n_folds", "result")
        return {f"{prefix}{name}": getattr(self, name) for name in names}


#: The columns of a score that was not measured.
_UNMEASURED = {"split": "", "leak": "", "seeds": 0, "folds": 0, "n_folds": 0, "result": ""}


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes
    ----------
    claim, verdict, why
        The word for it, and the reason in a sentence.
    measured, interval
        As printed: in the claim's unit, with its 95 % interval where it has one.
    as_printed, new_people
        The two questions that a score is asked: see above. None where nothing was measured.
    notes
        Further sentences.
    """

    claim: "Row"
    verdict: Outcome
    why: str
    measured: float | None = None
    interval: tuple[float, float] | None = None
    as_printed: Measurement | None = None
    new_people: Measurement | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a verdict that is not one of `VERDICTS`."""
        if self.verdict not in VERDICTS:
            raise ClaimError(f"{self.claim.id}: {self.verdict!r} is no verdict")

    @property
    def settle_with(self) -> str:
        """The command that settles a claim that awaits data, empty for any other."""
        return f"emolib settle {self.claim.id}" if self.verdict == "awaits data" else ""

    @property
    def strength(self) -> str:
        """What the verdict rests on."""
        if self.as_printed is not None:
            return self.as_printed.strength
        return RESTS_ON[self.claim.check.kind]["strength"] or "no run of enough folds and seeds"

    def to_dict(self) -> dict[str, Any]:
        """The verdict as one flat row."""
        claim = self.claim
        row: dict[str, Any] = {"id": claim.id, "paper": claim.key}
        row |= {name: getattr(claim, name) for name in ("source", "quantity", "unit", "published")}
        row |= {"verdict": self.verdict, "measured": self.measured, "interval": self.interval}
        row |= self.as_printed.columns() if self.as_printed else _UNMEASURED
        new = self.new_people
        row |= {"new_people": new and new.value, "new_people_interval": new and new.interval}
        row |= (
            new.columns("new_people_")
            if new
            else {f"new_people_{name}": value for name, value in _UNMEASURED.items()}
        )
        row |= {"why": " ".join((self.why, *self.notes)), "settle_with": self.settle_with}
        rests = RESTS_ON[claim.check.kind]
        row |= {"strength": self.strength, "overturned_by": rests["overturned_by"]}
        row |= {"tier": rests["tier"], "own": claim.own, "role": claim.role, "fact": claim.fact}
        return row | {"leak_type": " ".join(claim.leak)}
