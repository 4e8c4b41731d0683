"""The one error of the package, and how a wrong value is put into words."""

from functools import cache
from typing import Any


class EmolibError(Exception):
    """An error whose message names the cause and the remedy.

    All errors that a user can cause derive from it, so the command line and a caller catch one
    class; anything else that is raised is a bug.
    """


def misfit(value: Any, annotation: Any) -> str:
    """Return what is wrong with a value of an annotated field, or nothing.

    Numbers must be finite; text is no number and a truth value no count.

    Examples
    --------
    >>> misfit(0.5, float), misfit("0.5", float)
    ('', 'input should be a valid number')
    """
    from pydantic import ValidationError

    try:
        _adapter(annotation).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        return problem[0].lower() + problem[1:]
    return ""


@cache
def _adapter(annotation: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(annotation, config={"strict": True, "allow_inf_nan": False})
