"""How values of records are read and written: the mapping of foreign schemas' fields."""

from pydantic import Field, field_validator

from worker.settings.base import SettingsGroup
from worker.settings.field_paths import parse_field_paths


class ValueFormatSettings(SettingsGroup):
    """Formats of values beside JSON."""

    fields: str = Field(
        "",
        description="Where values with a registered schema have an event's fields, as FIELD=PATH "
        "separated by commas, such as question=query.text,context=body; `\\.` is a dot in a name. "
        "Default: under the event's own names",
    )

    @field_validator("fields")
    @classmethod
    def _check_fields(cls, text: str) -> str:
        parse_field_paths(text)
        return text
