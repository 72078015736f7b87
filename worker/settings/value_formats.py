"""How values of records are read and written: answers' format, foreign schemas' fields."""

from enum import StrEnum

from pydantic import Field, field_validator

from worker.settings.base import SettingsGroup
from worker.settings.field_paths import parse_field_paths


class AnswerFormat(StrEnum):
    """What the values of outcomes are. All but `json` name a schema of the registry."""

    JSON = "json"
    AVRO = "avro"
    JSON_SCHEMA = "json_schema"
    PROTOBUF = "protobuf"


class ValueFormatSettings(SettingsGroup):
    """Formats of values beside JSON."""

    answer_format: AnswerFormat = Field(
        AnswerFormat.JSON,
        description="Format of the answers' values: `json`; or, with the id of their schema in the "
        "registry, `avro`, `json_schema` or `protobuf`",
    )
    register_schemas: bool = Field(
        False,
        description="Register the answers' schema under the subject TOPIC-value. Default: the "
        "worker ends at its start if the subject does not have it. `qa-worker ask --format` does "
        "the same with the question's",
    )

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
