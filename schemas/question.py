"""What a producer sends: a question, the context that holds its answer, and how to read it.

Types are strict (a number is no text), unknown fields are ignored so that producers can add
their own, and `metadata` is anything that JSON can say; it comes back untouched.
"""

import math
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue


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


class ReadingOptions(BaseModel):
    """How to read one question; `None` leaves the choice to the worker's defaults.

    The bounds here are the format's own. A worker's limits may be tighter, and it rejects what
    exceeds them.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    top_k: int | None = Field(None, ge=1, description="how many spans to return, best first")
    max_answer_tokens: int | None = Field(None, ge=1, description="the longest answer, in tokens")
    doc_stride: int | None = Field(
        None, ge=0, description="the overlap of neighbouring windows, in tokens"
    )
    no_answer: bool | None = Field(None, description='may the answer be "none"?')
    no_answer_threshold: float | None = Field(
        None,
        ge=-100,
        le=100,
        allow_inf_nan=False,
        description='"none" wins where its logits are above those of the best span by more',
    )
    align_to_words: bool | None = Field(None, description="grow answers to whole words?")


class Question(BaseModel):
    """A question event. Offsets in its answer count Unicode code points of `context`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    id: str | None = Field(None, min_length=1, description="comes back on the answer")
    question: Annotated[str, AfterValidator(_says_something)]
    context: str = Field(min_length=1)
    options: ReadingOptions = ReadingOptions()
    metadata: dict[str, Annotated[JsonValue, AfterValidator(_finite)]] = Field(
        default_factory=dict, description="comes back on the answer, untouched"
    )

    def named(self, default_id: str) -> "Question":
        """This question with an id: its own, or `default_id` where it has none."""
        if self.id is not None:
            return self
        return self.model_copy(update={"id": default_id})
