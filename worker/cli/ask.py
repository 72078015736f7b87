"""`qa-worker ask`: one event, through the topics where a broker is configured, else directly."""

import asyncio
import sys
import uuid
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError
from rich.table import Table

from schemas.embedding import Embedding
from schemas.envelope import decode_event
from schemas.event import Outcome
from schemas.question import Question, ReadingOptions
from schemas.rejection import Rejected
from schemas.text import Text
from worker.cli.errors import CommandError
from worker.cli.terminal import marked, out
from worker.client import QuestionClient
from worker.inference.engine import InferenceEngine
from worker.models.store import ModelStore
from worker.settings import Settings
from worker.settings.environment import load

_OUTCOMES: TypeAdapter[Outcome] = TypeAdapter(Outcome)

_SHOWN = 6
"""Numbers of an embedding that are shown; --json has all."""


def ask(
    question: Annotated[str | None, typer.Option(help="the question")] = None,
    context: Annotated[str | None, typer.Option(help="the text that holds the answer")] = None,
    context_file: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="a file of it; - is stdin"),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="instead: a text to embed, where the model is one for embeddings"),
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="how many spans to show")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds to wait for the worker")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="print the whole event")] = False,
) -> None:
    """Ask a question, or embed a text: through the topics if KAFKA_BOOTSTRAP_SERVERS is set, else
    directly.
    """
    settings = load()
    event = _event(question, context, context_file, text, top_k)
    try:
        value = event.model_dump_json().encode()
    except PydanticSerializationError:
        # Arguments that are not UTF-8 arrive with lone surrogates, which JSON cannot carry.
        raise typer.BadParameter("question, context or text is not UTF-8") from None
    try:
        if settings.kafka.bootstrap_servers:
            outcome = asyncio.run(_through_the_topics(settings, value, timeout))
        else:
            outcome = _directly(settings, value)
    except Rejected as rejected:
        raise CommandError(f"rejected, {rejected}") from None
    if as_json:
        out.print(outcome.model_dump_json(), soft_wrap=True, markup=False)
    else:
        out.print(_table(event, outcome))


def _event(
    question: str | None,
    context: str | None,
    context_file: Path | None,
    text: str | None,
    top_k: int | None,
) -> Question | Text:
    # A blank question is rejected like any other event, with the same words: so, no checks here.
    name = f"ask-{uuid.uuid4()}"
    if question is not None and text is None:
        return Question.model_construct(
            id=name,
            question=question,
            context=_context(context, context_file),
            options=ReadingOptions(top_k=top_k),
            metadata={},
        )
    if text is not None and (question, context, context_file, top_k) == (None,) * 4:
        return Text.model_construct(id=name, text=text, metadata={})
    raise typer.BadParameter("give --question and its context, or --text alone")


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


def _directly(settings: Settings, value: bytes) -> Outcome:
    reader = InferenceEngine(
        ModelStore(settings.qa.models).open(settings.qa.model), settings.qa.reading()
    )
    opened = decode_event(
        reader.event_type, value, (), default_id="ask", max_bytes=settings.qa.max_record_bytes
    )
    with reader:
        return reader.submit(opened.event).result()


async def _through_the_topics(settings: Settings, value: bytes, seconds: float) -> Outcome:
    async with QuestionClient(settings) as asker:
        place = await asker.send(value)
        try:
            outcome = await asker.outcome(place, seconds=seconds)
        except TimeoutError:
            raise CommandError(
                f"nothing came back within {seconds:g} s; the event is at {place[0]}-{place[1]}, "
                f"offset {place[2]}: is a worker running (`qa-worker run`)?"
            ) from None
    if outcome.reason:
        raise CommandError(f"rejected, {outcome.reason}: {outcome.detail}")
    assert outcome.value is not None
    return _OUTCOMES.validate_json(outcome.value)


def _table(event: Question | Text, outcome: Outcome) -> Table:
    if isinstance(outcome, Embedding):
        table = Table("Model", "Windows", "Numbers", "Embedding")
        first = ", ".join(f"{number:g}" for number in outcome.embedding[:_SHOWN])
        more = ", …" if outcome.dims > _SHOWN else ""
        table.add_row(outcome.model.name, str(outcome.windows), str(outcome.dims), f"{first}{more}")
        return table
    assert isinstance(event, Question)
    table = Table("Score", "At", "Answer in its context")
    for span in outcome.answers:
        place = f"{span.start}-{span.end}"
        shown = marked(event.context, span.start, span.end) if span.end else "(no answer)"
        table.add_row(f"{span.score:.4f}", place, shown)
    return table
