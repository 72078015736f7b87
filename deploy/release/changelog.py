"""Reads CHANGELOG.md (Keep a Changelog 1.1): the versions, their dates and their notes. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

_HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)
UNRELEASED = "Unreleased"


@dataclass(frozen=True, slots=True)
class Entry:
    """One section `## [version] - date` with the text below it. `Unreleased` has no date."""

    version: str
    date: date | None
    notes: str


def entries(changelog: str) -> Iterator[Entry]:
    """Yields the sections in the order of the file.

    Raises `ValueError` for a date that does not exist, and a heading of another form.
    """
    _, *parts = re.split(r"^(?=## )", changelog, flags=re.MULTILINE)
    for part in parts:
        heading, _, notes = part.partition("\n")
        match = _HEADING.fullmatch(heading)
        if match is None:
            raise ValueError(f"{heading!r} is not of the form '## [1.2.3] - 2026-11-26'")
        version, day = match.groups()
        yield Entry(version, date.fromisoformat(day) if day else None, notes.strip())


def release_notes(changelog: str, version: str) -> str:
    """Returns the notes of a version as Markdown.

    Raises `ValueError` if the version has no section with a date, or `Unreleased` has notes.
    """
    sections = {entry.version: entry for entry in entries(changelog)}
    entry = sections.get(version)
    if entry is None or entry.date is None or not entry.notes:
        raise ValueError(f"there is no section '## [{version}] - date' with notes")
    waiting = sections.get(UNRELEASED)
    if waiting is not None and waiting.notes:
        raise ValueError(f"'## [{UNRELEASED}]' has notes: move them below '## [{version}]'")
    return f"{entry.notes}\n"
