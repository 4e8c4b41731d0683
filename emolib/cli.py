"""The command line: every command is one call into the package.

Libraries are imported inside the commands, so that ``emolib --help`` answers at once. What a
machine may read is printed as JSON with ``--json`` and goes to the standard output; progress and
errors go to the standard error.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from emolib import __version__, paths, registry
from emolib.errors import EmolibError

_UsageError: Any = typer.BadParameter.__base__  # newer releases of typer bring their own click


class _Commands(TyperGroup):
    """Commands whose errors become one line and exit code 2; anything else is a bug."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except _UsageError as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                raise
            _refuse(error, error.format_message())
        except (EmolibError, OSError) as error:
            _refuse(error, str(error))
        except KeyboardInterrupt as stop:  # a training that was stopped says how to go on
            typer.secho(f"emolib: {str(stop) or 'stopped'}", fg="yellow", err=True)
            raise typer.Exit(130) from stop


def _refuse(error: Exception, message: str) -> NoReturn:
    """Print one line and end the command."""
    typer.secho(f"emolib: {' '.join(message.split())}", fg="red", err=True)
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


def _one_of(what: str, known: Callable[[], Iterable[str]]) -> Callable[[Any], Any]:
    """Return a check that refuses a name that is not known, naming those that are."""

    def check(name: str | None) -> str | None:
        if name is not None and name not in known():
            raise typer.BadParameter(f"unknown {what} {name!r}: known are {', '.join(known())}")
        return name

    return check


def _corpora() -> Iterable[str]:
    from emolib.corpora import SOURCES

    return SOURCES


_known_paper = _one_of("paper", lambda: registry.PAPERS)
_known_mode = _one_of("mode", lambda: ("quick", "full"))
_known_corpus = _one_of("corpus", _corpora)


