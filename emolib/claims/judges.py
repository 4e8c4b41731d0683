"""How claims are tested: each check is data in the ledger, and judges its claim itself.

A new way to test is a new class here, with its `kind`, its fields and its `judge`.
"""

import dataclasses
import functools
import json
import math
import operator
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from emolib import audit, paths
from emolib.audit import Printed
from emolib.audit.findings import Level
from emolib.claims import scores
from emolib.claims.verdicts import ClaimError, Outcome, Verdict
from emolib.results import LEAKS, Result

if TYPE_CHECKING:
    from emolib.claims.bench import Bench
    from emolib.claims.schema import Row

Options = dict[str, Any]
Relation = Literal["=", ">", ">=", "<", "<="]
RELATIONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
NOT_A_RECORDING = ("synthetic", "paired")  # corpora that never settle a claim about people


class Frozen(BaseModel):
    """Data that is read once: no unknown fields, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(Frozen):
    """One way to test a claim."""

    kind: str

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Compute the verdict on a claim with what its paper's checks share."""
        raise NotImplementedError

    def awaits(self, claim: "Row", bench: "Bench") -> bool:
        """Whether the verdict would be that the claim awaits data; often known without judging."""
        return False


# --- counts of the rebuilt network -----------------------------------------------------------


class CostCheck(Check):
    """Count the rebuilt model: ``devices.cost(models.build(key, **options), ...)``.

    `scale` brings the count to the claim's unit (1e-6 for millions); `less` names a second
    build whose count is taken off; `over` one to divide by; `relation` replaces equality.
    A paper that can be read in several ways lists them in the head of its ledger; claims that are
    judged `jointly` share one: the reading in which all of them come out, or else our own.
    `saved_from` names a build against which the saving in per cent is meant. Where the paper
    prints a word, `bound` is the number that we take it for; the claim's `why` says so.
    """

    kind: Literal["cost"]
    quantity: str
    options: Options = {}
    inputs: Options = {}
    scale: float = 1.0
    less: Options | None = None
    over: Options | None = None
    jointly: bool = False
    saved_from: Options | None = None
    relation: Relation = "="
    bound: str | None = None

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Compare the count with the printed number, or with what its word is taken for."""
        if self.bound is None:
            return self._compared(claim, bench)
        meant = claim.model_copy(update={"published": self.bound})
        return dataclasses.replace(self._compared(meant, bench), claim=claim)

    def _compared(self, claim: "Row", bench: "Bench") -> Verdict:
        """Compare the count, in the paper's own reading or in one of the others."""
        name = self.quantity.replace("_", " ")
        if self.saved_from is not None:
            name = f"the saving (%) in {name}, against{_of(self.saved_from)},"
        elif self.over is not None:
            name = f"the ratio to{_of(self.over)} in {name}"
        what = f"{name} of the rebuilt model{_of(self.options)}"
        if not self.jointly:
            return compare(claim, self.value(bench), what, self.relation)
        verdict = self.read(bench.reading).as_read(claim, bench)
        others = [options for options in bench.readings if options != bench.reading]
        notes = [self.read(options).as_read(claim, bench).why for options in others]
        if verdict.verdict != "reproduced" or bench.reading:
            notes.insert(0, bench.why_this_reading)
        return dataclasses.replace(verdict, notes=tuple(notes))

    def read(self, options: Options) -> "CostCheck":
        """The same check of the network in another reading of the paper."""
        return self.model_copy(update={"options": self.options | options})

    def as_read(self, claim: "Row", bench: "Bench") -> Verdict:
        """Compare the count in one reading with the printed number."""
        what = f"{self.quantity.replace('_', ' ')} in the reading{_of(self.options) or ' of ours'}"
        return compare(claim, self.value(bench), what, self.relation)

    def value(self, bench: "Bench") -> float:
        """The count that the check asks for, in the claim's unit."""

        def count(options: Options) -> float:
            numbers = bench.network.numbers(options, self.inputs)
            if self.quantity not in numbers:
                raise ClaimError(f"no cost is called {self.quantity!r}: {', '.join(numbers)}")
            return numbers[self.quantity]

        value = count(self.options)
        if self.less is not None:
            value -= count(self.less)
        if self.over is not None:
            value /= count(self.over)
        if self.saved_from is not None:
            value = 100 * (1 - value / count(self.saved_from))
        return value * self.scale


