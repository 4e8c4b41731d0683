"""What a claim says: data, read from ``data/claims/<key>.yml``.

A claim says where it stands, what was printed, under which protocol, what it takes to test it,
and *how* it is tested (one of the checks of `emolib.claims.judges`); it never says the verdict.
"""

import functools
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from emolib import paths, registry
from emolib.audit import Printed
from emolib.claims.judges import AnyCheck, Frozen
from emolib.claims.lines import Lines
from emolib.claims.verdicts import ClaimError

# Checks whose published value is measured, so that a whole number is no mere count.
_MEASURED = ("result", "device")
_REMEDIES = {
    "extra_forbidden": "Delete the field, or mend its name",
    "missing": "Add it",
    "string_pattern_mismatch": "Write <key>-<place>-<what>, small letters, the key without digits",
}


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
    def _a_tolerance_has_a_unit(self) -> "Claim":
        # A count and a share of one need none; 97.5 may be a percentage or anything.
        bare = self.tolerance and not self.unit and self.printed and self.printed.value > 1
        counted = bare and not self.number.decimals and self.check.kind not in _MEASURED
        if bare and not counted:
            shown = f"a tolerance of {self.tolerance} without a unit"
            raise ValueError(f"{shown}: write unit: '%', or what {self.published} is measured in")
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
        key = paper.get("key")
        if not isinstance(key, str) or not re.fullmatch("[a-z]+", key):
            shown = f"{key!r} is no key" if "key" in paper else "no key"
            raise ValueError(f"{shown}: write key: and the paper's short name in small letters")
        return paper

    @model_validator(mode="after")
    def _ids_are_unique_and_own(self) -> "Ledger":
        seen: set[str] = set()
        for number, claim in enumerate(self.claims):
            place = {"place": ("claims", number, "id")}
            if claim.id in seen:
                said = f"two claims are called {claim.id}: rename one"
                raise PydanticCustomError("twice", said, place)
            if claim.key != self.paper["key"]:
                said = (
                    f"{claim.id} belongs to another paper than {self.paper['key']}: move it there"
                )
                raise PydanticCustomError("foreign", said, place)
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
    path = Path(path)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yml")))
        raise ClaimError(f"{path}: no such ledger. There are: {known or 'none'}.")
    lines = Lines.read(path)
    try:
        return Ledger.model_validate(lines.data)
    except ValidationError as error:
        problems = "; ".join(_problem(lines, problem) for problem in error.errors())
        raise ClaimError(problems) from None


def _problem(lines: Lines, problem: Any) -> str:
    """Put what pydantic says about a part of a ledger into one line, with place and remedy."""
    place = list(problem.get("ctx", {}).get("place") or problem["loc"])
    line = lines.of(place)
    if place[:1] == ["claims"] and len(place) > 1:
        claim = lines.data["claims"][place[1]]
        place[1] = claim.get("id", place[1]) if isinstance(claim, dict) else place[1]
    said = " ".join(problem["msg"].removeprefix("Value error, ").split())
    own = problem["type"] in ("value_error", "twice", "foreign")  # these name it themselves
    remedy = "" if own else f". {_REMEDIES.get(problem['type'], 'Mend it there')}"
    where = " → ".join(map(str, place)) or "the ledger"
    return f"{lines.path}, line {line}: {where}: {said}{remedy}."


@functools.cache
def _ledger(key: str, stamp: int) -> Ledger:
    return read(paths.CLAIMS / f"{key}.yml")


def load(key: str) -> list[Claim]:
    """Return the claims of one paper, in the paper's own order."""
    registry.paper(key)
    path = paths.CLAIMS / f"{key}.yml"
    return list(_ledger(key, path.stat().st_mtime_ns if path.exists() else 0).claims)
