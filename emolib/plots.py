"""Figures of the book: one palette, axis labels with units, and alt text on every image.

Every function that draws returns a matplotlib ``Figure`` made without pyplot, so nothing stays open
and no notebook shows it twice; each takes ``title=``, what stands above the figure. `show` puts it
on the page together with its text alternative.
"""

import base64
import functools
import hashlib
import html
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours, markers and names of what is drawn, and how `turn` looks.
_LOOK = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
EMOTION_COLORS: dict[str, str] = _LOOK["emotion_colors"]
MODALITY_COLORS: dict[str, str] = _LOOK["modality_colors"]
MODALITY_MARKERS: dict[str, str] = _LOOK["modality_markers"]
PUBLISHED_COLOR: str = _LOOK["published_color"]
HUMAN_COLOR: str = _LOOK["human_color"]
_SPARE_COLORS, _SPARE_MARKERS = _LOOK["spare_colors"], _LOOK["spare_markers"]

_STYLE = Path(__file__).with_suffix(".mplstyle")


def style() -> None:
    """Give figures that a notebook draws itself the look of the book's own."""
    import matplotlib.style
    from cycler import cycler

    matplotlib.style.use(_STYLE)
    matplotlib.rcParams["axes.prop_cycle"] = cycler(color=[*MODALITY_COLORS.values()])


def _styled(function: Callable) -> Callable:
    """Draw in the book's style, whatever the notebook has set, and leave that untouched."""

    @functools.wraps(function)
    def drawn(*args, title: str = "", **kwargs):
        from matplotlib import style

        with style.context(_STYLE):
            fig = function(*args, **kwargs)
            if title:
                fig.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
            return fig

    return drawn


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _legend_beside(ax) -> None:
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)


# --- on the page ---------------------------------------------------------------------------------


def figure_html(fig: "Figure", alt: str, caption: str | None = None) -> str:
    """Return ``<figure><img alt=… src=data:…></figure>``, the picture as PNG inside.

    Raises
    ------
    ValueError
        If `alt` is empty: say in a sentence or two what the figure shows.
    """
    alt = _alternative(alt)
    buffer = io.BytesIO()
    from matplotlib import style

    with style.context(_STYLE):
        # No software version in the file: the same figure gives the same bytes.
        fig.savefig(buffer, format="png", metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    width = round(fig.get_figwidth() * 96)
    image = (
        f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}" '
        f'width="{width}" style="max-width:100%;height:auto;background:white">'
    )
    return f'<figure class="emolib-figure">{image}{_caption(caption)}</figure>'


def _caption(text: str | None) -> str:
    return f"<figcaption>{html.escape(text)}</figcaption>" if text else ""


def show(fig: "Figure", alt: str, *, caption: str | None = None) -> None:
    """Display a figure with its alt text, then close it.

    MyST-NB takes alt text for images from cell metadata only, which a loop or a function cannot
    write; the figure is therefore displayed as HTML that carries it. Readers without
    HTML get the alt text itself.
    """
    import sys

    _display(figure_html(fig, alt, caption), alt)
    if "matplotlib.pyplot" in sys.modules:  # otherwise no figure can be registered there
        sys.modules["matplotlib.pyplot"].close(fig)


