"""What a classification report gives away: its rows, averages, accuracy and supports."""

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from emolib.audit.findings import Finding, Level
from emolib.audit.granularity import Granularity, count_of
from emolib.audit.margins import Margins, TooCoarse, accuracy_bounds, margins
from emolib.audit.printed import CONVENTIONS, Interval, Printed, agrees, hull
from emolib.audit.tables import MACRO_ROWS, WEIGHTED_ROWS, PrintedTable, slug
from emolib.audit.wording import say

SCAN_DIGITS = 3  # of a fraction; with two, every class of a hundred clips prints every recall
SUMS = 200_000  # partial sums of whole speakers, beyond which their number decides nothing


def examine(item: PrintedTable, known: Granularity | None) -> Iterator[Finding]:
    """Test a classification report; `known` is what is known of the size of its test set."""
    yield from _f1_rows(item)
    yield from _averages(item, MACRO_ROWS, "average", [1] * len(item.classes))
    if item.supports:
        yield from _averages(item, WEIGHTED_ROWS, "weighted", list(item.supports.values()))
    recovered = None
    if item.has_recalls:
        recovered, finding = _supports(item, known)
        yield finding
        if recovered is None:
            yield _feasible(item)
    if recovered is not None:
        yield from _stratified(item, recovered)
        yield from _whole_groups(item, recovered)
        yield from _f1_average(item, recovered)
    if item.has_recalls:
        for reading, counts in item.populations.items():
            yield _accuracy_by_population(item, reading, counts)


def harmonic(precision: Printed, recall: Printed) -> Interval:
    """2PR/(P + R) over all that rounding allows; it grows with both."""
    (pl, ph), (rl, rh) = hull(precision), hull(recall)
    ends = ((max(pl, Fraction(0)), max(rl, Fraction(0))), (ph, rh))
    low, high = (2 * p * r / (p + r) if p + r else Fraction(0) for p, r in ends)
    return low, high


def _mean(values: Sequence[Printed], weights: Sequence[int], convention: str) -> Interval:
    """The weighted mean of numbers that were printed by one convention."""
    bounds = [value.window(convention).bounds for value in values]
    ends = zip(*bounds, strict=True)
    sums = [sum(w * end for w, end in zip(weights, each, strict=True)) for each in ends]
    return sums[0] / Fraction(sum(weights)), sums[1] / Fraction(sum(weights))


def _f1_rows(item: PrintedTable) -> Iterator[Finding]:
    """F1 = 2PR/(P + R) in every class row, within rounding."""
    wrong = []
    for name, row in item.classes.items():
        p, r, f1 = (row.get(metric) for metric in ("precision", "recall", "f1"))
        if p and r and f1 and p.value + r.value:
            mean, (low, high) = harmonic(p, r), hull(f1)
            if mean[1] < low or mean[0] > high:
                wrong.append(say("f1-row", name=name, f1=f1, low=mean[0], high=mean[1]))
    if wrong:
        yield item.finding("f1", "impossible", "f1", rows=wrong)


def _averages(
    item: PrintedTable, names: Sequence[str], kind: str, weights: Sequence[int]
) -> Iterator[Finding]:
    """Whether a printed row of averages averages the rows above it: plain, or by support."""
    row = next((r for r in item.rows if r.lower() in names), "")
    mean = "mean" if kind == "average" else "mean by support"
    for metric in ("precision", "recall", "f1"):
        value = item.printed(row, metric)
        column = [c[metric] for c in item.classes.values() if metric in c]
        if value is None or len(column) != len(weights):
            continue
        means = {c: _mean(column, weights, c) for c in CONVENTIONS}
        low, high = means["rounded"]
        data = {"printed": value.text, "mean_low": float(low), "mean_high": float(high)}
        what = f"{kind} {'F1' if metric == 'f1' else metric} {value}"
        name, words = f"{kind}-{metric}", {"what": what, "mean": mean}
        if any(agrees(value, means[c], (c,)) for c in CONVENTIONS):
            yield item.finding(name, "consistent", "average", words, **data)
            continue
        others = _equals(item, row, metric, value)
        # "Average" may mean several things; a mean weighted by the printed supports only one.
        level: Level = "notice" if kind == "average" else "impossible"
        sentences = "not-average average-equals" if others else "not-average"
        yield item.finding(name, level, sentences, words, **data, equals=others)


def _equals(item: PrintedTable, row: str, metric: str, value: Printed) -> list[str]:
    """Name what an average that is none of its rows equals instead."""
    others = []
    p, r = (item.printed(row, metric) for metric in ("precision", "recall"))
    if metric == "f1" and p and r and agrees(value, harmonic(p, r)):
        others.append("the harmonic mean of the average precision and recall")
    if item.accuracy and agrees(value, hull(item.accuracy)):
        others.append("the accuracy")
    return others


