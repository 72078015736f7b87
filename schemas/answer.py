"""The answer event: the best span, all spans, the model, and the question's position.

The fields of the best span have the names of Hugging Face's question-answering pipeline. Always
`context[start:end] == answer`, in the answer's unit of offsets, end exclusive. An event that is not
answered has the empty answer there, so that a consumer that does not look at `answered` takes no
unsure span for an answer; the span is in `answers`.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

OffsetUnit = Literal["code_points", "utf16", "bytes"]
"""What offsets count: Unicode code points, UTF-16 code units, or bytes of UTF-8."""


Start = Annotated[int, Field(ge=0, description="units before the answer, see `offsets`")]
End = Annotated[int, Field(ge=0, description="units up to the answer's end, exclusive")]
ContextIndex = Annotated[
    int | None, Field(ge=0, description="index of the span's passage; null for the empty answer")
]
ContextId = Annotated[str | None, Field(description="id of that passage, if it has one")]


class OutputEvent(BaseModel):
    """Base of the events that a worker writes. The JSON has every field, also null ones."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Span(OutputEvent):
    """A part of the context. The empty span at 0 means that the context has no answer."""

    answer: str = Field(description="`context[start:end]`")
    score: float = Field(
        ge=0.0,
        le=1.0,
        description="the model's probability of this span; with the option retriever_weight, times "
        "the passage's score to this power",
    )
    start: Start
    end: End
    context_index: ContextIndex = None
    context_id: ContextId = None


class ModelInfo(OutputEvent):
    """The model that produced the outcome."""

    name: str = Field(description="name of the model bundle")
    revision: str | None = Field(None, description="source commit of the weights")
    sha256: str = Field(description="SHA-256 of the model file")
    precision: str = Field(description="precision of the weights, such as int8, float16 or float32")
    provider: str = Field("cpu", description="execution provider: cpu, cuda or openvino")


class Source(OutputEvent):
    """The position of the record that contained the event."""

    topic: str
    partition: int
    offset: int


class Answer(OutputEvent):
    """An answer event: the best span, and in `answers` up to `top_k` spans."""

    TYPE: ClassVar[str] = "qa.answer"
    """The CloudEvents `type`."""

    id: str = Field(
        description="the question's id, otherwise its CloudEvents id, otherwise "
        "topic-partition-offset"
    )
    answer: str = Field(
        description="the best span: `context[start:end]`; empty if `answered` is false"
    )
    score: float = Field(
        ge=0.0,
        le=1.0,
        description="the model's probability of the best span, that of `answers[0]`; with the "
        "option retriever_weight, times the passage's score to this power",
    )
    start: Start
    end: End
    context_index: ContextIndex = None
    context_id: ContextId = None
    answered: bool = Field(
        description="false if the best span is the empty one, or if its score is below min_score; "
        "then `answers[0]` tells which: it is the empty span, or the span that is too unsure"
    )
    answers: list[Span] = Field(description="up to top_k spans, best first")
    offsets: OffsetUnit = Field(
        "code_points", description="the unit of `start` and `end`, here and in `answers`"
    )
    model: ModelInfo
    windows: int = Field(
        description="number of windows that the context, or all passages, were split into"
    )
    source: Source | None = Field(None, description="null if the question came from no topic")
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="the question's metadata, unchanged"
    )
