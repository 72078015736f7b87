"""The text event: a text to embed."""

from typing import ClassVar

from pydantic import Field

from schemas.embedding import Embedding
from schemas.event import Event, NonBlankStr


class Text(Event[Embedding]):
    """A text event. It has no options: embeddings are comparable only if all of them are made in
    the same way, which the model's bundle defines.
    """

    ACCEPTS: ClassVar[str] = "texts to embed"
    OUTCOME: ClassVar[type[Embedding]] = Embedding

    text: NonBlankStr = Field(description="the text to embed; not blank")