def _display(content: str, alt: str) -> None:
    """Show HTML in a notebook, and its text alternative where there is only a terminal."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import display

    text = f"[figure: {_alternative(alt)}]"
    if InteractiveShell.initialized():
        display({"text/html": content, "text/plain": text}, raw=True)
    else:
        print(text)


_plotly_home: list = []  # the cell whose output carries plotly.js


def plotly_html(fig, alt: str, *, library: bool, caption: str | None = None) -> str:
    """Return a plotly figure as HTML that needs no network.

    Parameters
    ----------
    fig
        A ``plotly.graph_objects.Figure``.
    alt
        What a reader who cannot see or turn the figure should know.
    library
        Whether plotly.js itself (4.8 MB) is embedded; once a page is enough.
    caption
        Visible text below the figure.
    """
    import plotly.io as pio

    alt = _alternative(alt)
    # plotly would draw a random id; one from the content keeps built pages reproducible.
    name = "plotly-" + hashlib.sha256((fig.to_json() + alt).encode()).hexdigest()[:12]
    body = pio.to_html(fig, include_plotlyjs=library, div_id=name, **_LOOK["plotly"])
    text = html.escape(alt)
    return (
        f'<figure class="emolib-figure" role="group" aria-label="{text}">{body}{_caption(caption)}'
        f"<details><summary>Description of this figure</summary>{text}</details></figure>"
    )


def show_plotly(fig, alt: str, *, caption: str | None = None) -> None:
    """Display a plotly figure offline, with plotly.js embedded once in the notebook."""
    from IPython import get_ipython

    shell = get_ipython()
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell = parent.get("metadata", {}).get("cellId")
    # The first cell keeps the library, also when it is run again and its old output is gone.
    library = not _plotly_home or (cell is not None and _plotly_home[0] == cell)
    if not _plotly_home:
        _plotly_home.append(cell)
    _display(plotly_html(fig, alt, library=library, caption=caption), alt)


def _alternative(alt: str) -> str:
    if not alt or not alt.strip():
        raise ValueError("alt is empty: say in a sentence or two what the figure shows")
    return " ".join(alt.split())


# --- results -------------------------------------------------------------------------------------


@_styled
def confusion(evaluation, classes: Sequence[str] | None = None) -> "Figure":
    """Draw a confusion matrix: rows are what was acted, columns what was answered.

    Shades and numbers are percent of the row; the counts of a row stand behind its name.

    Parameters
    ----------
    evaluation
        A ``C×C`` array of counts, or an ``Evaluation`` with ``.confusion``.
    classes
        The ``C`` names, if `evaluation` does not carry them in ``.classes``.
    """
    matrix = np.asarray(getattr(evaluation, "confusion", evaluation))
    classes = list(getattr(evaluation, "classes", ()) if classes is None else classes)
    if matrix.ndim != 2 or matrix.shape != (len(classes), len(classes)):
        raise ValueError(f"a matrix of shape {matrix.shape} does not fit {len(classes)} classes")
    support = matrix.sum(axis=1)
    shown = 100 * (matrix / np.maximum(support, 1)[:, None])
    size = 1.6 + 0.52 * len(classes)
    fig = _figure(size + 0.9, size)
    ax = fig.subplots()
    image = ax.imshow(shown, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(shown):
        if matrix[row, column]:
            color = "white" if value > 55 else "#222222"
            ax.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=9, color=color)
    ax.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor")
    labels = [f"{name}  ({n:g})" for name, n in zip(classes, support, strict=True)]
    ax.set_yticks(range(len(classes)), labels)
    ax.set(xlabel="answered", ylabel="acted (number of samples)")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    fig.colorbar(image, ax=ax, label="share of the acted emotion (%)", shrink=0.8)
    return fig


@_styled
def intervals(
    table: pd.DataFrame,
    *,
    group: str | None = None,
    chance: float | None = None,
    measured: str = "measured",
    published: str = "published",
    unit: str = "accuracy (%)",
) -> "Figure":
    """Draw one dot with its interval per row, beside what the paper prints and what people reach.

    Parameters
    ----------
    table
        One row a line of the figure, top to bottom: ``label`` and ``value``; where they are known
        ``low`` and ``high`` (ends of the interval), ``published`` (the paper's number) and
        ``human`` (what people reach), all in `unit`. Missing values leave a marker out.
    group
        Column with the modality; sets colour and marker.
    chance
        Where guessing lands, drawn as a dotted line.
    measured, published
        What the legend calls the dots and the crosses, where they are something else.
    unit
        Label of the axis.
    """
    fig = _figure(7.2, 1.1 + 0.36 * max(len(table), 2))
    ax = fig.subplots()
    table = table.reset_index(drop=True)
    groups = table[group] if group else pd.Series("both", table.index)
    for name, part in table.groupby(groups, sort=False):
        ends = [part["value"] - part.get("low", np.nan), part.get("high", np.nan) - part["value"]]
        ax.errorbar(
            part["value"],
            part.index,
            # A point without an interval still gets its dot.
            xerr=np.nan_to_num(np.asarray(ends, float)).clip(min=0),
            fmt=MODALITY_MARKERS.get(name, "o"),
            color=MODALITY_COLORS.get(name, MODALITY_COLORS["both"]),
            label=f"{measured} ({name})" if group else measured,
            **_LOOK["interval"],
        )
    for column, text, marker, color in (
        ("published", published, "x", PUBLISHED_COLOR),
        ("human", "people", "|", HUMAN_COLOR),
    ):
        if column in table and table[column].notna().any():
            ax.plot(table[column], table.index, marker, color=color, ms=9, mew=2.2, label=text)
    if chance is not None:
        ax.axvline(chance, color=HUMAN_COLOR, linestyle=":", linewidth=1.2, label="guessing")
    ax.set_yticks(table.index, table["label"])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlabel(unit)
    ax.grid(axis="x")
    _legend_beside(ax)
    return fig


def turn(
    table: pd.DataFrame,
    knob: str,
    x: str,
    *,
    lines: Mapping[str, float] | None = None,
    human: Mapping[str, float] | None = None,
    slider: bool = False,
    unit: str = "accuracy (%)",
):
    """Return a plotly figure in which the reader chooses one value of `knob`.

    It works without a kernel and without a network.

    Parameters
    ----------
    table
        Columns `knob`, `x`, and ``value, low, high`` in `unit`.
    knob
        What is chosen: by a menu, or by a slider if its values are ordered.
    x
        What stands along the axis.
    lines
        Name → value of dashed lines to compare with.
    human
        The same for what people reach, dotted.
    slider
        A slider in place of the menu.
    """
    import plotly.graph_objects as go

    choices = list(dict.fromkeys(table[knob]))
    figure = go.Figure()
    for choice in choices:
        part = table[table[knob] == choice]
        above, below = part["high"] - part["value"], part["value"] - part["low"]
        figure.add_bar(
            x=part[x],
            y=part["value"].round(1),
            error_y={"array": above.round(1), "arrayminus": below.round(1)},
            name=str(choice),
            text=part["value"].round(1),
            visible=choice == choices[0],
            **_LOOK["turn"]["bar"],
        )
    # Lines that lie close together are named at different ends.
    places = itertools.cycle(("top right", "top left", "bottom right", "bottom left"))
    for compared, dash, color in ((lines, "dash", PUBLISHED_COLOR), (human, "dot", HUMAN_COLOR)):
        for name, value in (compared or {}).items():
            line = {"line_dash": dash, "line_color": color, "annotation_text": f"{name} {value:g}"}
            figure.add_hline(value, **line, annotation_position=next(places))
    figure.update_layout(_LOOK["turn"]["layout"], **_chooser(knob, choices, slider))
    figure.update_layout(xaxis_title=x, yaxis_title=unit)
    return figure


def _chooser(knob: str, choices: Sequence, slider: bool) -> dict:
    """Return the slider or the menu that shows one of the `choices` at a time."""
    shown = [[other == choice for other in choices] for choice in choices]
    steps = [
        {"label": str(choice), "method": "update", "args": [{"visible": visible}]}
        for choice, visible in zip(choices, shown, strict=True)
    ]
    if slider:
        return {"sliders": [{"steps": steps, "currentvalue": {"prefix": f"{knob}: "}}]}
    return {"updatemenus": [{"buttons": steps, "x": 0, "xanchor": "left", "y": 1.2}]}


@_styled
def learning_curves(history: pd.DataFrame, *, best_epoch: int | None = None) -> "Figure":
    """Draw training and validation curves, one panel per quantity.

    Parameters
    ----------
    history
        One row an epoch, with columns ``train_<quantity>`` and ``valid_<quantity>``; an
        ``epoch`` column or, without it, the row number counted from 1. Where a ``run`` column is
        there, each run is a thin line.
    best_epoch
        The epoch whose weights were kept, marked by a vertical line.
    """
    curves = [str(name).partition("_") for name in history]
    quantities = list(dict.fromkeys(of for part, _, of in curves if part in _LOOK["parts"]))
    if not quantities:
        raise ValueError(
            f"history has no column train_… or valid_…, only {', '.join(map(str, history))}"
        )
    fig = _figure(3.7 * len(quantities) + 0.4, 3.1)
    axes = fig.subplots(1, len(quantities), squeeze=False)[0]
    runs = [run for _, run in history.groupby("run")] if "run" in history else [history]
    alpha, width = (1, 1.8) if len(runs) == 1 else (0.55, 1.1)
    for ax, quantity in zip(axes, quantities, strict=True):
        for (part, (text, line, color)), (number, run) in itertools.product(
            _LOOK["parts"].items(), enumerate(runs)
        ):
            if (values := run.get(f"{part}_{quantity}")) is not None:
                epochs = run.get("epoch", np.arange(1, len(run) + 1))
                label = text if number == 0 else None
                ax.plot(epochs, values, line, color=color, alpha=alpha, lw=width, label=label)
        if best_epoch is not None:
            ax.axvline(best_epoch, color=HUMAN_COLOR, linestyle=":", label=f"kept: {best_epoch}")
        ax.set(xlabel="epoch", ylabel=_LOOK["units"].get(quantity, quantity.replace("_", " ")))
        ax.grid()
    axes[0].legend()
    return fig


@_styled
def reliability(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 10) -> "Figure":
    """Draw how often the answer is right against how sure the model is of it.

    The expected calibration error is printed inside.

    Parameters
    ----------
    labels
        True classes, ``(N,)`` integers.
    probabilities
        ``(N, C)``; the largest of a row is the confidence.
    bins
        Equal steps of confidence.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    step = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(step, minlength=bins)
    filled = counts > 0
    sure = np.bincount(step, confidence, bins)[filled] / counts[filled]
    right = np.bincount(step, correct, bins)[filled] / counts[filled]
    gap = float(np.sum(counts[filled] * np.abs(sure - right)) / len(labels))

    fig = _figure(4.6, 4.8)
    above, below = fig.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], ":", color=HUMAN_COLOR, label="as sure as right")
    above.plot(sure, right, "o-", color=MODALITY_COLORS["audio"], label="model")
    above.text(0.98, 0.04, f"calibration error {gap:.3f}", ha="right", transform=above.transAxes)
    above.set(ylabel="answers that are right (share)", xlim=(0, 1), ylim=(0, 1))
    above.grid()
    above.legend(loc="upper left")
    centres = (np.arange(bins) + 0.5) / bins
    below.bar(centres, counts, width=0.9 / bins, color=MODALITY_COLORS["audio"])
    below.set(xlabel="confidence (probability of the answer)", ylabel="samples")
    return fig