class LayersCheck(Check):
    """Look at the layers of the rebuilt model: how many of a type, or a shape of one of them.

    `layer` is a regular expression that the layer's whole name must match; `index` counts
    among the layers found, `total` sums over all of them, `axis` picks one side of a shape
    (0 for the maps of a convolution, −1 for the side of a picture). `saved_from` names a build
    against which the saving in per cent is meant, `over` one to be divided by this one.
    """

    kind: Literal["layers"]
    type: str
    layer: str | None = None
    quantity: Literal["count", "shape", "parameters", "macs"] = "count"
    index: int = 0
    axis: int | None = None
    total: bool = False
    options: Options = {}
    saved_from: Options | None = None
    over: Options | None = None

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Compare a number of layers, of parameters, of operations, or the shape of one output."""
        value = self.value(bench)
        if isinstance(value, tuple):
            return self._same_shape(claim, value)
        what = f"{self.quantity} of {self.type} in the rebuilt model{_of(self.options)}"
        if self.axis is not None:
            side = {0: "number of maps", -1: "side"}.get(self.axis, f"axis {self.axis}")
            what = f"the {side} of {self.type} in the rebuilt model{_of(self.options)}"
        if self.saved_from is not None:
            what = f"the saving (%) in {what}, against{_of(self.saved_from)},"
        elif self.over is not None:
            what = f"the ratio to {what} of the build{_of(self.over)}"
        return compare(claim, value, what)

    def value(self, bench: "Bench") -> float | tuple[int, ...]:
        """The number or the shape that the check asks for."""
        here = self._built(self.options, bench)
        other = self.over if self.saved_from is None else self.saved_from
        if other is None or isinstance(here, tuple):
            return here
        there = cast("float", self._built(other, bench))
        return there / here if self.saved_from is None else 100 * (1 - here / there)

    def _built(self, options: Options, bench: "Bench") -> float | tuple[int, ...]:
        layers = bench.network.layers(options)
        rows = layers[layers["type"] == self.type]
        if self.layer is not None:
            rows = rows[rows["layer"].str.fullmatch(self.layer)]
        if self.quantity == "count":
            return float(len(rows))
        if self.total:
            return float(rows[self.quantity].sum())
        if self.index >= len(rows):
            known = ", ".join(sorted(set(layers["type"])))
            few = f"the model has {len(rows)} layers of type {self.type!r}"
            raise ClaimError(f"{few}, so none with index {self.index}; types: {known}")
        row = rows.iloc[self.index]
        if self.quantity != "shape":
            return float(row[self.quantity])
        sides = tuple(row["output_shape"])
        return sides if self.axis is None else float(sides[self.axis])

    def _same_shape(self, claim: "Row", shape: tuple[int, ...]) -> Verdict:
        # 112² × 16 is 112 × 112 × 16.
        square = re.sub(r"(\d+)\s*²", r"\1 × \1", claim.published)
        published = [int(n) for n in re.findall(r"\d+", square)]
        # Papers write channels last; a batch axis or an axis of one says nothing.
        sides = [sorted(n for n in sizes if n != 1) for sizes in (shape, published)]
        # One printed number stands for a square.
        same = sides[0] == sides[1] or (len(published) == 1 and {*sides[0]} == {*published})
        which = self.layer.replace("\\", "") if self.layer else f"number {self.index + 1}"
        size = " × ".join(map(str, shape))
        why = f"{self.type} {which} of the rebuilt model puts out {size}."
        return Verdict(claim, "reproduced" if same else "not reproduced", why)


def compare(
    claim: "Row",
    value: float,
    what: str,
    relation: Relation = "=",
    otherwise: Outcome = "not reproduced",
) -> Verdict:
    """Compare an exact number with the printed one: does it print so?"""
    shown = f"{what} is {_number(value)}"
    if span := re.fullmatch(r"(\d+(?:\.\d+)?)\s?[–-]\s?(\d+(?:\.\d+)?)", claim.published):
        low, high = (Printed.parse(end).window().bounds for end in span.groups())
        true = low[0] <= Fraction(value) <= high[1]
        why = f"{shown}, {'' if true else 'not '}in {claim.published}."
    elif relation != "=":
        true = RELATIONS[relation](value, float(claim.number.value))
        why = f"{shown}, {'' if true else 'not '}{relation} {claim.published}."
    else:
        convention = audit.agrees(claim.number, (Fraction(value), Fraction(value)))
        true = bool(convention) or claim.tolerates(value)
        if convention:
            why = shown + ("." if convention == "rounded" else ", cut off instead of rounded.")
        else:
            why = f"{shown}, {f'within {claim.tolerance:g}' if true else f'not {claim.published}'}."
    return Verdict(claim, "reproduced" if true else otherwise, why, value)


def _number(value: float) -> str:
    """Format a number for a sentence."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"


