"""Bytes of anybody's making, as text that a terminal can take: what is unseen is escaped."""

import base64
from datetime import UTC, datetime

from worker.dead_letters.dead_letter import DeadLetter


def escape(text: str) -> str:
    """`text` with everything escaped that is no mark to see, line breaks and tabs aside: a letter
    must not steer the terminal on which it is shown.
    """
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode()
        for each in text
    )


def format_bytes(data: bytes | None) -> str:
    """Text, or where it is none, base64 that says so."""
    if data is None:
        return "(none)"
    try:
        return escape(data.decode())
    except UnicodeDecodeError:
        return f"base64: {base64.b64encode(data).decode()}"


def truncate(text: str, length: int) -> str:
    """The first part of it, on one line."""
    flat = " ".join(escape(text).split())
    return flat if len(flat) <= length else f"{flat[: length - 1]}…"


def format_time(timestamp: int) -> str:
    """A record's timestamp, in milliseconds since 1970, which its producer may have made up."""
    try:
        time = datetime.fromtimestamp(timestamp / 1000, UTC)
    except (OSError, OverflowError, ValueError):
        return f"{timestamp} ms"
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_position(letter: DeadLetter) -> str:
    return f"{letter.place.partition}:{letter.place.offset}"
