"""The tests: each takes typed-in tables and returns findings."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from emolib import paths
from emolib.audit.findings import AuditReport, Finding
from emolib.audit.granularity import Granularity, count_of, difference, granularity
from emolib.audit.layers import count_layers
from emolib.audit.margins import Margins, TooCoarse, accuracy_bounds, margins
from emolib.audit.printed import (
    CONVENTIONS,
    AuditError,
    Interval,
    Printed,
    agrees,
    evaluate,
    hull,
    percent,
)
from emolib.audit.tables import MACRO_ROWS, WEIGHTED_ROWS, Table, slug

SCAN_DIGITS = 3  # of a fraction; with two, every class of a hundred clips prints every recall
DUPLICATED = 1e-4  # chance of as many equal numbers in unrelated tables


def table(path: str | Path) -> AuditReport:
    """Audit one table that a reviewer brings as a CSV file.

    Raises
    ------
    AuditError
        If the file is missing or is not in the format of this module.
    """
    found = Table.read(path)
    return audit([found], title=f"Audit of {found.title}")


def paper(key: str, folder: str | Path | None = None) -> AuditReport:
    """Audit all typed-in tables of one of the five papers."""
    folder = Path(folder) if folder else paths.CLAIMS / "tables"
    files = sorted(folder.glob(f"{key}-*.csv"))
    if not files:
        known = sorted({f.name.partition("-")[0] for f in folder.glob("*-*.csv")})
        raise AuditError(
            f"{folder}: no tables {key}-*.csv. Papers with tables there: {', '.join(known)}."
        )
    return audit([Table.read(file) for file in files], title=f"Audit of {key}")


def audit(tables: Sequence[Table], title: str = "Audit") -> AuditReport:
    """Run every test on tables that belong to one paper.

    Tables that name the same ``test set`` pool their accuracies; a size found in one of them
    helps to read the others.
    """
    findings: list[Finding] = []
    sizes: dict[str, Granularity] = {}
    for name, members in _test_sets(tables).items():
        result, finding = _test_set_size(name, members)
        sizes[name] = result
        findings += finding
    for item in tables:
        known = sizes.get(item.directives.get("test set", item.name))
        findings += _stated_sizes(item)
        if item.kind == "report":
            findings += _report(item, known)
        elif item.kind == "methods":
            findings += _methods(item)
        elif item.kind == "statements":
            findings += _statements(item)
        elif item.kind == "layers":
            findings += _layers(item)
        findings += _differences(item, known)
    findings += _duplicates(tables)
    findings += _own_accuracy(tables)
    return AuditReport(title, tuple(findings))


def _test_sets(tables: Sequence[Table]) -> dict[str, list[Table]]:
    """Group the tables that hold own accuracies by the test set they were measured on."""
    groups: dict[str, list[Table]] = {}
    for item in tables:
        # Rows with their own sizes were measured on different test sets: see _stated_sizes.
        per_row = any(c == "n" or c.startswith("n ") for c in item.columns)
        if item.kind in ("methods", "accuracies", "report") and not per_row:
            groups.setdefault(item.directives.get("test set", item.name), []).append(item)
    return groups


def _test_set_size(name: str, members: Sequence[Table]) -> tuple[Granularity, list[Finding]]:
    """Which N make every accuracy printed for one test set a k/N."""
    # A comparison table repeats the final model; where it disagrees, the own tables count.
    own = [item for item in members if item.directives.get("quoted", "").lower() != "yes"]
    members = own or members
    values = [value for item in members for value in item.own.values()]
    values += [item.accuracy for item in members if item.kind == "report" and item.accuracy]
    found = granularity(values)
    m = len(found.values)
    told = all(item.supports or item.sizes("") for item in members if item.kind == "report")
    if m == 0 or (not found.size and told and all(item.kind == "report" for item in members)):
        return found, []  # nothing to find out, or nothing that the report does not say itself
    data = {
        "values": list(found.values),
        "sizes": list(found.sizes[:50]),
        "convention": found.convention,
        "chance": found.chance,
        "expected_by_chance": found.expected,
        "n_max": found.n_max,
    }
    ruled_out = {
        n: unit
        for item in members
        for unit, alternatives in item.sizes("").items()
        for n in alternatives
        if n <= found.n_max and n not in found.sizes
    }
    data["ruled_out"] = sorted(ruled_out)
    tables = " and ".join(item.title for item in members)
    if found.size:
        n = found.size
        stated = _stated_relation(members, n)
        text = (
            f"All {m} different accuracies of {tables} are k/{n}, {found.convention} "
            f"(or of its multiples; no other N up to {found.alone_to} fits). Numbers that came "
            f"about otherwise, such as means over folds, would all fit with probability "
            f"{found.chance:.1e}; {found.expected:.1e} sizes up to {n} are expected to fit by "
            f"chance.{stated}"
        )
        return found, [Finding(f"{name}/test-set-size", "identified", text, data | {"n": n})]
    if not found.sizes:
        text = (
            f"No N up to {found.n_max} makes all {m} accuracies of {tables} a k/N: they are "
            "averages, or come from different test sets."
        )
        return found, [Finding(f"{name}/test-set-size", "notice", text, data)]
    text = (
        f"{m} {'accuracy' if m == 1 else 'accuracies'} of {tables} cannot decide the size of the "
        f"test set: {len(found.sizes)} sizes up to {found.n_max} fit, the smallest {found.sizes[0]}"
        f", and {found.expected:.2g} up to there are expected by chance. Add more numbers measured "
        "on the same clips, or precision and recall by class."
    )
    if ruled_out:
        listing = ", ".join(f"{n} ({unit})" for n, unit in ruled_out.items())
        text += f" They do rule out {listing}."
    return found, [Finding(f"{name}/test-set-size", "undecided", text, data)]


def _stated_relation(members: Sequence[Table], n: int) -> str:
    """Say which of the stated sizes the size that was found is, and which it is not."""
    sentences = []
    for item in members:
        for unit, alternatives in item.sizes("").items():
            is_or_not = "is" if n in alternatives else "is not"
            listing = " or ".join(map(str, alternatives))
            sentences.append(f" It {is_or_not} the number of {unit} ({listing}).")
    return "".join(dict.fromkeys(sentences))


def _stated_sizes(item: Table) -> list[Finding]:
    """Whether each accuracy is possible for each stated size of the test set."""
    findings = []
    per_row = [c for c in item.columns if c == "n" or c.startswith("n ")]
    for (row, column), value in item.own.items() if per_row else ():
        for unit, alternatives in item.sizes(row).items():
            found = {n: count_of(value, n) for n in alternatives}
            where = f"{item.name}/{slug(row)}" + (
                f"/{slug(column)}" if column != "accuracy" else ""
            )
            possible = {n: k for n, k in found.items() if k}
            if possible:
                n, (k, convention) = next(iter(possible.items()))
                text = (
                    f"{item.title}, {row}: {value} is {k}/{n} ({convention}) if the test set is "
                    f"counted in {unit}."
                )
                data = {"value": value.text, "n": n, "correct": k, "convention": convention}
                findings.append(Finding(f"{where}/{unit}", "consistent", text, data))
                continue
            n = alternatives[0]
            below = math.floor(value.value * n)
            near = " and ".join(f"{k}/{n} = {percent(k / n)}" for k in (below, below + 1) if k <= n)
            sizes = " or ".join(map(str, alternatives))
            text = (
                f"{item.title}, {row}: {value} is impossible for a test set of {sizes} {unit}: "
                f"the nearest are {near}."
            )
            data = {"value": value.text, "n": list(alternatives)}
            findings.append(Finding(f"{where}/{unit}", "impossible", text, data))
    return findings


def _report(item: Table, known: Granularity | None) -> list[Finding]:
    """Test a classification report: rows, averages, accuracy, supports."""
    findings = _f1_rows(item) + _averages(item)
    recovered, more = _supports(item, known)
    findings += more
    if recovered is None:
        findings += _feasible(item)
    else:
        findings += _stratified(item, recovered) + _whole_groups(item, recovered)
        findings += _weighted(item, recovered)
    findings += _accuracy_by_population(item)
    return findings


def _f1_rows(item: Table) -> list[Finding]:
    """F1 = 2PR/(P + R) in every class row, within rounding."""
    wrong = []
    for name, row in item.classes.items():
        if {"precision", "recall", "f1"} <= set(row) and row["precision"].value + row[
            "recall"
        ].value:
            harmonic = _harmonic(row["precision"], row["recall"])
            low, high = hull(row["f1"])
            if harmonic[1] < low or harmonic[0] > high:
                wrong.append(
                    f"{name}: F1 {row['f1']} against {percent(harmonic[0])}–{percent(harmonic[1])}"
                )
    if not wrong:
        return []
    text = f"{item.title}: F1 is not 2PR/(P + R) for {'; '.join(wrong)}."
    return [Finding(f"{item.name}/f1", "impossible", text, {"rows": wrong})]


def _harmonic(precision: Printed, recall: Printed) -> Interval:
    """2PR/(P + R) over all that rounding allows; it grows with both."""
    (pl, ph), (rl, rh) = hull(precision), hull(recall)
    ends = []
    for p, r in ((max(pl, Fraction(0)), max(rl, Fraction(0))), (ph, rh)):
        ends.append(2 * p * r / (p + r) if p + r else Fraction(0))
    return ends[0], ends[1]


def _averages(item: Table) -> list[Finding]:
    """Whether the printed averages are averages of the rows above them."""
    return _average(item, MACRO_ROWS, "average") + _average(item, WEIGHTED_ROWS, "weighted")


def _average(item: Table, names: Sequence[str], kind: str) -> list[Finding]:
    """Test one row of averages: plain, or weighted by the printed supports."""
    findings = []
    row = next((r for r in item.rows if r.lower() in names), None)
    classes = item.classes
    if row is None:
        return []
    weights = [1] * len(classes)
    if kind == "weighted":
        supports = item.supports
        if supports is None:
            return []
        weights = list(supports.values())
    total = sum(weights)
    for metric in ("precision", "recall", "f1"):
        value = item.printed(row, metric)
        column = [c[metric] for c in classes.values() if metric in c]
        if value is None or len(column) != len(classes):
            continue
        hulls = [[v.window(convention).bounds for v in column] for convention in CONVENTIONS]
        means = [  # rounded, truncated
            tuple(
                sum(w * b[end] for w, b in zip(weights, h, strict=True)) / total for end in (0, 1)
            )
            for h in hulls
        ]
        fits = any(
            agrees(value, mean) in CONVENTIONS
            and mean[0] <= value.window(c).bounds[1]
            and mean[1] >= value.window(c).bounds[0]
            for mean, c in zip(means, CONVENTIONS, strict=True)
        )
        data = {
            "printed": value.text,
            "mean_low": float(means[0][0]),
            "mean_high": float(means[0][1]),
        }
        name = {"f1": "F1"}.get(metric, metric)
        mean = "mean" if kind == "average" else "mean by support"
        if fits:
            text = f"{item.title}: {kind} {name} {value} is the {mean} of its rows."
            findings.append(Finding(f"{item.name}/{kind}-{metric}", "consistent", text, data))
            continue
        text = (
            f"{item.title}: the {kind} {name} {value} is not the {mean} of its rows, "
            f"{percent(means[0][0], 3)}–{percent(means[0][1], 3)}."
        )
        others = []
        if metric == "f1" and (p := item.printed(row, "precision")):
            r = item.printed(row, "recall")
            if r and agrees(value, _harmonic(p, r)):
                others.append("the harmonic mean of the average precision and recall")
        if item.accuracy and agrees(value, hull(item.accuracy)):
            others.append("the accuracy")
        if others:
            text += f" It does equal {' and '.join(others)}."
        data["equals"] = others
        # "Average" may mean several things; a mean weighted by the printed supports only one.
        level = "notice" if kind == "average" else "impossible"
        findings.append(Finding(f"{item.name}/{kind}-{metric}", level, text, data))
    return findings


def _supports(item: Table, known: Granularity | None) -> tuple[Margins | None, list[Finding]]:
    """Recover the confusion margins when the size of the test set is known."""
    classes = item.classes
    identifier = f"{item.name}/supports"
    if not classes or not all("recall" in row for row in classes.values()):
        return None, []
    stated = item.sizes("")
    supports = {k: (v,) for k, v in item.supports.items()} if item.supports else None
    if supports:
        sizes: tuple[int, ...] = (sum(s[0] for s in supports.values()),)
        why = "the printed supports sum to it"
    elif stated:
        sizes = tuple(n for alternatives in stated.values() for n in alternatives)
        why = "stated"
    elif known and known.size:
        # Any other size that fits may be the true one: the smallest is tried first.
        sizes = known.sizes
        why = "every accuracy on this test set is a k/N of it"
    else:
        return _scan(item)
    found: dict[int, Margins | None] = {}
    for n in sizes:
        try:
            found[n] = margins(classes, n, item.accuracy, supports)
            if found[n]:
                break
        except TooCoarse:
            text = (
                f"{item.title}: with N = {n} the printed digits leave too many confusion margins "
                "to enumerate; supports cannot be decided. One more decimal, or the supports, "
                "would do."
            )
            return None, [Finding(identifier, "undecided", text, {"n": n})]
    possible = {n: m for n, m in found.items() if m}
    if not possible:
        text = (
            f"{item.title}: no confusion matrix with N = {' or '.join(map(str, sizes))} ({why}) "
            "prints these precisions, recalls and F1-scores"
            + (f" with accuracy {item.accuracy}." if item.accuracy else ".")
        )
        return None, [Finding(identifier, "impossible", text, {"n": list(sizes)})]
    n, best = next(iter(possible.items()))
    data = {
        "n": n,
        "solutions": best.solutions,
        "correct": list(best.correct),
        "convention": best.convention,
        "supports": {k: list(v) for k, v in best.supports.items()},
        "predicted": {k: list(v) for k, v in best.predicted.items()},
        "hits": {k: list(v) for k, v in best.hits.items()},
    }
    if best.unique:
        listing = ", ".join(f"{name} {s[0]}" for name, s in best.supports.items())
        text = (
            f"{item.title}: exactly one set of integer counts with N = {n} ({why}) prints this "
            f"table: {best.correct[0]} correct, supports {listing}."
        )
        return best, [Finding(identifier, "identified", text, data)]
    certain = [f"{name} {s[0]}" for name, s in best.supports.items() if len(s) == 1]
    text = (
        f"{item.title}: {best.solutions:,} sets of integer counts with N = {n} ({why}) print this "
        f"table, with {best.correct[0]}"
        + (f"–{best.correct[-1]}" if len(best.correct) > 1 else "")
        + " correct clips"
        + (f"; supports certain for {', '.join(certain)}." if certain else ".")
    )
    return best, [Finding(identifier, "consistent", text, data)]


def _scan(item: Table, n_max: int = 1000, work: int = 20_000) -> tuple[None, list[Finding]]:
    """Look for the sizes at which any confusion matrix prints this report."""
    identifier = f"{item.name}/supports"
    digits = min(v.decimals + 2 * v.percent for row in item.classes.values() for v in row.values())
    if digits < SCAN_DIGITS:
        text = (
            f"{item.title}: with {digits} digits of a fraction, classes of a hundred clips or more "
            "print any row, so the supports cannot be decided. Four digits (97.56 %) would do, "
            "or the supports themselves."
        )
        return None, [Finding(identifier, "undecided", text, {"digits": digits})]
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
    data = {"sizes": feasible, "searched_to": last}
    if not feasible:
        text = (
            f"{item.title}: no test set of up to {last} clips prints these precisions, recalls and "
            "F1-scores; beyond that the digits no longer decide."
        )
        return None, [Finding(identifier, "undecided", text, data)]
    text = (
        f"{item.title}: the size of the test set is not known and the table alone does not decide "
        f"it: {len(feasible)} sizes up to {last} print it, the smallest {feasible[0]}. "
        "State '# n:' or '# accuracy:', or add accuracies on the same clips."
    )
    return None, [Finding(identifier, "undecided", text, data)]


def _feasible(item: Table) -> list[Finding]:
    """Whether any mixture of classes reconciles rows and accuracy, whatever the supports."""
    if not item.classes or not all("recall" in row for row in item.classes.values()):
        return []
    bounds = accuracy_bounds(item.classes)
    identifier = f"{item.name}/accuracy"
    if bounds is None:
        text = (
            f"{item.title}: no class sizes at all reconcile these precisions and recalls: clips "
            "and predictions cannot both sum to the test set."
        )
        return [Finding(identifier, "impossible", text)]
    low, high = bounds
    data = {"low": low, "high": high}
    if item.accuracy is None:
        text = f"{item.title}: accuracy lies between {percent(low)} and {percent(high)}."
        return [Finding(identifier, "consistent", text, data)]
    stated = hull(item.accuracy)
    if stated[1] < low - 1e-7 or stated[0] > high + 1e-7:
        text = (
            f"{item.title}: whatever the class sizes, these rows give an accuracy between "
            f"{percent(low)} and {percent(high)}, not {item.accuracy}."
        )
        return [Finding(identifier, "impossible", text, data)]
    text = f"{item.title}: {item.accuracy} lies within {percent(low)}–{percent(high)}."
    return [Finding(identifier, "consistent", text, data)]


def _accuracy_by_population(item: Table) -> list[Finding]:
    """Accuracy implied by the recalls if the test set is a stratified share of the corpus."""
    findings = []
    classes = item.classes
    for reading, counts in item.counts("population").items():
        missing = [name for name in classes if name.lower() not in counts]
        if missing:
            raise AuditError(
                f"{item.title}: '# population {reading}:' lacks {', '.join(missing)} "
                "(write class names in lower case)."
            )
        if not all("recall" in row for row in classes.values()):
            continue
        weights = {name: Fraction(counts[name.lower()]) for name in classes}
        total = sum(weights.values())
        centre = sum(weights[name] * classes[name]["recall"].value for name in classes) / total
        ranges = [  # accuracy with the rows rounded, and with the rows truncated
            tuple(
                sum(weights[n] * classes[n]["recall"].window(c).bounds[end] for n in classes)
                / total
                for end in (0, 1)
            )
            for c in CONVENTIONS
        ]
        low, high = ranges[0]
        data: dict[str, object] = {
            "reading": reading, "implied": float(centre), "low": float(low), "high": float(high),
        }  # fmt: skip
        text = (
            f"{item.title}: the recalls of a stratified test set from {reading} imply an accuracy "
            f"of {percent(centre, 1)} ({percent(low, 1)} to {percent(high, 1)} with rounding)"
        )
        identifier = f"{item.name}/accuracy-{slug(reading)}"
        if item.accuracy is None:
            findings.append(Finding(identifier, "notice", text + ".", data))
            continue
        share = Fraction(item.directives.get("share", 1))
        # A stratified draw may miss each class by half a clip.
        spread = max(abs(c["recall"].value - centre) for c in classes.values())
        slack = Fraction(len(classes), 2) / (share * total) * spread if share < 1 else 0
        gap = min(
            max(stated[0] - slack - r[1], r[0] - slack - stated[1])
            for r, stated in zip(
                ranges, [item.accuracy.window(c).bounds for c in CONVENTIONS], strict=True
            )
        )
        if gap <= 0:
            text += f"; the stated {item.accuracy} is possible."
            findings.append(Finding(identifier, "consistent", text, data))
            continue
        text += f": the stated {item.accuracy} is impossible."
        if share < 1:
            z = _draw_deviation(item, weights, share, gap)
            data["standard_deviations"] = z
            text += (
                f" A draw without stratification would have to miss the class proportions by "
                f"{z:.1f} standard deviations."
            )
        findings.append(Finding(identifier, "impossible", text, data))
    return findings


def _draw_deviation(
    item: Table, weights: Mapping[str, Fraction], share: Fraction, gap: Fraction
) -> float:
    """Standard deviations of a random draw's mean recall that `gap` amounts to."""
    total = float(sum(weights.values()))
    recalls = np.array([float(item.classes[name]["recall"].value) for name in weights])
    p = np.array([float(w) for w in weights.values()]) / total
    variance = float(p @ recalls**2 - (p @ recalls) ** 2)
    n = float(share) * total
    sd = math.sqrt(variance / n * (1 - float(share)))  # drawn without replacement
    return float(gap) / sd if sd else math.inf