@_styled
def stacked(table: pd.DataFrame, *, colors: Mapping[str, str], unit: str) -> "Figure":
    """Draw one horizontal bar a row, made of the counts in its columns, each with its number.

    Parameters
    ----------
    table
        Index: names of the bars, top to bottom; columns: the parts, from left to right.
    colors
        Column to colour. A hatch that differs from part to part tells them apart without colour.
    unit
        Label of the count axis.
    """
    fig = _figure(8.2, 1.5 + 0.44 * len(table))
    ax = fig.subplots()
    places, left = np.arange(len(table)), np.zeros(len(table))
    least = 0.022 * table.sum(axis=1).max()  # a narrower part has no room for its number
    ground = {"boxstyle": "round,pad=0.15", "facecolor": "white", "linewidth": 0}
    for hatch, column in zip(itertools.cycle(["", "//", "xx", "..", "--"]), table, strict=False):
        counts = table[column].to_numpy()
        look: Any = {"color": colors[column], "hatch": hatch, "ec": "white", "lw": 0.6}
        bars = ax.barh(places, counts, 0.74, left, label=column, **look)
        texts = [f"{count:g}" if count >= least else "" for count in counts]
        ax.bar_label(bars, texts, label_type="center", fontsize=8.5, bbox=ground)
        left = left + counts
    ax.set_yticks(places, [str(name) for name in table.index])
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.set_xlabel(unit)
    ax.grid(axis="x")
    fig.legend(loc="outside lower left", ncols=table.shape[1], fontsize=9, handlelength=1.4)
    return fig


