"""The ledger in the formats that others read: one folder, ready to be deposited under a DOI.

``ledger.csv`` and ``ledger.json`` hold every claim with its verdict; ``croissant.json`` (Croissant
1.0) describes their columns; ``codecheck.yml`` (CODECHECK) lists what was made again, by whom and
when; ``ro-crate-metadata.json`` (RO-Crate 1.1) says of every result file which command made it, on
which corpus, from which commit. The folder is written whole or not at all.
"""

import datetime
import importlib.util
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from emolib import __version__, paths, registry, results
from emolib.claims import history, ledger
from emolib.claims.verdicts import ClaimError
from emolib.corpora.sources import SOURCES

#: What each column of the ledger says, for the description of the data.
COLUMNS_FILE = Path(__file__).with_name("columns.yml")
_CODECHECK = "https://codecheck.org.uk/spec/config/1.0/"
_TEXT_LICENCE = "https://creativecommons.org/licenses/by/4.0/"


def export(out: str | Path) -> Path:
    """Write the ledger, its description and every committed result into a new folder.

    Parameters
    ----------
    out
        The folder; it must not be there yet, or be empty.

    Raises
    ------
    ClaimError
        If the folder holds something, or the libraries of the formats are missing.
    """
    out = Path(out).resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ClaimError(f"{out} is there already: name a folder that is new or empty")
    _need_formats()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".archive-") as scratch:
        staged = Path(scratch) / "archive"
        made = sorted(results.load_all(), key=lambda result: result.name)
        _write_ledger(staged, ledger.table())
        _write_results(staged, made)
        _write_yaml(staged / "codecheck.yml", codecheck(made))
        _write_json(staged / "croissant.json", croissant(staged, published=_last(made)))
        _crate(staged, made)
        if out.exists():
            out.rmdir()
        staged.rename(out)
    return out


def _need_formats() -> None:
    for library in ("mlcroissant", "rocrate"):
        if importlib.util.find_spec(library) is None:
            raise ClaimError(
                f"{library} is missing: pip install 'emolib[archive]', then export again"
            )


# --- the ledger -----------------------------------------------------------------------------


def _write_ledger(folder: Path, table: pd.DataFrame) -> None:
    """Write the claims as CSV, and as JSON together with what is known of each paper."""
    folder.mkdir()
    table.to_csv(folder / "ledger.csv", index=False)
    papers = {key: ledger.ledger_of(key).paper.model_dump() for key in registry.PAPERS}
    found = [row for key in registry.PAPERS for row in ledger.findings(key).to_dict("records")]
    whole = {"papers": papers, "claims": table.to_dict("records"), "findings": found}
    _write_json(folder / "ledger.json", whole)
    history.changes().to_csv(folder / "history.csv", index=False)


def _write_results(folder: Path, made: Iterable[results.Result]) -> None:
    """Copy the result files and the tables beside them."""
    for result in made:
        _copied(results.path(result.key, result.experiment), folder)
    for table in paths.files(paths.RESULTS, "*/*.csv"):
        _copied(table, folder)


def _copied(file: Path, folder: Path) -> None:
    target = folder / "results" / file.parent.name / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


# --- its descriptions -----------------------------------------------------------------------


def codecheck(made: Iterable[results.Result]) -> dict[str, Any]:
    """Return the configuration of a CODECHECK: what was made again, and from what.

    Nobody outside the project has checked yet, and the summary says so.
    """
    made = list(made)
    manifest = [
        {
            "file": f"results/{result.key}/{result.experiment}.json",
            "comment": f"{result.title}. Made by: {result.command}",
        }
        for result in made
    ]
    checked = ", ".join(paper.name for paper in registry.PAPERS.values())
    return {
        "version": _CODECHECK,
        "source": f"emolib {__version__}",
        "paper": {
            "title": "Five small networks, put to the test",
            "authors": [{"name": "The emolib authors"}],
        },
        "manifest": [{"file": "ledger.csv", "comment": "every claim with its verdict"}, *manifest],
        "codechecker": [{"name": "The emolib authors"}],
        "summary": (
            f"The claims of five papers ({checked}) tested by rebuilding their networks. The "
            "authors of this ledger checked it themselves; no one else has, and no author of a "
            "paper has been asked."
        ),
        "check_time": _last(made),
    }


