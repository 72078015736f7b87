"""Selects the suite's Java, and its version of Apache Kafka by `TEST_KAFKA_VERSION`.

The default is the demo's version; `3.9` is the last minor version before Kafka 4.
"""

import functools
import os
from pathlib import Path

from worker.kafka.dev_broker import kafka_distribution
from worker.kafka.java_runtime import JavaRuntime, find_java
from worker.kafka.kafka_distribution import BrokerUnavailable, KafkaDistribution

_LOCK_FILES = {"3.9": Path(__file__).with_name("kafka-3.9.2.lock")}


@functools.cache
def suite_distribution() -> KafkaDistribution:
    """Raises `BrokerUnavailable` for an unknown version."""
    version = os.environ.get("TEST_KAFKA_VERSION")
    if not version:
        return kafka_distribution()
    if version not in _LOCK_FILES:
        known = ", ".join(_LOCK_FILES)
        raise BrokerUnavailable(f"TEST_KAFKA_VERSION={version}: it must be unset or one of {known}")
    return KafkaDistribution.read(_LOCK_FILES[version])


@functools.cache
def suite_class_path() -> str:
    """Returns the verified class path. Cached: verification takes 0.2 s, and tests start nodes."""
    return suite_distribution().class_path()


@functools.cache
def suite_java() -> JavaRuntime:
    """Returns the Java of the nodes. Cached: each program that is asked for its version starts a
    JVM. Raises `BrokerUnavailable`.
    """
    return find_java()
