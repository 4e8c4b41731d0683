"""Tables as CSV files.

A CSV file, readable with ``pandas.read_csv(path, comment="#")``. The first column names the row;
every other column holds numbers **exactly as printed**, trailing zeros included (``97.50``, not
``97.5``). ``-``, ``N/A`` and an empty cell mean *not printed*. Optional lines above the header
state what the text of the paper says::

    # title: Table III, RAVDESS
    # kind: report
    # test set: ravdess
    # accuracy: 97.56 %
    class,precision,recall,f1
    Neutral,97.30,100.00,98.63
    Calm,98.81,97.65,98.22
    average,97.66,97.47,97.56

``kind`` is worked out from the columns when it is not given:

``report``
    one row a class; columns ``precision``, ``recall``, ``f1``, ``support``. Rows called
    ``average``/``macro avg``, ``weighted avg`` and ``accuracy`` are what their names say.
``methods``
    one row a method, an ``accuracy`` column, perhaps averaged ``precision``, ``recall``, ``f1``.
``accuracies``
    every column holds accuracies (an ablation grid, a ladder of variants).
``statements``
    columns ``statement``, ``printed``, ``expression``: printed arithmetic such as
    ``100 * (1 - {0.06} / {108.00})``, where braces mark numbers that were printed rounded.
``layers``
    one row a layer (``branch``, ``op``, ``out``, ``kernel``, ``stride``, ``padding``), to recount
    parameters and operations.
``numbers``
    anything else that was printed; nothing is tested.

Lines that begin with ``##`` are remarks. In ``methods`` and ``accuracies`` tables, a column
called ``n clips`` or ``n segments`` (``n`` and any word) holds the size the test set would have
if it were counted in that unit; ``1487|1488`` gives alternatives. Lines that may stand above the
header:

=================  ============================================================================
``title``          what to call the table
``kind``           one of the kinds above
``unit``           ``percent`` or ``fraction``; default: percent if any number exceeds 1
``test set``       tables with the same name were measured on the same test clips
``accuracy``       the accuracy printed for the same model elsewhere
``n clips``        size of the test set in clips (any word may follow ``n``), for all rows
``population X``   clips by class in the corpus, ``neutral=96 calm=192``; X names the reading
``share``          part of the corpus held out for testing, ``0.2``
``group X``        clips by class of one speaker; append ``max=1`` if there are so few like it
``quoted``         ``yes``: rows other than ``final`` are quoted from other papers
``final``          the row (or ``row | column``) of the paper's own final model
``baseline``       the row that the others are compared with
``input X``        for layers: input of branch X, ``1x64x64``
``params``         for layers: parameters as printed, ``0.06 M``; likewise ``flops``, ``macs``
=================  ============================================================================
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from emolib.audit.findings import Finding
from emolib.audit.layers import walk
from emolib.audit.printed import AuditError, Printed, evaluate

KINDS = ("report", "methods", "accuracies", "statements", "layers", "numbers")
METRICS = {
    "precision": "precision", "prec": "precision", "p": "precision",
    "recall": "recall", "rec": "recall", "r": "recall", "sensitivity": "recall",
    "f1": "f1", "f1 score": "f1", "f score": "f1", "f1 measure": "f1",
    "support": "support",
    "accuracy": "accuracy", "acc": "accuracy",
}  # fmt: skip
PLAIN_COLUMNS = (
    "n", "statement", "printed", "expression",
    "branch", "op", "out", "kernel", "stride", "padding", "bias",
)  # fmt: skip
MACRO_ROWS = ("average", "macro avg", "macro average", "mean", "avg")
WEIGHTED_ROWS = ("weighted avg", "weighted average")
MISSING = ("", "-", "–", "—", "n/a", "na", "nan")
LARGEST = 1_000_000  # clips; no corpus of emotions has as many
FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True)
class Table:
    """One typed-in table: see the head of this module for the format.

    Attributes
    ----------
    name : str
        Short name, used in the ids of findings (``table3``).
    kind : str
        One of `KINDS`.
    cells : dict of (row, column) to str
        What was printed; missing cells are left out.
    directives : dict
        The ``# key: value`` lines.
    """

    name: str
    kind: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], str]
    directives: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path) -> "Table":
        """Read a CSV file in the format that the head of this module describes.

        Raises
        ------
        AuditError
            If it is missing, or is not in this format; the message names file, line and remedy.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (FileNotFoundError, IsADirectoryError):
            raise AuditError(
                f"{path}: no such file. Give a CSV of a printed table. {_FORMAT_IN_SHORT}"
            ) from None
        except UnicodeDecodeError as error:
            raise AuditError(
                f"{path}: not UTF-8 text ({error}). Save the table as UTF-8."
            ) from None
        return cls.parse(text, path.stem.partition("-")[2] or path.stem, str(path))

    @classmethod
    def parse(cls, text: str, name: str = "table", where: str = "table") -> "Table":
        """Read a table from the text of a CSV file; `where` is what errors call it."""
        directives: dict[str, str] = {}
        lines: dict[str, int] = {}  # of directives, to be named
        body: list[tuple[int, str]] = []
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.lstrip().startswith("#"):
                body += [(number, line)] if line.strip() else []
            elif directive := _directive(line, f"{where}, line {number}"):
                directives |= (directive,)
                lines[directive[0]] = number
        columns, rows = _rows(body, where)
        cells = {
            (row, column): value
            for row, (_, values) in rows.items()
            for column, value in zip(columns, values, strict=True)
            if value.lower() not in MISSING
        }
        kind = directives.get("kind") or _kind(columns)
        if kind not in KINDS:
            raise AuditError(f"{where}: unknown kind {kind!r}. Known: {', '.join(KINDS)}.")
        table = cls(name, kind, tuple(rows), columns, cells, directives)
        table._check(where, lines, {row: number for row, (number, _) in rows.items()})
        return table

    def _check(self, where: str, directives: Mapping[str, int], rows: Mapping[str, int]) -> None:
        """Refuse what cannot be audited, while file and line can still be named."""
        needed = {"statements": ("printed", "expression"), "layers": ("op", "out")}
        if missing := [c for c in needed.get(self.kind, ()) if c not in self.columns]:
            raise AuditError(f"{where}: a table of {self.kind} needs a column {missing[0]!r}.")
        for key, number in directives.items():
            with _at(f"{where}, line {number}: '# {key}:'"):
                _DIRECTIVES[_meant(key)](self)
        layers = walk(self) if self.kind == "layers" else None
        for row, number in rows.items():
            with _at(f"{where}, line {number}: row {row!r}"):
                self.sizes(row)
                if layers:
                    next(layers)
                elif self.kind == "statements":
                    Printed.parse(self.cells.get((row, "printed"), "").rstrip("% "))
                    evaluate(self.cells.get((row, "expression"), ""))
                else:
                    self._check_numbers(row)
        if self.kind == "report" and self.supports and not any(self.supports.values()):
            raise AuditError(f"{where}: the supports sum to no clip. Type them as printed.")

    def _check_numbers(self, row: str) -> None:
        for column in self.columns:
            value = None if is_size(column) else self.printed(row, column)
            if value is None:
                continue
            if column == "support" and not re.fullmatch(r"[\d,]+", self.cells[row, column]):
                raise AuditError(
                    f"column 'support': {value.text} is no number of clips. Type a whole number."
                )
            if column in ("precision", "recall", "f1", "accuracy") and not 0 <= value.value <= 1:
                raise AuditError(
                    f"column {column!r}: {value.text} is outside 0–100 %. "
                    "State '# unit: percent' or '# unit: fraction' above the header."
                )

    @property
    def title(self) -> str:
        """What to call the table in a sentence."""
        return self.directives.get("title") or self.name

    @property
    def percent(self) -> bool:
        """Whether the numbers are percentages (stated, or some number exceeds 1)."""
        unit = self.directives.get("unit", "").lower()
        if unit and not unit.startswith(("percent", "%", "fraction")):
            raise AuditError(f"unknown unit {unit!r}. Write percent or fraction.")
        if unit:
            return not unit.startswith("fraction")
        for (_, column), text in self.cells.items():
            if column in ("precision", "recall", "f1", "accuracy") or self.kind == "accuracies":
                clean = text.strip("~≈% ").replace(",", "")
                if re.fullmatch(r"\d+(\.\d+)?", clean) and float(clean) > 1:
                    return True
        return False

    @property
    def test_set(self) -> str:
        """The name of the clips that the accuracies were measured on."""
        return self.directives.get("test set", self.name)

    @property
    def quoted(self) -> bool:
        """Whether rows other than the final one are quoted from other papers."""
        return self.directives.get("quoted", "").lower() == "yes"

    @property
    def share(self) -> Fraction:
        """The part of the corpus that was held out for testing; 1 if nothing is said."""
        text = self.directives.get("share", "1")
        if not re.fullmatch(r"0?\.\d{1,9}|1", text) or not Fraction(text):
            raise AuditError(f"{text!r} is no share. Write 0.2 for a fifth.")
        return Fraction(text)

    def printed(self, row: str, column: str) -> Printed | None:
        """The number in one cell, None if nothing was printed there."""
        text = self.cells.get((row, column))
        return Printed.parse(text, self.percent) if text is not None else None

    @property
    def classes(self) -> dict[str, dict[str, Printed]]:
        """Class rows of a report, with the metrics printed for each."""
        special = (*MACRO_ROWS, *WEIGHTED_ROWS, "accuracy", "total")
        return {
            row: {
                metric: value
                for metric in ("precision", "recall", "f1")
                if (value := self.printed(row, metric)) is not None
            }
            for row in self.rows
            if row.lower() not in special
        }

    @property
    def has_recalls(self) -> bool:
        """Whether there are classes, and each of them has a recall."""
        return bool(self.classes) and all("recall" in row for row in self.classes.values())

    @property
    def supports(self) -> dict[str, int] | None:
        """The printed supports by class, None unless every class has one."""
        texts = [self.cells.get((row, "support")) for row in self.classes]
        if not texts or None in texts:
            return None
        return dict(zip(self.classes, (int(t.replace(",", "")) for t in texts), strict=True))

    @property
    def accuracy(self) -> Printed | None:
        """The accuracy stated for a report, in the table or above it."""
        stated = self.directives.get("accuracy")
        if stated is not None:
            value = Printed.parse(stated, self.percent)
            if not 0 <= value.value <= 1:
                raise AuditError(f"{stated} is outside 0–100 %. Write 97.5 % or 0.975.")
            return value
        cells = [
            value
            for row in self.rows
            if row.lower() == "accuracy"
            for column in ("accuracy", "f1", "recall", "precision")
            if (value := self.printed(row, column))
        ]
        return cells[0] if cells else None

    @property
    def accuracies(self) -> dict[tuple[str, str], Printed]:
        """Every accuracy cell of a methods or accuracies table."""
        columns = {
            "methods": ("accuracy",),
            "accuracies": tuple(c for c in self.columns if not is_size(c)),
        }.get(self.kind, ())
        return {
            (row, column): value
            for row in self.rows
            for column in columns
            if (value := self.printed(row, column)) is not None
        }

    @property
    def final(self) -> tuple[str, Printed] | None:
        """Label and accuracy of the paper's own final model, if the table names it."""
        if "final" not in self.directives:
            return None
        row, _, column = (part.strip() for part in self.directives["final"].partition("|"))
        for (r, c), value in self.accuracies.items():
            if r == row and (not column or c == column):
                return f"{r} {c}".strip(), value
        raise AuditError(f"'# final: {self.directives['final']}' names no cell of the table.")

    @property
    def own(self) -> dict[tuple[str, str], Printed]:
        """The accuracies that the paper measured itself."""
        if not self.quoted:
            return self.accuracies
        row = self.directives.get("final", "").partition("|")[0].strip()
        return {cell: value for cell, value in self.accuracies.items() if cell[0] == row}

    @property
    def compared(self) -> list[tuple[str, str]]:
        """Which row is compared with which: the baseline, or the one before, first."""
        baseline = self.directives.get("baseline")
        if baseline == "previous":
            return list(pairwise(self.rows))
        if baseline is not None and baseline not in self.rows:
            raise AuditError(f"'# baseline: {baseline}' names no row of the table.")
        return [(baseline, row) for row in self.rows if baseline not in (None, row)]

    def sizes(self, row: str) -> dict[str, tuple[int, ...]]:
        """Stated sizes of the test set by unit: ``{"clips": (96,), "segments": (576,)}``."""
        stated = {key: text for key, text in self.directives.items() if is_size(key)}
        stated |= {
            c: self.cells[row, c] for c in self.columns if (row, c) in self.cells if is_size(c)
        }
        sizes = {}
        for key, text in stated.items():
            numbers = [part.strip().replace(",", "") for part in text.split("|")]
            if not all(n.isdecimal() and 0 < int(n) <= LARGEST for n in numbers):
                raise AuditError(f"'{key}: {text}' is no size; write 1440, or 490|491.")
            sizes[key.removeprefix("n").strip() or "clips"] = tuple(map(int, numbers))
        return sizes

    def counts(self, directive: str) -> dict[str, dict[str, int]]:
        """Class counts of every ``# population X:`` or ``# group X:`` line, by its X."""
        counts = {}
        for key, text in self.directives.items():
            if key == directive or key.startswith(directive + " "):
                pairs = re.findall(r"(\w+)=(\d{1,9})(?![^\s,])", text)
                if not pairs or len(pairs) != len(text.replace(",", " ").split()):
                    raise AuditError(f"'# {key}: {text}' must read 'neutral=96 calm=192 …'.")
                name = key.removeprefix(directive).strip() or "corpus"
                counts[name] = {clips: int(number) for clips, number in pairs}
        return counts

    @property
    def populations(self) -> dict[str, dict[str, int]]:
        """Clips by class in the corpus, in each reading of what the corpus is."""
        populations = self.counts("population")
        for reading, counts in populations.items():
            missing = [name for name in self.classes if name.lower() not in counts]
            if self.kind == "report" and missing:
                raise AuditError(
                    f"'# population {reading}:' lacks {', '.join(missing)} "
                    "(write class names in lower case)."
                )
            if not sum(counts.values()):
                raise AuditError(f"'# population {reading}:' counts no clip.")
        return populations

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the inputs of a network by branch: ``{"audio": (1, 40)}``."""
        shapes = {}
        for key, text in self.directives.items():
            if key == "input" or key.startswith("input "):
                if not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8})*", text):
                    raise AuditError(f"'# {key}: {text}' is no shape; write 1x64x64.")
                shapes[key.removeprefix("input").strip()] = tuple(map(int, text.split("x")))
        return shapes

    def magnitude(self, key: str) -> tuple[Printed, int]:
        """A printed count and its unit: ``0.06 M`` gives 0.06 and 1,000,000."""
        number, _, suffix = self.directives[key].partition(" ")
        if suffix.strip() not in FACTORS:
            raise AuditError(
                f"unknown unit {suffix.strip()!r}. Write 0.06 M, with k, M, G or none."
            )
        return Printed.parse(number), FACTORS[suffix.strip()]

    def finding(self, name: str, level: str, text: str, **data: object) -> Finding:
        """Return a finding about this table; its text goes on from the table's title."""
        return Finding(f"{self.name}/{name}", level, self.title + text, data)