def _stratified(item: Table, found: Margins) -> list[Finding]:
    """Whether recovered supports are a stratified share of the corpus."""
    findings = []
    for reading, counts in item.counts("population").items():
        if not all(name.lower() in counts for name in found.supports):
            continue
        total = sum(counts[name.lower()] for name in found.supports)
        off = {}
        for name, supports in found.supports.items():
            expected = Fraction(found.n * counts[name.lower()], total)
            nearest = min(supports, key=lambda s: abs(s - expected))
            if abs(nearest - expected) >= 2:  # rounding moves a stratum by less than one clip
                off[name] = (nearest, float(expected))
        data = {"reading": reading, "off": {k: list(v) for k, v in off.items()}}
        identifier = f"{item.name}/stratified" + (
            "" if reading == "corpus" else f"-{slug(reading)}"
        )
        if off:
            listing = ", ".join(f"{k} {v[0]} instead of {v[1]:.1f}" for k, v in off.items())
            text = (
                f"{item.title}: the test set is no stratified share of {reading}: {listing} clips."
            )
            findings.append(Finding(identifier, "impossible", text, data))
        else:
            text = f"{item.title}: the supports are a stratified share of {reading}."
            findings.append(Finding(identifier, "consistent", text, data))
    return findings


def _whole_groups(item: Table, found: Margins) -> list[Finding]:
    """Whether recovered supports can be the clips of whole speakers."""
    groups = item.counts("group")
    if not groups or any(len(s) > 1 for s in found.supports.values()):
        return []
    names = list(found.supports)
    target = tuple(found.supports[name][0] for name in names)
    reachable = {(0,) * len(names)}
    for group in groups.values():
        step = tuple(group.get(name.lower(), 0) for name in names)
        most = group.get("max", max(target))
        grown = set()
        for start in reachable:
            for times in range(most + 1):
                total = tuple(a + times * b for a, b in zip(start, step, strict=True))
                if any(a > b for a, b in zip(total, target, strict=True)):
                    break
                grown.add(total)
        reachable = grown
    identifier = f"{item.name}/speakers"
    if target in reachable:
        text = f"{item.title}: the supports are those of whole speakers."
        return [Finding(identifier, "consistent", text)]
    text = (
        f"{item.title}: no number of whole speakers has these supports: the split is not "
        "speaker-independent."
    )
    return [Finding(identifier, "impossible", text, {"supports": list(target)})]


