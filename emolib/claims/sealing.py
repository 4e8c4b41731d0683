"""Finding the ledger in the papers' texts, and sealing what was found.

The texts are not part of the project: whoever has them runs ``emolib claims --seal FOLDER`` after
a change of a published value, a quote or a typed-in table. See `emolib.claims.sources`.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path

from emolib import paths, registry
from emolib.audit import PrintedTable
from emolib.audit.tables import is_size
from emolib.claims import sources
from emolib.claims.schema import Claim, load
from emolib.claims.sources import COLUMNS, Source, Typed, digest, numbers, plain
from emolib.claims.verdicts import ClaimError

ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
LONGEST = 40  # lines of a table, its caption included
LOOSE = ("accuracy", "params", "flops", "macs")  # lines above a table that quote the paper
NEAR = 45  # characters on either side of a number that stands in a text once


@dataclass(frozen=True)
class Text:
    """The whole text of a paper, its tables in lines with tabs between the cells."""

    raw: str

    @cached_property
    def plain(self) -> str:
        """The text without markup and spaces."""
        return plain(self.raw)

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Every number in it."""
        return frozenset(numbers(re.sub(r"[$\\{}*_]|</?\w+>", " ", self.raw)))

    def prints(self, number: str) -> bool:
        """Whether a number stands in it: as it is, in thousands, or seconds as milliseconds."""
        return not {number, f"{number}000", number.lstrip("0.")}.isdisjoint(self.numbers)

    def lines(self, table: str) -> list[str]:
        """The lines of one table, ``table3``, cells that span several rows in each of them."""
        lines = self.raw.splitlines()
        caption = re.compile(rf"table\s+{_roman(table)}\b", re.IGNORECASE)
        starts = [i for i, line in enumerate(lines) if caption.match(line) and len(line) < 120]
        filled: list[list[str]] = []
        for line in lines[starts[0] : starts[0] + LONGEST] if starts else []:
            cells, above = line.split("\t"), filled[-1] if filled else []
            alike = len(cells) == len(above) > 1
            filled.append([c or a for c, a in zip(cells, above, strict=True)] if alike else cells)
        return ["\t".join(cells) for cells in filled]


def _roman(table: str) -> str:
    """Return the number of ``table3-boards`` as papers print it, III; nothing if it has none."""
    number = re.match(r"table(\d+)", table)
    return ROMAN[int(number[1]) - 1] if number else ""


def seal(folder: str | Path) -> str:
    """Find every value, quote and table in the papers' texts, and write sources and seals anew.

    Claims without a row in ``sources.csv`` are given one where their quote or one cell holds the
    value; rows of claims that are gone are dropped. A paper without a text in the folder keeps
    what is sealed and unchanged.

    Parameters
    ----------
    folder
        Holds ``<key>.txt``, the whole text of a paper.

    Returns
    -------
    str
        What was sealed, in a sentence.

    Raises
    ------
    ClaimError
        In an installed package, or if something cannot be found; then nothing is written.
    """
    if paths.INSTALLED:
        raise ClaimError("claims are sealed in a checkout of the project, not in a package")
    texts = _texts(Path(folder))
    tables = sources.typed_tables()
    old = sources.read() if (paths.CLAIMS / "sources.csv").exists() else {}
    sealed = sources.read_seals() if (paths.CLAIMS / "seals.csv").exists() else {}
    claims = [claim for key in registry.PAPERS for claim in load(key)]
    known = {c.id: old.get(c.id) or locate(c, tables, texts.get(c.key)) for c in claims}
    problems = [p for c in claims if (p := unfound(c, known, tables, texts.get(c.key), sealed))]
    for stem, one in tables.items():
        text = texts.get(stem.partition("-")[0])
        problems += absent(stem, one.table, text) if text else sources.table_faults(one, sealed)
    if problems:
        raise ClaimError(f"{len(problems)} cannot be sealed: " + "; ".join(problems))
    found = {name: source for name, source in known.items() if source}
    seals = {c.id: sources.claim_digest(c, found[c.id], tables) for c in claims}
    lines = {name: digest(line) for one in tables.values() for name, line in one.lines.items()}
    _write("sources.csv", COLUMNS, map(astuple, found.values()))
    _write("seals.csv", ("of", "sha256"), (seals | lines).items())
    return f"Sealed {len(seals)} claims and {len(lines)} lines of {len(tables)} tables."