def _of(options: Mapping[str, Any]) -> str:
    """Options in brackets, for a sentence."""
    return f" ({', '.join(f'{k} = {v}' for k, v in options.items())})" if options else ""


# --- what the paper prints itself ------------------------------------------------------------


class ArithmeticCheck(Check):
    """Redo the paper's arithmetic; braces hold printed numbers or ids of other claims.

    The claim's published number is compared with the expression. A comparison
    (``{a} > {b}``) is a claim by itself: it is true, false, or lost in rounding.
    """

    kind: Literal["arithmetic"]
    expression: str

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Evaluate the expression with all that rounding allows."""
        published = bench.published(self.expression)
        value, interval = audit.evaluate(self.expression, published)
        readable = re.sub(
            r"\{([^{}]+)\}", lambda m: published.get(m[1].strip(), m[1]), self.expression
        )
        if not re.search(r"[<>]", self.expression):
            true = audit.agrees(claim.number, interval) or claim.tolerates(value)
            why = f"{readable} = {_number(value)}" + ("" if true else f", not {claim.published}")
            return Verdict(claim, "reproduced" if true else "contradicted", f"{why}.", value)
        least, most = interval
        if least < most:  # false and true
            why = f"Rounding hides whether {readable}."
            return Verdict(claim, "not stated", why)
        why = f"{readable} is {'true' if least else 'false'} of the printed numbers."
        return Verdict(claim, "reproduced" if least else "contradicted", why)


class FormulaCheck(Check):
    """Compare what a printed formula gives (`says`) with what is so (`truth`, or a count).

    What is so is the measured value of the claim only where `says` is the published number
    itself; parameters by a formula are no measure of the kernel that stands in it.
    """

    kind: Literal["formula"]
    says: str
    truth: str | None = None
    counted: Annotated[CostCheck | LayersCheck, Field(discriminator="kind")] | None = None

    @model_validator(mode="after")
    def _one_truth(self) -> "FormulaCheck":
        if (self.truth is None) == (self.counted is None):
            raise ValueError("give either truth or counted")
        return self

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Evaluate both sides."""
        if self.truth is not None:
            truth, shown = self._evaluated(self.truth)
            source = f"in truth {shown}"
        elif self.counted is not None:
            value = self.counted.value(bench)
            truth = float(value[-1] if isinstance(value, tuple) else value)
            source = f"the rebuilt model has {_number(truth)}"
        says, shown = self._evaluated(self.says)
        same = math.isclose(says, truth, rel_tol=1e-9)
        why = f"As printed it is {shown}; {source}."
        alike = claim.printed is not None and math.isclose(says, float(claim.printed.value))
        # What our rebuild counts may be our reading; what is so is so.
        otherwise: Outcome = "contradicted" if self.counted is None else "not reproduced"
        return Verdict(claim, "reproduced" if same else otherwise, why, truth if alike else None)

    @staticmethod
    def _evaluated(expression: str) -> tuple[float, str]:
        value, _ = audit.evaluate(expression)
        number = _number(value)
        return value, number if expression == number else f"{expression} = {number}"


