"""How the values of outcomes' records are written: as JSON, or in another format. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.event import Outcome


@dataclass(frozen=True, slots=True)
class ValueFormat:
    """How the value of an outcome's record is written."""

    encode: Callable[[Outcome], bytes]
    """May raise `Rejected`."""
    content_type: bytes | None
    """None for values that name their schema themselves, as those of a registry's serializers."""


JSON = ValueFormat(lambda outcome: outcome.model_dump_json().encode(), b"application/json")
