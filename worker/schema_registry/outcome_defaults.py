"""What formats leave out of outcomes: nulls, and with Protobuf the fields that have their default.
Pure.
"""

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from schemas.answer import Answer
from schemas.embedding import Embedding

_DEFAULTS = {str: "", int: 0, float: 0.0, bool: False}


def complete_outcome(document: Any) -> Any:
    """The outcome as a worker writes it in JSON; the document itself if it is not an outcome."""
    if not isinstance(document, Mapping):
        return document
    model = Embedding if "dims" in document else Answer
    try:
        outcome = model.model_validate(_with_defaults(document, model))
    except ValidationError:
        return document
    return outcome.model_dump(mode="json")


def _with_defaults(document: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The document with the required fields that it lacks, as proto3 defines their defaults."""
    filled = dict(document)
    for name, field in model.model_fields.items():
        of, is_list = _type(field.annotation)
        value = document.get(name)
        if value is None:
            if field.is_required() and (is_list or of in _DEFAULTS):
                filled[name] = [] if is_list else _DEFAULTS[of]
        elif issubclass(of, BaseModel):
            each = value if is_list else [value]
            parts = [
                _with_defaults(part, of) if isinstance(part, Mapping) else part for part in each
            ]
            filled[name] = parts if is_list else parts[0]
    return filled


def _type(annotation: Any) -> tuple[type, bool]:
    """The type of a field or of its list's items, and whether it is a list."""
    if get_origin(annotation) is list:
        return _type(get_args(annotation)[0])[0], True
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation, False
    # `X | None`
    types = [part for part in get_args(annotation) if isinstance(part, type)]
    return (types[0] if types else object), False
