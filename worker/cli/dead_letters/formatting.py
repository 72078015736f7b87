"""Formats the fields of dead letters as text. `worker/cli/terminal.py` escapes what it prints."""

import base64
from contextlib import suppress
from datetime import UTC, datetime

from worker.dead_letters.dead_letter import DeadLetter
from worker.observability.printable import printable


def format_bytes(data: bytes | None, *, controls: bool = True) -> str:
    """The text in UTF-8, or base64 with a prefix; without `controls`, also of a text with control
    characters.
    """
    if data is None:
        return "(none)"
    with suppress(UnicodeDecodeError):
        text = data.decode()
        if controls or text == printable(text, lines=True):
            return text
    return f"base64: {base64.b64encode(data).decode()}"


def truncate(text: str, length: int) -> str:
    """At most `length` characters, on one line."""
    flat = " ".join(printable(text, lines=True).split())
    return flat if len(flat) <= length else f"{flat[: length - 1]}…"


def format_time(timestamp_ms: int) -> str:
    """ISO 8601 in UTC; the number itself if it is not a date (producers choose timestamps)."""
    try:
        time = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (OSError, OverflowError, ValueError):
        return f"{timestamp_ms} ms"
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_position(dead_letter: DeadLetter) -> str:
    """`PARTITION:OFFSET`, as the commands take it."""
    return f"{dead_letter.position.partition}:{dead_letter.position.offset}"
