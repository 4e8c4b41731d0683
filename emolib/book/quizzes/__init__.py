"""Five questions at the end of a chapter, answered on the page: no kernel, no network.

The questions lie in ``<chapter>.yml``: a list of mappings with ``question``, ``options`` (each with
``text`` and ``why``), and ``right``, the position of the right option, counted from 0. Texts are
Markdown of one paragraph. ``{ding_parameters:,}`` puts a computed number there: see
`emolib.book.quizzes.facts`.
"""

import html
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from emolib.errors import EmolibError


class QuizError(EmolibError, ValueError):
    """A quiz that is not there, or is not written as it should be."""


@dataclass(frozen=True)
class Question:
    """A question, its options with a sentence on each, and which of them is right."""

    question: str
    options: tuple[tuple[str, str], ...]
    right: int


@dataclass(frozen=True)
class Quiz:
    """The questions of a chapter, shown as a form."""

    chapter: str
    questions: tuple[Question, ...]

    def __repr__(self) -> str:
        """Return the questions as a terminal shows them."""
        return "\n".join(f"{i}. {one.question}" for i, one in enumerate(self.questions, 1))

    def _repr_html_(self) -> str:
        asked = "".join(
            _fieldset(f"quiz-{self.chapter}-{i}", f"{i}. {one.question}", one)
            for i, one in enumerate(self.questions, 1)
        )
        return f'<div class="emolib-quiz" id="quiz-{self.chapter}">{asked}</div>{_SCRIPT}'


def names() -> list[str]:
    """Return the chapters that have a quiz."""
    files = (file.name for file in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".yml") for name in files if name.endswith(".yml"))


def show(chapter: str) -> Quiz:
    """Return a chapter's quiz, which a notebook shows as the last value of a cell.

    Raises
    ------
    QuizError
        If the chapter has none; the message names those that have.
    """
    if chapter not in names():
        raise QuizError(f"no quiz {chapter!r}: there are {', '.join(names())}")
    text = resources.files(__name__).joinpath(f"{chapter}.yml").read_text(encoding="utf8")
    return Quiz(chapter, tuple(map(_question, yaml.safe_load(text))))


def _question(entry: dict[str, Any]) -> Question:
    options = tuple((_computed(one["text"]), _computed(one["why"])) for one in entry["options"])
    return Question(_computed(entry["question"]), options, entry["right"])


class _Facts(dict):
    """Numbers by their names, computed when a text asks for them."""

    def __missing__(self, name: str) -> Any:
        from emolib.book.quizzes import facts

        return getattr(facts, name)()


def _computed(text: str) -> str:
    return str(text).format_map(_Facts())


def _fieldset(name: str, legend: str, asked: Question) -> str:
    options = "".join(
        f'<label><input type="radio" name="{name}" data-why="{html.escape(_inline(why))}"'
        f"{' data-right' * (i == asked.right)}><span>{_inline(text)}</span></label>"
        for i, (text, why) in enumerate(asked.options)
    )
    right = _inline(asked.options[asked.right][0])
    return (
        f"<fieldset><legend>{_inline(legend, number=True)}</legend>{options}"
        f'<button type="button">Check</button><p role="status"></p>'
        f"<noscript><details><summary>Answer</summary>{right}</details></noscript></fieldset>"
    )


def _inline(text: str, number: bool = False) -> str:
    from markdown_it import MarkdownIt

    return MarkdownIt().renderInline(text if number else text.strip())


_SCRIPT = """<script>
for (const field of document.querySelectorAll(".emolib-quiz fieldset:not([data-ready])")) {
  field.dataset.ready = "";
  field.querySelector("button").addEventListener("click", () => {
    const chosen = field.querySelector("input:checked");
    const said = field.querySelector("[role=status]");
    const right = chosen && "right" in chosen.dataset;
    said.innerHTML = !chosen ? "Choose one first."
      : (right ? "✓ Right: " : "✗ Not this one: ") + chosen.dataset.why;
    said.className = "emolib-outcome emolib-" + (right ? "right" : chosen ? "wrong" : "turn");
  });
}
</script>"""