def _weighted(item: Table, found: Margins) -> list[Finding]:
    """Compare printed averages with weighted ones, once the supports are certain."""
    if not found.unique:
        return []
    row = next((r for r in item.rows if r.lower() in (*MACRO_ROWS, *WEIGHTED_ROWS)), None)
    value = item.printed(row, "f1") if row else None
    if value is None:
        return []
    f1 = {
        name: Fraction(2 * found.hits[name][0], found.supports[name][0] + found.predicted[name][0])
        for name in found.supports
    }
    weighted = sum(found.supports[name][0] * f1[name] for name in f1) / found.n
    macro = sum(f1.values()) / len(f1)
    fits = [
        name
        for name, exact in (("macro", macro), ("weighted", weighted))
        if agrees(value, (exact, exact))
    ]
    data = {
        "printed": value.text, "macro": float(macro), "weighted": float(weighted),
        "accuracy": found.correct[0] / found.n,
    }  # fmt: skip
    text = (
        f"{item.title}: from the recovered counts, macro F1 is {percent(macro, 3)}, weighted F1 "
        f"{percent(weighted, 3)}, accuracy {percent(data['accuracy'], 3)}; printed as average F1: "
        f"{value}" + (f" ({' and '.join(fits)})." if fits else ", which is neither average.")
    )
    level = "consistent" if fits else "notice"
    return [Finding(f"{item.name}/f1-average", level, text, data)]


