"""The question event: a question, its context, and options for decoding the answer."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from schemas.answer import Answer
from schemas.event import Event, NonBlankStr


class ReadingOptions(BaseModel):
    """Options of one question. For an option that is omitted or null, the worker's setting applies.

    The bounds here are those of the format. A worker may have tighter limits, and rejects a
    question that exceeds them.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    top_k: int | None = Field(None, ge=1, description="number of spans to return, best first")
    max_answer_tokens: int | None = Field(None, ge=1, description="longest answer, in tokens")
    doc_stride: int | None = Field(
        None, ge=0, description="overlap of neighbouring windows, in tokens"
    )
    no_answer: bool | None = Field(None, description="whether the answer may be empty")
    no_answer_threshold: float | None = Field(
        None,
        ge=-100,
        le=100,
        allow_inf_nan=False,
        description="the empty answer wins if its logits exceed those of the best span by more "
        "than this",
    )
    align_to_words: bool | None = Field(
        None, description="whether answers are extended to whole words"
    )


class Question(Event[Answer]):
    """A question event. Offsets in its answer count Unicode code points of `context`."""

    ACCEPTS: ClassVar[str] = "questions with a context"

    question: NonBlankStr = Field(description="the question; not blank")
    context: str = Field(min_length=1, description="the text that contains the answer")
    # The published schema then shows {} as the default, not a null for each option.
    options: ReadingOptions = Field(ReadingOptions(), json_schema_extra={"default": {}})
