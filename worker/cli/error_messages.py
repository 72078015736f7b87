"""What the user reads of an error that a user or an operator can cause."""

import os

from aiokafka.errors import KafkaConnectionError, KafkaError

from worker.answers.answer import ComparisonError
from worker.cli.errors import CommandError
from worker.kafka.errors import StreamingError, format_error
from worker.kafka.kafka_distribution import BrokerUnavailable
from worker.model_tools.evaluation.squad_document import DataError
from worker.models.bundle import BundleError
from worker.settings import SettingsError

EXPECTED = (
    BrokerUnavailable,
    BundleError,
    CommandError,
    ComparisonError,
    DataError,
    KafkaError,
    OSError,
    SettingsError,
    StreamingError,
    TimeoutError,
)
"""Errors whose message is enough for the user. Any other exception is a bug in a command."""


def message_of(error: Exception) -> str | None:
    """The message, which may have several lines; `None` for a bug."""
    if not isinstance(error, EXPECTED):
        return None
    if isinstance(error, KafkaConnectionError):
        servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
        return f"cannot connect to {servers} (KAFKA_BOOTSTRAP_SERVERS): {format_error(error)}"
    return format_error(error)