@_styled
def dependencies(edges: pd.DataFrame, *, colors: Mapping[str, str]) -> "Figure":
    """Draw which claim falls with which detail: claims on the left, details on the right.

    Parameters
    ----------
    edges
        One row a dependency: ``claim`` and ``detail`` with what they say and their verdicts,
        ``claim_label``, ``claim_verdict``, ``detail_label``, ``detail_verdict``.
    colors
        Verdict to colour of its dot.
    """
    ends = {
        side: edges.drop_duplicates(side).set_index(side)[[f"{side}_label", f"{side}_verdict"]]
        for side in ("claim", "detail")
    }
    rows = max(map(len, ends.values()))
    fig = _figure(9.6, 0.8 + 0.3 * rows)
    ax = fig.subplots()
    place = {}
    for x, (side, shown) in enumerate(ends.items()):
        heights = np.linspace(0, rows - 1, len(shown)) if len(shown) > 1 else [(rows - 1) / 2]
        for height, (name, (label, verdict)) in zip(heights, shown.iterrows(), strict=True):
            place[side, name] = x, height
            ax.plot(x, height, "o", color=colors[verdict], ms=8, mec="black", mew=0.4, zorder=3)
            look: Any = {"ha": "left" if x else "right", "va": "center", "fontsize": 8}
            beside: Any = {"xytext": (10 if x else -10, 0), "textcoords": "offset points"}
            ax.annotate(label, (x, height), **beside, **look)
    for claim, detail in edges[["claim", "detail"]].itertuples(index=False):
        (x, y), (to_x, to_y) = place["claim", claim], place["detail", detail]
        ax.plot([x, to_x], [y, to_y], color="0.6", lw=0.8, zorder=1)
    there = dict.fromkeys([*edges["claim_verdict"], *edges["detail_verdict"]])
    for verdict in (verdict for verdict in colors if verdict in there):
        ax.plot([], [], "o", color=colors[verdict], ms=8, mec="black", mew=0.4, label=verdict)
    ax.set(xlim=(-2.4, 3.4), ylim=(rows - 0.5, -0.5))
    ax.axis("off")
    fig.legend(loc="outside lower left", ncols=4, fontsize=9, handlelength=1)
    return fig


