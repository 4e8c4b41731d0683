"""Where each published value stands in its paper, so that no digit of the ledger can slip.

``data/claims/sources.csv`` has one row a claim. The value is read off again from

- a cell of a typed-in table (`table`, `row`, `column`), or
- words of the paper: the claim's quote, or `words` where the quote does not hold the value.

There it is the `number`-th number and those that follow it (``80/20`` is two), or, without a
`number`, it stands there word for word; `means` says what words stand for that are no number of
the paper (*lower* is less than 1 ×). ``data/claims/seals.csv`` keeps the start of a SHA-256 of
each claim's value, quote and cell and of each line of a typed-in table. Only
`emolib.claims.sealing` writes it, after it has found all of them in the papers' texts, which are
not part of the project.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from emolib import paths
from emolib.audit import PrintedTable
from emolib.claims.schema import Claim
from emolib.claims.verdicts import ClaimError

REMEDY = "Mend it, or run `emolib claims --seal FOLDER` with the papers' texts."
_WORDS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
]
COUNTED = {word: str(number) for number, word in enumerate(_WORDS)}
COUNTED |= {"null": "0", "single": "1", "twofold": "2", "threefold": "3", "fourfold": "4"}
_NUMBER = re.compile(
    r"(?:(?:^|(?<=[\s(]))[-−](?=\d))?"  # a sign, no hyphen
    r"(?:\d{1,3}(?:,\d{3})+(?![\d])(?:\.\d+)?|\d+(?:\.\d+)?)"
    rf"|\b(?:{'|'.join(COUNTED)})\b",
    re.IGNORECASE,
)
_VARIANTS = str.maketrans(
    {"“": '"', "”": '"', "’": "'", "–": "-", "—": "-", "−": "-", "×": "x", "~": "", "≈": ""}
)


@dataclass(frozen=True)
class Source:
    """Where the published value of one claim stands; see the head of this module."""

    claim: str
    table: str = ""
    row: str = ""
    column: str = ""
    words: str = ""
    number: str = ""
    means: str = ""

    @property
    def place(self) -> str:
        """The place in words."""
        if self.table:
            return f"{self.table}.csv, row {self.row!r}, column {self.column!r}"
        return "the words in sources.csv" if self.words else "the quote"


@dataclass(frozen=True)
class Typed:
    """A typed-in table, its lines as they stand in the file, and those that hold a row by name."""

    table: PrintedTable
    lines: Mapping[str, str]


COLUMNS = tuple(field.name for field in fields(Source))


def plain(text: str) -> str:
    """Return a text without markup, spaces and typographic variants."""
    text = re.sub(r"[*_$\\]|</?\w+>", " ", text)
    return re.sub(r"\s+", "", text.translate(_VARIANTS)).lower()


def numbers(text: str) -> list[str]:
    """Return the numbers of a text in their order, without thousands commas, words as digits.

    Examples
    --------
    >>> numbers("an 80/20 split of 7,356 files by two actors: 97.50%")
    ['80', '20', '7356', '2', '97.50']
    """
    found = (
        match[0].lower().replace(",", "").replace("−", "-") for match in _NUMBER.finditer(text)
    )
    return [COUNTED.get(word, word) for word in found]


# --- files ---------------------------------------------------------------------------------


def read(file: Path | None = None) -> dict[str, Source]:
    """Return the sources of all claims by the claim's id.

    Raises
    ------
    ClaimError
        If the file is missing or a line of it cannot be read.
    """
    file = file or paths.CLAIMS / "sources.csv"
    sources: dict[str, Source] = {}
    for line, row in _lines(file, COLUMNS):
        source = Source(**row)
        if source.claim in sources:
            raise ClaimError(f"{file}, line {line}: a second source of {source.claim}. Delete one.")
        if source.number and not re.fullmatch(r"[1-9]\d?", source.number):
            shown = f"{source.number!r} is no position"
            raise ClaimError(f"{file}, line {line}: {shown}. Write 1 for the first number.")
        sources[source.claim] = source
    return sources


def read_seals(file: Path | None = None) -> dict[str, str]:
    """Return the seals by what they seal: a claim's id, or a table's file and row."""
    file = file or paths.CLAIMS / "seals.csv"
    return {row["of"]: row["sha256"] for _, row in _lines(file, ("of", "sha256"))}


def typed_tables(folder: Path | None = None) -> dict[str, Typed]:
    """Return the typed-in tables of all papers by their files' names."""
    files = sorted((folder or paths.CLAIMS / "tables").glob("*.csv"))
    return {file.stem: typed(file.stem, file.read_text(encoding="utf-8")) for file in files}


