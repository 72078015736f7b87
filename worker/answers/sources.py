"""Where answers come from: a topic, up to its end offsets at the start, or a file of JSON Lines."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from schemas.unsure import origin
from worker.kafka.acl import Operation
from worker.kafka.errors import StreamingError
from worker.kafka.topic_reader import OffsetRange, OnProgress, OnUnreadable, TopicReader
from worker.kafka.topic_requirements import require_named_topics
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.schema_registry.answer_values import AnswerValues

_LINES_PER_REPORT = 1000


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A record or a line before it is parsed."""

    value: bytes | None
    timestamp_ms: int | None
    where: str
    """Its place within the source, for messages."""
    asked_at: tuple[str, int, int] | None = None
    """Where the question was asked first, if another worker sent it on as unsure."""
    problem: str = ""
    """Why the value could not be decoded; empty if it could."""


class AnswerSource(Protocol):
    """One side of a comparison."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int:
        """Offsets, or bytes: which of two sources is read into memory."""

    def read(self, on_progress: OnProgress) -> AsyncGenerator[RawAnswer, None]:
        """Once, in the source's order. Raises `KafkaError`, `StreamingError`, `OSError`."""


@dataclass(frozen=True, slots=True)
class FileAnswers:
    """A file with an answer on each line, as a topic's values, or as `qa-worker read` writes it."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    async def read(self, on_progress: OnProgress) -> AsyncGenerator[RawAnswer, None]:
        total, done = self.size, 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                done += len(line)
                text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if text.strip():
                    yield RawAnswer(text, None, f"line {number}")
                if not number % _LINES_PER_REPORT:
                    on_progress(self.name, done, total)


@dataclass(frozen=True, slots=True)
class TopicAnswers:
    """The committed records of an answers topic. Belongs to an open reader and open values."""

    topic: str
    reader: TopicReader
    ranges: Sequence[OffsetRange]
    values: "AnswerValues"

    @property
    def name(self) -> str:
        return self.topic

    @property
    def size(self) -> int:
        return sum(each.length for each in self.ranges)

    async def read(self, on_progress: OnProgress) -> AsyncGenerator[RawAnswer, None]:
        """Raises `StreamingError`, also if the registry does not answer."""
        async with aclosing(self.reader.read(self.ranges, on_progress)) as records:
            async for record in records:
                timestamp_ms = record.timestamp if record.timestamp >= 0 else None
                where = f"partition {record.partition} offset {record.offset}"
                value = await self.values.read(record.value, record.headers)
                if value.is_registry_away:
                    raise StreamingError(f"{self.topic} {where}: {value.problem}")
                asked_at = origin(record.headers)
                yield RawAnswer(value.json, timestamp_ms, where, asked_at, value.problem)


@asynccontextmanager
async def open_topics(
    settings: Settings, topics: Sequence[str], since: int | None, on_unreadable: OnUnreadable
) -> AsyncIterator[list[TopicAnswers]]:
    """The topics, with the offsets that each has at this moment; with `since` (milliseconds since
    1970), from the first record of that time on.

    Raises `StreamingError` if a topic is missing, or the right to read it; `KafkaError`.
    """
    # Only here: a worker imports the commands.
    from worker.schema_registry.answer_values import AnswerValues

    required = dict.fromkeys(topics, (Operation.READ,))
    found = await require_named_topics(settings, required)
    async with (
        AnswerValues.open(settings) as values,
        TopicReader.open(settings, on_unreadable) as reader,
    ):
        yield [
            TopicAnswers(
                topic.name,
                reader,
                await reader.ranges(topic.name, topic.partitions, since=since),
                values,
            )
            for topic in found
        ]
