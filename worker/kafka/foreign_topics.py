"""What the brokers tell of foreign topics: not the worker's own, but named by its clients.

aiokafka's metadata keeps every topic that it was ever asked for, and waits for one that does not
exist. Clients may name many topics, also such that do not exist; so here metadata is asked for when
it is needed, for all topics that are waited for in one request, and kept for a limited time in a
limited number of entries. No request creates a topic.
"""

import asyncio
import contextlib
import sys
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from aiokafka import TopicPartition
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import DescribeConfigsRequest

from worker.kafka.foreign_topic import CONFIGS, ForeignTopic, describe, problem_of
from worker.kafka.metadata_request import TopicMetadataRequest

log = structlog.get_logger(__name__)

K = TypeVar("K")
V = TypeVar("V")

MAX_TOPICS = 1_000
"""Topics that are remembered, and as many names and partitions that cannot be written to."""

REQUEST_TOPICS = 100
"""Topics that one request asks for."""

PROBLEM_SECONDS = 5.0
"""For which a name that cannot be written to, or a partition without a leader, is remembered: then
it is asked for again."""

CONFIRM_SECONDS = 0.1
"""After which a topic that a broker does not know is asked for once more: another broker's metadata
may be ahead of it."""

LEADER_SECONDS = 5.0
"""For which a partition is waited for that has no leader, or whose leader answers with errors."""

LEADER_PAUSE_SECONDS = 0.2
"""Between two looks for it."""


class ForeignTopicError(KafkaError):  # type: ignore[misc]  # aiokafka is untyped
    """The topic, its partition, or the right to write to it, does not exist."""

    def __init__(self, problem: str) -> None:
        """`problem` is one line that names the topic."""
        super().__init__(problem)
        self.problem = problem


