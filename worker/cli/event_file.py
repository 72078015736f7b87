"""The input of `qa-worker read`: a file of JSON Lines, its events and their numbers of lines.

https://jsonlines.org: UTF-8, lines end with a line feed; a byte order mark and carriage returns are
accepted too.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from schemas.envelope import decode_event
from schemas.event import Event, Outcome
from schemas.rejection import Rejected
from worker.cli.errors import CommandError

_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""Byte order marks. The longer ones first: that of UTF-32-LE begins as that of UTF-16-LE."""


class EventFile:
    """The events of a file, in order. Blank lines are no events, but have numbers."""

    def __init__(
        self, file: Path, content: bytes, event_type: type[Event[Outcome]], max_bytes: int
    ) -> None:
        """`max_bytes` is the limit of a line. Raises `CommandError` for UTF-16, UTF-32, and a file
        that is one JSON document on several lines.
        """
        for mark, encoding in _OTHER_MARKS.items():
            if content.startswith(mark):
                raise CommandError(f"{file} is {encoding}; convert it to UTF-8")
        self._event_type = event_type
        self._max_bytes = max_bytes
        content = content.removeprefix(codecs.BOM_UTF8)
        self._lines = [
            (number, line)
            for number, line in enumerate(content.split(b"\n"), start=1)
            if line.strip(b" \t\r")
        ]
        if len(self) > 1 and not _is_json(self._lines[0][1]) and _is_json(content):
            raise CommandError(
                f"{file} is one JSON document, not JSON Lines; write each event on a line of "
                f"its own"
            )

    def __len__(self) -> int:
        return len(self._lines)

    def after(self, count: int) -> Iterator[Event[Outcome] | Rejected]:
        """The events that follow the first `count`, without their deadlines; a `Rejected` for each
        invalid one.
        """
        return (self._decode(index) for index in range(count, len(self._lines)))

    def line_number(self, index: int) -> int:
        """The line of the event in the file, from 1; blank lines count."""
        return self._lines[index][0]

    def event_id(self, index: int) -> str | int | float:
        """The event's own id, a number too if its type is why the event is rejected; without one
        `line-N`, as in answers.
        """
        event = self._decode(index)
        own_id = _own_id(self._lines[index][1]) if isinstance(event, Rejected) else event.id
        return self._default_id(index) if own_id is None else own_id

    def _decode(self, index: int) -> Event[Outcome] | Rejected:
        try:
            event = decode_event(
                self._event_type,
                self._lines[index][1],
                (),
                default_id=self._default_id(index),
                max_bytes=self._max_bytes,
            ).event
            # Else a run that is resumed later would answer other lines.
            return event.model_copy(update={"expires_at": None})
        except Rejected as rejected:
            return rejected

    def _default_id(self, index: int) -> str:
        return f"line-{self.line_number(index)}"


def _is_json(text: bytes) -> bool:
    try:
        from_json(text)
    except ValueError:
        return False
    return True


def _own_id(line: bytes) -> str | int | float | None:
    """The id of a rejected event: that of its data, else that of its CloudEvent."""
    try:
        document: Any = from_json(line, allow_inf_nan=False)
    except ValueError:
        return None
    for name in ("data", "input_data", None):
        part = document.get(name) if name and isinstance(document, dict) else document
        if not isinstance(part, dict):
            continue
        own_id = part.get("id")
        if isinstance(own_id, str | int | float) and not isinstance(own_id, bool) and own_id != "":
            return own_id
    return None
