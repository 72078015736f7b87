"""Topics on the run's broker, and workers on them."""

from tests.streaming.conftest import delivery, each_broker, embedded, kafka_topics, running, topics

__all__ = ["delivery", "each_broker", "embedded", "kafka_topics", "running", "topics"]
