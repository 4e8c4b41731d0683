"""What an audit hands back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from emolib.audit.printed import AuditError

Level = Literal["impossible", "identified", "notice", "consistent", "undecided"]


@dataclass(frozen=True)
class Finding:
    """One thing that the numbers give away.

    Attributes
    ----------
    id : str
        Stable name: ``table3/supports``.
    level : str
        ``impossible`` (no experiment prints this), ``identified`` (recovered from the digits),
        ``notice`` (possible, but not what one would think), ``consistent``, ``undecided``.
    text : str
        One or two sentences.
    data : dict
        The numbers behind the sentence, JSON-ready.
    """

    id: str
    level: Level
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AuditReport:
    """All findings about one paper or one table."""

    title: str
    findings: tuple[Finding, ...]

    def find(self, finding: str) -> Finding:
        """Return the finding with this id."""
        by_id = {each.id: each for each in self.findings}
        if finding not in by_id:
            raise AuditError(f"{self.title}: no finding {finding!r}. There are: {', '.join(by_id)}")
        return by_id[finding]

    def at(self, level: str) -> tuple[Finding, ...]:
        """Return the findings of one level."""
        return tuple(f for f in self.findings if f.level == level)

    @property
    def impossible(self) -> tuple[Finding, ...]:
        """The findings that no experiment could have printed."""
        return self.at("impossible")

    def to_dict(self) -> dict:
        """The report as plain data."""
        return asdict(self)

    def to_frame(self):
        """The report as a pandas table: id, level, text."""
        import pandas as pd

        return pd.DataFrame(self.findings, columns=["id", "level", "text"])

    def __str__(self) -> str:
        """Findings by level, what is impossible first."""
        lines = [self.title, "=" * len(self.title)]
        for level in get_args(Level):
            for finding in self.at(level):
                lines += ["", f"[{level}] {finding.id}", f"    {finding.text}"]
        return "\n".join(lines)
