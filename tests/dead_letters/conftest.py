"""Topics on the run's broker, and workers on them."""

from tests.streaming.conftest import delivery, running, topics

__all__ = ["delivery", "running", "topics"]
