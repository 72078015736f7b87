"""What a consumer receives: the best span flat on top, every span below, and where it came from.

The flat fields carry the names of Hugging Face's question-answering pipeline. Always:
`context[start:end] == answer`, in Unicode code points, end exclusive.
"""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Span(BaseModel):
    """A piece of the context. The empty span at 0 says that the context holds no answer."""

    model_config = ConfigDict(frozen=True)

    answer: str
    score: float = Field(ge=0.0, le=1.0)
    start: int = Field(ge=0, description="code points before the answer")
    end: int = Field(ge=0, description="code points up to the answer's end, exclusive")


class ModelInfo(BaseModel):
    """The model that read the event."""

    model_config = ConfigDict(frozen=True)

    name: str
    revision: str | None = Field(None, description="the commit that the weights are from")
    sha256: str = Field(description="of the model file")
    precision: str = Field(description="of the weights: int8, float16, float32 …")
    provider: str = Field("cpu", description="what ran it: cpu, cuda or openvino")


class Source(BaseModel):
    """The record that held the event."""

    model_config = ConfigDict(frozen=True)

    topic: str
    partition: int
    offset: int


class Answer(BaseModel):
    """An answer event."""

    model_config = ConfigDict(frozen=True)

    TYPE: ClassVar[str] = "qa.answer"
    """The CloudEvents `type`."""

    id: str
    answer: str
    score: float = Field(ge=0.0, le=1.0)
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    answered: bool = Field(description="false: the best reading is that there is no answer")
    answers: list[Span] = Field(description="up to top_k spans, best first")
    model: ModelInfo
    windows: int = Field(description="how many windows of the context were read")
    source: Source | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
