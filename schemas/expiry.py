"""When an event expires: times in RFC 3339, and the places where a record states one."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field

from schemas.rejection import Reason, Rejected

HEADER = "qa.expires-at"
"""Header of a record with the time at which its event expires."""

ATTRIBUTE = "expirytime"
"""CloudEvents attribute with that time, of the extension Expiry Time:
https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/expirytime.md"""

# `fromisoformat` alone accepts what RFC 3339 does not: times without a zone, offsets of 60 minutes,
# and from Python 3.14 on the hour 24.
_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):[0-5]\d:)(60|[0-5]\d)"
    r"(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


_NOT_A_TIME = "is not a time with a zone by RFC 3339, as 2026-11-26T12:00:00Z"


def parse_time(text: str) -> datetime:
    """The time that a text of RFC 3339 names, to the microsecond; more digits are cut off.

    A leap second is the second after it, as in Unix time. Raises `ValueError`, also for years
    before 1 and for a second 60 that does not end a month in UTC.
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError(_NOT_A_TIME)
    until_minute, second, fraction, zone = match.groups(default="")
    is_leap = second == "60"
    try:
        time = datetime.fromisoformat(
            f"{until_minute}{'59' if is_leap else second}{fraction}{zone}".upper()
        )
        return _after_leap_second(time) if is_leap else time
    except (OverflowError, ValueError):
        raise ValueError("is not a time that exists") from None


def _after_leap_second(time: datetime) -> datetime:
    """The time one second later. Raises `ValueError` unless a month begins then."""
    later = time + timedelta(seconds=1)
    utc = later.astimezone(UTC)
    if (utc.day, utc.hour, utc.minute, utc.second) != (1, 0, 0, 0):
        raise ValueError("not the end of a month")
    return later


def _time(value: object) -> object:
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError(_NOT_A_TIME)  # noqa: TRY004  # pydantic catches it
    return parse_time(value)


ExpiryTime = Annotated[
    AwareDatetime,
    BeforeValidator(_time),
    Field(json_schema_extra={"type": "string", "format": "date-time"}),
]
"""A field with a time of RFC 3339."""


def earliest_time(field: datetime | None, stated: Iterable[tuple[str, object]]) -> datetime | None:
    """The earliest of the event's field and of the values that its record states, by name; None if
    there is none. Raises `Rejected` for a value that is neither None nor a time.
    """
    times = [] if field is None else [field]
    for name, value in stated:
        if isinstance(value, str):
            try:
                times.append(parse_time(value))
            except ValueError as error:
                raise Rejected(Reason.SCHEMA, f"{name}: {error}") from None
        elif value is not None:
            raise Rejected(Reason.SCHEMA, f"{name}: {_NOT_A_TIME}")
    return min(times, default=None)
