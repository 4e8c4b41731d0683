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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from emolib.audit.findings import Finding, Level
from emolib.audit.layers import count_layers
from emolib.audit.printed import AuditError, Printed, evaluate
from emolib.audit.wording import say

Words = Mapping[str, object]
_FORMAT = yaml.safe_load(Path(__file__).with_name("format.yml").read_text(encoding="utf-8"))
KINDS, DIRECTIVES = _FORMAT["kinds"], _FORMAT["directives"]
MACRO_ROWS, WEIGHTED_ROWS = _FORMAT["macro_rows"], _FORMAT["weighted_rows"]
METRICS = {title: name for name, titles in _FORMAT["columns"].items() for title in titles}


@dataclass(frozen=True)
class PrintedTable:
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
    def read(cls, path: str | Path) -> "PrintedTable":
        """Read a CSV file in the format that the head of this module describes.

        Raises
        ------
        AuditError
            If it is missing, or is not in this format; the message names file, line and remedy.
        """
        path = Path(path)
        try:
            raw = path.read_bytes()
            text = raw.decode("utf-8-sig")
        except (FileNotFoundError, IsADirectoryError):
            raise AuditError(say("no-file format", path=path)) from None
        except UnicodeDecodeError as error:
            number = raw.count(b"\n", 0, error.start) + 1
            raise AuditError(say("not-text", path=path, number=number, error=error)) from None
        return cls.parse(text, path.stem.partition("-")[2] or path.stem, str(path))

    @classmethod
    def parse(cls, text: str, name: str = "table", where: str = "table") -> "PrintedTable":
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
        header, columns, rows = _rows(body, where)
        cells = {
            (row, column): value
            for row, (_, values) in rows.items()
            for column, value in zip(columns, values, strict=True)
            if value.lower() not in _FORMAT["missing"]
        }
        kind = directives.get("kind") or _kind(columns)
        if kind not in KINDS:
            where = f"{where}, line {lines['kind']}"
            raise AuditError(f"{where}: unknown kind {kind!r}. Known: {', '.join(KINDS)}.")
        table = cls(name, kind, tuple(rows), columns, cells, directives)
        table._check_columns(f"{where}, line {header}")
        table._check(where, lines, {row: number for row, (number, _) in rows.items()})
        return table

    def _check_columns(self, where: str) -> None:
        """Refuse a header without the columns that the kind of table needs."""
        needed = _FORMAT["needed"].get(self.kind, ())
        if missing := [column for column in needed if column not in self.columns]:
            raise AuditError(say("no-column", where=where, kind=self.kind, column=missing[0]))

    def _check(self, where: str, directives: Mapping[str, int], rows: Mapping[str, int]) -> None:
        """Refuse what cannot be audited, while file and line can still be named."""
        for key, number in directives.items():
            with _at(f"{where}, line {number}: '# {key}: {self.directives[key]}'"):
                form = DIRECTIVES[_meant(key)]
                _read(self.directives[key], form)
                getattr(self, form.get("names", "title"))
        layers = count_layers(self) if self.kind == "layers" else None
        for row, number in rows.items():
            with _at(f"{where}, line {number}: row {row!r}"):
                if layers:
                    next(layers)
                elif self.kind == "statements":
                    with _at("column 'printed'"):
                        Printed.parse(self.cells.get((row, "printed"), "").rstrip("% "))
                    with _at("column 'expression'"):
                        evaluate(self.cells.get((row, "expression"), ""))
                else:
                    self._check_numbers(row)
        if self.kind == "report" and self.supports and not any(self.supports.values()):
            where = f"{where}, line {next(iter(rows.values()))}"
            raise AuditError(say("no-clip", where=where))

    def _check_numbers(self, row: str) -> None:
        for column in (c for c in self.columns if (row, c) in self.cells):
            with _at(f"column {column!r}"):
                self._check_number(column, self.cells[row, column])

    def _check_number(self, column: str, text: str) -> None:
        if column == "support" or is_size(column):
            _read(text, _FORMAT["support"] if column == "support" else DIRECTIVES["n"])
        elif self.kind == "numbers":
            _read(text, _FORMAT["kept"])
        else:
            share = column in ("precision", "recall", "f1", "accuracy")
            value = Printed.parse(text, self.percent).value
            if share and not 0 <= value <= 1:
                raise AuditError(say("outside", text=text))

    @property
    def title(self) -> str:
        """What to call the table in a sentence."""
        return self.directives.get("title") or self.name

    @property
    def percent(self) -> bool:
        """Whether the numbers are percentages (stated, or some number exceeds 1)."""
        if unit := self.directives.get("unit"):
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
        return Fraction(self.directives.get("share", 1))

    def printed(self, row: str, column: str) -> Printed | None:
        """The number in one cell, None if nothing was printed there."""
        text = self.cells.get((row, column))
        return Printed.parse(text, self.percent) if text is not None else None

    @property
    def classes(self) -> dict[str, dict[str, Printed]]:
        """Class rows of a report, with the metrics printed for each."""
        special = (*MACRO_ROWS, *WEIGHTED_ROWS, "accuracy", "total")
        rows = [row for row in self.rows if row.lower() not in special]
        metrics = ("precision", "recall", "f1")
        cells = {row: {metric: self.printed(row, metric) for metric in metrics} for row in rows}
        return {
            row: {metric: value for metric, value in line.items() if value is not None}
            for row, line in cells.items()
        }

    @property
    def has_recalls(self) -> bool:
        """Whether there are classes, and each of them has a recall."""
        return bool(self.classes) and all("recall" in row for row in self.classes.values())

    @property
    def supports(self) -> dict[str, int] | None:
        """The printed supports by class, None unless every class has one."""
        cells = {row: self.cells.get((row, "support"), "") for row in self.classes}
        if not cells or not all(cells.values()):
            return None
        return {row: _whole(text) for row, text in cells.items()}

    @property
    def accuracy(self) -> Printed | None:
        """The accuracy stated for a report, in the table or above it."""
        if "accuracy" in self.directives:
            stated = Printed.parse(self.directives["accuracy"], self.percent)
            if stated.value > 1:
                raise AuditError("is outside 0–100 %. Write 97.5 % or 0.975.")
            return stated
        rows = [row for row in self.rows if row.lower() == "accuracy"]
        columns = ("accuracy", "f1", "recall", "precision")
        cells = (self.printed(row, column) for row in rows for column in columns)
        return next((value for value in cells if value is not None), None)

    @property
    def accuracies(self) -> dict[tuple[str, str], Printed]:
        """Every accuracy cell of a methods or accuracies table."""
        shown = [c for c in self.columns if not is_size(c)] if self.kind == "accuracies" else []
        columns = ["accuracy"] if self.kind == "methods" else shown
        cells = {(row, c): self.printed(row, c) for row in self.rows for c in columns}
        return {cell: value for cell, value in cells.items() if value is not None}

    @property
    def final(self) -> tuple[str, Printed] | None:
        """Label and accuracy of the paper's own final model, if the table names it."""
        if "final" not in self.directives:
            return None
        row, _, column = (part.strip() for part in self.directives["final"].partition("|"))
        for (r, c), value in self.accuracies.items():
            if r == row and (not column or c == column):
                return f"{r} {c}".strip(), value
        raise AuditError("names no cell of the table. Write 'row' or 'row | column'.")

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
            raise AuditError("names no row of the table. Write a row's name, or previous.")
        return [(baseline, row) for row in self.rows if baseline not in (None, row)]

    def sizes(self, row: str) -> dict[str, tuple[int, ...]]:
        """Stated sizes of the test set by unit: ``{"clips": (96,), "segments": (576,)}``."""
        stated = {f"n {unit}": text for unit, text in self._named("n")}
        stated |= {c: text for (r, c), text in self.cells.items() if r == row and is_size(c)}
        return {
            key.removeprefix("n").strip() or "clips": tuple(map(_whole, text.split("|")))
            for key, text in stated.items()
        }

    def counts(self, directive: str) -> dict[str, dict[str, int]]:
        """Class counts of every ``# population X:`` or ``# group X:`` line, by its X."""
        return {
            name or "corpus": {clips: int(n) for clips, n in re.findall(r"([^\s=,]+)=(\d+)", text)}
            for name, text in self._named(directive)
        }

    def _named(self, directive: str) -> Iterator[tuple[str, str]]:
        """Go through the lines of a directive, by the name that may follow it."""
        for key, text in self.directives.items():
            if _meant(key) == directive:
                yield key.removeprefix(directive).strip(), text

    @property
    def populations(self) -> dict[str, dict[str, int]]:
        """Clips by class in the corpus, in each reading of what the corpus is."""
        populations = self.counts("population")
        for counts in populations.values():
            missing = [name for name in self.classes if name.lower() not in counts]
            if self.kind == "report" and missing:
                raise AuditError(f"lacks {', '.join(missing)} (write class names in lower case).")
            if not sum(counts.values()):
                raise AuditError("counts no clip. Write clips by class in the corpus.")
        return populations

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the inputs of a network by branch: ``{"audio": (1, 40)}``."""
        return {name: tuple(map(int, text.split("x"))) for name, text in self._named("input")}

    def magnitude(self, key: str) -> tuple[Printed, int]:
        """A printed count and its unit: ``0.06 M`` gives 0.06 and 1,000,000."""
        number, _, suffix = self.directives[key].partition(" ")
        return Printed.parse(number), _FORMAT["factors"][suffix]

    def finding(
        self, name: str, level: Level, sentences: str, words: Words | None = None, **data: Any
    ) -> Finding:
        """Return a finding about this table; `words` fill its sentences, where the data do not."""
        text = say(sentences, **{"title": self.title, **data, **(words or {})})
        return Finding(f"{self.name}/{name}", level, text, data)


def _read(text: str, form: Mapping[str, str]) -> None:
    """Refuse a text that does not read as it must, and say how to write it."""
    if not re.fullmatch(form["reads"], text):
        raise AuditError(f"{text[:40]!r} cannot be read; {form.get('write', '')}.")


def _whole(text: str) -> int:
    return int(text.replace(",", ""))


def _meant(key: str) -> str:
    """Return the directive that a key is: ``n clips`` is ``n``; nothing if it is none."""
    return next((d for d in DIRECTIVES if key == d or key.startswith(d + " ")), "")


def _directive(line: str, where: str) -> tuple[str, str] | None:
    """Read ``# key: value``; None for a remark."""
    key, colon, value = line.lstrip("# ").partition(":")
    key = " ".join(key.split()).lower()
    if line.lstrip().startswith("##") or not colon:
        return None
    if not _meant(key):
        raise AuditError(say("unknown-line", where=where, key=key, known=[*DIRECTIVES]))
    return key, value.strip()


