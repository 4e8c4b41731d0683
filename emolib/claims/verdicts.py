"""The words in which the ledger judges a claim: said here, and taken from here everywhere.

``holds``
    the number is reproduced.
``fails``
    something was measured or counted, and it is another number.
``impossible``
    the paper's own numbers rule it out: no experiment could have printed them all.
``not stated well enough``
    the paper leaves out what one would need to test it.
``awaits data``
    it takes recordings, a device or a training that is not here; `Verdict.settle_with` names
    the command that would settle it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from emolib.errors import EmolibError

if TYPE_CHECKING:
    from emolib.claims.schema import Row

Outcome = Literal["holds", "fails", "impossible", "not stated well enough", "awaits data"]
VERDICTS: tuple[Outcome, ...] = get_args(Outcome)


class ClaimError(EmolibError, ValueError):
    """A claim that cannot be read or tested; the message names it, the cause and the remedy."""


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    `measured` is in the claim's unit; `interval` is its 95 % interval where it has one; `why`
    gives the reason in a sentence; `settle_with` is the command that would settle a claim that
    awaits data; `result` names the result file.
    """

    claim: "Row"
    verdict: Outcome
    why: str
    measured: float | None = None
    interval: tuple[float, float] | None = None
    settle_with: str = ""
    result: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a verdict that is not one of `VERDICTS`."""
        if self.verdict not in VERDICTS:
            raise ClaimError(f"{self.claim.id}: {self.verdict!r} is no verdict")

    def to_dict(self) -> dict[str, Any]:
        """The verdict as one flat row."""
        claim = self.claim
        row: dict[str, Any] = {"id": claim.id, "paper": claim.key}
        row |= {name: getattr(claim, name) for name in ("source", "quantity", "unit", "published")}
        row |= {name: getattr(self, name) for name in ("measured", "interval", "verdict")}
        row |= {"why": " ".join((self.why, *self.notes)), "settle_with": self.settle_with}
        row |= {"result": self.result, "own": claim.own, "role": claim.role, "fact": claim.fact}
        return row | {"leak": " ".join(claim.leak)}