def _integers(text: str | None) -> tuple[int, ...] | None:
    """Read ``0,1,2`` as numbers."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list like 0,1,2") from error


def _options(words: list[str] | None) -> dict[str, Any]:
    """Read ``fusion=mean`` and ``dropout=0.3`` as named values."""
    import yaml

    options = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not equals:
            raise typer.BadParameter(f"{word!r} is not like fusion=mean or kernels=[3, 3]")
    return options


_PAPERS = f"Paper: {', '.join(registry.PAPERS)}."
_RUNS = f"Paper or lab: {', '.join((*registry.PAPERS, *registry.LABS))}."
Key = Annotated[str, typer.Argument(help=_PAPERS, callback=_known_paper)]
AnyKey = Annotated[str | None, typer.Argument(help=_PAPERS, callback=_known_paper)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]
_CORPUS = "Corpus, such as ravdess, paired or synthetic."
Corpus = Annotated[str, typer.Option(help=_CORPUS, callback=_known_corpus)]
Name = Annotated[str, typer.Argument(help=_CORPUS, callback=_known_corpus)]
Root = Annotated[Path | None, typer.Option(file_okay=False, help="Folder of the corpus.")]
Modality = Annotated[str, typer.Option(help="audio, video or both (ishtiaq also text and all).")]
_MODE = "quick (few steps) or full (the paper's recipe)."
Mode = Annotated[str, typer.Option(help=_MODE, callback=_known_mode)]
Jobs = Annotated[int, typer.Option(min=1, help="How many to run side by side.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of everything random.")]
Confidence = Annotated[
    float | None, typer.Option(min=0, max=1, help="Name nothing that is less probable.")
]


def _print_json(value: Any) -> None:
    """Print plain data as JSON; NaN, which JSON does not know, becomes null."""
    from pydantic_core import to_json

    def plain(one: Any) -> Any:
        return one.item() if hasattr(one, "item") else str(one)  # a NumPy scalar, a path

    typer.echo(to_json(value, indent=2, inf_nan_mode="null", fallback=plain).decode())


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
    only: Annotated[list[str] | None, typer.Option(help="One notebook alone (repeatable).")] = None,
    jobs: Jobs = 2,
    data: Annotated[
        Path | None, typer.Option(help="Folder of real corpora on which chapters run too.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Build folder, by default _build.")
    ] = None,
    seed: Seed = 0,
    timeout: Annotated[float, typer.Option(help="Seconds a notebook may take (quick).")] = 1800,
    as_json: AsJson = False,
) -> None:
    """Execute every notebook from a clean copy, build the book and check its pages."""
    from emolib.book import build

    index = build.build(
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
    from emolib import corpora
    from emolib.corpora import download

    table = download.listing()
    if as_json:
        _print_json(table.to_dict(orient="records"))
        return
    typer.echo(f"recordings in {paths.recordings()}")
    here = table["where"] != ""
    shown = table[["corpus", "clips", "actors", "emotions", "problems"]].astype(object)
    shown.iloc[:, 1:] = shown.iloc[:, 1:].where(here, None)
    # A folder that is there and yet no corpus needs its own remedy; all others, how to get them.
    folders = table["corpus"].map(lambda name: corpora.SOURCES[name].folders)
    broken = folders.map(lambda names: any((paths.recordings() / one).is_dir() for one in names))
    _print_table(shown.assign(note=table["note"].where(broken & ~here, table["how"])))


@data_app.command("get")
def data_get(
    name: Name,
    root: Root = None,
    part: Annotated[
        list[str] | None, typer.Option(help="Part of the corpus, such as video (repeatable).")
    ] = None,
    actor: Annotated[list[str] | None, typer.Option(help="Only this actor (repeatable).")] = None,
    jobs: Jobs = 4,
) -> None:
    """Download a corpus, with checksums; an interrupted download resumes."""
    from emolib.corpora import download

    typer.echo(str(download.get(name, root, parts=part, actors=actor, jobs=jobs)))


@data_app.command("check")
def data_check(name: Name, root: Root = None, as_json: AsJson = False) -> None:
    """Compare the files of a corpus with its registry of checksums."""
    from emolib.corpora import download

    report = download.check(name, root, progress=not as_json)
    wrong = report[report["status"] != "ok"]
    if as_json:
        _print_json(report.to_dict(orient="records"))
    else:
        typer.echo(f"{len(report) - len(wrong)} of {len(report)} files are as published")
        if len(wrong):
            _print_table(wrong)
    raise typer.Exit(1 if len(wrong) else 0)


@data_app.command("synth")
def data_synth(
    actors: Annotated[int, typer.Option(min=1, help="How many talking faces.")] = 4,
    seed: Seed = 0,
    root: Root = None,
    full: Annotated[bool, typer.Option(help="All clips of the corpus' design, not a few.")] = False,
) -> None:
    """Make the synthetic corpus: real media files of faces and voices that do not exist."""
    from emolib import synthetic

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
    from emolib.papers import engine

    dataset = engine.paper(key).load(corpus, modality, mode)
    inputs = {name: list(value.shape[1:]) for name, value in dataset.samples.inputs.items()}
    clips, samples = len(dataset.manifest), len(dataset.samples)
    if as_json:
        counts = {"paper": key, "corpus": corpus, "clips": clips, "samples": samples}
        _print_json({**counts, "inputs": inputs, "features": dataset.features})
        return
    typer.echo(f"{key} on {corpus}: {clips} clips, {samples} samples")
    for name, shape in inputs.items():
        typer.echo(f"  {name}: {' × '.join(map(str, shape))}")


# ------------------------------------------------------------------------------- models


@app.command()
def cost(key: AnyKey = None, as_json: AsJson = False) -> None:
    """Count parameters, operations and bytes, each under its named convention."""
    import pandas as pd

    from emolib import devices

    counts = devices.costs(key)
    if as_json:
        _print_json(counts)
    else:
        _print_table(pd.DataFrame(counts).rename_axis("for one clip or segment").reset_index())


@app.command()
def train(
    key: Annotated[str, typer.Argument(help=_RUNS)],
    experiment: Annotated[
        str | None,
        typer.Option(help="One that the paper or lab declares; what else is given changes it."),
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(help="Corpus, such as ravdess, paired or synthetic (default).")
    ] = None,
    modality: Annotated[
        str | None, typer.Option(help="audio, video or both (default; ishtiaq also text and all).")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="segment, clip, actor (default), corpus or official.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, such as 0,1,2; 0 by default.")] = None,
    folds: Annotated[str | None, typer.Option(help="Folds, such as 0,1; all by default.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="Option of the model, such as fusion=mean (repeatable)."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="Option of the inputs, such as augmentation=none (repeatable)."),
    ] = None,
    split_option: Annotated[
        list[str] | None, typer.Option(help="Option of the split, such as valid=0.1 (repeatable).")
    ] = None,
    allow_leak: Annotated[
        str | None, typer.Option(help="Repeat a leaking split's kind; the title will say it.")
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="quick (few epochs) or full (default with --experiment).")
    ] = None,
    jobs: Jobs = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    save: Annotated[
        bool | None, typer.Option(help="Write the result (by default only in full mode).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit and evaluate a model for each seed and fold of an experiment, and write the result."""
    from emolib import results
    from emolib.papers import engine

    fields = {
        "corpus": corpus,
        "modality": modality,
        "split": split,
        "seeds": _integers(seeds),
        "folds": _integers(folds),
        "options": _options(option),
        "data": _options(data),
        "split_options": _options(split_option),
        "allow_leak": allow_leak,
    }
    given = {name: value for name, value in fields.items() if value}
    asked = engine.declared(key, experiment, **given)
    mode = mode or ("full" if experiment else "quick")
    result = engine.run(
        key, asked, mode=mode, n_jobs=jobs, device=device, progress=not as_json, name=experiment
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
def study(
    names: Annotated[
        list[str] | None, typer.Argument(help="Tables, such as yang/orders; all by default.")
    ] = None,
) -> None:
    """Make the tables beside the results, from what the runs have left."""
    from emolib.labs import studies

    for name in names or studies.TABLES:
        typer.echo(studies.save(name))


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
def claims(
    key: AnyKey = None,
    recount: Annotated[
        bool, typer.Option("--recount", help="Count the networks again, and keep the counts.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the papers claim, what was measured here, and whether it holds."""
    from emolib import claims

    if recount:
        typer.echo(claims.recount(), err=True)
    table = claims.table(key)
    if as_json:
        _print_json(table.to_dict(orient="records"))
    else:
        _print_table(table[["id", "source", "quantity", "published", "measured", "verdict"]])


@app.command()
def explain(
    key: Key,
    corpus: Corpus = "synthetic",
    modality: Modality = "both",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of the training before.")] = 3,
    samples: Annotated[int, typer.Option(min=1, help="Test samples to explain.")] = 64,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train briefly, then say which region of face or voice the answers rest on.

    Integrated gradients on test samples of actors that the training has not seen. A density
    above 1 means that a region counts for more than its size.
    """
    from emolib import explain

    shares = explain.regions(
        key, corpus, modality, epochs=epochs, samples=samples, seed=seed, progress=not as_json
    )
    gap = shares.relative_gap
    if as_json:
        _print_json({"relative_gap": gap, "regions": shares.table.to_dict("records")})
        return
    typer.echo(f"{key} on {corpus}, {shares.samples} samples after {epochs} epochs")
    _print_table(shares.table)
    typer.echo(f"completeness: attributions miss the difference by {gap:.1%} at most")


@app.command()
def export(
    key: Key,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File to write; by default KEY.onnx.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Trained weights (.safetensors); random ones otherwise.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Number of emotions; those of the weights' card, or 8.")
    ] = None,
    int8: Annotated[bool, typer.Option(help="Also write a copy with eight-bit weights.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a network as ONNX; compare size, answers and latency with PyTorch."""
    from emolib import export

    table = export.write(key, out, weights=weights, classes=classes, int8=int8)
    if as_json:
        _print_json(table.to_dict("records"))
        return
    if not weights:
        typer.echo("The weights are random: this measures size and speed, not accuracy.")
    _print_table(table)


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(help="Picture, sound or video.")],
    confidence: Confidence = None,
    weights: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder of other weights and their cards.")
    ] = None,
    paper: Annotated[
        str,
        typer.Option(
            help="Whose networks: mostafa, or lu (videos only, with stage times).",
            callback=_one_of("judge", lambda: ("mostafa", "lu")),
        ),
    ] = "mostafa",
    as_json: AsJson = False,
) -> None:
    """Say the emotions of the faces and of the voice in one file."""
    from tqdm import tqdm

    from emolib.app import companion, predict

    given: dict[str, Any] = {"confidence": confidence, "folder": weights}
    options = {name: value for name, value in given.items() if value is not None}
    judge: Any = companion.decide if paper == "lu" else predict.predict
    with tqdm(total=100, unit="%", leave=False, disable=as_json or None) as bar:
        answer = judge(file, progress=lambda share: bar.update(int(100 * share) - bar.n), **options)
    if as_json:
        _print_json(answer.to_dict())
    else:
        typer.echo("\n".join(answer.lines()))


@app.command()
def live(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Port; by default a free one.")] = None,
) -> None:
    """Open the live app: webcam and microphone, or files, judged in the browser."""
    from emolib.app import live

    live.launch(host, port)


@app.command()
def bench(
    only: Annotated[
        str | None, typer.Option(help="Benchmarks to run, such as features,training.")
    ] = None,
) -> None:
    """Run the benchmarks and print the ratios they measure."""
    files = sorted(paths.BENCHMARKS.glob("test_*.py"))
    known = {file.stem.removeprefix("test_"): file for file in files}
    asked = only.split(",") if only else list(known)
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise typer.BadParameter(
            f"no benchmark {', '.join(unknown)}: there are {', '.join(known)}",
            param_hint="--only",
        )
    if importlib.util.find_spec("pytest") is None:
        raise typer.BadParameter("benchmarks need pytest: pip install 'emolib[test]'")
    # Once installed, the settings of a project that happens to lie around are not ours.
    settings = os.devnull if paths.INSTALLED else str(paths.PROJECT / "pyproject.toml")
    command = [sys.executable, "-m", "pytest", "-c", settings, "-s", "-m", "benchmark"]
    command += ["-p", "no:xdist", "-p", "no:cacheprovider"]
    command += [str(known[name]) for name in asked]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    app()
