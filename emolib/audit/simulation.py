"""Honest tables made by chance, to measure how often the audit accuses an innocent one."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

import numpy as np

from emolib.audit.findings import AuditReport, Finding
from emolib.audit.report import audit
from emolib.audit.tables import PrintedTable

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
ROUNDING = (ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_DOWN)


@dataclass(frozen=True)
class Simulated:
    """An honest table or two, and the truth behind them.

    Attributes
    ----------
    tables
        What would be printed.
    n
        Clips that were tested; None where the tables have different test sets.
    supports
        Clips of each class, for a classification report.
    """

    tables: tuple[PrintedTable, ...]
    n: int | None
    supports: dict[str, int]


def show(value: Fraction, decimals: int, rounding: str) -> str:
    """Print a fraction of 1 as a percentage with `decimals` digits."""
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(100 * value.numerator) / Decimal(value.denominator)
        return str(exact.quantize(Decimal(1).scaleb(-decimals), rounding=rounding))


def report(rng: np.random.Generator, *, coarse: bool = False) -> Simulated:
    """A classification report of a stratified test set, percentages with two digits.

    A `coarse` one prints fractions with two digits and its accuracy in whole per cent, and says
    nothing about the size of the test set.
    """
    names = EMOTIONS[: int(rng.integers(3, 9))]
    population = {name: int(rng.integers(60, 400)) for name in names}
    rounding = ROUNDING[rng.integers(3)]
    supports = {name: round(count / 5) for name, count in population.items()}
    skill = rng.uniform(0.5, 0.99)
    confusion = np.zeros((len(names), len(names)), dtype=int)
    for i, support in enumerate(supports.values()):
        errors = np.full(len(names), (1 - skill) / (len(names) - 1))
        errors[i] = skill
        confusion[i] = rng.multinomial(support, errors)
    n, hits = int(confusion.sum()), confusion.diagonal()
    accuracy = show(Fraction(int(hits.sum()), n), 0 if coarse else 2, rounding)
    lines = [
        f"# accuracy: {accuracy} %",
        f"# unit: {'fraction' if coarse else 'percent'}",
        "# share: 0.2",
        "# population: " + " ".join(f"{k}={v}" for k, v in population.items()),
        "class,precision,recall,f1",
    ]
    if not coarse:
        lines.insert(0, f"# n clips: {n}")
    scale = 100 if coarse else 1  # `show` prints percentages
    rows: dict[str, tuple[Fraction, ...]] = {}
    for name, hit, predicted in zip(names, hits.tolist(), confusion.sum(0).tolist(), strict=True):
        precision = Fraction(hit, predicted or 1)
        f1 = Fraction(2 * hit, predicted + supports[name])
        rows[name] = (precision, Fraction(hit, supports[name]), f1)
    columns = zip(*rows.values(), strict=True)
    rows["macro avg"] = tuple(sum(column, Fraction(0)) / len(column) for column in columns)
    for name, values in rows.items():
        lines.append(",".join((name, *(show(v / scale, 2, rounding) for v in values))))
    return Simulated((PrintedTable.parse("\n".join(lines)),), n, supports)


def coarse(rng: np.random.Generator) -> Simulated:
    """A classification report in fractions with two digits."""
    return report(rng, coarse=True)


def grid(rng: np.random.Generator) -> Simulated:
    """An ablation grid: accuracies of several models on one test set."""
    n, cells = int(rng.integers(60, 2000)), int(rng.integers(2, 21))
    rounding = ROUNDING[rng.integers(3)]
    values = [Fraction(int(k), n) for k in rng.binomial(n, rng.uniform(0.4, 0.98, cells))]
    return Simulated((_ladder(values, rounding, "grid"),), n, {})


def folds(rng: np.random.Generator) -> Simulated:
    """A ladder of means over five folds: fractions of all clips, never of those of one fold."""
    total, cells = int(rng.integers(300, 7500)), int(rng.integers(3, 21))
    rounding = ROUNDING[rng.integers(3)]
    sizes = [total // 5 + (i < total % 5) for i in range(5)]
    values = [
        sum((Fraction(int(rng.binomial(n, skill)), n) for n in sizes), Fraction(0)) / 5
        for skill in rng.uniform(0.4, 0.98, cells)
    ]
    return Simulated((_ladder(values, rounding, "folds"),), total, {})


def pair(rng: np.random.Generator) -> Simulated:
    """Two ladders measured on two corpora: equal numbers are coincidences."""
    first, second = grid(rng), grid(rng)
    tables = tuple(
        PrintedTable(f"table{i}", t.kind, t.rows, t.columns, t.cells, {"test set": f"corpus {i}"})
        for i, t in enumerate((*first.tables, *second.tables), start=1)
    )
    return Simulated(tables, None, {})


def _ladder(values: list[Fraction], rounding: str, name: str) -> PrintedTable:
    rows = [f"model {i},{show(v, 2, rounding)}" for i, v in enumerate(values, start=1)]
    return PrintedTable.parse("\n".join(("# unit: percent", "model,ACC(%)", *rows)), name)


KINDS: dict[str, Callable[[np.random.Generator], Simulated]] = {
    kind.__name__: kind for kind in (report, coarse, grid, folds, pair)
}


def accusations(truth: Simulated, found: AuditReport) -> list[Finding]:
    """The findings that are false: an honest table called impossible, or a wrong size."""
    false = [finding for finding in found.findings if finding.level == "impossible"]
    for finding in found.at("identified"):
        wrong = True  # duplicated numbers
        if finding.id.endswith("/test-set-size"):
            # A divisor is no error: what is a k/n of it is one of the truth as well.
            wrong = truth.n is not None and bool(truth.n % finding.data["n"])
        elif finding.id.endswith("/supports"):
            recovered = {name: s[0] for name, s in finding.data["supports"].items()}
            wrong = recovered != truth.supports
        false += [finding] if wrong else []
    return false


def false_alarms(n: int = 1000, seed: int = 0) -> dict[str, dict[str, float]]:
    """Audit `n` honest tables and count the accusations, by kind of table.

    Returns
    -------
    dict
        For each kind of table and for ``"all"``: ``tables``, ``alarms``, ``rate``.
    """
    rng = np.random.default_rng(seed)
    counts = {name: {"tables": 0, "alarms": 0} for name in (*KINDS, "all")}
    for i in range(n):
        name = list(KINDS)[i % len(KINDS)]
        truth = KINDS[name](rng)
        accused = bool(accusations(truth, audit(truth.tables)))
        for row in (name, "all"):
            counts[row]["tables"] += 1
            counts[row]["alarms"] += accused
    return {k: v | {"rate": v["alarms"] / max(v["tables"], 1)} for k, v in counts.items()}
