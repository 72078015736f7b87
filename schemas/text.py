"""What a producer sends to have embedded: a text."""

from typing import ClassVar

from pydantic import Field

from schemas.embedding import Embedding
from schemas.event import Event, NonBlankStr


class Text(Event[Embedding]):
    """A text event. There is nothing to choose: vectors that are to be compared must be made in
    one way, which the model's bundle says.
    """

    TAKES: ClassVar[str] = "texts, and embeds them"

    text: NonBlankStr = Field(description="what to embed; not blank")
