"""Topics on the run's broker."""

from tests.streaming.conftest import delivery, topics

__all__ = ["delivery", "topics"]
