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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emolib.audit.printed import AuditError, Printed

KINDS = ("report", "methods", "accuracies", "statements", "layers", "numbers")
DIRECTIVES = (
    "title", "kind", "unit", "test set", "accuracy", "n", "population", "share", "group",
    "quoted", "final", "baseline", "input", "params", "flops", "macs",
)  # fmt: skip
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
        """Read a CSV file in the format that the head of this module describes."""
        path = Path(path)
        if not path.is_file():
            raise AuditError(
                f"{path}: no such file. Give a CSV of a printed table. {_FORMAT_IN_SHORT}"
            )
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise AuditError(
                f"{path}: not UTF-8 text ({error}). Save the table as UTF-8."
            ) from None
        return cls.parse(text, path.stem.partition("-")[2] or path.stem, str(path))

    @classmethod
    def parse(cls, text: str, name: str = "table", where: str = "table") -> "Table":
        """Read a table from the text of a CSV file."""
        directives: dict[str, str] = {}
        body: list[str] = []
        for number, line in enumerate(text.splitlines(), start=1):
            if line.lstrip().startswith("#"):
                if line.lstrip().startswith("##"):
                    continue
                key, colon, value = line.lstrip("# ").partition(":")
                key = " ".join(key.split()).lower()
                if not colon:
                    continue  # a plain remark
                if not any(key == d or key.startswith(d + " ") for d in DIRECTIVES):
                    raise AuditError(
                        f"{where}, line {number}: unknown line '# {key}:'. "
                        f"Known: {', '.join(DIRECTIVES)}. Remarks begin with ##."
                    )
                directives[key] = value.strip()
            elif line.strip():
                body.append(line)
        if len(body) < 2:
            raise AuditError(f"{where}: no table in it. {_FORMAT_IN_SHORT}")
        header, *lines = csv.reader(body, skipinitialspace=True)
        columns = tuple(_column(title) for title in header[1:])
        if not columns or len(set(columns)) != len(columns):
            raise AuditError(
                f"{where}: columns {header} must be two or more with different names, "
                "separated by commas."
            )
        rows: list[str] = []
        cells: dict[tuple[str, str], str] = {}
        for line in lines:
            if len(line) != len(header):
                raise AuditError(
                    f"{where}: row {line} has {len(line)} cells, the header has {len(header)}. "
                    "Quote cells that hold a comma."
                )
            row, *values = (value.strip() for value in line)
            if row in rows:
                raise AuditError(f"{where}: two rows are called {row!r}. Give each its own name.")
            rows.append(row)
            for column, value in zip(columns, values, strict=True):
                if value.lower() not in MISSING:
                    cells[row, column] = value
        kind = directives.get("kind") or _kind(columns)
        if kind not in KINDS:
            raise AuditError(f"{where}: unknown kind {kind!r}. Known: {', '.join(KINDS)}.")
        table = cls(name, kind, tuple(rows), columns, cells, directives)
        table._check(where)
        return table

    def _check(self, where: str) -> None:
        """Refuse cells that are no numbers, while the file can still be named."""
        if self.kind in ("report", "methods", "accuracies", "numbers"):
            for (row, column), text in self.cells.items():
                if column == "n" or column.startswith("n "):
                    continue
                try:
                    value = Printed.parse(text, self.percent)
                except ValueError as error:
                    raise AuditError(
                        f"{where}: row {row!r}, column {column!r}: {error}. "
                        "Type numbers exactly as printed; leave missing ones empty."
                    ) from None
                if (
                    column in ("precision", "recall", "f1", "accuracy")
                    and not 0 <= value.value <= 1
                ):
                    raise AuditError(
                        f"{where}: row {row!r}, column {column!r}: {text} is outside 0–100 %. "
                        "State '# unit: percent' or '# unit: fraction' above the header."
                    )
        elif self.kind == "statements" and not {"printed", "expression"} <= set(self.columns):
            raise AuditError(f"{where}: statements need columns statement, printed, expression.")
        elif self.kind == "layers" and not {"op", "out"} <= set(self.columns):
            raise AuditError(f"{where}: layers need at least the columns layer, op, out.")

    @property
    def title(self) -> str:
        """What to call the table in a sentence."""
        return self.directives.get("title") or self.name

    @property
    def percent(self) -> bool:
        """Whether the numbers are percentages (stated, or some number exceeds 1)."""
        unit = self.directives.get("unit", "").lower()
        if unit:
            return unit.startswith(("percent", "%"))
        for (_, column), text in self.cells.items():
            if column in ("precision", "recall", "f1", "accuracy") or self.kind == "accuracies":
                clean = text.strip("~≈% ").replace(",", "")
                if re.fullmatch(r"\d+(\.\d+)?", clean) and float(clean) > 1:
                    return True
        return False

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
    def supports(self) -> dict[str, int] | None:
        """The printed supports by class, None unless every class has one."""
        found = {
            row: int(self.cells[row, "support"].replace(",", ""))
            for row in self.classes
            if (row, "support") in self.cells
        }
        return found if found and len(found) == len(self.classes) else None

    @property
    def accuracy(self) -> Printed | None:
        """The accuracy stated for a report, in the table or above it."""
        if "accuracy" in self.directives:
            return Printed.parse(self.directives["accuracy"], self.percent)
        for row in self.rows:
            if row.lower() == "accuracy":
                for column in ("accuracy", "f1", "recall", "precision"):
                    if (row, column) in self.cells:
                        return self.printed(row, column)
        return None

    @property
    def accuracies(self) -> dict[tuple[str, str], Printed]:
        """Every accuracy cell of a methods or accuracies table."""
        if self.kind == "methods":
            columns: tuple[str, ...] = ("accuracy",)
        elif self.kind == "accuracies":
            columns = tuple(c for c in self.columns if c != "n" and not c.startswith("n "))
        else:
            return {}
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
        raise AuditError(f"{self.title}: '# final: {self.directives['final']}' names no cell.")

    @property
    def own(self) -> dict[tuple[str, str], Printed]:
        """The accuracies that the paper measured itself."""
        if self.directives.get("quoted", "").lower() != "yes":
            return self.accuracies
        row = self.directives.get("final", "").partition("|")[0].strip()
        return {cell: value for cell, value in self.accuracies.items() if cell[0] == row}

    def sizes(self, row: str) -> dict[str, tuple[int, ...]]:
        """Stated sizes of the test set by unit: ``{"clips": (96,), "segments": (576,)}``."""
        found: dict[str, tuple[int, ...]] = {}
        stated = {k: v for k, v in self.directives.items() if k == "n" or k.startswith("n ")}
        stated |= {
            c: self.cells[row, c]
            for c in self.columns
            if (c == "n" or c.startswith("n ")) and (row, c) in self.cells
        }
        for key, text in stated.items():
            try:
                found[key.removeprefix("n").strip() or "clips"] = tuple(
                    int(part.replace(",", "")) for part in text.split("|")
                )
            except ValueError:
                raise AuditError(
                    f"{self.title}: '{key}: {text}' is no size; write 1440, or 490|491."
                ) from None
        return found

    def counts(self, directive: str) -> dict[str, dict[str, int]]:
        """Class counts of every ``# population X:`` or ``# group X:`` line, by its X."""
        found = {}
        for key, text in self.directives.items():
            if key == directive or key.startswith(directive + " "):
                try:
                    pairs = dict(part.split("=") for part in text.replace(",", " ").split())
                    found[key.removeprefix(directive).strip() or "corpus"] = {
                        k: int(v) for k, v in pairs.items()
                    }
                except ValueError:
                    raise AuditError(
                        f"{self.title}: '# {key}: {text}' must read 'neutral=96 calm=192 …'."
                    ) from None
        return found


_FORMAT_IN_SHORT = (
    "The first column names the row, every other column holds numbers exactly as printed; "
    "for a classification report the columns are class, precision, recall, f1. "
    "The full format is described by help(emolib.audit.tables)."
)


def _column(title: str) -> str:
    """Bring a column title to its short name: ``F1-Score (%)`` → ``f1``."""
    plain = re.sub(r"\(.*?\)|[%.]", " ", title).replace("-", " ")
    plain = " ".join(plain.split())
    lower = plain.lower()
    if lower in METRICS:
        return METRICS[lower]
    fixed = lower in PLAIN_COLUMNS or lower.startswith("n ")
    return lower if fixed else plain


def _kind(columns: Sequence[str]) -> str:
    """Tell the kind of a table from its columns."""
    if "expression" in columns:
        return "statements"
    if "op" in columns:
        return "layers"
    if "accuracy" in columns:
        return "methods"
    if "recall" in columns or "precision" in columns:
        return "report"
    return "accuracies"


def slug(text: str) -> str:
    """Turn a row label into part of an id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("→", "-to-")).strip("-")