@_styled
def sweep(
    table: pd.DataFrame,
    x: str,
    *,
    value: str = "value",
    low: str = "low",
    high: str = "high",
    group: str | None = None,
    xlabel: str | None = None,
    unit: str = "accuracy (%)",
) -> "Figure":
    """Draw a measured quantity along an ablation, with its interval as a band.

    Parameters
    ----------
    table
        One row a setting.
    x
        Column with the setting (kernel size, dropout rate, …).
    value, low, high
        Columns: estimate and ends of the interval in `unit`; no band without the latter two.
    group
        Column that separates lines (a modality, say).
    xlabel, unit
        Labels.
    """
    fig = _figure(6.0, 3.4)
    ax = fig.subplots()
    groups = [("", table)] if group is None else list(table.groupby(group, sort=False))
    for i, (name, part) in enumerate(groups):
        part = part.sort_values(x)
        color = MODALITY_COLORS.get(str(name), _SPARE_COLORS[i % 5])
        marker = MODALITY_MARKERS.get(str(name), _SPARE_MARKERS[i % 5])
        ax.plot(part[x], part[value], marker=marker, color=color, label=name)
        if low in part and high in part:
            ax.fill_between(part[x], part[low], part[high], color=color, alpha=0.15, linewidth=0)
    ax.set(xlabel=xlabel or x.replace("_", " "), ylabel=unit)
    ax.grid()
    if group is not None:
        _legend_beside(ax)
    return fig


# --- faces and voices ----------------------------------------------------------------------------


def _pixels(image) -> np.ndarray:
    """Return ``(H, W)`` or ``(H, W, 3)`` from an array or tensor with channels at either end."""
    image = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
    if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[-1] not in (1, 3):
        image = image.transpose(1, 2, 0)
    return image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image


