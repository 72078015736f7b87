"""What a consumer receives: the best span flat on top, every span below, and where it came from.

The flat fields carry the names of Hugging Face's question-answering pipeline. Always:
`context[start:end] == answer`, in Unicode code points, end exclusive.
"""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class OutputEvent(BaseModel):
    """What a worker writes. Every field is there in its JSON, also where it is null."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Span(OutputEvent):
    """A piece of the context. The empty span at 0 says that the context holds no answer."""

    answer: str = Field(description="`context[start:end]`")
    score: float = Field(ge=0.0, le=1.0, description="the model's probability of this span")
    start: int = Field(ge=0, description="Unicode code points before the answer")
    end: int = Field(ge=0, description="code points up to the answer's end, exclusive")


class ModelInfo(OutputEvent):
    """The model that read the event."""

    name: str = Field(description="of its bundle")
    revision: str | None = Field(None, description="the commit that the weights are from")
    sha256: str = Field(description="of the model file")
    precision: str = Field(description="of the weights: int8, float16, float32 …")
    provider: str = Field("cpu", description="what ran it: cpu, cuda or openvino")


class Source(OutputEvent):
    """The record that held the event."""

    topic: str
    partition: int
    offset: int


class Answer(OutputEvent):
    """An answer event: the best span, and in `answers` every span that was asked for."""

    TYPE: ClassVar[str] = "qa.answer"
    """The CloudEvents `type`."""

    id: str = Field(description="the question's own, else its CloudEvents id, else its place")
    answer: str = Field(description="the best span: `context[start:end]`")
    score: float = Field(ge=0.0, le=1.0, description="the model's probability of this span")
    start: int = Field(ge=0, description="Unicode code points before the answer")
    end: int = Field(ge=0, description="code points up to the answer's end, exclusive")
    answered: bool = Field(description="false: the best reading is that there is no answer")
    answers: list[Span] = Field(description="up to top_k spans, best first")
    model: ModelInfo
    windows: int = Field(description="how many windows of the context were read")
    source: Source | None = Field(None, description="null where no topic was involved")
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="the question's, untouched"
    )
