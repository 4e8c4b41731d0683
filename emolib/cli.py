"""The command line: every command is one call into the package.

Libraries are imported inside the commands, so that ``emolib --help`` answers at once. What a
machine may read is printed as JSON with ``--json`` and goes to the standard output; progress and
errors go to the standard error.
"""

import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer import Argument, BadParameter, Option
from typer.core import TyperGroup

from emolib import __version__, paths, registry
from emolib.errors import EmolibError

_UsageError: Any = BadParameter.__base__  # newer releases of typer bring their own click


class _Commands(TyperGroup):
    """Commands whose errors become one line and exit code 2; anything else is a bug."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except _UsageError as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                raise
            _refuse(error, error.format_message())
        except BrokenPipeError:  # the reader has seen enough, as with `| head`
            raise
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
            raise BadParameter(f"unknown {what} {name!r}: known are {', '.join(known())}")
        return name

    return check


def _corpora() -> Iterable[str]:
    from emolib.corpora import SOURCES

    return SOURCES


_known_paper = _one_of("paper", lambda: registry.PAPERS)
_known_network = _one_of("paper", lambda: registry.NETWORKS)
_known_mode = _one_of("mode", lambda: ("quick", "full"))
_known_judge = _one_of("judge", lambda: ("mostafa", "lu"))
_known_corpus = _one_of("corpus", _corpora)


def _known_layouts(names: list[str] | None) -> list[str] | None:
    """Refuse a layout that cannot be written."""
    from emolib.synthetic import CORPORA

    check = _one_of("layout", lambda: (*CORPORA, "all"))
    return [check(name) for name in names] if names else None


def _is_path(corpus: str) -> bool:
    """Tell whether what stands for a corpus is a reader's own table or folder."""
    if corpus in _corpora():
        return False
    return corpus.endswith((".csv", ".tsv")) or os.sep in corpus or Path(corpus).is_dir()


def _known_or_own(corpus: str) -> str:
    """Refuse what is neither a corpus nor a path."""
    return corpus if _is_path(corpus) else _known_corpus(corpus)


def _place(corpus: str) -> tuple[str, str | None]:
    """Return the key of a corpus, and where it lies if a path stood for it."""
    return (
        ("table", str(Path(corpus).expanduser().resolve())) if _is_path(corpus) else (corpus, None)
    )


def _integers(text: str | None) -> tuple[int, ...] | None:
    """Read ``0,1,2`` as numbers."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise BadParameter(f"{text!r} is not a list like 0,1,2") from error


def _folds_of_peers(split: str | None, folds: str | None) -> tuple[str | None, str | None]:
    """Read ``--folds emobox`` as what it means: ``--split emobox``, all folds."""
    from emolib.corpora import splits

    if folds not in splits.PEERS:
        return split, folds
    if split not in (None, folds):
        raise BadParameter(f"--folds {folds} deals the actors by itself: leave out --split {split}")
    return folds, None


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
            raise BadParameter(f"{word!r} is not like fusion=mean or kernels=[3, 3]")
    return options


Word = str | None
Words = list[str] | None
Place = Path | None
_PAPERS = f"Paper: {', '.join(registry.PAPERS)}."
_NETWORKS = f"Paper: {', '.join(registry.PAPERS)}; or own, the book's networks."
_RUNS = f"Paper or lab: {', '.join((*registry.NETWORKS, *registry.LABS))}."
Key = Annotated[str, Argument(help=_NETWORKS, callback=_known_network)]
AnyKey = Annotated[str | None, Argument(help=_PAPERS, callback=_known_paper)]
AnyNetwork = Annotated[str | None, Argument(help=_NETWORKS, callback=_known_network)]
AsJson = Annotated[bool, Option("--json", help="Print JSON for a machine to read.")]
_CORPUS = "Corpus, such as ravdess, paired or synthetic"
_OWN = f"{_CORPUS}; or your own recordings: a CSV or a folder"
Corpus = Annotated[str, Option(help=_OWN, callback=_known_or_own)]
Name = Annotated[str, Argument(help=_CORPUS, callback=_known_corpus)]
OwnName = Annotated[str, Argument(help=_OWN, callback=_known_or_own)]
Root = Annotated[Place, Option(file_okay=False, help="Folder of the corpus.")]
_LAYOUT = "Of a real corpus: ravdess, cremad, savee, mead, fer2013, ckplus, all (repeatable)."
_MODALITY = "audio, video or both (ishtiaq also text and all)."
Modality = Annotated[str, Option(help=_MODALITY)]
_SPLIT = "A kind of split: actor (default), clip, speaker, …, or a peer's folds, such as luna."
_MODE = "quick (few steps) or full (the paper's recipe)."
Mode = Annotated[str, Option(help=_MODE, callback=_known_mode)]
Jobs = Annotated[int, Option(min=1, help="How many to run side by side.")]
Seed = Annotated[int, Option(min=0, max=2**32 - 1, help="Seed of everything random.")]
_PUBLISH = "Folder for the weights of the first run, with their card."
_CONFIDENCE = "Name nothing that is less probable."
Confidence = Annotated[float | None, Option(min=0, max=1, help=_CONFIDENCE)]
_JUDGE = "Whose networks: mostafa, or lu (videos only, with stage times)."
Judge = Annotated[str, Option(help=_JUDGE, callback=_known_judge)]


def _print(as_json: bool, data: Any, *parts: Any) -> None:
    """Print data as JSON, or for a person its parts: lines, and tables of pandas."""
    if as_json:
        _print_json(data)
        return
    for part in parts:
        if hasattr(part, "columns"):
            _print_table(part)
        elif part is not None:
            typer.echo(part)


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
        bool, Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Five papers on lightweight multimodal emotion recognition, rebuilt and put to the test."""


