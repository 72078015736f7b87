"""Measures what the formats of values cost: records a second through a worker's RecordProcessor.

`python -m tests.bench.value_formats [--rounds 20] [--records 2000] [--characters 750]`

The engine answers at once and nothing is sent: decoding and encoding are nearly all of the time.
In a worker the model takes some ten milliseconds beside it. The formats take turns on the same
questions in a rotating order. "question" reads the format and writes JSON; "both" also writes the
answer in it. The schemas are the published ones, from a registry over HTTP. Times are those of the
processor.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

from rich.console import Console
from rich.table import Table

from schemas import Answer
from schemas.question import Question
from schemas.value_format import JSON
from tests.schema_registry.keeping_registry import keeping_registry
from tests.streaming.fakes import NO_FOREIGN_TOPICS
from tests.streaming.stub_engine import StubEngine
from worker.cli.terminal import progress
from worker.kafka.records import InputRecord
from worker.observability import logging_setup
from worker.observability.health import Health
from worker.schema_registry.answer_format import find_answer_format
from worker.schema_registry.opening import open_reader
from worker.schema_registry.question_format import encode_question
from worker.settings import Settings
from worker.settings.environment import load
from worker.settings.value_formats import AnswerFormat
from worker.streaming.deadlines import DeadlinePolicy
from worker.streaming.output_limits import OutputLimits
from worker.streaming.processor import RecordProcessor
from worker.streaming.replies import ReplyRouter

TOPIC = "qa.questions"
Side = tuple[str, AnswerFormat]
SIDES: tuple[Side, ...] = tuple(
    (side, each)
    for side in ("question", "both")
    for each in AnswerFormat
    if (side, each) != ("both", AnswerFormat.JSON)
)


def _question(number: int, characters: int) -> Question:
    context = f"Person {number} lives in Zürich. " * (characters // 32 + 1)
    return Question(
        id=f"q-{number}",
        question=f"Where does person number {number} live?",
        context=context[:characters],
        metadata={"tenant": "acme"},
    )


async def _values(
    settings: Settings, value_format: AnswerFormat, count: int, characters: int
) -> list[bytes]:
    questions = (_question(number, characters) for number in range(count))
    if value_format is AnswerFormat.JSON:
        return [
            json.dumps(each.model_dump(mode="json", exclude_none=True)).encode()
            for each in questions
        ]
    return [await encode_question(settings, TOPIC, each, value_format) for each in questions]


@asynccontextmanager
async def _processor(side: Side, url: str) -> AsyncIterator[RecordProcessor]:
    answer_format = side[1] if side[0] == "both" else AnswerFormat.JSON
    settings = _settings(url, answer_format)
    with ThreadPoolExecutor(1) as decoders:
        async with open_reader(settings, decoders) as reader:
            value_format = JSON
            if answer_format is not AnswerFormat.JSON:
                health = Health(time.monotonic, stall_after=3600, contact_after=20)
                value_format = await find_answer_format(settings, Answer, health)
            yield RecordProcessor(
                engine=StubEngine(),
                decoders=decoders,
                answers_topic="qa.answers",
                dead_letters_topic="qa.questions.dead",
                max_record_bytes=settings.qa.max_record_bytes,
                deadlines=DeadlinePolicy(settings.qa.expired, settings.qa.max_age_seconds),
                replies=ReplyRouter(settings.qa, NO_FOREIGN_TOPICS),
                limits=OutputLimits({"qa.answers": 2**20, "qa.questions.dead": 2**20}),
                values=None if side == ("question", AnswerFormat.JSON) else reader,
                answer_format=value_format,
            )


def _settings(url: str, answer_format: AnswerFormat = AnswerFormat.JSON) -> Settings:
    return load(
        {
            "SCHEMA_REGISTRY_URL": url,
            "QA_ANSWER_FORMAT": answer_format,
            "QA_REGISTER_SCHEMAS": "true",
        }
    )


async def _turn(processor: RecordProcessor, values: list[bytes]) -> float:
    """Records in a second of the processor's time."""
    started = time.process_time()
    for offset, value in enumerate(values):
        processed = await processor.process(InputRecord(TOPIC, 0, offset, None, value, ()), None)
        assert processed.reason is None, processed
    return len(values) / (time.process_time() - started)


async def measure(
    rounds: int, records: int, characters: int
) -> tuple[dict[Side, list[float]], dict[AnswerFormat, int]]:
    """The rates of each turn, and the bytes of a question by format."""
    rates: dict[Side, list[float]] = {side: [] for side in SIDES}
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(keeping_registry())
        values = {
            each: await _values(_settings(registry.url), each, records, characters)
            for each in AnswerFormat
        }
        processors = {
            side: await stack.enter_async_context(_processor(side, registry.url)) for side in SIDES
        }
        for side, processor in processors.items():
            await _turn(processor, values[side[1]][:100])
        bar = stack.enter_context(progress())
        task = bar.add_task("turns", total=rounds * len(SIDES), speed="")
        for number in range(rounds):
            first = number % len(SIDES)
            for side in SIDES[first:] + SIDES[:first]:
                rates[side].append(await _turn(processors[side], values[side[1]]))
                bar.advance(task)
    return rates, {each: len(found[0]) for each, found in values.items()}


def show(rates: dict[Side, list[float]], sizes: dict[AnswerFormat, int]) -> None:
    table = Table(title="cost of the formats of values")
    for column in ("format", "bytes", "records/s", "ratio to JSON (min, max)", "µs more a record"):
        table.add_column(column, justify="left" if column == "format" else "right")
    base = rates["question", AnswerFormat.JSON]
    for side, found in rates.items():
        ratios = [one / other for one, other in zip(found, base, strict=True)]
        more = [1e6 / one - 1e6 / other for one, other in zip(found, base, strict=True)]
        table.add_row(
            f"{side[1]}, {side[0]}",
            str(sizes[side[1]]),
            f"{median(found):,.0f}",
            f"{median(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f})",
            f"{median(more):.0f}",
        )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each format")
    parser.add_argument("--records", type=int, default=2000, help="records in one turn")
    parser.add_argument("--characters", type=int, default=750, help="of a question's context")
    arguments = parser.parse_args()
    logging_setup.configure("warning", "json")
    show(*asyncio.run(measure(arguments.rounds, arguments.records, arguments.characters)))


if __name__ == "__main__":
    main()
