"""Dead letters are looked through, and sent again: the part that talks to the brokers.

Nothing goes out twice. A replay is made of transactions under one transactional id, so that a
second one fences the first; and what was replayed before is known by the headers of the questions
that it left on their topic. Nothing goes round for ever: a question carries how often it was sent.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from schemas.rejection import REPLAY_OF
from worker.dead_letters.dead_letter import (
    DeadLetter,
    DeadLetterFilter,
    SkipReason,
    parse_dead_letter,
    skip_reason,
    to_replay_record,
)
from worker.dead_letters.transaction import (
    ReplayResult,
    ReplayTransaction,
    replay_producer,
    replay_transactional_id,
)
from worker.kafka.acl import Operation, RequiredAcls
from worker.kafka.errors import StreamingError
from worker.kafka.records import OutputRecord, partition_for
from worker.kafka.topic_reader import OffsetRange, TopicReader, Watch, clip
from worker.kafka.topics import Topic, require_topics
from worker.settings import Settings

SKEW_MS = 3_600_000
"""By how much the clocks may differ that dated a dead letter and its replay: the questions topic is
read from so long before the letter on. An hour is how far ahead of its own clock a broker lets a
record be (message.timestamp.after.max.ms, its default)."""


async def read_dead_letters(
    settings: Settings, wanted: DeadLetterFilter, watch: Watch
) -> AsyncGenerator[DeadLetter, None]:
    """Those of the dead-letter topic as it is now. Raises `StreamingError`, `KafkaError`."""
    rights = RequiredAcls({settings.qa.dead_letters_topic: (Operation.READ,)})
    _, _, dead = await require_topics(settings, rights)
    async with TopicReader(settings.kafka) as scan:
        stretches = await _where(scan, dead, wanted)
        async with aclosing(_wanted(scan, stretches, wanted, watch)) as found:
            async for letter in found:
                yield letter


@dataclass(frozen=True, slots=True)
class Replay:
    """`send` publishes the letters that `wanted` takes to the questions topic, and tells what
    becomes of each; `rehearse` only tells it. Both raise `StreamingError` and `KafkaError`.
    """

    settings: Settings
    wanted: DeadLetterFilter
    max_attempts: int
    again: bool
    """Also what was replayed before."""
    limit: int | None
    """How many to send, at most."""

    async def rehearse(self, tell: Callable[[ReplayResult], None], watch: Watch) -> None:
        questions, _, dead = await require_topics(self.settings, self._rights(Operation.READ))
        async with (
            TopicReader(self.settings.kafka) as scan,
            TopicReader(self.settings.kafka) as originals,
            aclosing(self._fates(scan, originals, questions, dead, watch)) as fates,
        ):
            async for fate, _ in fates:
                tell(fate)

    async def send(self, tell: Callable[[ReplayResult], None], watch: Watch) -> None:
        name = replay_transactional_id(self.settings.kafka)
        rights = replace(
            self._rights(Operation.READ, Operation.WRITE),
            transactions=(name, f"transactional id {name}"),
        )
        questions, _, dead = await require_topics(self.settings, rights)
        # The producer first: once it is there no other replay adds to what is looked up next.
        async with (
            replay_producer(self.settings.kafka, questions) as producer,
            TopicReader(self.settings.kafka) as scan,
            TopicReader(self.settings.kafka) as originals,
            aclosing(self._fates(scan, originals, questions, dead, watch)) as fates,
        ):
            batch = ReplayTransaction(producer)
            async for fate, record in fates:
                if record is None:
                    tell(fate)
                    continue
                if batch.is_full(record):
                    await batch.publish(tell)
                batch.add(fate, record)
            await batch.publish(tell)

    def _rights(self, *with_questions: Operation) -> RequiredAcls:
        qa = self.settings.qa
        return RequiredAcls(
            {qa.questions_topic: with_questions, qa.dead_letters_topic: (Operation.READ,)}
        )

    async def _fates(
        self, scan: TopicReader, originals: TopicReader, questions: Topic, dead: Topic, watch: Watch
    ) -> AsyncGenerator[tuple[ReplayResult, OutputRecord | None], None]:
        """What becomes of each letter, and the record to send for it."""
        stretches = await _where(scan, dead, self.wanted)
        replayed: set[str] = set()
        if not self.again:
            replayed = await self._replayed(scan, stretches, questions, watch)
        sent = 0
        async with aclosing(_wanted(scan, stretches, self.wanted, watch)) as found:
            async for letter in found:
                skip = skip_reason(letter, replayed=replayed, max_attempts=self.max_attempts)
                if skip is not None:
                    yield ReplayResult(letter, skip), None
                    continue
                if sent == self.limit:
                    return
                fate, record = await self._question(letter, originals, questions)
                sent += record is not None
                yield fate, record

    async def _question(
        self, letter: DeadLetter, originals: TopicReader, questions: Topic
    ) -> tuple[ReplayResult, OutputRecord | None]:
        value = letter.value
        if letter.omitted is not None:
            assert letter.question is not None  # else it had been skipped
            place = letter.question
            original = await originals.at(place.topic, place.partition, place.offset)
            # A topic that was deleted and made anew has another record there.
            if original is None or (original.key, len(original.value or b"")) != (
                letter.key,
                letter.omitted,
            ):
                return ReplayResult(letter, SkipReason.VALUE_GONE), None
            value = original.value
        record = to_replay_record(letter, value, questions.name)
        if record.size > questions.max_message_bytes:
            return ReplayResult(letter, SkipReason.TOO_LARGE), None
        partition = partition_for(record, range(questions.partitions))
        return ReplayResult(letter, partition=partition), record

    async def _replayed(
        self, scan: TopicReader, stretches: list[OffsetRange], questions: Topic, watch: Watch
    ) -> set[str]:
        """The places of the letters that the questions topic has replays of."""
        earliest: int | None = None
        async with aclosing(_wanted(scan, stretches, self.wanted, watch)) as found:
            async for letter in found:
                if earliest is None or letter.timestamp < earliest:
                    earliest = letter.timestamp
        if earliest is None:
            return set()
        written = await scan.stretches(
            questions.name,
            questions.partitions,
            since=max(0, earliest - SKEW_MS),
            with_open_transactions=True,
        )
        replayed = set()
        async with aclosing(scan.read(written, watch)) as records:
            async for record in records:
                replayed |= {
                    (text or b"").decode("utf-8", "replace")
                    for name, text in record.headers
                    if name == REPLAY_OF
                }
        return replayed


async def _where(scan: TopicReader, dead: Topic, wanted: DeadLetterFilter) -> list[OffsetRange]:
    """Where in the dead-letter topic there may be letters that are wanted."""
    if wanted.partition is not None and wanted.partition >= dead.partitions:
        raise StreamingError(
            f"{dead.name} has partitions 0 to {dead.partitions - 1}, none is {wanted.partition}"
        )
    stretches = await scan.stretches(dead.name, dead.partitions, since=wanted.since)
    return clip(stretches, partition=wanted.partition, first=wanted.first, last=wanted.last)


async def _wanted(
    scan: TopicReader, stretches: list[OffsetRange], wanted: DeadLetterFilter, watch: Watch
) -> AsyncGenerator[DeadLetter, None]:
    async with aclosing(scan.read(stretches, watch)) as records:
        async for record in records:
            letter = parse_dead_letter(record)
            if wanted.takes(letter):
                yield letter