class RecipeCheck(Check):
    """Ask whether the rebuild follows a setting that the paper states.

    A setting is no claim that experiments could refute: it holds if `setting`, such as ``SIDE`` or
    ``RECIPE.batch_size`` of ``emolib/papers/<key>.py``, is what was printed; `module` names another
    file (see `emolib.claims.bench.settings_of`). `index` picks out of a tuple; `squared` turns a
    standard deviation into a variance. A rebuild that departs is an error in this project, and no
    verdict on the paper.
    """

    kind: Literal["recipe"]
    setting: str
    module: str | None = None
    index: int | None = None
    squared: bool = False

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Compare a number exactly, a word without its case."""
        settings, where = bench.settings(self.module), self.module or f"papers.{claim.key}"
        if self.setting not in settings:
            raise ClaimError(f"{claim.id}: emolib.{where} sets no {self.setting}")
        value = settings[self.setting]
        value = value if self.index is None else value[self.index]
        value = value**2 if self.squared else value
        if isinstance(value, str):
            same, number = value.lower().rpartition("=")[2] == claim.published.lower(), None
        else:
            stated = re.fullmatch(r"10\^\{-(\d+)\}", claim.published)
            there = 10.0 ** -int(stated[1]) if stated else float(claim.number.value)
            same, number = math.isclose(value, there), float(value)
        shown = f"{self.setting} of the rebuild is {value if number is None else f'{number:g}'}"
        if not same:
            remedy = f"{claim.published} is stated: mend emolib.{where} or the check"
            raise ClaimError(f"{claim.id}: {shown}, but {remedy}")
        return Verdict(claim, "reproduced", f"{shown}, as stated.", number)


MEANS: Mapping[Level, Outcome] = {
    "impossible": "cannot be",
    "consistent": "reproduced",
    "identified": "reproduced",
    "notice": "contradicted",
    "undecided": "not stated",
}


class AuditCheck(Check):
    """Read a finding of the audit; with `field`, one of its numbers must be among `expect`.

    `means` overrides what a level of the finding means for this claim: by default a notice (the
    numbers are possible, but not what one would think) contradicts it, and what was identified from
    the digits bears it out.
    """

    kind: Literal["audit"]
    finding: str
    field: str | None = None
    expect: list[int | float | str] = []
    means: dict[Level, Outcome] = {}

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Take the level of the finding, or look for what is expected in it."""
        finding = bench.report.find(self.finding)
        data, number = finding.data, None
        expected: set[object] = {*self.expect}
        if self.field is None:
            verdict = ({**MEANS} | self.means)[finding.level]
        elif self.field == "n" and expected & {*data.get("sizes", ())}:
            verdict = "reproduced"
        elif self.field == "n" and expected <= {*data.get("ruled_out", ())}:
            verdict = "cannot be"
        elif finding.level == "undecided" or self.field not in data:
            verdict = "not stated"
        else:
            value = data[self.field]
            verdict = "reproduced" if value in self.expect else "cannot be"
            number = float(value) if isinstance(value, int | float) else None
        return Verdict(claim, verdict, finding.text, number)


# --- full runs -------------------------------------------------------------------------------


class Reading(Frozen):
    """Another network that fits what the paper says of its own: a declared experiment."""

    key: str
    experiment: str


