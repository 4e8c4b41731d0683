"""The command line: every command is one call into the package.

Libraries are imported inside the commands, so that ``emolib --help`` answers at once. What a
machine may read is printed as JSON with ``--json`` and goes to the standard output; progress and
errors go to the standard error.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from emolib import __version__, paths

EXPECTED = {
    "emolib.audit": "AuditError",
    "emolib.book.execution": "BookError",
    "emolib.claims": "ClaimError",
    "emolib.corpora.download": "DownloadError",
    "emolib.corpora.manifest": "CorpusError",
    "emolib.corpora.splits": "LeakError",
    "emolib.experiments": "ExperimentError",
    "emolib.export": "ExportError",
    "emolib.features.store": "FeatureProblem",
    "emolib.results": "ResultError",
}
"""Errors whose message already names cause and remedy; any other one is a bug and shows where."""


def _expected(error: BaseException) -> bool:
    """Return whether the message of an error is meant for the person who typed the command.

    Only modules that are loaded by now can have raised their error, so none is imported for this.
    """
    if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
        return True
    kinds = tuple(
        getattr(sys.modules[module], name)
        for module, name in EXPECTED.items()
        if module in sys.modules and hasattr(sys.modules[module], name)
    )
    return isinstance(error, kinds)


class _Commands(TyperGroup):
    """Commands whose expected errors become one line and exit code 2."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except Exception as error:
            if not _expected(error):
                raise
            typer.secho(f"emolib: {error}", fg="red", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Five papers on lightweight multimodal emotion recognition, rebuilt and put to the test.",
)
data_app = typer.Typer(no_args_is_help=True, help="What recordings are here; get, check, make.")
app.add_typer(data_app, name="data")


# ------------------------------------------------------------------------------- shared options


def _known_paper(key: str | None) -> str | None:
    """Refuse a paper that is none of the five, naming them."""
    from emolib.models import KEYS

    if key is not None and key not in KEYS:
        raise typer.BadParameter(f"unknown paper {key!r}: known are {', '.join(KEYS)}")
    return key


def _integers(text: str | None) -> tuple[int, ...] | None:
    """Read ``0,1,2`` as numbers."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list like 0,1,2") from error


Key = Annotated[
    str, typer.Argument(help="ding, lu, yang, mostafa or ishtiaq.", callback=_known_paper)
]
AnyKey = Annotated[
    str | None,
    typer.Argument(help="ding, lu, yang, mostafa or ishtiaq.", callback=_known_paper),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]
Corpus = Annotated[str, typer.Option(help="Corpus, such as ravdess, paired or synthetic.")]
Modality = Annotated[str, typer.Option(help="audio, video or both (ishtiaq also text and all).")]
Mode = Annotated[str, typer.Option(help="quick (few steps) or full (the paper's recipe).")]
Jobs = Annotated[int, typer.Option(min=1, help="How many to run side by side.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]


def _print_json(value: Any) -> None:
    """Print plain data as JSON; NaN, which JSON does not know, becomes null."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and value != value:
        return None
    return value if isinstance(value, int | float | str | bool | None) else str(value)


def _print_table(frame: Any) -> None:
    """Print a table of pandas; cells wrap at the width of the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in frame.columns:
        number = frame[name].dtype.kind in "iuf"
        table.add_column(str(name), justify="right" if number else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(_shown(cell) for cell in row))
    # Where no one looks at a terminal, lines keep their length, for grep and its like.
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)
    with console.capture() as capture:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in capture.get().strip("\n").splitlines()))


def _shown(cell: Any) -> str:
    import pandas as pd

    if pd.api.types.is_scalar(cell) and pd.isna(cell):
        return ""
    if isinstance(cell, float):
        return f"{cell:,.4g}" if abs(cell) < 1e4 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Five papers on lightweight multimodal emotion recognition, rebuilt and put to the test."""


# ------------------------------------------------------------------------------- the book