def _methods(item: Table) -> list[Finding]:
    """Averages by method: recall that equals accuracy is weighted, F1 may be a harmonic mean."""
    weighted, macro, harmonic = [], [], []
    rows = [
        r for r in item.rows if ("quoted" not in item.directives) or item.own.get((r, "accuracy"))
    ]
    for row in rows:
        accuracy, precision, recall, f1 = (
            item.printed(row, m) for m in ("accuracy", "precision", "recall", "f1")
        )
        if accuracy and recall:
            (weighted if accuracy.value == recall.value else macro).append(row)
        if precision and recall and f1 and agrees(f1, _harmonic(precision, recall)):
            harmonic.append(row)
    findings = []
    if weighted and macro:
        text = (
            f"{item.title} compares unlike averages: recall equals accuracy (a mean weighted by "
            f"support) for {', '.join(weighted)}, but not for {', '.join(macro)}."
        )
        data = {"weighted": weighted, "macro": macro}
        findings.append(Finding(f"{item.name}/averages", "notice", text, data))
    if harmonic and len(harmonic) == len(rows) and len(rows) > 1:
        text = (
            f"{item.title}: every F1 is the harmonic mean of the averaged precision and recall, "
            "which is not the average of the classes' F1."
        )
        findings.append(Finding(f"{item.name}/harmonic", "notice", text, {"rows": harmonic}))
    return findings