class ResultCheck(Check):
    """Compare with the full run of a declared `experiment`, made as the other fields say.

    `less` names an experiment whose metric is taken off. `best` names a model option: the claim
    is then about the value of that option with the best metric among the runs of `experiment` and
    those of `among`, three or more. `features` is a word that the description of the inputs must
    hold, or not ("!frft"). Where the paper does not state its network, `readings` are others that
    fit what it says: the claim is reproduced by any of them. Cells of one printed table that name
    a `class` stand or fall together.
    """

    kind: Literal["result"]
    metric: str = "accuracy"
    split: str | None = None
    experiment: str
    among: list[str] = []
    readings: list[Reading] = []
    options: Options = {}
    less: dict[Literal["experiment"], str] | None = None
    cls: str | None = Field(default=None, alias="class")
    best: str | None = None
    features: str | None = None

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of the declared experiments whose results it compares with."""
        return (self.experiment, *self.among, *(self.less or {}).values())

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Judge by the run of the paper's protocol, or of another reading that bears it out."""
        runs = self._runs(claim, bench)
        others = [result for result in bench.results if result not in runs]
        notes = tuple(map(self._mention, self._nearest(others, claim, bench)))
        base = self._base(bench)
        if self._lacks(claim, bench):
            return self._unsettled(claim, notes)
        if self.best:
            return self._best_of(runs, claim)
        verdicts = [self._beside(claim, run, base, bench) for run in self._candidates(claim, bench)]
        kinder = ("reproduced", "exceeded", "not reproduced", "awaits data")
        chosen = min(verdicts, key=lambda verdict: kinder.index(verdict.verdict))
        beside = tuple(each.why for each in verdicts if each is not chosen)
        return dataclasses.replace(chosen, notes=(*chosen.notes, *beside, *notes))

    def awaits(self, claim: "Row", bench: "Bench") -> bool:
        """Whether a run that it takes is not there, or has too few seeds and folds."""
        return self._lacks(claim, bench) or not (
            self.best or any(map(scores.enough, self._candidates(claim, bench)))
        )

    def _lacks(self, claim: "Row", bench: "Bench") -> bool:
        """Whether a run that it takes is not there at all."""
        if self.best:
            return len(self._by_value(self._runs(claim, bench))) < 3
        if self.less is not None and self._base(bench) is None:
            return True
        return not self._candidates(claim, bench)

    def _runs(self, claim: "Row", bench: "Bench") -> "list[Result]":
        return [result for result in bench.results if self._settled_by(result, claim, bench)]

    def _candidates(self, claim: "Row", bench: "Bench") -> "list[Result]":
        """The plainest run of the paper's protocol, and those of the other readings."""
        runs = self._runs(claim, bench)
        first = [max(runs, key=scores.plainest)] if runs else []
        read = (bench.result(each.key, each.experiment) for each in self.readings)
        return [*first, *filter(None, read)]

    def _base(self, bench: "Bench") -> "Result | None":
        """The result whose metric is taken off."""
        named = self.less and self.less["experiment"]
        return next((result for result in bench.results if result.experiment == named), None)

    def _settled_by(self, result: "Result", claim: "Row", bench: "Bench") -> bool:
        """Whether a result was made as the claim says."""
        unusual = self._unusual(result.model.options, bench)
        return (
            result.mode == "full"
            and result.corpus == claim.needs.corpus
            and result.corpus not in NOT_A_RECORDING
            and result.modality == claim.needs.modality
            and self.split in (None, result.split.kind)
            and result.experiment in (self.experiment, *self.among)
            and self._has_features(result)
            and (bool(self.best) or unusual == self._unusual(self.options, bench))
        )

    def _has_features(self, result: "Result") -> bool:
        """Whether the inputs of a result were made with (or, after "!", without) something."""
        if self.features is None:
            return True
        there = self.features.lstrip("!") in json.dumps(result.features).lower()
        return there != self.features.startswith("!")

    def _unusual(self, options: Mapping[str, Any], bench: "Bench") -> Options:
        """The options that make a model another than the paper's own for its data."""
        usual = {"modality", "n_classes", "hidden", "dropout"} - set(self.options)
        own = bench.network.options.items()
        return {k: v for k, v in options.items() if k not in usual and (k, v) not in own}

    def _by_value(self, runs: "Iterable[Result]") -> dict[float, float]:
        """The metric by the value of the option that is compared."""
        best: dict[float, float] = {}
        for result in runs:  # the best of runs that share a value
            if self.best in result.model.options and self.metric in result.summary:
                value = float(result.model.options[self.best])
                best[value] = max(best.get(value, 0.0), result.summary[self.metric].mean)
        return best

    def _best_of(self, runs: "Iterable[Result]", claim: "Row") -> Verdict:
        """Judge which value of an option is the best."""
        best = self._by_value(runs)
        listing = ", ".join(f"{k:g}: {100 * v:.1f} %" for k, v in sorted(best.items()))
        winner = max(best, key=lambda value: best[value])
        same = math.isclose(winner, float(claim.number.value))
        why = f"Best {self.best} by {self.metric}: {listing}."
        return Verdict(claim, "reproduced" if same else "not reproduced", why, winner)

    def _beside(
        self, claim: "Row", result: "Result", base: "Result | None", bench: "Bench"
    ) -> Verdict:
        """Compare the printed number with the measured one, and say what new people give."""
        scale = 100 if claim.unit.startswith(("%", "point")) else 1
        measured = scores.measurement(result, self.metric, self.cls, scale)
        new = None
        if base is not None:
            other = scores.measurement(base, self.metric, self.cls, scale)
            value = measured.value - other.value
            measured = dataclasses.replace(measured, value=value, interval=None)
        elif twin := scores.for_new_people(result, bench.results_of(result.key)):
            new = scores.measurement(twin, self.metric, self.cls, scale)
        shown = f"Measured {measured.shown()} in {result.title} ({measured.strength})"
        seen = Verdict(
            claim, "awaits data", shown, measured.value, measured.interval, measured, new
        )
        if not measured.enough:
            why = f"So far: {shown[0].lower()}{shown[1:]}, too few runs to settle it."
            return dataclasses.replace(seen, why=why)
        if self.cls is not None:
            word, why = self._of_table(claim, result, bench, scale)
        else:
            published = float(claim.number.value)
            word = scores.outcome(
                published, measured.value, measured.interval, claim.tolerance or 0
            )
            if base is not None and word == "exceeded":  # a difference is neither good nor bad
                word = "not reproduced"
            why = f"{claim.published} is printed"
        if word == "exceeded" and measured.leak:
            why += f", and more is reached under a split that leaks: {LEAKS[measured.leak]}"
        return dataclasses.replace(seen, verdict=word, why=f"{shown}; {why}.")

    def _of_table(
        self, claim: "Row", result: "Result", bench: "Bench", scale: float
    ) -> tuple[Outcome, str]:
        """Judge all cells of the printed table that belong to this run together."""
        printed = {
            (check.cls, check.metric.removeprefix("segment_")): float(cell.number.value) / scale
            for cell in bench.cells(claim)
            if isinstance(check := cell.check, ResultCheck) and check.cls is not None
        }
        measured = scores.cells(result, scores.level_of(self.metric))
        off = scores.outside(printed, measured)
        why = (
            f"{len(off)} of the {len(printed)} cells of {claim.source} lie outside the intervals "
            "that hold for all of them together"
        )
        if not off:
            return "reproduced", why
        better = all(measured.loc[cell, "value"] > printed[cell] for cell in off)
        return ("exceeded" if better else "not reproduced"), why

    def _nearest(self, results: "Iterable[Result]", claim: "Row", bench: "Bench") -> "list[Result]":
        """The full runs nearest to what the claim asks for: those equally near, three at most."""
        wanted = self._unusual(self.options, bench)

        def distance(result: "Result") -> tuple[int, ...]:
            built = self._unusual(result.model.options, bench)
            unmet = [value for name, value in wanted.items() if built.get(name) != value]
            # A part that was trained beforehand is named by the inputs it made.
            inputs = json.dumps(result.features)
            named = [v for v in unmet if isinstance(v, str) and json.dumps(v) in inputs]
            return (
                result.corpus != claim.needs.corpus,
                not self._has_features(result),
                len(unmet) - len(named),
                len(built.keys() - wanted.keys()),
                self.split not in (None, result.split.kind),
            )

        metrics = {self.metric, self.metric.removeprefix("segment_")}
        asked = ("full", claim.needs.modality, True)
        usable = [
            result
            for result in results
            if (result.mode, result.modality, claim.unit.startswith("%")) == asked
            and metrics & {*result.summary}
        ]
        nearest = min(map(distance, usable), default=None)
        return [result for result in usable if distance(result) == nearest][:3]

    def _mention(self, result: "Result") -> str:
        """A remark on a result that is close to the claim but does not settle it."""
        metric = self.metric
        name = metric if metric in result.summary else metric.removeprefix("segment_")
        return f"Related: {100 * result.summary[name].mean:.1f} % in {result.title}."

    def _unsettled(self, claim: "Row", notes: tuple[str, ...]) -> Verdict:
        modality = claim.needs.modality
        where = [
            {"both": "audio and video", "all": "all modalities"}.get(modality or "", modality),
            self.split and f"split by {self.split}",
            " ".join(f"{k} = {v}" for k, v in self.options.items()),
        ]
        of = f" ({', '.join(filter(None, where))})" if any(where) else ""
        why = f"There is no full run on {claim.needs.corpus}{of}."
        return Verdict(claim, "awaits data", why, notes=notes)