@app.command()
def book(
    mode: Mode = "quick",
    only: Annotated[
        list[str] | None, typer.Option(help="Notebook to build alone (may be repeated).")
    ] = None,
    jobs: Jobs = 2,
    data: Annotated[
        Path | None, typer.Option(help="Folder of real corpora on which chapters run too.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Build folder, by default _build.")] = None,
    seed: Seed = 0,
    timeout: Annotated[float, typer.Option(help="Seconds a notebook may take (quick).")] = 1800,
    as_json: AsJson = False,
) -> None:
    """Execute every notebook from a clean copy, build the book and check its pages."""
    from emolib import book

    index = book.build(
        mode, only or None, jobs, data, out, seed=seed, timeout=timeout, progress=not as_json
    )
    if as_json:
        _print_json({"index": str(index)})
    else:
        typer.echo(str(index))


# ------------------------------------------------------------------------------- recordings


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the corpora: which are here, how many clips they have, and how to get the others."""
    import pandas as pd

    from emolib import corpora

    rows = []
    for name, source in corpora.SOURCES.items():
        row = {"corpus": name, "here": "no", "clips": None, "actors": None, "problems": None}
        row["note"] = source.how()
        if name != "synthetic" or paths.SYNTHETIC.is_dir():
            try:
                manifest = corpora.load(name)
                row |= {"here": "yes", "clips": len(manifest), "note": source.terms}
                row["actors"] = manifest.loc[manifest["actor"] != "", "actor"].nunique()
                row["problems"] = len(manifest.attrs.get("problems", ()))
            except (corpora.CorpusError, FileNotFoundError) as error:
                if any((paths.recordings() / folder).is_dir() for folder in source.folders):
                    row |= {"here": "broken", "note": str(error)}
        rows.append(row)
    if as_json:
        _print_json(rows)
        return
    typer.echo(f"recordings in {paths.recordings()}")
    _print_table(
        pd.DataFrame(rows).astype({"clips": "Int64", "actors": "Int64", "problems": "Int64"})
    )


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="Corpus to fetch.")],
    root: Annotated[Path | None, typer.Option(help="Folder to put it in.")] = None,
) -> None:
    """Download a corpus, with checksums; an interrupted download resumes."""
    from emolib.corpora import download

    typer.echo(str(download.get(name, root)))


@data_app.command("check")
def data_check(
    name: Annotated[str, typer.Argument(help="Corpus to verify.")],
    root: Annotated[Path | None, typer.Option(help="Folder it lies in.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the files of a corpus with its registry of checksums."""
    from emolib.corpora import download

    report = download.check(name, root)
    if as_json:
        _print_json(report.to_dict(orient="records"))
    else:
        _print_table(report)


@data_app.command("synth")
def data_synth(
    actors: Annotated[int, typer.Option(min=1, help="How many talking faces.")] = 4,
    seed: Seed = 0,
    root: Annotated[Path | None, typer.Option(help="Folder to write to.")] = None,
    full: Annotated[bool, typer.Option(help="All clips of the corpus' design, not a few.")] = False,
) -> None:
    """Make the synthetic corpus: real media files of faces and voices that do not exist."""
    from emolib.corpora import synthetic

    typer.echo(str(synthetic.ensure(actors, seed, root, full=full)))


@app.command()
def features(
    key: Key,
    corpus: Corpus = "synthetic",
    modality: Modality = "both",
    mode: Mode = "quick",
    as_json: AsJson = False,
) -> None:
    """Extract and cache what a paper's model reads, in parallel."""
    from emolib import experiments

    dataset = experiments.paper(key).load(corpus, modality, mode)
    found = {
        "paper": key,
        "corpus": corpus,
        "clips": len(dataset.manifest),
        "samples": len(dataset.samples),
        "inputs": {name: list(value.shape[1:]) for name, value in dataset.samples.inputs.items()},
        "features": dataset.features,
    }
    if as_json:
        _print_json(found)
        return
    typer.echo(f"{key} on {corpus}: {found['clips']} clips, {found['samples']} samples")
    for name, shape in found["inputs"].items():
        typer.echo(f"  {name}: {' × '.join(map(str, shape))}")


# ------------------------------------------------------------------------------- models


