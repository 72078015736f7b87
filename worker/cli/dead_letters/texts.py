"""Bytes of anybody's making, as text that a terminal can take: what is unseen is escaped."""

import base64
from datetime import UTC, datetime

from worker.streaming.letters import Letter


def plain(text: str) -> str:
    """`text` with everything escaped that is no mark to see, line breaks and tabs aside: a letter
    must not steer the terminal on which it is shown.
    """
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode()
        for each in text
    )


def shown(data: bytes | None) -> str:
    """Text, or where it is none, base64 that says so."""
    if data is None:
        return "(none)"
    try:
        return plain(data.decode())
    except UnicodeDecodeError:
        return f"base64: {base64.b64encode(data).decode()}"


def start(text: str, length: int) -> str:
    """The first part of it, on one line."""
    flat = " ".join(plain(text).split())
    return flat if len(flat) <= length else f"{flat[: length - 1]}…"


def moment(timestamp: int) -> str:
    """A record's timestamp, in milliseconds since 1970, which its producer may have made up."""
    try:
        time = datetime.fromtimestamp(timestamp / 1000, UTC)
    except (OSError, OverflowError, ValueError):
        return f"{timestamp} ms"
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def at(letter: Letter) -> str:
    return f"{letter.place.partition}:{letter.place.offset}"
