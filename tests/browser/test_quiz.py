"""A quiz is answered on a static page with the keyboard alone, network off."""

import pytest

from emolib import paths
from emolib.book import quizzes

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, tmp_path):
    two = "".join(quizzes.show(name)._repr_html_() for name in ("ding", "lu"))
    style = (paths.PROJECT / "book" / "_static" / "emolib.css").read_text()
    file = tmp_path / "page.html"
    file.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Quiz</title>"
        f"<style>{style}</style><body>{two}</body></html>"
    )
    context = browser.new_context(offline=True, viewport={"width": 380, "height": 800})
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(file.as_uri())
    yield page
    assert page.faults == []
    context.close()


def test_a_choice_is_judged_with_its_reason_by_keyboard(page):
    field = page.locator("fieldset").first
    asked = quizzes.show("ding").questions[0]
    said = field.locator("[role=status]")
    field.locator("button").focus()
    page.keyboard.press("Enter")
    assert said.inner_text() == "Choose one first."
    # Shift+Tab goes from the button into the options, the arrows through them.
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    chosen = field.locator("input:checked")
    start = page.evaluate("e => [...e.closest('fieldset').querySelectorAll('input')].indexOf(e)",
                          chosen.element_handle())  # fmt: skip
    for _ in range((asked.right - start) % len(asked.options)):
        page.keyboard.press("ArrowDown")
    field.locator("button").focus()
    page.keyboard.press("Enter")
    assert said.inner_text().startswith("✓ Right: ")
    assert asked.options[asked.right][1][:20] in said.inner_text()
    field.locator("input").nth((asked.right + 1) % 4).check()
    field.locator("button").click()
    assert said.inner_text().startswith("✗ Not this one: ")


def test_it_does_not_scroll_sideways_on_a_telephone(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