def _grid(n: int, columns: int, width: float, height: float, labels, beside: float = 0) -> tuple:
    """Return a figure and the axes (rows, columns) of `n` pictures, none visible but its label."""
    columns = min(columns, n)
    rows = -(-n // columns)
    fig = _figure(width * columns + beside, height * rows)
    axes = fig.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, label in zip(axes.flat, () if labels is None else labels, strict=False):
        ax.set_title(label, fontsize=8, loc="center", fontweight="normal", pad=3)
    return fig, axes


@_styled
def faces_grid(images, labels: Sequence[str] | None = None, *, columns: int = 6) -> "Figure":
    """Draw a contact sheet of faces, each framed in the colour of its emotion.

    Parameters
    ----------
    images
        ``(N, H, W)``, ``(N, H, W, 3)``, ``(N, 1, H, W)`` or ``(N, 3, H, W)``; uint8, or
        float in [0, 1].
    labels
        What stands above each face; an emotion's name also sets the frame.
    columns
        Faces in a row.
    """
    if len(images) == 0:
        raise ValueError("no images to show")
    fig, axes = _grid(len(images), columns, 1.25, 1.45, labels)
    for ax, image in zip(axes.flat, images, strict=False):
        picture = _pixels(image)
        ax.imshow(picture, cmap="gray", vmin=0, vmax=255 if picture.dtype == np.uint8 else 1.0)
        if color := EMOTION_COLORS.get(ax.get_title().partition(" ")[0]):
            ax.set_axis_on()
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=True, color=color, linewidth=2.5)
    return fig


@_styled
def face_attribution(
    images,
    attributions,
    labels: Sequence[str] | None = None,
    *,
    regions: Mapping[str, np.ndarray] | None = None,
    columns: int = 4,
) -> "Figure":
    """Draw attributions over faces: what spoke for the emotion and what against it.

    Parameters
    ----------
    images
        ``(N, H, W)`` or with a channel axis, as in `faces_grid`.
    attributions
        Like `images`; channels are summed. One scale, symmetric about zero, serves all faces.
    labels
        What stands above each face.
    regions
        Name to boolean mask ``(H, W)``, outlined.
    columns
        Faces in a row.
    """
    maps = [_pixels(a) for a in attributions]
    maps = [a.sum(axis=-1) if a.ndim == 3 else a for a in maps]
    # The strongest percent of pixels would otherwise leave all others white.
    limit = float(np.quantile(np.abs(np.stack(maps)), 0.99)) or 1.0
    fig, axes = _grid(len(maps), columns, 1.7, 1.9, labels, beside=1.2)
    for ax, image, values in zip(axes.flat, images, maps, strict=False):
        picture = _pixels(image)
        ax.imshow(picture if picture.ndim == 2 else picture.mean(axis=-1), cmap="gray")
        overlay = ax.imshow(values, cmap="PuOr", vmin=-limit, vmax=limit, alpha=0.65)
        for mask in (regions or {}).values():
            ax.contour(np.asarray(mask, float), levels=[0.5], colors="#222222", linewidths=0.8)
    fig.colorbar(overlay, ax=axes, label="attribution (change of the logit)", shrink=0.8)
    return fig


@_styled
def mfcc(
    values,
    attribution=None,
    *,
    names: Sequence[str] | None = None,
    unit: str = "MFCC (librosa's scale)",
) -> "Figure":
    """Draw MFCC as a heatmap and, below it, the attribution of the same coefficients.

    Parameters
    ----------
    values
        ``(R, n_mfcc)``: one row a segment, frame or emotion; a vector is one row.
    attribution
        Like `values`; its scale is symmetric about zero.
    names
        What each row is.
    unit
        Of the values; say so when they are standardised.
    """
    panels = [(np.atleast_2d(values), "viridis", unit)]
    if attribution is not None:
        panels.append((np.atleast_2d(attribution), "PuOr", "attribution (change of the logit)"))
    rows = panels[0][0].shape[0]
    fig = _figure(7.4, (1.2 + 0.26 * rows) * len(panels) + 0.3)
    axes = fig.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for ax, (array, colors, unit) in zip(axes, panels, strict=True):
        limit = float(np.abs(array).max()) or 1.0
        scale = {"vmin": -limit, "vmax": limit} if colors == "PuOr" else {}
        image = ax.imshow(array, aspect="auto", cmap=colors, interpolation="nearest", **scale)
        ax.set_yticks(range(rows), names if names is not None else range(1, rows + 1))
        ax.set_ylabel("" if names is not None else "segment")
        fig.colorbar(image, ax=ax, label=unit)
    axes[-1].set_xlabel("cepstral coefficient (index)")
    return fig