_FORMAT_IN_SHORT = (
    "The first column names the row, every other column holds numbers exactly as printed; "
    "for a classification report the columns are class, precision, recall, f1. "
    "The full format is described by help(emolib.audit.tables)."
)
#: What may stand above the header, and what reads it: a line that cannot be read is refused.
_DIRECTIVES: dict[str, Callable[[Table], object]] = {
    **dict.fromkeys(("title", "kind", "test set", "quoted"), lambda table: table.title),
    "unit": lambda table: table.percent,
    "accuracy": lambda table: table.accuracy,
    "n": lambda table: table.sizes(""),
    "population": lambda table: table.populations,
    "share": lambda table: table.share,
    "group": lambda table: table.counts("group"),
    "final": lambda table: table.final,
    "baseline": lambda table: table.compared,
    "input": lambda table: table.inputs,
    "params": lambda table: table.magnitude("params"),
    "flops": lambda table: table.magnitude("flops"),
    "macs": lambda table: table.magnitude("macs"),
}


def _meant(key: str) -> str | None:
    """Return the directive that a key is: ``n clips`` is ``n``."""
    return next((d for d in _DIRECTIVES if key == d or key.startswith(d + " ")), None)


def _directive(line: str, where: str) -> tuple[str, str] | None:
    """Read ``# key: value``; None for a remark."""
    key, colon, value = line.lstrip("# ").partition(":")
    key = " ".join(key.split()).lower()
    if line.lstrip().startswith("##") or not colon:
        return None
    if _meant(key) is None:
        raise AuditError(
            f"{where}: unknown line '# {key}:'. "
            f"Known: {', '.join(_DIRECTIVES)}. Remarks begin with ##."
        )
    return key, value.strip()


