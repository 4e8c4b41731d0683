"""A YAML file, and the lines that its parts stand in, so that an error can name them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from emolib.claims.verdicts import ClaimError

# The parser in C reads the five ledgers in a tenth of a second, the one in Python in one.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
REMEDIES = {
    "extra_forbidden": "Delete the field, or mend its name",
    "missing": "Add it",
    "string_pattern_mismatch": "Use small letters, and digits only after the paper's key",
}
Model = TypeVar("Model", bound=BaseModel)


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
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yml")))
            raise ClaimError(f"{path}: no such ledger. There are: {known or 'none'}.")
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

    def follow(self, model: type[Model]) -> Model:
        """Return the data as a model.

        Raises
        ------
        ClaimError
            If they do not follow it; each problem with file, line and remedy.
        """
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            problems = "; ".join(map(self._problem, error.errors()))
            raise ClaimError(problems) from None

    def _problem(self, problem: Any) -> str:
        """Put what pydantic says about a part into one line, with place and remedy."""
        said = problem["msg"].removeprefix("Value error, ").replace("\n", " ")
        place = list(problem["loc"]) or self._row_named_in(said)
        line = self.of(place)
        if len(place) > 1 and isinstance(place[1], int):
            row = self.data[place[0]][place[1]]
            place[1] = row.get("id", place[1]) if isinstance(row, dict) else place[1]
        remedy = REMEDIES.get(problem["type"], "Mend it there")
        where = " → ".join(map(str, place)) or "the ledger"
        return f"{self.path}, line {line}: {where}: {said}. {remedy}."

    def _row_named_in(self, said: str) -> list[str | int]:
        """Return the place of the last row that has the first id in a message."""
        rows = {
            row["id"]: [part, number, "id"]
            for part, listed in self.data.items()
            if isinstance(listed, list)
            for number, row in enumerate(listed)
            if isinstance(row, dict) and isinstance(row.get("id"), str)
        }
        ids = [word for word in re.findall(r"[a-z]+(?:-[a-z0-9.]+)+", said) if word in rows]
        return rows[ids[0]] if ids else []

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