# ------------------------------------------------------------------------------- the book


@app.command()
def book(
    mode: Mode = "quick",
    only: Annotated[Words, Option(help="One notebook alone (repeatable).")] = None,
    jobs: Jobs = 2,
    data: Annotated[Place, Option(help="Folder of real corpora on which chapters run too.")] = None,
    out: Annotated[Place, Option(file_okay=False, help="Build folder, by default _build.")] = None,
    seed: Seed = 0,
    timeout: Annotated[float, Option(help="Seconds a notebook may take (quick).")] = 1800,
    as_json: AsJson = False,
) -> None:
    """Execute every notebook from a clean copy, build the book and check its pages."""
    from emolib.book import build

    index = build.build(
        mode, only or None, jobs, data, out, seed=seed, timeout=timeout, progress=not as_json
    )
    _print(as_json, {"index": index}, index)


# ------------------------------------------------------------------------------- recordings


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the corpora: which are here, what can be trained on them, how to get the others."""
    from dataclasses import asdict

    import pandas as pd

    from emolib import corpora
    from emolib.corpora import download
    from emolib.corpora import matrix as reach

    table = download.listing()
    here = table["where"] != ""
    shown = table[["corpus", "clips", "actors", "emotions", "problems"]].astype(object)
    shown.iloc[:, 1:] = shown.iloc[:, 1:].where(here, None)
    # A folder that is there and yet no corpus needs its own remedy; all others, how to get them.
    folders = table["corpus"].map(lambda name: corpora.SOURCES[name].folders)
    broken = folders.map(lambda names: any((paths.recordings() / one).is_dir() for one in names))
    shown = shown.assign(note=table["note"].where(broken & ~here, table["how"]))
    cells = reach.matrix(dict(zip(table["corpus"], table["kinds"], strict=True)))
    data = {"corpora": table.to_dict("records"), "matrix": list(map(asdict, cells))}
    title = "what each paper can be trained on now, alone and together"
    rows = pd.DataFrame(reach.rows(cells))
    _print(as_json, data, f"recordings in {paths.recordings()}", shown, title, rows)


@data_app.command("get")
def data_get(
    name: Name,
    root: Root = None,
    part: Annotated[Words, Option(help="Part of it, such as video (repeatable).")] = None,
    actor: Annotated[Words, Option(help="Only this actor (repeatable).")] = None,
    jobs: Jobs = 4,
    features_only: Annotated[
        Words, Option(help="Keep what this paper takes of the films, or all (repeatable).")
    ] = None,
) -> None:
    """Download a corpus, with checksums; an interrupted download resumes.

    With --features-only films are fetched one archive at a time and thrown away once the
    features of the paper are stored.
    """
    from emolib.corpora import download

    if features_only:
        from emolib.papers import films

        keys = registry.PAPERS if "all" in features_only else map(_known_paper, features_only)
        typer.echo(films.keep_features(name, keys, root, parts=part, actors=actor))
        return
    typer.echo(download.get(name, root, parts=part, actors=actor, jobs=jobs))


@data_app.command("check")
def data_check(name: OwnName, root: Root = None, as_json: AsJson = False) -> None:
    """Compare the files of a corpus with its registry; or say what is wrong with a table."""
    if _is_path(name):
        _check_table(*_place(name), as_json)
    from emolib.corpora import download

    report = download.check(name, root, progress=not as_json)
    wrong = report[report["status"] != "ok"]
    line = f"{len(report) - len(wrong)} of {len(report)} files are as published"
    _print(as_json, report.to_dict("records"), line, wrong if len(wrong) else None)
    raise typer.Exit(1 if len(wrong) else 0)


def _check_table(name: str, root: str | None, as_json: bool) -> NoReturn:
    """Print what a reader's own recordings are, and each that cannot be used."""
    import pandas as pd

    from emolib import corpora

    clips = corpora.load(name, root)
    problems = pd.DataFrame(clips.attrs["problems"])
    kinds = clips.groupby(["emotion", "modality"]).agg(
        files=("path", "size"), speakers=("actor", lambda who: len({*who} - {""}))
    )
    line = f"{len(clips)} recordings can be used, {len(problems)} lines or files cannot"
    shown = [line, kinds.reset_index(), *([problems] if len(problems) else [])]
    values = {"clips": clips.to_dict("records"), "problems": clips.attrs["problems"]}
    _print(as_json, values, *shown)
    raise typer.Exit(1 if len(problems) else 0)