def _texts(folder: Path) -> dict[str, Text]:
    """Read the papers' texts that lie in a folder."""
    files = {key: folder / f"{key}.txt" for key in registry.PAPERS}
    try:
        there = {k: Text(f.read_text(encoding="utf-8")) for k, f in files.items() if f.is_file()}
    except UnicodeDecodeError as error:
        raise ClaimError(f"{folder}: a text is not UTF-8 ({error}). Save it as UTF-8.") from None
    if not there:
        raise ClaimError(
            f"{folder}: no paper's text. Put {next(iter(files))}.txt and others there."
        )
    return there


def _write(name: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([columns, *rows])
    with paths.atomic(paths.CLAIMS / name) as part:
        part.write_text(out.getvalue(), encoding="utf-8")


# --- claims ----------------------------------------------------------------------------------


def locate(claim: Claim, tables: Mapping[str, Typed], text: Text | None = None) -> Source | None:
    """Find where the value of a claim stands; None where nothing, or too much, holds it."""
    if not claim.quote:
        return _cell(claim, tables) or (_once(claim, text) if text else None)
    wanted, there = numbers(claim.published), numbers(claim.quote)
    ends = range(len(there) - len(wanted) + 1)
    if wanted and (at := [i for i in ends if there[i : i + len(wanted)] == wanted]):
        return Source(claim.id, number=str(at[0] + 1))
    if plain(claim.published) in plain(claim.quote):
        return Source(claim.id)
    if claim.printed is None and not wanted:
        return Source(claim.id, means=claim.published)  # how we put what the quote says
    return _cell(claim, tables)


def _cell(claim: Claim, tables: Mapping[str, Typed]) -> Source | None:
    """Find the one cell of the claim's table that holds its value and fits its name best."""
    number = claim.source.removeprefix("Table ")
    if number not in ROMAN:
        return None
    stem = f"{claim.key}-table{ROMAN.index(number) + 1}"
    fits: dict[Source, tuple[float, ...]] = {}
    for name, one in tables.items():
        of_it = re.fullmatch(rf"{stem}(-.*)?", name)
        if not of_it or one.table.kind in ("statements", "layers"):
            continue
        for (row, column), cell in one.table.cells.items():
            if is_size(column):
                continue
            same = plain(cell) == plain(claim.published)
            if same or (claim.printed and numbers(cell) == numbers(claim.published)):
                at = Source(claim.id, name, row, column, number="" if same else "1")
                said = {*_words(f"{claim.id} {claim.quantity}")}
                fit = [len(said.intersection(_words(label))) for label in (row, column)]
                fits[at] = (name == stem, *fit)
    best = sorted(fits, key=lambda at: fits[at], reverse=True)
    unique = len(best) == 1 or (len(best) > 1 and fits[best[0]] > fits[best[1]])
    return best[0] if unique else None


def _once(claim: Claim, text: Text) -> Source | None:
    """Find words around a number that the paper prints just once."""
    wanted = numbers(claim.published)
    at = [m for m in re.finditer(r"\d[\d,.]*\d|\d", text.raw) if numbers(m[0]) == wanted]
    if len(at) != 1 or "\t" in text.raw[at[0].start() - NEAR : at[0].end() + NEAR]:
        return None
    around = text.raw[max(at[0].start() - NEAR, 0) : at[0].end() + NEAR]
    words = " ".join(around.partition("\n\n")[0].split()[1:-1])
    there = numbers(words)
    return Source(claim.id, words=words, number=str(there.index(wanted[0]) + 1)) if words else None


def unfound(
    claim: Claim,
    known: Mapping[str, Source | None],
    tables: Mapping[str, Typed],
    text: Text | None,
    sealed: Mapping[str, str],
) -> str:
    """Say what of a claim does not stand in its paper; nothing if all does."""
    source = known[claim.id]
    if source is None:
        where = f"the quote {claim.quote!r}" if claim.quote else f"a typed-in {claim.source}"
        remedy = "Mend the quote, or give the claim a row in data/claims/sources.csv"
        return f"{claim.id} ({claim.published!r} stands in no one place of {where}. {remedy})"
    there = {name: at for name, at in known.items() if at}
    if problem := sources.fault(claim, there, tables, None if text else sealed):
        return problem
    for name, words in (("quote", claim.quote), ("words", source.words)):
        if text and words and plain(words) not in text.plain:
            return (
                f"{claim.id} (its {name} {words!r} is not in {claim.key}.txt. Copy it from there)"
            )
    return ""


# --- tables ----------------------------------------------------------------------------------


def absent(stem: str, table: PrintedTable, text: Text) -> list[str]:
    """Say which rows of a typed-in table do not stand in the paper's text.

    A row of a printed table must stand in one line of that table, cell by cell, under the label
    that fits this line best, and below the row before. Of other numbers each must be printed
    somewhere. What we counted ourselves (sizes, populations, layers) is sealed as it is.
    """
    name = stem.partition("-")[2]
    lines = text.lines(name) if _roman(name) else []
    loose = [table.directives[key] for key in LOOSE if key in table.directives]
    missing, last = [], -1
    for row in table.rows if table.kind != "layers" else ():
        if table.kind == "statements" or not _roman(name):
            loose += _printed_cells(row, table)
            continue
        at = next((i for i in range(last + 1, len(lines)) if _holds(lines[i], row, table)), None)
        missing += [f"row {row!r} (not so in the paper's table)"] if at is None else []
        last = last if at is None else at
    stray = [n for words in loose for n in numbers(words) if not text.prints(n)]
    missing += [f"{n} (nowhere in the paper)" for n in stray]
    return [f"data/claims/tables/{stem}.csv: {each}" for each in missing]


def _printed_cells(row: str, table: PrintedTable) -> list[str]:
    """Return what a row says the paper prints: its cells, or numbers in the braces of a sum."""
    if table.kind == "statements":
        braces = re.findall(r"{(.*?)}", table.cells[row, "expression"])
        return [table.cells[row, "printed"], *braces]
    return [
        table.cells[row, c] for c in table.columns if (row, c) in table.cells and not is_size(c)
    ]


def _holds(line: str, row: str, table: PrintedTable) -> bool:
    """Whether a line of a text holds the cells of a row in their order, under its label."""
    values = [
        _bare(table.cells[row, column])
        for column in table.columns
        if not is_size(column) and (row, column) in table.cells
    ]
    there = iter([_bare(cell) for cell in line.split("\t")])
    # `in` goes on where the last value stood.
    in_order = all(value in there for value in values)
    return in_order and _fit(row, line) == max(_fit(label, line) for label in table.rows)


def _bare(cell: str) -> str:
    return plain(cell).rstrip("%").replace(",", "")


def _fit(label: str, line: str) -> tuple[float, int]:
    """How well a label fits a line: the share of its words that follow there, and their number."""
    words, rest = _words(label), iter(_words(line))
    there = 0
    for word in words:
        ahead = list(rest)
        found = word in ahead
        there += found
        rest = iter(ahead[ahead.index(word) + 1 :] if found else ahead)
    return there / max(len(words), 1), there


def _words(text: str) -> list[str]:
    """Return the words and the references, without markup; a bare number is neither."""
    found = re.findall(r"\[\d+\]|[^\W_]*[^\W\d_][^\W_]*", re.sub(r"</?\w+>", " ", text.lower()))
    return [word for word in found if len(word) > 1]
