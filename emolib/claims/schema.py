"""What a claim says: data, read from ``data/claims/<key>.yml``.

A claim says where it stands, what was printed, under which protocol, what it takes to test it,
and *how* it is tested (one of the checks of `emolib.claims.judges`); it never says the verdict.
What was found beside the claims, and no paper says, stands in the same file as findings: they
are judged by the same checks and count nowhere.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd
from pydantic import Field, field_validator, model_validator

from emolib import paths, registry
from emolib.audit import Printed
from emolib.claims.judges import AnyCheck, Frozen
from emolib.claims.leaks import Leak
from emolib.claims.lines import Lines
from emolib.claims.verdicts import ClaimError


class Needs(Frozen):
    """What it takes to test a claim."""

    corpus: str | None = None
    modality: Literal["audio", "video", "text", "both", "all"] | None = None
    device: str | None = None


class Statement(Frozen):
    """What one check can judge.

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


class Claim(Statement):
    """One printed number or one checkable statement of a paper.

    Attributes
    ----------
    own : bool
        False for numbers that the paper quotes from others.
    role : str
        "headline" for what the paper stands on, else "detail".
    same_as : str or None
        The id of the row that holds the fact, where this one prints it again.
    depends_on : tuple of str
        The claims with which this one falls.
    leak : tuple of str
        Under which leaks it was measured, as far as the paper or its numbers show: see `leaks`.
    """

    own: bool = True
    role: Literal["headline", "detail"] = "detail"
    same_as: str | None = None
    depends_on: tuple[str, ...] = ()
    leak: tuple[Leak, ...] = ()

    @property
    def fact(self) -> str:
        """The id of the row that holds what is claimed: several rows may print one fact."""
        return self.same_as or self.id


class Finding(Statement):
    """Something that was found beside the claims: the paper does not say it, so it cannot fail.

    Its `published` is what it compares with, `source` where the sentence stands that it bears on,
    and `bears_on` lists the claims that it throws light on.
    """

    bears_on: tuple[str, ...] = Field(min_length=1)
    own: Literal[False] = False
    role: Literal["finding"] = "finding"
    leak: tuple[Leak, ...] = ()

    @property
    def fact(self) -> str:
        """Its own id: nobody prints it."""
        return self.id


Row = Claim | Finding


class Answer(Frozen):
    """What a paper's text says to one item of REFORMS, and where."""

    answer: Literal["yes", "partly", "no"]
    where: str = ""

    @model_validator(mode="after")
    def _says_where(self) -> "Answer":
        if self.answer != "no" and not self.where:
            raise ValueError(f"{self.answer} needs where: a section, a table or a figure")
        return self


class Paper(Frozen):
    """The head of a ledger: which paper it is, who was asked, and how it reports.

    `readings` are options of our rebuild that follow other readings of what it says; `reforms`
    answers the items of ``data/claims/reforms.csv``, all of them or none.
    """

    key: str = Field(pattern="^[a-z]+$")
    title: str = ""
    authors: str = ""
    venue: str = ""
    doi: str | None = None
    asked_the_authors: str = "no one has been asked"
    readings: tuple[dict[str, Any], ...] = ()
    reforms: dict[str, Answer] = Field(default_factory=dict)

    @field_validator("reforms", mode="before")
    @classmethod
    def _answers_in_short(cls, value: object) -> object:
        # "partly: Sec. IV-A" is {answer: partly, where: Sec. IV-A}.
        if not isinstance(value, Mapping):
            return value
        short = {k: str(v).partition(": ") for k, v in value.items() if isinstance(v, str)}
        return {**value, **{k: {"answer": a, "where": w} for k, (a, _, w) in short.items()}}

    @field_validator("reforms")
    @classmethod
    def _answers_every_item(cls, value: dict[str, Answer]) -> dict[str, Answer]:
        items = {*reforms().index}
        if value and (wrong := items ^ {*value}):
            raise ValueError(
                f"answer each item of reforms.csv once; see {', '.join(sorted(wrong))}"
            )
        return value


class Ledger(Frozen):
    """The claims of one paper, and what was found beside them."""

    paper: Paper
    claims: list[Claim]
    findings: tuple[Finding, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique_and_own(self) -> "Ledger":
        rows: list[Row] = [*self.claims, *self.findings]
        for row in rows:
            if row.key != self.paper.key:
                raise ValueError(f"{row.id} belongs to another paper than {self.paper.key}")
        for name, count in Counter(row.id for row in rows).items():
            if count > 1:
                raise ValueError(f"two claims are called {name}")
        return self

    @model_validator(mode="after")
    def _names_other_claims(self) -> "Ledger":
        claims = {claim.id: claim for claim in self.claims}
        for claim in self.claims:
            _exist(claim.id, "depends_on", claim.depends_on, claims)
            if claim.same_as is not None:
                _exist(claim.id, "same_as", [claim.same_as], claims)
                _repeats(claim, claims[claim.same_as])
        for finding in self.findings:
            _exist(finding.id, "bears_on", finding.bears_on, claims)
        try:
            TopologicalSorter({c.id: c.depends_on for c in self.claims}).prepare()
        except CycleError as error:
            raise ValueError(f"depends_on goes in a circle: {' → '.join(error.args[1])}") from None
        return self


def _exist(name: str, field: str, others: Iterable[str], claims: Mapping[str, Claim]) -> None:
    """Refuse a reference to a claim that is not there."""
    for other in others:
        if other not in claims:
            raise ValueError(f"{name}: {field} names {other}, which is no claim of this paper")


def _repeats(claim: Claim, fact: Claim) -> None:
    """Refuse a repetition that is none: of itself, of a repetition, of another number or unit."""
    if claim.id == fact.id or fact.same_as is not None:
        remedy = "name the row that holds the fact"
        raise ValueError(f"{claim.id}: same_as {fact.id} leads to no row of its own; {remedy}")
    here, there = ((c.unit, c.printed.value if c.printed else None) for c in (claim, fact))
    if here != there:
        both = f"{claim.published} {claim.unit} is not {fact.published} {fact.unit}"
        raise ValueError(f"{claim.id}: same_as {fact.id}, but {both}")


@functools.cache
def reforms() -> pd.DataFrame:
    """Return the 32 items of REFORMS (Kapoor et al. 2024) by number: module, item."""
    return pd.read_csv(paths.CLAIMS / "reforms.csv", comment="#", dtype=str).set_index("number")


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


def ledger_of(key: str) -> Ledger:
    """Return the ledger of one paper: its head, its claims, and what was found beside them."""
    registry.paper(key)
    path = paths.CLAIMS / f"{key}.yml"
    return _ledger(key, path.stat().st_mtime_ns if path.exists() else 0)


def load(key: str) -> list[Claim]:
    """Return the claims of one paper, in the paper's own order."""
    return list(ledger_of(key).claims)
