"""Turns exceptions into one line of text."""

from pydantic import ValidationError


def first_line(error: BaseException) -> str:
    """The first line of the message, or the class name if there is no message."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def first_problem(error: ValidationError, *, whole: str = "") -> str:
    """`field.subfield: message` of the first problem; `whole` stands for the value as a whole."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in first["loc"]) or whole
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
