"""What a consumer receives for a text: its vector, and where it came from."""

from typing import ClassVar

from pydantic import Field, JsonValue

from schemas.answer import ModelInfo, OutputEvent, Source


class Embedding(OutputEvent):
    """An embedding event. Its numbers are float32: read as such they are what the model gave."""

    TYPE: ClassVar[str] = "qa.embedding"
    """The CloudEvents `type`."""

    id: str = Field(description="the text's own, else its CloudEvents id, else its place")
    embedding: list[float] = Field(description="float32, pooled as the model's bundle says")
    dims: int = Field(ge=1, description="how many numbers the embedding has")
    model: ModelInfo
    windows: int = Field(description="how many windows of the text were read")
    source: Source | None = Field(None, description="null where no topic was involved")
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="the text's, untouched"
    )
