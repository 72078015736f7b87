"""What a producer sends to have answered: a question, the context, and how to read it."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from schemas.answer import Answer
from schemas.event import Event, NonBlankStr


class ReadingOptions(BaseModel):
    """How to read one question. What is left out, or null, is the worker's to choose.

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


class Question(Event[Answer]):
    """A question event. Offsets in its answer count Unicode code points of `context`."""

    TAKES: ClassVar[str] = "questions with their contexts, and answers them"

    question: NonBlankStr = Field(description="not blank")
    context: str = Field(min_length=1, description="where the answer is looked for")
    # Written into the published schema as it is sent, and not with a null for each option.
    options: ReadingOptions = Field(ReadingOptions(), json_schema_extra={"default": {}})
