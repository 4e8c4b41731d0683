"""The ledger: every number that the five papers print, and what became of it here.

``data/claims/<key>.yml`` lists the claims of one paper in the paper's own order. A claim says
where it stands, what was printed, under which protocol, what it takes to test it, and *how* it
is tested; it never says the verdict. Verdicts are computed:

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

How a number is compared
------------------------
A count, a size or a sum (`cost`, `layers`, `corpus`, `arithmetic`) holds if it prints as
published, rounded or cut off: the tolerance is half a unit of the last digit (a whole unit
downwards if cut off). An accuracy (`result`) holds if the published value lies inside the 95 %
interval of the measured mean, or if the measured mean reaches the published value less the
tolerance; otherwise it fails. Doing *better* than a paper is no contradiction. Only a full run on
the claim's own corpus, modality and kind of split settles it: results on paired or synthetic
data, and quick runs, are mentioned and settle nothing.
"""

import dataclasses
import functools
import hashlib
import importlib
import inspect
import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from emolib import audit, paths, registry
from emolib.audit import Printed
from emolib.errors import EmolibError

VERDICTS = ("holds", "fails", "impossible", "not stated well enough", "awaits data")
RELATIONS: Mapping[str, Callable] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
Level = Literal["impossible", "identified", "notice", "consistent", "undecided"]
Outcome = Literal["holds", "fails", "impossible", "not stated well enough", "awaits data"]
NOT_A_RECORDING = ("synthetic", "paired")  # corpora that never settle a claim about people


class ClaimError(EmolibError, ValueError):
    """A claim that cannot be read or tested; the message names it, the cause and the remedy."""


# --- what a claim says -----------------------------------------------------------------------


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CostCheck(_Model):
    """Count the rebuilt model: ``devices.cost(models.build(key, **options), ...)``.

    `scale` brings the count to the claim's unit (1e-6 for millions); `less` names a second
    build whose count is taken off; `over` one to divide by; `relation` replaces equality.
    `readings` are builds that follow other readings of the paper: the claim holds if any does.
    `saved_from` names a build against which the saving in per cent is meant.
    """

    kind: Literal["cost"]
    quantity: str
    options: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    scale: float = 1.0
    less: dict[str, Any] | None = None
    over: dict[str, Any] | None = None
    over_quantity: str | None = None
    readings: list[dict[str, Any]] = []
    saved_from: dict[str, Any] | None = None
    relation: Literal["=", ">", ">=", "<", "<="] = "="


class LayersCheck(_Model):
    """Look at the layers of the rebuilt model: how many of a type, or a shape of one of them.

    `layer` is a regular expression that the layer's whole name must match; `index` counts
    among the layers found, `total` sums over all of them. `saved_from` names a build against
    which the saving in per cent is meant, `over` one to be divided by this one.
    """

    kind: Literal["layers"]
    type: str
    layer: str | None = None
    quantity: Literal["count", "shape", "parameters", "macs"] = "count"
    index: int = 0
    total: bool = False
    options: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    saved_from: dict[str, Any] | None = None
    over: dict[str, Any] | None = None


class ArithmeticCheck(_Model):
    """Redo the paper's arithmetic; braces hold printed numbers or ids of other claims.

    Without `published_is`, the claim's published number is compared with the expression. A
    comparison (``{a} > {b}``) is a claim by itself: it is true, false, or lost in rounding.
    """

    kind: Literal["arithmetic"]
    expression: str


class FormulaCheck(_Model):
    """Compare what a printed formula gives (`says`) with what is so (`truth`, or a count)."""

    kind: Literal["formula"]
    says: str
    truth: str | None = None
    counted: Annotated["CostCheck | LayersCheck", Field(discriminator="kind")] | None = None

    @model_validator(mode="after")
    def _one_truth(self) -> "FormulaCheck":
        if (self.truth is None) == (self.counted is None):
            raise ValueError("give either truth or counted")
        return self


class AuditCheck(_Model):
    """Read a finding of the audit; with `field`, one of its numbers must be among `expect`.

    `means` overrides what a level of the finding means for this claim: by default a notice (the
    numbers are possible, but not what one would think) fails it, and what was identified from
    the digits bears it out.
    """

    kind: Literal["audit"]
    finding: str
    field: str | None = None
    expect: list[int | float | str] = []
    means: dict[Level, Outcome] = {}