def _statements(item: Table) -> list[Finding]:
    """Redo printed arithmetic, carrying rounding along."""
    findings = []
    for row in item.rows:
        text, expression = (item.cells.get((row, c), "") for c in ("printed", "expression"))
        printed = Printed.parse(text.rstrip("% "))
        value, interval = evaluate(expression)
        convention = agrees(printed, interval)
        data = {
            "printed": printed.text, "expression": expression, "value": value,
            "low": float(interval[0]), "high": float(interval[1]),
        }  # fmt: skip
        shown = f"{value:.{printed.decimals + 1}f}"
        if convention:
            note = "" if convention == "rounded" else " (truncated)"
            sentence = f"{item.title}, {row}: printed {text}, recomputed {shown}{note}."
            level = "consistent"
        else:
            sentence = (
                f"{item.title}, {row}: printed {text}, but {expression} is {shown} "
                f"({float(interval[0]):.{printed.decimals + 1}f} to "
                f"{float(interval[1]):.{printed.decimals + 1}f} with rounding)."
            )
            level = "impossible"
        findings.append(Finding(f"{item.name}/{slug(row)}", level, sentence, data))
    return findings


def _differences(item: Table, known: Granularity | None) -> list[Finding]:
    """Express the differences of an ablation in clips, with what the test set can resolve."""
    n = known.size if known else None
    baseline = item.directives.get("baseline")
    if not n or item.kind != "accuracies" or not baseline:
        return []
    columns = list(dict.fromkeys(column for _, column in item.accuracies))
    rows = [row for row in item.rows if row != baseline]
    pairs = []
    for column in columns:
        previous = baseline
        for row in item.rows if baseline == "previous" else rows:
            if baseline == "previous":
                if row == item.rows[0]:
                    previous = row
                    continue
                reference, previous = previous, row
            else:
                reference = baseline
            first, second = item.printed(reference, column), item.printed(row, column)
            if first and second and (found := difference(first, second, n)):
                pairs.append(
                    {
                        "from": reference, "to": row, "column": column,
                        "points": float(100 * (second.value - first.value)),
                        "clips": found.clips, "correct": list(found.correct),
                        "p_best": found.p_best, "p_worst": found.p_worst,
                        "intervals": [list(i) for i in found.intervals],
                    }
                )  # fmt: skip
    if not pairs:
        return []
    sure = [p for p in pairs if p["p_worst"] < 0.05]
    hopeless = [p for p in pairs if p["p_best"] >= 0.05]
    label = item.final[0] if item.final else None
    told = next(
        (p for p in pairs if label == f"{p['to']} {p['column']}"),
        max(pairs, key=lambda p: abs(p["clips"])),
    )
    text = (
        f"{item.title}, in clips of N = {n}: {told['to']} against {told['from']} "
        f"({told['column']}) is {told['points']:+.2f} points = {told['clips']:+d} clips "
        f"(exact McNemar p between "
        f"{told['p_best']:.2g} and {told['p_worst']:.2g}, the table cannot say which). Of "
        f"{len(pairs)} differences {len(sure)} are certainly beyond chance at the 5 % level, "
        f"{len(hopeless)} certainly not."
    )
    return [Finding(f"{item.name}/differences", "notice", text, {"n": n, "pairs": pairs})]


