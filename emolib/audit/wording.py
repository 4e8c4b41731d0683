"""The sentences of the audit: ``wording.yml`` beside this file holds them, with blanks."""

import functools
import string
from collections.abc import Iterable
from pathlib import Path
from typing import SupportsFloat

import yaml


class _Blanks(string.Formatter):
    """Blanks as `str.format` knows them, and two more: lists, and shares of one in per cent."""

    def format_field(self, value: object, spec: str) -> str:
        """Join a list by what stands in place of a format; write ``.2%`` as ``97.56 %``."""
        if isinstance(value, Iterable) and not isinstance(value, str):
            return (spec or ", ").join(map(str, value))
        if spec.endswith("%") and isinstance(value, SupportsFloat):
            return f"{100 * float(value):{spec[:-1]}f} %"
        return super().format_field(value, spec)


@functools.cache
def _sentences() -> dict[str, str]:
    return yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))


def say(sentences: str, **words: object) -> str:
    """Return sentences of ``wording.yml``, their names apart by spaces, with blanks filled in."""
    return "".join(_Blanks().vformat(_sentences()[name], (), words) for name in sentences.split())
