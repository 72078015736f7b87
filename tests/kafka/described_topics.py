"""Brokers that only describe topics, for tests without Kafka."""

import asyncio
from types import SimpleNamespace
from typing import Any

from worker.kafka.foreign_topics import ForeignTopics

MAX_AGE = 300.0
ALL, ONLY_DESCRIBE = 0xFFFF, 1 << 8


class Brokers:
    """Answers requests for metadata and configurations."""

    def __init__(self) -> None:
        self.leaders: dict[str, list[int]] = {}
        self.codes: dict[str, int] = {}
        self.operations = ALL
        self.internal = False
        self.in_sync = [1, 2, 3]
        self.configs: dict[str, dict[str, str]] = {}
        self.asked: list[list[str]] = []
        """Topics of each request for metadata."""
        self.now = 0.0
        self.topics = ForeignTopics(self.send, MAX_AGE, clock=lambda: self.now)

    async def send(self, request: Any) -> Any:
        await asyncio.sleep(0)
        if type(request).__name__ == "DescribeConfigsRequest":
            return SimpleNamespace(
                resources=[
                    (
                        0 if name in self.configs else 29,
                        None,
                        2,
                        name,
                        [(key, text, False) for key, text in self.configs.get(name, {}).items()],
                    )
                    for _, name, _ in request._resources
                ]
            )
        self.asked.append(list(request._topics))
        return SimpleNamespace(topics=[self._entry(name) for name in request._topics])

    def _entry(self, name: str) -> tuple[Any, ...]:
        code = self.codes.get(name, 0 if name in self.leaders else 3)
        leaders: list[tuple[Any, ...]] = [
            (0, number, leader, 0, [1, 2, 3], self.in_sync, [], {})
            for number, leader in reversed(list(enumerate(self.leaders.get(name, []))))
        ]
        return (code, name, 1, 2, self.internal, leaders, self.operations, {})