@data_app.command("synth")
def data_synth(
    actors: Annotated[int, Option(min=1, help="How many talking faces.")] = 4,
    seed: Seed = 0,
    root: Root = None,
    full: Annotated[bool, Option(help="All clips of the corpus' design, not a few.")] = False,
    layout: Annotated[Words, Option(help=_LAYOUT, callback=_known_layouts)] = None,
    brief: Annotated[bool, Option(help="Small pictures, one second a clip.")] = False,
    jobs: Jobs = 2,
) -> None:
    """Make the synthetic corpus: real media files of faces and voices that do not exist."""
    from emolib import synthetic

    every = "all" in (layout or ())
    corpora = synthetic.CORPORA if every else (layout or ["ravdess"])
    whole = bool(layout)  # a layout has every kind of files that the real corpus has
    made = synthetic.ensure(
        actors,
        seed,
        root,
        full=full,
        brief=brief,
        silent=whole,
        song=whole,
        n_jobs=jobs,
        corpora=corpora,
    )
    typer.echo(made)


@app.command()
def features(
    key: Key,
    corpus: Corpus = "synthetic",
    modality: Modality = "both",
    mode: Mode = "quick",
    data: Annotated[Words, Option(help="Of the inputs: view=left_30 (repeatable).")] = None,
    as_json: AsJson = False,
) -> None:
    """Extract and cache what a paper's model reads, in parallel."""
    from emolib.papers import engine

    name, root = _place(corpus)
    asked = _options(data) | ({"root": root} if root else {})
    dataset = engine.paper(key).load(name, modality, mode, **asked)
    inputs = {name: list(value.shape[1:]) for name, value in dataset.samples.inputs.items()}
    clips, samples = len(dataset.manifest), len(dataset.samples)
    counts = {"paper": key, "corpus": corpus, "clips": clips, "samples": samples}
    title = f"{key} on {corpus}: {clips} clips, {samples} samples"
    shapes = [f"  {name}: {' × '.join(map(str, shape))}" for name, shape in inputs.items()]
    values = {**counts, "inputs": inputs, "features": dataset.features}
    values["problems"] = dataset.problems.to_dict("records")
    _print(as_json, values, title, *shapes)


