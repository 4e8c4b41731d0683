"""Quizzes: five questions a chapter, numbers computed, a sentence on every option."""

import inspect
import re

import pytest

from emolib import paths
from emolib.book import quizzes
from emolib.book.quizzes import facts

every_chapter = pytest.mark.parametrize("chapter", quizzes.names())


@every_chapter
def test_it_has_five_questions_with_one_right_option_and_a_reason_for_each(chapter):
    quiz = quizzes.show(chapter)
    assert len(quiz.questions) == 5
    for asked in quiz.questions:
        texts = [text for text, _ in asked.options]
        assert len(set(texts)) == len(texts) >= 3
        assert 0 <= asked.right < len(texts)
        assert all(len(why) > 8 for _, why in asked.options)
        assert not re.search(r"[{}]", repr(asked))


@every_chapter
def test_it_belongs_to_a_notebook(chapter):
    assert (paths.PROJECT / "notebooks" / f"{chapter}.ipynb").is_file()


def test_the_right_option_is_not_always_at_the_same_place():
    right = [asked.right for name in quizzes.names() for asked in quizzes.show(name).questions]
    assert len(right) >= 45
    for place in range(3):
        assert 0.15 < right.count(place) / len(right) < 0.5


def test_every_computed_fact_is_asked_for_and_every_number_asked_for_is_a_fact():
    texts = "".join(file.read_text() for file in (paths.PACKAGE / "book" / "quizzes").glob("*.yml"))
    asked = set(re.findall(r"\{(\w+)", texts)) - {"name"}
    known = {
        name
        for name, value in vars(facts).items()
        if inspect.isfunction(value) and value.__module__ == facts.__name__ and name[0] != "_"
    }
    assert asked == known


@every_chapter
def test_it_is_a_form_that_needs_no_mouse_and_no_script_to_read(chapter):
    from bs4 import BeautifulSoup

    shown = BeautifulSoup(quizzes.show(chapter)._repr_html_(), "html.parser")
    fields = shown.select("fieldset")
    assert len(fields) == 5
    groups = {radio["name"] for radio in shown.select("input[type=radio]")}
    assert len(groups) == 5
    for field in fields:
        assert field.legend.get_text()
        assert len(field.select("[data-right]")) == 1
        assert all(radio.parent.name == "label" for radio in field.select("input"))
        assert field.select_one("noscript summary")


def test_a_chapter_without_a_quiz_is_refused_by_naming_those_that_have():
    with pytest.raises(quizzes.QuizError, match="no quiz 'nobody': there are ding"):
        quizzes.show("nobody")
