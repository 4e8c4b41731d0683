"""What sphinx-autodoc2 needs to make the API pages: the format of docstrings, the look of a module.

A page of ``book/api`` names modules and packages with the directive ``autodoc2-object``. Their
sources are read, not imported: a page about the package needs none of its libraries.
"""

import re
from collections.abc import Iterator

from autodoc2.render.myst_ import MystRenderer
from autodoc2.utils import ItemData
from docutils import nodes
from docutils.parsers import rst
from sphinx.ext.napoleon import Config, NumpyDocstring

_NAPOLEON = Config(napoleon_use_ivar=True, napoleon_use_rtype=False)
_NAME = re.compile(r"(?<![:`\w])`([^`]+)`(?![`_])")


class Parser(rst.Parser):
    """Docstrings in the format of numpydoc; what stands in single backticks is code."""

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Add what a docstring says to `document`."""
        text = str(NumpyDocstring(inputstring, _NAPOLEON))  # type: ignore[arg-type] # as Sphinx does
        super().parse(_NAME.sub(r"``\1``", text), document)


class Renderer(MystRenderer):
    """A module is a section: what it says of itself, and its public names in the file's order."""

    def render_package(self, item: ItemData) -> Iterator[str]:
        """Yield the Markdown of a module, or of a package and its modules."""
        name = item["full_name"]
        yield from (f"## `{name}`", "", f"```{{py:module}} {name}", "```", "")
        yield from (f"```{{autodoc2-docstring}} {name}", f":parser: {__name__}", "```", "")
        inside = {"package", "module"}
        children = list(self.get_children(item))
        for child in sorted(children, key=lambda child: child["type"] in inside):
            yield from self.render_item(child["full_name"])