# --- studies, corpora, devices ---------------------------------------------------------------


class StudyCheck(Check):
    """Ask whether a statement is true in every row of a study: a table beside the results.

    `rows` (a pandas query) says which rows the claim is about, `says` (an expression of their
    columns) what must hold in each, or in more than the share `most` of them where the sentence
    has no "always" in it; `data` says what the table was made on.
    """

    kind: Literal["study"]
    table: str
    rows: str | None = None
    says: str
    most: float | None = Field(default=None, ge=0.5, lt=1)
    data: str

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Evaluate the statement row by row."""
        file = self._file(claim)
        if self.awaits(claim, bench):
            why = f"The study {self.table} has not been made ({self.data})."
            return Verdict(claim, "awaits data", why)
        table = pd.read_csv(file)
        try:
            rows = table.query(self.rows) if self.rows else table
            true = cast("pd.Series", rows.eval(self.says))
        except Exception as error:
            raise ClaimError(f"{claim.id}: {self.says!r} in {file.name}: {error}") from error
        if rows.empty:
            raise ClaimError(f"{claim.id}: no row of {file.name} has {self.rows}")
        count = f"{int(true.sum())} of {len(rows)} rows"
        why = f"{self.says} in {count} of {self.table}: {self.data}."
        enough = true.all() if self.most is None else true.mean() > self.most
        return Verdict(claim, "reproduced" if enough else "not reproduced", why)

    def awaits(self, claim: "Row", bench: "Bench") -> bool:
        """Whether the table has not been made."""
        return not self._file(claim).exists()

    def _file(self, claim: "Row") -> Path:
        return paths.find(paths.RESULTS / claim.key / f"{self.table}.csv")


class CorpusCheck(Check):
    """Count clips, actors or classes: in the recordings if they are here, else as published.

    With `relation` and `than` the claim is that one count stands so to another.
    """

    kind: Literal["corpus"]
    fact: str
    relation: Literal[">", ">=", "<", "<="] | None = None
    than: str | None = None

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Compare the published count, and say what the recordings here count."""
        if self.fact not in bench.facts.index:
            raise ClaimError(f"{claim.id}: data/claims/corpora.csv has no fact {self.fact!r}")
        fact = bench.facts.loc[self.fact]
        if not fact["value"]:
            return self._counted_here(claim, fact, bench)
        value = float(fact["value"])
        if self.relation:
            other = bench.facts.loc[self.than]
            true = RELATIONS[self.relation](value, float(other["value"]))
            both = "; ".join(f"{each['what']}: {each['value']}" for each in (fact, other))
            why = f"{both} ({fact['source']})."
            return Verdict(claim, "reproduced" if true else "contradicted", why, value)
        what = f"the figure for {fact['what']} ({fact['source']})"
        if fact["measure"]:  # no count, so nothing is cut off
            same = claim.tolerates(value)
            why = f"{what} is {fact['value']}, {'within' if same else 'not within'} "
            why += f"{claim.tolerance:g} of {claim.published}."
            verdict = Verdict(claim, "reproduced" if same else "contradicted", why, value)
        else:
            verdict = compare(claim, value, what, otherwise="contradicted")
        counted = bench.counted(fact)
        if counted is None:
            return verdict
        note = "Counted in the recordings here"
        if counted != value:
            note = "The recordings here are incomplete"
        return dataclasses.replace(verdict, notes=(f"{note}: {counted:,}.",))

    def awaits(self, claim: "Row", bench: "Bench") -> bool:
        """Whether nobody has published the count and the recordings are not all here."""
        fact = bench.facts.loc[self.fact]
        if fact["value"]:
            return False
        # Part of a corpus cannot say how many clips the whole has, unless there are more.
        counted = bench.counted(fact) or 0
        return counted < float(claim.number.value) and not bench.whole(fact)

    def _counted_here(self, claim: "Row", fact: pd.Series, bench: "Bench") -> Verdict:
        """Compare with a count of the recordings: nobody has published one."""
        counted = bench.counted(fact)
        if counted is not None and not self.awaits(claim, bench):
            what = f"the number of {fact['what']} in the recordings here"
            return compare(claim, counted, what, otherwise="contradicted")
        why = f"The number of {fact['what']} is {fact['source']}; it takes all of them to count."
        here = (f"Counted in the part that is here: {counted:,}.",) if counted else ()
        return Verdict(claim, "awaits data", why, notes=here)


