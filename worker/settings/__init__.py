"""All settings with their defaults and meanings, and the checks of values against each other.

`environment.py` reads them from environment variables.
"""

from dataclasses import dataclass

from worker.settings.base import SettingsError, SettingsGroup
from worker.settings.kafka import KafkaSettings
from worker.settings.schema_registry import SchemaRegistrySettings
from worker.settings.value_formats import AnswerFormat
from worker.settings.worker import WorkerSettings

__all__ = [
    "KafkaSettings",
    "SchemaRegistrySettings",
    "Settings",
    "SettingsError",
    "SettingsGroup",
    "WorkerSettings",
]


@dataclass(frozen=True, slots=True)
class Settings:
    """All groups. Raises `SettingsError` if a setting of one conflicts with one of the other."""

    qa: WorkerSettings
    kafka: KafkaSettings
    schema_registry: SchemaRegistrySettings

    def __post_init__(self) -> None:
        drain_ms, rebalance_ms = self.qa.drain_seconds * 1000, self.kafka.rebalance_timeout_ms
        if drain_ms >= rebalance_ms:
            # The coordinator would give the partitions away before the drain ends.
            raise SettingsError(
                f"QA_DRAIN_SECONDS ({self.qa.drain_seconds:g}) must be less than "
                f"KAFKA_REBALANCE_TIMEOUT_MS ({rebalance_ms})"
            )
        stall_ms, poll_ms = self.qa.stall_seconds * 1000, self.kafka.max_poll_interval_ms
        if stall_ms > poll_ms:
            raise SettingsError(
                f"QA_STALL_SECONDS ({self.qa.stall_seconds:g}) must be at most "
                f"KAFKA_MAX_POLL_INTERVAL_MS ({poll_ms}): a stalled worker does not poll, so the "
                f"group would remove it before /healthz fails"
            )
        default_group = KafkaSettings.model_fields["group_id"].default
        if self.qa.sample < 1 and self.kafka.group_id == default_group:
            # In the group of production, the questions out of the sample would be lost.
            raise SettingsError(
                f"QA_SAMPLE ({self.qa.sample:g}) below 1 needs a group of its own: set "
                f"KAFKA_GROUP_ID to another name than {default_group}, since nothing else answers "
                f"the questions that this group leaves out"
            )
        if self.schema_registry.url:
            return
        if self.qa.fields:
            raise SettingsError(
                "QA_FIELDS maps the fields of values with a registered schema; it needs "
                "SCHEMA_REGISTRY_URL"
            )
        if self.qa.register_schemas:
            raise SettingsError("QA_REGISTER_SCHEMAS needs SCHEMA_REGISTRY_URL")
        if self.qa.answer_format is not AnswerFormat.JSON:
            raise SettingsError(
                f"QA_ANSWER_FORMAT={self.qa.answer_format} names a schema of the registry; it "
                f"needs SCHEMA_REGISTRY_URL"
            )
