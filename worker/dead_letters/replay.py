"""Reads dead letters, and replays them: publishes their questions to the questions topic again.

A dead letter is replayed once: the replay publishes in transactions of one transactional id, which
fences any earlier replay, and recognises what was replayed before by a header of the questions. A
question carries the number of its replays, which is limited.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from aiokafka import TopicPartition

from schemas.rejection import REPLAY_OF
from worker.dead_letters.dead_letter import (
    DeadLetter,
    DeadLetterFilter,
    SkipReason,
    skip_reason,
    to_replay_record,
)
from worker.dead_letters.transaction import ReplayResult, ReplayTransaction, replay_producer
from worker.kafka.acl import Operation, RequiredAcls
from worker.kafka.errors import StreamingError
from worker.kafka.records import OutputRecord, partition_for
from worker.kafka.topic_reader import OffsetRange, OnProgress, OnUnreadable, TopicReader, clip
from worker.kafka.topic_requirements import require_topics
from worker.kafka.topics import Topic
from worker.settings import Settings

CLOCK_SKEW_MS = 3_600_000
"""The search for replays of a dead letter starts this long before its timestamp, since another
clock dated them. Brokers accept timestamps at most an hour ahead of their own clock
(message.timestamp.after.max.ms, its default)."""

OnResult = Callable[[ReplayResult], None]


async def read_dead_letters(
    settings: Settings,
    wanted: DeadLetterFilter,
    on_progress: OnProgress,
    on_unreadable: OnUnreadable = lambda _: None,
) -> AsyncGenerator[DeadLetter, None]:
    """The dead letters that `wanted` selects, up to the end offsets at the start.

    Raises `StreamingError`, `KafkaError`.
    """
    required = {settings.qa.dead_letters_topic: (Operation.READ,)}
    topics = await require_topics(settings, required)
    (topic,) = (each for each in topics if each.name == settings.qa.dead_letters_topic)
    async with TopicReader.open(settings, on_unreadable) as reader:
        ranges = await _find_ranges(reader, topic, wanted)
        async with aclosing(_select(reader, ranges, wanted, on_progress)) as selected:
            async for dead_letter in selected:
                yield dead_letter


@dataclass(frozen=True, slots=True)
class Replay:
    """Replays the dead letters that `wanted` selects. Its methods raise `StreamingError` and
    `KafkaError`.
    """

    settings: Settings
    wanted: DeadLetterFilter
    max_attempts: int
    again: bool
    """Also replay dead letters that were replayed before."""
    limit: int | None
    """Maximum number of dead letters to replay."""
    on_unreadable: OnUnreadable = lambda _: None

    async def dry_run(self, on_result: OnResult, on_progress: OnProgress) -> None:
        """Report the results that `run` would have; publish nothing."""
        questions, dead = await self._topics(Operation.READ)
        async with (
            TopicReader.open(self.settings, self.on_unreadable) as reader,
            TopicReader.open(self.settings) as originals,
            aclosing(self._plan(reader, originals, questions, dead, on_progress)) as plan,
        ):
            async for result, _ in plan:
                on_result(result)

    async def run(self, on_result: OnResult, on_progress: OnProgress) -> None:
        """Publish. A result is reported once its transaction is committed."""
        questions, dead = await self._topics(Operation.READ, Operation.WRITE)
        # The producer first: it fences earlier replays, so that the search for what was replayed
        # finds everything.
        async with (
            replay_producer(self.settings.kafka, questions.values()) as producer,
            TopicReader.open(self.settings, self.on_unreadable) as reader,
            TopicReader.open(self.settings) as originals,
            aclosing(self._plan(reader, originals, questions, dead, on_progress)) as plan,
        ):
            transaction = ReplayTransaction(producer)
            async for result, record in plan:
                if record is None:
                    on_result(result)
                    continue
                if transaction.is_full(record):
                    await transaction.publish(on_result)
                transaction.add(result, record)
            await transaction.publish(on_result)

    async def _topics(self, *on_questions: Operation) -> tuple[dict[str, Topic], Topic]:
        """The questions topics by name, and the dead-letter topic."""
        qa = self.settings.qa
        required: RequiredAcls = {
            **dict.fromkeys(qa.question_topics, on_questions),
            qa.dead_letters_topic: (Operation.READ,),
        }
        topics = {each.name: each for each in await require_topics(self.settings, required)}
        return {name: topics[name] for name in qa.question_topics}, topics[qa.dead_letters_topic]

    async def _plan(
        self,
        reader: TopicReader,
        originals: TopicReader,
        questions: Mapping[str, Topic],
        dead: Topic,
        on_progress: OnProgress,
    ) -> AsyncGenerator[tuple[ReplayResult, OutputRecord | None], None]:
        """The result of each dead letter, and the record to publish, if any."""
        ranges = await _find_ranges(reader, dead, self.wanted)
        replayed: set[str] = set()
        if not self.again:
            replayed = await self._find_replayed(reader, ranges, questions, on_progress)
        count = 0
        async with aclosing(_select(reader, ranges, self.wanted, on_progress)) as selected:
            async for dead_letter in selected:
                skip = skip_reason(
                    dead_letter,
                    replayed=replayed,
                    max_attempts=self.max_attempts,
                    reasons=self.wanted.reasons,
                )
                if skip is not None:
                    yield ReplayResult(dead_letter, skip), None
                    continue
                if count == self.limit:
                    return
                result, record = await self._build_record(dead_letter, originals, questions)
                count += record is not None
                yield result, record

    async def _build_record(
        self, dead_letter: DeadLetter, originals: TopicReader, questions: Mapping[str, Topic]
    ) -> tuple[ReplayResult, OutputRecord | None]:
        topic = _target(dead_letter, questions)
        if topic is None:
            return ReplayResult(dead_letter, SkipReason.OTHER_TOPIC), None
        whole = dead_letter
        if not dead_letter.is_complete:
            assert dead_letter.question is not None  # `skip_reason` is None
            position = dead_letter.question
            original = await originals.read_one(position.topic, position.partition, position.offset)
            completed = original and dead_letter.complete(
                original.key, original.value, original.headers
            )
            if completed is None:
                return ReplayResult(dead_letter, SkipReason.VALUE_GONE), None
            whole = completed
            if whole.attempt >= self.max_attempts:
                return ReplayResult(dead_letter, SkipReason.MAX_ATTEMPTS), None
        record = to_replay_record(whole, topic.name)
        if record.size > topic.max_message_bytes:
            return ReplayResult(dead_letter, SkipReason.TOO_LARGE), None
        partition = partition_for(record, range(topic.partitions))
        return ReplayResult(dead_letter, target=TopicPartition(topic.name, partition)), record

    async def _find_replayed(
        self,
        reader: TopicReader,
        ranges: list[OffsetRange],
        questions: Mapping[str, Topic],
        on_progress: OnProgress,
    ) -> set[str]:
        """The positions of dead letters whose replays are in the questions topics."""
        earliest: int | None = None
        async with aclosing(_select(reader, ranges, self.wanted, on_progress)) as selected:
            async for dead_letter in selected:
                if earliest is None or dead_letter.timestamp_ms < earliest:
                    earliest = dead_letter.timestamp_ms
        if earliest is None:
            return set()
        written = [
            each
            for topic in questions.values()
            for each in await reader.ranges(
                topic.name,
                topic.partitions,
                since=max(0, earliest - CLOCK_SKEW_MS),
                with_open_transactions=True,
            )
        ]
        replayed = set()
        async with aclosing(reader.read(written, on_progress)) as records:
            async for record in records:
                replayed |= {
                    (text or b"").decode("utf-8", "replace")
                    for name, text in record.headers
                    if name == REPLAY_OF
                }
        return replayed


def _target(dead_letter: DeadLetter, questions: Mapping[str, Topic]) -> Topic | None:
    """The topic that the question goes to: with several, that from which it came; None if it came
    from another. A single one takes all questions, also those of a topic that was renamed.
    """
    if len(questions) == 1:
        return next(iter(questions.values()))
    assert dead_letter.question is not None  # `skip_reason` is None
    return questions.get(dead_letter.question.topic)


async def _find_ranges(
    reader: TopicReader, topic: Topic, wanted: DeadLetterFilter
) -> list[OffsetRange]:
    """The offsets of the dead-letter topic that `wanted` can select."""
    if wanted.partition is not None and wanted.partition >= topic.partitions:
        raise StreamingError(
            f"{topic.name} has no partition {wanted.partition}, only 0 to {topic.partitions - 1}"
        )
    ranges = await reader.ranges(topic.name, topic.partitions, since=wanted.since)
    return clip(ranges, partition=wanted.partition, first=wanted.first, last=wanted.last)


async def _select(
    reader: TopicReader,
    ranges: list[OffsetRange],
    wanted: DeadLetterFilter,
    on_progress: OnProgress,
) -> AsyncGenerator[DeadLetter, None]:
    async with aclosing(reader.read(ranges, on_progress)) as records:
        async for record in records:
            dead_letter = DeadLetter.from_record(record)
            if wanted.matches(dead_letter):
                yield dead_letter