class UnstatedCheck(Check):
    """Nothing can be tested: the paper leaves out what `missing` lists.

    The rule: a claim is not stated as long as no other row of the ledger enters what is missing
    as something that the paper prints. One that does is named, for the claim can be tested then.
    """

    kind: Literal["unstated"]
    missing: list[str] = Field(min_length=1)

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Say what is left out, unless the ledger has it."""
        if there := [bench.stated[one] for one in self.missing if one in bench.stated]:
            raise ClaimError(f"{claim.id}: {there[0]} states what is said to be missing; test it")
        return Verdict(claim, "not stated", f"The paper leaves out: {'; '.join(self.missing)}.")


class QuotedCheck(Check):
    """The number is quoted from another paper: compared with what that prints, where we know it.

    The rule: a row that is not the paper's own (``own: false``) and names its `reference` is
    quoted; a row of the paper's own cannot be.
    """

    kind: Literal["quoted"]
    reference: str
    printed_there: str | None = None

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Name the other paper, and compare where its number is known."""
        if claim.own:
            raise ClaimError(f"{claim.id} is the paper's own: test it, or say own: false")
        why = f"Quoted from {self.reference}, not measured in this paper."
        if self.printed_there is None:
            return Verdict(claim, "quoted", f"{why} Its own number was not looked up.")
        there = audit.Printed.parse(self.printed_there).value
        same = there == claim.number.value
        shown = f"{why} There it is {self.printed_there}."
        return Verdict(claim, "quoted" if same else "contradicted", shown, float(there))