# ------------------------------------------------------------------------------- models


@app.command()
def cost(key: AnyNetwork = None, as_json: AsJson = False) -> None:
    """Count parameters, operations and bytes, each under its named convention."""
    import pandas as pd

    from emolib import devices

    counts = devices.costs(key)
    table = pd.DataFrame(counts).rename_axis("for one clip or segment").reset_index()
    _print(as_json, counts, table)


@app.command()
def train(
    key: Annotated[str, Argument(help=_RUNS)],
    experiment: Annotated[Word, Option(help="One declared; what else is given changes it.")] = None,
    corpus: Annotated[Word, Option(help=f"{_CORPUS} (default); or your CSV or folder.")] = None,
    modality: Annotated[Word, Option(help=_MODALITY)] = None,
    split: Annotated[Word, Option(help=_SPLIT)] = None,
    seeds: Annotated[Word, Option(help="Seeds, such as 0,1,2; 0 by default.")] = None,
    folds: Annotated[Word, Option(help="Folds, such as 0,1; all by default. Or a peer's.")] = None,
    option: Annotated[Words, Option(help="Of the model: fusion=mean (repeatable).")] = None,
    data: Annotated[Words, Option(help="Of the inputs: augmentation=none (repeatable).")] = None,
    split_option: Annotated[Words, Option(help="Of the split: valid=0.1 (repeatable).")] = None,
    allow_leak: Annotated[Word, Option(help="A leaking split's kind: the title says it.")] = None,
    mode: Annotated[Word, Option(help=f"{_MODE} Full by default with --experiment.")] = None,
    jobs: Jobs = 1,
    device: Annotated[str, Option(help="auto, cpu or cuda.")] = "auto",
    save: Annotated[bool | None, Option(help="Write the result; by default if full.")] = None,
    weights: Annotated[Place, Option(file_okay=False, help=_PUBLISH)] = None,
    as_json: AsJson = False,
) -> None:
    """Fit and evaluate a model for each seed and fold of an experiment, and write the result."""
    from emolib import results
    from emolib.papers import engine

    split, folds = _folds_of_peers(split, folds)
    if weights and key not in registry.NETWORKS:
        raise BadParameter("--weights: networks of papers are published, not those of labs")
    corpus, root = _place(corpus) if corpus else (None, None)
    if root:
        _tell_left_out(root)
    fields = {
        "corpus": corpus,
        "modality": modality,
        "split": split,
        "seeds": _integers(seeds),
        "folds": _integers(folds),
        "options": _options(option),
        "data": _options(data) | ({"root": root} if root else {}),
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
    published = None
    if weights:
        from emolib.app import own

        published = own.publish(key, asked, result, weights)
    summary = {name: one.model_dump() for name, one in result.summary.items()}
    values = {"title": result.title, "file": file, "weights": published, "summary": summary}
    shown = (result.table(), _summary(result), result.provenance_line(), file, published)
    _print(as_json, values, result.title, *shown)


def _tell_left_out(root: str) -> None:
    """Say how many of a reader's own recordings cannot be used, and who names them."""
    from emolib import corpora

    if count := len(corpora.load("table", root).attrs["problems"]):
        remedy = f"`emolib data check {shlex.quote(root)}` names each"
        typer.secho(f"{count} lines or files are left out: {remedy}", fg="yellow", err=True)


def _summary(result: Any) -> str:
    """Return what a result says of all its runs together, in one line."""
    return ", ".join(
        f"{name} {one.mean:.1%} ({one.interval[0]:.1%} to {one.interval[1]:.1%})"
        for name, one in result.summary.items()
        if name in ("accuracy", "uar")
    )


# ------------------------------------------------------------------------------- papers


@app.command()
def study(
    names: Annotated[Words, Argument(help="Tables, such as yang/orders; all by default.")] = None,
) -> None:
    """Make the tables beside the results, from what the runs have left."""
    from emolib.labs import studies

    for name in names or studies.TABLES:
        typer.echo(studies.save(name))


@app.command()
def audit(
    what: Annotated[str, Argument(help="A paper's key, or a CSV file of a printed table.")],
    as_json: AsJson = False,
) -> None:
    """Say what a published table gives away about its own experiment."""
    from emolib import audit

    is_file = what.endswith(".csv") or os.sep in what
    report = audit.table(Path(what)) if is_file else audit.paper(_known_paper(what))
    _print(as_json, report.to_dict(), report.title, report.to_frame())


@app.command()
def claims(
    key: AnyKey = None,
    recount: Annotated[bool, Option("--recount", help="Count the networks again.")] = False,
    record: Annotated[bool, Option("--record", help="Date the verdicts that changed.")] = False,
    seal: Annotated[
        Path | None, Option(help="Only find all values in the papers' texts there, and seal them.")
    ] = None,
    export: Annotated[
        Place, Option(help="New folder for ledger and results, as others read them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the papers claim, what was measured here, for whom, and what became of it."""
    from emolib import claims
    from emolib.claims import history

    if seal:
        typer.echo(claims.seal(seal))
        return

    if recount:
        typer.echo(claims.recount(), err=True)
    if export:
        from emolib.claims import archive

        typer.echo(archive.export(export))
        return
    table = claims.table(key)
    if record:
        typer.echo(f"{history.record(claims.table())} verdicts changed", err=True)
    shown = ["id", "source", "quantity", "published", "measured", "new_people", "verdict"]
    _print(as_json, table.to_dict("records"), table[shown])


@app.command()
def settle(
    claims: Annotated[Words, Argument(help="Claims; all that await data by default.")] = None,
    budget: Annotated[Word, Option(help="Time there is, such as 8h or 90m.")] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would be done.")] = False,
    jobs: Jobs = 1,
    mode: Mode = "full",
    as_json: AsJson = False,
) -> None:
    """Make the results that claims await, most claims per hour first; resumes after a kill.

    Ends with the verdicts that changed.
    """
    from emolib.labs import settle as lab

    hours = lab.hours(budget)
    plan = lab.plan(claims or ())
    chosen = lab.within(plan, hours)
    rows = [job.to_dict() for job in plan]
    if dry_run or not chosen:
        _print(as_json, rows, *lab.shown(plan, chosen))
        return
    if not as_json:
        _print(False, None, *lab.shown(plan, chosen))
    changed = lab.run(
        plan,
        budget=hours,
        mode=mode,
        n_jobs=jobs,
        progress=not as_json,
        tell=lambda line: typer.echo(line, err=True),
    )
    line = f"{len(changed)} verdicts changed"
    _print(as_json, changed.to_dict("records"), line, changed if len(changed) else None)


@app.command()
def explain(
    key: Key,
    corpus: Annotated[Word, Option(help="Train briefly on this corpus instead.")] = None,
    modality: Annotated[Word, Option(help=_MODALITY)] = None,
    epochs: Annotated[int, Option(min=1, help="Epochs of that training.")] = 3,
    samples: Annotated[int, Option(min=1, help="About how many test clips to explain.")] = 64,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Say which region of face or voice the answers of a published network rest on.

    Integrated gradients on recordings that the network was tested on; with --corpus, of a network
    trained for this. A density above 1 means that a region counts for more than its size.
    """
    from emolib import explain

    name, root = _place(_known_or_own(corpus)) if corpus else (None, None)
    shares = explain.regions(
        key, name, modality,
        epochs=epochs, samples=samples, seed=seed, progress=not as_json, root=root,
    )  # fmt: skip
    gap, told = shares.relative_gap, shares.learned
    line = f"completeness: attributions miss the difference by {gap:.2%} at most"
    line += f" ({shares.steps} steps)"
    values = {
        "network": shares.network,
        "learned": bool(told),
        "accuracy": told.accuracy,
        "chance": told.chance,
        "relative_gap": gap,
        "steps": shares.steps,
        "samples": shares.samples,
        "regions": shares.table.to_dict("records"),
    }
    title = f"{shares.network}: {shares.samples} samples"
    _print(as_json, values, title, str(told), shares.table, line)


@app.command()
def export(
    key: AnyKey = None,
    out: Annotated[Place, Option(help="File, by default KEY.onnx; with --whole a folder.")] = None,
    weights: Annotated[Place, Option(help="Trained weights (.safetensors), or random.")] = None,
    classes: Annotated[int | None, Option(help="Emotions: those of the weights, or 8.")] = None,
    int8: Annotated[bool, Option(help="Also write a copy with eight-bit weights.")] = False,
    whole: Annotated[bool, Option("--whole", help="From waveform or picture to names.")] = False,
    every: Annotated[bool, Option("--all", help="Of all papers; with --whole.")] = False,
    rate: Annotated[int | None, Option(help="Of the waveform: 48000 or 16000.")] = None,
    opset: Annotated[int | None, Option(help="Version of ONNX's operators.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a network as ONNX; compare size, answers and latency with PyTorch.

    With --whole the file holds the front end too: it takes a waveform or a picture and answers
    with probabilities, whose names are in its metadata. By default the published weights are
    taken; --weights names others, or a folder of them.
    """
    if bool(key) == every or (every and not whole):
        raise BadParameter("give a paper, or --all --whole")
    asked = {"weights": weights, "classes": classes, "rate": rate, "opset": opset}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if whole:
        if int8:
            raise BadParameter("--int8: the front end computes in 32 bits; leave out --whole")
        from emolib.export import whole as files

        if every:
            table, missing = files.write_all(out, **given)
        else:
            table, missing = files.write(str(key), out, **given), []
        values = {"files": table.to_dict("records"), "left out": missing}
        _print(as_json, values, table, *missing)
        return
    if rate:
        raise BadParameter("--rate: only a file with its front end has one; add --whole")
    from emolib import export

    table = export.write(str(key), out, int8=int8, **given)
    random = "The weights are random: this measures size and speed, not accuracy."
    _print(as_json, table.to_dict("records"), None if weights else random, table)


@app.command()
def predict(
    file: Annotated[Path, Argument(help="Picture, sound or video.")],
    confidence: Confidence = None,
    weights: Annotated[Place, Option(file_okay=False, help="Other weights and cards.")] = None,
    paper: Judge = "mostafa",
    as_json: AsJson = False,
) -> None:
    """Say the emotions of the faces and of the voice in one file."""
    from tqdm import tqdm

    from emolib.app import companion, predict
    from emolib.app.weights import own_networks

    own = weights is not None and own_networks(weights)
    given: dict[str, Any] = {"confidence": confidence, "folder": weights}
    options = {name: value for name, value in given.items() if value is not None}
    judge: Any = companion.decide if paper == "lu" and not own else predict.predict
    with tqdm(total=100, unit="%", leave=False, disable=as_json or None) as bar:
        answer = judge(file, progress=lambda share: bar.update(int(100 * share) - bar.n), **options)
    _print(as_json, answer.to_dict(), *answer.lines())


@app.command()
def live(
    host: Annotated[str, Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, Option(help="Port; by default a free one.")] = None,
    weights: Annotated[Place, Option(file_okay=False, help="Other weights and cards.")] = None,
) -> None:
    """Open the live app: webcam and microphone, or files, judged in the browser."""
    from emolib.app import live
    from emolib.app.weights import WEIGHTS

    live.launch(host, port, folder=weights or WEIGHTS)


@app.command()
def bench(
    only: Annotated[Word, Option(help="Benchmarks, such as features,training.")] = None,
) -> None:
    """Run the benchmarks and print the ratios they measure."""
    files = sorted(paths.BENCHMARKS.glob("test_*.py"))
    known = {file.stem.removeprefix("test_"): file for file in files}
    asked = only.split(",") if only else list(known)
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise BadParameter(f"no benchmark {', '.join(unknown)}: there are {', '.join(known)}")
    if importlib.util.find_spec("pytest") is None:
        raise BadParameter("benchmarks need pytest: pip install 'emolib[test]'")
    # Once installed, the settings of a project that happens to lie around are not ours.
    settings = os.devnull if paths.INSTALLED else str(paths.PROJECT / "pyproject.toml")
    command = [sys.executable, "-m", "pytest", "-c", settings, "-s", "-m", "benchmark"]
    command += ["-p", "no:xdist", "-p", "no:cacheprovider"]
    command += [str(known[name]) for name in asked]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    app()