class Patience:
    """With a leader of a foreign topic that answers with errors that usually pass, for example that
    it has too few in-sync replicas. Brokers that do not answer are waited for.
    """

    def __init__(
        self, topic: str, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._topic = topic
        self._seconds = seconds
        self._clock = clock
        self._since: float | None = None

    def check(self, codes: Iterable[int]) -> None:
        """`codes` are the errors of one answer. Raises `ForeignTopicError` once each answer has had
        one for `seconds`.
        """
        code = next(iter(codes), None)
        if code is None:
            self._since = None
        elif self._since is None:
            self._since = self._clock()
        elif self._clock() - self._since >= self._seconds:
            raise ForeignTopicError(f"topic {self._topic}: {for_code(code).message}")


Send = Callable[[Any], Awaitable[Any]]
"""Returns the response of any broker to a request; repeats it until there is one."""


class ForeignTopics:
    """The foreign topics of one client. Everything here runs on the event loop."""

    def __init__(
        self,
        send: Send,
        max_age: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        max_bytes: int | None = None,
    ) -> None:
        """A topic is looked up again after `max_age` seconds. `max_bytes` bounds what all topics
        take, beside their `max.message.bytes`.
        """
        self._send = send
        self._max_bytes = max_bytes or sys.maxsize
        self._max_age = max_age
        self._clock = clock
        self._topics: OrderedDict[str, tuple[float, ForeignTopic]] = OrderedDict()
        # Apart, so that a flood of wrong names displaces no topic. Of a topic, or of a partition.
        self._problems: OrderedDict[tuple[str, int | None], tuple[float, ForeignTopic]] = (
            OrderedDict()
        )
        self._wanted: dict[str, asyncio.Future[ForeignTopic]] = {}
        self._looking_up: asyncio.Task[None] | None = None
        self._leaderless: dict[TopicPartition, float] = {}

    async def find(self, name: str, partition: int | None = None) -> ForeignTopic:
        """The topic, at most `max_age` seconds old. It is looked up again for a partition that it
        did not have some seconds ago. Waits without a deadline for a broker. Raises `KafkaError`.
        """
        now = self._clock()
        for place in {(name, None), (name, partition)}:
            if (known := self._problems.get(place)) and now - known[0] < PROBLEM_SECONDS:
                return known[1]
        if (known := self._topics.get(name)) and now - known[0] < self._max_age:
            self._topics.move_to_end(name)
            if now - known[0] < PROBLEM_SECONDS or not known[1].problem_with(partition):
                return known[1]
        if name not in self._wanted:
            self._wanted[name] = asyncio.get_running_loop().create_future()
            # Retrieved here: all that wait for it may be cancelled.
            self._wanted[name].add_done_callback(lambda done: done.cancelled() or done.exception())
            if self._looking_up is None or self._looking_up.done():
                self._looking_up = asyncio.create_task(self._look_up())
        return await asyncio.shield(self._wanted[name])

    async def leader(self, partition: TopicPartition) -> int:
        """The broker that leads the partition.

        Raises `LeaderNotAvailableError`, and `ForeignTopicError` once the partition has had no
        leader for LEADER_SECONDS, or if it cannot be written to.
        """
        topic = await self.find(partition.topic, partition.partition)
        if problem := topic.problem_with(partition.partition):
            self._leaderless.pop(partition, None)
            raise ForeignTopicError(problem)
        leader: int = topic.leaders[partition.partition]
        if leader >= 0:
            self._leaderless.pop(partition, None)
            return leader
        since = self._leaderless.setdefault(partition, self._clock())
        if self._clock() - since < LEADER_SECONDS:
            raise LeaderNotAvailableError(str(partition))
        del self._leaderless[partition]
        # The topic's other partitions may have leaders.
        topic = ForeignTopic(topic.name, f"partition {partition.partition} has no leader")
        self._remember_problem(topic, partition.partition)
        raise ForeignTopicError(topic.problem_with(None))

    async def wait_for_leader(self, partition: TopicPartition) -> str:
        """Returns an empty text once the partition has a leader; after LEADER_SECONDS without one,
        or if it cannot be written to, the problem. Raises `KafkaError`.
        """
        while True:
            try:
                await self.leader(partition)
            except LeaderNotAvailableError:
                self.forget(partition.topic)
                await asyncio.sleep(LEADER_PAUSE_SECONDS)
            except ForeignTopicError as error:
                return error.problem
            else:
                return ""

    def known_leader(self, partition: TopicPartition) -> int | None:
        """The partition's leader, as far as it is known without asking."""
        _, topic = self._topics.get(partition.topic, (0.0, ForeignTopic(partition.topic)))
        known = partition.partition < len(topic.leaders)
        return topic.leaders[partition.partition] if known else None

    def forget(self, name: str) -> None:
        """Look the topic up again, the next time that it is needed."""
        self._topics.pop(name, None)

    async def close(self) -> None:
        """Cancel what is waited for."""
        if self._looking_up is not None:
            self._looking_up.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking_up
        for waiting in self._wanted.values():
            waiting.cancel()

    async def _look_up(self) -> None:
        """Look up what is waited for, until nothing is."""
        while self._wanted:
            names = list(self._wanted)[:REQUEST_TOPICS]
            try:
                found = await self._describe(names)
            except Exception as error:
                for name in names:
                    self._wanted.pop(name).set_exception(error)
                continue
            for topic in found:
                self._remember(topic)
                self._wanted.pop(topic.name).set_result(topic)

    def _remember(self, topic: ForeignTopic) -> None:
        if topic.problem:
            self._remember_problem(topic)
        else:
            self._problems.pop((topic.name, None), None)
            _keep(self._topics, topic.name, (self._clock(), topic))

    def _remember_problem(self, topic: ForeignTopic, partition: int | None = None) -> None:
        log.debug("foreign_topic_unusable", topic=topic.name, reason=topic.problem)
        self.forget(topic.name)
        _keep(self._problems, (topic.name, partition), (self._clock(), topic))

    async def _describe(self, names: Sequence[str]) -> list[ForeignTopic]:
        entries = await self._metadata(names)
        unknown = [name for name in names if entries[name][0] == UnknownTopicOrPartitionError.errno]
        if unknown:
            await asyncio.sleep(CONFIRM_SECONDS)
            entries |= await self._metadata(unknown)
        problems = {name: problem_of(entry) for name, entry in entries.items()}
        configs = await self._configs([name for name in names if not problems[name]])
        topics = [
            ForeignTopic(name, problem)
            if (problem := problems[name])
            else describe(entries[name], configs.get(name, {}))
            for name in names
        ]
        return [
            replace(each, max_message_bytes=min(each.max_message_bytes, self._max_bytes))
            for each in topics
        ]

    async def _metadata(self, names: Sequence[str]) -> dict[str, Sequence[Any]]:
        response = await self._send(TopicMetadataRequest(names))
        return {entry[1]: entry for entry in response.topics}

    async def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Topic to its properties, without those topics that may not be described."""
        if not names:
            return {}
        resources = [(int(ConfigResourceType.TOPIC), name, list(CONFIGS)) for name in names]
        response = await self._send(DescribeConfigsRequest(resources))
        return {
            name: {key: value or "" for key, value, *_ in entries}
            for code, _, _, name, entries, *_ in response.resources
            if not code
        }


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> None:
    """The entry is the newest; without the oldest if there are too many."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MAX_TOPICS:
        kept.popitem(last=False)
