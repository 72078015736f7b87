"""What Avro and Protobuf schemas need to know of a pydantic model's fields. Pure."""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from schemas.expiry import ExpiryTime


@dataclass(frozen=True, slots=True)
class ModelField:
    """A field. `of` is `str`, `int`, `float`, `bool`, a model, or `dict` for any JSON object."""

    name: str
    of: type
    description: str
    is_list: bool = False
    is_nullable: bool = False
    default: Any = PydanticUndefined
    """As JSON has it; `PydanticUndefined` if the field must not be missing."""

    @property
    def has_default(self) -> bool:
        return self.default is not PydanticUndefined


def model_fields(model: type[BaseModel]) -> Iterator[ModelField]:
    """Raises `TypeError` for a type that has no counterpart."""
    for name, field in model.model_fields.items():
        of, is_nullable = _without_null(field.annotation)
        is_list = get_origin(of) is list
        if is_list:
            (of,) = get_args(of)
        yield ModelField(
            name=name,
            of=_base(of),
            description=field.description or "",
            is_list=is_list,
            is_nullable=is_nullable,
            default=_as_json(field.get_default(call_default_factory=True)),
        )


def _as_json(default: Any) -> Any:
    return default.model_dump(mode="json") if isinstance(default, BaseModel) else default


def _without_null(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        if len(parts) == 1:
            return parts[0], True
    return annotation, False


def _base(annotation: Any) -> type:
    if annotation is ExpiryTime:
        return str  # RFC 3339, with the zone that the producer states
    origin = get_origin(annotation)
    if origin is Annotated:
        return _base(get_args(annotation)[0])
    if origin is Literal:
        return str  # not an enum: a new value would not be compatible
    if origin is dict:
        return dict
    if isinstance(annotation, type):
        return annotation
    raise TypeError(f"no counterpart of {annotation}")