@app.command()
def cost(key: AnyKey = None, as_json: AsJson = False) -> None:
    """Count parameters, operations and bytes, each under its named convention."""
    import pandas as pd

    from emolib import devices, models

    counted = {}
    for one in [key] if key else models.KEYS:
        model = models.build(one).eval()
        counted[one] = devices.cost(model, models.example_inputs(one, batch=1)).to_dict()
    if as_json:
        _print_json(counted)
    else:
        _print_table(pd.DataFrame(counted).rename_axis("for one clip or segment").reset_index())


@app.command()
def train(
    key: Key,
    corpus: Corpus = "synthetic",
    split: Annotated[str, typer.Option(help="segment, clip, actor, corpus or official.")] = "actor",
    modality: Modality = "both",
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0,1,2.")] = "0",
    folds: Annotated[str | None, typer.Option(help="Folds, such as 0,1; all by default.")] = None,
    mode: Mode = "quick",
    allow_leak: Annotated[
        str | None, typer.Option(help="Repeat a leaking split's kind; the title will say it.")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(help="Run one of the paper's named full experiments instead.")
    ] = None,
    jobs: Jobs = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    save: Annotated[
        bool | None, typer.Option(help="Write the result (by default only in full mode).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit and evaluate a paper's model for each seed and fold, and write the result."""
    from emolib import experiments, results

    if experiment:
        (file,) = experiments.run_full(
            key, [experiment], n_jobs=jobs, device=device, progress=not as_json
        )
        result = results.read(file)
    else:
        result = experiments.run(
            key,
            corpus=corpus,
            split=split,
            modality=modality,
            seeds=_integers(seeds),
            folds=_integers(folds),
            mode=mode,
            allow_leak=allow_leak,
            n_jobs=jobs,
            device=device,
            progress=not as_json,
        )
        file = results.save(result) if (mode == "full" if save is None else save) else None
    if as_json:
        summary = {name: one.model_dump() for name, one in result.summary.items()}
        _print_json(
            {"title": result.title, "file": str(file) if file else None, "summary": summary}
        )
        return
    typer.echo(result.title)
    _print_table(result.table())
    typer.echo(result.provenance_line())
    if file:
        typer.echo(str(file))


# ------------------------------------------------------------------------------- papers


@app.command()
def audit(
    what: Annotated[str, typer.Argument(help="A paper's key, or a CSV file of a printed table.")],
    as_json: AsJson = False,
) -> None:
    """Say what a published table gives away about its own experiment."""
    from emolib import audit

    is_file = what.endswith(".csv") or os.sep in what
    report = audit.table(Path(what)) if is_file else audit.paper(_known_paper(what))
    if as_json:
        _print_json(report.to_dict())
        return
    typer.echo(report.title)
    _print_table(report.to_frame())


@app.command()
def claims(key: AnyKey = None, as_json: AsJson = False) -> None:
    """Show what the papers claim, what was measured here, and whether it holds."""
    from emolib import claims

    table = claims.table(key)
    if as_json:
        _print_json(table.to_dict(orient="records"))
    else:
        _print_table(table[["id", "source", "quantity", "published", "measured", "verdict"]])


@app.command()
def bench(
    only: Annotated[
        str | None, typer.Option(help="Benchmarks to run, such as features,training.")
    ] = None,
) -> None:
    """Run the benchmarks and print the ratios they measure."""
    folder = paths.PROJECT / "tests" / "benchmarks"
    known = {file.stem.removeprefix("test_"): file for file in sorted(folder.glob("test_*.py"))}
    asked = only.split(",") if only else list(known)
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise typer.BadParameter(
            f"no benchmark {', '.join(unknown)}: there are {', '.join(known)}",
            param_hint="--only",
        )
    command = [sys.executable, "-m", "pytest", "-s", "-m", "benchmark", "-p", "no:xdist"]
    command += [str(known[name]) for name in asked]
    raise typer.Exit(subprocess.run(command, cwd=paths.PROJECT, check=False).returncode)


if __name__ == "__main__":
    app()
