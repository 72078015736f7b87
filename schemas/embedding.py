"""The embedding event: the vector of a text, the model, and the text's position."""

from typing import ClassVar

from pydantic import Field, JsonValue

from schemas.answer import ModelInfo, OutputEvent, Source


class Embedding(OutputEvent):
    """An embedding event. Parsed as float32, its numbers are exactly the model's output."""

    TYPE: ClassVar[str] = "qa.embedding"
    """The CloudEvents `type`."""

    id: str = Field(
        description="the text's id, otherwise its CloudEvents id, otherwise topic-partition-offset"
    )
    embedding: list[float] = Field(
        description="float32 vector; the model's bundle defines the pooling"
    )
    dims: int = Field(ge=1, description="length of the embedding")
    model: ModelInfo
    windows: int = Field(description="number of windows that the text was split into")
    source: Source | None = Field(None, description="null if the text came from no topic")
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="the text's metadata, unchanged"
    )