def typed(stem: str, text: str) -> Typed:
    """Return a table from the text of its file, and its lines by what they hold.

    All that stands above the rows is kept under the file's name.
    """
    table = PrintedTable.parse(text, stem.partition("-")[2], f"{stem}.csv")
    head: list[str] = []
    lines: dict[str, str] = {}
    titled = False
    for line in filter(str.strip, text.splitlines()):
        if titled and not line.startswith("#"):
            lines[f"{stem}.csv: {next(csv.reader([line]))[0].strip()}"] = line
            continue
        titled = titled or not line.startswith("#")
        head.append(line)
    return Typed(table, {f"{stem}.csv": "\n".join(head)} | lines)


def _lines(file: Path, columns: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Go through the rows of a CSV file that has just these columns."""
    try:
        reader = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"), newline=""))
    except (OSError, UnicodeDecodeError) as error:
        raise ClaimError(f"{file}: cannot be read as UTF-8 text ({error}). {REMEDY}") from None
    if tuple(reader.fieldnames or ()) != tuple(columns):
        raise ClaimError(f"{file}, line 1: the columns must be {','.join(columns)}. {REMEDY}")
    for row in reader:
        if None in row or None in row.values():
            raise ClaimError(f"{file}, line {reader.line_num}: not {len(row)} cells. {REMEDY}")
        yield reader.line_num, row


# --- reading off again, without the papers ---------------------------------------------------


def read_off(claim: Claim, source: Source, tables: Mapping[str, Typed]) -> str:
    """Return the value that stands at the source of a claim; nothing if nothing stands there.

    It is normalised as `normal` normalises the published value.
    """
    text = source.words or claim.quote or ""
    if source.table:
        cells = tables[source.table].table.cells if source.table in tables else {}
        text = cells.get((source.row, source.column), "")
    if source.means:
        return plain(source.means) if text else ""
    if source.number:
        first = int(source.number) - 1
        return " ".join(numbers(text)[first : first + len(numbers(claim.published))])
    if source.table:
        return plain(text)
    return plain(claim.published) if plain(claim.published) in plain(text) else plain(text)


def normal(claim: Claim, source: Source) -> str:
    """Return the published value as `read_off` writes it: its numbers, or its plain words."""
    by_number = source.number and not source.means
    return " ".join(numbers(claim.published)) if by_number else plain(claim.published)


def fault(
    claim: Claim,
    sources: Mapping[str, Source],
    tables: Mapping[str, Typed],
    seals: Mapping[str, str] | None = None,
) -> str:
    """Return what is wrong with a claim's value, quote or source; nothing if all is well.

    Without `seals` the value is only read off again.
    """
    source = sources.get(claim.id)
    if source is None:
        return f"{claim.id} has no row in data/claims/sources.csv. {REMEDY}"
    there = read_off(claim, source, tables)
    if not there or there != normal(claim, source):
        shown = f"{there[:60]!r} stands in {source.place}" if there else f"none in {source.place}"
        return f"{claim.id}: published {claim.published!r}, but {shown}. {REMEDY}"
    if seals is not None and seals.get(claim.id) != claim_digest(claim, source, tables):
        state = "was changed after it was sealed" if claim.id in seals else "was never sealed"
        return f"{claim.id}: its value, quote or source {state}. {REMEDY}"
    return ""


def table_faults(one: Typed, seals: Mapping[str, str]) -> list[str]:
    """Return the lines of a typed-in table that are not as they were sealed."""
    return [
        f"data/claims/tables/{name} {'was changed' if name in seals else 'came'} after the seal. "
        + REMEDY
        for name, line in one.lines.items()
        if seals.get(name) != digest(line)
    ]


def faults(claims: Iterable[Claim]) -> list[str]:
    """Return all that is wrong with values, quotes, cells, sources and seals, a line each."""
    claims, sources, tables, seals = list(claims), read(), typed_tables(), read_seals()
    ids = {claim.id for claim in claims}
    lines = {name for one in tables.values() for name in one.lines}
    found = [each for claim in claims if (each := fault(claim, sources, tables, seals))]
    found += [each for one in tables.values() for each in table_faults(one, seals)]
    found += [f"sources.csv has {name}, which is no claim. {REMEDY}" for name in {*sources} - ids]
    found += [f"seals.csv has {name!r}, which is gone. {REMEDY}" for name in {*seals} - ids - lines]
    return found


def claim_digest(claim: Claim, source: Source, tables: Mapping[str, Typed]) -> str:
    """Return the seal of a claim's value, quote, source and cell."""
    cells = tables[source.table].table.cells if source.table in tables else {}
    cell = cells.get((source.row, source.column), "")
    return digest(claim.published, claim.quote or "", *astuple(source), cell)


def digest(*parts: str) -> str:
    """Return the first 16 digits of the SHA-256 of some texts."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]
