"""How much memory a Protobuf message takes, found before it is parsed. Pure.

The parser gives each message room for all of its fields at once: two bytes of an empty message of
3,000 fields take 24 kB, a megabyte of them 12 GB, and nothing stops the parser.
"""

from dataclasses import dataclass, field

from google.protobuf.descriptor import Descriptor

from worker.schema_registry.decoding import ValueTooLargeError

_FIELD_BYTES, _MESSAGE_BYTES = 16, 32
"""A text takes the former, which is a pointer and a length. Numbers take less."""


@dataclass(slots=True)
class Layout:
    """Memory of one message of a type, and the layouts of the messages within it."""

    size: int
    parts: "dict[int, Layout]" = field(default_factory=dict)
    """By the number of the field."""


def message_layout(descriptor: Descriptor) -> tuple[Layout, int]:
    """The message's layout, and the size of the largest message within it."""
    layouts: dict[str, Layout] = {}
    fields: list[tuple[Layout, Descriptor]] = []

    def layout(of: Descriptor) -> Layout:
        known = layouts.get(of.full_name)
        if known is None:
            known = layouts[of.full_name] = Layout(_MESSAGE_BYTES + _FIELD_BYTES * len(of.fields))
            fields.append((known, of))
        return known

    top = layout(descriptor)
    largest = 0
    while fields:
        outer, of = fields.pop()
        for each in of.fields:
            if each.message_type is not None:
                outer.parts[each.number] = inner = layout(each.message_type)
                largest = max(largest, inner.size)
    return top, largest


def check_memory(layout: Layout, largest: int, payload: bytes, limit: int) -> None:
    """Raises `ValueTooLargeError` if parsing takes more than about `limit` bytes.

    Reads the payload only if its size allows that.
    """
    if len(payload) // 2 * largest > limit:
        _count(layout, payload, limit)


def _count(top: Layout, data: bytes, limit: int) -> None:
    """Follows the wire format; what is broken is left to the parser, which stops there as well."""
    left, place = limit, 0
    unknown = Layout(0)
    # The messages that are open, each with its end; a group has that of the message around it.
    layout, end = top, len(data)
    outer: list[tuple[Layout, int]] = []
    while True:
        while place >= end:
            if not outer:
                return
            layout, end = outer.pop()
        tag, place = _varint(data, place)
        part = layout.parts.get(tag >> 3)
        match tag & 7:
            case 0:
                _, place = _varint(data, place)
            case 1:
                place += 8
            case 5:
                place += 4
            case 2:
                size, place = _varint(data, place)
                if part is None:
                    place += size
                    continue
                left -= part.size
                outer.append((layout, end))
                layout, end = part, min(place + size, end)
            case 3:
                left -= 0 if part is None else part.size
                outer.append((layout, end))
                layout = part or unknown
            case 4 if outer:
                layout, end = outer.pop()
            case _:
                return
        if left < 0:
            raise ValueTooLargeError(f"the message takes more than {limit} bytes of memory")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while place < len(data):
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            break
        shift += 7
    return number, place