def _rows(
    body: Sequence[tuple[int, str]], where: str
) -> tuple[tuple[str, ...], dict[str, tuple[int, list[str]]]]:
    """Return the columns, and the line and the cells of each row by its name."""
    reader = csv.reader((line for _, line in body), skipinitialspace=True, strict=True)
    try:
        lines = [(body[reader.line_num - 1][0], cells) for cells in reader]
    except csv.Error as error:
        raise AuditError(f"{where}: no CSV ({error}). Close every quotation mark.") from None
    if len(lines) < 2:
        raise AuditError(f"{where}: no table in it. {_FORMAT_IN_SHORT}")
    header = lines[0][1]
    columns = tuple(_column(title) for title in header[1:])
    if not columns or len(set(columns)) != len(columns):
        raise AuditError(
            f"{where}: columns {header} must be two or more with different names, "
            "separated by commas."
        )
    rows: dict[str, tuple[int, list[str]]] = {}
    for number, line in lines[1:]:
        name, *values = (value.strip() for value in line)
        if len(line) != len(header):
            raise AuditError(
                f"{where}, line {number}: row {line} has {len(line)} cells, the header has "
                f"{len(header)}. Quote cells that hold a comma."
            )
        if name in rows:
            raise AuditError(
                f"{where}, line {number}: two rows are called {name!r}. Give each its own name."
            )
        rows[name] = number, values
    return columns, rows


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Say where it stands what cannot be read."""
    try:
        yield
    except ValueError as error:
        raise AuditError(f"{place}: {error}") from None


def is_size(column: str) -> bool:
    """Whether a column, or a line above the header, holds sizes of the test set."""
    return column == "n" or column.startswith("n ")


def _column(title: str) -> str:
    """Bring a column title to its short name: ``F1-Score (%)`` → ``f1``."""
    plain = " ".join(re.sub(r"\(.*?\)|[%.]", " ", title).replace("-", " ").split())
    lower = plain.lower()
    fixed = lower in PLAIN_COLUMNS or is_size(lower)
    return METRICS.get(lower, lower if fixed else plain)


def _kind(columns: Sequence[str]) -> str:
    """Tell the kind of a table from its columns."""
    signs = {"expression": "statements", "op": "layers", "accuracy": "methods",
             "recall": "report", "precision": "report"}  # fmt: skip
    return next((kind for column, kind in signs.items() if column in columns), "accuracies")


def slug(text: str) -> str:
    """Turn a row label into part of an id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("→", "-to-")).strip("-")