class DeviceCheck(Check):
    """Compare with how long a forward pass of the rebuilt model took on the named device.

    The times stand in ``latency.csv`` beside the paper's results: ``claim, device, median_ms``.
    """

    kind: Literal["device"]
    device: str
    options: Options = {}

    def judge(self, claim: "Row", bench: "Bench") -> Verdict:
        """Read what was measured on the device."""
        rows = self._timed(claim, bench)
        if rows.empty:
            why = f"Takes {self.device}: no time was measured there."
            return Verdict(claim, "awaits data", why)
        measured, device = float(rows["median_ms"].iloc[-1]), rows["device"].iloc[-1]
        printed, tolerance = float(claim.number.value), claim.tolerance or 0
        # Less is better: the signs change sides.
        word = scores.outcome(-printed, -measured, None, tolerance)
        why = f"Median of 10 passes on {device}: {measured:.1f} ms."
        return Verdict(claim, word, why, measured)

    def awaits(self, claim: "Row", bench: "Bench") -> bool:
        """Whether no time was measured on the device."""
        return self._timed(claim, bench).empty

    def _timed(self, claim: "Row", bench: "Bench") -> pd.DataFrame:
        device = bench.latency["device"].str.contains(self.device, case=False, regex=False)
        return bench.latency[(bench.latency["claim"] == claim.id) & device]

    def measure(self, claim: "Row") -> float:
        """Return the median milliseconds of a forward pass on this machine."""
        from emolib import devices, models

        inputs = models.example_inputs(claim.key, batch=1, **self.options)
        return devices.latency(models.build(claim.key, **self.options), inputs).median_ms


if TYPE_CHECKING:
    AnyCheck = Check
else:
    #: Any of the checks above, told apart by its kind.
    AnyCheck = functools.reduce(operator.or_, Check.__subclasses__())
    AnyCheck = Annotated[AnyCheck, Field(discriminator="kind")]