class ResultCheck(_Model):
    """Compare with a full run: one named `experiment`, or any that matches the other fields.

    `less` names an experiment whose metric is taken off. `best` names a model option: the claim
    is then about the value of that option with the best metric among three or more runs.
    `features` is a word that the description of the inputs must hold, or not ("!frft").
    """

    kind: Literal["result"]
    metric: str = "accuracy"
    split: str | None = None
    experiment: str | None = None
    options: dict[str, Any] = {}
    less: dict[str, Any] | None = None
    cls: str | None = Field(default=None, alias="class")
    best: str | None = None
    features: str | None = None
    command: str | None = None


class StudyCheck(_Model):
    """Ask whether a statement is true in every row of a study: a table beside the results.

    `rows` (a pandas query) says which rows the claim is about, `says` (an expression of their
    columns) what must hold in each; `command` makes the table, `data` says what it was made on.
    """

    kind: Literal["study"]
    table: str
    rows: str | None = None
    says: str
    data: str
    command: str


class CorpusCheck(_Model):
    """Count clips, actors or classes: in the recordings if they are here, else as published.

    With `relation` and `than` the claim is that one count stands so to another.
    """

    kind: Literal["corpus"]
    fact: str
    scale: float = 1.0
    relation: Literal[">", ">=", "<", "<="] | None = None
    than: str | None = None


class UnstatedCheck(_Model):
    """Nothing can be tested: the paper leaves out what `missing` lists."""

    kind: Literal["unstated"]
    missing: list[str] = Field(min_length=1)


class QuotedCheck(_Model):
    """The number is quoted from another paper, which would have to be opened."""

    kind: Literal["quoted"]
    reference: str


class DeviceCheck(_Model):
    """Time the rebuilt model, which only the named device can settle."""

    kind: Literal["device"]
    device: str
    options: dict[str, Any] = {}
    command: str


Check = Annotated[
    CostCheck
    | LayersCheck
    | ArithmeticCheck
    | FormulaCheck
    | AuditCheck
    | ResultCheck
    | StudyCheck
    | CorpusCheck
    | UnstatedCheck
    | QuotedCheck
    | DeviceCheck,
    Field(discriminator="kind"),
]


class Needs(_Model):
    """What it takes to test a claim."""

    corpus: str | None = None
    modality: Literal["audio", "video", "text", "both", "all"] | None = None
    device: str | None = None


