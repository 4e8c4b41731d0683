"""The tests: each takes typed-in tables and returns findings."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

from emolib import paths
from emolib.audit import classification
from emolib.audit.findings import AuditReport, Finding, Level
from emolib.audit.granularity import Granularity, count_of, difference, granularity
from emolib.audit.layers import count_layers
from emolib.audit.printed import AuditError, Printed, agrees, evaluate
from emolib.audit.tables import PrintedTable, is_size, slug
from emolib.audit.wording import say

DUPLICATED = 1e-4  # chance of as many equal numbers in unrelated tables


def table(path: str | Path) -> AuditReport:
    """Audit one table that a reviewer brings as a CSV file.

    Raises
    ------
    AuditError
        If the file is missing or is not in the format of this module.
    """
    item = PrintedTable.read(path)
    return audit([item], title=f"Audit of {item.title}")


def paper(key: str, folder: str | Path | None = None) -> AuditReport:
    """Audit all typed-in tables of one of the five papers."""
    folder = Path(folder) if folder else paths.CLAIMS / "tables"
    files = sorted(folder.glob(f"{key}-*.csv"))
    if not files:
        known = sorted({f.name.partition("-")[0] for f in folder.glob("*-*.csv")})
        raise AuditError(say("no-tables", folder=folder, key=key, known=known))
    return audit([PrintedTable.read(file) for file in files], title=f"Audit of {key}")


def audit(tables: Sequence[PrintedTable], title: str = "Audit") -> AuditReport:
    """Run every test on tables that belong to one paper.

    Tables that name the same ``test set`` pool their accuracies; a size found in one of them
    helps to read the others.
    """
    findings: list[Finding] = []
    sizes: dict[str, Granularity] = {}
    for name, members in _test_sets(tables).items():
        sizes[name] = granularity(_accuracies(members))
        findings += _test_set_size(name, members, sizes[name])
    for item in tables:
        known = sizes.get(item.test_set)
        findings += _stated_sizes(item)
        if item.kind == "report":
            findings += classification.examine(item, known)
        elif item.kind in _TESTS:
            findings += _TESTS[item.kind](item)
        findings += _differences(item, known)
    findings += _duplicates(tables)
    findings += _own_accuracy(tables)
    return AuditReport(title, tuple(findings))


def _test_sets(tables: Sequence[PrintedTable]) -> dict[str, list[PrintedTable]]:
    """Group the tables that hold own accuracies by the test set they were measured on."""
    groups: dict[str, list[PrintedTable]] = {}
    for item in tables:
        # Rows with their own sizes were measured on different test sets: see _stated_sizes.
        per_row = any(map(is_size, item.columns))
        if item.kind in ("methods", "accuracies", "report") and not per_row:
            groups.setdefault(item.test_set, []).append(item)
    # A comparison table repeats the final model; where it disagrees, the own tables count.
    own = {name: [item for item in group if not item.quoted] for name, group in groups.items()}
    return {name: own[name] or group for name, group in groups.items()}


def _accuracies(members: Sequence[PrintedTable]) -> list[Printed]:
    """The accuracies that the paper measured on one test set."""
    values = [value for item in members for value in item.own.values()]
    return values + [i.accuracy for i in members if i.kind == "report" and i.accuracy]


def _test_set_size(
    name: str, members: Sequence[PrintedTable], fit: Granularity
) -> Iterator[Finding]:
    """Which N make every accuracy printed for one test set a k/N."""
    m, n = len(fit.values), fit.size
    told = all(item.kind == "report" and (item.supports or item.sizes("")) for item in members)
    if m == 0 or (not n and told):
        return  # nothing to find out, or nothing that the report does not say itself
    ruled_out = {
        size: unit
        for item in members
        for unit, alternatives in item.sizes("").items()
        for size in alternatives
        if size <= fit.n_max and size not in fit.sizes
    }
    data: dict[str, Any] = {"values": list(fit.values), "sizes": list(fit.sizes[:50])}
    data |= {"convention": fit.convention, "chance": fit.chance, "expected_by_chance": fit.expected}
    data |= {"n_max": fit.n_max, "ruled_out": sorted(ruled_out)}
    words: dict[str, object] = {"m": m, "count": len(fit.sizes), "alone_to": n and fit.alone_to}
    words["tables"] = " and ".join(item.title for item in members)
    level: Level = "identified" if n else "undecided" if fit.sizes else "notice"
    sentences = "size-none"
    if n:
        data["n"], words["relation"] = n, _stated_relation(members, n)
        sentences = "size-identified"
    elif fit.sizes:
        words["noun"] = "accuracy" if m == 1 else "accuracies"
        words["listing"] = [f"{size} ({unit})" for size, unit in ruled_out.items()]
        sentences = "size-undecided size-ruled-out" if ruled_out else "size-undecided"
    yield Finding(f"{name}/test-set-size", level, say(sentences, **data, **words), data)


def _stated_relation(members: Sequence[PrintedTable], n: int) -> str:
    """Say which of the stated sizes the size that was found is, and which it is not."""
    stated = [stated for item in members for stated in item.sizes("").items()]
    sentences = [
        say("size-relation", verb="is" if n in sizes else "is not", unit=unit, alternatives=sizes)
        for unit, sizes in stated
    ]
    return "".join(dict.fromkeys(sentences))


def _stated_sizes(item: PrintedTable) -> Iterator[Finding]:
    """Whether each accuracy is possible for each stated size of the test set."""
    if not any(map(is_size, item.columns)):
        return
    for (row, column), value in item.own.items():
        name = slug(row) + (f"/{slug(column)}" if column != "accuracy" else "")
        for unit, alternatives in item.sizes(row).items():
            possible = ((n, count_of(value, n)) for n in alternatives)
            n, count = next(((n, count) for n, count in possible if count), (0, None))
            words: dict[str, object] = {"row": row, "value": value, "unit": unit}
            level: Level = "consistent" if count else "impossible"
            if count:
                sentence = "size-possible"
                data: dict[str, Any] = {"n": n, "correct": count[0], "convention": count[1]}
            else:
                sentence, data = "size-impossible", {"n": list(alternatives)}
                n = alternatives[0]
                below = math.floor(value.value * n)
                near = [k for k in (below, below + 1) if k <= n]
                words["near"] = [f"{k}/{n} = {100 * (k / n):.2f} %" for k in near]
            data = {"value": value.text} | data
            yield item.finding(f"{name}/{unit}", level, sentence, words, **data)


def _methods(item: PrintedTable) -> Iterator[Finding]:
    """Averages by method: recall that equals accuracy is weighted, F1 may be a harmonic mean."""
    weighted: list[str] = []
    macro: list[str] = []
    harmonic = []
    told = item.directives.get("quoted")
    rows = [row for row in item.rows if not told or (row, "accuracy") in item.own]
    for row in rows:
        metrics = ("accuracy", "precision", "recall", "f1")
        accuracy, precision, recall, f1 = (item.printed(row, metric) for metric in metrics)
        if accuracy and recall:
            (weighted if accuracy.value == recall.value else macro).append(row)
        means = classification.harmonic(precision, recall) if precision and recall else None
        if f1 and means and agrees(f1, means):
            harmonic.append(row)
    if weighted and macro:
        sentence = "unlike-averages"
        yield item.finding("averages", "notice", sentence, weighted=weighted, macro=macro)
    if len(harmonic) == len(rows) > 1:
        yield item.finding("harmonic", "notice", "harmonic", rows=harmonic)


def _statements(item: PrintedTable) -> Iterator[Finding]:
    """Redo printed arithmetic, carrying rounding along."""
    for row in item.rows:
        text, expression = (item.cells[row, column] for column in ("printed", "expression"))
        printed = Printed.parse(text.rstrip("% "))
        value, (low, high) = evaluate(expression)
        convention = agrees(printed, (low, high))
        shown, least, most = (f"{float(v):.{printed.decimals + 1}f}" for v in (value, low, high))
        words = {"row": row, "text": text, "shown": shown, "least": least, "most": most}
        data = {"printed": printed.text, "expression": expression, "value": value}
        data |= {"low": float(low), "high": float(high)}
        level: Level = "consistent" if convention else "impossible"
        yield item.finding(slug(row), level, f"statement-{convention or 'wrong'}", words, **data)


def _layers(item: PrintedTable) -> Iterator[Finding]:
    """Compare the parameters and operations that were printed with those of the layers."""
    counts = list(count_layers(item))
    parameters = sum(c.parameters for c in counts)
    macs = sum(c.macs for c in counts)
    flops = 2 * macs + sum(math.prod(c.output) for c in counts if c.macs)
    readings: Mapping[str, Mapping[str, int]] = {
        "params": {"weights and biases": parameters},
        "macs": {"multiply-accumulates": macs},
        "flops": {"2·MACs + biases": flops, "2·MACs": 2 * macs, "MACs": macs},
    }
    for key, options in readings.items():
        if key not in item.directives:
            continue
        printed, factor = item.magnitude(key)
        fits = [name for name, n in options.items() if agrees(printed, (Fraction(n, factor),) * 2)]
        listing = [f"{n:,} {name}" for name, n in options.items()]
        words = {"text": item.directives[key], "key": key, "listing": listing}
        data = {"parameters": parameters, "macs": macs, "flops": flops}
        level: Level = "consistent" if fits else "impossible"
        end = "layers-fit" if fits else "layers-misfit"
        yield item.finding(key, level, f"layers {end}", words, **data, fits=fits)


_TESTS: Mapping[str, Callable[[PrintedTable], Iterator[Finding]]] = {
    "methods": _methods,
    "statements": _statements,
    "layers": _layers,
}


def _differences(item: PrintedTable, known: Granularity | None) -> Iterator[Finding]:
    """Express the differences of an ablation in clips, with what the test set can resolve."""
    n = known.size if known else None
    if not n or item.kind != "accuracies":
        return
    pairs: list[dict[str, Any]] = []
    for column in dict.fromkeys(column for _, column in item.accuracies):
        for reference, row in item.compared:
            first, second = item.printed(reference, column), item.printed(row, column)
            if first and second and (apart := difference(first, second, n)):
                pair: dict[str, Any] = {"from": reference, "to": row, "column": column}
                pair["points"] = float(100 * (second.value - first.value))
                pairs.append(pair | asdict(apart))
    if not pairs:
        return
    sure = sum(p["p_worst"] < 0.05 for p in pairs)
    hopeless = sum(p["p_best"] >= 0.05 for p in pairs)
    label = item.final[0] if item.final else None
    largest = max(pairs, key=lambda pair: abs(pair["clips"]))
    told = next((pair for pair in pairs if label == f"{pair['to']} {pair['column']}"), largest)
    words = {"count": len(pairs), "sure": sure, "hopeless": hopeless, "told": told}
    yield item.finding("differences", "notice", "differences", words, n=n, pairs=pairs)


def _duplicates(tables: Sequence[PrintedTable]) -> Iterator[Finding]:
    """Equal accuracies in tables of different test sets, beyond chance."""
    for first, second in combinations([t for t in tables if t.accuracies], 2):
        a, b = ({v for v in t.accuracies.values() if 0 < v.value < 1} for t in (first, second))
        shared = [v.text for v in sorted(a & b, key=lambda v: v.value)]
        if first.test_set == second.test_set or not shared:
            continue
        # Two numbers within the spread of both tables coincide with probability unit/spread.
        values = [float(v.value) for v in a | b]
        unit = 10.0 ** -min(v.decimals + 2 * v.percent for v in a | b)
        expected = len(a) * len(b) * unit / max(max(values) - min(values), unit)
        fewer = (expected**j / math.factorial(j) for j in range(len(shared)))
        chance = 1 - sum(math.exp(-expected) * term for term in fewer)
        if chance <= DUPLICATED:
            words = {"count": len(shared), "other": first.title, "least": max(chance, 1e-15)}
            words["test_sets"] = (first.test_set, second.test_set)
            data = {"values": shared, "chance": chance}
            name = f"duplicates-{first.name}"
            yield second.finding(name, "identified", "duplicates", words, **data)


def _own_accuracy(tables: Sequence[PrintedTable]) -> Iterator[Finding]:
    """Two different accuracies for the paper's final model on one test set."""
    printed: dict[str, list[tuple[PrintedTable, Printed]]] = {}
    for item in tables:
        if item.final:
            printed.setdefault(item.test_set, []).append((item, item.final[1]))
    for name, entries in printed.items():
        if len(Counter(value.text for _, value in entries)) > 1:
            listing = [f"{value} in {item.title}" for item, value in entries]
            text = say("own-accuracy", name=name, listing=listing)
            data = {"values": {item.name: value.text for item, value in entries}}
            yield Finding(f"{name}/own-accuracy", "impossible", text, data)
