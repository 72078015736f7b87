"""What a consumer receives for a text: its vector, and where it came from."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from schemas.answer import ModelInfo, Source


class Embedding(BaseModel):
    """An embedding event. Its numbers are float32: read as such they are what the model gave."""

    model_config = ConfigDict(frozen=True)

    TYPE: ClassVar[str] = "qa.embedding"
    """The CloudEvents `type`."""

    id: str
    embedding: list[float]
    dims: int = Field(ge=1, description="how many numbers the embedding has")
    model: ModelInfo
    windows: int = Field(description="how many windows of the text were read")
    source: Source | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
