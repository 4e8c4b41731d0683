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

from emolib import __version__, paths, registry
from emolib.errors import EmolibError


class _Commands(TyperGroup):
    """Commands whose errors become one line and exit code 2; anything else is a bug."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except (EmolibError, OSError) as error:
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
    if key is not None and key not in registry.PAPERS:
        raise typer.BadParameter(f"unknown paper {key!r}: known are {', '.join(registry.PAPERS)}")
    return key


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
AnyKey = Annotated[
    str | None,
    typer.Argument(help=_PAPERS, callback=_known_paper),
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
    name: Annotated[str, typer.Argument(help="Corpus to fetch.")],
    root: Annotated[Path | None, typer.Option(help="Folder to put it in.")] = None,
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
def data_check(
    name: Annotated[str, typer.Argument(help="Corpus to verify.")],
    root: Annotated[Path | None, typer.Option(help="Folder it lies in.")] = None,
    as_json: AsJson = False,
) -> None:
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
    root: Annotated[Path | None, typer.Option(help="Folder to write to.")] = None,
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
    for one in [key] if key else registry.PAPERS:
        for design, options in models.designs(one).items():
            model = models.build(one, **options).eval()
            counted[design] = devices.cost(model, models.example_inputs(one, batch=1)).to_dict() | {
                f"parameters: {part}": n for part, n in models.count_parts(one, model).items()
            }
    if as_json:
        _print_json(counted)
    else:
        _print_table(pd.DataFrame(counted).rename_axis("for one clip or segment").reset_index())


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
def claims(key: AnyKey = None, as_json: AsJson = False) -> None:
    """Show what the papers claim, what was measured here, and whether it holds."""
    from emolib.claims import ledger

    table = ledger.table(key)
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
    import pandas as pd

    from emolib import explain, models, training
    from emolib.corpora import splits
    from emolib.papers import engine

    module = engine.paper(key)
    dataset = module.load(corpus, modality, "quick", progress=not as_json)
    split = splits.make("actor", dataset.manifest, seed=seed, n_segments=dataset.n_segments)
    rows = {
        part: split.indices(dataset.manifest, 0, part, dataset.n_segments) for part in splits.PARTS
    }
    train, valid, test = (dataset.samples.take(rows[part]) for part in splits.PARTS)
    training.seed_everything(seed)
    fit = training.fit(
        models.build(key, n_classes=len(dataset.classes), modality=modality),
        train,
        valid,
        module.RECIPE.quick(epochs),
        seed=seed,
        prepare=dataset.prepare,
        augment=dataset.augment,
        progress=not as_json,
    )
    chosen = test.take(range(0, len(test), max(1, len(test) // samples)))
    inputs = dataset.prepare(chosen.inputs, None) if dataset.prepare else chosen.inputs
    found = explain.integrated_gradients(fit.model, inputs, chosen.labels, baselines="mean")
    table = pd.concat(
        explain.region_scores(found, _regions(name, value), modality=name).assign(modality=name)
        for name, value in found.values.items()  # noqa: PD011
    )[["modality", "region", "share", "area", "density"]]
    if as_json:
        _print_json({"relative_gap": found.relative_gap, "regions": table.to_dict("records")})
        return
    typer.echo(f"{key} on {corpus}, {len(chosen)} samples after {epochs} epochs")
    _print_table(table)
    typer.echo(
        f"completeness: attributions miss the difference by {found.relative_gap:.1%} at most"
    )


def _regions(name: str, value: Any) -> dict[str, Any]:
    """Return masks of the regions that an input has: parts of a face, or of a cepstrum."""
    import numpy as np

    if name == "video" and value.shape[-1] == value.shape[-2]:
        from emolib.features import landmarks

        return landmarks.template_masks(value.shape[-1])
    if name == "audio" and value.ndim == 2:
        from emolib import explain

        return explain.mfcc_halves(value.shape[-1])
    return {"all": np.ones(tuple(value.shape[1:]), bool)}


@app.command()
def export(
    key: Key,
    out: Annotated[Path | None, typer.Option(help="File to write; by default KEY.onnx.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Trained weights (.safetensors); random ones otherwise.")
    ] = None,
    classes: Annotated[int, typer.Option(min=2, help="Number of emotions.")] = 8,
    int8: Annotated[bool, typer.Option(help="Also write a copy with eight-bit weights.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a network as ONNX; compare size, answers and latency with PyTorch."""
    import pandas as pd

    from emolib import export, models

    model = models.build(key, n_classes=classes).eval()
    if weights:
        from safetensors.torch import load_file

        model.load_state_dict(load_file(weights))
    inputs = models.example_inputs(key, batch=2)
    files = [export.export(model, inputs, out or Path(f"{key}.onnx"))]
    if int8:
        files.append(export.quantize(files[0]))
    one = {name: value[:1] for name, value in inputs.items()}
    rows = []
    for file in files:
        same, time = export.parity(model, file, inputs), export.latency(file, one)
        rows.append(
            {
                "file": str(file),
                "MB": export.size_mb(file),
                "largest difference": same.max_abs_diff,
                "median ms": time.median_ms,
            }
        )
    if as_json:
        _print_json(rows)
        return
    if not weights:
        typer.echo("The weights are random: this measures size and speed, not accuracy.")
    _print_table(pd.DataFrame(rows))


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(help="Picture, sound or video.")],
    confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Name nothing that is less probable.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of other weights and their cards.")
    ] = None,
    paper: Annotated[
        str, typer.Option(help="Whose networks: mostafa, or lu (videos only, with stage times).")
    ] = "mostafa",
    as_json: AsJson = False,
) -> None:
    """Say the emotions of the faces and of the voice in one file."""
    from tqdm import tqdm

    from emolib.app import predict

    if paper == "lu":
        _companion(file, confidence, weights, as_json)
        return
    if paper != "mostafa":
        raise typer.BadParameter(f"no weights of {paper!r} judge a file: known are mostafa, lu")

    with tqdm(total=100, unit="%", leave=False, disable=as_json or None) as bar:
        answer = predict.predict(
            file,
            confidence=predict.CONFIDENCE if confidence is None else confidence,
            folder=weights or predict.WEIGHTS,
            progress=lambda share: bar.update(int(100 * share) - bar.n),
        )
    if as_json:
        _print_json(answer.to_dict())
        return
    for number, face in enumerate(answer.faces, 1):
        box = ", ".join(str(round(edge)) for edge in face.box)
        typer.echo(f"face {number} ({box}): {face.reading.emotion} {face.reading.confidence:.0%}")
    for name, reading in (("voice", answer.voice), ("fusion", answer.fusion)):
        if reading:
            typer.echo(f"{name}: {reading.emotion} {reading.confidence:.0%}")
    for note in answer.notes:
        typer.echo(note)


def _companion(file: Path, confidence: float | None, weights: Path | None, as_json: bool) -> None:
    """Print what Lu's two networks decide about a video, and how long each stage took."""
    from emolib.app import companion, predict

    decision = companion.decide(
        file,
        confidence=predict.CONFIDENCE if confidence is None else confidence,
        folder=weights or companion.WEIGHTS,
    )
    if as_json:
        _print_json(decision.to_dict())
        return
    for name in ("face", "voice", "fusion"):
        if reading := getattr(decision, name):
            typer.echo(f"{name}: {reading.emotion} {reading.confidence:.0%}")
    for note in decision.notes:
        typer.echo(note)
    for stage, ms in decision.milliseconds.items():
        typer.echo(f"{stage:>14} {ms:8.1f} ms")
    typer.echo(f"{'the paper':>14} {companion.PAPER_MS:8.1f} ms")


@app.command()
def live(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Port; by default a free one.")] = None,
) -> None:
    """Open the live app: webcam and microphone, or files, judged in the browser."""
    try:
        from emolib.app import live

        live.launch(host, port)
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise typer.BadParameter("the live app needs Gradio: pip install 'emolib[live]'") from error


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