def _duplicates(tables: Sequence[Table]) -> list[Finding]:
    """Equal accuracies in tables of different test sets, beyond chance."""
    findings = []
    holders = [t for t in tables if t.accuracies]
    for i, first in enumerate(holders):
        for second in holders[i + 1 :]:
            sets = [t.directives.get("test set", t.name) for t in (first, second)]
            if sets[0] == sets[1]:
                continue
            a, b = ({v for v in t.accuracies.values() if 0 < v.value < 1} for t in (first, second))
            shared = sorted(a & b, key=lambda v: v.value)
            if not shared:
                continue
            # Two numbers within the spread of both tables coincide with probability unit/spread.
            values = [float(v.value) for v in a | b]
            unit = 10.0 ** -min(v.decimals + 2 * v.percent for v in a | b)
            spread = max(max(values) - min(values), unit)
            expected = len(a) * len(b) * unit / spread
            k = len(shared)
            chance = 1 - sum(
                math.exp(-expected) * expected**j / math.factorial(j) for j in range(k)
            )
            if chance > DUPLICATED:
                continue
            listing = ", ".join(v.text for v in shared)
            text = (
                f"{second.title} repeats {k} of the numbers of {first.title} ({listing}) although "
                f"the test sets differ ({sets[0]}, {sets[1]}); chance alone: "
                f"{max(chance, 1e-15):.1e}."
            )
            data = {"values": [v.text for v in shared], "chance": chance}
            findings.append(
                Finding(f"{second.name}/duplicates-{first.name}", "identified", text, data)
            )
    return findings


