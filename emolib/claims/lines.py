"""A YAML file, and the lines that its parts stand in, so that an error can name them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emolib.claims.verdicts import ClaimError

# The parser in C reads the five ledgers in a tenth of a second, the one in Python in one.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Lines:
    """The data of a YAML file, and where they stand."""

    path: Path
    data: Any
    node: yaml.Node

    @classmethod
    def read(cls, path: Path) -> "Lines":
        """Read a file.

        Raises
        ------
        ClaimError
            If it is no YAML in UTF-8, is empty or has a field twice; the message names file, line
            and remedy.
        """
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise ClaimError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8.") from None
        if at := text.find("\x00") + 1:
            line = text.count("\n", 0, at) + 1
            raise ClaimError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8.")
        try:
            loader = _LOADER(text)
            node = loader.get_single_node()
            data = loader.construct_document(node) if node else None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            start = getattr(error, "position", 0)
            line = mark.line + 1 if mark else text.count("\n", 0, start) + 1
            cause = getattr(error, "problem", None) or " ".join(str(error).split())[:80]
            remedy = "Mend the indentation, the quotation marks or the brackets there."
            raise ClaimError(f"{path}, line {line}: not valid YAML ({cause}). {remedy}") from None
        if not isinstance(data, dict):
            remedy = "Write 'paper:' and 'claims:' at its top."
            raise ClaimError(f"{path}, line 1: no ledger in it. {remedy}")
        lines = cls(path, data, node)
        lines._refuse_doubles(node)
        return lines

    def of(self, place: Sequence[str | int]) -> int:
        """Return the line of a part, ``("claims", 3, "id")``, or of what it should stand in."""
        node = self.node
        line = node.start_mark.line
        for step in place:
            if isinstance(node, yaml.MappingNode):
                found = [pair for pair in node.value if pair[0].value == step]
                if found:
                    line, node = found[0][0].start_mark.line, found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                node = node.value[step]
                line = node.start_mark.line
        return line + 1

    def _refuse_doubles(self, node: yaml.Node) -> None:
        """Refuse a mapping with a field twice, of which YAML would take the last."""
        if isinstance(node, yaml.SequenceNode):
            for each in node.value:
                self._refuse_doubles(each)
        elif isinstance(node, yaml.MappingNode):
            seen = set()
            for key, value in node.value:
                if isinstance(key.value, str) and key.value in seen:
                    where = f"{self.path}, line {key.start_mark.line + 1}"
                    raise ClaimError(f"{where}: a second {key.value!r}. Delete one of the two.")
                seen.add(str(key.value))
                self._refuse_doubles(value)
