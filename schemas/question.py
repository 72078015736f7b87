"""The question event: a question, its context or passages, and options for decoding the answer."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from schemas.answer import Answer, OffsetUnit
from schemas.event import Event, NonBlankStr, finite

NO_CONTEXT = "no_context"
TWO_FORMS = "two_forms"
"""Types of validation errors. Their messages begin with the name of a field."""

MAX_CONTEXTS = 1000
"""Limit of the format; a worker's is lower. Decoding stops there: a record of 1 MB may hold 75,000
passages, which take 50 MB."""


class ReadingOptions(BaseModel):
    """Options of one question. For an option that is omitted or null, the worker's setting applies,
    or the default that its description names.

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
    per_context: int | None = Field(
        None, ge=1, description="number of spans of each passage that compete; default: all"
    )
    overlap: float | None = Field(
        None,
        ge=0,
        le=1,
        description="drop a span that shares more than this part of its characters, or of the "
        "other's, with a better span of the same passage; default: 1, none is dropped",
    )
    retriever_weight: float | None = Field(
        None,
        ge=0,
        le=100,
        allow_inf_nan=False,
        description="multiply the score of a span by its passage's score to this power; default: 0",
    )
    min_score: float | None = Field(
        None, ge=0, le=1, description="a best span with a lower score is not taken for an answer"
    )
    offsets: OffsetUnit | None = Field(
        None,
        description="what `start` and `end` count: Unicode code points, UTF-16 code units or "
        "bytes of UTF-8",
    )


class Passage(BaseModel):
    """One of the texts that may contain the answer, for example a retriever's result."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    # Every span of an answer has the id of its passage.
    id: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="copied to the spans of this passage as `context_id`",
    )
    text: NonBlankStr = Field(description="the text; not blank")
    score: float | None = Field(
        None, ge=0, le=1, description="the retriever's score, for the option retriever_weight"
    )
    metadata: dict[str, Annotated[JsonValue, AfterValidator(finite)]] = Field(
        default_factory=dict, description="any JSON; not copied to the answer"
    )


def _one_of_context_and_contexts(schema: dict[str, Any]) -> None:
    null = {"type": "null"}
    schema["oneOf"] = [
        {
            "required": ["context"],
            "properties": {"context": {"type": "string"}, "contexts": null},
        },
        {
            "required": ["contexts"],
            "properties": {"contexts": {"type": "array"}, "context": null},
        },
    ]


class Question(Event[Answer]):
    """A question event, with either one context or several passages.

    Offsets in its answer count in `context`, or in the `text` of the passage at `context_index`.
    """

    ACCEPTS: ClassVar[str] = "questions with a context"
    OUTCOME: ClassVar[type[Answer]] = Answer

    model_config = ConfigDict(json_schema_extra=_one_of_context_and_contexts)

    question: NonBlankStr = Field(description="the question; not blank")
    context: str | None = Field(
        None, min_length=1, description="the text that contains the answer; or else `contexts`"
    )
    contexts: list[Passage] | None = Field(
        None,
        min_length=1,
        max_length=MAX_CONTEXTS,
        description="the passages that may contain the answer; or else `context`",
    )
    # The published schema then shows {} as the default, not a null for each option.
    options: ReadingOptions = Field(ReadingOptions(), json_schema_extra={"default": {}})

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        if self.context is None and self.contexts is None:
            raise PydanticCustomError(NO_CONTEXT, "context: is missing, and so is contexts")
        if self.context is not None and self.contexts is not None:
            raise PydanticCustomError(TWO_FORMS, "contexts: is not allowed beside context")
        return self

    @classmethod
    def fits(cls, document: Mapping[str, Any]) -> bool:
        return "question" in document and ("context" in document or "contexts" in document)

    @property
    def passages(self) -> Sequence[Passage]:
        """The passages; a single context is one passage without id and score."""
        if self.contexts is not None:
            return self.contexts
        # Not validated: a blank context is valid, and has no answer.
        return [Passage.model_construct(text=self.context or "", id=None, score=None, metadata={})]

    def without_metadata(self) -> Self:
        own = super().without_metadata()
        if self.contexts is None or not any(each.metadata for each in self.contexts):
            return own
        bare = [each.model_copy(update={"metadata": {}}) for each in self.contexts]
        return own.model_copy(update={"contexts": bare})
