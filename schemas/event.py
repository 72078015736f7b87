"""What every event of a producer has: an id, and metadata that comes back untouched.

The kinds of event are `question` and `text`, each with the outcome that it leads to. Types are
strict (a number is no text), and unknown fields are ignored so that producers can add their own.
"""

import math
from typing import Annotated, ClassVar, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from schemas.answer import Answer
from schemas.embedding import Embedding

Outcome = Answer | Embedding
"""What a worker makes of an event that it can read."""

O_co = TypeVar("O_co", bound=Outcome, covariant=True)


def _finite(value: JsonValue) -> JsonValue:
    # 1e999 is JSON, but it reads as infinity, which cannot be written back as JSON.
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("holds a number out of range")
    if isinstance(value, dict):
        for item in value.values():
            _finite(item)
    elif isinstance(value, list):
        for item in value:
            _finite(item)
    return value


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank")
    return text


NonBlankStr = Annotated[
    str, AfterValidator(_says_something), Field(json_schema_extra={"minLength": 1})
]
"""A text that is not blank. JSON Schema says less: that it is not empty."""


class Event(BaseModel, Generic[O_co]):
    """An event that leads to an `O_co`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    TAKES: ClassVar[str]
    """What a worker for this kind of event takes, in words, for whoever sent it another kind."""

    id: str | None = Field(
        None,
        min_length=1,
        description="comes back on the outcome; without one, the CloudEvents id does, or "
        "else topic-partition-offset",
    )
    metadata: dict[str, Annotated[JsonValue, AfterValidator(_finite)]] = Field(
        default_factory=dict,
        description="comes back on the outcome, untouched; its numbers are finite",
    )

    def named(self, default_id: str) -> Self:
        """This event with an id: its own, or `default_id` where it has none."""
        if self.id is not None:
            return self
        return self.model_copy(update={"id": default_id})