def _own_accuracy(tables: Sequence[Table]) -> list[Finding]:
    """Two different accuracies for the paper's final model on one test set."""
    findings = []
    seen: dict[str, list[tuple[Table, Printed]]] = {}
    for item in tables:
        if item.final:
            seen.setdefault(item.directives.get("test set", item.name), []).append(
                (item, item.final[1])
            )
    for name, entries in seen.items():
        values = Counter(value.text for _, value in entries)
        if len(values) > 1:
            listing = "; ".join(f"{value} in {item.title}" for item, value in entries)
            text = f"The final model has different accuracies on {name}: {listing}."
            data = {"values": {item.name: value.text for item, value in entries}}
            findings.append(Finding(f"{name}/own-accuracy", "impossible", text, data))
    return findings


def _layers(item: Table) -> list[Finding]:
    """Compare the parameters and operations that were printed with those of the layers."""
    counts = count_layers(item)
    parameters = sum(c.parameters for c in counts)
    macs = sum(c.macs for c in counts)
    biases = sum(math.prod(c.output) for c in counts if c.macs)
    readings = {
        "params": {"weights and biases": parameters},
        "macs": {"multiply-accumulates": macs},
        "flops": {"2·MACs + biases": 2 * macs + biases, "2·MACs": 2 * macs, "MACs": macs},
    }
    data = {"parameters": parameters, "macs": macs, "flops": 2 * macs + biases}
    findings = []
    for key, options in readings.items():
        if key not in item.directives:
            continue
        text = item.directives[key]
        number, _, suffix = text.partition(" ")
        factor = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[suffix.strip()]
        printed = Printed.parse(number)
        fits = [name for name, n in options.items() if agrees(printed, (Fraction(n, factor),) * 2)]
        listing = ", ".join(f"{n:,} {name}" for name, n in options.items())
        sentence = f"{item.title}: printed {text} {key}; the layers have {listing}"
        sentence += f" – {' or '.join(fits)} prints so." if fits else ": none prints so."
        level = "consistent" if fits else "impossible"
        findings.append(Finding(f"{item.name}/{key}", level, sentence, data | {"fits": fits}))
    return findings