def _last(made: Iterable[results.Result]) -> str:
    """Return when the last of the results was made."""
    return max(result.provenance.date for result in made)


def croissant(folder: Path, published: str) -> dict[str, Any]:
    """Return the Croissant description of the ledger in a folder, published on a date."""
    import mlcroissant as mlc

    file = folder / "ledger.csv"
    said = yaml.safe_load(COLUMNS_FILE.read_text(encoding="utf-8"))
    columns = pd.read_csv(file, nrows=0).columns
    if unsaid := [name for name in columns if name not in said]:
        raise ClaimError(f"{COLUMNS_FILE} says nothing of {', '.join(unsaid)}: add what it holds")
    numbers = {"measured": mlc.DataType.FLOAT, "new_people": mlc.DataType.FLOAT}
    numbers |= {"own": mlc.DataType.BOOL}
    fields = [
        mlc.Field(
            id=f"claims/{name}",
            name=name,
            description=said[name],
            data_types=numbers.get(name, mlc.DataType.TEXT),
            source=mlc.Source(file_object="ledger", extract=mlc.Extract(column=name)),
        )
        for name in columns
    ]
    return mlc.Metadata(
        name="emolib-ledger",
        description="Every number that five papers on emotion recognition print, and its verdict.",
        version=__version__,
        date_published=datetime.datetime.fromisoformat(published),
        license=[_TEXT_LICENCE],
        cite_as="The emolib authors: Five small networks, put to the test, 2026.",
        distribution=[
            mlc.FileObject(
                id="ledger",
                name="ledger",
                content_url="ledger.csv",
                encoding_formats=["text/csv"],
                sha256=paths.sha256(file),
            )
        ],
        record_sets=[mlc.RecordSet(id="claims", name="claims", fields=fields)],
    ).to_json()


def _crate(folder: Path, made: Iterable[results.Result]) -> None:
    """Describe every file of a folder as an RO-Crate: each result with the action that made it."""
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    made = list(made)
    crate = ROCrate()
    crate.name = "Five small networks, put to the test: ledger and results"
    crate.description = codecheck(made)["summary"]
    crate.license = _TEXT_LICENCE
    crate.datePublished = _last(made)
    software = {"@type": "SoftwareApplication", "name": "emolib", "softwareVersion": __version__}
    emolib = crate.add(ContextEntity(crate, "#emolib", properties=software))
    corpora = {
        name: crate.add(ContextEntity(crate, f"#corpus-{name}", properties=_about(name)))
        for name in sorted({one for result in made for one in result.corpus.split("+")})
    }
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            crate.add_file(path, dest_path=path.relative_to(folder).as_posix())
    for result in made:
        place = f"results/{result.key}/{result.experiment}.json"
        file = crate.get(place)
        file["name"] = result.title
        action = ContextEntity(crate, f"#made-{result.name}", properties=_made(result))
        action["instrument"] = emolib
        action["object"] = [corpora[name] for name in result.corpus.split("+")]
        action["result"] = file
        crate.add(action)
    crate.metadata.write(folder)


def _about(corpus: str) -> dict[str, Any]:
    source = SOURCES[corpus]
    return {
        "@type": "Dataset",
        "name": source.title,
        "url": source.home or None,
        "conditionsOfAccess": source.terms,
    }


def _made(result: results.Result) -> dict[str, Any]:
    """Say of a result how it was made, in the words of schema.org."""
    made = result.provenance
    seeds, folds = ", ".join(map(str, result.seeds)), ", ".join(map(str, result.split.folds))
    return {
        "@type": "CreateAction",
        "name": result.command,
        "endTime": made.date,
        "description": (
            f"{result.provenance_line()}; seeds {seeds}; folds {folds} of {result.split.n_folds}; "
            f"split {result.split.name} ({result.split.sha256[:12]})"
        ),
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }


# --- writing --------------------------------------------------------------------------------


def _write_json(path: Path, value: Any) -> None:
    """Write plain data; what JSON does not know (NaN) becomes null."""
    from pydantic_core import to_json

    path.write_bytes(to_json(value, indent=2, inf_nan_mode="null", fallback=str) + b"\n")


def _write_yaml(path: Path, value: Any) -> None:
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    path.write_text(f"---\n{text}", encoding="utf-8")