def _supports(item: PrintedTable, known: Granularity | None) -> tuple[Margins | None, Finding]:
    """Recover the confusion margins when the size of the test set is known."""
    sizes, why = _sizes(item, known)
    if not sizes:
        return None, _scan(item)
    supports = {k: (v,) for k, v in item.supports.items()} if item.supports else None
    for n in sizes:
        try:
            recovered = margins(item.classes, n, item.accuracy, supports)
        except TooCoarse:
            return None, item.finding("supports", "undecided", "too-coarse", n=n)
        if recovered:
            return recovered, _recovered(item, recovered, why)
    sentences = "no-matrix with-accuracy full-stop" if item.accuracy else "no-matrix full-stop"
    words = {"why": why, "accuracy": item.accuracy}
    return None, item.finding("supports", "impossible", sentences, words, n=list(sizes))


def _sizes(item: PrintedTable, known: Granularity | None) -> tuple[tuple[int, ...], str]:
    """Return the sizes that the test set may have, and how they are known."""
    if item.supports:
        return (sum(item.supports.values()),), "the printed supports sum to it"
    if stated := item.sizes(""):
        return tuple(n for alternatives in stated.values() for n in alternatives), "stated"
    if known and known.size:
        # Any other size that fits may be the true one: the smallest is tried first.
        return known.sizes, "every accuracy on this test set is a k/N of it"
    return (), ""


def _recovered(item: PrintedTable, found: Margins, why: str) -> Finding:
    """Say which confusion margins print the report."""
    data: dict[str, Any] = {"n": found.n, "solutions": found.solutions}
    data |= {"correct": list(found.correct), "convention": found.convention}
    for counts in ("supports", "predicted", "hits"):
        data[counts] = {name: list(v) for name, v in getattr(found, counts).items()}
    certain = [f"{name} {s[0]}" for name, s in found.supports.items() if len(s) == 1]
    ends = list(dict.fromkeys((found.correct[0], found.correct[-1])))
    words = {"why": why, "certain": certain, "ends": ends}
    if found.unique:
        return item.finding("supports", "identified", "one-matrix", words, **data)
    sentences = "matrices certain" if certain else "matrices full-stop"
    return item.finding("supports", "consistent", sentences, words, **data)


def _scan(item: PrintedTable, n_max: int = 1000, work: int = 20_000) -> Finding:
    """Look for the sizes at which any confusion matrix prints this report."""
    digits = min(v.decimals + 2 * v.percent for row in item.classes.values() for v in row.values())
    if digits < SCAN_DIGITS:
        return item.finding("supports", "undecided", "few-digits", digits=digits)
    feasible: list[int] = []
    last = 0
    try:
        for n in range(len(item.classes), n_max + 1):
            if item.accuracy and not count_of(item.accuracy, n):
                continue
            if margins(item.classes, n, item.accuracy, work=work):
                feasible.append(n)
            last = n
            if len(feasible) >= 25:
                break
    except TooCoarse:
        pass
    sentence, words = "size-unknown" if feasible else "no-size", {"count": len(feasible)}
    return item.finding("supports", "undecided", sentence, words, sizes=feasible, searched_to=last)


def _feasible(item: PrintedTable) -> Finding:
    """Whether any mixture of classes reconciles rows and accuracy, whatever the supports."""
    bounds = accuracy_bounds(item.classes)
    if bounds is None:
        return item.finding("accuracy", "impossible", "no-class-sizes")
    low, high = bounds
    level: Level = "consistent"
    stated, sentence = item.accuracy, "accuracy-between"
    if stated:
        possible = hull(stated)[1] >= low - 1e-7 and hull(stated)[0] <= high + 1e-7
        level = "consistent" if possible else "impossible"
        sentence = "accuracy-within" if possible else "accuracy-outside"
    return item.finding("accuracy", level, sentence, {"accuracy": stated}, low=low, high=high)


def _accuracy_by_population(item: PrintedTable, reading: str, counts: Mapping[str, int]) -> Finding:
    """Accuracy implied by the recalls if the test set is a stratified share of the corpus."""
    weights = [counts[name.lower()] for name in item.classes]
    recalls = [row["recall"] for row in item.classes.values()]
    total = sum(weights)
    hits = sum((w * r.value for w, r in zip(weights, recalls, strict=True)), Fraction(0))
    centre = hits / total
    means = {c: _mean(recalls, weights, c) for c in CONVENTIONS}
    low, high = means["rounded"]
    data: dict[str, Any] = {
        "reading": reading, "implied": float(centre), "low": float(low), "high": float(high),
    }  # fmt: skip
    name, stated = f"accuracy-{slug(reading)}", item.accuracy
    if stated is None:
        return item.finding(name, "notice", "implied full-stop", **data)
    # A stratified draw may miss each class by half a clip.
    spread = max(abs(recall.value - centre) for recall in recalls)
    missed = Fraction(len(recalls), 2) / (item.share * total) * spread
    slack = missed if item.share < 1 else Fraction(0)
    windows = {c: stated.window(c).bounds for c in CONVENTIONS}
    gap = min(
        max(windows[c][0] - slack - means[c][1], means[c][0] - slack - windows[c][1])
        for c in CONVENTIONS
    )
    words, sentences = {"stated": stated}, "implied implied-impossible"
    if gap <= 0:
        return item.finding(name, "consistent", "implied implied-possible", words, **data)
    if item.share < 1:
        z = _deviations(weights, recalls, float(item.share), gap)
        data["standard_deviations"] = z
        sentences += " deviations"
    return item.finding(name, "impossible", sentences, words, **data)


