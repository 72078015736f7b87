"""Every knob, with its default, its meaning and its arithmetic; values that cannot work together
are refused here. How they are read from the environment is environment.py's.
"""

from dataclasses import dataclass

from worker.settings.base import SettingsError, SettingsGroup
from worker.settings.kafka import KafkaSettings
from worker.settings.worker import WorkerSettings

__all__ = ["KafkaSettings", "Settings", "SettingsError", "SettingsGroup", "WorkerSettings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. Raises `SettingsError` where the two groups do not go together."""

    qa: WorkerSettings
    kafka: KafkaSettings

    def __post_init__(self) -> None:
        drain_ms, rebalance_ms = self.qa.drain_seconds * 1000, self.kafka.rebalance_timeout_ms
        if drain_ms >= rebalance_ms:
            # A drain that outlasts the rebalance finds its partitions already given away.
            raise SettingsError(
                f"QA_DRAIN_SECONDS ({self.qa.drain_seconds:g}) must be less than "
                f"KAFKA_REBALANCE_TIMEOUT_MS ({rebalance_ms})"
            )
