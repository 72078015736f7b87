"""The answer event: the best span, all spans, the model, and the question's position.

The fields of the best span have the names of Hugging Face's question-answering pipeline. Always
`context[start:end] == answer`, in Unicode code points, end exclusive.
"""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class OutputEvent(BaseModel):
    """Base of the events that a worker writes. The JSON has every field, also null ones."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Span(OutputEvent):
    """A part of the context. The empty span at 0 means that the context has no answer."""

    answer: str = Field(description="`context[start:end]`")
    score: float = Field(ge=0.0, le=1.0, description="the model's probability of this span")
    start: int = Field(ge=0, description="Unicode code points before the answer")
    end: int = Field(ge=0, description="code points up to the answer's end, exclusive")


class ModelInfo(OutputEvent):
    """The model that produced the outcome."""

    name: str = Field(description="name of the model bundle")
    revision: str | None = Field(None, description="source commit of the weights")
    sha256: str = Field(description="SHA-256 of the model file")
    precision: str = Field(description="precision of the weights: int8, float16, float32 …")
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
    answer: str = Field(description="the best span: `context[start:end]`")
    score: float = Field(ge=0.0, le=1.0, description="the model's probability of this span")
    start: int = Field(ge=0, description="Unicode code points before the answer")
    end: int = Field(ge=0, description="code points up to the answer's end, exclusive")
    answered: bool = Field(description="false if the model prefers no answer to the best span")
    answers: list[Span] = Field(description="up to top_k spans, best first")
    model: ModelInfo
    windows: int = Field(description="number of windows that the context was split into")
    source: Source | None = Field(None, description="null if the question came from no topic")
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="the question's metadata, unchanged"
    )
