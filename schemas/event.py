"""Base of the events that producers send (`Question`, `Text`): id and metadata.

Types are strict: a number is not accepted as a string. Unknown fields are ignored, so that
producers can add fields of their own.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from schemas.answer import Answer
from schemas.embedding import Embedding
from schemas.expiry import ExpiryTime

Outcome = Answer | Embedding
"""What a worker writes for a valid event."""

O_co = TypeVar("O_co", bound=Outcome, covariant=True)


def finite(value: JsonValue) -> JsonValue:
    """Validates that the numbers in `value` are finite. Raises `ValueError`."""
    # 1e999 is valid JSON but parses as infinity, which JSON cannot represent.
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("holds a number out of range")
    if isinstance(value, dict):
        for item in value.values():
            finite(item)
    elif isinstance(value, list):
        for item in value:
            finite(item)
    return value


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank")
    return text


NonBlankStr = Annotated[str, AfterValidator(_not_blank), Field(json_schema_extra={"minLength": 1})]
"""A string with at least one character that is not white space. The JSON Schema is weaker: it only
requires a non-empty string."""


class Event(BaseModel, Generic[O_co]):
    """An event whose outcome is an `O_co`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    ACCEPTS: ClassVar[str]
    """Part of the error for an event of another type: what a worker for this type accepts."""
    OUTCOME: ClassVar[type[Outcome]]
    """The type of its outcomes."""

    id: str | None = Field(
        None,
        min_length=1,
        description="copied to the outcome; default: the CloudEvents id, otherwise "
        "topic-partition-offset",
    )
    metadata: dict[str, Annotated[JsonValue, AfterValidator(finite)]] = Field(
        default_factory=dict,
        description="any JSON, copied unchanged to the outcome; its numbers must be finite",
    )

    expires_at: ExpiryTime | None = Field(
        None,
        description="the outcome is not needed after this time (RFC 3339, with a zone); a record "
        "may state it in a header or a CloudEvents attribute too, and the earliest counts",
    )

    @classmethod
    def fits(cls, document: Mapping[str, Any]) -> bool:
        """Whether the document has the fields that an event needs, whatever their values."""
        return all(
            name in document for name, field in cls.model_fields.items() if field.is_required()
        )

    def without_metadata(self) -> Self:
        """This event without what is not needed to read it: metadata, on any level."""
        return self.model_copy(update={"metadata": {}}) if self.metadata else self

    def with_default_id(self, default_id: str) -> Self:
        """This event, with `default_id` if it has no id."""
        if self.id is not None:
            return self
        return self.model_copy(update={"id": default_id})
