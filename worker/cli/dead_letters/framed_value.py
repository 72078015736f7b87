"""What `dead-letters show` tells of a value that names its schema: the decoded value, or why there
is none. The registry is asked once; the command ends within its request timeout.
"""

from dataclasses import dataclass

import pydantic_core

from worker.cli.registry_extra import check_registry_extra
from worker.dead_letters.dead_letter import DeadLetter
from worker.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class FramedValue:
    """`schema` is one line for people."""

    schema: str
    document: str | None
    """The value as JSON; None if it could not be decoded."""


async def describe_value(settings: Settings, dead_letter: DeadLetter) -> FramedValue | None:
    """None if the value names no schema. The dead letter has its value."""
    # Only here: a worker imports the commands.
    from worker.schema_registry.answer_values import schema_name
    from worker.schema_registry.framing import FramingError, read_frame

    value, headers = dead_letter.value, dead_letter.headers
    if value is None:
        return None
    try:
        frame = read_frame(value, headers)
    except FramingError as error:
        return FramedValue(f"unknown; not decoded: {error}", None)
    if frame is None:
        return None
    where = "prefix" if frame.header is None else "header"
    named = f"{schema_name(frame.schema)} in the {where}"
    if not settings.schema_registry.url:
        return FramedValue(f"{named}; not decoded: SCHEMA_REGISTRY_URL is not set", None)
    from worker.schema_registry.responses import RegistryUnavailableError

    try:
        check_registry_extra(settings)
        from worker.schema_registry.describing import ValueDescriber

        async with ValueDescriber.open(settings) as describer:
            described = await describer.describe(value, headers)
    except (RegistryUnavailableError, SettingsError) as error:
        return FramedValue(f"{named}; not decoded: {error}", None)
    assert described is not None  # the value has a frame
    kind = ", ".join(filter(None, (named, described.format, described.name)))
    if described.problem:
        return FramedValue(f"{kind}; not decoded: {described.problem}", None)
    return FramedValue(kind, pydantic_core.to_json(described.document).decode())
