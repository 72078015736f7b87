"""Offsets in other units than code points: UTF-16 code units, or bytes of UTF-8. Pure."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from schemas.answer import OffsetUnit, Span

_ENCODINGS = {"utf16": ("utf-16-le", 2), "bytes": ("utf-8", 1)}
"""Of each unit: an encoding, and its bytes in one unit."""


def convert_offsets(text: str, offsets: Iterable[int], unit: OffsetUnit) -> dict[int, int]:
    """Each offset in code points of `text` to the same place in `unit`.

    Encodes the text up to the last offset once, however many offsets there are.
    """
    if unit == "code_points" or text.isascii():
        return {offset: offset for offset in offsets}
    encoding, unit_bytes = _ENCODINGS[unit]
    converted, units = {0: 0}, 0
    for begin, end in pairwise(sorted({0, *offsets})):
        units += len(text[begin:end].encode(encoding)) // unit_bytes
        converted[end] = units
    return converted


def spans_in_unit(spans: list[Span], texts: Sequence[str], unit: OffsetUnit) -> list[Span]:
    """The spans, which count code points, with offsets in `unit`.

    `texts` are the texts of the passages, by `context_index`.
    """
    if unit == "code_points":
        return spans
    converted = []
    offsets: dict[int, set[int]] = {}
    for span in spans:
        offsets.setdefault(span.context_index or 0, set()).update((span.start, span.end))
    units = {index: convert_offsets(texts[index], found, unit) for index, found in offsets.items()}
    for span in spans:
        of = units[span.context_index or 0]
        converted.append(span.model_copy(update={"start": of[span.start], "end": of[span.end]}))
    return converted
