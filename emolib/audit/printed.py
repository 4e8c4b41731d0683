"""Numbers as they stand in print, and arithmetic that carries their rounding along."""

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from emolib.audit.wording import say
from emolib.errors import EmolibError

CONVENTIONS = ("rounded", "truncated")


class AuditError(EmolibError, ValueError):
    """A table that cannot be read; the message names the file, the place and the remedy."""


@dataclass(frozen=True)
class Window:
    """The true values that print as one number: ``low/scale`` to ``high/scale``.

    The upper end belongs to the window unless `open` (truncation).
    """

    low: int
    high: int
    scale: int
    open: bool = False

    def ends(self, n: Any) -> tuple[Any, Any]:
        """The first and the last whole k with k/n in the window, for one n or an array of them."""
        first, last = -(-self.low * n // self.scale), self.high * n // self.scale
        return first, -(-self.high * n // self.scale) - 1 if self.open else last

    def numerators(self, n: int) -> range:
        """Whole k with k/n in the window."""
        first, last = self.ends(n)
        return range(max(first, 0), min(last, n) + 1)

    def denominators(self, k: int, limit: int) -> range:
        """Whole n ≤ limit with k/n in the window (k ≥ 1)."""
        first = k * self.scale // self.high + 1 if self.open else -(-k * self.scale // self.high)
        last = limit if self.low <= 0 else k * self.scale // self.low
        return range(max(first, k), min(last, limit) + 1)

    def holds(self, k: int, n: int) -> bool:
        """Whether k/n lies in the window."""
        below = k * self.scale < self.high * n if self.open else k * self.scale <= self.high * n
        return self.low * n <= k * self.scale and below

    @property
    def bounds(self) -> tuple[Fraction, Fraction]:
        """Both ends as fractions."""
        return Fraction(self.low, self.scale), Fraction(self.high, self.scale)


@dataclass(frozen=True)
class Printed:
    """A number as it stands in print, with the precision that its digits imply.

    Parameters
    ----------
    text : str
        The digits: ``"97.50"``. A sign is allowed; thousands commas are dropped.
    percent : bool
        Whether the digits count hundredths.
    """

    text: str
    percent: bool = False

    @classmethod
    def parse(cls, text: str, percent: bool | None = None) -> "Printed":
        """Read ``"97.50"``, ``"97.50 %"``, ``"~72"``, ``"7,356"`` or ``"−1.84"``."""
        clean = text.strip().lstrip("~≈≤<").replace("−", "-").replace(",", "").strip()
        marked = clean.endswith("%")
        clean = clean.rstrip("% ")
        if not re.fullmatch(r"[-+]?[0-9]{1,18}(\.[0-9]{1,9})?", clean):
            raise ValueError(say("no-number", text=text[:40]))
        return cls(clean, True if marked else bool(percent))

    @property
    def decimals(self) -> int:
        """Digits after the point."""
        return len(self.text.partition(".")[2])

    @property
    def value(self) -> Fraction:
        """The number itself, on the scale where 1 is the whole."""
        return Fraction(self.text) / (100 if self.percent else 1)

    @property
    def share(self) -> "Printed":
        """The same digits as a share of the whole: above 1 they must be per cent."""
        return self if self.percent or self.value <= 1 else Printed(self.text, percent=True)

    def window(self, convention: str = "rounded") -> Window:
        """What it may have been before it was printed."""
        scale = 10 ** (self.decimals + 2 * self.percent)
        units = int(self.value * scale)
        if convention == "rounded":
            return Window(2 * units - 1, 2 * units + 1, 2 * scale)
        if units < 0:  # truncation moves towards zero
            return Window(units - 1, units, scale)
        return Window(units, units + 1, scale, open=True)

    def __str__(self) -> str:
        """The digits, marked if they are a percentage."""
        return self.text + (" %" if self.percent else "")


def hull(value: Printed) -> tuple[Fraction, Fraction]:
    """Everything that prints as `value`, rounded or truncated."""
    lows, highs = zip(*(value.window(c).bounds for c in CONVENTIONS), strict=True)
    return min(lows), max(highs)


Interval = tuple[Fraction, Fraction]
_OPERATORS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
LONGEST = 1000  # characters of an expression, and binary digits of a power


def evaluate(expression: str, printed: Mapping[str, str] | None = None) -> tuple[float, Interval]:
    """Evaluate printed arithmetic, carrying the rounding of every printed number along.

    ``{108.00}`` is a printed number (± half a unit of its last digit); bare numbers are exact.
    A name in braces is looked up in `printed`. Allowed: ``+ - * /``, whole powers, parentheses,
    ``min``, ``max``, ``abs`` and comparisons (1 if certainly true, 0 if certainly false).

    Returns
    -------
    value : float
        The result with the printed numbers taken at face value.
    interval : tuple of Fraction
        The least and the greatest result that rounding allows.
    """
    printed = printed or {}
    texts: list[str] = []

    def hold(match: re.Match) -> str:
        inside = match[1].strip()
        texts.append(printed.get(inside, inside))
        return f"_{len(texts) - 1}"

    try:
        if len(expression) > LONGEST:
            raise ValueError(f"longer than {LONGEST} characters")
        tree = ast.parse(re.sub(r"\{([^{}]+)\}", hold, expression).strip(), mode="eval")
        numbers = [Printed.parse(text.rstrip("%× ")) for text in texts]
        exact = {f"_{i}": (number.value, number.value) for i, number in enumerate(numbers)}
        rounded = {f"_{i}": number.window().bounds for i, number in enumerate(numbers)}
        return float(_interval(tree.body, exact)[0]), _interval(tree.body, rounded)
    except (ValueError, ArithmeticError, SyntaxError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", None) or error
        raise AuditError(say("no-arithmetic", text=expression[:80], reason=reason)) from None


def _interval(node: ast.AST, names: Mapping[str, Interval]) -> Interval:
    """Evaluate one node of an expression by interval arithmetic."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return (Fraction(str(number)),) * 2
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            low, high = _interval(operand, names)
            return -high, -low
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() as power)):
            low, high = _interval(left, names)
            digits = max(abs(n).bit_length() for end in (low, high) for n in end.as_integer_ratio())
            if not 0 <= power * digits <= LONGEST:
                raise AuditError(f"a power of {power} is too large, or below zero")
            ends = [low**power, high**power] + ([Fraction(0)] if low < 0 < high else [])
            return min(ends), max(ends)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _interval(left, names), _interval(right, names)
            if type(op) not in _OPERATORS:
                raise AuditError(f"{type(op).__name__} is not allowed in printed arithmetic")
            if isinstance(op, ast.Div) and b[0] <= 0 <= b[1]:
                raise AuditError("Division by a number that may be zero")
            ends = [_OPERATORS[type(op)](x, y) for x in a for y in b]
            return min(ends), max(ends)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            a, b = _interval(left, names), _interval(right, names)
            if isinstance(op, ast.Lt | ast.LtE):
                a, b = b, a
            elif not isinstance(op, ast.Gt | ast.GtE):
                raise AuditError("Only < <= > >= are allowed in printed arithmetic")
            return Fraction(int(a[0] > b[1])), Fraction(int(a[1] >= b[0]))
        case ast.BoolOp(op=ast.And(), values=values):
            lows, highs = zip(*(_interval(value, names) for value in values), strict=True)
            return min(lows), min(highs)
        case ast.Call(func=ast.Name(id="min" | "max" as name), args=args):
            lows, highs = zip(*(_interval(arg, names) for arg in args), strict=True)
            return (min(lows), min(highs)) if name == "min" else (max(lows), max(highs))
        case ast.Call(func=ast.Name(id="abs"), args=[arg]):
            low, high = _interval(arg, names)
            return max(low, -high, Fraction(0)), max(-low, high)
    raise AuditError(f"{ast.unparse(node)!r} is not allowed in printed arithmetic")


def agrees(
    printed: Printed, interval: Interval, conventions: Iterable[str] = CONVENTIONS
) -> str | None:
    """Return the convention under which `interval` may print as `printed`, or None."""
    for convention in conventions:
        window = printed.window(convention)
        low, high = window.bounds
        below = interval[0] < high or (interval[0] == high and not window.open)
        if below and interval[1] >= low:
            return convention
    return None
