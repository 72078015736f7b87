"""Topics on the run's broker."""

from tests.streaming.conftest import delivery, each_broker, embedded, kafka_topics, topics

__all__ = ["delivery", "each_broker", "embedded", "kafka_topics", "topics"]
