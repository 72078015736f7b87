"""Which Apache Kafka the suite runs: `TEST_KAFKA_VERSION`.

The default is the version of the demo; `3.9` is the last line of Kafka before 4.
"""

import functools
import os
from pathlib import Path

from worker.kafka.dev_broker import kafka_distribution
from worker.kafka.kafka_distribution import BrokerUnavailable, KafkaDistribution

_LOCK_FILES = {"3.9": Path(__file__).with_name("kafka-3.9.2.lock")}


@functools.cache
def suite_distribution() -> KafkaDistribution:
    wanted = os.environ.get("TEST_KAFKA_VERSION")
    if not wanted:
        return kafka_distribution()
    if wanted not in _LOCK_FILES:
        known = ", ".join(_LOCK_FILES)
        raise BrokerUnavailable(f"TEST_KAFKA_VERSION={wanted}: it must be unset or one of {known}")
    return KafkaDistribution.read(_LOCK_FILES[wanted])


@functools.cache
def suite_class_path() -> str:
    """Verified once in each run: that takes 0.2 s, and a run starts many nodes."""
    return suite_distribution().class_path()
