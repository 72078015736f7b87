"""`KAFKA_…` settings against the property names that Apache's Java client documents itself."""

import re
import subprocess

import pytest

from tests.brokers.distribution import suite_class_path
from worker.kafka.java_runtime import find_java
from worker.settings import KafkaSettings
from worker.settings.generate_readme import README

pytestmark = [pytest.mark.process, pytest.mark.tools]

OURS = {"sasl.username", "sasl.password", "rebalance.timeout.ms"}
"""Names that the Java client does not have."""


def java_names(config: str) -> set[str]:
    """The properties that a class of `org.apache.kafka.clients` prints, in HTML."""
    program = str(find_java().program)
    command = [program, "-cp", suite_class_path(), f"org.apache.kafka.clients.{config}"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r'<h4><a id="([a-z.]+)"', page))


def test_settings_have_the_java_clients_names_except_the_documented_ones() -> None:
    of_java = java_names("consumer.ConsumerConfig") | java_names("producer.ProducerConfig")
    assert {"group.instance.id", "transaction.timeout.ms"} <= of_java
    assert {name.replace("_", ".") for name in KafkaSettings.model_fields} - of_java == OURS
    text = README.read_text("utf-8")
    for name in OURS:
        assert f"| `KAFKA_{name.replace('.', '_').upper()}` | ours" in text
