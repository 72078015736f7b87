"""`qa-worker ask`: sends one event through the topics if a broker is configured; otherwise runs the
model in this process.
"""

import asyncio
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from schemas.embedding import Embedding
from schemas.envelope import decode_event
from schemas.event import Outcome
from schemas.question import Question, ReadingOptions
from schemas.rejection import Rejected
from schemas.text import Text
from worker.cli.errors import CommandError
from worker.cli.terminal import Table, marked, write_json
from worker.client import QuestionClient
from worker.inference.engine import InferenceEngine
from worker.models.store import ModelStore
from worker.settings import Settings
from worker.settings.environment import load

_OUTCOMES: TypeAdapter[Outcome] = TypeAdapter(Outcome)

_SHOWN_DIMENSIONS = 6
"""Leading numbers of an embedding that the table shows. `--json` prints all of them."""


def ask(
    question: Annotated[str | None, typer.Option(help="The question.")] = None,
    context: Annotated[str | None, typer.Option(help="The text that contains the answer.")] = None,
    context_file: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="A UTF-8 file with the context; - reads stdin."),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="A text to embed, instead of a question (embedding models only)."),
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Number of answer spans.")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for the worker's answer.")
    ] = 30.0,
    expires_in: Annotated[
        float | None, typer.Option(min=0, help="Seconds until the event expires unanswered.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome event as JSON.")] = (
        False
    ),
) -> None:
    """Ask one question or embed one text: through Kafka if KAFKA_BOOTSTRAP_SERVERS is set,
    otherwise in this process.
    """
    settings = load()
    event = _event(question, context, context_file, text, top_k)
    if expires_in is not None:
        event = event.model_copy(update={"expires_at": _after(expires_in)})
    try:
        value = event.model_dump_json().encode()
    except PydanticSerializationError:
        # Arguments that are not UTF-8 arrive with lone surrogates, which JSON cannot carry.
        raise typer.BadParameter("question, context or text is not UTF-8") from None
    try:
        if settings.kafka.bootstrap_servers:
            outcome = asyncio.run(_ask_worker(settings, value, timeout))
        else:
            outcome = _run_model(settings, value)
    except Rejected as rejected:
        raise CommandError(f"rejected, {rejected}") from None
    if as_json:
        write_json(outcome.model_dump_json())
    else:
        _table(event, outcome).print()


def _event(
    question: str | None,
    context: str | None,
    context_file: Path | None,
    text: str | None,
    top_k: int | None,
) -> Question | Text:
    # `model_construct` skips validation: the worker, or `_run_model`, rejects a bad event, so that
    # the message is the same as that of a dead letter.
    event_id = f"ask-{uuid.uuid4()}"
    if question is not None and text is None:
        return Question.model_construct(
            id=event_id,
            question=question,
            context=_context(context, context_file),
            options=ReadingOptions(top_k=top_k),
            metadata={},
        )
    if text is not None and (question, context, context_file, top_k) == (None,) * 4:
        return Text.model_construct(id=event_id, text=text, metadata={})
    raise typer.BadParameter("give --question with a context, or --text alone")


def _after(seconds: float) -> datetime:
    try:
        return datetime.now(UTC) + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise typer.BadParameter("is after the year 9999", param_hint="--expires-in") from None


def _context(context: str | None, file: Path | None) -> str:
    if (context is None) == (file is None):
        raise typer.BadParameter("give either --context or --context-file")
    if file is None:
        assert context is not None
        return context
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    try:
        return data.decode("utf-8-sig")  # a byte order mark is not text
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not UTF-8: {error.reason}") from None


def _run_model(settings: Settings, value: bytes) -> Outcome:
    """Decode the event and run the model. Raises `Rejected`, `BundleError`."""
    engine = InferenceEngine(
        ModelStore(settings.qa.models).open(settings.qa.model), settings.qa.inference
    )
    envelope = decode_event(
        engine.event_type, value, (), default_id="ask", max_bytes=settings.qa.max_record_bytes
    )
    with engine:
        return engine.submit(envelope.event).result().outcome


async def _ask_worker(settings: Settings, value: bytes, seconds: float) -> Outcome:
    """Send the event to the questions topic and wait for its outcome."""
    async with QuestionClient.open(settings) as client:
        position = await client.send(value)
        try:
            result = await client.wait_for_result(position, timeout_seconds=seconds)
        except TimeoutError:
            raise CommandError(
                f"no answer within {seconds:g} s; the event is in "
                f"{position.topic}-{position.partition} at offset {position.offset}: is a worker "
                f"running (`qa-worker run`)? With QA_EXPIRED=drop an expired event has no outcome"
            ) from None
    if result.reason:
        raise CommandError(f"rejected, {result.reason}: {result.detail}")
    assert result.value is not None
    return _OUTCOMES.validate_json(result.value)


def _table(event: Question | Text, outcome: Outcome) -> Table:
    if isinstance(outcome, Embedding):
        table = Table("Model", "Windows", "Dimensions", "Embedding")
        first = ", ".join(f"{number:g}" for number in outcome.embedding[:_SHOWN_DIMENSIONS])
        more = ", …" if outcome.dims > _SHOWN_DIMENSIONS else ""
        table.add_row(outcome.model.name, str(outcome.windows), str(outcome.dims), f"{first}{more}")
        return table
    assert isinstance(event, Question)
    table = Table("Score", "Characters", "Answer in its context")
    for span in outcome.answers:
        shown = marked(event.context, span.start, span.end) if span.end else "(no answer)"
        table.add_row(f"{span.score:.4f}", f"{span.start}-{span.end}", shown)
    return table