class Claim(_Model):
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
    tolerance: float | None = Field(default=None, ge=0)
    why: str
    own: bool = True
    check: Check

    @field_validator("published", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        # YAML reads 97.50 as 97.5: the zero is part of the claim.
        if not isinstance(value, str):
            raise ValueError(f"quote the published value, '{value}', so that its digits are kept")
        return value

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


class Ledger(_Model):
    """The claims of one paper."""

    paper: dict[str, Any]
    claims: list[Claim]

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
        If the file is missing or does not follow the model; the message names file and claim.
    """
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yml")))
        raise ClaimError(f"{path}: no such ledger. There are: {known or 'none'}.") from None
    except yaml.YAMLError as error:
        raise ClaimError(f"{path}: not valid YAML ({error}).") from None
    try:
        return Ledger.model_validate(data)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            where = list(problem["loc"])
            if where[:1] == ["claims"] and len(where) > 1 and isinstance(where[1], int):
                where[1] = data["claims"][where[1]].get("id", where[1])
            lines.append(f"{' → '.join(map(str, where))}: {problem['msg']}")
        raise ClaimError(f"{path}: " + "; ".join(lines)) from None


@functools.cache
def _ledger(key: str, stamp: int) -> Ledger:
    return read(paths.CLAIMS / f"{key}.yml")


def load(key: str) -> list[Claim]:
    """Return the claims of one paper, in the paper's own order."""
    registry.paper(key)
    path = paths.CLAIMS / f"{key}.yml"
    return list(_ledger(key, path.stat().st_mtime_ns if path.exists() else 0).claims)


# --- verdicts --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    `measured` is in the claim's unit; `interval` is its 95 % interval where it has one; `why`
    gives the reason in a sentence; `settle_with` is the command that would settle a claim that
    awaits data; `result` names the result file.
    """

    claim: Claim
    verdict: str
    why: str
    measured: float | None = None
    interval: tuple[float, float] | None = None
    settle_with: str = ""
    result: str = ""
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse a verdict that is not one of `VERDICTS`."""
        if self.verdict not in VERDICTS:
            raise ClaimError(f"{self.claim.id}: {self.verdict!r} is no verdict")

    def to_dict(self) -> dict[str, Any]:
        """The verdict as one flat row."""
        claim = self.claim
        return {
            "id": claim.id,
            "paper": claim.key,
            "source": claim.source,
            "quantity": claim.quantity,
            "unit": claim.unit,
            "published": claim.published,
            "measured": self.measured,
            "interval": self.interval,
            "verdict": self.verdict,
            "why": " ".join((self.why, *self.notes)),
            "settle_with": self.settle_with,
            "result": self.result,
            "own": claim.own,
        }


def evaluate(key: str) -> list[Verdict]:
    """Compute the verdict on every claim of one paper.

    Raises
    ------
    ClaimError
        If a check cannot be run at all: a finding or a layer that does not exist, a model that
        does not build. A missing result or corpus is no error: the claim awaits data.
    """
    bench = _Bench(key)
    return [judge(claim, bench) for claim in load(key)]


def judge(claim: Claim, bench: "_Bench | None" = None) -> Verdict:
    """Compute the verdict on one claim."""
    bench = bench or _Bench(claim.key)
    try:
        return _JUDGES[claim.check.kind](claim, claim.check, bench)
    except ClaimError as error:
        raise error if claim.id in str(error) else ClaimError(f"{claim.id}: {error}") from error
    except Exception as error:
        raise ClaimError(
            f"{claim.id}: its {claim.check.kind} check cannot run "
            f"({type(error).__name__}: {error}). Mend the check in "
            f"data/claims/{claim.key}.yml or what it calls."
        ) from error


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
        Columns id, paper, source, quantity, unit, published, measured, interval, verdict, why,
        settle_with, result, own.
    """
    rows = [
        verdict.to_dict()
        for each in ([key] if key else registry.PAPERS)
        for verdict in evaluate(each)
    ]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    return frame if own is None else frame[frame["own"] == own].reset_index(drop=True)


_COLUMNS = ("id", "paper", "source", "quantity", "unit", "published", "measured", "interval",
            "verdict", "why", "settle_with", "result", "own")  # fmt: skip


def summary(*, own: bool | None = None) -> pd.DataFrame:
    """Count the verdicts: papers down, verdicts across, with totals."""
    frame = table(own=own)
    counts = pd.crosstab(frame["paper"], frame["verdict"])
    counts = counts.reindex(index=list(registry.PAPERS), columns=list(VERDICTS), fill_value=0)
    counts["all"] = counts.sum(axis=1)
    counts.loc["all"] = counts.sum()
    counts.columns.name = counts.index.name = None
    return counts


# --- counting --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Counts:
    """What `devices.cost` says of one build: its totals by name, and its layers."""

    numbers: dict[str, float]
    layers: pd.DataFrame


def _counts(key: str, options: Mapping[str, Any], inputs: Mapping[str, Any]) -> _Counts:
    """Count one build of a paper's model, or read what was counted from the same code before."""
    file = paths.FEATURES / "counts" / f"{key}-{_build_digest(key, options, inputs)}.json"
    if not file.is_file():
        from emolib import devices, models

        model = models.build(key, **options)
        # Options decide the inputs too; what example_inputs does not know it leaves aside.
        examples = models.example_inputs(key, batch=1, **{**options, **inputs})
        cost = devices.cost(model, examples)
        counted = {"numbers": cost.to_dict(), "layers": cost.layers.to_dict("list")}
        with paths.atomic(file) as part:
            part.write_text(json.dumps(counted, default=int))
    kept = json.loads(file.read_bytes())
    return _Counts(kept["numbers"], pd.DataFrame(kept["layers"]))


def _build_digest(key: str, options: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """Return what names a count: it changes with the build, the code, and the libraries."""
    here = paths.PROJECT / "emolib"
    code = [here / "devices.py", *(here / "models" / f"{name}.py" for name in (key, "layers"))]
    digest = hashlib.sha256(json.dumps([options, inputs], sort_keys=True).encode())
    for file in code:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    for library in ("torch", "torchvision"):
        digest.update(metadata.version(library).encode())
    return digest.hexdigest()[:16]


# --- the checks ------------------------------------------------------------------------------


class _Bench:
    """What the checks of one paper share: its audit, its counted models, its results."""

    def __init__(self, key: str):
        self.key = key
        self._counts: dict[str, _Counts] = {}

    @functools.cached_property
    def published(self) -> dict[str, str]:
        """Published value by claim id, of this paper."""
        return {claim.id: claim.published for claim in load(self.key)}

    @functools.cached_property
    def report(self) -> audit.AuditReport:
        return audit.paper(self.key)

    @functools.cached_property
    def results(self) -> list:
        from emolib import results

        return results.load_all(self.key)

    def counts(self, options: Mapping[str, Any], inputs: Mapping[str, Any]) -> "_Counts":
        """The counts of one build of this paper's model."""
        name = json.dumps([options, inputs], sort_keys=True)
        if name not in self._counts:
            self._counts[name] = _counts(self.key, options, inputs)
        return self._counts[name]

    def quantity(self, check: CostCheck) -> float:
        """The count that a cost check asks for, in the claim's unit."""
        numbers = self.counts(check.options, check.inputs).numbers
        if check.quantity not in numbers:
            raise ClaimError(f"no cost is called {check.quantity!r}: {', '.join(numbers)}")
        name = check.quantity
        value = numbers[name]
        if check.less is not None:
            value -= self.counts(check.less, check.inputs).numbers[name]
        if check.over is not None:
            other = self.counts(check.over, check.inputs).numbers
            value /= other[check.over_quantity or name]
        if check.saved_from is not None:
            value = 100 * (1 - value / self.counts(check.saved_from, check.inputs).numbers[name])
        return value * check.scale

    def layer(self, check: LayersCheck) -> float | tuple[int, ...]:
        """The number or the shape that a layers check asks for."""
        for name, build in (("saved_from", check.saved_from), ("over", check.over)):
            if build is not None:
                here = self.layer(check.model_copy(update={name: None}))
                there = self.layer(check.model_copy(update={name: None, "options": build}))
                return 100 * (1 - here / there) if name == "saved_from" else there / here
        layers = self.counts(check.options, check.inputs).layers
        rows = layers[layers["type"] == check.type]
        if check.layer is not None:
            rows = rows[rows["layer"].str.fullmatch(check.layer)]
        if check.quantity == "count":
            return float(len(rows))
        if check.total:
            return float(rows[check.quantity].sum())
        if check.index >= len(rows):
            raise ClaimError(
                f"the model has {len(rows)} layers of type {check.type!r}, so none with index "
                f"{check.index}; types: {', '.join(sorted(set(layers['type'])))}"
            )
        row = rows.iloc[check.index]
        if check.quantity == "shape":
            return tuple(int(n) for n in re.findall(r"\d+", str(row["output_shape"])))
        return float(row[check.quantity])


def _compare(claim: Claim, value: float, what: str, relation: str = "=") -> Verdict:
    """Compare an exact number with the printed one: does it print so?"""
    printed = claim.printed
    if span := re.fullmatch(r"(\d+(?:\.\d+)?)\s?[–-]\s?(\d+(?:\.\d+)?)", claim.published):
        low, high = (Printed.parse(end).window().bounds for end in span.groups())
        inside = low[0] <= Fraction(value) <= high[1]
        why = f"{what} is {_number(value)}, {'' if inside else 'not '}in {claim.published}."
        return Verdict(claim, "holds" if inside else "fails", why, value)
    if printed is None:
        raise ClaimError(f"{claim.id}: published {claim.published!r} is no number to compare with")
    if relation != "=":
        true = RELATIONS[relation](value, float(printed.value))
        why = f"{what} is {_number(value)}, {'' if true else 'not '}{relation} {claim.published}."
        return Verdict(claim, "holds" if true else "fails", why, value)
    exact = Fraction(value)
    convention = audit.agrees(printed, (exact, exact))
    if convention:
        note = "" if convention == "rounded" else ", cut off instead of rounded"
        return Verdict(claim, "holds", f"{what} is {_number(value)}{note}.", value)
    if claim.tolerance and abs(value - float(printed.value)) <= claim.tolerance:
        why = f"{what} is {_number(value)}, within {claim.tolerance:g}."
        return Verdict(claim, "holds", why, value)
    return Verdict(claim, "fails", f"{what} is {_number(value)}, not {claim.published}.", value)


def _number(value: float) -> str:
    """Format a number for a sentence."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"


def _judge_cost(claim: Claim, check: CostCheck, bench: _Bench) -> Verdict:
    name = check.quantity.replace("_", " ")
    if check.saved_from is not None:
        name = f"the saving (%) in {name}, against{_of(check.saved_from)},"
    elif check.over is not None:
        name = f"the ratio to{_of(check.over)} in {name}"
    verdict = _compare(
        claim, bench.quantity(check), f"{name} of the rebuilt model{_of(check.options)}",
        check.relation,
    )  # fmt: skip
    others = []
    for options in check.readings:
        read = check.model_copy(update={"options": check.options | options})
        other = _compare(claim, bench.quantity(read), f"{name} in the reading{_of(options)}")
        if other.verdict == "holds" and verdict.verdict != "holds":
            return dataclasses.replace(other, notes=(verdict.why,))
        others.append(other.why)
    return dataclasses.replace(verdict, notes=tuple(others))


def _of(options: Mapping[str, Any]) -> str:
    """Options in brackets, for a sentence."""
    return f" ({', '.join(f'{k} = {v}' for k, v in options.items())})" if options else ""


def _judge_layers(claim: Claim, check: LayersCheck, bench: _Bench) -> Verdict:
    found = bench.layer(check)
    if check.quantity != "shape":
        what = f"{check.quantity} of {check.type} in the rebuilt model{_of(check.options)}"
        if check.saved_from is not None:
            what = f"the saving (%) in {what}, against{_of(check.saved_from)},"
        elif check.over is not None:
            what = f"the ratio to {what} of the build{_of(check.over)}"
        return _compare(claim, found, what)
    # 112² × 16 is 112 × 112 × 16.
    square = re.sub(r"(\d+)\s*²", r"\1 × \1", claim.published)
    published = [int(n) for n in re.findall(r"\d+", square)]
    # Papers write channels last; a batch axis or an axis of one says nothing.
    sides = [sorted(n for n in shape if n != 1) for shape in (found, published)]
    # One printed number stands for a square.
    same = sides[0] == sides[1] or (len(published) == 1 and {*sides[0]} == {*published})
    shape = " × ".join(map(str, found))
    which = check.layer.replace("\\", "") if check.layer else f"number {check.index + 1}"
    why = f"{check.type} {which} of the rebuilt model puts out {shape}."
    return Verdict(claim, "holds" if same else "fails", why)


def _judge_arithmetic(claim: Claim, check: ArithmeticCheck, bench: _Bench) -> Verdict:
    published = dict(bench.published)
    for other in re.findall(r"\{([a-z]+)-[a-z0-9.-]+\}", check.expression):
        if other != claim.key and other in registry.PAPERS:
            published |= {c.id: c.published for c in load(other)}
    value, interval = audit.evaluate(check.expression, published)
    readable = re.sub(
        r"\{([^{}]+)\}", lambda m: published.get(m[1].strip(), m[1]), check.expression
    )
    if re.search(r"[<>]", check.expression):
        if interval == (0, 1):
            why = f"Rounding hides whether {readable}."
            return Verdict(claim, "not stated well enough", why)
        true = interval[0] == 1
        return Verdict(
            claim,
            "holds" if true else "impossible",
            f"{readable} is {'true' if true else 'false'} of the printed numbers.",
        )
    if claim.printed is None:
        raise ClaimError(f"{claim.id}: published {claim.published!r} is no number to compare with")
    convention = audit.agrees(claim.printed, interval)
    close = claim.tolerance is not None and (
        abs(value - float(claim.printed.value)) <= claim.tolerance
    )
    why = f"{readable} = {_number(value)}"
    if convention or close:
        return Verdict(claim, "holds", f"{why}.", value)
    return Verdict(claim, "impossible", f"{why}, not {claim.published}.", value)


def _judge_formula(claim: Claim, check: FormulaCheck, bench: _Bench) -> Verdict:
    says, _ = audit.evaluate(check.says)
    if check.truth is not None:
        truth, _ = audit.evaluate(check.truth)
        plain = check.truth == _number(truth)
        source = "in truth " if plain else f"in truth {check.truth} = "
    elif isinstance(check.counted, CostCheck):
        truth, source = bench.quantity(check.counted), "the rebuilt model has "
    else:
        found = bench.layer(check.counted)
        truth = float(found[-1] if isinstance(found, tuple) else found)
        source = "the rebuilt model has "
    same = math.isclose(says, truth, rel_tol=1e-9)
    given = _number(says) if check.says == _number(says) else f"{check.says} = {_number(says)}"
    why = f"As printed it is {given}; {source}{_number(truth)}."
    return Verdict(claim, "holds" if same else "fails", why, truth)


def _judge_audit(claim: Claim, check: AuditCheck, bench: _Bench) -> Verdict:
    found = bench.report.find(check.finding)
    if check.field is not None:
        if check.field == "n" and {*check.expect} & {*found.data.get("sizes", ())}:
            return Verdict(claim, "holds", found.text)
        if check.field == "n" and {*check.expect} <= {*found.data.get("ruled_out", ())}:
            return Verdict(claim, "impossible", found.text)
        if found.level == "undecided" or check.field not in found.data:
            return Verdict(claim, "not stated well enough", found.text)
        value = found.data[check.field]
        as_expected = value in check.expect
        number = float(value) if isinstance(value, int | float) else None
        return Verdict(claim, "holds" if as_expected else "impossible", found.text, number)
    verdict = {
        "impossible": "impossible",
        "consistent": "holds",
        "identified": "holds",
        "notice": "fails",
        "undecided": "not stated well enough",
    } | check.means
    return Verdict(claim, verdict[found.level], found.text)


def _judge_result(claim: Claim, check: ResultCheck, bench: _Bench) -> Verdict:
    matching, related = [], []
    for result in bench.results:
        settles = (
            result.mode == "full"
            and result.corpus == claim.needs.corpus
            and result.corpus not in NOT_A_RECORDING
            and result.modality == claim.needs.modality
            and (check.split is None or result.split.kind == check.split)
            and (check.experiment is None or result.experiment == check.experiment)
            and _has_features(result, check.features)
            and (
                check.best
                or _built(result.model.options, check, claim.key)
                == _built(check.options, check, claim.key)
            )
        )
        if settles:
            matching.append(result)
        elif result.modality == claim.needs.modality:
            related.append(result)
    # The plainest first ("audio-clip" before "audio-clip-standardised"), then the one with the
    # most seeds and folds, then the latest.
    matching.sort(
        key=lambda r: (-r.experiment.count("-"), len(r.runs), r.provenance.date), reverse=True
    )
    base, better = None, None
    if check.less is not None and matching:
        base = next(
            (r for r in bench.results if r.experiment == check.less.get("experiment")), None
        )
    if matching and (check.less is None or base is not None):
        better = matching[0]
    metric = check.metric
    notes = tuple(_mention(result, metric) for result in _nearest(related, claim, check))
    if better is None or check.best:
        if check.best and len(options := _by_option(matching, check.best, metric)) >= 3:
            best = max(options, key=options.get)
            listing = ", ".join(f"{k:g}: {100 * v:.1f} %" for k, v in sorted(options.items()))
            verdict = "holds" if math.isclose(best, float(claim.printed.value)) else "fails"
            return Verdict(claim, verdict, f"Best {check.best} by {metric}: {listing}.", best)
        where = ", ".join(
            part
            for part in (
                {"both": "audio and video", "all": "all modalities"}.get(
                    claim.needs.modality, claim.needs.modality
                ),
                check.split and f"split by {check.split}",
                check.options and " ".join(f"{k} = {v}" for k, v in check.options.items()),
            )
            if part
        )
        why = f"There is no full run on {claim.needs.corpus}" + (f" ({where})." if where else ".")
        command = check.command or _train_command(claim, check)
        return Verdict(claim, "awaits data", why, settle_with=command, notes=notes)
    measured, interval = _metric(better, metric, check.cls)
    if base is not None:
        measured, interval = measured - _metric(base, metric, check.cls)[0], None
    scale = 100 if claim.unit.startswith(("%", "point")) else 1
    measured *= scale
    interval = tuple(scale * end for end in interval) if interval else None
    published = float(claim.printed.value) if claim.printed else None
    if published is None:
        raise ClaimError(f"{claim.id}: published {claim.published!r} is no number to compare with")
    inside = interval is not None and interval[0] <= published <= interval[1]
    reached = measured >= published - (claim.tolerance or 0)
    span = f" (95 % interval {interval[0]:.1f}–{interval[1]:.1f})" if interval else ""
    relation = "lies inside it" if inside else ("is reached" if reached else "is not reached")
    return Verdict(
        claim,
        "holds" if inside or reached else "fails",
        f"Measured {measured:.2f}{span} in {better.title}: {claim.published} {relation}.",
        measured,
        interval,
        result=f"{better.key}/{better.experiment}",
        notes=notes,
    )


def _metric(result, metric: str, cls: str | None) -> tuple[float, tuple[float, float] | None]:
    """Mean over seeds and 95 % interval of a metric, of one class if named."""
    if cls is None and metric in result.summary:
        found = result.summary[metric]
        return found.mean, tuple(found.interval)
    from scipy.stats import binomtest

    level = "segment" if metric.startswith("segment_") else None
    column = metric.removeprefix("segment_")
    frames = [result.evaluation(seed, level).per_class for seed in result.seeds]
    if column not in frames[0].columns:
        known = [*result.summary, *frames[0].columns]
        raise ClaimError(f"{result.key}/{result.experiment} has no {metric!r}: {', '.join(known)}")
    if cls is None:  # the macro average of a column
        return sum(float(f[column].mean()) for f in frames) / len(frames), None
    if cls not in frames[0].index:
        raise ClaimError(f"{result.key}/{result.experiment} has no class {cls!r}")
    mean = sum(float(f.loc[cls, column]) for f in frames) / len(frames)
    if column != "recall":
        return mean, None
    support = int(frames[0].loc[cls, "support"])
    interval = binomtest(round(mean * support), support).proportion_ci(method="wilson")
    return mean, (float(interval.low), float(interval.high))


def _has_features(result, wanted: str | None) -> bool:
    """Whether the inputs of a result were made with (or, after "!", without) something."""
    if wanted is None:
        return True
    there = wanted.lstrip("!") in json.dumps(result.features).lower()
    return there != wanted.startswith("!")


def _built(options: Mapping[str, Any], check: ResultCheck, key: str) -> dict[str, Any]:
    """The options that make a model another than the paper's own for its corpus and modality."""
    usual = {"modality", "n_classes", "hidden", "dropout"} - set(check.options)
    own = _defaults(key)
    return {
        name: value
        for name, value in options.items()
        if name not in usual and not (name in own and own[name] == value)
    }


@functools.cache
def _defaults(key: str) -> dict[str, Any]:
    """The options of the paper's own model, by name."""
    module = importlib.import_module(f"emolib.models.{key}")
    parameters = inspect.signature(getattr(module, registry.paper(key).model)).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _by_option(matching: list, option: str, metric: str) -> dict[float, float]:
    """The metric by the value of a model option, the best of runs that share a value."""
    found: dict[float, float] = {}
    for result in matching:
        if option in result.model.options and metric in result.summary:
            value = float(result.model.options[option])
            found[value] = max(found.get(value, 0.0), result.summary[metric].mean)
    return found


def _nearest(related: list, claim: Claim, check: ResultCheck) -> list:
    """The full runs nearest to what a claim asks for, as few as are equally near, three at most."""
    if not claim.unit.startswith("%"):
        return []
    measured = check.metric.removeprefix("segment_")
    wanted = _built(check.options, check, claim.key)

    def distance(result) -> tuple[int, ...]:
        built = _built(result.model.options, check, claim.key)
        unlike = {name for name in wanted if built.get(name) != wanted[name]}
        # A part that was trained beforehand is named by the inputs it made.
        named = json.dumps(result.features)
        unmet = {
            name
            for name in unlike
            if not (isinstance(wanted[name], str) and json.dumps(wanted[name]) in named)
        }
        return (
            result.corpus != claim.needs.corpus,
            not _has_features(result, check.features),
            len(unmet),
            len(built.keys() - wanted.keys()),
            check.split is not None and result.split.kind != check.split,
        )

    usable = [r for r in related if r.mode == "full" and {check.metric, measured} & {*r.summary}]
    nearest = min(map(distance, usable), default=None)
    return [result for result in usable if distance(result) == nearest][:3]


def _mention(result, metric: str) -> str:
    """A remark on a result that is close to the claim but does not settle it."""
    name = metric if metric in result.summary else metric.removeprefix("segment_")
    return f"Related: {100 * result.summary[name].mean:.1f} % in {result.title}."


def _train_command(claim: Claim, check: ResultCheck) -> str:
    """The command that would make the result a claim waits for."""
    from emolib.papers.experiment import LEAKING, Experiment, command

    corpus, split = claim.needs.corpus, check.split or "actor"
    experiment = check.experiment or Experiment(
        corpus,
        claim.needs.modality or "both",
        split,
        options=check.options,
        allow_leak=split if split in LEAKING else None,
    )
    get = [f"emolib data get {name}" for name in corpus.split("+")]
    return " && ".join((*get, command(claim.key, experiment)))


def _judge_study(claim: Claim, check: StudyCheck, bench: _Bench) -> Verdict:
    file = paths.RESULTS / claim.key / f"{check.table}.csv"
    if not file.exists():
        why = f"The study {check.table} has not been made ({check.data})."
        return Verdict(claim, "awaits data", why, settle_with=check.command)
    table = pd.read_csv(file)
    try:
        rows = table.query(check.rows) if check.rows else table
        true = rows.eval(check.says)
    except Exception as error:
        raise ClaimError(f"{claim.id}: {check.says!r} in {file.name}: {error}") from error
    if rows.empty:
        raise ClaimError(f"{claim.id}: no row of {file.name} has {check.rows}")
    why = f"{check.says} in {int(true.sum())} of {len(rows)} rows of {check.table}: {check.data}."
    return Verdict(claim, "holds" if true.all() else "fails", why)


@functools.cache
def facts() -> pd.DataFrame:
    """Published counts of the corpora: fact, value, corpus, options, where, unique, source."""
    return pd.read_csv(paths.CLAIMS / "corpora.csv", comment="#", dtype=str).fillna("")


def _judge_corpus(claim: Claim, check: CorpusCheck, bench: _Bench) -> Verdict:
    known = facts().set_index("fact")
    if check.fact not in known.index:
        raise ClaimError(f"{claim.id}: data/claims/corpora.csv has no fact {check.fact!r}")
    row = known.loc[check.fact]
    if not row["value"]:
        corpus = row["corpus"]
        return Verdict(
            claim,
            "awaits data",
            f"The number of {row['what']} is {row['source']}; it takes all of them to count.",
            settle_with=f"emolib data get {corpus} && emolib data check {corpus}",
        )
    value = float(row["value"]) * check.scale
    if check.relation:
        other = known.loc[check.than]
        true = RELATIONS[check.relation](value, float(other["value"]) * check.scale)
        why = f"{row['what']}: {row['value']}; {other['what']}: {other['value']} ({row['source']})."
        return Verdict(claim, "holds" if true else "fails", why, value)
    verdict = _compare(claim, value, f"the number of {row['what']} ({row['source']})")
    counted = _count(row)
    if counted is None:
        return verdict
    if counted == float(row["value"]):
        note = f"Counted in the recordings here: {counted:,}."
    else:
        note = f"The recordings here are incomplete: {counted:,}."
    return Verdict(claim, verdict.verdict, verdict.why, verdict.measured, notes=(note,))


def _count(fact: pd.Series) -> int | None:
    """Count a fact in the recordings, None if they are not here or it cannot be counted."""
    if not fact["corpus"]:
        return None
    from emolib import corpora

    options = dict(part.split("=") for part in fact["options"].split())
    folder = paths.recordings() / fact["corpus"]
    if not folder.is_dir():
        return None
    try:
        manifest = _manifest(fact["corpus"], str(folder), tuple(options.items()))
    except corpora.CorpusError:  # a folder without these recordings: nothing to count
        return None
    for part in fact["where"].split():
        column, value = part.split("=")
        manifest = manifest[manifest[column] == value]
    return int(manifest[fact["unique"]].nunique() if fact["unique"] else len(manifest))


@functools.lru_cache(maxsize=8)
def _manifest(corpus: str, root: str, options: tuple[tuple[str, str], ...]) -> pd.DataFrame:
    from emolib import corpora

    return corpora.load(corpus, root, **dict(options))


def _judge_unstated(claim: Claim, check: UnstatedCheck, bench: _Bench) -> Verdict:
    return Verdict(
        claim, "not stated well enough", f"The paper leaves out: {'; '.join(check.missing)}."
    )


def _judge_quoted(claim: Claim, check: QuotedCheck, bench: _Bench) -> Verdict:
    return Verdict(
        claim,
        "awaits data",
        "Quoted from another paper, not measured in this one.",
        settle_with=f"read {check.reference}",
    )


def _judge_device(claim: Claim, check: DeviceCheck, bench: _Bench) -> Verdict:
    from emolib import results

    here = results.device_name("cpu")
    if check.device.lower() not in here.lower():
        return Verdict(
            claim,
            "awaits data",
            f"Takes {check.device}; this machine is {here}.",
            settle_with=check.command,
        )
    from emolib import devices, models

    model = models.build(claim.key, **check.options)
    inputs = models.example_inputs(claim.key, batch=1, **check.options)
    measured = devices.latency(model, inputs).median_ms
    holds = measured <= float(claim.printed.value) + (claim.tolerance or 0)
    why = f"Median of 10 passes on {here}: {measured:.1f} ms."
    return Verdict(claim, "holds" if holds else "fails", why, measured)


_JUDGES: Mapping[str, Callable[[Claim, Any, _Bench], Verdict]] = {
    "cost": _judge_cost,
    "layers": _judge_layers,
    "arithmetic": _judge_arithmetic,
    "formula": _judge_formula,
    "audit": _judge_audit,
    "result": _judge_result,
    "study": _judge_study,
    "corpus": _judge_corpus,
    "unstated": _judge_unstated,
    "quoted": _judge_quoted,
    "device": _judge_device,
}
