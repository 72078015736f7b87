"""`qa-worker ask`: one question, through the topics where a broker is configured, else directly."""

import asyncio
import sys
import uuid
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import PydanticSerializationError
from rich.table import Table

from schemas.answer import Answer
from schemas.envelope import open_envelope
from schemas.question import Question, ReadingOptions
from schemas.rejection import Rejected
from worker.cli.console import marked, out
from worker.environment import load
from worker.reading.bundle import open_bundle
from worker.reading.reader import Reader
from worker.settings import Settings
from worker.streaming.asking import Asker
from worker.streaming.errors import StreamingError


def ask(
    question: Annotated[str, typer.Option(help="the question")],
    context: Annotated[str | None, typer.Option(help="the text that holds the answer")] = None,
    context_file: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="a file of it; - is stdin"),
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="how many spans to show")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds to wait for the worker")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="print the answer event")] = False,
) -> None:
    """Ask one question: through the topics if KAFKA_BOOTSTRAP_SERVERS is set, else directly."""
    settings = load()
    text = _context(context, context_file)
    # A blank question is rejected like any other event, with the same words.
    event = Question.model_construct(
        id=f"ask-{uuid.uuid4()}",
        question=question,
        context=text,
        options=ReadingOptions(top_k=top_k),
        metadata={},
    )
    try:
        value = event.model_dump_json().encode()
    except PydanticSerializationError:
        # Arguments that are not UTF-8 arrive with lone surrogates, which JSON cannot carry.
        raise typer.BadParameter("question or context is not UTF-8") from None
    try:
        if settings.kafka.bootstrap_servers:
            answer = asyncio.run(_through_the_topics(settings, value, timeout))
        else:
            answer = _directly(settings, value)
    except Rejected as rejected:
        raise StreamingError(f"rejected, {rejected}") from None
    if as_json:
        out.print(answer.model_dump_json(), soft_wrap=True, markup=False)
    else:
        _show(answer, text)


def _context(context: str | None, file: Path | None) -> str:
    if (context is None) == (file is None):
        raise typer.BadParameter("give --context or --context-file, one of them")
    if file is None:
        assert context is not None
        return context
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not UTF-8: {error.reason}") from None


def _directly(settings: Settings, value: bytes) -> Answer:
    event = open_envelope(value, (), default_id="ask", max_bytes=settings.qa.max_record_bytes)
    with Reader(open_bundle(settings.qa.model), settings.qa.reading()) as reader:
        return reader.submit(event.question).result()


async def _through_the_topics(settings: Settings, value: bytes, seconds: float) -> Answer:
    async with Asker(settings) as asker:
        place = await asker.send(value)
        try:
            outcome = await asker.outcome(place, seconds=seconds)
        except TimeoutError:
            raise StreamingError(
                f"no answer within {seconds:g} s; the question is at {place[0]}-{place[1]}, "
                f"offset {place[2]}: is a worker running (`qa-worker run`)?"
            ) from None
    if outcome.reason:
        raise StreamingError(f"rejected, {outcome.reason}: {outcome.detail}")
    assert outcome.value is not None
    return Answer.model_validate_json(outcome.value)


def _show(answer: Answer, context: str) -> None:
    table = Table("Score", "At", "Answer in its context")
    for span in answer.answers:
        place = f"{span.start}-{span.end}"
        shown = marked(context, span.start, span.end) if span.end else "(no answer)"
        table.add_row(f"{span.score:.4f}", place, shown)
    out.print(table)
