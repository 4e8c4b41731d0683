"""What a claim says: data, read from ``data/claims/<key>.yml``.

A claim says where it stands, what was printed, under which protocol, what it takes to test it,
and *how* it is tested (one of the checks of `emolib.claims.judges`); it never says the verdict.
"""

import functools
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from emolib import paths, registry
from emolib.audit import Printed
from emolib.claims.judges import AnyCheck, Frozen
from emolib.claims.lines import Lines
from emolib.claims.verdicts import ClaimError


class Needs(Frozen):
    """What it takes to test a claim."""

    corpus: str | None = None
    modality: Literal["audio", "video", "text", "both", "all"] | None = None
    device: str | None = None


class Claim(Frozen):
    """One printed number or one checkable statement.

    Attributes
    ----------
    id : str
        ``<key>-<place>-<what>``, unique over all papers.
    source : str
        Table, figure, equation or section.
    quantity, unit : str
        What was measured, and in what.
    published : str
        As printed: ``"97.50"``, trailing zeros included.
    quote : str or None
        Words of the paper that hold the claim, where the number alone would not identify it.
    protocol : str
        How it was obtained, as far as the paper says.
    tolerance : float or None
        In `unit`; None for statements. `why` says where it comes from.
    own : bool
        False for numbers that the paper quotes from others.
    """

    id: str = Field(pattern=r"^[a-z]+(-[a-z0-9.]+)+$")
    source: str
    quantity: str
    unit: str = ""
    published: str
    quote: str | None = None
    protocol: str
    needs: Needs = Needs()
    tolerance: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    why: str
    own: bool = True
    check: AnyCheck

    @field_validator("published", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        # YAML reads 97.50 as 97.5: the zero is part of the claim.
        if not isinstance(value, str):
            raise ValueError(f"quote the published value, '{value}', so that its digits are kept")
        return value

    @model_validator(mode="after")
    def _a_tolerance_has_a_unit(self) -> Self:
        # A count and a share of one need none; 97.5 may be a percentage or anything.
        number = self.printed if self.tolerance and not self.unit else None
        counted = number and not number.decimals and self.check.kind not in ("result", "device")
        if number and number.value > 1 and not counted:
            shown = f"a tolerance of {self.tolerance} without a unit"
            raise ValueError(f"{shown}: write unit: '%', or what {self.published} counts")
        return self

    @property
    def key(self) -> str:
        """The paper."""
        return self.id.partition("-")[0]

    @property
    def printed(self) -> Printed | None:
        """The published value as a number, None if it is a statement."""
        try:
            return Printed.parse(self.published.rstrip("% "))
        except ValueError:
            return None

    @property
    def number(self) -> Printed:
        """The published value as a number to compare with.

        Raises
        ------
        ClaimError
            If it is a statement.
        """
        if self.printed is None:
            shown = f"published {self.published!r}"
            raise ClaimError(f"{self.id}: {shown} is no number to compare with")
        return self.printed

    def tolerates(self, value: float) -> bool:
        """Whether a value differs from the published number by the tolerance at most."""
        tolerance = self.tolerance or 0
        return tolerance > 0 and abs(value - float(self.number.value)) <= tolerance


class Ledger(Frozen):
    """The claims of one paper."""

    paper: dict[str, Any]
    claims: list[Claim]

    @field_validator("paper")
    @classmethod
    def _has_a_key(cls, paper: dict[str, Any]) -> dict[str, Any]:
        key = paper.get("key", "nothing")
        if not isinstance(key, str) or not re.fullmatch("[a-z]+", key) or "key" not in paper:
            raise ValueError(f"{key!r} is no key: write key: and a name in small letters")
        return paper

    @model_validator(mode="after")
    def _ids_are_unique_and_own(self) -> "Ledger":
        seen: set[str] = set()
        for claim in self.claims:
            if claim.id in seen:
                raise ValueError(f"two claims are called {claim.id}")
            if claim.key != self.paper["key"]:
                raise ValueError(f"{claim.id} belongs to another paper than {self.paper['key']}")
            seen.add(claim.id)
        return self


def read(path: str | Path) -> Ledger:
    """Read and validate one ledger file.

    Raises
    ------
    ClaimError
        If the file is missing or does not follow the model; the message names file, line, claim
        and remedy.
    """
    return Lines.read(Path(path)).follow(Ledger)


@functools.cache
def _ledger(key: str, stamp: int) -> Ledger:
    return read(paths.CLAIMS / f"{key}.yml")


def load(key: str) -> list[Claim]:
    """Return the claims of one paper, in the paper's own order."""
    registry.paper(key)
    path = paths.CLAIMS / f"{key}.yml"
    return list(_ledger(key, path.stat().st_mtime_ns if path.exists() else 0).claims)