def _deviations(
    weights: Sequence[int], recalls: Sequence[Printed], share: float, gap: Fraction
) -> float:
    """Standard deviations of a random draw's mean recall that `gap` amounts to."""
    total = sum(weights)
    values = [float(recall.value) for recall in recalls]
    first, second = (
        sum(w * v**power for w, v in zip(weights, values, strict=True)) / total for power in (1, 2)
    )
    variance = (second - first**2) / (share * total) * (1 - share)  # drawn without replacement
    return float(gap) / math.sqrt(variance) if variance > 0 else math.inf


def _stratified(item: PrintedTable, recovered: Margins) -> Iterator[Finding]:
    """Whether recovered supports are a stratified share of the corpus."""
    for reading, counts in item.populations.items():
        total = sum(counts[name.lower()] for name in recovered.supports)
        off = {}
        for name, supports in recovered.supports.items():
            expected = Fraction(recovered.n * counts[name.lower()], total)
            distances = [abs(support - expected) for support in supports]
            nearest = supports[distances.index(min(distances))]
            if abs(nearest - expected) >= 2:  # rounding moves a stratum by less than one clip
                off[name] = [nearest, float(expected)]
        listing = [f"{k} {n} instead of {e:.1f}" for k, (n, e) in off.items()]
        name = "stratified" + ("" if reading == "corpus" else f"-{slug(reading)}")
        level: Level = "impossible" if off else "consistent"
        sentence = "not-stratified" if off else "stratified"
        yield item.finding(name, level, sentence, {"listing": listing}, reading=reading, off=off)


def _whole_groups(item: PrintedTable, recovered: Margins) -> Iterator[Finding]:
    """Whether recovered supports can be the clips of whole speakers."""
    groups = item.counts("group")
    if not groups or any(len(s) > 1 for s in recovered.supports.values()):
        return
    names = [name.lower() for name in recovered.supports]
    target = tuple(s[0] for s in recovered.supports.values())
    reachable = {(0,) * len(names)}
    for group in groups.values():
        step = tuple(group.get(name, 0) for name in names)
        fitting = [t // s for t, s in zip(target, step, strict=True) if s]
        times = range(min([group.get("max", SUMS), *fitting]) + 1 if fitting else 1)
        if len(reachable) * len(times) > SUMS:
            yield item.finding("speakers", "undecided", "speakers-undecided")
            return
        sums = {
            tuple(a + n * b for a, b in zip(start, step, strict=True))
            for start in reachable
            for n in times
        }
        reachable = {s for s in sums if all(a <= b for a, b in zip(s, target, strict=True))}
    if target in reachable:
        yield item.finding("speakers", "consistent", "speakers")
    else:
        yield item.finding("speakers", "impossible", "no-speakers", supports=list(target))


def _f1_average(item: PrintedTable, recovered: Margins) -> Iterator[Finding]:
    """Compare printed averages with weighted ones, once the supports are certain."""
    row = next((r for r in item.rows if r.lower() in (*MACRO_ROWS, *WEIGHTED_ROWS)), None)
    value = item.printed(row, "f1") if row else None
    if value is None or not recovered.unique:
        return
    supports = [s[0] for s in recovered.supports.values()]
    counts = zip(supports, recovered.predicted.values(), recovered.hits.values(), strict=True)
    f1 = [Fraction(2 * hits[0], max(n + predicted[0], 1)) for n, predicted, hits in counts]
    weighted = sum((s * f for s, f in zip(supports, f1, strict=True)), Fraction(0)) / recovered.n
    averages = {"macro": sum(f1, Fraction(0)) / len(f1), "weighted": weighted}
    fits = [name for name, exact in averages.items() if agrees(value, (exact, exact))]
    data: dict[str, Any] = {name: float(exact) for name, exact in averages.items()}
    data["accuracy"] = recovered.correct[0] / recovered.n
    level: Level = "consistent" if fits else "notice"
    sentence = "f1-fits" if fits else "f1-neither"
    words = {"value": value, "fits": fits}
    yield item.finding(
        "f1-average", level, f"f1-average {sentence}", words, printed=value.text, **data
    )
