"""A figure to turn works on a static page: no kernel, no network."""

import pandas as pd
import pytest

from emolib import plots

pytestmark = pytest.mark.browser

TABLE = pd.DataFrame(
    {"model": ["neighbour", "neighbour", "SVM", "SVM"], "rung": ["clip", "actor"] * 2,
     "value": [90.8, 50.7, 94.5, 64.0], "low": [88.1, 47.5, 92.8, 60.0],
     "high": [93.3, 54.0, 96.0, 68.1]}
)  # fmt: skip
SHOWN = """
figure => figure.data.filter(bar => bar.visible)
                     .map(bar => figure.calcdata[figure.data.indexOf(bar)].map(c => c.s))
"""


@pytest.mark.parametrize("slider", [False, True])
def test_turning_the_knob_shows_the_other_bars_without_a_network(browser, tmp_path, slider):
    figure = plots.turn(TABLE, "model", "rung", lines={"printed": 95.9}, slider=slider)
    body = plots.plotly_html(figure, "Accuracy by rung.", library=True)
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><html lang=en><meta charset=utf-8><body>{body}</body></html>")
    context = browser.new_context(offline=True)
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(file.as_uri())
    plot = page.locator(".js-plotly-plot")
    plot.wait_for()
    assert plot.evaluate(SHOWN) == [[90.8, 50.7]]
    if slider:
        rail = plot.locator(".slider-rail-touch-rect").bounding_box()
        page.mouse.click(rail["x"] + rail["width"] - 2, rail["y"] + rail["height"] / 2)
    else:
        plot.locator(".updatemenu-header").click()
        plot.locator(".updatemenu-dropdown-button", has_text="SVM").click()
    page.wait_for_timeout(500)
    assert plot.evaluate(SHOWN) == [[94.5, 64.0]]
    assert page.locator('[aria-label="Accuracy by rung."]').count() == 1
    context.close()
    assert faults == []
