"""Figures carry text alternatives, keep one palette that everyone can tell apart, and leave
nothing open behind them."""

import base64
import html.parser
import io
import itertools

import numpy as np
import pandas as pd
import pytest

from emolib import plots
from emolib.corpora.manifest import EMOTIONS

# Machado, Oliveira and Fernandes 2009, full severity, on linear RGB.
COLOUR_VISION = {
    "usual": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(color: str, vision: str = "usual") -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as somebody with this colour vision sees it."""
    rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.asarray(COLOUR_VISION[vision]) @ linear, 0, 1)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    x = to_xyz @ linear / to_xyz.sum(axis=1)
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", COLOUR_VISION)
@pytest.mark.parametrize("palette", [plots.EMOTION_COLORS, plots.MODALITY_COLORS])
def test_any_two_colours_of_a_palette_differ_for_every_kind_of_colour_vision(palette, vision):
    for a, b in itertools.combinations(palette, 2):
        distance = np.linalg.norm(lab(palette[a], vision) - lab(palette[b], vision))
        assert distance > 12, (a, b)


@pytest.mark.parametrize("palette", [plots.EMOTION_COLORS, plots.MODALITY_COLORS])
def test_any_two_colours_of_a_palette_differ_in_grey(palette):
    for a, b in itertools.combinations(palette, 2):
        assert abs(lab(palette[a])[0] - lab(palette[b])[0]) > 5, (a, b)


def test_every_emotion_has_a_colour_and_every_modality_a_colour_and_a_marker():
    assert tuple(plots.EMOTION_COLORS) == EMOTIONS
    assert set(plots.MODALITY_COLORS) == set(plots.MODALITY_MARKERS)


rng = np.random.default_rng(0)
CLASSES = EMOTIONS[:8]
TABLE = pd.DataFrame(
    {
        "label": ["audio", "video", "both"],
        "modality": ["audio", "video", "both"],
        "value": [50.0, 60.0, 70.0],
        "low": [45.0, 55.0, np.nan],
        "high": [55.0, 65.0, np.nan],
        "published": [np.nan, np.nan, 95.89],
        "human": [60.0, 75.0, 80.0],
        "kernel": [2, 3, 4],
    }
)
HISTORY = pd.DataFrame(
    {"train_loss": [2.0, 1.0], "valid_loss": [2.1, 1.5], "valid_uar": [0.1, 0.3]}
)
BOARDS = pd.DataFrame(
    {"board": ["A", "B"], "bandwidth_gb_s": [12.8, 25.6], "peak_gflops": [30.0, 25.76]}
)
FACES = rng.random((5, 1, 64, 64))
FIGURES = {
    "confusion": lambda: plots.confusion(rng.poisson(5, (8, 8)), CLASSES),
    "counts": lambda: plots.confusion(np.diag([3, 0, 4]), "abc"),
    "intervals": lambda: plots.intervals(TABLE, group="modality", chance=12.5),
    "intervals without extras": lambda: plots.intervals(TABLE[["label", "value"]]),
    "learning_curves": lambda: plots.learning_curves(HISTORY, best_epoch=2),
    "learning_curves of runs": lambda: plots.learning_curves(
        pd.concat([HISTORY.assign(run=0), HISTORY.assign(run=1)])
    ),
    "reliability": lambda: plots.reliability(
        rng.integers(0, 8, 50), rng.dirichlet(np.ones(8), size=50)
    ),
    "stacked": lambda: plots.stacked(
        pd.DataFrame({"holds": [3, 0], "fails": [1, 9]}, index=["ding", "lu"]),
        colors={"holds": "#1b7f79", "fails": "#e08a3c"},
        unit="claims",
    ),
    "sweep": lambda: plots.sweep(TABLE, "kernel", group="modality"),
    "faces_grid": lambda: plots.faces_grid(FACES, CLASSES[:5], columns=3, title="faces"),
    "faces in colour": lambda: plots.faces_grid(rng.integers(0, 255, (2, 3, 32, 32), np.uint8)),
    "face_attribution": lambda: plots.face_attribution(
        FACES, FACES - 0.5, CLASSES[:5], regions={"mouth": np.eye(64) > 0}
    ),
    "mfcc": lambda: plots.mfcc(rng.normal(size=(6, 40)), rng.normal(size=(6, 40))),
    "mfcc of one segment": lambda: plots.mfcc(rng.normal(size=40)),
    "architecture": lambda: plots.architecture(
        {"video": [("face", "1×64×64"), ("conv", "16×62×62")], "audio": [("MFCC", "40")]},
        [("concat", "2528"), ("dense", "8")],
    ),
    "roofline": lambda: plots.roofline(
        pd.DataFrame(
            {"arithmetic_intensity": [12.0, 20.0], "gflops": [np.nan, 2.0]}, index=list("xy")
        ),
        BOARDS,
    ),
}


def test_the_parts_of_a_stacked_bar_add_up_to_its_length():
    table = pd.DataFrame({"a": [3, 0], "b": [1, 9]}, index=["one", "two"])
    (ax,) = plots.stacked(table, colors={"a": "#111111", "b": "#eeeeee"}, unit="claims").axes
    ends = [max(p.get_x() + p.get_width() for p in ax.patches if round(p.get_y() + 0.37) == row)
            for row in (0, 1)]  # fmt: skip
    assert ends == table.sum(axis=1).tolist()
    assert {text.get_text() for text in ax.texts} == {"3", "1", "9", ""}


class Page(html.parser.HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.images = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_renders_as_an_image_with_the_alt_text_given(name):
    from PIL import Image

    fig = FIGURES[name]()
    (image,) = Page(plots.figure_html(fig, f'{name}: "quoted" & <b>bold</b>')).images
    assert image["alt"] == f'{name}: "quoted" & <b>bold</b>'
    picture = Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1])))
    assert min(picture.size) > 100
    assert np.asarray(picture.convert("L")).std() > 1, "the picture is blank"


@pytest.mark.parametrize(
    "name", ["confusion", "intervals", "learning_curves", "reliability", "sweep", "roofline"]
)
def test_axes_say_what_they_show_and_in_which_unit(name):
    axes = FIGURES[name]().axes
    assert any(ax.get_xlabel() for ax in axes)
    assert any("(" in ax.get_ylabel() or "(" in ax.get_xlabel() for ax in axes)


def test_the_same_figure_gives_the_same_bytes():
    first, second = (plots.figure_html(FIGURES["stacked"](), "stacked") for _ in range(2))
    assert first == second


def test_every_figure_takes_a_title():
    fig = plots.sweep(TABLE, "kernel", title="Kernels")
    assert fig.get_suptitle() == "Kernels"


def test_a_figure_without_alt_text_is_refused():
    with pytest.raises(ValueError, match="say in a sentence"):
        plots.figure_html(FIGURES["stacked"](), "  ")


@pytest.fixture
def notebook():
    """A shell in whose cells figures can be displayed."""
    from IPython.core.interactiveshell import InteractiveShell

    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_show_displays_html_with_alt_text_and_leaves_no_figure_open(notebook):
    import matplotlib as mpl
    from IPython.utils.capture import capture_output

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with capture_output() as page:
        plots.show(FIGURES["mfcc"](), alt="coefficients of one segment")
        own, _ = plt.subplots()
        plots.show(own, alt="a figure that the notebook drew with pyplot")
    assert plt.get_fignums() == []
    assert [output.data["text/plain"] for output in page.outputs] == [
        "[figure: coefficients of one segment]",
        "[figure: a figure that the notebook drew with pyplot]",
    ]
    assert all('<img alt="' in output.data["text/html"] for output in page.outputs)


def test_outside_a_notebook_the_text_alternative_is_printed(capsys):
    plots.show(FIGURES["stacked"](), alt="two bars")
    assert capsys.readouterr().out == "[figure: two bars]\n"


def test_drawing_leaves_the_notebooks_own_settings_alone():
    import matplotlib as mpl

    before = mpl.rcParams["axes.titleweight"], mpl.rcParams["savefig.dpi"]
    FIGURES["stacked"]()
    assert (mpl.rcParams["axes.titleweight"], mpl.rcParams["savefig.dpi"]) == before


def test_a_matrix_that_does_not_fit_its_classes_is_refused():
    with pytest.raises(ValueError, match="does not fit 3 classes"):
        plots.confusion(np.eye(2), "abc")


def test_a_history_without_curves_names_its_columns():
    with pytest.raises(ValueError, match="only epoch, lr"):
        plots.learning_curves(pd.DataFrame({"epoch": [1], "lr": [0.1]}))


def test_plotly_is_embedded_once_and_needs_no_network(notebook, monkeypatch):
    import plotly.graph_objects as go
    from IPython.utils.capture import capture_output

    monkeypatch.setattr(plots, "_plotly_home", [])
    with capture_output() as page:
        for height in (1, 2):
            plots.show_plotly(go.Figure(go.Bar(y=[height])), alt=f"a bar of height {height}")
    first, second = (output.data["text/html"] for output in page.outputs)
    assert len(first) > 3_000_000 > len(second)
    for content in (first, second):
        assert "<script src=" not in content
    assert 'aria-label="a bar of height 2"' in second
    assert "<details><summary>Description of this figure</summary>a bar of height 2" in second


def test_a_figure_to_turn_shows_one_choice_at_a_time_and_needs_no_kernel():
    table = pd.DataFrame(
        {"model": ["a", "a", "b"], "rung": ["clip", "actor", "clip"], "value": [90.0, 50, 70],
         "low": [80.0, 40, 60], "high": [95.0, 60, 80]}
    )  # fmt: skip
    figure = plots.turn(table, "model", "rung", lines={"printed": 95.9}, human={"people": 80})
    assert [line.y0 for line in figure.layout.shapes] == [95.9, 80]
    assert len({line.line.color for line in figure.layout.shapes}) == 2
    assert [bar.visible for bar in figure.data] == [True, False]
    assert list(figure.data[0].error_y.arrayminus) == [10, 10]
    (menu,) = figure.layout.updatemenus
    assert [list(button.args[0]["visible"]) for button in menu.buttons] == [
        [True, False],
        [False, True],
    ]
    (slider,) = plots.turn(table, "model", "rung", slider=True).layout.sliders
    assert [step.label for step in slider.steps] == ["a", "b"]