def _rows(
    body: Sequence[tuple[int, str]], where: str
) -> tuple[int, tuple[str, ...], dict[str, tuple[int, list[str]]]]:
    """Return the header's line, the columns, and line and cells of each row by its name."""
    reader = csv.reader((line for _, line in body), skipinitialspace=True, strict=True)
    try:
        lines = [(body[reader.line_num - 1][0], cells) for cells in reader]
    except csv.Error as error:
        number = body[max(reader.line_num, 1) - 1][0]
        raise AuditError(say("no-csv", where=where, number=number, error=error)) from None
    if len(lines) < 2:
        number = lines[0][0] if lines else 1
        raise AuditError(say("no-table format", where=where, number=number))
    top, header = lines[0]
    columns = tuple(_column(title) for title in header[1:])
    if not columns or len(set(columns)) != len(columns):
        raise AuditError(say("bad-columns", where=where, number=top, header=header))
    rows: dict[str, tuple[int, list[str]]] = {}
    for number, line in lines[1:]:
        name, *values = (value.strip() for value in line)
        if len(line) != len(header):
            words = {"line": line, "cells": len(line), "width": len(header)}
            raise AuditError(say("bad-row", where=where, number=number, **words))
        if name in rows:
            raise AuditError(say("same-row", where=where, number=number, name=name))
        rows[name] = number, values
    return top, columns, rows


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
    fixed = lower in _FORMAT["plain"] or is_size(lower)
    return METRICS.get(lower, lower if fixed else plain)


def _kind(columns: Sequence[str]) -> str:
    """Tell the kind of a table from its columns."""
    signs = _FORMAT["signs"].items()
    return next((kind for column, kind in signs if column in columns), "accuracies")


def slug(text: str) -> str:
    """Turn a row label into part of an id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("→", "-to-")).strip("-")