# --- networks and devices ------------------------------------------------------------------------


@_styled
def architecture(
    branches: Mapping[str, Sequence[tuple[str, str]]], head: Sequence[tuple[str, str]] = ()
) -> "Figure":
    """Draw a network as boxes and arrows, one row a branch, joined into a head.

    Parameters
    ----------
    branches
        Modality to its layers in order, each ``(what it does, shape behind it)``.
    head
        The layers behind the point where the branches meet, in the same form.

    Examples
    --------
    >>> fig = architecture(
    ...     {"video": [("face", "1×64×64"), ("conv 3×3", "16×62×62")], "audio": [("MFCC", "40")]},
    ...     [("concat", "2528"), ("dense", "8")],
    ... )
    """
    depth = max(len(layers) for layers in branches.values())
    total = depth + len(head)
    fig = _figure(min(1.22 * total + 0.4, 13), 1.25 * len(branches) + 0.4)
    ax = fig.subplots()
    ax.set_axis_off()
    ax.set(xlim=(-0.6, total - 0.4), ylim=(len(branches) - 0.4, -0.6))
    arrow, layer = _LOOK["arrow"], _LOOK["layer"]

    def row(layers: Sequence[tuple[str, str]], first: int, y: float, name: str) -> None:
        look = _LOOK["box"] | {"edgecolor": MODALITY_COLORS.get(name, MODALITY_COLORS["both"])}
        for x, text in enumerate(layers, first):
            ax.annotate("\n".join(text), (x, y), **layer, bbox=look, zorder=3)
            if x > first:
                ax.annotate("", (x, y), (x - 1, y), zorder=1, arrowprops=arrow)

    middle = (len(branches) - 1) / 2
    for y, (name, layers) in enumerate(branches.items()):
        row(layers, depth - len(layers), y, name)  # branches end together, where the head begins
        if head:
            ax.annotate("", (depth, middle), (depth - 1, y), zorder=1, arrowprops=arrow)
    row(head, depth, middle, "both")
    return fig


@_styled
def roofline(models: pd.DataFrame, boards: pd.DataFrame) -> "Figure":
    """Draw the rooflines of boards and where networks lie below them.

    Parameters
    ----------
    models
        Index: names; columns ``arithmetic_intensity`` (FLOP/byte) and, if measured,
        ``gflops`` (GFLOP/s reached); a network without it is a vertical line.
    boards
        Columns ``board``, ``bandwidth_gb_s``, ``peak_gflops``, as `emolib.devices.boards` gives.
    """
    fig = _figure(6.8, 4.2)
    ax = fig.subplots()
    lines = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2))]
    shades = ["#222222", "#0072b2", "#e69f00", *_SPARE_COLORS[3:]]
    intensities = [float(value) for value in models["arithmetic_intensity"]]
    ridges = boards["peak_gflops"] / boards["bandwidth_gb_s"]
    left = min([0.1, *(0.5 * value for value in intensities)])
    right = max([100, *(2 * value for value in intensities), *(3 * ridges)])
    x = np.geomspace(left, right, 200)
    for i, board in enumerate(boards.itertuples()):
        roof = np.minimum(x * board.bandwidth_gb_s, board.peak_gflops)
        ax.plot(x, roof, linestyle=lines[i % 6], color=shades[i % 6], label=board.board)
    for i, (name, row) in enumerate(models.iterrows()):
        intensity, reached = row["arithmetic_intensity"], row.get("gflops", np.nan)
        if np.isfinite(reached):
            marker = _SPARE_MARKERS[i % 6]
            ax.plot(intensity, reached, marker, color=PUBLISHED_COLOR, label=str(name))
        else:
            ax.axvline(intensity, color=PUBLISHED_COLOR, linewidth=1)
            place, within = (intensity, 0.02 + 0.07 * (i % 8)), ("data", "axes fraction")
            look: dict[str, Any] = {"fontsize": 8, "color": PUBLISHED_COLOR}
            ax.annotate(str(name), place, (3, 0), within, "offset points", **look)
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="arithmetic intensity (FLOP/byte)", ylabel="attainable (GFLOP/s)")
    ax.grid(which="major")
    _legend_beside(ax)
    return fig
